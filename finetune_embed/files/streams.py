"""Recognise compressed data by its first bytes, and decompress it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, cast

__all__ = [
    "ARCHIVES",
    "COMPRESSED",
    "DAMAGE",
    "KIND_BYTES",
    "PrefixedReader",
    "decompressor",
    "kind_of",
    "open_member",
    "zstd_window",
]

_PACKED = 1 << 16  # compressed bytes read at a time
MEMORY = 1 << 28  # bytes that a dictionary of xz may take
#: Kinds of compressed files by their first bytes. All but zip can be read from a pipe.
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
ARCHIVES = ("zip", "tar")
_LOCAL = 30  # bytes of the header of a zip member before its name
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # a frame of zstandard without data
_TAR = (257, b"ustar")
KIND_BYTES = _TAR[0] + len(_TAR[1])  # the bytes that `kind_of` needs
#: What decompressors raise on damaged data.
DAMAGE = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    RuntimeError,
    ValueError,
    IndexError,  # a zip member without a name
    struct.error,
    MemoryError,
)


def kind_of(head: bytes) -> str:
    """Return how a file is compressed, by its first bytes; `""` if it is not."""
    if head[_TAR[0] : KIND_BYTES] == _TAR[1]:
        return "tar"
    if _SKIPPABLE.match(head):
        return "zstandard"
    return next((kind for magic, kind in COMPRESSED.items() if head.startswith(magic)), "")


def decompressor(kind: str, stream: io.BufferedReader) -> Any:
    """Return a stream of the decompressed bytes of `stream`."""
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if kind == "bzip2":
        return io.BufferedReader(_ConcatenatedReader(stream, bz2.BZ2Decompressor), _PACKED)
    if kind == "xz":
        return io.BufferedReader(_ConcatenatedReader(stream, _new_xz), _PACKED)
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(stream, "r"), "zstd")


def _new_xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=MEMORY)


def zstd_window(head: bytes) -> int:
    """Return the logarithm of the window that the first frame of zstandard data needs."""
    while _SKIPPABLE.match(head):
        head = head[8 + int.from_bytes(head[4:8], "little") :]
    is_single = len(head) < 6 or head[4] & 0x20  # then the window is the size of the content
    return 31 if is_single else 10 + (head[5] >> 3) + bool(head[5] & 7)


class _PieceReader(io.RawIOBase):
    """A raw reader of the bytes that `piece` returns."""

    @abstractmethod
    def piece(self, size: int) -> bytes:
        """Return some of the next bytes, at most `size`; none at the end."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self.piece(len(view))
        view[: len(data)] = data
        return len(data)


class PrefixedReader(_PieceReader):
    """Reads bytes that were taken from a stream earlier, then the rest of the stream.

    Args:
        head: the bytes taken earlier.
        rest: the stream.
        check: called with the number of bytes returned so far, after each piece.
    """

    def __init__(self, head: bytes, rest: Any, check: Callable[[int], None]) -> None:
        self._head, self._rest, self._check = head, rest, check
        self._returned = 0

    def piece(self, size: int) -> bytes:
        data: bytes = self._head[:size] or self._rest.read(size)
        self._head = self._head[size:]
        self._returned += len(data)
        self._check(self._returned)
        return data


class _ConcatenatedReader(_PieceReader):
    """Decompresses streams that follow each other, up to the end of the file.

    `bz2.BZ2File` and `lzma.LZMAFile` silently end where a later stream starts with damaged bytes.
    Zeros between and after streams are padding.
    """

    def __init__(self, packed: io.BufferedReader, new: Callable[[], Any]) -> None:
        self._packed, self._new, self._current = packed, new, new()

    def piece(self, size: int) -> bytes:
        data = b""
        while not data:
            fed = b""
            if self._current.eof:
                if not (fed := self._start_of_next()):
                    break
                self._current = self._new()
            elif self._current.needs_input and not (fed := self._packed.read(_PACKED)):
                raise EOFError("compressed file ended before the end-of-stream marker was reached")
            data = self._current.decompress(fed, size)
        return data

    def _start_of_next(self) -> bytes:
        """Return the first bytes of the next stream, none at the end of the file."""
        fed: bytes = self._current.unused_data.lstrip(b"\0")
        while not fed and (more := self._packed.read(_PACKED)):
            fed = more.lstrip(b"\0")
        return fed


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    """Return a stream of the decompressed bytes of a member of a zip archive.

    `zipfile` expands a block of bzip2 or LZMA whole, whatever its size; these are read here.
    """
    if member.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        return archive.open(member)
    if member.flag_bits & 1:
        raise RuntimeError(f"File {member.filename!r} is encrypted")
    return io.BufferedReader(_MemberReader(cast(Any, archive.fp), member), _PACKED)


class _MemberReader(_PieceReader):
    """Reads a member of a zip archive that is compressed by bzip2 or LZMA."""

    def __init__(self, file: Any, member: zipfile.ZipInfo) -> None:
        file.seek(member.header_offset)
        header = file.read(_LOCAL)
        if header[:4] != b"PK\x03\x04" or len(header) < _LOCAL:
            raise zipfile.BadZipFile("Bad magic number for file header")
        file.seek(sum(struct.unpack("<HH", header[-4:])), io.SEEK_CUR)
        self._file, self._left = file, member.compress_size
        self._member, self._returned, self._crc = member, 0, 0
        self._fed = b""
        self._current: Any = bz2.BZ2Decompressor()
        if member.compress_type == zipfile.ZIP_LZMA:  # its header lacks the size
            _, size = struct.unpack("<HH", self._packed(4))
            has_end = member.flag_bits & 2
            length = b"\xff" * 8 if has_end else struct.pack("<Q", member.file_size)
            self._fed = self._packed(size) + length
            self._current = lzma.LZMADecompressor(lzma.FORMAT_ALONE, MEMORY)

    def piece(self, size: int) -> bytes:
        data = b""
        while not data and not self._current.eof:
            fed, self._fed = self._fed, b""
            if not fed and self._current.needs_input and not (fed := self._packed(_PACKED)):
                raise EOFError("the member is cut short")
            data = self._current.decompress(fed, size)
        self._returned += len(data)
        self._crc = zlib.crc32(data, self._crc)
        if not data and (self._returned, self._crc) != (self._member.file_size, self._member.CRC):
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {self._member.filename!r}")
        return data

    def _packed(self, size: int) -> bytes:
        data: bytes = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data
