"""gensim's own files: what `KeyedVectors.save`, `Word2Vec.save` or `FastText.save` wrote.

A Python pickle, of which large arrays may lie in `.npy` files beside it. To unpickle is to run
what the file says, so it is read only when asked for by name, `allow_pickle=True`, and by gensim
itself: what the installed gensim opens, this opens. Of a model the word vectors are taken, `wv`.
They are not written here; `table.to_keyed_vectors().save(path)` does.

Source: https://radimrehurek.com/gensim/models/keyedvectors.html.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError, missing_extra
from ..files import STDIN, Source, open_source
from ..table import EmbeddingTable, Vectors
from .common.composed import with_composed
from .common.npy import as_float32, source_dtype
from .common.sniff import expect
from .common.table_building import check_limit, make_table, provenance

__all__ = ["load_gensim", "refuse"]


def load_gensim(
    path: str | os.PathLike[str],
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    allow_pickle: bool = False,
) -> EmbeddingTable:
    """Load the word vectors of a file that gensim saved.

    Args:
        path: the file, the arrays it needs beside it.
        keys: keep only these words, in the file's order. Words that fastText vectors lack are
            composed and follow in the order of `keys`; their `origin` is `COMPOSED`.
        limit: only the first rows.
        allow_pickle: unpickle the file, which may run any code; say so only of files you trust.

    Returns:
        The table. `metadata["nameless"]` counts rows without a word, which gensim 4 leaves where
        a text file had a word twice. With fastText vectors, `subwords` composes further words.

    Raises:
        MissingPackageError: gensim is not installed.
        VectorFileError: `allow_pickle` is not True, the file is missing or no pickle, gensim can't
            open it, or it holds no word vectors.
    """
    check_limit(limit)
    if not isinstance(path, (str, os.PathLike)) or path == STDIN:
        raise VectorFileError(
            "gensim looks for arrays beside its file; save it to a folder and pass its path"
        )
    with open_source(path) as source:
        expect(source, "gensim")
        if allow_pickle is not True:
            raise refusal(source)
        metadata = provenance(source, "gensim")
    keyed = _keyed_vectors(Path(path))
    words: Any = getattr(keyed, "index_to_key", None)
    vectors: Any = getattr(keyed, "vectors", None)
    if not isinstance(words, list):
        raise VectorFileError(f"{path}: its words are not a list; it is damaged")
    sound = isinstance(vectors, np.ndarray) and vectors.ndim == 2 and vectors.dtype.kind == "f"
    if not sound or len(words) != len(vectors) or not vectors.size:
        raise VectorFileError(f"{path}: its {len(words):,} words have no vectors; it is damaged")
    if any(type(word) is not str for word in words):
        words, vectors = _named(words, vectors, metadata, str(path))
    metadata |= source_dtype(vectors.dtype)
    vectors = as_float32(vectors, str(path), range(len(vectors)))
    table = make_table(words, vectors, metadata, keys, limit)
    if hasattr(keyed, "vectors_ngrams"):
        subwords = _FastText(keyed)
        known = set(words)
        lacking = [word for word in dict.fromkeys(keys or ()) if word not in known]
        table = with_composed(table, lacking, *subwords.compose(lacking)) if lacking else table
        table.subwords = subwords
    return table


def refuse(
    source: Source, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Refuse a pickle that `load_vectors` came upon."""
    raise refusal(source)


def refusal(source: Source) -> VectorFileError:
    """Return the error that says how a pickle is read."""
    return VectorFileError(
        f"{source.name} is a Python pickle, which can run any code when it is opened; if it is a "
        "gensim model and you trust it, use load_gensim(path, allow_pickle=True)"
    )


def _keyed_vectors(path: Path) -> Any:
    """Return the `KeyedVectors` in a file, of whatever class gensim has for them."""
    try:
        from gensim.models import KeyedVectors
        from gensim.utils import SaveLoad
    except ImportError as error:
        raise missing_extra("gensim") from error

    try:
        with warnings.catch_warnings(action="ignore"):  # of modules that old pickles name
            found: Any = SaveLoad.load(str(path))
            for name in ("wv", "kv"):
                if not isinstance(found, KeyedVectors):
                    found = getattr(found, name, found)
    except Exception as error:  # a pickle may raise anything
        raise VectorFileError(
            f"{path}: the installed gensim can't open it ({type(error).__name__}: {error}); open "
            "it with the version that wrote it, and save it as save_word2vec_format does"
        ) from error
    if not isinstance(found, KeyedVectors):
        raise VectorFileError(
            f"{path} holds an object of the class {type(found).__name__}, which has no word vectors"
        )
    return found


def _named(
    words: Sequence[Any], vectors: npt.NDArray[Any], metadata: dict[str, str], name: str
) -> tuple[list[str], npt.NDArray[Any]]:
    """Leave out the rows without a word, and count them."""
    rows = [row for row, word in enumerate(words) if word is not None]
    odd = next((words[row] for row in rows if type(words[row]) is not str), None)
    if odd is not None:
        raise VectorFileError(f"{name}: the key {odd!r} is not a string, so these are no words")
    metadata["nameless"] = str(len(words) - len(rows))
    return [words[row] for row in rows], vectors[rows]


class _FastText:
    """Composes words from the n-grams of gensim's `FastTextKeyedVectors`."""

    def __init__(self, keyed: Any) -> None:
        self._keyed = keyed

    def compose(self, words: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Return vectors `(n, D)` and which words could be composed, bool `(n,)`."""
        vectors = np.zeros((len(words), self._keyed.vector_size), np.float32)
        for row, word in enumerate(words):
            try:
                vectors[row] = self._keyed.get_vector(word)
            except (KeyError, UnicodeEncodeError):
                continue
        return vectors, np.asarray(vectors.any(axis=1))
