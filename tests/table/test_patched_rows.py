"""Patched rows have the same values as an array into which the rows were copied."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

import finetune_embed.table.patched_rows as module
from finetune_embed.table import PatchedRows
from finetune_embed.table.patched_rows import is_read_only

ROWS = np.array([7, 0, 3])


@pytest.fixture
def base():
    return np.arange(40, dtype=np.float32).reshape(10, 4)


@pytest.fixture
def vectors():
    return -np.arange(1, 21, dtype=np.float32).reshape(5, 4)  # three replaced, two appended


@pytest.fixture
def expected(base, vectors):
    array = np.concatenate([base, vectors[3:]])
    array[ROWS] = vectors[:3]
    return array


@pytest.mark.parametrize(
    "which",
    [
        slice(None),
        slice(2, 8),
        slice(8, 99),
        slice(10, 12),
        slice(0, 12, 5),
        slice(3, 3),
        slice(None, None, -1),
        np.array([11, 3, 3, 0, 5]),
        np.array([4, 5]),
        np.array([7, 0]),
        np.array([], np.int64),
    ],
    ids=str,
)
def test_any_rows(base, vectors, expected, which):
    rows = PatchedRows(base, ROWS, vectors)
    assert (rows.shape, len(rows)) == ((12, 4), 12)
    assert rows[which].dtype == np.float32
    assert rows[which].tolist() == expected[which].tolist()
    rows[which][:] = 99  # copies
    assert rows[which].tolist() == expected[which].tolist()


def test_one_row_is_a_view(base, vectors, expected):
    rows = PatchedRows(base, ROWS, vectors)
    assert [rows[row].tolist() for row in range(12)] == expected.tolist()
    assert np.shares_memory(rows[1], base)
    assert np.shares_memory(rows[7], vectors)


@pytest.mark.parametrize("block", [1, 5, 12, 13])
def test_to_array(monkeypatch, base, vectors, expected, block):
    monkeypatch.setattr(module, "BLOCK", block)
    array = PatchedRows(base, ROWS, vectors).to_array()
    assert array.tolist() == expected.tolist()
    assert not np.shares_memory(array, base)


def test_patched_twice(base, vectors, expected):
    once = PatchedRows(base, ROWS, vectors)
    twice = PatchedRows(once, np.array([3, 11]), np.full((3, 4), 5, np.float32))
    expected = np.concatenate([expected, np.full((1, 4), 5)])
    expected[[3, 11]] = 5
    assert twice.to_array().tolist() == expected.tolist()
    assert twice[np.array([12, 0, 11, 1])].tolist() == expected[[12, 0, 11, 1]].tolist()


def test_an_empty_base(vectors):
    none = PatchedRows(np.empty((0, 4), np.float32), np.empty(0, np.int64), vectors)
    assert none.to_array().tolist() == vectors.tolist()
    empty = PatchedRows(np.empty((0, 4), np.float32), np.empty(0, np.int64), vectors[:0])
    assert empty.to_array().shape == (0, 4)


def test_is_read_only(tmp_path):
    path = tmp_path / "v.npy"
    array = np.ones((2, 2), np.float32)
    np.save(path, array)
    frozen = array.view()
    frozen.flags.writeable = False
    assert not is_read_only(array)
    assert not is_read_only(frozen)  # whoever has `array` can write
    assert not is_read_only(np.frombuffer(bytearray(16), np.float32))
    assert not is_read_only(np.load(path, mmap_mode="r+"))
    assert is_read_only(np.load(path, mmap_mode="r"))
    assert is_read_only(np.load(path, mmap_mode="r")[1:])
    assert is_read_only(np.frombuffer(bytes(16), np.float32).reshape(2, 2))
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert is_read_only(np.frombuffer(memoryview(mapped)[:16], np.float32))
