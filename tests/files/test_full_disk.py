"""A disk that is full, or fails, is one error that names the file, for everything we write."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import finetune_embed as fe
from finetune_embed.files import atomic
from finetune_embed.formats import SAVERS

WRITERS: dict[str, Callable[[fe.EmbeddingTable, Path], Any]] = {
    **SAVERS,
    "vocabulary": lambda table, path: fe.Vocabulary.from_texts([table.index_to_key]).save(path),
}


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may have more than 64 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.usefixtures("small_files")
def test_no_room(tmp_path, random_table, writer, before):
    path = tmp_path / "out"
    if before is not None and writer != "spacy":
        path.write_bytes(before)
    left = os.listdir(tmp_path)
    with pytest.raises(
        fe.VectorFileError,
        match=r"^/.*/out: can't be written: File too large; make room, or choose another place$",
    ):
        WRITERS[writer](random_table, path)
    assert os.listdir(tmp_path) == left
    assert not left or path.read_bytes() == before


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("writer", WRITERS)
def test_an_error_that_shows_when_bytes_reach_the_disk(
    tmp_path, table, monkeypatch, writer, number
):
    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(fe.VectorFileError) as caught:
        WRITERS[writer](table, tmp_path / "out")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/out: can't be written: {os.strerror(number)}")
    assert message.endswith("; make room, or choose another place") == (number in atomic._NO_ROOM)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["open", "replace"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_that_may_not_be_written(tmp_path, table, monkeypatch, writer, call):
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    if call == "replace":
        monkeypatch.setattr(atomic.os, "replace", refused)
    else:
        monkeypatch.setattr(atomic, "open", refused, raising=False)
        monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(fe.VectorFileError, match=r"^/.*/out: can't be written: Permission denied$"):
        WRITERS[writer](table, tmp_path / "out")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("writer", [w for w in WRITERS if w != "spacy"])
def test_a_folder_in_place_of_the_file(tmp_path, table, writer):
    (tmp_path / "out").mkdir()
    with pytest.raises(
        fe.VectorFileError, match=r"/out: can't be written: it exists and is not a "
    ):
        WRITERS[writer](table, tmp_path / "out")


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("length", [246, 255])
def test_the_longest_names(tmp_path, table, writer, length):
    name = "v" * length
    WRITERS[writer](table, tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    with pytest.raises(fe.VectorFileError, match=r"v: can't be written: File name too long$"):
        WRITERS[writer](table, tmp_path / ("v" * 256))
