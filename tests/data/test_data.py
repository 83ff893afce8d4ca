from __future__ import annotations

import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import (
    DataError,
    Vocabulary,
    collate_bag,
    collate_packed,
    collate_padded,
    encode,
)
from finetune_embed.data import (
    EncodedTexts,
    Splits,
    batch_indices,
    hold_out,
    label_numbers,
    labels_of,
    open_splits,
    texts_of,
)
from finetune_embed.vocabulary import tokenize_texts

VOCAB = Vocabulary({"a": 3, "b": 2, "c": 1})  # ids 2, 3, 4


def splits_of(train: Dataset, test: Dataset | None = None) -> Splits:
    return Splits(train, train, test, "data")


def with_names(values: list[int | None], names: list[str]) -> Dataset:
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    return Dataset.from_dict({"text": ["x"] * len(values), "label": values}, features)


# Texts


def test_texts_of_one_and_of_several_columns():
    dataset = Dataset.from_dict(
        {"t": ["a", "b"], "u": ["c", ""], "w": [["x"], []], "v": [[], ["y"]]}
    )
    assert texts_of(dataset, "t", "here") == ["a", "b"]
    assert texts_of(dataset, ["t", "u"], "here") == ["a c", "b "]
    assert texts_of(dataset, "w", "here") == [["x"], []]
    assert texts_of(dataset, ("w", "v"), "here") == [["x"], ["y"]]


def test_texts_and_lists_of_words_are_not_joined():
    dataset = Dataset.from_dict({"text": ["ab"], "words": [["x", "y"]]})
    for columns in (["text", "words"], ["words", "text"]):
        with pytest.raises(DataError, match=r"'text'.* are partly texts, partly lists of words"):
            texts_of(dataset, columns, "here")


@pytest.mark.parametrize("kind", ["numpy", "torch", "pandas", "polars"])
def test_texts_of_a_data_set_in_another_format(kind):
    dataset = Dataset.from_dict({"t": ["a", "b"]})
    assert texts_of(dataset.with_format(kind), "t", "here") == ["a", "b"]


def test_texts_of_no_rows():
    dataset = Dataset.from_dict({"t": [], "u": []})
    assert texts_of(dataset, "t", "here") == []
    assert texts_of(dataset, ["t", "u"], "here") == []


def test_missing_texts():
    dataset = Dataset.from_dict({"text": ["a", None, "b", None], "n": [1, 2, 3, 4]})
    message = (
        r"here: 2 of 4 rows have no text in 'text', the first is row 1 \(counted from 0\): None; "
        r"remove them with dataset\.filter"
    )
    with pytest.raises(DataError, match=message):
        texts_of(dataset, "text", "here")
    with pytest.raises(DataError, match=r"4 of 4 rows have no text in 'n', .* row 0 \(.*\): 1;"):
        texts_of(dataset, "n", "here")
    message = r"here: there is no column 'body'; there are 'text', 'n'; pass text='\.\.\.'"
    with pytest.raises(DataError, match=message):
        texts_of(dataset, "body", "here")


# Labels


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
    dataset = Dataset.from_dict({"label": values})
    assert labels_of(splits_of(dataset), "label") == labels
    numbers = label_numbers(dataset, "label", labels, "here")
    assert numbers.dtype == torch.int64
    assert [labels[number] for number in numbers] == values


def test_names_of_a_class_label_are_kept_in_their_order():
    dataset = with_names([1, 0, 1], ["pos", "neg", "unseen"])
    labels = labels_of(splits_of(dataset), "label")
    assert labels == ["pos", "neg", "unseen"]
    assert label_numbers(dataset, "label", labels, "here").tolist() == [1, 0, 1]


def test_class_labels_of_another_split_go_by_name_and_not_by_number():
    train, test = with_names([0, 1], ["neg", "pos"]), with_names([0, 1, 0], ["pos", "neg"])
    labels = labels_of(splits_of(train, test), "label")
    assert label_numbers(test, "label", labels, "here").tolist() == [1, 0, 1]
    plain = Dataset.from_dict({"label": ["pos", "neg"]})
    assert label_numbers(plain, "label", labels, "here").tolist() == [1, 0]


def test_labels_that_the_training_split_lacks():
    labels = ["neg", "pos"]
    message = (
        r"data \(test\): 2 of 3 rows have a label that is not among the 2 of the training split, "
        r"the first is row 1 \(counted from 0\): 'odd'; remove them with dataset\.filter"
    )
    with pytest.raises(DataError, match=message):
        label_numbers(Dataset.from_dict({"l": ["pos", "odd", "x"]}), "l", labels, "data (test)")
    with pytest.raises(DataError, match=r"1 of 2 rows .* row 1 \(counted from 0\): None"):
        label_numbers(Dataset.from_dict({"l": ["pos", None]}), "l", labels, "here")
    unlabelled = with_names([-1, 0, None], labels)
    with pytest.raises(DataError, match=r"2 of 3 rows .* row 0 \(counted from 0\): -1"):
        label_numbers(unlabelled, "label", labels, "here")
    with pytest.raises(DataError, match=r"row 0 \(counted from 0\): 'x'"):
        label_numbers(with_names([0], ["x", "neg"]), "label", labels, "here")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "a"], "every training row has the label 'a' in 'label'; a classifier needs two"),
        (
            ["a", None],
            r"row 1 \(counted from 0\) of the training split has None in 'label'; a label",
        ),
        ([0.5, 1.0], r"row 0 \(.*\) of the training split has 0\.5 in 'label'; .* a str"),
        ([[1], [2]], r"row 0 \(counted from 0\) of the training split has \[1\]"),
    ],
)
def test_columns_that_are_no_labels(values, message):
    with pytest.raises(DataError, match=message):
        labels_of(splits_of(Dataset.from_dict({"label": values})), "label")


@pytest.mark.parametrize("bad", [None, -1])
def test_unlabelled_rows_of_a_class_label_column(bad):
    message = (
        rf"data: row 7 \(counted from 0\) of the training split has {bad} in 'label'; a label is "
        r"one of the column's class names; remove such rows with dataset\.filter"
    )
    with pytest.raises(DataError, match=message):
        labels_of(splits_of(with_names([0, 1, 0, 1, 0, 1, 0, bad, 0], ["neg", "pos"])), "label")


def test_rows_are_counted_before_any_is_held_out():
    rows = {"text": ["x"] * 18 + [None, "x"], "label": ["a", "b"] * 9 + ["a", None]}
    splits = open_splits(Dataset.from_dict(rows))
    assert splits.validation is None
    with pytest.raises(DataError, match=r"the first is row 18 \(counted from 0\): None"):
        texts_of(splits.train, "text", "here")
    with pytest.raises(DataError, match=r"row 19 \(counted from 0\) of the training split has Non"):
        labels_of(splits, "label")
    whole = open_splits(splits.train.select(range(18)))
    assert len(texts_of(whole.train, "text", "here")) == 18
    assert labels_of(whole, "label") == ["a", "b"]
    assert len(hold_out(whole, "label", 0.2, 0).validation) == 4


def test_the_label_column_is_missing():
    dataset = Dataset.from_dict({"text": ["a"]})
    message = r"data \(train\): there is no column 'label'; there are 'text'; pass label='\.\.\.'"
    with pytest.raises(DataError, match=message):
        labels_of(splits_of(dataset), "label")
    with pytest.raises(DataError, match="every training row has the label 'only'"):
        labels_of(splits_of(with_names([0, 0], ["only"])), "label")


# Encoded texts


def slowly_padded(texts: list[list[str]], rows: list[int], longest: int | None) -> list[list[int]]:
    ids = [[VOCAB.key_to_index.get(w, 1) for w in texts[row]][:longest] or [0] for row in rows]
    width = max(map(len, ids))
    return [row + [0] * (width - len(row)) for row in ids]


@given(
    st.lists(st.lists(st.sampled_from("abcx"), max_size=6), min_size=1, max_size=8),
    st.data(),
    st.one_of(st.none(), st.integers(1, 7)),
)
def test_padded_and_packed_equal_a_slow_reference(texts, data, longest):
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=6))
    encoded = EncodedTexts.of([" ".join(words) for words in texts], VOCAB, max_length=longest)
    assert len(encoded) == len(texts)
    ids, lengths = encoded.padded(torch.tensor(rows))
    assert ids.tolist() == slowly_padded(texts, rows, longest)
    assert lengths.tolist() == [max(1, len(texts[row][:longest])) for row in rows]
    assert ids.dtype == lengths.dtype == torch.int64
    flat, sizes = encoded.packed(torch.tensor(rows))
    assert sizes.tolist() == [len(texts[row][:longest]) for row in rows]
    assert flat.tolist() == [
        i for row in rows for i in slowly_padded(texts, [row], longest)[0] if i
    ]
    assert flat.dtype == sizes.dtype == torch.int64


def test_packed_of_no_rows():
    flat, lengths = EncodedTexts.of(["a"], VOCAB).packed(torch.zeros(0, dtype=torch.int64))
    assert (flat.tolist(), lengths.tolist()) == ([], [])
    assert flat.dtype == lengths.dtype == torch.int64


def packed(ids: torch.Tensor, lengths: torch.Tensor) -> torch.nn.utils.rnn.PackedSequence:
    return torch.nn.utils.rnn.pack_padded_sequence(
        ids, lengths, batch_first=True, enforce_sorted=False
    )


@pytest.mark.parametrize(
    ("texts", "ids", "sizes"),
    [
        (["a b", "", "c"], [[2, 3], [0, 0], [4, 0]], [3, 1]),
        (["", " "], [[0], [0]], [2]),
        ([[], ["b"]], [[0], [3]], [2]),
    ],
)
def test_empty_texts_are_one_position_of_padding_and_can_be_packed(texts, ids, sizes):
    encoded = EncodedTexts.of(texts, VOCAB)
    padded, lengths = encoded.padded(torch.arange(len(texts)))
    assert padded.tolist() == ids
    assert packed(padded, lengths).batch_sizes.tolist() == sizes
    examples = list(encode(Dataset.from_dict({"text": texts, "label": [0] * len(texts)}), VOCAB))
    collated, collated_lengths, _ = collate_padded(examples)
    assert collated.tolist() == ids
    assert torch.equal(collated_lengths, lengths)
    assert packed(collated, collated_lengths).batch_sizes.tolist() == sizes


def test_texts_that_were_cut_are_encoded_alike():
    texts = ["a b x", "", "c"]
    plain = EncodedTexts.of(texts, VOCAB, max_length=2)
    found = EncodedTexts.of(tokenize_texts(texts, VOCAB.tokenizer), VOCAB, max_length=2)
    assert found.ids.tolist() == plain.ids.tolist() == [2, 3, 1, 4]
    assert found.offsets.tolist() == plain.offsets.tolist() == [0, 3, 3]
    assert found.lengths.tolist() == plain.lengths.tolist() == [2, 0, 1]
    assert found.lengths.dtype == torch.int64


def test_encoded_texts_keep_their_labels():
    labels = torch.tensor([1, 0])
    encoded = EncodedTexts.of(["a", "b c"], VOCAB, labels)
    assert encoded.labels is labels
    assert encoded.ids.tolist() == [2, 3, 4]
    assert encoded.offsets.tolist() == [0, 1]
    assert encoded.lengths.tolist() == [1, 2]


# Batches


@pytest.mark.parametrize(("texts", "size"), [(10, 3), (9, 3), (2, 5), (1, 1)])
def test_batches_hold_every_row_once(texts, size):
    batches = list(batch_indices(texts, size, seed=0, epoch=0))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert len(batches) == -(-texts // size)
    assert sorted(torch.cat(batches).tolist()) == list(range(texts))


def test_the_order_is_a_pure_function_of_seed_and_epoch():
    def order(seed: int, epoch: int) -> list[int]:
        return torch.cat(list(batch_indices(50, 7, seed, epoch))).tolist()

    once = order(1, 2)
    torch.manual_seed(99)
    order(0, 0)
    assert order(1, 2) == once
    assert len({tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16
    # The order itself is pinned: an interrupted run resumed later must see the same batches.
    assert torch.cat(list(batch_indices(8, 3, 0, 1))).tolist() == [1, 3, 7, 6, 0, 4, 2, 5]


# Hugging Face data sets


def test_encode_adds_a_column():
    dataset = Dataset.from_dict({"body": ["a x", "", "C b"], "label": [0, 1, 0]})
    encoded = encode(dataset, VOCAB, "body")
    assert encoded.column_names == ["body", "label", "ids"]
    assert encoded["ids"][:] == [[2, 1], [], [4, 3]]
    assert dataset.column_names == ["body", "label"]
    words = Dataset.from_dict({"text": [["a", "B"], []]})
    assert encode(words, VOCAB)["ids"][:] == [[2, 3], []]
    with pytest.raises(DataError, match="the data set: there is no column 'text'"):
        encode(dataset, VOCAB)


def test_collate_functions():
    dataset = encode(Dataset.from_dict({"text": ["a b", "", "c"], "label": [1, 0, 2]}), VOCAB)
    ids, lengths, labels = collate_padded(list(dataset))
    assert ids.tolist() == [[2, 3], [0, 0], [4, 0]]
    assert lengths.tolist() == [2, 1, 1]
    assert labels.tolist() == [1, 0, 2]
    flat, offsets, labels = collate_bag(list(dataset))
    assert flat.tolist() == [2, 3, 4]
    assert offsets.tolist() == [0, 2, 2]
    assert labels.tolist() == [1, 0, 2]
    same, sizes, classes = collate_packed(list(dataset))
    assert same.tolist() == flat.tolist()
    assert sizes.tolist() == [2, 0, 1]
    assert classes.tolist() == labels.tolist()
    for found in (ids, flat, offsets, lengths, sizes, labels):
        assert found.dtype == torch.int64


def test_collate_functions_in_a_data_loader():
    dataset = encode(Dataset.from_dict({"text": ["a b", "", "c"], "label": [1, 0, 2]}), VOCAB)
    for columns in (dataset, dataset.with_format("torch")):
        loader = torch.utils.data.DataLoader(columns, batch_size=2, collate_fn=collate_padded)
        assert [ids.tolist() for ids, _, _ in loader] == [[[2, 3], [0, 0]], [[4]]]
        loader = torch.utils.data.DataLoader(columns, batch_size=2, collate_fn=collate_bag)
        assert [offsets.tolist() for _, offsets, _ in loader] == [[0, 2], [0]]
        loader = torch.utils.data.DataLoader(columns, batch_size=2, collate_fn=collate_packed)
        assert [lengths.tolist() for _, lengths, _ in loader] == [[2, 0], [1]]


def test_a_batch_of_empty_texts():
    examples = [{"ids": [], "label": 0}, {"ids": [], "label": 1}]
    ids, lengths, _ = collate_padded(examples)
    assert ids.tolist() == [[0], [0]]
    assert ids.dtype == torch.int64
    assert lengths.tolist() == [1, 1]
    flat, offsets, _ = collate_bag(examples)
    assert flat.tolist() == []
    assert flat.dtype == torch.int64
    assert offsets.tolist() == [0, 0]
