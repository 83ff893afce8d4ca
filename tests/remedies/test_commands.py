"""The remedies of commands are followed."""

from __future__ import annotations

import pytest
from following import follows

import finetune_embed as fe


@follows("cli/output.py", "the {found} is there already")
def test_a_target_that_is_there(table, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    fe.save_word2vec(table, "vectors.vec")
    assert command("convert", "vectors.vec", "out.npz", "--limit", 1) == ""
    before = fe.load_vectors("out.npz").index_to_key
    message = "the file is there already; name another, or replace it with --overwrite"
    assert command("convert", "vectors.vec", "out.npz") == f"error: out.npz: {message}\n"
    assert fe.load_vectors("out.npz").index_to_key == before == table.index_to_key[:1]
    assert command("convert", "vectors.vec", "other.npz") == ""
    assert command("convert", "vectors.vec", "out.npz", "--overwrite") == ""
    assert fe.load_vectors("out.npz").index_to_key == table.index_to_key


@pytest.mark.parametrize("given", [("out",), ("out.foo",), ("out.txt", "--to", "csv")])
@follows("cli/convert.py", "name the format to write")
def test_a_format_that_is_not_known(table, tmp_path, command, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    fe.save_word2vec(table, "vectors.vec")
    names = command("convert", "vectors.vec", *given).partition("; name the format to write: ")[2]
    option, *formats = names.replace(" | ", " ").split()
    assert (option, len(formats)) == ("--to", 10)
    for name in formats:
        assert command("convert", "vectors.vec", f"{name}.out", option, name) == ""
        assert len(fe.load_vectors(f"{name}.out")) == len(table)


@pytest.mark.slow
@follows("cli/quickstart.py", "a run on other data")
def test_a_quickstart_in_the_folder_of_a_run(table, tmp_path, command):
    data = tmp_path / "data.csv"
    data.write_text("text,label\n" + "a king,x\nthe queen,y\n" * 9)
    fe.finetune(table, data, epochs=1, output_dir=tmp_path / "mine")
    given = ("quickstart", "--epochs", 1, "--quiet", "-o")
    assert command(*given, tmp_path / "mine").endswith("; choose another --output-dir\n")
    assert command(*given, tmp_path / "another") == ""
