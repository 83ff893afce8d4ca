"""Finds the type of the numbers in a word2vec binary from its first rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from .binary_words import LONGEST_NAME, is_odd, word_start

__all__ = ["check_numbers"]

ROWS = 200  # rows that are looked at
ENOUGH = 10  # rows of another type that are no coincidence


def check_numbers(head: bytes, is_whole: bool, promised: int, vector_size: int, name: str) -> None:
    """Check that the rows after a header `V D` are float32, little-endian.

    Args:
        head: the first bytes after the header.
        is_whole: whether these are all.
        promised: the number of rows that the header promises.
        vector_size: the number of values in a row.
        name: the file, for messages.

    Raises:
        VectorFileError: the bytes fit another type of numbers.
    """
    found = _other_type(head, is_whole, promised, vector_size)
    if found:
        raise VectorFileError(
            f"the bytes fit {found} numbers, but a word2vec binary has little-endian float32",
            where=f"{name}:1",
            value=found,
            remedy="write the file again with float32 numbers, as gensim 4 does",
        )


def _other_type(head: bytes, is_whole: bool, promised: int, vector_size: int) -> str:
    """Return the type of the numbers; "" if they are float32 or of no known type."""
    starts, end = _rows(head, 4 * vector_size, promised)
    is_complete = promised > ROWS or not is_whole or _is_end(head, end)
    if len(starts) == min(promised, ROWS) and is_complete:
        return _byte_order(head, starts, vector_size)
    for size, name in ((8, "float64"), (2, "float16"), (1, "int8")):
        others, end = _rows(head, size * vector_size, promised)
        fits = len(others) == promised and is_whole and _is_end(head, end)
        if fits or len(others) >= max(ENOUGH, 2 * len(starts) + 2):
            return name if size != 2 else _half(head, others, vector_size)
    return ""


def _rows(head: bytes, width: int, promised: int) -> tuple[list[int], int]:
    """Return where the values of rows with plausible words start, and the end of these rows."""
    starts: list[int] = []
    end = 0
    while len(starts) < min(promised, ROWS):
        word = word_start(head, end)
        space = head.find(b" ", word, word + LONGEST_NAME)
        if space <= word or space + 1 + width > len(head) or is_odd(head[word:space]):
            break
        starts.append(space + 1)
        end = space + 1 + width
    return starts, end


def _is_end(head: bytes, at: int) -> bool:
    return word_start(head, at) == len(head)


def _values(head: bytes, starts: list[int], size: int, dtype: str) -> npt.NDArray[np.float64]:
    kind = np.dtype(dtype)
    rows = [np.frombuffer(head, kind, size, start) for start in starts]
    return np.abs(np.concatenate(rows).astype(np.float64))


def _byte_order(head: bytes, starts: list[int], size: int) -> str:
    """Return `big-endian float32` if rows are plausible in that order, and in no other."""
    with np.errstate(invalid="ignore"):
        little, big = (_values(head, starts, size, dtype) for dtype in ("<f4", ">f4"))
    if len(little) < ENOUGH or not _are_sane(big) or not big.any():
        return ""
    return "" if np.mean(_sane(little)) > 0.5 else "big-endian float32"


def _half(head: bytes, starts: list[int], size: int) -> str:
    bits = np.concatenate([np.frombuffer(head, "<u2", size, start) for start in starts])
    as_brain = np.abs((bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64))
    middle = np.median(as_brain)
    return "bfloat16" if 1e-4 < middle < 1e2 and _are_sane(as_brain) else "float16"


def _sane(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    plausible: npt.NDArray[np.bool_] = (values == 0) | ((values > 1e-12) & (values < 1e6))
    return plausible


def _are_sane(values: npt.NDArray[np.float64]) -> bool:
    return bool(_sane(values).all())
