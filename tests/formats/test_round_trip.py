"""Any table that a format can hold comes back from it, bit for bit; others are refused."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from finetune_embed import EmbeddingTable, VectorFileError, load_vectors
from finetune_embed.formats import SAVERS

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
RAW = st.binary(max_size=8).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
CODES = st.sampled_from("ab .5\n\r\"'\u00a0\ufeff\udcff\0")
WORDS = st.one_of(UNICODE, RAW, st.text(CODES, max_size=5))
BITS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1 << 31, 1, 0x007FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF]),
)


STARTS_OF_OTHERS = (
    b"\xef\xbb\xbf",  # byte order mark
    b"\x1f\x8b",  # gzip
    b"\xba\x16\x4f\x2f",  # fastText
    b"PK\x03\x04",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",  # zstd
    b"\x93NUMPY",
    b"\x80\x04\x95",  # pickle
    b"\x80\x05\x95",
)


@st.composite
def tables(draw) -> EmbeddingTable:
    words = draw(st.lists(WORDS, min_size=1, max_size=8, unique=True))
    size = draw(st.integers(2, 5))
    bits = draw(npst.arrays(np.uint32, (len(words), size), elements=BITS))
    origin = draw(npst.arrays(np.uint8, len(words), elements=st.integers(0, 3)))
    metadata = draw(st.dictionaries(UNICODE, UNICODE, max_size=3))
    return EmbeddingTable(words, bits.view(np.float32), metadata, origin)


def bits_of(vectors: np.ndarray) -> list[list[int]]:
    """Return the bits of float32 numbers, all NaN taken as one."""
    bits = np.ascontiguousarray(vectors).view(np.uint32).copy()
    bits[np.isnan(vectors)] = 0x7FC00000
    return bits.tolist()


def there_and_back(table: EmbeddingTable, name: str, keys=None, limit=None) -> EmbeddingTable:
    with tempfile.TemporaryDirectory() as folder:
        SAVERS[name](table, Path(folder, "out"))
        back = load_vectors(Path(folder, "out"), keys, limit)
        return EmbeddingTable(
            back.index_to_key, np.array(back.vectors), back.metadata, np.array(back.origin)
        )


def refused(table: EmbeddingTable, name: str, match: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(VectorFileError, match=match):
            SAVERS[name](table, Path(folder, "out"))
        assert list(Path(folder).iterdir()) == []


@given(tables())
@example(EmbeddingTable(["a", "\r", "", " "], np.ones((4, 2))))
def test_safetensors_holds_every_table(table):
    back = there_and_back(table, "safetensors")
    assert back.index_to_key == table.index_to_key
    assert bits_of(back.vectors) == bits_of(table.vectors)
    assert back.origin.tolist() == table.origin.tolist()
    assert back.metadata.items() >= table.metadata.items()
    assert set(back.metadata) - set(table.metadata) <= {"library_version"}


@pytest.mark.parametrize("name", ["word2vec", "word2vec-binary"])
@given(table=tables())
@example(table=EmbeddingTable(["\x0b", "\r", "", "\udcff"], np.ones((4, 2))))
def test_word2vec_holds_words_without_spaces_and_newlines(name, table):
    if any(" " in word or "\n" in word for word in table.index_to_key):
        refused(table, name, r"of \d words contain '( |\\n)', which a word2vec file can't hold")
        return
    back = there_and_back(table, name)
    assert back.metadata["source_format"] == name
    assert back.index_to_key == table.index_to_key
    assert bits_of(back.vectors) == bits_of(table.vectors)


@given(tables())
@example(EmbeddingTable(["a b", "c"], np.ones((2, 2))))
@example(EmbeddingTable(["a b", "c", "d", " ", "\r"], np.ones((5, 2))))
@example(EmbeddingTable(["\ufeff", "c"], np.ones((2, 2))))
@example(EmbeddingTable(["(\udcb5/\udcfd", "c"], np.ones((2, 2))))
@example(EmbeddingTable(["", "5"], np.ones((2, 2))))
def test_glove_holds_words_without_newlines_that_leave_the_dimension_clear(table):
    words = table.index_to_key
    spaces = Counter(word.count(" ") for word in words)
    if any("\n" in word for word in words):
        refused(table, "glove", r"contain '\\n', which GloVe text can't hold")
    elif words[0].encode("utf-8", "surrogateescape").startswith(STARTS_OF_OTHERS):
        refused(table, "glove", "starts like a byte order mark")
    elif max(spaces.values()) != spaces[0] or list(spaces.values()).count(spaces[0]) > 1:
        refused(table, "glove", "are without a space, too few to tell words from numbers")
    else:
        back = there_and_back(table, "glove")
        assert back.index_to_key == words
        assert bits_of(back.vectors) == bits_of(table.vectors)


@given(tables(), st.data())
def test_keys_and_limit_select_rows_of_the_whole(table, data):
    keys = data.draw(st.lists(st.sampled_from(table.index_to_key)))
    limit = data.draw(st.integers(1, len(table) + 1))
    back = there_and_back(table, "safetensors", keys=keys, limit=limit)
    rows = [row for row, word in enumerate(table.index_to_key) if word in keys and row < limit]
    assert back.index_to_key == [table.index_to_key[row] for row in rows]
    assert bits_of(back.vectors) == bits_of(table.vectors[rows])


@given(st.lists(BITS, min_size=1, max_size=50))
def test_text_keeps_the_bits_of_every_number(bits):
    vectors = np.array([bits], np.uint32).view(np.float32)
    table = EmbeddingTable(["word"], vectors)
    assert bits_of(there_and_back(table, "glove").vectors) == bits_of(vectors)
