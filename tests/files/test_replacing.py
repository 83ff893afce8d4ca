"""Files replaced together: all or none, whenever a process is killed; and the lock of a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import finetune_embed as fe
from finetune_embed.errors import DataError, VectorFileError
from finetune_embed.files import locked, place_of, replaced_together, replacing, settle

NAMES = ("a", "b", "c")

#: Kills a process at every step of replacing three files by two, and one that finishes its work at
#: every step of that. Afterwards a reader finds the old files or the new ones.
KILLS = """
import os, signal, sys
from pathlib import Path
from finetune_embed.files import locked, place_of, replaced_together, settle

STEPS = ("open", "fsync", "replace", "unlink", "rmdir", "mkdir", "scandir", "stat", "chmod")
NAMES = ("a", "b", "c")
OLD = {"a": b"1", "b": b"1", "c": b"1", "notes": b"mine"}
NEW = {"a": b"2", "b": b"2", "notes": b"mine"}


def deadly(number):
    left = [number]

    def wrap(real):
        def step(*args, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return step

    for name in STEPS:
        setattr(os, name, wrap(getattr(os, name)))


def killed_at(number, work, *args):
    child = os.fork()
    if child == 0:
        deadly(number)
        work(*args)
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def write(folder):
    with locked(folder), replaced_together(folder, NAMES) as new:
        for name in ("a", "b"):
            (new / name).write_bytes(b"2")


def read(folder):
    settle(folder, NAMES)
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


folder, kills, found = Path(sys.argv[1]), 0, []
for first in range(1, 1000, int(sys.argv[2])):
    for second in range(1, 1000, int(sys.argv[2])):
        for name in (*OLD, *(p.name for p in folder.iterdir() if p.name.startswith("."))):
            path = folder / name
            if path.is_dir():
                [p.unlink() for p in path.iterdir()]
                path.rmdir()
        for name, content in OLD.items():
            (folder / name).write_bytes(content)
        died = killed_at(first, write, folder)
        again = killed_at(second, settle, folder, NAMES)
        kills += died + again
        found.append(read(folder))
        assert found[-1] in (OLD, NEW), (first, second, found[-1])
        assert died or found[-1] == NEW
        write(folder)
        assert read(folder) == NEW
        assert sorted(os.listdir(folder)) == sorted(NEW), os.listdir(folder)
        if not again:
            break
    if not died:
        break
print(kills, found.count(OLD), found.count(NEW))
"""


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_every_step(tmp_path, stride):
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path), str(stride)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills, old, new = map(int, done.stdout.split())
    assert kills >= (250 if stride == 1 else 8)
    assert min(old, new) > (30 if stride == 1 else 0)


def write(folder: Path, error: BaseException | None = None) -> None:
    """Write new files, or fail after the first."""
    with replaced_together(folder, NAMES) as new:
        for name in NAMES:
            (new / name).write_bytes(b"new")
            if error is not None:
                raise error


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_error_while_they_are_written_leaves_the_old_ones(tmp_path, error):
    for name in NAMES:
        (tmp_path / name).write_bytes(b"old")
    kind = VectorFileError if error is OSError else error
    with pytest.raises(kind):
        write(tmp_path, error("no"))
    assert files_in(tmp_path) == dict.fromkeys(NAMES, b"old")


def test_an_error_names_the_file_that_it_is_about(tmp_path):
    """Not the hidden one; and the files of others, such as a source, as they are."""

    def write_at(where: Path | None) -> None:
        with replaced_together(tmp_path, NAMES) as new:
            raise VectorFileError("can't be written", where=where or new / "a")

    for where, shown in ((None, tmp_path / "a"), (tmp_path / "source.txt",) * 2):
        with pytest.raises(VectorFileError, match=f"^{shown}: can't be written$"):
            write_at(where)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    message = f"^{tmp_path}/file: this is a file, and not a folder; name a folder$"
    with pytest.raises(DataError, match=message), locked(tmp_path / "file"):
        raise AssertionError


@pytest.mark.parametrize("call", range(1, 5))
def test_a_rename_that_fails_leaves_one_of_the_two(tmp_path, monkeypatch, call):
    """What is decided is done later: the error is of this call, not of the files."""
    for name in NAMES:
        (tmp_path / name).write_bytes(b"old")
    real, calls = os.replace, []

    def failing(*args: Path) -> None:
        calls.append(args)
        if len(calls) == call:
            raise PermissionError(13, "Permission denied")
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing)
        with pytest.raises(VectorFileError, match=f"^{tmp_path}: can't be written: Permission den"):
            write(tmp_path)
    settle(tmp_path, NAMES)
    assert files_in(tmp_path) == dict.fromkeys(NAMES, b"old" if call == 1 else b"new")


def test_links_are_replaced_and_permissions_stay(tmp_path):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.write_bytes(b"theirs")
    (folder / "a").symlink_to(elsewhere)
    (folder / "b").write_bytes(b"old")
    (folder / "b").chmod(0o600)
    (folder / "c").symlink_to(tmp_path / "nothing")
    with replaced_together(folder, NAMES) as new:
        for name in NAMES:
            (new / name).write_bytes(b"new")
    assert files_in(folder) == dict.fromkeys(NAMES, b"new")
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert (folder / "b").stat().st_mode & 0o777 == 0o600
    assert elsewhere.read_bytes() == b"theirs"
    assert not (tmp_path / "nothing").exists()


def test_a_folder_in_place_of_a_file_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(VectorFileError, match=r"/b: can't be written: it is a folder; remove it"):
        write(tmp_path)
    assert os.listdir(tmp_path) == ["b"]


@pytest.mark.parametrize("kind", ["folder with others", "link", "file"])
def test_what_others_put_under_our_hidden_names_stays(tmp_path, kind):
    path, elsewhere = tmp_path / "..new-files.0123abcd", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").write_bytes(b"theirs")
    if kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "file":
        path.write_bytes(b"theirs")
    else:
        path.mkdir()
        (path / "a").write_bytes(b"theirs")
        (path / "notes").write_bytes(b"theirs")
    left = set(os.listdir(tmp_path))
    with replaced_together(tmp_path, NAMES) as new:
        (new / "a").write_bytes(b"new")
    assert set(os.listdir(tmp_path)) == {*left, "a"}
    assert (elsewhere / "a").read_bytes() == b"theirs"


def test_a_link_under_the_name_that_decides_is_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").write_bytes(b"theirs")
    (tmp_path / ".new-files").symlink_to(elsewhere)
    settle(tmp_path, NAMES)
    assert (elsewhere / "a").read_bytes() == b"theirs"
    with pytest.raises(VectorFileError, match=f"^{tmp_path}: can't be written: "):
        write(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".new-files", "elsewhere"]


# --- the lock -------------------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from finetune_embed.files import locked

with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""
BUSY = r": another process is writing to the folder; wait until it ends, or choose another folder$"


def test_another_process_is_kept_out_until_it_ends_however_it_ends(tmp_path):
    folder = tmp_path / "a" / "run"
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(DataError, match=f"^{folder}{BUSY}"), locked(folder):
            raise AssertionError
        process.send_signal(number)
        process.wait(20)
        process.stdout.close()
        with locked(folder):
            assert os.listdir(folder) == []
        folder.mkdir(exist_ok=True)


def test_another_thread_is_kept_out(tmp_path):
    found: list[Exception] = []

    def other() -> None:
        try:
            with locked(tmp_path):
                pass
        except DataError as error:
            found.append(error)

    with locked(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(found) == 1
    with locked(tmp_path):
        pass


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with locked(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert os.listdir(tmp_path) == []
    with locked(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "x").write_bytes(b"")
    with locked(tmp_path / "a" / "b"):
        pass
    assert os.listdir(tmp_path / "a" / "b") == ["x"]
    (tmp_path / "empty").mkdir()
    with locked(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").is_dir()


def test_a_reader_waits_while_files_are_moved(tmp_path, monkeypatch):
    with locked(tmp_path):
        (tmp_path / ".new-files").mkdir()
        (tmp_path / ".new-files" / "a").write_bytes(b"new")
        monkeypatch.setattr(replacing, "PATIENCE", 0.05)
        with pytest.raises(DataError, match=BUSY):
            settle(tmp_path, NAMES)
        assert place_of(tmp_path, "a").read_bytes() == b"new"
        assert place_of(tmp_path, "b") == tmp_path / "b"
    settle(tmp_path, NAMES)
    assert files_in(tmp_path) == {"a": b"new"}
    assert place_of(tmp_path, "a") == tmp_path / "a"


@pytest.mark.parametrize(
    ("name", "message"),
    [("file/run", "Not a directory"), ("x" * 256, "File name too long"), ("a\0b", "embedded null")],
)
def test_folders_that_cannot_be_made(tmp_path, name, message):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(fe.FinetuneEmbedError, match=f": can't be written: {message}"),
        locked(tmp_path / name),
    ):
        raise AssertionError
