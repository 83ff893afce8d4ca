"""Marks of missing numbers, such as R's NA, in text of vectors."""

from __future__ import annotations

import subprocess

import pytest
from following import follows

import finetune_embed as fe

ROWS = {
    "one-value": {7: (2,)},
    "first-row": {0: (0,)},
    "all-of-the-first-row": {0: range(3)},
    "all-of-a-row": {7: range(3)},
    "last-value": {19: (2,)},
    "first-value-of-most": {row: (0,) for row in range(15)},
    "last-value-of-most": {row: (2,) for row in range(15)},
}


def text(mark: str, missing, has_header: bool, end: str) -> str:
    """Return 20 rows of 3 numbers with a mark for some of them."""
    lines = ["20 3"] * has_header
    for row in range(20):
        values = [mark if at in missing.get(row, ()) else f"0.{row}{at + 1}" for at in range(3)]
        lines.append(" ".join([f"word{row}", *values]))
    return "".join(line + end for line in lines)


@pytest.mark.parametrize(
    ("has_header", "end"), [(False, "\n"), (True, "\r\n")], ids=["glove", "word2vec-crlf"]
)
@pytest.mark.parametrize(
    ("name", "mark"),
    [
        *((name, "NA") for name in ROWS),
        *(("one-value", m) for m in ("N/A", "#N/A", "<NA>", "null")),
    ],
)
@follows("formats/common/text_numbers.py", "leave_out(text)")
def test_marks_are_named_and_the_remedy_works(name, mark, has_header, end, tmp_path):
    path, new = tmp_path / "v.txt", tmp_path / "new.txt"
    path.write_bytes(text(mark, ROWS[name], has_header, end).encode())
    with pytest.raises(fe.VectorFileError) as error:
        fe.load_vectors(path)
    line = 1 + has_header + min(ROWS[name])
    assert f"v.txt:{line}: value {1 + min(ROWS[name][min(ROWS[name])])} " in str(error.value)
    assert f"is {mark!r}, which stands for a missing number" in str(error.value)
    findings = fe.inspect(path).findings
    (found,) = (one for one in findings if one.code == "not_numbers")
    assert found.remedy == error.value.remedy
    command = str(error.value).partition("leave such lines out: ")[2]
    command = command.replace("NEW_FILE", str(new)).replace(" FILE", f" {path}")
    subprocess.run(["bash", "-c", command], check=True)
    assert len(fe.load_vectors(new)) == 20 - len(ROWS[name])


def test_such_a_word_is_a_word(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("NA 0.1 0.2\nNULL 0.3 0.4\nNone 0.5 0.6\n")
    assert fe.load_vectors(path).index_to_key == ["NA", "NULL", "None"]
