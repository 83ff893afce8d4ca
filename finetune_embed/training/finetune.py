"""`finetune`: vectors and a data set in, a tuned table out, in one call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data import DataSource, hold_out, open_splits, texts_of
from ..errors import DataError, StrategyError
from ..files import STDIN, sha256_of
from ..formats.load import read_vectors
from ..strategies import FullTune, Strategy
from ..table import EmbeddingTable, sha256_of_table
from ..vocabulary import Special, StartValue, Tokenizer, Vocabulary, specials_of, steps_of
from .build_model import Head
from .prepare import prepare
from .run.file_names import MARK, TABLE
from .run.folder import check_folder, tidy_folder
from .run.run import Run, load
from .runtime.precision import chosen_precision
from .runtime.processes import Processes
from .settings import check_settings, plain_settings, same_settings
from .tasks import LossFunction, task_of
from .tuning import Tuning

__all__ = ["finetune", "open_vectors", "spelled"]

_KEEP_METADATA = ("safetensors", "arrow", "parquet")  # formats that carry a table's metadata


def finetune(
    vectors: str | os.PathLike[str] | EmbeddingTable,
    dataset: DataSource,
    *,
    text: str | Sequence[str] = "text",
    label: str = "label",
    task: str | None = None,
    streaming: bool = False,
    head: Head = "bag",
    embedding: str | nn.Module | None = None,
    strategy: Strategy | str | None = None,
    epochs: int = 15,
    lr: float = 5e-3,
    max_steps: int | None = None,
    batch_size: int = 64,
    batch_tokens: int | None = None,
    gradient_accumulation_steps: int = 1,
    weight_decay: float = 0.0,
    max_grad_norm: float | None = None,
    max_row_grad_norm: float | None = None,
    word_dropout: float = 0.0,
    schedule: str = "constant",
    warmup: float | None = None,
    patience: int | None = None,
    loss_fn: LossFunction | None = None,
    validation: float = 0.1,
    member: str | None = None,
    tokenizer: Tokenizer | str | None = None,
    vocab: Vocabulary | None = None,
    min_count: int = 1,
    max_length: int | None = None,
    oov: StartValue = "normal",
    fallback: Sequence[str] = (),
    specials: Sequence[Special | str] = (),
    seed: int = 0,
    device: str | None = None,
    mixed_precision: str | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    checkpoint_steps: int | None = None,
    checkpoint_minutes: float | None = None,
    keep_checkpoints: int = 1,
    trackers: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Run:
    """Tune word vectors on a task: one label for a text, several, or a tag for each word.

    The vocabulary is made from the training split. Validation and test look words up in every row
    of the table, as `Run.predict` does. The weights of the epoch with the best validation score
    are the ones that are measured, returned and exported. Started by `accelerate launch` or
    `torchrun`, several processes share every batch; the main one writes.

    Args:
        vectors: a vector file of any format that `load_vectors` reads, or a table.
        dataset: a `Dataset`, a `DatasetDict`, a local file or folder, or a Hub name; see
            `open_splits`. A training split that is streamed (`IterableDataset`) is never held
            whole: it is read once for its words, and then once an epoch, shuffled by blocks.
        text: the column of texts or lists of words, or several to be joined.
        label: the column of labels: strings, whole numbers or a `ClassLabel`; or lists of them.
        task: `single_label`, `multi_label` or `tagging`. When left out, what the columns look
            like: lists of labels are `multi_label`, one for each word of a list of words `tagging`.
        streaming: whether to stream a file, folder or data set of the Hub.
        head: `bag`, `bag(hidden=100)`, `cnn` and the like, `bilstm` to tag words; a module with an
            embedding of its own, `model(ids, lengths) -> logits`, of which a copy is trained, its
            rows replaced; or a function of the embedding and the number of classes that returns a
            module. Lengths are 1 or more; what a module starts from is its own, not the seed's.
        embedding: which embedding of a module is the table, if it holds several.
        strategy: which part trains when, how fast and how far; `FullTune()` when left out.
        epochs: the most passes over the training split.
        lr: the learning rate of `RowAdamW`, times the strategy's rates.
        max_steps: the most steps of the optimizer.
        batch_size: texts in a batch, over all processes.
        batch_tokens: words in a batch, with padding, in the place of `batch_size`; texts of like
            length then go together.
        gradient_accumulation_steps: batches whose gradients are added up for a step.
        weight_decay: decoupled decay of all but the table.
        max_grad_norm: the largest norm of the whole gradient of a step; see `RowAdamW`.
        max_row_grad_norm: the largest norm of the gradient of a row of the table.
        word_dropout: the probability that a word of a training text is left out (Iyyer et al.
            2015); where words have positions, `<unk>` takes its place.
        schedule: `constant`, `linear`, `cosine`, `slanted_triangular` or `one_cycle`.
        warmup: the share of the run in which the rate rises; the schedule's own when left out.
        patience: stop after so many epochs without a better validation score, counted from when
            the table first opened.
        loss_fn: of logits `(units, C)` and targets of as many units, the mean over the units,
            which are texts or tagged words; the task's own when left out.
        validation: the share of the training split set aside where there is no validation split.
        member: the vector file to read of an archive that holds several.
        tokenizer: `glove`, `cased`, `whitespace` or a `Tokenizer`; the one that fits the vectors
            when left out.
        vocab: the vocabulary, in the place of one made from the training split; its tokenizer is
            the one that is used, and `specials` tells how its special tokens start and train.
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
        mixed_precision: `no`, `bf16` or `fp16` for the forward pass; when left out, what
            `accelerate launch` was told.
        output_dir: the folder to write the run to, and its checkpoints while it goes on: one after
            each epoch that ends 10 seconds or more after the last, and one when Ctrl-C or SIGTERM
            ends it.
        checkpoint_steps: write one after every so many steps, too.
        checkpoint_minutes: write one after every so many minutes, too.
        keep_checkpoints: how many of the newest stay.
        trackers: report to `tensorboard` and whatever else Accelerate knows and is installed.
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
    if not isinstance(strategy, Strategy):
        raise StrategyError(f"strategy={strategy!r} is none; give one, such as fe.FullTune()")
    if isinstance(tokenizer, str):
        tokenizer = Tokenizer.named(tokenizer)
    if vocab is not None:
        vocab = _with_specials(vocab, tokenizer, min_count, specials)
    own_head = not isinstance(head, str)
    if embedding is not None and not isinstance(head, nn.Module):
        raise DataError(
            f"embedding={embedding!r} says which embedding of a module is the table, but head is "
            f"{head if isinstance(head, str) else _name_of(head)!r}; leave it out"
        )
    processes = Processes(device)
    settings: dict[str, Any] = {
        MARK: version("finetune_embed"),
        "vectors": spelled(vectors),
        "member": member,
        "data": spelled(dataset),
        "text": text if isinstance(text, str) else list(text),
        "label": label,
        "task": task,
        "streaming": streaming,
        "head": _name_of(head) if own_head else head,
        "own_head": own_head,
        "strategy": str(strategy),
        "epochs": epochs,
        "lr": lr,
        "max_steps": max_steps,
        "batch_size": batch_size,
        "batch_tokens": batch_tokens,
        "gradient_accumulation_steps": gradient_accumulation_steps,
        "weight_decay": weight_decay,
        "max_grad_norm": max_grad_norm,
        "max_row_grad_norm": max_row_grad_norm,
        "word_dropout": word_dropout,
        "schedule": schedule,
        "warmup": warmup,
        "patience": patience,
        "loss_fn": None if loss_fn is None else _name_of(loss_fn),
        "validation": validation,
        "min_count": min_count,
        "max_length": max_length,
        "oov": oov if isinstance(oov, str) else _name_of(oov),
        "fallback": list(steps_of(fallback)),
        "specials": [_spelled_special(special) for special in specials_of(specials)],
        "seed": seed,
        "device": torch.device(processes.device).type if processes.count > 1 else processes.device,
        "mixed_precision": chosen_precision(mixed_precision),
        "checkpoint_steps": checkpoint_steps,
        "checkpoint_minutes": checkpoint_minutes,
        "keep_checkpoints": keep_checkpoints,
        "trackers": [trackers] if isinstance(trackers, str) else list(trackers),
        "processes": processes.count,
    }
    settings = plain_settings(settings)
    check_settings(settings)
    folder = None if output_dir is None else Path(output_dir)
    if folder is None and resume:
        raise DataError("resume=True needs the folder of the run: output_dir='...'")
    state = None
    if folder is not None:
        state = processes.from_main(lambda: check_folder(folder, resume, overwrite))
    if tokenizer is not None:
        settings["tokenizer"] = tokenizer.name
    done = None
    if folder is not None and state == "finished" and resume:
        with torch.random.fork_rng():
            done = load(folder, head if own_head else None)
        if _is_table_of(folder, vectors) and _is_table_of(folder, done.config["vectors"]):
            # what it was tuned from is gone: the tuned table lies in its place
            return _finished(folder, done, settings, processes)
    splits = open_splits(dataset, streaming)
    if not splits.streamed:
        texts_of(splits.train, text, f"{splits.name} (train)")  # before rows change their numbers
        task_of(task, splits, text, label)
    splits = hold_out(splits, label, validation, seed)
    base, source = open_vectors(vectors, member)
    tokenizer = vocab.tokenizer if vocab is not None else tokenizer or Tokenizer.for_table(base)
    settings |= {**source, "tokenizer": tokenizer.name}
    if folder is not None and vectors is base:  # no file of which there is a hash
        settings["table_sha256"] = sha256_of_table(base)

    whole = Vocabulary({}, tokenizer, specials).tokenizer  # leaves the special tokens whole

    def from_counts(counts: Mapping[str, int]) -> Vocabulary:
        return Vocabulary.from_counts(counts, whole, min_count, specials)

    made = from_counts if vocab is None else vocab
    data = prepare(splits, base, settings, loss_fn, made, whole)
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            tuning = Tuning(base, data, strategy, head, embedding, oov, settings, processes)
            if folder is not None and done is not None:
                return _finished(folder, done, tuning.settings, processes)
            return tuning.run(folder, resume, progress)
    finally:
        torch.set_num_threads(threads)


def _finished(folder: Path, done: Run, settings: dict[str, Any], processes: Processes) -> Run:
    """Return a run that is done already, if it was made with the settings asked for now."""
    settings = {**settings, "task": settings["task"] or done.config["task"]}
    same_settings(folder, {**done.config, MARK: settings[MARK]}, settings)
    processes.wait()
    if processes.is_main:
        tidy_folder(folder)  # of what a process killed at the very end has left
    return done


def _is_table_of(folder: Path, vectors: Any) -> bool:
    """Tell whether vectors are the file of a run's own table, which it replaces when it ends."""
    return isinstance(vectors, (str, os.PathLike)) and (
        Path(vectors).resolve() == (folder / TABLE).resolve()
    )


def _with_specials(
    vocab: Vocabulary,
    tokenizer: Tokenizer | None,
    min_count: int,
    specials: Sequence[Special | str],
) -> Vocabulary:
    """Return a given vocabulary with special tokens that start and train as told.

    Raises:
        DataError: what a vocabulary is made by is given beside it.
    """
    others = [f"min_count={min_count}"] if min_count != 1 else []
    if tokenizer is not None and tokenizer.name != vocab.tokenizer.name:
        others.append(f"tokenizer={tokenizer.name!r}")
    if others:
        raise DataError(
            f"vocab= and {' and '.join(others)} are given, but a vocabulary was made by its own; "
            "leave out one of the two"
        )
    return vocab.with_specials(specials) if specials else vocab


def open_vectors(
    vectors: str | os.PathLike[str] | EmbeddingTable, member: str | None
) -> tuple[EmbeddingTable, dict[str, str]]:
    """Return the table and what identifies the file it came from."""
    names = ("source", "source_sha256", "source_format")
    if isinstance(vectors, EmbeddingTable):
        if member is not None:
            raise DataError(f"member={member!r} is of an archive, but vectors is a table")
        return vectors, {n: vectors.metadata[n] for n in names if n in vectors.metadata}
    base, kind, _ = read_vectors(vectors, member=member)
    if "vectors" in base.__dict__:
        base.vectors.flags.writeable = False  # so that the tuned table shares what did not move
    source = {name: base.metadata.get(name, "") for name in names}
    if kind in _KEEP_METADATA:
        # a file of ours tells of the file it was made from; the source here is it itself
        name, sha256 = "<stdin>" if vectors == STDIN else spelled(vectors), ""
        if isinstance(vectors, (str, os.PathLike)) and vectors != STDIN:
            name, sha256 = Path(vectors).name + (f"#{member}" if member else ""), sha256_of(vectors)
        if sha256 != source["source_sha256"]:
            source = dict(zip(names, (name, sha256, kind), strict=True))
    return base, source


def spelled(source: Any) -> str:
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
