"""The logits of many texts: batched by length, returned in the order of the texts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import finetune_embed as fe
from finetune_embed.data import EncodedTexts
from finetune_embed.training import inference
from finetune_embed.training.inference import forward_all

V, D = 50, 4


def texts_of(lengths: list[int]) -> EncodedTexts:
    sizes = torch.tensor(lengths)
    return EncodedTexts(torch.randint(1, V, (int(sizes.sum()),)), sizes.cumsum(0) - sizes, sizes)


class Watched(nn.Module):
    """A model that records the shape of each batch."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(ids.shape))
        return self.model(ids, lengths)


def watched(head: type[nn.Module] = fe.BagOfEmbeddings) -> tuple[Watched, str, torch.Tensor]:
    embedding = nn.Embedding(V, D, padding_idx=0)
    return Watched(head(embedding, 3)), "model.embedding.weight", embedding.weight.detach()


@pytest.mark.parametrize("head", [fe.BagOfEmbeddings, fe.KimCNN])
@pytest.mark.parametrize(("batch", "tokens"), [(512, 1 << 16), (4, 30), (1, 1), (7, 12), (99, 20)])
def test_batches_give_the_same_as_one_text_at_a_time(monkeypatch, head, batch, tokens):
    monkeypatch.setattr(inference, "BATCH", batch)
    monkeypatch.setattr(inference, "TOKENS", tokens)
    model, path, weight = watched(head)
    lengths = [5, 0, 9, 1, 31, 2, 0, 9, 9, 5, 40, 3, 1, 7]
    data = texts_of(lengths)
    logits = forward_all(model, path, weight, data)
    assert sum(rows for rows, _ in model.shapes) == len(lengths)
    assert all(rows <= batch for rows, _ in model.shapes)
    assert all(rows * longest <= tokens or rows == 1 for rows, longest in model.shapes)
    model.eval()
    with torch.no_grad():
        alone = [model(*data.padded(torch.tensor([row]))) for row in range(len(lengths))]
    torch.testing.assert_close(logits, torch.cat(alone))
    assert len({tuple(row) for row in logits.tolist()}) == len(lengths) - 1  # two are empty


@pytest.mark.parametrize("head", [fe.BiLSTMTagger, fe.CNNTagger])
@pytest.mark.parametrize(("batch", "tokens"), [(512, 1 << 16), (4, 30), (1, 1), (7, 12)])
def test_tokens_of_a_tagger_are_in_the_order_of_the_texts(monkeypatch, head, batch, tokens):
    monkeypatch.setattr(inference, "BATCH", batch)
    monkeypatch.setattr(inference, "TOKENS", tokens)
    model, path, weight = watched(head)
    lengths = [5, 0, 9, 1, 31, 2, 0, 9, 9, 5, 40, 3, 1, 7]
    data = texts_of(lengths)
    logits = forward_all(model, path, weight, data)
    assert logits.shape == (sum(lengths), 3)
    model.eval()
    with torch.no_grad():
        alone = [
            model(*data.padded(torch.tensor([row])))[0, :length]
            for row, length in enumerate(lengths)
        ]
    torch.testing.assert_close(logits, torch.cat(alone))


def test_one_long_text_does_not_pad_many_short_ones():
    model, path, weight = watched()
    lengths = [1 + row % 20 for row in range(256)]
    lengths.insert(100, 15_000)
    assert forward_all(model, path, weight, texts_of(lengths)).shape == (257, 3)
    assert model.shapes == [(256, 20), (1, 15_000)]


def test_a_text_over_the_budget_is_alone_in_its_batch():
    model, path, weight = watched()
    over = inference.TOKENS + 1
    forward_all(model, path, weight, texts_of([over, *[3] * 1030, over, 0]))
    assert model.shapes == [(512, 3), (512, 3), (7, 3), (1, over), (1, over)]


class Packed(nn.Module):
    """A bag over concatenated texts; an empty text is zeros."""

    packed = True

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, D, padding_idx=0)
        self.shapes: list[tuple[int, int]] = []

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        assert ids.dim() == 1
        self.shapes.append((len(lengths), len(ids)))
        return torch.stack([p.sum(dim=0) for p in self.embedding(ids).split(lengths.tolist())])


def test_a_model_of_packed_texts_gets_no_padding(monkeypatch):
    monkeypatch.setattr(inference, "BATCH", 5)
    monkeypatch.setattr(inference, "TOKENS", 20)
    lengths = [5, 0, 9, 1, 31, 2, 0, 9, 9, 5, 40, 3, 1, 7]
    data, model = texts_of(lengths), Packed()
    weight = model.embedding.weight.detach()
    logits = forward_all(model, "embedding.weight", weight, data)
    expected = [
        weight[data.ids[a : a + n]].sum(0) for a, n in zip(data.offsets, lengths, strict=True)
    ]
    torch.testing.assert_close(logits, torch.stack(expected))
    # 5 0 9 1 | 31 | 2 0 9 | 9 5 | 40 | 3 1 7 tokens; an empty text counts as one
    assert model.shapes == [(4, 15), (1, 31), (3, 11), (2, 14), (1, 40), (3, 11)]


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_kept(training):
    model, path, weight = watched(fe.KimCNN)
    model.train(training)
    data = texts_of([3, 1])
    assert torch.equal(*(forward_all(model, path, weight, data) for _ in range(2)))  # no dropout
    assert model.training is training
