"""Time one training step of each optimizer: python benchmarks/step.py [--size 300 50].

512 texts of 40 words drawn by Zipf's law, their mean, a linear layer, cross-entropy; a step is
`zero_grad`, forward, loss, backward and `optimizer.step()`. All are given the same batches, which
come again and again, as epochs do. After a first epoch, in which half of the rows of a batch are
new (its first step and the median of the others are printed by themselves), all take turns of a few
steps, so that whatever else the machine does meets them alike; the first two of a turn, which find
the caches full of others' numbers, don't count. Printed are median, fastest and slowest.

*Traffic alone* is what no Adam of the touched rows can do without, beside the frozen step: torch
reads and writes as many neighbouring numbers, in place, as the touched rows and their two moments
have, and no arithmetic stands in its way. *One loop* sums the gradients of the bags and updates the
rows where they lie, and which and where is known beforehand. `--parts` prints what our loops take
of a step instead.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.optim import RowOptimizer, adam
from finetune_embed.optim import kernels as _kernels
from finetune_embed.optim.row_state import Moment, RowState

TEXTS, WORDS, CLASSES, VOCABULARY = 512, 40, 10, 400_000
EPOCH, TURNS, IN_A_TURN, UNCOUNTED = 8, 6, 8, 2
FROZEN, DENSE, SPARSE = "frozen", "Adam, dense", "SparseAdam"
THROUGH_AUTOGRAD, OURS = "RowAdamW, EmbeddingBag", "RowAdamW, our bag"
#: The optimizers that are timed with our bag.
BY_ROW: dict[str, Callable[[Any], RowOptimizer]] = {
    OURS: fe.RowAdamW,
    "RowAdagrad, our bag": fe.RowAdagrad,
    "RowAdagrad per row, our bag": partial(fe.RowAdagrad, per_row=True),
    "RowSGD, our bag": fe.RowSGD,
}
NAMES = (FROZEN, DENSE, SPARSE, THROUGH_AUTOGRAD, *BY_ROW)


def batches(count: int, seed: int = 0) -> list[torch.Tensor]:
    """Return ids `(TEXTS * WORDS,)` of batches; the chance of a word is as 1 / its rank.

    Frequent words lie anywhere in the table.
    """
    rng = np.random.default_rng(seed)
    chance = 1 / np.arange(1, VOCABULARY + 1)
    ids = rng.choice(VOCABULARY, (count, TEXTS * WORDS), p=chance / chance.sum())
    return list(torch.from_numpy(rng.permutation(VOCABULARY)[ids]))


class TorchBag(nn.Module):
    """`nn.EmbeddingBag` and a linear layer: what one writes without our head."""

    def __init__(self, table: torch.Tensor, sparse: bool) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag.from_pretrained(table, freeze=False, mode="mean", sparse=sparse)
        self.output = nn.Linear(table.shape[1], CLASSES)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, C)` of packed ids `(N,)`."""
        logits: torch.Tensor = self.output(self.bag(ids, lengths.cumsum(0) - lengths))
        return logits


def build(
    name: str, table: torch.Tensor
) -> tuple[nn.Module, nn.Parameter, list[torch.optim.Optimizer]]:
    """Return a model, its table and the optimizers of a row of the report."""
    torch.manual_seed(0)
    if name in BY_ROW:
        embedding = nn.Embedding.from_pretrained(table, freeze=False, sparse=True)
        model = fe.BagOfEmbeddings(embedding, CLASSES)
        groups = fe.FullTune().param_groups(model, embedding, lr=1e-3)
        return model, embedding.get_parameter("weight"), [BY_ROW[name](groups)]
    bag = TorchBag(table, sparse=name in (SPARSE, THROUGH_AUTOGRAD))
    weight, rest = bag.bag.get_parameter("weight"), list(bag.output.parameters())
    if name == FROZEN:
        weight.requires_grad_(False)
        return bag, weight, [torch.optim.Adam(rest)]
    if name == DENSE:
        return bag, weight, [torch.optim.Adam([weight, *rest])]
    if name == SPARSE:
        return bag, weight, [torch.optim.SparseAdam([weight]), torch.optim.Adam(rest)]
    return bag, weight, [fe.RowAdamW(fe.FullTune().param_groups(bag, bag.bag, lr=1e-3))]


class Case:
    """A row of the report: a model in training, and the seconds of its steps."""

    def __init__(self, name: str, rows: int, size: int, ids: list[torch.Tensor]) -> None:
        table = torch.randn(rows, size, generator=torch.Generator().manual_seed(0)) / size
        self.name, self.rows, self.ids, self.taken = name, rows, ids, 0
        self.model, self.weight, self.optimizers = build(name, table)
        self.lengths = torch.full((TEXTS,), WORDS)
        self.labels = torch.arange(TEXTS) % CLASSES
        self.slow = name == DENSE
        self.early = [self.step() for _ in range(2 if self.slow else EPOCH)]
        self.warm: list[float] = []

    def step(self) -> float:
        """Do a step and return its seconds."""
        ids = self.ids[self.taken % EPOCH]
        self.taken += 1
        started = time.perf_counter()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        functional.cross_entropy(self.model(ids, self.lengths), self.labels).backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return time.perf_counter() - started

    def turn(self) -> None:
        """Do some steps; those of dense Adam are so long that one is enough."""
        steps = [self.step() for _ in range(1 if self.slow else IN_A_TURN)]
        self.warm += steps if self.slow else steps[UNCOUNTED:]

    def state_bytes(self) -> int:
        """Return the memory of the table's state."""
        states: list[dict[str, Any]] = [o.state.get(self.weight, {}) for o in self.optimizers]
        tensors = [value for state in states for value in state.values() if torch.is_tensor(value)]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


class Alone:
    """A row of the report for a part of a step by itself.

    Args:
        name: of the row.
        rows: of the table.
        part: does the part for the batch of a number, and returns the seconds.
    """

    def __init__(self, name: str, rows: int, part: Callable[[int], float]) -> None:
        self.name, self.rows, self.part, self.taken = name, rows, part, 0
        self.early = [self.step() for _ in range(EPOCH)]
        self.warm: list[float] = []

    def step(self) -> float:
        """Do the part for the next batch and return its seconds."""
        self.taken += 1
        return self.part(self.taken % EPOCH)

    def turn(self) -> None:
        """Do some steps."""
        self.warm += [self.step() for _ in range(IN_A_TURN)][UNCOUNTED:]

    def state_bytes(self) -> int:
        """Return 0: it keeps nothing that counts."""
        return 0


def traffic_alone(rows: int, size: int, ids: list[torch.Tensor]) -> Alone:
    """Return the row in which torch reads and writes as much as a step has to."""
    touched = [len(one.unique()) for one in ids]
    numbers = torch.zeros(3 * sum(touched), size)
    starts = np.cumsum([0, *(3 * count for count in touched)])

    def part(batch: int) -> float:
        started = time.perf_counter()
        numbers[starts[batch] : starts[batch + 1]].neg_()
        return time.perf_counter() - started

    return Alone("traffic alone", rows, part)


def one_loop(rows: int, size: int, ids: list[torch.Tensor]) -> Alone:
    """Return the row in which the touched rows are summed and updated where they lie."""
    bags = torch.full((TEXTS,), WORDS)
    groups = [_kernels.Groups.of(one, rows, bags) for one in ids]
    weight, gradient = torch.randn(rows, size), torch.randn(TEXTS, size)
    moments = {"exp_avg": Moment(), "exp_avg_sq": Moment()}
    state = RowState(weight, {}, moments)
    slots = [state.slots(its.rows) for its in groups]
    kept = state.entries["exp_avg"], state.entries["exp_avg_sq"]

    def part(batch: int) -> float:
        its, at = groups[batch], slots[batch]
        given = (weight, its.rows, gradient, its, *kept, at, torch.full((len(at),), 9))
        started = time.perf_counter()
        adam.adam_rows(
            *given, scale=None, clip=None, decay=None, lr=1e-3, eps=1e-8, betas=(0.9, 0.999)
        )
        return time.perf_counter() - started

    return Alone("one loop", rows, part)


def race(cases: Sequence[Case | Alone]) -> None:
    """Let all take turns, and print."""
    for _ in range(TURNS):
        for case in cases:
            case.turn()
    middles = {(case.name, case.rows): median(case.warm) for case in cases}
    heads = (
        "first",
        "1st epoch",
        "median",
        "fastest",
        "slowest",
        "x frozen",
        "SparseAdam/",
        "Adam/",
    )
    print(f"{'':<34}" + "".join(f"{head:>12}" for head in (*heads, "state MB")))
    for case in cases:
        middle = middles[case.name, case.rows]
        seconds = (case.early[0], median(case.early[1:]), middle, min(case.warm), max(case.warm))
        cells = [f"{1000 * value:>12.2f}" for value in seconds]
        frozen, *peers = (middles.get((peer, case.rows)) for peer in (FROZEN, SPARSE, DENSE))
        cells.append(f"{middle / frozen:>12.1f}" if frozen else f"{'':>12}")
        cells += [f"{peer / middle:>12.1f}" if peer else f"{'':>12}" for peer in peers]
        label = f"{case.name}, {case.rows:,}"
        print(f"{label:<34}" + "".join(cells) + f"{case.state_bytes() / 1e6:>12.1f}", flush=True)
    for case in cases:
        if isinstance(case, Alone) and (peer := middles.get((SPARSE, case.rows))):
            least = middles[FROZEN, case.rows] + median(case.warm)
            print(f"the frozen step and {case.name}: {1000 * least:.1f} ms, ", end="")
            print(f"{peer / least:.1f} times as fast as SparseAdam", flush=True)


class Clocked:
    """The compiled loops, and the seconds of each call."""

    def __init__(self, loops: Any) -> None:
        self.loops, self.seconds = loops, defaultdict[str, list[float]](list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        loop = getattr(self.loops, name)

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            result = loop(*arguments)
            self.seconds[name].append(time.perf_counter() - started)
            return result

        return timed


def parts(size: int, ids: list[torch.Tensor]) -> None:
    """Print the medians of our loops in a step, and what is left of it: torch and Python."""
    loops = _kernels.native
    for name in (THROUGH_AUTOGRAD, OURS):
        case = Case(name, VOCABULARY, size, ids)
        _kernels.native = clocked = Clocked(loops)
        steps = [case.step() for _ in range(TURNS * IN_A_TURN)]
        _kernels.native = loops
        of_step = {
            loop: median(every) * len(every) / len(steps) for loop, every in clocked.seconds.items()
        }
        of_step["all else"] = median(steps) - sum(of_step.values())
        per_loop = ", ".join(f"{loop} {1000 * seconds:.2f}" for loop, seconds in of_step.items())
        print(f"{name}, x {size}: {1000 * median(steps):.2f} ms: {per_loop}", flush=True)


def main() -> None:
    """Print a table for each size, and one for a table of ten times the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs="+", default=[300, 50])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-dense", action="store_true", help="leave out dense Adam")
    parser.add_argument("--no-growth", action="store_true", help="leave out the larger table")
    parser.add_argument("--parts", action="store_true", help="print what our loops take of a step")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ids = batches(EPOCH)
    if options.parts:
        if _kernels.native is None:
            parser.error("--parts: the compiled loops were not built here")
        for size in options.size:
            parts(size, ids)
        return
    names = [name for name in NAMES if not (options.no_dense and name == DENSE)]
    for size in options.size:
        print(f"\n{VOCABULARY:,} x {size}, {options.threads} threads, milliseconds", flush=True)
        cases = [Case(name, VOCABULARY, size, ids) for name in names]
        makers = (traffic_alone, one_loop) if _kernels.native else (traffic_alone,)
        race([*cases, *(make(VOCABULARY, size, ids) for make in makers)])
    if not options.no_growth:
        size = options.size[-1]
        print(f"\nten times the rows, x {size}, the same ids, milliseconds", flush=True)
        rows = (VOCABULARY, 10 * VOCABULARY)
        cases = [Case(name, n, size, ids) for name in (THROUGH_AUTOGRAD, OURS) for n in rows]
        race(cases)
        for small, large in zip(cases[::2], cases[1::2], strict=True):
            print(f"{small.name:<34}{median(large.warm) / median(small.warm):>12.2f} x")


if __name__ == "__main__":
    main()
