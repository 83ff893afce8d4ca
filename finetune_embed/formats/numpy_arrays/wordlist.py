r"""Word lists: the word of each row of an array that holds only numbers.

The content of a file decides its kind: JSON, as a list of words or a map of words to rows; an
`.npy` array of words; else text with one word per line, spaces included, in UTF-8 (other bytes are
kept). Lines end in `\n`, or all of them in `\r\n`.
"""

from __future__ import annotations

import json
import math
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
from ..common.folders import JSON_SIZE
from ..common.npy import MAX_SIZE, WORD, StoredArray, open_array
from ..common.sniff import expect_text
from ..common.text_rows import quoted

__all__ = ["SIDECARS", "WordList", "array_words", "beside", "places", "words_of"]

WordList = str | os.PathLike[str] | Sequence[str] | Mapping[str, int] | npt.NDArray[Any]

#: The names of word lists beside `X.npy` or `X.npz`, in the order of the search; `{}` is `X`.
SIDECARS = ("{}.words", "{}.words.txt", "{}.vocab", "words.txt", "vocab.txt", "vocab.json")

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NPY = b"\x93NUMPY"
_ARRAY_SUFFIX = re.compile(r"\.np[yz](\.\w+)?$", re.IGNORECASE)
_COUNTED = re.compile(rb".*[ \t]\d+\r?")


def words_of(words: WordList) -> list[str]:
    """Return a list of words, or read one from a file.

    Raises:
        VectorFileError: the file is missing or damaged, an item is not a word, or a map does not
            give each row one word.
    """
    if isinstance(words, (str, os.PathLike)):
        return _read(words)
    if isinstance(words, Mapping):
        return _by_row(words, "words")
    return _checked(words.tolist() if isinstance(words, np.ndarray) else list(words), "words")


def places(source: Source) -> list[Path]:
    """Return the paths where the word list of an array's file may be."""
    if source.path is None:
        return []
    stem = _ARRAY_SUFFIX.sub("", source.path.name)
    return [source.path.with_name(name.replace("{}", stem)) for name in SIDECARS]


def beside(source: Source) -> Path | None:
    """Return the word list beside an array's file; None if there is none."""
    return next((place for place in places(source) if place.is_file()), None)


def array_words(array: StoredArray) -> list[str]:
    """Return the words of an array `(V,)` of characters or UTF-8 bytes.

    Raises:
        VectorFileError: it holds numbers that are not characters, or words of over a million
            characters.
    """
    if array.dtype.itemsize > 4 * MAX_SIZE:
        raise VectorFileError(
            f"this is not an array of words: each would take {array.dtype.itemsize:,} bytes",
            where=array.name,
        )
    words: list[str] = []
    length = 0
    try:
        for block in array.blocks():
            if array.dtype.kind == "S":
                words += [word.decode("utf-8", "surrogateescape") for word in block.tolist()]
            else:
                _check_codes(block)
                words += block.tolist()
            length += sum(map(len, words[-len(block) :]))
            array.check_size(length + WORD * len(words))
    except VectorFileError:
        raise
    except (ValueError, SystemError) as error:  # a code beyond Unicode
        raise VectorFileError(
            "this word, or one soon after it, holds numbers that are not characters",
            where=f"{array.name}[{len(words)}]",
            remedy="the file is damaged; fetch it again",
        ) from error
    return words


def _check_codes(block: npt.NDArray[Any]) -> None:
    """Refuse codes beyond Unicode, of which numpy makes strings that crash Python."""
    codes = np.ascontiguousarray(block).view(np.uint8)
    order = ">" if block.dtype.str.startswith(">") else "<"
    if codes.size and codes.view(f"{order}u4").max() > sys.maxunicode:
        raise ValueError("a code beyond Unicode")


def _read(path: str | os.PathLike[str]) -> list[str]:
    with open_source(path) as source:
        if source.peek(len(_NPY)) == _NPY:
            array = open_array(source.name, source)
            source.refuse_bomb(WORD * math.prod(array.shape))
            if not array.is_words:
                raise VectorFileError(
                    f"this is {array}, not an array of words",
                    where=source.name,
                    remedy="save it as one: numpy.save(path, numpy.array(words, dtype=str))",
                )
            return array_words(array)
        head = source.peek(4)
        if head[:2] in _UTF16 and head[2:] != b"\0\0":  # with zeros, it is UTF-32
            raise VectorFileError(
                "this is UTF-16", where=source.name, remedy="save the words as UTF-8"
            )
        expect_text(source, "a list of words")
        data = bytes(source.read_all()).removeprefix(_BOM)
        source.refuse_bomb(WORD * data.count(b"\n"))
        if data.lstrip()[:1] in (b"[", b"{"):
            source.refuse_bomb(JSON_SIZE * len(data))
            try:
                found = json.loads(data.decode("utf-8", "surrogateescape"))
            except (ValueError, RecursionError):
                return _lines(data, source.name)
            if isinstance(found, dict):
                return _by_row(found, source.name)
            return _checked(found, source.name)
        return _lines(data, source.name)


def _lines(data: bytes, name: str) -> list[str]:
    """Return the words of a text file, one per line.

    Raises:
        VectorFileError: each line ends in a number, or starts with its own.
    """
    lines = data.removesuffix(b"\n").split(b"\n")
    if len(lines) > 1 and all(map(_COUNTED.fullmatch, lines)):
        raise VectorFileError(
            f"each line ends in a number, such as {quoted(lines[0])}, but a line must be a word",
            where=name,
            remedy="remove the numbers",
        )
    numbers = [line.partition(b"\t")[0] for line in lines]
    if (
        len(lines) > 1
        and b"\t" in lines[0]
        and any(
            numbers == [b"%d" % at for at in range(first, first + len(lines))] for first in (0, 1)
        )
    ):
        raise VectorFileError(
            f"each line starts with its number, such as {quoted(lines[0])}, but a line must be a "
            "word",
            where=name,
            remedy="remove the numbers: cut -f 2- FILE > NEW_FILE",
        )
    closed = lines if data.endswith(b"\n") else lines[:-1]
    if closed and all(line.endswith(b"\r") for line in closed):
        lines = [line.removesuffix(b"\r") for line in lines]
    return [line.decode("utf-8", "surrogateescape") for line in lines]


def _checked(words: list[Any], name: str) -> list[str]:
    """Return a list of words unchanged.

    Raises:
        VectorFileError: an item is not a string.
    """
    for row, word in enumerate(words):
        if not isinstance(word, str):
            raise VectorFileError(
                f"this is {str(word)[:60]}, of type {type(word).__name__}, not a word",
                where=f"{name}[{row}]",
                value=word,
                remedy="pass a list of strings",
            )
    return words


def _by_row(rows: Mapping[str, Any], name: str) -> list[str]:
    """Return the words of a map of words to rows, in the order of the rows.

    Raises:
        VectorFileError: the map does not give each row one word.
    """
    numbers = {row for row in rows.values() if isinstance(row, (int, np.integer))}
    if rows and numbers == set(range(1, len(rows) + 1)):
        raise VectorFileError(
            f"this numbers {len(rows):,} words from 1, as Keras does, so row 0 has no word",
            where=name,
            value=1,
            remedy='add a word for row 0, such as "<pad>": 0, if the array has one row more than '
            "there are words; if not, number them from 0",
        )
    words: list[str | None] = [None] * len(rows)
    for word, row in rows.items():
        is_valid = isinstance(word, str) and isinstance(row, (int, np.integer)) and row is not True
        if not is_valid or not 0 <= row < len(rows):
            raise VectorFileError(
                f"this maps {word!r} to {str(row)[:60]}, which is not a row from 0 to "
                f"{len(rows) - 1}",
                where=name,
                value=row,
                remedy="number all words from 0",
            )
        if words[row] is not None:
            raise VectorFileError(
                f"this maps both {words[row]!r} and {word!r} to row {row}",
                where=name,
                value=row,
                remedy="give each word a row of its own",
            )
        words[row] = word
    return [word for word in words if word is not None]
