"""The movement of a sample of rows in the history of a run."""

from __future__ import annotations

import math
import random

import datasets
import numpy as np
import pytest
import torch

import finetune_embed as fe
from finetune_embed.training.movement import ROWS, movement_since, sampled_rows
from finetune_embed.training.runtime.trackers import Trackers

WORDS = [f"w{i}" for i in range(30)]


def tune(strategy: fe.Strategy, epochs: int = 3, **options: object) -> fe.Run:
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 20, (60, 5))  # the last ten words do not occur
    texts = datasets.Dataset.from_dict(
        {
            "text": [" ".join(WORDS[i] for i in row) for row in chosen],
            "label": [int(row.mean() > 9.5) for row in chosen],
        }
    )
    table = fe.EmbeddingTable(WORDS, rng.standard_normal((30, 6)))
    return fe.finetune(table, texts, strategy=strategy, epochs=epochs, lr=0.05, **options)


def test_the_movement_of_the_last_epoch_is_that_of_the_tuned_table():
    run = tune(fe.UnfreezeAfter(epochs=1), epochs=4, seed=3)
    assert run.metrics["best_epoch"] == 3  # the table is that of the last epoch
    assert run.drift is not None
    seen = [row for row, word in enumerate(WORDS) if word in run.vocab.key_to_index]
    expected = {
        "rows": 20,
        "displacement": pytest.approx(run.drift.movement[seen].mean(), rel=1e-12),
        "cosine": pytest.approx(1 - run.drift.cosine[seen].mean(), rel=1e-12),
    }
    found = [record["movement"] for record in run.history]
    assert found[0] == {"rows": 20, "displacement": 0.0, "cosine": 0.0}
    assert found[3] == expected
    displacements = [one["displacement"] for one in found]
    assert displacements == sorted(displacements)
    assert displacements[1] > 0.01


def test_a_frozen_table_has_not_moved():
    run = tune(fe.Freeze(), epochs=2)
    nothing = {"rows": 20, "displacement": 0.0, "cosine": 0.0}
    assert [record["movement"] for record in run.history] == [nothing] * 2


def test_the_figures_equal_those_computed_by_hand():
    rng = np.random.default_rng(1)
    start = torch.from_numpy(rng.standard_normal((9, 4)).astype(np.float32))
    weight, rows = start.clone(), [1, 2, 4, 7]
    weight[[2, 3, 7]] += torch.from_numpy(rng.standard_normal((3, 4)).astype(np.float32))
    start[7] = 0  # its distance is not relative, and it has no cosine
    distances, cosines = [], []
    for row in rows:
        a, b = start[row].tolist(), weight[row].tolist()
        a_norm, b_norm = (math.sqrt(math.fsum(x * x for x in one)) for one in (a, b))
        distances.append(math.dist(a, b) / (a_norm or 1))
        product = math.fsum(x * y for x, y in zip(a, b, strict=True))
        cosines.append(1.0 if a == b else product / ((a_norm * b_norm) or 1))
    assert movement_since(start, weight, torch.tensor(rows)) == {
        "rows": 4,
        "displacement": pytest.approx(sum(distances) / 4, rel=1e-13),
        "cosine": pytest.approx(1 - sum(cosines) / 4, rel=1e-13),
    }
    nothing = {"rows": 0, "displacement": 0.0, "cosine": 0.0}
    assert movement_since(start, weight, torch.empty(0, dtype=torch.int64)) == nothing


def test_the_sample_is_a_function_of_counts_and_seed():
    counts = np.arange(3 * ROWS) % 3
    state, numbers, bits = torch.get_rng_state(), np.random.get_state(), random.getstate()
    found = sampled_rows(counts, 5)
    assert torch.equal(found, sampled_rows(counts, 5))
    assert not torch.equal(found, sampled_rows(counts, 6))
    assert len(found) == len(found.unique()) == ROWS
    assert (counts[found.numpy()] > 0).all()
    assert torch.equal(found, found.sort().values)
    assert sampled_rows(np.array([0, 3, 0, 1]), 0).tolist() == [1, 3]
    assert sampled_rows(np.zeros(4, np.int64), 0).tolist() == [0, 1, 2, 3]
    assert torch.equal(state, torch.get_rng_state())  # training draws what it drew before
    assert bits == random.getstate()
    for one, other in zip(numbers, np.random.get_state(), strict=True):
        assert np.array_equal(one, other)


def test_trackers_get_flat_figures():
    seen = []

    class Noted:
        def log(self, values: object, step: int) -> None:
            seen.append((values, step))

    trackers = Trackers((), None, {})
    trackers._trackers = [Noted()]
    trackers.log({"loss": 0.5, "movement": {"rows": 3, "displacement": 0.1}}, 7)
    assert seen == [({"loss": 0.5, "movement/rows": 3, "movement/displacement": 0.1}, 7)]
