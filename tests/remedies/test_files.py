"""The remedies of errors about opening files are followed."""

from __future__ import annotations

import io
import os
import shutil

import numpy as np
import pytest
import torch
from following import follows
from packing import tarred, zipped

import finetune_embed as fe
from finetune_embed.cli import main

TEXT = b"king 1 2\nqueen 3 4\n"


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("member", [None, "absent"])
@follows("files/archives.py", "name the one to read")
def test_an_archive_of_several_files(write, capsys, pack, member):
    path = write(pack(("a.txt", TEXT), ("b.txt", b"x 1\n")), "v.archive")
    with pytest.raises(fe.VectorFileError, match=r"; name the one to read: member='a.txt'$"):
        fe.load_vectors(path, member=member)
    assert fe.load_vectors(path, member="a.txt").index_to_key == ["king", "queen"]
    asked = () if member is None else ("--member", member)
    assert run("neighbors", path, "king", *asked) == 2
    assert capsys.readouterr().err.endswith("; name the one to read: --member a.txt\n")
    assert run("neighbors", path, "king", "--member", "a.txt") == 0


@follows("files/opening.py", "no such file")
@pytest.mark.parametrize("name", ["vecotrs.6B.txt", "vectors.6.txt", "Vectors.6B.TXT", "vectors"])
def test_a_name_that_is_nearly_that_of_a_file(write, capsys, monkeypatch, name):
    monkeypatch.chdir(write(TEXT, "vectors.6B.txt").parent)
    write(b"text,label\n" + 20 * b"king,a\nqueen,b\n", "data.csv")
    with pytest.raises(fe.VectorFileError, match=r"; did you mean vectors\.6B\.txt\?$"):
        fe.load_vectors(name)
    with pytest.raises(fe.VectorFileError, match=r"; did you mean \S*/vectors\.6B\.txt\?$"):
        fe.load_glove(os.path.abspath(name))
    assert run("train", "--vectors", name, "--data", "data.csv", "-o", "out") == 2
    assert capsys.readouterr().err.endswith("); did you mean vectors.6B.txt?\n")
    assert run("neighbors", "vectors.6B.txt", "king") == 0


@pytest.mark.parametrize("name", ["glove.txt", "no/vectors.6B.txt", "dead link", "~nobody/v"])
def test_a_name_that_is_like_no_other(write, monkeypatch, name):
    monkeypatch.chdir(write(TEXT, "vectors.6B.txt").parent)
    os.symlink("nowhere", "dead link")
    with pytest.raises(fe.VectorFileError, match=r": no such file \(looked in .*\)$") as caught:
        fe.load_vectors(name)
    assert caught.value.remedy is None


@follows("files/source.py", "leave out ")
def test_a_member_of_a_plain_file(write, capsys):
    path = write(TEXT)
    with pytest.raises(fe.VectorFileError, match=r"no member 'a'; leave out member$"):
        fe.load_vectors(path, member="a")
    assert len(fe.load_vectors(path)) == 2
    assert run("neighbors", path, "king", "--member", "a") == 2
    assert capsys.readouterr().err.endswith("no member 'a'; leave out --member\n")
    assert run("neighbors", path, "king") == 0


@follows("files/opening.py", "neither a path nor a file object")
def test_an_argument_that_is_not_a_file(write):
    path = write(TEXT)
    with pytest.raises(fe.VectorFileError, match=r"a file object; pass open\(path, 'rb'\)$"):
        fe.load_vectors(5)
    with open(path, "rb") as file:
        assert len(fe.load_vectors(file)) == 2


@follows("files/opening.py", "can't be read: {error}")
def test_a_closed_file_object(write):
    path, closed = write(TEXT), io.BytesIO()
    closed.close()
    with pytest.raises(fe.VectorFileError, match=r"closed.*; pass open\(path, 'rb'\)$"):
        fe.load_vectors(closed)
    with open(path, "rb") as file:
        assert len(fe.load_vectors(file)) == 2


@follows("files/opening.py", "this is a folder")
def test_a_folder_for_the_reader_of_a_file(golden):
    message = r"; use load_vectors\(path\), which detects the format of a folder$"
    with pytest.raises(fe.VectorFileError, match=message):
        fe.load_glove(golden / "static" / "model2vec")
    assert len(fe.load_vectors(golden / "static" / "model2vec")) == 8
    with pytest.raises(fe.VectorFileError, match=r"; give the vector file inside it$"):
        fe.load_glove(golden)
    assert len(fe.load_glove(golden / "tiny.glove.txt")) == 5


@pytest.mark.parametrize("new", [False, True])
@follows("files/source.py", "kind.title")
def test_a_file_written_by_torch_save(tmp_path, capsys, new):
    path = tmp_path / "cache.pt"
    words, vectors = ["king", "queen"], torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    index = {"king": 0, "queen": 1}
    torch.save((words, index, vectors, 2), path, _use_new_zipfile_serialization=new)  # torchtext's
    message = r"torch\.load\(path\) and pass EmbeddingTable\(words, vectors\)$"
    with pytest.raises(fe.VectorFileError, match=message):
        fe.load_vectors(path)
    words, _, vectors, _ = torch.load(path)
    table = fe.EmbeddingTable(words, vectors)
    assert table["queen"].tolist() == [3.0, 4.0]
    assert run("neighbors", path, "king") == 2
    command = "save it with numpy.savez('vectors.npz', vectors=vectors, words=words)"
    assert capsys.readouterr().err.endswith(f"torch.load(path) and {command}\n")
    np.savez(tmp_path / "vectors.npz", vectors=vectors, words=words)
    assert run("neighbors", tmp_path / "vectors.npz", "king") == 0


def test_the_folder_in_an_archive_is_unpacked(tmp_path):
    table = fe.EmbeddingTable(["king", "queen"], np.ones((2, 3), np.float32))
    fe.save_spacy(table, tmp_path / "v")
    files = [(f"v/{path.name}", path.read_bytes()) for path in (tmp_path / "v").iterdir()]
    for pack in (zipped, tarred):
        packed = tmp_path / "v.archive"
        packed.write_bytes(pack(*files))
        with pytest.raises(fe.VectorFileError, match=r"unpack it and pass the folder$"):
            fe.load_vectors(packed)
        shutil.unpack_archive(packed, tmp_path / "out", "zip" if pack is zipped else "tar")
        assert fe.load_vectors(tmp_path / "out" / "v").index_to_key == ["king", "queen"]
        shutil.rmtree(tmp_path / "out")
