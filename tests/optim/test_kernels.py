"""The compiled loops and torch's give the same numbers, any number of threads the same bits."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import finetune_embed as fe
from finetune_embed.optim import adam, kernels
from finetune_embed.optim.bag import mean_bag
from finetune_embed.strategies.row_rules import attach_rule

pytestmark = pytest.mark.skipif(
    kernels.native is None, reason="the compiled loops were not built here"
)
SIZES = [1, 3, 16, 50, 300, 1100]
OPTIONS = 0.1, 1e-3, (0.9, 0.999)  # lr, eps and betas


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


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
def test_groups_are_those_of_a_stable_sort(ids, close, end):
    check_groups(torch.tensor([i % 7 if close else i for i in ids], dtype=torch.int64), end)


@pytest.mark.parametrize("end", [1, 2, 2047, 2048, 2049, 2**11 * 2**11, 2**22 + 1, 2**32 - 1])
def test_ids_up_to_the_last_row_of_tables_around_the_steps_of_the_sort(end):
    ids = torch.tensor([end - 1, 0, end - 1, end // 2, 0])
    check_groups(ids, end)


def test_bags_instead_of_positions():
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
        found[count] = kernels.sum_groups(values, groups)
    expected = torch.zeros(900, size, dtype=torch.float64).index_add_(0, ids, values.double())
    torch.testing.assert_close(found[1].double(), expected[groups.rows], rtol=1e-5, atol=1e-4)
    assert all(torch.equal(one, found[1]) for one in found.values())


@pytest.mark.parametrize("size", SIZES)
def test_the_gradients_of_bags_count_as_one_over_their_lengths(size, threads):
    lengths = torch.tensor([0, 3, 1, 40, 0, 7, 200])
    ids = torch.randint(0, 30, (251,), generator=torch.Generator().manual_seed(2))
    grad = random(7, size)
    torch.set_num_threads(2)
    groups = kernels.Groups.of(ids, 30, lengths)
    each = (grad.double() / lengths.double()[:, None]).repeat_interleave(lengths, dim=0)
    expected = torch.zeros(30, size, dtype=torch.float64).index_add_(0, ids, each)[groups.rows]
    sums = kernels.sum_groups(grad, groups)
    torch.testing.assert_close(sums.double(), expected, rtol=1e-5, atol=1e-6)


def made_groups(source: list[int], starts: list[int]) -> kernels.Groups:
    rows = torch.arange(len(starts) - 1)
    return kernels.Groups(rows, torch.tensor(source, dtype=torch.int64), torch.tensor(starts))


def test_sums_of_nothing():
    assert kernels.sum_groups(random(3, 2), made_groups([], [0, 0, 0])).tolist() == [[0, 0], [0, 0]]
    assert kernels.sum_groups(random(0, 2), made_groups([], [0])).shape == (0, 2)
    groups = kernels.Groups.of(torch.empty(0, dtype=torch.int64), 4)
    assert [len(part) for part in groups[:3]] == [0, 0, 1]


BAD_SUMS = [([3], [0, 1]), ([-1], [0, 1]), ([0, 1], [0, 1]), ([0], [1, 1]), ([0, 1], [0, 3, 2])]


@pytest.mark.parametrize(("source", "starts"), BAD_SUMS)
def test_sums_of_rows_that_are_not_there_are_an_error(source, starts):
    groups, case = made_groups(source, starts), adam_case(2, len(starts) - 1)
    case[2:4] = random(3, 2), groups
    with pytest.raises((IndexError, ValueError), match=r"out of range|do not rise"):
        kernels.sum_groups(random(3, 2), groups)
    with pytest.raises((IndexError, ValueError), match=r"out of range|do not rise"):
        kernels.nonzero_rows(random(3, 2), groups)
    with pytest.raises((IndexError, ValueError), match=r"out of range|do not rise"):
        adam.adam_rows(*case, *OPTIONS)
    assert torch.equal(case[0], random(2000, 2))


def test_there_must_be_a_length_for_each_row_of_values():
    groups = kernels.Groups.of(torch.tensor([1, 1, 0]), 2, torch.tensor([2, 1]))
    with pytest.raises(ValueError, match="lengths has 16 bytes, not 3 x 8"):
        kernels.sum_groups(random(3, 2), groups)


def test_grouped_rows_are_what_torch_coalesces():
    ids = torch.tensor([[5, 1, 5, 5, 0]])
    values = random(5, 3)
    grad = torch.sparse_coo_tensor(ids, values, (6, 3), check_invariants=True)
    rows, parts, groups = kernels.group_rows(grad)
    theirs = grad.coalesce()
    assert torch.equal(rows, theirs.indices()[0])
    assert parts.data_ptr() == values.data_ptr()
    torch.testing.assert_close(kernels.sum_groups(parts, groups), theirs.values())
    rows, sums, groups = by_torch(kernels.group_rows, grad)
    assert (rows.tolist(), groups) == ([0, 1, 5], None)
    assert torch.equal(sums, theirs.values())


def test_ascending_rows_are_not_grouped():
    values = random(3, 2)
    ids = torch.tensor([[0, 2, 5]])
    grad = torch.sparse_coo_tensor(ids, values, (6, 2), check_invariants=True)
    assert not grad.is_coalesced()
    rows, parts, groups = kernels.group_rows(grad)
    assert (rows.tolist(), groups) == ([0, 2, 5], None)
    assert parts.data_ptr() == values.data_ptr()


# --- means --------------------------------------------------------------------------------------


# --- norms and zeros of rows --------------------------------------------------------------------


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


@pytest.mark.parametrize("size", SIZES)
def test_sums_that_come_to_zero_are_seen_without_summing(size, threads):
    values = random(4000, size)
    ids = torch.randint(0, 2000, (4000,), generator=torch.Generator().manual_seed(1))
    ids[:8] = torch.tensor([2000, 2000, 2001, 2001, 2002, 2003, 2003, 2003])
    values[1], values[3, :-1] = -values[0], -values[2, :-1]  # all of it; all but the last number
    values[4:8] = 0.0
    values[7, -1] = float("nan")
    groups = kernels.Groups.of(ids, 2004)
    expected = (kernels.sum_groups(values, groups) != 0).any(dim=1)
    assert expected[-4:].tolist() == [False, True, False, True]
    for count in (1, 2):
        torch.set_num_threads(count)
        assert torch.equal(kernels.nonzero_rows(values, groups), expected)


# --- Adam ---------------------------------------------------------------------------------------


def adam_case(size: int, rows: int = 700, plain: bool = False) -> list[Any]:
    weight, touched = random(2000, size), some_rows(rows, 2000)
    moments = random(900, size, seed=1), random(900, size, seed=2).square()
    slots = torch.randperm(900, generator=torch.Generator().manual_seed(3))[:rows]
    return [
        weight,
        touched,
        random(rows, size, seed=4),
        None,
        moments[0],
        moments[1],
        slots,
        torch.randint(1, 400, (rows,), generator=torch.Generator().manual_seed(5)),
        None if plain else random(rows, seed=6).square(),
        None if plain else random(rows, seed=7).square().clamp(max=1),
        None if plain else random(rows, seed=8).square().clamp(max=1),
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.2, 0.7)])
def test_adam_is_torchs(size, plain, betas):
    ours, theirs = adam_case(size, 700, plain), adam_case(size, 700, plain)
    adam.adam_rows(*ours, 0.1, 1e-3, betas)
    by_torch(adam.adam_rows, *theirs, 0.1, 1e-3, betas)
    assert not torch.equal(ours[0], random(2000, size))
    for at in (0, 4, 5):
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
        adam.adam_rows(*case, *OPTIONS)
        ends.append(case)
    for case in ends[1:]:
        assert all(torch.equal(case[at], ends[0][at]) for at in (0, 4, 5))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bags", [False, True])
def test_to_sum_where_it_is_used_gives_the_bits_of_summing_first(size, bags, threads):
    ids = torch.randint(0, 800, (3000,), generator=torch.Generator().manual_seed(1))
    ids[:900] = 7
    lengths = torch.full((60,), 50) if bags else None
    groups = kernels.Groups.of(ids, 2000, lengths)
    values = random(60 if bags else 3000, size)
    ends = []
    for grad, its_groups, count in (
        (kernels.sum_groups(values, groups), None, 1),
        (values, groups, 1),
        (values, groups, 2),
        (values, groups, 7),
    ):
        torch.set_num_threads(count)
        case = adam_case(size, len(groups.rows))
        case[1:4] = groups.rows, grad, its_groups
        adam.adam_rows(*case, *OPTIONS)
        ends.append(case)
    assert not torch.equal(ends[0][0], random(2000, size))
    for case in ends[1:]:
        assert all(torch.equal(case[at], ends[0][at]) for at in (0, 4, 5))
    by_torch_too = adam_case(size, len(groups.rows))
    by_torch_too[1:4] = groups.rows, kernels.sum_groups(values, groups), None
    by_torch(adam.adam_rows, *by_torch_too, *OPTIONS)
    torch.testing.assert_close(by_torch_too[0], ends[0][0], rtol=1e-5, atol=1e-5)


def test_no_rows_no_change():
    case = adam_case(3, rows=0)
    adam.adam_rows(*case, *OPTIONS)
    assert torch.equal(case[0], random(2000, 3))


@pytest.mark.parametrize(
    ("at", "value", "error", "message"),
    [
        (1, [0, 2000], IndexError, "row 2000 is out of range for a table of 2000 rows"),
        (1, [-1, 3], IndexError, "row -1 is out"),
        (1, [3, 3], ValueError, "rows do not rise"),
        (1, [3, 2], ValueError, "rows do not rise"),
        (6, [0, 900], IndexError, "row 900 is out of range for a table of 900 rows"),
        (6, [0], ValueError, "slots has 8 bytes, not 2 x 8"),
        (2, [[0.0] * 3], ValueError, "grad has 12 bytes, not 2 x 12"),
        (7, [1], ValueError, "counts has 8 bytes, not 2 x 8"),
        (7, [1, 0], ValueError, "a count is below 1"),
        (8, [1.0], ValueError, "scale has 4 bytes, not 2 x 4"),
        (10, [1.0, 2.0, 3.0], ValueError, "decay has 12 bytes, not 2 x 4"),
        (5, [[0.0] * 3], ValueError, "exp_avg_sq has 12 bytes, not 900 x 12"),
    ],
)
def test_what_does_not_fit_is_an_error_and_changes_nothing(at, value, error, message):
    case = adam_case(3, rows=2)
    case[at] = torch.tensor(value)
    with pytest.raises(error, match=message):
        adam.adam_rows(*case, *OPTIONS)
    assert torch.equal(case[0], random(2000, 3))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1000, 10**5, 2**40])
def test_the_corrections_of_any_number_of_steps(n):
    case, betas = adam_case(3, rows=5, plain=True), (0.9, 0.999)
    case[7] = torch.full((5,), n)
    before = case[0].double()
    adam.adam_rows(*case, 0.1, 1e-8, betas)
    first, second = (
        case[at][case[6]].double() / (1 - beta**n) for at, beta in zip((4, 5), betas, strict=True)
    )
    expected = before[case[1]] - 0.1 * first / (second.sqrt() + 1e-8)
    torch.testing.assert_close(case[0][case[1]].double(), expected, rtol=1e-5, atol=1e-6)


# --- slots --------------------------------------------------------------------------------------


def test_slots_are_found_and_steps_counted():
    index = torch.tensor([3, -1, 0, 2, -1, 1], dtype=torch.int32)
    for rows, slots, some_missing in (([0, 2, 5], [3, 0, 1], False), ([1, 3], [-1, 2], True)):
        found = kernels.find_slots(index, torch.tensor(rows))
        assert (found[0].tolist(), found[1]) == (slots, some_missing)
        theirs = by_torch(kernels.find_slots, index, torch.tensor(rows))
        assert (theirs[0].tolist(), theirs[1]) == (slots, some_missing)
    for count in (kernels.count_steps, lambda *given: by_torch(kernels.count_steps, *given)):
        steps = torch.tensor([4, 0, 7, 1])
        assert count(steps, torch.tensor([3, 0, 1])).tolist() == [2, 5, 1]
        assert steps.tolist() == [5, 1, 7, 2]
    with pytest.raises(IndexError, match="row 6 is out of range for a table of 6 rows"):
        kernels.find_slots(index, torch.tensor([0, 6]))
    with pytest.raises(IndexError, match="row 4 is out of range for a table of 4 rows"):
        kernels.count_steps(steps, torch.tensor([4]))


# --- whole parameters ---------------------------------------------------------------------------


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("form", ["contiguous", "transposed", "float64"])
def test_whole_parameters_take_the_steps_of_torch(form, weight_decay):
    def parameters() -> list[nn.Parameter]:
        made = [random(*shape) for shape in ((7, 5), (3, 2, 4), (1,))]
        if form == "transposed":
            made[0] = random(5, 7).t()
        return [nn.Parameter(one.double() if form == "float64" else one) for one in made]

    ours, theirs, fallback = parameters(), parameters(), parameters()
    options = {"lr": 0.05, "weight_decay": weight_decay}
    optimizers = [
        fe.RowAdamW(ours, **options),
        torch.optim.AdamW(theirs, **options),
        fe.RowAdamW(fallback, **options),
    ]
    for step in range(20):
        for one, other, third in zip(ours, theirs, fallback, strict=True):
            one.grad = other.grad = third.grad = random(*one.shape, seed=step).to(one)
        optimizers[0].step()
        optimizers[1].step()
        by_torch(optimizers[2].step)
    for one, other, third in zip(ours, theirs, fallback, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-6, atol=1e-6)
        torch.testing.assert_close(third, other, rtol=2e-6, atol=1e-6)
        entries = optimizers[0].state[one]
        assert (entries["step"].dtype, int(entries["step"])) == (torch.int64, 20)
        assert entries["exp_avg"].stride() == one.stride()


# --- the optimizer ------------------------------------------------------------------------------


def trained(form: str, size: int, **options: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Train a table under a rule for some steps; `form` is its dtype or layout."""
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
def test_a_run_is_the_same_on_every_path(form, size):
    options = {"max_grad_norm": 5.0, "max_row_grad_norm": 1.0}
    ours, state = trained("native", size, **options)
    if form == "torch":
        theirs, other = by_torch(lambda: trained("native", size, **options))
    else:
        theirs, other = trained(form, size, **options)
    assert (ours - random(400, size)).abs().max() > 0.1
    torch.testing.assert_close(ours.double(), theirs.double(), rtol=2e-4, atol=2e-5)
    assert torch.equal(state["rows"], other["rows"])
    assert torch.equal(state["step"], other["step"])


@pytest.mark.slow
def test_the_loops_work_in_a_forked_process():
    """Threads of the parent are not in the child, which must not wait for them."""
    script = """
import os, torch
from finetune_embed.optim import kernels
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


# --- any address --------------------------------------------------------------------------------


def moved(tensor: torch.Tensor, offset: int) -> torch.Tensor:
    """Return a copy that begins `offset` bytes after an address that fits its type."""
    size = tensor.numel() * tensor.element_size()
    buffer = torch.empty(size + 16, dtype=torch.uint8)
    first = -buffer.data_ptr() % 8 + offset
    memory = memoryview(buffer.numpy())
    copy = torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=first)
    return copy.view(tensor.shape).copy_(tensor)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("offset", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("parts", [("weight",), ("ids",), ("grad",), ("weight", "ids", "grad")])
def test_tensors_may_begin_at_any_address(parts, offset, sparse):
    def tuned(parts: tuple[str, ...]) -> list[torch.Tensor]:
        tensors = {
            "weight": random(9, 4),
            "ids": torch.tensor([5, 2, 2, 8, 0, 5]),
            "lengths": torch.tensor([2, 4]),
            "grad": random(2, 4, seed=1),
        }
        for name in parts:
            tensors[name] = moved(tensors[name], offset)
            assert (tensors[name].data_ptr() - offset) % 8 == 0
        weight = nn.Parameter(tensors["weight"])
        optimizer = fe.RowAdamW([weight], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            mean_bag(weight, tensors["ids"], tensors["lengths"], sparse).backward(tensors["grad"])
            nn.functional.embedding(tensors["ids"], weight, sparse=sparse)[:2].backward(
                tensors["grad"]
            )
            optimizer.step()
        return [
            weight.detach(),
            *(t for t in optimizer.state[weight].values() if torch.is_tensor(t)),
        ]

    for found, expected in zip(tuned(parts), tuned(()), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["values", "source", "starts", "out"])
def test_the_loop_refuses_buffers_at_an_address_that_does_not_fit(name):
    buffers = {
        "values": random(2, 3),
        "source": torch.tensor([0, 1]),
        "starts": torch.tensor([0, 2]),
        "out": torch.empty(1, 3),
    }
    buffers[name] = moved(buffers[name], 2)
    values, source, starts, out = (one.numpy() for one in buffers.values())
    with pytest.raises(ValueError, match=f"{name} does not begin at a multiple of [48] bytes"):
        kernels.native.sum_rows(values, source, starts, None, out, 3, 1)


def test_grouping_refuses_lengths_at_an_address_that_does_not_fit():
    ids, out = torch.tensor([1, 0]).numpy(), [torch.zeros(n).long().numpy() for n in (2, 2, 3)]
    lengths = moved(torch.tensor([2]), 5).numpy()
    with pytest.raises(ValueError, match="lengths does not begin at a multiple of 8 bytes"):
        kernels.native.group(ids, 2, lengths, *out)


@pytest.mark.parametrize("threads", [-(2**31), -65, 0, 1, 64, 2**31 - 1])
def test_any_number_of_threads_may_be_asked_for(threads):
    values, out = random(5000, 100), torch.empty(5000, dtype=torch.float64)
    kernels.native.squares(values.numpy(), out.numpy(), 100, threads)
    torch.testing.assert_close(out, values.double().square().sum(dim=1))


def test_work_that_no_thread_could_begin_is_done_once(monkeypatch):
    kernels._helper.cache_clear()
    done: list[str] = []

    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with kernels.own_threads(2):
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            with kernels.alongside(lambda: done.append("first")):
                pass
        with kernels.alongside(lambda: done.append("second")):
            pass
    assert done == ["first", "second"]
