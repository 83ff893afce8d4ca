"""Reads a vector file of any format for its words and row lengths, past all damage.

Text and word2vec binary are read block by block with the loops of their loaders, and no vector is
kept. In a damaged block, sound lines are read and the others are counted. Files of other formats
are read by their loader.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import VectorFileError
from ..files import Source
from ..formats.common.beside import tokenizer_beside
from ..formats.common.sniff import refuse_unread, sniff, sniff_folder
from ..formats.load import FOLDER_READERS, READERS
from ..table import EmbeddingTable
from .findings import finding_from
from .scan import Lengths, Scan, lengths_of
from .scan_binary import scan_binary
from .scan_text import scan_text

__all__ = ["scan_file", "scan_folder"]

BLOCK = 1 << 15  # rows of a table


def scan_file(source: Source, limit: int | None = None, vector_size: int | None = None) -> Scan:
    """Read a file or its first rows, past all damage.

    Raises:
        VectorFileError: it is not a vector file, or is of a format that the library does not read.
    """
    name = sniff(source)
    refuse_unread(source, name)
    if name == "text":
        scan = scan_text(source, limit, vector_size)
    elif name == "word2vec-binary":
        scan = scan_binary(source, limit)
    else:
        try:
            scan = _scan_table(READERS[name](source, None, limit), name, source.sha256())
        except VectorFileError as error:
            findings = [finding_from(error, "unreadable", source.name)]
            scan = Scan(name, dtype="unknown", findings=findings)
    try:
        scan.tokenizer = scan.tokenizer or tokenizer_beside(source.path, scan.words)
    except VectorFileError as error:
        finding = finding_from(error, "tokenizer", source.name)
        scan.findings.append(replace(finding, severity="warning"))
    if source.damage is not None:
        scan.findings.insert(0, finding_from(source.damage, "damaged", source.name))
    return scan


def scan_folder(path: Path, limit: int | None = None) -> Scan:
    """Read the folder of a model.

    Raises:
        VectorFileError: it is not a folder of vectors, or it is damaged.
    """
    name = sniff_folder(path)
    return _scan_table(FOLDER_READERS[name](path, None, limit), name)


def _scan_table(table: EmbeddingTable, name: str, sha256: str | None = None) -> Scan:
    """Return what is in a table that a loader has read.

    Args:
        table: the table.
        name: the format of its file.
        sha256: the hash of the file. If the metadata have another, they describe an earlier file,
            from which this library made the inspected one, in float32.
    """
    blocks = itertools.chain([np.empty(0)], _lengths_of_blocks(table))
    metadata = dict(table.metadata)
    own = metadata if sha256 in (None, metadata.get("source_sha256")) else {}
    return Scan(
        source_format=name,
        words=table.index_to_key,
        lengths=np.concatenate(list(blocks)),
        places=np.arange(1, len(table) + 1),
        vector_size=table.vector_size,
        dtype=table.coded.coding.name if table.coded else own.get("source_dtype", "float32"),
        duplicates=int(own.get("duplicates", 0)),
        metadata=metadata,
        subwords=table.subwords,
        tokenizer=table.tokenizer,
    )


def _lengths_of_blocks(table: EmbeddingTable) -> Iterator[Lengths]:
    for start in range(0, len(table), BLOCK):
        yield lengths_of(table.rows(slice(start, start + BLOCK)))
