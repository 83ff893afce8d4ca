"""What commands show on a terminal, and that they show it nowhere else."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest

from finetune_embed.cli import main
from finetune_embed.demo import REVIEWS, VECTORS

pty = pytest.importorskip("pty", reason="the system has no pseudo-terminals")


class Screen:
    """The two ends of a pseudo-terminal."""

    def __init__(self) -> None:
        self._reader, self._writer = pty.openpty()
        self.stream = open(self._writer, "w", encoding="utf-8")  # noqa: SIM115

    def text(self) -> str:
        """Return what was written, without the codes that move the cursor, and close."""
        self.stream.flush()
        os.set_blocking(self._reader, False)
        parts = []
        try:
            while part := os.read(self._reader, 1 << 16):
                parts.append(part)
        except OSError:
            pass
        self.stream.close()
        os.close(self._reader)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(parts).decode())


class Terminal(io.StringIO):
    """Standard output as a terminal, which drops what is printed."""

    def isatty(self) -> bool:
        return True


def run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 0


def on_screen(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    """Run a command on a terminal; return what it shows beside its output."""
    screen = Screen()
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "100")
        patch.setattr(sys, "stdout", Terminal())
        patch.setattr(sys, "stderr", screen.stream)
        run(*arguments)
    return screen.text()


TRAIN = ("--vectors", VECTORS, "--data", REVIEWS, "--head", "bag", "--epochs", 1)
COMMANDS = {
    "train": (("train", *TRAIN, "-o", "new"), "epoch 1/1"),
    "autotune": (("autotune", *TRAIN, "--budget", "0.1s", "-o", "new"), "tried, now"),
    "compare": (
        ("compare", *TRAIN, "--strategy", "FullTune", "--seeds", 1, "--budget", 1, "-o", "new"),
        "FullTune, lr=0.01, seed=0",
    ),
    "convert": (("convert", VECTORS, "new.bin"), "writing new.bin"),
    "neighbors": (("neighbors", VECTORS, "good"), "reading"),
    "inspect": (("inspect", VECTORS), "inspecting"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_long_work_is_shown_on_a_terminal(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, shown = COMMANDS[name]
    assert shown in on_screen(monkeypatch, *arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_shown_elsewhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(*COMMANDS[name][0])
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run."""
    folder = tmp_path_factory.mktemp("runs") / "tuned"
    run("train", *TRAIN, "-o", folder, "--quiet")
    return folder


def printed_on(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    """Run a command whose output goes to a stream; return what it prints."""
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stdout", terminal)
        run(*arguments)
    return terminal.getvalue()


def test_tables_are_rich_on_a_terminal_and_plain_elsewhere_with_the_same_cells(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("good bad 1\ngreat good 9\nbad awful 8\nthe a 3\n")
    search = (*COMMANDS["autotune"][0], "--resume")
    run(*search)  # those below read what it has found
    for arguments in (
        search,
        ("evaluate", tuned, "--data", REVIEWS),
        ("evaluate", tuned, "--word-pairs", pairs),
        ("drift", VECTORS, tuned),
    ):
        shown = printed_on(Terminal(), monkeypatch, *arguments)
        plain = printed_on(io.StringIO(), monkeypatch, *arguments)
        assert "\x1b[1m" in shown, arguments  # the bold titles of a rich table
        assert "\x1b" not in plain, arguments
        assert re.sub(r"\x1b\[[0-9;]*m", "", shown).split() == plain.split(), arguments


def test_a_report_shows_what_it_is_at(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("report", tuned, "--data", REVIEWS, "--words", 500)
    shown = on_screen(monkeypatch, *arguments)
    assert "what single words do" in shown
    assert re.findall(r"(\d+)/(\d+)", shown)[-1] == ("6", "6")  # four steps and two blocks of words
    run(*arguments, "--overwrite")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("more", ["--json", "--quiet"])
def test_nothing_is_shown_if_that_is_asked_for(
    more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert on_screen(monkeypatch, *COMMANDS["train"][0], more) == ""
