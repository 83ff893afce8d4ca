"""A last line without a newline: whether it was cut short within its last number."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe

VALUES = np.random.default_rng(0).normal(0, 0.4, (200, 10))
DEMO = gzip.decompress(
    (Path(fe.__file__).parent / "demo" / "glove.6B.50d.demo.txt.gz").read_bytes()
)


def code(data: bytes) -> str:
    """Return what `inspect` says about the end of a file."""
    findings = fe.inspect(io.BytesIO(data)).findings
    (found,) = {one.code for one in findings} & {"unclosed", "cut_short"} or {""}
    return found


def written(form: str, end: str = "\n") -> bytes:
    rows = [" ".join(format(value, form) for value in row) for row in VALUES]
    return "".join(f"w{at} {row}{end}" for at, row in enumerate(rows)).encode()


@pytest.mark.parametrize("cut", [3, 4])
def test_cuts_of_glove(cut):
    lines = DEMO.splitlines(keepends=True)
    found = [code(b"".join(lines[last - 300 : last])[:-cut]) for last in range(400, 11_000, 400)]
    assert set(found) == {"cut_short"}
    found = [code(b"".join(lines[last - 300 : last])[:-1]) for last in range(400, 11_000, 400)]
    assert set(found) == {"unclosed"}


@pytest.mark.parametrize("form", [".6f", ".5g", ".8f", ".3f", "r"])
def test_whole_lines_are_no_cut(form):
    data = written(form) if form != "r" else written("")
    rows = data.splitlines(keepends=True)
    found = [code(b"".join(rows[:last])[:-1]) for last in range(50, 200, 10)]
    assert found.count("cut_short") == 0
    found = [code(b"".join(rows[:last])[:-5]) for last in range(50, 200, 10)]
    assert found.count("cut_short") >= (15 if form != ".3f" else 0)


def test_numbers_followed_by_spaces():
    data = written(".5g", " \n")
    assert code(data) == ""
    assert code(data[:-1]) == "unclosed"
    assert code(data[:-2]) == "cut_short"


@pytest.mark.parametrize("zero", [b"0", b"0.0"])
def test_a_last_row_of_zeros_is_no_cut(zero):
    data = written(".5g") + b"<pad>" + b" " + b" ".join([zero] * 10)
    assert code(data) == "unclosed"


def test_few_numbers_show_nothing():
    assert code(b"a 0.12345 0.23456\nb 0.34567 0.1") == "unclosed"


def test_it_is_a_warning_with_the_number():
    report = fe.inspect(io.BytesIO(written(".6f")[:-5]))
    (found,) = report.findings
    assert (found.severity, found.code) == ("warning", "cut_short")
    assert "has fewer digits than" in found.what
    assert not report.is_clean
