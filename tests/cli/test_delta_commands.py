"""`finetune-embed delta save`, `apply`, `show` and `diff`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.cli import main

WORDS = ["king", "queen", "man"]
VECTORS = np.array([[1.0, 0.5], [1.0, -0.5], [0.25, 0.5]], np.float32)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base, a tuned table, and the current folder that they are in."""
    monkeypatch.chdir(tmp_path)
    fe.save_glove(fe.EmbeddingTable(WORDS, VECTORS), "base.txt")
    tuned = np.vstack([VECTORS, [[2, 2]]]).astype(np.float32)
    tuned[1] = [1, 1]
    fe.save_safetensors(
        fe.EmbeddingTable([*WORDS, "new"], tuned, {"strategy": "FullTune"}, [0, 1, 0, 2]), "tuned"
    )


def test_save_and_apply_give_the_same_file(capsys):
    assert run("delta", "save", "base.txt", "tuned", "d") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("1 of 3 rows changed (33.33%), 1 new word, 2 x float32 each\n")
    assert printed.endswith(f"d: {Path('d').stat().st_size:,} bytes\n")
    assert run("delta", "apply", "base.txt", "d", "back.safetensors") == 0
    assert capsys.readouterr().out == "back.safetensors: safetensors, 4 words x 2\n"
    fe.save_safetensors(fe.load_vectors("tuned"), "again")
    assert Path("back.safetensors").read_bytes() == Path("again").read_bytes()


def test_json(capsys):
    assert run("delta", "save", "base.txt", "tuned", "d", "--dtype", "int8", "--json") == 0
    saved = json.loads(capsys.readouterr().out)
    assert run("delta", "show", "d", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert saved == {"target": "d", "bytes": Path("d").stat().st_size, **shown}
    assert (shown["rows_changed"], shown["new_words"], shown["dtype"]) == (1, 1, "int8")
    assert shown["base"]["source"] == "base.txt"
    given = ("apply", "base.txt", "d", "out", "--to", "glove", "--weights", "0.5", "--json")
    assert run("delta", *given) == 0
    document = {"target": "out", "format": "glove", "words": 4, "size": 2}
    assert json.loads(capsys.readouterr().out) == document
    assert fe.load_glove("out")["queen"].tolist() == pytest.approx([1, 0.25], abs=0.01)


def test_a_file_is_replaced_only_if_that_is_asked_for():
    for target in ("d", "out.vec"):
        Path(target).write_bytes(b"before")
    assert run("delta", "save", "base.txt", "tuned", "d", "--overwrite") == 0
    assert run("delta", "apply", "base.txt", "d", "out.vec", "--overwrite") == 0
    assert fe.load_vectors("out.vec").index_to_key == [*WORDS, "new"]


def test_merge_with_weights(capsys):
    for name, vector in (("a", [3, 0.5]), ("b", [1, 4.5])):
        tuned = fe.EmbeddingTable(WORDS, [vector, *VECTORS[1:]])
        fe.save_delta("base.txt", tuned, name)
    assert run("delta", "apply", "base.txt", "a", "b", "out.npz", "--weights", "0.5,0.25") == 0
    merged = fe.load_vectors("out.npz")
    assert merged.vectors.tolist() == [[2, 1.5], *VECTORS[1:].tolist()]


def test_diff_is_the_drift_of_the_tuned_table(capsys):
    fe.save_delta("base.txt", "tuned", "d")
    for options in ((), ("--word", "queen"), ("--json", "--top", "1")):
        assert run("delta", "diff", "base.txt", "d", *options) == 0
        of_delta = capsys.readouterr().out
        assert run("drift", "base.txt", "tuned", *options) == 0
        assert of_delta == capsys.readouterr().out != ""


def test_options_are_about_the_base():
    with open("base.txt", "a") as file:
        file.write("late 5 5\n")
    assert run("delta", "save", "base.txt", "tuned", "d", "--limit", "3") == 0
    assert run("delta", "apply", "base.txt", "d", "out.vec", "--limit", "3") == 0
    assert fe.load_vectors("out.vec").index_to_key == [*WORDS, "new"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("save", "base.txt", "none", "x"), "none: no such file"),
        (
            ("save", "base.txt", "tuned", "d"),
            "d: the file is there already; name another, or replace",
        ),
        (("apply", "base.txt", "d", "base.vec"), "base.vec: the file is there already; name anoth"),
        (("save", "base.txt", "tuned", "d.gz"), "d.gz: the name ends in .gz, but what is written"),
        (("save", "base.txt", "tuned", "tuned"), "tuned: the target is the source, which would be"),
        (("save", "base.txt", "tuned", "base.txt"), "base.txt: the target is the source, which"),
        (("save", "base.txt", "tuned", "d", "--dtype", "half"), "Invalid value for '--dtype'"),
        (("apply", "base.txt", "d", "d", "--to", "word2vec"), "d: the target is the source, which"),
        (("apply", "base.txt", "d", "out"), "out: the suffix is not that of a format; name the"),
        (("apply", "base.txt", "out.vec"), "Missing argument 'DELTAS...'"),
        (("apply", "base.txt", "d", "out.vec", "--weights", "x"), "'x' is not numbers with commas"),
        (("apply", "tuned", "d", "out.vec"), "the delta belongs to 3 words with the SHA-256"),
        (
            ("apply", "base.txt", "base.txt", "out.vec"),
            "this is text of vectors, and is not a delta",
        ),
        (("show", "none"), "none: no such file"),
        (("diff", "base.txt", "d", "--word", "x"), "'x' is not in the base table"),
        (("forget", "d"), "No such command 'forget'; see finetune-embed delta --help"),
        (
            ("save", "a", "b", "c", "--limit", "1", "--limit", "2"),
            "--limit is given twice; give it",
        ),
    ],
)
def test_bad_input_is_one_line(words, message, capsys):
    fe.save_delta("base.txt", "tuned", "d")
    Path("base.vec").write_bytes(b"before")
    before = sorted(path.name for path in Path().iterdir())
    contents = [Path(name).read_bytes() for name in before]
    assert run("delta", *words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == before
    assert [Path(name).read_bytes() for name in before] == contents


def test_help_has_an_example(capsys):
    for name in ("save", "apply", "show", "diff"):
        assert run("delta", name, "--help") == 0
        assert f"Example: finetune-embed delta {name} " in capsys.readouterr().out
