"""fastText's word vectors: the mean of a word's own row and the rows of its n-grams of characters.

See `formats/fasttext/__init__.py` for what the n-grams of a word are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...table import Subwords, Vectors, as_bytes
from ..common.kernels import THREADS, in_order
from .dictionary import spans
from .model import UNSIGNED, Args, Model

__all__ = ["FastTextSubwords", "compose", "encodable", "has_subwords", "vectors_of"]

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

FNV_BASIS = np.uint32(2_166_136_261)
FNV_PRIME = np.uint32(16_777_619)
EOS = np.frombuffer(b"</s>", np.uint8)
MAX_NGRAMS = 1 << 20  # of one word
GROUP_BYTES = 1 << 24  # of rows held at a time by a thread, for a small table
NGRAM_BYTES = 64  # that it takes to find one
LANE = 1 << 18  # numbers summed at a time, so that they stay in the cache
STEP = 256  # rows of a matrix read by all threads before pages are given back, for a small table
FEW = 16  # bytes of a character; more are no UTF-8


class FastTextSubwords(Subwords):
    """Composes vectors from the n-gram rows of a model, which stay in its file.

    Args:
        model: a model that has such rows.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def compose(self, words: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Return vectors `(n, D)`, and which of the words have any, bool `(n,)`.

        A word of the model's dictionary, if the table was read without it, gets its vector there.
        """
        vectors = np.zeros((len(words), self._model.args.dim), np.float32)
        made = np.zeros(len(words), np.bool_)
        encoded, places = encodable(words)
        rows = self._model.dictionary.rows_of(encoded)
        known = np.flatnonzero((rows >= 0) & (rows < self._model.dictionary.nwords))
        vectors[places[known]] = vectors_of(self._model, rows[known])
        made[places[known]] = True
        lacking = np.flatnonzero(rows < 0)
        composed, could = compose(self._model, [encoded[at] for at in lacking.tolist()])
        vectors[places[lacking]], made[places[lacking]] = composed, could
        return vectors, made


def encodable(words: Sequence[str]) -> tuple[list[bytes], Ints]:
    """Return the bytes of the words that have any in a file, and the places of these words."""
    encoded = [(at, word) for at, key in enumerate(words) if (word := as_bytes(key)) is not None]
    return [word for _, word in encoded], np.array([at for at, _ in encoded], np.int64)


def has_subwords(model: Model) -> bool:
    """Tell whether a model has rows of n-grams of characters."""
    args, pruned = model.args, model.dictionary.pruned
    left = args.bucket if pruned is None else pruned.shape[1]
    return args.maxn >= max(args.minn, 1) and args.bucket > 0 and left > 0


def vectors_of(model: Model, rows: Ints) -> Vectors:
    """Return the vectors `(n, D)` of dictionary words, as fastText's `getWordVector` gives them.

    Raises:
        VectorFileError: a word is so long that it has over a million n-grams.
    """
    dictionary = model.dictionary
    starts, stops = dictionary.starts[rows], dictionary.stops[rows]
    work = _work(model, starts, stops)
    if len(work) and (most := int(work.argmax())) >= 0 and work[most] > MAX_NGRAMS:
        raise VectorFileError(
            f"entry {int(rows[most]) + 1:,} of the dictionary, at byte {int(starts[most]):,}, has "
            f"{int(stops[most] - starts[most]):,} bytes and so up to {int(work[most]):,} n-grams; "
            f"more than {MAX_NGRAMS:,} are no word; the file is damaged"
        )
    vectors = np.empty((len(rows), model.args.dim), np.float32)
    _fill(model, dictionary.data, starts, stops, rows, vectors)
    return vectors


def compose(model: Model, words: list[bytes]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Return vectors `(n, D)` of words that the dictionary lacks, and which have any, bool `(n,)`.

    Words so long that they have over a million n-grams have none here.
    """
    data = np.frombuffer(b"\0" + b"\0".join(words) + b"\0", np.uint8)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    stops = np.cumsum(lengths + 1)
    starts = stops - lengths
    vectors = np.zeros((len(words), model.args.dim), np.float32)
    made = np.zeros(len(words), np.bool_)
    if has_subwords(model):
        fit = np.flatnonzero(_work(model, starts, stops) <= MAX_NGRAMS)
        found = np.empty((len(fit), model.args.dim), np.float32)
        made[fit] = _fill(model, data, starts[fit], stops[fit], None, found)
        vectors[fit] = found
    return vectors, made


def _work(model: Model, starts: Ints, stops: Ints) -> Ints:
    """Return how many n-grams each word has at most."""
    width = model.args.maxn - max(model.args.minn, 1) + 1 if has_subwords(model) else 0
    return (stops - starts + 2) * width


def _fill(
    model: Model, data: Bytes, starts: Ints, stops: Ints, own: Ints | None, vectors: Vectors
) -> npt.NDArray[np.bool_]:
    """Write the mean of each word's rows, group by group; return which words have any."""
    counts = np.zeros(len(starts), np.int64)
    step = max(STEP, vectors.nbytes >> 21) // THREADS
    most = max(GROUP_BYTES, vectors.nbytes // (3 * THREADS)) // (4 * model.args.dim + NGRAM_BYTES)

    def fill(group: slice) -> None:
        here = starts[group], stops[group]
        sizes, rows = np.zeros(len(here[0]), np.int64), np.empty(0, np.int64)
        if has_subwords(model):
            sizes, rows = _ngram_rows(model, data, *here)
        if own is not None:
            begins = np.cumsum(sizes) - sizes
            rows, sizes = np.insert(rows, begins, own[group]), sizes + 1
        counts[group] = sizes
        with np.errstate(over="ignore", invalid="ignore"):  # rows are passed on as they are
            _means(model, sizes, rows, vectors[group], step)

    for _ in in_order(fill, _groups(1 + _work(model, starts, stops), most)):
        pass
    return counts > 0


def _groups(work: Ints, most: int) -> Iterator[slice]:
    """Yield runs of words of about as much work, each of one word at least."""
    total = np.cumsum(work)
    start = 0
    while start < len(work):
        done = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + most, "right")))
        yield slice(start, stop)
        start = stop


def _ngram_rows(model: Model, data: Bytes, starts: Ints, stops: Ints) -> tuple[Ints, Ints]:
    """Return how many n-gram rows each word has, and the rows, word by word in fastText's order."""
    dictionary = model.dictionary
    counts, ids = _ngrams(model.args, data, starts, stops)
    ending = np.flatnonzero(stops - starts == len(EOS))
    ending = ending[(data[starts[ending, None] + np.arange(len(EOS))] == EOS).all(axis=1)]
    if len(ending) and model.args.version > UNSIGNED:  # the first fastText did not skip them
        skipped = np.zeros(len(counts), np.bool_)
        skipped[ending] = True
        ids = ids[np.repeat(~skipped, counts)]
        counts[ending] = 0
    if dictionary.pruned is not None:
        left, rows = dictionary.pruned
        at = np.searchsorted(left, ids, "right") - 1
        there = (at >= 0) & (left[at] == ids)
        word = np.repeat(np.arange(len(counts)), counts)
        counts = np.bincount(word[there], minlength=len(counts))
        ids = rows[at[there]]
    return counts, dictionary.nwords + ids


def _ngrams(args: Args, data: Bytes, starts: Ints, stops: Ints) -> tuple[Ints, Ints]:
    """Return how many n-grams of characters each word has, and the bucket of each.

    All words are walked at once: one step of the hash for every character that an n-gram may
    begin with, then the next. A character is a byte and the continuation bytes behind it.
    """
    lengths = stops - starts + 2
    text = spans(data, starts - 1, stops + 1)
    ends = np.cumsum(lengths)
    text[ends - lengths], text[ends - 1] = ord("<"), ord(">")
    chars = np.flatnonzero((text & 0xC0) != 0x80)
    sizes = np.diff(chars, append=len(text))
    first = np.searchsorted(chars, ends - lengths)
    word_sizes = np.diff(first, append=len(chars))
    room = np.repeat(first + word_sizes, word_sizes) - np.arange(len(chars))
    signed = text.view(np.int8).astype(np.uint32)  # fastText's hash extends the sign of a byte
    shortest = max(args.minn, 1)
    width = max(0, min(args.maxn, int(room.max(initial=0))) - shortest + 1)
    buckets = np.full((len(chars), width), -1, np.int32)
    at = np.arange(len(chars))
    hashes = np.full(len(chars), FNV_BASIS)
    for n in range(1, shortest + width):
        inside = room[at] >= n
        at, hashes = at[inside], hashes[inside]
        last = at + (n - 1)
        _hash_characters(hashes, signed, chars[last], sizes[last])
        if n >= shortest:
            buckets[at, n - shortest] = hashes % np.uint32(args.bucket)
    if shortest == 1 and width:  # "<" and ">" alone are no n-grams
        buckets[first, 0] = buckets[first + word_sizes - 1, 0] = -1
    there = buckets >= 0
    counts = np.add.reduceat(there.sum(axis=1), first) if len(first) else first
    return counts, buckets[there].astype(np.int64)


def _hash_characters(
    hashes: npt.NDArray[np.uint32], signed: npt.NDArray[np.uint32], begins: Ints, sizes: Ints
) -> None:
    """Take one character more into each hash, in place (FNV-1a of 32 bits)."""
    hashes ^= signed[begins]
    hashes *= FNV_PRIME
    more = np.flatnonzero(sizes > 1)
    for k in range(1, FEW):
        if not len(more):
            return
        hashes[more] = (hashes[more] ^ signed[begins[more] + k]) * FNV_PRIME
        more = more[sizes[more] > k + 1]
    for which in more.tolist():
        begin, size, value = int(begins[which]), int(sizes[which]), int(hashes[which])
        for byte in signed[begin + FEW : begin + size].tolist():
            value = (value ^ byte) * int(FNV_PRIME) & 0xFFFFFFFF
        hashes[which] = value


def _means(model: Model, counts: Ints, rows: Ints, vectors: Vectors, step: int) -> None:
    """Write the mean of each word's rows, summed one after the other in float32 as fastText does.

    Args:
        model: whose matrix has the rows.
        counts: int64 `(n,)`, how many rows each word has; the mean of none is zero.
        rows: the rows, word by word.
        vectors: `(n, D)`, to be written.
        step: after how many rows pages of the file are given back.
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
