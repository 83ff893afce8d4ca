"""What each process does in tests of several: `torchrun shared_work.py FILES FOLDER`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import torch

import finetune_embed as fe
from finetune_embed.training import streamed as stream_steps


@dataclass(frozen=True)
class EveryThird(fe.Strategy):
    """Train every third row of the table."""

    def rows(self, weight: torch.nn.Parameter, vocab: fe.Vocabulary | None) -> fe.RowRule:
        return fe.RowRule(train=torch.arange(len(weight)) % 3 == 0)


class NowAndThen(torch.nn.Module):
    """A mean of vectors and two layers, one of which is only used in every third step."""

    def __init__(self, embedding: torch.nn.Embedding, classes: int) -> None:
        super().__init__()
        self.embedding, self.steps = embedding, 0
        self.always = torch.nn.Linear(embedding.embedding_dim, classes)
        self.seldom = torch.nn.Linear(embedding.embedding_dim, classes)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the logits `(B, C)`."""
        mean = self.embedding(ids).sum(dim=1) / lengths[:, None]
        self.steps += self.training
        seldom = self.training and self.steps % 3 == 0
        return self.always(mean) + self.seldom(mean) if seldom else self.always(mean)


class WithPositions(torch.nn.Module):
    """A mean of vectors and of positions, which are a second table with sparse gradients."""

    def __init__(self, embedding: torch.nn.Embedding, classes: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.positions = torch.nn.Embedding(8, embedding.embedding_dim, sparse=True)
        self.output = torch.nn.Linear(embedding.embedding_dim, classes)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the logits `(B, C)`; the second half of the positions is used by long texts."""
        at = torch.arange(ids.shape[1]).expand_as(ids)
        used = (at < lengths[:, None])[..., None]
        units = (self.embedding(ids) + self.positions(at)) * used
        return self.output(units.sum(dim=1) / lengths[:, None])


RUNS: dict[str, dict[str, Any]] = {
    "full tune": {
        "strategy": fe.FullTune(),
        "head": "bag(hidden=4)",
        "weight_decay": 0.1,
        "trackers": ["tensorboard"],
    },
    "unfreeze after some steps": {
        "strategy": fe.UnfreezeAfter(steps=4),
        "head": "cnn(filters=3, widths=(2,), dropout=0.0)",
        "schedule": "cosine",
    },
    "a row mask": {"strategy": EveryThird(), "head": "bag", "max_grad_norm": 0.5},
    "tags of words, accumulated": {
        "strategy": fe.UnfreezeAfter(steps=3),
        "head": "bilstm(hidden=3, dropout=0.0)",
        "text": "words",
        "label": "tags",
        "gradient_accumulation_steps": 2,
    },
    "a ramp, by frequency": {
        "strategy": fe.UnfreezeAfter(steps=3) | fe.RampUp(steps=5) | fe.FrequencyLR(),
        "head": "bag",
    },
    "head first": {"strategy": fe.HeadFirst(epochs=1, rate_after=0.5), "head": "bag", "lr": 0.1},
    "bands in a trust region": {
        "strategy": fe.GradualUnfreeze(by="frequency", bands=2) | fe.TrustRegion(0.1),
        "head": "bag",
    },
    "anchored, some locked": {
        "strategy": fe.L2SP(2.0) | fe.LockRows({"w1": 0.0, "w2": 0.5}) | fe.MaxNorm(2.0),
        "head": "bag",
    },
    "shrunk": {"strategy": fe.DeltaShrink(0.2), "head": "bag"},
    "class weights, accumulated": {
        "head": "bag",
        "class_weight": "balanced",
        "label_smoothing": 0.1,
        "gradient_accumulation_steps": 2,
    },
    "an ensemble": {"head": "bag", "ensemble": 2},
    "a layer seldom used": {"head": NowAndThen, "weight_decay": 2.0},
    "a second table": {"head": WithPositions, "weight_decay": 0.1},
}
#: Runs that are stopped in mid-epoch and resumed; streams after their first block.
RESUMED: dict[str, dict[str, Any]] = {
    "full tune": RUNS["full tune"],
    "a stream of one file": {"streaming": True},
    "a stream in shards": {"streaming": True},
}


def options_of(name: str, files: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return the arguments of a run; 70 texts by 8, so that the last batch is smaller."""
    common = {"epochs": 3, "lr": 0.02, "batch_size": 8, "seed": 3, "device": "cpu"}
    dataset = files["shards" if "shards" in name else "dataset"]
    chosen = {**RUNS, **RESUMED}[name]
    return {
        "vectors": files["vectors"],
        "dataset": dataset,
        **common,
        **chosen,
        "output_dir": folder / name,
    }


def stop_and_resume(options: dict[str, Any]) -> None:
    """Stop a run in its second epoch, on all processes at the same step, and resume it."""
    options = {**options, "checkpoint_steps": 2}
    steps, real = 0, fe.RowAdamW.step

    def stopping(self: fe.RowAdamW, *args: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 16:
            raise KeyboardInterrupt
        return real(self, *args)

    fe.RowAdamW.step = stopping  # type: ignore[method-assign]
    try:
        fe.finetune(**options)
        raise AssertionError("it was not stopped")
    except KeyboardInterrupt:
        pass
    finally:
        fe.RowAdamW.step = real  # type: ignore[method-assign]
    torch.distributed.barrier()
    folder = options["output_dir"]
    assert len(list(folder.glob("checkpoint-1-14"))) == 1
    if os.environ["RANK"] == "0":
        shutil.copytree(folder, folder.with_name(f"{folder.name}, unfinished"))
    torch.distributed.barrier()
    fe.finetune(**options, resume=True)
    again = fe.finetune(**options, resume=True)  # finished: returned unchanged in every process
    assert again.metrics["epochs"] == 3


def main() -> None:
    """Make every run, and some of them again with a stop."""
    files, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    stream_steps.BLOCK = 8  # examples of a process: two steps
    bits = {}
    for name in {**RUNS, **RESUMED}:
        run = fe.finetune(**options_of(name, files, folder))
        weight = run.model.get_parameter(str(run.config["embedding"]))
        bits[name] = weight.detach().numpy().tobytes().hex()
    (folder / f"bits-{os.environ['RANK']}.json").write_text(json.dumps(bits))
    for name in RESUMED:
        stop_and_resume(options_of(name, files, folder / "resumed"))
    # an error of one process is raised in all
    try:
        fe.finetune(**options_of("full tune", files, folder))
    except fe.DataError as error:
        (folder / f"refused-{os.environ['RANK']}.txt").write_text(str(error))
    options = options_of("full tune", files, folder / "unlike")
    files_of = {name: f"{files['dataset']}/{name}.parquet" for name in ("train", "validation")}
    unlike = datasets.load_dataset("parquet", data_files=files_of)
    unlike["train"] = unlike["train"].shuffle(seed=int(os.environ["RANK"]))
    for streamed in (False, True):
        if streamed:
            unlike["train"] = unlike["train"].to_iterable_dataset()
        try:
            fe.finetune(**{**options, "dataset": unlike})
        except fe.DataError as error:
            name = f"refused-data-{streamed}-{os.environ['RANK']}.txt"
            (folder / name).write_text(str(error))


if __name__ == "__main__":
    main()
