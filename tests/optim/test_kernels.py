"""The compiled loops and torch's give the same numbers; one thread and several the same bits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import finetune_embed as fe
from finetune_embed.optim import _kernels as kernels
from finetune_embed.strategies.rules import attach_rule

pytestmark = pytest.mark.skipif(
    kernels.native is None, reason="the compiled loops were not built here"
)
SIZES = [1, 3, 16, 50, 300]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def some_rows(count: int, end: int, seed: int = 0) -> torch.Tensor:
    return torch.randperm(end, generator=torch.Generator().manual_seed(seed))[:count].sort().values


def by_torch(function: Any, *arguments: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "native", None)
        return function(*arguments)


# --- grouping -----------------------------------------------------------------------------------


def check_groups(ids: torch.Tensor, end: int) -> None:
    groups = kernels.Groups.of(ids, end)
    assert torch.equal(groups.rows, ids.unique())
    order = ids.sort(stable=True).indices
    assert torch.equal(groups.order, order)
    counts = torch.unique(ids, return_counts=True)[1]
    assert torch.equal(groups.starts, nn.functional.pad(counts.cumsum(0), (1, 0)))


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.integers(0, 10**6), max_size=40),
    close=st.booleans(),
    end=st.sampled_from([10**6 + 1, 2**22, 2**32 - 1]),
)
def test_groups_are_what_a_stable_sort_says(ids, close, end):
    check_groups(torch.tensor([i % 7 if close else i for i in ids], dtype=torch.int64), end)


@pytest.mark.parametrize("end", [1, 2, 2047, 2048, 2049, 2**11 * 2**11, 2**22 + 1, 2**32 - 1])
def test_ids_up_to_the_last_row_of_tables_around_the_steps_of_the_sort(end):
    ids = torch.tensor([end - 1, 0, end - 1, end // 2, 0])
    check_groups(ids, end)


def test_bags_in_place_of_positions():
    ids, lengths = torch.tensor([4, 4, 2, 4, 2]), torch.tensor([0, 3, 0, 2, 0])
    groups = kernels.Groups.of(ids, 5, lengths)
    assert groups.rows.tolist() == [2, 4]
    assert groups.order.tolist() == [1, 3, 1, 1, 3]
    assert groups.starts.tolist() == [0, 2, 5]


@pytest.mark.parametrize("bad", [-1, 5, 2**40, -(2**63)])
def test_an_id_out_of_range_is_an_error(bad):
    with pytest.raises(IndexError, match=f"row {bad} is out of range for a table of 5 rows"):
        kernels.Groups.of(torch.tensor([0, bad, 1]), 5)


@pytest.mark.parametrize("lengths", [[2], [4], [5, -2], [-1, 4], [2**62, 2**62]])
def test_lengths_that_are_not_those_of_the_ids_are_an_error(lengths):
    with pytest.raises(ValueError, match="do not add up"):
        kernels.Groups.of(torch.tensor([0, 1, 2]), 5, torch.tensor(lengths))


# --- sums and rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_sums_by_group(size, threads):
    ids = torch.randint(0, 900, (5000,), generator=torch.Generator().manual_seed(1))
    ids[:1000] = 7  # a frequent word
    values = random(5000, size)
    groups = kernels.Groups.of(ids, 900)
    found = {}
    for count in (1, 2, 3, 8):
        torch.set_num_threads(count)
        found[count] = kernels.sum_groups(values, groups.order, groups.starts)
    expected = torch.zeros(900, size, dtype=torch.float64).index_add_(0, ids, values.double())
    torch.testing.assert_close(found[1].double(), expected[groups.rows], rtol=1e-5, atol=1e-4)
    assert all(torch.equal(one, found[1]) for one in found.values())


def test_sums_of_nothing():
    nothing = torch.empty(0, dtype=torch.int64)
    starts = torch.tensor([0, 0, 0])
    assert kernels.sum_groups(random(3, 2), nothing, starts).tolist() == [[0, 0], [0, 0]]
    assert kernels.sum_groups(random(0, 2), nothing, starts[:1]).shape == (0, 2)
    groups = kernels.Groups.of(nothing, 4)
    assert [len(part) for part in groups] == [0, 0, 1]


@pytest.mark.parametrize(
    ("source", "starts"),
    [([3], [0, 1]), ([-1], [0, 1]), ([0, 1], [0, 1]), ([0], [1, 1]), ([0, 1], [0, 3, 2])],
)
def test_sums_of_rows_that_are_not_there_are_an_error(source, starts):
    with pytest.raises((IndexError, ValueError), match=r"out of range|do not rise"):
        kernels.sum_groups(random(3, 2), torch.tensor(source), torch.tensor(starts))


def test_coalesced_is_what_torch_makes_of_it():
    ids = torch.tensor([[5, 1, 5, 5, 0]])
    values = random(5, 3)
    grad = torch.sparse_coo_tensor(ids, values, (6, 3), check_invariants=True)
    rows, sums = kernels.coalesce(grad)
    theirs = grad.coalesce()
    assert torch.equal(rows, theirs.indices()[0])
    torch.testing.assert_close(sums, theirs.values())


def test_rows_that_rise_are_taken_as_they_are():
    values = random(3, 2)
    ids = torch.tensor([[0, 2, 5]])
    grad = torch.sparse_coo_tensor(ids, values, (6, 2), check_invariants=True)
    assert not grad.is_coalesced()
    rows, sums = kernels.coalesce(grad)
    assert rows.tolist() == [0, 2, 5]
    assert sums.data_ptr() == values.data_ptr()


@pytest.mark.parametrize("size", SIZES)
def test_squares_and_zeros(size, threads):
    values = random(3000, size)
    values[::3] = 0.0
    values[3] = -0.0
    values[1, :-1] = 0.0
    torch.set_num_threads(1)
    one = kernels.row_squares(values)
    torch.set_num_threads(3)
    assert torch.equal(kernels.row_squares(values), one)
    torch.testing.assert_close(one, values.double().square().sum(1), rtol=1e-12, atol=0)
    assert torch.equal(kernels.nonzero_rows(values), (values != 0).any(dim=1))
    assert kernels.nonzero_rows(values[1::3].contiguous()) is None
    nan = torch.zeros(1, size)
    nan[0, -1] = float("nan")
    assert kernels.nonzero_rows(nan) is None


# --- slots and steps ----------------------------------------------------------------------------


def test_slots_in_the_order_of_the_first_touch():
    def both(rows: list[int], index: torch.Tensor, count: int) -> tuple[list[int], int]:
        other, asked = index.clone(), torch.tensor(rows, dtype=torch.int64)
        theirs, now = by_torch(kernels.find_slots, asked, other, count)
        slots, found = kernels.find_slots(asked, index, count)
        assert (slots.tolist(), found, index.tolist()) == (theirs.tolist(), now, other.tolist())
        return slots.tolist(), found

    index = torch.full((6,), -1, dtype=torch.int32)
    assert both([1, 4], index, 0) == ([0, 1], 2)
    assert both([0, 1, 4, 5], index, 2) == ([2, 0, 1, 3], 4)
    assert both([], index, 4) == ([], 4)
    with pytest.raises(IndexError, match="row 6 is out of range for a table of 6 rows"):
        kernels.find_slots(torch.tensor([6]), index, 4)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.999, 0.9)])
def test_bias_corrections_of_any_step_count(betas):
    steps = torch.tensor([0, 1, 2, 255, 256, 257, 10**6, 2**40, 1])
    slots = torch.tensor([8, 0, 3, 1, 2, 5, 4, 7])
    other = steps.clone()
    options = (slots, betas, 0.01, 1e-8, torch.float32)
    rate, epsilon = kernels.count_steps(steps, *options)
    expected = by_torch(kernels.count_steps, other, *options)
    assert torch.equal(steps, other)
    assert steps.tolist() == [1, 2, 3, 256, 257, 258, 10**6, 2**40 + 1, 2]
    torch.testing.assert_close(rate, expected[0], rtol=3e-7, atol=0)
    torch.testing.assert_close(epsilon, expected[1], rtol=3e-7, atol=0)
    with pytest.raises(IndexError):
        kernels.count_steps(steps, torch.tensor([9]), *options[1:])


# --- Adam ---------------------------------------------------------------------------------------


def adam_case(size: int, rows: int = 700, by_row: bool = False, plain: bool = False) -> list[Any]:
    weight, touched = random(2000, size), some_rows(rows, 2000)
    moments = random(900, size, seed=1), random(900, size, seed=2).square()
    slots = torch.randperm(900, generator=torch.Generator().manual_seed(3))[:rows]
    return [
        weight,
        touched,
        random(rows, size, seed=4),
        moments[0],
        None if by_row else moments[1],
        slots,
        -random(rows, seed=5).square(),
        random(rows, seed=6).square() + 1e-3,
        None if plain else random(rows, seed=7).square().clamp(max=1),
        None if plain else random(rows, seed=8).square().clamp(max=1),
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.2, 0.7)])
def test_adam_is_torchs(size, by_row, plain, betas):
    ours, theirs = adam_case(size, 700, by_row, plain), adam_case(size, 700, by_row, plain)
    kernels.adam_rows(*ours, betas)
    by_torch(kernels.adam_rows, *theirs, betas)
    assert not torch.equal(ours[0], random(2000, size))
    for at in (0, 3, 4):
        if ours[at] is not None:
            torch.testing.assert_close(ours[at], theirs[at], rtol=2e-6, atol=1e-6)
    out = torch.ones(2000, dtype=torch.bool)
    out[ours[1]] = False
    assert torch.equal(ours[0][out], random(2000, size)[out])


@pytest.mark.parametrize("size", [50, 300])
def test_adam_has_the_same_bits_with_any_number_of_threads(size, threads):
    ends = []
    for count in (1, 2, 3, 7):
        torch.set_num_threads(count)
        case = adam_case(size)
        kernels.adam_rows(*case, (0.9, 0.999))
        ends.append(case)
    for case in ends[1:]:
        assert all(torch.equal(case[at], ends[0][at]) for at in (0, 3, 4))


def test_no_rows_no_change():
    case = adam_case(3, rows=0)
    kernels.adam_rows(*case, (0.9, 0.999))
    assert torch.equal(case[0], random(2000, 3))


@pytest.mark.parametrize(
    ("at", "value", "error", "told"),
    [
        (1, [0, 2000], IndexError, "row 2000 is out of range for a table of 2000 rows"),
        (1, [-1, 3], IndexError, "row -1 is out"),
        (1, [3, 3], ValueError, "rows do not rise"),
        (1, [3, 2], ValueError, "rows do not rise"),
        (5, [0, 900], IndexError, "row 900 is out of range for a table of 900 rows"),
        (5, [0], ValueError, "slots has 8 bytes, not 2 x 8"),
        (2, [[0.0] * 3], ValueError, "grad has 12 bytes, not 2 x 12"),
        (6, [1.0], ValueError, "rate has 4 bytes, not 2 x 4"),
        (9, [1.0, 2.0, 3.0], ValueError, "decay has 12 bytes, not 2 x 4"),
        (4, [[0.0] * 3], ValueError, "exp_avg_sq has 12 bytes, not 900 x 12"),
    ],
)
def test_what_does_not_fit_is_an_error_and_changes_nothing(at, value, error, told):
    case = adam_case(3, rows=2)
    case[at] = torch.tensor(value)
    with pytest.raises(error, match=told):
        kernels.adam_rows(*case, (0.9, 0.999))
    assert torch.equal(case[0], random(2000, 3))


# --- the optimizer as a whole -------------------------------------------------------------------


def trained(form: str, size: int, **options: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Train a table under a rule for some steps; `form` says in which way it is laid out."""
    dtype = torch.float64 if form == "float64" else torch.float32
    weight = nn.Parameter(random(400, size).to(dtype))
    if form == "non-contiguous":
        weight = nn.Parameter(random(400, size).t().contiguous().t())
        assert weight.is_contiguous() == (size == 1)
    attach_rule(weight, fe.RowRule(scale=torch.linspace(0.5, 2, 400), max_norm=3.0))
    optimizer = fe.RowAdamW(
        [{"params": [weight], "row_wise": True}], lr=0.05, weight_decay=0.1, **options
    )
    for step in range(6):
        ids = torch.randint(0, 400, (200,), generator=torch.Generator().manual_seed(step))
        values = random(200, size, seed=step).to(dtype)
        weight.grad = torch.sparse_coo_tensor(
            ids[None], values, weight.shape, check_invariants=True
        )
        optimizer.step()
    optimizer.flush()
    return weight.detach(), optimizer.state[weight]


@pytest.mark.parametrize("size", [1, 3, 300])
@pytest.mark.parametrize("form", ["float64", "non-contiguous", "torch"])
@pytest.mark.parametrize("second_moment", ["element", "row"])
def test_a_run_is_the_same_on_every_path(form, size, second_moment):
    options = {"second_moment": second_moment, "max_grad_norm": 5.0, "max_row_grad_norm": 1.0}
    ours, state = trained("native", size, **options)
    if form == "torch":
        theirs, other = by_torch(lambda: trained("native", size, **options))
    else:
        theirs, other = trained(form, size, **options)
    assert (ours - random(400, size)).abs().max() > 0.1
    torch.testing.assert_close(ours.double(), theirs.double(), rtol=2e-4, atol=2e-5)
    assert torch.equal(state["rows"], other["rows"])
    assert torch.equal(state["step"], other["step"])


def test_a_forked_process_works_on():
    """Threads of the parent are not in the child, which must not wait for them."""
    script = """
import os, torch
from finetune_embed.optim import _kernels as kernels
torch.set_num_threads(2)
values = torch.ones(4000, 300)
torch.mm(values, values.t())
before = kernels.row_squares(values)
child = os.fork()
if not child:
    os._exit(0 if torch.equal(kernels.row_squares(values), before) else 1)
assert os.waitpid(child, 0)[1] == 0
assert torch.equal(kernels.row_squares(values), before)
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    subprocess.run(command, check=True, timeout=60)
