"""Writing a table as spaCy vectors. See `formats/spacy_vectors/__init__.py` for the layout."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import atomic_folder
from ...table import EmbeddingTable
from ..common.saving import check_keys, check_name, check_new_folder, check_utf8

__all__ = ["CONFIG", "KEYS", "STRINGS", "VECTORS", "save_spacy"]

VECTORS, KEYS, STRINGS, CONFIG = "vectors", "key2row", "strings.json", "vectors.cfg"
BLOCK = 1 << 16


def save_spacy(
    table: EmbeddingTable, path: str | os.PathLike[str], *, lang: str | None = None
) -> None:
    """Write a folder that `spacy.load(path)` opens, or one of a vocabulary alone.

    Args:
        table: the table.
        path: the new folder.
        lang: the code of a language, such as `"en"`, or `"xx"` for any. The folder is then a blank
            pipeline of it, with its tokenizer and these vectors, as `spacy init vectors` makes; it
            needs spaCy. Without it, the folder is what `spacy.vocab.Vocab().from_disk(path)` reads.

    Raises:
        VectorFileError: a word is not UTF-8, two words have the same hash, `path` exists, or spaCy
            does not have the language.
        MissingPackageError: a pipeline is asked for, and spaCy is not installed.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_spacy(table, "folder")
        >>> fe.load_vectors("folder").index_to_key
        ['good', 'bad']
        >>> fe.save_spacy(table, "pipeline", lang="en")  # which spacy.load("pipeline") opens
    """
    from .pipeline import blank_pipeline, write_pipeline

    check_name(path)
    check_keys(table, "a spaCy vocabulary", "")
    hashes = _distinct_hashes(table.index_to_key)
    check_new_folder(path)
    nlp = None if lang is None else blank_pipeline(lang)
    with atomic_folder(path) as folder:
        vocab = folder if nlp is None else write_pipeline(nlp, table, folder)
        _write_vocabulary(table, hashes, vocab)


def _write_vocabulary(table: EmbeddingTable, hashes: npt.NDArray[np.uint64], folder: Path) -> None:
    """Write the four files of a vocabulary."""
    from .key2row import pack_key2row

    with open(folder / VECTORS, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": table.stored.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(table), BLOCK):
            block = table.rows(slice(start, start + BLOCK))
            file.write(np.ascontiguousarray(block, "<f4").data)
    strings = json.dumps(sorted(table.index_to_key), ensure_ascii=False)
    (folder / KEYS).write_bytes(pack_key2row(hashes))
    (folder / STRINGS).write_text(strings, "utf-8")
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
