from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import DataError
from finetune_embed.data import (
    MOST_PADDED,
    batch_indices,
    split_by_tokens,
    token_batches,
    without_waste,
)

LENGTHS = st.lists(st.integers(0, 40), max_size=60).map(
    lambda lengths: torch.tensor(lengths, dtype=torch.int64)
)


def tokens(lengths: torch.Tensor, texts: torch.Tensor, padded: bool) -> int:
    sizes = lengths[texts].clamp(min=1).tolist()
    return len(sizes) * max(sizes) if padded else sum(sizes)


@pytest.mark.parametrize("padded", [True, False])
@given(lengths=LENGTHS, most=st.integers(1, 100), epoch=st.integers(0, 3))
def test_every_text_once_and_never_too_many_tokens(padded, lengths, most, epoch):
    batches = token_batches(lengths, most, 1, epoch, padded)
    texts = torch.cat(batches) if batches else torch.zeros(0)
    assert sorted(texts.tolist()) == list(range(len(lengths)))
    assert all(len(batch) for batch in batches)
    for batch in batches:
        assert tokens(lengths, batch, padded) <= most or len(batch) == 1
    again = token_batches(lengths, most, 1, epoch, padded)
    assert [batch.tolist() for batch in again] == [batch.tolist() for batch in batches]


@pytest.mark.parametrize("padded", [True, False])
@given(lengths=LENGTHS, most=st.integers(1, 100), size=st.integers(1, 9))
def test_a_split_keeps_the_order_and_ends_a_batch_only_where_it_is_full(
    padded, lengths, most, size
):
    texts = torch.arange(len(lengths)).flip(0)
    batches = split_by_tokens(texts, lengths, most, padded, size)
    assert [text for batch in batches for text in batch.tolist()] == texts.tolist()
    for batch, following in pairwise(batches):
        assert len(batch) <= size
        longer = torch.cat([batch, following[:1]])
        assert len(batch) == size or tokens(lengths, longer, padded) > most


@pytest.mark.parametrize("padded", [True, False])
def test_each_epoch_has_a_new_order(padded):
    lengths = torch.arange(200) % 23
    epochs = [token_batches(lengths, 100, 5, epoch, padded) for epoch in range(4)]
    assert len({tuple(torch.cat(batches).tolist()) for batches in epochs}) == 4
    together = [{frozenset(batch.tolist()) for batch in batches} for batches in epochs]
    assert len(together[0] & together[1]) <= 1  # the texts that go together differ, too
    other = token_batches(lengths, 100, 6, 0, padded)
    assert torch.cat(other).tolist() != torch.cat(epochs[0]).tolist()


def test_the_order_is_pinned():
    """An interrupted run that is resumed later must see the same batches."""
    lengths = torch.tensor([3, 1, 0, 7, 2, 2, 9, 5])
    assert [batch.tolist() for batch in token_batches(lengths, 8, 0, 1, True)] == [
        [1],
        [7],
        [2, 5],
        [6],
        [3],
        [0, 4],
    ]
    assert [batch.tolist() for batch in token_batches(lengths, 8, 0, 1, False)] == [
        [1, 3],
        [7],
        [6],
        [0, 4, 2, 5],
    ]


def test_padding_puts_texts_of_similar_length_together():
    generator = torch.Generator().manual_seed(0)
    lengths = (torch.rand(5_000, generator=generator) ** 3 * 400).long() + 1
    batches = token_batches(lengths, 4_096, 0, 0, padded=True)
    padding = sum(tokens(lengths, batch, True) for batch in batches) / int(lengths.sum())
    at_random = torch.split(torch.randperm(5_000), 40)
    assert padding < 1.08
    assert sum(tokens(lengths, batch, True) for batch in at_random) / int(lengths.sum()) > 3
    assert int(lengths.sum()) / len(batches) > 0.9 * 4_096  # and batches are full
    longest = torch.stack([lengths[batch].max() for batch in batches]).double()
    half = len(batches) // 2
    assert 0.6 < longest[:half].mean() / longest[half:].mean() < 1.6  # not short ones first


def test_batches_without_padding_are_random_samples():
    lengths = torch.arange(2_000) % 100 + 1
    batches = token_batches(lengths, 2_000, 0, 0, padded=False)
    sizes = torch.tensor([len(batch) for batch in batches[:-1]])
    assert 30 <= sizes.min() <= sizes.max() <= 55  # 40 on average
    assert int(lengths.sum()) / len(batches) > 0.96 * 2_000


@pytest.mark.parametrize("most", [0, -1])
def test_max_tokens_is_1_or_more(most):
    with pytest.raises(DataError, match=rf"max_tokens={most} must be 1 or more"):
        token_batches(torch.tensor([1]), most, 0, 0, True)


@pytest.mark.parametrize(("texts", "size"), [(10, 3), (9, 3), (2, 5), (1, 1)])
def test_batches_hold_every_text_once(texts, size):
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


@pytest.mark.parametrize(
    ("lengths", "parts"),
    [
        ([5] * 64, 1),
        ([1024] * 64, 1),  # exactly as many as may be padded
        ([4000] * 64, 1),  # no padding: as large as was asked for
        ([200] * 60 + [800] * 4, 1),
        ([5] * 63 + [1024], 1),
        ([5] * 63 + [1025], 2),
        ([5] * 63 + [20_000], 2),
        ([0] * 63 + [70_000], 2),
        ([5, 20_000] + [7] * 60 + [30_000, 40_000], 3),
        ([3000], 1),
        ([], 0),
    ],
)
def test_a_long_text_does_not_pad_many_short_ones(lengths, parts):
    sizes = torch.tensor([9, *lengths, 9])
    texts = torch.randperm(len(lengths)) + 1
    found = without_waste(texts, sizes)
    assert len(found) == parts
    if parts == 1:
        assert torch.equal(found[0], texts)
    assert sorted(at for part in found for at in part.tolist()) == list(range(1, len(lengths) + 1))
    for part in found if parts > 1 else []:
        longest = int(sizes[part].max())
        assert len(part) * longest <= MOST_PADDED or len(part) == 1
