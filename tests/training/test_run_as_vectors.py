"""The folder of a run, finished or not, given where vectors are expected."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.training.runtime.progress import ProgressBar

WORDS = [f"w{number}" for number in range(40)]
DATA = Dataset.from_dict({"text": ["w0 w1 new", "w2 w3"] * 8, "label": ["x", "y"] * 8})
SETTINGS: dict[str, Any] = {"epochs": 2, "batch_size": 4, "lr": 0.1}
TABLE, RECORD, CONFIG = "embedding.safetensors", "record.json", "config.yaml"


def base() -> fe.EmbeddingTable:
    return fe.EmbeddingTable(WORDS, np.random.default_rng(0).standard_normal((40, 4)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, fe.Run]:
    folder = tmp_path_factory.mktemp("vectors") / "run"
    return folder, fe.finetune(base(), DATA, output_dir=folder, **SETTINGS)


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A copy of the folder that a test may damage."""
    return shutil.copytree(made[0], tmp_path / "run")


@pytest.fixture
def unfinished(tmp_path, monkeypatch) -> Path:
    """The folder of a run that Ctrl-C ended."""
    steps: list[int] = []

    def advance(bar: ProgressBar) -> None:
        steps.append(1)
        if len(steps) == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            fe.finetune(base(), DATA, output_dir=tmp_path / "half", **SETTINGS)
    return tmp_path / "half"


def test_every_reader_takes_the_tuned_table_with_all_rows(made):
    folder, run = made
    for path in (folder, str(folder), folder / TABLE):
        table = fe.load_vectors(path)
        assert table.index_to_key == [*WORDS, "new"]  # the vocabulary has 5 of them
        assert np.array_equal(table.vectors, run.table.vectors)
        assert table.metadata["strategy"] == "FullTune"
    assert fe.load_vectors(folder, keys=["w7"]).index_to_key == ["w7"]
    assert fe.load_vectors(folder, limit=3).index_to_key == WORDS[:3]
    assert fe.load_safetensors(folder).index_to_key == [*WORDS, "new"]
    report = fe.inspect(folder)
    assert (report.words, report.source_format) == (41, "safetensors")


@pytest.mark.parametrize("give", [lambda made: made[0], lambda made: str(made[0]),
                                  lambda made: made[0] / TABLE, lambda made: made[1],
                                  lambda made: made[1].table])  # fmt: skip
def test_finetune_goes_on_from_the_table_of_a_run(made, give):
    again = fe.finetune(give(made), DATA, strategy="Freeze", **SETTINGS)
    assert again.table.index_to_key == [*WORDS, "new"]
    assert np.array_equal(again.table.vectors, made[1].table.vectors)


def test_a_folder_and_its_table_are_the_same_input(made, tmp_path):
    settings = {**SETTINGS, "output_dir": tmp_path / "again"}
    first = fe.finetune(made[0], DATA, **settings)
    second = fe.finetune(made[0] / TABLE, DATA, resume=True, **settings)
    assert first.config["source_sha256"] == second.config["source_sha256"]
    assert first.config["source"] == TABLE


def test_a_run_may_be_tuned_in_its_own_folder(run):
    settings = {**SETTINGS, "output_dir": run, "seed": 1}
    first = fe.finetune(run, DATA, overwrite=True, **settings)
    assert np.array_equal(first.table.vectors, fe.load(run).table.vectors)
    other = Dataset.from_dict({"text": ["w5", "w6"] * 8, "label": ["x", "y"] * 8})
    again = fe.finetune(run, DATA, resume=True, **settings)
    assert again.metrics == first.metrics
    with pytest.raises(fe.DataError, match="it was written with data_sha256="):
        fe.finetune(run, other, resume=True, **settings)


def test_commands_take_the_folder(made, capsys):
    for words in (["inspect"], ["neighbors"], ["drift"]):
        more = {"neighbors": ["w0", "--topn", "1"], "drift": [str(made[0])]}.get(words[0], [])
        with pytest.raises(SystemExit) as stopped:
            main([*words, str(made[0]), *more])
        assert stopped.value.code == 0, capsys.readouterr().err


def test_the_model_of_a_run_is_not_a_static_model(made, run):
    with pytest.raises(fe.VectorFileError, match="the rows of the training vocabulary alone"):
        fe.load_static(made[0])
    (run / TABLE).unlink()
    for read in (fe.load_vectors, fe.load_static, fe.inspect, fe.load_safetensors):
        with pytest.raises(fe.VectorFileError, match=f"a run whose {TABLE} is missing"):
            read(run)


@pytest.mark.parametrize("read", [fe.load_vectors, fe.inspect, fe.load_static, fe.load_safetensors])
def test_an_unfinished_run_has_no_vectors_yet(unfinished, read):
    with pytest.raises(fe.VectorFileError, match="holds an unfinished run") as caught:
        read(unfinished)
    assert f"output_dir={str(unfinished)!r}, resume=True" in str(caught.value)
    with pytest.raises(fe.VectorFileError, match="this is a checkpoint of a run"):
        read(next(unfinished.glob("checkpoint-*")))
