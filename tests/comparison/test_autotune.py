"""`autotune`: what it tries, what it keeps, and that it ends with a run like any other."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import torch
import yaml
from datasets import Dataset

import finetune_embed as fe
from finetune_embed.comparison.autotune import _Search, seconds_of
from finetune_embed.demo import REVIEWS, VECTORS

START = {
    "head": "pooled_cnn",
    "lexical": True,
    "epochs": 10,
    "lr": 3e-3,
    "schedule": "linear",
    "batch_size": 32,
}


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [("60s", 60), ("1.5m", 90), ("2h", 7200), ("30", 30), (45, 45), (0.5, 0.5), ("60 s", 60)],
)
def test_budgets(budget, seconds):
    assert seconds_of(budget) == seconds


@pytest.mark.parametrize("budget", ["", "soon", "-1s", 0, "0s", True, "10x", None])
def test_budgets_that_are_no_time(budget):
    with pytest.raises(fe.StrategyError, match="is not a time"):
        fe.autotune(VECTORS, REVIEWS, budget=budget)


@pytest.mark.parametrize("name", ["ensemble", "resume", "streaming"])
def test_settings_that_it_does_not_have(name):
    with pytest.raises(fe.StrategyError, match=f"autotune does not have the setting {name}"):
        fe.autotune(VECTORS, REVIEWS, **{name: True})


def _run(score: float, loss: float) -> Any:
    """Return what a search looks at in a run."""
    rank = lambda scores: (scores["accuracy"], -scores["loss"])  # noqa: E731
    task = SimpleNamespace(rank=rank, labels=["a", "b"], metric="accuracy")
    metrics = {"validation": {"accuracy": score, "loss": loss}}
    return SimpleNamespace(settings=START, metrics=metrics, task=task)


def _search(scores: dict[str, tuple[float, float]], given: dict[str, Any]) -> _Search:
    """Return a finished search in which a change to a setting gives the scores by its name."""

    def tune(**settings: Any) -> Any:
        asked.append(settings)
        found = [scores[name] for name in settings if name in scores]
        if "diverges" in found:
            raise fe.DivergenceError("too fast")
        return _run(*(max(found) if found else (0.8, 0.5)))

    asked: list[dict[str, Any]] = []
    search = _Search(tune, given, _run(0.8, 0.5), 1.0)
    search.run(float("inf"))
    search.asked = asked  # type: ignore[attr-defined]
    return search


def test_a_change_stays_if_neither_score_nor_loss_is_worse():
    scores = {"lr": (0.9, 0.6), "word_dropout": (0.81, 0.5), "optimizer": (0.7, 0.4)}
    search = _search(scores, {})
    assert search.best == {"word_dropout": 0.1}
    assert [one.settings for one in search.tried if one.is_better] == [{}, {"word_dropout": 0.1}]


def test_changes_add_up():
    scores = {"word_dropout": (0.85, 0.45), "label_smoothing": (0.86, 0.44)}
    search = _search(scores, {})
    assert search.best == {"word_dropout": 0.1, "label_smoothing": 0.1}
    heads = [one.settings for one in search.tried if "widths" in one.settings.get("head", "")]
    assert [(one["word_dropout"], one["lr"]) for one in heads] == [(0.1, 3e-3)]


def test_settings_that_are_given_are_not_searched():
    given = {"lr": 1e-2, "head": "bag", "seed": 3}
    search = _search({}, given)
    assert all(asked["lr"] == 1e-2 and asked["head"] == "bag" for asked in search.asked)
    assert all(asked["seed"] == 3 for asked in search.asked)


def test_a_run_that_diverges_is_reported_and_not_kept():
    search = _search({"lr": "diverges"}, {"head": "bag"})
    diverged = [one for one in search.tried if one.score is None]
    assert {6e-3, 1.5e-3, 0.05} == {one.settings["lr"] for one in diverged}
    assert search.best == {}
    assert str(diverged[0]).startswith("diverged")


def test_a_search_ends_before_its_time():
    search = _Search(lambda **settings: pytest.fail("too late"), {}, _run(0.8, 0.5), 60.0)
    search.run(0.0)
    assert len(search.tried) == 1


def reviews(rows: int = 200) -> dict[str, Any]:
    from datasets import Dataset

    parts = {name: pl.read_csv(REVIEWS / f"{name}.csv") for name in ("train", "validation", "test")}
    return {name: Dataset.from_polars(part[:rows]) for name, part in parts.items()}


def test_with_no_time_it_is_a_first_run(tmp_path):
    data, folder = reviews(), tmp_path / "run"
    settings: dict[str, Any] = {"epochs": 2, "seed": 5}
    found = fe.autotune(VECTORS, data, budget=1e-3, output_dir=folder, **settings)
    alone = fe.finetune(VECTORS, data, **settings)
    texts = ["works like a charm", "broke after a day"]
    assert torch.equal(found.run.predict_proba(texts), alone.predict_proba(texts))
    assert torch.equal(fe.load(folder).predict_proba(texts), alone.predict_proba(texts))
    assert found.settings == {}
    report = json.loads((folder / "autotune.json").read_text())
    assert report["tried"][0]["score"] == alone.metrics["validation"]["accuracy"]
    assert "chosen: as a first run" in str(found)
    with pytest.raises(fe.DataError, match="the folder holds a finished run"):
        fe.autotune(VECTORS, data, budget="1h", output_dir=folder)


@pytest.mark.slow
def test_with_time_it_is_an_ensemble_of_the_best(tmp_path):
    folder = tmp_path / "run"
    found = fe.autotune(VECTORS, reviews(), budget="8s", output_dir=folder, epochs=2)
    assert len(found.tried) > 1
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert {name: config[name] for name in found.settings} == found.settings
    assert 2 <= found.settings["ensemble"] <= 5
    assert config["epochs"] == 2
    texts = ["works like a charm", "broke after a day"]
    assert torch.equal(fe.load(folder).predict_proba(texts), found.run.predict_proba(texts))


def test_labels_are_smoothed_only_where_the_loss_is_that_of_labels():
    table = fe.EmbeddingTable(["w1", "w2", "w3"], torch.eye(3).numpy())
    rows = {"text": ["w1", "w2 w3", "w3 w1"] * 10, "label": [0.5, 1.5, 2.5] * 10}
    named = {"text": rows["text"], "label": ["a", "b", "a"] * 10}
    for data, settings, smoothed in (
        (rows, {"task": "regression"}, False),
        (named, {"loss_fn": torch.nn.functional.cross_entropy}, False),
        (named, {}, True),
    ):
        given = {"epochs": 1, "head": "bag", "device": "cpu", **settings}
        found = fe.autotune(table, Dataset.from_dict(data), budget=60, **given)
        assert len(found.tried) > 4
        assert any("label_smoothing" in one.settings for one in found.tried) == smoothed
