"""Charts: where marks are, the texts of axes, and labels that XML cannot hold."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from pages import data, table, tuned

import finetune_embed as fe
from finetune_embed.reporting import figures
from finetune_embed.reporting.svg import Axis, Chart, Point, ticks_of


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.913, 0.927, [0.915, 0.92, 0.925]),
        (0, 1e-13, [0, 2e-14, 4e-14, 6e-14, 8e-14, 1e-13]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert ticks_of(low, high, 5) == ticks


def test_a_chart_places_points_by_its_axes() -> None:
    chart = Chart("c", "A & B", "about <it>", Axis(0, 10, [], "x"), Axis(0, 1, [], "y"))
    assert chart.place(Point(0, 0)) == (52, 196)
    assert chart.place(Point(10, 1)) == (346, 26)
    chart.dots([Point(5, 0.5, "a < b"), Point(1, float("nan"))], "one")
    root = ElementTree.fromstring(chart.svg())
    (circle,) = root.iter("{http://www.w3.org/2000/svg}circle")
    assert (circle.get("cx"), circle.get("cy")) == ("199", "111")
    assert [one.text for one in circle] == ["a < b"]


@pytest.mark.parametrize(
    ("low", "high", "is_share", "texts"),
    [
        (0, 1, True, ["0%", "20%", "40%", "60%", "80%", "100%"]),
        (0.9121, 0.9129, True, ["91.22%", "91.24%", "91.26%", "91.28%"]),
        (0, 0.00031, True, ["0.00%", "0.01%", "0.02%", "0.03%"]),
        (0.5, 2, False, ["0.5", "1.0", "1.5", "2.0"]),
        (0.00001, 0.00003, False, ["0.000010", "0.000015", "0.000020", "0.000025", "0.000030"]),
        (1234567, 1234569, False, ["1.2345670e+06", "1.2345675e+06", "1.2345680e+06"]),
        (0, 4e300, False, ["0e+00", "1e+300", "2e+300", "3e+300", "4e+300"]),
        (0, 4e-9, False, ["0e+00", "1e-09", "2e-09", "3e-09", "4e-09"]),
    ],
)
def test_the_texts_of_ticks_have_one_form_and_differ(
    low: float, high: float, is_share: bool, texts: list[str]
) -> None:
    found = [text for _, text in figures._ticks(low, high, is_share)]
    assert found[: len(texts)] == texts
    assert len(set(found)) == len(found)


def test_a_confusion_matrix_says_what_it_counts() -> None:
    chart = figures.confusion_chart(["a\x01", "b"], np.array([[3, 1], [0, 2]]), "words")
    assert chart is not None
    root = ElementTree.fromstring(chart.svg())
    texts = list(root.itertext())
    assert "a\\x01 predicted as b: 1 (25.0%)" in texts
    assert "How many words with the label of a row were given the label of a column." in texts


def with_control(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{**one, "label": one["label"].replace("<i>", "\x01\x0b")} for one in rows]


def test_a_label_that_xml_cannot_hold(tmp_path: Path) -> None:
    given = {name: with_control(rows) for name, rows in data(40).items()}
    options = {"head": "bag", "epochs": 1, "tokenizer": "whitespace", "lexical": False}
    run = fe.finetune(table(), given, **options)  # type: ignore[arg-type]
    written = fe.report(run, tmp_path / "page.html", words=9, figures=tmp_path / "f")
    assert sorted(written[1:]) == sorted(map(str, (tmp_path / "f").iterdir()))
    text = (tmp_path / "f" / "confusion.svg").read_text()
    assert "yes \\x01\\x0b" in "".join(ElementTree.fromstring(text).itertext())


def test_nothing_is_written_where_figures_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tuned(epochs=1)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(fe.VectorFileError, match="file: can't be written"):
        fe.report(run, tmp_path / "page.html", words=9, figures=tmp_path / "file")
    with pytest.raises(fe.VectorFileError, match="the file is there already") as error:
        fe.report(run, tmp_path / "file", words=9, overwrite=False)
    assert error.value.where == tmp_path / "file"
    monkeypatch.setattr(Chart, "svg", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fe.report(run, tmp_path / "page.html", words=9, figures=tmp_path / "f")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "no folder"
