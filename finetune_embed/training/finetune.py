"""`finetune`: vectors and a data set in, a tuned table out, in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ..data import labels_of, texts_of
from ..errors import DataError
from ..fallback import steps_of
from ..files import sha256_of
from ..formats import read_vectors
from ..lookup import Special, StartValue
from ..source import STDIN
from ..splits import DataSource, hold_out, open_splits
from ..strategies import FullTune, Strategy
from ..table import EmbeddingTable
from ..tokenizer import Tokenizer
from ..vocabulary import specials_of
from .checkpoint import remove_checkpoints
from .folder import MARK, check_folder
from .head import Head
from .run import Run, load
from .settings import check_settings, same_settings
from .tuning import LossFunction, Tuning

__all__ = ["finetune"]

_KEEP_METADATA = ("safetensors", "arrow", "parquet")  # formats that carry a table's metadata


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
    member: str | None = None,
    tokenizer: Tokenizer | str | None = None,
    min_count: int = 1,
    max_length: int | None = None,
    oov: StartValue = "normal",
    fallback: Sequence[str] = (),
    specials: Sequence[Special | str] = (),
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
            `model(ids, lengths) -> logits`, of which a copy is trained, its rows replaced; or a
            function of the embedding and the number of classes that returns a module. Lengths are
            1 or more; what a module starts from is its own, not the seed's.
        embedding: which embedding of a module is the table, if it holds several.
        strategy: which part trains when, how fast and how far; `FullTune()` when left out.
        epochs: the most passes over the training split.
        lr: the learning rate of `RowAdamW`, times the strategy's rates.
        batch_size: texts in a batch.
        weight_decay: decoupled decay of all but the table.
        schedule: `constant`, `linear` or `cosine`.
        warmup: the share of the run in which the rate rises from 0.
        patience: stop after so many epochs without a better validation accuracy, counted from
            when the table first opened.
        loss_fn: of logits `(B, C)` and class numbers `(B,)`.
        validation: the share of the training split set aside where there is no validation split.
        member: the vector file to read of an archive that holds several.
        tokenizer: `glove`, `cased`, `whitespace` or a `Tokenizer`; the one that fits the vectors
            when left out.
        min_count: rarer words of the training split are left to `<unk>`.
        max_length: only so many words of a text count.
        oov: the start value of words that the vectors lack: `normal`, `mean`, `zeros`, `subwords`
            or a function of the word.
        fallback: under which other forms to look up words that the vectors lack, such as
            `("lower", "digits_zero")`; the steps are those of `finetune_embed.fallback`. Words that
            training never saw are looked up in the same way, but for the step `subwords`.
        specials: tokens that stay whole in texts, as for `Vocabulary.from_dataset`.
        seed: of the split, the start values, the head, the batch order and dropout.
        device: where to train; a GPU if there is one when left out.
        output_dir: the folder to write the run to, and its checkpoints while it goes on.
        resume: go on from the last checkpoint in `output_dir`, if there is one; a run finished
            with the same settings is returned as it is.
        overwrite: replace a run in `output_dir`. The former one's files stay until new ones take
            their places.
        progress: show a progress bar on the terminal.

    Returns:
        The run: `table`, `model`, `metrics`, `history`, `drift`, `predict(texts)`.

    Raises:
        FinetuneEmbedError: the vectors, the data set, a setting or the folder can't be used, or
            the strategy was to tune the table and not one row moved. See `errors`.
    """
    strategy = Strategy.parse(strategy) if isinstance(strategy, str) else strategy or FullTune()
    if isinstance(tokenizer, str):
        tokenizer = Tokenizer.named(tokenizer)
    own_head = not isinstance(head, str)
    settings: dict[str, Any] = {
        MARK: version("finetune_embed"),
        "vectors": _spelled(vectors),
        "member": member,
        "data": _spelled(dataset),
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
        "min_count": min_count,
        "max_length": max_length,
        "oov": oov if isinstance(oov, str) else _name_of(oov),
        "fallback": list(steps_of(fallback)),
        "specials": [_spelled_special(special) for special in specials_of(specials)],
        "seed": seed,
        "device": device or ("cuda" if torch.cuda.is_available() else "cpu"),
    }
    check_settings(settings)
    folder = None if output_dir is None else Path(output_dir)
    if folder is None and resume:
        raise DataError("resume=True needs the folder of the run: output_dir='...'")
    if folder is not None and check_folder(folder, resume, overwrite) == "finished" and resume:
        finished = load(folder, head if own_head else None)
        same_settings(folder, {**finished.config, MARK: settings[MARK]}, settings)
        remove_checkpoints(folder)  # what a process killed at the very end has left of one
        return finished
    splits = open_splits(dataset)
    texts_of(splits.train, text, f"{splits.name} (train)")  # before rows change their numbers
    labels = labels_of(splits, label)
    splits = hold_out(splits, label, validation, seed)
    base, source = _open_vectors(vectors, member)
    tokenizer = tokenizer or Tokenizer.for_table(base)
    settings |= {**source, "tokenizer": tokenizer.name}
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return Tuning(
                base,
                splits,
                labels,
                tokenizer,
                strategy,
                head,
                embedding,
                oov,
                specials,
                loss_fn,
                settings,
            ).run(folder, resume, progress)
    finally:
        torch.set_num_threads(threads)


def _open_vectors(
    vectors: str | os.PathLike[str] | EmbeddingTable, member: str | None
) -> tuple[EmbeddingTable, dict[str, str]]:
    """Return the table and what identifies the file it came from."""
    names = ("source", "source_sha256", "source_format")
    if isinstance(vectors, EmbeddingTable):
        return vectors, {n: vectors.metadata[n] for n in names if n in vectors.metadata}
    base, kind, _ = read_vectors(vectors, member=member)
    source = {name: base.metadata.get(name, "") for name in names}
    if kind in _KEEP_METADATA:
        # a file of ours tells of the file it was made from; the source here is it itself
        name, sha256 = "<stdin>" if vectors == STDIN else _spelled(vectors), ""
        if isinstance(vectors, (str, os.PathLike)) and vectors != STDIN:
            name, sha256 = Path(vectors).name + (f"#{member}" if member else ""), sha256_of(vectors)
        if sha256 != source["source_sha256"]:
            source = dict(zip(names, (name, sha256, kind), strict=True))
    return base, source


def _spelled(source: Any) -> str:
    """Return a path or a Hub name as it is, and of an object only its kind."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    kind = type(source).__name__
    return f"{'an' if kind[0] in 'AEIO' else 'a'} {kind}"


def _spelled_special(special: Special) -> dict[str, Any]:
    """Return a special token as plain values; of a start vector or function, only its kind."""
    plain = special.start is None or isinstance(special.start, str)
    start = special.start if plain else _name_of(special.start)
    return {"token": special.token, "start": start, "trainable": special.trainable}


def _name_of(thing: Any) -> str:
    return getattr(thing, "__name__", None) or type(thing).__name__
