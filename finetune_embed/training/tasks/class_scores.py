"""Scores of units that have one label each, as scikit-learn has them."""

from __future__ import annotations

import torch

__all__ = ["CLASS_SCORES", "class_scores"]

CLASS_SCORES = ("accuracy", "macro_f1", "weighted_f1", "balanced_accuracy", "mcc")


def class_scores(true: torch.Tensor, found: torch.Tensor) -> dict[str, float]:
    """Return `CLASS_SCORES` of some units.

    `macro_f1` is the mean F1 of the classes that occur in either, as in scikit-learn without
    `labels`: a class that neither does is left out, and one of `found` alone has an F1 of 0.
    `weighted_f1` is that of the units' classes, `balanced_accuracy` the mean recall of the classes
    that occur in `true`, and `mcc` Matthews' correlation.

    Args:
        true: class numbers, int64 `(N,)`, N above 0.
        found: as many.
    """
    classes = int(torch.maximum(true, found).max()) + 1
    right, wanted, named = (
        torch.bincount(numbers, minlength=classes).double()
        for numbers in (true[true == found], true, found)
    )
    both = wanted + named
    f1 = 2 * right / both.clamp(min=1)
    recall = (right / wanted)[wanted > 0]
    units = len(true)
    spread = (units**2 - named @ named) * (units**2 - wanted @ wanted)
    covariance = units * right.sum() - wanted @ named
    found_scores = (
        right.sum() / units,
        f1[both > 0].mean(),
        f1 @ wanted / units,
        recall.mean(),
        covariance / spread.sqrt() if spread > 0 else torch.zeros(()),
    )
    return dict(zip(CLASS_SCORES, map(float, found_scores), strict=True))
