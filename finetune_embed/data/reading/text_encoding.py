"""The encoding of a text file: what it states, what its bytes are, or what the caller says."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ...errors import DataError, Option

__all__ = ["UTF8", "decoded", "encoding_of"]

Blocks = Callable[[], Iterable[bytes]]

UTF8 = "utf-8"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_WORD = re.compile(rb"[\w\x80-\xff]*[\x80-\xff][\w\x80-\xff]*")
_UNDEFINED = (0x81, 0x8D, 0x8F, 0x90, 0x9D)  # in cp1252


def encoding_of(blocks: Blocks, given: str | None, path: Path) -> tuple[str, str]:
    """Return the encoding of a file, and what to report about it, if anything.

    Args:
        blocks: returns the bytes of the file.
        given: the encoding that the caller names.
        path: the file.

    Raises:
        DataError: the file is not in that encoding, or the encoding is not clear.
    """
    start = next(iter(blocks()), b"")
    marked = next((name for bom, name in _BOMS if start.startswith(bom)), None)
    shown = (marked or "").removesuffix("-sig").upper()
    if given is not None:
        name = _known(given)
        if marked == "utf-8-sig" and not name.startswith(UTF8) and _fault(blocks, marked):
            marked = None  # put in front of text in another encoding
        if marked is not None and not name.startswith(marked.removesuffix("-sig")):
            raise DataError(
                f"contradicts the byte order mark of the file, which is that of {shown}",
                where=path,
                option="encoding",
                value=given,
                remedy=("leave ", Option("encoding"), " out"),
            )
        name = marked or name
        if fault := _fault(lambda: _unmarked(blocks()), name):
            raise DataError(
                "is not the encoding of this line",
                where=f"{path}:{fault[0]}",
                option="encoding",
                value=given,
                remedy=("name the right one, or leave ", Option("encoding"), " out"),
            )
        return name, ""
    if marked is not None:
        if fault := _fault(blocks, marked):
            raise DataError(
                f"the file has the byte order mark of {shown}, but this line is not {shown}",
                where=f"{path}:{fault[0]}",
                remedy=("repair it, or name its encoding, such as ", Option("encoding", "cp1252"))
                if marked == "utf-8-sig"
                else None,
            )
        return marked, f"{path.name} is read as {shown}, by its byte order mark"
    fault = _fault(blocks, UTF8)
    if b"\0" in start:
        _check_not_utf16(start, path)
    if fault is None:
        return UTF8, ""
    line, byte = fault
    if not _is_western(blocks()):
        raise DataError(
            f"this line is not UTF-8, at byte 0x{byte:02x}, and the file does not look like cp1252",
            where=f"{path}:{line}",
            remedy=(
                "repair it, or name its encoding, such as ",
                Option("encoding", "cp1252"),
                " (Western European)",
            ),
        )
    word = next(found for block in blocks() if (found := _WORD.search(block)))
    example = word.group()[:30].decode("cp1252")
    return "cp1252", (
        f"{path.name} is not UTF-8, so it is read as cp1252 (Western European); "
        f"line {line} then has {example!r}"
    )


def decoded(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the text of a file as UTF-8, without a byte order mark."""
    if encoding == UTF8:
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    for block in _unmarked(blocks):
        yield decoder.decode(block).encode(UTF8)
    yield decoder.decode(b"", final=True).encode(UTF8)


def _unmarked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a file without the byte order mark of UTF-8."""
    for number, block in enumerate(blocks):
        yield block if number else block.removeprefix(codecs.BOM_UTF8)


def _known(name: str) -> str:
    """Return the name of an encoding as Python writes it.

    Raises:
        DataError: there is no such encoding of texts.
    """
    try:
        "".encode(name)
        codecs.getincrementaldecoder(name)
        return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise DataError(
            "is not an encoding that Python knows",
            option="encoding",
            value=name,
            remedy=("pass one, such as ", Option("encoding", "cp1252")),
        ) from error


def _fault(blocks: Blocks, encoding: str) -> tuple[int, int] | None:
    """Return the line of the first byte that an encoding does not have, and the byte."""
    decoder = codecs.getincrementaldecoder(encoding)()
    has_rest = False
    for number, block in enumerate(_ended(blocks())):
        if encoding == UTF8 and not has_rest and block.isascii():  # as fast as memory
            continue
        try:
            decoder.decode(block, not block)
        except UnicodeDecodeError as error:
            before = codecs.getincrementaldecoder(encoding)()
            lines = sum(before.decode(b).count("\n") for b in islice(blocks(), number))
            lines += error.object[: error.start].decode(encoding, "ignore").count("\n")
            return 1 + lines, error.object[error.start]
        except UnicodeError:  # UTF-16 or UTF-32 without the byte order mark that it needs
            return 1, block[0]
        has_rest = bool(decoder.getstate()[0])
    return None


def _ended(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks and, at the end, an empty one."""
    yield from (block for block in blocks if block)
    yield b""


def _check_not_utf16(start: bytes, path: Path) -> None:
    """Check that a file with NULs is not UTF-16 without a byte order mark.

    Raises:
        DataError: nearly every other byte is a NUL, or there are other NULs.
    """
    nul = np.frombuffer(start[: len(start) // 2 * 2], np.uint8).reshape(-1, 2) == 0
    even, odd = nul.mean(axis=0)
    if max(even, odd) > 0.4 and min(even, odd) < 0.1:
        likely = "utf-16-le" if odd > even else "utf-16-be"
        raise DataError(
            "this looks like UTF-16 without a byte order mark",
            where=path,
            remedy=("pass ", Option("encoding", likely)),
        )


def _is_western(blocks: Iterable[bytes]) -> bool:
    """Return whether bytes can be cp1252: letters are mostly ASCII, and the others no UTF-8."""
    counts, multibyte = np.zeros(256, np.int64), 0
    for block in blocks:
        counts += np.bincount(np.frombuffer(block, np.uint8), minlength=256)
        multibyte += sum(len(found) for found in _MULTIBYTE.findall(block))
    high = counts[0x80:].sum()
    letters = high + counts[ord("A") : ord("Z") + 1].sum() + counts[ord("a") : ord("z") + 1].sum()
    is_defined = not counts[list(_UNDEFINED)].any() and not counts[0]
    return bool(is_defined and high < 0.25 * letters and multibyte < 0.1 * high)
