"""Intervals have their coverage, and p-values are corrected as in Holm (1979)."""

from __future__ import annotations

import numpy as np
import pytest

from finetune_embed.comparison.statistics import bootstrap, holm, interval, p_value


def right(rng: np.random.Generator, seeds: int, chance: np.ndarray) -> np.ndarray:
    """Return outcomes of accuracy, each example right with its own chance."""
    hits = rng.random((seeds, len(chance))) < chance
    return np.stack([hits, np.ones_like(hits)], axis=2).astype(float)


def test_the_mean_of_the_draws_is_the_score():
    outcomes = {"a": right(np.random.default_rng(0), 4, np.full(300, 0.7))}
    drawn = bootstrap(outcomes)["a"]
    assert drawn.shape == (5_000,)
    assert drawn.mean() == pytest.approx(outcomes["a"][..., 0].mean(), abs=0.002)


def test_the_spread_over_examples_and_seeds():
    """With one seed it is that of examples, in closed form; with equal examples that of seeds."""
    one = right(np.random.default_rng(0), 1, np.full(400, 0.8))
    share = one[..., 0].mean()
    drawn = bootstrap({"a": one})["a"]
    assert drawn.std() == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.05)
    seeds = np.zeros((4, 200, 2))
    seeds[..., 1] = 1
    seeds[:2, :, 0] = 1  # two seeds have everything right, two nothing
    drawn = bootstrap({"a": seeds})["a"]
    assert drawn.std() == pytest.approx(0.5 / np.sqrt(4), rel=0.05)


def test_differences_are_paired():
    """Two runs that miss the same examples, except one, hardly differ in any draw."""
    rng = np.random.default_rng(1)
    a = right(rng, 3, np.full(500, 0.6))
    b = a.copy()
    b[:, 0, 0] = 1 - b[:, 0, 0]
    drawn = bootstrap({"a": a, "b": b})
    assert np.abs(drawn["a"] - drawn["b"]).max() <= 8 / 500
    assert (drawn["a"] - drawn["a"]).std() == 0 < drawn["a"].std()


def test_the_interval_of_the_difference_covers_the_true_one():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(60):
        chance = np.clip(rng.normal(0.7, 0.2, 300), 0, 1)
        a, b = right(rng, 5, chance), right(rng, 5, np.clip(chance + 0.05, 0, 1))
        truth = (np.clip(chance + 0.05, 0, 1) - chance).mean()
        drawn = bootstrap({"a": a, "b": b}, draws=400)
        low, high = interval(drawn["b"] - drawn["a"])
        hits += low <= truth <= high
    assert 52 <= hits <= 60  # 57 expected


def test_scores_are_ratios_of_sums():
    """F1 of texts: numerators and denominators are summed before they are divided."""
    outcomes = np.array([[[2.0, 4.0], [0.0, 6.0], [6.0, 6.0]]])
    drawn = bootstrap({"f1": outcomes}, draws=4_000)["f1"]
    assert set(np.round(drawn, 6)) <= {
        round((2 * a + 6 * c) / (4 * a + 6 * b + 6 * c), 6)
        for a in range(4)
        for b in range(4)
        for c in range(4)
        if a + b + c == 3
    }
    assert len(set(np.round(drawn, 6))) >= 8


def test_a_score_without_anything_to_find_is_0():
    assert bootstrap({"a": np.zeros((2, 5, 2))}, draws=10)["a"].tolist() == [0.0] * 10


def test_draws_are_the_same_every_time():
    outcomes = {"a": right(np.random.default_rng(0), 2, np.full(50, 0.5))}
    np.testing.assert_array_equal(bootstrap(outcomes)["a"], bootstrap(outcomes)["a"])


def test_p_values():
    assert p_value(np.full(999, 0.1)) == 2 / 1000
    assert p_value(np.full(999, -0.1)) == 2 / 1000
    assert p_value(np.zeros(999)) == 1.0
    assert p_value(np.concatenate([np.full(899, 1.0), np.full(100, -1.0)])) == 2 * 101 / 1000


def test_holm():
    """Holm's step-down: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.001]) == [0.001]
    assert holm([]) == []
