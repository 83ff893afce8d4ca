"""Closed, full and narrow outputs, and Ctrl-C: one clear line, no traceback, no half file."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from finetune_embed import EmbeddingTable, save_glove
from finetune_embed.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="uses a POSIX shell")


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    rows = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    words = [f"{'long' * 20}{i}" for i in range(2999)]
    save_glove(EmbeddingTable(["a", *words], rows), tmp_path / "v.txt")
    return tmp_path / "v.txt"


@pytest.fixture
def shell(vectors: Path) -> Callable[[str], tuple[int, str, str]]:
    """Run a shell command in the folder of v.txt, with `fe` for the command line."""

    def run(command: str) -> tuple[int, str, str]:
        start = f'fe() {{ "{sys.executable}" -m finetune_embed "$@"; }}; '
        done = subprocess.run(
            ["bash", "-c", start + command], cwd=vectors.parent, capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize(
    ("options", "reader"),
    [("--topn 2000", "head -1"), ("--topn 2000 --json", "true"), ("", "true")],
)
def test_a_reader_that_stops_early_gets_no_traceback(shell, options, reader):
    assert shell(f"fe neighbors v.txt a {options} | {reader}")[2] == ""


def test_a_closed_output_is_an_error(shell):
    code, out, err = shell("fe neighbors v.txt a >&-")
    assert (code, out) == (2, "")
    assert err == "error: standard output is closed; redirect it to a file or /dev/null\n"


def test_a_full_disk_is_an_error(shell):
    code, out, err = shell("fe neighbors v.txt a > /dev/full")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "No space left on device" in err


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_what_an_encoding_lacks_is_escaped(encoding, tmp_path, monkeypatch):
    words = ["a", "gr\xf6\xdfe", "\u65e5\u672c"]
    save_glove(EmbeddingTable(words, np.eye(3, dtype=np.float32)), tmp_path / "v.txt")
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as stopped:
        main(["neighbors", str(tmp_path / "v.txt"), "a"])
    stream.flush()
    shown = "".join(f"0.0000  {word}\n" for word in words[1:])
    assert stopped.value.code == 0
    assert stream.buffer.getvalue() == shown.encode(encoding, "backslashreplace")


def test_errors_do_not_go_to_the_output_if_their_stream_is_closed(shell):
    assert shell("fe neighbors v.txt nope 2>&-") == (2, "", "")


def test_an_output_file_does_not_take_the_place_of_a_closed_stream(shell, vectors):
    assert shell("fe convert v.txt out.txt >&- 2>&-")[1:] == ("", "")
    assert (vectors.parent / "out.txt").read_bytes() == vectors.read_bytes()


def test_no_value_is_cut_at_a_narrow_terminal(shell):
    whole = shell("fe drift v.txt v.txt")
    assert whole[0] == 0
    assert shell("COLUMNS=20 fe drift v.txt v.txt") == whole
    assert "…" not in whole[1]


WRONG = {
    "compare": ["--vectors", "no.txt", "--data", "no.csv", "--strategy", "L2SP", "-o", "out"],
    "convert": ["no.txt", "out.txt"],
    "drift": ["no.txt", "no.txt"],
    "evaluate": ["no", "--data", "no.csv"],
    "inspect": ["no.txt"],
    "neighbors": ["no.txt", "a"],
    "predict": ["no", "a text"],
    "quickstart": ["--epochs", "0"],
    "train": ["--vectors", "no.txt", "--data", "no.csv", "-o", "out"],
}


@pytest.mark.parametrize("command", WRONG)
@pytest.mark.parametrize("more", [[], ["--no-such-option"]])
def test_errors_are_json_too(command, more, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([command, *WRONG[command], "--json", *more])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert json.loads(out).keys() == {"error"}
    assert err == f"error: {json.loads(out)['error']}\n"
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_json_does_not_have_are_null(tmp_path, capsys):
    (tmp_path / "v.txt").write_text("a 1 0\nb nan 1\nc inf 2\nd 0 0\n")
    with pytest.raises(SystemExit):
        main(["inspect", str(tmp_path / "v.txt"), "--json"])
    out = capsys.readouterr().out
    json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} in the document"))


@pytest.mark.parametrize("command", ["convert", "drift", "inspect", "neighbors"])
def test_ctrl_c_is_one_line_and_leaves_no_file(command, tmp_path):
    """The command waits for the rest of its input, which never comes."""
    arguments = {
        "convert": ["-", "out.txt"],
        "drift": ["-", "-"],
        "inspect": ["-"],
        "neighbors": ["-", "a"],
    }[command]
    code = "import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    code += "from finetune_embed.cli import main; print('x', file=sys.stderr, flush=True); main()"
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code, command, *arguments],
        cwd=tmp_path,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"x\n"
        process.stdin.write(b"a 1 2\n" * 100)
        process.stdin.flush()
        time.sleep(0.05)  # main() has begun
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"error: interrupted\n"
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
