"""The two files that the TensorFlow Embedding Projector loads, in a folder.

- `vectors.tsv`: one line of D numbers per word, separated by tabs; no header.
- `metadata.tsv`: one word per line, in the same order. A first line with a tab names columns, so a
  file of words alone has no header. Of several columns, the words are in the first.

The Projector splits both at newlines and tabs, without quoting, and skips lines that are blank. It
takes a first field that is no number for a label, so NaN and infinity can't be shown.

Specification: https://projector.tensorflow.org (Load), and `data-provider.ts` of its source,
https://github.com/tensorflow/tensorboard.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from ..errors import VectorFileError
from ..files import Source, atomic_folder, open_source
from ..table import EmbeddingTable, Vectors
from .common.arguments import check_limit
from .common.folders import folder_provenance, missing_folder
from .common.kernels import format_text, parse_text
from .common.saving import (
    HOLDS_ANY_WORD,
    check_keys,
    check_name,
    check_new_folder,
    check_utf8,
    join_words,
)
from .common.sniff import expect
from .common.table_building import ROW, make_table
from .common.text import WRITE_NUMBERS
from .common.text_blocks import Block
from .common.text_numbers import parse_leftovers
from .common.text_rows import quoted

__all__ = ["load_projector", "save_projector"]

VECTORS, METADATA = "vectors.tsv", "metadata.tsv"
BOM = "\ufeff"
LINES = 1 << 14  # parsed at a time


def load_projector(
    path: str | os.PathLike[str],
    keys: Collection[str] | None = None,
    limit: int | None = None,
) -> EmbeddingTable:
    """Load vectors from a folder with `vectors.tsv` and `metadata.tsv`.

    Args:
        path: the folder.
        keys: keep only these words, in the file's order.
        limit: read only the first rows.

    Raises:
        VectorFileError: this is not such a folder, a file is damaged, or both have different
            numbers of lines.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt", limit=3)
        >>> fe.save_projector(table, "projector")
        >>> fe.load_projector("projector").index_to_key == table.index_to_key
        True
    """
    check_limit(limit)
    folder = Path(path)
    if not ((folder / VECTORS).is_file() and (folder / METADATA).is_file()):
        raise missing_folder(
            folder,
            "projector",
            f"one with {VECTORS} and {METADATA}",
            f"pass the folder that has both, {VECTORS} and {METADATA}",
        )
    with open_source(folder / VECTORS) as source:
        expect(source, "text")
        lines = _lines(bytes(source.read_all()))
        words = _words(folder / METADATA)
        if len(lines) != len(words):
            raise VectorFileError(
                f"this has {len(lines):,} lines, and {METADATA} has {len(words):,} words",
                where=source.name,
                remedy="fetch both files again, of the same vectors",
            )
        size = lines[0].count(b"\t") + 1
        source.refuse_bomb(len(lines) * (ROW + 4 * size))
        lines, words = lines[:limit], words[:limit]
        parts = [
            _parse(lines[start : start + LINES], start + 1, size, source)
            for start in range(0, len(lines), LINES)
        ]
        metadata = folder_provenance(source, folder, "projector")
        return make_table(words, np.concatenate(parts), metadata, keys)


def _words(path: Path) -> list[str]:
    """Return the words of a file: its lines, or the first of several columns below their names."""
    try:  # as it is: the first word may look like a compressed file
        data = path.read_bytes()
    except OSError as error:
        raise VectorFileError(f"can't be read: {error.strerror}", where=path) from error
    lines = _lines(data.removeprefix(BOM.encode()))
    if b"\t" in lines[0]:
        lines = [line.partition(b"\t")[0] for line in lines[1:]]
    return b"\n".join(lines).decode("utf-8", "surrogateescape").split("\n")


def _lines(data: bytes) -> list[bytes]:
    return data.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")  # blank lines are no rows


def _parse(lines: list[bytes], first: int, size: int, source: Source) -> Vectors:
    """Return the numbers of lines, float32 `(n, D)`.

    Args:
        lines: the lines.
        first: the number of the first one in the file, from 1.
        size: D.
        source: the file, for messages.

    Raises:
        VectorFileError: a line has another number of fields, or one that is not a number.
    """
    fits = [line.count(b"\t") == size - 1 and b" " not in line for line in lines]
    data = b"".join(b"- %b\n" % line.replace(b"\t", b" ") for line in lines)
    parsed = parse_text(data, size, len(lines), None)
    bad = min(fits.index(False) if False in fits else len(lines), parsed.lines)
    if bad < len(lines):
        raise VectorFileError(
            f"{quoted(lines[bad])} is not {size:,} numbers separated by tabs, as line 1 has",
            where=f"{source.name}:{first + bad}",
            remedy="the file is damaged there; fetch it again",
        )
    parse_leftovers(parsed, Block(data, first, len(lines), False), source)
    return parsed.vectors


def save_projector(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a folder with `vectors.tsv` and `metadata.tsv`, which the Embedding Projector loads.

    Numbers are the shortest that read back to the same float32.

    Args:
        table: the table, with vectors of two numbers or more.
        path: the folder, which does not exist yet.

    Raises:
        VectorFileError: a word is blank, not UTF-8, or contains a tab or a line end, a number is
            not finite, or `path` exists.
        VocabularyError: a word is in two rows.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_projector(table, "projector")
        >>> from pathlib import Path
        >>> sorted(path.name for path in Path("projector").iterdir())
        ['metadata.tsv', 'vectors.tsv']
    """
    check_name(path)
    check_keys(table, "the Projector's list of words", "\t\n\r")
    check_utf8(table.words, "the Projector")
    blank = [word for word in table.words if not word.replace(BOM, "").strip()]
    if blank or table.words[0].startswith(BOM):
        word = blank[0] if blank else table.words[0]
        raise VectorFileError(
            f"the word {word!r} is blank or starts like a byte order mark, which the Projector "
            "leaves out",
            value=word,
            remedy=(HOLDS_ANY_WORD, ", or remove this word"),
        )
    if table.vector_size < 2:
        raise VectorFileError(
            "the vectors have one number, and the Projector needs two or more",
            remedy="choose another format",
        )
    step = max(1, WRITE_NUMBERS // table.vector_size)
    check_new_folder(path)
    with atomic_folder(path) as folder:
        with open(folder / VECTORS, "xb") as file:
            for start in range(0, len(table), step):
                rows = np.ascontiguousarray(table.rows(slice(start, start + step)), np.float32)
                _check_finite(table, rows, start)
                text = bytes(format_text(b"\n" * (len(rows) - 1), rows))  # each word is empty
                file.write(text[1:].replace(b"\n ", b"\n").replace(b" ", b"\t"))
        (folder / METADATA).write_bytes(join_words([*table.words, ""], "\n"))


def _check_finite(table: EmbeddingTable, rows: Vectors, start: int) -> None:
    """Check that rows hold finite numbers.

    Raises:
        VectorFileError: one does not.
    """
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        word = table.words[start + int(bad[0])]
        raise VectorFileError(
            f"the vector of {word!r} has a number that is not finite, which the Projector can't "
            "show",
            value=word,
            remedy="remove this word, or choose another format",
        )
