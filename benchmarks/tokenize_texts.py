"""Tokenize texts and map them to ids, compared with the tokenizers library.

    python benchmarks/tokenize_texts.py imdb/train.parquet [--column text] [--runs 5]
    python benchmarks/tokenize_texts.py imdb/train.parquet --pipeline tokenizer.json

Ours and the peer take turns; each figure is the median of the runs, with their range. The peer is
given the vocabulary and maps texts to ids on all cores. Ours also collects the vocabulary, or is
given the vocabulary, or is given the tokenized texts too. The script checks that all ids are equal.
With `--pipeline`, the peer is the library on which ours is built, on the same `tokenizer.json` and
whole texts; ours lets it encode each distinct chunk once where that gives the same ids. Processor
time is that of all threads.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import torch

import finetune_embed as fe
from finetune_embed.vocabulary import tokenize_texts
from finetune_embed.vocabulary.tokenizer import CONVENTIONS, well_formed

PEER = "tokenizers, ids alone"


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Return the wall time of a call, and its processor time."""
    started, worked = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - started, time.process_time() - worked


def compared(
    name: str, texts: list[str], runs: int, calls: dict[str, Callable[[], object]]
) -> None:
    """Time calls in turn, and print a line for each beside `PEER`."""
    times: dict[str, list[float]] = {call: [] for call in calls}
    worked: dict[str, list[float]] = {call: [] for call in calls}
    for _ in range(runs):
        for call in calls:
            wall, work = seconds(calls[call])
            times[call].append(wall)
            worked[call].append(work)
    theirs = statistics.median(times[PEER])
    for call, taken in times.items():
        middle = statistics.median(taken)
        print(
            f"{name:<12}{call:<26}{middle:8.3f} s ({min(taken):.3f} to {max(taken):.3f})"
            f"{len(texts) / middle:>10,.0f} texts/s {theirs / middle:6.1f}x"
            f"{statistics.median(worked[call]):8.3f} s of processor time",
            flush=True,
        )


def one_pipeline(path: str, texts: list[str], runs: int) -> None:
    """Print the lines of a pipeline."""
    tokenizer = fe.PipelineTokenizer.from_file(path)
    clean = [well_formed(text) for text in texts]

    def peer() -> np.ndarray:
        encoded = tokenizer.pipeline.encode_batch_fast(clean, add_special_tokens=False)
        return np.concatenate([np.array(one.ids, np.int64) for one in encoded])

    def ours() -> tuple[fe.Vocabulary, torch.Tensor]:
        found = tokenize_texts(texts, tokenizer)
        vocab = fe.Vocabulary.from_counts(found.counts, tokenizer)
        return vocab, vocab.encode(found)[0]

    compared(tokenizer.name, texts, runs, {PEER: peer, "ours, vocabulary and ids": ours})
    vocab, ids = ours()
    known = tokenizer.pipeline.get_vocab()
    pieces = np.array([known.get(token, -1) for token in vocab.index_to_key])
    same = np.array_equal(peer(), pieces[ids.numpy()])
    print(f"{tokenizer.name:<12}the same {len(ids):,} ids: {same}", flush=True)
    if not same:
        raise SystemExit(1)


def one_convention(name: str, texts: list[str], runs: int) -> None:
    """Print the lines of one convention."""
    tokenizer = CONVENTIONS[name]
    vocab = fe.Vocabulary.from_texts(texts, tokenizer)
    pipeline = tokenizer.to_pipeline(vocab.key_to_index, "<unk>")
    found = tokenize_texts(texts, tokenizer)
    clean = [well_formed(text) for text in texts]

    def peer() -> np.ndarray:
        encoded = pipeline.encode_batch_fast(clean, add_special_tokens=False)
        return np.concatenate([np.array(one.ids, np.int64) for one in encoded])

    def ours() -> torch.Tensor:
        found = tokenize_texts(texts, tokenizer)
        return fe.Vocabulary.from_counts(found.counts, tokenizer).encode(found)[0]

    calls: dict[str, Callable[[], object]] = {
        PEER: peer,
        "ours, vocabulary and ids": ours,
        "ours, ids alone": lambda: vocab.encode(texts),
        "ours, ids once more": lambda: vocab.encode(found),
    }
    compared(name, texts, runs, calls)
    expected = peer()
    same = np.array_equal(expected, ours().numpy())
    for given in (texts, found):
        same &= np.array_equal(expected, vocab.encode(given)[0].numpy())
    print(f"{name:<12}the same {len(expected):,} ids of {len(vocab):,} words: {same}", flush=True)
    if not same:
        raise SystemExit(1)


def main() -> None:
    """Print the lines of each convention."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("texts", help="a Parquet file")
    parser.add_argument("--column", default="text")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pipeline", help="a tokenizer.json, instead of the conventions")
    options = parser.parse_args()
    texts: list[str] = pl.read_parquet(options.texts)[options.column].to_list()
    size = sum(map(len, texts))
    print(f"{len(texts):,} texts, {size:,} characters, {torch.get_num_threads()} threads")
    if options.pipeline:
        one_pipeline(options.pipeline, texts, options.runs)
        return
    for name in CONVENTIONS:
        one_convention(name, texts, options.runs)


if __name__ == "__main__":
    main()
