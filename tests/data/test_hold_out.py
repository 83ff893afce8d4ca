"""Examples held out for validation, or for a test."""

from __future__ import annotations

from collections import Counter

import pytest
from datasets import Dataset, DatasetDict
from hypothesis import assume, given
from hypothesis import strategies as st

from finetune_embed import DataError
from finetune_embed.data import Splits, hold_out, open_splits

ROWS = {"text": [f"text, {i}" for i in range(20)], "label": [f"l{i % 2}" for i in range(20)]}


def splits_with(labels: list) -> Splits:
    return open_splits(Dataset.from_dict({"number": list(range(len(labels))), "label": labels}))


def sizes(part: Dataset) -> dict:
    return dict(Counter(part["label"]))


def test_examples_are_held_out_by_class_and_seed():
    splits = splits_with((["a"] * 6 + ["b"] * 3 + ["c"]) * 10)
    held = hold_out(splits, "label", 0.2, seed=1)
    assert sizes(held.validation) == {"a": 12, "b": 6, "c": 2}
    assert sizes(held.train) == {"a": 48, "b": 24, "c": 8}
    for part in (held.train, held.validation):
        assert part["number"][:] == sorted(part["number"])
    assert sorted([*held.train["number"], *held.validation["number"]]) == list(range(100))
    same = hold_out(splits, "label", 0.2, seed=1)
    assert same.validation["number"][:] == held.validation["number"][:]
    other = hold_out(splits, "label", 0.2, seed=2)
    assert other.validation["number"][:] != held.validation["number"][:]
    renamed = splits_with([{"a": 7, "b": 0, "c": 3}[label] for label in splits.train["label"]])
    same = hold_out(renamed, "label", 0.2, seed=1)
    assert same.validation["number"][:] == held.validation["number"][:]
    assert (held.test, held.name) == (None, splits.name)
    assert splits.validation is None


@pytest.mark.parametrize("label", [["a"], [], None])
def test_examples_with_lists_of_labels_are_held_out_by_seed(label):
    splits = splits_with([label, *[["a", "b"], ["c"], []] * 33])
    held = hold_out(splits, "label", 0.2, seed=1)
    assert (len(held.train), len(held.validation)) == (80, 20)
    for part in (held.train, held.validation):
        assert part["number"][:] == sorted(part["number"])
    assert sorted([*held.train["number"], *held.validation["number"]]) == list(range(100))
    same = hold_out(splits_with([[], *[["d"]] * 99]), "label", 0.2, seed=1)
    assert same.validation["number"][:] == held.validation["number"][:]
    other = hold_out(splits, "label", 0.2, seed=2)
    assert other.validation["number"][:] != held.validation["number"][:]


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=3), min_size=2, max_size=30).filter(any),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
)
def test_the_last_example_with_a_label_stays_for_training(lists, share, seed):
    wanted = round(share * len(lists))
    counts = Counter(label for labels in lists for label in set(labels))
    if not wanted or all(any(counts[label] == 1 for label in labels) for labels in lists):
        with pytest.raises(DataError, match=r"each is the last with|is less than one"):
            hold_out(splits_with(lists), "label", share, seed)
        return
    held = hold_out(splits_with(lists), "label", share, seed)
    assert 0 < len(held.validation) <= wanted
    left = Counter(label for labels in held.train["label"] for label in set(labels))
    assert left.keys() == counts.keys()
    if len(held.validation) < min(wanted, len(lists) - 1):  # no other example could be held out
        assert all(any(left[label] == 1 for label in labels) for labels in held.train["label"])


@pytest.mark.parametrize(
    ("labels", "share", "reason"),
    [
        ([["a"]] * 4, 0.1, "0.1 holds out none of 4 training examples: that is less than one;"),
        ([["a"]], 0.9, "0.9 holds out none of 1 .*: each is the last with one of the 1 labels;"),
        ([["a", "b"], ["b", "c"]], 0.5, "0.5 holds .* of 2 .*: each is the last .* 3 labels;"),
    ],
)
def test_no_example_with_a_list_of_labels_can_be_held_out(labels, share, reason):
    message = rf"validation={reason} pass a larger share, or .*; or pass DatasetDict\(train="
    with pytest.raises(DataError, match=message):
        hold_out(splits_with(labels), "label", share, seed=0)


@pytest.mark.parametrize(
    ("rows", "share", "expected"),
    [
        ({"a": 7, "b": 2, "c": 1}, 0.3, {"a": 2, "b": 1}),  # 2.1, 0.6, 0.3 of 3
        ({"a": 5, "b": 3, "c": 2}, 0.35, {"a": 2, "b": 1, "c": 1}),  # 2.0, 1.2, 0.8 of 4
        ({"a": 1, "b": 1, "c": 8}, 0.1, {"c": 1}),  # 0.1, 0.1, 0.8 of 1
        ({"a": 1, "b": 9}, 0.5, {"b": 5}),  # 0.5 and 4.5 of 5: a keeps its example
        ({"a": 10, "b": 10}, 0.99, {"a": 9, "b": 9}),  # each keeps one
        ({"a": 2}, 0.5, {"a": 1}),
    ],
)
def test_largest_remainders_and_one_example_left_in_each_class(rows, share, expected):
    labels = [label for label, n in rows.items() for _ in range(n)]
    held = hold_out(splits_with(labels), "label", share, seed=0)
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
    held = hold_out(splits_with(labels), "label", share, seed)
    assert 0 < len(held.validation) <= round(share * len(labels))
    assert len(held.train) + len(held.validation) == len(labels)
    aside = sizes(held.validation)
    wanted = round(share * len(labels))
    for label, n in enumerate(rows):
        assert aside.get(label, 0) <= n - 1
        quota = wanted * n / len(labels)
        assert min(int(quota), n - 1) <= aside.get(label, 0) <= quota + 1


def test_equal_remainders_do_not_favour_the_first_classes():
    splits = splits_with([row // 2 for row in range(200)])
    chosen = [set(hold_out(splits, "label", 0.1, seed).validation["label"]) for seed in range(5)]
    assert [len(classes) for classes in chosen] == [20] * 5
    assert all(max(classes) > 50 for classes in chosen)
    assert len({frozenset(classes) for classes in chosen}) == 5


def test_a_validation_split_is_returned_unchanged():
    rows = Dataset.from_dict(ROWS)
    splits = open_splits(DatasetDict(train=rows, validation=rows.select([1])))
    assert hold_out(splits, "absent", 7.0, 0) is splits


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5, -0.1, float("nan")])
def test_the_share_is_between_0_and_1(share):
    message = (
        rf"^the data set: validation={share} is not a share between 0 and 1 to hold out of 20 "
        r"training .*; pass validation=0.1, or pass DatasetDict\(train="
    )
    with pytest.raises(DataError, match=message):
        hold_out(open_splits(Dataset.from_dict(ROWS)), "label", share, 0)


@pytest.mark.parametrize(
    ("labels", "share", "reason"),
    [
        (["a", "b"] * 20, 0.01, "0.01 holds out none of 40 training examples: that is less than"),
        (["a", "b", "c"], 0.5, "0.5 holds .* of 3 .*: each of the 3 classes .* largest has 1"),
        (["a"], 0.9, "0.9 holds out none of 1 .*: each of the 1 classes .* largest has 1"),
    ],
)
def test_no_example_can_be_held_out(labels, share, reason):
    message = rf"validation={reason}.*; pass a larger share, .*; or pass DatasetDict"
    with pytest.raises(DataError, match=message):
        hold_out(splits_with(labels), "label", share, 0)


def test_a_missing_label_column():
    message = r"the data set \(train\): there is no column 'l'; .* such as label='label'$"
    with pytest.raises(DataError, match=message):
        hold_out(splits_with(["a", "b"]), "l", 0.5, 0)


def test_no_example_of_a_stream_can_be_held_out():
    stream = Dataset.from_dict(ROWS).to_iterable_dataset()
    with pytest.raises(
        DataError, match=r"a stream has no .*; pass a folder with .* \{'train': str"
    ):
        hold_out(open_splits(stream), "label", 0.1, 0)
    splits = open_splits({"train": stream, "val": stream.take(3)})
    assert hold_out(splits, "label", 0.1, 0) is splits


@pytest.mark.parametrize("labels", [[[["a"]], [["b"]]] * 5, [[{"a": 1}], []] * 5])
def test_values_that_are_not_labels(labels):
    with pytest.raises(DataError, match=r"the column 'label' are not labels \(unhashable"):
        hold_out(splits_with(labels), "label", 0.2, 0)
