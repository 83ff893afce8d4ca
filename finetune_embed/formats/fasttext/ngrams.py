"""The n-grams of fastText words and the rows of a model that they hash to.

See `formats/fasttext/__init__.py` for the definition of the n-grams.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .dictionary import spans
from .model import UNSIGNED, Args, Model

__all__ = ["has_subwords", "most_ngrams", "ngram_rows"]

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

FNV_BASIS = np.uint32(2_166_136_261)
FNV_PRIME = np.uint32(16_777_619)
EOS = np.frombuffer(b"</s>", np.uint8)
FEW = 16  # bytes of a character that are hashed together; only invalid UTF-8 has more


def has_subwords(model: Model) -> bool:
    """Return whether a model has rows for character n-grams."""
    args, pruned = model.args, model.dictionary.pruned
    left = args.bucket if pruned is None else pruned.shape[1]
    return args.maxn >= max(args.minn, 1) and args.bucket > 0 and left > 0


def most_ngrams(model: Model, starts: Ints, stops: Ints) -> Ints:
    """Return an upper bound of the number of n-grams of each word."""
    width = model.args.maxn - max(model.args.minn, 1) + 1 if has_subwords(model) else 0
    return (stops - starts + 2) * width


def ngram_rows(model: Model, data: Bytes, starts: Ints, stops: Ints) -> tuple[Ints, Ints]:
    """Return the number of n-gram rows of each word, and the rows in fastText's order."""
    dictionary = model.dictionary
    counts, ids = _ngrams(model.args, data, starts, stops)
    eos = np.flatnonzero(stops - starts == len(EOS))
    eos = eos[(data[starts[eos, None] + np.arange(len(EOS))] == EOS).all(axis=1)]
    if len(eos) and model.args.version > UNSIGNED:  # the first fastText kept them
        skipped = np.zeros(len(counts), np.bool_)
        skipped[eos] = True
        ids = ids[np.repeat(~skipped, counts)]
        counts[eos] = 0
    if dictionary.pruned is not None:
        left, rows = dictionary.pruned
        at = np.searchsorted(left, ids, "right") - 1
        there = (at >= 0) & (left[at] == ids)
        word = np.repeat(np.arange(len(counts)), counts)
        counts = np.bincount(word[there], minlength=len(counts))
        ids = rows[at[there]]
    return counts, dictionary.nwords + ids


def _ngrams(args: Args, data: Bytes, starts: Ints, stops: Ints) -> tuple[Ints, Ints]:
    """Return the number of character n-grams of each word, and the bucket of each n-gram.

    All words are hashed at once: each pass extends the n-grams that begin at every character by
    one character. A character is a byte and the continuation bytes after it.
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
    signed = text.view(np.int8).astype(np.uint32)  # fastText's hash sign-extends bytes
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
    if shortest == 1 and width:  # "<" and ">" alone are not n-grams
        buckets[first, 0] = buckets[first + word_sizes - 1, 0] = -1
    there = buckets >= 0
    counts = np.add.reduceat(there.sum(axis=1), first) if len(first) else first
    return counts, buckets[there].astype(np.int64)


def _hash_characters(
    hashes: npt.NDArray[np.uint32], signed: npt.NDArray[np.uint32], begins: Ints, sizes: Ints
) -> None:
    """Extend each hash by one character, in place (32-bit FNV-1a)."""
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
