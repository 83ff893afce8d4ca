"""Run folders: old results stay until new ones are complete; odd names; links; other processes."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import replacing_runs as work
import torch
from killing import _CONTEXT
from replacing_runs import WORDS, write_data

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.files import locked
from finetune_embed.training import tuning
from finetune_embed.training.run import load as module
from finetune_embed.training.run.file_names import LEXICAL, REQUIRED
from finetune_embed.training.runtime.progress import ProgressBar

FILES = (*REQUIRED, LEXICAL)  # of a run with the default head


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


DATA: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def _data(tmp_path_factory: pytest.TempPathFactory) -> None:
    DATA[:] = [write_data(tmp_path_factory.mktemp("data"))]


def tune(folder: Path | str | None, **options: Any) -> fe.Run:
    return work.tune(folder, DATA[0], **options)


def interrupted(folder: Path, at: int, **options: Any) -> None:
    steps: list[int] = []

    def advance(bar: ProgressBar) -> None:
        steps.append(1)
        if len(steps) == at:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            tune(folder, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    tune(folder, seed=1)
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def table_of(folder: Path) -> bytes:
    return fe.load(folder).table.vectors.tobytes()


# --- what there is to resume ----------------------------------------------------------------------


def test_a_run_without_anything_to_resume_says_that_it_starts(tmp_path, caplog):
    (tmp_path / "empty").mkdir()
    (tmp_path / "early" / "trackers").mkdir(parents=True)  # a run that was killed at its start
    (tmp_path / "early" / ".hidden").touch()
    (tmp_path / "early" / "config.yaml").write_text("finetune_embed: 1")
    for name in ("new", "empty", "early"):
        tune(tmp_path / name, resume=True)
        line = f"nothing to resume in {tmp_path / name}: starting from the beginning"
        assert caplog.messages == [line]
        caplog.clear()
        tune(tmp_path / name, resume=True)
        interrupted(tmp_path / name, 4, overwrite=True, checkpoint_steps=1)
        tune(tmp_path / name, resume=True)
        assert caplog.messages == []


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ({}, ["to continue, repeat the call with resume=True"]),
        ({"overwrite": True}, ["to continue, repeat the call with resume=True instead of overwr"]),
        (None, []),
    ],
)
def test_an_interrupt_says_how_to_continue(tmp_path, monkeypatch, options, how):
    def advance(bar: ProgressBar) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ProgressBar, "advance", advance)
    folder = None if options is None else tmp_path / "run"
    with pytest.raises(KeyboardInterrupt) as stopped:
        tune(folder, **(options or {}))
    notes = getattr(stopped.value, "__notes__", [])
    assert [note[: len(line)] for note, line in zip(notes, how, strict=True)] == how
    monkeypatch.undo()
    if folder is not None:
        tune(folder, resume=True)


def test_the_seconds_of_a_resumed_run_are_those_of_all_its_processes(tmp_path, monkeypatch):
    now, steps = [0.0], []
    monkeypatch.setattr(tuning, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def advance(bar: ProgressBar) -> None:
        steps.append(1)
        now[0] += 10.0
        if len(steps) in (4, 7):
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressBar, "advance", advance)
    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            tune(tmp_path / "run", checkpoint_steps=1, resume=resume)
    run = tune(tmp_path / "run", checkpoint_steps=1, resume=True)
    lost = 2  # the steps that no checkpoint has
    assert run.metrics["seconds"] == 10.0 * (len(steps) - lost)
    assert fe.load(tmp_path / "run").metrics["seconds"] == run.metrics["seconds"]


# --- old results stay -----------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 4])
def test_a_run_stays_until_the_one_that_replaces_it_is_finished(finished, tmp_path, at):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    before = files_in(folder)
    interrupted(folder, at, seed=2, overwrite=True, checkpoint_steps=1)
    assert files_in(folder) == before
    assert table_of(folder) == table_of(finished)
    with pytest.raises(fe.DataError, match=r": the folder holds an unfinished run; continue it"):
        tune(folder, seed=2)
    run = tune(folder, seed=2, resume=True)
    assert (
        table_of(folder)
        == run.table.vectors.tobytes()
        == tune(None, seed=2).table.vectors.tobytes()
    )
    assert sorted(os.listdir(folder)) == sorted(FILES)


def test_a_run_stays_if_the_one_that_replaces_it_fails(finished, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    before = files_in(folder)
    with pytest.raises(fe.DivergenceError):
        tune(folder, overwrite=True, lr=1e38)
    assert files_in(folder) == before

    def full(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("finetune_embed.training.run.run.save", full)
    with pytest.raises(fe.VectorFileError, match=f"^{folder}/model.safetensors: can't be w"):
        tune(folder, overwrite=True)
    assert files_in(folder) == before


def test_a_run_is_not_saved_over_files_of_others(finished, tmp_path):
    (tmp_path / "config.yaml").write_text("somebody's")
    with pytest.raises(fe.DataError, match=r": the folder holds config.yaml, which no run of"):
        fe.load(finished).save(tmp_path)
    assert files_in(tmp_path) == {"config.yaml": b"somebody's"}
    (tmp_path / "config.yaml").unlink()
    (tmp_path / "notes.txt").write_text("somebody's")
    fe.load(finished).save(tmp_path)
    fe.load(finished).save(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*FILES, "notes.txt"])


@pytest.mark.parametrize("at", [1, 2])
def test_a_run_that_is_replaced_while_it_is_read_is_one_of_the_two(
    finished, tmp_path, monkeypatch, at
):
    folder, calls = tmp_path / "run", []
    shutil.copytree(finished, folder)
    second = tune(None, seed=2, head="bag(hidden=3)")
    name = ["load_tensors", "load_safetensors"][at - 1]
    real = getattr(module, name)

    def replaced(path: Path) -> Any:
        calls.append(path)
        if len(calls) == 1:
            second.save(folder)
        return real(path)

    monkeypatch.setattr(module, name, replaced)
    run = fe.load(folder)
    assert len(calls) == 2
    assert run.settings["seed"] == 2
    assert run.table.vectors.tobytes() == second.table.vectors.tobytes()
    assert run.metrics == second.metrics


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["train", "save"])
@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_written_through_a_link(finished, tmp_path, how, there):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(finished, elsewhere)
    (elsewhere / "checkpoint-9-9").mkdir()
    (elsewhere / "checkpoint-9-9" / "notes.txt").write_text("somebody's")
    folder.mkdir()
    for name in FILES:
        (folder / name).symlink_to(
            elsewhere / name if there or name == "config.yaml" else name + ".no"
        )
    (folder / "checkpoint-9-9").symlink_to(elsewhere / "checkpoint-9-9")
    (folder / ".checkpoint-9-9.0123abcd").symlink_to(elsewhere / "checkpoint-9-9")
    before = files_in(elsewhere)
    if how == "train":
        tune(folder, overwrite=True, checkpoint_steps=1)
    else:
        fe.load(finished).save(folder)
    assert files_in(elsewhere) == before
    assert os.listdir(elsewhere / "checkpoint-9-9") == ["notes.txt"]
    links = {path.name for path in folder.iterdir() if path.is_symlink()}
    assert links == {"checkpoint-9-9", ".checkpoint-9-9.0123abcd"}
    fe.load(folder)


def test_trackers_are_not_written_through_a_link(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "trackers").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        fe.DataError, match=r"/run/trackers: is a link, and a run writes to no other"
    ):
        tune(tmp_path / "run", trackers=["tensorboard"])
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_folder_may_be_a_link_itself(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    tune(tmp_path / "link")
    assert table_of(tmp_path / "link") == table_of(tmp_path / "real")


# --- other processes ------------------------------------------------------------------------------


@pytest.mark.slow
def test_several_processes_in_one_folder(tmp_path):
    codes = _CONTEXT.SimpleQueue()
    processes = [
        _CONTEXT.Process(target=work.race, args=(tmp_path / "run", DATA[0], codes))
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    found = Counter(codes.get() for _ in processes)
    for process in processes:
        process.join(60)
    assert found["done"] >= 1
    assert found.keys() <= {"done", "another process is writing to the folder"}
    assert table_of(tmp_path / "run") == tune(None).table.vectors.tobytes()


def test_a_folder_in_use_can_be_read(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    with locked(folder):
        assert table_of(folder) == table_of(finished)
        with pytest.raises(fe.DataError, match=": another process is writing to the folder; wait"):
            fe.load(finished).save(folder)
        with pytest.raises(fe.DataError, match=": another process is writing to the folder; wait"):
            tune(folder, overwrite=True)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["save", "overwrite"])
def test_killed_at_any_call_of_the_system(finished, tmp_path, how):
    """What is left is one of the two runs, and an unfinished one continues to the same bits."""
    second = tmp_path / "second"
    tune(second, seed=2, checkpoint_steps=2)
    old, new = files_in(finished), files_in(second)
    durations = ("metrics.json", "history.jsonl", "embedding.safetensors", "config.yaml")
    same = [name for name in FILES if name not in durations]
    outcomes: Counter[str] = Counter()
    number, step = 1, 3 if how == "save" else 8
    while True:
        folder = tmp_path / str(number)
        shutil.copytree(finished, folder)
        process = _CONTEXT.Process(
            target=work.die_on_the_way, args=(how, second, folder, DATA[0], number)
        )
        process.start()
        process.join(60)
        died = process.exitcode == -signal.SIGKILL
        assert died or process.exitcode == 0
        run = fe.load(folder)
        left = files_in(folder)
        which = "old" if run.settings["seed"] == 1 else "new"
        expected = old if which == "old" else new
        assert {name: left[name] for name in same} == {name: expected[name] for name in same}
        assert run.table.vectors.tobytes() == table_of(finished if which == "old" else second)
        assert run.settings["seed"] == fe.load(folder).settings["seed"]
        outcomes[which] += died
        if how == "overwrite" and any(folder.glob("checkpoint-*")):
            again = tune(folder, seed=2, resume=True, checkpoint_steps=2)
            assert again.table.vectors.tobytes() == table_of(second)
            outcomes["continued"] += 1
        else:
            fe.load(second).save(folder)
        assert sorted(os.listdir(folder)) == sorted(FILES)
        assert table_of(folder) == table_of(second)
        shutil.rmtree(folder)
        if not died:
            break
        number += step
    assert outcomes["old"] >= 7
    assert outcomes["new"] >= 1


# --- names ----------------------------------------------------------------------------------------

NAMES = (
    "run[2]",
    "run*",
    "r?n",
    "~/run",
    "~",
    "a b  c",
    'it\'s "quoted"',
    "two\nlines",
    "-o",
    "{x} %s $HOME `x`",
    "caf\u00e9 \u4e2d",
    os.fsdecode(b"caf\xe9"),
    "x" * 255,
    "a" * 120 + os.fsdecode(b"\xff" * 135),
)


@pytest.mark.parametrize("name", NAMES, ids=[ascii(name)[:20] for name in NAMES])
def test_a_folder_of_any_name(finished, tmp_path, monkeypatch, capsysbinary, name):
    monkeypatch.chdir(tmp_path)
    interrupted(Path(name), 4, checkpoint_steps=1)
    run = tune(name, resume=True)
    assert run.table.vectors.tobytes() == tune(None).table.vectors.tobytes()
    assert fe.load(name).predict(["a1 b2"]) == run.predict(["a1 b2"])
    assert fe.load_vectors(name).vectors.tobytes() == run.table.vectors.tobytes()
    assert tune(name, resume=True).metrics == run.metrics
    again = tune(f"./{name}", vectors=f"./{name}/embedding.safetensors", overwrite=True)
    assert table_of(Path(name)) == again.table.vectors.tobytes()
    assert len(fe.drift(fe.load_vectors(finished), fe.load_vectors(name)).base) == len(WORDS)
    target = str(tmp_path / "out.txt")
    given = f"./{name}"
    for words in (["inspect", given], ["predict", given, "a1"], ["convert", given, target]):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 0, capsysbinary.readouterr().err
    assert sorted(os.listdir(name)) == sorted(FILES)
    (tmp_path / "out.txt").unlink()
    assert len(os.listdir(tmp_path)) == 1
    capsysbinary.readouterr()  # bytes that a report of this test could not hold
