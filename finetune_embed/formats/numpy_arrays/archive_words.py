"""Finds the arrays of vectors and words in an `.npz` archive."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ...errors import Either, VectorFileError
from ...files import Source
from ...table import PackedWords
from ..common.npy import StoredArray
from .wordlist import array_words, beside

__all__ = [
    "OFFSETS",
    "UTF8",
    "VECTORS",
    "WORDS",
    "check_count",
    "objects_error",
    "pick_array",
    "words_inside",
]

VECTORS, WORDS, UTF8, OFFSETS = "vectors", "words", "words_utf8", "words_offsets"
FEW = 8  # words; as many as numbers in a vector, they are no coincidence


def pick_array(
    source: Source, arrays: dict[str, StoredArray], name: str, fitting: Collection[str]
) -> str:
    """Return `name` if it is among the arrays that fit, or else the only one that fits.

    Raises:
        VectorFileError: no array fits, or several do.
    """
    if name in fitting:
        return name
    if len(fitting) == 1:
        return next(iter(fitting))
    listed = ", ".join(f"{known} {array}" for known, array in list(arrays.items())[:10])
    if not fitting and any(array.dtype.hasobject for array in arrays.values()):
        raise objects_error(f"{source.name} ({listed})")
    raise VectorFileError(
        f"{'several arrays' if fitting else 'no array'} can be the {name}: {listed}",
        where=source.name,
        remedy="save it with numpy.savez(path, vectors=vectors, words=words): an array (V, D) of "
        "floats and an array (V,) of str",
    )


def objects_error(name: str) -> VectorFileError:
    """Return the error for an array that needs pickle."""
    return VectorFileError(
        "this holds Python objects, which need pickle, and a pickle can run any code",
        where=name,
        remedy=(
            "if you trust it, load it with numpy.load(path, allow_pickle=True) and ",
            Either(
                "pass EmbeddingTable(list(words), vectors)",
                "save it with numpy.savez(path, vectors=vectors, words=list(words))",
            ),
        ),
    )


def words_inside(
    source: Source, arrays: dict[str, StoredArray], vectors: StoredArray
) -> list[str] | None:
    """Return the words in an archive; None if there are none."""
    rows = vectors.shape[0]
    texts = [name for name, array in arrays.items() if array.is_words]
    if WORDS not in texts and UTF8 in arrays and OFFSETS in arrays:
        return _unpacked(arrays[UTF8], arrays[OFFSETS])
    if len(texts) > 1 and WORDS not in texts:
        texts = [name for name in texts if arrays[name].shape[0] == rows] or texts
    if texts:
        words = arrays[pick_array(source, arrays, WORDS, texts)]
        check_count(vectors, words.shape[0], words.name)  # before they take memory
        return array_words(words)
    found = next((array for array in arrays.values() if array.dtype.hasobject), None)
    if found is not None and beside(source) is None:
        raise objects_error(found.name)
    return None


def _unpacked(utf8: StoredArray, offsets: StoredArray) -> list[str]:
    """Return the words that are stored as UTF-8 and offsets, since they don't fit a `U` array."""
    for array, dtype in ((utf8, np.uint8), (offsets, np.int64)):
        if array.dtype != dtype or len(array.shape) != 1:
            raise VectorFileError(
                f"this is {array}, but {np.dtype(dtype)} with one dimension is needed",
                where=array.name,
            )
    data, at = utf8.read(), offsets.read()
    if not len(at) or at[0] != 0 or at[-1] != len(data) or not (at[1:] >= at[:-1]).all():
        raise VectorFileError(
            f"this does not divide the {len(data):,} bytes of {UTF8} into words",
            where=offsets.name,
            remedy="the file is damaged; fetch it again",
        )
    return list(PackedWords(data.tobytes(), at))


def check_count(vectors: StoredArray, words: int, name: str) -> None:
    """Check that there is one word for each vector.

    Raises:
        VectorFileError: there are more or fewer words.
    """
    if vectors.shape[0] != words == vectors.shape[-1] and words >= FEW:
        raise VectorFileError(
            f"this holds {vectors.shape[0]:,} vectors of {words:,} numbers, but {name} has "
            f"{words:,} words",
            where=vectors.name,
            value=words,
            remedy="the vectors are columns, not rows: transpose the array and save it again",
        )
    if words != vectors.shape[0]:
        raise VectorFileError(
            f"this holds {vectors.shape[0]:,} vectors, but {name} has {words:,} words",
            where=vectors.name,
            value=words,
            remedy=Either(
                "pass the list that belongs to it: load_numpy(path, words=...)",
                "put the list that belongs to it there",
            ),
        )
