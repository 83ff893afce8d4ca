"""What was read of an inspected file: words and row lengths, without the vectors."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..table import PipelineTokenizer, Subwords, Vectors
from .findings import Finding

__all__ = ["Header", "Lengths", "Scan", "lengths_of"]

Lengths = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Header:
    """What the first line of a word2vec file promises.

    Attributes:
        rows: the number of rows.
        vector_size: the number of values in a row.
        is_true: whether the file holds this number of rows of this size.
    """

    rows: int
    vector_size: int
    is_true: bool


@dataclass
class Scan:
    """What was read of a file.

    Attributes:
        source_format: the loader's name of the format.
        words: the words of all rows that could be read, duplicates included. Bytes that are not
            UTF-8 are surrogates.
        lengths: float64 `(V,)`, the Euclidean length of each row; NaN or inf if a value is.
        places: int64 `(V,)`, the line or row of each word, from 1.
        unit: `line` or `row`.
        vector_size: the number of values in a row.
        dtype: the type of the stored numbers, `text`, or `unknown`.
        header: what the header promises; None without one.
        duplicates: the number of rows that the loader left out because of their word.
        metadata: the metadata of the table.
        subwords: the subword model of the file.
        tokenizer: the tokenizer that the vectors came with.
        findings: what was wrong while reading.
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
    tokenizer: PipelineTokenizer | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def finite_lengths(self) -> Lengths:
        """The lengths of the rows whose values are all finite."""
        return self.lengths[np.isfinite(self.lengths)]

    def place(self, row: int) -> str:
        """Return the place of a row in the file, such as `line 3`."""
        return f"{self.unit} {self.places[row]:,}"


def lengths_of(vectors: Vectors) -> Lengths:
    """Return the Euclidean length of each row of `(V, D)`; NaN or inf if a value is.

    Squares are summed in float64, where no float32 overflows.
    """
    with np.errstate(all="ignore"):
        squares: Lengths = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        return np.sqrt(squares)
