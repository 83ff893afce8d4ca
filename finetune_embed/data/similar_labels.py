"""Labels that are probably meant to be the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["similar_label", "similar_labels"]

SHOWN = 3  # groups of labels in the note


def _plain(label: str) -> str:
    """Return a label without what may differ by mistake."""
    return " ".join(label.split()).casefold()


def similar_label(value: Any, labels: Sequence[Any]) -> str | None:
    """Return the label from which a value differs only in case or spaces, if there is one."""
    if not isinstance(value, str):
        return None
    texts = (label for label in labels if isinstance(label, str))
    return next((label for label in texts if _plain(label) == _plain(value)), None)


def similar_labels(labels: Sequence[Any]) -> str:
    """Return what to report about labels that differ only in case or spaces; empty if none do."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        if isinstance(label, str):
            groups.setdefault(_plain(label), []).append(label)
    similar = [group for group in groups.values() if len(group) > 1]
    if not similar:
        return ""
    shown = "; ".join(
        ", ".join(repr(label[:30]) for label in group[:SHOWN]) for group in similar[:SHOWN]
    )
    more = f"; and {len(similar) - SHOWN:,} more" if len(similar) > SHOWN else ""
    return f"labels that differ only in case or spaces are different labels: {shown}{more}"
