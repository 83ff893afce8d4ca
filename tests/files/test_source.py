"""Bytes of a vector file: where they come from, and how they were compressed."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import mmap
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import pytest
from packing import tarred, zipped, zstd

from finetune_embed import VectorFileError, load_vectors
from finetune_embed.files import open_source, sha256_of
from finetune_embed.files.expansion import FLOOR

TEXT = b"".join(b"w%d 0.5 -1.25\n" % i for i in range(5_000))

PACKED = {
    "": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstandard": zstd,
    "zip": lambda data: zipped(("v.txt", data)),
    "tar": lambda data: tarred(("v.txt", data)),
    "gzip+tar": lambda data: tarred(("v.txt", data), mode="w:gz"),
    "xz+tar": lambda data: tarred(("v.txt", data), mode="w:xz"),
    "gzip+zip": lambda data: gzip.compress(zipped(("v.txt", data))),
    "zip+gzip": lambda data: zipped(("v.gz", gzip.compress(data))),
    "zip+bzip2+tar": lambda data: zipped(("v.tbz", tarred(("v.txt", data), mode="w:bz2"))),
    "gzip+gzip+zstandard": lambda data: gzip.compress(gzip.compress(zstd(data))),
}
#: Compressions that can be read up to the point where they are truncated.
STREAMS = ["gzip", "bzip2", "xz", "zstandard", "gzip+tar", "xz+tar"]


@pytest.mark.parametrize("name", ["v.txt", "v.gz", "v"])
@pytest.mark.parametrize("kind", PACKED)
def test_compression_is_recognised_by_content_whatever_the_suffix(write, name, kind):
    data = PACKED[kind](TEXT)
    path = write(data, name)
    with open_source(path) as source:
        assert source.compression == kind
        assert source.path == path
        assert source.read(1 << 20) == TEXT
        assert source.read(1) == b""
        assert source.sha256() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", PACKED)
def test_a_file_object_and_standard_input_give_the_same_bytes(monkeypatch, kind):
    data = PACKED[kind](TEXT)
    digest = hashlib.sha256(data).hexdigest()
    with open_source(io.BytesIO(data)) as source:
        assert (source.name.partition("#")[0], source.path) == ("<file object>", None)
        assert (source.compression, source.read(1 << 20)) == (kind, TEXT)
        assert source.sha256() == digest
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with open_source("-") as source:
        assert source.name.partition("#")[0] == "<stdin>"
        assert (source.compression, source.read(1 << 20)) == (kind, TEXT)
        assert source.sha256() == digest


@pytest.mark.parametrize("kind", PACKED)
def test_read_all_gives_all_bytes_at_once(write, kind):
    data = PACKED[kind](TEXT)
    with open_source(write(data)) as source:
        assert source.peek(5) == TEXT[:5]
        assert bytes(source.read_all()) == TEXT
        assert bytes(source.read_all()) == TEXT
        assert source.sha256() == hashlib.sha256(data).hexdigest()


def test_a_plain_file_is_memory_mapped(write):
    path = write(TEXT)
    with open_source(path) as source:
        view = source.read_all()
    assert view.readonly
    assert isinstance(view.obj, mmap.mmap)
    assert bytes(view) == TEXT  # also after the source is closed


def test_a_file_object_is_read_from_its_current_position(write):
    with open(write(b"skip" + TEXT), "rb") as file:
        file.read(4)
        with open_source(file) as source:
            assert source.name.endswith("vectors.txt")
            assert source.read(1 << 20) == TEXT
            assert source.sha256() == hashlib.sha256(TEXT).hexdigest()
        assert not file.closed


@pytest.mark.parametrize("kind", ["", "gzip", "zip", "tar"])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_pipe_of_short_reads(tmp_path, kind, at_once):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = PACKED[kind](TEXT)

    def feed() -> None:
        with open(pipe, "wb", buffering=0) as file:
            for start in range(0, len(data), 1_000):
                file.write(data[start : start + 1_000])

    thread = threading.Thread(target=feed)
    thread.start()
    with open_source(pipe) as source:
        assert (bytes(source.read_all()) if at_once else source.read(1 << 20)) == TEXT
        assert source.sha256() == hashlib.sha256(data).hexdigest()
    thread.join()


def test_a_non_blocking_stream_is_refused_rather_than_read_as_ended():
    class Impatient(io.RawIOBase):
        parts: ClassVar = [b"a 1 2\n", None, b"b 3 4\n", b""]

        def read(self, size=-1):
            return self.parts.pop(0) if size else b""

    with pytest.raises(
        VectorFileError, match=r"can't be read: the file is non-blocking; pass a file that"
    ):
        load_vectors(Impatient())


@pytest.mark.parametrize("kind", ["", "zip"])
def test_standard_input_of_a_process(kind):
    code = "import finetune_embed as fe; print(fe.load_vectors('-').index_to_key)"
    run = subprocess.run(
        [sys.executable, "-c", code], input=PACKED[kind](b"a 1 2\nb 3 4\n"), capture_output=True
    )
    assert (run.stdout, run.stderr, run.returncode) == (b"['a', 'b']\n", b"", 0)


def test_the_hash_covers_the_complete_file_though_little_was_read(write):
    data = os.urandom(3_000_000)
    path = write(b"x" + data)
    with open_source(path) as source:
        assert source.read(3) == b"x" + data[:2]
        assert source.sha256() == hashlib.sha256(b"x" + data).hexdigest() == sha256_of(path)


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstandard"])
def test_concatenated_streams_are_one_text(write, kind):
    with open_source(write(PACKED[kind](TEXT[:100]) + PACKED[kind](TEXT[100:]))) as source:
        assert source.read(len(TEXT) + 1) == TEXT


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstandard"])
@pytest.mark.parametrize("damage", [b"junk", b"X"])
def test_a_damaged_later_stream_is_an_error(write, kind, damage):
    second = PACKED[kind](TEXT[100:])
    path = write(PACKED[kind](TEXT[:100]) + damage + (second[1:] if damage == b"X" else b""))
    with pytest.raises(VectorFileError, match="damaged or cut short"), open_source(path) as source:
        source.read(len(TEXT) + 1)


@pytest.mark.parametrize("kind", ["bzip2", "xz"])
def test_zeros_between_and_after_streams_are_padding(write, kind):
    packed = (PACKED[kind](TEXT[:100]), PACKED[kind](TEXT[100:]))
    with open_source(write(packed[0] + bytes(8) + packed[1] + bytes(300_000))) as source:
        assert source.read(len(TEXT) + 1) == TEXT


@pytest.mark.parametrize("kind", PACKED)
def test_peek_consumes_nothing(write, kind):
    with open_source(write(PACKED[kind](TEXT))) as source:
        assert source.peek(5) == TEXT[:5]
        assert source.peek(2) == TEXT[:2]
        assert source.read(3) == TEXT[:3]
        assert source.peek(4) == TEXT[3:7]
        assert source.read(len(TEXT)) == TEXT[3:]


# Damage


@pytest.mark.parametrize("cut", [3, 9, 10, 11, 50, -9, -8, -4, -1])
def test_truncated_gzip_names_the_byte(write, cut):
    data = gzip.compress(TEXT)[:cut]
    path = write(data)
    message = rf"vectors\.txt: the gzip data is damaged or cut short at byte {len(data):,} of"
    with pytest.raises(VectorFileError, match=message), open_source(path) as source:
        source.read(len(TEXT) + 1)


@pytest.mark.parametrize("kind", STREAMS)
def test_every_compression_truncated_anywhere_is_an_error(write, kind):
    data = PACKED[kind](b"a 1 2\n" + os.urandom(200))
    swept = 0
    for cut in range(6, len(data), 3):
        path = write(data[:cut])
        message = "data is damaged or cut short at byte .*; fetch the file again"
        with pytest.raises(VectorFileError, match=message), open_source(path) as source:
            source.read(1 << 20)
        swept += 1
    assert swept > 60


def test_a_damaged_byte_in_a_compressed_file(write):
    for kind in ("gzip", "bzip2", "xz", "zip"):
        data = bytearray(PACKED[kind](os.urandom(2_000)))
        data[len(data) // 2] ^= 0xFF
        path = write(bytes(data))
        with pytest.raises(VectorFileError, match="fetch the file again"):  # noqa: SIM117
            with open_source(path) as source:
                source.read(len(TEXT) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstandard", "zip", "gzip+tar"])
def test_a_bomb_stops_early(write, kind):
    bomb = PACKED[kind](bytes(65 << 20))
    with open_source(write(bomb)) as source:
        assert source.read(32 << 20) == bytes(32 << 20)
        message = r"bytes expand to [\d,]+ or more, over 200 to 1"
        with pytest.raises(VectorFileError, match=message):
            source.read(FLOOR)


def test_a_small_text_that_compresses_well_is_not_a_bomb(write):
    data = bytes(1 << 20) * 3
    with open_source(write(gzip.compress(data))) as source:
        assert source.read(len(data) + 1) == data


def test_a_file_compressed_too_many_times(write):
    data = TEXT
    for _ in range(4):
        data = gzip.compress(data)
    message = r"compressed more than 3 times \(gzip\+gzip\+gzip, then gzip\); decompress it first"
    with pytest.raises(VectorFileError, match=message), open_source(write(data)):
        pass


# Archives


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("outer", ["", "gzip", "xz"])
def test_a_member_by_name_or_the_only_one(write, pack, outer):
    several = PACKED[outer](pack(("a.txt", TEXT), ("d/b.txt", b"x 1 2\n")))
    path = write(several)
    for member, data in (("a.txt", TEXT), ("d/b.txt", b"x 1 2\n")):
        with open_source(path, member) as source:
            assert source.read(1 << 20) == data
            assert source.name == f"{path}#{member}"
    message = r"holds several files: 'a.txt', 'd/b.txt'; name the one to read: member='a.txt'"
    with pytest.raises(VectorFileError, match=message), open_source(path) as source:
        source.read(1 << 20)
    message = "has no member 'c', only 'a.txt', 'd/b.txt'; name the one to read: member='a.txt'"
    with pytest.raises(VectorFileError, match=message), open_source(path, "c"):
        pass
    with open_source(write(pack(("__MACOSX/._a", b"?"), ("._b", b"?"), ("a.txt", TEXT)))) as source:
        assert source.read(1 << 20) == TEXT


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_table_records_the_member_it_came_from(write, pack):
    table = load_vectors(write(pack(("d/v.txt", b"a 1 2\n")), "x.zip"))
    assert table.metadata["source"] == "x.zip#d/v.txt"


@pytest.mark.parametrize("kind", ["", "gzip", "bzip2"])
def test_a_member_of_a_file_that_is_not_an_archive(write, kind):
    message = "not an archive, so it has no member 'a'; leave out member$"
    with (
        pytest.raises(VectorFileError, match=message),
        open_source(write(PACKED[kind](TEXT)), "a"),
    ):
        pass


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_members_that_point_outside_write_nothing(write, tmp_path, pack):
    path = write(pack(("../../escaped.txt", b"a 1 2\n")))
    before = sorted(tmp_path.parent.rglob("*"))
    assert load_vectors(path).index_to_key == ["a"]
    assert sorted(tmp_path.parent.rglob("*")) == before


# Paths that can't be read


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"absent\.txt: no such file$"),
        (
            lambda path: path.mkdir(),
            r"absent\.txt: this is a folder; give the vector file inside it",
        ),
        (
            lambda path: path.touch(),
            r"absent\.txt: the file is empty \(0 bytes\); fetch the file again",
        ),
        (
            lambda path: path.write_bytes(gzip.compress(b"")),
            r"absent\.txt: the file is empty \(0 bytes\); fetch the file again",
        ),
        (
            lambda path: path.write_bytes(zipped(("v.txt", b""))),
            r"absent\.txt#v\.txt: the file is empty \(0 bytes\); fetch the file again",
        ),
        (
            lambda path: path.write_bytes(zipped()),
            r"absent\.txt: the archive holds no files; fetch it again",
        ),
    ],
    ids=["missing", "folder", "empty", "empty gzip", "empty member", "empty zip"],
)
def test_paths_that_can_not_be_read(tmp_path: Path, make, message):
    make(tmp_path / "absent.txt")
    with (
        pytest.raises(VectorFileError, match=message),
        open_source(tmp_path / "absent.txt"),
    ):
        pass


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (io.StringIO("a 1 2"), "was opened as text; open it with mode 'rb'"),
        (5, r"5 is neither a path nor a file object; pass open\(path, 'rb'\)"),
        (None, "None is neither a path nor a file object"),
        (b"a 1 2", "b'a 1 2' is neither a path nor a file object"),
    ],
)
def test_arguments_that_are_not_files(file, message):
    with pytest.raises(VectorFileError, match=message), open_source(file):
        pass
