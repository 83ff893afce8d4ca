from __future__ import annotations

import numpy as np
import pytest

from finetune_embed import EmbeddingTable, VocabularyError
from finetune_embed.lookup import SAMPLE, rows_for, start_vectors


def test_words_of_the_table_get_their_rows_to_the_bit(random_table):
    words = ["w7", "w1999", "absent", "w0"]
    vectors, found = rows_for(random_table, words)
    assert found.tolist() == [True, True, False, True]
    assert vectors.dtype == np.float32
    for row, word in ((0, "w7"), (1, "w1999"), (3, "w0")):
        assert vectors[row].tobytes() == random_table[word].tobytes()
    assert not np.shares_memory(vectors, random_table.vectors)


def test_normal_start_values_have_the_mean_and_spread_of_each_column(random_table):
    drawn = start_vectors(random_table, [f"n{i}" for i in range(20_000)], "normal", seed=0)
    assert drawn.shape == (20_000, 16)
    assert drawn.dtype == np.float32
    mean, spread = random_table.vectors.mean(0), random_table.vectors.std(0)
    # Five standard errors of a mean and of a standard deviation of 20,000 draws.
    assert (np.abs(drawn.mean(0) - mean) < 5 * spread / np.sqrt(20_000)).all()
    assert (np.abs(drawn.std(0) / spread - 1) < 5 / np.sqrt(40_000)).all()
    correlation = np.corrcoef(drawn.T) - np.eye(16)
    assert np.abs(correlation).max() < 0.04


def test_normal_start_values_depend_on_the_seed_alone(random_table):
    words = ["x", "y"]
    one = start_vectors(random_table, words, "normal", seed=3)
    np.random.seed(99)
    assert np.array_equal(one, start_vectors(random_table, words, "normal", seed=3))
    assert not np.array_equal(one, start_vectors(random_table, words, "normal", seed=4))
    assert not np.array_equal(one[0], one[1])


def test_mean(table):
    vectors, found = rows_for(table, ["x", "king", "y"], "mean")
    assert found.tolist() == [False, True, False]
    np.testing.assert_allclose(vectors[0], [0.6, 0.0, 0.4], rtol=1e-6)
    assert np.array_equal(vectors[0], vectors[2])
    assert vectors[1].tolist() == [1.0, 0.5, 0.0]


def test_zeros(table):
    vectors, _ = rows_for(table, ["x", "king"], "zeros")
    assert vectors.tolist() == [[0.0, 0.0, 0.0], [1.0, 0.5, 0.0]]


def test_a_function_is_asked_for_the_lacking_words_only(table):
    asked = []

    def oov(word):
        asked.append(word)
        return [len(word), 0, 1]

    vectors, _ = rows_for(table, ["king", "pears", "x", "queen"], oov)
    assert asked == ["pears", "x"]
    assert vectors[1].tolist() == [5.0, 0.0, 1.0]
    assert vectors[2].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("value", [[1.0], [[1.0, 2.0, 3.0]], 1.0, [1.0] * 4])
def test_a_function_that_returns_another_shape(table, value):
    shape = np.shape(value)
    message = rf"oov\('x'\) returned the shape \({', '.join(map(str, shape))},?\); the table needs"
    with pytest.raises(VocabularyError, match=message):
        rows_for(table, ["king", "x"], lambda word: value)


@pytest.mark.parametrize("words", [["king"], ["x"], []])
def test_an_unknown_start_value_is_refused_whether_needed_or_not(table, words):
    with pytest.raises(
        VocabularyError, match="oov='xavier' is no start value; use 'normal', 'mean"
    ):
        rows_for(table, words, "xavier")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_refused_where_they_are_needed(table, value):
    table.vectors[1, 2] = table.vectors[4, 0] = value
    message = r"the vectors of 2 words have values that are not finite, 'apple' \(row 4\) the first"
    with pytest.raises(VocabularyError, match=message):
        rows_for(table, ["x", "king", "apple", "queen"])
    vectors, _ = rows_for(table, ["king", "man"])
    assert vectors.tolist() == [[1.0, 0.5, 0.0], [0.5, 0.5, 0.0]]


def test_rows_that_are_not_finite_do_not_count_for_the_mean(table):
    table.vectors[4, 0] = np.nan
    vectors, _ = rows_for(table, ["x"], "mean")
    np.testing.assert_allclose(vectors, [[0.75, 0.0, 0.0]], atol=1e-7)
    drawn, _ = rows_for(table, ["x"], "normal")
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("oov", ["normal", "mean"])
def test_a_table_without_a_finite_row_has_no_mean(oov):
    table = EmbeddingTable(["a"], [[np.nan, 1.0]])
    with pytest.raises(VocabularyError, match=r"no row of .*1 words x 2.* is finite.*oov='zeros'"):
        rows_for(table, ["x"], oov)
    assert rows_for(table, ["x"], "zeros")[0].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("oov", ["normal", "mean", "zeros"])
def test_an_empty_table_gives_zeros(oov):
    table = EmbeddingTable([], np.zeros((0, 2)))
    assert rows_for(table, ["x"], oov)[0].tolist() == [[0.0, 0.0]]


def test_the_mean_of_a_large_table_is_taken_over_its_whole_length():
    rows = 3 * SAMPLE
    vectors = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    table = EmbeddingTable([str(i) for i in range(rows)], vectors)
    mean = start_vectors(table, ["x"], "mean", 0)
    np.testing.assert_allclose(mean, [[0.5]], atol=1e-4)
