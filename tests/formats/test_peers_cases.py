"""The test cases of other readers of word vectors, run on ours.

gensim's cases are the files it installs. The files of the others are made here, after their tests.
`docs/formats.md` compares what each reader does.
"""

from __future__ import annotations

import bz2
import gc
import gzip
import lzma
import os
import warnings
from pathlib import Path

import gensim
import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.models.fasttext import load_facebook_vectors
from packing import tarred, zipped

from finetune_embed import VectorFileError, load_gensim, load_vectors

#: gensim leaves files open.
LEFT_OPEN = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
DATA = Path(gensim.__file__).parent / "test" / "test_data"

#: Files that both read: format, rows, vector size, first word, and gensim's options.
TEXT, BINARY, GLOVE = {}, {"binary": True}, {"no_header": True}
BOTH = {
    "EN.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt": ("word2vec", 20, 300, "one", TEXT),
    "IT.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt": ("word2vec", 20, 300, "uno", TEXT),
    "crime-and-punishment.vec": ("word2vec", 291, 5, "и", TEXT),
    "euclidean_vectors.bin": ("word2vec-binary", 2747, 10, "the", BINARY),
    "high_precision.kv.bin": ("word2vec-binary", 2, 2, "kangaroo.n.01", BINARY),
    "high_precision.kv.txt": ("word2vec", 2, 2, "kangaroo.n.01", TEXT),
    "lee_fasttext.vec": ("word2vec", 1762, 10, "the", TEXT),
    "poincare_vectors.bin": ("word2vec-binary", 1182, 10, "mammal.n.01", BINARY),
    "test_glove.txt": ("glove", 76, 50, "the", GLOVE),
    "toy-model.vec": ("word2vec", 22, 5, "the", TEXT),
    "word2vec_pre_kv_c": ("word2vec", 1750, 10, "the", TEXT),
}
#: fastText models that both read: rows, vector size, first word, words that are not UTF-8.
FASTTEXT = {
    "cp852_fasttext.bin": (171, 2, "ji", 69),
    "crime-and-punishment.bin": (291, 5, "и", 0),
    "lee_fasttext.bin": (1762, 10, "the", 0),
    "lee_fasttext_new.bin": (1763, 10, "the", 0),
    "non_ascii_fasttext.bin": (171, 2, "ji", 0),
    "toy-model.bin": (22, 5, "the", 0),
    "toy-model-pretrained.bin": (24, 5, "the", 0),
}
#: Files only we read: format, rows, vector size, first word, not UTF-8, and gensim's error.
OURS = {
    "pang_lee_polarity_fasttext.bin": ("fasttext", 1694, 100, ".", 5, NotImplementedError),
    "pang_lee_polarity_fasttext.vec": ("word2vec", 1694, 100, ".", 5, UnicodeDecodeError),
    "w2v_keyedvectors_load_test.modeldata": (
        *("word2vec", 2, 3, "ありがとう\udce3\udc83", 2),
        UnicodeDecodeError,
    ),
}
#: Pickles of word vectors that both open: rows, vector size, first word.
PICKLED = {
    "compatible-hash-true.model": (22, 5, "the"),
    "model-from-gensim-3.8.0.w2v": (3, 300, "t"),
    "old_keyedvectors_320.dat": (12, 100, "system"),
    "word2vec_3.3": (4, 100, "Hello"),
    "word2vec_old": (12, 100, "system"),
    "word2vec_old_sep": (12, 100, "system"),
    **{
        f"old_w2v_models/w2v_{version}.mdl": (3, 4, "sentence")
        for version in (
            *("0.13.4", "1.0.0", "1.0.1", "2.0.0", "2.1.0", "2.2.0", "2.3.0"),
            *("3.0.0", "3.1.0", "3.2.0", "3.3.0", "3.4.0"),
        )
    },
}
#: Lists of words and numbers, not vectors, that load as vectors.
LISTS = {"w2v_keyedvectors_load_test.vocab"}


@LEFT_OPEN
@pytest.mark.parametrize("name", BOTH)
def test_what_gensim_reads_we_read_to_the_bit(name):
    source_format, rows, size, first, options = BOTH[name]
    table = load_vectors(DATA / name)
    keyed = KeyedVectors.load_word2vec_format(DATA / name, **options)
    gc.collect()  # closes the file that gensim leaves open, before warnings are errors again
    assert table.metadata["source_format"] == source_format
    assert (len(table), table.vector_size, table.index_to_key[0]) == (rows, size, first)
    assert table.index_to_key == keyed.index_to_key
    assert table.vectors.tobytes() == keyed.vectors.tobytes()


@pytest.mark.parametrize("name", FASTTEXT)
def test_fasttext_models_of_gensim(name):
    rows, size, first, not_utf8 = FASTTEXT[name]
    table = load_vectors(DATA / name)
    keyed = load_facebook_vectors(DATA / name)
    assert (len(table), table.vector_size, table.index_to_key[0]) == (rows, size, first)
    assert len(keyed) == rows
    assert table.metadata.get("non_utf8", "0") == str(not_utf8)
    # gensim decodes words that are not UTF-8 differently, and so composes other subwords.
    same = [row for row, word in enumerate(table.index_to_key) if word == keyed.index_to_key[row]]
    assert len(same) == rows - not_utf8
    if table.metadata["fasttext_version"] != "10":  # gensim still uses n-grams of this word
        same = [row for row in same if table.index_to_key[row] != "</s>"]
    assert np.abs(table.vectors[same] - keyed.vectors[same]).max() < 1e-6


@pytest.mark.parametrize(
    "name", ["crime-and-punishment", "toy-model", "pang_lee_polarity_fasttext"]
)
def test_a_model_composes_what_fasttext_wrote_as_text(name):
    model, text = load_vectors(DATA / f"{name}.bin"), load_vectors(DATA / f"{name}.vec")
    assert model.index_to_key == text.index_to_key
    assert np.abs(model.vectors - text.vectors).max() < 6e-6  # five digits


@pytest.mark.parametrize("name", OURS)
def test_files_that_gensim_does_not_read(name):
    source_format, rows, size, first, not_utf8, error = OURS[name]
    table = load_vectors(DATA / name)
    assert table.metadata["source_format"] == source_format
    assert (len(table), table.vector_size, table.index_to_key[0]) == (rows, size, first)
    assert table.metadata["non_utf8"] == str(not_utf8)
    their = (
        load_facebook_vectors if source_format == "fasttext" else KeyedVectors.load_word2vec_format
    )
    with pytest.raises(error):
        their(DATA / name)


def test_a_header_of_gensim_that_lies():
    message = r"pretrained\.vec:3: the header promises 3 vectors, but the file has 1; .*limit=1"
    with pytest.raises(VectorFileError, match=message):
        load_vectors(DATA / "pretrained.vec")
    with pytest.raises(EOFError, match="unexpected end of input"):
        KeyedVectors.load_word2vec_format(DATA / "pretrained.vec")
    table = load_vectors(DATA / "pretrained.vec", limit=1)
    assert (
        table["dummy"].tolist()
        == np.float32([0.069324, 0.18155, 0.080453, -0.1799, 0.032043]).tolist()
    )


@pytest.mark.parametrize("name", PICKLED)
def test_pickles_of_gensim(name):
    with pytest.raises(VectorFileError, match=r"Python pickle.*load_gensim\(path, allow_pickle=Tr"):
        load_vectors(DATA / name)
    with warnings.catch_warnings(action="ignore"):
        table = load_gensim(DATA / name, allow_pickle=True)
    assert (len(table), table.vector_size, table.index_to_key[0]) == PICKLED[name]


def test_no_other_file_of_gensim_is_read_as_vectors():
    read, refused, pickles = set(), 0, 0
    for folder, _, names in os.walk(DATA):
        for name in names:
            path = Path(folder, name)
            try:
                load_vectors(path)
                read.add(path.relative_to(DATA).as_posix())
            except VectorFileError as error:
                refused += 1
                pickles += str(error.what).startswith("this is a Python pickle")
    assert read == {*BOTH, *FASTTEXT, *OURS, *LISTS}
    assert len(read) == 22
    assert refused > 150
    assert pickles > 90
    with pytest.raises(VectorFileError, match="there are no words"):
        load_vectors(DATA / "DTM/sstats_test.txt")  # written by numpy.savetxt


# glove.840B: its words with spaces, with made-up numbers

AWKWARD = [
    *(". . .", ". . . . .", ". .", "at name@domain.com", "to name@domain.com"),
    *("or name@domain.com", "email name@domain.com", "contact name@domain.com"),
    *("on name@domain.com", "• name@domain.com", "in mylot.com", "emailing name@domain.com"),
    *("\x85", "\u00a0", "a\u00a0b", "1/2", "0.5", "1e5", '"', "#", "<unk>", "\ufeff", "\u200b"),
]
PLAIN = [f"word{number}" for number in range(60)]


@LEFT_OPEN
@pytest.mark.parametrize("first", [0, 30])
def test_awkward_tokens_of_glove_840b(write, first):
    words = [*PLAIN[:first], *AWKWARD, *PLAIN[first:]]
    vectors = np.arange(len(words) * 300, dtype=np.float32).reshape(-1, 300) / 8
    lines = [
        word + " " + " ".join(map(repr, row))
        for word, row in zip(words, vectors.tolist(), strict=True)
    ]
    path = write(("\n".join(lines) + "\n").encode())
    table = load_vectors(path)
    assert table.index_to_key == words
    assert table.vectors.tobytes() == vectors.tobytes()
    with pytest.raises(ValueError):  # noqa: PT011  (numpy's, whose text varies)
        KeyedVectors.load_word2vec_format(path, no_header=True)
    gc.collect()  # closes the file that gensim left open, before warnings are errors again
    chosen = load_vectors(path, keys=AWKWARD)
    assert chosen.index_to_key == AWKWARD


# torchtext: the bytes of a Vectors file


def test_a_header_with_a_vector_size_of_1_is_not_a_row(write):
    # torchtext skips every line of one number, even if all vectors have one.
    assert load_vectors(write(b"2 1\na 5\nb 6\n")).vectors.tolist() == [[5.0], [6.0]]
    assert load_vectors(write(b"a 5\nb 6\n")).vectors.tolist() == [[5.0], [6.0]]


def test_words_that_torchtext_skips_or_replaces(write):
    table = load_vectors(write(b"\xff 1 2\na 3 4\na 5 6\n"))
    assert table.index_to_key == ["\udcff", "a"]  # torchtext skips the first, and a is 5 6
    assert table["a"].tolist() == [3.0, 4.0]


def test_a_no_break_space_stays_in_its_word(write):
    table = load_vectors(write("\u00a0\u00a0 1 2\nx\u00a0y 3 4\n".encode()))
    assert table.index_to_key == ["\u00a0\u00a0", "x\u00a0y"]


def test_a_comma_after_the_word_is_not_read_as_part_of_it(write):
    # A file of torchtext's prototype reader: the word, a comma, numbers separated by spaces.
    with pytest.raises(VectorFileError, match="',', not a space, separates the word from its nu"):
        load_vectors(write(b"a,1 0 0\nb,0 1 0\n"))


# AllenNLP: an EmbeddingsTextFile in every compression

LINES = "think 0.143 0.189\nmake 0.878 0.651\nàèìòù 1.0 2.0\n".encode()
COMPRESSED = {
    "txt": LINES,
    "gz": gzip.compress(LINES),
    "bz2": bz2.compress(LINES),
    "xz": lzma.compress(LINES),
    "zip": zipped(("v.txt", LINES)),
    "tar.gz": tarred(("v.txt", LINES), mode="w:gz"),
    "tar.bz2": tarred(("v.txt", LINES), mode="w:bz2"),
    "tar.xz": tarred(("v.txt", LINES), mode="w:xz"),
}


@pytest.mark.parametrize("kind", COMPRESSED)
def test_every_compression_of_allennlp(write, kind):
    table = load_vectors(write(COMPRESSED[kind]))
    assert table.index_to_key == ["think", "make", "àèìòù"]
    assert table.vectors.tolist() == np.float32([[0.143, 0.189], [0.878, 0.651], [1, 2]]).tolist()


@pytest.mark.parametrize("pack", [zipped, lambda *files: tarred(*files, mode="w:gz")])
def test_an_archive_of_several_needs_a_member(write, pack):
    path = write(pack(("fake.txt", b"x 1 2\n"), ("folder/fake.txt", LINES)))
    with pytest.raises(
        VectorFileError, match=r"several files: 'fake.txt', 'folder/fake.txt'; name"
    ):
        load_vectors(path)
    assert len(load_vectors(path, member="folder/fake.txt")) == 3
    with pytest.raises(VectorFileError, match="not an archive, so it has no member 'a/fake/path'"):
        load_vectors(write(LINES), member="a/fake/path")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"3 2", ""),
        (b"2 3", "the header promises vectors of 3 numbers, but line 2 has 2"),
        (b"3", "vectors.txt:1: 0 of 2 numbers in '3'"),
        (b"hello 1", "vectors.txt:1: 1 of 2 numbers in 'hello 1'"),
        (
            b"111 222 hello",
            "vectors.txt:1: value 2 of the vector is 'hello', which is not a number",
        ),
    ],
)
def test_first_lines_that_allennlp_distinguishes_from_headers(write, header, message):
    path = write(header + b"\n" + LINES)
    if not message:
        assert len(load_vectors(path)) == 3
        return
    with pytest.raises(VectorFileError, match=message):
        load_vectors(path)


# flair: gensim's readers, chosen by the suffix


def test_the_suffix_does_not_matter(write):
    text, data = b"2 2\na 1 2\nb 3 4\n", KeyedVectors(2)
    data.add_vectors(["a", "b"], np.float32([[1, 2], [3, 4]]))
    data.save_word2vec_format(write(b"", "w.bin"), binary=True)
    binary = write(b"", "x").with_name("w.bin").read_bytes()
    for name in ("v.bin", "v.txt", "v.gensim"):
        for content in (text, binary):
            table = load_vectors(write(content, name))
            assert table.index_to_key == ["a", "b"]
            assert table.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises((ValueError, EOFError)):  # what flair does with text called .bin
        KeyedVectors.load_word2vec_format(write(text, "v.bin"), binary=True)


# spaCy: `init vectors` and Vectors


def test_leading_integers_are_not_a_shape(write):
    # spaCy takes a first line that starts with two integers for the shape.
    assert load_vectors(write(b"1 2 3\n4 5 6\n")).index_to_key == ["1", "4"]


def test_a_floret_table_is_named(write):
    table = b"10 3 2 3 2 2166136261 < >\n0 -2.2 3.9 2.6\n1 -3.1 -1.7 10.7\n"
    with pytest.raises(
        VectorFileError,
        match=r"is a floret table, .*; convert .* spacy init vectors --mode floret",
    ):
        load_vectors(write(table))
    words = b'2 3\n" -1.1 1.4 -1.6\nund 2.1 1.8 -1.3\n'
    assert load_vectors(write(words)).index_to_key == ['"', "und"]


def test_equal_vectors_stay_separate_rows(write):
    table = load_vectors(write(b"a1 1 2\na2 1 2\nb 3 4\n"))
    assert table.vectors.tolist() == [[1.0, 2.0], [1.0, 2.0], [3.0, 4.0]]
