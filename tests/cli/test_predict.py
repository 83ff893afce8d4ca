"""`predict` of runs with several labels for a text, and with tags of words."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import polars as pl
import pytest

import finetune_embed as fe
from finetune_embed.cli import main

WORDS = ["Berlin", "Rome", "in", "she", "lives", "sings", "bad", "good"]


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 0
    return capsys.readouterr().out


def tuned(folder: Path, columns: dict[str, list[Any]], **options: Any) -> fe.Run:
    vectors = np.random.default_rng(0).standard_normal((len(WORDS), 8)).astype(np.float32)
    rows = datasets.Dataset.from_dict(columns)
    return fe.finetune(
        fe.EmbeddingTable(WORDS, vectors), datasets.DatasetDict(train=rows, validation=rows),
        epochs=20, lr=0.1, output_dir=folder, **options,
    )  # fmt: skip


@pytest.fixture
def labelled(tmp_path: Path) -> fe.Run:
    """A run whose labels are the words `bad` and `good` of a text."""
    texts = ["good", "bad", "good bad", "she sings", "she lives in Rome", "bad she"] * 4
    labels = [[word for word in ("bad", "good") if word in text.split()] for text in texts]
    return tuned(tmp_path / "run", {"text": texts, "label": labels}, head="bag(hidden=8)")


def test_labels_are_those_above_the_runs_threshold(labelled, tmp_path, capsys):
    texts = ["good good bad", "she sings", "bad"]
    found = json.loads(printed(capsys, "predict", tmp_path / "run", *texts, "--json"))
    named = [[one["label"] for one in text["labels"]] for text in found]
    assert list(map(sorted, named)) == labelled.predict(texts) == [["bad", "good"], [], ["bad"]]
    chances = labelled.predict_proba(texts).tolist()
    for text, row in zip(found, chances, strict=True):
        given = {one["label"]: one["probability"] for one in text["labels"]}
        assert given == {n: p for n, p in zip(labelled.labels, row, strict=True) if n in given}
        assert list(given.values()) == sorted(given.values(), reverse=True)
    out = printed(capsys, "predict", tmp_path / "run", *texts)
    assert out.splitlines()[1:] == ["\t\tshe sings", f"bad\t{chances[2][0]:.3f}\tbad"]


@pytest.fixture
def tagger(tmp_path: Path) -> fe.Run:
    """A run that tags towns, in at most four words of a text."""
    texts = [["she", "lives", "in", "Rome"], ["Berlin", "sings"], ["she", "sings"]] * 8
    tags = [["B-LOC" if word in ("Rome", "Berlin") else "O" for word in text] for text in texts]
    columns = {"text": texts, "label": tags}
    return tuned(
        tmp_path / "run", columns, head="cnn_tagger", tokenizer="glove", max_length=4,
        fallback=("capitalize",),
    )  # fmt: skip


def test_tags_of_words(tagger, tmp_path, capsys, monkeypatch):
    out = printed(capsys, "predict", tmp_path / "run", "She lives in Rome", "", "Berlin sings")
    # an empty text is an empty line before the next text
    texts = [[line.split("\t") for line in text.splitlines()] for text in out.split("\n\n")]
    assert [[row[:2] for row in text] for text in texts] == [
        [["She", "O"], ["lives", "O"], ["in", "O"], ["Rome", "B-LOC"]],
        [[""], ["Berlin", "B-LOC"], ["sings", "O"]],
        [],
    ]  # fmt: skip
    chances = tagger.predict_proba([["She", "lives", "in", "Rome"], ["Berlin", "sings"]])
    found = [float(row[2]) for text in texts for row in text if len(row) == 3]
    assert found == pytest.approx(chances.amax(dim=1).tolist(), abs=6e-4)
    monkeypatch.setattr("sys.stdin", io.StringIO("She lives in Rome\n\nBerlin sings\n"))
    assert printed(capsys, "predict", tmp_path / "run") == out


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_file_of_tags_has_the_words_as_printed(tagger, tmp_path, capsys, suffix):
    texts = ["She lives in Rome, she sings", "", "Berlin sings"]
    found = json.loads(printed(capsys, "predict", tmp_path / "run", *texts, "--json"))
    out = tmp_path / f"out{suffix}"
    printed(capsys, "predict", tmp_path / "run", *texts, "-o", out)
    frame = pl.read_parquet(out) if suffix == ".parquet" else pl.read_ndjson(out)
    for name, column in (("word", "words"), ("tag", "prediction")):
        shown = [[word[name] for word in text["words"]] for text in found]
        assert frame[column].to_list() == shown
    assert frame["words"][0].to_list()[-3:] == [",", "she", "sings"]
    chances = frame["probability_O"].to_list()[0]
    assert chances[4:] == [None] * 3
    assert chances[0] == pytest.approx(found[0]["words"][0]["probability"])


def test_words_beyond_the_runs_max_length_have_no_tag(tagger, tmp_path, capsys):
    text = "in Rome she lives, in Berlin"
    found = json.loads(printed(capsys, "predict", tmp_path / "run", text, "--json"))
    assert found[0]["text"] == text
    assert [(one["word"], one["tag"]) for one in found[0]["words"]] == [
        ("in", "O"), ("Rome", "B-LOC"), ("she", "O"), ("lives", "O"),
        (",", None), ("in", None), ("Berlin", None),
    ]  # fmt: skip
    assert [one["probability"] is None for one in found[0]["words"]] == [False] * 4 + [True] * 3
    out = printed(capsys, "predict", tmp_path / "run", text)
    assert out.splitlines()[4:] == [",", "in", "Berlin", ""]


def test_words_of_a_pattern_that_looks_at_case_are_those_of_the_run(tmp_path, capsys):
    """`[a-z]+` finds other words in a text whose case was kept."""
    texts = [["she", "lives", "in", "Rome"], ["she", "sings"]] * 8
    tags = [["B-LOC" if word == "Rome" else "O" for word in text] for text in texts]
    own = fe.Tokenizer(lowercase=True, pattern="[a-z]+")
    tuned(tmp_path / "run", {"text": texts, "label": tags}, head="cnn_tagger", tokenizer=own)
    out = printed(capsys, "predict", tmp_path / "run", "She lives in Rome")
    assert [line.split("\t")[0] for line in out.splitlines()[:-1]] == ["she", "lives", "in", "rome"]
