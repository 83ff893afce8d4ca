"""Two processes that share every batch do what one does: the same losses and the same table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from shared_work import RESUMED, RUNS, options_of

import finetune_embed as fe
from finetune_embed.training.runtime.processes import Processes

HERE = Path(__file__).parent
TEXTS = 70
Once = Callable[[str, Callable[[Path], None]], Path]


def write_files(folder: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    fe.save_safetensors(
        fe.EmbeddingTable(words, rng.normal(size=(40, 6)).astype(np.float32)),
        folder / "vectors.safetensors",
    )
    (folder / "data").mkdir()
    (folder / "shards").mkdir()
    for name, size in (("train", TEXTS), ("validation", 20), ("test", 20)):
        chosen = [rng.choice(40, rng.integers(1, 9)) for _ in range(size)]
        rows = datasets.Dataset.from_dict(
            {
                "text": [" ".join(words[i] for i in row) for row in chosen],
                "label": ["high" if row.mean() > 19.5 else "low" for row in chosen],
                "words": [[words[i] for i in row] for row in chosen],
                "tags": [["O" if i % 3 else "B-x" for i in row] for row in chosen],
            }
        )
        rows.to_parquet(folder / "data" / f"{name}.parquet")
        if name == "train":
            rows.select(range(45)).to_parquet(folder / "shards" / "train-00000-of-00002.parquet")
            rows.select(range(45, TEXTS)).to_parquet(
                folder / "shards" / "train-00001-of-00002.parquet"
            )
        else:
            rows.to_parquet(folder / "shards" / f"{name}.parquet")


@pytest.fixture(scope="module")
def files(once: Once) -> dict[str, str]:
    folder = once("files of two processes", write_files)
    return {
        "vectors": str(folder / "vectors.safetensors"),
        "dataset": str(folder / "data"),
        "shards": str(folder / "shards"),
    }


def launched(launcher: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    """Start two processes on this machine and wait for them."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", *launcher, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


TORCHRUN = ["torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--standalone"]
ACCELERATE = ["accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"]
ACCELERATE += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]


@pytest.fixture(scope="module")
def shared(files: dict[str, str], once: Once) -> Path:
    """The folder of the runs of two processes."""

    def make(folder: Path) -> None:
        done = launched(TORCHRUN, str(HERE / "shared_work.py"), json.dumps(files), str(folder))
        assert done.returncode == 0, done.stderr

    return once("runs of two processes", make)


@pytest.fixture(scope="module")
def alone(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, fe.Run]:
    """The same runs in one process."""
    folder = tmp_path_factory.mktemp("alone")
    return {name: fe.finetune(**options_of(name, files, folder)) for name in RUNS}


def figures(history: Any) -> np.ndarray:
    """Return the losses, scores and movement of all epochs."""
    names = [n for n in history[0] if n not in ("seconds", "epoch", "step", "movement")]
    return np.array([[*(r[name] for name in names), *r["movement"].values()] for r in history])


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_two_processes_do_what_one_does(name, shared, alone):
    head = RUNS[name]["head"]
    run, one = fe.load(shared / name, None if isinstance(head, str) else head), alone[name]
    assert [r["step"] for r in run.history] == [r["step"] for r in one.history]
    np.testing.assert_allclose(figures(run.history), figures(one.history), rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(run.table.vectors, one.table.vectors, rtol=0, atol=2e-5)
    start = fe.load_safetensors(Path(one.config["vectors"])).vectors
    moved = (one.table.vectors != start).any(axis=1)
    assert ((run.table.vectors != start).any(axis=1) == moved).all()
    third = np.array([one.vocab.key_to_index[word] % 3 == 0 for word in one.table.index_to_key])
    assert (moved == third).all() if name == "a row mask" else moved.sum() > 20
    if name == "anchored, some locked":
        assert not moved[one.table.index_to_key.index("w1")]
    for split in ("validation", "test"):
        assert run.metrics[split] == pytest.approx(one.metrics[split], rel=2e-5)


@pytest.mark.slow
def test_the_tables_of_both_processes_have_the_same_bits(shared):
    one, two = (json.loads((shared / f"bits-{rank}.json").read_text()) for rank in (0, 1))
    assert one == two
    assert set(one) == {*RUNS, *RESUMED}


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMED)
def test_resumed_by_the_same_number_of_processes_ends_in_the_same_bits(name, shared):
    for file in ("embedding.safetensors", "model.safetensors"):
        resumed = shared / "resumed" / name / file
        assert resumed.read_bytes() == (shared / name / file).read_bytes()
    assert not list((shared / "resumed" / name).glob("*checkpoint*"))
    resumed, whole = (fe.load(shared / part / name).history for part in ("resumed", "."))
    np.testing.assert_allclose(figures(resumed), figures(whole), rtol=1e-12)


@pytest.mark.slow
def test_each_process_reads_its_own_shard(shared):
    """45 and 25 texts by 4 are 12 steps; of one file each process reads every other text, 9."""
    steps = {name: fe.load(shared / name).history[0]["step"] for name in RESUMED}
    assert steps == {"full tune": 9, "a stream of one file": 9, "a stream in shards": 12}


@pytest.mark.slow
def test_all_processes_raise_the_error_of_the_main_one(shared):
    messages = {(shared / f"refused-{rank}.txt").read_text() for rank in (0, 1)}
    assert len(messages) == 1
    assert messages.pop().endswith(
        "the folder holds a finished run; choose another output_dir, or start over with "
        "overwrite=True"
    )


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
def test_processes_with_other_data_are_refused(streamed, shared):
    for rank in (0, 1):
        message = (shared / f"refused-data-{streamed}-{rank}.txt").read_text()
        assert "the 2 processes were not given the same data in the same order" in message
        assert message.endswith("shuffle it with a seed: dataset.shuffle(seed=0)")


@pytest.mark.slow
@pytest.mark.parametrize("state", ["full tune", "full tune, unfinished"])
def test_another_number_of_processes_is_refused(state, files, shared):
    options = options_of("full tune", files, shared)
    options |= {"output_dir": shared / "resumed" / state, "checkpoint_steps": 2}
    with pytest.raises(
        fe.DataError, match="it was written with processes=2, this run has processes=1; "
    ):
        fe.finetune(**options, resume=True)


@pytest.mark.slow
def test_one_process_reports(shared):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = (shared / "full tune" / "trackers").iterdir()
    losses = EventAccumulator(str(folder)).Reload().Scalars("loss")
    assert [event.step for event in losses] == list(range(1, 28))
    first = [event.value for event in losses[:9]]
    weights = [8] * 8 + [6]  # 70 texts by 8
    expected = fe.load(shared / "full tune").history[0]["train_loss"]
    assert np.average(first, weights=weights) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_the_command_line_under_accelerate_launch(files, tmp_path):
    command = ["finetune_embed", "train", "--vectors", files["vectors"], "--data"]
    command += [files["dataset"], "--epochs", "2", "--batch-size", "8", "--lr", "0.02", "--json"]
    command += ["--head", "bag(hidden=4)", "--quiet"]
    both = [*command, "-o", str(tmp_path / "both")]
    done = launched([*ACCELERATE, "-m"], *both)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)  # printed once
    run = fe.load(tmp_path / "both")
    assert metrics["test"]["accuracy"] == run.metrics["test"]["accuracy"]
    assert run.config["processes"] == 2
    one = fe.finetune(
        files["vectors"], files["dataset"], epochs=2, batch_size=8, lr=0.02, head="bag(hidden=4)"
    )
    assert run.history[-1]["step"] == 2 * 9
    np.testing.assert_allclose(figures(run.history), figures(one.history), rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(run.table.vectors, one.table.vectors, rtol=0, atol=2e-5)
    wrong = launched([*ACCELERATE, "-m"], *both)
    assert wrong.returncode != 0
    assert (
        f"error: {tmp_path / 'both'}: the folder holds a finished run; choose another "
        f"--output-dir, "
        "or start over with --overwrite\n"
    ) in wrong.stderr


# --- one process ----------------------------------------------------------------------------------


def test_one_process():
    processes = Processes("cpu")
    assert (processes.count, processes.index, processes.is_main) == (1, 0, True)
    assert processes.from_main(lambda: object) is object
    assert processes.sum(1.5, True) == [1.5, True]
    parameter = torch.nn.Parameter(torch.ones(2))
    processes.mean_gradients([parameter])
    assert parameter.grad is None
    with pytest.raises(ZeroDivisionError):
        processes.from_main(lambda: 1 / 0)


@pytest.mark.parametrize(("kind", "expected"), [("cuda", "cuda:0"), ("mps", "cpu")])
def test_the_accelerator_is_used_if_it_supports_float64(kind, expected, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind, 0))
    assert Processes().device == expected
    assert Processes("mps").device == "mps"
