"""The remedies that `inspect` reports, in Python and on the command line."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.cli import main

SOUND = b"".join(b"w%d 1.0 2.0\n" % i for i in range(9))
REMOVE = "table.subset(words_to_keep)"
REMOVE_COMMAND = "finetune-embed convert {} NEW_FILE --keys WORDS_TO_KEEP.txt"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, arguments)))
    assert stopped.value.code == code


def remedies(path: Path, code: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Return a finding as shown in Python and on the command line; its remedy is the last line."""
    (finding,) = (found for found in fe.inspect(path).findings if found.code == code)
    run("inspect", path, code=2 if finding.severity == "error" else 0)
    shown = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(shown) if str(finding).splitlines()[0] in line)
    return str(finding), "\n".join(shown[start : start + len(str(finding).splitlines())])


CALLS = {name: getattr(fe, name) for name in ("load_vectors", "save_glove", "save_safetensors")}


def pasted(in_python: str, on_command_line: str) -> None:
    """Run the call and the command that end two remedies, each in a new folder of its own."""
    for name in ("in_python", "on_command_line"):
        Path(name).mkdir()
    with contextlib.chdir("in_python"):
        eval(in_python.splitlines()[-1].rpartition(": ")[2], CALLS)
    with contextlib.chdir("on_command_line"):
        command = shlex.split(on_command_line.splitlines()[-1].rpartition(": ")[2])
        assert command[0] == "finetune-embed"
        run(*command[1:])


def codes(path: str | Path) -> set[str]:
    return {finding.code for finding in fe.inspect(path).findings}


BAD_WORDS = {
    "empty_words": b" 1 2\n",
    "control_characters": b"a\x00b 1 2\n",
    "not_utf8": b"caf\xe9 1 2\n",
    "zero_rows": b"a 0 0\n",
    "nan_rows": b"a nan 0\n",
    "infinite_rows": b"a inf 0\n",
    "outlier_norms": b"a 3e19 4e19\n",
}


@pytest.mark.parametrize("code", BAD_WORDS)
def test_words_are_removed(code, write, capsys):
    path = write(SOUND + BAD_WORDS[code])
    in_python, on_command_line = remedies(path, code, capsys)
    assert REMOVE in in_python
    assert REMOVE_COMMAND.format(path) in on_command_line
    words_to_keep = [f"w{i}" for i in range(9)]
    fe.save_glove(fe.load_vectors(path).subset(words_to_keep), "removed.txt")
    assert codes("removed.txt") == set()
    Path("keep.txt").write_text("\n".join(words_to_keep))
    run("convert", path, "converted.txt", "--keys", "keep.txt")
    assert codes("converted.txt") == set()


KEPT_WORDS = {"spaces": b"a b 1 2\n", "white_space": b"a\xc2\xa0b 1 2\n"}


@pytest.mark.parametrize("code", KEPT_WORDS)
def test_words_are_kept_in_safetensors(code, write, capsys):
    path = write(SOUND + KEPT_WORDS[code])
    in_python, on_command_line = remedies(path, code, capsys)
    table = fe.load_vectors(path)
    pasted(in_python, on_command_line)
    for name in ("in_python", "on_command_line"):
        assert fe.load_vectors(f"{name}/new.safetensors").index_to_key == table.index_to_key


def test_duplicates_are_left_out(write, capsys):
    for name in ("vectors.txt", "it's a file.txt"):
        path = write(SOUND + b"w1 3 4\n", name)
        pasted(*remedies(path, "duplicates", capsys))
        for folder in ("in_python", "on_command_line"):
            assert codes(f"{folder}/new.safetensors") == set()
            shutil.rmtree(folder)


def test_duplicates_in_safetensors(write):
    fe.save_safetensors(fe.EmbeddingTable(["ab", "ac"], np.ones((2, 2))), "a.safetensors")
    path = write(Path("a.safetensors").read_bytes().replace(b"abac", b"abab"), "b.safetensors")
    (finding,) = fe.inspect(path).findings
    assert str(finding).endswith("write the table again, each word once")
    table = fe.load_vectors(path)
    words = dict(zip(reversed(table.index_to_key), reversed(range(len(table))), strict=True))
    again = fe.EmbeddingTable(list(words), table.vectors[list(words.values())])
    fe.save_safetensors(again, "new.safetensors")
    assert codes("new.safetensors") == set()


@pytest.mark.parametrize("code", ["bom", "crlf"])
def test_text_is_written_again_for_other_readers(code, write, capsys):
    path = write(b"\xef\xbb\xbf" + SOUND if code == "bom" else SOUND.replace(b"\n", b"\r\n"))
    in_python, on_command_line = remedies(path, code, capsys)
    pasted(in_python, on_command_line)
    for name in ("in_python", "on_command_line"):
        assert Path(name, "new.txt").read_bytes() == SOUND


def binary(rows: int) -> bytes:
    return b"3 2\n" + b"".join(b"w%d " % i + struct.pack("<2f", i + 1, 0) for i in range(rows))


@pytest.mark.parametrize(("rows", "read"), [(2, 2), (4, 3)], ids=["short", "long"])
def test_the_first_rows_of_a_binary_are_read(rows, read, write, capsys):
    path = write(binary(rows), "vectors.bin")
    in_python, on_command_line = remedies(path, "header", capsys)
    assert f"read its first rows: load_vectors({str(path)!r}, limit={read})" in in_python
    assert f"finetune-embed convert {path} NEW_FILE --limit {read}" in on_command_line
    assert len(fe.load_vectors(path, limit=read)) == read
    run("convert", path, "converted.bin", "--limit", read)
    assert codes("converted.bin") == set()


def test_lines_and_headers_are_corrected(write):
    path = write(b"4 2\na 1 2\nb 1\n\nc x 2\nd 1 2")
    assert codes(path) == {"short_lines", "blank_lines", "not_numbers", "unclosed"}
    path = write(b"4 2\na 1 2\nc 1 2\nd 1 2\n")
    (finding,) = fe.inspect(path).findings
    assert str(finding).endswith("fetch the file again, or correct the header to 3 2")
    assert codes(write(b"3 2\na 1 2\nc 1 2\nd 1 2\n")) == set()


def test_the_vector_size_is_given(write):
    path = write(b"a 1 2\nb 3 4\nc 1 2 3\nd 4 5 6\n")
    finding = fe.inspect(path).findings[0]
    assert finding.code == "layout"
    assert f"load_vectors({str(path)!r}, vector_size=2)" in str(finding)
    assert len(fe.load_vectors(path, vector_size=2)) == 4


def test_recommended_settings_are_accepted(write, capsys):
    path = write(b"good 1 2\nbad 2 1\nParis 1 1\n00 0 1\n")
    lines = "".join(f"good PARIS 17,pos\nbad PARIS {i},neg\n" for i in range(10, 18))
    Path("data.csv").write_text("text,label\n" + lines)
    report = fe.inspect(path, "data.csv")
    assert report.advice is not None
    assert "settings: finetune(..., tokenizer='" in str(report)
    fe.finetune(path, "data.csv", epochs=1, **report.advice.settings)
    run("inspect", path, "--data", "data.csv")
    assert f"finetune-embed train ... {report.advice.options}\n" in capsys.readouterr().out
    command = ["--vectors", path, "--data", "data.csv", "--output-dir", "run", "--epochs", 1]
    run("train", *command, *report.advice.options.split())
