"""Damaged, lying and strange files: each gives its table, or one error that describes it."""

from __future__ import annotations

import io
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malformed import CASES, ROWS, Case
from packing import zstd

from finetune_embed import VectorFileError, load_vectors


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Import what readers import lazily, so its memory is not counted for a file."""
    load_vectors(io.BytesIO(zstd(b"a 1e-400 1\n")))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_file_gives_its_table_or_error(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ROWS)))
    (tmp_path / "folder").mkdir()
    if isinstance(case.made, bytes):
        opened: Any = tmp_path / "vectors"
        opened.write_bytes(case.made)
    else:
        opened = case.made(tmp_path / "folder")
    before = sorted(tmp_path.rglob("*"))
    tracemalloc.start()
    try:
        if isinstance(case.expected, str):
            with pytest.raises(VectorFileError, match=case.expected):
                case.load(opened, **case.options)
        else:
            table = case.load(opened, **case.options)
            assert table.index_to_key == list(case.expected)
            assert table.vectors.dtype == np.float32
            assert repr(table.vectors.tolist()) == repr(list(case.expected.values()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < case.most
    assert sorted(tmp_path.rglob("*")) == before


def test_the_number_of_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES) == 172
