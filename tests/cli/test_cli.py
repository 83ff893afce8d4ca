"""The command line, run in this process."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import pickle
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.cli.app import app
from finetune_embed.cli.output import CommandLineForm
from finetune_embed.demo import REVIEWS, VECTORS
from finetune_embed.errors import DataError, Either, Option, PythonForm
from finetune_embed.training.run.load import counts_in

COMMANDS = (
    "quickstart",
    "train",
    "compare",
    "predict",
    "evaluate",
    "report",
    "inspect",
    "convert",
    "neighbors",
    "drift",
)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder written by `train`."""
    folder = tmp_path_factory.mktemp("cli") / "tuned"
    assert run("train", "--vectors", VECTORS, "--data", REVIEWS, "-o", folder, "--epochs", 2) == 0
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, "--help") == 0
    out = capsys.readouterr().out
    assert f"Example: finetune-embed {command}" in out
    assert "--json" in out


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(f"\n  {command} " in out for command in COMMANDS)


@pytest.mark.slow
def test_train_writes_the_folder_and_says_so(
    tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(path.name for path in tuned.iterdir()) == [
        "config.yaml",
        "embedding.safetensors",
        "history.jsonl",
        "lexical.safetensors",
        "metrics.json",
        "model.safetensors",
        "record.json",
        "tokenizer.json",
        "words.parquet",
    ]
    arguments = ("--vectors", VECTORS, "--data", REVIEWS, "-o", tuned, "--epochs", 2, "--overwrite")
    assert run("train", *arguments, "--quiet") == 0
    out, err = capsys.readouterr()
    assert err == ""
    for part in ("FullTune: best epoch 2", "rows moved", "never seen in training", "farthest:"):
        assert part in out
    assert f"next: finetune-embed predict {tuned}" in out


def test_train_prints_json(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = ("train", "--vectors", VECTORS, "--data", REVIEWS, "-o", tuned, "--resume", "--json")
    assert run(*again, "--epochs", 2) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["test"]["accuracy"] > 0.8  # a finished run is returned unchanged
    assert metrics == json.loads((tuned / "metrics.json").read_text())


def test_predict_arguments_and_stdin(
    tuned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["superb and excellent", "awful, terrible, broken"]
    assert run("predict", tuned, *texts) == 0
    by_argument = capsys.readouterr().out
    assert [line.split("\t")[0] for line in by_argument.splitlines()] == ["positive", "negative"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(texts)))
    assert run("predict", tuned) == 0
    assert capsys.readouterr() == (by_argument, "")
    terminal = io.StringIO("\n".join(texts))
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert run("predict", tuned) == 0
    note = "note: reading texts from the terminal, one a line, up to Ctrl-D (Ctrl-Z on Windows)\n"
    assert capsys.readouterr() == (by_argument, note)
    assert run("predict", tuned, *texts, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["label"] for one in found] == ["positive", "negative"]
    assert all(0.5 <= one["probability"] <= 1 for one in found)
    monkeypatch.setattr("sys.stdin", None)
    assert run("predict", tuned) == 2
    assert "there is no standard input; give texts as arguments" in capsys.readouterr().err


@pytest.mark.slow
def test_predict_reads_lines_of_any_bytes(tuned: Path) -> None:
    command = [sys.executable, "-m", "finetune_embed", "predict", str(tuned)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONUTF8": "0"}
    done = subprocess.run(
        command,
        input=b"superb\r\nawful caf\xe9\r\n",
        capture_output=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        0,
        b"note: 1 of 2 lines of standard input are not UTF-8, the first is line 2; convert them "
        b"first: iconv -f CP1252 -t UTF-8\n",
    )
    rows = [line.split(b"\t") for line in done.stdout.split(b"\n")[:-1]]
    assert [(row[0], row[2]) for row in rows] == [
        (b"positive", b"superb"),
        (b"negative", b"awful caf\xe9"),
    ]


def test_convert_every_format_and_back(
    tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = fe.load_safetensors(tuned / "embedding.safetensors")
    for name in ("t.safetensors", "t.bin", "t.vec", "t.txt"):
        assert run("convert", tuned, tmp_path / name) == 0
        back = fe.load_vectors(tmp_path / name)
        assert back.index_to_key == table.index_to_key
        assert np.array_equal(back.vectors.view(np.uint32), table.vectors.view(np.uint32))
    assert run("convert", tuned, tmp_path / "few", "--to", "glove", "--limit", 3, "--json") == 0
    printed = json.loads(capsys.readouterr().out.split("words x 50\n")[-1])
    few = {"target": str(tmp_path / "few"), "format": "glove", "words": 3, "size": 50}
    assert printed["written"] == few


def test_neighbors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("neighbors", VECTORS, "king", "woman", "--minus", "man", "--topn", 2) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split("  ") == ["0.8524", "queen"]
    assert second.split("  ")[1] == "throne"


def test_drift_by_word_and_json(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("drift", VECTORS, tuned, "--word", "bad") == 0
    out = capsys.readouterr().out
    assert out.startswith("bad: moved ")
    assert "  before: worse," in out
    assert run("drift", VECTORS, tuned, "--top", 2, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rows"] == 11_138
    assert len(report["top"]) == 2


def test_drift_counts_as_load_does(tmp_path: Path, tuned: Path, capsys: Any) -> None:
    folder = shutil.copytree(tuned, tmp_path / "run")
    counts = counts_in(folder)
    assert counts == dict(zip(*map(fe.load(folder).words.get, ("word", "count")), strict=True))
    assert counts_in(tmp_path) is None
    words = pl.read_parquet(folder / "words.parquet")
    (folder / ".new-files").mkdir()  # another run replaces this one, and was killed
    words.with_columns(pl.col("count") + 1).write_parquet(folder / ".new-files" / "words.parquet")
    assert counts_in(folder) == {word: count + 1 for word, count in counts.items()}
    data = (tuned / "words.parquet").read_bytes()
    end = len(data) - 8 - int.from_bytes(data[-8:-4], "little")  # of the pages, with checksums
    for at in range(4, end, end // 20):
        damaged = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        (folder / "words.parquet").write_bytes(damaged)
        with contextlib.suppress(DataError):
            assert counts_in(folder) == counts
    for column in (pl.lit("1"), pl.lit(None, pl.Int64), pl.lit(1.5), pl.lit(-1)):
        words.with_columns(column.alias("count")).write_parquet(folder / "words.parquet")
        with pytest.raises(DataError, match=r"words\.parquet: this file of the run is damaged: "):
            counts_in(folder)
    assert run("drift", VECTORS, folder, "--limit", 2) == 2
    assert capsys.readouterr().err.endswith("this file of the run is damaged: a count is below 0\n")


def test_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", VECTORS, "--data", REVIEWS, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["words"], report["vector_size"]) == (11_138, 50)
    assert report["source_format"] == "glove"
    assert report["tokenizer"] == "glove"
    coverage = report["coverage"]
    assert 0 < coverage["types_found"] < coverage["types"]
    assert run("inspect", VECTORS, "--data", REVIEWS) == 0
    assert "not in the table: " in capsys.readouterr().out


BAD_INPUT = {
    "no vectors": (("inspect", "no.txt"), "no.txt: no such file"),
    "a folder": (
        ("inspect", REVIEWS),
        "this folder is not a model or a data set of a known ",
    ),
    "not vectors": (("inspect", REVIEWS / "train.csv"), "train.csv:1:"),
    "no data": (
        ("train", "--vectors", VECTORS, "--data", "no.csv", "-o", "out"),
        "no.csv: there is no such file or folder",
    ),
    "no column": (
        ("train", "--vectors", VECTORS, "--data", REVIEWS, "-o", "out", "--text", "body"),
        "there is no column 'body'; choose from 'text', 'label', such as --text text",
    ),
    "no strategy": (
        ("train", "--vectors", VECTORS, "--data", REVIEWS, "-o", "out", "--strategy", "Frieze"),
        "did you mean Freeze?",
    ),
    "no head": (
        ("train", "--vectors", VECTORS, "--data", REVIEWS, "-o", "out", "--head", "lstm"),
        "no head is called 'lstm' (did you mean bilstm?); choose from bag, cnn",
    ),
    "no epochs": (
        ("train", "--vectors", VECTORS, "--data", REVIEWS, "-o", "out", "--epochs", "0"),
        "--epochs 0 must be a whole number of 1 or more",
    ),
    "no step": (
        ("train", "--vectors", VECTORS, "--data", REVIEWS, "-o", "out", "--fallback", "loewer"),
        "such as --fallback lower,digits_zero\n",
    ),
    "no neighbours": (("neighbors", VECTORS, "bad", "--topn", "0"), "--topn 0 must be 1 or more"),
    "no epochs to show": (("quickstart", "--epochs", "0"), "0 is not in the range x>=1"),
    "no member": (
        ("convert", VECTORS, "out.bin", "--member", "x"),
        "no member 'x'; leave out --member\n",
    ),
    "no run": (
        ("predict", "nowhere", "text"),
        "nowhere: no such folder; pass the folder of a finish",
    ),
    "no word": (("neighbors", VECTORS, "zxqy"), "'zxqy' is not in the table"),
    "no format": (
        ("convert", VECTORS, "out.foo"),
        "name the format to write: --to arrow | glove",
    ),
    "no folder": (("convert", VECTORS, "no/out.bin"), "does not exist; create it first"),
    "no option": (("train",), "Missing option '--vectors'; see finetune-embed train --help"),
    "no number": (("quickstart", "--epochs", "x"), "'x' is not a valid integer"),
    "no command": (("tune",), "No such command 'tune'"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_clear_line(
    case: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, message = BAD_INPUT[case]
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "option", "python", "command_line"),
    [
        ("train", Option("resume", True), "resume=True", "--resume"),
        ("train", Option("output_dir"), "output_dir", "--output-dir"),
        ("train", Option("text", ...), "text=...", "--text ..."),
        ("train", Option("lr", 0.5), "lr=0.5", "--lr 0.5"),
        ("train", Option("fallback", ["lower"]), "fallback=['lower']", "--fallback lower"),
        ("train", Option("fallback", []), "fallback=[]", "--fallback ''"),
        ("train", Option("streaming", False), "streaming=False", "no --streaming"),
        ("train", Option("patience", None), "patience=None", "no --patience"),
        ("train", Option("task", "tagging"), "task='tagging'", "--task tagging"),
        (
            "train",
            Option("head", "bag(hidden=9)"),
            "head='bag(hidden=9)'",
            "--head 'bag(hidden=9)'",
        ),
        ("train", Option("dataset", "a b.csv"), "dataset='a b.csv'", "--data 'a b.csv'"),
        ("convert", Option("limit", 25), "limit=25", "--limit 25"),
        ("convert", Option("resume", True), "resume=True", "resume=True"),
    ],
)
def test_options_are_written_for_the_caller(
    command: str, option: Option, python: str, command_line: str
) -> None:
    assert PythonForm().render(option) == python
    assert CommandLineForm(app.commands[command]).render(option) == command_line


def test_a_message_is_rendered_once_for_each_caller() -> None:
    error = DataError(
        ("must be 0 or more, see ", Option("max_steps", 3)),
        where="lr=0.1/what is this.txt",
        option="lr",
        value=-1,
        remedy=("pass ", Option("lr", ...), Either(" or f(lr=1)", " or run f --lr 1")),
    )
    assert str(error) == (
        "lr=0.1/what is this.txt: lr=-1 must be 0 or more, see max_steps=3; pass lr=... or f(lr=1)"
    )
    assert error.render(CommandLineForm(app.commands["train"])) == (
        "lr=0.1/what is this.txt: --lr -1 must be 0 or more, see --max-steps 3; "
        "pass --lr ... or run f --lr 1"
    )
    assert error.render(CommandLineForm(None)).startswith("lr=0.1/what is this.txt: lr=-1 must")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """An archive of the demo's vectors and another table."""
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("v.txt", gzip.decompress(VECTORS.read_bytes()))
        archive.writestr("w.txt", "bad 1 2\n")
    return path


def test_every_command_that_reads_vectors_takes_the_member_it_asks_for(
    packed: Path, tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ("train", "--vectors", packed, "--data", REVIEWS, "-o", tmp_path / "out")
    commands = [
        (*train, "--epochs", 1, "--quiet"),
        ("neighbors", packed, "bad"),
        ("drift", packed, tuned),
        ("inspect", packed),
        ("convert", packed, tmp_path / "out.bin"),
    ]
    for command in commands:
        assert run(*command) == 2
        assert capsys.readouterr().err.endswith("; name the one to read: --member v.txt\n")
        assert run(*command, "--member", "v.txt") == 0
    config = fe.load(tmp_path / "out").config
    assert (config["vectors"], config["source"]) == (str(packed), "two.zip#v.txt")
    assert run(*train, "--epochs", 1, "--quiet", "--resume", "--member", "w.txt") == 2
    assert capsys.readouterr().err.endswith(
        ": it was written with --member v.txt, this run has --member w.txt; continue with the same "
        "settings, or start over with --overwrite instead of --resume\n"
    )


def test_train_reads_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fe.save_safetensors(fe.load_vectors(VECTORS, limit=500), tmp_path / "v.safetensors")
    data = (tmp_path / "v.safetensors").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    train = ("train", "--vectors", "-", "--data", REVIEWS, "-o", tmp_path / "out", "--quiet")
    assert run(*train, "--epochs", 1) == 0
    config = fe.load(tmp_path / "out").config
    assert (config["source"], config["source_sha256"]) == ("<stdin>", "")
    assert config["source_format"] == "safetensors"


def test_ctrl_c_says_how_to_continue(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("finetune_embed.training.tuning.train", interrupt)
    folder = tmp_path / ("a long 'name' " * 15) / "out"
    given = ("train", "--vectors", VECTORS, "--data", REVIEWS, "--strategy", "Freeze()")
    assert run(*given, "--epochs", 1, "--quiet", "--overwrite", "-o", folder) == 130
    said, how = capsys.readouterr().err.split("error: interrupted; to continue: finetune-embed ")
    assert said == ""
    after = ["--epochs", "1", "--quiet", "-o", str(folder), "--resume"]
    assert shlex.split(how) == [*map(str, given), *after]
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-0-0", "config.yaml"]
    monkeypatch.undo()
    assert run(*shlex.split(how)) == 0
    assert fe.load(folder).settings["epochs"] == 1


def test_ctrl_c_before_there_is_a_checkpoint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("finetune_embed.training.finetune.prepare", interrupt)
    given = ("train", "--vectors", VECTORS, "--data", REVIEWS, "-o", tmp_path / "out")
    given = (*given, "--epochs", 1, "--quiet", "--strategy", "Freeze()")
    assert run(*given) == 130
    said = "interrupted; nothing new was kept: repeat the command to start again"
    assert capsys.readouterr().err == f"error: {said}\n"
    monkeypatch.undo()
    assert run(*given) == 0


def test_autotune_says_what_it_wrote(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "best"
    given = ("--data", REVIEWS, "--budget", "0.001s", "--epochs", 1, "--max-steps", 3)
    assert run("autotune", "--vectors", VECTORS, *given, "-o", folder) == 0
    *_, written, then = capsys.readouterr().out.splitlines()
    names = ", ".join(sorted(path.name for path in folder.iterdir()))
    assert "autotune.json" in names
    assert written == f"written to {folder}: {names}"
    assert then == f"next: finetune-embed predict {folder} 'a text of yours'"


def test_autotune_searches_all_that_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def called(*_: object, **settings: Any) -> None:
        calls.append(settings)
        raise DataError("stop")

    monkeypatch.setattr("finetune_embed.comparison.autotune", called)
    given = ("autotune", "--vectors", VECTORS, "--data", REVIEWS, "-o", tmp_path)
    own = {"budget": "60s", "output_dir": tmp_path, "progress": False}
    more = ("--no-lexical", "--word-dropout", 0, "--strategy", "FullTune", "--special", "<url>")
    assert run(*given) == run(*given, *more) == 2
    chosen = {"lexical": False, "word_dropout": 0.0, "strategy": "FullTune", "specials": ("<url>",)}
    assert calls == [own, {**own, **chosen}]


@pytest.mark.slow
def test_quickstart(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "quickstart"
    assert run("quickstart", "-o", folder, "--epochs", 3, "--quiet") == 0
    out = capsys.readouterr().out
    for part in (
        "coverage: 982 of 1,453 words",
        "synthetic",
        "UnfreezeAfter(epochs=2)",
        "bad: moved",
        "embedding.safetensors",
        "finetune-embed train --vectors glove.6B.50d.txt",
    ):
        assert part in out
    (suggested,) = [line for line in out.splitlines() if "finetune-embed predict" in line]
    assert run(*shlex.split(suggested)[1:]) == 0
    answers = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert answers == ["positive", "negative"]
    assert fe.load(folder).metrics["test"]["accuracy"] > 0.85
