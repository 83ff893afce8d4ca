"""Read a vector file in one pass: decompressed, hashed, and from inside archives.

Compression is recognised by the first bytes, never by the suffix: gzip, bzip2, xz, zstandard, zip
and tar, also a tar inside one of the others. The SHA-256 of the bytes on disk is computed in the
background. Archives are read in place: no member is ever written to disk, so none can escape.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from ..errors import Option, VectorFileError
from .archives import is_clutter, pick_member
from .hashing import CHUNK, HashingReader
from .streams import ARCHIVES, DAMAGE, KIND_BYTES, PrefixedReader, decompressor, kind_of

__all__ = ["EXPANSION_FLOOR", "MAX_EXPANSION", "Source"]

#: Decompressed bytes may be this many times the compressed ones. Text of vectors compresses about
#: 2.3 to 1, binary less, so only bombs exceed this.
MAX_EXPANSION = 200
EXPANSION_FLOOR = 1 << 26  # below 64 MB nothing is a bomb
MAX_LAYERS = 3  # a tar in a gzip in a zip
SALVAGED = 1 << 14  # bytes read at a time where everything before the damage is wanted


class Source:
    """A vector file opened for one pass: its decompressed bytes, its name and its hash.

    Attributes:
        name: where the bytes come from, for messages: a path, `path#member`, or `<stdin>`.
        path: the file on disk; None for a file object and standard input.
        compression: the layers of compression from the outside in, such as `"gzip"`, `"gzip+tar"`
            or `"zip"`; `""` for a plain file.
        damage: the error at which the compressed data ends, if it is salvaged.
    """

    def __init__(
        self,
        raw: IO[bytes],
        path: Path | None,
        name: str,
        member: str | None = None,
        salvage: bool = False,
    ) -> None:
        self.path = path
        self._is_file = path is not None and os.path.isfile(path)  # a pipe can't be read twice
        self.damage: VectorFileError | None = None
        self._salvage = salvage
        self.name = name
        self.compression = ""
        self._on_disk = HashingReader(raw)
        self._stream: Any = self._on_disk
        self._layers = contextlib.ExitStack()  # closes what was opened to decompress
        self._unchecked_tar: tarfile.TarFile | None = None  # may hold a second member
        self._member_size = 0  # compressed size of the member of a zip archive
        self._all: bytearray | mmap.mmap | None = None
        self._returned = 0
        self._peeked = b""
        try:
            self._decompress(member)
        except BaseException:
            self.close()
            raise

    def read(self, size: int) -> bytes:
        """Return the next `size` decompressed bytes, fewer only at the end of the file.

        Raises:
            VectorFileError: the compressed data is damaged, cut short, or expands too much. A
                salvaged source ends there instead.
        """
        parts = [self._peeked[:size]] if self._peeked else []
        self._peeked = self._peeked[size:]
        wanted = 0 if self.damage else size - sum(map(len, parts))
        try:
            with self._errors_of_reading():
                while wanted > 0 and (part := self._next(wanted)):
                    parts.append(part)
                    wanted -= len(part)
                    self._returned += len(part)
                    self._refuse_bomb(self._returned)
                if wanted > 0 and self._unchecked_tar is not None:
                    self._refuse_second_member(self._unchecked_tar)
        except VectorFileError as error:
            if not self._salvage:
                raise
            self.damage = error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next(self, size: int) -> bytes:
        """Return some of the next bytes; small pieces if salvaged, to get all before the damage."""
        if not self._salvage or self._stream is self._on_disk:
            return cast(bytes, self._stream.read(size))
        return cast(bytes, self._stream.read1(min(size, SALVAGED)))

    @property
    def size(self) -> int | None:
        """The number of bytes of a plain file; None for any other source."""
        if self.path is None or not self._is_file or self.compression:
            return None
        return self.path.stat().st_size

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes from the current position without consuming them."""
        head = self.read(size)
        self._peeked = head + self._peeked
        return head

    def read_all(self) -> memoryview:
        """Return all decompressed bytes, for formats that are read out of order.

        A plain file on disk is memory-mapped, read-only; anything else is read into memory.
        """
        if self._all is None:
            if self._is_file and self._stream is self._on_disk:
                with open(cast(Path, self.path), "rb") as file:
                    self._all = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            else:
                data = bytearray()  # grows in place; joining parts would take twice the memory
                while part := self.read(CHUNK):
                    data += part
                self._all = data
        return memoryview(self._all)

    def sha256(self) -> str:
        """Return the SHA-256 of the complete file on disk; reads what is left of it."""
        return self._on_disk.hexdigest()

    def close(self) -> None:
        """Close everything opened on the way; a memory map stays while it is used."""
        self._layers.close()
        self._stream = self._on_disk
        self._on_disk.close()

    def _decompress(self, member: str | None) -> None:
        """Open one layer of compression after another, and the member of an archive."""
        for _ in range(MAX_LAYERS):
            kind = self._kind()
            if not kind or (kind == "zip" and not self._open_zip(member)):
                break
            if kind == "tar":
                self._open_tar(member)
            elif kind != "zip":
                self._stream = self._layers.enter_context(decompressor(kind, self._rest()))
            member = None if kind in ARCHIVES else member
            self.compression += f"+{kind}" if self.compression else kind
        else:
            if self._kind():
                raise VectorFileError(
                    f"compressed more than {MAX_LAYERS} times ({self.compression}, then "
                    f"{self._kind()})",
                    where=self.name,
                    remedy="decompress it first",
                )
        if member is not None:
            raise VectorFileError(
                f"not an archive, so it has no member {member!r}",
                where=self.name,
                value=member,
                remedy=("leave out ", Option("member")),
            )

    def _kind(self) -> str:
        return kind_of(self.peek(KIND_BYTES))

    def _rest(self) -> io.BufferedReader:
        """Return the current stream with the peeked bytes put back."""
        head, self._peeked = self._peeked, b""
        self._returned = 0
        return io.BufferedReader(PrefixedReader(head, self._stream, self._refuse_bomb), CHUNK)

    def _open_zip(self, member: str | None) -> bool:
        """Continue with a member of a zip archive; leave a numpy archive alone (False)."""
        outermost = self._stream is self._on_disk and self._is_file
        file = self.path if outermost else io.BytesIO(self.read_all())
        with self._errors_of_reading("zip"):
            archive = self._layers.enter_context(zipfile.ZipFile(cast(Path, file)))
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
            if member is None and names and all(name.endswith(".npy") for name in names):
                archive.close()
                if not outermost:
                    self._peeked = bytes(cast(bytearray, self._all))  # put back what was read
                return False
            chosen = archive.getinfo(pick_member(self.name, names, member))
            self._stream = self._layers.enter_context(archive.open(chosen))
        self._member_size = chosen.compress_size
        self._peeked, self._all, self._returned = b"", None, 0
        self.name += f"#{chosen.filename}"
        return True

    def _open_tar(self, member: str | None) -> None:
        """Continue with a member of a tar archive: the one asked for, or the first file."""
        seen = []
        with self._errors_of_reading("tar"):
            archive = tarfile.open(fileobj=self._rest(), mode="r|")  # noqa: SIM115  (`_layers` closes)
            self._layers.callback(archive.close)
            for item in archive:
                if item.isfile() and not is_clutter(item.name):
                    seen.append(item.name)
                    if member in (None, item.name):
                        self._stream = archive.extractfile(item)
                        break
            else:
                pick_member(self.name, seen, member)  # raises
        self._unchecked_tar = archive if member is None else None
        self.name += f"#{seen[-1]}"

    def _refuse_second_member(self, archive: tarfile.TarFile) -> None:
        self._unchecked_tar = None
        files = (item.name for item in archive if item.isfile() and not is_clutter(item.name))
        if len(first_two := list(islice(files, 2))) == 2:
            pick_member(self.name.rpartition("#")[0], first_two, None)  # raises

    def _refuse_bomb(self, returned: int) -> None:
        packed = self._member_size or self._on_disk.count
        if self.compression and returned > max(MAX_EXPANSION * packed, EXPANSION_FLOOR):
            raise VectorFileError(
                f"{packed:,} compressed bytes grew beyond {returned:,}, over {MAX_EXPANSION} to 1, "
                "which no vector file does",
                where=self.name,
                remedy="decompress it yourself if you trust it",
            )

    @contextlib.contextmanager
    def _errors_of_reading(self, kind: str = "") -> Iterator[None]:
        """Turn the errors of decompressors into errors that name the file and the position."""
        try:
            yield
        except VectorFileError:
            raise
        except BlockingIOError as error:
            raise VectorFileError(
                f"can't be read: {error}", where=self.name, remedy="pass a file that waits for data"
            ) from error
        except DAMAGE as error:
            kind = kind or self.compression
            if not kind or (isinstance(error, OSError) and error.errno):
                raise VectorFileError(f"can't be read: {error}", where=self.name) from error
            if isinstance(error, RuntimeError):  # encrypted, or a rare method of compression
                raise VectorFileError(
                    f"the {kind} data can't be decompressed here ({error})",
                    where=self.name,
                    remedy="decompress it first",
                ) from error
            size = f" of {cast(Path, self.path).stat().st_size:,}" if self._is_file else ""
            raise VectorFileError(
                f"the {kind} data is damaged or cut short at byte {self._on_disk.count:,}{size} "
                f"({error})",
                where=self.name,
                remedy="fetch the file again",
            ) from error
