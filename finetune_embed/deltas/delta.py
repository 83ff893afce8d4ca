"""`Delta`: the rows and words of a tuned table that its base lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import Either, Option, VocabularyError, check_choice, printable
from ..table import (
    Coding,
    EmbeddingTable,
    Part,
    PatchedRows,
    Rows,
    Vectors,
    differing,
    starts_with,
)
from .base import Base

__all__ = ["DTYPES", "Delta"]

DTYPES = ("float32", "int8")
BLOCK = 1 << 15  # rows compared at a time
SHOWN = 5  # new words that a printed delta names


@dataclass(frozen=True, eq=False)
class Delta:
    """What a tuned table has that its base lacks. Prints as a summary.

    `load_delta` reads one from a file, and `Delta.between` compares two tables.

    Attributes:
        base: what identifies the base, a table of `V` words.
        kept: the number of words of the base that the tuned table starts with; `V`, unless it ends
            within them.
        rows: int64 `(n,)`, the rows of the base that changed, in ascending order.
        words: the `m` words that the base lacks, in their order.
        vectors: `(n + m, D)`, one for each of the rows, then of the words: float32, as in the tuned
            table, or int8, the differences to the base, a new word's to zero, divided by `scale`.
        scale: float32 `(n + m,)`, by which int8 `vectors` are multiplied; None for float32.
        origin: uint8 `(n + m,)`, the `Origin` codes of the same rows and words.
        metadata: those of the tuned table.
        name: the name of the file it was read from; empty if there is none.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> tuned = fe.extend(table, ["fine"], vectors=[[1, 1]])
        >>> fe.save_delta(table, tuned, "small.delta")
        >>> print(fe.load_delta("small.delta").words)
        ['fine']
    """

    base: Base
    kept: int
    rows: Rows
    words: list[str]
    vectors: npt.NDArray[Any]
    scale: Vectors | None
    origin: npt.NDArray[np.uint8]
    metadata: Mapping[str, str]
    name: str = ""

    @classmethod
    def between(cls, base: EmbeddingTable, tuned: EmbeddingTable, dtype: str = "float32") -> Delta:
        """Return the delta that makes a tuned table from its base.

        Args:
            base: the table before, `(V, D)`.
            tuned: the table after. Its words are those of the base, then new ones; or, as in a
                delta from a tuned table back to its base, the first words of `base`.
            dtype: `float32`, which keeps all bits, or `int8`, a quarter of the size, in which no
                value is off by more than 1/254 of the largest difference in its row.

        Raises:
            VocabularyError: the tables differ in dimension or in the words they start with, a word
                is in two rows, or int8 can't hold a row because it is not finite.
            VectorFileError: see `Base.of`.
        """
        check_choice("dtype", dtype, DTYPES, VocabularyError)
        if base.vector_size != tuned.vector_size:
            raise VocabularyError(
                f"the base has {base.vector_size} dimensions, the tuned table {tuned.vector_size}",
                value=tuned.vector_size,
                remedy="pass a table and one that was tuned from it",
            )
        kept = min(len(base), len(tuned))
        _check_words(base, tuned, kept)
        tuned.check_unchanged()
        tuned.rows_of(())  # raises if a word is in two rows
        rows = _changed_rows(base, tuned, kept)
        words = tuned.words[kept:]
        ends = np.concatenate([rows, np.arange(kept, len(tuned))])
        part = Part(np.array(tuned.rows(ends)))
        if dtype == "int8":
            with np.errstate(over="ignore", invalid="ignore"):
                part.codes[: len(rows)] -= base.rows(rows)
            finite = np.isfinite(part.codes).all(axis=1)
            if not finite.all():
                word = tuned.words[int(ends[finite.argmin()])]
                raise VocabularyError(
                    f"the vector of '{printable(word)}' is not finite, which int8 can't hold",
                    value=word,
                    remedy=("keep all bits with ", Option("dtype", "float32")),
                )
            part = Coding("int8").encode(part.codes)
        metadata = dict(tuned.metadata)
        origin = tuned.origin[ends]
        return cls(Base.of(base), kept, rows, words, part.codes, part.scale, origin, metadata)

    @property
    def dtype(self) -> str:
        """The type of number, `float32` or `int8`."""
        return str(self.vectors.dtype)

    @property
    def removed(self) -> int:
        """The number of words at the end of the base that the tuned table lacks."""
        return self.base.rows - self.kept

    def vectors_for(self, base: EmbeddingTable) -> Vectors:
        """Return the tuned vectors of the rows and words, float32 `(n + m, D)`.

        Args:
            base: the base.
        """
        if self.scale is None:
            return self.vectors
        with np.errstate(over="ignore", invalid="ignore"):
            tuned = Coding("int8").decode(Part(self.vectors, self.scale))
            tuned[: len(self.rows)] += base.rows(self.rows)
        return tuned

    def to_dict(self) -> dict[str, Any]:
        """Return the facts of the delta as plain values, ready for JSON."""
        return {
            "base": asdict(self.base),
            "rows_changed": len(self.rows),
            "new_words": len(self.words),
            "words_removed": self.removed,
            "vector_size": int(self.vectors.shape[1]),
            "dtype": self.dtype,
            "metadata": dict(self.metadata),
        }

    def __str__(self) -> str:
        changed, new, total = len(self.rows), len(self.words), self.base.rows
        parts = [
            f"{changed:,} of {total:,} rows changed ({changed / max(total, 1):.2%})",
            f"{new:,} new word{'s' * (new != 1)}",
        ]
        if self.removed:
            parts.append(f"{self.removed:,} word{'s' * (self.removed != 1)} removed")
        parts.append(f"{self.vectors.shape[1]} x {self.dtype} each")
        lines = [", ".join(parts)]
        if self.words:
            more = ", ..." if new > SHOWN else ""
            lines.append("new: " + ", ".join(map(printable, self.words[:SHOWN])) + more)
        lines.append(
            f"base: {printable(self.base.source) or 'a table'}, words {self.base.vocab_sha256[:12]}"
            f", vectors {self.base.vectors_sha256[:12]} (SHA-256)"
        )
        return "\n".join(lines)


def _check_words(base: EmbeddingTable, tuned: EmbeddingTable, kept: int) -> None:
    """Check that two tables start with the same `kept` words.

    Raises:
        VocabularyError: they don't.
    """
    longer, shorter = (base, tuned) if len(base) > kept else (tuned, base)
    if starts_with(longer.words, shorter.words):
        return
    pairs = zip(base.words, tuned.words, strict=False)
    row, (before, after) = next((row, pair) for row, pair in enumerate(pairs) if pair[0] != pair[1])
    raise VocabularyError(
        f"row {row:,} is '{printable(before)}' in the base and '{printable(after)}' in the tuned "
        "table, but a delta needs the same words in the same order, with new ones at the end",
        value=after,
        remedy=Either(
            "save the tuned table itself: save_safetensors(tuned, path)",
            "keep the tuned table itself: finetune-embed convert TUNED tuned.safetensors",
        ),
    )


def _changed_rows(base: EmbeddingTable, tuned: EmbeddingTable, kept: int) -> Rows:
    """Return the rows of the first `kept` that differ by a bit, or in their origin."""
    changed = base.origin[:kept] != tuned.origin[:kept]
    stored = tuned.stored
    if isinstance(stored, PatchedRows) and stored.base is base.stored:
        at = stored.rows
        changed[at] |= differing(base.rows(at), tuned.rows(at))
    else:
        for start in range(0, kept, BLOCK):
            part = slice(start, min(start + BLOCK, kept))
            changed[part] |= differing(base.rows(part), tuned.rows(part))
    return np.flatnonzero(changed)
