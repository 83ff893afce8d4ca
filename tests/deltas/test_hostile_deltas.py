"""Damaged, lying and foreign files: each is one clear error, in memory bounded by the file."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packing import zstd
from safetensors.numpy import save

import finetune_embed as fe

MB = 1 << 20
FETCH = "; the file is damaged; fetch it again"
GOLDEN = Path(__file__).parents[1] / "golden"
PLAIN = (GOLDEN / "delta.safetensors").read_bytes()
INT8 = (GOLDEN / "delta-int8.safetensors").read_bytes()


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the body of a file."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def joined(header: dict[str, Any], body: bytes) -> bytes:
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def said(data: bytes = PLAIN, **metadata: str | None) -> bytes:
    """Return a file with other metadata."""
    header, body = parts(data)
    found = header["__metadata__"]
    header["__metadata__"] = {k: v for k, v in {**found, **metadata}.items() if v is not None}
    return joined(header, body)


def holding(data: bytes = PLAIN, **arrays: Any) -> bytes:
    """Return a file with other arrays, None for none; `rows` stands for `delta.rows`."""
    header, body = parts(data)
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, spec in header.items():
        begin, end = spec["data_offsets"]
        dtype = {"I64": "<i8", "F32": "<f4", "U8": "u1", "I8": "i1"}[spec["dtype"]]
        tensors[name] = np.frombuffer(body[begin:end], dtype).reshape(spec["shape"])
    names = {name.partition(".")[2]: name for name in tensors}
    for name, array in arrays.items():
        tensors[names[name]] = array
    return save({k: v for k, v in tensors.items() if v is not None}, metadata)


def claiming(tensor: str, **claims: Any) -> bytes:
    """Return a file whose header claims something else of a tensor."""
    header, body = parts(PLAIN)
    header[tensor] |= claims
    return joined(header, body)


def ints(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


def floats(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


ROWS = r"delta\.rows does not hold distinct rows of 5, in ascending order"
FACTS = "its metadata do not say which base it belongs to"
SCALES = r"delta\.scale does not hold a finite number for each of 3 rows"

#: A name, the bytes, and what the error says of them.
CASES: list[tuple[str, bytes, str]] = [
    ("empty", b"", r"the file is empty \(0 bytes\)"),
    ("one byte", PLAIN[:1], "this is text of vectors, and is not a delta"),
    ("cut in the header", PLAIN[:300], "the header claims 728 bytes of a file of 300"),
    ("cut in the body", PLAIN[:-1], f"the header promises {len(PLAIN):,} bytes, but the file has"),
    ("bytes after the end", PLAIN + b"x", f"the header promises {len(PLAIN):,} bytes, but"),
    (
        "a huge header",
        struct.pack("<Q", 1 << 62) + PLAIN[8:],
        "this is a binary file of unknown kind, and is not a delta",
    ),
    ("a large header", struct.pack("<Q", 90 * MB) + PLAIN[8:], "the header claims 94,371,840"),
    ("a header that is not JSON", PLAIN[:9] + b"\xff" + PLAIN[10:], "header is damaged"),
    ("a deep header", struct.pack("<Q", MB) + b"{" + b'"a":{' * (MB // 5) + b" ", "header is dam"),
    (
        "text",
        b"the 1 2\n",
        "this is text of vectors, and is not a delta; write one with save_delta",
    ),
    ("a pickle", b"\x80\x04\x95", "this is a Python pickle, and is not a delta"),
    ("a foreign file", save({"w": floats(1)}), "the file holds w, and is not a delta; write one"),
    (
        "a table",
        (GOLDEN / "tiny.safetensors").read_bytes(),
        r"holds embedding\.weight, vocab\.bytes, .*, and is not a delta; write one with save_delta",
    ),
    ("a later version", said(version="2"), "the delta is of version 2, and this library reads"),
    ("no version", said(version=None), "the delta is of version None"),
    ("no rows", holding(rows=None), r"delta\.rows is missing" + FETCH),
    ("no vectors", holding(vectors=None), r"delta\.vectors is missing"),
    ("no origin", holding(origin=None), r"delta\.origin is missing"),
    ("no words", holding(bytes=None, offsets=None), r"vocab\.offsets and vocab\.bytes is missing"),
    ("no count", said(base_rows=None), FACTS),
    ("a negative count", said(kept_rows="-1"), FACTS),
    ("a count of many digits", said(base_rows="9" * 5_000), FACTS),
    ("a count in other digits", said(base_rows="٥"), FACTS),
    ("no hash", said(base_vectors_sha256=None), FACTS),
    ("a hash with more in it", said(base_vocab_sha256="0" * 64 + "\n"), FACTS),
    ("more kept than there are", said(kept_rows="6"), "it keeps 6 rows of a base of 5"),
    ("a base of another size", said(base_rows="6", kept_rows="6"), "belongs to 6 words with the"),
    ("a base beyond memory", said(base_rows="9" * 15, kept_rows="9" * 15), "belongs to 999,999,9"),
    ("new words after fewer", said(kept_rows="4"), r"delta\.vectors has 3 rows, and delta\.rows"),
    ("metadata not JSON", said(metadata="{"), r"of the tuned table are not JSON \(Expecting"),
    ("metadata missing", said(metadata=None), "of the tuned table are not JSON"),
    ("metadata of lists", said(metadata="[" * 10_000), "of the tuned table are not JSON"),
    ("metadata a list", said(metadata="[]"), "metadata of the tuned table are not strings"),
    ("metadata of numbers", said(metadata='{"a":1}'), "metadata of the tuned table are not str"),
    ("a negative row", holding(rows=ints(-1, 2)), ROWS + FETCH),
    ("a row out of range", holding(rows=ints(0, 5)), ROWS),
    ("a row far out of range", holding(rows=ints(0, 1 << 62)), ROWS),
    ("a row twice", holding(rows=ints(2, 2)), ROWS),
    ("rows out of order", holding(rows=ints(2, 0)), ROWS),
    ("rows of int32", holding(rows=np.array([0, 2], np.int32)), r"delta\.rows is I32 \[2\], but"),
    ("rows in two dimensions", holding(rows=ints(0, 2)[None]), r"delta\.rows is I64 \[1, 2\]"),
    ("more rows than vectors", holding(rows=ints(0, 1, 2, 3)), r"delta\.vectors has 3 rows, and"),
    ("vectors of float16", holding(vectors=np.ones((3, 3), np.float16)), "is F16 .*, but F32"),
    (
        "vectors of another size",
        holding(vectors=np.ones((3, 2), np.float32)),
        "the delta has 2 dimensions, the base 3" + FETCH,
    ),
    (
        "vectors that claim terabytes",
        claiming("delta.vectors", shape=[3, 1 << 40]),
        r"delta\.vectors of shape \[3, 1099511627776\] needs 13,194,139,533,312 bytes",
    ),
    (
        "vectors beyond the file",
        claiming("delta.vectors", data_offsets=[32, 1 << 50], shape=[3, 1 << 48]),
        "the header promises",
    ),
    ("a shape that is text", claiming("delta.vectors", shape="xyz"), "entry for delta.vectors is"),
    ("offsets that go down", holding(offsets=ints(3, 0)), r"vocab\.offsets does not divide 3 byt"),
    ("offsets beyond the bytes", holding(offsets=ints(0, 9)), r"vocab\.offsets does not divide"),
    ("too few offsets", holding(offsets=ints(0)), r"does not divide 3 bytes into 1 words"),
    (
        "a word twice",
        holding(
            offsets=ints(0, 1, 2),
            bytes=np.frombuffer(b"aa", np.uint8),
            vectors=np.ones((4, 3), np.float32),
            origin=np.zeros(4, np.uint8),
        ),
        r"vocab\.bytes holds a word twice" + FETCH,
    ),
    (
        "a word of the base",
        holding(bytes=np.frombuffer(b"the", np.uint8)),
        "the delta adds the word 'the', which the base has" + FETCH,
    ),
    ("an origin too few", holding(origin=np.zeros(2, np.uint8)), r"delta\.origin does not hold a"),
    ("an unknown origin", holding(origin=np.full(3, 4, np.uint8)), r"delta\.origin does not hold"),
    ("no scales", holding(INT8, scale=None), r"delta\.scale is missing" + FETCH),
    ("a scale too few", holding(INT8, scale=floats(1, 1)), SCALES + FETCH),
    ("a scale that is NaN", holding(INT8, scale=floats(1, np.nan, 1)), SCALES),
    ("a scale that is infinite", holding(INT8, scale=floats(1, 1, np.inf)), SCALES),
    ("a negative scale", holding(INT8, scale=floats(-1, 1, 1)), SCALES),
    ("a scale too large", holding(INT8, scale=floats(1, 3e38, 1)), "vectors that are not finite"),
    (
        "scales in float64",
        holding(INT8, scale=np.ones(3)),
        r"delta\.scale is F64 \[3\], but F32 with 1 dimensions is needed",
    ),
]


@pytest.mark.parametrize(("name", "data", "message"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("how", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_is_refused_in_little_memory(
    name: str, data: bytes, message: str, how: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "d.safetensors"
    path.write_bytes(how(data) if data else data)
    base = fe.load_vectors(GOLDEN / "tiny.safetensors")
    tracemalloc.start()
    try:
        with pytest.raises(fe.VectorFileError, match=message) as error:
            fe.apply_delta(base, path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(error.value).startswith(str(path))
    assert peak < 40 * MB


def test_the_number_of_cases() -> None:
    assert len({case[0] for case in CASES}) == len(CASES) == 61


def test_bombs_are_refused() -> None:
    packed = zstd(holding(vectors=np.zeros((3, 6 * MB), np.float32)))  # 72 MB of nothing
    with pytest.raises(fe.VectorFileError, match="over 200 to 1"):
        fe.load_delta(io.BytesIO(packed))


def test_int8_that_overflows_the_base() -> None:
    base = fe.EmbeddingTable(["a"], floats(3e38)[None])
    tuned = fe.EmbeddingTable(["a"], floats(3.4e38)[None])
    delta = fe.Delta.between(base, tuned, "int8")
    assert np.isfinite(fe.apply_delta(base, delta).vectors).all()
    assert delta.scale is not None
    delta.scale[:] *= 2
    with pytest.raises(fe.VectorFileError, match="makes vectors that are not finite; the file is"):
        fe.apply_delta(base, delta)
