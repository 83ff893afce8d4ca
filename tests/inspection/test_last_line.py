"""A last line without a newline: whether it was cut short within its last number."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import datasets
import numpy as np
import pytest

import finetune_embed as fe

VALUES = np.random.default_rng(0).normal(0, 0.4, (200, 10))
DEMO = gzip.decompress(
    (Path(fe.__file__).parent / "demo" / "glove.6B.50d.demo.txt.gz").read_bytes()
)


def code(data: bytes) -> str:
    """Return what `inspect` says about the end of a file; the loader says it if it was cut."""
    findings = fe.inspect(io.BytesIO(data)).findings
    (found,) = {one.code for one in findings} & {"unclosed", "cut_short"} or {""}
    assert ("cut_short" in fe.load_vectors(io.BytesIO(data)).metadata) == (found == "cut_short")
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


@pytest.mark.parametrize("header", [b"", b"200 10\n"])
def test_the_loader_and_a_run_say_why(header, write):
    path = write(header + written(".6f")[:-5])
    why = fe.inspect(path).findings[0].what
    assert why.startswith("the last line does not end with a newline, and its last number has fewe")
    assert fe.load_vectors(path).metadata["cut_short"] == why
    assert fe.load_vectors(path, keys=["w3"]).metadata["cut_short"] == why
    assert fe.load_vectors(path, limit=200).metadata["cut_short"] == why
    assert "cut_short" not in fe.load_vectors(path, limit=199).metadata
    data = datasets.Dataset.from_dict({"text": ["w1", "w2"] * 4, "label": ["a", "b"] * 4})
    run = fe.finetune(path, data, epochs=1)
    assert f"the file of the vectors may be damaged: {why}; fetch it again" in run.warnings
    assert "cut_short" not in run.table.metadata


def test_a_long_file_is_compared_with_the_lines_before_its_end(write):
    rows = written(".6f").splitlines(keepends=True)
    many = b"".join(b"%d-" % at + row for at in range(300) for row in rows)
    assert len(many) > 1 << 22  # a block
    assert code(many[:-5]) == "cut_short"
    assert code(many[:-1]) == "unclosed"


@pytest.mark.parametrize("name", ["tiny.glove.txt", "tiny.word2vec.txt"])
def test_no_golden_file_is_cut_short(name, golden):
    assert "cut_short" not in fe.load_vectors(golden / name).metadata
