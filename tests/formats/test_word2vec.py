from __future__ import annotations

import struct

import numpy as np
import pytest
from gensim.models import KeyedVectors

from finetune_embed import (
    EmbeddingTable,
    VectorFileError,
    VocabularyError,
    load_vectors,
    load_word2vec,
    save_word2vec,
)

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
GOLDEN = {
    "tiny.word2vec.txt": ("word2vec", False),
    "tiny.word2vec.bin": ("word2vec-binary", True),
    "tiny.word2vec-newline.bin": ("word2vec-binary", True),
}


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("explicit", [False, True])
def test_reads_the_golden_files_to_the_bit(golden, name, explicit):
    source_format, binary = GOLDEN[name]
    table = load_word2vec(golden / name, binary=binary if explicit else None)
    assert table.index_to_key == WORDS
    assert table.vectors.dtype == np.float32
    assert table.vectors.tobytes() == VECTORS.tobytes()
    assert table.metadata["source_format"] == source_format


@pytest.mark.parametrize("name", ["tiny.word2vec.txt", "tiny.word2vec.bin"])
def test_writes_the_golden_bytes(golden, tmp_path, name):
    save_word2vec(EmbeddingTable(WORDS, VECTORS), tmp_path / "out", binary=GOLDEN[name][1])
    assert (tmp_path / "out").read_bytes() == (golden / name).read_bytes()


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_what_we_wrote(random_table, tmp_path, binary):
    save_word2vec(random_table, tmp_path / "out", binary=binary)
    keyed = KeyedVectors.load_word2vec_format(tmp_path / "out", binary=binary)
    assert keyed.index_to_key == random_table.index_to_key
    assert keyed.vectors.dtype == np.float32
    assert keyed.vectors.tobytes() == random_table.vectors.tobytes()


@pytest.mark.parametrize("binary", [False, True])
def test_we_read_what_gensim_wrote(random_table, tmp_path, binary):
    keyed = random_table.to_keyed_vectors()
    keyed.save_word2vec_format(tmp_path / "out", binary=binary)
    table = load_vectors(tmp_path / "out")
    assert table.index_to_key == random_table.index_to_key
    assert table.vectors.tobytes() == random_table.vectors.tobytes()


def test_a_table_larger_than_a_writer_block(tmp_path):
    rows = (1 << 14) + 3
    vectors = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    table = EmbeddingTable([f"w{i}" for i in range(rows)], vectors)
    for binary in (False, True):
        save_word2vec(table, tmp_path / "out", binary=binary)
        back = load_word2vec(tmp_path / "out")
        assert back.index_to_key == table.index_to_key
        assert np.array_equal(back.vectors, vectors)


@pytest.mark.parametrize(("name", "call"), [("tiny.word2vec.txt", True), ("tiny.word2vec.bin", 0)])
def test_the_wrong_kind_is_refused_with_the_right_option(golden, name, call):
    has = "text" if call else "binary"
    message = rf"{name}: this is {has}, not .*; pass binary={not call}"
    with pytest.raises(VectorFileError, match=message):
        load_word2vec(golden / name, binary=bool(call))


def test_no_header_is_refused_with_the_right_call(golden):
    message = r"tiny.glove.txt:1: there is no header line `V D`.*use load_glove\(path\)"
    with pytest.raises(VectorFileError, match=message):
        load_word2vec(golden / "tiny.glove.txt")


@pytest.mark.parametrize("first", [b"1\n\x00\x40", b" \n1\x40", b"\n\n\n\n", b"1.5\n", b"    "])
def test_floats_whose_bytes_start_like_a_line_of_text_are_binary(write, first):
    vectors = [*struct.unpack("<f", first), 0.5, -2.0]
    data = b"2 3\nw " + struct.pack("<3f", *vectors) + b"x " + struct.pack("<3f", 1, 2, 3)
    table = load_word2vec(write(data))
    assert table.index_to_key == ["w", "x"]
    assert table.vectors.tolist() == [vectors, [1.0, 2.0, 3.0]]


@pytest.mark.parametrize(
    "text",
    [
        b"1 2\na 1,5 2,5\n",
        b"1 2\na 1_0 2_0\n",
        b"3 2\nb x y\n",
        b"2 4\na 1 2 3\nb 4 5 6\n",
        "1 2\nœuvre 1,5 2\n".encode(),
    ],
)
def test_damaged_text_is_reported_as_text(write, text):
    with pytest.raises(VectorFileError, match=r"vectors\.txt:[12]: "):
        load_word2vec(write(text))


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b c"], r"1 of 2 words contain ' ', which a word2vec file can't hold \('b c' is"),
        (["\n", "b\n"], r"2 of 2 words contain '\\n'.*if '\\n' not in k\)"),
        (["a", "\ud800"], "1 of 2 words have lone surrogates"),
    ],
)
def test_refuses_words_it_cannot_hold(tmp_path, binary, words, message):
    with pytest.raises(VectorFileError, match=message):
        save_word2vec(EmbeddingTable(words, np.ones((2, 2))), tmp_path / "out", binary=binary)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("binary", [False, True])
def test_refuses_empty_and_doubled_tables(tmp_path, binary):
    with pytest.raises(VectorFileError, match="the table is 0 x 3, but a word2vec file n"):
        save_word2vec(EmbeddingTable([], np.zeros((0, 3))), tmp_path / "out", binary=binary)
    with pytest.raises(VectorFileError, match="the table is 1 x 0, but a word2vec file n"):
        save_word2vec(EmbeddingTable(["a"], np.zeros((1, 0))), tmp_path / "out", binary=binary)
    with pytest.raises(VocabularyError, match="'a' is in rows 0 and 1"):
        save_word2vec(EmbeddingTable(["a", "a"], np.eye(2)), tmp_path / "out", binary=binary)


def test_a_binary_file_that_looks_like_text_is_read_on_request(tmp_path):
    random, text_like = np.random.default_rng(0), 0
    for number in range(400):
        table = EmbeddingTable([f"w{number}"], random.normal(size=(1, 1)).astype(np.float32))
        save_word2vec(table, tmp_path / "v.bin", binary=True)
        read = load_word2vec(tmp_path / "v.bin", binary=True)
        assert read.index_to_key == table.index_to_key
        assert read.vectors.tobytes() == table.vectors.tobytes()
        with open(tmp_path / "v.bin", "rb") as file:
            file.seek(-4, 2)
            text_like += file.read().isascii()
    assert text_like > 5
    (tmp_path / "v.txt").write_bytes(b"2 2\na 1 2\nb 3 4\n")
    with pytest.raises(VectorFileError, match=r"v\.txt: this is text, not binary; pass binary=F"):
        load_word2vec(tmp_path / "v.txt", binary=True)
