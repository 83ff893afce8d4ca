"""Where in their files the examples of a `LocalDataset` are."""

from __future__ import annotations

import gzip
import json
import pickle

import numpy as np
import polars as pl
import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune_embed import DataError
from finetune_embed.data import (
    distinct_classes,
    hold_out,
    label_numbers,
    open_splits,
    texts_of,
)

FIELD = st.sampled_from(["", "a", "b c", '"', "\n", "x\r\ny", ",", "\t", '""', "\n\n", "\ufeff"])


def line_of(place: str) -> int:
    return int(place.rpartition(":")[2])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(FIELD, st.booleans(), st.integers(0, 2)), min_size=1, max_size=9),
    kind=st.sampled_from([".csv", ".tsv", ".jsonl", ".csv.gz"]),
    before=st.integers(0, 2),
)
def test_the_line_of_each_example(tmp_path, rows, kind, before):
    separator = "\t" if kind == ".tsv" else ","
    text = "\n" * before
    text += "" if kind == ".jsonl" else f"text{separator}label\n"
    lines = []
    for number, (field, quoted, blank) in enumerate(rows):
        lines.append(text.count("\n") + 1)
        if kind == ".jsonl":
            text += json.dumps({"text": field, "label": number})
        else:
            needs_quotes = quoted or any(c in field for c in ',\t"\r\n\ufeff')
            text += '"' + field.replace('"', '""') + '"' if needs_quotes else field
            text += f"{separator}{number}"
        text += "\n" * (blank + 1)
    path = tmp_path / f"a{kind}"
    data = text.encode()
    path.write_bytes(gzip.compress(data) if kind.endswith(".gz") else data)
    train = open_splits(path).train
    assert [int(label) for label in train["label"]] == list(range(len(rows)))
    places = [train.place_of(index) for index in range(len(train))]
    assert [line_of(place) for place in places] == lines
    assert all(place.startswith(f"{path}:") for place in places)


def test_records_without_a_value_are_not_examples(tmp_path):
    (tmp_path / "a.csv").write_text('text,label\n,\na,1\n\n"",\n,,\nb,2\n'.replace(",,\n", ",\n"))
    train = open_splits(tmp_path / "a.csv").train
    assert list(zip(train["text"], train["label"], strict=True)) == [
        ("a", "1"),
        ("", None),
        ("b", "2"),
    ]
    assert [line_of(train.place_of(index)) for index in range(3)] == [3, 5, 7]


def test_examples_of_json_arrays_parquet_and_several_files(tmp_path):
    (tmp_path / "a.json").write_text('[{"text": "a"}, {"text": "b"}]')
    assert open_splits(tmp_path / "a.json").train.place_of(1) == f"{tmp_path / 'a.json'}[1]"
    pl.DataFrame({"text": ["a"]}).write_parquet(tmp_path / "a.parquet")
    assert open_splits(tmp_path / "a.parquet").train.place_of(0) is None
    for number in range(3):
        shard = tmp_path / f"train-0000{number}-of-00003.jsonl"
        shard.write_text('{"text": "a"}\n' * number + '\n{"text": "b"}\n')
    train = open_splits(tmp_path).train
    places = [train.place_of(index)[len(f"{tmp_path}/train-0000") :] for index in range(6)]
    expected = [(0, 2), (1, 1), (1, 3), (2, 1), (2, 2), (2, 4)]
    assert places == [f"{shard}-of-00003.jsonl:{line}" for shard, line in expected]


def test_selected_examples_keep_their_lines(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"t{i},{'xy'[i % 2]}\n" for i in range(20)))
    splits = hold_out(open_splits(path), "label", 0.3, 0)
    for part in (splits.train, splits.validation, pickle.loads(pickle.dumps(splits.validation))):
        for index, text in enumerate(part["text"]):
            assert part.place_of(index) == f"{path}:{int(text[1:]) + 2}"
    again = splits.train.select(np.array([3, 1])).select([1])
    assert again.place_of(0) == f"{path}:{int(again['text'][0][1:]) + 2}"
    path.unlink()
    assert again.place_of(0) is None
    assert open_splits(Dataset.from_dict({"text": ["a"]})).train["text"][:] == ["a"]


def test_errors_name_the_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"a\nb",x\nc,\n,y\n')
    train = open_splits(path).train
    message = r"a\.csv:5: 1 of 3 examples have no text in 'text', the first here: None; remove"
    with pytest.raises(DataError, match=message) as raised:
        texts_of(train, "text", "here")
    assert raised.value.where == f"{path}:5"
    message = (
        r"a\.csv:4: 1 of 3 examples have a label in 'label' that is not .*, the first here: None"
    )
    with pytest.raises(DataError, match=message):
        distinct_classes(train, "label", "here")
    message = r"a\.csv:4: 2 of 3 examples have a label that is not among the 1 of the training"
    with pytest.raises(DataError, match=message):
        label_numbers(train, "label", ["x"], "here")


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.json", "a.parquet", "a.feather", "a.xlsx", "a.csv.gz"]
)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_pointer_is_named_in_every_kind_of_file(tmp_path, name, streaming):
    data = b"version https://git-lfs.github.com/spec/v1\noid sha256:4c\nsize 9\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(
        DataError, match=r"this is a Git LFS pointer, not \w+; fetch the file itself"
    ):
        open_splits(tmp_path / name, streaming)


def test_an_example_with_the_keys_of_an_answer_is_one(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"message": "not found", "label": "x"}\n')
    train = open_splits(tmp_path / "a.jsonl").train
    assert list(train) == [{"message": "not found", "label": "x"}]
