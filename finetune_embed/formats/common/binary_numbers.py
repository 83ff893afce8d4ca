"""Finds the type of the numbers in a word2vec binary from its first rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from .binary_words import LONGEST_NAME, is_odd, word_start

__all__ = ["check_numbers"]

ROWS = 200  # rows that are looked at
ENOUGH = 10  # rows of another type that are no coincidence
MARKS = (b"\0", b"\t", b"\n", b",", b";", b"|")  # that may follow words in place of a space
MANY = 64  # numbers that must look like integers


def check_numbers(head: bytes, is_whole: bool, promised: int, vector_size: int, name: str) -> None:
    """Check that the rows after a header `V D` are float32, little-endian.

    Args:
        head: the first bytes after the header.
        is_whole: whether these are all.
        promised: the number of rows that the header promises.
        vector_size: the number of values in a row.
        name: the file, for messages.

    Raises:
        VectorFileError: the bytes fit another type of numbers, or another byte than a space follows
            each word.
    """
    if mark := _other_mark(head, promised, vector_size):
        raise VectorFileError(
            f"{mark.decode()!r}, not a space, is between each word and its numbers",
            where=name,
            value=mark.decode(),
            remedy="write the file again with a space after each word",
        )
    width, found = _other_type(head, is_whole, promised, vector_size)
    if found == "float32":
        raise VectorFileError(
            f"the header promises vectors of {vector_size:,} numbers, but the rows have "
            f"{width // 4:,} float32 numbers",
            where=f"{name}:1",
            value=vector_size,
            remedy="correct the header, or, if the numbers are complex, write their parts as rows",
        )
    if found:
        raise VectorFileError(
            f"the bytes fit {found} numbers, but a word2vec binary has little-endian float32",
            where=f"{name}:1",
            value=found,
            remedy="write the file again with float32 numbers, as gensim 4 does",
        )


def _other_mark(head: bytes, promised: int, vector_size: int) -> bytes:
    """Return the byte that follows each of the first words in place of a space; else none."""
    width, least = 4 * vector_size, min(promised, ENOUGH)
    if len(_rows(head, width, least)[0]) == least:
        return b""
    for mark in MARKS:
        starts, _ = _rows(head, width, least, mark)
        rows = b"".join(head[start : start + width] for start in starts)
        if starts and len(starts) == least and _are_sane(_values(rows, "<f4")):
            return mark
    return b""


def _other_type(head: bytes, is_whole: bool, promised: int, vector_size: int) -> tuple[int, str]:
    """Return the bytes of a row and the type of its numbers; "" if it is right, or unknown.

    A type is known if all rows, to the end of the file or of the head, have its length.
    """
    for size in (4, 8, 2, 1):
        width = size * vector_size
        starts, end = _rows(head, width, promised)
        is_complete = promised > ROWS or not is_whole or _is_end(head, end)
        if starts and len(starts) == min(promised, ROWS) and is_complete:
            rows = b"".join(head[start : start + width] for start in starts)
            return width, _name(rows, size, vector_size)
    return 0, ""


def _name(rows: bytes, size: int, vector_size: int) -> str:
    """Return the type of numbers of some bytes each; "" if it is right, or unknown."""
    if size == 4:
        little, big = _values(rows, "<f4"), _values(rows, ">f4")
        used = little[little != 0]
        if len(little) < ENOUGH or not len(used) or np.mean(_sane(used)) > 0.5:
            return ""
        if _are_sane(big):
            return "big-endian float32"
        if len(little) < MANY:
            return ""
        return "int32" if _small(rows, "<i4") else "big-endian int32" if _small(rows, ">i4") else ""
    if size == 2 and (name := _half(rows)):
        return name
    is_single = size * vector_size % 4 == 0 and _are_sane(singles := _values(rows, "<f4"))
    if is_single and (size != 8 or np.mean(singles[::2] != 0) > 0.5):
        return "float32"  # in rows of another length
    if size == 8:
        found = ("float64", "<f8"), ("big-endian float64", ">f8")
        names = [name for name, dtype in found if _are_sane(_values(rows, dtype))]
        return names[0] if names else "int64" if _small(rows, "<i8") else ""
    return "16-bit" if size == 2 else "int8 or uint8"


def _rows(head: bytes, width: int, promised: int, mark: bytes = b" ") -> tuple[list[int], int]:
    """Return where the values of rows with plausible words start, and the end of these rows."""
    starts: list[int] = []
    end = 0
    while len(starts) < min(promised, ROWS):
        word = word_start(head, end)
        space = head.find(mark, word, word + LONGEST_NAME)
        if space <= word or space + 1 + width > len(head) or is_odd(head[word:space]):
            break
        starts.append(space + 1)
        end = space + 1 + width
    return starts, end


def _is_end(head: bytes, at: int) -> bool:
    return word_start(head, at) == len(head)


def _values(rows: bytes, dtype: str) -> npt.NDArray[np.float64]:
    with np.errstate(all="ignore"):
        return np.abs(np.frombuffer(rows, dtype).astype(np.float64))


def _small(rows: bytes, dtype: str) -> bool:
    """Return whether integers are so small that they are no other numbers."""
    return bool(np.all(_values(rows, dtype) < 1 << 24))


def _half(rows: bytes) -> str:
    """Return the type of 16-bit floats that look like vectors, or ""."""
    brain = (np.frombuffer(rows, "<u2").astype(np.uint32) << 16).tobytes()
    as_brain, as_half = _values(brain, "<f4"), _values(rows, "<f2")
    for name, values in (("bfloat16", as_brain), ("float16", as_half)):
        if 1e-4 < np.median(values) < 1e2 and values.max() < 1e3 and _are_sane(values):
            return name
    return ""


def _sane(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    plausible: npt.NDArray[np.bool_] = (values == 0) | ((values > 1e-12) & (values < 1e6))
    return plausible


def _are_sane(values: npt.NDArray[np.float64]) -> bool:
    return bool(_sane(values).all())
