"""`inspect`: what a vector file is, what is odd about it, and what it covers of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Option, VocabularyError
from ..files import PathOrFile, as_folder, open_source
from ..formats.common.arguments import check_limit
from ..formats.common.run_folder import file_in_run
from ..formats.hub import fetched
from ..table import EmbeddingTable, PipelineTokenizer
from ..vocabulary import Tokenizer
from .findings import Finding
from .remedies import with_name
from .report import Inspection

if TYPE_CHECKING:
    from ..data import DataSource
    from .scan import Scan

__all__ = ["inspect"]

SEVERITIES = ("error", "warning", "note")
#: Metadata that loaders set, which the report shows elsewhere.
_SHOWN_ELSEWHERE = {
    "source",
    "source_sha256",
    "source_format",
    "source_dtype",
    "duplicates",
    "non_utf8",
}


def inspect(
    path: PathOrFile,
    dataset: DataSource = None,
    text: str | Sequence[str] = "text",
    *,
    limit: int | None = None,
    vector_size: int | None = None,
    member: str | None = None,
) -> Inspection:
    """Inspect a vector file. If it is damaged, the report covers what can be read.

    Args:
        path: a vector file of any format that `load_vectors` reads, plain or compressed, the folder
            of a model or of a run, a binary file object, `"-"` for standard input, or
            `"hub:org/model"`.
        dataset: a data set, as for `finetune`. The report then has the coverage of its training
            split, and recommended settings.
        text: the name of its column of texts, or several names.
        limit: inspect only the first rows.
        vector_size: the number of values in a line of text; detected if not given.
        member: the file to inspect in an archive that holds several.

    Raises:
        VectorFileError: the file does not exist, is not a vector file, or is of a format that the
            library does not read.
        DataError: the data set can't be read.

    Example:
        >>> found = fe.inspect("glove.6B.50d.txt")
        >>> found.words, found.vector_size, found.source_format
        (11138, 50, 'glove')
    """
    from .scan_file import scan_file, scan_folder

    check_limit(limit)
    given, path = path, fetched(path)
    is_fetched, path = path is not given, file_in_run(path)
    texts = _texts(dataset, text)
    if (folder := as_folder(path)) is not None:
        scan = scan_folder(folder, limit)
        total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        return _report(scan, str(given if is_fetched else path), "", total, None, texts)
    with open_source(path, member, salvage=True) as source:
        scan = scan_file(source, limit, vector_size)
        sha256 = source.sha256()
        size = None if source.path is None else source.path.stat().st_size
        name = str(given) if is_fetched else source.name
        return _report(scan, name, source.compression, size, sha256, texts)


def _texts(dataset: DataSource, text: str | Sequence[str]) -> list[str] | list[list[str]] | None:
    if dataset is None:
        return None
    from ..data import open_examples, texts_of  # imports torch

    splits = open_examples(dataset, text, None)
    return texts_of(splits.train, text, f"{splits.name} (train)")


def _unreadable(tokenizer: PipelineTokenizer | None) -> list[Finding]:
    """Return what is wrong with the tokenizer that vectors came with, if anything is."""
    if tokenizer is None:
        return []
    try:
        tokenizer.check()
    except VocabularyError as error:
        remedy = "fetch the file again, or choose another one: ", Option("tokenizer", "glove")
        return [Finding("warning", "tokenizer", 1, error.what, remedy, where=tokenizer.where)]
    return []


def _report(
    scan: Scan,
    path: str,
    compression: str,
    size: int | None,
    sha256: str | None,
    texts: list[str] | list[list[str]] | None,
) -> Inspection:
    from .advice import advise
    from .frequency_order import judge_order
    from .row_lengths import length_quantiles, row_findings
    from .word_case import count_cases
    from .word_conventions import describe_conventions, find_special_tokens
    from .word_findings import word_findings
    from .word_lookup import lookup_findings

    words = dict.fromkeys(scan.words)
    table = EmbeddingTable(list(words), np.empty((len(words), 0), np.float32))
    table.subwords = scan.subwords
    convention = Tokenizer.for_table(table).name
    broken = _unreadable(scan.tokenizer)
    table.tokenizer = None if broken else scan.tokenizer
    findings = (
        scan.findings + broken + word_findings(scan) + lookup_findings(scan) + row_findings(scan)
    )
    return Inspection(
        path=path,
        source_format=scan.source_format,
        compression=compression,
        size=size,
        sha256=sha256,
        words=len(scan.words),
        vector_size=scan.vector_size,
        dtype=scan.dtype,
        header=scan.header,
        norms=length_quantiles(scan),
        case=count_cases(scan.words),
        tokenizer=Tokenizer.for_table(table).name,
        conventions=describe_conventions(scan, set(words), convention),
        specials=find_special_tokens(scan),
        order=judge_order(scan),
        findings=tuple(
            replace(one, remedy=with_name(one.remedy, path))
            for one in sorted(findings, key=lambda one: SEVERITIES.index(one.severity))
        ),
        advice=None if texts is None or not words else advise(table, texts),
        metadata={
            name: value for name, value in scan.metadata.items() if name not in _SHOWN_ELSEWHERE
        },
    )
