"""The doctor: every finding on a small literal file, and what follows from a data set."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
from functools import partial

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS
from finetune_embed.errors import VectorFileError
from finetune_embed.inspection import Finding, inspect
from finetune_embed.inspection.conventions import FUNCTION_WORDS

SOUND = b"".join(b"w%d 1 2\n" % i for i in range(9))


def findings(path) -> dict[str, Finding]:
    """Return the findings of a file by code; each code stands once."""
    report = inspect(path)
    found = {finding.code: finding for finding in report.findings}
    assert len(found) == len(report.findings)
    return found


# name: (bytes after the sound lines, code, severity, count, examples)
ODD = {
    "few numbers": (b"a 1\nb 1 2\n", "short_lines", "error", 1, ("'a 1' (line 10)",)),
    "cut short": (b"a 1 2\nb 1", "short_lines", "error", 1, ("'b 1' (line 11)",)),
    "words among numbers": (
        b"a 1 2\nb 1 x\nc y 2\n",
        "not_numbers",
        "error",
        2,
        ("'x' (line 11)", "'y' (line 12)"),
    ),
    "blank lines": (b"\n \r\na 1 2\n\n", "blank_lines", "error", 2, ("line 10", "line 11")),
    "duplicates": (
        b"w1 3 4\nw2 5 6\nw1 7 8\n",
        "duplicates",
        "warning",
        3,
        ("'w1' (line 10 after 2)", "'w2' (line 11 after 3)", "'w1' (line 12 after 2)"),
    ),
    "empty": (b" 1 2\n", "empty_words", "warning", 1, ("line 10",)),
    "spaces": (b". . 1 2\na b c 1 2\n", "spaces", "warning", 2, ("'. .' (line 10)",)),
    "two lines in one": (
        b"a 0.5 1 b 1 2\n",
        "swallowed_numbers",
        "warning",
        1,
        ("'a 0.5 1 b' (line 10)",),
    ),
    "no-break space": (
        "a\xa0b 1 2\n\u3000 1 2\na\tb 1 2\n".encode(),
        "white_space",
        "warning",
        3,
        (r"'a\xa0b' (line 10)", r"'\u3000' (line 11)", r"'a\tb' (line 12)"),
    ),
    "control characters": (
        b"a\x00b 1 2\n\x7f 1 2\n\xc2\x9f 1 2\n",
        "control_characters",
        "warning",
        3,
        (r"'a\x00b' (line 10)", r"'\x7f' (line 11)", r"'\x9f' (line 12)"),
    ),
    "latin-1": (b"caf\xe9 1 2\n", "not_utf8", "warning", 1, (r"b'caf\xe9' (line 10)",)),
    "zero": (b"a 0 -0\n", "zero_rows", "warning", 1, ("'a' (line 10)",)),
    "zero padding": (b"<pad> 0 0\n", "zero_rows", "note", 1, ("'<pad>' (line 10)",)),
    "NaN": (b"a nan 0\nb 1 inf\n", "nan_rows", "warning", 1, ("'a' (line 10)",)),
    "infinite": (b"a nan inf\nb 1 -inf\nc inf 1\n", "infinite_rows", "warning", 2, None),
    "too large": (b"a 1 2\nc 1e39 1\n", "not_numbers", "error", 1, ("'1e39' (line 11)",)),
    "far": (b"a 30 40\n", "outlier_norms", "note", 1, ("'a' 50 (line 10)",)),
    "huge": (b"a 3e19 4e19\n", "outlier_norms", "warning", 1, ("'a' 5e+19 (line 10)",)),
    "invisible": (
        "a\u200bb 1 2\n".encode(),
        "invisible_characters",
        "note",
        1,
        (r"'a\u200bb' (line 10)",),
    ),
    "no last newline": (b"a 1 2", "unclosed", "note", 1, ()),
}


@pytest.mark.parametrize("case", ODD)
def test_each_finding(case, write):
    data, code, severity, count, examples = ODD[case]
    path = write(SOUND + data)
    found = findings(path)
    assert (found[code].severity, found[code].count) == (severity, count)
    assert found[code].cure
    if examples is not None:
        assert found[code].examples[: len(examples)] == examples
    others = {"outlier_norms", "unclosed", "nan_rows", "infinite_rows"}
    assert found.keys() - others == {code} - others
    assert inspect(path).is_clean is (severity == "note")


def test_a_first_line_with_a_byte_order_mark_and_carriage_returns(write):
    found = findings(write(b"\xef\xbb\xbfa 1 2\r\nb 3 4\r\n"))
    assert {code: finding.severity for code, finding in found.items()} == {
        "bom": "note",
        "crlf": "note",
    }


def test_at_most_five_examples_are_kept_and_all_are_counted(write):
    found = findings(write(SOUND * 3))["duplicates"]
    assert found.count == 18
    assert len(found.examples) == 5
    assert str(found).startswith(
        "warning: rows of words that stood there before: 18, 'w0' (line 10 after 1), "
    )
    assert ", ...\n  write the table anew" in str(found)


def test_decimal_commas_have_a_cure_of_their_own(write):
    found = findings(write(SOUND + b"a 0,5 1\n"))["not_numbers"]
    assert found.examples == ("'0,5' (line 10)",)
    assert found.cure == "correct the lines or remove them, decimal commas by points"


DAMAGED = b"""\
the 0.1 0.2
of 0.3
and 0.5 0.6

to x 0.8
in 0.9 1.0
the 1.1 1.2
New York 1.3 1.4
zero 0 0
caf\xe9 1.5 1.6
a 0.7 0"""


def test_the_report_of_a_damaged_file_word_for_word(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(DAMAGED)
    data = Dataset.from_dict({"text": ["The zero of a cat", "in the zero"]})
    assert str(inspect("vectors.txt", data)) == GOLDEN


GOLDEN = r"""vectors.txt: glove, 8 words x 2
file        110 bytes, not compressed, numbers text
sha256      3fcc4c7186743ace830e9f23f25779d9ecc4695f20cc52274a65667c55e77d6a
header      none, as is right for GloVe text
row lengths min 0, 1% 0.0157, 25% 0.581, median 1.06, 75% 1.7, 99% 2.17, max 2.19
case        mixed (87.5% lower case, 12.5% mixed)
convention  lower-cased
tokenizer   glove
sorted      by frequency: unknown (8 rows are too few to tell)
findings    3 errors, 4 warnings, 1 note
  error: lines with fewer than 2 numbers: 1, 'of 0.3' (line 2)
    the file is damaged there or cut short: fetch it again, or remove the lines
  error: lines with something else among their numbers: 1, 'x' (line 5)
    correct the lines or remove them
  error: blank lines that others follow: 1, line 4
    remove them
  warning: rows of words that stood there before: 1, 'the' (line 7 after 1)
    write the table anew, without them, if the first of each is right: it is the one taken
  warning: words with spaces in them: 1, 'New York' (line 8)
    keep the table with save_safetensors(table, path): word2vec files can't hold them, and readers
    that split at the left fail
  warning: words that are not UTF-8: 1, b'caf\xe9' (line 10)
    convert the file to UTF-8 from its own encoding, or drop them, table.subset(words_to_keep):
    they are kept byte by byte, but no text has them
  warning: rows of zeros: 1, 'zero' (line 9)
    drop them: table.subset(words_to_keep); cosine to them is not defined
  note: the last line does not end with a newline
    if the file was cut short there, its last number is wrong; compare its size
coverage of 8 running words, 6 distinct, cut by the tokenizer glove
  as they stand       75.00% of running words   66.67% of distinct ones
  lower               +0.00%                    +0.00%
  capitalize          +0.00%                    +0.00%
  digits_hash         +0.00%                    +0.00%
  digits_zero         +0.00%                    +0.00%
  strip_punctuation   +0.00%                    +0.00%
  normalize           +0.00%                    +0.00%
not in the table: cat (1), of (1)
settings: finetune(..., tokenizer='glove', fallback=(), min_count=1, oov='normal')
  finetune-embed train ... --tokenizer glove --min-count 1 --oov normal"""


def damaged(lines: int = 60) -> bytes:
    """Return a file in which every sixth line is odd in its own way."""
    text = [b"w%d %.2f %.2f %.2f" % (i, i / 10, 1, -i / 7) for i in range(1, lines + 1)]
    text[5] = b"short 1 2"
    text[11] = b""
    text[17] = text[16]
    text[23] = b"\xff 1 2 3"
    text[29] = b"New\xc2\xa0York 1 2 3"
    text[35] = b"comma 0,5 1 2"
    text[41] = b"zero 0 0 0"
    text[47] = b"nan nan 1 2"
    text[53] = b"joined 0.1 0.2 0.3 w55 1 2 3"
    text[59] = b"cut 0.1 0"
    return b"\n".join(text)


def test_a_damaged_file_of_60_lines(write):
    path = write(damaged())
    with pytest.raises(VectorFileError, match=r":6: 2 numbers where 3 are expected"):
        fe.load_vectors(path)
    report = inspect(path)
    assert (report.words, report.vector_size) == (56, 3)
    assert {finding.code: finding.count for finding in report.findings} == {
        "short_lines": 2,
        "not_numbers": 1,
        "blank_lines": 1,
        "duplicates": 1,
        "swallowed_numbers": 1,
        "white_space": 1,
        "not_utf8": 1,
        "zero_rows": 1,
        "nan_rows": 1,
    }
    assert [finding.severity for finding in report.findings] == ["error"] * 3 + ["warning"] * 6
    short = report.findings[0]
    assert short.examples == ("'short 1 2' (line 6)", "'cut 0.1 0' (line 60)")
    assert report.findings[3].examples == ("'w17' (line 18 after 17)",)


def test_damage_is_found_wherever_the_borders_of_blocks_are(write, monkeypatch):
    path = write(damaged())
    whole = inspect(path).to_dict()
    for size in (7, 64, 300):
        monkeypatch.setattr("finetune_embed.formats._text.BLOCK", size)
        assert inspect(path).to_dict() == whole


def test_damage_is_found_without_the_compiled_loops(write, monkeypatch):
    path = write(damaged())
    whole = inspect(path).to_dict()
    monkeypatch.setattr("finetune_embed.formats.common.kernels.native", None)
    assert inspect(path).to_dict() == whole


HEADERS = {
    "true": (b"2 2\na 1 2\nb 3 4\n", True, None),
    "too many": (b"3 2\na 1 2\nb 3 4\n", False, "the header promises 3 vectors, the file has 2"),
    "too few": (b"1 2\na 1 2\nb 3 4\n", False, "the header promises 1 vectors, the file has 2"),
    "dimension": (b"2 3\na 1 2\nb 3 4\n", False, "line 1: the header promises vectors of 3"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_whether_the_header_of_text_is_true(case, write):
    data, is_true, message = HEADERS[case]
    report = inspect(write(data))
    assert report.source_format == "word2vec"
    assert (report.words, report.vector_size) == (2, 2)
    assert report.header is not None
    assert f"{report.header.rows} {report.header.vector_size}".encode() == data.split(b"\n")[0]
    assert report.header.is_true is is_true
    assert len(report.findings) == (not is_true)
    if message:
        assert report.findings[0].severity == "error"
        assert report.findings[0].message.startswith(message)
    assert inspect(write(b"a 1 2\nb 3 4\n")).header is None


def test_lines_of_two_sizes_in_equal_number_are_read_as_the_smaller(write):
    report = inspect(write(b"a 1 2\nb 3 4\nc 1 2 3\nd 4 5 6\n"))
    assert (report.words, report.vector_size) == (4, 2)
    assert [finding.code for finding in report.findings] == ["layout", "spaces"]
    assert report.findings[0].cure == "say which it is: vector_size=2"


def binary(rows: int = 3) -> bytes:
    return b"%d 2\n" % rows + b"".join(
        b"w%d " % i + struct.pack("<2f", 3 * i, 4 * i) for i in range(1, rows + 1)
    )


def test_a_word2vec_binary(write):
    report = inspect(write(binary(), "vectors.bin"))
    assert (report.source_format, report.dtype) == ("word2vec-binary", "float32")
    assert (report.words, report.vector_size, report.findings) == (3, 2, ())
    assert report.norms["min"] == 5
    assert report.norms["median"] == 10
    assert report.norms["max"] == 15


@pytest.mark.parametrize("cut", range(8, 38))
def test_of_a_binary_that_is_cut_short_the_whole_rows_are_counted(cut, write):
    data = binary()
    assert len(data) == 37
    report = inspect(write(data[:cut], "vectors.bin"))
    whole = (cut - 4) // 11
    assert report.words == whole
    if whole == 3:
        assert report.findings == ()
        return
    assert report.header is not None
    assert not report.header.is_true
    assert report.findings[0].message == (
        f"the header promises 3 vectors of 2 numbers, but {whole} are whole: the file ends within "
        f"row {whole + 1}, at byte {cut}"
    )
    assert ("limit=" in report.findings[0].cure) is (whole > 0)


def test_bytes_behind_the_rows_that_a_binary_promises(write):
    report = inspect(write(binary() + b"w4 ", "vectors.bin"))
    assert report.words == 3
    assert report.findings[0].message.endswith("but more bytes follow at 37")


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_of_a_damaged_stream_what_stands_before_the_damage_is_reported(name, write):
    pack = {
        "gzip": gzip.compress,
        "bzip2": partial(bz2.compress, compresslevel=1),
        "xz": lzma.compress,
    }[name]
    random = np.random.default_rng(0)
    text = b"".join(b"w%d %d %d\n" % (i, *random.integers(1e9, size=2)) for i in range(60_000))
    data = pack(text)
    report = inspect(write(data[: len(data) // 2]))
    assert report.compression == name
    assert report.findings[0].code == "damaged"
    assert f"the {name} data is damaged or cut short at byte" in report.findings[0].message
    assert {finding.code for finding in report.findings} <= {"damaged", "outlier_norms"}
    assert 0.1 * 60_000 < report.words < 0.6 * 60_000
    whole = inspect(write(data))
    assert whole.words == 60_000
    assert "damaged" not in findings(write(data))


def test_a_wrong_checksum_is_damage_though_every_row_can_be_read(write):
    data = bytearray(gzip.compress(SOUND))
    data[-8] ^= 1
    report = inspect(write(bytes(data)))
    assert report.words == 9
    assert [finding.code for finding in report.findings] == ["damaged"]
    assert report.findings[0].cure == "fetch the file again"


def test_the_library_s_own_file_and_its_story(tmp_path, table):
    path = tmp_path / "table.safetensors"
    fe.save_safetensors(table, path)
    report = inspect(path)
    assert (report.source_format, report.words, report.findings) == ("safetensors", 5, ())
    assert report.metadata["library_version"] == fe.__version__
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    report = inspect(path)
    assert report.words == 0
    assert [finding.code for finding in report.findings] == ["unreadable"]


def test_words_that_only_our_own_file_holds(tmp_path):
    path = tmp_path / "table.safetensors"
    fe.save_safetensors(fe.EmbeddingTable(["a\nb", "", "c d"], np.ones((3, 2))), path)
    found = findings(path)
    assert found["white_space"].examples == (r"'a\nb' (row 1)",)
    assert found["empty_words"].examples == ("row 2",)
    assert found["spaces"].examples == ("'c d' (row 3)",)


def test_file_objects_and_members_of_archives(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.txt", SOUND)
        archive.writestr("b.txt", b"a 1 2 3\n")
    report = inspect(tmp_path / "two.zip", member="b.txt")
    assert (report.words, report.vector_size, report.compression) == (1, 3, "zip")
    with pytest.raises(VectorFileError, match="holds several files"):
        inspect(tmp_path / "two.zip")
    report = inspect(io.BytesIO(SOUND))
    assert (report.words, report.size) == (9, None)


def test_every_golden_file_is_reported_as_its_loader_reads_it(golden):
    seen, dtypes = set(), {}
    for path in [*golden.glob("tiny.*"), *golden.glob("static/*"), *golden.glob("spacy/*")]:
        try:
            table = fe.load_vectors(path)
        except VectorFileError:
            continue
        report = inspect(path)
        again = sum(one.count for one in report.findings if one.code == "duplicates")
        assert (report.words - again, report.vector_size) == (len(table), table.vector_size)
        assert not any(finding.severity == "error" for finding in report.findings)
        seen.add(report.source_format)
        dtypes[path.name] = report.dtype
    assert seen >= {"glove", "word2vec", "word2vec-binary", "safetensors"}
    others = {name: dtype for name, dtype in dtypes.items() if dtype not in ("float32", "text")}
    assert others == {
        "model2vec-float16": "float16",
        "model2vec-float64": "float64",
        "model2vec-int8": "int8",
        "model2vec-quantised-int8": "int8",
        "tiny.dataset": "float64",
        "tiny.fasttext-nongrams.ftz": "product-quantised",
        "tiny.fasttext-pruned.ftz": "product-quantised",
        "tiny.fasttext-qnorm.ftz": "product-quantised",
        "tiny.fasttext-qout.ftz": "product-quantised",
        "tiny.fasttext-quantized.ftz": "product-quantised",
        "tiny.fasttext-retrained.ftz": "product-quantised",
        "tiny.numpy.npz": "float64",
        "vectors": "float16",
    }
    assert len(dtypes) - len(others) >= 20


def test_metadata_of_another_file_are_not_taken_for_this_one(tmp_path):
    story = {"source_format": "arrow", "source_dtype": "int8", "duplicates": "many"}
    table = fe.EmbeddingTable(["a", "b"], np.ones((2, 2), np.float32), story)
    fe.save_arrow(table, tmp_path / "x")
    fe.save_safetensors(table, tmp_path / "y")
    for name in ("x", "y"):
        report = inspect(tmp_path / name)
        assert (report.dtype, report.words) == ("float32", 2)
        assert "duplicates" not in [finding.code for finding in report.findings]


def test_a_table_that_composes_words_is_advised_to(golden):
    path = golden / "tiny.fasttext-skipgram.bin"
    table = fe.load_vectors(path)
    words = [*table.index_to_key[1:4], "unheardof"]
    advice = inspect(path, Dataset.from_dict({"text": [words] * 3})).advice
    assert advice is not None
    assert (advice.exact.tokens_found, advice.coverage.tokens_found) == (9, 12)
    assert advice.alone["subwords"] == {"types": 1, "tokens": 3}
    assert advice.settings == {
        "tokenizer": advice.tokenizer,
        "fallback": ("subwords",),
        "min_count": 1,
        "oov": "subwords",
    }


NO_VECTORS = {
    "prose": (b"Call me Ishmael.\nSome years ago - never mind how long.\n" * 9, "0 of 18 lines"),
    "csv": (b"text,label\nit works,1\nit broke,0\n", ":1: 0 of 3 lines"),
    "header only": (b"3 5\n", "the file ends there"),
    "nothing": (b"", "is empty"),
    "blank": (b"\n\n\n", "no line of text"),
    "hdf5": (b"\x89HDF\r\n\x1a\n....", "is an HDF5 file"),
}


@pytest.mark.parametrize("case", NO_VECTORS)
def test_what_is_no_vector_file_is_an_error(case, write):
    data, message = NO_VECTORS[case]
    with pytest.raises(VectorFileError, match=message):
        inspect(write(data))


def test_the_demo_slice_is_clean_and_all_is_known_of_it():
    report = inspect(VECTORS, REVIEWS)
    assert report.is_clean
    assert {finding.code: finding.count for finding in report.findings} == {"outlier_norms": 1}
    assert (report.source_format, report.compression) == ("glove", "gzip")
    assert (report.words, report.vector_size, report.dtype) == (11_138, 50, "text")
    assert report.size == 1_886_052
    assert report.sha256 == "717c9f7fae0d1255854a87aaabace41fa470bc51554d06d160838947edcb3629"
    assert report.case.profile == "all lower"
    assert (report.case.lower, report.case.uncased) == (10_713, 425)
    assert report.conventions == (
        "lower-cased",
        "n't 's 're are words, as in the Penn Treebank",
        "quotes are `` and ''",
    )
    assert report.order.sorted_by_frequency == "yes"
    assert report.order.length_correlation == pytest.approx(0.2096, abs=1e-4)
    assert report.norms["median"] == pytest.approx(4.9065, abs=1e-4)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["words"] == 11_138


def lines(words: list[str]) -> bytes:
    return "".join(f"{word} 1 {i % 7 + 1}\n" for i, word in enumerate(words)).encode()


def test_the_case_of_words(write):
    case = inspect(write(lines(["a", "don't", "A", "Word", "NATO", "McDonald", "42", "中"]))).case
    assert (case.lower, case.capitalised, case.upper, case.mixed, case.uncased) == (2, 2, 1, 1, 2)
    assert str(case) == (
        "mixed (25.0% lower case, 25.0% capitalised, 12.5% upper case, 12.5% mixed, "
        "25.0% without case)"
    )
    assert inspect(write(lines(["a", "b"]))).case.profile == "all lower"
    assert inspect(write(lines(["中", "文"]))).case.profile == "no case"


CONVENTIONS = {
    "contractions are whole (don't)": ["don't", "a"],
    "quotes are `` and ''": ["``", "''"],
    "brackets are -lrb- -rrb-": ["-lrb-", "-rrb-"],
    "digits are #": ["##", "####", "##.##", "7"],
    "digits are 0": ["00", "0000", "a"],
    "phrases are joined by _": ["New_York", "a"],
    "words carry a part of speech, such as word_NOUN": ["dog_NOUN", "run_VERB", "of_ADP"],
    "words are ConceptNet paths such as /c/en/word": ["/c/en/dog", "/c/en/cat"],
    "word pieces that begin with ## (BERT)": ["##ing", "walk", "##ed"],
    r"pieces, where '\u2581' begins a word (SentencePiece)": ["\u2581the", "ing"],
    r"pieces, where '\u0120' begins a word (byte-level BPE)": ["\u0120the", "ing"],
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_conventions(convention, write):
    told = inspect(write(lines(CONVENTIONS[convention]))).conventions
    assert convention in told
    assert [one for one in told[1:] if one != convention] == []


def test_special_tokens_and_rows_of_length_1(write):
    report = inspect(write(b"</s> 0.6 0.8\na 1 0\n<unk> 0 -1\n"))
    assert report.specials == {"</s>": 1, "<unk>": 3}
    assert report.conventions == ("lower-cased", "rows are of length 1")


def test_whether_rows_are_sorted_by_frequency(write):
    random = np.random.default_rng(0)
    rest = list(dict.fromkeys("".join(w) for w in random.choice(list("bcdfghjkl"), (4_000, 6))))
    front = list(dict.fromkeys(FUNCTION_WORDS["English"].split()))
    random.shuffle(front)
    orders = {
        "yes": front + rest,
        "no": rest + front,
        "unknown": rest,
    }
    for verdict, words in orders.items():
        assert inspect(write(lines(words))).order.sorted_by_frequency == verdict
    order = inspect(write(lines(sorted(front + rest)))).order
    assert order.sorted_by_frequency == "no"
    assert order.because == "100% of neighbouring rows are in alphabetical order"
    order = inspect(write(lines(front))).order
    assert order.sorted_by_frequency == "unknown"
    assert order.because == "15 rows are too few to tell"
    assert inspect(write(lines(front + rest))).order.length_correlation == pytest.approx(
        0.106, abs=1e-3
    )


def test_coverage_is_of_every_training_row(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("a 1 2\nb 3 4\n")
    coverage = inspect(path, Dataset.from_dict({"text": ["a x"] * 10 + ["b"]})).coverage
    assert coverage is not None
    assert (coverage.types, coverage.types_found) == (3, 2)
    assert (coverage.tokens, coverage.tokens_found) == (21, 11)
    one = inspect(path, Dataset.from_dict({"text": ["b"]})).coverage  # too few to set any aside
    assert one is not None
    assert one.tokens == 1


def test_each_step_is_counted_alone_and_the_chain_is_in_the_order_that_pays(write):
    path = write(lines(["the", "of", "Paris", "##", "plain"]))
    data = Dataset.from_dict({"text": ["The the 42 17 19 PARIS x"] * 3 + ["THE of plain plain"]})
    advice = inspect(path, data).advice
    assert advice is not None
    assert advice.tokenizer == "cased"
    assert (advice.exact.tokens, advice.exact.tokens_found) == (25, 6)
    assert (advice.exact.types, advice.exact.types_found) == (10, 3)
    assert {step: (n["types"], n["tokens"]) for step, n in advice.alone.items()} == {
        "lower": (2, 4),
        "capitalize": (1, 3),
        "digits_hash": (3, 9),
        "digits_zero": (0, 0),
        "strip_punctuation": (0, 0),
        "normalize": (0, 0),
    }
    assert advice.fallback == ("digits_hash", "lower", "capitalize")
    assert (advice.coverage.tokens_found, advice.coverage.missing) == (22, (("x", 3),))
    assert advice.settings == {
        "tokenizer": "cased",
        "fallback": ("digits_hash", "lower", "capitalize"),
        "min_count": 1,
        "oov": "normal",
    }
    assert advice.options == (
        "--tokenizer cased --fallback digits_hash,lower,capitalize --min-count 1 --oov normal"
    )


def test_finetune_takes_the_settings_as_they_are(write):
    path = write(lines(["good", "bad", "Paris", "00"]))
    data = Dataset.from_dict(
        {"text": ["good PARIS 17", "bad PARIS 23"] * 8, "label": ["pos", "neg"] * 8}
    )
    advice = inspect(path, data).advice
    assert advice is not None
    run = fe.finetune(path, data, epochs=1, **advice.settings)
    assert run.metrics["coverage"]["tokens_found"] == run.metrics["coverage"]["tokens"]


def test_another_tokenizer_is_advised_where_it_finds_more(write):
    path = write(lines(["well-known/good", "a"]))
    advice = inspect(path, Dataset.from_dict({"text": ["a well-known/good"] * 5})).advice
    assert advice is not None
    assert advice.tokenizers == {"glove": 0.25, "cased": 0.25, "whitespace": 1.0}
    assert advice.tokenizer == "whitespace"


def test_words_that_occur_once_and_that_the_table_lacks_are_left_out(write):
    path = write(lines(["a", "b"]))
    advice = inspect(path, Dataset.from_dict({"text": ["a a x y z", "b b w"]})).advice
    assert advice is not None
    assert advice.min_count == 2
    advice = inspect(path, Dataset.from_dict({"text": ["a b", "x x"]})).advice
    assert advice is not None
    assert advice.min_count == 1


PARTS = st.sampled_from(
    [
        *(b" ", b"\n", b"\r\n", b"a", b"b", b"1", b"-0.5", b"nan", b"inf", b"1e39", b"1,5", b"\t"),
        *(b"\xc2\xa0", b"\xff", b"x 1 2\n", b"y 3 4\n", b"z 0 0\n", b"q q 5 6\n", b"3 2\n"),
        b"\xef\xbb\xbf",
    ]
)


@given(st.lists(PARTS, min_size=1, max_size=30).map(b"".join), st.booleans(), st.integers(0, 40))
def test_there_is_an_error_where_load_vectors_refuses_the_file_and_nowhere_else(data, packed, cut):
    data = gzip.compress(data) if packed else data
    data = data[:-cut] if packed and cut and cut < len(data) else data
    refused, table = False, None
    try:
        table = fe.load_vectors(io.BytesIO(data))
    except VectorFileError:
        refused = True
    try:
        report = inspect(io.BytesIO(data))
    except VectorFileError:
        assert refused
        return
    assert any(finding.severity == "error" for finding in report.findings) is refused
    json.dumps(report.to_dict(), allow_nan=False)
    if table is not None:
        again = sum(one.count for one in report.findings if one.code == "duplicates")
        assert report.words - again == len(table)
