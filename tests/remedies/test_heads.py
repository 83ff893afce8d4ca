"""The remedies for heads are followed."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from following import follows
from torch import nn

import finetune_embed as fe
from finetune_embed.errors import DataError


@follows("heads/cnn.py", "the second channel has")
def test_a_second_channel_of_another_table(table):
    vocab = fe.Vocabulary.from_texts(["a king", "the queen", "a man"])
    head = fe.KimCNN(fe.to_embedding(table, vocab), num_labels=2, channels=2)
    head.embedding = fe.to_embedding(table, fe.Vocabulary.from_texts(["king"]))
    remedy = r": head=lambda embedding, num_labels: KimCNN\(embedding, num_labels, channels=2\)$"
    with pytest.raises(DataError, match=remedy):
        head(torch.tensor([[2]]), torch.tensor([1]))
    data = Dataset.from_dict({"text": ["a king", "the queen"] * 8, "label": ["x", "y"] * 8})
    made = fe.finetune(
        table,
        data,
        head=lambda embedding, num_labels: fe.KimCNN(embedding, num_labels, channels=2),
        epochs=1,
    )
    assert made.model.start is not None


DATA = Dataset.from_dict({"text": ["a king", "the queen"] * 8, "label": ["x", "y"] * 8})


@follows("training/tasks/base.py", "outputs, but {reason}")
def test_a_head_with_other_outputs(table):
    remedy = r"; build it with 2, or pass a function that .*: head=lambda embedding, num_labels: "
    with pytest.raises(DataError, match=remedy):
        fe.finetune(table, DATA, head=fe.BagOfEmbeddings(nn.Embedding(2, 3), 5), epochs=1)
    fe.finetune(table, DATA, head=fe.BagOfEmbeddings(nn.Embedding(2, 3), 2), epochs=1)
    made = fe.finetune(
        table,
        DATA,
        head=lambda embedding, num_labels: fe.BagOfEmbeddings(embedding, num_labels),
        epochs=1,
    )
    assert made.labels == ["x", "y"]


@follows("training/build_model.py", "cannot be called with two arguments")
def test_a_head_function_of_one_argument(table):
    remedy = r"; write it as head\(embedding, num_labels\), which returns a module$"
    with pytest.raises(DataError, match=remedy):
        fe.finetune(table, DATA, head=lambda embedding: fe.KimCNN(embedding, 2), epochs=1)

    def head(embedding, num_labels):
        return fe.KimCNN(embedding, num_labels)

    assert fe.finetune(table, DATA, head=head, epochs=1).labels == ["x", "y"]


@follows("heads/options.py", "must be an nn.Embedding")
def test_a_head_over_a_table(table):
    with pytest.raises(DataError, match=r"; make one from a table: to_embedding\(table, vocab\)$"):
        fe.KimCNN(table, 2)
    vocab = fe.Vocabulary.from_texts(["a king"])
    assert fe.KimCNN(fe.to_embedding(table, vocab), 2).output.out_features == 2
