r"""Word lists: which word belongs to each row of an array that holds numbers only.

A list is told by its content: JSON, as a list of words or a map of each word to its row; an `.npy`
array of words; else text, one word a line in UTF-8 (other bytes are kept), lines closed by `\n` or
all by `\r\n`. A line is one word as a whole, spaces included.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import Source, open_source
from ..common.npy import MAX_SIZE, StoredArray, open_array

__all__ = ["SIDECARS", "WordList", "array_words", "beside", "places", "words_of"]

WordList = str | os.PathLike[str] | Sequence[str] | Mapping[str, int] | npt.NDArray[Any]

#: Where a word list is looked for beside `X.npy` or `X.npz`, in this order; `{}` is `X`.
SIDECARS = ("{}.words", "{}.words.txt", "{}.vocab", "words.txt", "vocab.txt", "vocab.json")

_BOM = b"\xef\xbb\xbf"
_NPY = b"\x93NUMPY"
_ARRAY_SUFFIX = re.compile(r"\.np[yz](\.\w+)?$", re.IGNORECASE)
_COUNTED = re.compile(rb".*[ \t]\d+\r?")


def words_of(words: WordList) -> list[str]:
    """Return a list of words, or read one from a file.

    Raises:
        VectorFileError: the file is missing or damaged, something in it is not a word, or a map
            does not give each row one word.
    """
    if isinstance(words, (str, os.PathLike)):
        return _read(words)
    if isinstance(words, Mapping):
        return _by_row(words, "words")
    return _checked(words.tolist() if isinstance(words, np.ndarray) else list(words), "words")


def places(source: Source) -> list[Path]:
    """Return where a word list is looked for beside an array's file."""
    if source.path is None:
        return []
    stem = _ARRAY_SUFFIX.sub("", source.path.name)
    return [source.path.with_name(name.replace("{}", stem)) for name in SIDECARS]


def beside(source: Source) -> Path | None:
    """Return the word list that lies beside an array's file; None where there is none."""
    return next((place for place in places(source) if place.is_file()), None)


def array_words(array: StoredArray) -> list[str]:
    """Return the words of an array `(V,)` of characters or of UTF-8 bytes, block by block.

    Raises:
        VectorFileError: it holds numbers that are no characters, or words of over a million.
    """
    if array.dtype.itemsize > 4 * MAX_SIZE:
        raise VectorFileError(
            f"{array.name}: words of {array.dtype.itemsize:,} bytes; this is no array of words"
        )
    words: list[str] = []
    try:
        for block in array.blocks():
            if array.dtype.kind == "S":
                words += [word.decode("utf-8", "surrogateescape") for word in block.tolist()]
            else:
                _check_codes(block)
                words += block.tolist()
    except (ValueError, SystemError) as error:  # a code beyond Unicode
        if isinstance(error, VectorFileError):
            raise
        raise VectorFileError(
            f"{array.name}[{len(words)}] or one soon after holds numbers that are no characters; "
            "the file is damaged"
        ) from error
    return words


def _check_codes(block: npt.NDArray[Any]) -> None:
    """Refuse characters beyond Unicode, of which numpy makes strings that Python trips over."""
    codes = np.ascontiguousarray(block).view(np.uint8)
    order = ">" if block.dtype.str.startswith(">") else "<"
    if codes.size and codes.view(f"{order}u4").max() > sys.maxunicode:
        raise ValueError("a code beyond Unicode")


def _read(path: str | os.PathLike[str]) -> list[str]:
    with open_source(path) as source:
        if source.peek(len(_NPY)) == _NPY:
            array = open_array(source.name, source)
            if not array.is_words:
                raise VectorFileError(
                    f"{source.name} is {array}, not an array of words; save it as one: "
                    "numpy.save(path, numpy.array(words, dtype=str))"
                )
            return array_words(array)
        data = bytes(source.read_all()).removeprefix(_BOM)
        if data.lstrip()[:1] in (b"[", b"{"):
            try:
                found = json.loads(data.decode("utf-8", "surrogateescape"))
            except (ValueError, RecursionError):
                return _lines(data, source.name)
            if isinstance(found, dict):
                return _by_row(found, source.name)
            return _checked(found, source.name)
        return _lines(data, source.name)


def _lines(data: bytes, name: str) -> list[str]:
    """Return one word a line."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise VectorFileError(
            f"{name} is UTF-16; a list of words is to be UTF-8, so save it as that"
        )
    lines = data.removesuffix(b"\n").split(b"\n")
    if len(lines) > 1 and all(map(_COUNTED.fullmatch, lines)):
        raise VectorFileError(
            f"{name}: each line ends in a number, such as {lines[0][:60]!r}, but a line is to be a "
            "word; cut the numbers off and pass the words: words=[...]"
        )
    closed = lines if data.endswith(b"\n") else lines[:-1]
    if closed and all(line.endswith(b"\r") for line in closed):
        lines = [line.removesuffix(b"\r") for line in lines]
    return [line.decode("utf-8", "surrogateescape") for line in lines]


def _checked(words: list[Any], name: str) -> list[str]:
    """Return a list, if all in it are words."""
    for row, word in enumerate(words):
        if not isinstance(word, str):
            raise VectorFileError(
                f"{name}[{row}] is {str(word)[:60]}, of type {type(word).__name__}, not a word; "
                "pass a list of strings"
            )
    return words


def _by_row(rows: Mapping[str, Any], name: str) -> list[str]:
    """Return the words of a map of each word to its row, in the order of the rows."""
    words: list[str | None] = [None] * len(rows)
    for word, row in rows.items():
        sound = isinstance(word, str) and isinstance(row, (int, np.integer)) and row is not True
        if not sound or not 0 <= row < len(rows):
            raise VectorFileError(
                f"{name} maps {word!r} to {str(row)[:60]}, which is none of the rows 0 to "
                f"{len(rows) - 1}; number the {len(rows):,} words from 0"
            )
        if words[row] is not None:
            raise VectorFileError(
                f"{name} maps both {words[row]!r} and {word!r} to row {row}; give each its own"
            )
        words[row] = word
    return [word for word in words if word is not None]
