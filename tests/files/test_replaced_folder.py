"""A folder takes the place of another, or that one stays: whatever fails, nothing is lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from finetune_embed.errors import DataError, VectorFileError
from finetune_embed.files import replaced_folder

REAL = os.replace


@pytest.fixture(params=["vectors", "old", "new"])
def folder(request, tmp_path):
    folder = tmp_path / request.param
    folder.mkdir()
    (folder / "file").write_text("old")
    return folder


def replace(folder, check=lambda path: None):
    with replaced_folder(folder, check) as new:
        assert new.name == os.path.basename(os.path.realpath(folder))
        new.mkdir()
        (new / "file").write_text("new")


def contents(path):
    return {
        one.relative_to(path).as_posix(): one.read_text()
        for one in path.rglob("*")
        if one.is_file()
    }


def test_it_is_replaced(folder):
    replace(folder)
    assert contents(folder.parent) == {f"{folder.name}/file": "new"}
    assert os.listdir(folder.parent) == [folder.name]


def test_a_name_as_long_as_names_may_be(tmp_path):
    folder = tmp_path / (63 * "\U0001f600")  # 252 bytes
    folder.mkdir()
    replace(folder)
    assert contents(tmp_path) == {f"{folder.name}/file": "new"}


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, PermissionError])
def test_an_interrupt_or_an_error_at_a_rename(folder, monkeypatch, call, done, error):
    calls = []

    def fails(source, target):
        calls.append(source)
        if len(calls) != call or done:
            REAL(source, target)
        if len(calls) == call:
            raise error(13, "no")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else VectorFileError):
        replace(folder)
    found = "new" if call == 2 and done else "old"  # the new one had taken its place
    assert contents(folder.parent) == {f"{folder.name}/file": found}
    assert os.listdir(folder.parent) == [folder.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_folder_that_cannot_be_put_back_is_kept_and_named(folder, monkeypatch, error):
    def fails(source, target):
        REAL(source, target)
        if source == folder:  # another process takes its place
            folder.mkdir()
            (folder / "file").write_text("another")
            raise error

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(VectorFileError) as caught:
        replace(folder)
    assert caught.value.where == folder
    start, _, end = str(caught.value.remedy).partition("the folder that was there is now ")
    kept, _, end = end.partition(";")
    assert (start, end) == ("", " move it back")
    assert Path(kept).parent.parent == folder.parent
    assert contents(Path(kept)) == {"file": "old"}
    assert contents(folder) == {"file": "another"}


@pytest.mark.parametrize("name", ["../{}", ".", "../link"])
def test_the_working_directory_is_inside(folder, monkeypatch, name):
    (folder.parent / "link").symlink_to(folder.name)
    monkeypatch.chdir(folder)
    seen = []

    def check(path):
        seen.append(path)
        if len(seen) == 2:
            raise VectorFileError("is not replaced", where=path / "file")

    relative = Path(name.format(folder.name))
    with pytest.raises(VectorFileError) as caught:
        replace(relative, check)
    assert caught.value.where == f"{relative}/file"
    assert contents(folder) == {"file": "old"}
    replace(relative)
    assert contents(folder) == {"file": "new"}
    assert sorted(os.listdir(folder.parent)) == sorted([folder.name, "link"])


def test_a_file_that_is_added_at_the_last_moment_stays(folder):
    def check(path):
        if (path / "late").exists():
            raise VectorFileError("holds 'late'", where=path)
        (path / "late").write_text("mine")

    with pytest.raises(VectorFileError, match=f"^{folder}: holds 'late'$"):
        replace(folder, check)
    assert contents(folder) == {"file": "old", "late": "mine"}
    assert os.listdir(folder.parent) == [folder.name]


def test_permissions_stay(folder):
    folder.chmod(0o2750)
    (folder / "file").chmod(0o600)
    replace(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2750
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o600


def test_an_error_of_any_class_names_the_folder(folder):
    for where in ("{}", "{}/file:3"):
        with pytest.raises(DataError) as caught, replaced_folder(folder, print) as new:
            raise DataError("no", where=where.format(new))
        assert caught.value.where == where.format(folder)
    beside = f"{folder}-source"
    with pytest.raises(DataError) as caught, replaced_folder(folder, print):
        raise DataError("no", where=beside)
    assert caught.value.where == beside


def test_a_writer_that_wrote_nothing_replaces_nothing(folder):
    with (
        pytest.raises(VectorFileError, match="can't be written: No such file"),
        replaced_folder(folder, lambda path: None),
    ):
        pass
    assert contents(folder.parent) == {f"{folder.name}/file": "old"}
    assert os.listdir(folder.parent) == [folder.name]
