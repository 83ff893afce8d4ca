"""`convert --overwrite` replaces a folder that was written here, whole or not at all."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from following import follows

import finetune_embed as fe
from finetune_embed.cli import convert

KINDS = [
    ("--to", "projector"),
    ("--to", "spacy"),
    ("--to", "static"),
    ("--shard-size", "1KB"),
    ("--shard-size", "1GB"),
]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(40, 20)).astype(np.float32)
    words = [f"w{number}" for number in range(40)]
    fe.save_word2vec(fe.EmbeddingTable(words, rows), "old.vec")
    fe.save_word2vec(fe.EmbeddingTable([word.upper() for word in words], -rows), "new.vec")
    return tmp_path


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
@follows("cli/folders.py", "this folder is there already")
def test_a_folder_of_every_kind_is_replaced(kind, files, command):
    assert command("convert", "new.vec", "target", *kind) == ""
    wanted = contents(files / "target")
    shutil.rmtree("target")
    assert command("convert", "old.vec", "target", *kind) == ""
    before = contents(files / "target")
    assert before != wanted
    message = "target: this folder is there already; name another, or replace it with --overwrite"
    assert command("convert", "new.vec", "target", *kind) == f"error: {message}\n"
    assert contents(files / "target") == before
    assert command("convert", "new.vec", "target", *kind, "--overwrite") == ""
    assert contents(files / "target") == wanted
    assert sorted(os.listdir()) == ["new.vec", "old.vec", "target"]
    assert command("convert", "old.vec", "target", "--to", "projector", "--overwrite") == ""
    assert fe.load_vectors("target").index_to_key[:2] == ["w0", "w1"]


def test_what_holds_anything_else_is_never_replaced(files, command):
    assert command("convert", "old.vec", "target", "--to", "static") == ""
    shutil.copytree("target", "others")
    (files / "others" / "config.json").write_text("{}")
    (files / "target" / "notes.txt").write_text("mine")
    (files / "mine").mkdir()
    (files / "mine" / "README.md").write_text("mine")
    (files / "link").symlink_to("target")
    for name, reason in {
        "target": "this folder is not replaced, since it holds 'notes.txt'; name another, or",
        "others": "this folder is not replaced, since another program wrote it; name another",
        "mine": "this folder is not replaced, since it is not one of vectors; name another",
        "link": "this already exists; choose another path",
    }.items():
        before = contents(files / name)
        error = command("convert", "new.vec", name, "--to", "static", "--overwrite")
        assert error.startswith(f"error: {name}: {reason}")
        assert contents(files / name) == before
    assert command("convert", "new.vec", "other", "--to", "static", "--overwrite") == ""


def test_a_folder_does_not_replace_its_source(files, command):
    assert command("convert", "old.vec", "target", "--to", "spacy") == ""
    before = contents(files / "target")
    error = command("convert", "target", "target", "--to", "spacy", "--overwrite")
    assert error.startswith("error: target: the source is in this folder, and would be lost; name")
    assert contents(files / "target") == before


@pytest.mark.parametrize("at", ["writing", "renaming"])
def test_after_an_error_the_old_folder_is_as_it_was(at, files, command, monkeypatch):
    assert command("convert", "old.vec", "target", "--to", "spacy") == ""
    before, replace = contents(files / "target"), os.replace

    def fail(source, target):
        names = (os.path.basename(source), os.fspath(target))
        if at == "renaming" and names == ("target", "target"):  # the new one to its place
            raise OSError(28, "No space left on device")
        replace(source, target)

    def write(name, table, target):
        raise fe.VectorFileError("is odd", where=target / "vectors")

    monkeypatch.setattr(os, "replace", fail)
    if at == "writing":
        monkeypatch.setattr(convert, "write_as", write)
    error = command("convert", "new.vec", "target", "--to", "spacy", "--overwrite")
    reason = "/vectors: is odd" if at == "writing" else ": can't be written: No space"
    assert error.startswith(f"error: target{reason}")
    assert contents(files / "target") == before
    assert sorted(os.listdir()) == ["new.vec", "old.vec", "target"]


def test_delta_apply_replaces_a_folder_too(files, command):
    table = fe.load_vectors("old.vec")
    fe.save_delta(table, fe.EmbeddingTable(table.index_to_key, 2 * table.vectors), "d")
    assert command("convert", "old.vec", "target", "--to", "spacy") == ""
    given = ("delta", "apply", "old.vec", "d", "target", "--to", "spacy")
    assert command(*given).endswith("or replace it with --overwrite\n")
    assert command(*given, "--overwrite") == ""
    assert fe.load_vectors("target").vectors.tobytes() == (2 * table.vectors).tobytes()
