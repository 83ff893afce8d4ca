"""Rows set aside for validation, or for a test."""

from __future__ import annotations

from collections import Counter

import pytest
from datasets import Dataset, DatasetDict
from hypothesis import assume, given
from hypothesis import strategies as st

from finetune_embed import DataError
from finetune_embed.data import Splits, hold_out, open_splits

ROWS = {"text": [f"text, {i}" for i in range(20)], "label": [f"l{i % 2}" for i in range(20)]}


def of_labels(labels: list) -> Splits:
    return open_splits(Dataset.from_dict({"row": list(range(len(labels))), "label": labels}))


def sizes(part: Dataset) -> dict:
    return dict(Counter(part["label"]))


def test_rows_are_held_out_by_class_and_by_the_seed():
    splits = of_labels((["a"] * 6 + ["b"] * 3 + ["c"]) * 10)
    held = hold_out(splits, "label", 0.2, seed=1)
    assert sizes(held.validation) == {"a": 12, "b": 6, "c": 2}
    assert sizes(held.train) == {"a": 48, "b": 24, "c": 8}
    for part in (held.train, held.validation):
        assert part["row"][:] == sorted(part["row"])
    assert sorted([*held.train["row"], *held.validation["row"]]) == list(range(100))
    same = hold_out(splits, "label", 0.2, seed=1)
    assert same.validation["row"][:] == held.validation["row"][:]
    other = hold_out(splits, "label", 0.2, seed=2)
    assert other.validation["row"][:] != held.validation["row"][:]
    renamed = of_labels([{"a": 7, "b": 0, "c": 3}[label] for label in splits.train["label"]])
    assert hold_out(renamed, "label", 0.2, 1).validation["row"][:] == held.validation["row"][:]
    assert (held.test, held.name) == (None, splits.name)
    assert splits.validation is None


@pytest.mark.parametrize("label", [["a"], [], None])
def test_rows_with_lists_of_labels_are_held_out_by_the_seed(label):
    splits = of_labels([label, *[["a", "b"], ["c"], []] * 33])
    held = hold_out(splits, "label", 0.2, seed=1)
    assert (len(held.train), len(held.validation)) == (80, 20)
    for part in (held.train, held.validation):
        assert part["row"][:] == sorted(part["row"])
    assert sorted([*held.train["row"], *held.validation["row"]]) == list(range(100))
    same = hold_out(of_labels([[], *[["d"]] * 99]), "label", 0.2, seed=1)
    assert same.validation["row"][:] == held.validation["row"][:]
    other = hold_out(splits, "label", 0.2, seed=2)
    assert other.validation["row"][:] != held.validation["row"][:]


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=3), min_size=2, max_size=30).filter(any),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
)
def test_the_last_row_with_a_label_stays_for_training(rows, share, seed):
    wanted = round(share * len(rows))
    counts = Counter(label for row in rows for label in set(row))
    if not wanted or all(any(counts[label] == 1 for label in row) for row in rows):
        with pytest.raises(DataError, match=r"sets no row aside|is less than one"):
            hold_out(of_labels(rows), "label", share, seed)
        return
    held = hold_out(of_labels(rows), "label", share, seed)
    assert 0 < len(held.validation) <= wanted
    left = Counter(label for row in held.train["label"] for label in set(row))
    assert left.keys() == counts.keys()
    if len(held.validation) < min(wanted, len(rows) - 1):  # no further row could have gone
        assert all(any(left[label] == 1 for label in row) for row in held.train["label"])


@pytest.mark.parametrize(
    ("labels", "share", "told"),
    [
        ([["a"]] * 4, 0.1, "0.1 of 4 training rows is less than one;"),
        ([["a"]], 0.9, "0.9 of 1 training rows sets no row aside: .* of the 1 labels, and stays;"),
        ([["a", "b"], ["b", "c"]], 0.5, "0.5 of 2 .*: each is the last with one of the 3 labels"),
    ],
)
def test_no_row_with_a_list_of_labels_can_be_held_out(labels, share, told):
    message = rf"validation={told}.* pass a validation split"
    with pytest.raises(DataError, match=message):
        hold_out(of_labels(labels), "label", share, seed=0)


@pytest.mark.parametrize(
    ("rows", "share", "expected"),
    [
        ({"a": 7, "b": 2, "c": 1}, 0.3, {"a": 2, "b": 1}),  # 2.1, 0.6, 0.3 of 3
        ({"a": 5, "b": 3, "c": 2}, 0.35, {"a": 2, "b": 1, "c": 1}),  # 2.0, 1.2, 0.8 of 4
        ({"a": 1, "b": 1, "c": 8}, 0.1, {"c": 1}),  # 0.1, 0.1, 0.8 of 1
        ({"a": 1, "b": 9}, 0.5, {"b": 5}),  # 0.5 and 4.5 of 5: a keeps its row
        ({"a": 10, "b": 10}, 0.99, {"a": 9, "b": 9}),  # each keeps one
        ({"a": 2}, 0.5, {"a": 1}),
    ],
)
def test_largest_remainders_and_one_row_left_in_each_class(rows, share, expected):
    labels = [label for label, n in rows.items() for _ in range(n)]
    held = hold_out(of_labels(labels), "label", share, seed=0)
    assert sizes(held.validation) == expected
    assert sizes(held.train) == {name: n - expected.get(name, 0) for name, n in rows.items()}


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=6).filter(lambda rows: max(rows) > 1),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
)
def test_the_share_of_each_class(rows, share, seed):
    labels = [label for label, n in enumerate(rows) for _ in range(n)]
    assume(round(share * len(labels)) > 0)
    held = hold_out(of_labels(labels), "label", share, seed)
    assert 0 < len(held.validation) <= round(share * len(labels))
    assert len(held.train) + len(held.validation) == len(labels)
    aside = sizes(held.validation)
    wanted = round(share * len(labels))
    for label, n in enumerate(rows):
        assert aside.get(label, 0) <= n - 1
        quota = wanted * n / len(labels)
        assert min(int(quota), n - 1) <= aside.get(label, 0) <= quota + 1


def test_equal_remainders_are_not_given_to_the_first_classes():
    splits = of_labels([row // 2 for row in range(200)])
    chosen = [set(hold_out(splits, "label", 0.1, seed).validation["label"]) for seed in range(5)]
    assert [len(classes) for classes in chosen] == [20] * 5
    assert all(max(classes) > 50 for classes in chosen)
    assert len({frozenset(classes) for classes in chosen}) == 5


def test_a_validation_split_stays_as_it_is():
    rows = Dataset.from_dict(ROWS)
    splits = open_splits(DatasetDict(train=rows, validation=rows.select([1])))
    assert hold_out(splits, "absent", 7.0, 0) is splits


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5, -0.1, float("nan")])
def test_a_share_that_is_none(share):
    message = (
        rf"^the data set: there is no validation split, and validation={share} is no share of the "
        r"20 training rows .* between 0 and 1, or pass a validation split: DatasetDict\(train="
    )
    with pytest.raises(DataError, match=message):
        hold_out(open_splits(Dataset.from_dict(ROWS)), "label", share, 0)


@pytest.mark.parametrize(
    ("labels", "share", "numbers"),
    [
        (["a", "b"] * 20, 0.01, "0.01 of 40 training rows is less than one"),
        (["a", "b", "c"], 0.5, "0.5 of 3 training rows in 3 classes, 1 in the largest"),
        (["a"], 0.9, "0.9 of 1 training rows in 1 classes, 1 in the largest"),
    ],
)
def test_no_row_can_be_held_out(labels, share, numbers):
    message = rf"validation={numbers}.*; pass a validation split: DatasetDict"
    with pytest.raises(DataError, match=message):
        hold_out(of_labels(labels), "label", share, 0)


def test_rows_are_held_out_by_a_column_that_is_missing():
    message = (
        r"the data set \(train\): there is no column 'l'; there are 'row', 'label'; pass label="
    )
    with pytest.raises(DataError, match=message):
        hold_out(of_labels(["a", "b"]), "l", 0.5, 0)


def test_no_row_of_a_stream_can_be_held_out():
    stream = Dataset.from_dict(ROWS).to_iterable_dataset()
    with pytest.raises(
        DataError, match=r"none can be set aside of a stream; put .* pass \{'train': str"
    ):
        hold_out(open_splits(stream), "label", 0.1, 0)
    splits = open_splits({"train": stream, "val": stream.take(3)})
    assert hold_out(splits, "label", 0.1, 0) is splits


@pytest.mark.parametrize("labels", [[[["a"]], [["b"]]] * 5, [[{"a": 1}], []] * 5])
def test_what_can_be_no_label(labels):
    with pytest.raises(DataError, match=r"the column 'label' has no labels \(unhashable"):
        hold_out(of_labels(labels), "label", 0.2, 0)
