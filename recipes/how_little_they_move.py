"""How little word vectors move in training: four words by hand, then a real run, then an analogy.

    python recipes/how_little_they_move.py                                  # the included demo
    python recipes/how_little_they_move.py --vectors glove.6B.50d.txt --data DIR --plot out.png

Without options it runs on the included demo, whose reviews are synthetic. It prints its tables and
writes a plot; `tests/recipes/test_how_little_they_move.py` asserts what it claims.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS

WORDS = ("good", "bad", "movie", "is")
STRATEGIES = ("Freeze", "UnfreezeAfter(epochs=2)", "DiscriminativeLR(embedding=0.3)", "FullTune")
ANALOGY = ("king", "woman", "man")


def four_words(lr: float = 0.01) -> dict[str, Any]:
    """Take two steps on a table of four words and eight dimensions, and note which rows move.

    The first batch holds "good movie", the second "bad is".

    Returns:
        `gradient_rows`, the words with a gradient after one backward pass; `first_step`, how far
        each word's coordinates moved in Adam's first step, on average; and for dense Adam and for
        RowAdamW `second_step`, how far each word moved in the second.
    """
    table = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    report: dict[str, Any] = {"second_step": {}}
    for name, make in (("Adam", torch.optim.Adam), ("RowAdamW", fe.RowAdamW)):
        embedding = nn.Embedding.from_pretrained(table.clone(), freeze=False)
        optimizer = make([{"params": [embedding.weight]}], lr=lr)
        if name == "RowAdamW":
            optimizer.param_groups[0]["row_wise"] = True
        _backward(embedding, ("good", "movie"), target=1.0)
        assert embedding.weight.grad is not None
        report["gradient_rows"] = _named(embedding.weight.grad.abs().sum(dim=1))
        optimizer.step()
        report["first_step"] = _named((embedding.weight.detach() - table).abs().mean(dim=1))
        before = embedding.weight.detach().clone()
        _backward(embedding, ("bad", "is"), target=0.0)
        optimizer.step()
        moved = (embedding.weight.detach() - before).abs().mean(dim=1)
        report["second_step"][name] = _named(moved)
    return report


def _backward(embedding: nn.Embedding, words: Sequence[str], target: float) -> None:
    embedding.zero_grad()
    ids = torch.tensor([WORDS.index(word) for word in words])
    score = embedding(ids).mean(dim=0).sum()
    nn.functional.binary_cross_entropy_with_logits(score, torch.tensor(target)).backward()


def _named(values: torch.Tensor) -> dict[str, float]:
    return {word: float(value) for word, value in zip(WORDS, values, strict=True)}


def real_run(vectors: str, data: str, epochs: int, lr: float) -> dict[str, fe.Run]:
    """Tune the same table on the same data with each strategy."""
    table = fe.load_vectors(vectors)
    return {
        strategy: fe.finetune(table, data, head="bag", strategy=strategy, epochs=epochs, lr=lr)
        for strategy in STRATEGIES
    }


def analogy(table: fe.EmbeddingTable) -> list[tuple[str, float]]:
    """Return the five words nearest to king - man + woman."""
    king, woman, man = ANALOGY
    return table.most_similar([king, woman], [man], topn=5)


def print_four_words(report: dict[str, Any], lr: float) -> None:
    """Print what two steps did to four words."""
    print(
        f'1. Four words, eight dimensions, lr={lr}: a batch "good movie", then a batch "bad is"\n'
    )
    print(f"{'':<8}{'gradient':>10}{'1st step':>10}{'2nd, Adam':>12}{'2nd, RowAdamW':>15}")
    for word in WORDS:
        print(
            f"{word:<8}{report['gradient_rows'][word]:>10.4f}{report['first_step'][word]:>10.5f}"
            f"{report['second_step']['Adam'][word]:>12.5f}"
            f"{report['second_step']['RowAdamW'][word]:>15.5f}"
        )
    print(
        "\nOnly the rows of the batch have a gradient, and Adam's first step moves them by the\n"
        "learning rate. Its second step also moves the words that are not in the batch.\n"
    )


def print_runs(runs: dict[str, fe.Run]) -> None:
    """Print how much of the table moved, and how far, by strategy and frequency."""
    drifts = {name: run.drift for name, run in runs.items() if run.drift is not None}
    rows = next(iter(drifts.values())).summary()["rows"]
    print(f"2. A real run: {rows:,} rows, by strategy\n")
    print(f"{'strategy':<34}{'test':>7}{'never move':>12}{'movement':>10}{'cosine':>9}")
    for name, found in drifts.items():
        print(
            f"{name:<34}{runs[name].metrics['test']['accuracy']:>7.1%}"
            f"{1 - found.rows_moved / rows:>12.2%}{found.median_movement:>10.1%}"
            f"{found.median_cosine:>9.4f}"
        )
    print("\nMedian cosine between start and end of the rows that moved, by frequency:\n")
    bands = [band.name for band in next(iter(drifts.values())).bands]
    print(f"{'strategy':<34}" + "".join(f"{_short(name):>12}" for name in bands[1:]))
    for name, found in drifts.items():
        values = [f"{band.median_cosine:.4f}" if band.moved else "-" for band in found.bands[1:]]
        print(f"{name:<34}" + "".join(f"{value:>12}" for value in values))
    print()


def _short(band: str) -> str:
    return band.removeprefix("seen ").removesuffix(" times").replace(" or more", "+")


def print_analogies(base: fe.EmbeddingTable, runs: dict[str, fe.Run]) -> None:
    """Print king - man + woman before and after tuning."""
    print("3. king - man + woman\n")
    tables = {"before": base} | {name: run.table for name, run in runs.items()}
    for name, table in tables.items():
        print(f"{name:<34}" + ", ".join(f"{word} {c:.3f}" for word, c in analogy(table)))


def plot(runs: dict[str, fe.Run], path: Path) -> None:
    """Draw the median movement by frequency, a line for each strategy that moved anything."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, run in runs.items():
        if run.drift is None or not run.drift.rows_moved:
            continue
        bands = run.drift.bands[1:]
        axes.plot(
            [_short(band.name) for band in bands],
            [100 * band.median_movement for band in bands],
            marker="o",
            label=f"{name}, test accuracy {run.metrics['test']['accuracy']:.1%}",
        )
    drift = next(run.drift for run in runs.values() if run.drift is not None)
    unseen = drift.bands[0].rows / len(drift.base)
    axes.set_title(f"{unseen:.1%} of the rows are never seen in training and never move")
    axes.set_xlabel("times a word is seen in training")
    axes.set_ylabel("median movement, % of the vector's length")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


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
    print_four_words(report, lr=0.01)
    runs = real_run(options.vectors, options.data, options.epochs, options.lr)
    print_runs(runs)
    drift = next(run.drift for run in runs.values() if run.drift is not None)
    print_analogies(drift.base, runs)
    plot(runs, options.plot)
    print(f"\nplot written to {options.plot}")
    return {"four_words": report, "runs": runs, "base": drift.base}


if __name__ == "__main__":
    main()
