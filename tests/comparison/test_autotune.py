"""`autotune`: what it tries, which models it keeps, and that it ends with a run like any other."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset, DatasetDict

import finetune_embed as fe
from finetune_embed.comparison import engine
from finetune_embed.comparison.budget import Budget, seconds_of
from finetune_embed.comparison.candidates import cost_of, first_changes, more_seeds
from finetune_embed.comparison.members import Beside, Model, chosen_of, judged
from finetune_embed.demo import REVIEWS, VECTORS
from finetune_embed.evaluation import of_share
from finetune_embed.training.run.run import HeldOut
from finetune_embed.training.tasks import SingleLabel

#: The module, whose name the function has in the package.
module = importlib.import_module("finetune_embed.comparison.autotune")
START = {
    "head": "pooled_cnn",
    "lexical": True,
    "epochs": 10,
    "lr": 3e-3,
    "schedule": "linear",
    "batch_size": 32,
    "seed": 5,
}
WORDS = [f"w{i}" for i in range(40)]
TABLE = fe.EmbeddingTable(WORDS, np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32))


def rows(count: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count)
    texts = [" ".join(WORDS[i] for i in [*rng.choice(38, 4), 5 * one]) for one in labels]
    return Dataset.from_dict({"text": texts, "label": ["abc"[one] for one in labels]})


DATA = DatasetDict(train=rows(90, 0), validation=rows(45, 1), test=rows(45, 2))
TEXTS = ["w1 w5 w39", "w38 w38", "nothing known", "w10 w2"]


@pytest.fixture
def few(monkeypatch):
    """Let a search make so many runs, however long they take."""

    def limited(runs: int) -> None:
        monkeypatch.setattr(module, "MOST_RUNS", runs)

    return limited


@pytest.fixture
def every_model(monkeypatch):
    """Let all models be chosen, in order."""
    monkeypatch.setattr(module, "chosen_of", list)


def tune(**settings: Any) -> fe.Autotuned:
    data, budget = settings.pop("data", DATA), settings.pop("budget", "1h")
    return fe.autotune(TABLE, data, budget=budget, **{"epochs": 2, "device": "cpu", **settings})


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


@pytest.mark.parametrize("name", ["ensemble", "streaming"])
def test_settings_that_it_does_not_have(name):
    with pytest.raises(fe.StrategyError, match=f"autotune does not have the setting {name}"):
        fe.autotune(VECTORS, REVIEWS, **{name: True})


def test_a_run_is_made_only_if_it_is_likely_to_end_in_time():
    now = 0.0
    budget = Budget(60, lambda: now)
    budget.ran(10, 1)
    assert budget.allows(6)
    assert not budget.allows(6.1)
    now = 45.0
    assert budget.fits(1)
    assert not budget.fits(1.1)
    budget.ran(24, 2)  # on a machine that got busier
    assert budget.unit == 12
    assert not budget.fits(1)
    budget.ran(8, 1)
    budget.ran(8, 1)
    assert budget.fits(1)
    budget.spend(5)
    assert budget.used == 50
    assert not budget.fits(1)


def test_writing_the_result_is_taken_to_last_as_long_as_reading():
    now = 0.0
    budget = Budget(100, lambda: now)
    now = 8.0
    budget.opened()
    budget.ran(10, 1)
    now = 80.0
    assert budget.fits(1)  # until 91.5, with a run that takes a little longer
    now = 80.6
    assert not budget.fits(1)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((0.0, 0.0), "the result is no different"),
        ((-0.004, 0.02), "the result is -0.4 to +2.0 points better, within chance"),
        ((0.006, 0.042), "the result is +0.6 to +4.2 points better"),
        ((-0.03, -0.01), "the result is -3.0 to -1.0 points better"),
    ],
)
def test_what_is_said_of_a_gain(gain, said):
    line = Beside("a first run", "test", 0.924, (0.9, 0.946), gain).text("accuracy")
    assert line == f"a first run      92.40%  (90.0% to 94.6%)  {said}"


def test_changes_have_fresh_seeds_and_leave_what_is_given():
    changes = list(first_changes(START, {}, has_labels=True))
    assert changes[0]["head"] == "pooled_cnn(filters=100)"
    assert {name: changes[0][name] for name in ("lexical", "epochs", "lr")} == {
        "lexical": True,
        "epochs": 10,
        "lr": 3e-3,
    }
    frozen = [one for one in changes if one.get("strategy") == "Freeze"]
    assert frozen == [{"strategy": "Freeze"}, {"strategy": "Freeze", "lr": 3 * 3e-3}]
    seeds = [one["seed"] for one in changes if one not in frozen]
    assert seeds == list(range(6, 6 + len(seeds)))
    assert {"seed"} in [set(one) for one in changes]
    given = {"lr": 1e-2, "head": "bag", "strategy": fe.FullTune()}
    names = set().union(*first_changes({**START, "head": "bag"}, given, has_labels=True))
    assert names == {"seed", "word_dropout", "label_smoothing", "batch_size", "epochs"}
    assert not any("label_smoothing" in one for one in first_changes(START, {}, False))


def test_the_better_half_gets_another_seed():
    ranked = [{"lr": rate} for rate in (1, 2, 3, 4, 5)]
    more = [(one["lr"], one["seed"]) for one in more_seeds(ranked, 7)]
    assert more == [(1, 7), (2, 8), (3, 9), (1, 10), (2, 11), (1, 12)]


def test_costs():
    assert cost_of({}, START) == 1
    assert cost_of({"epochs": 20}, START) == 2
    assert cost_of({"strategy": "Freeze", "lr": 0.1}, START) == 0.8
    assert cost_of({"batch_size": 16}, START) == pytest.approx(2**0.8)
    assert cost_of({"head": "pooled_cnn(filters=100)", "epochs": 10}, START) == 1.6


def made(*columns: list[float], texts: int = 200) -> list[Model]:
    """Return models by the probability that each gives to the true label, over and over."""
    found, targets = [], torch.zeros(texts, dtype=torch.int64)
    for number, column in enumerate(columns):
        right = torch.tensor(column).repeat(texts // len(column))
        logits = torch.stack([right, 1 - right], 1).log()
        held_out = HeldOut([logits], None, targets, torch.ones(texts, dtype=torch.int64))
        task = SingleLabel(["a", "b"])
        found.append(Model({"seed": number}, None, [logits], [task], [held_out]))  # type: ignore[arg-type]
    return found


def test_models_that_make_other_mistakes_are_chosen_together():
    models = made([0.9, 0.2], [0.3, 0.9], [0.9, 0.19])
    assert judged(models[:1]) == pytest.approx((0.5, -np.log([0.9, 0.2]).mean()))
    assert judged(models[:2]) == pytest.approx((1.0, -np.log([0.6, 0.55]).mean()))
    assert chosen_of(models) == [models[1], models[0]]
    assert chosen_of(models[:1]) == models[:1]


def test_a_lower_loss_does_not_pay_for_a_worse_score():
    first, other = made([0.51, 0.51, 0.51, 0.51], [0.99, 0.99, 0.99, 0.4])
    assert judged([other])[1] < judged([first, other])[1] < judged([first])[1]
    assert chosen_of([first, other]) == [first]  # three quarters of 200 texts, against all
    few = made([0.51, 0.51, 0.51, 0.51], [0.99, 0.99, 0.99, 0.4], texts=4)
    assert chosen_of(few) == [few[1]]  # within chance


def test_folds_count_by_their_texts():
    (small,), (large,) = made([0.9], texts=10), made([0.2], texts=30)
    both = Model(
        {},
        None,  # type: ignore[arg-type]
        [*small.logits, *large.logits],
        [*small.tasks, *large.tasks],
        [*small.held_out, *large.held_out],
    )
    assert judged([both]) == pytest.approx((0.25, -np.log([0.9, 0.2, 0.2, 0.2]).mean()))


def test_with_no_time_it_is_a_first_run(tmp_path):
    folder, settings = tmp_path / "run", {"seed": 5}
    found = tune(budget=1e-3, output_dir=folder, **settings)
    alone = fe.finetune(TABLE, DATA, epochs=2, device="cpu", **settings)
    assert torch.equal(found.run.predict_proba(TEXTS), alone.predict_proba(TEXTS))
    assert torch.equal(fe.load(folder).predict_proba(TEXTS), alone.predict_proba(TEXTS))
    assert found.settings == ({},)
    report = json.loads((folder / "autotune.json").read_text())
    assert report["tried"][0]["score"] == alone.metrics["validation"]["accuracy"]
    lines = str(found).splitlines()
    assert lines[0] == "1 tried, each judged on 45 validation texts"
    score, loss = found.tried[0].score, found.tried[0].loss
    assert lines[3:5] == [
        "  accuracy     loss  seconds  what is not as in a first run",
        f"* {score:>8.2%}   {loss:.4f}  {found.tried[0].seconds:>7.1f}  a first run",
    ]
    few = "95 % intervals (with so few texts, those of differences are too narrow)"
    assert lines[6] == f"accuracy on the 45 test texts, with {few}"
    assert lines[8].endswith("%)  the result is no different")
    assert {one.name: one.score for one in found.beside} == {
        "the result": alone.metrics["test"]["accuracy"],
        "a first run": alone.metrics["test"]["accuracy"],
        "words alone": pytest.approx(alone.evaluate(DATA["test"]).parts["lexical"]),
    }
    with pytest.raises(fe.DataError, match="the folder holds a finished run"):
        tune(output_dir=folder)


def test_an_ensemble_of_different_heads_is_saved_and_loaded(few, every_model, tmp_path):
    few(4)
    folder = tmp_path / "run"
    found = tune(output_dir=folder)
    assert [one.settings.get("head", "") for one in found.tried][1] == "pooled_cnn(filters=100)"
    assert len(found.tried) == 4
    assert [one.changed for one in found.tried] == [(), ("head", "seed"), ("strategy",), ("seed",)]
    rows = [line.split("  ")[-1] for line in str(found).splitlines()[4:8]]
    assert rows[1:] == ["head=pooled_cnn(filters=100), seed=1", "strategy=Freeze", "seed=2"]
    assert found.folds == 1
    run = found.run
    assert [one.is_chosen for one in found.tried] == [True] * 4
    assert run.record["heads"] == ["pooled_cnn", "pooled_cnn(filters=100)", *["pooled_cnn"] * 2]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["ensemble"] == len(found.settings) == len(run.others) + 1 == 4
    loaded = fe.load(folder)
    assert torch.equal(loaded.predict_proba(TEXTS), run.predict_proba(TEXTS))
    for split in ("validation", "test"):
        scores = loaded.evaluate(DATA[split]).scores
        assert scores == pytest.approx(run.metrics[split], abs=1e-6)
    assert run.metrics["member_1"]["loss"] == pytest.approx(found.tried[0].loss)
    names = [one.name for one in found.beside]
    assert names == ["the result", "a first run", "a frozen table", "words alone"]
    for one in found.beside:
        assert one.split == "test"
        assert one.interval == pytest.approx(of_share(one.score, len(DATA["test"]["text"])))
        assert (one.gain is None) == (one.name == "the result")
    assert not (folder / "search").exists()
    again = tune(output_dir=folder, resume=True)
    assert again.to_dict() == found.to_dict()
    with pytest.raises(fe.DataError, match="epochs"):
        tune(output_dir=folder, resume=True, epochs=3)


def test_members_of_one_head_are_those_of_an_ensemble(few, every_model):
    few(2)
    given = {"head": "bag(hidden=5)", "strategy": "Freeze", "lr": 0.05, "epochs": 3}
    found = tune(**given)
    assert [one.settings for one in found.tried] == [{}, {"seed": 1}]
    run = fe.finetune(TABLE, DATA, device="cpu", ensemble=2, **given)
    assert torch.equal(found.run.predict_proba(TEXTS), run.predict_proba(TEXTS))
    assert np.array_equal(found.run.table.vectors, run.table.vectors)
    for name in ("validation", "test", "member_1", "member_2"):
        assert found.run.metrics[name] == run.metrics[name]
    assert "heads" not in found.run.record
    assert found.run.settings == {**run.settings, "vectors": "an EmbeddingTable"}


def test_damaged_heads_of_an_ensemble_are_named(few, every_model, tmp_path):
    few(2)
    folder = tmp_path / "run"
    tune(output_dir=folder)
    path = folder / "record.json"
    record = json.loads(path.read_text())
    for heads in (["bag"], ["bag", 3], ["pooled_cnn", "none(1)"], "bag"):
        path.write_text(json.dumps({**record, "heads": heads}))
        with pytest.raises(fe.DataError):
            fe.load(folder)


def own_head(embedding, num_labels):
    return fe.BagOfEmbeddings(embedding, num_labels)


@pytest.mark.parametrize(
    ("runs", "stop", "given"),
    [
        (5, 1, {}),
        (5, 3, {}),
        pytest.param(24, 19, {}, id="while it adds seeds"),
        pytest.param(3, 2, {"head": "bag"}, id="vectors alone"),
        pytest.param(3, 2, {"head": own_head}, id="a head of one's own"),
    ],
)
def test_a_stopped_search_continues_with_its_models(runs, stop, given, few, tmp_path, monkeypatch):
    few(runs)
    whole, folder, tuned, real = tune(**given), tmp_path / "run", [], engine.tune_on

    def counting(*args: Any) -> fe.Run:
        if len(tuned) == limit:
            raise KeyboardInterrupt
        tuned.append(args)
        return real(*args)

    monkeypatch.setattr(engine, "tune_on", counting)
    limit = stop
    with pytest.raises(KeyboardInterrupt) as stopped:
        tune(output_dir=folder, **given)
    assert stopped.value.__notes__ == ["to continue, repeat the call with resume=True"]
    with pytest.raises(fe.DataError, match="the folder holds an unfinished search"):
        tune(output_dir=folder, **given)
    limit = 100
    with pytest.raises(fe.DataError, match="word_dropout"):
        tune(output_dir=folder, resume=True, word_dropout=0.3, **given)
    tuned.clear()
    found = tune(output_dir=folder, resume=True, **given)
    kept_first = found.tried[1:stop] and found.settings[0] in [
        one.settings for one in found.tried[1:stop]
    ]
    assert len(tuned) == runs - (stop - 1) + bool(kept_first)
    assert [(one.settings, one.loss) for one in found.tried] == [
        (one.settings, one.loss) for one in whole.tried
    ]
    assert found.settings == whole.settings
    assert torch.equal(found.run.predict_proba(TEXTS), whole.run.predict_proba(TEXTS))
    assert np.array_equal(found.run.table.vectors, whole.run.table.vectors)
    loaded = fe.load(folder, own_head if given.get("head") is own_head else None)
    assert torch.equal(loaded.predict_proba(TEXTS), whole.run.predict_proba(TEXTS))


def test_a_damaged_model_of_a_search_is_named(few, tmp_path, monkeypatch):
    few(3)
    folder, write = tmp_path / "run", fe.Run.write

    def stopped(self: fe.Run, folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fe.Run, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        tune(output_dir=folder)
    files = sorted((folder / "search").glob("*.safetensors"))
    assert len(files) == 2
    files[0].write_bytes(files[0].read_bytes()[:-9])
    monkeypatch.setattr(fe.Run, "write", write)
    with pytest.raises(fe.DataError, match=r"0001\.safetensors: it is not a model of this search"):
        tune(output_dir=folder, resume=True)
    files[0].unlink()
    assert len(tune(output_dir=folder, resume=True).tried) == 3


def test_few_validation_texts_are_of_several_splits(few):
    few(3)
    data = DatasetDict(train=DATA["train"], test=DATA["test"])
    found = tune(data=data)
    assert found.folds == 5
    alone = fe.finetune(TABLE, data, epochs=2, device="cpu")
    assert len(alone.held_out["validation"].targets) == 9
    assert found.tried[0].loss != alone.metrics["validation"]["loss"]  # of 45 texts, not of 9
    if found.settings[0] == {}:
        assert np.array_equal(found.run.table.vectors, alone.table.vectors)
    said = "3 tried, each judged on 5 validation splits, since one has only 9 validation texts\n"
    assert str(found).startswith(said)


def test_a_run_that_diverges_is_reported_and_not_kept(few, monkeypatch):
    few(3)
    real, calls = engine.tune_on, []

    def tune_on(*args: Any) -> fe.Run:
        calls.append(args)
        if len(calls) == 2:
            raise fe.DivergenceError("too fast")
        return real(*args)

    monkeypatch.setattr(engine, "tune_on", tune_on)
    found = tune()
    assert [one.score is None for one in found.tried] == [False, True, False]
    assert str(found.tried[1]).split()[0] == "diverged"
    assert not found.tried[1].is_chosen


def test_labels_are_smoothed_only_where_the_loss_is_that_of_labels(few):
    few(10)
    table = fe.EmbeddingTable(["w1", "w2", "w3"], torch.eye(3).numpy())
    texts = ["w1", "w2 w3", "w3 w1"] * 10
    scores, names = [0.5, 1.5, 2.5] * 10, ["a", "b", "a"] * 10
    for labels, settings, smoothed in (
        (scores, {"task": "regression"}, False),
        (names, {"loss_fn": torch.nn.functional.cross_entropy}, False),
        (names, {}, True),
    ):
        given = {"epochs": 1, "head": "bag", "device": "cpu", **settings}
        data = Dataset.from_dict({"text": texts, "label": labels})
        found = fe.autotune(table, data, budget=60, **given)
        assert len(found.tried) == 10
        assert any("label_smoothing" in one.settings for one in found.tried) == smoothed
        assert found.beside[0].split == "validation"
