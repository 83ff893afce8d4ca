"""Two processes whose batches are halves of one: the same table, the same bits on both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing, nn

import finetune_embed as fe
from finetune_embed.optim import broadcast_table, build_optimizer, exchange_rows

V, D, STEPS = 30, 3, 8
OPTIONS: dict[str, Any] = {
    "lr": 0.1,
    "weight_decay": 0.2,
    "max_grad_norm": 0.3,
    "max_row_grad_norm": 0.25,
}


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gradient(step: int, rank: int) -> torch.Tensor | None:
    """Return a rank's gradient: some rows of its own, some of both; in some steps none."""
    if step == 6 or (step == 3 and rank == 1):
        return None
    words = 0 if step == 4 and rank == 0 else 6
    seed = 10 * step + rank
    ids = torch.randint(0, V, (words,), generator=torch.Generator().manual_seed(seed))
    values = random(words, D, seed=seed)
    if step == 7:  # of row 2 the two halves cancel: it is not touched
        ids, values = torch.tensor([2, 5 + rank]), torch.full((2, D), 1.0 - 2 * rank)
    return torch.sparse_coo_tensor(ids[None], values, (V, D), check_invariants=True)


def parameters() -> tuple[nn.Parameter, nn.Parameter, list[dict[str, Any]]]:
    table, layer = nn.Parameter(random(V, D, seed=99)), nn.Parameter(random(4, seed=98))
    return table, layer, [{"params": [table], "row_wise": True}, {"params": [layer]}]


def layer_gradient(step: int, rank: int) -> torch.Tensor:
    return random(4, seed=1000 + 10 * step + rank)


OTHERS = ["adagrad", "adagrad(per_row=True)", "sgd", "sgd(momentum=0.9)"]


def tuned_by(text: str, ranks: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the table and the layer that other optimizers make of the gradients of ranks."""
    given = {name: value for name, value in OPTIONS.items() if name != "max_row_grad_norm"}
    table, layer, groups = parameters()
    groups[0]["max_row_grad_norm"] = OPTIONS["max_row_grad_norm"]
    optimizer = build_optimizer(text, groups, exchange=True, **given)
    for step in range(STEPS):
        grads = [grad for rank in ranks if (grad := gradient(step, rank)) is not None]
        if len(ranks) == 1:  # the ranks exchange it
            table.grad = grads[0] if grads else None
        else:
            dense = [grad.to_dense() for grad in grads]
            table.grad = sum(dense, torch.zeros(V, D)) / len(ranks) if dense else None
        layer.grad = (layer_gradient(step, 0) + layer_gradient(step, 1)) / 2
        optimizer.step()
    optimizer.flush()
    return table.detach(), layer.detach()


def work(rank: int, folder: str) -> None:
    """Train in one of two processes, and save the results."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    found: dict[str, Any] = {}
    table, layer, groups = parameters()
    with torch.no_grad():
        table += rank  # the ranks start apart
    broadcast_table(table)
    optimizer = fe.RowAdamW(groups, exchange=True, **OPTIONS)
    norms = []
    for step in range(STEPS):
        table.grad = gradient(step, rank)
        layer.grad = (layer_gradient(step, 0) + layer_gradient(step, 1)) / 2  # as DDP does
        optimizer.step()
        norms.append(optimizer.grad_norm)
    found["last rows"] = optimizer.state[table]["decay_seen"] == optimizer.state[table]["log_decay"]
    optimizer.flush()
    found |= {"table": table.detach(), "layer": layer.detach().clone()}
    found |= {"norms": torch.stack(norms), **optimizer.state_dict()["state"][0]}

    own = torch.tensor([1, 4, 7]) if rank == 0 else torch.tensor([4])
    values = random(len(own), D, seed=rank)
    found["exchanged"] = exchange_rows(own, values)
    found["nothing"] = exchange_rows(own[:0], values[:0])
    found["no gradient"] = exchange_rows(own[:0], values[:0], given=False)
    found["one gradient"] = exchange_rows(own[:0], values[:0], given=rank == 0)

    found |= {text: tuned_by(text, [rank]) for text in OTHERS}

    table.requires_grad_(False)
    before = table.detach().clone()
    optimizer.step()  # a frozen table: no process waits for another
    assert torch.equal(table, before)

    careless = fe.RowAdamW([nn.Parameter(random(V, D, seed=1))], exchange=True)
    careless.param_groups[0]["params"][0].grad = gradient(0, 0)
    with pytest.raises(fe.StrategyError, match="group without row_wise=True; with exchange=True"):
        careless.step()
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(work, (str(folder),), nprocs=2)
    return [torch.load(Path(folder, f"{rank}.pt"), weights_only=True) for rank in range(2)]


@pytest.mark.slow
def test_the_ranks_have_the_same_bits(ranks):
    one, two = ranks
    for name in ("table", "layer", "norms", "rows", "step", "exp_avg", "exp_avg_sq", "decay_seen"):
        assert torch.equal(one[name], two[name]), name
    assert all(torch.equal(a, b) for a, b in zip(*(r["exchanged"] for r in ranks), strict=True))


@pytest.mark.slow
def test_the_table_is_that_of_one_process_with_both_halves_of_the_batch(ranks):
    table, layer, groups = parameters()
    optimizer = fe.RowAdamW(groups, **OPTIONS)
    for step in range(STEPS):
        grads = [gradient(step, rank) for rank in range(2)]
        given = [g.to_dense() for g in grads if g is not None]
        table.grad = sum(given, torch.zeros(V, D)) / 2 if given else None
        layer.grad = (layer_gradient(step, 0) + layer_gradient(step, 1)) / 2
        optimizer.step()
    optimizer.flush()
    torch.testing.assert_close(ranks[0]["table"], table.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ranks[0]["layer"], layer.detach(), rtol=1e-5, atol=1e-6)
    state = optimizer.state[table]
    assert torch.equal(ranks[0]["rows"], state["rows"])
    assert torch.equal(ranks[0]["step"], state["step"])
    assert (table - random(V, D, seed=99)).abs().max() > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("text", OTHERS)
def test_other_optimizers_exchange_rows_too(ranks, text):
    table, layer = tuned_by(text, [0, 1])
    ends = zip(("table", "layer"), *(r[text] for r in ranks), (table, layer), strict=True)
    for name, one, two, both in ends:
        assert torch.equal(one, two), name
        torch.testing.assert_close(one, both, rtol=1e-5, atol=1e-6)
    assert (table - random(V, D, seed=99)).abs().max() > 0.1


@pytest.mark.slow
def test_the_norm_is_that_of_the_mean_gradient(ranks):
    clipped, everything = [], []
    for step in range(STEPS):
        grads = [g.to_dense() for rank in range(2) if (g := gradient(step, rank)) is not None]
        mean = sum(grads, torch.zeros(V, D)) / 2
        norms = mean.norm(dim=1, keepdim=True)
        mean = mean * (0.25 / (norms + 1e-6)).clamp(max=1)
        layer = (layer_gradient(step, 0) + layer_gradient(step, 1)) / 2
        everything.append(torch.cat([mean.flatten(), layer]).norm())
        clipped.append(int((norms > 0.25).sum()))
    assert sum(clipped) > 20
    torch.testing.assert_close(
        ranks[0]["norms"], torch.stack(everything).double(), rtol=1e-5, atol=0
    )


@pytest.mark.slow
def test_rows_whose_halves_cancel_are_not_touched(ranks):
    rows, last = ranks[0]["rows"], ranks[0]["last rows"]
    assert sorted(rows[last].tolist()) == [5, 6]


@pytest.mark.slow
def test_the_mean_over_ranks_by_hand(ranks):
    rows, values = ranks[0]["exchanged"]
    one, two = random(3, D, seed=0), random(1, D, seed=1)
    assert rows.tolist() == [1, 4, 7]
    assert torch.equal(values, torch.stack([one[0], one[1] + two[0], one[2]]) / 2)
    assert [part.shape for part in ranks[0]["nothing"]] == [(0,), (0, D)]
    for found in ranks:
        assert found["no gradient"] is None
        assert [part.shape for part in found["one gradient"]] == [(0,), (0, D)]


def test_one_process_exchanges_nothing():
    rows, values = torch.tensor([3]), torch.ones(1, 2)
    assert exchange_rows(rows, values)[1] is values
    weight = nn.Parameter(torch.zeros(4, 2))
    broadcast_table(weight)
    optimizer = fe.RowAdamW([weight], lr=0.1, exchange=True)
    weight.grad = torch.sparse_coo_tensor([[3]], [[1.0, -1.0]], (4, 2), check_invariants=True)
    optimizer.step()
    torch.testing.assert_close(weight[3].detach(), torch.tensor([-0.1, 0.1]))
