"""The compiled and the Python loops give the same results, with correctly rounded numbers."""

from __future__ import annotations

import contextlib
import io
import math
import re
import tracemalloc
from collections.abc import Iterator
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_embed import VectorFileError, load_vectors
from finetune_embed.formats import word2vec
from finetune_embed.formats.common import kernels as _kernels
from finetune_embed.formats.common import text_blocks

both = pytest.mark.skipif(_kernels.native is None, reason="the compiled loops were not built here")

Result = tuple[list[str], list[list[int]]] | str


@contextlib.contextmanager
def loops(native: bool, block: int = 1 << 22) -> Iterator[None]:
    """Use the compiled or the Python loops, on blocks of a given size."""
    with pytest.MonkeyPatch.context() as patch:
        if not native:
            patch.setattr(_kernels, "native", None)
        patch.setattr(text_blocks, "BLOCK", block)
        patch.setattr(word2vec, "BLOCK", block)
        yield


def bits_of(vectors: np.ndarray) -> np.ndarray:
    """Return the bits of float32 numbers, with one value for all NaN."""
    bits = np.ascontiguousarray(vectors).view(np.uint32).copy()
    bits[np.isnan(vectors)] = 0x7FC00000
    return bits


def read(data: bytes, native: bool, block: int = 1 << 22, **options: object) -> Result:
    """Load a file; return its words and bits, or the error message."""
    with loops(native, block):
        try:
            table = load_vectors(io.BytesIO(data), **options)
        except VectorFileError as error:
            return str(error)
        return table.index_to_key, bits_of(table.vectors).tolist()


def nearest(text: str) -> int:
    """Return the bits of the float32 nearest to a decimal, halves to even, in exact arithmetic."""
    double = float(text)
    if math.isnan(double):
        return 0x7FC00000
    with np.errstate(over="ignore", under="ignore"):
        guess = np.float32(double)
        around = [np.nextafter(guess, -np.inf), guess, np.nextafter(guess, np.inf)]
    if math.isinf(double):
        return int(guess.view(np.uint32))
    exact = Fraction(Decimal(text))
    limit = Fraction(2) ** 128  # rounds to infinity

    def distance(number: np.float32) -> tuple[Fraction, int]:
        value = float(number)
        bounded = limit if value == math.inf else -limit if value == -math.inf else Fraction(value)
        return abs(bounded - exact), int(number.view(np.uint32)) & 1

    best = min(around, key=distance)
    sign = np.float32(-0.0) if text.startswith("-") else np.float32(0.0)
    return int((best if best else sign).view(np.uint32))


def is_float32(text: str) -> bool:
    """Return whether the float32 nearest to a decimal is finite."""
    return nearest(text) & 0x7FFFFFFF < 0x7F800000


# Numbers that are read

DIGITS = st.text("0123456789", min_size=1, max_size=25)
PLAIN = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "-", "+"]),
    DIGITS,
    st.one_of(st.just(""), DIGITS.map(".{}".format), st.just(".")),
    st.one_of(
        st.just(""),
        st.builds("{}{}".format, st.sampled_from(["e", "E", "e-", "e+"]), st.integers(0, 60)),
    ),
)
ODD = st.sampled_from(
    [
        *("inf", "-inf", "Infinity", "nan", "NaN", "-nan"),
        *(".5", "5.", "-.5", "+.5", "+0", "-0", "0.0", "-0.0", "1e5", "1E-5"),
        *("1e-400", "3.4028235e38"),
        "340282356779733661637539395458142568447",  # just below halfway from the largest to 2**128
        *("1.1754944e-38", "1e-45", "1.4e-45", "7.006492321624086e-46"),
        "7.0064923216240853546186479164495e-46",  # just below halfway from 0 to the smallest
        *("16777217", "16777217.0000000001", "9007199254740993", "123456789012345678901234567890"),
        "1.00000017881393432617187499",  # its double is halfway between two floats
        "1.00000017881393432617187500",
        "1.00000017881393432617187501",
    ]
)
NO_NUMBERS = st.sampled_from(
    [
        *("1_0", "0x1p3", "0x10", "1,5", ".", "e5", "1e", "1e+", "-", "+", "--", "+-1", "1.2.3"),
        *("1f", "1e5.5", "nan1", "infi", "in", "１", "1e1e1", "+nan0"),
    ]
)


TOO_LARGE = ["3.4028236e38", "1e39", "1e400", "-1e400", "340282356779733661637539395458142568448"]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("number", [*TOO_LARGE, "9" * 400, "0." + "0" * 40 + "1e90"])
def test_a_number_too_large_for_float32_is_refused_with_its_place(number, native):
    message = r".*:1: value 2 of the vector is '.*', which is too large for float32; correct the .*"
    assert re.fullmatch(message, str(read(f"word 1 {number} inf".encode(), native=native)))


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(st.one_of(PLAIN.filter(is_float32), ODD), min_size=1, max_size=6))
def test_every_number_is_read_as_the_nearest_float(numbers):
    data = ("word " + " ".join(numbers)).encode()
    expected = (["word"], [[nearest(number) for number in numbers]])
    assert read(data, native=True) == expected
    assert read(data, native=False) == expected


@given(st.integers(0, 0x7F7FFFFF), st.sampled_from(["", "-"]), st.integers(0, 40))
def test_numbers_halfway_between_two_floats(bits, sign, places):
    low, high = (Decimal(float(np.uint32(b).view(np.float32))) for b in (bits, bits + 1))
    if high.is_infinite():
        high = Decimal(2**128)
    tiny = Decimal(1).scaleb(-places - 45)
    exact = Context(prec=400)
    middle = exact.divide(exact.add(low, high), Decimal(2))
    texts = [f"{middle:f}", f"{middle:e}", f"{exact.add(middle, tiny):f}"]
    if middle > tiny:
        texts.append(f"{exact.subtract(middle, tiny):e}")
    texts += [f"{float(middle)!r}", f"{middle:.9e}", f"{middle:.17e}", f"{middle:.8f}"]
    texts = [text for text in texts if is_float32(text)]
    data = ("word " + " ".join(sign + text for text in texts)).encode()
    expected = (["word"], [[nearest(sign + text) for text in texts]])
    assert read(data, native=True) == expected
    assert read(data, native=False) == expected


@given(
    st.lists(PLAIN.filter(is_float32), max_size=3),
    NO_NUMBERS,
    st.lists(PLAIN.filter(is_float32), max_size=3),
)
def test_both_loops_name_a_field_that_is_not_a_number(before, field, after):
    data = ("word " + " ".join([*before, field, *after])).encode()
    message = read(data, native=False, vector_size=len(before) + 1 + len(after))
    assert f"<file object>:1: value {len(before) + 1} of the vector is {field!r}" in message
    assert read(data, native=True, vector_size=len(before) + 1 + len(after)) == message


# Lines and rows

NOISE = st.lists(
    st.sampled_from(
        [
            *(b"a", b"b", b"a b", b"\xff", b"1", b"0.5", b"-2", b"1e2", b"x", b" ", b" ", b"  "),
            *(b"\n", b"\r\n", b"\n\n", b"a 1 2\n", b"b 3 4\n", b"c 0.1 1e99 \r\n", b"2 2\n"),
            *(b"\0", b"nan"),
        ]
    ),
    min_size=1,
    max_size=25,
).map(b"".join)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "keys": st.lists(st.sampled_from(["a", "b", "c", "a b", "", "\udcff", "2"])),
        "limit": st.integers(1, 5),
        "vector_size": st.integers(1, 3),
    },
)


@pytest.mark.slow
@settings(max_examples=300)
@given(NOISE, OPTIONS, st.integers(1, 40))
@example(b"a 1 2\nb 3 4\n\n\nc 5 6\n", {}, 7)
@example(b"a 1 2\nb 3 4\n\n \r\n", {"limit": 2}, 3)
@example(b"2 2\na 1 2\nb 3 4", {"keys": ["b"]}, 4)
@example(b"a 1 2\nb x 4\nc 5\n", {"keys": ["c"]}, 6)
@example(b"a 1 2\n\na 1 2\n", {"limit": 2}, 1)
@example(b"a 1 2\n\n", {"limit": 1}, 1)
@example(b"c 0.1 1e99 \r\na ba b\n", {}, 1)
@example(b"a 1 2\na\na 1 2\n", {}, 1)
def test_text_is_read_alike_in_blocks_of_any_size(data, options, block):
    at_once = read(data, native=False, **options)
    assert read(data, native=True, **options) == at_once
    pieces = read(data, native=False, block=block, **options)
    assert read(data, native=True, block=block, **options) == pieces
    if pieces != at_once:
        assert isinstance(pieces, str)
        assert isinstance(at_once, str)
        what, _, _ = at_once.partition(";")  # after it a remedy, which may be about the next line
        # another of several errors, one of them a blank line
        assert pieces.startswith(what) or re.search(rb"^[ \r]*\n", data, re.MULTILINE)


ROWS = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"b", b"", b"a\n", b"\n", b"\xff\xfe", b"word"]),
        st.binary(min_size=8, max_size=8),
        st.sampled_from([b"", b"\n"]),
    ),
    min_size=1,
    max_size=6,
).map(lambda rows: b"".join(word + b" " + vector + end for word, vector, end in rows))


@settings(max_examples=300)
@given(
    ROWS,
    st.sampled_from([b"1 2\n", b"2 2\n", b"3 2\n", b"6 2\r\n"]),
    st.integers(0, 60),
    OPTIONS,
    st.integers(1, 40),
)
def test_binary_is_read_alike_in_blocks_of_any_size(rows, header, cut, options, block):
    data = header + b"\x80 \x80234567\x80" + rows[: len(rows) - cut]
    options.pop("vector_size", None)
    at_once = read(data, native=False, **options)
    assert read(data, native=False, block=block, **options) == at_once
    assert read(data, native=True, block=block, **options) == at_once
    assert read(data, native=True, **options) == at_once


@both
@given(st.lists(st.binary(max_size=6), max_size=40), st.lists(st.binary(max_size=6), max_size=40))
def test_the_word_set_misses_no_word(words, others):
    words, others = (
        [word.replace(b"\n", b"") for word in words],
        [word.replace(b"\n", b"") for word in others],
    )
    wanted = _kernels.WordSet(frozenset(words))
    data = b"".join(word + b" 1\n" for word in words + others)
    parsed = _kernels.parse_text(data, 1, 10**6, wanted)
    found = parsed.words.split(b"\n") if len(parsed.vectors) else []
    kept = [word for word in words + others if word in wanted.words]
    assert [word for word in found if word in wanted.words] == kept
    assert (parsed.lines, parsed.bad) == (len(words + others), -1)


# Numbers that are written


def all_kinds() -> np.ndarray:
    """Return the bits of a million random float32, and of those next to every power of two."""
    random = np.random.default_rng(0).integers(0, 2**32, 1_000_000, dtype=np.uint32)
    edges = np.arange(-3, 4) + (np.arange(256)[:, None] << 23)
    edges = edges[(edges >= 0) & (edges < 1 << 31)].astype(np.uint32)
    return np.concatenate([random, edges, edges | np.uint32(1 << 31)])


def written(bits: np.ndarray) -> list[bytes]:
    text = _kernels.format_text(b"\n" * (len(bits) - 1), bits.view(np.float32)[:, None])
    return bytes(text).replace(b" ", b"").split(b"\n")[:-1]


def digits(number: bytes) -> int:
    return len(number.partition(b"e")[0].strip(b"-").replace(b".", b"").strip(b"0"))


@both
def test_a_million_numbers_read_back_equal_and_are_short():
    bits = all_kinds()
    assert len(bits) == 1_003_578
    numbers = written(bits)
    back = pl.Series(numbers).cast(pl.String).cast(pl.Float32).to_numpy()  # an independent reader
    vectors = bits.view(np.float32)
    assert np.array_equal(bits_of(back), bits_of(vectors))
    parsed = _kernels.parse_text(
        b"".join(b" %b\n" % number for number in numbers), 1, 1 << 30, None
    )
    plain = np.ones(len(bits), bool)
    plain[[row for row, *_ in parsed.leftovers]] = False
    assert np.array_equal(bits_of(parsed.vectors[:, 0])[plain], bits_of(vectors)[plain])
    with loops(native=False):
        shortest = written(bits)
    longer = []
    for number, short, value in zip(numbers, shortest, vectors.tolist(), strict=True):
        assert len(number) <= 16
        if number != short and math.isfinite(value):
            longer.append(abs(value))
            assert digits(short) < digits(number) <= 9
            assert Fraction(Decimal(short.decode())) in ends_of(np.float32(value))
    # Only for numbers beyond 2^24 can an end of the interval be a shorter decimal.
    assert min(longer) > 2**24
    assert len(longer) < 0.003 * len(bits)


def ends_of(value: np.float32) -> list[Fraction]:
    """Return the two ends of the interval of decimals that round to a float."""
    both = (np.nextafter(value, np.float32(way)) for way in (-np.inf, np.inf))
    return [(Fraction(float(value)) + Fraction(float(other))) / 2 for other in both]


@both
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40), st.integers(1, 4))
def test_both_loops_write_rows_alike(bits, size):
    bits = [b for b in bits if np.uint32(b).view(np.float32).__abs__() < 2**24] or [0]
    rows = -(-len(bits) // size)
    vectors = np.resize(np.array(bits, np.uint32), (rows, size)).view(np.float32)
    words = [b"w%d" % row for row in range(rows)]
    text, binary = b"\n".join(words), b" ".join(words)
    compiled = (
        bytes(_kernels.format_text(text, vectors)),
        bytes(_kernels.format_binary(binary, vectors)),
    )
    with loops(native=False):
        assert _kernels.format_text(text, vectors) == compiled[0]
        assert _kernels.format_binary(binary, vectors) == compiled[1]


@both
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("parse_text", (b"a 1\n", 0, 1, None)),
        ("parse_text", (b"a 1\n", 99, 1, None)),
        ("parse_binary", (b"a 1234", 0, 1, None)),
        ("parse_binary", (b"a 1234", 1 << 60, 1, None)),
        ("format_text", (b"a", bytes(5), 1)),
        ("format_text", (b"a", bytes(8), 1)),
        ("format_text", (b"a\nb\nc", bytes(8), 1)),
        ("format_binary", (b"a b c", bytes(8), 1)),
        ("format_binary", (b"a", bytes(8), 0)),
        ("format_binary", (b"a", bytes(8), 1)),
        ("parse_text", ("a 1\n", 1, 1, None)),
        ("parse_text", (b"a 1\n", 1, 1, 5)),
        ("parse_text", (b"a 1\n", 1, -1, None)),
        ("parse_text", (b"a 1\n", 1, 1, b"")),
        ("parse_text", (b"a 1\n", 1, 1, bytes(24))),
        ("parse_text", (b"a 1\n", 1, 1, bytes(15))),
        ("parse_binary", (b"a 1234", 1, -1, None)),
        ("parse_binary", (b"a 1234", 1, 1, b"")),
        ("word_set", ((b"a",),)),
        ("word_set", (["a"],)),
        ("word_set", (None,)),
    ],
)
def test_wrong_calls_are_refused(call, arguments):
    with pytest.raises((ValueError, TypeError)):
        getattr(_kernels.native, call)(*arguments)


@both
def test_a_set_without_an_empty_slot_holds_no_other_word():
    full = (b"\1" * 8) * 16
    assert _kernels.native.parse_text(b"a 1\nb 2\n", 1, 9, full)[2:] == (0, b"", 2, -1)
    assert _kernels.native.parse_binary(b"a 1234b 5678", 1, 9, full)[2:5] == (0, 2, 12)


@both
@pytest.mark.parametrize("offset", range(8))
def test_a_set_may_begin_at_any_address(offset):
    hashes = _kernels.native.word_set([b"b", b"c d"])
    moved = memoryview(bytes(offset) + hashes)[offset:]
    words, _, rows, _, lines, _ = _kernels.native.parse_text(b"a 1\nb 2\nc e 3\n", 1, 9, moved)
    assert (bytes(words), rows, lines) == (b"b\nc e", 2, 3)


@both
@pytest.mark.parametrize("size", [7, 1000, 1 << 28, 1 << 40])
def test_rows_longer_than_the_data_take_no_memory(size):
    tracemalloc.start()
    assert _kernels.native.parse_binary(b"a 1234", size, 9, None)[2:5] == (0, 0, 0)
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()
