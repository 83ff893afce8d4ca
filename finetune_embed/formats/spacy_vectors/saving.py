"""Writing a table as spaCy vectors. See `formats/spacy_vectors/__init__.py` for the layout."""

from __future__ import annotations

import json
import os

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import atomic_folder
from ...table import EmbeddingTable
from ..common.saving import check_keys, check_name, check_new_folder, check_utf8

__all__ = ["CONFIG", "KEYS", "STRINGS", "VECTORS", "save_spacy"]

VECTORS, KEYS, STRINGS, CONFIG = "vectors", "key2row", "strings.json", "vectors.cfg"
BLOCK = 1 << 16


def save_spacy(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a folder that `spacy.vocab.Vocab().from_disk(path)` reads.

    A pipeline has such a folder as `vocab`, with lookups that are not written here.

    Raises:
        VectorFileError: a word is not UTF-8, two words have the same hash, or `path` exists.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_spacy(table, "folder")
        >>> fe.load_vectors("folder").index_to_key
        ['good', 'bad']
    """
    from .key2row import pack_key2row

    check_name(path)
    check_keys(table, "a spaCy vocabulary", "")
    keys = table.index_to_key
    hashes = _distinct_hashes(keys)
    check_new_folder(path)
    with atomic_folder(path) as folder:
        with open(folder / VECTORS, "wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": table.stored.shape}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(table), BLOCK):
                block = table.rows(slice(start, start + BLOCK))
                file.write(np.ascontiguousarray(block, "<f4").data)
        (folder / KEYS).write_bytes(pack_key2row(hashes))
        (folder / STRINGS).write_text(json.dumps(sorted(keys), ensure_ascii=False), "utf-8")
        (folder / CONFIG).write_text(json.dumps({"mode": "default"}), "utf-8")


def _distinct_hashes(words: list[str]) -> npt.NDArray[np.uint64]:
    """Return spaCy's keys of words, uint64 `(n,)`, all different.

    Raises:
        VectorFileError: a word is not UTF-8, or two words have the same hash.
    """
    from .hashing import spacy_keys

    check_utf8(words, "spaCy")
    hashes = spacy_keys(words)
    unique, counts = np.unique(hashes, return_counts=True)
    if len(unique) < len(hashes):
        rows = np.flatnonzero(hashes == unique[counts > 1][0])
        raise VectorFileError(
            f"{words[rows[0]]!r} and {words[rows[1]]!r} have the same hash, so spaCy can't "
            "distinguish them",
            remedy="remove one of them",
        )
    return hashes
