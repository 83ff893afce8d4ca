"""The texts of a split."""

from __future__ import annotations

import polars as pl
import pytest
from datasets import Dataset

from finetune_embed import (
    DataError,
)
from finetune_embed.data import (
    open_splits,
    texts_of,
)
from finetune_embed.data.columns import column_of


def test_texts_of_one_and_of_several_columns():
    dataset = Dataset.from_dict(
        {"t": ["a", "b"], "u": ["c", ""], "w": [["x"], []], "v": [[], ["y"]]}
    )
    assert texts_of(dataset, "t", "here") == ["a", "b"]
    assert texts_of(dataset, ["t", "u"], "here") == ["a c", "b "]
    assert texts_of(dataset, "w", "here") == [["x"], []]
    assert texts_of(dataset, ("w", "v"), "here") == [["x"], ["y"]]


def test_texts_and_lists_of_tokens_are_not_joined():
    dataset = Dataset.from_dict({"text": ["ab"], "words": [["x", "y"]]})
    for columns in (["text", "words"], ["words", "text"]):
        with pytest.raises(DataError, match=r"'words'.* hold both texts and lists of .*: text="):
            texts_of(dataset, columns, "here")


@pytest.mark.parametrize("kind", ["numpy", "torch", "pandas", "polars"])
def test_texts_of_a_data_set_in_another_format(kind):
    dataset = Dataset.from_dict({"t": ["a", "b"]})
    assert texts_of(dataset.with_format(kind), "t", "here") == ["a", "b"]


def test_texts_of_an_empty_split():
    dataset = Dataset.from_dict({"t": [], "u": []})
    assert texts_of(dataset, "t", "here") == []
    assert texts_of(dataset, ["t", "u"], "here") == []


def test_invalid_texts():
    dataset = Dataset.from_dict({"text": ["a", None, "b", None], "n": [1, 2, 3, 4]})
    message = (
        r"here: 2 of 4 examples have no text in 'text', the first is example 1 \(counted from 0\): "
        r"None; remove them with dataset\.filter"
    )
    with pytest.raises(DataError, match=message):
        texts_of(dataset, "text", "here")
    with pytest.raises(DataError, match=r"4 of 4 examples have no text in 'n', .* 0 \(.*\): 1;"):
        texts_of(dataset, "n", "here")
    message = r"here: there is no column 'body'; choose from 'text', 'n', such as text='text'"
    with pytest.raises(DataError, match=message):
        texts_of(dataset, "body", "here")


@pytest.mark.parametrize("make", [Dataset.from_dict, pl.DataFrame])
def test_the_column_that_is_likely_to_have_the_labels(make):
    columns = {
        "same": ["s"] * 6,
        "body": list("abcdef"),
        "stars": [1, 2, 3, 1, 2, 3],
        "row": list(range(6)),
    }
    train = open_splits(make(columns)).train
    with pytest.raises(DataError, match=r"such as label='stars'$"):
        column_of(train, "target", "data", "label")
    with pytest.raises(DataError, match=r"such as label='row'$"):
        column_of(train, "rows", "data", "label")
