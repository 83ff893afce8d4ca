"""Interrupted equals uninterrupted: runs killed by SIGKILL at random steps, bit for bit."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from killing import STEPS, Death, all_lives, in_a_new_process, left_by

import finetune_embed as fe

TEXTS, EPOCHS = 72, 3
KILLS = 50

#: The steps of an epoch and the settings of each run.
RUNS: dict[str, tuple[int, dict[str, Any]]] = {
    "bag, accumulated, word dropout, clipped": (
        5,
        {
            "head": "bag(hidden=4, dropout=0.3)",
            "strategy": "UnfreezeAfter(steps=4) | DiscriminativeLR(embedding=0.5)",
            "batch_size": 8,
            "gradient_accumulation_steps": 2,
            "word_dropout": 0.3,
            "max_grad_norm": 0.5,
            "schedule": "slanted_triangular",
            "weight_decay": 0.1,
        },
    ),
    "cnn, batches by tokens": (
        6,
        {
            "head": "cnn(filters=3, widths=(2, 3))",
            "strategy": "UnfreezeAfter(epochs=1)",
            "batch_tokens": 80,
            "schedule": "one_cycle",
            "word_dropout": 0.2,
        },
    ),
    "a stream, shuffled in blocks": (
        9,
        {"head": "bag(dropout=0.2)", "strategy": "FullTune", "batch_size": 8, "streaming": True},
    ),
    "words and pairs of words beside the vectors": (
        9,
        {"head": "pooled_cnn(filters=3)", "lexical": True, "batch_size": 8},
    ),
    "several labels": (
        9,
        {"head": "bag", "strategy": "UnfreezeAfter(steps=11)", "label": "labels", "batch_size": 8},
    ),
    "tags of words": (
        5,
        {
            "head": "bilstm(hidden=3, dropout=0.2)",
            "strategy": "FullTune",
            "text": "words",
            "label": "tags",
            "batch_size": 16,
            "mixed_precision": "bf16",
        },
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Vectors and data as files, so that every process reads the same."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    vectors = rng.normal(size=(60, 6)).astype(np.float32)
    table = fe.EmbeddingTable([*words, *(f"x{i}" for i in range(20))], vectors)
    fe.save_safetensors(table, folder / "vectors.safetensors")
    (folder / "data").mkdir()
    for name, size in (("train", TEXTS), ("validation", 20), ("test", 20)):
        chosen = [rng.choice(40, rng.integers(1, 9)) for _ in range(size)]
        split = datasets.Dataset.from_dict(
            {
                "text": [" ".join(words[i] for i in row) for row in chosen],
                "label": ["high" if row.mean() > 19.5 else "low" for row in chosen],
                "labels": [sorted({f"l{i % 4}" for i in row if i < 24}) for row in chosen],
                "words": [[words[i] for i in row] for row in chosen],
                "tags": [["O" if i % 3 else "B-x" for i in row] for row in chosen],
            }
        )
        split.to_parquet(folder / "data" / f"{name}.parquet")
    return {"vectors": str(folder / "vectors.safetensors"), "dataset": str(folder / "data")}


def options_of(name: str, files: dict[str, str], folder: Path) -> dict[str, Any]:
    defaults = {"epochs": EPOCHS, "lr": 0.05, "seed": 3, "output_dir": str(folder)}
    return {**files, **defaults, **RUNS[name][1]}


@pytest.mark.slow
def test_killed_at_fifty_random_steps(files, tmp_path):
    """Some of the runs are killed twice; a checkpoint is written every one to four steps."""
    rng = np.random.default_rng(7)
    whole = {name: tmp_path / name / "whole" for name in RUNS}
    plans: list[tuple[dict[str, Any], list[Death]]] = []
    for name, folder in whole.items():
        assert in_a_new_process([options_of(name, files, folder)], 1) == 0
        history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        assert history[0]["step"] == RUNS[name][0]
    kills, middles = 0, 0
    while kills < KILLS:
        name = list(RUNS)[len(plans) % len(RUNS)]
        of_epoch, _ = RUNS[name]
        options = options_of(name, files, tmp_path / name / str(len(plans)))
        every = int(rng.integers(1, 5))
        deaths: list[Death] = []
        # of two lives, the first ends in the first half, so that the second is long enough to die
        for parts in ([1], [2, 3])[int(rng.integers(2))]:
            where = str(rng.choice(list(STEPS)))
            steps = EPOCHS * of_epoch // parts
            number = int(rng.integers(2, steps))
            if where == "in a checkpoint":
                number = int(rng.integers(4, 3 * (1 + steps // every)))
            deaths.append((where, number))
            middles += where != "in a checkpoint" and number % of_epoch != 1
        kills += len(deaths)
        plans.append(({**options, "checkpoint_steps": every}, deaths))
    for (options, deaths), codes in zip(plans, all_lives(plans), strict=True):
        assert codes == [*[-signal.SIGKILL] * len(deaths), 0], (options, deaths)
    for (options, deaths), number in zip(plans, range(len(plans)), strict=True):
        name = list(RUNS)[number % len(RUNS)]
        assert left_by(Path(options["output_dir"])) == left_by(whole[name]), (options, deaths)
    assert kills >= KILLS
    assert middles >= KILLS // 3
