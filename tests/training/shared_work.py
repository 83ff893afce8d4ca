"""What each process of a run does in tests of several: `torchrun shared_work.py FILES FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import finetune_embed as fe


@dataclass(frozen=True)
class EveryThird(fe.Strategy):
    """Train every third row of the table, the others stay."""

    def rows(self, weight: torch.nn.Parameter, vocab: fe.Vocabulary | None) -> fe.RowRule:
        return fe.RowRule(train=torch.arange(len(weight)) % 3 == 0)


RUNS: dict[str, dict[str, Any]] = {
    "full tune": {"strategy": fe.FullTune(), "head": "bag(hidden=4)", "weight_decay": 0.1},
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
}


def options_of(name: str, files: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return the arguments of a run; 70 texts by 8, so that the last batch is smaller."""
    common = {"epochs": 3, "lr": 0.02, "batch_size": 8, "seed": 3, "device": "cpu"}
    return {**files, **common, **RUNS[name], "output_dir": folder / name}


def main() -> None:
    """Do every run; stop the first of them in mid-epoch and go on with it."""
    files, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    bits = {}
    for name in RUNS:
        run = fe.finetune(**options_of(name, files, folder))
        weight = run.model.get_parameter(str(run.config["embedding"]))
        bits[name] = weight.detach().numpy().tobytes().hex()
    (folder / f"bits-{os.environ['RANK']}.json").write_text(json.dumps(bits))
    # a run that is stopped in mid-epoch on all processes at the same step
    name = "full tune"
    options = {**options_of(name, files, folder / "resumed"), "checkpoint_steps": 2}
    stopped = False
    real = fe.RowAdamW.step

    def stopping(self: fe.RowAdamW, *args: Any) -> Any:
        stopping.count += 1  # type: ignore[attr-defined]
        if stopping.count == 14:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return real(self, *args)

    stopping.count = 0  # type: ignore[attr-defined]
    fe.RowAdamW.step = stopping  # type: ignore[method-assign]
    try:
        fe.finetune(**options)
    except KeyboardInterrupt:
        stopped = True
    fe.RowAdamW.step = real  # type: ignore[method-assign]
    assert stopped
    torch.distributed.barrier()
    assert len(list((folder / "resumed" / name).glob("checkpoint-1-12"))) == 1
    fe.finetune(**options, resume=True)
    again = fe.finetune(**options, resume=True)  # finished: as it is, in every process
    assert again.metrics["epochs"] == 3
    # what one process can't do, all refuse
    try:
        fe.finetune(**options)
    except fe.DataError as error:
        (folder / f"refused-{os.environ['RANK']}.txt").write_text(str(error))


if __name__ == "__main__":
    main()
