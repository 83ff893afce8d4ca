"""A hash of a table's contents."""

from __future__ import annotations

import hashlib

import numpy as np

from .embedding_table import EmbeddingTable

__all__ = ["sha256_of_table"]

BLOCK = 1 << 15  # rows hashed at a time


def sha256_of_table(table: EmbeddingTable) -> str:
    """Return the SHA-256 of a table's words and vectors as a hexadecimal string.

    Raises:
        VectorFileError: the file of the vectors was changed; see `EmbeddingTable.check_unchanged`.
    """
    table.check_unchanged()
    digest = hashlib.sha256(repr(table.index_to_key).encode("utf-8", "surrogatepass"))
    for start in range(0, len(table), BLOCK):
        rows = table.rows(slice(start, start + BLOCK))
        digest.update(np.ascontiguousarray(rows, np.float32).data)
    return digest.hexdigest()
