"""A linear model over TF-IDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from .ngrams import NgramTfidf, SparseRows
from .svm import fit_machines, fit_ridge

__all__ = ["LexicalClassifier"]

LARGEST = 100_000_000  # the most weights: 400 MB


@dataclass(frozen=True)
class LexicalClassifier:
    """A linear support vector machine for each label against the others, over TF-IDF.

    The loss is the squared hinge, as in scikit-learn's `LinearSVC`. Numbers are predicted by ridge
    regression instead, as in its `Ridge`.

    Attributes:
        features: the TF-IDF of texts.
        weight: float32 `(F, C)`, the weights of each feature.
        bias: float32 `(C,)`.
    """

    features: NgramTfidf
    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def fit(
        cls,
        ids: torch.Tensor,
        lengths: torch.Tensor,
        targets: torch.Tensor,
        labels: int,
        size: int,
        unused: int,
        seed: int = 0,
        weights: Sequence[float] = (),
    ) -> LexicalClassifier:
        """Return a classifier of texts.

        Args:
            ids: int64 `(N,)`, the tokens of all texts, one text after the other.
            lengths: int64 `(B,)`, the number of tokens of each text.
            targets: the class of each text, int64 `(B,)`; whether it has each label, `(B, C)`; or
                its number, a float `(B,)`.
            labels: the number of labels `C`.
            size: the number of ids.
            unused: ids below this are padding and unknown words, which are no features.
            seed: the seed of the order in which examples are visited.
            weights: what examples of each class count, the `class_weight` of `LinearSVC`; for
                targets `(B,)`. When left out, all count 1.
        """
        most = LARGEST // labels - size
        given = ids.numpy(), lengths.numpy(), size, unused, most
        features, rows = NgramTfidf.fit_transform(*given)
        count = len(features.idf)
        weight, bias = np.zeros((count, labels), np.float32), np.full(labels, -1, np.float32)
        if targets.dim() == 1 and targets.is_floating_point():
            weight[:, 0], bias[0] = fit_ridge(rows, count, targets.double().numpy())
            return cls(features, torch.from_numpy(weight), torch.from_numpy(bias))
        exclusive = targets.dim() == 1
        has = targets[:, None] == torch.arange(labels) if exclusive else targets > 0
        every, some = has.all(0).numpy(), has.any(0).numpy()
        bias[every] = 1
        learned = np.flatnonzero(some & ~every).tolist()
        cost = weights or [1.0] * labels
        costs = [(1.0, cost[label]) for label in learned]
        is_pair = exclusive and len(learned) == 2  # one machine tells them apart
        if is_pair:
            other, *learned = learned
            costs = [(cost[other], cost[learned[0]])]
        found, offset = fit_machines(rows, count, has[:, learned].numpy(), costs, seed)
        weight[:, learned], bias[learned] = found, offset
        if is_pair:
            weight[:, other], bias[other] = -found[:, 0], -offset[0]
        return cls(features, torch.from_numpy(weight), torch.from_numpy(bias))

    def __call__(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the distance of each text from the border of each label, float32 `(B, C)`.

        Of a number, return the prediction, `(B, 1)`.

        Args:
            ids: int64 `(N,)`; ids that training did not have are unknown words.
            lengths: int64 `(B,)`.
        """
        rows: SparseRows = self.features(ids.numpy(), lengths.numpy())
        sums = functional.embedding_bag(
            torch.from_numpy(rows.columns),
            self.weight,
            torch.from_numpy(rows.starts[:-1]),
            mode="sum",
            per_sample_weights=torch.from_numpy(rows.values),
        )
        return sums + self.bias

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return what `from_tensors` takes."""
        features = self.features
        return {
            "pairs": torch.from_numpy(features.pairs),
            "idf": torch.from_numpy(features.idf),
            "weight": self.weight,
            "bias": self.bias,
        }

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, torch.Tensor], size: int, labels: int
    ) -> LexicalClassifier:
        """Return a classifier from its tensors.

        Raises:
            ValueError: they are not those of a classifier over `size` ids and `labels` labels.
        """
        kinds = {name: tensor.dtype for name, tensor in tensors.items()}
        expected = {"pairs": torch.int64, **dict.fromkeys(("idf", "weight", "bias"), torch.float32)}
        if kinds != expected:
            raise ValueError(f"it holds {kinds}, not {expected}")
        pairs, idf, weight, bias = (tensors[name] for name in expected)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        rows = size + len(pairs)
        fitting = {"pairs": (len(pairs),), "idf": (rows,), "weight": (rows, labels)}
        if shapes != {**fitting, "bias": (labels,)}:
            raise ValueError(f"its sizes {shapes} do not fit {size:,} words and {labels:,} labels")
        if not all(bool(tensors[name].isfinite().all()) for name in ("idf", "weight", "bias")):
            raise ValueError("it holds values that are not finite")
        ordered = bool((pairs.diff() > 0).all())
        if len(pairs) and (not ordered or pairs[0] < 0 or pairs[-1] >= size * size):
            raise ValueError("its pairs of words are not in order, or not those of the vocabulary")
        return cls(NgramTfidf(size, pairs.numpy(), idf.numpy()), weight, bias)
