"""The remedies of the errors of deltas are followed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from following import follows

import finetune_embed as fe

WORDS = ["king", "queen"]
BASE = fe.EmbeddingTable(WORDS, [[1.0, 0.5], [1.0, -0.5]])
TUNED = fe.EmbeddingTable([*WORDS, "new"], [[1.0, 0.75], [1.0, -0.5], [0.0, 1.0]])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Names of files with a base, a tuned table and their delta, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fe.save_safetensors(BASE, "base")
    fe.save_safetensors(TUNED, "tuned")
    fe.save_delta(BASE, TUNED, "delta")
    return "base", "tuned", "delta"


def remedy_of(message: object) -> str:
    return str(message).strip().rpartition("; ")[2]


@follows("deltas/base.py", "remedy=remedy")
def test_another_base(files, tmp_path):
    sources = {}
    for name, row in (("glove.txt", "king 1 0.5\nqueen 1 -0.5\n"), ("b.txt", "king 1 1\n")):
        (tmp_path / name).write_text(row)
        sources[name] = fe.load_vectors(name)
    fe.save_delta("glove.txt", TUNED, "d")
    with pytest.raises(fe.VectorFileError) as error:
        fe.apply_delta("b.txt", "d")
    remedy = remedy_of(error.value)
    assert remedy.startswith("pass the table that it was made from, glove.txt, a file with the SHA")
    assert remedy.endswith(sources["glove.txt"].metadata["source_sha256"])
    assert fe.apply_delta("glove.txt", "d").index_to_key == [*WORDS, "new"]


@follows("deltas/delta.py", "in the base and")
def test_other_words(files, command):
    exchanged = fe.EmbeddingTable(WORDS[::-1], TUNED.vectors[:2])
    fe.save_safetensors(exchanged, "other")
    with pytest.raises(fe.VocabularyError) as error:
        fe.save_delta(BASE, exchanged, "d")
    call = remedy_of(error.value).partition(": ")[2]
    eval(f"fe.{call}", {"fe": fe, "tuned": exchanged, "path": "kept"})
    assert fe.load_vectors("kept").index_to_key == WORDS[::-1]
    words = shlex.split(command("delta", "save", "base", "other", "d").rpartition(": ")[2])
    assert words[0] == "finetune-embed"
    assert command(*("other" if word == "TUNED" else word for word in words[1:])) == ""
    assert fe.load_vectors("tuned.safetensors").index_to_key == WORDS[::-1]


def test_another_type(files):
    with pytest.raises(fe.VocabularyError) as error:
        fe.save_delta(BASE, TUNED, "d", "float16")
    assert str(error.value) == (
        "dtype='float16' is not one of float32, int8; choose one, such as dtype='float32'"
    )
    for dtype in ("float32", "int8"):
        fe.save_delta(BASE, TUNED, "d", dtype=dtype)


@follows("deltas/delta.py", "is not finite, which int8")
def test_int8_of_what_is_not_finite(files, command):
    tuned = fe.EmbeddingTable(WORDS, [[1.0, 0.5], [np.inf, -0.5]])
    fe.save_safetensors(tuned, "tuned")
    given = ("delta", "save", "base", "tuned", "d", "--dtype")
    message = command(*given, "int8")
    assert message == (
        "error: the vector of 'queen' is not finite, which int8 can't hold; keep all bits with "
        "--dtype float32\n"
    )
    assert command(*given, "float32") == ""
    assert np.isinf(fe.apply_delta("base", "d")["queen"][0])


@follows("deltas/delta_file.py", "and is not a delta")
def test_a_file_that_is_no_delta(files, command):
    with pytest.raises(fe.VectorFileError) as error:
        fe.load_delta("tuned")
    call = remedy_of(error.value).removeprefix("write one with ")
    eval(f"fe.{call}", {"fe": fe, "base": BASE, "tuned": TUNED, "path": "written"})
    assert fe.load_delta("written").words == ["new"]
    words = command("delta", "show", "tuned").rpartition("finetune-embed ")[2].split()
    assert words == ["delta", "save", "BASE", "TUNED", "DELTA"]
    os.mkdir("run")
    for name in ("config.yaml", "record.json"):
        Path("run", name).touch()
    Path("text").write_text("king 1 0.5\n")
    for name, what in {"run": "this is a folder", "text": "this is text of vectors"}.items():
        error = command("delta", "show", name)
        assert error.startswith(
            f"error: {name}: {what}, and is not a delta; write one with finetune"
        )
    assert command(*map(str.lower, words[:-1]), "again") == ""
    assert fe.load_delta("again").words == ["new"]


@follows("formats/safetensors.py", "this is a delta")
def test_a_delta_that_is_taken_for_a_table(files, command):
    with pytest.raises(fe.VectorFileError) as error:
        fe.load_vectors("delta")
    call = remedy_of(error.value).partition(": ")[2]
    made = eval(f"fe.{call}", {"fe": fe, "base": BASE, "path": "delta"})
    assert made.index_to_key == TUNED.index_to_key
    words = command("neighbors", "delta", "king").strip().rpartition("finetune-embed ")[2].split()
    assert words == ["delta", "apply", "BASE", "DELTA", "tuned.safetensors"]
    assert command(*map(str.lower, words)) == ""
    assert fe.load_vectors("tuned.safetensors").vectors.tolist() == TUNED.vectors.tolist()


@follows("deltas/apply.py", "deltas need")
def test_several_deltas_without_weights(files, command):
    with pytest.raises(fe.VocabularyError) as error:
        fe.apply_delta(BASE, "delta", "delta")
    assert remedy_of(error.value).endswith("such as weights=[0.5, 0.5]")
    merged = fe.apply_delta(BASE, "delta", "delta", weights=[0.5, 0.5])
    assert merged.vectors.tolist() == TUNED.vectors.tolist()
    given = ("delta", "apply", "base", "delta", "delta", "delta", "out.vec")
    option, weights = command(*given).split()[-2:]
    assert (option, weights) == ("--weights", "0.333,0.333,0.333")
    assert command(*given, option, weights) == ""
    assert fe.load_vectors("out.vec").index_to_key == TUNED.index_to_key


@pytest.mark.parametrize("weights", ["1,2", "inf", "nan", "1,1,1"])
@follows("deltas/apply.py", "finite number")
def test_weights_that_do_not_fit(files, command, weights):
    given = ("delta", "apply", "base", "delta", "out.vec", "--weights")
    shown, advice = command(*given, weights).strip().split(" must be 1 finite number; ")
    assert shown.startswith("error: --weights ")
    option, share = advice.split()[-2:]
    assert (option, share) == ("--weights", "1.0")
    assert command(*given, share) == ""


@follows("deltas/apply.py", "removes words")
def test_a_part_of_a_way_back(files):
    fe.save_delta(TUNED, BASE, "back")
    for deltas, weights in ((["back"], [0.5]), (["back", "back"], [0.5, 0.5])):
        with pytest.raises(fe.VocabularyError) as error:
            fe.apply_delta(TUNED, *deltas, weights=weights)
        assert remedy_of(error.value) == "apply it alone, without weights"
    assert fe.apply_delta(TUNED, "back").vectors.tolist() == BASE.vectors.tolist()
