"""GloVe text: one line per word, `word v1 ... vD` separated by single spaces, without a header.

Specification: the output of the GloVe tool, https://nlp.stanford.edu/projects/glove/. UTF-8, not
quoted. Words may contain spaces, as `. . .` in glove.840B does, so lines are split from the right.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection

import numpy as np

from ..errors import Either, Option, VectorFileError
from ..files import COMPRESSED, PathOrFile, Source, atomic_write, open_source
from ..table import EmbeddingTable
from .common.kernels import format_text
from .common.saving import HOLDS_ANY_WORD, check_keys, check_name, join_words
from .common.sniff import HEAD, expect, starts_like_another
from .common.text import read_text, write_text
from .common.text_layout import BOM, DETECT_LINES, check_layout, detect_layout
from .common.text_rows import other_separator

__all__ = ["load_glove", "read", "save_glove"]

LONGEST_NUMBER = 17  # bytes, including its space


def load_glove(
    path: PathOrFile,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    vector_size: int | None = None,
    member: str | None = None,
) -> EmbeddingTable:
    """Load vectors from GloVe text.

    Args:
        path: the file, plain or compressed, a binary file object, or `"-"` for standard input.
        keys: read only these words; other lines are not parsed. Rows keep the file's order.
        limit: read only the first rows of the file.
        vector_size: the number of values in a line; detected if not given.
        member: the file to read from an archive.

    Raises:
        VectorFileError: the file is missing, damaged, has a word2vec header, or is of another
            format.

    Example:
        >>> table = fe.load_glove("glove.6B.50d.txt", limit=1000)
        >>> table.vectors.shape
        (1000, 50)
    """
    with open_source(path, member) as source:
        expect(source, "text")
        return read(source, keys, limit, vector_size)


def read(
    source: Source,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    vector_size: int | None = None,
) -> EmbeddingTable:
    """Read GloVe text from an open source."""
    layout = detect_layout(source, vector_size)
    if layout.promised is not None:
        raise VectorFileError(
            f"'{layout.promised} {layout.vector_size}' is a header, so this is word2vec text",
            where=f"{source.name}:1",
            remedy="use load_word2vec(path)",
        )
    return read_text(source, layout, "glove", keys, limit)


def _check_spaces(words: list[bytes], least: int) -> None:
    """Check that a reader which sees the first lines, at least `least`, finds the vector size.

    Raises:
        VectorFileError: too many of the first words contain spaces.
    """
    spaces: Counter[int] = Counter()
    for number, word in enumerate(words, 1):
        spaces[word.count(b" ")] += 1
        in_doubt = any(spaces[0] <= times for count, times in spaces.items() if count)
        if in_doubt and number >= min(least, len(words)):
            raise VectorFileError(
                f"only {spaces[0]:,} of the first {number:,} words contain no space, so readers of "
                "GloVe text would get the vector size wrong",
                remedy=HOLDS_ANY_WORD,
            )


def save_glove(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table as GloVe text. Numbers are the shortest that read back to the same float32.

    Raises:
        VectorFileError: a word contains a newline, the first one starts like a file of another
            format, too many of the first words contain spaces, or all of them end in a comma, a
            tab or a semicolon and a number.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_glove(table, "words.txt")
        >>> from pathlib import Path
        >>> Path("words.txt").read_text().splitlines()
        ['good 1.0 0.0', 'bad 0.0 1.0']
    """
    check_name(path)
    check_keys(table, "GloVe text", "\n")
    words = join_words(table.words[:DETECT_LINES], "\n").split(b"\n")
    if words[0].startswith((BOM, *COMPRESSED)) or starts_like_another(words[0], words[1:]):
        raise VectorFileError(
            f"the first word, {table.words[0]!r}, starts like a byte order mark or a file of "
            "another format, and readers would take it for that",
            value=table.words[0],
            remedy=HOLDS_ANY_WORD,
        )
    _check_spaces(words, HEAD // (LONGEST_NUMBER * table.vector_size + max(map(len, words))))
    if mark := other_separator(words):
        raise VectorFileError(
            f"all of the first {len(words):,} words end in {mark!r} and a number, which readers "
            "would take for the first number of the vector",
            remedy=("use ", Either("save_word2vec(table, path)", Option("to", "word2vec"))),
        )
    _check_layout(table, words)
    with atomic_write(path) as file:
        write_text(table, file)


def _check_layout(table: EmbeddingTable, words: list[bytes]) -> None:
    """Check that readers find the layout of the first lines.

    Raises:
        VectorFileError: the words look like numbers of the vectors, or like a header.
    """
    rows = np.ascontiguousarray(table.rows(slice(0, len(words))), np.float32)
    head = bytes(format_text(b"\n".join(words), rows))[:HEAD]
    try:
        check_layout(head, "")
    except VectorFileError as error:
        raise VectorFileError(
            ("readers would refuse such GloVe text: ", error.what), remedy=HOLDS_ANY_WORD
        ) from error
