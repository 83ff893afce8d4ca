"""`load`: open the folder of a finished run."""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from ...embedding import to_embedding
from ...errors import DataError, Either, Text
from ...formats import load_safetensors
from ...formats.common.run_folder import how_to_continue
from ...vocabulary import Vocabulary
from ..build_model import Head, build_model
from ..settings import Settings
from ..tasks import restore_task
from .checkpoints import latest_checkpoint
from .file_names import CONFIG, FILES, HISTORY, METRICS, MODEL, RECORD, TABLE, TOKENIZER, WORDS
from .folder import settle_run
from .run import Run, contiguous_state

__all__ = ["load"]


def load(folder: str | os.PathLike[str], head: Head | None = None) -> Run:
    """Open the folder of a finished run.

    Args:
        folder: the `output_dir` of `finetune`.
        head: the `head` given to `finetune`, if it was a module or a function.

    Raises:
        DataError: there is no finished run in the folder, or one of its files is damaged.
    """
    folder = Path(folder)
    settle_run(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        remedy: Text = "pass the folder of a finished run"
        state = f"the folder has no {', '.join(missing)}" if folder.is_dir() else "no such folder"
        if latest_checkpoint(folder) is not None:
            state, remedy = "the folder holds an unfinished run", how_to_continue(folder)
        raise DataError(state, where=folder, remedy=remedy)
    import polars as pl
    import yaml
    from polars.exceptions import PolarsError

    damage = (PolarsError, SafetensorError, yaml.YAMLError)

    try:
        settings = dict(yaml.safe_load((folder / CONFIG).read_text("utf-8")))
        record = json.loads((folder / RECORD).read_text("utf-8"))
        metrics = json.loads((folder / METRICS).read_text("utf-8"))
        history = [json.loads(line) for line in (folder / HISTORY).read_text("utf-8").splitlines()]
        weights = load_file(folder / MODEL)
        with open(folder / WORDS, "rb") as file:  # polars would take a path for a pattern
            words = pl.read_parquet(file).to_dict(as_series=False)
        task = restore_task(record)
        path, head_text = str(record["embedding"]), str(record["head"])
        if absent := Settings().plain().keys() - settings.keys():
            raise ValueError(f"{CONFIG} has no {', '.join(sorted(absent))}")
        metrics["warnings"]  # raises if there are none
        if metrics["validation"].get("threshold") != record.get("threshold"):
            raise ValueError(f"{RECORD} and {METRICS} have different thresholds")
        table = load_safetensors(folder / TABLE)
        vocab = Vocabulary.load(folder / TOKENIZER)
        vocab.counts[2:] = words["count"]
    except (ValueError, LookupError, TypeError, OSError, *damage) as error:
        raise DataError(f"a file of the run is damaged: {error}", where=folder) from error
    embedding = to_embedding(table, vocab)
    if head is None and record["custom_head"]:
        raise DataError(
            f"the run has a custom head, {head_text}",
            where=folder,
            remedy=Either(
                f"pass one like it: load({str(folder)!r}, head=...)",
                "load it in Python: fe.load(folder, head=...)",
            ),
        )
    which = path.rpartition(".")[0]
    model, _ = build_model(head or head_text, embedding, len(task.labels), which)
    try:
        if other := weights.keys() ^ contiguous_state(model).keys():
            raise RuntimeError(f"only one of the two has {', '.join(sorted(other))}")
        model.load_state_dict(weights, strict=False)  # tied weights are in the file once
    except RuntimeError as error:
        raise DataError(f"{MODEL} does not fit the head: {error}", where=folder) from error
    return Run(table, model.eval(), vocab, task, settings, record, metrics, history, words)
