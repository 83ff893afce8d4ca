from __future__ import annotations

import re

import numpy as np
import pytest

from finetune_embed import EmbeddingTable, Special, VocabularyError
from finetune_embed.vocabulary import look_up_vectors, special_vector
from finetune_embed.vocabulary.start_values import SAMPLE, start_vectors


class Lengths:
    """Composes words of four letters and more, as their length, 1 and 2."""

    def compose(self, words):
        could = np.array([len(word) > 3 for word in words], bool)
        vectors = np.array([[len(word), 1, 2] for word in words], np.float32).reshape(-1, 3)
        return vectors * could[:, None], could


def test_words_of_the_table_get_bit_identical_rows(random_table):
    words = ["w7", "w1999", "absent", "w0"]
    vectors, found = look_up_vectors(random_table, words)
    assert found.rows.tolist() == [7, 1999, -1, 0]
    assert found.step_of_each_word("-") == ["exact", "exact", "-", "exact"]
    assert vectors.dtype == np.float32
    for row, word in ((0, "w7"), (1, "w1999"), (3, "w0")):
        assert vectors[row].tobytes() == random_table[word].tobytes()
    assert not np.shares_memory(vectors, random_table.vectors)


def test_normal_start_values_match_the_mean_and_deviation_of_each_column(random_table):
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
    vectors, found = look_up_vectors(table, ["x", "king", "y"], "mean")
    assert found.is_found.tolist() == [False, True, False]
    np.testing.assert_allclose(vectors[0], [0.6, 0.0, 0.4], rtol=1e-6)
    assert np.array_equal(vectors[0], vectors[2])
    assert vectors[1].tolist() == [1.0, 0.5, 0.0]


def test_zeros(table):
    vectors, _ = look_up_vectors(table, ["x", "king"], "zeros")
    assert vectors.tolist() == [[0.0, 0.0, 0.0], [1.0, 0.5, 0.0]]


def test_a_function_is_called_for_missing_words_only(table):
    asked = []

    def oov(word):
        asked.append(word)
        return [len(word), 0, 1]

    vectors, _ = look_up_vectors(table, ["king", "pears", "x", "queen"], oov)
    assert asked == ["pears", "x"]
    assert vectors[1].tolist() == [5.0, 0.0, 1.0]
    assert vectors[2].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("value", [[1.0], [[1.0, 2.0, 3.0]], 1.0, [1.0] * 4, [1.0, np.nan, 3.0]])
def test_a_function_that_returns_another_shape_or_a_value_not_finite(table, value):
    shape = np.shape(value)
    fault = "values that are not finite" if shape == (3,) else f"the shape {shape}, not (3,)"
    message = f"oov('x') returned a vector that has {fault}; return 3 finite numbers"
    with pytest.raises(VocabularyError, match=re.escape(message)):
        look_up_vectors(table, ["king", "x"], lambda word: value)
    with pytest.raises(
        VocabularyError, match=re.escape(f"Special('<m>'): start('<m>') {message[9:]}")
    ):
        special_vector(table, Special("<m>", lambda token: value), 0)


@pytest.mark.parametrize("words", [["king"], ["x"], []])
def test_an_unknown_start_value_is_refused_whether_needed_or_not(table, words):
    with pytest.raises(
        VocabularyError, match="oov='xavier' is not a start value; choose 'normal', 'mean"
    ):
        look_up_vectors(table, words, "xavier")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_refused_where_they_are_needed(table, value):
    table.vectors[1, 2] = table.vectors[4, 0] = value
    message = (
        r"2 words have vectors that are not finite, the first is 'apple' \(row 4\); leave them "
        r"out: table.subset\("
    )
    with pytest.raises(VocabularyError, match=message):
        look_up_vectors(table, ["x", "king", "apple", "queen"])
    vectors, _ = look_up_vectors(table, ["king", "man"])
    assert vectors.tolist() == [[1.0, 0.5, 0.0], [0.5, 0.5, 0.0]]


def test_rows_that_are_not_finite_do_not_count_for_the_mean(table):
    table.vectors[4, 0] = np.nan
    vectors, _ = look_up_vectors(table, ["x"], "mean")
    np.testing.assert_allclose(vectors, [[0.75, 0.0, 0.0]], atol=1e-7)
    drawn, _ = look_up_vectors(table, ["x"], "normal")
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("oov", ["normal", "mean"])
def test_a_table_without_a_finite_row_has_no_mean(oov):
    table = EmbeddingTable(["a"], [[np.nan, 1.0]])
    with pytest.raises(
        VocabularyError, match=r"no row of .*1 words x 2.* is finite, .*; pass oov='zeros'"
    ):
        look_up_vectors(table, ["x"], oov)
    assert look_up_vectors(table, ["x"], "zeros")[0].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("oov", ["normal", "mean", "zeros"])
def test_an_empty_table_gives_zeros(oov):
    table = EmbeddingTable([], np.zeros((0, 2)))
    assert look_up_vectors(table, ["x"], oov)[0].tolist() == [[0.0, 0.0]]


def test_the_mean_of_a_large_table_samples_all_of_it():
    rows = 3 * SAMPLE
    vectors = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    table = EmbeddingTable([str(i) for i in range(rows)], vectors)
    mean = start_vectors(table, ["x"], "mean", 0)
    np.testing.assert_allclose(mean, [[0.5]], atol=1e-4)


# Other forms, and vectors from subwords


def test_a_word_starts_at_the_row_of_its_other_form(table):
    words = ["King", "QUEEN", "x", "man", "apple."]
    vectors, found = look_up_vectors(table, words, "zeros", fallback=("lower", "strip_punctuation"))
    assert found.step_of_each_word("-") == ["lower", "lower", "-", "exact", "strip_punctuation"]
    assert vectors.tolist() == [
        [1.0, 0.5, 0.0],
        [1.0, -0.5, 0.0],
        [0.0, 0.0, 0.0],
        [0.5, 0.5, 0.0],
        [0.0, 0.0, 2.0],
    ]


def test_the_draw_for_missing_words_does_not_depend_on_the_others(table):
    vectors, _ = look_up_vectors(table, ["King", "x", "y"], seed=3, fallback=("lower",))
    assert np.array_equal(vectors[1:], start_vectors(table, ["x", "y"], "normal", 3))


def test_the_chain_composes_words(table):
    table.subwords = Lengths()
    words = ["King", "kingdom", "x", "king", "manly"]
    vectors, found = look_up_vectors(table, words, "zeros", fallback=("lower", "subwords"))
    assert found.step_of_each_word("-") == ["lower", "subwords", "-", "exact", "subwords"]
    assert vectors[[1, 2, 4]].tolist() == [[7.0, 1.0, 2.0], [0.0, 0.0, 0.0], [5.0, 1.0, 2.0]]


def test_subwords_as_the_start_value_and_normal_if_impossible(table):
    table.subwords = Lengths()
    vectors, found = look_up_vectors(table, ["x", "kingdom", "y", "king"], "subwords", seed=5)
    assert found.step_of_each_word("-") == ["-", "-", "-", "exact"]
    assert vectors[1].tolist() == [7.0, 1.0, 2.0]
    drawn = start_vectors(table, ["x", "y"], "normal", 5)
    assert np.array_equal(vectors[[0, 2]], drawn)
    table.subwords = None
    with pytest.raises(VocabularyError, match="oov='subwords' needs subword vectors, which E"):
        look_up_vectors(table, ["x"], "subwords")


def test_composed_vectors_that_are_not_finite(table):
    class Broken:
        def compose(self, words):
            return np.full((len(words), 3), np.inf, np.float32), np.ones(len(words), bool)

    table.subwords = Broken()
    message = "1 words have subword vectors that are not finite, the first is 'x'; do without 'subw"
    with pytest.raises(VocabularyError, match=f"{message}ords' in fallback"):
        look_up_vectors(table, ["king", "x"], fallback=("subwords",))
    with pytest.raises(VocabularyError, match=f"{message}ords' in oov"):
        look_up_vectors(table, ["king", "x"], "subwords")
