"""The remedies for heads are followed."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from following import follows

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
