"""`finetune-embed inspect`, its exit codes and its JSON."""

from __future__ import annotations

import io
import json
import sys

import pytest

from finetune_embed.cli import main
from finetune_embed.demo import REVIEWS, VECTORS

SOUND = b"a 1 2\nb 3 4\nc 5 6\n"
NOTE = b"a 1 2\nb 3 4\nc 5 6"
WARNING = b"a 1 2\nb 3 4\na 5 6\n"
ERROR = b"a 1 2\nb 3\nc 5 6\n"


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["inspect", *map(str, arguments)])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.mark.parametrize(
    ("data", "code", "strict"),
    [(SOUND, 0, 0), (NOTE, 0, 0), (WARNING, 0, 2), (ERROR, 2, 2)],
    ids=["sound", "note", "warning", "error"],
)
def test_the_exit_code_is_2_after_a_report_of_an_error_and_if_strict_of_a_warning(
    data, code, strict, write, tmp_path, capsys
):
    path = write(data)
    assert run(path) == run(path, "--json") == code
    report = capsys.readouterr().out.partition("{")[0]
    assert run(path, "--strict") == strict
    out, err = capsys.readouterr()
    assert out == report
    assert err == ""
    assert run(path, "--strict", "--json") == strict
    assert json.loads(capsys.readouterr().out)["is_clean"] is (strict == 0)
    with pytest.raises(SystemExit) as stopped:
        main(["convert", str(path), str(tmp_path / "out.safetensors")])
    assert stopped.value.code == code  # another command refuses it with the same code


def test_the_demo_slice_passes_strict(capsys):
    assert run(VECTORS, "--data", REVIEWS, "--strict") == 0
    report = capsys.readouterr().out
    assert "findings    1 note\n" in report
    assert "settings: finetune(..., tokenizer='glove', " in report


def test_json_has_every_figure(write, capsys):
    assert run(write(ERROR), "--json") == 2
    report = json.loads(capsys.readouterr().out)
    assert (report["words"], report["vector_size"]) == (2, 2)
    assert report["findings"] == [
        {
            "severity": "error",
            "code": "short_lines",
            "count": 1,
            "message": "lines with fewer than 2 numbers",
            "remedy": "the file is damaged there or cut short: fetch it again, or remove the lines",
            "examples": ["'b 3' (line 2)"],
        }
    ]
    assert report["advice"] is None
    assert report["case"]["lower"] == 2
    assert report["order"]["sorted_by_frequency"] == "unknown"


def test_a_file_of_which_no_row_can_be_read_exits_with_2(write, capsys):
    assert run(write(b"3 2\nw1 \x00\x00\x80", "vectors.bin")) == 2
    report = " ".join(capsys.readouterr().out.split())
    assert "but only 0 are complete: the file ends within row 1, at byte 10" in report


@pytest.mark.parametrize("name", ["what is this.txt", "limit=3, which is not lr=0.1; see.txt"])
def test_names_of_files_are_shown_unchanged(name, write, capsys):
    path = write(b"a 1 2\nb 3 x\nc 5 6\n", name)
    assert run(path) == 2
    report = capsys.readouterr().out
    assert report.startswith(f"{path}: glove, 2 words x 2\n")
    assert "a value that is not a float32 number: 1, 'x' (line 2)\n" in report


def test_remedies_are_commands(write, capsys):
    path = write(WARNING)
    assert run(path) == 0
    remedy = f"write the table again without them: finetune-embed convert {path} new.safetensors"
    assert f"    {remedy}\n" in capsys.readouterr().out
    assert run(path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["findings"][0]["remedy"] == remedy


def test_standard_input_and_members(write, tmp_path, capsys, monkeypatch):
    import zipfile

    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.txt", SOUND)
        archive.writestr("b.txt", ERROR)
    assert run(tmp_path / "two.zip", "--member", "b.txt", "--strict") == 2
    assert "lines with fewer than 2 numbers" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SOUND)))
    assert run("-") == 0
    assert capsys.readouterr().out.startswith("<stdin>: glove, 3 words x 2\n")


@pytest.mark.parametrize("columns", ["text", " text ", "title,text", "title, text,"])
def test_columns_of_texts(columns, write, tmp_path, capsys):
    data = tmp_path / "data.csv"
    data.write_text("title,text,label\na,b,x\nc,c,y\n")
    assert run(write(SOUND), "--data", data, "--text", columns) == 0
    assert "coverage" in capsys.readouterr().out.lower()
