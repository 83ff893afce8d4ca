"""pandas and polars frames, and Excel workbooks, as data sets."""

from __future__ import annotations

import datetime
import sys
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import finetune_embed as fe
from finetune_embed import DataError
from finetune_embed.data import open_splits
from finetune_embed.demo import VECTORS
from finetune_embed.errors import MissingPackageError

ROWS = {"text": ["good one", "bad one"] * 10, "label": ["x", "y"] * 10}


def examples(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table, examples])
def test_a_frame_trains_as_a_data_set_does(make):
    frame = fe.finetune(VECTORS, make(ROWS), epochs=1)
    plain = fe.finetune(VECTORS, fe.data.open_splits(make(ROWS)), epochs=1)
    assert frame.labels == plain.labels == ["x", "y"]
    assert (frame.table.vectors == plain.table.vectors).all()
    splits = fe.finetune(VECTORS, {"train": make(ROWS), "validation": make(ROWS)}, epochs=1)
    assert splits.metrics["validation"].keys() == frame.metrics["validation"].keys()


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pd.Series(["a", "b", "a"], dtype="category"), ["a", "b", "a"]),
        (pd.Series([1.0, np.nan, 2.0]), [1.0, None, 2.0]),
        (pd.Series([1, None, 2], dtype="Int64"), [1, None, 2]),
        (pd.Series(["a", None, np.nan], dtype=object), ["a", None, None]),
        (pd.Series([True, False, True]), [True, False, True]),
        (pd.Series([["a"], ["b", "c"], []]), [["a"], ["b", "c"], []]),
        (pd.Series([np.array([1, 2]), np.array([3]), np.array([], int)]), [[1, 2], [3], []]),
        (pl.Series(["a", "b", "a"], dtype=pl.Categorical), ["a", "b", "a"]),
        (pl.Series(["a", "b", None], dtype=pl.Enum(["a", "b"])), ["a", "b", None]),
        (pl.Series([1.0, float("nan"), 2.0]), [1.0, None, 2.0]),
    ],
)
def test_columns_of_frames(column, values):
    library = pd if isinstance(column, pd.Series) else pl
    frame = library.DataFrame({"text": ["t", "u", "v"], "label": column})
    assert open_splits(frame).train["label"] == values


def test_examples_that_lack_a_key():
    train = open_splits([{"text": "a", "label": float("nan")}, {"label": "x", "n": 1}]).train
    assert list(train) == [
        {"text": "a", "label": None, "n": None},
        {"text": None, "label": "x", "n": 1},
    ]


def test_rows_of_a_frame_that_was_filtered():
    frame = pd.DataFrame(ROWS, index=range(100, 120)).query("label == 'y'")
    splits = open_splits(frame)
    assert splits.train.column_names == ["text", "label"]
    assert len(splits.train) == 10


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "two columns have the name 'text'"),
        (pd.DataFrame({"text": ["a", 1]}), "the column 'text' cannot be read: "),
        (pd.DataFrame({"text": []}), r"the data is empty \(0 examples\)"),
        (pa.table([["a"], ["b"]], ["text", "text"]), "two columns have the name 'text'"),
        ([{"text": "a"}, {"text": 1}], "the column 'text' cannot be read: .*; give all its values"),
        ([], "not an empty list"),
        (["a"], "not list"),
        (pl.DataFrame({"text": []}), r"the data is empty \(0 examples\)"),
        (pd.Series(["a"]), "not Series"),
    ],
)
def test_frames_that_cannot_be_used(frame, fault):
    with pytest.raises(DataError, match=fault):
        open_splits(frame)


def workbook(path, *sheets: list):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"S{number}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b", None], ["a", "b", None]),
        ([1, 2, 3], [1, 2, 3]),
        ([1.0, 2.5, None], [1.0, 2.5, None]),
        ([1, "b", 2.0], ["1", "b", "2"]),
        ([True, False, True], [True, False, True]),
        ([datetime.date(2024, 1, 2), "b", "c"], ["2024-01-02T00:00:00", "b", "c"]),
        (["#N/A", "b", ""], [None, "b", None]),
        (["größe\nline", "=1+1", "c"], ["größe\nline", None, "c"]),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_cells_of_a_workbook(tmp_path, values, expected, streaming):
    rows = [("id", "value"), *((i, value) for i, value in enumerate(values))]
    path = workbook(tmp_path / "a.xlsx", rows)
    assert [row["value"] for row in open_splits(path, streaming).train] == expected


def test_the_first_sheet_and_its_filled_rows(tmp_path):
    path = workbook(
        tmp_path / "a.xlsx",
        [(), ("text", "label"), (), ("a", "x"), (None, None), ("b", None)],
        [("other",)],
    )
    splits = open_splits(path)
    assert list(splits.train) == [{"text": "a", "label": "x"}, {"text": "b", "label": None}]
    assert [splits.train.place_of(i) for i in (0, 1)] == [f"{path} row 4", f"{path} row 6"]
    note = "a.xlsx is read from its first sheet, 'S0'; the others are 'S1' (choose with sheet)"
    assert splits.notes == (note,)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([], r"a\.xlsx: the first sheet, 'S0', is empty; put"),
        ([("text", "label")], r"the data is empty \(0 examples\)"),
        (
            [("text", "label"), ("a", "x"), ("b", "y", "z")],
            r"a\.xlsx row 3: there are 3 cells here",
        ),
        ([("text", "text"), ("a", "x")], r"a\.xlsx row 1: two columns have the name 'text'"),
    ],
)
def test_workbooks_that_cannot_be_used(tmp_path, rows, fault):
    with pytest.raises(DataError, match=fault):
        open_splits(workbook(tmp_path / "a.xlsx", rows))


def test_the_other_sheets_are_named(tmp_path):
    data = [["text", "label"], ["a", "x"]]
    path = workbook(tmp_path / "empty.xlsx", [], data, data)
    with pytest.raises(
        DataError, match=r"is empty; the others are 'S1', 'S2'; choose another: sheet='S1'"
    ):
        open_splits(path)
    path = workbook(tmp_path / "one.xlsx", [["a note"]], data)
    with pytest.raises(DataError, match="the first sheet, 'S0', has one row; the others are 'S1'"):
        open_splits(path)
    path = workbook(tmp_path / "note.xlsx", [["a note"], ["of two"]], data)
    message = (
        r"no column 'text'; note\.xlsx is read from its first sheet, 'S0'; the others are 'S1' "
        r"\(choose with sheet\);"
    )
    with pytest.raises(DataError, match=message):
        fe.finetune(VECTORS, path)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_sheet_by_its_name(tmp_path, streaming):
    rows = [["text", "label"], ["a", "x"]]
    path = workbook(tmp_path / "a.xlsx", [["note"], ["of two"]], rows, [["text"], ["=1+1"]])
    splits = open_splits(path, streaming, sheet="S1")
    assert list(splits.train) == [{"text": "a", "label": "x"}]
    assert splits.notes == ()
    with pytest.raises(DataError, match="the cells hold formulas without values"):
        list(open_splits(path, streaming, sheet="S2").train)


def test_the_sheet_of_a_run_and_of_its_evaluation(tmp_path):
    path = workbook(
        tmp_path / "a.xlsx", [["note"]], [["text", "label"], *zip(*ROWS.values(), strict=True)]
    )
    run = fe.finetune(VECTORS, path, sheet="S1", epochs=1, output_dir=tmp_path / "run")
    assert fe.load(tmp_path / "run").settings["sheet"] == "S1"
    assert run.evaluate(path, sheet="S1").examples == 20


def test_formulas_without_values(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [["text", "label"], ["a", "=1+1"], ["b", "=2+2"]])
    message = r"a\.xlsx row 2: the cells hold formulas without values, the first is '=1\+1'; open"
    with pytest.raises(DataError, match=message):
        open_splits(path)
    path = workbook(tmp_path / "b.xlsx", [['="text"'], ['="a"']])
    with pytest.raises(DataError, match=r"b\.xlsx row 1: the cells hold formulas without values"):
        open_splits(path)


def test_errors_of_formulas_are_missing_and_named(tmp_path):
    rows = [["text", "label"], ["a", "x"], ["b", "#REF!"], ["c", "#REF!"], ["#NAME?", "y"]]
    splits = open_splits(workbook(tmp_path / "a.xlsx", rows))
    assert splits.train["label"] == ["x", None, None, "y"]
    note = "a.xlsx: errors of formulas are missing values: 2 '#REF!', 1 '#NAME?'"
    assert splits.notes == (note,)


UNREADABLE = "this workbook cannot be read: "


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"text,label\na,x\n", UNREADABLE),
        (b"PK\x03\x04", UNREADABLE),
        (
            b"\xd0\xcf\x11\xe0" * 99,
            "this is an old Office file, such as .xls, not xlsx; save it as",
        ),
    ],
)
def test_a_file_that_is_no_workbook(tmp_path, data, message):
    (tmp_path / "a.xlsx").write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.xlsx: {message}"):
        open_splits(tmp_path / "a.xlsx")


def test_a_workbook_compressed_in_another_way_is_refused(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [("text", "label"), ("a", "x")])
    with (
        zipfile.ZipFile(path) as old,
        zipfile.ZipFile(tmp_path / "b.xlsx", "w", zipfile.ZIP_BZIP2) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(DataError, match="compressed in a way that Excel does not use"):
        open_splits(tmp_path / "b.xlsx")


def test_a_cell_far_away_costs_nothing(tmp_path):
    book = openpyxl.Workbook()
    for cell, value in {"A1": "text", "B1": "label", "A2": "a", "B1048576": "x"}.items():
        book.active[cell] = value
    book.save(tmp_path / "a.xlsx")
    train = open_splits(tmp_path / "a.xlsx").train
    assert (len(train), train.place_of(1)) == (2, f"{tmp_path / 'a.xlsx'} row 1048576")


def test_without_openpyxl(tmp_path, monkeypatch):
    path = workbook(tmp_path / "a.xlsx", [("text", "label"), ("a", "x")])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    message = r'^openpyxl is not installed; pip install "finetune_embed\[excel\]"$'
    with pytest.raises(MissingPackageError, match=message):
        open_splits(path)
