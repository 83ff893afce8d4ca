"""The remedies about folders of runs are followed, in Python and on the command line."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from following import follows

import finetune_embed as fe
from finetune_embed import DataError, VectorFileError
from finetune_embed.training.runtime.progress import ProgressBar

CSV = "text,label\n" + "a king,x\nthe queen,y\n" * 10
SETTINGS: dict[str, Any] = {"epochs": 2, "batch_size": 4}


def message_of(error: type[Exception], call: Callable[[], Any]) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


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


@pytest.fixture
def finished(inputs, tmp_path) -> Path:
    """The folder of a finished run, next to its inputs."""
    fe.finetune(*inputs, output_dir=tmp_path / "run", **SETTINGS)
    return tmp_path / "run"


@follows("cli/predict.py", "give it as data")
def test_a_file_of_data_as_a_text(finished, command, monkeypatch):
    monkeypatch.chdir(finished.parent)
    message = command("predict", "run", "data.csv")
    assert message.endswith("; give it as data: --data data.csv --text COLUMN\n")
    assert command("predict", "run", "--data", "data.csv", "--text", "text") == ""


@follows("cli/predict.py", "to predict its lines")
def test_a_file_of_lines_as_a_text(finished, command, monkeypatch):
    monkeypatch.chdir(finished.parent)
    Path("lines.txt").write_text("a king\n")
    message = command("predict", "run", "lines.txt")
    assert message.endswith("; to predict its lines, give it as standard input: < lines.txt\n")
    with open("lines.txt") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert command("predict", "run") == ""


@follows("cli/predictions.py", "the suffix is not")
def test_predictions_in_an_unknown_format(finished, inputs, command, tmp_path):
    given = ("predict", finished, "--data", inputs[1], "-o")
    message = command(*given, tmp_path / "out.xlsx")
    suffixes = message.strip().partition("; end the name with one of ")[2].split(", ")
    assert len(suffixes) == 5
    for suffix in suffixes:
        assert command(*given, tmp_path / f"out{suffix}") == ""


@follows("cli/predictions.py", "the file is there already")
def test_predictions_that_are_there_already(finished, inputs, command, tmp_path):
    (tmp_path / "out.csv").write_text("old")
    given = ("predict", finished, "--data", inputs[1], "-o", tmp_path / "out.csv")
    message = command(*given)
    assert "out.csv: the file is there already; name another, or replace it with " in message
    assert message.rstrip().endswith(" --overwrite")
    assert (tmp_path / "out.csv").read_text() == "old"
    assert command(*given, "--overwrite") == ""
    assert (tmp_path / "out.csv").read_text() != "old"


@follows("reporting/page.py", "the file is there already")
def test_figures_that_are_there_already(finished, command, tmp_path):
    given = ("report", finished, "--words", 9, "--figures", tmp_path, "-o", tmp_path / "page.html")
    (tmp_path / "loss.svg").write_text("old")
    message = command(*given)
    assert "loss.svg: the file is there already; name another, or replace it with " in message
    assert message.rstrip().endswith(" --overwrite")
    assert (tmp_path / "loss.svg").read_text() == "old"
    assert not (tmp_path / "page.html").exists()
    assert command(*given, "--overwrite") == ""
    assert (tmp_path / "loss.svg").read_text().startswith("<svg")


@follows("cli/predictions.py", "holds lists")
def test_lists_in_a_cell(finished, command, tmp_path):
    (tmp_path / "lists.jsonl").write_text('{"text": ["a", "king"]}\n')
    given = ("predict", finished, "--data", tmp_path / "lists.jsonl", "-o")
    message = command(*given, tmp_path / "out.csv")
    assert message.endswith("; write a .jsonl or a .parquet file\n")
    assert command(*given, tmp_path / "out.jsonl") == command(*given, tmp_path / "o.parquet") == ""


@follows("data/one_split.py", "none named test")
def test_evaluating_one_of_several_splits(finished, command, tmp_path):
    (tmp_path / "both").mkdir()
    for name in ("train", "validation"):
        (tmp_path / "both" / f"{name}.csv").write_text(CSV)
    message = message_of(DataError, lambda: fe.load(finished).evaluate(tmp_path / "both"))
    assert message.endswith("; pass a split that is held in memory")
    message = command("evaluate", finished, "--data", tmp_path / "both")
    assert message.endswith("; name the file of one of them\n")
    assert command("evaluate", finished, "--data", tmp_path / "both" / "validation.csv") == ""
    split = Dataset.from_csv(str(tmp_path / "both" / "validation.csv"))
    assert fe.load(finished).evaluate(split).examples == 20


@follows("training/run/folder.py", "needs one of its own")
@follows("comparison/folder.py", "needs one of its own")
def test_a_run_and_a_comparison_in_one_folder(finished, inputs, tmp_path):
    few = {"seeds": 1, "budget": 1, **SETTINGS}

    def compare(folder: Path, **more: Any) -> Any:
        return fe.compare(["FullTune"], *inputs, output_dir=folder, **few, **more)

    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    for more in ({}, {"overwrite": True}, {"resume": True}):
        message = message_of(DataError, lambda more=more: compare(finished, **more))
        assert message.endswith("; choose another output_dir")
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before
    assert compare(tmp_path / "which")
    for more in ({}, {"overwrite": True}, {"resume": True}):
        message = message_of(
            DataError,
            lambda more=more: fe.finetune(
                *inputs, output_dir=tmp_path / "which", **SETTINGS, **more
            ),
        )
        assert message.endswith("; choose another output_dir")
    assert fe.finetune(*inputs, output_dir=tmp_path / "another", **SETTINGS)


@follows("evaluation/drift.py", "are swapped")
def test_drift_of_swapped_tables(finished, inputs, command, tmp_path):
    base, tuned = fe.load_vectors(inputs[0]), fe.load_vectors(finished)
    message = message_of(fe.VocabularyError, lambda: fe.drift(tuned, base))
    assert message.endswith("; call drift(base, tuned)")
    assert fe.drift(base, tuned).rows_moved
    message = command("drift", finished, inputs[0])
    assert message.endswith("; write finetune-embed drift BASE TUNED\n")
    assert command("drift", inputs[0], finished) == ""
    fe.finetune(finished, inputs[1], output_dir=tmp_path / "more", **SETTINGS)
    assert "are swapped" in command("drift", tmp_path / "more", finished)
    assert command("drift", finished, tmp_path / "more") == ""


@follows("vocabulary/start_values.py", "or pass a function of the word")
def test_start_values_that_are_none(inputs, command, tmp_path):
    message = message_of(fe.VocabularyError, lambda: fe.finetune(*inputs, oov="no", **SETTINGS))
    assert message.endswith("'zeros' or 'subwords', or pass a function of the word")
    assert fe.finetune(*inputs, oov=lambda word: [0.0] * 3, **SETTINGS)
    given = ("train", "--vectors", inputs[0], "--data", inputs[1], "-o", tmp_path / "o", "--quiet")
    assert command(*given, "--oov", "no").endswith("'mean', 'zeros' or 'subwords'\n")
    assert command(*given, "--oov", "zeros", "--epochs", 1) == ""
