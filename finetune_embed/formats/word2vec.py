r"""word2vec files: a header line `V D`, then `V` rows, as text or as binary.

Specification: the output of the word2vec tool, https://code.google.com/archive/p/word2vec/.
A text row is `word v1 ... vD` between single spaces. A binary row is the word's bytes, one space,
and D little-endian float32; some writers (word2vec.c) close it with a newline, others (gensim)
don't, and a reader takes both. fastText's `.vec` is word2vec text.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Collection

import numpy as np

from ..errors import VectorFileError
from ..files import Source, atomic_write, open_source
from ..table import EmbeddingTable, Vectors
from ._rows import RowBuffer, check_keys, check_limit, refuse_unread, wanted_bytes
from ._text import HEAD, detect_layout, read_text, write_text

__all__ = ["is_binary", "load_word2vec", "read", "read_binary", "save_word2vec"]

BLOCK = 1 << 24
MAX_WORD = 1 << 20
SAMPLE = 1 << 16  # bytes that tell text from binary
WRITE_ROWS = 1 << 14
_HEADER = re.compile(rb"(\d{1,18}) (\d{1,18})[ \r]*\n")
_NUMBER = re.compile(rb"[-+.0-9eEnNaAiIfFtTyY]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def is_binary(head: bytes) -> bool:
    """Tell word2vec binary by a file's first bytes: a header, then what is no text.

    Text is a first line of as many numbers as the header promises, or, so that damaged text is
    reported as text, UTF-8 without control characters. A binary file of a few floats that happen
    to be such bytes is taken for text.
    """
    header = _HEADER.match(head)
    if header is None:
        return False
    rows = head[header.end() :]
    line, newline, _ = rows.partition(b"\n")
    fields = line.rstrip(b" \r").rsplit(b" ", int(header[2]))[1:]
    whole = bool(newline) or len(head) < HEAD
    if whole and fields and len(fields) == int(header[2]) and all(map(_NUMBER.fullmatch, fields)):
        return False
    return not _is_plain(rows[:SAMPLE])


def _is_plain(sample: bytes) -> bool:
    """Tell whether bytes are UTF-8 without control characters, if need be cut within one."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(sample) is None


def load_word2vec(
    path: str | os.PathLike[str],
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    binary: bool | None = None,
    vector_size: int | None = None,
) -> EmbeddingTable:
    """Load vectors from word2vec text or binary, plain or gzip.

    Args:
        path: the file.
        keys: keep only these words; the rest is not parsed. Rows keep the file's order.
        limit: read only the first rows of the file.
        binary: whether the rows are binary; found out from the content when left out.
        vector_size: the numbers in a text line, where the file leaves it open.

    Raises:
        VectorFileError: the file is missing, damaged, shorter or longer than its header promises,
            or has no header.
    """
    with open_source(path) as source:
        refuse_unread(source)
        found = is_binary(source.peek(HEAD))
        if binary is not None and binary is not found:
            has, wants = ("binary", "text") if found else ("text", "binary")
            raise VectorFileError(
                f"{source.path} is {has}, not {wants}; use load_word2vec(path, binary={found})"
            )
        if found:
            return read_binary(source, keys, limit)
        return read(source, keys, limit, vector_size)


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
            f"{source.path}:1: there is no header line `V D`, so this is not a word2vec file; if "
            "it is GloVe text, use load_glove(path)"
        )
    return read_text(source, layout, "word2vec", keys, limit)


def read_binary(
    source: Source, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Read word2vec binary from an open source, block by block."""
    header = _HEADER.match(source.peek(64))
    if header is None:
        raise VectorFileError(
            f"{source.path}: it does not start with the header `V D` of a word2vec binary; "
            "load_vectors(path) finds the format"
        )
    promised, vector_size = int(header[1]), int(header[2])
    if vector_size < 1 or vector_size > 1 << 20:
        raise VectorFileError(
            f"{source.path}:1: the header promises vectors of {vector_size:,} numbers; "
            "this is not a word2vec binary"
        )
    source.read(header.end())
    check_limit(limit)
    wanted = wanted_bytes(keys)
    total = promised if limit is None else min(promised, limit)
    rows = RowBuffer(vector_size)
    data, seen, offset = b"", 0, header.end()
    while seen < total:
        block = source.read(BLOCK)
        data += block
        words, vectors, taken, used = _parse(data, vector_size, total - seen, wanted)
        rows.extend(words, vectors)
        seen, offset, data = seen + taken, offset + used, data[used:]
        if not block or (not taken and len(data) > MAX_WORD + BLOCK):
            break
    if seen < total:
        raise VectorFileError(
            f"{source.path}: the header promises {promised:,} vectors of {vector_size} numbers, "
            f"but the file ends within row {seen + 1:,}, at byte {offset + len(data):,}; fetch the "
            f"file again, or take what is there with limit={seen}"
        )
    rest = (data + source.read(2)).lstrip(b"\n")
    if limit is None and rest:
        raise VectorFileError(
            f"{source.path}: the header promises {promised:,} vectors, but more bytes follow at "
            f"{offset:,}; correct the header, or take the promised rows with limit={promised}"
        )
    return rows.table(source, "word2vec-binary", seen)


def _parse(
    data: bytes, vector_size: int, most: int, wanted: frozenset[bytes] | None
) -> tuple[list[bytes], Vectors, int, int]:
    """Parse whole rows of a block; return words, vectors, rows passed and bytes used."""
    width = 4 * vector_size
    words: list[bytes] = []
    parts: list[bytes] = []
    position, taken = 0, 0
    while taken < most:
        space = data.find(b" ", position)
        end = space + 1 + width
        if space < 0 or end > len(data):
            break
        word = data[position:space].lstrip(b"\n")
        if wanted is None or word in wanted:
            words.append(word)
            parts.append(data[space + 1 : end])
        position = end
        taken += 1
    vectors = np.frombuffer(b"".join(parts), "<f4").reshape(len(parts), vector_size)
    return words, vectors, taken, position


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
    words = check_keys(table, "a word2vec file", " \n")
    with atomic_write(path) as file:
        file.write(b"%d %d\n" % (len(table), table.vector_size))
        if not binary:
            write_text(table, words, file)
            return
        for start in range(0, len(table), WRITE_ROWS):
            block = np.ascontiguousarray(table.vectors[start : start + WRITE_ROWS], "<f4")
            file.write(
                b"".join(
                    b"%b %b" % (word, row.tobytes())
                    for word, row in zip(words[start : start + WRITE_ROWS], block, strict=True)
                )
            )
