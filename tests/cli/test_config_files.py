"""`--config` with odd files, and settings whose values no run can have: one line each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.cli import main

ROWS = "text,label\n" + "a b,x\nc d,y\n" * 8


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> list[str]:
    fe.save_glove(
        fe.EmbeddingTable(list("abcd"), np.random.default_rng(0).standard_normal((4, 4))),
        tmp_path / "v.txt",
    )
    (tmp_path / "d.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    return ["--vectors", "v.txt", "--data", "d.csv", "--quiet", "-o", "run"]


BIG = 99999999999999999999999


@pytest.mark.parametrize(("text", "message"), [
    ("text: null", "--text"),
    ("specials: [3]", "3 cannot be a special token"),
    ("streaming: 3", "sets streaming to 3; give true or false"),
    ("resume: 'yes'", "sets resume to 'yes'; give true or false"),
    ('device: "\\ud800"', "cannot be used"),
    ("a: " + "[" * 3000, "can't be read"),
    ("- 1", "has no settings"),
    (f"seed: {BIG}", f"--seed {BIG} is too large: a whole number has 64 bits"),
    (f"epochs: {BIG}", f"--epochs {BIG} is too large"),
    (f"max_length: {2**70}", "is too large"),
    (f"batch_size: {2**63}", "is too large"),
    ("epochs: [1]", "give one value"),
    ("lr: 1.0e+400", "--lr"),
])  # fmt: skip
def test_odd_files(inputs, capsys, text, message):
    Path("c.yaml").write_text(text)
    assert run("train", *inputs, "--config", "c.yaml") == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not Path("run").exists() or not list(Path("run").iterdir())


@pytest.mark.parametrize(("name", "reason"), [
    ("nope.yaml", "No such file or directory"), (".", "Is a directory"),
])  # fmt: skip
def test_files_that_cannot_be_read(inputs, capsys, name, reason):
    assert run("train", *inputs, "--config", name) == 2
    err = capsys.readouterr().err
    assert f"{name} can't be read: {reason}" in err
    assert "Errno" not in err


@pytest.mark.parametrize("device", ["meta", "hpu", "xla", "gpu", "cuda:99", "", "mps"])
def test_devices_that_cannot_be_used(inputs, capsys, device):
    assert run("train", *inputs, "--device", device or "''") == 2
    err = capsys.readouterr().err
    assert "cannot be used" in err
    assert err.endswith("; try --device cpu\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("words", "message"), [
    (["--max-length", "0"], "must be a whole number of 1 or more\n"),
    (["--patience", "0"], "must be a whole number of 1 or more\n"),
    (["--warmup", "2"], "must be a number of 0 or more and below 1\n"),
    (["--max-grad-norm", "0"], "must be a number above 0\n"),
    (["--oov", "nothing"], "choose 'normal', 'mean', 'zeros' or 'subwords'\n"),
])  # fmt: skip
def test_messages_name_nothing_that_only_python_has(inputs, capsys, words, message):
    assert run("train", *inputs, *words) == 2
    assert capsys.readouterr().err.endswith(message)


def test_a_run_is_repeated_from_its_config_in_another_folder(inputs, tmp_path, monkeypatch, capsys):
    Path("words.txt").write_text("a c")
    strategy = "TrainRows(lexicon='words.txt')"
    assert run("train", *inputs, "--epochs", 2, "--lr", 0.1, "--strategy", strategy) == 0
    assert "1 new row" not in capsys.readouterr().out
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("train", "--config", "../run/config.yaml", "-o", "again", "--quiet") == 0
    first, again = (fe.load_vectors(path) for path in (tmp_path / "run", "again"))
    assert np.array_equal(first.vectors, again.vectors)
    assert first.metadata["strategy"] == "TrainRows(lexicon='words.txt')"
    assert run("train", "--config", "../run/config.yaml", "-o", "../run", "--resume") == 0
