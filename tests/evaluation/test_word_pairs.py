"""Agreement with human scores of word pairs: against gensim, and the files it reads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gensim.test.utils import datapath
from scipy.stats import spearmanr

import finetune_embed as fe
from finetune_embed.demo import VECTORS


@pytest.fixture(scope="module")
def demo() -> fe.EmbeddingTable:
    return fe.load_vectors(VECTORS)


@pytest.mark.parametrize("name", ["wordsim353.tsv", "simlex999.txt"])
def test_the_correlation_equals_gensims(demo, name):
    path = datapath(name)
    keyed = demo.to_keyed_vectors()
    with open(path) as file:
        delimiter = "\t" if "\t" in file.readlines()[5] else " "
    _, expected, unknown = keyed.evaluate_word_pairs(
        path, delimiter=delimiter, restrict_vocab=len(demo), case_insensitive=False
    )
    pairs = fe.read_word_pairs(path)
    known = [pair for pair in pairs if pair[0] in demo and pair[1] in demo]
    found = fe.evaluate_word_pairs(demo, known)
    assert len(known) > 20
    assert found.found == found.pairs == len(known)
    assert found.spearman == pytest.approx(float(expected[0]), abs=1e-6)
    assert fe.evaluate_word_pairs(demo, path).found >= len(known)
    assert unknown == pytest.approx(100 * (1 - len(known) / len(pairs)), abs=1)


def test_equal_values_share_their_mean_rank():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(60)]
    axes = np.array([[1, 0], [0, 1], [-1, 0]])  # cosines are exactly 1, 0 or -1
    table = fe.EmbeddingTable(words, axes[rng.integers(0, 3, 60)])
    pairs = [(f"w{i}", f"w{i + 30}", float(rng.integers(0, 4))) for i in range(30)]
    cosines = [float(table[a] @ table[b]) for a, b, _ in pairs]
    assert set(cosines) == {-1.0, 0.0, 1.0}
    expected = spearmanr(cosines, [score for *_, score in pairs]).statistic
    assert fe.evaluate_word_pairs(table, pairs).spearman == pytest.approx(expected, abs=1e-12)


def test_missing_words_are_looked_up_in_lower_case(table):
    pairs = [
        ("King", "queen", 9.0),
        ("king", "man", 5.0),
        ("KING", "apple", 1.0),
        ("x", "man", 2.0),
    ]
    found = fe.evaluate_word_pairs(table, pairs)
    assert (found.found, found.pairs) == (3, 4)
    assert str(found) == f"Spearman {found.spearman:.3f} on 3 of 4 pairs"
    exact = fe.EmbeddingTable(["King", "king", "a", "b"], np.eye(4))
    assert fe.evaluate_word_pairs(exact, [("King", "a", 1.0)]).found == 1


def test_too_few_pairs_have_no_correlation(table):
    found = fe.evaluate_word_pairs(table, [("king", "queen", 1.0), ("man", "woman", 2.0)])
    assert math.isnan(found.spearman)
    assert found.found == 2
    assert math.isnan(fe.evaluate_word_pairs(table, []).spearman)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "old\tnew\t1.58\nsmart\tintelligent\t9.2\n",
            [("old", "new", 1.58), ("smart", "intelligent", 9.2)],
        ),
        ("Word 1,Word 2,Human (mean)\nlove,sex,6.77\n", [("love", "sex", 6.77)]),
        ("a b 1\n\nc d 2", [("a", "b", 1.0), ("c", "d", 2.0)]),
        ("# a comment\na\tb\t1\tmore\tfields\n", [("a", "b", 1.0)]),
        (
            "word1\tword2\tPOS\tSimLex999\tconc(w1)\nold\tnew\tA\t1.58\t2.72\n",
            [("old", "new", 1.58)],
        ),
        ("a\tb\tnan\t5\n", None),
        ("a\tb\tinf\n", None),
        ("word1\tword2\tPOS\n", None),
        ("", None),
        ("a\tb\t1\na\tb\n", None),
        ("a\tb\t1\na\tb\tc\n", None),
    ],
)
def test_files_of_pairs(tmp_path, data, expected):
    path = tmp_path / "pairs.tsv"
    path.write_text(data, encoding="utf-8")
    if expected is not None:
        assert fe.read_word_pairs(path) == expected
        return
    with pytest.raises(
        fe.DataError,
        match=r"pairs\.tsv(:\d: .* is not a pair of words with a|: the file has no pairs)",
    ):
        fe.read_word_pairs(path)


def test_vectors_and_scores_that_are_not_numbers(table):
    pairs = [
        ("king", "queen", 9.0),
        ("king", "man", 5.0),
        ("woman", "apple", 1),
        ("man", "apple", 3),
    ]
    expected = fe.evaluate_word_pairs(table, pairs)
    broken = fe.EmbeddingTable(
        [*table.index_to_key, "nan", "inf"], [*table.vectors, [np.nan, 1, 2], [np.inf, 1, 2]]
    )
    more = [*pairs, ("king", "nan", 2.0), ("inf", "queen", 2.0)]
    found = fe.evaluate_word_pairs(broken, iter(more))
    assert (found.spearman, found.found, found.pairs) == (expected.spearman, 4, 6)
    as_texts = [(first, second, str(score)) for first, second, score in pairs]
    assert fe.evaluate_word_pairs(table, as_texts) == expected
    for score in (float("nan"), "much", None):
        with pytest.raises(fe.DataError, match=r"the word pairs can't be read: .*\('old', 'new'"):
            fe.evaluate_word_pairs(table, [*pairs, ("king", "man", score)])


def test_a_bad_line_is_named(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("a\tb\t1\nc\td\n")
    with pytest.raises(
        fe.DataError, match=r"pairs\.tsv:2: 'c\\td' is not a pair of words with a score; write"
    ):
        fe.read_word_pairs(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(fe.DataError, match=r"none\.tsv: the word pairs can't be read: [^/]*$"):
        fe.read_word_pairs(tmp_path / "none.tsv")
