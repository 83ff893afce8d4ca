from __future__ import annotations

import numpy as np
import pytest
from gensim.models import KeyedVectors

from finetune_embed import EmbeddingTable, VectorFileError, VocabularyError, load_glove, save_glove

WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂"]
VECTORS = np.array(
    [
        [0.5, -1.25, 3.0],
        [0.1, 0.0625, -0.0],
        [65504.0, 0.7, -2.5],
        [0.33333334, 16777216.0, 123456.79],
        [-0.012345679, 7.0, 0.2],
    ],
    np.float32,
)


def test_reads_the_golden_file_to_the_bit(golden):
    table = load_glove(golden / "tiny.glove.txt")
    assert table.index_to_key == WORDS
    assert table.vectors.dtype == np.float32
    assert table.vectors.tobytes() == VECTORS.tobytes()
    assert table.metadata == {
        "source": "tiny.glove.txt",
        "source_sha256": table.metadata["source_sha256"],
        "source_format": "glove",
    }
    assert len(table.metadata["source_sha256"]) == 64


def test_writes_the_golden_bytes(golden, tmp_path):
    save_glove(EmbeddingTable(WORDS, VECTORS), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == (golden / "tiny.glove.txt").read_bytes()


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # gensim leaves files open
def test_gensim_reads_what_we_wrote(random_table, tmp_path):
    save_glove(random_table, tmp_path / "out.txt")
    keyed = KeyedVectors.load_word2vec_format(tmp_path / "out.txt", no_header=True)
    assert keyed.index_to_key == random_table.index_to_key
    assert keyed.vectors.dtype == np.float32
    assert keyed.vectors.tobytes() == random_table.vectors.tobytes()


def test_numbers_are_rounded_once_to_float32(write):
    # 1 + 2**-24 is halfway between two float32 numbers and rounds to the even one; the least bit
    # more rounds up. Rounded to float64 first, both would round down.
    half = b"1.000000059604644775390625"
    table = load_glove(write(b"a %b %b1\n" % (half, half)))
    assert table["a"].tolist() == [1.0, 1.0 + 2**-23]


def test_extreme_numbers(write):
    table = load_glove(write(b"a 1e-45 3.4028235e38 -1E-5 +2 .5 7.\n"))
    assert table["a"].view(np.uint32).tolist() == [
        0x00000001,
        0x7F7FFFFF,
        0xB727C5AC,
        0x40000000,
        0x3F000000,
        0x40E00000,
    ]


def test_a_header_is_refused_with_the_right_call(write):
    with pytest.raises(VectorFileError, match=r":1: '2 3' is a header.*load_word2vec\(path\)"):
        load_glove(write(b"2 3\na 1 2 3\nb 4 5 6\n"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b\nc", "d\n"], r"2 of 3 words contain '\\n'.*'b\\nc' is the first.*save_safetens"),
        (["\ufeffa", "b"], r"the first word, '\\ufeffa', starts like a byte order mark"),
        (["BZh", "b"], "the first word, 'BZh', starts like .*; use save_safetensors"),
        (["\x1f\udc8b", "b"], "the first word, .* starts like"),
        (["a b", "c"], "only 1 of the first 2 words contain no space.*; use save_safe"),
        (["1,5", "x,-2.5e3"], "all of the first 2 words end in ',' and a number.*; use save_w"),
        (["a", "\ud800"], r"1 of 2 words have lone surrogates .*\('\\ud800' is the first\)"),
        (["\udcc3\udca9", "b"], "1 of 2 words have lone surrogates that no bytes in a file repre"),
    ],
)
def test_refuses_what_would_not_be_read_back(tmp_path, words, message):
    with pytest.raises(VectorFileError, match=message):
        save_glove(EmbeddingTable(words, np.ones((len(words), 2))), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_refuses_an_empty_table(tmp_path, shape):
    table = EmbeddingTable(["a", "b"][: shape[0]], np.zeros(shape))
    with pytest.raises(VectorFileError, match=f"the table is {shape[0]} x {shape[1]}, but GloVe "):
        save_glove(table, tmp_path / "out")


def test_refuses_a_word_in_two_rows(tmp_path):
    with pytest.raises(VocabularyError, match="'a' is in rows 0 and 1"):
        save_glove(EmbeddingTable(["a", "a"], np.eye(2)), tmp_path / "out")


def test_words_with_spaces_among_others_are_kept(tmp_path):
    table = EmbeddingTable([". . .", "a", "at x@y.com", "b", "c"], np.arange(10).reshape(5, 2))
    save_glove(table, tmp_path / "out")
    back = load_glove(tmp_path / "out")
    assert back.index_to_key == table.index_to_key
    assert back.vectors.tolist() == table.vectors.tolist()


@pytest.mark.parametrize("spaced", [1, 60])
def test_wide_rows_of_which_readers_inspect_few(tmp_path, spaced):
    words = [f"a {i}" if i < spaced else f"b{i}" for i in range(200)]
    table = EmbeddingTable(words, np.full((200, 4_000), 0.12345678, np.float32))
    if spaced == 60:
        with pytest.raises(VectorFileError, match=r"^only 1 of the first 61 words contain no spac"):
            save_glove(table, tmp_path / "v.txt")
    else:
        save_glove(table, tmp_path / "v.txt")
        assert load_glove(tmp_path / "v.txt").index_to_key == words


@pytest.mark.parametrize("word", ["%PDF-", "FEA1", "GGUF"])
def test_a_first_word_that_other_formats_start_with(word, tmp_path):
    plain = EmbeddingTable([word, "the", "café"], np.eye(3))
    save_glove(plain, tmp_path / "plain.txt")
    assert load_glove(tmp_path / "plain.txt").index_to_key == plain.index_to_key
    odd = EmbeddingTable([word, "\x00\x01\x02", "café"], np.eye(3))
    with pytest.raises(VectorFileError, match=f"the first word, '{word}', starts like"):
        save_glove(odd, tmp_path / "odd.txt")
    assert not (tmp_path / "odd.txt").exists()
