"""The search for a learning rate: within its budget, until both neighbours are worse."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from finetune_embed.comparison.search import DIVERGED, next_rung, rate_of


def searched(score: Callable[[int], float], budget: int) -> list[int]:
    scores: dict[int, float] = {}
    while (rung := next_rung(scores, budget)) is not None:
        assert rung not in scores
        scores[rung] = score(rung)
    return list(scores)


@pytest.mark.parametrize(
    ("peak", "budget", "tried"),
    [
        (0, 5, [0, 1, -1]),
        (1, 5, [0, 1, 2]),
        (3, 9, [0, 1, 2, 3, 4]),
        (3, 3, [0, 1, 2]),
        (-2, 9, [0, 1, -1, -2, -3]),
        (0, 1, [0]),
    ],
)
def test_the_rates_that_are_tried(peak, budget, tried):
    assert searched(lambda rung: -abs(rung - peak), budget) == tried


def test_where_the_loss_diverges_the_rate_is_divided_by_ten():
    def score(rung: int) -> float:
        return DIVERGED if rung > -4 else -abs(rung + 5.0)

    assert searched(score, 9) == [0, -2, -4, -3, -5, -6]
    assert searched(lambda rung: DIVERGED, 3) == [0, -2, -4]


def test_of_equal_scores_the_rate_nearest_to_the_start_counts():
    assert searched(lambda rung: 0.0, 9) == [0, 1, -1]


def test_a_search_resumes():
    whole = searched(lambda rung: -abs(rung + 3), 9)
    for done in range(len(whole)):
        scores = {rung: -abs(rung + 3.0) for rung in whole[:done]}
        assert next_rung(scores, 9) == whole[done]


def test_the_rates_of_the_ladder():
    assert [rate_of(1e-2, rung) for rung in range(-3, 4)] == [
        3e-4,
        1e-3,
        3e-3,
        1e-2,
        3e-2,
        0.1,
        0.3,
    ]
    assert rate_of(0.0123, 0) == 0.0123
