"""Encoded texts, and batches of encoded examples."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
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
)
from finetune_embed.vocabulary import tokenize_texts

VOCAB = Vocabulary({"a": 3, "b": 2, "c": 1})  # ids 2, 3, 4


def padded_slowly(texts: list[list[str]], rows: list[int], longest: int | None) -> list[list[int]]:
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
    assert ids.tolist() == padded_slowly(texts, rows, longest)
    assert lengths.tolist() == [max(1, len(texts[row][:longest])) for row in rows]
    assert ids.dtype == lengths.dtype == torch.int64
    flat, sizes = encoded.packed(torch.tensor(rows))
    assert sizes.tolist() == [len(texts[row][:longest]) for row in rows]
    assert flat.tolist() == [
        i for row in rows for i in padded_slowly(texts, [row], longest)[0] if i
    ]
    assert flat.dtype == sizes.dtype == torch.int64


def test_an_empty_batch_packed():
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


def test_tokenized_texts_are_encoded_the_same():
    texts = ["a b x", "", "c"]
    plain = EncodedTexts.of(texts, VOCAB, max_length=2)
    found = EncodedTexts.of(tokenize_texts(texts, VOCAB.tokenizer), VOCAB, max_length=2)
    assert found.ids.tolist() == plain.ids.tolist() == [2, 3, 1, 4]
    assert found.offsets.tolist() == plain.offsets.tolist() == [0, 3, 3]
    assert found.lengths.tolist() == plain.lengths.tolist() == [2, 0, 1]
    assert found.lengths.dtype == torch.int64


def test_encoded_texts_have_labels():
    labels = torch.tensor([1, 0])
    encoded = EncodedTexts.of(["a", "b c"], VOCAB, labels)
    assert encoded.labels is labels
    assert encoded.ids.tolist() == [2, 3, 4]
    assert encoded.offsets.tolist() == [0, 1]
    assert encoded.lengths.tolist() == [1, 2]


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
