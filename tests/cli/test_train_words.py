"""`train --fallback --special`, and `predict` of what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.cli import main


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture
def files(tmp_path: Path) -> tuple[object, ...]:
    words = ["fine", "poor", "year0", "a", "b"]
    vectors = np.random.default_rng(0).standard_normal((len(words), 4))
    fe.save_glove(fe.EmbeddingTable(words, vectors), tmp_path / "v.txt")
    rows = [f"{'FINE' if i % 2 else 'Poor'} Year{i % 7} <sep>b,{i % 2}" for i in range(40)]
    (tmp_path / "d.csv").write_text("\n".join(["text,label", *rows]))
    given = ("--vectors", tmp_path / "v.txt", "--data", tmp_path / "d.csv", "-o", tmp_path / "out")
    return ("train", *given, "--tokenizer", "cased", "--epochs", 2, "--lr", 0.2, "--quiet")


def test_fallback_and_special_tokens(files, tmp_path, capsys):
    assert run(*files, "--fallback", "lower,digits_zero", "--special", "<sep>") == 0
    out = capsys.readouterr().out
    assert "\nfound: exact 1 (" in out
    assert ", lower 3 (" in out
    assert ", digits_zero 6 (" in out
    loaded = fe.load(tmp_path / "out")
    assert loaded.config["fallback"] == ["lower", "digits_zero"]
    assert loaded.vocab.index_to_key[2] == "<sep>"
    assert run("predict", tmp_path / "out", "fINE", "pOOR", "--json") == 0
    assert [one["label"] for one in json.loads(capsys.readouterr().out)] == loaded.predict(
        ["fine", "poor"]
    )


def test_an_unknown_step_is_one_line(files, capsys):
    assert run(*files, "--fallback", "stem") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "--fallback stem has the unknown step 'stem'; choose from lower, capitalize" in err
    assert err.count("\n") == 1
    assert run(*files, "--oov", "subwords") == 2
    assert "--oov subwords needs subword vectors, which" in capsys.readouterr().err
