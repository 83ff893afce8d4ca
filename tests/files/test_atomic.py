from __future__ import annotations

import contextlib
import hashlib
import os
import stat

import pytest

from finetune_embed import VectorFileError
from finetune_embed.files import atomic, atomic_folder, atomic_write, sha256_of


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_sha256_of_a_file(tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(data)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_atomic_write_replaces_the_old_file(tmp_path):
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
    with (
        pytest.raises(
            VectorFileError,
            match=r"out: can't be written: it exists and is not a regular file; give another path$",
        ),
        atomic_write(tmp_path / "out"),
    ):
        pass
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_atomic_write_replaces_no_device_or_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with (
            pytest.raises(VectorFileError, match="it exists and is not a regular file"),
            atomic_write(tmp_path / name),
        ):
            pass
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


@pytest.mark.parametrize("write", [atomic_write, atomic_folder])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file/out", "Not a directory"),
        ("nowhere/out", "the folder .*nowhere does not exist; create it first"),
        ("a\0b", "embedded null"),
        ("x" * 256, "File name too long"),
    ],
)
def test_paths_that_can_not_be_written(tmp_path, write, name, message):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(VectorFileError, match=f": can't be written: {message}"),
        write(tmp_path / name),
    ):
        pass
    assert os.listdir(tmp_path) == ["file"]


def test_atomic_write_into_a_missing_folder(tmp_path):
    with (
        pytest.raises(VectorFileError, match=r"the folder .*nowhere does not exist; create it"),
        atomic_write(tmp_path / "nowhere" / "out.bin"),
    ):
        pass


@pytest.mark.usefixtures("umask")
def test_permissions_honour_the_umask(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "umask")  # reading it means changing it, which other threads would see
    with atomic_write(tmp_path / "file") as file:
        file.write(b"x")
    with atomic_folder(tmp_path / "folder"):
        pass
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_a_link_and_permissions_stay(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o600)
    link.symlink_to(real)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


@pytest.mark.parametrize("name", ["x" * 246, "x" * 255, "\u00e9" * 127, "\U0001f600" * 63])
@pytest.mark.parametrize("suffix", ["", os.fsdecode(b"\xff\xfe")])
def test_long_names_and_names_that_are_not_utf_8(tmp_path, name, suffix):
    name = os.fsdecode(os.fsencode(name)[: 255 - len(os.fsencode(suffix))] + os.fsencode(suffix))
    for _ in range(2):
        with atomic_write(tmp_path / name) as file:
            file.write(b"x")
    (tmp_path / name).unlink()
    with atomic_folder(tmp_path / name) as folder:
        (folder / name).write_bytes(b"x")
    assert os.listdir(tmp_path) == os.listdir(tmp_path / name) == [name]


def test_atomic_folder_appears_complete(tmp_path):
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


def test_atomic_folder_does_not_replace_a_folder_with_files(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "a").write_bytes(b"old")
    message = r"run: can't be written: Directory not empty$"
    with pytest.raises(VectorFileError, match=message), atomic_folder(path) as folder:
        (folder / "a").write_bytes(b"new")
    assert (path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run"]


def test_a_large_file_is_flushed_while_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "FLUSHED", 1 << 10)
    block = os.urandom(1 << 18)
    with atomic_write(tmp_path / "x") as file:
        for _ in range(20):
            file.write(block)
    assert (tmp_path / "x").read_bytes() == 20 * block
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_error_while_flushing_leaves_no_file(tmp_path, monkeypatch):
    calls = []

    def fail_once(handle: int) -> None:  # as Linux does: the next call succeeds
        calls.append(handle)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(atomic, "FLUSHED", 1 << 10)
    monkeypatch.setattr(atomic.os, "fsync", fail_once)
    message = r"x: can't be written: Input/output error$"
    with pytest.raises(VectorFileError, match=message), atomic_write(tmp_path / "x") as file:
        file.write(bytes(1 << 21))
    assert list(tmp_path.iterdir()) == []
