"""`finetune`: vectors and a data set in, a tuned table out, in one call."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

import torch

from ..data import DataSource, Splits
from ..files import locked
from ..formats.common.run_folder import RUN_TABLE, file_in_run
from ..table import EmbeddingTable, sha256_of_table
from ..vocabulary import AnyTokenizer, Tokenizer, Vocabulary
from .build_model import float32_by_default
from .choose import choose
from .given_objects import Objects, objects_of
from .keywords import Keywords, settings_from
from .open_inputs import SOURCE, open_data, open_vectors, source_name, with_test, with_validation
from .prepare import prepare
from .resolve import resolve
from .run.file_names import MARK, RECORD
from .run.folder import check_folder, tidy_folder
from .run.load import load
from .run.record import check_same
from .run.run import Run
from .runtime.interrupts import says_how_to_continue
from .runtime.processes import Processes, check_device
from .runtime.threads import ONE_AT_A_TIME, worthwhile_threads
from .settings import Settings
from .signatures import document
from .tuning import Tuning

__all__ = ["finetune", "tune_on"]

_OF_VECTORS = {*SOURCE, "start_sha256"}  # what a run records of the rows that it starts from


@document()
def finetune(
    vectors: str | os.PathLike[str] | EmbeddingTable | Run,
    dataset: DataSource,
    **settings: Unpack[Keywords],
) -> Run:
    """Tune word vectors on a task: one label per text, several, one tag per word, or a number.

    The vocabulary is made from the training split. Validation and test look words up in every row
    of the table, as `Run.predict` does. The weights of the epoch with the best validation score are
    evaluated, returned and exported. Under `accelerate launch` or `torchrun`, several processes
    share every batch, and the main one writes. Calls from several threads train one after the
    other, since they share torch's random numbers.

    Args:
        vectors: a vector file of any format that `load_vectors` reads, the folder of a run, a run,
            or a table.
        dataset: a `Dataset`, a `DatasetDict`, a local file or folder, or the name of a data set on
            the Hugging Face Hub; see `open_splits`.
        {settings}

    Returns:
        The run: `table`, `model`, `metrics`, `history`, `drift`, `predict(texts)`.

    Raises:
        FinetuneEmbedError: the vectors, the data set, a setting or the folder cannot be used, or
            the strategy tunes the table and no row moved. See `errors`.

    Example:
        >>> run = fe.finetune("glove.6B.50d.txt", "reviews", epochs=1, output_dir="first")
        >>> run.metrics["test"]["accuracy"] > 0.8
        True
        >>> run.predict(["works like a charm"])
        ['positive']
    """
    if isinstance(vectors, Run):
        vectors = vectors.table
    given = resolve(settings_from("finetune", settings))
    processes = Processes(given.device)
    check_device(processes.device)
    named = {
        MARK: version("finetune_embed"),
        "vectors": source_name(vectors),
        "data": source_name(dataset),
    }
    with contextlib.ExitStack() as held:
        objects = ({}, []) if given.output_dir is None else objects_of(given)
        finished = _finished_run(given, objects[0], processes, held)
        splits = _open_splits(dataset, given)
        base, source = open_vectors(vectors, given)
        if given.output_dir is not None and vectors is base:  # there is no file with a hash
            source["table_sha256"] = sha256_of_table(base)
        return _tuned(base, source, splits, given, named, objects, finished, processes)


def tune_on(
    base: EmbeddingTable,
    source: Mapping[str, str],
    splits: Splits,
    given: Settings,
    named: Mapping[str, Any],
) -> Run:
    """Make a run on inputs that are open, for several runs on the same; see `finetune`.

    Args:
        base: the table.
        source: what identifies it, as `open_vectors` returns it.
        splits: the data set, with a validation split.
        given: the resolved settings, without `output_dir`.
        named: `vectors` and `data`, their names.
    """
    named = {MARK: version("finetune_embed"), **named}
    processes = Processes(given.device)
    return _tuned(base, source, splits, given, named, ({}, []), None, processes)


def _tuned(
    base: EmbeddingTable,
    source: Mapping[str, str],
    splits: Splits,
    given: Settings,
    named: dict[str, Any],
    objects: Objects,
    finished: Run | None,
    processes: Processes,
) -> Run:
    """Return the finished run if it is this one; otherwise make it."""
    data = prepare(splits, base, given, _tokenizer(given, base))
    chosen = choose(given, data.task, data.train)
    config = {**named, **chosen.plain()}
    with ONE_AT_A_TIME, torch.random.fork_rng(), float32_by_default():
        torch.manual_seed(given.seed)
        tuning = Tuning(base, source, data, chosen, config, objects, processes)
        if finished is not None:
            before = {**finished.config, MARK: config[MARK]}
            now = tuning.identity
            if _replaced_its_vectors(given, before, now):
                now = {name: now[name] for name in now.keys() - _OF_VECTORS}
            return _unchanged(given, finished, before, now, processes)
        with (
            worthwhile_threads(tuning.head_work()),
            says_how_to_continue(lambda: tuning.is_kept, given.overwrite),
        ):
            return tuning.run()


def _open_splits(dataset: DataSource, settings: Settings) -> Splits:
    """Open a data set, check its columns, and hold out the splits it lacks, the test first."""
    opened, numbers = open_data(dataset, settings)
    splits = with_test(opened, numbers, settings, settings.test)
    return with_validation(opened, splits, numbers, settings, settings.seed)


def _tokenizer(settings: Settings, base: EmbeddingTable) -> AnyTokenizer:
    """Return the tokenizer of a run, which does not split special tokens."""
    if settings.vocab is not None:
        tokenizer = settings.vocab.tokenizer
    elif isinstance(settings.tokenizer, AnyTokenizer):
        tokenizer = settings.tokenizer
    else:
        tokenizer = Tokenizer.for_table(base)
    return Vocabulary({}, tokenizer, settings.specials).tokenizer


def _finished_run(
    settings: Settings, objects: dict[str, str], processes: Processes, held: contextlib.ExitStack
) -> Run | None:
    """Return the finished run in the output folder, if `resume` asks for it.

    Args:
        settings: the settings.
        objects: the fingerprints of the objects among them.
        processes: the processes; the main one locks the folder.
        held: ends the lock when it is closed.

    Raises:
        DataError: the folder holds a run, and the settings do not say what to do with it; or
            another process is writing to it.
    """
    if settings.output_dir is None:
        return None
    folder, head = Path(settings.output_dir), settings.head
    resume, overwrite = settings.resume, settings.overwrite

    def opened() -> str:
        held.enter_context(locked(folder))
        return check_folder(folder, resume, overwrite)

    state = processes.from_main(opened)
    if state != "finished" or not resume:
        return None
    _check_objects(objects, folder)  # before a head is built that does not fit
    with ONE_AT_A_TIME, torch.random.fork_rng():
        return load(folder, None if isinstance(head, str) else head)


def _check_objects(objects: dict[str, str], folder: Path) -> None:
    """Check that a finished run was made with the objects among the settings.

    Raises:
        DataError: one is another.
    """
    try:
        record = dict(json.loads((folder / RECORD).read_bytes()))
    except (OSError, ValueError, TypeError):
        return  # `load` says what is wrong with it
    check_same(folder, {name: record.get(name) for name in objects}, objects)


def _replaced_its_vectors(
    settings: Settings, before: Mapping[str, Any], now: Mapping[str, Any]
) -> bool:
    """Return whether a finished run and this one tune the file that the tuned table has replaced.

    The vectors are gone then, and only the rest of the inputs can be compared.
    """
    assert settings.output_dir is not None
    table = (Path(settings.output_dir) / RUN_TABLE).resolve()
    given = (file_in_run(one["vectors"]) for one in (before, now))
    return all(isinstance(one, (str, Path)) and Path(one).resolve() == table for one in given)


def _unchanged(
    settings: Settings,
    finished: Run,
    before: dict[str, Any],
    now: dict[str, Any],
    processes: Processes,
) -> Run:
    """Return a finished run, if it was made with the settings and inputs of this one."""
    assert settings.output_dir is not None
    folder = Path(settings.output_dir)
    check_same(folder, before, now)
    processes.wait()
    if processes.is_main:
        tidy_folder(folder)  # what a process left that was killed at the very end
    return finished
