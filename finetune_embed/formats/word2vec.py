"""word2vec files: a header line `V D`, then `V` rows, as text or binary.

Specification: the output of the word2vec tool, https://code.google.com/archive/p/word2vec/.
A text row is `word v1 ... vD`, separated by single spaces. A binary row is the word's bytes, one
space, and D little-endian float32 numbers; word2vec.c adds a newline, gensim does not, and both are
read. fastText's `.vec` files are word2vec text.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import numpy as np

from ..errors import Option, Text, VectorFileError
from ..files import PathOrFile, Source, atomic_write, open_source
from ..table import EmbeddingTable
from .common.arguments import check_limit, read_first, wanted_bytes
from .common.binary_numbers import check_numbers
from .common.binary_words import fault_error
from .common.kernels import WordSet, format_binary, in_order, parse_binary
from .common.saving import HOLDS_ANY_WORD, check_keys, check_name, join_words
from .common.sniff import HEAD, W2V_HEADER, expect
from .common.table_building import RowBuffer
from .common.text import read_text, write_text
from .common.text_layout import detect_layout

__all__ = ["load_word2vec", "read", "read_binary", "save_word2vec"]

BLOCK = 1 << 22
MAX_WORD = 1 << 20
MAX_SIZE = 1 << 20  # numbers in a vector
WRITE_BYTES = 1 << 22
SMALL = 1 << 16  # bytes; only a smaller file can be both valid text and binary


def load_word2vec(
    path: PathOrFile,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    binary: bool | None = None,
    vector_size: int | None = None,
    member: str | None = None,
) -> EmbeddingTable:
    """Load vectors from word2vec text or binary.

    Args:
        path: the file, plain or compressed, a binary file object, or `"-"` for standard input.
        keys: read only these words; other rows are not parsed. Rows keep the file's order.
        limit: read only the first rows of the file.
        binary: whether the rows are binary; detected if not given.
        vector_size: the number of values in a line of text; detected if not given.
        member: the file to read from an archive.

    Raises:
        VectorFileError: the file is missing, damaged, shorter or longer than its header promises,
            has no header, or is of another format.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_word2vec(table, "words.bin", binary=True)
        >>> fe.load_word2vec("words.bin").index_to_key
        ['good', 'bad']
    """
    with open_source(path, member) as source:
        found = expect(source, "text", "word2vec-binary") == "word2vec-binary"
        if binary and not found and limit is None:
            table = _read_small_binary(source, keys)
            if table is not None:
                return table
        if binary is not None and binary is not found:
            what = "this is binary, not text" if found else "this is text, not binary"
            raise VectorFileError(
                what, where=source.name, remedy=("pass ", Option("binary", found))
            )
        if found:
            return read_binary(source, keys, limit)
        return read(source, keys, limit, vector_size)


def _read_small_binary(source: Source, keys: Collection[str] | None) -> EmbeddingTable | None:
    """Read a binary file of so few numbers that it looks like text; return None if it is text."""
    if source.size is None or source.size > SMALL:
        return None
    try:
        return read_binary(source, keys)
    except VectorFileError:
        return None


def read(
    source: Source,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    vector_size: int | None = None,
) -> EmbeddingTable:
    """Read word2vec text from an open source."""
    layout = detect_layout(source, vector_size)
    if layout.promised is None:
        raise VectorFileError(
            "there is no header line `V D`, so this is not a word2vec file",
            where=f"{source.name}:1",
            remedy="if it is GloVe text, use load_glove(path)",
        )
    return read_text(source, layout, "word2vec", keys, limit)


def read_binary(
    source: Source, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Read word2vec binary from an open source, block by block.

    Raises:
        VectorFileError: the file has more or fewer rows than its header promises, a word contains
            a space or can't be one, or the numbers are not float32.
    """
    promised, vector_size, offset = _read_header(source)
    check_limit(limit)
    head = source.peek(HEAD)
    check_numbers(head, len(head) < HEAD, promised, vector_size, source.name)
    words = wanted_bytes(keys)
    wanted = None if words is None else WordSet(words)
    total = promised if limit is None else min(promised, limit)
    rows = RowBuffer(vector_size, b" ", source)
    data, seen, state = b"", 0, 0
    while seen < total:
        block = source.read(BLOCK)
        data += block
        is_last = len(block) < BLOCK
        parsed = parse_binary(data, vector_size, total - seen, wanted, is_last, state)
        state = parsed.after
        kept = parsed.words, parsed.vectors
        rows.extend(*(kept if wanted is None else wanted.keep(*kept, b" ")))
        seen, offset, data = seen + parsed.passed, offset + parsed.used, data[parsed.used :]
        if parsed.fault:
            word = data[: parsed.length]
            raise fault_error(source.name, parsed.fault, seen + 1, offset, word)
        if not parsed.passed and (not block or len(data) > MAX_WORD + 4 * vector_size + BLOCK):
            found = (
                f"row {seen + 1:,}, at byte {offset:,}, does not start with a word and a space"
                if block
                else f"the file ends within row {seen + 1:,}, at byte {offset + len(data):,}"
            )
            raise VectorFileError(
                f"the header promises {promised:,} vectors of {vector_size} numbers, but {found}",
                where=source.name,
                remedy=_or_read_first("fetch the file again", seen),
            )
    rest = data.lstrip(b"\n")
    while limit is None and not rest and (block := source.read(BLOCK)):
        rest = block.lstrip(b"\n")
    if limit is None and rest:
        raise VectorFileError(
            f"the header promises {promised:,} vectors, but more bytes follow them at {offset:,}",
            where=source.name,
            remedy=_or_read_first("correct the header", promised),
        )
    return rows.table("word2vec-binary", seen)


def _or_read_first(remedy: str, rows: int) -> Text:
    """Return a remedy, with reading the sound rows as an alternative if there are any."""
    return (remedy, ", or ", read_first(rows)) if rows else remedy


def _read_header(source: Source) -> tuple[int, int, int]:
    """Return the promised rows and vector size, and the length of the header in bytes."""
    header = W2V_HEADER.match(source.peek(64))
    if header is None:
        raise VectorFileError(
            "this is not a word2vec binary: it has no header line `V D`", where=source.name
        )
    promised, vector_size = int(header[1]), int(header[2])
    if not 1 <= vector_size <= MAX_SIZE:
        raise VectorFileError(
            "this is not a word2vec binary: its header promises vectors of "
            f"{vector_size:,} numbers",
            where=f"{source.name}:1",
            value=vector_size,
        )
    source.read(header.end())
    return promised, vector_size, header.end()


def save_word2vec(
    table: EmbeddingTable, path: str | os.PathLike[str], *, binary: bool = False
) -> None:
    """Write a table as word2vec text or binary.

    Numbers in text are the shortest that read back to the same float32. Binary rows have no newline
    at the end, as gensim writes them. Words that are not UTF-8 are written as the bytes they were
    read from; gensim reads such a file only with `unicode_errors="ignore"`.

    Raises:
        VectorFileError: a word contains a space or a newline, which the format can't hold.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_word2vec(table, "words.txt")
        >>> from pathlib import Path
        >>> Path("words.txt").read_text().splitlines()
        ['2 2', 'good 1.0 0.0', 'bad 0.0 1.0']
    """
    check_name(path)
    check_keys(table, "a word2vec file", " \n")
    with atomic_write(path) as file:
        file.write(b"%d %d\n" % (len(table), table.vector_size))
        if not binary:
            write_text(table, file)
            return
        step = max(1, WRITE_BYTES // (4 * table.vector_size))

        def rows(start: int) -> bytes | bytearray:
            words = join_words(table.words[start : start + step], " ")
            block = np.ascontiguousarray(table.rows(slice(start, start + step)), "<f4")
            return format_binary(words, block)

        state = 0
        for start, data in enumerate(in_order(rows, range(0, len(table), step))):
            state = _check_written(table, start * step, bytes(data), state)
            file.write(data)


def _check_written(table: EmbeddingTable, start: int, data: bytes, state: int) -> int:
    """Check that rows of a binary are read as they are; return the state after them.

    Raises:
        VectorFileError: a word is so odd, and numbers are so implausible, that they would not be.
    """
    size = table.vector_size
    found = parse_binary(data, size, len(table), WordSet(frozenset()), True, state)
    if found.fault:
        row = start + found.passed
        raise VectorFileError(
            f"the word {table.words[row]!r} in row {row:,} and the numbers beside it look like "
            "damage, so readers of a word2vec binary would refuse them",
            value=table.words[row],
            remedy=HOLDS_ANY_WORD,
        )
    try:
        if not start:
            check_numbers(data[:HEAD], found.passed == len(table), len(table), size, "")
    except VectorFileError as error:
        raise VectorFileError(
            f"readers of a word2vec binary would take the numbers for {error.value}",
            value=error.value,
            remedy=HOLDS_ANY_WORD,
        ) from error
    return found.after
