from __future__ import annotations

import numpy as np
import pytest

from finetune_embed import EmbeddingTable, Special, VocabularyError
from finetune_embed.vocabulary import rows_for, special_vector
from finetune_embed.vocabulary.initial_vectors import SAMPLE, start_vectors


class Lengths:
    """Composes words of four letters and more, as their length, 1 and 2."""

    def compose(self, words):
        could = np.array([len(word) > 3 for word in words], bool)
        vectors = np.array([[len(word), 1, 2] for word in words], np.float32).reshape(-1, 3)
        return vectors * could[:, None], could


def test_words_of_the_table_get_their_rows_to_the_bit(random_table):
    words = ["w7", "w1999", "absent", "w0"]
    vectors, found = rows_for(random_table, words)
    assert found.row.tolist() == [7, 1999, -1, 0]
    assert found.step_names("-") == ["exact", "exact", "-", "exact"]
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
    assert found.any.tolist() == [False, True, False]
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


@pytest.mark.parametrize("value", [[1.0], [[1.0, 2.0, 3.0]], 1.0, [1.0] * 4, [1.0, np.nan, 3.0]])
def test_a_function_that_returns_another_shape_or_what_is_not_finite(table, value):
    shape = np.shape(value)
    told = ", ".join(map(str, shape))
    message = rf"oov\('x'\) returned the shape \({told},?\); the table needs .* finite"
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


# Other forms, and vectors from subwords


def test_other_forms_start_at_the_row_of_the_form(table):
    words = ["King", "QUEEN", "x", "man", "apple."]
    vectors, found = rows_for(table, words, "zeros", fallback=("lower", "strip_punctuation"))
    assert found.step_names("-") == ["lower", "lower", "-", "exact", "strip_punctuation"]
    assert vectors.tolist() == [
        [1.0, 0.5, 0.0],
        [1.0, -0.5, 0.0],
        [0.0, 0.0, 0.0],
        [0.5, 0.5, 0.0],
        [0.0, 0.0, 2.0],
    ]


def test_the_rest_is_drawn_as_if_nothing_else_were_asked_for(table):
    vectors, _ = rows_for(table, ["King", "x", "y"], seed=3, fallback=("lower",))
    assert np.array_equal(vectors[1:], start_vectors(table, ["x", "y"], "normal", 3))


def test_words_composed_by_the_chain(table):
    table.subwords = Lengths()
    words = ["King", "kingdom", "x", "king", "manly"]
    vectors, found = rows_for(table, words, "zeros", fallback=("lower", "subwords"))
    assert found.step_names("-") == ["lower", "subwords", "-", "exact", "subwords"]
    assert vectors[[1, 2, 4]].tolist() == [[7.0, 1.0, 2.0], [0.0, 0.0, 0.0], [5.0, 1.0, 2.0]]


def test_subwords_as_the_start_value_and_normal_where_they_cant(table):
    table.subwords = Lengths()
    vectors, found = rows_for(table, ["x", "kingdom", "y", "king"], "subwords", seed=5)
    assert found.step_names("-") == ["-", "-", "-", "exact"]
    assert vectors[1].tolist() == [7.0, 1.0, 2.0]
    drawn = start_vectors(table, ["x", "y"], "normal", 5)
    assert np.array_equal(vectors[[0, 2]], drawn)
    table.subwords = None
    with pytest.raises(VocabularyError, match="oov='subwords' needs a table with rows of subw"):
        rows_for(table, ["x"], "subwords")


def test_composed_vectors_that_are_not_finite(table):
    class Broken:
        def compose(self, words):
            return np.full((len(words), 3), np.inf, np.float32), np.ones(len(words), bool)

    table.subwords = Broken()
    with pytest.raises(VocabularyError, match=r"1 words have .* not finite, 'x' the first"):
        rows_for(table, ["king", "x"], fallback=("subwords",))


# Special tokens


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (None, [1.0, 0.5, 0.0]),
        ("zeros", [0.0, 0.0, 0.0]),
        ("subwords", [4.0, 1.0, 2.0]),
        ([3, 2, 1], [3.0, 2.0, 1.0]),
        (np.array([3.0, 2.0, 1.0]), [3.0, 2.0, 1.0]),
        (lambda token: [len(token), 0, 1], [4.0, 0.0, 1.0]),
    ],
)
def test_where_a_special_token_starts(table, start, expected):
    table.subwords = Lengths()
    assert special_vector(table, Special("king", start), 0).tolist() == expected
    lacking = special_vector(table, Special("pear", start), 0).tolist()
    assert lacking == ([0.0, 0.0, 0.0] if start is None else expected)


def test_special_tokens_at_the_mean_and_drawn(table):
    mean = special_vector(table, Special("<m>", "mean"), 0)
    np.testing.assert_allclose(mean, [0.6, 0.0, 0.4], rtol=1e-6)
    one, same, other = (special_vector(table, Special("<m>", "normal"), (0, n)) for n in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, start_vectors(table, ["x"], "normal", 0)[0])


@pytest.mark.parametrize("start", [[1, 2], [[1, 2, 3]], [np.nan, 0, 0], 1.0])
def test_a_special_token_whose_vector_does_not_fit(table, start):
    message = r"start of Special\('<m>'\) has the shape .*; the table needs \(3,\) finite values"
    with pytest.raises(VocabularyError, match=message):
        special_vector(table, Special("<m>", start), 0)


def test_special_tokens_that_cant_be():
    for token in ("", " ", "a\ud800", None):
        with pytest.raises(VocabularyError, match="can't be a special token; pass a string with"):
            Special(token)
    with pytest.raises(VocabularyError, match="'<pad>' can't be a special token"):
        Special("<pad>")
    with pytest.raises(
        VocabularyError, match=r"Special\('<m>', start=...\): start='uniform' is no"
    ):
        Special("<m>", "uniform")
