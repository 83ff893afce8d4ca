"""`predict` on files, what it writes, and what it notices about its words; `evaluate`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from datasets import Dataset

import finetune_embed as fe
from finetune_embed.cli import main, predictions

WORDS = ["good", "bad", "fine", "poor", "she", "sings", "Rome", "Berlin"]
ROWS = {"id": ["7", "8", "9"], "text": ["good, she", "bad", "fine sings"], "label": ["x", "y", "x"]}


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def tuned(folder: Path, columns: dict[str, list[Any]], **settings: Any) -> fe.Run:
    table = fe.EmbeddingTable(WORDS, np.random.default_rng(0).standard_normal((8, 6)))
    data = Dataset.from_dict(columns)
    return fe.finetune(table, data, output_dir=folder, **{"epochs": 3, "lr": 0.1, **settings})


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, fe.Run]:
    folder = tmp_path_factory.mktemp("predict") / "run"
    texts, labels = ["good she", "bad sings", "fine", "poor"] * 6, ["x", "y", "x", "y"] * 6
    return folder, tuned(folder, {"text": texts, "label": labels})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    pl.DataFrame(ROWS).write_csv(tmp_path / "new.csv")
    return tmp_path / "new.csv"


def read(path: Path) -> pl.DataFrame:
    if path.suffix in (".csv", ".tsv"):
        separator = "\t" if path.suffix == ".tsv" else ","
        return pl.read_csv(path, separator=separator, schema_overrides={"id": pl.String})
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ndjson(path)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".CSV"])
def test_a_file_of_predictions(one, data, tmp_path, capsys, suffix):
    folder, tuned_run = one
    out = tmp_path / f"out{suffix}"
    assert run("predict", folder, "--data", data, "-o", out) == 0
    assert capsys.readouterr().out == f"{out}: predictions for 3 texts\n"
    found = read(out.rename(tmp_path / f"out{suffix.lower()}"))
    assert found.columns == [*ROWS, "prediction", "probability_x", "probability_y"]
    assert found.select(*ROWS).to_dict(as_series=False) == ROWS
    assert found["prediction"].to_list() == tuned_run.predict(ROWS["text"])
    chances = found.select("probability_x", "probability_y").to_numpy()
    assert np.array_equal(chances.astype(np.float32), tuned_run.predict_proba(ROWS["text"]).numpy())


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "folder", "tsv", "semicolon"])
def test_data_of_every_kind(one, tmp_path, capsys, kind):
    frame, layout = pl.DataFrame(ROWS), []
    path = tmp_path / f"new.{kind}"
    if kind == "folder":
        path.mkdir()
        frame.write_csv(path / "train.csv")
        frame[:2].write_csv(path / "test.csv")
    elif kind == "semicolon":
        path = tmp_path / "new.csv"
        frame.write_csv(path, separator=";")
        layout = ["--delimiter", ";"]
    else:
        writers = {"jsonl": frame.write_ndjson, "parquet": frame.write_parquet}
        writers.get(kind, lambda p: frame.write_csv(p, separator="\t"))(path)
    assert run("predict", one[0], "--data", path, "-o", tmp_path / "o.csv", *layout) == 0
    assert read(tmp_path / "o.csv")["id"].to_list() == ROWS["id"][: 2 if kind == "folder" else 3]


def test_texts_of_the_command_line_in_a_file(one, tmp_path, monkeypatch, capsys):
    assert run("predict", one[0], "good", "bad she", "-o", tmp_path / "a.jsonl") == 0
    assert read(tmp_path / "a.jsonl")["text"].to_list() == ["good", "bad she"]
    monkeypatch.setattr("sys.stdin", io.StringIO("good\nbad she\n"))
    assert run("predict", one[0], "-o", tmp_path / "b.jsonl", "--json") == 0
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    said = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert said == {"output": str(tmp_path / "b.jsonl"), "texts": 2, "unknown": 0, "notes": []}


def test_data_is_printed_as_texts_are(one, data, capsys):
    assert run("predict", one[0], *ROWS["text"]) == 0
    expected = capsys.readouterr().out
    assert run("predict", one[0], "--data", data) == 0
    assert capsys.readouterr().out == expected


def test_several_columns_of_texts(tmp_path, capsys):
    rows = {"title": ["good", "bad"] * 8, "body": ["she sings"] * 16, "label": ["x", "y"] * 8}
    made = tuned(tmp_path / "run", rows, text=["title", "body"])
    pl.DataFrame(rows).write_csv(tmp_path / "new.csv")
    out = tmp_path / "out.parquet"
    assert run("predict", tmp_path / "run", "--data", tmp_path / "new.csv", "-o", out) == 0
    joined = [f"{t} {b}" for t, b in zip(rows["title"], rows["body"], strict=True)]
    assert read(out)["prediction"].to_list() == made.predict(joined)
    assert run("predict", tmp_path / "run", "--data", tmp_path / "new.csv", "--text", "body") == 0
    capsys.readouterr()
    assert run("predict", tmp_path / "run", "good she sings") == 0
    err = capsys.readouterr().err
    assert err == "note: the run was trained on title and body, joined with a space\n"


def test_several_labels(tmp_path):
    texts = ["good", "bad", "good bad", "she"] * 6
    labels = [[w for w in ("bad", "good") if w in text] for text in texts]
    made = tuned(tmp_path / "run", {"text": texts, "label": labels}, epochs=20)
    pl.DataFrame({"text": texts[:4]}).write_csv(tmp_path / "new.csv")
    expected = made.predict(texts[:4])
    for suffix in (".csv", ".jsonl", ".parquet"):
        out = tmp_path / f"out{suffix}"
        assert run("predict", tmp_path / "run", "--data", tmp_path / "new.csv", "-o", out) == 0
        found = read(out)["prediction"].to_list()
        assert [json.loads(f) if suffix == ".csv" else f for f in found] == expected


def test_tags(tmp_path, capsys):
    texts, tags = [["she", "sings"], ["Rome"]] * 8, [["O", "O"], ["B-x"]] * 8
    made = tuned(tmp_path / "run", {"text": texts, "label": tags}, head="cnn_tagger")
    pl.DataFrame({"text": texts[:2]}).write_ndjson(tmp_path / "new.jsonl")
    given = ("predict", tmp_path / "run", "--data", tmp_path / "new.jsonl")
    assert run(*given, "-o", tmp_path / "out.jsonl") == 0
    found = read(tmp_path / "out.jsonl")
    assert found["prediction"].to_list() == made.predict(texts[:2])
    chances = made.predict_proba(texts[:2])[:, made.labels.index("O")].tolist()
    assert [p for row in found["probability_O"].to_list() for p in row] == pytest.approx(chances)
    assert run(*given, "-o", tmp_path / "out.csv") == 2
    assert "the column 'text' holds lists, and a cell of a CSV" in capsys.readouterr().err
    assert run(*given) == 0
    assert capsys.readouterr().out.split("\t")[0] == "she"


@pytest.mark.parametrize(("words", "message"), [
    (["--data", "new.csv", "good"], "give texts or --data, not both"),
    (["--text", "text", "good"], "--text is a column of --data; name the file: --data FILE"),
    (["--data", "new.csv", "--text", "words"], "there is no column 'words'"),
    (["--data", "none.csv"], "there is no such file or folder"),
    (["--data", "new.csv", "-o", "out.xlsx"], "end the name with one of .csv, .tsv, .jsonl"),
    (["--data", "new.csv", "-o", "out"], "end the name with one of .csv, .tsv, .jsonl"),
    (["--data", "new.csv", "-o", "./new.csv"], "this is the data itself"),
    (["--data", "new.csv", "-o", "no/out.csv"], "no/out.csv"),
    (["--data", "taken.csv", "-o", "out.csv"], "a column 'prediction' already"),
    (["new.csv"], "new.csv: this is a file, and not a text; give it as data: --data new.csv"),
    (["good", "./new.csv"], "./new.csv: this is a file, and not a text"),
    (["lines.txt"], "to predict its lines, give it as standard input: < lines.txt"),
    (["a\udcff", "-o", "out.csv"], "out.csv: the values cannot be written"),
])  # fmt: skip
def test_what_cannot_be_predicted(one, data, monkeypatch, capsys, words, message):
    monkeypatch.chdir(data.parent)
    Path("lines.txt").write_text("good\n")
    Path("taken.csv").write_text("text,prediction\ngood,x\n")
    before = sorted(Path().iterdir())
    assert run("predict", one[0], *words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(("words", "note"), [
    (["good", "nwe.csv"], "there is no file 'nwe.csv', so it is taken as a text"),
    (["reviews.parquet"], "there is no file 'reviews.parquet', so it is taken as a text"),
    (["zzz qqq"], "the run knows no word of 1 of 1 text, and"),
    (["zzz", "good", ""], "the run knows no word of 2 of 3 texts, and its predictions say nothing "
     "about them; the first is 'zzz'"),
])  # fmt: skip
def test_what_is_noted(one, capsys, monkeypatch, tmp_path, words, note):
    monkeypatch.chdir(tmp_path)
    assert run("predict", one[0], *words) == 0
    out, err = capsys.readouterr()
    assert f"note: {note}" in err
    assert len(out.splitlines()) == len(words)


@pytest.mark.parametrize("words", [["good"], ["good zzz"], ["good.bad she"], ["a/b good"]])
def test_what_is_not_noted(one, capsys, words):
    assert run("predict", one[0], *words) == 0
    assert capsys.readouterr().err == ""


def test_missing_texts_keep_their_rows(one, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("id,text\n1,good\n2,\n3,bad\n")
    assert run("predict", one[0], "--data", tmp_path / "new.csv", "-o", tmp_path / "o.parquet") == 0
    found = read(tmp_path / "o.parquet")
    assert found["id"].to_list() == ["1", "2", "3"]
    assert found["text"].to_list() == ["good", None, "bad"]
    assert found["prediction"].to_list() == one[1].predict(["good", "", "bad"])
    assert "the run knows no word of 1 of 3 texts" in capsys.readouterr().err


def test_a_file_that_is_not_finished_is_not_there(one, data, tmp_path, monkeypatch):
    (tmp_path / "out.csv").write_text("old")

    def fails(frame: pl.DataFrame, file: Any, **options: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pl.DataFrame, "write_csv", fails)
    given = ("predict", one[0], "--data", data, "-o", tmp_path / "out.csv")
    assert run(*given, "--overwrite") == 130
    assert (tmp_path / "out.csv").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    assert predictions.SUFFIXES[0] == ".csv"


def test_evaluate(one, data, capsys):
    folder, made = one
    assert run("evaluate", folder, "--data", data, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(json.dumps(made.evaluate(data).to_dict()))
    given = ("evaluate", folder, "--data", data, "--json")
    assert run(*given, "--missing", "keep", "--ignore-label", made.labels[0]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = made.evaluate(data, missing="keep", ignore_label=made.labels[0])
    assert found == json.loads(json.dumps(expected.to_dict()))
    assert run("evaluate", folder, "--data", data, "--text", "text", "--label", "id") == 2
    assert "a label that is not among the 2" in capsys.readouterr().err
    assert run("evaluate", folder) == 2
    assert "--data" in capsys.readouterr().err
