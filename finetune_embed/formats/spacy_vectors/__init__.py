"""spaCy: the vectors of a pipeline, or of `Vectors.to_disk` and `Vocab.to_disk`.

The folder of a vocabulary (`vocab/` in that of a pipeline) holds

- `vectors`: a `.npy` file, `(R, D)` numbers;
- `key2row`: a msgpack map from keys, uint64, to rows. A key is MurmurHash64A, seed 1, of a
  string's UTF-8, but for the names in `spacy.symbols`, which have numbers of their own. Several
  keys may have one row (pruned vectors), and a row may have none, which is left out;
- `strings.json`: a list of strings, among them those of the keys;
- `vectors.cfg`: JSON that tells the mode, `default` or `floret` (see `floret.py`). Floret tables
  have no words: those at hand, `keys` or else `strings.json`, are composed.

The table has the keys' words in the order of `key2row`, each with its row.

Sources: https://spacy.io/api/vectors and https://spacy.io/api/vocab.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import Source, atomic_folder, open_source
from ...table import EmbeddingTable, Origin
from ..common.folders import MAX_SIZE, folder_provenance, missing_folder, read_json
from ..common.npy import as_float32, open_array, source_dtype
from ..common.sniff import expect
from ..common.table_building import check_keys, check_limit, is_utf8, make_table, wanted_keys

if TYPE_CHECKING:
    from .floret import Floret

__all__ = ["load_spacy", "save_spacy"]

VECTORS, KEYS, STRINGS, CONFIG = "vectors", "key2row", "strings.json", "vectors.cfg"
META = ("lang", "name", "version")
SEED = 1
MAX_MARK = 16  # characters that floret puts before or after a word
BLOCK = 1 << 16


def load_spacy(
    path: str | os.PathLike[str], keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Load the vectors of a spaCy pipeline or vocabulary.

    Args:
        path: the folder of a pipeline, of its package, of a vocabulary, or of vectors.
        keys: keep only these words. They are found by their hash, without `strings.json`. Rows
            keep the file's order; floret vectors, which have none, that of `keys`.
        limit: only the first keys.

    Returns:
        The table. `metadata["nameless"]` counts the keys whose string is not at hand, and which
        are left out. Words of floret vectors have the origin `COMPOSED`, and `subwords` composes
        any other.

    Raises:
        VectorFileError: the folder is not one of spaCy's, holds no vectors, or a file of it is
            missing or damaged.
    """
    from .key2row import read_key2row
    from .symbols import SYMBOLS

    check_limit(limit)
    wanted = wanted_keys(keys)
    path = Path(path)
    folder = _vocab_folder(path)
    config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    mode = config.get("mode", "default") if isinstance(config, dict) else config
    if not isinstance(config, dict) or mode not in ("default", "floret"):
        raise VectorFileError(
            f"{folder / CONFIG}: the mode is {mode!r:.50}; default and floret, in a JSON object, "
            "are read"
        )
    with open_source(folder / VECTORS) as source:
        matrix = _matrix(source)
        metadata = folder_provenance(source, path, "spacy") | source_dtype(matrix.dtype)
    if mode == "floret":
        words = list(dict.fromkeys(_strings(folder) if keys is None else keys))
        return _composed(_floret(matrix, config, folder / CONFIG), words[:limit], metadata)
    hashes, rows = read_key2row(folder / KEYS)
    if len(rows) and rows.max() >= len(matrix):
        raise VectorFileError(
            f"{folder / KEYS} gives a key the row {rows.max():,}, but {VECTORS} has "
            f"{len(matrix):,}; the two are not of one vocabulary"
        )
    hashes, rows = hashes[:limit], rows[:limit]
    words = [*_strings(folder), *SYMBOLS] if wanted is None else list(wanted)
    words, at = _named(hashes, words)
    if wanted is None and (nameless := len(hashes) - len(words)):
        metadata["nameless"] = str(nameless)
    vectors = as_float32(_rows(matrix, rows[at]), str(folder / VECTORS), rows[at])
    return make_table(words, np.ascontiguousarray(vectors), metadata)


def save_spacy(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a folder that `spacy.vocab.Vocab().from_disk(path)` reads.

    In a pipeline it is the folder `vocab`, without the lookups that a pipeline may need.

    Raises:
        VectorFileError: a word is not UTF-8, two words have one hash, or there is something at
            `path` already.
    """
    from .key2row import pack_key2row

    check_keys(table, "a spaCy vocabulary", "")
    keys = table.index_to_key
    odd = [key for key in keys if not is_utf8(key)]
    if odd:
        raise VectorFileError(
            f"{len(odd):,} of {len(keys):,} words are not UTF-8, which spaCy needs ({odd[0]!r} is "
            "the first); drop them, or use save_safetensors(table, path), which holds any word"
        )
    hashes = _hashes(keys)
    if len(np.unique(hashes)) < len(hashes):
        raise VectorFileError("two words have one hash, so that spaCy can't tell them apart")
    path = Path(path)
    if path.exists() or not path.parent.is_dir():
        why = "there is something already" if path.exists() else f"there is no {path.parent}"
        raise VectorFileError(f"can't write the folder {path}: {why}; name another")
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


def _vocab_folder(path: Path) -> Path:
    """Return the folder that holds the vectors, of a pipeline or of the package of one."""
    inside = [path, path / "vocab"]
    if (path / "meta.json").is_file():
        meta = read_json(path / "meta.json")
        parts = [str(meta.get(part)) for part in META] if isinstance(meta, dict) else []
        name = "{}_{}-{}".format(*parts) if parts else ""
        inside += [path / found / "vocab" for found in os.listdir(path) if found == name]
    for folder in inside:
        if (folder / VECTORS).is_file():
            return folder
    raise missing_folder(
        path, "one of spaCy vectors", "give the folder of a pipeline, or the one with key2row"
    )


def _matrix(source: Source) -> npt.NDArray[Any]:
    """Return the array of `vectors`, read-only and in place."""
    expect(source, "numpy")
    array = open_array(source.name, io.BytesIO(), source.whole())
    if not array.is_matrix:
        raise VectorFileError(f"{source.name} is {array}, but numbers (rows, D) are needed")
    if 0 in array.shape or array.shape[1] > MAX_SIZE:
        raise VectorFileError(
            f"{source.name} is {array.shape[0]:,} x {array.shape[1]:,}, so this vocabulary has no "
            "vectors; of a pipeline, take one that has some, such as its size md or lg"
        )
    return array.whole()


def _strings(folder: Path) -> list[str]:
    """Return the strings that stand beside the vectors."""
    if not (folder / STRINGS).is_file():
        raise VectorFileError(
            f"{folder} has no {STRINGS}, so the words of its keys are unknown; copy the one of its "
            "vocabulary there, or name the words: load_spacy(path, keys=[...])"
        )
    strings = read_json(folder / STRINGS)
    if not isinstance(strings, list) or not all(type(string) is str for string in strings):
        raise VectorFileError(f"{folder / STRINGS} is no list of strings; it is damaged")
    return strings


def _named(
    hashes: npt.NDArray[np.uint64], words: list[str]
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the words of the keys that have one, and where those keys stand."""
    words = [word for word in words if is_utf8(word)]
    if not words:
        return [], np.empty(0, np.int64)
    own = _hashes(words)
    order = np.argsort(own, kind="stable")
    places = np.searchsorted(own, hashes, sorter=order)
    nearest = order[np.minimum(places, len(order) - 1)]
    at = np.flatnonzero(own[nearest] == hashes)
    return [words[row] for row in nearest[at].tolist()], at


def _hashes(words: list[str]) -> npt.NDArray[np.uint64]:
    """Return spaCy's keys of words, uint64 `(n,)`."""
    from .murmur import murmur64a
    from .symbols import SYMBOLS

    hashes = murmur64a([word.encode() for word in words], SEED)
    for row, word in enumerate(words):
        if word in SYMBOLS:
            hashes[row] = SYMBOLS[word]
    return hashes


def _rows(matrix: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return some rows, in place if they are the first ones in their order."""
    if np.array_equal(rows, np.arange(len(rows))):
        return matrix[: len(rows)]
    return matrix[rows]


def _floret(matrix: npt.NDArray[Any], config: dict[str, Any], path: Path) -> Floret:
    """Return what composes floret vectors, its settings checked."""
    from .floret import Floret

    names = ("minn", "maxn", "hash_count", "hash_seed")
    numbers = [config.get(name, 0) for name in names]
    marks = [config.get("bow", "<"), config.get("eow", ">")]
    sound = all(type(number) is int for number in numbers)
    sound = sound and all(
        type(mark) is str and len(mark) <= MAX_MARK and is_utf8(mark) for mark in marks
    )
    if not sound or not (
        0 <= numbers[0] <= numbers[1] and 1 <= numbers[2] <= 4 and 0 <= numbers[3] < 1 << 32
    ):
        told = ", ".join(f"{name}={value!r}" for name, value in zip(names, numbers, strict=True))
        raise VectorFileError(
            f"{path}: {told}, marks {marks} are no settings of floret: 0 <= minn <= maxn, "
            "hash_count 1 to 4 and a seed of 32 bits are needed"
        )
    return Floret(matrix, *numbers, *marks)


def _composed(floret: Floret, words: list[str], metadata: dict[str, str]) -> EmbeddingTable:
    """Return a table of composed vectors; words that can't be composed are absent."""
    vectors, made = floret.compose(words)
    if not made.all():
        vectors = vectors[made]
        words = [word for word, could in zip(words, made.tolist(), strict=True) if could]
    table = EmbeddingTable(words, vectors, metadata, np.full(len(words), Origin.COMPOSED))
    table.subwords = floret
    return table
