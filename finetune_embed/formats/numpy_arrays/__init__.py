"""numpy files: an `.npy` array of vectors with a word list, or an `.npz` archive of both.

Specification: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html; an `.npz` is
a zip archive of `.npy` files. Nothing that needs pickle is read or written.

Read: vectors are a 2-d array of integers or floats of any width, byte order and layout; words a
1-d array of characters (`U`) or UTF-8 bytes (`S`), or a word list beside it (`wordlist.py`). In
an archive they are `vectors` and `words`, or else the only arrays that fit.

Written: one archive, nothing compressed, equal tables as equal bytes. `vectors` is float32
`(V, D)`, so placed that it can be mapped. `words` is a `U` array. That gives each word as much room
as the longest and loses NULs at the end of a word, so where it would take over twice the room of
the vectors (and 64 MB), or a word ends in NUL, there are instead `words_utf8` uint8 and
`words_offsets` int64 `(V + 1,)`: word `i` is `words_utf8[offsets[i]:offsets[i + 1]]`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import PathOrFile, Source, atomic_write, open_source
from ...table import EmbeddingTable, PackedWords, Vectors
from ..common.npy import MAX_SIZE, RowStack, StoredArray, as_float32, open_array, source_dtype
from ..common.sniff import expect
from ..common.table_building import (
    check_keys,
    check_limit,
    make_table,
    pack_words,
    provenance,
    wanted_keys,
)

if TYPE_CHECKING:
    from .wordlist import WordList

__all__ = ["load_numpy", "read", "read_archive", "save_numpy"]

VECTORS, WORDS, UTF8, OFFSETS = "vectors", "words", "words_utf8", "words_offsets"
WORDS_ROOM = 1 << 26  # bytes that a `U` array of words may always take
ROWS = 1 << 14  # rows written at a time


def load_numpy(
    path: PathOrFile,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    words: WordList | None = None,
    member: str | None = None,
) -> EmbeddingTable:
    """Load vectors from an `.npy` array and a word list, or from an `.npz` archive.

    Args:
        path: the file, plain or compressed, a binary file object, or `"-"` for standard input. A
            plain float32 array whose rows lie one after the other is memory-mapped, read-only.
        keys: keep only these words; no other row is copied. Rows keep the file's order.
        limit: read only the first rows of the file.
        words: the word of each row: a list, a map of words to rows, or the path of a file with
            one word a line, a JSON list or map, or an `.npy` array of words. When left out, it is
            the archive's, or the first of `X.words`, `X.words.txt`, `X.vocab`, `words.txt`,
            `vocab.txt` and `vocab.json` that lies beside `X.npy`; `metadata["words_file"]` tells.
        member: the file to read of an archive; of an `.npz`, the array, such as `"vectors.npy"`.

    Raises:
        VectorFileError: the file is missing, damaged, of another format, or holds Python objects;
            there is no word list, or it has more or fewer words than there are vectors; arrays
            that fit are several; a number is too large for float32.
    """
    with open_source(path, member) as source:
        if expect(source, "numpy", "numpy-archive") == "numpy":
            return read(source, keys, limit, words)
        return read_archive(source, keys, limit, words)


def read(
    source: Source,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    words: WordList | None = None,
) -> EmbeddingTable:
    """Read an `.npy` array from an open source."""
    plain = source.path is not None and not source.compression
    array = open_array(source.name, source, source.read_all() if plain else None)
    return _table(source, "numpy", array, words, keys, limit)


def read_archive(
    source: Source,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    words: WordList | None = None,
) -> EmbeddingTable:
    """Read an `.npz` archive from an open source."""
    from .npz import open_archive

    with open_archive(source) as arrays:
        vectors = _only(source, arrays, VECTORS, [n for n, a in arrays.items() if a.is_matrix])
        if words is None:
            words = _words_inside(source, arrays, arrays[vectors])
        return _table(source, "numpy-archive", arrays[vectors], words, keys, limit)


def _only(
    source: Source, arrays: dict[str, StoredArray], name: str, fitting: Collection[str]
) -> str:
    """Return the array of a name, or the only one that fits."""
    if name in fitting:
        return name
    if len(fitting) == 1:
        return next(iter(fitting))
    shown = ", ".join(f"{known} {array}" for known, array in list(arrays.items())[:10])
    if not fitting and any(array.dtype.hasobject for array in arrays.values()):
        raise _objects(f"{source.name} ({shown})")
    raise VectorFileError(
        f"{source.name} holds {'no array' if not fitting else 'several arrays'} that can be the "
        f"{name}: {shown}; save it as numpy.savez(path, vectors=vectors, words=words), a float "
        "array (V, D) and a str array (V,)"
    )


def _objects(name: str) -> VectorFileError:
    return VectorFileError(
        f"{name} holds Python objects, which only pickle reads, and a pickle can run any code; if "
        "you trust it, load it by numpy.load(path, allow_pickle=True) and pass "
        "EmbeddingTable(list(words), vectors)"
    )


def _words_inside(
    source: Source, arrays: dict[str, StoredArray], vectors: StoredArray
) -> list[str] | None:
    """Return the words that an archive holds; None where it holds none."""
    from .wordlist import array_words, beside

    rows = vectors.shape[0]
    texts = [name for name, array in arrays.items() if array.is_words]
    if WORDS not in texts and UTF8 in arrays and OFFSETS in arrays:
        return _unpacked(arrays[UTF8], arrays[OFFSETS])
    if len(texts) > 1 and WORDS not in texts:
        texts = [name for name in texts if arrays[name].shape[0] == rows] or texts
    if texts:
        words = arrays[_only(source, arrays, WORDS, texts)]
        _check_count(vectors, words.shape[0], words.name)  # before they take any room
        return array_words(words)
    found = next((array for array in arrays.values() if array.dtype.hasobject), None)
    if found is not None and beside(source) is None:
        raise _objects(found.name)
    return None


def _unpacked(utf8: StoredArray, offsets: StoredArray) -> list[str]:
    """Return the words of our own layout for words that a `U` array can't hold well."""
    if utf8.dtype != np.uint8 or len(utf8.shape) != 1:
        raise VectorFileError(f"{utf8.name} is {utf8}, but uint8 of one dimension is needed")
    if offsets.dtype != np.int64 or len(offsets.shape) != 1:
        raise VectorFileError(f"{offsets.name} is {offsets}, but int64 of one dimension is needed")
    data, at = utf8.whole(), offsets.whole()
    if not len(at) or at[0] != 0 or at[-1] != len(data) or not (at[1:] >= at[:-1]).all():
        raise VectorFileError(
            f"{offsets.name} does not divide the {len(data):,} bytes of {UTF8} into words; the "
            "file is damaged"
        )
    return list(PackedWords(data.tobytes(), at))


def _table(
    source: Source,
    source_format: str,
    array: StoredArray,
    words: WordList | None,
    keys: Collection[str] | None,
    limit: int | None,
) -> EmbeddingTable:
    """Return the table of an array and its words; the first of duplicated words wins."""
    from .wordlist import beside, places, words_of

    check_limit(limit)
    if array.dtype.hasobject:
        raise _objects(array.name)
    if not array.is_matrix or 0 in array.shape or array.shape[1] > MAX_SIZE:
        raise VectorFileError(
            f"{array.name} is {array}; a table needs integers or floats of shape [V, D], with at "
            f"least one row and D from 1 to {MAX_SIZE:,}"
        )
    found = beside(source) if words is None else None
    if words is None and found is None:
        looked = ", ".join(place.name for place in places(source))
        looked = f", and none of {looked} lies beside it" if looked else ""
        raise VectorFileError(
            f"{source.name} holds vectors without words{looked}; pass them: "
            "load_numpy(path, words=['the', ...]) or load_numpy(path, words='words.txt')"
        )
    listed = words_of(words if words is not None else str(found))
    _check_count(array, len(listed), str(found or "the list of words"))
    rows, duplicates = _choose(listed, keys, limit)
    vectors = _vectors(array, rows, limit)
    metadata = provenance(source, source_format) | source_dtype(array.dtype)
    file = found or (words if isinstance(words, (str, os.PathLike)) else None)
    if file is not None:
        metadata["words_file"] = os.path.basename(file).encode(errors="replace").decode()
    if duplicates:
        metadata["duplicates"] = str(duplicates)
    return make_table([listed[row] for row in rows.tolist()], vectors, metadata)


def _check_count(vectors: StoredArray, words: int, name: str) -> None:
    if words != vectors.shape[0]:
        raise VectorFileError(
            f"{vectors.name} holds {vectors.shape[0]:,} vectors, but {name} has {words:,} words; "
            "pass the list that belongs to it: load_numpy(path, words=...)"
        )


def _choose(
    words: list[str], keys: Collection[str] | None, limit: int | None
) -> tuple[npt.NDArray[np.int64], int]:
    """Return the rows to keep, in order, and how many are left out as duplicates."""
    wanted = wanted_keys(keys)
    among = range(len(words) if limit is None else min(limit, len(words)))
    rows = among if wanted is None else [row for row in among if words[row] in wanted]
    first = {words[row]: row for row in reversed(rows)}
    return np.sort(np.fromiter(first.values(), np.int64, len(first))), len(rows) - len(first)


def _vectors(array: StoredArray, rows: npt.NDArray[np.int64], limit: int | None) -> Vectors:
    """Return rows of an array as float32: in place where they lie so, else copied by blocks."""
    first = len(rows) > 0 and rows[-1] == len(rows) - 1  # the first ones, none left out
    if first and array.data is not None and array.dtype == np.dtype("<f4") and not array.fortran:
        whole = array.whole()
        if whole.flags.aligned:
            return whole[: len(rows)]
    kept = RowStack(array.shape[1])
    start = 0
    for block in array.blocks():
        stop = start + len(block)
        here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
        picked = block if len(here) == len(block) else block[here - start]
        kept.extend(as_float32(picked, array.name, here))
        start = stop
        if limit is not None and start >= limit:
            break
    return kept.array()


def save_numpy(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table as an `.npz` archive that `numpy.load` reads without pickle. Holds any word.

    Raises:
        VectorFileError: the table has no rows or no columns, or a word has lone surrogates that
            no bytes stand for.
        VocabularyError: a word stands in two rows.
    """
    from .npz import ArchiveWriter

    check_keys(table, "a numpy archive", "")
    keys, shape = table.words, table.stored.shape
    longest = max(1, max(map(len, keys)))
    room = max(WORDS_ROOM, 2 * 4 * shape[0] * shape[1])
    blocks = [slice(start, start + ROWS) for start in range(0, len(table), ROWS)]
    with atomic_write(path) as file, contextlib.closing(ArchiveWriter(file)) as archive:
        archive.add(VECTORS, "<f4", shape, (table.rows(b) for b in blocks))
        if 4 * longest * len(keys) <= room and not any(key.endswith("\0") for key in keys):
            archive.add(WORDS, f"<U{longest}", (len(keys),), (keys[b] for b in blocks))
        else:
            words = pack_words(table)
            archive.add(UTF8, "|u1", words.data.shape, [words.data])
            archive.add(OFFSETS, "<i8", words.offsets.shape, [words.offsets])
