"""Memory maps of files, which notice that their file was changed."""

from __future__ import annotations

import mmap
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError

__all__ = ["MappedFile", "refuse_changed"]

_OPEN: weakref.WeakSet[MappedFile] = weakref.WeakSet()


class MappedFile(mmap.mmap):
    """A read-only memory map of a whole file.

    Attributes:
        path: the file.
        start: the address of its first byte.
    """

    path: Path
    start: int
    _file: Any
    _state: tuple[int, int]

    @classmethod
    def open(cls, path: Path) -> MappedFile:
        """Map a file.

        Raises:
            VectorFileError: it cannot be opened, for example since too many files are open.
        """
        try:
            file = open(path, "rb")  # noqa: SIM115  (closed with the map)
            try:
                mapped = cls(file.fileno(), 0, access=mmap.ACCESS_READ)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise VectorFileError(f"can't be read: {error.strerror}", where=path) from error
        mapped.path, mapped._file = path, file
        mapped._state = mapped._now()
        mapped.start = np.frombuffer(mapped, np.uint8).__array_interface__["data"][0]
        weakref.finalize(mapped, file.close)
        _OPEN.add(mapped)
        return mapped

    def _now(self) -> tuple[int, int]:
        """Return the size and the time of the last change of the file that was opened."""
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def refuse_changed(self) -> None:
        """Raise an error if the file was changed since it was opened.

        A file that another one replaced is unchanged: the map still shows the old one.

        Raises:
            VectorFileError: its size or the time of its last change differs.
        """
        size, _ = self._now()
        if self._now() != self._state:
            raise VectorFileError(
                "the file was changed while its vectors were in use: it has "
                f"{size:,} bytes, and had {self._state[0]:,}",
                where=self.path,
                remedy="load it again, and replace a file in use instead of writing to it",
            )


def refuse_changed(array: npt.NDArray[Any]) -> None:
    """Raise an error if an array is in a mapped file that was changed since it was opened.

    Raises:
        VectorFileError: see `MappedFile.refuse_changed`.
    """
    at = array.__array_interface__["data"][0]
    for mapped in list(_OPEN):
        if mapped.start <= at < mapped.start + len(mapped):
            mapped.refuse_changed()
