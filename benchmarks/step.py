"""Time one training step of each optimizer: python benchmarks/step.py [--rows 400000 --size 300].

512 texts of 40 words drawn by Zipf's law, their mean, a linear layer, cross-entropy; a step is
`zero_grad`, forward, loss, backward and `optimizer.step()`. All rows of a table are given the same
batches, which come again and again, as epochs do. Figures are medians of the steps after the first
epoch, with the fastest and the slowest, and, by themselves, the first step and the median of the
others of the first epoch, in which half of the rows are new.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe

TEXTS, WORDS, CLASSES, VOCABULARY, EPOCH = 512, 40, 10, 400_000, 8
Step = Callable[[torch.Tensor], None]


class Timing(NamedTuple):
    """Seconds of a step, and the bytes of state for the table."""

    first: float
    early: float
    middle: float
    fastest: float
    slowest: float
    state: int


def batches(count: int, seed: int = 0) -> list[torch.Tensor]:
    """Return ids `(TEXTS * WORDS,)` of batches; the chance of a word is as 1 / its rank."""
    rng = np.random.default_rng(seed)
    chance = 1 / np.arange(1, VOCABULARY + 1)
    chance /= chance.sum()
    ids = rng.choice(VOCABULARY, (count, TEXTS * WORDS), p=chance)
    # a vocabulary is in no order of use here: frequent words lie anywhere in the table
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


def case(name: str, table: torch.Tensor) -> tuple[nn.Module, nn.Parameter, list[Any]]:
    """Return a model, its table and the optimizers of a row of the report."""
    torch.manual_seed(0)
    if name == "RowAdamW, our bag":
        embedding = nn.Embedding.from_pretrained(table, freeze=False, sparse=True)
        model: nn.Module = fe.BagOfEmbeddings(embedding, CLASSES)
        groups = fe.FullTune().param_groups(model, embedding, lr=1e-3)
        return model, embedding.weight, [fe.RowAdamW(groups)]
    bag = TorchBag(table, sparse=name not in ("frozen", "Adam, dense"))
    weight, rest = bag.bag.weight, list(bag.output.parameters())
    if name == "frozen":
        weight.requires_grad_(False)
        return bag, weight, [torch.optim.Adam(rest)]
    if name == "Adam, dense":
        return bag, weight, [torch.optim.Adam([weight, *rest])]
    if name == "SparseAdam":
        return bag, weight, [torch.optim.SparseAdam([weight]), torch.optim.Adam(rest)]
    return bag, weight, [fe.RowAdamW(fe.FullTune().param_groups(bag, bag.bag, lr=1e-3))]


def measure(name: str, table: torch.Tensor, steps: int, epoch: int) -> Timing:
    """Train for an epoch of so many batches, and so many further steps."""
    model, weight, optimizers = case(name, table)
    lengths = torch.full((TEXTS,), WORDS)
    labels = torch.arange(TEXTS) % CLASSES
    seconds, ids = [], batches(epoch)
    for step in range(epoch + steps):
        batch = ids[step % epoch]
        started = time.perf_counter()
        for optimizer in optimizers:
            optimizer.zero_grad()
        functional.cross_entropy(model(batch, lengths), labels).backward()
        for optimizer in optimizers:
            optimizer.step()
        seconds.append(time.perf_counter() - started)
    state = next((o.state[weight] for o in optimizers if weight in o.state), {})
    used = sum(
        value.untyped_storage().nbytes() for value in state.values() if torch.is_tensor(value)
    )
    first, warm = seconds[:epoch], seconds[epoch:]
    early = median(first[1:])
    return Timing(first[0], early, median(warm), min(warm), max(warm), used)


NAMES = ("frozen", "Adam, dense", "SparseAdam", "RowAdamW, EmbeddingBag", "RowAdamW, our bag")


def report(rows: int, size: int, steps: int, names: tuple[str, ...] = NAMES) -> dict[str, Timing]:
    """Measure on a table `(rows, size)` and print."""
    print(f"\n{rows:,} x {size}, {torch.get_num_threads()} threads, milliseconds", flush=True)
    heads = (
        "first",
        "1st epoch",
        "median",
        "fastest",
        "slowest",
        "x frozen",
        "SparseAdam x",
        "Adam x",
        "state MB",
    )
    print(f"{'':<24}" + "".join(f"{head:>13}" for head in heads))
    found: dict[str, Timing] = {}
    for name in names:
        dense = name == "Adam, dense"
        table = torch.randn(rows, size, generator=torch.Generator().manual_seed(0)) / size
        found[name] = one = measure(name, table, *((3, 2) if dense else (steps, EPOCH)))
        ratios = [
            one.middle / found["frozen"].middle,
            *(
                found[peer].middle / one.middle if peer in found else float("nan")
                for peer in ("SparseAdam", "Adam, dense")
            ),
        ]
        cells = [f"{1000 * value:>13.2f}" for value in one[:5]]
        cells += [f"{value:>13.1f}" for value in [*ratios, one.state / 1e6]]
        print(f"{name:<24}" + "".join(cells), flush=True)
    return found


def main() -> None:
    """Print a table for each size, and what a table of ten times the rows costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=VOCABULARY)
    parser.add_argument("--size", type=int, nargs="+", default=[300, 50])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--no-dense", action="store_true", help="leave out dense Adam, which is slow"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = tuple(name for name in NAMES if not (options.no_dense and name == "Adam, dense"))
    for size in options.size:
        small = report(options.rows, size, options.steps, names)
    quick = ("frozen", "SparseAdam", "RowAdamW, EmbeddingBag", "RowAdamW, our bag")
    large = report(10 * options.rows, options.size[-1], options.steps, quick)
    print("\nten times the rows, the same ids:")
    for name in quick:
        print(f"{name:<24}{large[name].middle / small[name].middle:>13.2f} x")


if __name__ == "__main__":
    main()
