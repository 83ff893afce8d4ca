"""spaCy: the vectors of a pipeline, or those written by `Vectors.to_disk` and `Vocab.to_disk`.

The folder of a vocabulary (`vocab/` in the folder of a pipeline) holds

- `vectors`: a `.npy` file, `(R, D)` numbers;
- `key2row`: a msgpack map from keys, uint64, to rows. A key is MurmurHash64A, seed 1, of a
  string's UTF-8; the names in `spacy.symbols` have fixed numbers instead. Several keys may share a
  row (pruned vectors). A row without a key is left out;
- `strings.json`: a list of strings that contains those of the keys;
- `vectors.cfg`: JSON with the mode, `default` or `floret` (see `floret.py`). Floret vectors have no
  keys: the words in `keys`, or else in `strings.json`, are composed.

The table has the keys' words in the order of `key2row`, each with its row.

Sources: https://spacy.io/api/vectors and https://spacy.io/api/vocab.
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import Either, VectorFileError
from ...files import Source, open_source
from ...table import EmbeddingTable, Origin
from ..common.arguments import check_limit, wanted_keys
from ..common.float_rows import as_float32, source_dtype
from ..common.folders import MAX_SIZE, folder_provenance, missing_folder, read_json
from ..common.npy import open_array
from ..common.sniff import expect
from ..common.table_building import is_utf8, make_table
from .saving import CONFIG, KEYS, STRINGS, VECTORS, save_spacy

if TYPE_CHECKING:
    from .floret import Floret

__all__ = ["load_spacy", "save_spacy"]

META = ("lang", "name", "version")
MAX_MARK = 16  # characters that floret puts before or after a word


def load_spacy(
    path: str | os.PathLike[str], keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Load the vectors of a spaCy pipeline or vocabulary.

    Args:
        path: the folder of a pipeline, of its package, of a vocabulary, or of vectors.
        keys: keep only these words. They are found by their hash, without `strings.json`. Rows
            keep the file's order; composed floret vectors follow the order of `keys`.
        limit: read only the first keys.

    Returns:
        The table. `metadata["nameless"]` counts the keys that were left out because
        `strings.json` does not have their string. Words of floret vectors have the origin
        `COMPOSED`, and `subwords` composes any other word.

    Raises:
        VectorFileError: the folder is not one of spaCy's, holds no vectors, or a file in it is
            missing or damaged.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_spacy(table, "vectors")
        >>> fe.load_spacy("vectors")["bad"]
        array([0., 1.], dtype=float32)
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
            f"the mode is {mode!r:.50}",
            where=folder / CONFIG,
            value=mode,
            remedy='write a JSON object with the mode, {"mode": "default"} or {"mode": "floret"}',
        )
    with open_source(folder / VECTORS) as source:
        matrix = _matrix(source)
        source.refuse_bomb(4 * matrix.size)
        metadata = folder_provenance(source, path, "spacy") | source_dtype(matrix.dtype)
    if mode == "floret":
        words = list(dict.fromkeys(_strings(folder) if keys is None else keys))
        return _composed(_floret(matrix, config, folder / CONFIG), words[:limit], metadata)
    hashes, rows = read_key2row(folder / KEYS)
    if len(rows) and rows.max() >= len(matrix):
        raise VectorFileError(
            f"a key has the row {rows.max():,}, but {VECTORS} has {len(matrix):,} rows",
            where=folder / KEYS,
            value=int(rows.max()),
            remedy="use the two files of one vocabulary",
        )
    hashes, rows = hashes[:limit], rows[:limit]
    words = [*_strings(folder), *SYMBOLS] if wanted is None else list(wanted)
    words, at = _words_of(hashes, words)
    if wanted is None and (nameless := len(hashes) - len(words)):
        metadata["nameless"] = str(nameless)
    vectors = as_float32(_rows(matrix, rows[at]), str(folder / VECTORS), rows[at])
    return make_table(words, np.ascontiguousarray(vectors), metadata)


def _vocab_folder(path: Path) -> Path:
    """Return the folder that holds the vectors of a vocabulary, a pipeline or its package."""
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
        path,
        "spacy",
        "one of spaCy vectors",
        "pass the folder of a pipeline, or the one with key2row",
    )


def _matrix(source: Source) -> npt.NDArray[Any]:
    """Return the array in `vectors` as a read-only view of the file."""
    expect(source, "numpy")
    array = open_array(source.name, io.BytesIO(), source.read_all())
    if not array.is_matrix:
        raise VectorFileError(
            f"the array is {array}, not numbers of shape (R, D)",
            where=source.name,
            remedy="copy the file from its vocabulary again",
        )
    if 0 in array.shape or array.shape[1] > MAX_SIZE:
        raise VectorFileError(
            f"the array is {array.shape[0]:,} x {array.shape[1]:,}, so there are no vectors",
            where=source.name,
            value=array.shape,
            remedy="use a pipeline that has vectors, such as one of size md or lg",
        )
    return array.read()


def _strings(folder: Path) -> list[str]:
    """Return the list in `strings.json`."""
    if not (folder / STRINGS).is_file():
        raise VectorFileError(
            f"this folder has no {STRINGS}, so the words of its keys are unknown",
            where=folder,
            remedy=(
                f"copy {STRINGS} from the vocabulary, or name the words: ",
                Either(
                    "load_spacy(path, keys=[...])",
                    "finetune-embed convert FOLDER vectors.safetensors --keys WORDS.txt",
                ),
            ),
        )
    strings = read_json(folder / STRINGS)
    if not isinstance(strings, list) or not all(type(string) is str for string in strings):
        raise VectorFileError(
            "this is not a list of strings",
            where=folder / STRINGS,
            remedy="copy the file from its vocabulary again",
        )
    return strings


def _words_of(
    hashes: npt.NDArray[np.uint64], words: list[str]
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the words with the given hashes, and the positions of the hashes that have a word."""
    from .hashing import spacy_keys

    words = [word for word in words if is_utf8(word)]
    if not words:
        return [], np.empty(0, np.int64)
    own = spacy_keys(words)
    order = np.argsort(own, kind="stable")
    places = np.searchsorted(own, hashes, sorter=order)
    nearest = order[np.minimum(places, len(order) - 1)]
    at = np.flatnonzero(own[nearest] == hashes)
    return [words[row] for row in nearest[at].tolist()], at


def _rows(matrix: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return some rows, as a view if they are the first ones in order."""
    if np.array_equal(rows, np.arange(len(rows))):
        return matrix[: len(rows)]
    return matrix[rows]


def _floret(matrix: npt.NDArray[Any], config: dict[str, Any], path: Path) -> Floret:
    """Return the subword model of floret vectors.

    Raises:
        VectorFileError: a setting is not valid.
    """
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
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(names, numbers, strict=True))
        raise VectorFileError(
            f"{shown}, bow={marks[0]!r}, eow={marks[1]!r} are not valid settings of floret",
            where=path,
            remedy=(
                "floret needs 0 <= minn <= maxn, a hash_count of 1 to 4, a hash_seed of 32 bits, "
                f"and marks (bow and eow) of at most {MAX_MARK} characters"
            ),
        )
    return Floret(matrix, *numbers, *marks)


def _composed(floret: Floret, words: list[str], metadata: dict[str, str]) -> EmbeddingTable:
    """Return a table of composed vectors, without the words that can't be composed."""
    vectors, composed = floret.compose(words)
    if not composed.all():
        vectors = vectors[composed]
        words = [word for word, made in zip(words, composed.tolist(), strict=True) if made]
    table = EmbeddingTable(words, vectors, metadata, np.full(len(words), Origin.COMPOSED))
    table.subwords = floret
    return table
