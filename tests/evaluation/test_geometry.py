"""The space of the rows that moved, and kept neighbours: against references written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

import finetune_embed as fe
from finetune_embed.evaluation import geometry as module
from finetune_embed.evaluation.neighbour_overlap import kept_neighbours

V, D = 70, 6
WORDS = [f"w{i}" for i in range(V)]


@pytest.fixture(scope="module")
def tables() -> tuple[fe.EmbeddingTable, fe.EmbeddingTable, np.ndarray]:
    """A base, a table in another order of which 40 rows turned and moved, and those rows."""
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((V, D)) * [3, 2, 1, 1, 1, 0.5] + 0.4).astype(np.float32)
    rows, after = np.sort(rng.choice(V, 40, replace=False)), vectors.copy()
    turn = np.linalg.qr(np.eye(D) + 0.1 * rng.standard_normal((D, D)))[0]
    after[rows] = vectors[rows] @ turn + 0.2 * rng.standard_normal((40, D))
    order = rng.permutation(V)
    base = fe.EmbeddingTable(WORDS, vectors)
    tuned = fe.EmbeddingTable([*(WORDS[i] for i in order), "new"], [*after[order], np.ones(D)])
    return base, tuned, rows


def sides(tables) -> tuple[np.ndarray, np.ndarray]:
    base, tuned, rows = tables
    words = [WORDS[row] for row in rows]
    a, b = (np.array([table[word] for word in words], np.float64) for table in (base, tuned))
    return a, b


def iso_score(points: np.ndarray) -> float:
    """The steps of Rudman et al. 2022, algorithm 1."""
    n = points.shape[1]
    axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2]
    diagonal = np.diag(np.cov((points @ axes.T).T))
    normalized = np.sqrt(n) * diagonal / np.linalg.norm(diagonal)
    defect = np.linalg.norm(normalized - 1) / np.sqrt(2 * (n - np.sqrt(n)))
    share = (n - defect**2 * (n - np.sqrt(n))) ** 2 / n**2
    return float((n * share - 1) / (n - 1))


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_the_space_before_and_after(tables, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    found = fe.drift(*tables[:2]).geometry
    assert found is not None
    assert found.rows == 40
    for points, space in zip(sides(tables), (found.before, found.after), strict=True):
        norms = [math.sqrt(math.fsum(x * x for x in row)) for row in points.tolist()]
        cosines = [
            float(points[i] @ points[j]) / norms[i] / norms[j]
            for i, j in itertools.permutations(range(40), 2)
        ]
        assert space.mean_norm == pytest.approx(math.fsum(norms) / 40, rel=1e-13)
        assert space.mean_cosine == pytest.approx(math.fsum(cosines) / len(cosines), rel=1e-12)
        assert space.iso_score == pytest.approx(iso_score(points), rel=1e-11)


def test_the_rotation_is_scipys(tables):
    found = fe.drift(*tables[:2]).geometry
    assert found is not None
    a, b = sides(tables)
    rotate, _ = orthogonal_procrustes(a, b)
    moved, rest, size = (np.linalg.norm(x) for x in (b - a, a @ rotate - b, a))
    rotation = found.rotation
    assert rotation.displacement == pytest.approx(moved / size, rel=1e-12)
    assert rotation.residual == pytest.approx(rest / size, rel=1e-12)
    assert rotation.explained == pytest.approx(1 - rest**2 / moved**2, rel=1e-11)
    assert rotation.by_chance == pytest.approx(5 / 80)
    assert 0.3 < rotation.explained < 1


def test_a_pure_rotation_is_explained_and_random_movement_is_not():
    rng = np.random.default_rng(2)
    points = rng.standard_normal((4000, 8))
    turn = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    words = [f"w{i}" for i in range(4000)]
    base = fe.EmbeddingTable(words, points)
    turned = fe.drift(base, fe.EmbeddingTable(words, points @ turn)).geometry
    assert turned is not None
    assert turned.rotation.explained == pytest.approx(1, abs=1e-12)
    assert turned.rotation.residual < 1e-6  # the tables are float32
    assert turned.before.mean_cosine == pytest.approx(turned.after.mean_cosine, abs=1e-6)
    noise = points + 0.1 * rng.standard_normal(points.shape)
    moved = fe.drift(base, fe.EmbeddingTable(words, noise)).geometry
    assert moved is not None
    assert moved.rotation.by_chance == 7 / 8000
    assert moved.rotation.explained == pytest.approx(7 / 8000, abs=1e-3)


def test_the_directions_are_singular_vectors(tables):
    found = fe.drift(*tables[:2]).geometry
    assert found is not None
    a, b = sides(tables)
    _, values, vectors = np.linalg.svd(b - a, full_matrices=False)
    for number, one in enumerate(found.directions):
        assert one.share == pytest.approx(values[number] ** 2 / (values**2).sum(), rel=1e-10)
        along = (b - a) @ vectors[number]
        along *= np.sign(along[np.abs(along).argmax()])
        order = np.argsort(along)
        for end, rows in ((one.low, order[:6]), (one.high, order[::-1][:6])):
            assert [word for word, _ in end] == [WORDS[tables[2][row]] for row in rows]
            np.testing.assert_allclose([far for _, far in end], along[rows], rtol=1e-9)
    shares = [one.share for one in found.directions]
    assert len(shares) == 3
    assert shares == sorted(shares, reverse=True)


def test_rows_that_are_not_finite_do_not_count(tables):
    base, tuned, rows = tables
    vectors = np.array(tuned.vectors)
    for row, value in ((rows[0], np.nan), (rows[1], np.inf)):
        vectors[tuned.key_to_index[WORDS[row]]] = value
    found = fe.drift(base, fe.EmbeddingTable(tuned.index_to_key, vectors))
    others = [w for w in WORDS if w not in (WORDS[rows[0]], WORDS[rows[1]])]
    expected = fe.drift(base.subset(others), tuned.subset(others)).geometry
    assert found.geometry is not None
    assert expected is not None
    assert found.geometry.rows == 38
    assert found.geometry.rotation.residual == pytest.approx(expected.rotation.residual, rel=1e-12)
    assert found.geometry.after.iso_score == pytest.approx(expected.after.iso_score, rel=1e-12)
    assert "space of the 38 rows that moved" in str(found)


def test_one_row_has_no_space():
    base = fe.EmbeddingTable(["a", "b"], np.eye(2))
    one = fe.drift(base, fe.EmbeddingTable(["a", "b"], [[1, 1], [0, 1]]))
    assert one.geometry is None
    assert one.to_dict()["geometry"] is None
    assert "space of the" not in str(one)


# --- kept neighbours ----------------------------------------------------------------------------


def nearest(table: fe.EmbeddingTable, word: str, k: int) -> set[str]:
    def cosine(other: str) -> float:
        a, b = table[word].astype(float), table[other].astype(float)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    return set(sorted((w for w in WORDS if w != word), key=cosine, reverse=True)[:k])


def test_the_kept_neighbours_of_every_word(tables):
    base, tuned, rows = tables
    found = fe.drift(base, tuned).neighbours(k=4)
    for kept, group in ((found.moved, rows), (found.others, np.setdiff1d(range(V), rows))):
        words = [WORDS[row] for row in group]
        shares = [len(nearest(base, w, 4) & nearest(tuned, w, 4)) / 4 for w in words]
        assert kept.share == pytest.approx(np.mean(shares), rel=1e-12)
        assert kept.interval == (kept.share, kept.share)
        assert (kept.words, kept.of) == (len(group), len(group))
        assert 0.2 < kept.share < 0.8


def test_a_sample_states_its_error():
    """Of 300 samples, about 95 % of the intervals have the share of all rows."""
    rng = np.random.default_rng(4)
    before = rng.standard_normal((300, 5)).astype(np.float32)
    after = before + rng.standard_normal((300, 1)).astype(np.float32) * rng.standard_normal(
        (300, 5)
    ).astype(np.float32)
    rows = np.arange(300)

    def kept(sample: int, seed: int = 0) -> fe.evaluation.Kept:
        return kept_neighbours(
            rows, before.__getitem__, after.__getitem__, 300, k=5, sample=sample, seed=seed
        )

    whole = kept(300)
    assert whole.interval == (whole.share, whole.share)
    drawn = [kept(100, seed) for seed in range(300)]
    inside = [one.interval[0] <= whole.share <= one.interval[1] for one in drawn]
    assert 0.91 < np.mean(inside) < 0.99
    assert kept(100, 7) == drawn[7]
    one = drawn[0]
    assert (one.words, one.of) == (100, 300)
    low, high = one.interval
    assert str(one) == f"{one.share:.1%} ({low:.1%} to {high:.1%}; 100 of 300 words)"


def test_rows_of_zeros_have_no_neighbours(tables):
    base, tuned, rows = tables
    vectors = np.array(tuned.vectors)
    vectors[tuned.key_to_index[WORDS[rows[0]]]] = 0
    found = fe.drift(base, fe.EmbeddingTable(tuned.index_to_key, vectors)).neighbours(k=4)
    assert (found.moved.words, found.moved.of) == (39, 39)
    nothing = fe.drift(base, base).neighbours().moved
    assert math.isnan(nothing.share)
    assert nothing.words == 0
    with pytest.raises(fe.VocabularyError, match=r"^sample=0 must be 1 or more"):
        fe.drift(base, tuned).neighbours(sample=0)


def test_rows_by_origin(tables):
    base, tuned, rows = tables
    origin = np.full(V + 1, fe.table.Origin.PRETRAINED)
    origin[[tuned.key_to_index[WORDS[row]] for row in rows[1:]]] = fe.table.Origin.TUNED
    origin[tuned.key_to_index["new"]] = fe.table.Origin.COMPOSED
    found = fe.drift(base, fe.EmbeddingTable(tuned.index_to_key, tuned.vectors, None, origin))
    assert [(b.name, b.rows, b.moved) for b in found.origins] == [
        ("untouched", 30, 0),
        ("trained", 40, 40),
        ("composed of subwords", 1, 0),
    ]
    assert found.origins[1].median_movement == found.median_movement
