"""The doctor, first form: what a vector file is, what is odd about it, what it covers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .data import texts_of
from .files import sha256_of
from .formats import load_vectors
from .splits import DataSource, open_splits
from .table import EmbeddingTable
from .tokenizer import Tokenizer
from .vocabulary import Coverage, Vocabulary

__all__ = ["Inspection", "inspect"]

BLOCK = 1 << 16


@dataclass(frozen=True)
class Inspection:
    """What was found in a vector file. Prints as a report.

    Attributes:
        path: the file.
        source_format: `glove`, `word2vec`, `word2vec-binary` or `safetensors`.
        sha256: of the file's bytes.
        words: rows of the table.
        vector_size: values in a row.
        duplicates: words that stood there again and were left out.
        non_utf8: words with bytes that are not UTF-8.
        with_space: words with white space inside.
        with_upper_case: words with an upper-case letter.
        zero_rows: rows of zeros.
        not_finite_rows: rows with a value that is NaN or infinite.
        median_norm: the median length of a row.
        tokenizer: the convention that fits the words.
        coverage: of the training split of a data set, if one was given.
        metadata: the story that a tuned table carries.
    """

    path: str
    source_format: str
    sha256: str
    words: int
    vector_size: int
    duplicates: int
    non_utf8: int
    with_space: int
    with_upper_case: int
    zero_rows: int
    not_finite_rows: int
    median_norm: float
    tokenizer: str
    coverage: Coverage | None
    metadata: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{self.path}: {self.source_format}, {self.words:,} words x {self.vector_size}",
            f"sha256 {self.sha256}",
            f"words: {self.with_upper_case:,} with upper case, {self.with_space:,} with white "
            f"space, {self.non_utf8:,} not UTF-8, {self.duplicates:,} duplicates left out",
            f"rows: median length {self.median_norm:.3f}, {self.zero_rows:,} of zeros, "
            f"{self.not_finite_rows:,} not finite",
            f"tokenizer that fits: {self.tokenizer}",
        ]
        lines += [f"{name}: {value}" for name, value in self.metadata.items()]
        if self.coverage is not None:
            lines.append(str(self.coverage))
        return "\n".join(lines)


def inspect(
    path: str | os.PathLike[str],
    dataset: DataSource = None,
    text: str | Sequence[str] = "text",
) -> Inspection:
    """Look a vector file over.

    Args:
        path: a vector file of any format that `load_vectors` reads.
        dataset: a data set, as for `finetune`, whose training split's coverage to report.
        text: its column of texts.

    Raises:
        VectorFileError: the file can't be read.
        DataError: the data set can't be read.
    """
    table = load_vectors(path)
    is_own = "source_sha256" not in table.metadata or "library_version" in table.metadata
    tokenizer = Tokenizer.for_table(table)
    zero, not_finite, norms = _rows(table)
    return Inspection(
        path=os.fspath(path),
        source_format="safetensors" if is_own else table.metadata["source_format"],
        sha256=sha256_of(path) if is_own else table.metadata["source_sha256"],
        words=len(table),
        vector_size=table.vector_size,
        duplicates=int(table.metadata.get("duplicates", 0)),
        non_utf8=int(table.metadata.get("non_utf8", 0)),
        with_space=sum(any(c.isspace() for c in word) for word in table.index_to_key),
        with_upper_case=sum(word != word.lower() for word in table.index_to_key),
        zero_rows=zero,
        not_finite_rows=not_finite,
        median_norm=float(np.median(norms)),
        tokenizer=tokenizer.name,
        coverage=_coverage(table, dataset, text, tokenizer),
        metadata=dict(table.metadata) if is_own else {},
    )


def _rows(table: EmbeddingTable) -> tuple[int, int, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return how many rows are zero, how many are not finite, and the length of each."""
    norms = np.empty(len(table), np.float32)
    not_finite = 0
    for start in range(0, len(table), BLOCK):
        block = table.vectors[start : start + BLOCK]
        norms[start : start + BLOCK] = np.linalg.norm(block, axis=1)
        not_finite += int((~np.isfinite(block).all(axis=1)).sum())
    return int((norms == 0).sum()), not_finite, norms


def _coverage(
    table: EmbeddingTable, dataset: DataSource, text: str | Sequence[str], tokenizer: Tokenizer
) -> Coverage | None:
    if dataset is None:
        return None
    splits = open_splits(dataset)
    texts = texts_of(splits.train, text, f"{splits.name} (train)")
    return Vocabulary.from_texts(texts, tokenizer).coverage(table)
