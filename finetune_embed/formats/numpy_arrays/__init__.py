"""numpy files: an `.npy` array of vectors with a word list, or an `.npz` archive of both.

Specification: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html; an `.npz` is
a zip archive of `.npy` files. Nothing that needs pickle is read or written.

Read: the vectors are a 2-d array of integers or floats of any width, byte order and layout. The
words are a 1-d array of characters (`U`) or UTF-8 bytes (`S`), or a word list beside the file
(`wordlist.py`). In an archive, the arrays are `vectors` and `words`, or the only ones that fit.

Written: one uncompressed archive; equal tables give equal bytes. `vectors` is float32 `(V, D)`,
aligned so that it can be mapped. `words` is a `U` array. Such an array gives every word the space
of the longest and drops NULs at the end of a word. If it would take more than twice the space of
the vectors (and 64 MB), or a word ends in NUL, the words are `words_utf8` uint8 and `words_offsets`
int64 `(V + 1,)` instead: word `i` is `words_utf8[offsets[i]:offsets[i + 1]]`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from ...errors import Either, VectorFileError
from ...files import PathOrFile, Source, atomic_write, open_source
from ...table import EmbeddingTable, Vectors
from ..common.arguments import check_limit, wanted_keys
from ..common.float_rows import RowStack, as_float32, source_dtype
from ..common.npy import MAX_SIZE, WORD, StoredArray, open_array
from ..common.saving import check_keys, check_name, pack_words
from ..common.sniff import expect
from ..common.table_building import make_table, provenance
from .archive_words import (
    OFFSETS,
    UTF8,
    VECTORS,
    WORDS,
    check_count,
    objects_error,
    pick_array,
    words_inside,
)
from .npz import ArchiveWriter, open_archive
from .wordlist import WordList, beside, places, words_of

__all__ = ["load_numpy", "read", "read_archive", "save_numpy"]

WORDS_BYTES = 1 << 26  # that a `U` array of words may always take
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
            plain float32 array that is stored row by row is memory-mapped, read-only.
        keys: load only these words; no other row is copied. Rows keep the file's order.
        limit: read only the first rows of the file.
        words: the word of each row: a list, a map of words to rows, or the path of a file with
            one word per line, a JSON list or map, or an `.npy` array of words. By default, the
            words in the archive, or the first of `X.words`, `X.words.txt`, `X.vocab`, `words.txt`,
            `vocab.txt` and `vocab.json` beside `X.npy`, recorded in `metadata["words_file"]`.
        member: the file to read from an archive; in an `.npz`, the array, such as `"vectors.npy"`.

    Raises:
        VectorFileError: the file is missing, damaged, of another format, or holds Python objects;
            there is no word list, or not one word for each vector; several arrays fit; or a number
            is too large for float32.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_numpy(table, "words.npz")
        >>> fe.load_numpy("words.npz").index_to_key
        ['good', 'bad']
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
    is_plain = source.path is not None and not source.compression
    array = open_array(source.name, source, source.read_all() if is_plain else None)
    return _table(source, "numpy", array, words, keys, limit)


def read_archive(
    source: Source,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    words: WordList | None = None,
) -> EmbeddingTable:
    """Read an `.npz` archive from an open source."""
    with open_archive(source) as arrays:
        matrices = [name for name, array in arrays.items() if array.is_matrix]
        vectors = pick_array(source, arrays, VECTORS, matrices)
        if words is None:
            words = words_inside(source, arrays, arrays[vectors])
        return _table(source, "numpy-archive", arrays[vectors], words, keys, limit)


def _table(
    source: Source,
    source_format: str,
    array: StoredArray,
    words: WordList | None,
    keys: Collection[str] | None,
    limit: int | None,
) -> EmbeddingTable:
    """Return the table of an array and its words; of duplicate words, the first is kept."""
    check_limit(limit)
    if array.dtype.hasobject:
        raise objects_error(array.name)
    if not array.is_matrix or 0 in array.shape or array.shape[1] > MAX_SIZE:
        raise VectorFileError(
            f"this is {array}, but a table needs integers or floats of shape [V, D], with at least "
            f"one row and D from 1 to {MAX_SIZE:,}",
            where=array.name,
        )
    source.refuse_bomb((4 * array.shape[1] + WORD) * array.shape[0])
    found = beside(source) if words is None else None
    if words is None and found is None:
        raise _without_words(source)
    listed = words_of(words if words is not None else str(found))
    check_count(array, len(listed), str(found or "the list of words"))
    rows, duplicates = _choose(listed, keys, limit)
    vectors = _vectors(array, rows, limit)
    metadata = provenance(source, source_format) | source_dtype(array.dtype)
    file = found or (words if isinstance(words, (str, os.PathLike)) else None)
    if file is not None:
        metadata["words_file"] = os.path.basename(file).encode(errors="replace").decode()
    if duplicates:
        metadata["duplicates"] = str(duplicates)
    return make_table([listed[row] for row in rows.tolist()], vectors, metadata)


def _without_words(source: Source) -> VectorFileError:
    """Return the error for vectors without words."""
    candidates = [place.name for place in places(source)]
    listed = f", and there is no {', '.join(candidates)} beside it" if candidates else ""
    list_path = candidates[0] if candidates else "vectors.words beside a file vectors.npy"
    return VectorFileError(
        f"this holds vectors without words{listed}",
        where=source.name,
        remedy=Either(
            "pass them: load_numpy(path, words=['the', ...]) or "
            "load_numpy(path, words='words.txt')",
            f"write them to {list_path}, one per line",
        ),
    )


def _choose(
    words: list[str], keys: Collection[str] | None, limit: int | None
) -> tuple[npt.NDArray[np.int64], int]:
    """Return the rows to load, in order, and the number of duplicates left out."""
    wanted = wanted_keys(keys)
    read = range(len(words) if limit is None else min(limit, len(words)))
    rows = read if wanted is None else [row for row in read if words[row] in wanted]
    first = {words[row]: row for row in reversed(rows)}
    return np.sort(np.fromiter(first.values(), np.int64, len(first))), len(rows) - len(first)


def _vectors(array: StoredArray, rows: npt.NDArray[np.int64], limit: int | None) -> Vectors:
    """Return rows of an array as float32, in place if possible, else copied in blocks."""
    consecutive = len(rows) > 0 and rows[-1] == len(rows) - 1
    is_float32 = array.dtype == np.dtype("<f4") and not array.fortran
    if consecutive and is_float32 and array.data is not None:
        stored: Vectors = array.read()
        if stored.flags.aligned:
            return stored[: len(rows)]
    kept = RowStack(array.shape[1])
    start = 0
    for block in array.blocks():
        stop = start + len(block)
        wanted = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
        picked = block if len(wanted) == len(block) else block[wanted - start]
        kept.extend(as_float32(picked, array.name, wanted))
        start = stop
        if limit is not None and start >= limit:
            break
    return kept.array()


def save_numpy(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table as an `.npz` archive that `numpy.load` reads without pickle. Holds any word.

    Raises:
        VectorFileError: the table has no rows or no columns, or a word has lone surrogates that
            do not represent a byte.
        VocabularyError: a word is in two rows.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_numpy(table, "table.npz")
        >>> import numpy
        >>> numpy.load("table.npz")["vectors"].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    check_name(path)
    check_keys(table, "a numpy archive", "")
    keys, shape = table.words, table.stored.shape
    longest = max(1, max(map(len, keys)))
    most = max(WORDS_BYTES, 2 * 4 * shape[0] * shape[1])
    blocks = [slice(start, start + ROWS) for start in range(0, len(table), ROWS)]
    with atomic_write(path) as file, contextlib.closing(ArchiveWriter(file)) as archive:
        archive.add(VECTORS, "<f4", shape, (table.rows(b) for b in blocks))
        if 4 * longest * len(keys) <= most and not any(key.endswith("\0") for key in keys):
            archive.add(WORDS, f"<U{longest}", (len(keys),), (keys[b] for b in blocks))
        else:
            words = pack_words(table)
            archive.add(UTF8, "|u1", words.data.shape, [words.data])
            archive.add(OFFSETS, "<i8", words.offsets.shape, [words.offsets])
