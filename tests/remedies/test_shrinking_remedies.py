"""The remedies of errors about shrinking are followed."""

from __future__ import annotations

import numpy as np
import pytest
from following import follows

import finetune_embed as fe


def refused(*arguments: object, **options: object) -> str:
    """Return the message of the error that `shrink` raises."""
    with pytest.raises(fe.FinetuneEmbedError) as error:
        fe.shrink(*arguments, **options)
    return str(error.value)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> fe.Run:
    folder = tmp_path_factory.mktemp("run")
    (folder / "data.csv").write_text("text,label\n" + "a king,x\nthe queen,y\n" * 9)
    table = fe.EmbeddingTable(["king", "queen"], np.eye(2, dtype=np.float32))
    fe.finetune(table, folder / "data.csv", epochs=1, output_dir=folder / "out")
    return fe.load(folder / "out")


def test_an_order_that_is_none(table):
    assert refused(table, words=2, by="length").endswith("; choose one, such as by='order'")
    assert len(fe.shrink(table, words=2, by="order")) == len(fe.shrink(table, words=2)) == 2


@follows("table/shrinking.py", "is a single string")
def test_words_as_one_string(table):
    assert refused(table, words="king").endswith("; pass a list of words: words=['king']")
    assert fe.shrink(table, words=["king"]).index_to_key == ["king"]


def test_a_dtype_that_is_none(table):
    assert refused(table, dtype="int4").endswith("; choose one, such as dtype='float32'")
    assert fe.shrink(table, dtype="float32").coded is None
    assert fe.shrink(table).coded is None


@follows("table/shrinking.py", "so there are no principal components")
def test_components_of_vectors_that_are_not_finite():
    table = fe.EmbeddingTable(["a", "b", "c"], [[1, np.inf], [1, 2], [3, 4]])
    remedy = "table.subset(word for word in table.words if np.isfinite(table[word]).all())"
    assert refused(table, dim=1).endswith(f"; leave them out: {remedy}")
    small = table.subset(word for word in table.words if np.isfinite(table[word]).all())
    assert fe.shrink(small, dim=1).vectors.shape == (2, 1)


@follows("training/run/shrinking.py", "is made for")
def test_a_run_without_its_top(run):
    assert refused(run, dim=1, all_but_top=1).endswith("; leave all_but_top out")
    assert fe.shrink(run, dim=1).table.vector_size == 2


@follows("cli/output.py", "the {found} is there already")
def test_an_output_that_is_there(table, run, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fe.save_glove(table, "v.txt")
    run.save("run")
    (tmp_path / "out").write_bytes(b"other")
    fe.shrink(run).save("small")
    for source, there, other in (("v.txt", "out", "small"), ("run", "small", "out")):
        given = ("shrink", source, "--words", 2, "-o")
        message = command(*given, there)
        assert message.endswith(" is there already; name another, or replace it with --overwrite\n")
        for options in ((), ("--overwrite",)):
            message = command(*given, other, *options)
            assert message.endswith(" is written; name another place\n")
        assert command(*given, f"another-{source}") == ""
        assert command(*given, there, "--overwrite") == ""
        assert len(fe.load_vectors(there)) == 2


@pytest.mark.parametrize("options", [("--to", "spacy"), ("--shard-size", 8)])
def test_a_folder_replaces_nothing(options, table, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fe.save_glove(table, "v.txt")
    (tmp_path / "out").write_bytes(b"other")
    for more in ((), ("--overwrite",)):
        message = command("convert", "v.txt", "out", *options, *more)
        assert message == "error: out: this already exists; choose another path\n"
    assert command("convert", "v.txt", "another", *options) == ""
