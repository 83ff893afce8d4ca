"""Parquet and Arrow files as data sets: what they state is kept, and damage is one clear error."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, load_dataset

import finetune_embed as fe
from finetune_embed import DataError
from finetune_embed.data import class_names, open_splits
from finetune_embed.demo import VECTORS

TEXTS = ["good one", "bad one", "fine thing", "poor thing"] * 8
SETS = {
    "single_label": Dataset.from_dict(
        {"text": TEXTS, "label": [1, 0, 1, 0] * 8},
        features=Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])}),
    ),
    "multi_label": Dataset.from_dict(
        {"text": TEXTS, "label": [[1], [0, 2], [], [0]] * 8},
        features=Features(
            {"text": Value("string"), "label": List(ClassLabel(names=["a", "b", "c"]))}
        ),
    ),
    "tagging": Dataset.from_dict(
        {"text": [text.split() for text in TEXTS], "label": [[0, 1], [1, 0]] * 16},
        features=Features(
            {"text": List(Value("string")), "label": List(ClassLabel(names=["A", "O"]))}
        ),
    ),
}


def write(dataset: Dataset, path) -> None:
    table = dataset.data.table
    if path.suffix == ".parquet":
        dataset.to_parquet(str(path))
    elif path.suffix == ".feather":
        pa.feather.write_feather(table, str(path))
    else:
        make = pa.ipc.new_file if path.stem.endswith("f") else pa.ipc.new_stream
        with pa.OSFile(str(path), "wb") as file, make(file, table.schema) as writer:
            writer.write_table(table)


@pytest.mark.parametrize("task", SETS)
@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.arrow", "af.arrow", "saved"])
def test_every_way_gives_the_same_run(tmp_path, task, name):
    """In memory, streamed and as a `Dataset`: the names, the task, the scores, the predictions."""
    dataset = SETS[task]
    for role in ("train", "validation"):
        (tmp_path / role).mkdir()
    if name == "saved":
        DatasetDict(train=dataset, validation=dataset).save_to_disk(tmp_path / "data")
    else:
        (tmp_path / "data").mkdir()
        for role in ("train", "validation"):
            target = tmp_path / "data" / f"{role}.{name.split('.')[1]}"
            write(dataset, tmp_path / role / name)
            (tmp_path / role / name).rename(target)
    head = "bilstm" if task == "tagging" else "bag"
    settings = {"epochs": 1, "head": head, "batch_size": 64}
    ways = [
        fe.finetune(VECTORS, tmp_path / "data", **settings),
        fe.finetune(VECTORS, tmp_path / "data", streaming=True, **settings),
        fe.finetune(VECTORS, {"train": dataset, "validation": dataset}, **settings),
    ]
    texts = [["good", "thing"], ["poor"]] if task == "tagging" else ["good thing", "poor"]
    for run in ways:
        assert run.task.name == task
        assert run.labels == ways[0].labels
        assert isinstance(run.labels[0], str)
        assert run.metrics["validation"] == pytest.approx(ways[0].metrics["validation"])
        assert run.predict(texts) == ways[0].predict(texts)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.arrow", "af.arrow"])
def test_names_of_classes_are_those_of_datasets(tmp_path, name, streaming):
    for dataset in SETS.values():
        write(dataset, tmp_path / name)
        splits = open_splits(tmp_path / name, streaming)
        assert class_names(splits.train, "label") == class_names(dataset, "label")
        assert list(splits.train) == list(dataset)
    if name.endswith("parquet"):
        assert list(
            load_dataset("parquet", data_files=str(tmp_path / name), split="train")
        ) == list(dataset)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_categories_become_their_values(tmp_path, suffix, streaming):
    table = pa.table(
        {"text": ["a", "b", "c"], "label": pa.array(["x", "y", "x"]).dictionary_encode()}
    )
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        pa.feather.write_feather(table, str(path))
    assert [row["label"] for row in open_splits(path, streaming).train] == ["x", "y", "x"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
@pytest.mark.parametrize("data", [b"", b"x", b"PAR1", b"ARROW1\0\0", b"FEA1" * 9, b"\xff" * 99])
def test_files_that_are_not_what_they_claim(tmp_path, suffix, data):
    (tmp_path / f"a.{suffix}").write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.{suffix}: "):
        open_splits(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("features", [b"{", b"[]", b"{}", b'{"info": {"features": {"text": 1}}}'])
def test_metadata_that_is_damaged(tmp_path, features):
    table = pa.table({"text": ["a"], "label": ["x"]})
    pq.write_table(
        table.replace_schema_metadata({b"huggingface": features}), tmp_path / "a.parquet"
    )
    try:
        open_splits(tmp_path / "a.parquet")
    except DataError as error:
        assert "a.parquet: " in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.json", "{", "state.json: cannot be read"),
        ("state.json", "[]", "state.json: cannot be read"),
        ("state.json", '{"_data_files": {}}', "'_data_files' is not a list"),
        ("state.json", '{"_data_files": [{"filename": "../x"}]}', "names no files"),
        ("state.json", '{"_data_files": [{"filename": "x.arrow"}]}', "x.arrow is missing"),
        ("state.json", "[" * 100_000, "state.json: cannot be read"),
    ],
)
def test_a_saved_folder_that_is_damaged(tmp_path, name, content, message):
    SETS["single_label"].save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / name).write_text(content)
    with pytest.raises(DataError, match=message):
        open_splits(tmp_path / "saved")


FUZZ = """
import random, sys
from pathlib import Path
from finetune_embed import DataError
from finetune_embed.data import open_splits
for path in map(Path, sys.argv[1:]):
    data, rng, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(100):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        for streaming in (False, True):
            try:
                list(open_splits(path, streaming).train)
            except DataError as error:
                refused += 1
                assert len(str(error)) < 500
            except ValueError as error:  # of datasets, for a number without a class name
                assert streaming and "Class label" in str(error)
    print(refused)
"""


@pytest.mark.slow
def test_a_changed_bit_is_read_or_one_clear_error(tmp_path):
    """In a process of its own, which nothing may end."""
    paths = []
    for kind in ("single_label", "tagging"):
        for name in ("a.parquet", "a.feather", "a.arrow", "af.arrow"):
            paths.append(tmp_path / kind / name)
            paths[-1].parent.mkdir(exist_ok=True)
            write(SETS[kind], paths[-1])
    command = [sys.executable, "-c", FUZZ, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(int(refused) > 20 for refused in done.stdout.split())
    assert len(done.stdout.split()) == len(paths)


def test_random_bytes_after_a_magic_number(tmp_path):
    rng = random.Random(0)
    for suffix, magic in (
        ("parquet", b"PAR1"),
        ("arrow", b"ARROW1\0\0"),
        ("feather", b"ARROW1\0\0"),
    ):
        for size in range(0, 300, 7):
            (tmp_path / f"a.{suffix}").write_bytes(magic + rng.randbytes(size) + magic)
            with pytest.raises(DataError):
                open_splits(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_file_that_expands_too_much_is_refused_before_it_is_read(tmp_path, streaming):
    """The text is one that all rows share, or a number repeated and compressed."""
    numbers = pa.table({"text": ["a"], "label": pa.array([np.zeros(9_000_000, np.int64)])})
    pa.feather.write_feather(numbers, tmp_path / "a.feather", compression="zstd")
    shared = pa.DictionaryArray.from_arrays(np.zeros(99, np.int8), pa.array(["x" * 700_000]))
    pa.feather.write_feather(
        pa.table({"text": shared, "label": shared}), tmp_path / "b.feather", compression="lz4"
    )
    for name, size in (("a", "72,000,0"), ("b", "138,600,000")):
        message = rf"{name}\.feather: [\d,]+ bytes expand to {size}.* or more, over 200 to 1"
        with pytest.raises(DataError, match=message):
            list(open_splits(tmp_path / f"{name}.feather", streaming).train)
