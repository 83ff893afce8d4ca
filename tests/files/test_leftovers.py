"""What a killed process left is removed by the next save to the same path, and nothing else is."""

from __future__ import annotations

import os
import signal
import time

import pytest

from finetune_embed.files import atomic_folder, atomic_write
from finetune_embed.files.leftovers import AGE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such locks here")


def write(path, data=b"new"):
    with atomic_write(path) as file:
        file.write(data)


def fill(path):
    with atomic_folder(path) as folder:
        (folder / "inside").mkdir()
        (folder / "inside" / "file").write_bytes(b"new")


def killed(work, path):
    """Do something in a process that is killed before it ends; return what it left."""
    before = set(os.listdir(path.parent))
    child = os.fork()
    if child == 0:
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        work(path)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    (left,) = set(os.listdir(path.parent)) - before
    return path.parent / left


def make_old(path):
    for one in (path, *path.rglob("*")):
        os.utime(one, (time.time() - 2 * AGE,) * 2)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12, with threads
@pytest.mark.parametrize("work", [write, fill])
@pytest.mark.parametrize("name", ["out", "n" * 200])
def test_the_next_save_removes_what_a_killed_one_left(tmp_path, work, name):
    left = killed(work, tmp_path / name)
    new = killed(work, tmp_path / name)
    make_old(left)
    work(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == sorted([new.name, name])
    if work is write:
        make_old(new)
        write(tmp_path / name)
        assert os.listdir(tmp_path) == [name]


def test_what_is_still_written_stays(tmp_path):
    path = tmp_path / "out"
    with atomic_write(path) as file:
        file.write(b"slow")
        file.flush()
        (hidden,) = tmp_path.iterdir()
        make_old(hidden)
        write(path)
        assert hidden.exists()
        assert path.read_bytes() == b"new"
    assert path.read_bytes() == b"slow"
    with atomic_folder(tmp_path / "folder") as slow:
        (slow / "file").write_bytes(b"slow")
        make_old(slow)
        fill(tmp_path / "folder")
        (tmp_path / "folder").rename(tmp_path / "other")
    assert (tmp_path / "folder" / "file").read_bytes() == b"slow"
    assert sorted(os.listdir(tmp_path)) == ["folder", "other", "out"]


def test_what_has_another_name_stays(tmp_path):
    names = [
        ".out",
        ".out.0123456",
        ".out.012345678",
        ".out.0123ABCD",
        ".other.01234567",
        "out.0123",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"mine")
        make_old(tmp_path / name)
    (tmp_path / ".out.89abcdef").symlink_to("out.0123")
    os.mkfifo(tmp_path / ".out.fedcba98")
    write(tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == sorted([*names, ".out.89abcdef", ".out.fedcba98", "out"])
