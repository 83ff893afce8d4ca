"""JSON Lines and JSON arrays: their encodings, keys, and what they take in memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from finetune_embed import DataError
from finetune_embed.data import open_splits

ROWS = [{"text": "grüße", "label": "x"}, {"text": "naïve tree", "label": "y"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
ARRAY = json.dumps(ROWS, ensure_ascii=False, indent=1)
#: About 64 KB that polars makes tables of hundreds or thousands of MB of.
WIDE = {
    "keys": [{f"k{i}": 1} for i in range(5000)],
    "objects": [{"a": {f"k{i}": 1}} for i in range(3300)],
    "objects in lists": [{"a": [{f"k{i}": 1}]} for i in range(3000)],
    "objects in one list": [{"a": [{f"k{i}": 1} for i in range(4400)]}],
    "few objects": [{}] * 4000 + [{"a": {f"k{i}": 1 for i in range(4000)}}],
}


def texts(path, data: str | bytes, streaming: bool = False, **given: str):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    splits = open_splits(path, streaming, **given)
    return [row["text"] for row in splits.train], splits.notes


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-16", "is read as UTF-16, by its byte order mark"),
        ("utf-32", "is read as UTF-32, by its byte order mark"),
        ("utf-8-sig", "is read as UTF-8, by its byte order mark"),
        ("cp1252", "is not UTF-8, so it is read as cp1252"),
    ],
)
@pytest.mark.parametrize(("name", "data"), [("a.jsonl", LINES), ("a.json", ARRAY)])
def test_encodings_are_found_and_reported(tmp_path, streaming, encoding, note, name, data):
    found, notes = texts(tmp_path / name, data.encode(encoding), streaming)
    assert found == ["grüße", "naïve tree"]
    assert [note in one for one in notes] == [True]


def test_an_encoding_that_is_named(tmp_path):
    data = '{"text": "хорошая", "label": "x"}\n'.encode("cp1251")
    with pytest.raises(DataError, match=r"a\.jsonl:1: this line is not UTF-8"):
        texts(tmp_path / "a.jsonl", data)
    assert texts(tmp_path / "a.jsonl", data, encoding="cp1251") == (["хорошая"], ())


def test_the_line_of_a_fault_in_utf16(tmp_path):
    with pytest.raises(DataError, match=r"a\.jsonl:3: cannot be read: Expecting"):
        texts(tmp_path / "a.jsonl", (LINES + "{,}\n").encode("utf-16"))


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("name", "data", "place"),
    [
        ("a.jsonl", '{"text": "a"}\n\n{"text": "a", "label": 1, "text": "b"}\n', r"a\.jsonl:3"),
        ("a.jsonl", '{"text": "text"}\n{"text": "a", "text" : null}\n', r"a\.jsonl:2"),
        ("a.json", '[{"text": "a"}, {"text": "a", "text": "b"}]', r"a\.json\[1\]"),
    ],
)
def test_a_key_twice(tmp_path, streaming, name, data, place):
    with pytest.raises(DataError, match=rf"{place}: the key 'text' is there twice; give"):
        texts(tmp_path / name, data, streaming)


def test_a_key_twice_among_many(tmp_path):
    row = ", ".join(f'"k{i}": {i}' for i in range(40))
    with pytest.raises(DataError, match=r"a\.jsonl:2: the key 'k7' is there twice"):
        texts(tmp_path / "a.jsonl", f'{{{row}}}\n{{{row}, "k7": 1}}\n')


def test_keys_that_are_there_once(tmp_path):
    rows = [
        {"text": 'the "text": of "label"', "label": "text", "n": None},
        {"text": "text", "label": "label"},
        {"text": ", [{", "label": "x", "inner": {"text": 1}},
    ]
    lines = "\n".join(map(json.dumps, rows))
    assert texts(tmp_path / "a.jsonl", lines)[0] == [row["text"] for row in rows]
    assert texts(tmp_path / "a.json", json.dumps(rows))[0] == [row["text"] for row in rows]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("[{}, 3]", "an item is not an object: '3'"),
        ('[{"a": 1}] 3', "there is more after the array"),
        ('[{"a": 1} {"a": 1}]', "there is no , or ] at character 9"),
        ('[{"a": 1},]', "Expecting value"),
        ('[{"a": NaN}]', "NaN is not JSON"),
    ],
)
def test_arrays_that_are_none(tmp_path, data, fault):
    with pytest.raises(DataError, match=rf"a\.json: cannot be read: {re.escape(fault)}"):
        texts(tmp_path / "a.json", data)


def test_a_key_that_only_late_items_of_an_array_have(tmp_path):
    rows = [{"text": "a"}] * 200 + [{"text": "b", "label": "x"}]
    assert texts(tmp_path / "a.json", json.dumps(rows))[0][-1] == "b"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", WIDE)
def test_more_values_than_the_file_has(tmp_path, kind, streaming):
    message = r"the examples have so many different keys that [\d,]+ bytes make [\d,]+ values"
    lines = "\n".join(map(json.dumps, WIDE[kind]))
    assert len(lines) < 80_000
    with pytest.raises(DataError, match=rf"a\.jsonl: {message}"):
        texts(tmp_path / "a.jsonl", lines, streaming)
    with pytest.raises(DataError, match=rf"a\.json: {message}"):
        texts(tmp_path / "a.json", json.dumps(WIDE[kind]), streaming)


@pytest.mark.parametrize(("depth", "is_read"), [(30, True), (33, False), (20_000, False)])
def test_lists_in_lists(tmp_path, depth, is_read):
    line = f'{{"text": "a", "b": {"[" * depth}{"]" * depth}}}\n'
    if is_read:
        assert texts(tmp_path / "a.jsonl", line)[0] == ["a"]
    else:
        with pytest.raises(DataError, match=r"a\.jsonl:2: .* nested more than 32 deep here"):
            texts(tmp_path / "a.jsonl", f"\n{line}")


MEASURE = """
import resource, sys
import polars, numpy
from finetune_embed.data import open_splits
from finetune_embed.errors import DataError
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    open_splits(sys.argv[1])
except DataError:
    pass
print((peak() - before) // 1024)
"""


@pytest.mark.parametrize(
    "rows",
    [
        [{f"k{i % 500}": 1} for i in range(2000)],
        [{"a": {f"k{i % 330}": 1}} for i in range(1500)],
        [{"a": [{f"k{i % 330}": 1}]} for i in range(1500)],
        [{"a": json.loads("[" * 31 + "]" * 31)}] * 800,
        WIDE["keys"],
    ],
    ids=["keys", "objects", "lists", "deep", "refused"],
)
def test_the_memory_of_a_small_file(tmp_path, rows):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert path.stat().st_size < 80_000
    command = [sys.executable, "-c", MEASURE, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(found.stdout) < 300
