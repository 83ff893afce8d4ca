"""Compressed files and archives for tests, valid and damaged."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile

import pyarrow

__all__ = ["lying_tar", "patched_zip", "tarred", "zipped", "zstd"]


def zstd(data: bytes) -> bytes:
    """Return data compressed by zstandard."""
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return sink.getvalue().to_pybytes()


def zipped(*members: tuple[str, bytes]) -> bytes:
    """Return a zip archive of members `(name, data)`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)  # a fixed time
    return file.getvalue()


def patched_zip(data: bytes, offset: int, value: int, field: str = "<H") -> bytes:
    """Return a zip archive with one field changed in both headers.

    Args:
        data: the content of its member.
        offset: the offset of the field in the local header.
        value: the new value.
        field: the format of the field, for `struct`.
    """
    archive = bytearray(zipped(("v.txt", data)))
    central = archive.index(b"PK\x01\x02")
    for place in (offset, central + offset + 2):
        struct.pack_into(field, archive, place, value)
    return bytes(archive)


def tarred(*members: tuple[str, bytes], mode: str = "w", kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a tar archive of members `(name, data)`, all of the same kind."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=tarfile.GNU_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = "/etc/passwd"
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def lying_tar(kind: bytes, size: int) -> bytes:
    """Return the header of a tar member that promises bytes that don't follow."""
    info = tarfile.TarInfo("v.txt")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)
