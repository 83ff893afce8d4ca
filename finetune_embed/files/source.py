"""Bytes in: a file, a member of an archive, a file object or standard input, opened for one pass.

What is compressed is told by its first bytes, never by the suffix, and decompressed on the way:
gzip, bzip2, xz, zstandard, zip and tar, also a tar within one of the others. The SHA-256 of the
bytes as they lie on disk is taken in the background. Archives are read in place: no member is ever
written to disk, so none can escape.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ..errors import VectorFileError
from .archives import is_clutter, pick_member
from .streams import (
    ARCHIVES,
    CHUNK,
    COMPRESSED,
    DAMAGE,
    KIND_BYTES,
    Chained,
    Hashing,
    decompressor,
    kind_of,
)

__all__ = ["COMPRESSED", "STDIN", "PathOrFile", "Source", "open_source"]

PathOrFile = str | os.PathLike[str] | BinaryIO

#: The path that stands for standard input.
STDIN = "-"
#: Decompressed bytes may be this many times the compressed ones that were read for them. Text of
#: vectors packs about 2.3 to 1, binary less, so this catches bombs alone.
MAX_EXPANSION = 200
EXPANSION_FLOOR = 1 << 26  # below 64 MB nothing is a bomb
MAX_LAYERS = 3  # a tar within a gzip within a zip
SALVAGED = 1 << 14  # bytes at a time


class Source:
    """A vector file opened for one pass: its decompressed bytes, its name and its hash.

    Attributes:
        name: where the bytes come from, for messages: a path, `path#member`, or `<stdin>`.
        path: the file on disk, or None for a file object and standard input.
        compression: what was undone on the way, from the outside in, such as `"gzip"`,
            `"gzip+tar"` or `"zip"`; `""` for a plain file.
        damage: where it is salvaged, the error that its compressed data end in.
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
        self._is_file = path is not None and os.path.isfile(path)  # no pipe, read but once
        self.damage: VectorFileError | None = None
        self._salvage = salvage
        self.name = name
        self.compression = ""
        self._hashing = Hashing(raw)
        self._stream: Any = self._hashing
        self._layers = contextlib.ExitStack()  # what was opened to undo compression
        self._archive: tarfile.TarFile | None = None  # to be looked at for a second member
        self._zipped = 0  # bytes that a member takes in its zip archive
        self._all: bytearray | mmap.mmap | None = None
        self._served = 0
        self._head = b""
        try:
            self._decompress(member)
        except BaseException:
            self.close()
            raise

    def read(self, size: int) -> bytes:
        """Return the next `size` decompressed bytes, fewer at the end of the file only.

        Raises:
            VectorFileError: the compressed data is damaged, cut short, or grows beyond reason. A
                source that is salvaged ends there instead.
        """
        parts = [self._head[:size]] if self._head else []
        self._head = self._head[size:]
        wanted = 0 if self.damage else size - sum(map(len, parts))
        try:
            with self._naming_damage():
                while wanted > 0 and (part := self._next(wanted)):
                    parts.append(part)
                    wanted -= len(part)
                    self._served += len(part)
                    self._refuse_bomb(self._served)
                if wanted > 0 and self._archive is not None:
                    self._refuse_second_member(self._archive)
        except VectorFileError as error:
            if not self._salvage:
                raise
            self.damage = error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next(self, size: int) -> bytes:
        """Return some of the next bytes; to be salvaged, in small pieces, all before the damage."""
        if not self._salvage or self._stream is self._hashing:
            return cast(bytes, self._stream.read(size))
        return cast(bytes, self._stream.read1(min(size, SALVAGED)))

    @property
    def size(self) -> int | None:
        """How many bytes there are in all, of a plain file; None of any other source."""
        plain = self.path is not None and self._is_file and not self.compression
        return self.path.stat().st_size if plain and self.path is not None else None

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes from the current position without consuming them."""
        head = self.read(size)
        self._head = head + self._head
        return head

    def whole(self) -> memoryview:
        """Return all bytes, decompressed, for formats that are read out of order.

        A plain file on disk is memory-mapped, read-only; anything else is read into memory.
        """
        if self._all is None:
            if self._is_file and self._stream is self._hashing:
                with open(cast(Path, self.path), "rb") as file:
                    self._all = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            else:
                data = bytearray()  # grows in place, where joined parts would be there twice
                while part := self.read(CHUNK):
                    data += part
                self._all = data
        return memoryview(self._all)

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file as it lies on disk, reading what is left of it."""
        return self._hashing.hexdigest()

    def close(self) -> None:
        """Close what was opened on the way; a memory map stays as long as somebody uses it."""
        self._layers.close()
        self._stream = self._hashing
        self._hashing.close()

    def _decompress(self, member: str | None) -> None:
        """Undo one layer of compression after the other, and pick the member of an archive."""
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
                    f"{self.name} is packed more than {MAX_LAYERS} times ({self.compression}, and "
                    f"again {self._kind()}); unpack it first"
                )
        if member is not None:
            raise VectorFileError(
                f"{self.name} is no archive, so it has no member {member!r}; leave member= out"
            )

    def _kind(self) -> str:
        return kind_of(self.peek(KIND_BYTES))

    def _rest(self) -> io.BufferedReader:
        """Return the current stream with what was peeked put back."""
        head, self._head = self._head, b""
        self._served = 0
        return io.BufferedReader(Chained(head, self._stream, self._refuse_bomb), CHUNK)

    def _open_zip(self, member: str | None) -> bool:
        """Go on with a member of a zip archive; a numpy archive is left as it is (False)."""
        outermost = self._stream is self._hashing and self._is_file
        file = self.path if outermost else io.BytesIO(self.whole())
        with self._naming_damage("zip"):
            archive = self._layers.enter_context(zipfile.ZipFile(cast(Path, file)))
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
            if member is None and names and all(name.endswith(".npy") for name in names):
                archive.close()
                if not outermost:
                    self._head = bytes(cast(bytearray, self._all))  # what was read to look inside
                return False
            chosen = archive.getinfo(pick_member(self.name, names, member))
            self._stream = self._layers.enter_context(archive.open(chosen))
        self._zipped = chosen.compress_size
        self._head, self._all, self._served = b"", None, 0
        self.name += f"#{chosen.filename}"
        return True

    def _open_tar(self, member: str | None) -> None:
        """Go on with a member of a tar archive: the one that is named, or the first file."""
        seen = []
        with self._naming_damage("tar"):
            archive = tarfile.open(fileobj=self._rest(), mode="r|")  # noqa: SIM115  (`_layers` closes)
            self._layers.callback(archive.close)
            for item in archive:
                if item.isfile() and not is_clutter(item.name):
                    seen.append(item.name)
                    if member in (None, item.name):
                        self._stream = archive.extractfile(item)
                        break
            else:
                pick_member(self.name, seen, member)
        self._archive = archive if member is None else None
        self.name += f"#{seen[-1]}"

    def _refuse_second_member(self, archive: tarfile.TarFile) -> None:
        self._archive = None
        files = (item.name for item in archive if item.isfile() and not is_clutter(item.name))
        if len(first_two := list(islice(files, 2))) == 2:
            pick_member(self.name.rpartition("#")[0], first_two, None)

    def _refuse_bomb(self, served: int) -> None:
        packed = self._zipped or self._hashing.count
        if self.compression and served > max(MAX_EXPANSION * packed, EXPANSION_FLOOR):
            raise VectorFileError(
                f"{self.name}: {packed:,} compressed bytes grew beyond {served:,}, over "
                f"{MAX_EXPANSION} to 1, which no vector file does; decompress it yourself if you "
                "trust it"
            )

    @contextlib.contextmanager
    def _naming_damage(self, kind: str = "") -> Iterator[None]:
        """Say of any error of a decompressor which file it is, and how far it was read."""
        try:
            yield
        except VectorFileError:
            raise
        except DAMAGE as error:
            kind = kind or self.compression
            if not kind or (isinstance(error, OSError) and error.errno):
                raise VectorFileError(f"{self.name} can't be read: {error}") from error
            if isinstance(error, RuntimeError):  # encrypted, or packed by a method that is rare
                raise VectorFileError(
                    f"{self.name}: the {kind} data can't be unpacked here ({error}); unpack it "
                    "first"
                ) from error
            size = f" of {cast(Path, self.path).stat().st_size:,}" if self._is_file else ""
            raise VectorFileError(
                f"{self.name}: the {kind} data is damaged or cut short at byte "
                f"{self._hashing.count:,}{size} ({error}); fetch the file again"
            ) from error


@contextlib.contextmanager
def open_source(
    path: PathOrFile, member: str | None = None, *, salvage: bool = False
) -> Iterator[Source]:
    """Open a vector file for one pass, decompressed by its first bytes, never by its suffix.

    Args:
        path: a path, a binary file object, read from where it stands, or `"-"` for standard input.
        member: the file to read of a zip or tar archive; the only one when left out.
        salvage: read damaged compressed data up to the damage, which `damage` then tells.

    Raises:
        VectorFileError: there is no such file, it is a folder, it is empty, it can't be read, or
            the archive has no such member or several.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(path, str) and path == STDIN:
            raw, place, name = cast(IO[bytes], sys.stdin.buffer), None, "<stdin>"
        elif isinstance(path, (str, os.PathLike)):
            place = Path(path)
            raw, name = stack.enter_context(_open_file(place)), str(place)
        else:
            raw, place, name = _checked(path), None, str(getattr(path, "name", "<file object>"))
        source = Source(raw, place, name, member, salvage)
        stack.callback(source.close)
        if not source.peek(1):
            empty = f"{source.name} is empty (0 bytes); fetch the file again"
            raise source.damage or VectorFileError(empty)
        yield source


def _open_file(path: Path) -> IO[bytes]:
    if os.path.isdir(path):
        raise VectorFileError(f"{path} is a folder; give the vector file inside it")
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError as error:
        raise VectorFileError(f"no such file: {path} (looked in {Path.cwd()})") from error
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        raise VectorFileError(f"{str(path)[:200]!r} can't be read: {reason}") from error


def _checked(file: Any) -> IO[bytes]:
    """Return a file object, if it is one that gives bytes."""
    if not hasattr(file, "read"):
        raise VectorFileError(
            f"{file!r} is neither a path nor a file object; pass open(path, 'rb')"
        )
    try:
        is_text = not isinstance(file.read(0), bytes)
    except (OSError, ValueError) as error:  # closed, or open for writing
        raise VectorFileError(f"{file!r} can't be read: {error}; pass open(path, 'rb')") from error
    if is_text:
        raise VectorFileError(f"{file!r} was opened as text; open it with mode 'rb'")
    return cast(IO[bytes], file)
