from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import stat
from pathlib import Path

import pytest

from finetune_embed import VectorFileError
from finetune_embed.files import atomic_folder, atomic_write, open_source, sha256_of

TEXT = b"".join(b"w%d 0.5 -1.25\n" % i for i in range(5_000))


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", ["v.txt", "v.gz"])
@pytest.mark.parametrize("packed", [False, True])
def test_gzip_is_told_by_content_whatever_the_suffix(write, name, packed):
    data = gzip.compress(TEXT) if packed else TEXT
    with open_source(write(data, name)) as source:
        assert source.compression == ("gzip" if packed else "")
        assert source.read(1 << 20) == TEXT
        assert source.read(1) == b""
        assert source.sha256() == hashlib.sha256(data).hexdigest()


def test_hash_is_of_the_whole_file_though_little_of_it_was_read(write):
    data = os.urandom(3_000_000)
    path = write(b"x" + data)
    with open_source(path) as source:
        assert source.read(3) == b"x" + data[:2]
        assert source.sha256() == hashlib.sha256(b"x" + data).hexdigest() == sha256_of(path)


def test_gzip_of_several_members_is_one_text(write):
    with open_source(write(gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]))) as source:
        assert source.read(len(TEXT) + 1) == TEXT


@pytest.mark.parametrize("packed", [False, True])
def test_peek_consumes_nothing(write, packed):
    with open_source(write(gzip.compress(TEXT) if packed else TEXT)) as source:
        assert source.peek(5) == TEXT[:5]
        assert source.peek(2) == TEXT[:2]
        assert source.read(3) == TEXT[:3]
        assert source.peek(4) == TEXT[3:7]
        assert source.read(len(TEXT)) == TEXT[3:]


@pytest.mark.parametrize("cut", [3, 9, 10, 11, 50, -9, -8, -4, -1])
def test_truncated_gzip_tells_the_byte(write, cut):
    data = gzip.compress(TEXT)[:cut]
    path = write(data)
    message = rf"vectors\.txt: the gzip data is damaged or cut short at byte {len(data):,} of"
    with open_source(path) as source, pytest.raises(VectorFileError, match=message):
        source.read(len(TEXT) + 1)


def test_damaged_gzip(write):
    data = bytearray(gzip.compress(TEXT))
    data[len(data) // 2] ^= 0xFF
    with (
        open_source(write(bytes(data))) as source,
        pytest.raises(VectorFileError, match="fetch the file again"),
    ):
        source.read(len(TEXT) + 1)


def test_gzip_bomb_stops_early(write):
    bomb = gzip.compress(bytes(1 << 20) * 100)
    with open_source(write(bomb)) as source:
        assert source.read(64 << 20) == bytes(64 << 20)
        message = f"{len(bomb):,} compressed bytes grew beyond {(64 << 20) + 1:,}, over 200 to 1"
        with pytest.raises(VectorFileError, match=message):
            source.read(1)


def test_well_packed_small_text_is_no_bomb(write):
    data = bytes(1 << 20) * 3
    with open_source(write(gzip.compress(data))) as source:
        assert source.read(len(data) + 1) == data


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"no such file: .*absent\.txt \(looked in .*\)"),
        (lambda path: path.mkdir(), r"absent\.txt is a folder; give the vector file inside it"),
        (lambda path: path.touch(), r"absent\.txt is empty \(0 bytes\); fetch the file again"),
    ],
    ids=["missing", "folder", "empty"],
)
def test_no_file_to_read(tmp_path: Path, make, message):
    make(tmp_path / "absent.txt")
    with (
        pytest.raises(VectorFileError, match=message),
        open_source(tmp_path / "absent.txt"),
    ):
        pass


def test_atomic_write_replaces_the_old_file_whole(tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out.bin"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_atomic_write_leaves_nothing_behind_on_an_error(tmp_path, error):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with contextlib.suppress(error), atomic_write(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_atomic_write_over_a_folder_leaves_nothing_behind(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError, match="out"), atomic_write(tmp_path / "out") as file:
        file.write(b"x")
    assert os.listdir(tmp_path) == ["out"]


def test_atomic_write_into_a_missing_folder(tmp_path):
    with (
        pytest.raises(VectorFileError, match=r"the folder .*nowhere does not exist; create it"),
        atomic_write(tmp_path / "nowhere" / "out.bin"),
    ):
        pass


@pytest.mark.usefixtures("umask")
def test_permissions_honour_the_umask(tmp_path):
    with atomic_write(tmp_path / "file") as file:
        file.write(b"x")
    with atomic_folder(tmp_path / "folder"):
        pass
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_atomic_folder_appears_whole(tmp_path):
    path = tmp_path / "run"
    with atomic_folder(path) as folder:
        (folder / "a").write_bytes(b"1")
        assert not path.exists()
    assert (path / "a").read_bytes() == b"1"
    assert os.listdir(tmp_path) == ["run"]


def test_atomic_folder_leaves_nothing_behind_on_an_error(tmp_path):
    with contextlib.suppress(RuntimeError), atomic_folder(tmp_path / "run") as folder:
        (folder / "a").write_bytes(b"1")
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_atomic_folder_does_not_replace_a_full_one(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "a").write_bytes(b"old")
    with pytest.raises(OSError, match="run"), atomic_folder(path) as folder:
        (folder / "a").write_bytes(b"new")
    assert (path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run"]
