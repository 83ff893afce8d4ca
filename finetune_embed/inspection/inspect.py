"""The doctor: what a vector file is, what is odd about it, what it covers of a data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data import DataSource, open_splits
from ..files import STDIN, PathOrFile, open_source
from ..table import EmbeddingTable
from ..vocabulary import Tokenizer

if TYPE_CHECKING:
    from .scan import Scan
from .report import Inspection

__all__ = ["inspect"]

SEVERITIES = ("error", "warning", "note")
#: Metadata that every loader sets; the report has them elsewhere.
_ORIGIN = {"source", "source_sha256", "source_format", "source_dtype", "duplicates", "non_utf8"}


def inspect(
    path: PathOrFile,
    dataset: DataSource = None,
    text: str | Sequence[str] = "text",
    *,
    member: str | None = None,
) -> Inspection:
    """Look a vector file over. Damage does not stop it: what can be read is reported.

    Args:
        path: a vector file of any format that `load_vectors` reads, plain or compressed, the folder
            of a model, a binary file object, or `"-"` for standard input.
        dataset: a data set, as for `finetune`; the report then tells what the table covers of its
            training split, and which settings to take.
        text: its column of texts.
        member: the file to look at of an archive that holds several.

    Raises:
        VectorFileError: it is no vector file, there is none, or it is of a kind that is not read.
        DataError: the data set can't be read.
    """
    from .scan import scan, scan_folder

    texts = _texts(dataset, text)
    if isinstance(path, (str, os.PathLike)) and path != STDIN and Path(path).is_dir():
        found = scan_folder(Path(path))
        total = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
        return _report(found, str(path), "", total, None, texts)
    with open_source(path, member, salvage=True) as source:
        found = scan(source)
        sha256 = source.sha256()
        size = None if source.path is None else source.path.stat().st_size
        return _report(found, source.name, source.compression, size, sha256, texts)


def _texts(dataset: DataSource, text: str | Sequence[str]) -> list[str] | list[list[str]] | None:
    if dataset is None:
        return None
    from ..data import texts_of  # which imports torch

    splits = open_splits(dataset)
    return texts_of(splits.train, text, f"{splits.name} (train)")


def _report(
    found: Scan,
    path: str,
    compression: str,
    size: int | None,
    sha256: str | None,
    texts: list[str] | list[list[str]] | None,
) -> Inspection:
    from .advice import advise
    from .conventions import conventions_of, order_of, specials_of
    from .row_lengths import findings_of_rows, quantiles
    from .word_findings import case_of, findings_of_words

    first = dict.fromkeys(found.words)
    table = EmbeddingTable(list(first), np.empty((len(first), 0), np.float32))
    table.subwords = found.subwords
    tokenizer = Tokenizer.for_table(table).name
    findings = found.findings + findings_of_words(found) + findings_of_rows(found)
    return Inspection(
        path=path,
        source_format=found.source_format,
        compression=compression,
        size=size,
        sha256=sha256,
        words=len(found.words),
        vector_size=found.vector_size,
        dtype=found.dtype,
        header=found.header,
        norms=quantiles(found),
        case=case_of(found.words),
        tokenizer=tokenizer,
        conventions=conventions_of(found, set(first), tokenizer),
        specials=specials_of(found),
        order=order_of(found),
        findings=tuple(sorted(findings, key=lambda one: SEVERITIES.index(one.severity))),
        advice=None if texts is None or not first else advise(table, texts),
        metadata={name: value for name, value in found.metadata.items() if name not in _ORIGIN},
    )
