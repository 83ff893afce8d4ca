"""Encodes texts with a pipeline of Hugging Face `tokenizers`, each distinct chunk of them once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from ..table import Chunking, PipelineTokenizer

__all__ = ["ChunkEncoder", "encode_whole"]

REMEMBERED = 1 << 25  # characters of distinct chunks
GROUP = 256  # chunks that the library encodes at once

Numbers = npt.NDArray[np.int32]


def encode_whole(tokenizer: PipelineTokenizer, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
    """Return the ids of all texts, one after the other, and the number of ids of each text.

    Without the id that the tokenizer drops.
    """
    found = tokenizer.pipeline.encode_batch_fast(texts, add_special_tokens=False)
    ids = [one.ids for one in found]
    lengths = np.fromiter(map(len, ids), np.int32, len(ids))
    return _without_dropped(tokenizer, ids, lengths)


def encode_parts(tokenizer: PipelineTokenizer, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
    """Return what `encode_whole` returns, in less time for short texts.

    The library takes texts as the words of longer ones, and encodes each word as a text.
    """
    groups = [texts[at : at + GROUP] for at in range(0, len(texts), GROUP)]
    encode = tokenizer.pipeline.encode_batch
    found = encode(groups, is_pretokenized=True, add_special_tokens=False)
    lengths = [
        np.bincount(np.array(one.word_ids, np.int64), minlength=len(group))
        for one, group in zip(found, groups, strict=True)
    ]
    sizes = np.concatenate([np.zeros(0, np.int32), *lengths]).astype(np.int32)
    return _without_dropped(tokenizer, [one.ids for one in found], sizes)


def _without_dropped(
    tokenizer: PipelineTokenizer, ids: Sequence[Sequence[int]], lengths: Numbers
) -> tuple[Numbers, Numbers]:
    """Return all ids but the one that the tokenizer drops, and the number of those of each text."""
    joined = np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum()))
    if tokenizer.dropped < 0:
        return joined, lengths
    kept = joined != tokenizer.dropped
    before = np.concatenate([[0], np.cumsum(kept)])
    return joined[kept], np.diff(before[_bounds(lengths)]).astype(np.int32)


class ChunkEncoder:
    """Encodes texts, and remembers the ids of each chunk.

    Chunks are numbered: the ids of chunk `i` are `ids[bounds[i] : bounds[i + 1]]`.

    Args:
        tokenizer: the tokenizer.
        chunking: what its chunks are.
        native: a compiled `TextTokenizer`, which numbers the chunks; None if there is none.
    """

    def __init__(self, tokenizer: PipelineTokenizer, chunking: Chunking, native: Any) -> None:
        self._tokenizer, self._chunking, self._native = tokenizer, chunking, native
        breaks = chunking.breaks
        self._chunk = re.compile(rf"[{breaks}]*[^{breaks}]+(?:[{breaks}]+\Z)?|[{breaks}]+\Z")
        self._forget()

    def _forget(self) -> None:
        """Forget all chunks, to bound memory."""
        self._number: dict[str, int] = {}
        self._ids, self._bounds = np.zeros(0, np.int32), np.zeros(1, np.int32)
        self._whole, self._size = np.zeros(0, bool), 0
        if self._native is not None:
            self._native.forget()

    def encode(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """Return what `encode_whole` returns."""
        import pyarrow as pa

        if self._size > REMEMBERED:
            self._forget()
        chunks, lengths, new = self._numbered([self._chunking.prefix + text for text in texts])
        self._add([chunk[len(self._chunking.prefix) :] for chunk in new])
        found = pa.ListArray.from_arrays(self._bounds, self._ids).take(pa.array(chunks))
        ends = found.offsets.to_numpy()[_bounds(lengths)]
        ids = found.values
        of_text = np.repeat(np.arange(len(texts)), lengths)
        whole = np.unique(of_text[self._whole[chunks]])
        if len(whole):
            others, sizes = encode_whole(self._tokenizer, [texts[at] for at in whole])
            order = np.arange(len(texts))
            order[whole] = len(texts) + np.arange(len(whole))
            both = (
                pa.ListArray.from_arrays(ends, ids),
                pa.ListArray.from_arrays(_bounds(sizes), others),
            )
            taken = pa.concat_arrays(both).take(pa.array(order))
            ends, ids = taken.offsets.to_numpy(), taken.values
        return ids.to_numpy(), np.diff(ends)

    def _numbered(self, texts: Sequence[str]) -> tuple[Numbers, Numbers, list[str]]:
        """Return the numbers of the chunks, how many each text has, and the new chunks."""
        if self._native is not None:
            given = [text if text.isascii() else text.encode() for text in texts]
            numbers, lengths, new = self._native.chunks(given, self._chunking.breaks.encode())
            decoded = [chunk.decode() for chunk in new]
            return np.frombuffer(numbers, np.int32), np.frombuffer(lengths, np.int32), decoded
        known, before = self._number, len(self._number)
        found = list(map(self._chunk.findall, texts))
        lengths = np.fromiter(map(len, found), np.int32, len(found))
        chunks = chain.from_iterable(found)
        numbers = np.fromiter((known.setdefault(one, len(known)) for one in chunks), np.int32)
        return numbers, lengths, list(islice(known, before, None))

    def _add(self, chunks: list[str]) -> None:
        """Encode new chunks and remember their ids."""
        ids, lengths = encode_parts(self._tokenizer, chunks)
        bounds = self._bounds[-1] + np.cumsum(lengths, dtype=np.int32)
        self._ids = np.concatenate([self._ids, ids])
        self._bounds = np.concatenate([self._bounds, bounds])
        whole = self._chunking.whole
        matches = [whole is not None and whole.search(chunk) is not None for chunk in chunks]
        self._whole = np.concatenate([self._whole, np.array(matches, bool)])
        self._size += sum(map(len, chunks))


def _bounds(lengths: Numbers) -> Numbers:
    """Return where each of some lists begins, and where the last one ends."""
    return np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])
