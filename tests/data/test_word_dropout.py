from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import DataError, Vocabulary
from finetune_embed.data import EncodedTexts, drop_words


def texts_of(lengths: list[int]) -> EncodedTexts:
    """Return texts with the tokens 2, 3, 4 ..., each of which shows its position."""
    sizes = torch.tensor(lengths, dtype=torch.int64)
    return EncodedTexts(torch.arange(int(sizes.sum())) + 2, sizes.cumsum(0) - sizes, sizes)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=9),
    st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    st.integers(0, 99),
)
def test_kept_words_keep_their_text_and_order(lengths, p, seed):
    data = texts_of(lengths)
    ids, sizes = data.packed(torch.arange(len(lengths)))
    kept, left = drop_words(ids, sizes, p, seeded(seed))
    assert kept.dtype == left.dtype == torch.int64
    assert [size > 0 for size in left.tolist()] == [size > 0 for size in lengths]
    for before, after in zip(ids.split(lengths), kept.split(left.tolist()), strict=True):
        assert after.tolist() == sorted(set(after.tolist()) & set(before.tolist()))
        assert len(before) or not len(after)
    if p == 0:
        assert kept.tolist() == ids.tolist()
    if p == 1:
        assert left.tolist() == [min(1, size) for size in lengths]
    assert ids.tolist() == data.ids.tolist()  # the input does not change


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(0, 99))
def test_padded_texts_lose_the_same_words_to_unk(lengths, seed):
    data, rows = texts_of(lengths), torch.arange(len(lengths))
    kept, left = drop_words(*data.packed(rows), 0.5, seeded(seed))
    padded, sizes = data.padded(rows)
    before = padded.clone()
    ids, same = drop_words(padded, sizes, 0.5, seeded(seed))
    assert torch.equal(padded, before)
    assert same.tolist() == lengths
    assert ids[ids > 1].tolist() == kept.tolist()
    assert (ids > 1).sum(dim=1).tolist() == left.tolist()
    assert torch.equal(ids == 0, padded == 0)  # padding stays padding
    assert set(ids[(ids != padded)].tolist()) <= {Vocabulary.unk_idx}
    places = ids > 1
    assert torch.equal(ids[places], padded[places])


def test_an_empty_text_stays_a_position_of_padding():
    data = texts_of([0, 3, 0])
    for p in (0.3, 1.0):
        ids, lengths = drop_words(*data.padded(torch.arange(3)), p, seeded())
        assert ids[[0, 2]].tolist() == [[0, 0, 0]] * 2
        assert lengths.tolist() == [1, 3, 1]
    empty = torch.zeros(0, dtype=torch.int64)
    for lengths in (empty, torch.tensor([0, 0])):
        ids, left = drop_words(empty, lengths, 0.3, seeded())
        assert ids.tolist() == []
        assert ids.dtype == left.dtype == torch.int64
        assert left.tolist() == lengths.tolist()


@pytest.mark.parametrize("p", [0.1, 0.3, 0.7])
def test_each_word_is_dropped_with_the_probability(p):
    lengths = torch.full((200,), 500)
    ids = torch.arange(100_000)
    kept, left = drop_words(ids, lengths, p, seeded())
    spread = (p * (1 - p) / 100_000) ** 0.5
    assert abs(1 - len(kept) / 100_000 - p) < 4 * spread
    by_text = 1 - left.double() / 500
    assert by_text.std() == pytest.approx((p * (1 - p) / 500) ** 0.5, rel=0.3)
    by_place = torch.bincount(kept % 500, minlength=500).double() / 200
    assert by_place.mean() == pytest.approx(1 - p, abs=4 * spread)
    assert by_place.std() == pytest.approx((p * (1 - p) / 200) ** 0.5, rel=0.3)


def test_any_word_may_be_the_one_that_is_kept():
    left = torch.cat(
        [
            drop_words(torch.arange(4), torch.tensor([4]), 1.0, seeded(seed))[0]
            for seed in range(400)
        ]
    )
    assert len(left) == 400
    assert torch.bincount(left, minlength=4).min() > 60  # 100 each on average


def test_the_result_depends_only_on_the_generator():
    ids, lengths = torch.arange(50), torch.tensor([20, 30])
    once, _ = drop_words(ids, lengths, 0.5, seeded(3))
    torch.rand(7)
    assert torch.equal(drop_words(ids, lengths, 0.5, seeded(3))[0], once)
    one = seeded(3)
    drop_words(ids, lengths, 0.5, one)
    assert not torch.equal(drop_words(ids, lengths, 0.5, one)[0], once)
    torch.manual_seed(3)
    assert torch.equal(drop_words(ids, lengths, 0.5)[0], once)


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_p_is_a_probability(p):
    with pytest.raises(DataError, match=rf"p={p} must be a probability from 0 to 1"):
        drop_words(torch.arange(2), torch.tensor([2]), p)
