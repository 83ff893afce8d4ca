"""Checkpoints: written complete or not at all, exact, and refused where they don't belong."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import finetune_embed as fe
from finetune_embed.training.run import checkpoints as module
from finetune_embed.training.run.checkpoints import (
    Progress,
    latest_checkpoint,
    load_checkpoint,
    remove_checkpoints,
    save_checkpoint,
)

V, D = 8, 3
SETTINGS = {"lr": 0.1, "text": ["a", "b"], "patience": None, "strategy": "Freeze"}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, D)
        self.norm = nn.BatchNorm1d(D)
        self.output = nn.Linear(D, V)
        self.output.weight = self.embedding.weight


def made(seed: int = 0) -> tuple[Tied, fe.RowAdamW]:
    torch.manual_seed(seed)
    model = Tied()
    groups = fe.FullTune().param_groups(model, model.embedding, lr=0.1, weight_decay=0.1)
    groups[0]["weight_decay"] = 0.3
    return model, fe.RowAdamW(groups)


def train(model: Tied, optimizer: fe.RowAdamW, steps: range) -> None:
    for step in steps:
        ids = torch.tensor([step % V, (step * 3) % V])
        loss = nn.functional.cross_entropy(model.output(model.norm(model.embedding(ids))), ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def saved(folder: Path, epoch: int = 2) -> tuple[Tied, fe.RowAdamW, dict[str, torch.Tensor]]:
    model, optimizer = made()
    train(model, optimizer, range(5))
    best = {name: value.detach().clone() for name, value in model.state_dict().items()}
    train(model, optimizer, range(5, 9))
    progress = Progress(epoch, 9, [{"epoch": 0, "validation_loss": 0.1 + 0.2}], 0, True)
    save_checkpoint(folder, model, optimizer, best, progress, SETTINGS)
    return model, optimizer, best


def test_everything_is_restored_bit_for_bit_and_training_continues_the_same(tmp_path):
    model, optimizer, best = saved(tmp_path)
    other, second = made(seed=7)
    path = latest_checkpoint(tmp_path)
    assert path == tmp_path / "checkpoint-2-9"
    progress, found, _ = load_checkpoint(path, other, second, SETTINGS)
    assert progress == Progress(2, 9, [{"epoch": 0, "validation_loss": 0.1 + 0.2}], 0, True)
    assert found.keys() == best.keys()
    assert all(torch.equal(found[name], best[name]) for name in best)
    assert not torch.equal(found["embedding.weight"], model.embedding.weight)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    assert other.output.weight is other.embedding.weight
    assert second.state_dict()["param_groups"] == [
        {**group, "betas": list(group["betas"])} for group in optimizer.state_dict()["param_groups"]
    ]
    for one, two in zip(optimizer.state.values(), second.state.values(), strict=True):
        assert {n: v.dtype for n, v in one.items()} == {n: v.dtype for n, v in two.items()}
        assert all(torch.equal(one[name], two[name]) for name in one)
    train(model, optimizer, range(9, 20))
    train(other, second, range(9, 20))
    optimizer.flush()
    second.flush()
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_the_files_of_a_checkpoint(tmp_path):
    saved(tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoint-2-9").iterdir()) == [
        "best.safetensors",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]
    state = json.loads((tmp_path / "checkpoint-2-9" / "state.json").read_text())
    assert state["identity"] == SETTINGS
    assert state["threads"] == 1
    assert state["torch"] == torch.__version__
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2-9"]


def test_the_thread_count_of_the_run_is_restored(tmp_path):
    saved(tmp_path)
    torch.set_num_threads(2)
    load_checkpoint(tmp_path / "checkpoint-2-9", *made(), SETTINGS)
    assert torch.get_num_threads() == 1


def make_checkpoint(folder):
    """Make a folder with the files by which a checkpoint is recognised."""
    folder.mkdir()
    for name in ("state.json", "best.safetensors"):
        (folder / name).write_text("{}")


def test_the_newest_checkpoint_has_the_highest_numbers(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    for name in (
        "checkpoint-9-9",
        "checkpoint-10-2",
        "checkpoint-10-11",
        "checkpoint-11-x",
        "other-9-9",
    ):
        make_checkpoint(tmp_path / name)
    make_checkpoint(tmp_path / ".checkpoint-12.abc")
    (tmp_path / "checkpoint-500").mkdir()  # of another library's trainer
    (tmp_path / "checkpoint-500" / "trainer_state.json").write_text("{}")
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-10-11"


def test_only_checkpoints_and_parts_of_them_are_removed(tmp_path):
    ours = (
        "checkpoint-1-9",
        "checkpoint-2-9",
        ".checkpoint-3-9.0123abcd",
        ".checkpoint-3-9.0a1b2c3d",
    )
    theirs = (
        ".checkpoint-3-9.abc",
        ".checkpoint-3.0123abcd",
        ".checkpoint-mine",
        "checkpoint-x",
        "mine",
    )
    for name in (*ours, *theirs):
        make_checkpoint(tmp_path / name)
    (tmp_path / "checkpoint-500").mkdir()
    (tmp_path / ".checkpoint-4-9.01234567").mkdir()
    (tmp_path / ".checkpoint-4-9.01234567" / "state.json").write_text("")
    (tmp_path / ".checkpoint-4-9.01234567" / "notes.txt").write_text("somebody's")
    (tmp_path / ".checkpoint-5-9.01234567").symlink_to(tmp_path / "mine")
    (tmp_path / "checkpoint-5-9").symlink_to(tmp_path / "mine")
    left = {*theirs, "checkpoint-500", ".checkpoint-4-9.01234567", ".checkpoint-5-9.01234567"}
    left.add("checkpoint-5-9")
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-2-9"
    remove_checkpoints(tmp_path, keep=tmp_path / "checkpoint-2-9")
    assert {p.name for p in tmp_path.iterdir()} == {*left, "checkpoint-2-9"}
    remove_checkpoints(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == left
    assert len(list((tmp_path / "mine").iterdir())) == 2
    assert (tmp_path / ".checkpoint-4-9.01234567" / "notes.txt").read_text() == "somebody's"


def test_what_somebody_put_into_a_checkpoint_stays(tmp_path):
    saved(tmp_path, 1)
    (tmp_path / "checkpoint-1-9" / "notes.txt").write_text("somebody's")
    saved(tmp_path, 2)
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-2-9"
    assert os.listdir(tmp_path / "checkpoint-1-9") == ["notes.txt"]


@pytest.mark.parametrize("there", ["link", "file", "folder"])
def test_a_checkpoint_does_not_replace_what_is_not_one(tmp_path, there):
    run, other = tmp_path / "run", tmp_path / "other"
    for folder in (run, other):
        folder.mkdir()
    (other / "notes.txt").write_text("somebody's")
    path = run / "checkpoint-1-9"
    if there == "link":
        path.symlink_to(other)
    elif there == "file":
        path.write_text("somebody's")
    else:
        other.rename(path)
        other = path
    with pytest.raises(fe.DataError, match=r"checkpoint-1-9: the checkpoint can't be written: "):
        saved(run, 1)
    assert os.listdir(run) == ["checkpoint-1-9"]
    assert os.listdir(other) == ["notes.txt"]


def test_saving_leaves_only_the_newest(tmp_path):
    for epoch in (0, 1, 2):
        saved(tmp_path, epoch)
        assert [path.name for path in tmp_path.iterdir()] == [f"checkpoint-{epoch}-9"]


def test_the_best_epoch_is_written_once(tmp_path):
    """Later checkpoints share its file, and it stays when the first is removed."""
    model, _, best = saved(tmp_path, 1)
    (first,) = tmp_path.iterdir()
    shared = (first / "best.safetensors").stat().st_ino
    assert shared == (first / "model.safetensors").stat().st_ino
    saved(tmp_path, 2)
    saved(tmp_path, 3)
    (last,) = tmp_path.iterdir()
    assert (last / "best.safetensors").stat().st_ino == shared
    assert (last / "model.safetensors").stat().st_ino != shared
    _, found, _ = load_checkpoint(last, *made(), SETTINGS)
    assert torch.equal(found["embedding.weight"], model.embedding.weight)
    assert not torch.equal(found["embedding.weight"], best["embedding.weight"])


@pytest.mark.parametrize("at", [1, 2])  # the file of the best epoch exists already
def test_a_save_that_fails_half_way_leaves_the_one_before(tmp_path, monkeypatch, at):
    saved(tmp_path, 1)  # the best epoch is the first, so that the model is the best one
    before = {p.name: p.read_bytes() for p in (tmp_path / "checkpoint-1-9").iterdir()}
    calls, real = [], module.save_file

    def failing(tensors, path):
        calls.append(path)
        if len(calls) == at:
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(module, "save_file", failing)
    with pytest.raises(
        fe.DataError,
        match=r"checkpoint-2-9: the checkpoint can't be written: .*No space left on device; make "
        r"room, then continue with resume=True$",
    ):
        saved(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1-9"]
    assert {p.name: p.read_bytes() for p in (tmp_path / "checkpoint-1-9").iterdir()} == before


def test_a_limit_on_the_size_of_files(tmp_path):
    """What safetensors raises on a full disk is not an `OSError`."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
        with pytest.raises(
            fe.DataError, match=r"checkpoint-1-9: the checkpoint can't be written: .*File too larg"
        ):
            saved(tmp_path, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
    saved(tmp_path, 1)


def test_a_checkpoint_disappears_at_once(tmp_path, monkeypatch):
    """If a process dies while it removes one, the rest is not taken for a checkpoint."""
    saved(tmp_path)
    real = Path.unlink

    def dying(path, **options: bool):
        real(path, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", dying)
    with pytest.raises(KeyboardInterrupt):
        remove_checkpoints(tmp_path)
    assert latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", 0.2, "lr=0.1, this run has lr=0.2"),
        ("text", ["a"], r"text=\['a', 'b'\], this run has text=\['a'\]"),
        ("patience", 3, "patience=None, this run has patience=3"),
        ("strategy", "FullTune", "strategy='Freeze', this run has strategy='FullTune'"),
        ("added", 1, "added=None, this run has added=1"),
    ],
)
def test_other_settings_are_refused_with_both_values(tmp_path, name, value, message):
    saved(tmp_path)
    model, optimizer = made(seed=3)
    before = model.embedding.weight.detach().clone()
    torch.set_num_threads(2)
    with pytest.raises(
        fe.DataError,
        match=f"checkpoint-2-9: it was written with {message}; continue with the same settings, or "
        "start over with overwrite=True instead of resume=True$",
    ):
        load_checkpoint(tmp_path / "checkpoint-2-9", model, optimizer, {**SETTINGS, name: value})
    assert torch.equal(model.embedding.weight, before)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "garbage", "{}"])
@pytest.mark.parametrize(
    "name", ["state.json", "model.safetensors", "best.safetensors", "optimizer.safetensors"]
)
def test_a_damaged_checkpoint_is_an_error(tmp_path, name, damage):
    saved(tmp_path)
    path = tmp_path / "checkpoint-2-9" / name
    whole = path.read_bytes()
    path.unlink()
    contents = {"empty": b"", "half": whole[: len(whole) // 2], "garbage": b"\xff\0\xff" * 9}
    if damage != "missing":
        path.write_bytes(contents.get(damage, b"{}"))
    with pytest.raises(
        fe.DataError,
        match=r"checkpoint-2-9: the checkpoint cannot be read: .*; remove it to start over$",
    ):
        load_checkpoint(tmp_path / "checkpoint-2-9", *made(), SETTINGS)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("sha256", r"an earlier version wrote it, and state\.json has no 'sha256'"),
        ("tensors", r"state\.json has no 'tensors'"),
    ],
)
def test_a_checkpoint_without_a_value_names_it(tmp_path, key, message):
    saved(tmp_path)
    path = tmp_path / "checkpoint-2-9" / "state.json"
    found = json.loads(path.read_text())
    del found[key]
    if found.pop("sha256", None) is not None:
        found["sha256"] = module._sha256(found)
    path.write_text(json.dumps(found))
    with pytest.raises(fe.DataError, match=f"cannot be read: {message}; remove it to start over$"):
        load_checkpoint(path.parent, *made(), SETTINGS)


def test_a_checkpoint_of_another_model_is_an_error(tmp_path):
    saved(tmp_path)
    model = nn.Sequential(nn.Embedding(V, D), nn.Linear(D, 2))
    optimizer = fe.RowAdamW(fe.FullTune().param_groups(model, model[0], lr=0.1))
    with pytest.raises(
        fe.DataError,
        match=r"(?s)checkpoint-2-9: the checkpoint belongs to another model: .*; continue with the "
        "same head, or start over with overwrite=True instead of resume=True$",
    ):
        load_checkpoint(tmp_path / "checkpoint-2-9", model, optimizer, SETTINGS)


# --- when they are written ------------------------------------------------------------------------


class Clock:
    """A run whose steps and epochs take a given time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: float) -> None:
        self.now, self.progress, self.written = 1_000.0, Progress(), []
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(module, "MIN_SECONDS", 10.0)
        self.checkpoints = module.Checkpoints(lambda *_: self.written.append(self.now), **options)

    def step(self, seconds: float) -> None:
        self.now += seconds
        self.progress.step += 1
        self.checkpoints.after_step(self.progress, {})

    def end_epoch(self) -> None:
        self.checkpoints.after_epoch(self.progress, {})


def test_an_epoch_that_ends_within_ten_seconds_of_a_checkpoint_gets_none(monkeypatch):
    run = Clock(monkeypatch)
    for seconds in (9.9, 0.1, 4.0, 5.9, 0.2, 30.0):
        run.step(seconds)
        run.end_epoch()
    assert run.written == pytest.approx([1_010.0, 1_020.1, 1_050.1])


def test_a_checkpoint_every_so_many_minutes(monkeypatch):
    run = Clock(monkeypatch, minutes=0.5)
    for _ in range(9):
        run.step(12.0)  # the third is the first after 30 seconds
    assert run.written == [1_036.0, 1_072.0, 1_108.0]
    run.step(5.0)
    run.end_epoch()  # the last checkpoint is recent
    run.step(6.0)
    run.end_epoch()  # no longer; the minutes count from here
    run.step(29.0)
    run.step(1.0)
    assert run.written[3:] == [1_119.0, 1_149.0]


def test_a_checkpoint_every_so_many_steps(monkeypatch):
    run = Clock(monkeypatch, steps=3)
    for _ in range(7):
        run.step(1.0)
    run.end_epoch()
    assert run.written == [1_003.0, 1_006.0]
