"""fastText's word vectors: the mean of a word's own row and the rows of its character n-grams.

See `formats/fasttext/__init__.py` for the definition of the n-grams, `ngrams.py` for their hashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...table import Subwords, Vectors, as_bytes
from ..common.kernels import THREADS, in_order
from .model import Model
from .ngrams import has_subwords, most_ngrams, ngram_rows

__all__ = ["FastTextSubwords", "compose", "encodable", "vectors_of"]

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

MAX_NGRAMS = 1 << 20  # of one word
GROUP_BYTES = 1 << 24  # of rows that a thread holds at a time; more for a large table
NGRAM_BYTES = 64  # of memory needed to find one n-gram
LANE = 1 << 18  # numbers summed at a time; they fit in the cache
STEP = 256  # rows read by all threads before pages are released; more for a large table


class FastTextSubwords(Subwords):
    """Composes vectors from the n-gram rows of a model, which stay in its file.

    Args:
        model: a model that has n-gram rows.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def compose(self, words: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Return vectors `(n, D)`, and which of the words have one, bool `(n,)`.

        A word of the model's dictionary gets its vector there, even if the table was read without
        it.
        """
        vectors = np.zeros((len(words), self._model.args.dim), np.float32)
        made = np.zeros(len(words), np.bool_)
        encoded, places = encodable(words)
        rows = self._model.dictionary.rows_of(encoded)
        known = np.flatnonzero((rows >= 0) & (rows < self._model.dictionary.nwords))
        vectors[places[known]] = vectors_of(self._model, rows[known])
        made[places[known]] = True
        missing = np.flatnonzero(rows < 0)
        composed = compose(self._model, [encoded[at] for at in missing.tolist()])
        vectors[places[missing]], made[places[missing]] = composed
        return vectors, made


def encodable(words: Sequence[str]) -> tuple[list[bytes], Ints]:
    """Return the bytes of the words that a file can hold, and the positions of these words."""
    encoded = [(at, word) for at, key in enumerate(words) if (word := as_bytes(key)) is not None]
    return [word for _, word in encoded], np.array([at for at, _ in encoded], np.int64)


def vectors_of(model: Model, rows: Ints) -> Vectors:
    """Return the vectors `(n, D)` of dictionary words, equal to fastText's `getWordVector`.

    Raises:
        VectorFileError: a word is so long that it has over a million n-grams.
    """
    dictionary = model.dictionary
    starts, stops = dictionary.starts[rows], dictionary.stops[rows]
    ngrams = most_ngrams(model, starts, stops)
    if len(ngrams) and ngrams.max() > MAX_NGRAMS:
        at = int(ngrams.argmax())
        raise VectorFileError(
            f"entry {int(rows[at]) + 1:,} of the dictionary, at byte {int(starts[at]):,}, has "
            f"{int(stops[at] - starts[at]):,} bytes, so up to {int(ngrams[at]):,} n-grams; a word "
            f"has {MAX_NGRAMS:,} at most",
            where=model.name,
            remedy="the file is damaged; fetch it again",
        )
    vectors = np.empty((len(rows), model.args.dim), np.float32)
    _fill(model, dictionary.data, starts, stops, rows, vectors)
    return vectors


def compose(model: Model, words: list[bytes]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Return vectors `(n, D)` of words not in the dictionary, and which have one, bool `(n,)`.

    Words so long that they have over a million n-grams get none.
    """
    data = np.frombuffer(b"\0" + b"\0".join(words) + b"\0", np.uint8)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    stops = np.cumsum(lengths + 1)
    starts = stops - lengths
    vectors = np.zeros((len(words), model.args.dim), np.float32)
    made = np.zeros(len(words), np.bool_)
    if has_subwords(model):
        fit = np.flatnonzero(most_ngrams(model, starts, stops) <= MAX_NGRAMS)
        found = np.empty((len(fit), model.args.dim), np.float32)
        made[fit] = _fill(model, data, starts[fit], stops[fit], None, found)
        vectors[fit] = found
    return vectors, made


def _fill(
    model: Model, data: Bytes, starts: Ints, stops: Ints, own: Ints | None, vectors: Vectors
) -> npt.NDArray[np.bool_]:
    """Write the mean of each word's rows, group by group; return which words have a row."""
    counts = np.zeros(len(starts), np.int64)
    step = max(STEP, vectors.nbytes >> 21) // THREADS
    most = max(GROUP_BYTES, vectors.nbytes // (3 * THREADS)) // (4 * model.args.dim + NGRAM_BYTES)

    def fill(group: slice) -> None:
        here = starts[group], stops[group]
        sizes, rows = np.zeros(len(here[0]), np.int64), np.empty(0, np.int64)
        if has_subwords(model):
            sizes, rows = ngram_rows(model, data, *here)
        if own is not None:
            begins = np.cumsum(sizes) - sizes
            rows, sizes = np.insert(rows, begins, own[group]), sizes + 1
        counts[group] = sizes
        with np.errstate(over="ignore", invalid="ignore"):  # NaN and inf in a row stay
            _means(model, sizes, rows, vectors[group], step)

    for _ in in_order(fill, _groups(1 + most_ngrams(model, starts, stops), most)):
        pass
    return counts > 0


def _groups(sizes: Ints, most: int) -> Iterator[slice]:
    """Yield runs of words whose sizes add up to `most` or less, or of one word that is larger."""
    total = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        done = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + most, "right")))
        yield slice(start, stop)
        start = stop


def _means(model: Model, counts: Ints, rows: Ints, vectors: Vectors, step: int) -> None:
    """Write the mean of each word's rows, summed one after the other in float32 as in fastText.

    Args:
        model: the model whose matrix has the rows.
        counts: int64 `(n,)`, the number of rows of each word; a word without rows gets zeros.
        rows: the rows, word by word.
        vectors: `(n, D)`, the output.
        step: the number of rows after which pages of the file are released.
    """
    marked = np.zeros(model.matrix.shape[0], np.bool_)
    marked[rows] = True
    distinct = np.flatnonzero(marked)
    place = np.empty(len(marked), np.int32)
    place[distinct] = np.arange(len(distinct))
    local, held = place[rows], model.matrix.rows(distinct, step)
    order = np.argsort(-counts, kind="stable")
    begins = np.cumsum(counts) - counts
    lane = max(16, LANE // vectors.shape[1])
    for at in range(0, len(order), lane):
        words = order[at : at + lane]
        begin, count = begins[words], counts[words]
        sums = np.zeros((len(words), vectors.shape[1]), np.float32)
        active = np.searchsorted(-count, -np.arange(count[0]))
        for k, some in enumerate(active.tolist()):
            sums[:some] += held.take(local[begin[:some] + k], axis=0)
        sums *= (1.0 / np.maximum(count, 1)).astype(np.float32)[:, None]
        vectors[words] = sums
