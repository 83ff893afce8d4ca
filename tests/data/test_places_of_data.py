"""Paths of data sets: each names one file or folder, and nothing else is opened or asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import datasets
import polars as pl
import pytest
from datasets import Dataset

from finetune_embed import DataError
from finetune_embed.data import open_splits
from finetune_embed.data.reading import hub

NAMES = [
    "d[1]",
    "d*",
    "d?",
    "~",
    "a::b",
    "file:x",
    "100%41",
    "a b",
    "ü",
    "d\udcff",
    "{a,b}",
    "$HOME",
]
KINDS = ["csv", "csv.gz", "tsv", "jsonl", "json", "parquet", "arrow", "xlsx"]


def write(path, text: str) -> None:
    frame = pl.DataFrame({"text": [text], "label": ["x"]})
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.name.split(".", 1)[1]
    if kind == "xlsx":
        with open(path, "wb") as file:
            frame.to_pandas().to_excel(file, index=False)
    elif kind == "csv.gz":
        frame.to_pandas().to_csv(path, index=False, compression="gzip")
    else:
        with open(path, "wb") as file:
            getattr(frame, _WRITERS[kind])(file, **({"separator": "\t"} if kind == "tsv" else {}))


_WRITERS = {
    "csv": "write_csv",
    "tsv": "write_csv",
    "jsonl": "write_ndjson",
    "json": "write_json",
    "parquet": "write_parquet",
    "arrow": "write_ipc",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_path_is_never_a_pattern(tmp_path, monkeypatch, kind, streaming):
    monkeypatch.chdir(tmp_path)
    for other in ("d1", "dx", "d", "b", "a", "x", "100A"):
        write(tmp_path / other / f"train.{kind}", "other")
        write(tmp_path / f"{other}.{kind}", "other")
    for name in NAMES:
        write(tmp_path / name / f"train.{kind}", "own")
        write(tmp_path / f"{name}.{kind}", "own")
        for path in (name, f"{name}/train.{kind}", f"{name}.{kind}", f"{tmp_path}/{name}"):
            assert [row["text"] for row in open_splits(path, streaming).train] == ["own"], path


@pytest.mark.parametrize("name", ["d[1]", "d*", "~", "a::b"])
def test_a_saved_folder_is_never_a_pattern(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for folder, text in (("d1", "other"), ("saved", "own")):
        Dataset.from_dict({"text": [text], "label": ["x"]}).save_to_disk(tmp_path / folder)
    (tmp_path / "saved").rename(tmp_path / name)
    for streaming in (False, True):
        assert [row["text"] for row in open_splits(name, streaming).train] == ["own"]


@pytest.fixture
def no_hub(monkeypatch):
    asked = []

    def reach(address: str) -> None:
        asked.append(address)
        raise ConnectionError("no network")

    monkeypatch.setattr(hub, "_reach", reach)
    return asked


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("revews", "reviews"),
        ("Reviews", "reviews"),
        ("review/", "reviews"),
        ("./revews", "reviews"),
        ("reviews/tran.csv", "reviews/train.csv"),
        ("labels", "labels.csv"),
        ("lables.csv", "labels.csv"),
        ("labels.tsv", "labels.csv"),
        ("nothing.csv", None),
        ("reviews/nothing", None),
        ("nothing/at/all", None),
        ("~/nothing", None),
        ("a b", None),
        ("a\\b", None),
        ("..", None),
        ("", None),
        ("x\0y", None),
        ("x" * 300, None),
        ("/nothing", None),
    ],
)
def test_a_mistyped_path_is_an_error_at_once(tmp_path, monkeypatch, no_hub, name, near):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "reviews" / "train.csv", "a")
    write(tmp_path / "labels.csv", "a")
    start = time.perf_counter()
    with pytest.raises(DataError) as raised:
        open_splits(name)
    assert time.perf_counter() - start < 2
    assert no_hub == []
    message = str(raised.value)
    if near is None:
        assert "did you mean" not in message
    else:
        assert message.endswith(f"; did you mean dataset={near!r}?")
        open_splits(near)
    assert ("looked in" in message) <= (not os.path.isabs(name))


@pytest.mark.parametrize("name", ["imbd", "owner/name", "teknium/OpenHermes-2.5"])
def test_a_name_that_may_be_on_the_hub_is_asked_for_once(tmp_path, monkeypatch, no_hub, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"nor a data set that the Hub returns: no network$"):
        open_splits(name)
    assert no_hub == [datasets.config.HF_ENDPOINT]


HOOK = """
import os, sys
import finetune_embed.data, datasets
from pathlib import Path
seen, folder = [], os.path.realpath(sys.argv[1])
def hook(event, args):
    if event.startswith("socket."):
        seen.append((event, args))
    elif event == "open" and isinstance(args[0], (str, bytes)) and args[2] & 3:  # to write
        seen.append((event, os.fsdecode(args[0])))
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.symlink", "subprocess.Popen"):
        seen.append((event, args))
sys.addaudithook(hook)
before = sorted(os.listdir(folder))
for path in sorted(Path(folder).iterdir()):
    rows = list(finetune_embed.data.open_splits(path, streaming=True).train)
    assert len(rows) == 1 and rows[0]["text"] == "own", (path, rows)
assert sorted(os.listdir(folder)) == before
print(len(before), seen)
"""


@pytest.mark.slow
def test_a_stream_opens_no_connection_and_writes_nothing(tmp_path):
    for kind in KINDS:
        write(tmp_path / "data" / f"a.{kind}", "own")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", HOOK, str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == f"{len(KINDS)} []\n"
    assert not (tmp_path / "cache" / "datasets").exists()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"text": "b", "label": NaN}', "NaN is not JSON; write null for a missing value"),
        ('{"text": "b", "label": 1},', "Extra data"),
    ],
)
def test_the_line_of_what_is_not_json(tmp_path, line, fault):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n' + line + "\n")
    with pytest.raises(DataError, match=rf"a\.jsonl:2: cannot be read: {fault}"):
        open_splits(tmp_path / "a.jsonl")


def test_a_key_that_comes_late_is_read(tmp_path):
    rows = '{"text": "a"}\n' * 10_001 + '{"text": "b", "label": "x"}\n'
    (tmp_path / "a.jsonl").write_text(rows)
    assert open_splits(tmp_path / "a.jsonl").train["label"][-1] == "x"
