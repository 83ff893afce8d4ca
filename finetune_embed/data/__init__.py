"""Data sets: local files, splits, columns, labels, encoded texts and batches."""

from .batches import (
    MOST_PADDED,
    batch_indices,
    split_by_tokens,
    token_batches,
    without_waste,
)
from .columns import column_of, pairs_of, texts_of
from .encoded import EncodedTexts, collate_bag, collate_packed, collate_padded, encode
from .examples import open_examples
from .hold_out import hold_out, with_labelled_test, with_repeats_noted
from .label_values import Moments, are_scores, label_values, value_of
from .labels import (
    IGNORED,
    IGNORED_LABELS,
    Label,
    class_names,
    distinct_classes,
    distinct_labels,
    distinct_tags,
    has_hidden_labels,
    ignored_labels,
    invalid_labels,
    kind_of_labels,
    label_lists,
    label_numbers,
    numbers_of_lists,
    single_labels,
    without_ignored,
)
from .missing import MISSING, Missing, without_missing
from .one_split import open_one_split
from .reading.local_dataset import LocalDataset
from .reading.splits import DataSource, Splits, open_splits
from .similar_labels import similar_labels
from .unknown_labels import UnknownLabels
from .whole_labels import are_whole, as_whole, text_labels, with_whole_labels
from .word_dropout import drop_words

__all__ = [
    "IGNORED",
    "IGNORED_LABELS",
    "MISSING",
    "MOST_PADDED",
    "DataSource",
    "EncodedTexts",
    "Label",
    "LocalDataset",
    "Missing",
    "Moments",
    "Splits",
    "UnknownLabels",
    "are_scores",
    "are_whole",
    "as_whole",
    "batch_indices",
    "class_names",
    "collate_bag",
    "collate_packed",
    "collate_padded",
    "column_of",
    "distinct_classes",
    "distinct_labels",
    "distinct_tags",
    "drop_words",
    "encode",
    "has_hidden_labels",
    "hold_out",
    "ignored_labels",
    "invalid_labels",
    "kind_of_labels",
    "label_lists",
    "label_numbers",
    "label_values",
    "numbers_of_lists",
    "open_examples",
    "open_one_split",
    "open_splits",
    "pairs_of",
    "similar_labels",
    "single_labels",
    "split_by_tokens",
    "text_labels",
    "texts_of",
    "token_batches",
    "value_of",
    "with_labelled_test",
    "with_repeats_noted",
    "with_whole_labels",
    "without_ignored",
    "without_missing",
    "without_waste",
]
