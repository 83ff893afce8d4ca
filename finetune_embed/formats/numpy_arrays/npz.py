"""The `.npz` container: a zip archive of `.npy` arrays, read in place and written reproducibly.

Specification: `numpy.savez`; https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (zip).
"""

from __future__ import annotations

import contextlib
import io
import math
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from lzma import LZMAError
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from ...errors import VectorFileError
from ...files import Source, is_clutter, open_member
from ..common.npy import StoredArray, open_array

__all__ = ["ArchiveWriter", "open_archive"]

ALIGNMENT = 64  # bytes
_LOCAL = 30  # bytes of a member's header before its name
_ZIP64 = 20  # bytes that zipfile adds to the header of a large member
_EXTRA = 0xD935  # the extra field that other tools use to align members
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # encrypted, or an unsupported compression method
    ValueError,
    struct.error,
)


@contextlib.contextmanager
def open_archive(source: Source) -> Iterator[dict[str, StoredArray]]:
    """Open the arrays of an archive, by name. Uncompressed ones are read in place.

    Raises:
        VectorFileError: the archive is damaged, which may be found only when an array is read.
    """
    data = source.read_all()
    mapped = isinstance(data.obj, mmap.mmap) and source.path is not None
    try:
        with zipfile.ZipFile(cast(Path, source.path) if mapped else io.BytesIO(data)) as archive:
            yield dict(_arrays(source, data, archive))
    except VectorFileError:
        raise
    except _DAMAGE as error:
        raise VectorFileError(
            f"the archive is damaged ({error})",
            where=source.name,
            remedy="fetch the file again",
        ) from error


def _arrays(
    source: Source, data: memoryview, archive: zipfile.ZipFile
) -> Iterator[tuple[str, StoredArray]]:
    for info in archive.infolist():
        if is_clutter(info.filename):
            continue
        file = open_member(archive, info)
        inside = None
        if info.compress_type == zipfile.ZIP_STORED:
            lengths = struct.unpack_from("<HH", data, info.header_offset + _LOCAL - 4)
            begin = info.header_offset + _LOCAL + sum(lengths)
            inside = data[begin : begin + info.file_size]
        array = open_array(f"{source.name}#{info.filename}", file, inside)
        array = replace(array, packed=min(info.compress_size, source.packed))
        array.check_claim(info.file_size)
        if len(array.shape) < 2 and inside is not None and zlib.crc32(inside) != info.CRC:
            raise VectorFileError(
                "the array is damaged: its CRC-32 differs from the archive's",
                where=array.name,
                remedy="fetch the file again",
            )
        yield info.filename.removesuffix(".npy"), array


class ArchiveWriter:
    """Writes arrays to an archive, uncompressed and aligned; equal arrays give equal bytes.

    Args:
        file: a seekable file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._archive = zipfile.ZipFile(file, "w")

    def add(self, name: str, dtype: str, shape: tuple[int, ...], blocks: Iterable[Any]) -> None:
        """Write one array, given as blocks of its rows."""
        header = io.BytesIO()
        described = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, described)
        info = zipfile.ZipInfo(f"{name}.npy")
        info.create_system, info.external_attr = 3, 0o644 << 16
        info.file_size = header.tell() + math.prod(shape) * np.dtype(dtype).itemsize
        large = info.file_size > zipfile.ZIP64_LIMIT * 0.9
        before = self._file.tell() + _LOCAL + len(info.filename) + 4 + _ZIP64 * large
        padding = -before % ALIGNMENT
        info.extra = struct.pack("<HH", _EXTRA, padding) + bytes(padding)
        with self._archive.open(info, "w", force_zip64=large) as member:
            member.write(header.getvalue())
            for block in blocks:
                member.write(np.ascontiguousarray(block, dtype).view(np.uint8).data)

    def close(self) -> None:
        """Write the archive's directory."""
        self._archive.close()
