"""Labels, read and numbered."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value

from finetune_embed import DataError
from finetune_embed.data import (
    distinct_classes,
    distinct_labels,
    distinct_tags,
    hold_out,
    ignored_labels,
    label_lists,
    label_numbers,
    numbers_of_lists,
    open_splits,
    texts_of,
)

TRAIN = "data (train)"


def rows(values: list) -> Dataset:
    return Dataset.from_dict({"label": values})


def with_names(values: list, names: list[str], lists: bool = False) -> Dataset:
    feature = ClassLabel(names=names)
    features = Features({"text": Value("string"), "label": List(feature) if lists else feature})
    return Dataset.from_dict({"text": ["x"] * len(values), "label": values}, features)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["pos", "neg", "pos", "neutral"], ["neg", "neutral", "pos"]),
        ([3, 1, 10, 1], [1, 3, 10]),
        ([True, False, True], [False, True]),
        ([-1, 1], [-1, 1]),
        (["10", "9"], ["10", "9"]),
    ],
)
def test_labels_are_sorted_and_numbered(values, labels):
    dataset = rows(values)
    assert distinct_classes(dataset, "label", TRAIN) == labels
    numbers = label_numbers(dataset, "label", labels, "here")
    assert numbers.dtype == torch.int64
    assert [labels[number] for number in numbers] == values
    lists = rows([[value] for value in values] + [[]])
    assert distinct_labels(lists, "label", TRAIN) == labels
    found = numbers_of_lists(lists, label_lists(lists, "label", TRAIN), labels, TRAIN)
    assert found == numbers.tolist()


def test_names_of_a_class_label_keep_their_order():
    dataset = with_names([1, 0, 1], ["pos", "neg", "unseen"])
    labels = distinct_classes(dataset, "label", TRAIN)
    assert labels == ["pos", "neg", "unseen"]
    assert label_numbers(dataset, "label", labels, "here").tolist() == [1, 0, 1]
    lists = with_names([[1, 0], [], [1]], ["pos", "neg", "unseen"], lists=True)
    assert distinct_labels(lists, "label", TRAIN) == labels
    assert label_lists(lists, "label", TRAIN) == [["neg", "pos"], [], ["neg"]]


def test_class_labels_of_another_split_are_matched_by_name_not_by_number():
    train, test = with_names([0, 1], ["neg", "pos"]), with_names([0, 1, 0], ["pos", "neg"])
    labels = distinct_classes(train, "label", TRAIN)
    assert label_numbers(test, "label", labels, "here").tolist() == [1, 0, 1]
    plain = rows(["pos", "neg"])
    assert label_numbers(plain, "label", labels, "here").tolist() == [1, 0]


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize(
    ("values", "counts", "first", "value"),
    [
        (["pos", "odd", "x"], "2 of 3", 1, "odd"),
        (["pos", None], "1 of 2", 1, None),
        ([["pos"], []], "2 of 2", 0, ["pos"]),
    ],
)
def test_labels_that_the_training_split_lacks(lists, values, counts, first, value):
    given = [["neg", one] for one in values] if lists else values
    message = (
        rf"data \(test\): {counts} examples have a label that is not among the 2 of the training "
        rf"split, the first is example {first} \(counted from 0\): "
    )
    if lists:
        with pytest.raises(DataError, match=message) as raised:
            numbers_of_lists(rows([[]] * len(given)), given, ["neg", "pos"], "data (test)")
    else:
        with pytest.raises(DataError, match=message) as raised:
            label_numbers(rows(given), "label", ["neg", "pos"], "data (test)")
    assert raised.value.value == value


def test_class_labels_that_the_training_split_lacks():
    labels = ["neg", "pos"]
    with pytest.raises(DataError, match=r"2 of 3 examples .* example 0 \(counted from 0\): -1"):
        label_numbers(with_names([-1, 0, None], labels), "label", labels, "here")
    with pytest.raises(DataError, match=r"example 0 \(counted from 0\): 'x'"):
        label_numbers(with_names([0], ["x", "neg"]), "label", labels, "here")


@pytest.mark.parametrize(
    ("values", "first", "value"),
    [(["a", None], 1, None), ([0.5, 1.0], 0, 0.5), ([[1], [2]], 0, [1])],
)
def test_values_that_are_not_labels(values, first, value):
    message = (
        rf"data \(train\): \d of 2 examples have a label in 'label' that is not a string or a "
        rf"whole number, the first is example {first} \(counted from 0\): "
    )
    with pytest.raises(DataError, match=message) as raised:
        distinct_classes(rows(values), "label", TRAIN)
    assert raised.value.value == value
    with pytest.raises(DataError, match=message) as raised:
        distinct_labels(rows([[value] for value in values]), "label", TRAIN)
    assert raised.value.value == value


@pytest.mark.parametrize("bad", [None, -1])
@pytest.mark.parametrize("lists", [False, True])
def test_examples_without_a_name_in_a_class_label_column(bad, lists):
    values = [0, 1, 0, 1, 0, 1, 0, bad, 0]
    names = ["neg", "pos"]
    message = (
        r"data \(train\): 1 of 9 examples have a label in 'label' that is not one of the column's "
        rf"class names, the first is example 7 \(counted from 0\): {bad}; remove them with data"
    )
    given = [[value] for value in values] if lists else values
    read = distinct_labels if lists else distinct_classes
    with pytest.raises(DataError, match=message):
        read(with_names(given, names, lists), "label", TRAIN)


def test_too_few_labels():
    message = (
        r"data \(train\): the labels in 'label' are \['a'\], but a task needs two or more; add "
        "examples with another label$"
    )
    with pytest.raises(DataError, match=message):
        distinct_classes(rows(["a", "a"]), "label", TRAIN)
    with pytest.raises(DataError, match=r"are \['only'\], but a task needs two or more"):
        distinct_classes(with_names([0, 0], ["only"]), "label", TRAIN)
    for values, shown in (([["a"], []], r"\['a'\]"), ([[], []], r"\[\]")):
        message = f"are {shown}, but a task needs two or more; .*, and pass task='single_label'"
        with pytest.raises(DataError, match=message):
            distinct_labels(rows(values), "label", TRAIN)


def test_texts_and_numbers_are_not_mixed():
    mixed = rows([["1"], ["x"]]).with_transform(
        lambda batch: {"label": [[int(t) if t.isdigit() else t for t in r] for r in batch["label"]]}
    )
    with pytest.raises(DataError, match="'label' are partly text, partly numbers; use one kind"):
        distinct_labels(mixed, "label", TRAIN)


def test_examples_are_counted_before_any_is_held_out():
    columns = {"text": ["x"] * 18 + [None, "x"], "label": ["a", "b"] * 9 + ["a", None]}
    splits = open_splits(Dataset.from_dict(columns))
    assert splits.validation is None
    with pytest.raises(DataError, match=r"the first is example 18 \(counted from 0\): None"):
        texts_of(splits.train, "text", "here")
    with pytest.raises(DataError, match=r"the first is example 19 \(counted from 0\): None"):
        distinct_classes(splits.train, "label", TRAIN)
    valid = open_splits(splits.train.select(range(18)))
    assert len(texts_of(valid.train, "text", "here")) == 18
    assert distinct_classes(valid.train, "label", TRAIN) == ["a", "b"]
    assert len(hold_out(valid, "label", 0.2, 0).validation) == 4


def test_a_missing_column():
    dataset = Dataset.from_dict({"text": ["a"]})
    message = r"data \(train\): there is no column 'label'; choose from 'text'$"
    for read in (distinct_classes, distinct_labels, label_lists):
        with pytest.raises(DataError, match=message):
            read(dataset, "label", TRAIN)


def test_single_labels_instead_of_lists():
    message = (
        r"data \(train\): 1 of 2 examples have no list of labels in 'label', the first is example "
        r"1 \(counted from 0\): None; remove them with dataset\.filter\(\.\.\.\), or pass "
        r"task='single_label' if each text has one label"
    )
    with pytest.raises(DataError, match=message):
        label_lists(rows([["a"], None]), "label", TRAIN)


def test_a_flag_for_each_possible_label_is_not_a_list_of_labels():
    message = (
        r"the lists in 'label' look like a 0 or 1 for each of 3 labels; write the labels of each "
        r"text instead: dataset\.map\("
    )
    for values in ([[0, 1, 1], [1, 0, 0]], [[0, 0], [1, 1]], [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]):
        with pytest.raises(DataError, match=message.replace("3", str(len(values[0])))):
            distinct_labels(rows(values), "label", TRAIN)
    flags = rows([[True, False, True], [False, False, False]])
    with pytest.raises(DataError, match=message):
        distinct_labels(flags, "label", TRAIN)
    assert distinct_labels(rows([[0, 0], [1]]), "label", TRAIN) == [0, 1]
    assert distinct_labels(rows([[0], [1]]), "label", TRAIN) == [0, 1]


@pytest.mark.parametrize(
    "values",
    [
        [[0, 1], [1, 0]],
        [[1, 0], [1, 0], [0, 1]],
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
        [[0.0, 1.0], [1.0, 0.0]],
        [[True, False], [False, True]],
    ],
)
@pytest.mark.parametrize("kind", [None, "numpy", "torch"])
@pytest.mark.parametrize("read", [distinct_labels, distinct_classes])
def test_a_one_among_zeros_is_not_a_list_of_labels(values, kind, read):
    dataset = rows(values).with_format(kind)
    with pytest.raises(DataError, match=rf"it marks one of {len(values[0])} labels; write that"):
        read(dataset, "label", TRAIN)
    mapped = dataset.map(lambda example: {"label": list(example["label"]).index(1)})
    assert distinct_classes(mapped, "label", TRAIN) == list(range(len(values[0])))


def test_lists_that_someone_says_are_labels_are_read_as_they_are():
    for values in ([[0, 1], [1, 0]], [[0, 1], [0, 1], [1, 0]], [[1.0, 0.0], [0.0, 1.0]]):
        assert distinct_labels(rows(values), "label", TRAIN, inferred=False) == [0, 1]
    with pytest.raises(DataError, match="it marks one of 3 labels"):  # 0 would be there twice
        distinct_labels(rows([[0, 1, 0], [1, 0, 0]]), "label", TRAIN, inferred=False)


def test_tags_of_0_and_1_are_tags():
    for values in ([[0, 1, 1], [1, 0, 0]], [[0, 1], [1, 0]], [[0, 1], [0, 1]]):
        assert distinct_tags(rows(values), "label", TRAIN) == [0, 1]


@pytest.mark.parametrize(
    ("values", "labels", "numbers"),
    [
        ([1.0, 2.0, 1.0], [1, 2], [0, 1, 0]),
        (np.array([3, 1], np.float32), [1, 3], [1, 0]),
        ([-1.0, 0.0, 1.0], [-1, 0, 1], [0, 1, 2]),
        ([Decimal("1.00"), Decimal("4.00")], [1, 4], [0, 1]),
        (pd.Series([1, None, 0]).dropna(), [0, 1], [1, 0]),
        ([2.0**53, 5e9], [5 * 10**9, 2**53], [1, 0]),
    ],
)
@pytest.mark.parametrize("lists", [False, True])
def test_whole_numbers_that_are_floats(values, labels, numbers, lists):
    given = [[value] for value in values] if lists else values
    dataset = rows(given)
    read = distinct_tags if lists else distinct_classes
    found = read(dataset, "label", TRAIN)
    assert found == labels
    assert {type(label) for label in found} == {int}
    if lists:
        lists_of = label_lists(dataset, "label", TRAIN)
        assert numbers_of_lists(dataset, lists_of, labels, TRAIN) == numbers
    else:
        assert label_numbers(dataset, "label", labels, TRAIN).tolist() == numbers


@pytest.mark.parametrize("bad", [0.5, 1e-9, float("nan"), float("inf"), float("-inf")])
def test_other_floats_are_not_labels(bad):
    message = r"1 of 3 examples have a label in 'label' that is not .*, the first is example 1 "
    with pytest.raises(DataError, match=message):
        distinct_classes(rows([1.0, bad, 2.0]), "label", TRAIN)


def test_floats_of_another_split_are_the_same_labels():
    numbers = label_numbers(rows([1.0, 0.0]), "label", [0, 1], "here")
    assert numbers.tolist() == [1, 0]
    names = ["neg", "pos"]
    assert label_numbers(rows(["pos"]), "label", names, "here").tolist() == [1]


@pytest.mark.parametrize("kind", ["numpy", "torch", "pandas", "polars", "arrow", None])
def test_labels_of_a_data_set_in_another_format(kind):
    def of(values):
        return rows(values).with_format(kind)

    for values in ([2, 1], ["b", "a"], [True, False], [1.0, 0.0]):
        expected = sorted(int(v) if isinstance(v, float) else v for v in values)
        found = distinct_classes(of(values), "label", TRAIN)
        assert found == expected
        assert [type(label) for label in found] == [type(label) for label in expected]
    lists = [["b"], ["a", "b"]]
    assert label_lists(of(lists), "label", TRAIN) == lists
    assert distinct_labels(of([[1], [2, 1]]), "label", TRAIN) == [1, 2]
    named = with_names([1, 0], ["neg", "pos"]).with_format(kind)
    assert label_numbers(named, "label", ["neg", "pos"], "here").tolist() == [1, 0]


def test_labels_that_a_transform_makes_arrays():
    dataset = rows([0, 1]).with_transform(lambda batch: {"label": np.array(batch["label"])})
    assert distinct_classes(dataset, "label", TRAIN) == [0, 1]
    dataset = rows([[0], [1, 0]]).with_transform(
        lambda batch: {"label": [torch.tensor(one) for one in batch["label"]]}
    )
    assert label_lists(dataset, "label", TRAIN) == [[0], [1, 0]]


@pytest.mark.parametrize(
    ("values", "also", "labels", "numbers"),
    [
        ([0, -100, 1], None, [0, 1], [0, -100, 1]),
        ([0.0, -100.0, 1.0], None, [0, 1], [0, -100, 1]),
        (["a", "-100", "b"], None, ["a", "b"], [0, -100, 1]),
        ([0, -1, 1], -1, [0, 1], [0, -100, 1]),
        ([0, -1, 1], "-1", [0, 1], [0, -100, 1]),
        (["a", "_", "b", "-100"], "_", ["a", "b"], [0, -100, 1, -100]),
        (["1", "0", "9"], 9, ["0", "1"], [1, 0, -100]),
    ],
)
def test_labels_that_do_not_count(values, also, labels, numbers):
    ignored, dataset = ignored_labels(also), rows(values)
    assert distinct_classes(dataset, "label", TRAIN, ignored) == labels
    assert label_numbers(dataset, "label", labels, TRAIN, ignored).tolist() == numbers
    lists = rows([values, values[::-1]])
    assert distinct_tags(lists, "label", TRAIN, ignored) == labels
    found = numbers_of_lists(lists, label_lists(lists, "label", TRAIN), labels, TRAIN, ignored)
    assert found == [*numbers, *numbers[::-1]]


def test_a_class_name_that_does_not_count():
    dataset = with_names([0, 2, 1], ["x", "y", "pad"])
    for also in ("pad", 2, "2"):
        ignored = ignored_labels(also, ["x", "y", "pad"])
        assert distinct_classes(dataset, "label", TRAIN, ignored) == ["x", "y"]
        numbers = label_numbers(dataset, "label", ["x", "y"], TRAIN, ignored)
        assert numbers.tolist() == [0, -100, 1]
    assert ignored_labels("0", ["1", "0"]) == {-100, "-100", 0, "0"}


def test_the_remedy_for_scores_is_a_sentence():
    scores = Dataset.from_dict({"text": ["a", "b"], "label": [0.5, 1.5]})
    with pytest.raises(
        DataError, match=r"is not a string or a whole number, .*: 0\.5; pass task='regression'"
    ):
        distinct_classes(scores, "label", "here")
    some = Dataset.from_dict({"text": ["a", "b"], "label": [0.5, 1.0]})
    with pytest.raises(DataError, match=r"; remove them with .*, or pass task='regression' "):
        distinct_classes(some, "label", "here")
