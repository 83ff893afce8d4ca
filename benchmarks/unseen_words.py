"""Whether it helps to carry tuning over to words that training never saw.

    python benchmarks/unseen_words.py VECTORS DATA... [--train 400] [--seeds 3]

Tunes on a few texts of each data set, a folder with train.parquet and test.parquet. From how the
rows of the seen words moved, three models predict how those of other words would have moved: a
ridge regression on the vector, an orthogonal map with a correction of low rank, and the mean of the
nearest seen words. A quarter of the seen rows is held out: on them, the settings of a model are
chosen, and its predictions scaled by the factor (from 0 to 1) that fits best, so a model that
predicts nothing changes nothing. Prints the share of the held-out movement that each explains, and
by how many points it changes the accuracy on the half of the test texts with most unseen words:
means over seeds, with 95 % intervals of a paired bootstrap over texts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from datasets import Dataset, DatasetDict

import finetune_embed as fe

Matrix = npt.NDArray[np.float64]
Model = Callable[[Matrix], Matrix]
HELD_OUT = 0.25
RESAMPLES = 4_000


def linear(by: Matrix) -> Model:
    """Return a linear map."""
    return lambda points: points @ by


def ridges(x: Matrix, moved: Matrix) -> Iterator[Model]:
    """Yield linear maps from a vector to its movement, by how much they are held back."""
    gram, cross, size = x.T @ x, x.T @ moved, x.shape[1]
    for strength in (1e-2, 1e-1, 1.0, 10.0):
        by = np.linalg.solve(gram + strength * np.trace(gram) / size * np.eye(size), cross)
        yield linear(by)


def orthogonals(x: Matrix, moved: Matrix) -> Iterator[Model]:
    """Yield the best rotation, with corrections of several ranks."""
    left, _, right = np.linalg.svd(x.T @ (x + moved))
    turn = left @ right - np.eye(x.shape[1])
    rest = moved - x @ turn
    for by in ridges(x, rest):
        directions = np.linalg.svd(by(np.eye(x.shape[1])))[2]
        for rank in (0, 2, 8):
            keep = directions[:rank].T @ directions[:rank]
            yield linear(turn + by(np.eye(x.shape[1])) @ keep)


def neighbours(x: Matrix, moved: Matrix) -> Iterator[Model]:
    """Yield means of the movements of the nearest rows, weighted by their cosine."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    for k in (3, 10, 30):

        def mean(points: Matrix, k: int = k) -> Matrix:
            found = np.empty_like(points)
            for first in range(0, len(points), 1000):
                some = points[first : first + 1000]
                cosine = some / np.linalg.norm(some, axis=1, keepdims=True) @ unit.T
                near = np.argpartition(-cosine, k, axis=1)[:, :k]
                weight = np.take_along_axis(cosine, near, axis=1).clip(1e-6)
                total = (moved[near] * weight[:, :, None]).sum(axis=1)
                found[first : first + 1000] = total / weight.sum(axis=1, keepdims=True)
            return found

        yield mean


METHODS = {"ridge": ridges, "rotation + low rank": orthogonals, "neighbours": neighbours}


def fitted(method: str, x: Matrix, moved: Matrix, seed: int) -> tuple[Model, float]:
    """Return the best model of a method, scaled, and the share of held-out movement it explains."""
    order = np.random.default_rng(seed).permutation(len(x))
    cut = int(HELD_OUT * len(x))
    held, kept = order[:cut], order[cut:]
    best: tuple[float, float, Model] | None = None
    for model in METHODS[method](x[kept], moved[kept]):
        found, true = model(x[held]), moved[held]
        scale = float(np.clip((found * true).sum() / (found**2).sum(), 0, 1))
        share = 1 - float(((scale * found - true) ** 2).sum() / (true**2).sum())
        if best is None or share > best[0]:
            best = share, scale, model
    assert best is not None
    share, scale, model = best
    return lambda points: scale * model(points), share


def one_seed(
    table: fe.EmbeddingTable, folder: Path, texts: int, seed: int
) -> tuple[dict[str, float], dict[str, npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
    """Return what each method explains, what each text gains, and its share of unseen words."""
    train = pl.read_parquet(folder / "train.parquet").sample(texts, seed=seed, shuffle=True)
    test = pl.read_parquet(folder / "test.parquet")
    data = DatasetDict({"train": Dataset.from_polars(train)})
    run = fe.finetune(table, data, lexical=False, seed=seed)
    drift = run.drift
    assert drift is not None
    rows = np.flatnonzero(drift.moved)
    before = table.rows(rows).astype(np.float64)
    after = run.table.rows(drift.at_end[rows]).astype(np.float64)
    tokens = [run.vocab.tokenizer.tokenize(text) for text in test["text"].to_list()]
    unseen = sorted(
        {w for words in tokens for w in words if w not in run.vocab.key_to_index and w in table}
    )
    is_unseen = set(unseen)
    shares = np.array(
        [np.mean([float(w in is_unseen) for w in words] or [0.0]) for words in tokens]
    )
    truth = test["label"].to_list()

    def right(one: fe.Run) -> npt.NDArray[np.float64]:
        found = one.predict(test["text"].to_list())
        return np.array([a == b for a, b in zip(found, truth, strict=True)], float)

    start, at = right(run), table.rows_of(unseen)
    points = table.rows(at).astype(np.float64)
    explained, gains = {}, {"accuracy": start}
    for method in METHODS:
        model, explained[method] = fitted(method, before, after - before, seed)
        vectors = np.array(run.table.vectors)
        vectors[drift.at_end[at]] += model(points).astype(np.float32)
        carried = fe.EmbeddingTable(run.table.index_to_key, vectors, run.table.metadata)
        gains[method] = right(replace(run, table=carried)) - start
    return explained, gains, shares


def main() -> None:
    """Print a line for each data set and method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors")
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--train", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    table, rng = fe.load_vectors(args.vectors), np.random.default_rng(0)
    for folder in args.data:
        each = [one_seed(table, folder, args.train, seed) for seed in range(args.seeds)]
        shares = np.mean([shares for _, _, shares in each], axis=0)
        chosen = shares >= np.median(shares)
        accuracy = np.mean([gains["accuracy"][chosen] for _, gains, _ in each])
        print(
            f"{folder.name}: {chosen.sum()} texts, {shares[chosen].mean():.0%} of whose words are "
            f"unseen; accuracy {accuracy:.1%}",
            flush=True,
        )
        for method in METHODS:
            explained = np.mean([found[method] for found, _, _ in each])
            gain = np.mean([gains[method][chosen] for _, gains, _ in each], axis=0)
            drawn = gain[rng.integers(0, len(gain), (RESAMPLES, len(gain)))].mean(axis=1)
            low, high = 100 * np.quantile(drawn, [0.025, 0.975])
            print(
                f"  {method:<20} explains {explained:>6.1%} of held-out movement; "
                f"{100 * gain.mean():+.2f} points ({low:+.2f} to {high:+.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
