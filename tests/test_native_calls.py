"""Calls of the compiled functions with buffers of wrong sizes, types and contents give an error.

`make sanitize` runs them under sanitizers, which see every access out of bounds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from finetune_embed.formats.common import kernels as files
from finetune_embed.lexical import counts
from finetune_embed.lexical import svm as machines
from finetune_embed.optim import kernels as steps
from finetune_embed.vocabulary import tokenization as texts

pytestmark = pytest.mark.skipif(
    any(module.native is None for module in (counts, files, machines, steps, texts)),
    reason="the compiled loops were not built here",
)

CALLS = 2_000  # of each function
REFUSED = (ValueError, TypeError, IndexError, OverflowError, MemoryError, BufferError)
SIZES = [-(2**63), -1, 0, 1, 2, 3, 7, 64, 2**31, 2**60, 2**63 - 1]
THREADS = [-(2**31), -3, -1, 0, 1, 2, 5, 2**31 - 1]
WORDS = [
    b"",
    b"a",
    b"b",
    b"ab",
    b"the",
    b"a b",
    b" ",
    b"\n",
    b"\xff",
    b"\0",
    b"caf\xc3\xa9",
    b"x" * 70,
]
LINES = [
    b"",
    b"1",
    b"-0.5",
    b"1.25e-3",
    b"+7",
    b"1e99",
    b"0.123456789",
    b"-",
    b".",
    b"1 ",
    b"\r",
    b"NaN",
]


class Arguments:
    """Makes arguments that are nearly right, from one source of random numbers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def damaged(self, value: Any) -> Any:
        """Return an argument, which is one time in eight of another size or type."""
        if self.random.random() > 1 / 8:
            return value
        raw = bytes(value) if isinstance(value, (bytes, bytearray, np.ndarray)) else b"12345678"
        at = self.random.randrange(0, 9)
        return self.random.choice(
            [
                raw[at:],
                raw[:-at],
                raw + bytes(at),
                bytearray(raw + bytes(at))[at:],
                memoryview(bytearray(bytes(at) + raw))[at:],  # at any address
                memoryview(bytearray(raw + raw))[::2],  # not contiguous
                memoryview(raw),  # read-only
                bytearray(),
                None,
                3,
                -1.5,
                "text",
                [raw],
                np.zeros((2, 3)),
                np.array(["ab"]),
            ]
        )

    def size(self, right: int) -> int:
        return right if self.random.random() < 7 / 8 else self.random.choice(SIZES)

    def threads(self) -> int:
        return self.random.choice(THREADS)

    def integers(self, count: int, end: int) -> np.ndarray:
        """Return `count` numbers below `end`, one time in eight one that is not."""
        numbers = [self.random.randrange(max(end, 1)) for _ in range(count)]
        if numbers and self.random.random() < 1 / 8:
            numbers[self.random.randrange(count)] = self.random.choice([-1, end, 2**62, -(2**63)])
        return np.array(numbers, np.int64)

    def starts(self, rows: int, count: int) -> np.ndarray:
        """Return `rows + 1` numbers that rise from 0 to `count`, one time in eight changed."""
        cuts = sorted(self.random.randrange(count + 1) for _ in range(rows - 1))
        starts = np.array([0, *cuts, count][: rows + 1], np.int64)
        if self.random.random() < 1 / 8:
            starts[self.random.randrange(len(starts))] = self.random.choice([-1, count + 1, 2**62])
        return starts

    def floats(self, *shape: int) -> np.ndarray:
        return (
            np.frombuffer(self.random.randbytes(4 * int(np.prod(shape))), np.float32)
            .reshape(shape)
            .copy()
        )

    def word_set(self) -> Any:
        some = self.random.choices(WORDS, k=self.random.randrange(40))
        return self.damaged(files.native.word_set(some)) if self.random.random() < 1 / 2 else None


def parse_text(make: Arguments) -> Any:
    size, lines = make.random.randrange(1, 4), []
    for _ in range(make.random.randrange(6)):
        fields = make.random.choices(LINES, k=make.size(size) % 9)
        lines.append(b" ".join([make.random.choice(WORDS), *fields]))
    data = b"\n".join(lines) + make.random.choice([b"", b"\n", b"\n\n", b" \r\n"])
    return files.native.parse_text(
        make.damaged(data), make.size(size), make.size(9), make.word_set()
    )


def parse_binary(make: Arguments) -> Any:
    size = make.random.randrange(1, 4)
    rows = [
        make.random.choice(WORDS) + b" " + make.random.randbytes(4 * size)
        for _ in range(make.random.randrange(6))
    ]
    data = make.random.choice([b"", b"\n"]).join(rows)
    block = make.damaged(data), make.size(size), make.size(9), make.word_set()
    if make.random.random() < 1 / 2:
        state = make.random.choice([0, 1, 2, 3, 13, 15, -1, -(2**31), 2**31 - 1])
        return files.native.parse_binary(*block, make.random.random() < 1 / 2, state)
    return files.native.parse_binary(*block)


def word_set(make: Arguments) -> Any:
    words: list[Any] = make.random.choices(WORDS, k=make.random.randrange(40))
    return files.native.word_set(make.damaged(words))


def format_rows(name: str, separator: bytes) -> Callable[[Arguments], Any]:
    def call(make: Arguments) -> Any:
        size, rows = make.random.randrange(1, 4), make.random.randrange(5)
        words = separator.join(make.random.choices(WORDS, k=rows))
        vectors = make.damaged(make.floats(rows, size))
        return getattr(files.native, name)(make.damaged(words), vectors, make.size(size))

    return call


def group(make: Arguments) -> Any:
    count, end = make.random.randrange(9), make.size(make.random.randrange(1, 9))
    ids, lengths = make.integers(count, min(end, 9)), None
    if make.random.random() < 1 / 2:
        lengths = make.damaged(np.diff(make.starts(make.random.randrange(1, 5), count)))
    out = (make.damaged(np.zeros(n, np.int64)) for n in (count, count, count + 1))
    return steps.native.group(make.damaged(ids), end, lengths, *out)


def increasing(make: Arguments) -> Any:
    ids = make.integers(make.random.randrange(9), 9)
    return steps.native.increasing(make.damaged(ids), make.size(9))


def sums(make: Arguments, rows: int, values: int) -> tuple[Any, Any, Any]:
    """Return the source, starts and lengths of sums."""
    count = make.random.randrange(9) if values else 0
    lengths = make.damaged(make.integers(values, 5)) if make.random.random() < 1 / 2 else None
    source, starts = make.integers(count, values), make.starts(rows, count)
    return make.damaged(source), make.damaged(starts), lengths


def sum_rows(make: Arguments) -> Any:
    rows, values, size = (make.random.randrange(1, 5) for _ in range(3))
    out = make.damaged(np.zeros((rows, size), np.float32))
    given = make.damaged(make.floats(values, size))
    return steps.native.sum_rows(
        given, *sums(make, rows, values), out, make.size(size), make.threads()
    )


def squares(make: Arguments) -> Any:
    rows, size = make.random.randrange(5), make.random.randrange(1, 20)
    values, out = make.damaged(make.floats(rows, size)), make.damaged(np.zeros(rows))
    return steps.native.squares(values, out, make.size(size), make.threads())


def nonzero_rows(make: Arguments) -> Any:
    rows, values, size = (make.random.randrange(1, 5) for _ in range(3))
    is_sum = make.random.random() < 1 / 2
    buffers = sums(make, rows, values) if is_sum else (None, None, None)
    given = make.damaged(make.floats(values if is_sum else rows, size))
    out = make.damaged(np.zeros(rows, bool))
    return steps.native.nonzero_rows(given, *buffers, out, make.size(size), make.threads())


def texts_of(make: Arguments) -> tuple[list[Any], Any, Any, Any]:
    """Return the first arguments of features, sizes of words, sizes of features, and lengths."""
    words, size, filters, count = (make.random.randrange(1, 5) for _ in range(4))
    tokens = make.random.randrange(words, 9)
    order = np.array(make.random.sample(range(tokens), tokens), np.int64)
    pools = np.array(make.random.choices([0, 1, -1], k=make.random.randrange(4)), np.int64)
    widths = np.array(make.random.choices([1, 2, 3], k=make.random.randrange(3)), np.int64)
    if make.random.random() < 1 / 8:
        (order, pools, widths)[make.random.randrange(3)][:1] = make.random.choice(SIZES)
    lengths = np.diff(make.starts(count, tokens))
    given = [order, make.starts(words, tokens), lengths, pools, widths]
    arguments = [*map(make.damaged, given), make.size(size), make.damaged(make.floats(words, size))]
    places = int(widths.clip(0, 9).sum())
    total = len(pools) * size + len(widths) * filters
    return arguments, (words, size, filters), (count, total, len(widths), places), lengths


def text_features(make: Arguments) -> Any:
    given, (words, _, filters), (count, total, widths, places), lengths = texts_of(make)
    at = make.damaged(np.zeros((count, total), np.int32))
    if make.random.random() < 1 / 2:  # the words of tokens instead, and no places
        given[:2] = None, make.damaged(make.integers(int(lengths.clip(0, 9).sum()), words))
        at = make.random.choice([None, at])
    return steps.native.text_features(
        *given,
        make.damaged(make.floats(words, places * filters)),
        make.damaged(make.floats(widths, filters)),
        make.damaged(make.floats(count, total)),
        at,
        make.threads(),
    )


def text_gradients(make: Arguments) -> Any:
    given, (words, size, filters), (count, total, widths, places), lengths = texts_of(make)
    at = np.repeat((lengths.cumsum() - lengths).clip(-9, 9), total).astype(np.int32)
    if at.size and make.random.random() < 1 / 8:
        at[make.random.randrange(at.size)] = make.random.choice([-2, -1, 9, 2**31 - 1])
    rows = make.floats(words, size) if make.random.random() < 1 / 2 else None
    return steps.native.text_gradients(
        *given,
        make.damaged(make.floats(places * filters, size)),
        make.damaged(at),
        make.damaged(make.floats(count, total)),
        make.damaged(make.floats(places * filters, size)),
        make.damaged(make.floats(widths, filters)),
        make.damaged(rows),
    )


def adam(make: Arguments) -> Any:
    table, size, slots = (make.random.randrange(1, 9) for _ in range(3))
    rows = np.unique(make.integers(make.random.randrange(1, 5), table))
    count, values = len(rows), make.random.randrange(1, 5)
    is_sum = make.random.random() < 1 / 2
    buffers = sums(make, count, values) if is_sum else (None, None, None)
    counts = np.array([make.random.choice([1, 2, 300, 2**40]) for _ in range(count)], np.int64)
    if count and make.random.random() < 1 / 8:
        counts[-1] = make.random.choice([0, -1, -(2**63)])
    numbers = [make.damaged(make.floats(count)) for _ in range(3)]
    return steps.native.adam(
        make.damaged(make.floats(table, size)),
        make.damaged(rows),
        make.damaged(make.floats(values if is_sum else count, size)),
        *buffers,
        make.damaged(make.floats(slots, size)),
        make.damaged(make.floats(slots, size)),
        make.damaged(make.integers(count, slots)),
        make.damaged(counts),
        *numbers,
        0.1,
        make.random.choice([1e-8, 0]),
        make.random.choice([0.9, 0, float("nan"), 1e300]),
        0.99,
        make.size(size),
        make.threads(),
    )


def fit(make: Arguments) -> Any:
    count, entries, features = (make.random.randrange(9) for _ in range(3))
    starts = make.starts(count, entries) if count else np.array([0], np.int64)
    return machines.native.fit(
        make.damaged(make.integers(entries if features else 0, features)),
        make.damaged(make.floats(entries)),
        make.damaged(starts),
        make.damaged(make.random.randbytes(count)),
        make.random.choice([1.0, 0.25, 1e300, 1e-300, 0.0, -1.0, float("nan")]),
        make.random.choice([1.0, 3.0]),
        make.random.choice([0, 1, 2**64 - 1]),
        make.random.choice([0.01, 1.0, 0.0, -1.0, float("nan"), float("inf")]),
        make.random.choice([0, 1, 20, -1, -(2**31)]),
        make.damaged(np.zeros(features + 1)),
    )


def place(make: Arguments) -> Any:
    keys = make.damaged(make.integers(make.random.randrange(6), 40))
    room = make.random.choice([8, 8, 8, 16, 4, 7, 0])
    width = make.random.choice([1, 1, 2, 2, 3, 0])
    return counts.native.place(keys, make.damaged(np.zeros(room, np.int32)), width)


def counted(make: Arguments) -> tuple[Any, ...]:
    """The texts, and where their counts go."""
    texts, tokens = make.random.randrange(5), make.random.randrange(12)
    lengths = np.diff(make.starts(texts, tokens)) if texts else np.zeros(0, np.int64)
    room = make.random.choice([60, 60, 60, 3])
    ids = make.integers(tokens if texts else 0, 7)
    outputs = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(texts + 1, np.int64)
    return tuple(map(make.damaged, (ids, lengths, *outputs)))


def count_words(make: Arguments) -> Any:
    size = make.random.choice([7, 7, 5, 0, -1, 2**40])
    keys = np.unique(make.integers(make.random.randrange(8), 49))
    slots = np.full(16, -1, np.int32)
    counts.native.place(keys, slots, 1)
    return counts.native.count_words(*counted(make), make.damaged(keys), make.damaged(slots), size)


def count_parts(make: Arguments) -> Any:
    parts = make.random.randrange(9)
    starts = make.damaged(make.starts(7, parts))
    return counts.native.count_parts(
        *counted(make), make.damaged(make.integers(parts, 2**30)), starts
    )


def find_ngrams(make: Arguments) -> Any:
    lengths = np.array([make.random.choice([0, 1, 2, 3, 6]) for _ in range(4)], np.int64)
    characters = make.integers(int(lengths.sum()), 3).astype(np.int32)
    ngrams = make.integers(4 * make.random.randrange(9), 3).astype(np.int32).reshape(-1, 4)
    slots = np.full(32, -1, np.int32)
    known = make.random.choice([len(ngrams), 0, 3, -1])
    counts.native.place(ngrams[: max(known, 0)], slots, 2)
    return counts.native.find_ngrams(
        make.damaged(characters),
        make.damaged(lengths),
        make.damaged(np.zeros(make.random.choice([20, 20, 5]), np.int64)),
        make.damaged(np.zeros(5, np.int64)),
        make.damaged(ngrams),
        make.damaged(slots),
        known,
    )


def weigh(make: Arguments) -> Any:
    texts, entries, features = (make.random.randrange(1, 7) for _ in range(3))
    return counts.native.weigh(
        make.damaged(make.integers(entries, features)),
        make.damaged(make.integers(entries, 4)),
        make.damaged(make.starts(texts, entries)),
        make.damaged(make.floats(features)),
        make.damaged(np.ones(make.random.choice([4, 4, 3, 0]))),
        make.damaged(np.zeros(entries, np.float32)),
    )


def score(make: Arguments) -> Any:
    texts, tokens, labels, parts = (make.random.randrange(1, 9) for _ in range(4))
    keys = np.unique(make.integers(make.random.randrange(8), 49))
    slots, size, more = np.full(16, -1, np.int32), make.size(7), make.random.choice([0, 9])
    counts.native.place(keys, slots, 1)
    lengths = np.diff(make.starts(texts, tokens))
    given = [make.integers(tokens, 9), make.integers(tokens, 7), lengths, keys, slots]
    of_parts = [make.integers(parts, max(more, 1)), make.starts(7, parts)]
    weights = [
        make.floats(7 + len(keys)),
        make.floats(more),
        make.floats(7 + len(keys) + more, labels),
    ]
    scores = make.damaged(np.zeros((texts, labels), np.float32))
    arguments = [*map(make.damaged, given), size, *map(make.damaged, [*of_parts, *weights])]
    return counts.native.score(*arguments, scores)


def find_slots(make: Arguments) -> Any:
    table, count = make.random.randrange(1, 9), make.random.randrange(5)
    index = np.array([make.random.randrange(-1, 9) for _ in range(table)], np.int32)
    return steps.native.find_slots(
        make.damaged(index),
        make.damaged(make.integers(count, table)),
        make.damaged(np.zeros(count, np.int64)),
    )


def count_steps(make: Arguments) -> Any:
    slots, count = make.random.randrange(1, 9), make.random.randrange(5)
    return steps.native.count_steps(
        make.damaged(np.full(slots, make.random.choice([0, 2**63 - 1]), np.int64)),
        make.damaged(make.integers(count, slots)),
        make.damaged(np.zeros(count, np.int64)),
    )


def tokenizer(make: Arguments) -> Any:
    """Call several methods of one tokenizer."""
    specials: list[Any] = make.random.choices([b"<s>", b"n't", b"\xc3\xa9", b"a b"], k=2)
    loop = texts.native.TextTokenizer(
        make.random.random() < 1 / 2, make.random.random() < 1 / 2, make.damaged(specials)
    )
    words: list[Any] = [*WORDS, "U.S. n't", "1,000.5-a", "é", b"it's A<s>b"]
    results: list[Any] = []
    for _ in range(make.random.randrange(1, 6)):
        some = make.damaged(make.random.choices(words, k=make.random.randrange(6)))
        one = make.random.randrange(5)
        if one in (0, 4):
            breaks = make.damaged(make.random.choice([b" ", b" \n", b""]))
            numbers, lengths, _ = loop.chunks(some, breaks) if one else loop.tokenize(some)
            assert sum(np.frombuffer(lengths, np.int32)) == len(numbers) // 4
        elif one == 1:
            assert len(loop.numbers(some)) == 4 * len(some)
        elif one == 2:
            loop.forget()
    results.append(len(loop.tokens()) if make.random.random() < 1 / 2 else None)
    return results


FUNCTIONS = {
    "parse_text": parse_text,
    "parse_binary": parse_binary,
    "word_set": word_set,
    "format_text": format_rows("format_text", b"\n"),
    "format_binary": format_rows("format_binary", b" "),
    "group": group,
    "increasing": increasing,
    "sum_rows": sum_rows,
    "squares": squares,
    "nonzero_rows": nonzero_rows,
    "find_slots": find_slots,
    "count_steps": count_steps,
    "adam": adam,
    "text_features": text_features,
    "text_gradients": text_gradients,
    "place": place,
    "count_words": count_words,
    "count_parts": count_parts,
    "find_ngrams": find_ngrams,
    "weigh": weigh,
    "score": score,
    "fit": fit,
    "TextTokenizer": tokenizer,
}


def test_every_function_is_called():
    named = {
        name
        for module in (counts, files, machines, steps, texts)
        for name in dir(module.native)
        if not name.startswith("_")
    }
    assert named == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_call_gives_a_result_or_an_error(name):
    results, errors = 0, 0
    for seed in range(CALLS):
        try:
            FUNCTIONS[name](Arguments(seed))
            results += 1
        except REFUSED:
            errors += 1
    assert results > CALLS / 10
    assert errors > CALLS / 20
