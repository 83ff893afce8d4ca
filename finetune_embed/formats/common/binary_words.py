"""What can be a word in a word2vec binary, judged from its bytes and from the values beside it."""

from __future__ import annotations

import numpy as np

from ...errors import VectorFileError
from .text_rows import quoted

__all__ = [
    "FEW",
    "LONGEST_NAME",
    "NO_WORD",
    "SOUND",
    "SPACED",
    "TOO_LARGE",
    "fault_error",
    "is_huge",
    "is_noise",
    "is_odd",
    "is_plausible",
    "is_wild",
    "rest_of_word",
    "word_start",
]

FEW = 3  # plausible rows, after which an implausible one is a sign of damage
LONGEST_NAME = 256  # bytes of a word with spaces, which the format can't hold
#: Faults of a row: none, a word with spaces, bytes that are no word beside implausible values, and
#: values that no vectors have.
SOUND, SPACED, NO_WORD, TOO_LARGE = range(4)


def character(data: bytes, at: int) -> int:
    """Return the bytes of a character, neither white space nor an ASCII control, as UTF-8; or 0."""
    first = data[at] if at < len(data) else 0
    more = 0 if first < 0x80 else 1 if first < 0xE0 else 2 if first < 0xF0 else 3
    if first <= 0x20 or 0x7F <= first < 0xC2 or first > 0xF4 or len(data) - at <= more:
        return 0
    return more + 1 if all(code & 0xC0 == 0x80 for code in data[at + 1 : at + more + 1]) else 0


def is_odd(word: bytes) -> bool:
    """Return whether a word starts with no character, or holds control characters."""
    return bool(word) and (
        not character(word, 0) or any(code < 0x20 or code == 0x7F for code in word)
    )


def is_wild(row: bytes) -> bool:
    """Return whether a value of a row is not finite, or of a size that vectors do not have."""
    values = np.abs(np.frombuffer(row, "<f4"))
    small, large = np.float32(1e-12), np.float32(1e6)
    return not bool(np.all((values == 0) | ((values > small) & (values < large))))


def is_noise(row: bytes) -> bool:
    """Return whether a value is finite and of a size that vectors do not have.

    That is a sign of misplaced bytes.
    """
    values = np.abs(np.frombuffer(row, "<f4"))
    small, large = np.float32(1e-12), np.float32(1e6)
    usual = (values == 0) | ((values > small) & (values < large))
    return bool(np.any(np.isfinite(values) & ~usual))


def is_huge(row: bytes) -> bool:
    """Return whether a value is finite and larger than those of any vectors: misplaced bytes."""
    values = np.abs(np.frombuffer(row, "<f4"))
    return bool(np.any((values > np.float32(1e10)) & (values < np.inf)))


def is_plausible(row: bytes) -> bool:
    """Return whether the values of a row are of a size that vectors have, and not all 0."""
    return not is_wild(row) and bool(np.frombuffer(row, "<f4").any())


def rest_of_word(data: bytes, row: int, width: int, is_last: bool) -> int:
    """Return the bytes that belong to the word before a row, if that word has spaces.

    It has if text and a space are at the start of the row, the values after them are plausible and
    a word follows them, but the values of the row, or the word after it, are not.

    Args:
        data: bytes of a file.
        row: where the row starts in them.
        width: the bytes of a row.
        is_last: whether the file ends where the data do.

    Returns:
        The number of bytes; 0 if the word has no spaces, -1 if more bytes are needed to see that.
    """
    if len(data) - row < LONGEST_NAME and not is_last:
        return -1
    at, stop = row, min(len(data), row + LONGEST_NAME)
    while at < stop:
        if data[at] != 0x20:
            if not (size := character(data, at)):
                return 0
            at += size
            continue
        at += 1
        if len(data) - at < width:
            if not is_last:
                return -1
            continue
        if is_wild(data[at : at + width]):
            continue
        start = end = word_start(data, at + width)
        if start < len(data) or not is_last:
            while end - start < LONGEST_NAME and (size := character(data, end)):
                end += size
            if len(data) - end < 4 and not is_last:
                return -1
            if end in (start, len(data)) or data[end] != 0x20:
                continue
        word = word_start(data, row + width)
        space = data.find(b" ", word)
        odd = width > 4 and is_odd(data[word : None if space < 0 else space])
        if is_noise(data[row : row + width]) or odd:
            return at - row
    return 0


def word_start(data: bytes, at: int) -> int:
    """Return where a word starts, after newlines."""
    while data[at : at + 1] == b"\n":
        at += 1
    return at


def fault_error(name: str, fault: int, row: int, offset: int, word: bytes) -> VectorFileError:
    """Return the error for a word that can't be one.

    Args:
        name: the file.
        fault: what is wrong with it.
        row: the number of its row, from 1.
        offset: the byte of the file at which it starts.
        word: its bytes.
    """
    if fault == SPACED:
        return VectorFileError(
            f"row {row:,}, at byte {offset:,}: the word {quoted(word)} contains a space, which a "
            "word2vec binary can't hold",
            where=name,
            value=word.decode("utf-8", "surrogateescape"),
            remedy="write the file again with another character for the spaces, as in new_york",
        )
    if fault == TOO_LARGE:
        return VectorFileError(
            f"row {row:,}, at byte {offset:,}: numbers beside {quoted(word)} are above 1e10, which "
            "those before are not, so bytes are missing or added here",
            where=name,
            value=word.decode("utf-8", "surrogateescape"),
            remedy="the file is damaged in this row or the one before; fetch it again",
        )
    return VectorFileError(
        f"row {row:,}, at byte {offset:,}: {quoted(word)} can't be a word beside these numbers, so "
        "it is where no row starts",
        where=name,
        value=word.decode("utf-8", "surrogateescape"),
        remedy="the file is damaged before that; fetch it again",
    )
