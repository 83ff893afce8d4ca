"""The table that a delta belongs to, recognised by its words and its vectors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ..errors import VectorFileError
from ..formats.common.saving import pack_words
from ..table import EmbeddingTable

__all__ = ["Base"]

BLOCK = 1 << 15  # rows hashed at a time


@dataclass(frozen=True)
class Base:
    """What identifies a table, whatever file it is in.

    Attributes:
        rows: the number `V` of its words.
        vocab_sha256: of the end of each word, int64 `(V + 1,)` from 0, then the bytes of all words.
        vectors_sha256: of its vectors, float32 `(V, D)`, row by row.
        source: the name of the file that its metadata name; empty if they name none, or the file
            from which it was tuned.
        source_sha256: the SHA-256 of that file, in the same way.
    """

    rows: int
    vocab_sha256: str
    vectors_sha256: str
    source: str = ""
    source_sha256: str = ""

    @classmethod
    def of(cls, table: EmbeddingTable) -> Base:
        """Return what identifies a table.

        Raises:
            VectorFileError: a word has lone surrogates that represent no byte, or the file of the
                vectors was changed.
            VocabularyError: a word is in two rows.
        """
        words = pack_words(table)
        vocab = hashlib.sha256(np.ascontiguousarray(words.offsets, "<i8").data)
        vocab.update(words.data.data)
        vectors = hashlib.sha256()
        for start in range(0, len(table), BLOCK):
            rows = table.rows(slice(start, start + BLOCK))
            vectors.update(np.ascontiguousarray(rows, "<f4").data)
        known = {} if "strategy" in table.metadata else table.metadata  # its source is not tuned
        source, sha256 = (known.get(name, "") for name in ("source", "source_sha256"))
        return cls(len(table), vocab.hexdigest(), vectors.hexdigest(), source, sha256)

    def check_is(self, found: Base, where: str) -> None:
        """Check that a table is this one.

        Args:
            found: what identifies that table.
            where: the name of the delta.

        Raises:
            VectorFileError: its words or its vectors are others.
        """
        if self.rows != found.rows or self.vocab_sha256 != found.vocab_sha256:
            wanted, has = self.vocab_sha256, found.vocab_sha256
            what, other = f"{self.rows:,} words", f"{found.rows:,}"
        elif self.vectors_sha256 != found.vectors_sha256:
            wanted, has = self.vectors_sha256, found.vectors_sha256
            what, other = "vectors", "others"
        else:
            return
        remedy = "pass the table that it was made from"
        if self.source:
            remedy += f", {self.source}"
        if self.source_sha256:
            remedy += f", a file with the SHA-256 {self.source_sha256}"
        raise VectorFileError(
            f"the delta belongs to {what} with the SHA-256 {wanted}, but the base has {other} "
            f"with {has}",
            where=where or None,
            value=has,
            remedy=remedy,
        )
