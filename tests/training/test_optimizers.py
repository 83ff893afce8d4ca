"""The setting `optimizer`: in Python, on the command line and in YAML, and in runs that resume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset, DatasetDict

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.optim import OPTIMIZERS, RowOptimizer
from finetune_embed.training.run import checkpoints

TEXTS = ["adamw", "adagrad", "adagrad(per_row=True)", "sgd", "sgd(momentum=0.9)"]
GOOD, BAD = [f"fine{i}" for i in range(8)], [f"poor{i}" for i in range(8)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def words() -> fe.EmbeddingTable:
    rng = np.random.default_rng(0)
    return fe.EmbeddingTable([*GOOD, *BAD], rng.standard_normal((16, 6)))


def data() -> DatasetDict:
    def split(size: int, seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        labels = ["good" if rng.random() < 0.5 else "bad" for _ in range(size)]
        texts = [" ".join(rng.choice(GOOD if one == "good" else BAD, 3)) for one in labels]
        return Dataset.from_dict({"text": texts, "label": labels})

    return DatasetDict(train=split(40, 1), validation=split(20, 2), test=split(20, 3))


OPTIONS: dict[str, Any] = {"head": "bag", "epochs": 2, "batch_size": 16, "lr": 0.1}


def test_every_optimizer_is_tested():
    assert {text.partition("(")[0] for text in TEXTS} == set(OPTIMIZERS)


@pytest.mark.parametrize("text", TEXTS)
def test_a_run_with_it_is_recorded_and_loads(text, tmp_path):
    steps: list[type] = []
    real = RowOptimizer.step

    def noting(self: RowOptimizer, closure: Any = None) -> Any:
        steps.append(type(self))
        return real(self, closure)

    with pytest.MonkeyPatch.context() as patch:
        for kind in OPTIMIZERS.values():
            patch.setattr(kind, "step", noting)
        run = fe.finetune(words(), data(), optimizer=text, output_dir=tmp_path, **OPTIONS)
    assert set(steps) == {OPTIMIZERS[text.partition("(")[0]]}
    assert len(steps) == 6
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["optimizer"] == text
    assert fe.load(tmp_path).config["optimizer"] == text
    assert run.drift.summary()["rows_moved"] > 0


@pytest.mark.parametrize("text", TEXTS)
def test_it_resumes_at_every_step_in_the_same_bits(text, tmp_path, monkeypatch):
    """With clipping, decay of rows that are missed, and momentum."""
    monkeypatch.setattr(checkpoints, "MIN_SECONDS", 0.0)
    given = {
        **OPTIONS,
        "optimizer": text,
        "strategy": "L2SP(decay=0.5)",
        "weight_decay": 0.1,
        "max_grad_norm": 0.5,
        "checkpoint_steps": 1,
    }
    whole = fe.finetune(words(), data(), **given)
    for stop in range(1, 7):
        folder = tmp_path / str(stop)
        with monkeypatch.context() as patch:
            interrupt_at(patch, stop)
            with pytest.raises(KeyboardInterrupt):
                fe.finetune(words(), data(), output_dir=folder, **given)
        resumed = fe.finetune(words(), data(), output_dir=folder, resume=True, **given)
        assert resumed.table.vectors.tobytes() == whole.table.vectors.tobytes()
        for name, value in whole.model.state_dict().items():
            assert torch.equal(value, resumed.model.state_dict()[name]), name


def interrupt_at(patch: pytest.MonkeyPatch, stop: int) -> None:
    for kind in set(OPTIMIZERS.values()):
        real, calls = kind.step, []

        def stopping(self: Any, *given: Any, real: Any = real, calls: list[int] = calls) -> Any:
            calls.append(1)
            if len(calls) == stop:
                raise KeyboardInterrupt
            return real(self, *given)

        patch.setattr(kind, "step", stopping)


def test_a_run_does_not_resume_with_another_optimizer(tmp_path, monkeypatch):
    given = {**OPTIONS, "output_dir": tmp_path}
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            fe.finetune(words(), data(), optimizer="sgd", **given)
    with pytest.raises(fe.DataError, match="it was written with optimizer='sgd'"):
        fe.finetune(words(), data(), optimizer="adagrad", resume=True, **given)


def test_the_command_line_and_yaml_give_the_same_table(tmp_path, capsys):
    fe.save_word2vec(words(), tmp_path / "words.vec")
    parts = data()
    (tmp_path / "data").mkdir()
    for name, part in parts.items():
        part.to_csv(tmp_path / "data" / f"{name}.csv")
    config = {**OPTIONS, "optimizer": "adagrad(per_row=True)"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    inputs = ["train", "--vectors", f"{tmp_path}/words.vec", "--data", f"{tmp_path}/data"]
    called = [
        ["--config", f"{tmp_path}/config.yaml"],
        ["--optimizer", config["optimizer"], *spelled(OPTIONS)],
    ]
    tables = []
    for number, given in enumerate(called):
        with pytest.raises(SystemExit) as stopped:
            main([*inputs, *given, "-o", f"{tmp_path}/{number}"])
        assert stopped.value.code == 0, capsys.readouterr().err
        tables.append(fe.load(Path(tmp_path, str(number))).table.vectors)
    loaded = fe.load_vectors(tmp_path / "words.vec")
    tables.append(fe.finetune(loaded, parts, **config).table.vectors)
    assert tables[0].tobytes() == tables[1].tobytes() == tables[2].tobytes()


def spelled(options: dict[str, Any]) -> list[str]:
    return [
        word
        for name, value in options.items()
        for word in (f"--{name}".replace("_", "-"), str(value))
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "adam",
            r"no optimizer is called 'adam' \(did you mean adamw\?\); choose from adamw, adag",
        ),
        ("adagrad(rows=True)", r"adagrad has no option 'rows'.*; write adagrad\(eps=\.\.\., init"),
        ("sgd(momentum=-1)", "momentum=-1 must be 0 or more and below 1"),
        (3, "optimizer=3 must be the text form of an optimizer"),
        (None, "optimizer=None must be the text form of an optimizer"),
    ],
)
def test_what_is_no_optimizer_is_an_error_before_anything_is_read(given, message):
    with pytest.raises((fe.StrategyError, fe.DataError), match=message):
        fe.finetune("no such file", "no such data", optimizer=given)
