"""Any table that a format can hold reads back bit for bit; others are refused."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from finetune_embed import EmbeddingTable, VectorFileError, load_vectors
from finetune_embed.formats import SAVERS

UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
RAW = st.binary(max_size=8).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
CODES = st.sampled_from("ab .5\n\r\"'\u00a0\ufeff\udcff\0")
#: Words that files of other formats start with if bytes follow that are not text; see test_glove.
WORDLIKE = ("%PDF-", "FEA1", "GGUF")
WORDS = st.one_of(UNICODE, RAW, st.text(CODES, max_size=5)).filter(
    lambda word: not word.startswith(WORDLIKE)
)
#: What Python and JavaScript strip from a line.
SPACES = "\x0b\x0c\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
BITS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1 << 31, 1, 0x007FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF]),
)
#: The first bytes of files of other formats.
OTHERS = re.compile(
    rb"""\xef\xbb\xbf|\xff\xfe[^\0]\0|\xfe\xff\0  # byte order marks
    |\x1f\x8b|PK\x03\x04|PK\x05\x06|BZh|\xfd7zXZ\0|\x28\xb5\x2f\xfd  # compressed
    |\xba\x16\x4f\x2f|\x93NUMPY|\x80[\x02-\x05]|PAR1|ARROW1|\xff{4}|[\s\S]{3}[\0-\x05]\0{4}\{
    |SQLite\ format\ 3\0|version\ https://git-lfs\.github\.com/
    |7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|\x04\x22\x4d\x18|\x89HDF\r\n\x1a\n|\xd0\xcf\x11\xe0""",
    re.VERBOSE,
)
#: Words that end like a number of the vector after a comma.
ENDS_IN_NUMBER = re.compile(r"[^\t,;]*([\t,;])[-+]?[0-9.]+([eE][-+]?[0-9]+)?")


@st.composite
def tables(draw) -> EmbeddingTable:
    words = draw(st.lists(WORDS, min_size=1, max_size=8, unique=True))
    size = draw(st.integers(2, 5))
    bits = draw(npst.arrays(np.uint32, (len(words), size), elements=BITS))
    origin = draw(npst.arrays(np.uint8, len(words), elements=st.integers(0, 3)))
    metadata = draw(st.dictionaries(UNICODE, UNICODE, max_size=3))
    return EmbeddingTable(words, bits.view(np.float32), metadata, origin)


# The message for a table that a format can't hold


def is_utf8(word: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in word)


def refused_by_word2vec(table: EmbeddingTable) -> str:
    spaced = any(" " in word or "\n" in word for word in table.index_to_key)
    return r"of \d words contain '( |\\n)', which a word2vec file can't hold" if spaced else ""


def refused_by_binary(table: EmbeddingTable) -> str:
    """A table whose numbers are plausible in the other byte order only, unless a word is odd."""
    message = refused_by_word2vec(table)
    numbers = np.ascontiguousarray(table.vectors)
    used = numbers[numbers != 0]
    swapped = plausible(used).mean() <= 0.5 if len(used) else False
    if not message and numbers.size >= 10 and swapped and plausible(numbers.byteswap()).all():
        with tempfile.TemporaryDirectory() as folder:
            try:
                SAVERS["word2vec-binary"](table, Path(folder, "out"))
            except VectorFileError:
                return "would take the numbers for big-endian float32"
    return message


def plausible(numbers: np.ndarray) -> np.ndarray:
    return (numbers == 0) | ((abs(numbers) > 1e-12) & (abs(numbers) < 1e6))


def refused_by_glove(table: EmbeddingTable) -> str:
    words = table.index_to_key
    spaces = Counter(word.count(" ") for word in words)
    if any("\n" in word for word in words):
        return r"contain '\\n', which GloVe text can't hold"
    if OTHERS.match(words[0].encode("utf-8", "surrogateescape")):
        return "starts like a byte order mark"
    if max(spaces.values()) != spaces[0] or list(spaces.values()).count(spaces[0]) > 1:
        return "contain no space, so readers of GloVe text would get the vector size wrong"
    ends = [match and match[1] for match in map(ENDS_IN_NUMBER.fullmatch, words)]
    if len(words) > 1 and ends[0] and len(set(ends)) == 1:
        return "all of the first . words end in .* and a number"
    return ""


def refused_by_utf8(table: EmbeddingTable) -> str:
    return "" if all(map(is_utf8, table.index_to_key)) else "UTF-8"


def refused_by_projector(table: EmbeddingTable) -> str:
    words = table.index_to_key
    if any(mark in word for word in words for mark in "\t\n\r"):
        return r"contain '\\[tnr]', which the Projector's list of words can't hold"
    if not all(map(is_utf8, words)):
        return "UTF-8"
    if words[0].startswith("\ufeff") or any(not word.strip("\ufeff" + SPACES) for word in words):
        return "is blank or starts like a byte order mark"
    return "" if np.isfinite(table.vectors).all() else "a number that is not finite"


def for_projector(table: EmbeddingTable) -> EmbeddingTable:
    """Return a table that the Projector shows, since it shows few of those that are drawn."""
    words = [f"{row}{word!r}" for row, word in enumerate(table.index_to_key)]
    return EmbeddingTable(words, np.nan_to_num(table.vectors))


def never_refused(table: EmbeddingTable) -> str:
    return ""


#: A pattern of the message for a table that a format can't hold; empty if it can.
REFUSED: dict[str, Callable[[EmbeddingTable], str]] = {
    "arrow": refused_by_utf8,
    "glove": refused_by_glove,
    "numpy-archive": never_refused,
    "parquet": refused_by_utf8,
    "projector": refused_by_projector,
    "safetensors": never_refused,
    "spacy": refused_by_utf8,
    "word2vec": refused_by_word2vec,
    "word2vec-binary": refused_by_binary,
}
#: Formats of numbers as text, which have a single NaN.
TEXT = ("glove", "projector", "word2vec")


def bits_of(vectors: np.ndarray, *, one_nan: bool) -> list[list[int]]:
    """Return the bits of float32 numbers, if asked with one value for all NaN."""
    bits = np.ascontiguousarray(vectors).view(np.uint32).copy()
    if one_nan:
        bits[np.isnan(vectors)] = 0x7FC00000
    return bits.tolist()


def there_and_back(table: EmbeddingTable, name: str, keys=None, limit=None) -> EmbeddingTable:
    """Save a table, and return what loads, in memory."""
    with tempfile.TemporaryDirectory() as folder:
        SAVERS[name](table, Path(folder, "out"))
        assert [file.name for file in Path(folder).iterdir()] == ["out"]
        back = load_vectors(Path(folder, "out"), keys, limit)
        copy = np.array(back.vectors), np.array(back.origin)
        return EmbeddingTable(back.index_to_key, copy[0], back.metadata, copy[1])


def refused(table: EmbeddingTable, name: str, match: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(VectorFileError, match=match):
            SAVERS[name](table, Path(folder, "out"))
        assert list(Path(folder).iterdir()) == []


def equal(back: EmbeddingTable, table: EmbeddingTable, *names: str) -> None:
    """Assert that a table is unchanged after a round trip through formats."""
    one_nan = any(name in TEXT for name in names)
    assert back.index_to_key == table.index_to_key
    assert bits_of(back.vectors, one_nan=one_nan) == bits_of(table.vectors, one_nan=one_nan)


ODD_TABLES = [
    EmbeddingTable(["a", "\r", "", " "], np.ones((4, 2))),
    EmbeddingTable(["\x0b", "\r", "", "\udcff"], np.ones((4, 2))),
    EmbeddingTable(["a b", "c"], np.ones((2, 2))),
    EmbeddingTable(["a b", "c", "d", " ", "\r"], np.ones((5, 2))),
    EmbeddingTable(["\ufeff", "c"], np.ones((2, 2))),
    EmbeddingTable(["(\udcb5/\udcfd", "c"], np.ones((2, 2))),
    EmbeddingTable(["", "5"], np.ones((2, 2))),
    EmbeddingTable(["\0", "a\0", "a"], np.ones((3, 2))),
    EmbeddingTable(["\udcff\udcfea\0", "c"], np.ones((2, 2))),
    EmbeddingTable(["<!DOCTYPE html", "c", "d", "e"], np.ones((4, 2))),
    EmbeddingTable(["ARROW1", "c", "d"], np.ones((3, 2))),
    EmbeddingTable(['\x04"M\x18', "c"], np.ones((2, 2))),
    EmbeddingTable(["1,5", "a,-2e3"], np.ones((2, 2))),
    EmbeddingTable(["1,5", "a;2"], np.ones((2, 2))),
    EmbeddingTable(["ORTH", "is", "PUNCT"], np.eye(3)),  # names of spaCy's symbols
    EmbeddingTable(["a", "b", "c"], np.ones((3, 4), np.float32).byteswap()),
]


def test_every_format_is_swept():
    assert sorted(REFUSED) == sorted(SAVERS)
    assert len(list(product(SAVERS, SAVERS))) == 81


@pytest.mark.parametrize("name", SAVERS)
@given(tables())
def test_a_format_holds_a_table_or_refuses_it(name, table):
    _there_and_back_or_refused(name, table)


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("table", ODD_TABLES, ids=lambda table: repr(table.index_to_key))
def test_odd_tables(name, table):
    _there_and_back_or_refused(name, table)


def _there_and_back_or_refused(name: str, table: EmbeddingTable) -> None:
    if message := REFUSED[name](table):
        refused(table, name, message)
    else:
        equal(there_and_back(table, name), table, name)


@pytest.mark.slow
@pytest.mark.parametrize("first", SAVERS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(table=tables())
@example(
    table=EmbeddingTable(["the", "café", "日本"], np.float32([[0.1, -0.0], [1e-45, 3], [4, 5]]))
)
def test_from_every_format_to_every_other_and_back(first, table):
    table = for_projector(table) if first == "projector" else table
    assume(not REFUSED[first](table))
    middle = there_and_back(table, first)
    swept = 0
    for second in SAVERS:
        swept += 1
        if message := REFUSED[second](middle):
            refused(middle, second, message)
            continue
        there = there_and_back(middle, second)
        equal(there, table, first, second)
        equal(there_and_back(there, first), table, first, second)
    assert swept == 9


@given(tables())
@example(EmbeddingTable(["a", "\r", "", " "], np.ones((4, 2))))
def test_safetensors_keeps_all_of_a_table(table):
    back = there_and_back(table, "safetensors")
    equal(back, table)
    assert back.origin.tolist() == table.origin.tolist()
    assert back.metadata.items() >= table.metadata.items()
    assert set(back.metadata) - set(table.metadata) <= {"library_version"}


@pytest.mark.parametrize("name", SAVERS)
@settings(max_examples=30)
@given(table=tables(), data=st.data())
def test_keys_and_limit_select_rows_of_the_table(name, table, data):
    table = for_projector(table) if name == "projector" else table
    assume(not REFUSED[name](table))
    keys = data.draw(st.lists(st.sampled_from(table.index_to_key)))
    limit = data.draw(st.integers(1, len(table) + 1))
    back = there_and_back(table, name, keys=keys, limit=limit)
    rows = [row for row, word in enumerate(table.index_to_key) if word in keys and row < limit]
    assert back.index_to_key == [table.index_to_key[row] for row in rows]
    one_nan = name in TEXT
    assert bits_of(back.vectors, one_nan=one_nan) == bits_of(table.vectors[rows], one_nan=one_nan)


@given(st.lists(BITS, min_size=1, max_size=50))
def test_text_keeps_the_bits_of_every_number(bits):
    vectors = np.array([bits], np.uint32).view(np.float32)
    table = EmbeddingTable(["word"], vectors)
    equal(there_and_back(table, "glove"), table, "glove")


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("suffix", [".gz", ".BZ2", ".xz", ".zst", ".zip", ".tgz", ".7z"])
def test_no_saver_writes_under_the_name_of_a_compressed_file(name, suffix, table, tmp_path):
    message = rf"the name ends in {suffix}, but .*; leave {suffix} off, and compress the file aft"
    with pytest.raises(VectorFileError, match=message):
        SAVERS[name](table, tmp_path / f"vectors.txt{suffix}")
    assert list(tmp_path.iterdir()) == []
    SAVERS[name](table, tmp_path / "vectors.gz.txt")
    assert load_vectors(tmp_path / "vectors.gz.txt").index_to_key == table.index_to_key
