"""The inputs of a run: the table of a vector file, and the splits of a data set."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data import (
    DataSource,
    Splits,
    hold_out,
    ignored_labels,
    open_examples,
    pairs_of,
    texts_of,
    with_labelled_test,
    with_repeats_noted,
)
from ..errors import DataError, Option
from ..files import STDIN, only_file, sha256_of
from ..formats import fetched, read_vectors
from ..formats.common.run_folder import file_in_run
from ..formats.common.shards import shards_of
from ..heads import takes_pairs
from ..table import EmbeddingTable
from .settings import Settings
from .tasks import Regression, task_of

__all__ = [
    "OF_THE_FILE",
    "SOURCE",
    "open_data",
    "open_vectors",
    "source_name",
    "with_test",
    "with_validation",
]

#: Settings about how the vector file is read.
OF_THE_FILE = ("member", "limit", "vector_size")

#: Formats that carry a table's metadata.
_KEEP_METADATA = ("safetensors", "safetensors-shards", "arrow", "parquet")
SOURCE = ("source", "source_sha256", "source_format")


def open_vectors(
    vectors: str | os.PathLike[str] | EmbeddingTable, settings: Settings
) -> tuple[EmbeddingTable, dict[str, str]]:
    """Return the table, and what identifies the file it is from."""
    member = settings.member
    if isinstance(vectors, EmbeddingTable):
        for name in OF_THE_FILE:
            value = getattr(settings, name)
            if value is not None:
                about = "names a file of an archive" if name == "member" else "is about a file"
                raise DataError(
                    f"{about}, but vectors is a table",
                    option=name,
                    value=value,
                    remedy=("leave ", Option(name), " out"),
                )
        return vectors, {n: vectors.metadata[n] for n in SOURCE if n in vectors.metadata}
    place = fetched(vectors)
    file = file_in_run(place)
    base, kind, _ = read_vectors(
        file, limit=settings.limit, vector_size=settings.vector_size, member=member
    )
    if "vectors" in base.__dict__:
        base.vectors.flags.writeable = False  # so that the tuned table shares what did not move
    source = {name: base.metadata.get(name, "") for name in SOURCE}
    if kind in _KEEP_METADATA:
        # a file of ours names the file it was made from; the source of this run is it itself
        name, sha256 = "<stdin>" if file == STDIN else source_name(file), ""
        if isinstance(file, (str, os.PathLike)) and file != STDIN:
            held = (only_file(Path(file)) if os.path.isdir(file) else None) or Path(file)
            files = shards_of(held) if kind == "safetensors-shards" else [held]
            name, sha256 = held.name + (f"#{member}" if member else ""), sha256_of(*files)
        if sha256 != source["source_sha256"]:
            source = dict(zip(SOURCE, (name, sha256, kind), strict=True))
    if place is not vectors and kind in (*_KEEP_METADATA, "static"):
        # the folder of the cache is named after a commit
        inside = source["source"].removeprefix(Path(str(place)).name).lstrip("/")
        source["source"] = f"{vectors}/{inside}".rstrip("/")
    return base, source


def source_name(source: Any) -> str:
    """Return the absolute path of a file or folder, a Hub name, or the kind of any other object.

    Paths are absolute so that a run's `config.yaml` means the same in every folder.
    """
    if isinstance(source, (str, os.PathLike)):
        is_here = source != STDIN and os.path.exists(source)
        return os.path.abspath(source) if is_here else os.fspath(source)
    kind = type(source).__name__
    return f"{'an' if kind[0] in 'AEIO' else 'a'} {kind}"


def open_data(dataset: DataSource, settings: Settings) -> tuple[Splits, bool]:
    """Open a data set and check its columns.

    Returns:
        The splits, and whether labels are numbers.
    """
    splits = open_examples(
        dataset,
        settings.text,
        settings.label,
        streaming=settings.streaming,
        delimiter=settings.delimiter,
        encoding=settings.encoding,
        sheet=settings.sheet,
        missing=settings.missing,
    )
    numbers = False
    if not splits.streamed:  # checked before holding out changes the numbers of examples
        read = pairs_of if takes_pairs(settings.head) else texts_of
        read(splits.train, settings.text, f"{splits.name} (train)")
        also = settings.ignore_label
        task = task_of(settings.task, splits, settings.text, settings.label, ignore_label=also)
        numbers = isinstance(task, Regression)
    return splits, numbers


def with_test(opened: Splits, numbers: bool, settings: Settings, share: float | None) -> Splits:
    """Hold out test examples, unless there is such a split with labels.

    Args:
        opened: the splits.
        numbers: whether labels are numbers.
        settings: the settings.
        share: the share of the training examples; None to hold out none.
    """
    if share is None:
        return opened
    ignored = ignored_labels(settings.ignore_label)
    splits = with_labelled_test(opened, settings.label, share, settings.seed, ignored, numbers)
    if splits.test is opened.test and settings.test is not None:
        note = f"test={share} is not used, because there is a test split"
        splits = replace(splits, notes=(*splits.notes, note))
    return splits


def with_validation(
    opened: Splits, splits: Splits, numbers: bool, settings: Settings, seed: int
) -> Splits:
    """Hold out validation examples, unless there is such a split.

    Args:
        opened: the splits as opened.
        splits: the same with a test split.
        numbers: whether labels are numbers.
        settings: the settings.
        seed: decides which examples.
    """
    share = settings.validation
    splits = hold_out(splits, settings.label, share, seed, numbers=numbers)
    return with_repeats_noted(splits, opened, settings.text)
