"""Examples without a text or a label: left out and counted, or kept; labels of text files."""

from __future__ import annotations

import datasets
import pandas as pd
import polars as pl
import pytest
from datasets import Dataset

import finetune_embed as fe
from finetune_embed import DataError
from finetune_embed.data import MISSING, open_examples, similar_labels
from finetune_embed.demo import VECTORS

TEXTS = ["good one", "bad one", None, "good two", "bad two", "fine", None, "poor"]
LABELS = ["x", "y", "x", "x", None, "x", "y", "y"]
KEPT = [("good one", "x"), ("bad one", "y"), ("good two", "x"), ("fine", "x"), ("poor", "y")]
COUNTS = "3 of 8 examples of train are left out: 2 with no text in 'text'"


def as_rows(split) -> list[tuple[str, str]]:
    return [(row["text"], row["label"]) for row in split]


def in_every_form(tmp_path):
    """Return the same examples in every form of a data set."""
    frame = pl.DataFrame({"text": TEXTS, "label": LABELS})
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "na.tsv", separator="\t", null_value="NA")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_json(tmp_path / "a.json")
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ipc(tmp_path / "a.arrow")
    frame.to_pandas().to_excel(tmp_path / "a.xlsx", index=False)
    yield from sorted(tmp_path.iterdir())
    yield from (
        frame,
        frame.lazy(),
        frame.to_pandas(),
        pd.DataFrame({"text": TEXTS, "label": LABELS}),
    )
    yield Dataset.from_dict({"text": TEXTS, "label": LABELS})
    yield {"train": frame.to_pandas()}


def test_every_form_leaves_out_the_same_examples(tmp_path):
    found = [open_examples(form, "text", "label") for form in in_every_form(tmp_path)]
    assert len(found) == 13
    for splits in found:
        assert as_rows(splits.train) == KEPT
        (note,) = splits.notes
        assert note.startswith(COUNTS)


def test_a_label_that_is_nan_is_missing_in_every_form(tmp_path):
    frame = pl.DataFrame({"text": TEXTS[:2] * 6, "label": [1.0, 0.0, float("nan"), 0.0] * 3})
    for name in ("train", "validation"):
        frame.write_parquet(tmp_path / f"{name}.parquet")
    rows = Dataset(frame.to_arrow())
    settings = {"epochs": 1, "limit": 500}
    for form, streaming in ((tmp_path, False), (tmp_path, True), ({"train": rows}, False)):
        run = fe.finetune(VECTORS, form, streaming=streaming, **settings)
        assert run.labels == [0, 1]
        assert "3 of 12 examples of train are left out: 3 with no label" in str(run.warnings)


ERRORS = ["#N/A", "#NV", "#REF!", "#NAME?", "#WERT!", "#BEZUG!", "#DIV/0!", "#NUM!", "#VALEUR!"]


@pytest.mark.parametrize("word", ["", *MISSING, *ERRORS])
def test_each_word_for_a_missing_cell(tmp_path, word):
    (tmp_path / "a.csv").write_text(f"text,label\na,x\n{word},y\nb,{word}\nc,y\n")
    splits = open_examples(tmp_path / "a.csv", "text", "label")
    assert as_rows(splits.train) == [("a", "x"), ("c", "y")]
    assert splits.notes[0].endswith(f"; the first is {tmp_path / 'a.csv'}:3")
    kept = open_examples(tmp_path / "a.csv", "text", "label", missing="keep")
    assert as_rows(kept.train)[1] == (word, "y")
    assert kept.notes == ()


@pytest.mark.parametrize(
    "word", ["None", "none", "Na", "null hypothesis", "-", "0", " ", "#1 song!", "#tag!", "#"]
)
def test_words_that_are_texts(tmp_path, word):
    (tmp_path / "a.csv").write_text(f"text,label\na,x\n{word},y\n")
    assert open_examples(tmp_path / "a.csv", "text", "label").train["text"] == ["a", word]


CONTINENTS = ["NA", "EU", "AS"]


@pytest.fixture(params=[False, True], ids=["in memory", "streamed"])
def labels_of(request, tmp_path):
    """Returns the labels of a run on a CSV file with these, and its first warning."""

    def run(cells, **settings: object):
        rows = "".join(f"good {i},{cells[i % len(cells)]}\n" for i in range(12))
        for name in ("train", "validation"):
            (tmp_path / f"{name}.csv").write_text(f"text,label\n{rows}")
        found = fe.finetune(VECTORS, tmp_path, epochs=1, streaming=request.param, **settings)
        return found.labels, sorted(found.warnings, key=lambda note: "train" not in note)

    return run


def test_a_quoted_word_is_a_label(labels_of):
    assert labels_of(['"NA"', "EU", '"AS"']) == (["AS", "EU", "NA"], [])
    labels, notes = labels_of(['"NA"', '"EU"', "NA", '"AS"'])
    assert labels == ["AS", "EU", "NA"]
    assert "train are left out: 3 with no label in 'label' (3 'NA'); missing='keep'" in notes[0]


def test_a_word_that_is_not_quoted_is_reported_with_the_way_to_keep_it(labels_of):
    labels, notes = labels_of([*CONTINENTS, "#REF!"])
    assert labels == ["AS", "EU"]
    start = "6 of 12 examples of train are left out: 6 with no label in 'label' (3 'NA', 3 '#REF!')"
    assert notes[0].startswith(f"{start}; missing='keep' keeps such words; the first is ")
    assert labels_of(CONTINENTS, missing="keep") == (["AS", "EU", "NA"], [])


def test_quoted_words_are_found_after_blank_lines_and_lines_in_fields(tmp_path):
    rows = '"a\n""NA"",","NA"\n,\n\nb,NA\n"NA",x\nc,"NA"\n'
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}")
    splits = open_examples(tmp_path / "a.csv", "text", "label")
    assert as_rows(splits.train) == [('a\n"NA",', "NA"), ("NA", "x"), ("c", "NA")]


@pytest.mark.parametrize("form", [pl.DataFrame, Dataset.from_dict])
def test_a_label_of_blanks_is_missing(form):
    splits = open_examples(
        form({"text": list("abcd"), "label": ["x", "", " \t", "y"]}), "text", "label"
    )
    assert as_rows(splits.train) == [("a", "x"), ("d", "y")]
    assert splits.notes[0].startswith("2 of 4 examples of train are left out: 2 with no label")


def test_missing_texts_are_kept_as_empty_ones(tmp_path):
    for form in in_every_form(tmp_path):
        splits = open_examples(form, "text", "label", missing="keep")
        assert [text for text, _ in as_rows(splits.train)][2] in ("", "NA")
        assert len(splits.train) == 8


def test_of_several_columns_some_may_be_missing():
    frame = pl.DataFrame(
        {"title": ["a", None, None], "body": ["b", "c", None], "label": list("xyx")}
    )
    splits = open_examples(frame, ["title", "body"], "label")
    assert fe.data.texts_of(splits.train, ["title", "body"], "here") == ["a b", "c"]


@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_a_column_without_any_value_is_named(role):
    good = pl.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    splits = {"train": good, role: pl.DataFrame({"text": [None, None], "label": ["x", "y"]})}
    with pytest.raises(DataError, match=rf"\({role}\): all 2 examples have no text in 'text'"):
        open_examples(splits, "text", "label")
    splits = {"train": good, role: pl.DataFrame({"text": ["a", "b"], "label": [None, None]})}
    if role == "test":  # its labels are hidden
        assert len(open_examples(splits, "text", "label").test) == 2
        return
    with pytest.raises(DataError, match=rf"\({role}\): all 2 examples have no label in 'label'"):
        open_examples(splits, "text", "label")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder whose labels are whole floats, as pandas writes a column with gaps."""
    path = tmp_path_factory.mktemp("whole")
    rows = [f"good number {i},{1 + i % 2}.0" for i in range(40)] + [",1.0", "bad,", "NA,2.0"]
    for name in ("train", "validation"):
        (path / f"{name}.csv").write_text("\n".join(["text,label", *rows, ""]))
    return path


def test_a_stream_trains_on_the_same_examples(folder):
    settings = {"head": "bag", "epochs": 1, "batch_size": 64}
    in_memory = fe.finetune(VECTORS, folder, **settings)
    streamed = fe.finetune(VECTORS, folder, streaming=True, **settings)
    for run in (in_memory, streamed):
        assert run.labels == ["1", "2"]
        left_out = [note for note in run.warnings if "3 of 43 examples" in note]
        assert [note.split(" ")[5] for note in left_out].count("train") == 1
        assert len(left_out) == 2
    assert streamed.metrics["validation"] == in_memory.metrics["validation"]
    assert (streamed.table.vectors == in_memory.table.vectors).all()


def test_a_stream_keeps_missing_texts(tmp_path):
    rows = "text,label\n" + "good,x\nbad,y\n,x\nNA,y\n" * 8
    for name in ("train", "validation"):
        (tmp_path / f"{name}.csv").write_text(rows)
    runs = [
        fe.finetune(VECTORS, tmp_path, epochs=1, missing="keep", streaming=streaming)
        for streaming in (False, True)
    ]
    assert runs[0].vocab.index_to_key == runs[1].vocab.index_to_key
    assert runs[0].warnings == runs[1].warnings


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["1.0", "2.0", "3"], ["1", "2", "3"]),
        (["-1.0", "0.0", "+1.0"], ["+1", "-1", "0"]),
        (["1.0", "2.5"], ["1.0", "2.5"]),
        (["1.0", "x"], ["1.0", "x"]),
        (["1.00", "2.0"], ["1.00", "2.0"]),
        (["1", "2"], ["1", "2"]),
        (["v1.0", "v2.0"], ["v1.0", "v2.0"]),
    ],
)
def test_whole_labels_of_text_files(tmp_path, given, expected):
    rows = "".join(f"a,{label}\n" for label in given)
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}")
    assert sorted(open_examples(tmp_path / "a.csv", "text", "label").train["label"]) == expected


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (["Pos", "pos", "neg"], ": 'Pos', 'pos'"),
        (["pos", "pos ", " pos"], ": 'pos', 'pos ', ' pos'"),
        (["a b", "A  B", "c"], ": 'a b', 'A  B'"),
        (["Straße", "STRASSE"], ": 'Straße', 'STRASSE'"),
        (["a", "A", "b", "B"], ": 'a', 'A'; 'b', 'B'"),
        (["a", "b", 1, 2, True], ""),
    ],
)
def test_labels_that_are_nearly_the_same(labels, shown):
    note = similar_labels(labels)
    start = "labels that differ only in case or spaces are different labels"
    assert note == (start + shown if shown else "")


def test_labels_that_are_nearly_the_same_are_reported():
    texts = [f"{word} {number}" for number in range(9) for word in ("good", "bad", "fine")]
    rows = Dataset.from_dict({"text": texts, "label": ["Pos", "neg", "pos"] * 9})
    run = fe.finetune(VECTORS, rows, epochs=1)
    assert run.warnings == [similar_labels(["Pos", "neg", "pos"])]


def test_a_stream_of_the_library_datasets(tmp_path):
    stream = Dataset.from_dict({"text": TEXTS * 9, "label": LABELS * 9}).to_iterable_dataset()
    held_out = Dataset.from_dict({"text": TEXTS, "label": LABELS})
    run = fe.finetune(VECTORS, {"train": stream, "validation": held_out}, epochs=1)
    assert run.warnings[1].startswith("27 of 72 examples of train are left out: 18 with no text")
    assert isinstance(stream, datasets.IterableDataset)
