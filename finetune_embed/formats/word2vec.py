r"""word2vec files: a header line `V D`, then `V` rows, as text or as binary.

Specification: the output of the word2vec tool, https://code.google.com/archive/p/word2vec/.
A text row is `word v1 ... vD` between single spaces. A binary row is the word's bytes, one space,
and D little-endian float32; some writers (word2vec.c) close it with a newline, others (gensim)
don't, and a reader takes both. fastText's `.vec` is word2vec text.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import numpy as np

from ..errors import VectorFileError
from ..files import PathOrFile, Source, atomic_write, open_source
from ..table import EmbeddingTable
from .common.kernels import WordSet, format_binary, in_order, parse_binary
from .common.sniff import W2V_HEADER, expect
from .common.table_building import RowBuffer, check_keys, check_limit, join_words, wanted_bytes
from .common.text import read_text, write_text
from .common.text_layout import detect_layout

__all__ = ["load_word2vec", "read", "read_binary", "save_word2vec"]

BLOCK = 1 << 22
MAX_WORD = 1 << 20
MAX_SIZE = 1 << 20  # numbers in a vector
WRITE_BYTES = 1 << 22
SMALL = 1 << 16  # bytes of a file that may be both text and binary


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
        keys: keep only these words; the rest is not parsed. Rows keep the file's order.
        limit: read only the first rows of the file.
        binary: whether the rows are binary; found out from the content when left out.
        vector_size: the numbers in a text line, where the file leaves it open.
        member: the file to read of an archive.

    Raises:
        VectorFileError: the file is missing, damaged, shorter or longer than its header promises,
            has no header, or is of another format.
    """
    with open_source(path, member) as source:
        found = expect(source, "text", "word2vec-binary") == "word2vec-binary"
        if binary and not found and limit is None and (table := _whole(source, keys)) is not None:
            return table  # so few numbers that they look like text
        if binary is not None and binary is not found:
            has, wants = ("binary", "text") if found else ("text", "binary")
            raise VectorFileError(
                f"{source.name} is {has}, not {wants}; use load_word2vec(path, binary={found})"
            )
        if found:
            return read_binary(source, keys, limit)
        return read(source, keys, limit, vector_size)


def _whole(source: Source, keys: Collection[str] | None) -> EmbeddingTable | None:
    """Read what looks like text as binary, if it is that to its last byte; else return None."""
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
            f"{source.name}:1: there is no header line `V D`, so this is not a word2vec file; if "
            "it is GloVe text, use load_glove(path)"
        )
    return read_text(source, layout, "word2vec", keys, limit)


def read_binary(
    source: Source, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Read word2vec binary from an open source, block by block."""
    promised, vector_size, offset = _read_header(source)
    check_limit(limit)
    words = wanted_bytes(keys)
    wanted = None if words is None else WordSet(words)
    total = promised if limit is None else min(promised, limit)
    rows = RowBuffer(vector_size, b" ")
    data, seen = b"", 0
    while seen < total:
        block = source.read(BLOCK)
        data += block
        parsed = parse_binary(data, vector_size, total - seen, wanted)
        kept = parsed.words, parsed.vectors
        rows.extend(*(kept if wanted is None else wanted.keep(*kept, b" ")))
        seen, offset, data = seen + parsed.passed, offset + parsed.used, data[parsed.used :]
        if not parsed.passed and (not block or len(data) > MAX_WORD + 4 * vector_size + BLOCK):
            end = f"the file ends within row {seen + 1:,}, at byte {offset + len(data):,}"
            endless = f"row {seen + 1:,}, at byte {offset:,}, starts with no word and space"
            raise VectorFileError(
                f"{source.name}: the header promises {promised:,} vectors of {vector_size} "
                f"numbers, but {endless if block else end}; fetch the file again"
                + (f", or take what is there with limit={seen}" if seen else "")
            )
    rest = data.lstrip(b"\n")
    while limit is None and not rest and (block := source.read(BLOCK)):
        rest = block.lstrip(b"\n")
    if limit is None and rest:
        raise VectorFileError(
            f"{source.name}: the header promises {promised:,} vectors, but more bytes follow at "
            f"{offset:,}; correct the header"
            + (f", or take the promised rows with limit={promised}" if promised else "")
        )
    return rows.table(source, "word2vec-binary", seen)


def _read_header(source: Source) -> tuple[int, int, int]:
    """Return the rows and the numbers a row that a binary promises, and the bytes it takes."""
    header = W2V_HEADER.match(source.peek(64))
    if header is None:
        raise VectorFileError(
            f"{source.name}: it does not start with the header `V D` of a word2vec binary; "
            "load_vectors(path) finds the format"
        )
    promised, vector_size = int(header[1]), int(header[2])
    if not 1 <= vector_size <= MAX_SIZE:
        raise VectorFileError(
            f"{source.name}:1: the header promises vectors of {vector_size:,} numbers; "
            "this is not a word2vec binary"
        )
    source.read(header.end())
    return promised, vector_size, header.end()


def save_word2vec(
    table: EmbeddingTable, path: str | os.PathLike[str], *, binary: bool = False
) -> None:
    """Write a table as word2vec text, or binary as gensim writes it (no newline after a row).

    Text numbers are the shortest that read back to the same float32. Words that are not UTF-8 are
    written as the bytes they were read from, as the format allows; gensim needs
    `unicode_errors="ignore"` for such a file.

    Raises:
        VectorFileError: a word contains a space or a newline, which the format can't hold.
    """
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

        for data in in_order(rows, range(0, len(table), step)):
            file.write(data)
