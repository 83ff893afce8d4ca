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
    ("--to", "spacy", "--lang", "en"),
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
    (files / "target" / ".DS_Store").write_text("of the system")
    assert command("convert", "old.vec", "target", *kind, "--overwrite") == ""
    assert contents(files / "target") == before


def test_a_folder_of_another_kind_is_not_replaced(files, command):
    assert command("convert", "old.vec", "target", "--shard-size", "1KB") == ""
    before = contents(files / "target")
    error = command("convert", "new.vec", "target", "--to", "static", "--overwrite")
    reason = "target: this folder is not replaced, since it was not written with --to static"
    assert error == f"error: {reason}; choose another path, or delete this folder\n"
    assert contents(files / "target") == before
    assert command("convert", "new.vec", "target", "--shard-size", "1GB", "--overwrite") == ""
    assert os.listdir("target") == ["model.safetensors"]
    shutil.rmtree("target")
    assert command("convert", "new.vec", "target", "--to", "static", "--overwrite") == ""


def test_what_holds_anything_else_is_never_replaced(files, command):
    for name in ("target", "others", "nested", "card", "onnx", "empty"):
        assert command("convert", "old.vec", name, "--to", "static") == ""
    (files / "others" / "config.json").write_text("{}")
    (files / "nested" / "config.json").write_text("[" * 100_000)
    (files / "target" / "notes.txt").write_text("mine")
    (files / "onnx" / "onnx").mkdir()
    (files / "onnx" / "onnx" / "model.onnx").write_text("mine")
    (files / "empty" / "mine").mkdir()
    with open("card/README.md", "a") as file:
        file.write("Mine.")
    (files / "mine").mkdir()
    (files / "mine" / "README.md").write_text("mine")
    (files / "link").symlink_to("target")
    again, edited = (
        "in it would not be written again; choose",
        "in it is not as this library writes it",
    )
    for name, reason in {
        "target": f"'notes.txt' {again}",
        "others": f"'config.json' {edited}",
        "nested": f"'config.json' {edited}",
        "card": f"'README.md' {edited}",
        "onnx": f"'onnx' {again}",
        "empty": f"'mine' {again}",
        "mine": "it was not written with --to static; choose another path, or delete this folder",
        "link": "this already exists; choose another path",
    }.items():
        before = contents(files / name)
        error = command("convert", "new.vec", name, "--to", "static", "--overwrite")
        since = "" if name == "link" else "this folder is not replaced, since "
        assert error.startswith(f"error: {name}: {since}{reason}")
        assert contents(files / name) == before
    assert command("convert", "new.vec", "other", "--to", "static", "--overwrite") == ""
    (files / "target" / "notes.txt").unlink()
    assert command("convert", "new.vec", "target", "--to", "static", "--overwrite") == ""


def test_a_card_of_this_library_is_replaced_whatever_is_in_it(files, command):
    table = fe.EmbeddingTable(["a"], [[1.0, 2.0]], {"source": "\udcff\n<!-- x -->"})
    fe.save_static(table, "target")
    fe.save_card(table, "target", license="mit", name="you/words")
    for old, new in ((b"license: mit", b"license: bsd"), (b"\n", b"\r\n")):
        card = (files / "target" / "README.md").read_bytes()
        (files / "target" / "README.md").write_bytes(card.replace(old, new))
        error = command("convert", "new.vec", "target", "--to", "static", "--overwrite")
        assert "'README.md' in it is not as this library writes it" in error
        (files / "target" / "README.md").write_bytes(card)
    assert command("convert", "new.vec", "target", "--to", "static", "--overwrite") == ""


def test_files_of_others_with_the_names_of_ours_stay(files, command):
    assert command("convert", "old.vec", "columns", "--to", "projector") == ""
    (files / "columns" / "metadata.tsv").write_text("word\tmine\na\t1\n")
    for name, line in {
        "integers": "1\t2\n",
        "digits": "1.000000\t2.500000\n",
        "no": "1e300\n",
    }.items():
        assert command("convert", "old.vec", name, "--to", "projector") == ""
        (files / name / "vectors.tsv").write_text(line)
    assert command("convert", "old.vec", "spacy", "--to", "spacy") == ""
    (files / "spacy" / "vectors.cfg").write_text('{\n  "mode":"default"\n}')  # as spaCy writes it
    for folder, name in {
        "columns": "metadata.tsv",
        "integers": "vectors.tsv",
        "digits": "vectors.tsv",
        "no": "vectors.tsv",
        "spacy": "vectors.cfg",
    }.items():
        before = contents(files / folder)
        kind = folder if folder == "spacy" else "projector"
        error = command("convert", "new.vec", folder, "--to", kind, "--overwrite")
        assert f"since '{name}' in it is not as this library writes it: another program" in error
        assert contents(files / folder) == before


def components_added(folder):
    import spacy

    nlp = spacy.load(folder)
    nlp.add_pipe("sentencizer")
    nlp.to_disk(folder)


def changed(name, old, new):
    def change(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


#: What somebody does to a pipeline, and what the message names of its vocabulary.
EDITS = {
    "components": (components_added, ""),
    "config": (changed("config.cfg", "batch_size = 1000", "batch_size = 10"), ""),
    "author": (changed("meta.json", '"author": ""', '"author": "me"'), ""),
    "no meta": (lambda folder: (folder / "meta.json").write_text("{}"), ""),
    "no mark": (lambda folder: (folder / "meta.json").write_text("[]"), ""),
    "nested": (lambda folder: (folder / "meta.json").write_text("[" * 100_000), ""),
    "a file": (lambda folder: (folder / "notes.txt").write_text("mine"), ""),
    "a folder": (lambda folder: (folder / "mine").mkdir(), ""),
    "no tokenizer": (lambda folder: (folder / "tokenizer").unlink(), ""),
    "no vocabulary": (lambda folder: shutil.rmtree(folder / "vocab"), ""),
    "lookups": (lambda folder: (folder / "vocab" / "lookups.bin").write_text("x"), "'lookups.bin'"),
    "vectors": (lambda folder: (folder / "vocab" / "vectors").unlink(), "--to spacy"),
}


@pytest.mark.slow  # imports spaCy
def test_a_pipeline_that_somebody_changed_is_not_replaced(files, command):
    given = ("--to", "spacy", "--lang", "en")
    assert command("convert", "old.vec", "written", *given) == ""
    for name, (edit, named) in EDITS.items():
        shutil.copytree("written", name)
        edit(files / name)
        before = contents(files / name)
        error = command("convert", "new.vec", name, *given, "--overwrite")
        where = f"{name}/vocab" if named else name
        assert error.startswith(f"error: {where}: this folder is not replaced, since "), name
        assert (named or "not as this library writes it with --lang: another program") in error
        assert contents(files / name) == before
    assert command("convert", "old.vec", "vocabulary", "--to", "spacy") == ""
    for name, options in {"vocabulary": given, "written": given[:2]}.items():
        before = contents(files / name)
        assert "is not replaced" in command("convert", "new.vec", name, *options, "--overwrite")
        assert contents(files / name) == before


def test_the_working_directory_is_not_replaced(files, command, monkeypatch):
    assert command("convert", "old.vec", "target", "--to", "projector") == ""
    before = contents(files / "target")
    monkeypatch.chdir("target")
    for path in (".", "../target"):
        error = command("convert", "../new.vec", path, "--to", "projector", "--overwrite")
        reason = "this folder is not replaced, since it is, or holds, the working directory"
        assert error.startswith(f"error: {path}: {reason}; choose another path, or change to")
        assert contents(files / "target") == before
    monkeypatch.chdir("..")
    assert command("convert", "new.vec", "target", "--to", "projector", "--overwrite") == ""


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
        names = (os.path.basename(source), os.path.basename(target))
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
