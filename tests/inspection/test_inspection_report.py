"""Complete reports, and what they say about words and their order."""

from __future__ import annotations

import json

import numpy as np
import pytest
from datasets import Dataset
from inspecting import lines

from finetune_embed.demo import REVIEWS, VECTORS
from finetune_embed.inspection import inspect
from finetune_embed.inspection.frequency_order import FUNCTION_WORDS

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


def test_the_report_of_a_damaged_file(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(DAMAGED)
    data = Dataset.from_dict({"text": ["The zero of a cat", "in the zero"]})
    golden = GOLDEN.replace("load_vectors(path)", "load_vectors('vectors.txt')")
    assert str(inspect("vectors.txt", data)) == golden


GOLDEN = r"""vectors.txt: glove, 8 words x 2
file        110 bytes, not compressed, numbers text
sha256      3fcc4c7186743ace830e9f23f25779d9ecc4695f20cc52274a65667c55e77d6a
header      none, as usual for GloVe text
row lengths min 0, 1% 0.0157, 25% 0.581, median 1.06, 75% 1.7, 99% 2.17, max 2.19
case        mixed (87.5% lower case, 12.5% mixed)
convention  lower-cased
tokenizer   glove
sorted      by frequency: unknown (8 rows are too few to judge)
findings    3 errors, 4 warnings, 1 note
  error: lines with fewer than 2 numbers: 1, 'of 0.3' (line 2)
    the file is damaged there or cut short: fetch it again, or remove the lines
  error: lines with a value that is not a float32 number: 1, 'x' (line 5)
    correct the lines or remove them
  error: blank lines before other lines: 1, line 4
    remove them
  warning: rows that repeat an earlier word, and are left out: 1, 'the' (line 7 after 1)
    write the table again without them: save_safetensors(load_vectors(path), 'new.safetensors')
  warning: words that contain spaces, which word2vec files can't hold and many readers misread: 1,
      'New York' (line 8)
    keep the table in a safetensors file: save_safetensors(load_vectors(path), 'new.safetensors')
  warning: words that are not UTF-8, so no text has them: 1, b'caf\xe9' (line 10)
    convert the file from its encoding to UTF-8, or remove them: table.subset(words_to_keep)
  warning: rows of zeros, which have no cosine similarity: 1, 'zero' (line 9)
    remove them: table.subset(words_to_keep)
  note: the last line does not end with a newline
    if the file was cut short there, its last number is wrong; compare the size of the file with
    its source
coverage of 8 tokens, 6 distinct words, with the tokenizer glove
  as written          75.00% of tokens   66.67% of distinct words
  lower               +0.00%             +0.00%
  capitalize          +0.00%             +0.00%
  digits_hash         +0.00%             +0.00%
  digits_zero         +0.00%             +0.00%
  strip_punctuation   +0.00%             +0.00%
  normalize           +0.00%             +0.00%
not in the table: cat (1), of (1)
settings: finetune(..., tokenizer='glove', fallback=(), min_count=1, oov='normal')
  finetune-embed train ... --tokenizer glove --min-count 1 --oov normal"""


def test_the_report_of_the_demo_slice():
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
    "contractions are one word (don't)": ["don't", "a"],
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
    found = inspect(write(lines(CONVENTIONS[convention]))).conventions
    assert convention in found
    assert [one for one in found[1:] if one != convention] == []


def test_special_tokens_and_rows_of_length_1(write):
    report = inspect(write(b"</s> 0.6 0.8\na 1 0\n<unk> 0 -1\n"))
    assert report.specials == {"</s>": 1, "<unk>": 3}
    assert report.conventions == ("lower-cased", "rows have length 1")


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
    assert order.because == "15 rows are too few to judge"
    assert inspect(write(lines(front + rest))).order.length_correlation == pytest.approx(
        0.106, abs=1e-3
    )
