"""Messages of errors: one line of fewer than 500 printable characters, whatever they show."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.cli.output import CommandLineForm
from finetune_embed.cli.train import train
from finetune_embed.errors import LONGEST, Either, Option, one_line, shell_word

KINDS = (
    fe.DataError,
    fe.DivergenceError,
    fe.FinetuneEmbedError,
    fe.StrategyError,
    fe.VectorFileError,
    fe.VocabularyError,
)
HOSTILE = (
    "x" * 10_000,
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "two\nlines\r\nand\tmore\x0b\x0c\x85\u2028\u2029",
    "\ud800 \udcff \udfff",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200f \u200b \ufeff",
    "\x00\x07\x08\x7f\x9b2J",
    "caf\u00e9 \u4e2d\u6587 \U0001f600",
    "",
    "\\n {} %s {0}",
)
ANY = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=600))


def check(message: str) -> None:
    assert len(message) <= LONGEST < 500
    assert message.isprintable()
    message.encode()


@given(
    st.sampled_from(KINDS),
    ANY,
    st.none() | ANY,
    st.none() | ANY,
    st.none() | st.sampled_from(["lr", "output_dir", "theirs"]),
    st.one_of(ANY, st.integers(), st.floats(), st.lists(ANY, max_size=3), st.just(10**5000)),
)
@example(fe.DataError, "a\nb", "/somewhere/a\nb", "c\n  d", "lr", "\x1b")
def test_a_message_is_one_short_printable_line(kind, what, where, remedy, option, value):
    parts = remedy if remedy is None else (remedy, Option("lr", value), Either(remedy, remedy))
    error = kind(what, where=where, remedy=parts, option=option, value=value)
    check(str(error))
    check(error.render(CommandLineForm(train)))


def deep(levels: int) -> list:
    nested: list = []
    for _ in range(levels):
        nested = [nested]
    return nested


def test_any_value_can_be_shown():
    for value in (10**5000, deep(100_000), "\udcff", float("nan"), b"\xff"):
        check(str(fe.StrategyError("is wrong", option="lr", value=value)))


def test_what_is_left_out_is_in_the_middle():
    folder = Path("/" + "/".join("f" * 100 for _ in range(30))) / "metrics.json"
    error = fe.DataError("w" * 900 + " the end", where=folder, remedy=("pass ", Option("lr", 0.1)))
    message = str(error)
    assert len(message) == LONGEST
    assert message.startswith("/fff")
    assert "/metrics.json: www" in message
    assert message.endswith(" the end; pass lr=0.1")
    short = fe.DataError("w" * 100, where=folder, remedy="r")
    assert str(short).endswith("fff/metrics.json: " + "w" * 100 + "; r")
    assert one_line("x" * 5_000) == "x" * 244 + "..." + "x" * 243


def test_a_place_is_shown_character_for_character():
    where = os.fsdecode(b"/somewhere/a\nb\xff \x1b[2J")
    message = str(fe.DataError("is\n  wrong", where=where))
    assert message == r"/somewhere/a\nb\udcff \x1b[2J: is wrong"


def test_the_command_line_prints_one_line(tmp_path, capsys):
    name = "\x1b[2J" + "x" * 200
    for words in (["inspect", str(tmp_path / name)], ["train", "--" + name], ["predict", name]):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ")
        assert len(err) <= 500
        assert err[:-1].isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b"epochs: " + b"[" * 10_000 + b"]" * 10_000,
        b"epochs: 2020-99-99",
        b"epochs: " + b"9" * 5_000,
        b"\xff\xfe\x00",
        b"? [a]\n: 1",
        b"epochs: !!python/object:os.system x",
        b"\x1b[2J",
        b"just text",
        None,
    ],
)
def test_a_config_that_is_no_config_is_one_line(tmp_path, capsys, content):
    path = tmp_path / "config.yaml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    given = ["--config", str(path), "--vectors", "x", "--data", "y", "-o", str(tmp_path / "o")]
    with pytest.raises(SystemExit) as stopped:
        main(["train", *given])
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: Invalid value for '--config': {path} ")
    assert err[:-1].isprintable()
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("text", "on_windows", "elsewhere"),
    [
        ("a/b.txt", "a/b.txt", "a/b.txt"),
        ("C:\\a\\b.txt", "C:\\a\\b.txt", "'C:\\a\\b.txt'"),
        ("a b&c.txt", '"a b&c.txt"', "'a b&c.txt'"),
        ('say "hi"', '"say \\"hi\\""', "'say \"hi\"'"),
        ("it's", '"it\'s"', "'it'\"'\"'s'"),
        ("", '""', "''"),
    ],
)
def test_a_word_of_a_command_is_quoted_as_its_shell_reads_it(text, on_windows, elsewhere):
    assert shell_word(text, is_windows=True) == on_windows
    assert shell_word(text, is_windows=False) == elsewhere
