"""Read a vector file in one pass: decompressed, hashed, and from inside archives.

Compression is recognised by the first bytes, never by the suffix: gzip, bzip2, xz, zstandard, zip
and tar, also a tar inside one of the others. The SHA-256 of the bytes on disk is computed in the
background. Archives are read in place: no member is ever written to disk, so none can escape.
"""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from ..errors import Option, VectorFileError
from .archives import HEAD, Member, is_clutter, pick_member
from .expansion import refuse_bomb
from .foreign import ANSWER, Foreign, foreign_in, foreign_kind
from .hashing import CHUNK, HashingReader
from .mapped import MappedFile
from .streams import (
    ARCHIVES,
    DAMAGE,
    KIND_BYTES,
    PrefixedReader,
    decompressor,
    kind_of,
    open_member,
    zstd_window,
)

__all__ = ["Source"]

MAX_LAYERS = 3  # a tar in a gzip in a zip
FIRST = 1 << 24  # bytes of the first file of a tar archive held to look for a second one
MEMBERS = 10_000  # of an archive that are looked at
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
        self._unchecked_tar: tuple[tarfile.TarFile, Member] | None = None  # its first member
        self._member_size: int | None = None  # compressed size of the member of a zip archive
        self._window = 0  # the logarithm of the memory that zstandard needs
        self._all: bytearray | MappedFile | None = None
        self._returned = 0
        self._peeked = b""
        try:
            self._decompress(member)
            self._refuse_foreign()
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
                    self.refuse_bomb(self._returned)
                if wanted > 0 and self._unchecked_tar is not None:
                    self._refuse_second_member(*self._unchecked_tar)
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
                self._all = MappedFile.open(cast(Path, self.path))
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
                self._window = zstd_window(self.peek(HEAD)) if kind == "zstandard" else 0
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
        return io.BufferedReader(PrefixedReader(head, self._stream, self.refuse_bomb), CHUNK)

    def _open_zip(self, member: str | None) -> bool:
        """Continue with a member of a zip archive; leave a numpy archive alone (False)."""
        outermost = self._stream is self._on_disk and self._is_file
        file = self.path if outermost else io.BytesIO(self.read_all())
        with self._errors_of_reading("zip"):
            archive = self._layers.enter_context(zipfile.ZipFile(cast(Path, file)))
            members = [item for item in archive.infolist() if not item.is_dir()]
            names = [item.filename for item in members]
            own = [name for name in names if not is_clutter(name)]
            if member is None and own and all(name.endswith(".npy") for name in own):
                archive.close()
                if not outermost:
                    self._peeked = bytes(cast(bytearray, self._all))  # put back what was read
                return False
            self._refuse(foreign_in(names))
            heads = member not in names and (member is not None or len(own) > 1)
            listed = [
                Member(item.filename, item.file_size, self._head(archive, item) if heads else b"")
                for item in members[:MEMBERS]
            ]
            if member in names[MEMBERS:]:
                listed.append(Member(member, 0))
            chosen = archive.getinfo(pick_member(self.name, listed, member))
            self._stream = self._layers.enter_context(open_member(archive, chosen))
        whole = cast(Path, self.path).stat().st_size if outermost else self._on_disk.count
        self._member_size = min(chosen.compress_size, whole)
        self._peeked, self._all, self._returned = b"", None, 0
        self.name += f"#{chosen.filename}"
        return True

    @staticmethod
    def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
        """Return the first bytes of a member, none if it is damaged."""
        try:
            with open_member(archive, member) as file:
                return cast(bytes, file.read(HEAD))
        except DAMAGE:
            return b""

    def _open_tar(self, member: str | None) -> None:
        """Continue with a member of a tar archive: the one asked for, or the only file."""
        with self._errors_of_reading("tar"):
            archive = tarfile.open(fileobj=self._rest(), mode="r|")  # noqa: SIM115  (`_layers` closes)
            self._layers.callback(archive.close)
            seen: list[Member] = []
            for item in _files(archive):
                if member is None and not is_clutter(item.name):
                    self._open_first(archive, item)
                    return
                if member == item.name:
                    self._stream = archive.extractfile(item)
                    self.name += f"#{item.name}"
                    return
                seen.append(Member(item.name, item.size, _tar_head(archive, item)))
            pick_member(self.name, seen, member)  # raises

    def _open_first(self, archive: tarfile.TarFile, item: tarfile.TarInfo) -> None:
        """Continue with the first file of a tar archive, if no other one follows it.

        If it is large, it is read before the archive is searched for others.
        """
        stream = cast(IO[bytes], archive.extractfile(item))
        start = stream.read(FIRST)
        first = Member(item.name, item.size, start[:HEAD])
        if len(start) < FIRST:
            self._refuse_second_member(archive, first)
            self._stream = io.BytesIO(start)
        else:
            self._stream = io.BufferedReader(PrefixedReader(start, stream, self.refuse_bomb), CHUNK)
            self._unchecked_tar = archive, first
        self.name += f"#{item.name}"

    def _refuse_second_member(self, archive: tarfile.TarFile, first: Member) -> None:
        self._unchecked_tar = None
        members = [first]
        for item in _files(archive):
            if not is_clutter(item.name) and len(members) < MEMBERS:
                members.append(Member(item.name, item.size, _tar_head(archive, item)))
        if len(members) > 1:
            self._refuse(foreign_in([one.name for one in members]))
            pick_member(self.name.removesuffix(f"#{first.name}"), members, None)  # raises

    @property
    def packed(self) -> int:
        """The bytes on disk that the content is made from, as far as they were read."""
        if self._member_size is not None:
            return self._member_size
        return self._on_disk.count if self.size is None else self.size

    def refuse_bomb(self, expanded: int) -> None:
        """Refuse compressed data that takes too much memory for its size.

        Args:
            expanded: the bytes that it takes, decompressed or as what is made of it.

        Raises:
            VectorFileError: they are too many; see `files.expansion`.
        """
        if self.compression:
            refuse_bomb(self.packed, expanded, self.name)

    def _refuse_foreign(self) -> None:
        head = self.peek(ANSWER)
        self._refuse(foreign_kind(head, is_whole=len(head) < ANSWER))

    def _refuse(self, kind: Foreign | None) -> None:
        if kind is not None:
            raise VectorFileError(
                f"this is {kind.title}, which is not read here",
                where=self.name,
                remedy=kind.remedy,
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
            if "memory" in str(error).lower():
                command = f"zstd -d --long={self._window}" if self._window else "xz -d"
                raise VectorFileError(
                    f"the {kind} data needs more memory than is given to it here ({error})",
                    where=self.name,
                    remedy=f"decompress it first: {command} FILE",
                ) from error
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


def _files(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the files of a tar archive that is read once, without keeping those passed."""
    while (item := archive.next()) is not None:
        if item.isfile():
            yield item
        archive.members.clear()  # type: ignore[attr-defined]  # typeshed lacks it


def _tar_head(archive: tarfile.TarFile, item: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(item)
    return b"" if file is None else file.read(HEAD)
