"""The remedies about folders of runs are followed, in Python and on the command line."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from following import follows

import finetune_embed as fe
from finetune_embed import VectorFileError
from finetune_embed.cli import main
from finetune_embed.training.runtime.progress import ProgressBar

CSV = "text,label\n" + "a king,x\nthe queen,y\n" * 10
SETTINGS: dict[str, Any] = {"epochs": 2, "batch_size": 4}


def message_of(error: type[Exception], call: Callable[[], Any]) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


@pytest.fixture
def command(capsys):
    """Runs a command, and returns what it wrote to standard error; nothing if it succeeded."""

    def run(*words: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(list(map(str, words)))
        err = capsys.readouterr().err
        assert stopped.value.code == (2 if err else 0)
        return err

    return run


@pytest.fixture
def inputs(table, tmp_path) -> tuple[Path, Path]:
    """A vector file and a data file."""
    fe.save_word2vec(table, tmp_path / "vectors.vec")
    (tmp_path / "data.csv").write_text(CSV)
    return tmp_path / "vectors.vec", tmp_path / "data.csv"


@pytest.fixture
def unfinished(inputs, tmp_path, monkeypatch) -> Path:
    """The folder of a run that Ctrl-C ended, in a folder whose name needs quotes."""
    steps: list[int] = []

    def advance(bar: ProgressBar) -> None:
        steps.append(1)
        if len(steps) == 6:
            raise KeyboardInterrupt

    folder = tmp_path / "my run"
    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            fe.finetune(*inputs, output_dir=folder, **SETTINGS)
    return folder


def command_in(message: str) -> list[str]:
    """The words of the command that a remedy ends with."""
    return shlex.split(message.partition("finetune-embed ")[2])


@follows("formats/common/run_folder.py", "this folder holds an unfinished run")
def test_vectors_of_an_unfinished_run(unfinished, inputs):
    message = message_of(VectorFileError, lambda: fe.load_vectors(unfinished))
    assert message.endswith(f"finetune(..., output_dir={str(unfinished)!r}, resume=True)")
    fe.finetune(*inputs, output_dir=str(unfinished), resume=True, **SETTINGS)
    assert len(fe.load_vectors(unfinished)) == 7


@pytest.mark.parametrize("words", [["inspect"], ["neighbors", "king"], ["drift", "v"],
                                   ["convert", "out.txt"]])  # fmt: skip
@follows("formats/common/run_folder.py", "this folder holds an unfinished run")
def test_commands_on_an_unfinished_run(unfinished, inputs, command, monkeypatch, words):
    name, *more = words
    given = [name, unfinished, *more] if name != "drift" else [name, inputs[0], unfinished]
    message = command(*given)
    monkeypatch.chdir("/")  # the command works in any folder
    assert command(*command_in(message), "--quiet") == ""
    monkeypatch.chdir(unfinished.parent)
    assert command(*given) == ""


@follows("formats/common/run_folder.py", "this is a checkpoint of a run")
def test_vectors_of_a_checkpoint(unfinished, command):
    checkpoint = next(unfinished.glob("checkpoint-*"))
    message = command("inspect", checkpoint)
    assert "this is a checkpoint of a run that has not finished" in message
    assert command(*command_in(message), "--quiet") == ""
    assert command("inspect", unfinished) == ""


@follows("formats/static_model.py", "the rows of the training vocabulary alone")
def test_a_run_as_a_static_model(inputs, tmp_path):
    run = fe.finetune(*inputs, output_dir=tmp_path / "run", **SETTINGS)
    message = message_of(VectorFileError, lambda: fe.load_static(tmp_path / "run"))
    assert message.endswith("; read its tuned table: load_vectors(path)")
    assert fe.load_vectors(tmp_path / "run").index_to_key == run.table.index_to_key
