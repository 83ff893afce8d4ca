"""Two of Austin Appleby's MurmurHash functions, computed for many byte strings at once.

Specification: the public-domain reference, https://github.com/aappleby/smhasher (MurmurHash2.cpp
and MurmurHash3.cpp). Strings of the same length are hashed together, padded with zeros to full
blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["murmur3_x64_128", "murmur64a"]

Words = npt.NDArray[np.uint64]

_M = 0xC6A4A7935BD1E995


def murmur64a(strings: Sequence[bytes], seed: int) -> Words:
    """Return MurmurHash64A of `n` byte strings, uint64 `(n,)`."""
    m = np.uint64(_M)
    hashes = np.empty(len(strings), np.uint64)
    for rows, length, blocks in _by_length(strings, 8):
        h: Words = np.full(len(rows), seed ^ (length * _M) % (1 << 64), np.uint64)
        for at, k in enumerate(blocks):
            if 8 * at + 8 <= length:
                k = k * m
                k = _xor_high(k, 47) * m
            h = (h ^ k) * m
        hashes[rows] = _xor_high(_xor_high(h, 47) * m, 47)
    return hashes


def murmur3_x64_128(strings: Sequence[bytes], seed: int) -> npt.NDArray[np.uint32]:
    """Return MurmurHash3_x64_128 of `n` byte strings as 32-bit words, uint32 `(n, 4)`."""
    c1, c2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
    hashes = np.empty((len(strings), 2), np.uint64)
    for rows, length, blocks in _by_length(strings, 16):
        h1: Words = np.full(len(rows), seed, np.uint64)
        h2 = h1.copy()
        for at in range(0, len(blocks), 2):
            h1 ^= _rotate(blocks[at] * c1, 31) * c2
            full = 8 * at + 16 <= length
            if full:
                h1 = (_rotate(h1, 27) + h2) * np.uint64(5) + np.uint64(0x52DCE729)
            h2 ^= _rotate(blocks[at + 1] * c2, 33) * c1
            if full:
                h2 = (_rotate(h2, 31) + h1) * np.uint64(5) + np.uint64(0x38495AB5)
        h1, h2 = h1 ^ np.uint64(length), h2 ^ np.uint64(length)
        h1 += h2
        h2 += h1
        h1, h2 = _mixed(h1), _mixed(h2)
        h1 += h2
        hashes[rows, 0], hashes[rows, 1] = h1, h2 + h1
    return hashes.astype("<u8").view("<u4")


def _by_length(
    strings: Sequence[bytes], block: int
) -> Iterator[tuple[npt.NDArray[np.int64], int, Words]]:
    """Yield the strings of each length: their positions, the length, and 64-bit words `(W, n)`."""
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    order = np.argsort(lengths, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        if not len(rows):
            continue
        length = int(lengths[rows[0]])
        padded = np.zeros((len(rows), -(-length // block) * block), np.uint8)
        joined = b"".join(strings[row] for row in rows.tolist())
        padded[:, :length] = np.frombuffer(joined, np.uint8).reshape(len(rows), length)
        yield rows, length, padded.view("<u8").T.astype(np.uint64)


def _rotate(words: Words, bits: int) -> Words:
    return (words << np.uint64(bits)) | (words >> np.uint64(64 - bits))


def _xor_high(words: Words, bits: int) -> Words:
    return words ^ (words >> np.uint64(bits))


def _mixed(h: Words) -> Words:
    h = _xor_high(h, 33) * np.uint64(0xFF51AFD7ED558CCD)
    h = _xor_high(h, 33) * np.uint64(0xC4CEB9FE1A85EC53)
    return _xor_high(h, 33)
