"""The remedies for fastText, spaCy and gensim files."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from following import follows

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.errors import VectorFileError


def run(*arguments: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, arguments)))
    assert stopped.value.code == code


@follows("formats/fasttext/matrix.py", "where=self.name, value=value, remedy=remedy")
def test_damaged_fasttext_models(golden, write):
    sound = (golden / "tiny.fasttext-skipgram.bin").read_bytes()
    path = write(sound[:-1], "model.bin")
    with pytest.raises(VectorFileError, match="incomplete or damaged; fetch it again"):
        fe.load_fasttext(path)
    write(sound, "model.bin")
    assert len(fe.load_fasttext(path)) == 24


@follows("formats/common/saving.py", "words are not UTF-8, which {target} needs")
def test_words_that_spacy_cannot_hold(write, tmp_path, capsys):
    path = write(b"a 1 2\nb\xff 3 4\n")
    table = fe.load_vectors(path)
    with pytest.raises(VectorFileError, match=r"use save_safetensors\(table, path\), .*or remove"):
        fe.save_spacy(table, tmp_path / "folder")
    fe.save_safetensors(table, tmp_path / "a.safetensors")
    fe.save_spacy(table.subset(["a"]), tmp_path / "folder")
    assert fe.load_spacy(tmp_path / "folder").index_to_key == ["a"]
    run("convert", path, tmp_path / "other", "--to", "spacy", code=2)
    assert "use --to safetensors, which holds any word" in capsys.readouterr().err
    run("convert", path, tmp_path / "other", "--to", "safetensors")
    assert fe.load_vectors(tmp_path / "other").index_to_key == table.index_to_key


@follows("formats/projector.py", "is blank or starts like a byte order mark")
def test_words_that_the_projector_leaves_out(tmp_path, capsys):
    table = fe.EmbeddingTable(["a", "\u00a0"], np.ones((2, 2), np.float32))
    with pytest.raises(VectorFileError, match=r"use save_safetensors\(table, path\), .*or remove"):
        fe.save_projector(table, tmp_path / "folder")
    fe.save_safetensors(table, tmp_path / "a.safetensors")
    fe.save_projector(table.subset(["a"]), tmp_path / "folder")
    assert fe.load_vectors(tmp_path / "folder").index_to_key == ["a"]
    run("convert", tmp_path / "a.safetensors", tmp_path / "other", "--to", "projector", code=2)
    assert "use --to safetensors, which holds any word" in capsys.readouterr().err
    run("convert", tmp_path / "a.safetensors", tmp_path / "other", "--to", "safetensors")
    assert fe.load_vectors(tmp_path / "other").index_to_key == table.index_to_key


@follows("formats/spacy_vectors/__init__.py", "so the words of its keys are unknown")
def test_spacy_vectors_without_strings(golden, tmp_path, capsys):
    folder = shutil.copytree(golden / "spacy" / "default", tmp_path / "folder")
    (folder / "strings.json").unlink()
    with pytest.raises(VectorFileError, match=r"load_spacy\(path, keys=\[...\]\)$"):
        fe.load_spacy(folder)
    assert fe.load_spacy(folder, keys=["the"]).index_to_key == ["the"]
    target = tmp_path / "vectors.safetensors"
    run("convert", folder, target, code=2)
    assert "convert FOLDER vectors.safetensors --keys WORDS.txt" in capsys.readouterr().err
    (tmp_path / "words.txt").write_text("the\n")
    run("convert", folder, target, "--keys", tmp_path / "words.txt")
    assert fe.load_vectors(target).index_to_key == ["the"]
    shutil.copy(golden / "spacy" / "default" / "strings.json", folder)
    assert len(fe.load_spacy(folder)) == 8


@follows("formats/gensim_native.py", "this is a Python pickle")
def test_pickles_of_gensim(table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table.to_keyed_vectors().save("model")
    with pytest.raises(VectorFileError, match=r"use load_gensim\(path, allow_pickle=True\)$"):
        fe.load_vectors("model")
    assert len(fe.load_gensim("model", allow_pickle=True)) == len(table)
    run("neighbors", "model", "king", code=2)
    remedy = "save_safetensors(load_gensim(path, allow_pickle=True), 'vectors.safetensors')"
    assert remedy in capsys.readouterr().err
    names = {name: getattr(fe, name) for name in ("save_safetensors", "load_gensim")}
    eval(remedy, names | {"path": "model"})
    run("neighbors", "vectors.safetensors", "king")


def test_models_of_another_fasttext_version(golden, write):
    data = bytearray((golden / "tiny.fasttext-skipgram.bin").read_bytes())
    data[4] = 13
    with pytest.raises(VectorFileError, match=r"version 13, but .*; save it with fastText 0\.9\.2"):
        fe.load_fasttext(write(bytes(data), "model.bin"))
    data[4] = 12  # which fastText 0.9.2 writes
    assert len(fe.load_fasttext(write(bytes(data), "model.bin"))) == 24


def test_spacy_modes(golden, tmp_path):
    folder = shutil.copytree(golden / "spacy" / "default", tmp_path / "folder")
    (folder / "vectors.cfg").write_text('{"mode": "other"}')
    with pytest.raises(VectorFileError, match=r"with the mode, .\"mode\": \"default\"") as caught:
        fe.load_spacy(folder)
    assert caught.value.where == folder / "vectors.cfg"
    caught.value.where.write_text(json.dumps({"mode": "default"}))
    assert len(fe.load_spacy(folder)) == 8


def test_spacy_folders_that_exist(table, tmp_path):
    with pytest.raises(VectorFileError, match="this already exists; choose another path"):
        fe.save_spacy(table, tmp_path)
    fe.save_spacy(table, tmp_path / "new")
    with pytest.raises(VectorFileError, match="make that folder first"):
        fe.save_spacy(table, tmp_path / "a" / "b")
    (tmp_path / "a").mkdir()
    fe.save_spacy(table, tmp_path / "a" / "b")
    assert np.array_equal(fe.load_spacy(tmp_path / "a" / "b").vectors, table.vectors)
