"""Counts of features: the compiled loops give what `collections.Counter` and numpy give."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed.lexical import chars, counts
from finetune_embed.lexical.chars import CharTfidf, ngrams_of
from finetune_embed.lexical.counts import Counts, Pairs, Parts

V = 300  # so that sorting takes more than one byte
TEXTS = st.lists(st.lists(st.integers(0, V + 9), max_size=40), max_size=5)
KEYS = st.sets(st.integers(0, V * V - 1), max_size=60)

compiled = pytest.mark.skipif(counts.native is None, reason="the loops were not built here")


def packed(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([i for text in texts for i in text], np.int64)
    return ids, np.array([len(text) for text in texts], np.int64)


def rows(found: Counts) -> list[dict[int, int]]:
    columns, numbers = found.columns.tolist(), found.counts.tolist()
    ends = pairwise(found.starts.tolist())
    return [dict(zip(columns[a:b], numbers[a:b], strict=True)) for a, b in ends]


def in_numpy(both: Pairs | Parts, texts: list[list[int]]) -> Counts:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "native", None)
        return both.counts(*packed(texts))


def assert_equal(ours: Counts, theirs: Counts, features: int) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert (one.dtype, one.tolist()) == (np.int64, other.tolist())
    idf = np.random.default_rng(0).random(features, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        weights = ours.weighted(idf).values
        patch.setattr(counts, "native", None)
        assert weights.tobytes() == ours.weighted(idf).values.tobytes()


@compiled
@given(texts=TEXTS, keys=KEYS, near=st.booleans())
def test_words_and_pairs(texts, keys, near):
    if near:  # pairs that are there
        keys = keys | {a * V + b for text in texts for a, b in pairwise(text) if a < V > b}
    pairs = Pairs(V, np.array(sorted(keys), np.int64))
    found = pairs.counts(*packed(texts))
    place = {key: V + at for at, key in enumerate(sorted(keys))}
    expected = [
        Counter(i for i in text if i < V)
        + Counter(place[a * V + b] for a, b in pairwise(text) if b < V > a and a * V + b in place)
        for text in texts
    ]
    assert rows(found) == expected
    assert_equal(found, in_numpy(pairs, texts), V + len(keys))


@compiled
@given(
    texts=st.lists(st.lists(st.integers(0, 4), max_size=30), max_size=5),
    words=st.lists(st.lists(st.integers(0, 70_000), max_size=9), min_size=5, max_size=5),
)
def test_parts_of_words(texts, words):
    parts = Parts(
        np.array([part for word in words for part in word], np.int64),
        np.cumsum([0, *map(len, words)]),
        70_001,
    )
    found = parts.counts(*packed(texts))
    assert rows(found) == [Counter(part for word in text for part in words[word]) for text in texts]
    assert_equal(found, in_numpy(parts, texts), 70_001)


@compiled
def test_an_index_without_a_free_slot_is_searched_once():
    keys, slots = np.array([20 + 1, 40 + 3]), np.array([0, 1] * 2, np.int32)
    ids = np.array([1, 1, 2, 3, 4], np.int64)  # its pairs: the first key, none, the second, none
    columns, numbers, starts = np.zeros(9, np.int64), np.zeros(9, np.int64), np.zeros(2, np.int64)
    buffers = ids, np.array([5]), columns, numbers, starts, keys, slots
    count = counts.native.count_words(*buffers, 20)
    assert columns[:count].tolist() == [1, 2, 3, 4, 20, 21]
    assert numbers[:count].tolist() == [2, 1, 1, 1, 1, 1]


@compiled
def test_numbers_as_keys_do_not_collide():
    """Slots are by a secret hash, so that no file can hold keys that all want the same one."""
    keys = np.arange(3000, dtype=np.int64) << 32
    slots = counts.slots_of(keys)
    taken = np.flatnonzero(slots >= 0)
    assert sorted(slots[taken].tolist()) == list(range(3000))
    runs = np.split(taken, np.flatnonzero(np.diff(taken) > 1) + 1)
    assert max(map(len, runs)) < 100  # slots in a row without a free one


WORDS = ["", "a", "of", "cat", "cats", "catcat", "aaaaaa", "été", "\udcff\x00", "\U0001f600 x"]


@compiled
@given(st.lists(st.sampled_from(WORDS) | st.text("abc ", max_size=9), max_size=9))
def test_ngrams_of_words(words):
    ours = chars._all_ngrams(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "native", None)
        theirs = chars._all_ngrams(words)
    assert ngrams_of(ours[0]) == ngrams_of(theirs[0])
    assert [part.tolist() for part in ours[1][:2]] == [part.tolist() for part in theirs[1][:2]]
    half = CharTfidf(ours[0][::2].copy(), np.ones(0, np.float32))
    found = half.parts(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "native", None)
        expected = half.parts(words)
    assert [part.tolist() for part in found[:2]] == [part.tolist() for part in expected[:2]]
