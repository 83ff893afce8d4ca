"""How little word vectors move in training: four words by hand, then a real run, then an analogy.

    python recipes/how_little_they_move.py                                  # the included demo
    python recipes/how_little_they_move.py --vectors glove.6B.50d.txt --data DIR --plot out.png

The reviews of the demo are synthetic. It prints its tables and writes a plot;
`tests/recipes/test_how_little_they_move.py` asserts what it claims.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from common import line_plot
from torch import nn

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS

WORDS = ("good", "bad", "movie", "is")
STRATEGIES = ("Freeze", "UnfreezeAfter(epochs=2)", "DiscriminativeLR(embedding=0.3)", "FullTune")


def four_words(lr: float = 0.01) -> dict[str, Any]:
    """Take two steps on a table of four words and eight dimensions, and note which rows move.

    The first batch holds "good movie", the second "bad is". Returns the learning rate, the gradient
    of each word in the first, and how far its coordinates moved on average in the first step and,
    for dense Adam and for RowAdamW, in the second.
    """
    table = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    report: dict[str, Any] = {"lr": lr, "second_step": {}}
    for name, make in (("Adam", torch.optim.Adam), ("RowAdamW", fe.RowAdamW)):
        embedding = nn.Embedding.from_pretrained(table.clone(), freeze=False)
        group = {"params": [embedding.weight], "row_wise": name == "RowAdamW"}
        optimizer = make([group], lr=lr)
        _backward(embedding, ("good", "movie"), target=1.0)
        assert embedding.weight.grad is not None
        report["gradient_rows"] = _named(embedding.weight.grad.abs().sum(dim=1))
        optimizer.step()
        before = embedding.weight.detach().clone()
        report["first_step"] = _named((before - table).abs().mean(dim=1))
        _backward(embedding, ("bad", "is"), target=0.0)
        optimizer.step()
        moved = (embedding.weight.detach() - before).abs().mean(dim=1)
        report["second_step"][name] = _named(moved)
    return report


def _backward(embedding: nn.Embedding, words: Sequence[str], target: float) -> None:
    embedding.zero_grad()
    score = embedding(torch.tensor([WORDS.index(word) for word in words])).mean(dim=0).sum()
    nn.functional.binary_cross_entropy_with_logits(score, torch.tensor(target)).backward()


def _named(values: torch.Tensor) -> dict[str, float]:
    return {word: float(value) for word, value in zip(WORDS, values, strict=True)}


def print_four_words(report: dict[str, Any]) -> None:
    """Print what two steps did to four words."""
    print(f"1. Four words, eight dimensions, lr={report['lr']}: ", end="")
    print('a batch "good movie", then a batch "bad is"\n')
    print(f"{'':<8}{'gradient':>10}{'1st step':>10}{'2nd, Adam':>12}{'2nd, RowAdamW':>15}")
    second = report["second_step"]
    for word in WORDS:
        first = f"{report['gradient_rows'][word]:>10.4f}{report['first_step'][word]:>10.5f}"
        print(f"{word:<8}{first}{second['Adam'][word]:>12.5f}{second['RowAdamW'][word]:>15.5f}")
    print("\nOnly the rows of the batch have a gradient, and Adam's first step moves them by the")
    print("learning rate. Its second step also moves the words that are not in the batch.\n")


def print_runs(runs: dict[str, fe.Run]) -> None:
    """Print how much of the table moved, and how far, by strategy and frequency."""
    drifts = drifts_of(runs)
    rows = len(drifts["Freeze"].base)
    print(f"2. A real run: {rows:,} rows, by strategy\n")
    print(f"{'strategy':<34}{'test':>7}{'never move':>12}{'movement':>10}{'cosine':>9}")
    for name, found in drifts.items():
        score, still = runs[name].metrics["test"]["accuracy"], 1 - found.rows_moved / rows
        movement = f"{found.median_movement:>10.1%}{found.median_cosine:>9.4f}"
        print(f"{name:<34}{score:>7.1%}{still:>12.2%}{movement}")
    print("\nMedian cosine between start and end of the rows that moved, by frequency:\n")
    print(f"{'strategy':<34}" + "".join(f"{name:>12}" for name in seen_in(drifts["Freeze"])))
    for name, found in drifts.items():
        cells = [f"{band.median_cosine:.4f}" if band.moved else "-" for band in found.bands[1:]]
        print(f"{name:<34}" + "".join(f"{cell:>12}" for cell in cells))
    print()


def drifts_of(runs: dict[str, fe.Run]) -> dict[str, Any]:
    """Return what each run moved."""
    return {name: run.drift for name, run in runs.items() if run.drift is not None}


def seen_in(drift: Any) -> list[str]:
    """Return the frequencies of the bands of words that are seen in training, in short."""
    names = [band.name.removeprefix("seen ").removesuffix(" times") for band in drift.bands[1:]]
    return [name.replace(" or more", "+") for name in names]


def print_analogies(base: fe.EmbeddingTable, runs: dict[str, fe.Run]) -> None:
    """Print king - man + woman before and after tuning."""
    print("3. king - man + woman\n")
    for name, table in {"before": base, **{name: run.table for name, run in runs.items()}}.items():
        found = table.most_similar(["king", "woman"], ["man"], topn=5)
        print(f"{name:<34}" + ", ".join(f"{word} {c:.3f}" for word, c in found))


def plot(runs: dict[str, fe.Run], path: Path) -> None:
    """Draw the median movement by frequency, a line for each strategy that moved anything."""
    lines, drifts = {}, drifts_of(runs)
    for name, found in drifts.items():
        if found.rows_moved:
            movement = [100 * band.median_movement for band in found.bands[1:]]
            label = f"{name}, test accuracy {runs[name].metrics['test']['accuracy']:.1%}"
            lines[label] = (seen_in(found), movement)
    frozen = drifts["Freeze"]
    unseen = frozen.bands[0].rows / len(frozen.base)
    title = f"{unseen:.1%} of the rows are never seen in training and never move"
    axes = ("times a word is seen in training", "median movement, % of the vector's length")
    line_plot(path, lines, title, *axes)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the three parts, print them, write the plot; return what was measured."""
    parser = argparse.ArgumentParser(description="How little word vectors move in training.")
    parser.add_argument("--vectors", default=str(VECTORS), help="vector file")
    parser.add_argument("--data", default=str(REVIEWS), help="data with columns text and label")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--plot", type=Path, default=Path("how_little_they_move.png"))
    options = parser.parse_args(arguments)
    report = four_words()
    print_four_words(report)
    base = fe.load_vectors(options.vectors)
    settings = {"head": "bag", "epochs": options.epochs, "lr": options.lr}
    runs = {one: fe.finetune(base, options.data, strategy=one, **settings) for one in STRATEGIES}
    print_runs(runs)
    print_analogies(base, runs)
    plot(runs, options.plot)
    print(f"\nplot written to {options.plot}")
    return {"four_words": report, "runs": runs, "base": base}


if __name__ == "__main__":
    main()
