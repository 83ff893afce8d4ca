"""What a comparison is given: data with a test split, settings, and what identifies them."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..data import Splits, are_hidden, column_of, hold_out, texts_of
from ..errors import DataError
from ..training.finetune import finetune

__all__ = ["is_plain", "not_default", "sha256_of_splits", "sha256_of_values", "shown", "with_test"]


def with_test(splits: Splits, label: str, share: float, seed: int) -> Splits:
    """Return splits with a test split that has labels, set aside where there is none.

    Raises:
        DataError: the training split is streamed, or no row can be set aside.
    """
    if splits.streamed:
        raise DataError(
            f"{splits.name}: compare runs on data in memory; load it without streaming=True"
        )
    if splits.test is not None and are_hidden(splits.test, label):
        splits = replace(splits, test=None)
    return hold_out(splits, label, share, seed, "test")


def not_default(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are other than those `finetune` has by itself."""
    known = inspect.signature(finetune).parameters
    return {
        name: value
        for name, value in settings.items()
        if name not in known or value != known[name].default
    }


def sha256_of_splits(splits: Splits, text: str | Sequence[str], label: str) -> str:
    """Return a hash of all texts and labels, so that a comparison goes on with the same only."""
    values = []
    for name in ("train", "validation", "test"):
        split, where = getattr(splits, name), f"{splits.name} ({name})"
        if split is not None:
            values += [texts_of(split, text, where), column_of(split, label, where, "label")]
    return sha256_of_values(values)


def sha256_of_values(values: Any) -> str:
    """Return a hash of lists of texts and numbers."""
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).hexdigest()


def is_plain(value: Any) -> bool:
    """Tell whether YAML and JSON hold a setting, so that a file can give it to `finetune`."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (str, int, float, os.PathLike))


def shown(value: Any) -> Any:
    """Return a setting as YAML and JSON hold it; of what they can't, such as a module, its name."""
    if isinstance(value, (list, tuple)):
        return [shown(one) for one in value]
    if is_plain(value):
        return os.fspath(value) if isinstance(value, os.PathLike) else value
    return getattr(value, "__name__", None) or type(value).__name__
