from __future__ import annotations

import gzip
import json
import re
import socket

import datasets
import polars as pl
import pytest
from datasets import Dataset, DatasetDict
from datasets.exceptions import DatasetNotFoundError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune_embed import DataError
from finetune_embed.data import Splits, distinct_classes, open_splits
from finetune_embed.data.reading import hub, local_files

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


EXPECTED = [{"text": f"text, {i}", "label": f"l{i % 2}"} for i in range(20)]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson", "json"])
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_of_each_kind(tmp_path, kind, upper, compressed):
    name = f"rows.{kind}{'.gz' if compressed else ''}"
    path = tmp_path / (name.upper() if upper else name)
    path.write_bytes(gzip.compress(as_bytes(kind)) if compressed else as_bytes(kind))
    splits = open_splits(path)
    assert list(splits.train) == EXPECTED
    assert (splits.validation, splits.test) == (None, None)
    assert splits.name == str(path)


def test_a_parquet_file(tmp_path):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "rows.parquet")
    assert list(open_splits(str(tmp_path / "rows.parquet")).train) == EXPECTED


def test_fields_of_csv_are_not_changed(tmp_path):
    (tmp_path / "a.csv").write_bytes(
        '\ufefftext,label\r\n"a ""b"", c",x\r\n" d ",y\r\nnull,x\r\nNA,y\r\n"1\n2",x\r\n'.encode()
    )
    texts = open_splits(tmp_path / "a.csv").train["text"][:]
    assert texts == ['a "b", c', " d ", "null", "NA", "1\n2"]


@pytest.mark.parametrize(("kind", "separator"), [("csv", ","), ("tsv", "\t")])
def test_fields_of_csv_and_tsv_are_text_as_written(tmp_path, kind, separator):
    rows = [("007", "01"), ("true", "1"), ("1.50", "10"), ("", "1"), ('""', ""), ("2024-01-02", "")]
    lines = [("text", "label"), *rows]
    path = tmp_path / f"a.{kind}"
    path.write_text("".join(f"{separator.join(line)}\n" for line in lines))
    train = open_splits(path).train
    assert train["text"][:] == ["007", "true", "1.50", None, "", "2024-01-02"]
    assert train["label"][:] == ["01", "1", "10", "1", None, None]
    labelled = train.select(range(4))
    assert distinct_classes(labelled, "label", "data") == ["01", "1", "10"]


def test_a_data_set_object_is_the_training_split():
    dataset = Dataset.from_dict(ROWS)
    splits = open_splits(dataset)
    assert splits == Splits(dataset, None, None, "the data set")


# Names and folders


@pytest.mark.parametrize("names", [("train", "validation"), ("training", "dev"), ("train", "val")])
def test_named_splits_are_returned_unchanged(names):
    train, validation, test = (Dataset.from_dict({"text": [name]}) for name in "abc")
    splits = open_splits(DatasetDict({names[0]: train, names[1]: validation, "test": test}))
    assert [splits.train["text"][0], splits.validation["text"][0], splits.test["text"][0]] == [
        "a",
        "b",
        "c",
    ]


def test_no_training_split():
    dataset = DatasetDict({"test": Dataset.from_dict(ROWS), "extra": Dataset.from_dict(ROWS)})
    with pytest.raises(DataError, match=r"no training split; there are 'test', 'extra'; name o"):
        open_splits(dataset)


@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_an_empty_split(role):
    dataset = DatasetDict({"train": Dataset.from_dict(ROWS)})
    dataset[role] = Dataset.from_dict({"text": [], "label": []})
    what = "data" if role == "train" else f"{role} split"  # the only one
    with pytest.raises(DataError, match=rf"the {what} is empty \(0 examples\)"):
        open_splits(dataset)
    dataset["test"] = dataset[role]
    dataset["train"] = dataset[role]
    with pytest.raises(DataError, match=r"the train split is empty \(0 examples\)"):
        open_splits(dataset)


def test_objects_that_are_not_data_sets():
    with pytest.raises(DataError, match=r"not list; wrap columns: datasets\.Data"):
        open_splits(["a", "b"])


def test_only_the_training_split_is_streamed():
    stream = Dataset.from_dict(ROWS).to_iterable_dataset()
    for streamed in (
        {"train": stream, "val": stream.take(3)},
        datasets.IterableDatasetDict(train=stream, validation=stream.take(3)),
    ):
        splits = open_splits(streamed)
        assert splits.streamed
        assert splits.train is stream
        assert isinstance(splits.validation, Dataset)
        assert splits.validation["text"] == ROWS["text"][:3]
    alone = open_splits(stream)
    assert (alone.streamed, alone.validation, alone.test) == (True, None, None)
    with pytest.raises(DataError, match=r"the validation split is empty \(0 examples\)"):
        open_splits({"train": stream, "validation": stream.take(0)})


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_streamed_files_have_the_same_examples(tmp_path, suffix):
    """Some fields could be mistaken for numbers, booleans or missing values."""
    rows = {
        "text": ["a b", "007", "1e5", "True", "NA", None, "null", 'with "quotes", commas'],
        "label": ["x", "y", "x", "y", "x", "y", "x", "y"],
    }
    frame = pl.DataFrame(rows)
    path = tmp_path / f"train{suffix}"
    match suffix:
        case ".csv" | ".tsv":
            frame.write_csv(path, separator="\t" if suffix == ".tsv" else ",")
        case ".jsonl":
            frame.write_ndjson(path)
        case ".json":
            frame.write_json(path)
        case ".parquet":
            frame.write_parquet(path)
    (tmp_path / f"validation{suffix}").write_bytes(path.read_bytes())
    for source in (path, tmp_path):
        read, streamed = open_splits(source), open_splits(source, streaming=True)
        assert streamed.streamed
        assert not read.streamed
        assert list(streamed.train) == list(read.train) == frame.to_dicts()
    assert list(streamed.validation) == list(read.validation)
    Dataset.from_dict(ROWS).save_to_disk(tmp_path / "saved")
    saved = open_splits(tmp_path / "saved", streaming=True)
    assert list(saved.train) == list(Dataset.from_dict(ROWS))


def test_a_folder_with_files_of_splits_and_shards(tmp_path):
    half = {name: values[:10] for name, values in ROWS.items()}
    rest = {name: values[10:] for name, values in ROWS.items()}
    pl.DataFrame(half).write_parquet(tmp_path / "train-00000-of-00002.parquet")
    pl.DataFrame(rest).write_parquet(tmp_path / "train-00001-of-00002.parquet")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "Dev.JSONL").write_bytes(as_bytes("jsonl", half))
    (tmp_path / "test.csv.gz").write_bytes(gzip.compress(as_bytes("csv", rest)))
    (tmp_path / "train.csv").mkdir()
    for folder in ("backup", "data/old", ".cache"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.csv").write_text("text,label\nold,l0\n")
    for name in (
        "README.md",
        "training_notes.txt",
        "trainer.csv",
        "train_labels_of_test.csv",
        "train-old.csv",
        "train-1.csv",
        "test.csv.bak",
        "my-train.csv",
        "train.txt",
    ):
        (tmp_path / name).write_text("not data")
    splits = open_splits(tmp_path)
    assert list(splits.train) == EXPECTED
    assert list(splits.validation) == EXPECTED[:10]
    assert list(splits.test) == EXPECTED[10:]


@pytest.mark.parametrize(
    "name",
    ["train", "Training", "validation", "valid", "VAL", "dev", "test", "Test-00000-of-00001"],
)
def test_each_name_of_a_split(tmp_path, name):
    (tmp_path / f"{name}.csv").write_bytes(as_bytes("csv"))
    if not name.lower().startswith("train"):
        (tmp_path / "train.csv").write_text("text,label\na,x\n")
    splits = open_splits(tmp_path)
    found = [part for part in (splits.train, splits.validation, splits.test) if part is not None]
    assert list(found[-1]) == EXPECTED
    assert len(found) == (1 if name.lower().startswith("train") else 2)


@pytest.mark.parametrize(
    ("role", "first", "second"),
    [
        ("train", "train.csv", "train.parquet"),
        ("train", "train.csv", "train.csv.gz"),
        ("train", "train.csv", "training.csv"),
        ("validation", "dev.csv", "val.csv"),
        ("test", "data/test.csv", "test.csv"),
        ("train", "train-00000-of-00002.csv", "train.csv"),
        ("train", "train-00000-of-00002.csv", "train-00000-of-00003.csv"),
        ("train", "train-00000-of-00001.csv", "train-00000-of-00001.jsonl"),
    ],
)
def test_two_files_for_one_split(tmp_path, role, first, second):
    (tmp_path / "data").mkdir()
    for name in (first, second):
        (tmp_path / name).write_bytes(as_bytes("csv"))
    message = f"both {first} and {second} could be the {role} split; remove one of them, or name"
    with pytest.raises(DataError, match=re.escape(message)):
        open_splits(tmp_path)


@pytest.mark.parametrize("has_splits", [False, True])
def test_a_folder_written_by_save_to_disk(tmp_path, has_splits):
    dataset = Dataset.from_dict(ROWS)
    saved = DatasetDict(train=dataset, test=dataset.select([3])) if has_splits else dataset
    saved.save_to_disk(tmp_path / "saved")
    expected = [EXPECTED[3]] if has_splits else None
    splits = open_splits(tmp_path / "saved")
    assert list(splits.train) == EXPECTED
    assert (None if splits.test is None else list(splits.test)) == expected


def test_a_folder_without_data(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"there is no file named train\.csv, train\.jsonl.*; put"):
        open_splits(tmp_path)


def test_shards_that_differ_in_columns(tmp_path):
    (tmp_path / "train-00000-of-00002.csv").write_text("text,label\na,x\n")
    (tmp_path / "train-00001-of-00002.csv").write_text("text,class\nb,y\n")
    with pytest.raises(DataError, match="the files of a split differ in columns: "):
        open_splits(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["absent.csv", "absent.CSV", "data/absent.jsonl.gz", "./absent", "/absent", "a/b/c", "x.json"],
)
def test_a_missing_file_is_never_searched_for_on_the_hub(monkeypatch, name):
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: pytest.fail("asked the Hub"))
    with pytest.raises(DataError, match=r"(absent.*|b/c|x\.json): there is no such file or fol"):
        open_splits(name)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", r"a\.csv: the file is empty \(0 bytes\)$"),
        ("a.csv", b"text,label\n", r"the data is empty \(0 examples\)"),
        ("a.csv", b"text,label\na,x,z\nb,y\n", r"a\.csv:2: the number of fields is 3 here"),
        (
            "a.csv",
            b"text,label\n\xff\xfe\x81,x\n",
            r"a\.csv:2: this line is not UTF-8, at byte 0xff",
        ),
        (
            "a.csv.gz",
            gzip.compress(b"text,label\na,b\n", mtime=0)[:-9],
            r"a\.csv\.gz: cannot be read: ",
        ),
        ("a.jsonl", b'{"text": "a"\n', r"a\.jsonl:1: cannot be read: Expecting ',' delimiter"),
        (
            "a.jsonl",
            b'{"text": "a"}\n\n{"text": "\x81"}\n',
            r"a\.jsonl:3: this line is not UTF-8, at byte 0x81",
        ),
        (
            "a.tsv",
            b'text\tlabel\n"a\nb"\tx\n5" disk\ty\n6" disk\tx\n',
            r"""a\.tsv:4: a quotation mark is inside a field that does not .*: "a 5"" disk\"""",
        ),
        (
            "a.csv",
            b'text,label\na,x\n"b,y\nc,x\n',
            r"a\.csv:3: the quotation mark that opens here is not closed",
        ),
        (
            "a.csv",
            b'text,label\n"a\nb",x\nc,y,z\n',
            r"a\.csv:4: the number of fields is 3 here, and 2 in the header",
        ),
        (
            "a.jsonl",
            b'{"text": "a"}\n{"text": "cut \\ud83d emoji"}\n',
            r"a\.jsonl:2: 'text' has half of a surrogate pair, as of an emoji that was cut in two",
        ),
        (
            "a.jsonl",
            b'{"text": ["a", "cut \\ud83d"]}\n',
            r"a\.jsonl:1: 'text' has half of a surrogate pair",
        ),
        (
            "a.json",
            b'[{"text": "a \\ud83d\\ude00 \\u0000"}, {"text": "cut \\ud83d"}]',
            r"a\.json\[1\]: 'text' has half of a surrogate pair",
        ),
        ("a.json", b'[{"text": "a"', r"a\.json: cannot be read: "),
        ("a.json", b"3", r"a\.json: cannot be read: "),
        ("a.parquet", b"PAR1PAR1", r"a\.parquet: cannot be read: "),
        (
            "a.jsonl",
            b'{"text": "a", "label": "[x]"}\n\n{"text": ["b"], "label": "y"}\n',
            r"a\.jsonl:3: 'text' is \['b'\], but a text in other examples; write texts in all",
        ),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"label": ["x"]}\n{"label": "y"}\n', mtime=0),
            r"a\.jsonl\.gz:1: 'label' is \['x'\], but a text",
        ),
        (
            "a.ndjson",
            b'{"text": "a"}\n{}\n{"text": {"b": 1}}\n',
            r"a\.ndjson:3: 'text' is \{'b': 1\}, but a text",
        ),
        ("a.txt", b"text", r"a\.txt: data sets are read from \.csv, \.tsv, \.jsonl"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_unreadable_files(tmp_path, name, data, message, streaming):
    (tmp_path / name).write_bytes(data)
    if streaming and "0 examples" in message:
        assert list(open_splits(tmp_path / name, streaming=True).train) == []
        return
    with pytest.raises(DataError, match=message):
        list(open_splits(tmp_path / name, streaming=streaming).train)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("name", "data", "rows"),
    [
        ("a.csv", b"text,label\na,x\n\nb,y\n\n", [("a", "x"), ("b", "y")]),
        ("a.csv", b'\xef\xbb\xbftext,label\r\n"",x\r\n,y\r\n\r\n', [("", "x"), (None, "y")]),
        ("a.csv", b'text,label\n"a ""b""\nc",x\n', [('a "b"\nc', "x")]),
        ("a.csv", b"text,label", []),
        ("a.csv", b"\n\r\ntext,label\n" + b"t,x\n" * 9, [("t", "x")] * 9),
        ("a.tsv", b"text\tlabel\na, b\tx\n", [("a, b", "x")]),
        ("a.tsv", b'text\tlabel\nb\tx\na 5" disk\ty\n', [("b", "x"), ('a 5" disk', "y")]),
        ("a.jsonl", b'\xef\xbb\xbf{"text": "a", "label": 1}\n', [("a", 1)]),
        (
            "a.json",
            b'\n{"text": "a", "label": 1}\n{"text": "b", "label": 2}\n',
            [("a", 1), ("b", 2)],
        ),
        ("a.json", b' [{"text": "a", "label": 1}]', [("a", 1)]),
        ("a.json", b'\xef\xbb\xbf[{"text": "a", "label": 1}]', [("a", 1)]),
    ],
)
def test_examples_of_files(tmp_path, monkeypatch, name, data, rows, streaming):
    monkeypatch.setattr(local_files, "BLOCK", 12)
    for compressed in (False, True):
        path = tmp_path / (f"{name}.gz" if compressed else name)
        path.write_bytes(gzip.compress(data) if compressed else data)
        if rows or streaming:
            found = open_splits(path, streaming=streaming).train
            assert [(row["text"], row["label"]) for row in found] == rows


@pytest.mark.parametrize("streaming", [False, True])
def test_a_column_without_a_name(tmp_path, streaming):
    (tmp_path / "a.csv").write_text(",text,label\n0,a,x\n")
    (row,) = open_splits(tmp_path / "a.csv", streaming=streaming).train
    assert row == {"": "0", "text": "a", "label": "x"}


FIELDS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6),
    st.sampled_from(["[1]", '{"a": 1}', '"', '""', "\n", "\r\n", ",", "\t", "NA", "007", "\ufeff"]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS).filter(any), min_size=1, max_size=12),
    block=st.integers(1, 60),
    kind=st.sampled_from([".csv", ".tsv", ".jsonl"]),
)
def test_a_file_read_in_blocks_has_the_same_examples(tmp_path, monkeypatch, rows, block, kind):
    path = tmp_path / f"rows{kind}"
    frame = pl.DataFrame(rows, schema={"text": pl.String, "label": pl.String}, orient="row")
    if kind == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if kind == ".tsv" else ",")
    monkeypatch.setattr(local_files, "BLOCK", block)
    at_once = list(open_splits(path).train)
    assert list(open_splits(path, streaming=True).train) == at_once == frame.to_dicts()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_compressed_file_with_a_damaged_bit_is_read_or_one_clear_error(tmp_path, kind, streaming):
    rows = {
        "text": [f"some text of {i * 7919}" for i in range(300)],
        "label": ["x", "y", "z"] * 100,
    }
    data = gzip.compress(as_bytes(kind, rows), mtime=0)
    refused = 0
    for at in range(10, len(data), 23):
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        (tmp_path / f"a.{kind}.gz").write_bytes(damaged)
        try:
            list(open_splits(tmp_path / f"a.{kind}.gz", streaming=streaming).train)
        except DataError:
            refused += 1
    assert refused > 20


def test_files_of_a_stream_are_shards(tmp_path):
    for number in range(3):
        (tmp_path / f"train-0000{number}-of-00003.csv").write_text(f"text,label\na,{number}\n")
    train = open_splits(tmp_path, streaming=True).train
    assert train.num_shards == 3
    assert [row["label"] for row in train] == ["0", "1", "2"]


def test_texts_that_look_like_json_are_texts(tmp_path):
    texts = ["[a]", "[1, 2]", '{"b": 1}', " [sic] ", "plain", None, "5"]
    rows = "\n\n".join(json.dumps({"text": text}) for text in texts)
    (tmp_path / "a.jsonl").write_text(rows)
    assert open_splits(tmp_path / "a.jsonl").train["text"] == texts


@pytest.mark.parametrize("name", ["imdb", "stanfordnlp/imdb"])
def test_any_other_name_goes_to_the_hub(monkeypatch, name):
    asked = []

    def load_dataset(*args: object, **kwargs: object) -> DatasetDict:
        asked.append((args, kwargs))
        return DatasetDict(train=Dataset.from_dict(ROWS), test=Dataset.from_dict(ROWS))

    monkeypatch.setattr(hub, "_reach", asked.append)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    splits = open_splits(name)
    assert asked == [datasets.config.HF_ENDPOINT, ((name,), {"streaming": False})]
    assert splits.name == name
    assert (len(splits.train), splits.validation, len(splits.test)) == (20, None, 20)


@pytest.mark.parametrize(
    "error", [DatasetNotFoundError("gone\nmore"), ConnectionError("gone"), ValueError("gone")]
)
def test_a_data_set_that_is_not_on_the_hub(monkeypatch, error):
    def load_dataset(name: str, **options: object) -> None:
        raise error

    monkeypatch.setattr(hub, "_reach", lambda address: None)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = "^dataset='imbd' is neither a file or folder here nor .* that the Hub returns: gone$"
    with pytest.raises(DataError, match=message):
        open_splits("imbd")


def test_splits_that_are_not_data_sets():
    with pytest.raises(
        DataError, match=r"the train split is a list, not a data set; wrap it: Datas"
    ):
        open_splits({"train": ["a", "b"]})
