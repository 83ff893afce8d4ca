"""Ensembles: runs of several seeds in one, whose probabilities are averaged."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict

import finetune_embed as fe
from finetune_embed.lexical import classifier
from finetune_embed.lexical.svm import fit_machines
from finetune_embed.training.run import checkpoints
from finetune_embed.training.run.file_names import MEMBERS
from finetune_embed.training.tasks import MultiLabel, SingleLabel

WORDS = [f"w{i}" for i in range(40)]
TABLE = fe.EmbeddingTable(WORDS, np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32))


def rows(count: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count)
    texts = [" ".join(WORDS[i] for i in [*rng.choice(38, 4), 5 * one]) for one in labels]
    return Dataset.from_dict({"text": texts, "label": ["abc"[one] for one in labels]})


DATA = DatasetDict(train=rows(90, 0), validation=rows(45, 1), test=rows(45, 2))
TEXTS = ["w1 w5 w39", "w38 w38", "nothing known", "w10 w2"]


def tune(**settings: Any) -> fe.Run:
    given = {"head": "bag(hidden=5)", "epochs": 3, "lr": 0.05, "batch_size": 16, "device": "cpu"}
    return fe.finetune(TABLE, settings.pop("data", DATA), **{**given, **settings})


def bits(run: fe.Run) -> list[bytes]:
    models = [run.model, *(one.model for one in run.others)]
    return [run.table.vectors.tobytes()] + [
        value.numpy().tobytes() for model in models for value in model.state_dict().values()
    ]


def test_probabilities_are_averaged():
    logits = [torch.randn(5, 3, generator=torch.Generator().manual_seed(s)) * 9 for s in range(3)]
    for task, probability in (
        (SingleLabel(["a", "b", "c"]), lambda one: one.softmax(1)),
        (MultiLabel(["a", "b", "c"]), torch.sigmoid),
    ):
        expected = torch.stack([probability(one.double()) for one in logits]).mean(0)
        found = task.probabilities(task.average([one.double() for one in logits]))
        torch.testing.assert_close(found, expected)
        assert task.average(logits[:1]) is logits[0]
    far = MultiLabel(["a"]).average([torch.tensor([[500.0]]), torch.tensor([[400.0]])])
    assert far.isfinite().all()


@pytest.mark.parametrize("lexical", [False, True])
@pytest.mark.parametrize("lists", [False, True])
def test_members_are_the_runs_of_the_seeds(lexical, lists, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "fit_machines", partial(fit_machines, tolerance=1e-7))
    data = DATA
    if lists:
        data = DATA.map(lambda one: {"label": [one["label"], "x"][: 1 + len(one["text"]) % 2]})
    given = {"data": data, "lexical": lexical}
    run = tune(**given, ensemble=3, seed=4, output_dir=tmp_path / "run")
    alone = [tune(**given, seed=4 + at) for at in range(3)]
    assert bits(run)[0] == bits(alone[0])[0]
    for one, other in zip(run.history, alone[0].history, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    for model, one in zip([run.model, *(o.model for o in run.others)], alone, strict=True):
        for name, value in model.state_dict().items():
            assert torch.equal(value, one.model.state_dict()[name]), name
    mean = torch.stack([one.predict_proba(TEXTS) for one in alone]).mean(0)
    tolerance = {"rtol": 1e-3, "atol": 1e-3} if lexical else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(run.predict_proba(TEXTS), mean, **tolerance)
    for split in ("validation", "test"):
        found = run.evaluate({"train": data[split]}).scores
        assert found == pytest.approx(run.metrics[split], abs=1e-6)
    loss = run.metrics["test"]["loss"]
    assert loss < np.mean([one.metrics["test"]["loss"] for one in alone]) + 0.02
    metric = run.task.metric
    for at, one in enumerate(alone):
        score = run.metrics[f"member_{at + 1}"][metric]
        assert score == pytest.approx(one.metrics["validation"][metric], abs=0.03)
    assert str(run).count("of each model alone on validation: ") == 1
    loaded = fe.load(tmp_path / "run")
    assert bits(loaded) == bits(run)
    assert torch.equal(loaded.predict_proba(TEXTS), run.predict_proba(TEXTS))
    assert loaded.metrics == run.metrics
    run.save(tmp_path / "copy")
    copy = (tmp_path / "copy" / MEMBERS).read_bytes()
    assert copy == (tmp_path / "run" / MEMBERS).read_bytes()
    assert tune(**given, ensemble=3, seed=4, output_dir=tmp_path / "run", resume=True)
    with pytest.raises(fe.DataError, match="ensemble=3, this run has ensemble=2"):
        tune(**given, ensemble=2, seed=4, output_dir=tmp_path / "run", resume=True)


@pytest.mark.parametrize("stop", [2, 7, 18, 19, 24, 36, 37, 50])
def test_a_stopped_ensemble_resumes_with_the_same_bits(stop, tmp_path, monkeypatch):
    """18 steps a member; it is stopped in each of three, and at their ends."""
    given = {"ensemble": 3, "output_dir": tmp_path / "run", "checkpoint_steps": 5}
    steps, real = 0, fe.RowAdamW.step

    def stopping(self: fe.RowAdamW, *args: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == stop:
            raise KeyboardInterrupt
        return real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(fe.RowAdamW, "step", stopping)
        with pytest.raises(KeyboardInterrupt):
            tune(**given)
    path = checkpoints.latest_checkpoint(tmp_path / "run")
    assert path is not None
    assert (path / MEMBERS).exists() == (stop > 18)
    run = tune(**given, resume=True)
    assert bits(run) == bits(tune(ensemble=3))
    assert sorted(one.name for one in (tmp_path / "run").iterdir() if one.is_dir()) == []


def test_a_damaged_file_of_members(tmp_path):
    run = tune(ensemble=2, epochs=1, output_dir=tmp_path)
    path = tmp_path / MEMBERS
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(fe.DataError, match=MEMBERS):
        fe.load(tmp_path)
    path.unlink()
    with pytest.raises(fe.DataError, match=MEMBERS):
        fe.load(tmp_path)
    path.write_bytes(whole)
    assert fe.load(tmp_path).predict(TEXTS) == run.predict(TEXTS)
    scores = json.loads((tmp_path / "metrics.json").read_text())
    (tmp_path / "metrics.json").write_text(json.dumps({**scores, "member_2": {}}))
    with pytest.raises(fe.DataError, match="member_2 has no accuracy"):
        fe.load(tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps(scores))
    assert str(fe.load(tmp_path)) == str(run)
    tune(epochs=1, output_dir=tmp_path, overwrite=True)
    assert not path.exists()


def test_taggers_and_heads_of_callers():
    words = [["w1", "w2", "w3"], ["w4", "w5"]] * 12
    data = Dataset.from_dict({"text": words, "label": [["B-X", "I-X", "O"], ["O", "B-X"]] * 12})
    run = tune(data=data, head="cnn_tagger(filters=4)", ensemble=2, epochs=1)
    assert [len(one) for one in run.predict([["w1", "w2"], [], ["w3"]])] == [2, 0, 1]

    def head(embedding: torch.nn.Embedding, labels: int) -> torch.nn.Module:
        return fe.BagOfEmbeddings(embedding, labels)

    scored = DATA.map(lambda one: {"label": len(one["text"]) / 7})
    numbers = [tune(data=scored, task="regression", seed=seed).predict(TEXTS) for seed in (0, 1)]
    both = tune(data=scored, task="regression", ensemble=2).predict(TEXTS)
    assert both == pytest.approx(np.mean(numbers, axis=0).tolist(), rel=1e-5)
    built = tune(head=head, ensemble=2)
    ready = tune(head="bag", ensemble=2)
    torch.testing.assert_close(built.predict_proba(TEXTS), ready.predict_proba(TEXTS))
