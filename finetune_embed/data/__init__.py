"""Data sets: local files, splits, columns, labels, encoded texts and batches."""

from .batches import batch_indices, split_by_words, token_batches
from .columns import column_of, texts_of
from .encoded import EncodedTexts, collate_bag, collate_packed, collate_padded, encode
from .hold_out import hold_out
from .labels import (
    Label,
    are_hidden,
    class_names,
    distinct_labels,
    label_lists,
    label_numbers,
    labels_of,
    numbers_of,
)
from .local_dataset import LocalDataset
from .splits import DataSource, Splits, open_splits
from .word_dropout import drop_words

__all__ = [
    "DataSource",
    "EncodedTexts",
    "Label",
    "LocalDataset",
    "Splits",
    "are_hidden",
    "batch_indices",
    "class_names",
    "collate_bag",
    "collate_packed",
    "collate_padded",
    "column_of",
    "distinct_labels",
    "drop_words",
    "encode",
    "hold_out",
    "label_lists",
    "label_numbers",
    "labels_of",
    "numbers_of",
    "open_splits",
    "split_by_words",
    "texts_of",
    "token_batches",
]
