"""The share of neighbours that words keep, against a slow reference."""

from __future__ import annotations

import math

import numpy as np
import pytest

import finetune_embed as fe


def tables(moved: float) -> tuple[fe.EmbeddingTable, fe.EmbeddingTable]:
    rng = np.random.default_rng(3)
    words = [f"w{i}" for i in range(60)]
    base = fe.EmbeddingTable(words, rng.standard_normal((60, 4)))
    vectors = base.vectors + moved * rng.standard_normal((60, 4)).astype(np.float32)
    order = rng.permutation(60)  # rows are matched by word
    return base, fe.EmbeddingTable([words[i] for i in order], vectors[order])


def by_hand(table: fe.EmbeddingTable, word: str, among: list[str], topn: int) -> set[str]:
    def cosine(other: str) -> float:
        a, b = table[word].astype(float), table[other].astype(float)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    return set(sorted((w for w in among if w != word), key=cosine, reverse=True)[:topn])


def test_the_share_is_the_mean_over_the_words():
    base, tuned = tables(0.5)
    words, among = [f"w{i}" for i in range(0, 20)], [f"w{i}" for i in range(50)]
    shares = [len(by_hand(base, w, among, 5) & by_hand(tuned, w, among, 5)) / 5 for w in words]
    found = fe.neighbour_overlap(base, tuned, words, among=among, topn=5)
    assert found == pytest.approx(sum(shares) / len(shares))
    assert 0.2 < found < 0.9


def test_an_unchanged_table_keeps_all_neighbours():
    base, tuned = tables(0.0)
    assert fe.neighbour_overlap(base, tuned, base.index_to_key) == 1.0


def test_words_that_a_table_lacks_do_not_count():
    base, tuned = tables(0.5)
    words = [f"w{i}" for i in range(20)]
    with_others = fe.neighbour_overlap(base, tuned, [*words, "new", "other"], topn=3)
    assert with_others == fe.neighbour_overlap(base, tuned, words, topn=3)
    assert math.isnan(fe.neighbour_overlap(base, tuned, ["new"]))
    assert math.isnan(fe.neighbour_overlap(base, tuned, ["w1"]))


def test_fewer_words_than_neighbours():
    base, tuned = tables(0.9)
    assert fe.neighbour_overlap(base, tuned, ["w1", "w2", "w3"], topn=10) == 1.0
