"""A vector file read for its words and the lengths of its rows, whatever is wrong with it.

Sound text and word2vec binary go through the compiled loops of their loaders, block by block, and
no vector is kept. Of a block with damage the sound lines are taken, and the others are counted.
Files of other formats are read by their loader as a whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError
from ..files import Source
from ..formats.common.kernels import parse_binary
from ..formats.common.sniff import W2V_HEADER, refuse_unread, sniff, sniff_folder
from ..formats.load import FOLDER_READERS, READERS
from ..formats.word2vec import BLOCK, MAX_SIZE, MAX_WORD, read_binary
from ..table import EmbeddingTable, Subwords, Vectors
from .damaged_text import Lengths, lengths_of, scan_lines
from .findings import Finding, refusal

__all__ = ["Header", "Scan", "scan", "scan_folder"]

ROWS = 1 << 15  # of a table at a time


@dataclass(frozen=True)
class Header:
    """What the first line of a word2vec file promises.

    Attributes:
        rows: as promised.
        vector_size: as promised.
        is_true: whether the rows are as many, and of that size.
    """

    rows: int
    vector_size: int
    is_true: bool


@dataclass
class Scan:
    """What was read of a file.

    Attributes:
        source_format: as the loader calls it.
        words: of all rows that could be read, duplicates too; bytes beyond UTF-8 are surrogates.
        lengths: float64 `(V,)`, the Euclidean length of each row; NaN and inf where it has such.
        places: int64 `(V,)`, the line, or the row, that each word stands in, from 1.
        unit: `line` or `row`.
        vector_size: values in a row.
        dtype: of the numbers as they are stored, `text`, or `unknown`.
        header: what the header promises; None where there is none.
        duplicates: left out by the loader before the words were seen.
        metadata: those of the table.
        subwords: what composes vectors for further words.
        findings: what was wrong on the way.
    """

    source_format: str
    words: list[str] = field(default_factory=list)
    lengths: Lengths = field(default_factory=lambda: np.empty(0))
    places: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    unit: str = "row"
    vector_size: int = 0
    dtype: str = "float32"
    header: Header | None = None
    duplicates: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    subwords: Subwords | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def finite(self) -> Lengths:
        """The lengths of the rows that have one."""
        return self.lengths[np.isfinite(self.lengths)]

    def place(self, row: int) -> str:
        """Return where a row is."""
        return f"{self.unit} {self.places[row]:,}"


def scan(source: Source) -> Scan:
    """Read a file, past all damage.

    Raises:
        VectorFileError: it is no vector file, or of a kind that is not read here.
    """
    name = sniff(source)
    refuse_unread(source, name)
    if name == "text":
        found = _scan_text(source)
    elif name == "word2vec-binary":
        found = _scan_binary(source)
    else:
        try:
            found = _scan_table(READERS[name](source, None, None), name, source.sha256())
        except VectorFileError as error:
            found = Scan(
                name, dtype="unknown", findings=[refusal("unreadable", error, source.name)]
            )
    if source.damage is not None:
        found.findings.insert(0, refusal("damaged", source.damage, source.name))
    return found


def scan_folder(path: Path) -> Scan:
    """Read the folder of a model.

    Raises:
        VectorFileError: it is no folder of vectors, or damaged.
    """
    name = sniff_folder(path)
    if name not in FOLDER_READERS:
        raise VectorFileError(f"{path} is a folder that is not read here; give a vector file")
    return _scan_table(FOLDER_READERS[name](path, None, None), name)


def _scan_text(source: Source) -> Scan:
    lines = scan_lines(source)
    promised, header = lines.promised, None
    if promised is not None:
        rows, size = promised
        header = Header(rows, size, rows == lines.lines and size == lines.vector_size)
        if rows != lines.lines and source.damage is None:
            lines.findings.append(
                Finding(
                    "error",
                    "header",
                    1,
                    f"the header promises {rows:,} vectors, the file has {lines.lines:,}",
                    f"fetch the file again, or correct the header to {lines.lines} "
                    f"{lines.vector_size}",
                )
            )
    return Scan(
        source_format="glove" if promised is None else "word2vec",
        words=lines.words,
        lengths=lines.lengths,
        places=lines.places,
        unit="line",
        vector_size=lines.vector_size,
        dtype="text",
        header=header,
        findings=lines.findings,
    )


def _scan_binary(source: Source) -> Scan:
    """Read the whole rows of a word2vec binary, and tell what its header says of them."""
    header = W2V_HEADER.match(source.peek(64))
    if header is None or not 1 <= int(header[2]) <= MAX_SIZE:
        read_binary(source)
        raise AssertionError("the loader refuses such a header")
    promised, size = int(header[1]), int(header[2])
    source.read(header.end())
    words: list[bytes] = []
    lengths: list[Lengths] = []
    data, seen, offset = b"", 0, header.end()
    while seen < promised:
        block = source.read(BLOCK)
        data += block
        rows = parse_binary(data, size, promised - seen, None)
        if rows.passed:
            words.append(rows.words)
            lengths.append(lengths_of(rows.vectors))
        seen, offset, data = seen + rows.passed, offset + rows.used, data[rows.used :]
        if not block or (not rows.passed and len(data) > MAX_WORD + 4 * size + BLOCK):
            break
    rest = (data + source.read(2)).lstrip(b"\n")
    found = Scan(
        source_format="word2vec-binary",
        words=b" ".join(words).decode("utf-8", "surrogateescape").split(" ") if seen else [],
        lengths=np.concatenate([np.empty(0), *lengths]),
        places=np.arange(1, seen + 1),
        vector_size=size,
        header=Header(promised, size, seen == promised and not rest),
    )
    says = f"the header promises {promised:,} vectors of {size} numbers"
    if seen < promised and source.damage is None:
        message = (
            f"{says}, but {seen:,} are whole: the file ends within row {seen + 1:,}, at byte "
            f"{offset + len(data):,}"
        )
        cure = "fetch the file again" + (
            f", or take what is there with load_word2vec(path, limit={seen})" if seen else ""
        )
        found.findings.append(Finding("error", "header", 1, message, cure))
    elif rest and seen == promised:
        cure = f"correct the header, or take the promised rows with limit={promised}"
        message = f"{says}, but more bytes follow at {offset:,}"
        found.findings.append(Finding("error", "header", 1, message, cure))
    return found


def _scan_table(table: EmbeddingTable, name: str, sha256: str | None = None) -> Scan:
    """Look at a table that a loader has read.

    Args:
        table: the table.
        name: the format of its file.
        sha256: of the file. Metadata that name another tell of the file that the table was first
            read from; what tells them is one that we wrote, in float32.
    """
    blocks = itertools.chain([np.empty(0)], _lengths_of_table(table.vectors))
    metadata = dict(table.metadata)
    told = metadata if sha256 in (None, metadata.get("source_sha256")) else {}
    return Scan(
        source_format=name,
        words=table.index_to_key,
        lengths=np.concatenate(list(blocks)),
        places=np.arange(1, len(table) + 1),
        vector_size=table.vector_size,
        dtype=told.get("source_dtype", "float32"),
        duplicates=int(told.get("duplicates", 0)),
        metadata=metadata,
        subwords=table.subwords,
    )


def _lengths_of_table(vectors: Vectors) -> Iterator[Lengths]:
    for start in range(0, len(vectors), ROWS):
        yield lengths_of(vectors[start : start + ROWS])
