"""What the recipe claims, asserted."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "recipes" / "how_little_they_move.py"
LR = 0.01


def load_recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("how_little_they_move", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(PATH.parent))  # as where the script is run
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    plot = tmp_path_factory.mktemp("plot") / "plot.png"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        found: dict[str, Any] = load_recipe().main(["--epochs", "4", "--plot", str(plot)])
    return {**found, "plot": plot, "printed": printed.getvalue()}


@pytest.mark.slow
def test_only_rows_of_the_batch_have_a_gradient(report: dict[str, Any]) -> None:
    gradient = report["four_words"]["gradient_rows"]
    assert gradient["bad"] == gradient["is"] == 0.0
    assert gradient["good"] > 0
    assert gradient["movie"] > 0


def test_one_adam_step_moves_them_by_the_learning_rate(report: dict[str, Any]) -> None:
    moved = report["four_words"]["first_step"]
    assert moved["bad"] == moved["is"] == 0.0
    assert moved["good"] == pytest.approx(LR, rel=1e-4)
    assert moved["movie"] == pytest.approx(LR, rel=1e-4)


def test_the_second_step_of_dense_adam_alone_moves_rows_outside_its_batch(
    report: dict[str, Any],
) -> None:
    second = report["four_words"]["second_step"]
    assert second["Adam"]["good"] > 0.5 * LR
    assert second["Adam"]["movie"] > 0.5 * LR
    assert second["RowAdamW"]["good"] == second["RowAdamW"]["movie"] == 0.0
    assert second["RowAdamW"]["bad"] == pytest.approx(LR, rel=1e-4)


def test_most_rows_never_move_and_the_others_not_far(report: dict[str, Any]) -> None:
    base, runs = report["base"], report["runs"]
    assert len(runs) == 4
    for name, run in runs.items():
        seen = run.metrics["coverage"]["types_found"]
        bands = run.drift.bands
        assert bands[0].name == "never seen in training"
        assert bands[0].moved == 0
        assert bands[0].rows == len(base) - seen
        if name == "Freeze":
            assert run.drift.rows_moved == 0
            assert np.array_equal(
                run.table.vectors[: len(base)].view(np.uint32), base.vectors.view(np.uint32)
            )
        else:
            assert run.drift.rows_moved == seen
            assert 0.95 < run.drift.median_cosine < 1
            frequent, rare = bands[-1], bands[1]
            assert frequent.median_movement > rare.median_movement


def test_the_analogy_stands_before_and_after(report: dict[str, Any]) -> None:
    lines = report["printed"].partition("3. king - man + woman\n\n")[2].splitlines()
    tables = {"before": report["base"]}
    tables |= {name: run.table for name, run in report["runs"].items()}
    for (name, table), line in zip(tables.items(), lines[: len(tables)], strict=True):
        printed = re.findall(r"(\S+) (\d\.\d{3})", line.removeprefix(name))
        found = table.most_similar(["king", "woman"], ["man"], topn=5)
        assert printed == [(word, f"{cosine:.3f}") for word, cosine in found], line
        assert printed[0][0] == "queen"


def test_the_plot_is_a_picture(report: dict[str, Any]) -> None:
    assert report["plot"].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert report["plot"].stat().st_size > 10_000
