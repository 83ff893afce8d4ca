from __future__ import annotations

import gzip
import json
import socket

import datasets
import polars as pl
import pytest
from datasets import Dataset, DatasetDict
from datasets.exceptions import DatasetNotFoundError

from finetune_embed import DataError
from finetune_embed.splits import open_splits

ROWS = {"text": [f"text, {i}" for i in range(20)], "label": [f"l{i % 2}" for i in range(20)]}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Local data must be opened without a connection."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def as_bytes(kind: str, rows: dict[str, list] = ROWS) -> bytes:
    frame = pl.DataFrame(rows)
    if kind == "csv":
        return frame.write_csv().encode()
    if kind == "tsv":
        return frame.write_csv(separator="\t").encode()
    if kind in ("jsonl", "ndjson"):
        return frame.write_ndjson().encode()
    if kind == "json":
        return json.dumps(frame.to_dicts()).encode()
    raise AssertionError(kind)


def together(splits):
    """Return training and validation rows in the order of their texts' numbers."""
    rows = [*splits.train, *splits.validation]
    return sorted(rows, key=lambda row: int(row["text"].split()[-1]))


EXPECTED = [{"text": f"text, {i}", "label": f"l{i % 2}"} for i in range(20)]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson", "json"])
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_each_kind(tmp_path, kind, upper, packed):
    name = f"rows.{kind}{'.gz' if packed else ''}"
    path = tmp_path / (name.upper() if upper else name)
    path.write_bytes(gzip.compress(as_bytes(kind)) if packed else as_bytes(kind))
    splits = open_splits(path)
    assert together(splits) == EXPECTED
    assert (len(splits.train), len(splits.validation), splits.test) == (18, 2, None)
    assert splits.name == str(path)


def test_a_parquet_file(tmp_path):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "rows.parquet")
    assert together(open_splits(str(tmp_path / "rows.parquet"))) == EXPECTED


def test_fields_of_csv_keep_what_they_hold(tmp_path):
    (tmp_path / "a.csv").write_bytes(
        '\ufefftext,label\r\n"a ""b"", c",x\r\n" d ",y\r\nnull,x\r\nNA,y\r\n"1\n2",x\r\n'.encode()
    )
    splits = open_splits(tmp_path / "a.csv", validation=0.2)
    texts = {*splits.train["text"], *splits.validation["text"]}
    assert texts == {'a "b", c', " d ", "null", "NA", "1\n2"}


def test_a_data_set_object_is_split_by_the_seed():
    dataset = Dataset.from_dict(ROWS)
    splits = open_splits(dataset, validation=0.25, seed=1)
    assert together(splits) == EXPECTED
    assert (len(splits.train), len(splits.validation)) == (15, 5)
    assert not set(splits.train["text"]) & set(splits.validation["text"])
    assert splits.train["text"][:] == sorted(splits.train["text"], key=ROWS["text"].index)
    same = open_splits(dataset, validation=0.25, seed=1)
    assert same.validation["text"][:] == splits.validation["text"][:]
    other = open_splits(dataset, validation=0.25, seed=2)
    assert other.validation["text"][:] != splits.validation["text"][:]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.99, 1.0, 1.5, -0.1])
def test_a_share_that_leaves_nothing(share):
    message = rf"validation={share} of 20 training rows leaves -?\d+ for validation; pass a valid"
    with pytest.raises(DataError, match=message):
        open_splits(Dataset.from_dict(ROWS), validation=share)


@pytest.mark.parametrize("names", [("train", "validation"), ("training", "dev"), ("train", "val")])
def test_named_splits_stay_as_they_are(names):
    train, validation, test = (Dataset.from_dict({"text": [name]}) for name in "abc")
    given = DatasetDict({names[0]: train, names[1]: validation, "test": test})
    splits = open_splits(given)
    assert [splits.train["text"][0], splits.validation["text"][0], splits.test["text"][0]] == [
        "a",
        "b",
        "c",
    ]


def test_no_training_split():
    dataset = DatasetDict({"test": Dataset.from_dict(ROWS), "extra": Dataset.from_dict(ROWS)})
    with pytest.raises(DataError, match="there is no training split; there are 'test', 'extra'"):
        open_splits(dataset)


@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_an_empty_split(role):
    dataset = DatasetDict({"train": Dataset.from_dict(ROWS)})
    dataset[role] = Dataset.from_dict({"text": [], "label": []})
    with pytest.raises(DataError, match=rf"the {role} split is empty \(0 rows\)"):
        open_splits(dataset)


def test_what_is_no_data_set():
    with pytest.raises(DataError, match=r"not list; wrap columns as datasets\.Data"):
        open_splits(["a", "b"])
    for streamed in (
        Dataset.from_dict(ROWS).to_iterable_dataset(),
        datasets.IterableDatasetDict(train=Dataset.from_dict(ROWS).to_iterable_dataset()),
    ):
        with pytest.raises(DataError, match="streamed data set can't be shuffled as a whole; load"):
            open_splits(streamed)


def test_a_folder_with_files_of_splits_and_shards(tmp_path):
    half = {name: values[:10] for name, values in ROWS.items()}
    rest = {name: values[10:] for name, values in ROWS.items()}
    pl.DataFrame(half).write_parquet(tmp_path / "train-00000-of-00002.parquet")
    pl.DataFrame(rest).write_parquet(tmp_path / "train-00001-of-00002.parquet")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "Dev.JSONL").write_bytes(as_bytes("jsonl", half))
    (tmp_path / "test.csv.gz").write_bytes(gzip.compress(as_bytes("csv", rest)))
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "training_notes.txt").write_text("not data")
    (tmp_path / "trainer.csv").write_text("not data")
    splits = open_splits(tmp_path)
    assert list(splits.train) == EXPECTED
    assert list(splits.validation) == EXPECTED[:10]
    assert list(splits.test) == EXPECTED[10:]


@pytest.mark.parametrize("whole", [False, True])
def test_a_folder_written_by_save_to_disk(tmp_path, whole):
    dataset = Dataset.from_dict(ROWS)
    saved = DatasetDict(train=dataset, test=dataset.select([3])) if whole else dataset
    saved.save_to_disk(tmp_path / "saved")
    splits = open_splits(tmp_path / "saved")
    assert together(splits) == EXPECTED
    assert (splits.test["text"][0] if whole else splits.test) == ("text, 3" if whole else None)


def test_a_folder_without_data(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"has no file named train\.csv, train\.jsonl, train\.parq"):
        open_splits(tmp_path)


def test_shards_that_differ_in_columns(tmp_path):
    (tmp_path / "train-1.csv").write_text("text,label\na,x\n")
    (tmp_path / "train-2.csv").write_text("text,class\nb,y\n")
    with pytest.raises(DataError, match="the files of a split differ in columns: "):
        open_splits(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["absent.csv", "absent.CSV", "data/absent.jsonl.gz", "./absent", "/absent", "a/b/c", "x.json"],
)
def test_a_missing_file_is_never_looked_for_on_the_hub(monkeypatch, name):
    monkeypatch.setattr(datasets, "load_dataset", lambda name: pytest.fail("asked the Hub"))
    with pytest.raises(DataError, match=r"no such file or folder: .*(absent|b/c|x\.json)"):
        open_splits(name)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", r"a\.csv is empty \(0 bytes\)$"),
        ("a.csv", b"text,label\n", r"the train split is empty \(0 rows\)"),
        ("a.csv", b"text,label\na,x,z\nb,y\n", r"a\.csv can't be read: found more fields"),
        ("a.csv", b"text,label\n\xff,x\n", r"a\.csv can't be read: invalid utf-8"),
        ("a.csv.gz", gzip.compress(b"text,label\na,b\n")[:-9], r"a\.csv\.gz can't be read: "),
        ("a.jsonl", b'{"text": "a"\n', r"a\.jsonl can't be read: "),
        ("a.json", b'[{"text": "a"', r"a\.json can't be read: "),
        ("a.json", b"3", r"a\.json can't be read: "),
        ("a.parquet", b"PAR1PAR1", r"a\.parquet can't be read: "),
        ("a.txt", b"text", r"a\.txt: data sets are read from \.csv, \.tsv, \.jsonl"),
    ],
)
def test_files_that_can_not_be_read(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        open_splits(tmp_path / name)


@pytest.mark.parametrize("name", ["imdb", "stanfordnlp/imdb"])
def test_any_other_name_goes_to_the_hub(monkeypatch, name):
    asked = []

    def load_dataset(*args: object, **kwargs: object) -> DatasetDict:
        asked.append((args, kwargs))
        return DatasetDict(train=Dataset.from_dict(ROWS), test=Dataset.from_dict(ROWS))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    splits = open_splits(name)
    assert asked == [((name,), {})]
    assert splits.name == name
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (18, 2, 20)


@pytest.mark.parametrize(
    "error", [DatasetNotFoundError("gone\nmore"), ConnectionError("gone"), ValueError("gone")]
)
def test_the_hub_says_no(monkeypatch, error):
    def load_dataset(name: str) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = "^'imbd' is neither a file or folder here nor a data set that the Hub gives: gone$"
    with pytest.raises(DataError, match=message):
        open_splits("imbd")
