"""The optimizers on each device: the numbers of the CPU, the bits of rows that stay, and speed.

`make gpu` runs them on a GPU, with the laws of tests/strategies/test_laws.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

import finetune_embed as fe
from finetune_embed.optim import RowOptimizer, build_optimizer
from finetune_embed.strategies.gates import attach_gate
from finetune_embed.strategies.row_rules import attach_rule

V, D, STEPS = 300, 20, 30
TEXTS = ["adamw", "adagrad", "adagrad(per_row=True)", "sgd", "sgd(momentum=0.9)"]
every_kind = pytest.mark.parametrize("text", TEXTS)
Seen = Callable[[nn.Parameter, torch.Tensor, list[int]], None]


def start(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gradient(step: int, form: str) -> torch.Tensor:
    """Return the gradient of some of the first 200 rows, with rows that occur twice."""
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(0, 200, (1, 60), generator=generator)
    values = torch.randint(-8, 9, (60, D), generator=generator) / 8  # exact in any order
    grad = torch.sparse_coo_tensor(ids, values, (V, D), check_invariants=True)
    return {"sparse": grad, "coalesced": grad.coalesce(), "dense": grad.to_dense()}[form]


def everything() -> fe.RowRule:
    return fe.RowRule(
        train=torch.arange(V) % 7 != 0,
        scale=torch.linspace(0.5, 2, V),
        anchor=start(5, V, D),
        decay=0.5,
        shrink=0.01,
        radius=torch.linspace(3, 8, V),
        max_norm=6.0,
    )


def trained(
    text: str,
    device: str,
    form: str = "sparse",
    rule: fe.RowRule | None = None,
    seen: Seen | None = None,
    **options: Any,
) -> tuple[nn.Parameter, nn.Parameter, RowOptimizer]:
    """Train a table and a layer on a device; return both and the optimizer."""
    table = nn.Parameter(start(1, V, D).to(device))
    layer = nn.Parameter(start(2, D, D).to(device))
    if rule is not None:
        attach_rule(table, rule)
    decay = 0.0 if rule is not None and rule.decay else 0.2
    groups = [{"params": [table], "row_wise": True, "weight_decay": decay}, {"params": [layer]}]
    optimizer = build_optimizer(text, groups, lr=0.05, **options)
    attach_gate(table, 0.75, "FullTune", epoch=0)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 0.05 / (1 + step % 3)
        table.grad = gradient(step, form).to(device)
        layer.grad = start(100 + step, D, D).to(device)
        before = table.detach().clone()
        optimizer.step()
        if seen is not None:
            seen(table, before, gradient(step, "coalesced").indices()[0].tolist())
    optimizer.flush()
    return table, layer, optimizer


@pytest.mark.parametrize("rule", [None, everything], ids=["no rule", "every rule"])
@pytest.mark.parametrize("form", ["sparse", "dense"])
@every_kind
def test_agrees_with_the_cpu(text, form, rule, device):
    made = rule and rule()
    options = {"max_grad_norm": 2.0, "max_row_grad_norm": 1.0} if form == "sparse" else {}
    ours = trained(text, device, form, made, **options)
    theirs = trained(text, "cpu", form, made, **options)
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        assert one.device.type == device
        torch.testing.assert_close(one.cpu(), other, rtol=1e-4, atol=1e-5)
    mine, others = (opt.state[table] for table, _, opt in (ours, theirs))
    assert mine.keys() == others.keys()
    for name in ("rows", "step"):
        assert torch.equal(mine[name].cpu(), others[name])
    assert {value.device.type for value in mine.values()} == {device}


@every_kind
def test_rows_stay_whose_gradient_is_zero_or_that_do_not_train(text, device):
    moves = []

    def seen(table: nn.Parameter, before: torch.Tensor, rows: list[int]) -> None:
        changed = (table != before).any(1).nonzero().squeeze(1).tolist()
        assert set(changed) <= {row for row in rows if row % 7}
        moves.append(len(changed))

    table, _, _ = trained(text, device, rule=everything(), seen=seen)
    assert min(moves) > 20
    still = [row for row in range(V) if row >= 200 or row % 7 == 0]
    assert torch.equal(
        table[still].cpu().view(torch.int32), start(1, V, D)[still].view(torch.int32)
    )


@every_kind
def test_every_form_of_a_gradient_gives_the_same_bits(text, device):
    tables = [trained(text, device, form)[0] for form in ("sparse", "coalesced", "dense")]
    assert torch.equal(tables[0], tables[1])
    assert torch.equal(tables[0], tables[2])
    assert torch.equal(tables[0], trained(text, device)[0])  # and so does the same run again


@pytest.mark.parametrize("max_norm", [0.5, 1e9])
@pytest.mark.parametrize(
    ("text", "of_torch"),
    [
        ("adamw", lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.0)),
        ("adagrad", lambda p: torch.optim.Adagrad(p, 0.05)),
        ("sgd(momentum=0.9)", lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
    ],
)
def test_equals_torchs_when_every_row_is_touched(text, of_torch, max_norm, device):
    ours, theirs = (
        [nn.Parameter(start(1, V, D).to(device)), nn.Parameter(start(2, D, D).to(device))]
        for _ in range(2)
    )
    groups = [{"params": [ours[0]], "row_wise": True}, {"params": [ours[1]]}]
    mine = build_optimizer(text, groups, lr=0.05, max_grad_norm=max_norm)
    other = of_torch(theirs)
    for step in range(STEPS):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = start(step, *one.shape).to(device)
            two.grad = one.grad.clone()
        norm = clip_grad_norm_(theirs, max_norm)
        mine.step()
        other.step()
        torch.testing.assert_close(mine.grad_norm, norm.double(), rtol=1e-5, atol=0)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@every_kind
def test_a_state_continues_on_any_device_in_the_same_bits(text, device):
    """From a device to a file to the device; the state of a CPU loads there too."""
    whole, _, optimizer = trained(text, device)
    table, _, begun = trained(text, device)
    saved = {
        **begun.state_dict(),
        "state": {
            i: {name: value.cpu() for name, value in entries.items()}
            for i, entries in begun.state_dict()["state"].items()
        },
    }
    other = [nn.Parameter(p.detach().clone()) for g in begun.param_groups for p in g["params"]]
    groups = [{"params": [other[0]], "row_wise": True}, {"params": [other[1]]}]
    resumed = build_optimizer(text, groups, lr=0.05)
    resumed.load_state_dict(saved)
    attach_gate(other[0], 0.75, "FullTune", epoch=0)
    for each, mine in ((whole, optimizer), (other[0], resumed)):
        for step in range(STEPS, STEPS + 10):
            each.grad = gradient(step, "sparse").to(device)
            mine.step()
        mine.flush()
    assert torch.equal(whole, other[0])
    assert not torch.equal(whole, table)
    assert {value.device.type for value in resumed.state[other[0]].values()} == {device}


@every_kind
def test_under_a_gradient_scaler_it_is_the_same(text, device):
    def run(scaled: bool) -> torch.Tensor:
        torch.manual_seed(0)
        embedding = nn.Embedding(V, D, sparse=True)
        model = nn.Sequential(embedding, nn.Linear(D, 2)).to(device)
        groups = fe.FullTune().param_groups(model, embedding, lr=0.1)
        optimizer = build_optimizer(text, groups, max_grad_norm=0.5)
        scaler = torch.amp.GradScaler(device, init_scale=1024.0, enabled=scaled)
        for step in range(6):
            optimizer.zero_grad()
            loss = model(torch.tensor([[step, 1], [2, 2]], device=device)).square().sum()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        return embedding.weight.detach()

    torch.testing.assert_close(run(True), run(False), rtol=1e-5, atol=1e-6)


@every_kind
def test_finetune_trains_there(text, device):
    """Its table is that of the CPU within what the order of sums changes."""
    words = [f"w{i}" for i in range(40)]
    table = fe.EmbeddingTable(words, start(3, 40, 8).numpy())
    rows = [
        {"text": f"w{i % 40} w{(7 * i) % 40} w{(3 * i + 1) % 40}", "label": "ab"[i % 40 < 20]}
        for i in range(200)
    ]
    options = {"head": "bag", "epochs": 2, "batch_size": 16, "lr": 0.02, "max_grad_norm": 1.0}
    here, there = (
        fe.finetune(table, Dataset.from_list(rows), optimizer=text, device=one, **options)
        for one in (device, "cpu")
    )
    moved = abs(there.table.vectors[:40] - table.vectors).max()
    assert moved > 1e-3
    difference = abs(here.table.vectors - there.table.vectors).max()
    assert difference < 0.02 * moved + 1e-5


def test_the_time_of_a_step(device, capsys: pytest.CaptureFixture[str]):
    """Print it, for the table of a small vocabulary and, on a GPU, of a large one."""
    sizes = {"cpu": [(5_000, 50)], "cuda": [(5_000, 50), (400_000, 300)]}[device]
    with capsys.disabled():
        for rows, size in sizes:
            times = {text: milliseconds(text, device, rows, size) for text in TEXTS}
            shown = ", ".join(f"{text} {time:.2f}" for text, time in times.items())
            print(f"\na step of 10,240 words on {device}, {rows:,} x {size}, ms: {shown}", end=" ")


def milliseconds(text: str, device: str, rows: int, size: int) -> float:
    """Return the median time of a step with its forward and backward pass."""
    torch.manual_seed(0)
    embedding = nn.EmbeddingBag(rows, size, mode="mean", sparse=True)
    model = nn.Sequential(embedding, nn.Linear(size, 5)).to(device)
    optimizer = build_optimizer(text, fe.FullTune().param_groups(model, embedding, lr=0.01))
    labels = torch.arange(256, device=device) % 5
    batches = [torch.randint(0, rows, (256, 40)).to(device) for _ in range(4)]
    times = []
    for step in range(40 if device == "cuda" else 8):
        synchronized(device)
        started = time.perf_counter()
        optimizer.zero_grad()
        functional.cross_entropy(model(batches[step % 4]), labels).backward()
        optimizer.step()
        synchronized(device)
        times.append(time.perf_counter() - started)
    return 1000 * median(times[4:])


def synchronized(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
