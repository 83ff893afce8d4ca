"""TF-IDF of words and pairs over ids: the numbers of scikit-learn, and what is no feature."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from finetune_embed.lexical import counts
from finetune_embed.lexical.ngrams import NgramTfidf
from finetune_embed.lexical.rows import SparseRows

V = 9  # 0 is padding, 1 unknown words
TEXTS = st.lists(st.lists(st.integers(0, V + 3), max_size=8), min_size=1, max_size=8)


def packed(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([i for text in texts for i in text], dtype=np.int64)
    return ids, np.array([len(text) for text in texts], dtype=np.int64)


def fitted(texts: list[list[int]], most: int = 1000, size: int = V) -> NgramTfidf:
    return NgramTfidf.fit_transform(*packed(texts), size, 2, most)[0]


def dense(rows: SparseRows, features: int) -> np.ndarray:
    matrix = np.zeros((len(rows.starts) - 1, features), np.float32)
    for text, (start, end) in enumerate(zip(rows.starts, rows.starts[1:], strict=False)):
        matrix[text, rows.columns[start:end]] = rows.values[start:end]
    return matrix


def by_scikit_learn(train: list[list[int]], texts: list[list[int]], pairs: list[int]) -> np.ndarray:
    """The rows of `TfidfVectorizer` in our columns, with the weight of pairs, of length 1."""
    words = {str(i): i for i in range(2, V)}
    both = {f"{pair // V} {pair % V}": V + at for at, pair in enumerate(pairs)}
    columns = {**words, **both}

    def features(text: list[int]) -> list[str]:
        grams = [str(i) for i in text]
        grams += [f"{a} {b}" for a, b in itertools.pairwise(text)]
        return [gram for gram in grams if gram in columns]

    names = sorted(columns)
    vectorizer = TfidfVectorizer(
        analyzer=features, vocabulary=names, sublinear_tf=True, norm=None
    ).fit(train)
    found = vectorizer.transform(texts).toarray()
    matrix = np.zeros((len(texts), V + len(pairs)))
    for at, name in enumerate(names):
        matrix[:, columns[name]] = found[:, at]
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(norms == 0, 1, norms)


@given(train=TEXTS, texts=TEXTS, block=st.sampled_from([1, 5, counts.BLOCK]))
def test_the_numbers_are_those_of_scikit_learn(train, texts, block):
    train = [[min(i, V - 1) for i in text] for text in train]
    found = fitted(train * 2)  # every pair occurs twice
    for given_texts in (train, texts):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counts, "BLOCK", block)
            rows = found(*packed(given_texts))
        expected = by_scikit_learn(train * 2, given_texts, found.pairs.tolist())
        np.testing.assert_allclose(dense(rows, V + len(found.pairs)), expected, atol=2e-6)
        for start, end in zip(rows.starts, rows.starts[1:], strict=False):
            assert (np.diff(rows.columns[start:end]) > 0).all()


def test_the_formula():
    found = fitted([[2, 2, 3], [2, 2, 4], []])
    assert found.pairs.tolist() == [2 * V + 2]
    two = pair = 1 + np.log(4 / 3)
    assert found.idf[[2, V]].tolist() == pytest.approx([two, pair])
    assert found.idf[:2].tolist() == [0, 0]
    row = dense(found(*packed([[2, 2, 3]])), V + 1)[0]
    values = np.array([(1 + np.log(2)) * two, 1 + np.log(4 / 2), pair])
    np.testing.assert_allclose(row[[2, 3, V]], values / np.linalg.norm(values), rtol=1e-6)
    assert np.count_nonzero(row) == 3


def test_pairs_that_occur_once_and_those_with_unknown_words_are_left_out():
    found = fitted([[2, 3, 1, 4], [2, 3, 1, 4, 5], [0, 6], [0, 6], [6, 7]])
    assert found.pairs.tolist() == [2 * V + 3]
    assert fitted([[2, 3, 2, 3]]).pairs.tolist() == [2 * V + 3]  # not across a text's end either
    assert fitted([[2], [3], [2], [3]]).pairs.tolist() == []
    rows = dense(found(*packed([[1, 0, 1], [4, 5], [2, 3], [2, 1, 3]])), V + 1)
    assert not rows[0].any()
    assert rows[1].nonzero()[0].tolist() == [4, 5]
    assert rows[2].nonzero()[0].tolist() == [2, 3, V]
    assert rows[3].nonzero()[0].tolist() == [2, 3]


def test_ids_beyond_the_vocabulary_are_unknown_words():
    found = fitted([[2, 3, 4]] * 3)
    for unknown in (V, V + 1, 2 * V + 3, 10**12):
        same = found(*packed([[2, unknown, 3, 4], [unknown], [unknown, unknown]]))
        expected = found(*packed([[2, 1, 3, 4], [], []]))
        assert dense(same, V + 2).tolist() == dense(expected, V + 2).tolist()


@pytest.mark.parametrize("texts", [[], [[]], [[], []], [[], [2, 3], []]], ids=str)
def test_empty_texts(texts):
    found = fitted([[2, 3], [2, 3], []])
    rows = found(*packed(texts))
    matrix = dense(rows, V + 1)
    assert matrix.shape == (len(texts), V + 1)
    assert [bool(row.any()) for row in matrix] == [bool(text) for text in texts]
    assert len(fitted(texts or [[]]).pairs) == 0


def test_the_most_pairs_are_the_frequent_ones():
    texts = [[2, 3, 4]] * 4 + [[4, 5]] * 3 + [[6, 7], [5, 6]] * 2
    every = [2 * V + 3, 3 * V + 4, 4 * V + 5, 5 * V + 6, 6 * V + 7]
    for most, kept in ((9, every), (5, every), (4, every[:3]), (3, every[:3]), (2, every[:2])):
        assert fitted(texts, most).pairs.tolist() == kept
    for most in (1, 0, -5):  # of equally frequent ones all or none
        assert fitted(texts, most).pairs.tolist() == []
