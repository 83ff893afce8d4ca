"""The gain over another run: its sign, its unit and its interval, of every kind of score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pages import data, table, text_of

import finetune_embed as fe
from finetune_embed.reporting.gains import gain_in_search, gain_interval, gain_text, gain_tile
from finetune_embed.reporting.judged import Judged
from finetune_embed.training.tasks import score_text


@pytest.mark.parametrize(
    ("metric", "text", "bounds"),
    [
        ("accuracy", "+12.3", "+10.0 to +15.0"),
        ("spearman", "+0.1230", "+0.1000 to +0.1500"),
        ("mse", "-0.1230", "-0.1500 to -0.1000"),
    ],
)
def test_a_gain_is_above_0_if_the_score_is_better(metric: str, text: str, bounds: str) -> None:
    assert gain_text(metric, 0.123) == text
    assert gain_interval(metric, [0.1, 0.15]) == bounds
    tile = gain_tile("gain", metric, 0.123, [0.1, 0.15], "paired", "a note")
    assert tile.value == text + " points" * (metric == "accuracy")
    end = "; lower is better" * (metric == "mse")
    assert tile.note == f"95 % interval {bounds}, paired; a note{end}"


def test_the_gain_of_a_search() -> None:
    rivals = [
        {"name": "the result", "score": 0.25, "gain": None},
        {"name": "a frozen table", "score": 0.75, "gain": None},
    ]
    found = gain_in_search("mse", {"beside": rivals})
    assert found is not None
    assert found.value == "+0.5000"
    assert found.note == "a frozen table scores 0.7500; lower is better"
    assert gain_in_search("mse", {"beside": rivals[:1]}) is None


@pytest.mark.parametrize("metric", ["mse", "spearman", "macro_f1"])
def test_data_that_is_passed_is_what_both_are_scored_on(metric: str, tmp_path: Path) -> None:
    rows = data(120)
    if metric != "macro_f1":
        rows = {
            name: [{**one, "label": len(one["text"]) / 9 + at % 3} for at, one in enumerate(part)]  # type: ignore[dict-item]
            for name, part in rows.items()
        }
    options: dict[str, Any] = {"head": "bag", "epochs": 2, "tokenizer": "whitespace", "lr": 0.05}
    options |= {"lexical": False, "metric": metric, "strategy": "FullTune"}
    run = fe.finetune(table(), {"train": rows["train"]}, **options)
    frozen = fe.finetune(table(), {"train": rows["train"]}, **{**options, "strategy": "Freeze"})
    fe.report(run, tmp_path / "page.html", dataset=rows["test"], against=frozen, words=9)
    head = text_of((tmp_path / "page.html").read_text(), "headline")
    own, its = (one.evaluate(rows["test"]).scores[metric] for one in (run, frozen))
    assert own != its
    unit = " points" if metric == "macro_f1" else ""
    gain = gain_text(metric, own - its)
    assert (gain[0] == "+") == ((own > its) != (metric == "mse"))
    both = f"{score_text(metric, own)} and {score_text(metric, its)} on 60 texts"
    assert f"gain over a frozen table {gain}{unit} {both}; without an interval" in head
    assert "--data" not in head


def test_the_model_is_run_once_on_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a lexical part, whose evaluation also has the score of each part."""
    rows = data(40)
    run = fe.finetune(table(), rows, head="bag", epochs=1, lexical=True)
    expected, calls, evidence = run.evaluate(rows), [], fe.Run.evidence
    monkeypatch.setattr(fe.Run, "evidence", lambda *a: (calls.append(1), evidence(*a))[1])
    judged = Judged(run, run.read_labelled(rows))
    assert judged.evaluation.to_dict() == expected.to_dict()
    assert judged.outcomes is not None
    assert judged.outputs[0].equal(run.logits(judged.data.texts)[0])
    assert sorted(expected.parts) == ["lexical", "vectors"]
    assert calls == [1]
