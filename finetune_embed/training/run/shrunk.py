"""What the files of a shrunk run leave out, and how it is put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from .checkpoints import Tensors
from .file_names import LEXICAL, MEMBERS, MODEL
from .stored import check_shape, is_plain, is_text

__all__ = ["shrunk_to", "with_rows", "without_copies"]


def shrunk_to(record: Mapping[str, Any]) -> str:
    """Return what a run was shrunk to, such as `words 60, dtype int8`; empty if it was not."""
    return ", ".join(f"{name} {value}" for name, value in record.get("shrunk", {}).items())


def without_copies(tensors: dict[str, Tensors], record: Mapping[str, Any], first_word: int) -> None:
    """Leave out what a shrunk run has twice, and use float16 where that loses nothing.

    The rows of words are in the table, so `model.safetensors` has only those before them.

    Args:
        tensors: the tensors of each file.
        record: the record of the run.
        first_word: the id of the first word.
    """
    path = str(record["embedding"])
    tensors[MODEL][path] = tensors[MODEL][path][:first_word].clone()
    if record["shrunk"]["dtype"] == "float32":
        return
    for name, kept in ((LEXICAL, "weight"), (MEMBERS, f".{path}")):
        for one in tensors.get(name, {}):
            if one.endswith(kept):
                tensors[name][one] = tensors[name][one].half()


def with_rows(
    weights: Tensors, record: Mapping[str, Any], rows: torch.Tensor, first_word: int
) -> Tensors:
    """Return the weights of the model of a run with the rows of words.

    Args:
        weights: what `model.safetensors` holds.
        record: the record of the run.
        rows: the rows of the vocabulary, `(V, D)`, as the table has them.
        first_word: the id of the first word.

    Raises:
        ValueError: the record is damaged.
    """
    if "shrunk" not in record:
        return weights
    check_shape(record, {"shrunk": {"dtype": is_text, str: is_plain}})
    path = record["embedding"]
    before = weights.get(path)
    if before is None or before.shape != (first_word, rows.shape[1]):
        return weights  # which then do not fit
    return {**weights, path: torch.cat([before, rows[first_word:]])}
