"""`load`: open the folder of a finished run."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...embedding import to_embedding
from ...errors import DataError, Either, Text, shell_word
from ...files import near, read_parquet
from ...formats import load_safetensors
from ...formats.common.run_folder import how_to_continue
from ..build_model import Head, build_model
from ..ensemble import STACKING, Other, contiguous_state, part_of
from ..lexical_part import LexicalPart
from ..tasks import restore_task
from .checkpoints import Tensors, latest_checkpoint
from .file_names import (
    CONFIG,
    FILES,
    HISTORY,
    LEXICAL,
    MEMBERS,
    METRICS,
    MODEL,
    RECORD,
    REQUIRED,
    TABLE,
    TOKENIZER,
    WORDS,
)
from .folder import settle_run
from .run import PARTS, Run
from .shrunk import with_rows
from .stored import (
    HISTORY_SHAPE,
    METRICS_SHAPE,
    RECORD_SHAPE,
    check_shape,
    is_count,
    is_finite,
    is_number,
    is_text,
    later_settings,
    load_tensors,
    read_json,
    reading,
    settings_shape,
)
from .vocabulary_file import load_vocabulary

__all__ = ["counts_in", "load"]

TRIES = 5  # times that a run is read if another process replaces it meanwhile


def load(folder: str | os.PathLike[str], head: Head | None = None) -> Run:
    """Open the folder of a finished run.

    Args:
        folder: the `output_dir` of `finetune`.
        head: the `head` given to `finetune`, if it was a module or a function.

    Raises:
        DataError: there is no finished run in the folder, or one of its files is damaged.

    Example:
        >>> run = fe.finetune("glove.6B.50d.txt", "reviews", max_steps=20, lexical=False)
        >>> run.save("saved")
        >>> fe.load("saved").predict(["great"]) == run.predict(["great"])
        True
    """
    folder = Path(folder)
    for _ in range(TRIES):
        before = _stamps(folder)
        try:
            run = _load(folder, head)
        except DataError:
            if _stamps(folder) == before:
                raise
        else:
            if _stamps(folder) == before:
                return run
    return _load(folder, head)


def _stamps(folder: Path) -> list[tuple[int, int] | None]:
    """Return what changes when another process replaces the files of a run."""
    found: list[tuple[int, int] | None] = []
    for name in FILES:
        try:
            state = os.stat(folder / name)
            found.append((state.st_ino, state.st_mtime_ns))
        except (OSError, ValueError):
            found.append(None)
    return found


def _load(folder: Path, head: Head | None) -> Run:
    """Open the folder of a run that no process replaces meanwhile."""
    with reading(folder, "the folder cannot be read"):
        settle_run(folder)
        missing = [name for name in REQUIRED if not (folder / name).is_file()]
        unfinished = latest_checkpoint(folder) is not None
    if missing:
        remedy: Text = "pass the folder of a finished run"
        state = f"the folder has no {', '.join(missing)}" if folder.is_dir() else "no such folder"
        close = None if folder.exists() else near(folder)
        if close is not None and Path(close).is_dir():
            remedy = f"{remedy}; did you mean {close}?"
        if folder.is_file():
            state = "this is a file, not the folder of a run"
            remedy = Either(
                f"{remedy}, or open vectors with load_vectors(path)",
                f"{remedy}; of a file of vectors: finetune-embed inspect {shell_word(str(folder))}",
            )
        if unfinished:
            state, remedy = "the folder holds an unfinished run", how_to_continue(folder)
        raise DataError(state, where=folder, remedy=remedy)
    settings = _settings_in(folder / CONFIG)
    record = read_json(folder / RECORD, RECORD_SHAPE)
    metrics = read_json(folder / METRICS, METRICS_SHAPE)
    with reading(folder / HISTORY):
        history = [json.loads(line) for line in (folder / HISTORY).read_bytes().splitlines()]
        check_shape(history, HISTORY_SHAPE, "the history")
    with reading(folder / RECORD):
        task = restore_task(record)
        if not task.outputs:
            raise ValueError("it has no labels")
    with reading(folder / HISTORY):
        check_shape(history, [{f"validation_{task.metric}": is_number}], "the history")
    with reading(folder / METRICS):
        stacked = "stacking" in record or bool(settings["lexical"])
        members = range(1, settings["ensemble"] + 1) if settings["ensemble"] > 1 else ()
        required = chain(PARTS if stacked else (), (f"member_{number}" for number in members))
        for name in chain(metrics.keys() & {"validation", "test", *PARTS}, required):
            check_shape(metrics, {name: {task.metric: is_number}})
        if "texts" in metrics:  # runs of older versions have none
            check_shape(metrics, {"texts": {str: is_count}})
        if metrics["validation"].get("threshold") != record.get("threshold"):
            raise ValueError(f"it has another threshold than {RECORD}")
    files = {LEXICAL: stacked, MEMBERS: settings["ensemble"] > 1}
    if missing := [
        name for name, wanted in files.items() if wanted and not (folder / name).is_file()
    ]:
        raise DataError(
            f"the folder has no {', '.join(missing)}",
            where=folder,
            remedy="copy the folder of the run with all its files",
        )
    with reading(folder / MODEL):
        weights = load_tensors(folder / MODEL)
    with reading(folder / TABLE):
        table = load_safetensors(folder / TABLE)
    with reading(folder / WORDS):
        words = _words_in(folder / WORDS)
    with reading(folder / TOKENIZER):
        vocab = load_vocabulary(folder / TOKENIZER, words, record)
    with reading(folder / WORDS):
        vocab.counts[2:] = words["count"]
    path, head_text = record["embedding"], record["head"]
    embedding = to_embedding(table, vocab)
    with reading(folder / RECORD):
        weights = with_rows(weights, record, embedding.weight.detach(), vocab.first_word)
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
    if head is None:
        with reading(folder / RECORD), torch.device("meta"):  # sizes first, memory later
            sizes, _ = build_model(head_text, embedding, task.outputs, which)
        _check_fits(folder / MODEL, weights, _own_state(sizes))
    model, _ = build_model(head or head_text, embedding, task.outputs, which)
    _check_fits(folder / MODEL, weights, contiguous_state(model))
    with reading(folder / MODEL):
        model.load_state_dict(weights, strict=False)  # tied weights are in the file once
    with reading(folder / RECORD):
        model.get_parameter(path)
    lexical = None
    if stacked:
        with reading(folder / RECORD):
            check_shape(record, {"stacking": dict.fromkeys(PARTS, is_finite)})
        with reading(folder / LEXICAL):
            tensors = load_tensors(folder / LEXICAL)
            if tensors["weight"].dtype == torch.float16:  # of a shrunk run
                tensors["weight"] = tensors["weight"].float()
            lexical = LexicalPart.restored(record["stacking"], tensors, vocab, task.outputs)
    run = Run(table, model.eval(), vocab, task, settings, record, metrics, history, words)
    run = replace(run, lexical=lexical)
    if settings["ensemble"] > 1:
        with reading(folder / MEMBERS):
            tensors = load_tensors(folder / MEMBERS)
        run = replace(run, others=_others(run, tensors, head or head_text, folder / MEMBERS))
    return run


def _others(run: Run, tensors: Tensors, head: Head, path: Path) -> tuple[Other, ...]:
    """Return the models of an ensemble after the first, from the tensors of their file."""
    found, which = [], str(run.record["embedding"]).rpartition(".")[0]
    count = run.settings["ensemble"] - 1
    heads = run.record.get("heads", [head] * (count + 1))  # of each model, where they differ
    with reading(path.parent / RECORD):
        if "heads" in run.record:
            check_shape(heads, [is_text], "heads")
        if len(heads) != count + 1:
            raise ValueError(f"it has {len(heads)} heads, and there are {count + 1} models")
    for number, head in enumerate(heads[1:]):
        embedding = to_embedding(run.table, run.vocab)
        with reading(path.parent / RECORD):
            model, _ = build_model(head, embedding, run.task.outputs, which)
        weights, lexical = part_of(tensors, number), run.lexical
        _check_fits(path, weights, contiguous_state(model))
        with reading(path):
            model.load_state_dict(weights, strict=False)
            if lexical is not None:
                shares = tensors[STACKING]
                if shares.shape != (count, 2) or not bool(shares.isfinite().all()):
                    raise ValueError(f"its weights of parts are {shares.tolist()}")
                lexical = replace(lexical, **dict(zip(PARTS, shares[number].tolist(), strict=True)))
        found.append(Other(model.eval(), lexical))
    return tuple(found)


def counts_in(folder: Path) -> dict[str, int] | None:
    """Return the training counts of the words of a run; None if the path is not that of a run.

    Raises:
        DataError: the file of its words is damaged.
    """
    settle_run(folder)
    path = folder / WORDS
    if not path.is_file():
        return None
    with reading(path):
        words = _words_in(path)
        if not all(map(is_count, words["count"])):
            raise ValueError("a count is below 0")
        return dict(zip(words["word"], words["count"], strict=True))


def _settings_in(path: Path) -> dict[str, Any]:
    """Return the settings in a `config.yaml`."""
    import yaml

    with reading(path):
        settings = yaml.safe_load(path.read_bytes())
        if isinstance(settings, dict):
            settings |= {n: one for n, one in later_settings().items() if n not in settings}
        check_shape(settings, settings_shape())
    return dict(settings)


def _words_in(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a `words.parquet`."""
    import pyarrow.types as kinds

    table = read_parquet(path, list(_COLUMNS))
    for name, allowed in _COLUMNS.items():
        kind, column = table.schema.field(name).type, table.column(name)
        if not any(getattr(kinds, f"is_{one}")(kind) for one in allowed):
            raise ValueError(f"the column {name} is of the type {kind}")
        if column.null_count and "floating" not in allowed:
            raise ValueError(f"the column {name} lacks {column.null_count:,} values")
    words: dict[str, list[Any]] = table.to_pydict()
    return words


#: The columns of `words.parquet` and their types.
_COLUMNS = {
    "word": ("string", "large_string", "string_view"),
    "count": ("integer",),
    "found": ("string", "large_string", "string_view"),
    "movement": ("floating",),
    "cosine": ("floating",),
}


def _check_fits(path: Path, weights: Tensors, expected: Tensors) -> None:
    """Check that a model has weights of the same names and sizes.

    Raises:
        DataError: it has not.
    """
    if other := weights.keys() ^ expected.keys():
        what = f"only one of the two has {', '.join(sorted(other))}"
    else:
        sizes = {n: (tuple(weights[n].shape), tuple(expected[n].shape)) for n in expected}
        what = "; ".join(
            f"{n} is {ours}, not {its}" for n, (ours, its) in sizes.items() if ours != its
        )
    if what:
        raise DataError(f"{path.name} does not fit the head: {what}", where=path)


def _own_state(model: nn.Module) -> Tensors:
    """Return the state of a model that may be on `meta`, without a second name of tied weights."""
    own = dict(model.named_parameters()).keys() | dict(model.named_buffers()).keys()
    return {name: value for name, value in model.state_dict().items() if name in own}
