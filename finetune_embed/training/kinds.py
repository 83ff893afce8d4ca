"""Checks of settings that have no range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = [
    "is_class_weight",
    "is_list",
    "is_text",
    "is_text_or_callable",
    "is_text_or_texts",
    "is_tokenizer",
    "is_vocabulary",
]


def is_text(value: Any) -> bool:
    """Return whether a value is a text."""
    return isinstance(value, str)


def is_text_or_texts(value: Any) -> bool:
    """Return whether a value is a text or a tuple of texts, not an empty one."""
    return isinstance(value, str) or (
        isinstance(value, tuple) and bool(value) and all(map(is_text, value))
    )


def is_list(value: Any) -> bool:
    """Return whether a value is something with items."""
    return isinstance(value, Iterable)


def is_text_or_callable(value: Any) -> bool:
    """Return whether a value is a text, or can be called."""
    return isinstance(value, str) or callable(value)


def is_tokenizer(value: Any) -> bool:
    """Return whether a value is a tokenizer or the name of one."""
    from ..vocabulary import AnyTokenizer

    return isinstance(value, str | AnyTokenizer)


def is_class_weight(value: Any) -> bool:
    """Return whether a value is what `class_weight` takes."""
    if not isinstance(value, Mapping):
        return isinstance(value, str) and value == "balanced"
    labels, weights = value.keys(), value.values()
    return all(isinstance(one, (str, int, np.integer)) for one in labels) and all(
        map(_is_weight, weights)
    )


def _is_weight(value: Any) -> bool:
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return is_number and 1e-6 <= value <= 1e6


def is_vocabulary(value: Any) -> bool:
    """Return whether a value is a vocabulary."""
    from ..vocabulary import Vocabulary

    return isinstance(value, Vocabulary)
