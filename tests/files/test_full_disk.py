"""A disk that is full, or fails, is one error that names the file, for everything we write."""

from __future__ import annotations

import errno
import os
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from writers import OF_RUNS, WRITERS, tuned

import finetune_embed as fe
from finetune_embed.files import atomic

ALL = [*WRITERS, *OF_RUNS]
FOLDERS = [name for name, one in WRITERS.items() if one.is_folder] + ["static-run"]
RUNS = ["run", "shrunk-run"]  # folders that are replaced
OUT = r"out(/embedding\.safetensors)?"  # what a message names: of a run, its first file


@pytest.fixture(scope="module")
def run() -> fe.Run:
    return tuned()


@pytest.fixture
def write(run: fe.Run, table: fe.EmbeddingTable) -> Callable[..., Any]:
    """Return a function that writes with a writer: `write(writer, path, table)`."""

    def write(writer: str, path: Path, table: fe.EmbeddingTable = table) -> None:
        if writer in OF_RUNS:
            OF_RUNS[writer](run, path)
        else:
            WRITERS[writer].write(table, path)

    return write


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may have more than 64 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("writer", ALL)
@pytest.mark.usefixtures("small_files")
def test_no_room(tmp_path, random_table, write, writer, before):
    path = tmp_path / "out"
    if before is not None and writer not in (*FOLDERS, *RUNS):
        path.write_bytes(before)
    left = os.listdir(tmp_path)
    with pytest.raises(
        fe.VectorFileError,
        match=rf"^/.*/{OUT}: can't be written: File too large; make room, or choose another place$",
    ):
        write(writer, path, random_table)
    assert os.listdir(tmp_path) == left
    assert not left or path.read_bytes() == before


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("writer", ALL)
def test_an_error_that_shows_when_bytes_reach_the_disk(
    tmp_path, write, monkeypatch, writer, number
):
    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(fe.VectorFileError) as caught:
        write(writer, tmp_path / "out")
    message = str(caught.value)
    assert re.match(rf"{tmp_path}/{OUT}: can't be written: {os.strerror(number)}", message)
    assert message.endswith("; make room, or choose another place") == (number in atomic._NO_ROOM)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["open", "replace"])
@pytest.mark.parametrize("writer", ALL)
def test_a_folder_that_may_not_be_written(tmp_path, write, monkeypatch, writer, call):
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    if call == "replace":
        monkeypatch.setattr(atomic.os, "replace", refused)
    else:
        monkeypatch.setattr(atomic, "open", refused, raising=False)
        monkeypatch.setattr(Path, "mkdir", refused)
    message = rf"^/.*/{OUT}: can't be written: Permission denied$"
    with pytest.raises(fe.VectorFileError, match=message):
        write(writer, tmp_path / "out")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("writer", [w for w in ALL if w not in (*FOLDERS, *RUNS)])
def test_a_folder_in_place_of_the_file(tmp_path, write, writer):
    (tmp_path / "out").mkdir()
    with pytest.raises(
        fe.VectorFileError, match=r"/out: can't be written: it exists and is not a "
    ):
        write(writer, tmp_path / "out")


@pytest.mark.parametrize("writer", ALL)
@pytest.mark.parametrize("length", [246, 255])
def test_the_longest_names(tmp_path, write, writer, length):
    name = "v" * length
    write(writer, tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    with pytest.raises(fe.VectorFileError, match=r"v: can't be written: File name too long$"):
        write(writer, tmp_path / ("v" * 256))
