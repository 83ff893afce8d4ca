"""From anything that is a data set to splits whose examples have a text and a label."""

from __future__ import annotations

from collections.abc import Sequence

from .missing import without_missing
from .reading.splits import DataSource, Splits, open_splits
from .whole_labels import are_whole, text_labels, with_whole_labels

__all__ = ["open_examples"]


def open_examples(
    dataset: DataSource,
    text: str | Sequence[str],
    label: str | None,
    *,
    streaming: bool = False,
    delimiter: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    missing: str = "drop",
) -> Splits:
    """Open a data set, and leave out examples without a text or a label.

    A streamed training split is returned unchanged.

    Args:
        dataset: as for `open_splits`.
        text: the column of texts, or several.
        label: the column of labels; None for texts alone.
        streaming: as for `open_splits`.
        delimiter: as for `open_splits`.
        encoding: as for `open_splits`.
        sheet: as for `open_splits`.
        missing: `drop` or `keep`; see `without_missing`.

    Raises:
        DataError: the data set cannot be read, or no example of a split has a text, or a label.
    """
    splits = open_splits(dataset, streaming, delimiter=delimiter, encoding=encoding, sheet=sheet)
    splits = without_missing(splits, text, label, missing)
    if label is None or splits.streamed or not are_whole(text_labels(splits, label)):
        return splits
    return with_whole_labels(splits, label)
