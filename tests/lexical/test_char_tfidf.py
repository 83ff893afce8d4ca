"""TF-IDF of the characters of words: the numbers of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from finetune_embed.lexical import counts
from finetune_embed.lexical.chars import CharTfidf, char_ngrams
from finetune_embed.lexical.counts import Counts
from finetune_embed.lexical.rows import SparseRows, side_by_side

WORDS = ["", "a", "of", "cat", "cats", "catcat", "aaaaaa", "été", "\udcff\x00", "\U0001f600"]
TEXTS = st.lists(st.lists(st.integers(0, len(WORDS) - 1), max_size=7), min_size=1, max_size=9)


def packed(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    numbers = np.array([i for text in texts for i in text], dtype=np.int64)
    return numbers, np.array([len(text) for text in texts], dtype=np.int64), WORDS


def dense(rows: SparseRows, features: int) -> np.ndarray:
    matrix = np.zeros((len(rows.starts) - 1, features))
    for text, (start, end) in enumerate(zip(rows.starts, rows.starts[1:], strict=False)):
        matrix[text, rows.columns[start:end]] = rows.values[start:end]
    return matrix


def test_the_ngrams_of_a_word():
    assert char_ngrams("words") == [" wor", "word", "ords", "rds "]
    assert char_ngrams("of") == [" of "]
    assert char_ngrams("a") == [" a  "]
    assert char_ngrams("") == []


@pytest.mark.parametrize("block", [1, 5, counts.BLOCK])
@given(train=TEXTS, texts=TEXTS)
def test_the_numbers_are_those_of_scikit_learn(block, train, texts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "BLOCK", block)
        found, rows = CharTfidf.fit_transform(*packed(train), 1000)
        again = found(*packed(train))
        others = found(*packed(texts))
    assert all(np.array_equal(*both) for both in zip(rows, again, strict=True))

    def ngrams(text: list[int]) -> list[str]:
        return [one for number in text for one in char_ngrams(WORDS[number])]

    having: dict[str, int] = {}
    for text in train:
        for one in set(ngrams(text)):
            having[one] = having.get(one, 0) + 1
    assert set(found.ngrams) == {one for one, count in having.items() if count > 1}
    if not found.ngrams:
        assert rows.starts.tolist() == [0] * (len(train) + 1)
        return
    options: Any = {"analyzer": ngrams, "vocabulary": list(found.ngrams)}
    theirs = TfidfVectorizer(sublinear_tf=True, **options).fit(train)
    for ours, given_texts in ((rows, train), (others, texts)):
        expected = theirs.transform(given_texts).toarray()
        np.testing.assert_allclose(dense(ours, len(found.ngrams)), expected, atol=1e-6)


def test_ngrams_that_fewer_texts_have_are_left_out():
    numbers, lengths, words = packed([[3], [3], [3, 5], [5], [4]])
    found, _ = CharTfidf.fit_transform(numbers, lengths, words, 1000)
    assert sorted(found.ngrams) == [" cat", "atca", "cat ", "catc", "tcat"]
    few, rows = CharTfidf.fit_transform(numbers, lengths, words, 1)
    assert few.ngrams == [" cat"]  # which all five texts have
    assert rows.values.tolist() == [1.0] * 5
    none, rows = CharTfidf.fit_transform(numbers, lengths, words, -3)
    assert (none.ngrams, rows.columns.tolist()) == ([], [])


def test_two_matrices_side_by_side():
    left = Counts(np.array([0, 2, 1]), np.array([1, 1, 1]), np.array([0, 2, 2, 3]))
    right = Counts(np.array([1, 0]), np.array([1, 1]), np.array([0, 1, 1, 2]))
    one = np.ones(3, np.float32)
    rows = side_by_side(left.weighted(one), right.weighted(one[:2]), 3)
    half = 0.5**0.5
    expected = [[0.5, 0, 0.5, 0, half], [0] * 5, [0, half, 0, half, 0]]
    np.testing.assert_allclose(dense(rows, 5), expected, rtol=1e-6)
