"""Learning-rate schedules: the factor at each step, in figures."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

import finetune_embed as fe
from finetune_embed.training.schedule import SCHEDULES, build_scheduler


def factors(schedule: str, total_steps: int, warmup: float | None = 0.0) -> list[float]:
    """Return the factor of each step of a run, for two groups that must agree."""
    optimizer = torch.optim.SGD(
        [
            {"params": [nn.Parameter(torch.zeros(1))], "lr": 1.0},
            {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.125},
        ]
    )
    scheduler = build_scheduler(optimizer, schedule, total_steps, warmup)
    seen = []
    for _ in range(total_steps):
        one, eighth = (group["lr"] for group in optimizer.param_groups)
        assert eighth == one / 8
        seen.append(one)
        optimizer.step()
        scheduler.step()
    return seen


def test_there_are_five():
    assert list(SCHEDULES) == ["constant", "linear", "cosine", "slanted_triangular", "one_cycle"]


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0.0, [1.0] * 8),
        ("linear", 0.0, [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("cosine", 0.0, [0.5 + 0.5 * math.cos(math.pi * step / 8) for step in range(8)]),
        ("constant", 0.25, [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1]),
        ("linear", 0.25, [1 / 3, 2 / 3, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        ("linear", 0.5, [0.2, 0.4, 0.6, 0.8, 1, 0.75, 0.5, 0.25]),
        ("linear", 0.99, [step / 9 for step in range(1, 9)]),
        (
            "slanted_triangular",
            0.25,
            [1 / 32, 33 / 64, 1, *(1 - t / 6 * 31 / 32 for t in range(1, 6))],
        ),
    ],
)
def test_factors(schedule, warmup, expected):
    assert factors(schedule, 8, warmup) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("total_steps", [7, 10, 100])
@pytest.mark.parametrize("share", [0.3, 0.4, 0.7])
def test_one_cycle_equals_that_of_torch(total_steps, share):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = OneCycleLR(
        optimizer, 1.0, total_steps=total_steps, pct_start=share, cycle_momentum=False
    )
    expected = []
    for step in range(total_steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < total_steps - 1:
            theirs.step()
    assert factors("one_cycle", total_steps, share) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("schedule", "share"), [("linear", 0.0), ("slanted_triangular", 0.1), ("one_cycle", 0.3)]
)
def test_a_schedule_has_its_own_default_share(schedule, share):
    assert factors(schedule, 40, None) == factors(schedule, 40, share)


@pytest.mark.parametrize(("schedule", "warmup"), [("cosine", None), ("constant", 0.1)])
def test_schedules_that_need_the_length_of_the_run(schedule, warmup):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    assert build_scheduler(optimizer, "constant", None).get_last_lr() == [1.0]
    with pytest.raises(
        fe.StrategyError,
        match=rf"^schedule='{schedule}' with warmup={warmup or 0.0} needs the number of steps, .* "
        r"is unknown; pass max_steps=\.\.\.$",
    ):
        build_scheduler(optimizer, schedule, None, warmup)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.3, 0.9])
def test_factors_are_above_0_and_at_most_1(schedule, warmup):
    for total_steps in (1, 2, 7, 30):
        assert all(0 < factor <= 1 for factor in factors(schedule, total_steps, warmup))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_factor_depends_on_the_step_only(schedule):
    """A resumed run sets `last_epoch` and continues."""
    whole = factors(schedule, 10, 0.3)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = build_scheduler(optimizer, schedule, 10, 0.3)
    scheduler.last_epoch = 5
    optimizer.step()
    for step in range(6, 10):
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] == whole[step]


@pytest.mark.parametrize(
    ("schedule", "warmup", "message"),
    [
        ("step", 0.0, "^schedule='step' is not a schedule; use one of constant, linear, cosine"),
        ("linear", 1.0, "warmup=1.0 must be a share of the run, from 0 to below 1"),
        ("linear", -0.1, "warmup=-0.1 must be a share"),
        ("linear", 100, "warmup=100 must be a share"),
        ("linear", float("nan"), "warmup=nan must be a share"),
    ],
)
def test_schedules_and_shares_that_are_refused(schedule, warmup, message):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(fe.StrategyError, match=message):
        build_scheduler(optimizer, schedule, 8, warmup)
