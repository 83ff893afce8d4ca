"""gensim's own files, written by `KeyedVectors.save`, `Word2Vec.save` or `FastText.save`.

Such a file is a Python pickle; large arrays may be in `.npy` files beside it. Unpickling can run
any code, so a file is read only with `allow_pickle=True`. The installed gensim opens it. From a
model, the word vectors `wv` are read. Written: the pickle of a `KeyedVectors`, with its arrays
inside, as `KeyedVectors.save` writes it to an open file.

Source: https://radimrehurek.com/gensim/models/keyedvectors.html.
"""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ..errors import Either, VectorFileError, optional_packages
from ..files import STDIN, Source, atomic_write, open_source
from ..table import EmbeddingTable, Vectors
from .common.arguments import check_limit
from .common.composed import with_composed
from .common.float_rows import as_float32, source_dtype
from .common.npy import open_array
from .common.saving import check_keys, check_name
from .common.sniff import expect
from .common.table_building import make_table, provenance
from .numpy_arrays.npz import open_archive

__all__ = ["load_gensim", "refuse", "save_gensim"]

PROTOCOL = 4  # of pickle, as gensim has it


def load_gensim(
    path: str | os.PathLike[str],
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    allow_pickle: bool = False,
) -> EmbeddingTable:
    """Load the word vectors of a file that gensim saved.

    Args:
        path: the file, in one folder with the arrays that gensim saved beside it.
        keys: keep only these words, in the file's order. If the file holds fastText vectors, other
            words are composed and follow in the order of `keys` with the `origin` `COMPOSED`.
        limit: read only the first rows.
        allow_pickle: unpickle the file, which can run any code. Use it only for files you trust.

    Returns:
        The table. `metadata["nameless"]` counts rows without a word, which gensim 4 makes of
        duplicate words in a text file. With fastText vectors, `subwords` composes other words.

    Raises:
        VectorFileError: `allow_pickle` is not True, the file is missing or not a pickle, gensim
            can't open it, or it holds no word vectors.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> table.to_keyed_vectors().save("words.kv")  # a pickle
        >>> fe.load_gensim("words.kv", allow_pickle=True)["bad"]
        array([0., 1.], dtype=float32)
    """
    check_limit(limit)
    if not isinstance(path, (str, os.PathLike)) or path == STDIN:
        raise VectorFileError(
            "must be a path: gensim looks for arrays beside the file",
            option="path",
            value=path,
            remedy="save the file to a folder and pass its path",
        )
    with open_source(path) as source:
        expect(source, "gensim")
        if allow_pickle is not True:
            refuse(source)
        metadata = provenance(source, "gensim")
    _check_arrays(Path(path))
    keyed = _keyed_vectors(Path(path))
    words, vectors = _words_and_vectors(keyed, Path(path))
    if len(words) < len(keyed.index_to_key):
        metadata["nameless"] = str(len(keyed.index_to_key) - len(words))
    metadata |= source_dtype(vectors.dtype)
    vectors = as_float32(vectors, str(path), range(len(vectors)))
    table = make_table(words, vectors, metadata, keys, limit)
    if hasattr(keyed, "vectors_ngrams"):
        subwords = _FastText(keyed)
        known = set(words)
        missing = [word for word in dict.fromkeys(keys or ()) if word not in known]
        table = with_composed(table, missing, *subwords.compose(missing)) if missing else table
        table.subwords = subwords
    return table


def refuse(
    source: Source, keys: Collection[str] | None = None, limit: int | None = None
) -> NoReturn:
    """Refuse a pickle, with the arguments of other readers."""
    raise VectorFileError(
        "this is a Python pickle, which can run any code when it is opened",
        where=source.name,
        remedy=(
            "if it is a gensim model and you trust it, ",
            Either(
                "use load_gensim(path, allow_pickle=True)",
                "write its vectors to another file in Python: save_safetensors(load_gensim(path, "
                "allow_pickle=True), 'vectors.safetensors')",
            ),
        ),
    )


def _check_arrays(path: Path) -> None:
    """Check the arrays that gensim saved beside a file, before gensim takes memory for them.

    Raises:
        VectorFileError: one is damaged, cut short, or not an array.
    """
    for place in sorted(path.parent.iterdir()):
        beside = place.name.startswith(f"{path.name}.") and place.is_file()
        if not beside or place.suffix not in (".npy", ".npz"):
            continue
        with open_source(place) as source:
            if expect(source, "numpy", "numpy-archive") == "numpy-archive":
                with open_archive(source):  # checks its arrays
                    continue
            array = open_array(source.name, io.BytesIO(), source.read_all())
            if not array.dtype.hasobject:
                array.read()


def _keyed_vectors(path: Path) -> Any:
    """Return the `KeyedVectors` in a file, or an object of a subclass."""
    with optional_packages("gensim"):
        from gensim.models import KeyedVectors
        from gensim.utils import SaveLoad
    try:
        with warnings.catch_warnings(action="ignore"):  # about old module names in pickles
            found: Any = SaveLoad.load(str(path))
            for name in ("wv", "kv"):
                if not isinstance(found, KeyedVectors):
                    found = getattr(found, name, found)
    except FileNotFoundError as error:
        missing = Path(str(error.filename))
        raise VectorFileError(
            f"{missing.name} is missing: gensim saved an array of this model in that file beside "
            "it",
            where=path,
            remedy=f"put {missing.name} into the same folder",
        ) from error
    except Exception as error:  # a pickle may raise anything
        raise VectorFileError(
            f"the installed gensim can't open this file ({type(error).__name__}: {error})",
            where=path,
            remedy="open it with the gensim that wrote it, and save it with save_word2vec_format",
        ) from error
    if not isinstance(found, KeyedVectors):
        raise VectorFileError(
            f"this is an object of the class {type(found).__name__}, which has no word vectors",
            where=path,
            remedy="load a file that KeyedVectors, Word2Vec or FastText saved",
        )
    return found


def _words_and_vectors(keyed: Any, path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    """Return the words of a `KeyedVectors` and their vectors; rows without a word are left out."""
    words: Any = getattr(keyed, "index_to_key", None)
    vectors: Any = getattr(keyed, "vectors", None)
    if not isinstance(words, list):
        raise _damaged("the words are not a list", path)
    is_matrix = isinstance(vectors, np.ndarray) and vectors.ndim == 2 and vectors.dtype.kind == "f"
    if not is_matrix or len(words) != len(vectors) or not vectors.size:
        raise _damaged(f"the {len(words):,} words have no vectors", path)
    if all(type(word) is str for word in words):
        return words, vectors
    rows = [row for row, word in enumerate(words) if word is not None]
    odd = next((words[row] for row in rows if type(words[row]) is not str), None)
    if odd is not None:
        raise VectorFileError(
            f"the key {odd!r} is not a string",
            where=path,
            value=odd,
            remedy="load a file whose keys are words",
        )
    return [words[row] for row in rows], vectors[rows]


def _damaged(what: str, path: Path) -> VectorFileError:
    return VectorFileError(
        what, where=path, remedy="the file is damaged; save it again with gensim"
    )


class _FastText:
    """Composes words from the n-grams of gensim's `FastTextKeyedVectors`."""

    def __init__(self, keyed: Any) -> None:
        self._keyed = keyed

    def compose(self, words: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Return vectors `(n, D)`, and which words could be composed, bool `(n,)`."""
        vectors = np.zeros((len(words), self._keyed.vector_size), np.float32)
        for row, word in enumerate(words):
            try:
                vectors[row] = self._keyed.get_vector(word)
            except (KeyError, UnicodeEncodeError):
                continue
        return vectors, np.asarray(vectors.any(axis=1))


def save_gensim(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table as the file that `gensim.models.KeyedVectors.load(path)` opens, a pickle.

    It appears whole, with its arrays inside; `table.to_keyed_vectors().save(path)` writes those of
    a large table beside it, where gensim can map them.

    Raises:
        VectorFileError: the table has no rows or no columns, or the file cannot be written.
        VocabularyError: a word is in two rows.
        MissingPackageError: gensim is not installed.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_gensim(table, "words.kv")
        >>> from gensim.models import KeyedVectors
        >>> KeyedVectors.load("words.kv")["bad"]
        array([0., 1.], dtype=float32)
    """
    check_name(path)
    check_keys(table, "a file of gensim", "")
    keyed = table.to_keyed_vectors()
    with atomic_write(path) as file:
        pickle.dump(keyed, file, PROTOCOL)
