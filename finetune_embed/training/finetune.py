"""`finetune`: vectors and a data set in, a tuned table out, in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ..data import labels_of
from ..errors import DataError, StrategyError
from ..files import sha256_of
from ..formats import load_vectors
from ..lookup import StartValue
from ..splits import DataSource, open_splits
from ..strategies import FullTune, Strategy
from ..table import EmbeddingTable
from ..tokenizer import Tokenizer
from .checkpoint import latest_checkpoint, remove_checkpoints
from .head import Head
from .run import FILES, METRICS, Run, load
from .tuning import LossFunction, Tuning

__all__ = ["finetune"]


def finetune(
    vectors: str | os.PathLike[str] | EmbeddingTable,
    dataset: DataSource,
    *,
    text: str | Sequence[str] = "text",
    label: str = "label",
    head: Head = "bag",
    embedding: str | nn.Module | None = None,
    strategy: Strategy | str | None = None,
    epochs: int = 15,
    lr: float = 5e-3,
    batch_size: int = 64,
    weight_decay: float = 0.0,
    schedule: str = "constant",
    warmup: float = 0.0,
    patience: int | None = None,
    loss_fn: LossFunction = functional.cross_entropy,
    validation: float = 0.1,
    tokenizer: Tokenizer | str | None = None,
    min_count: int = 1,
    max_length: int | None = None,
    oov: StartValue = "normal",
    seed: int = 0,
    device: str | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Run:
    """Tune word vectors on a text classification task.

    The vocabulary is made from the training split. Validation and test look words up in every row
    of the table, as `Run.predict` does. The weights of the epoch with the best validation accuracy
    are the ones that are measured, returned and exported.

    Args:
        vectors: a vector file of any format that `load_vectors` reads, or a table.
        dataset: a `Dataset`, a `DatasetDict`, a local file or folder, or a Hub name; see
            `open_splits`.
        text: the column of texts or lists of words, or several to be joined.
        label: the column of classes: strings, whole numbers or a `ClassLabel`.
        head: `bag`, `bag(hidden=100)`, `cnn` and the like; a module with an embedding of its own,
            `model(ids, lengths) -> logits`, whose rows are replaced; or a function of the
            embedding and the number of classes that returns a module.
        embedding: which embedding of a module is the table, if it holds several.
        strategy: which part trains when, how fast and how far; `FullTune()` when left out.
        epochs: the most passes over the training split.
        lr: the learning rate of `RowAdamW`, times the strategy's rates.
        batch_size: texts in a batch.
        weight_decay: decoupled decay of all but the table.
        schedule: `constant`, `linear` or `cosine`.
        warmup: the share of the run in which the rate rises from 0.
        patience: stop after so many epochs without a better validation accuracy.
        loss_fn: of logits `(B, C)` and class numbers `(B,)`.
        validation: the share of the training split set aside where there is no validation split.
        tokenizer: `glove`, `cased`, `whitespace` or a `Tokenizer`; the one that fits the vectors
            when left out.
        min_count: rarer words of the training split are left to `<unk>`.
        max_length: only so many words of a text count.
        oov: the start value of words that the vectors lack.
        seed: of the split, the start values, the head, the batch order and dropout.
        device: where to train; a GPU if there is one when left out.
        output_dir: the folder to write the run to, and its checkpoints while it goes on.
        resume: go on from the last checkpoint in `output_dir`, if there is one; a finished run is
            returned as it is.
        overwrite: replace a run in `output_dir`.
        progress: show a progress bar on the terminal.

    Returns:
        The run: `table`, `model`, `metrics`, `history`, `drift`, `predict(texts)`.

    Raises:
        FinetuneEmbedError: the vectors, the data set, a setting or the folder can't be used, or
            the strategy was to tune the table and not one row moved. See `errors`.
    """
    strategy = Strategy.parse(strategy) if isinstance(strategy, str) else strategy or FullTune()
    _check_numbers(epochs=epochs, batch_size=batch_size, min_count=min_count)
    _check_numbers(least=0, lr=lr, weight_decay=weight_decay)
    folder = None if output_dir is None else Path(output_dir)
    if folder is None and resume:
        raise DataError("resume=True needs the folder of the run: output_dir='...'")
    if folder is not None and _is_finished(folder, resume, overwrite):
        return load(folder, None if isinstance(head, str) else head)
    base, source = _open_vectors(vectors)
    splits = open_splits(dataset, validation, seed)
    labels = labels_of(splits, label)
    if isinstance(tokenizer, str):
        tokenizer = Tokenizer.named(tokenizer)
    tokenizer = tokenizer or Tokenizer.for_table(base)
    own_head = not isinstance(head, str)
    settings: dict[str, Any] = {
        "vectors": os.fspath(vectors) if not isinstance(vectors, EmbeddingTable) else "a table",
        **source,
        "data": splits.name,
        "text": text if isinstance(text, str) else list(text),
        "label": label,
        "head": _name_of(head) if own_head else head,
        "own_head": own_head,
        "strategy": str(strategy),
        "epochs": epochs,
        "lr": lr,
        "batch_size": batch_size,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "warmup": warmup,
        "patience": patience,
        "loss_fn": _name_of(loss_fn),
        "validation": validation,
        "tokenizer": tokenizer.name,
        "min_count": min_count,
        "max_length": max_length,
        "oov": oov if isinstance(oov, str) else _name_of(oov),
        "seed": seed,
        "device": device or ("cuda" if torch.cuda.is_available() else "cpu"),
    }
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return Tuning(
                base, splits, labels, tokenizer, strategy, head, embedding, oov, loss_fn, settings
            ).run(folder, resume, progress)
    finally:
        torch.set_num_threads(threads)


def _open_vectors(
    vectors: str | os.PathLike[str] | EmbeddingTable,
) -> tuple[EmbeddingTable, dict[str, str]]:
    """Return the table and what identifies the file it came from."""
    names = ("source", "source_sha256", "source_format")
    if isinstance(vectors, EmbeddingTable):
        return vectors, {n: vectors.metadata[n] for n in names if n in vectors.metadata}
    base = load_vectors(vectors)
    source = {name: base.metadata.get(name, "") for name in names}
    if source["source"] != Path(vectors).name or "strategy" in base.metadata:
        # a safetensors file tells of the file it was made from; the source here is it itself
        source = dict(
            zip(names, (Path(vectors).name, sha256_of(vectors), "safetensors"), strict=True)
        )
    return base, source


def _is_finished(folder: Path, resume: bool, overwrite: bool) -> bool:
    """Tell whether a folder holds a finished run to return; clear it, or refuse, as asked.

    Raises:
        DataError: the folder holds a run, and the caller has not said what to do with it.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"output_dir={folder} is a file; name a folder")
    finished = (folder / METRICS).is_file()
    unfinished = latest_checkpoint(folder) if folder.is_dir() else None
    if overwrite and not resume:
        remove_checkpoints(folder)
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        return False
    if resume:
        if finished and unfinished is None:
            remove_checkpoints(folder)  # what a process killed at the very end has left of one
        return finished and unfinished is None
    if finished or unfinished:
        state = f"an unfinished run ({unfinished.name})" if unfinished else "a finished run"
        raise DataError(
            f"{folder} holds {state}; choose another output_dir, or start over with "
            "overwrite=True" + (", or go on with resume=True" if unfinished else "")
        )
    return False


def _check_numbers(*, least: float = 1, **numbers: float) -> None:
    for name, value in numbers.items():
        if not value >= least:
            raise StrategyError(f"{name}={value!r} must be {least:g} or more")


def _name_of(thing: Any) -> str:
    return getattr(thing, "__name__", None) or type(thing).__name__
