"""Runs whose files are damaged, and options that a report does not use: one line each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import data, tuned

import finetune_embed as fe

Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("saved") / "run"
    tuned(epochs=2, lexical=False).save(folder)
    return folder


def changed(path: Path, change: Change) -> None:
    """Change what a file of JSON, or of a line of it each, holds."""
    if path.suffix == ".json":
        found = json.loads(path.read_text())
        change(found)
        path.write_text(json.dumps(found))
        return
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines[-1])
    path.write_text("\n".join(map(json.dumps, lines)))


DAMAGED: list[tuple[str, Change, str]] = [
    ("metrics.json", lambda m: m["drift"].update(bands=[{}]), "drift, bands[0] has no "),
    ("metrics.json", lambda m: m["drift"]["bands"][0].update(rows="x"), "cannot be a count"),
    ("history.jsonl", lambda h: h.update(movement=1), "the history[1], movement is 1"),
    ("history.jsonl", lambda h: h.update(movement={}), "movement has no displacement"),
    ("history.jsonl", lambda h: h.update(validation_accuracy={"a": 1}), "cannot be a number"),
    ("history.jsonl", lambda h: h.pop("validation_accuracy"), "has no validation_accuracy"),
]


@pytest.mark.parametrize(("name", "change", "what"), DAMAGED)
def test_a_damaged_run_is_one_line(
    name: str, change: Change, what: str, saved: Path, tmp_path: Path
) -> None:
    shutil.copytree(saved, tmp_path / "run")
    changed(tmp_path / "run" / name, change)
    with pytest.raises(fe.DataError, match="this file of the run is damaged") as error:
        fe.report(tmp_path / "run", tmp_path / "page.html")
    assert error.value.where == tmp_path / "run" / name
    assert what in str(error.value)


def test_a_history_without_movement_is_that_of_an_earlier_version(
    saved: Path, tmp_path: Path
) -> None:
    shutil.copytree(saved, tmp_path / "run")
    changed(tmp_path / "run" / "history.jsonl", lambda one: one.pop("movement"))
    assert "movement" not in fe.load(tmp_path / "run").history[-1]


@pytest.mark.parametrize("beside", [[1], [{"name": "the result"}, {"name": "a frozen table"}], 1])
def test_a_damaged_search_is_one_line(beside: Any, saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "run")
    search = {"metric": "accuracy", "beside": beside, "tried": []}
    (tmp_path / "run" / "autotune.json").write_text(json.dumps(search))
    with pytest.raises(fe.DataError, match=r"autotune\.json: this file of the run is damaged"):
        fe.report(tmp_path / "run", tmp_path / "page.html", words=9)


@pytest.mark.parametrize("name", ["dataset", "base", "against", "text", "label", "missing"])
def test_options_about_a_run_do_not_go_with_a_comparison(name: str, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text('{"metric": "accuracy", "standings": []}')
    with pytest.raises(fe.DataError, match="is about a run, and this is a comparison") as error:
        fe.report(tmp_path, tmp_path / "page.html", **{name: "x"})  # type: ignore[arg-type]
    assert (error.value.option, error.value.value) == (name, "x")


def test_columns_without_data(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(fe.DataError, match="is about dataset, which is not given") as error:
        fe.report(saved, tmp_path / "page.html", text="x")
    assert error.value.option == "text"
    fe.report(saved, tmp_path / "page.html", text="text", dataset=data(40), words=9)
