"""Machines over sparse rows: the minimum that scikit-learn finds, compiled and in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC

from finetune_embed.lexical import svm
from finetune_embed.lexical.rows import SparseRows

B, F = 120, 40


@pytest.fixture(params=["compiled", "numpy"])
def loop(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(svm, "native", None)
    elif svm.native is None:
        pytest.skip("the compiled loop was not built here")


def texts(seed: int = 0) -> tuple[SparseRows, csr_matrix]:
    """Return rows of length 1, of which some are empty."""
    matrix = random(B, F, 0.1, "csr", np.float32, np.random.default_rng(seed))
    matrix.sort_indices()
    norms = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    matrix.data /= np.repeat(np.where(norms, norms, 1), np.diff(matrix.indptr))
    columns, starts = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    assert (np.diff(starts) == 0).any()
    return SparseRows(columns, matrix.data, starts), matrix


ROWS, MATRIX = texts()
CLASSES = np.random.default_rng(1).choice(3, B, p=[0.7, 0.2, 0.1])
POSITIVE = CLASSES[:, None] == np.arange(3)


def fitted(costs: Any, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    weight, bias = svm.fit_machines(ROWS, F, POSITIVE[:, : len(costs)], costs, **options)
    assert (weight.dtype, bias.dtype) == (np.float32, np.float32)
    return weight, bias


@pytest.mark.parametrize("costs", [(1.0, 1.0, 1.0), (0.5, 3.0, 20.0)])
def test_decisions_are_those_of_linear_svc(loop, costs):
    weight, bias = fitted([(1.0, cost) for cost in costs], tolerance=1e-4)
    machine = LinearSVC(C=1, tol=1e-4, class_weight=dict(enumerate(costs)), random_state=0)
    expected = machine.fit(MATRIX, CLASSES).decision_function(MATRIX)
    np.testing.assert_allclose(MATRIX @ weight + bias, expected, atol=1e-3)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_do_not_change_the_machines(loop, threads):
    costs = [(1.0, 1.0)] * 3
    for one, several in zip(fitted(costs), fitted(costs, threads=threads), strict=True):
        assert one.tobytes() == several.tobytes()


def test_negative_texts_have_their_own_cost(loop):
    weight, bias = fitted([(4.0, 0.25)], tolerance=1e-6)
    machine = LinearSVC(tol=1e-6, class_weight={False: 4, True: 0.25}, random_state=0)
    machine.fit(MATRIX, POSITIVE[:, 0])
    np.testing.assert_allclose(weight[:, 0], machine.coef_[0], atol=1e-5)
    assert bias[0] == pytest.approx(machine.intercept_[0], abs=1e-5)


def objective(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return what each machine minimises."""
    margins = np.where(POSITIVE, 1, -1) * (MATRIX @ weight + bias)
    losses = np.square(np.maximum(0, 1 - margins)).sum(axis=0)
    return (np.square(weight).sum(axis=0) + bias**2) / 2 + losses


def test_the_default_tolerance_is_near_the_minimum(loop):
    costs = [(1.0, 1.0)] * 3
    found, least = objective(*fitted(costs)), objective(*fitted(costs, tolerance=1e-8))
    assert (found >= least - 1e-5).all()
    np.testing.assert_allclose(found, least, rtol=1e-4)


def test_a_seed_gives_the_same_bits_and_another_the_same_minimum(loop):
    costs = [(1.0, 2.0)] * 3
    one, again, other = (fitted(costs, seed=seed) for seed in (5, 5, 6))
    for found, repeated, differing in zip(one, again, other, strict=True):
        assert found.tobytes() == repeated.tobytes()
        assert found.tobytes() != differing.tobytes()
        np.testing.assert_allclose(found, differing, atol=0.02)


def test_machines_do_not_depend_on_each_other():
    if svm.native is None:
        pytest.skip("numpy adds up rows of several machines in another order")
    weight, bias = fitted([(1.0, 1.0)] * 3)
    alone, offset = fitted([(1.0, 1.0)])
    assert (alone[:, 0] == weight[:, 0]).all()
    assert offset[0] == bias[0]


def test_rows_without_features_learn_the_bias_alone(loop):
    rows = SparseRows(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(4, np.int64))
    positive = np.array([[True], [True], [False]])
    weight, bias = svm.fit_machines(rows, 2, positive, [(1.0, 1.0)], tolerance=1e-9)
    assert weight.tolist() == [[0], [0]]
    # b²/2 + 2 (1 - b)² + (1 + b)² is least at b = 2/7
    assert bias.tolist() == pytest.approx([2 / 7], abs=1e-6)


def test_ridge_regression_is_that_of_scikit_learn():
    targets = np.random.default_rng(3).normal(5, 2, B)
    weight, bias = svm.fit_ridge(ROWS, F, targets)
    expected = Ridge(alpha=1, tol=1e-10).fit(MATRIX.toarray().astype(float), targets)
    np.testing.assert_allclose(weight, expected.coef_, atol=1e-4)
    assert bias == pytest.approx(expected.intercept_, abs=1e-4)
    assert weight.dtype == np.float32


def test_ridge_regression_of_equal_numbers_is_that_number():
    weight, bias = svm.fit_ridge(ROWS, F, np.full(B, 2.5))
    assert not weight.any()
    assert bias == 2.5
