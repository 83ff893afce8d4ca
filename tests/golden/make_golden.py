"""Write the golden files of text and binary formats without the library.

The files are committed; run this only to change them, from any folder:
`python tests/golden/make_golden.py`.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

WORDS = ("the", "café", "a\u00a0b", "日本語", "🙂")
NUMBERS = (
    ("0.5", "-1.25", "3.0"),
    ("0.1", "0.0625", "-0.0"),
    ("65504.0", "0.7", "-2.5"),
    ("0.33333334", "16777216.0", "123456.79"),
    ("-0.012345679", "7.0", "0.2"),
)
#: The bits of the same numbers as float32.
BITS = (
    (0x3F000000, 0xBFA00000, 0x40400000),
    (0x3DCCCCCD, 0x3D800000, 0x80000000),
    (0x477FE000, 0x3F333333, 0xC0200000),
    (0x3EAAAAAB, 0x4B800000, 0x47F12065),
    (0xBC4A4588, 0x40E00000, 0x3E4CCCCD),
)
ORIGIN = (0, 1, 0, 2, 3)
HEADER = (
    '{"__metadata__":{"library_version":"0.1.0","source":"näive.txt"},'
    '"vocab.offsets":{"dtype":"I64","shape":[6],"data_offsets":[0,48]},'
    '"embedding.weight":{"dtype":"F32","shape":[5,3],"data_offsets":[48,108]},'
    '"vocab.bytes":{"dtype":"U8","shape":[25],"data_offsets":[108,133]},'
    '"vocab.origin":{"dtype":"U8","shape":[5],"data_offsets":[133,138]}}'
)
#: Numbers that no coding holds exactly, and the largest ones and the smallest one of float16.
SMALL = (
    (0.5, -1.25, 3.0),
    (0.1, 0.0625, -0.0),
    (65504.0, -65504.0, 6e-8),
    (1.00390625, 1.01171875, 0.3333333333333333),
    (0.0, 0.0, 0.0),
)


def bfloat16(number: float) -> bytes:
    """Return the nearest bfloat16, of two the one whose last bit is 0."""
    (bits,) = struct.unpack("<I", struct.pack("<f", number))
    upper, lower = divmod(bits, 1 << 16)
    return struct.pack("<H", upper + (lower > 0x8000 or (lower == 0x8000 and upper % 2 == 1)))


def int8(row: tuple[float, ...]) -> tuple[bytes, bytes]:
    """Return the scale of a row and its codes."""
    (scale,) = struct.unpack("<f", struct.pack("<f", max(map(abs, row)) / 127))
    codes = [round(number / scale) if scale else 0 for number in row]
    return struct.pack("<f", scale), struct.pack("<3b", *codes)


def file_of(tensors: list[tuple[str, str, list[int], bytes]], metadata: dict[str, str]) -> bytes:
    """Return a safetensors file."""
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, dtype, shape, data in tensors:
        start, end = end, end + len(data)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    encoded = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + b"".join(data for *_, data in tensors)


def write_small(folder: Path) -> None:
    """Write the safetensors files of smaller numbers, and one in shards of two rows."""
    encoded = [word.encode() for word in WORDS]
    places = [sum(map(len, encoded[:i])) for i in range(len(encoded) + 1)]
    offsets = ("vocab.offsets", "I64", [6], struct.pack("<6q", *places))
    text = ("vocab.bytes", "U8", [25], b"".join(encoded))
    metadata = {"library_version": "0.1.0"}
    half = b"".join(struct.pack("<3e", *row) for row in SMALL)
    upper = b"".join(bfloat16(number) for row in SMALL for number in row)
    for name, dtype, data in (("float16", "F16", half), ("bfloat16", "BF16", upper)):
        weight = ("embedding.weight", dtype, [5, 3], data)
        path = folder / f"tiny.{name}.safetensors"
        path.write_bytes(file_of([offsets, weight, text], metadata))
    rows = [int8(row) for row in SMALL]
    parts = []
    for suffix, part in (("", rows), (".0", rows[:2]), (".1", rows[2:4]), (".2", rows[4:])):
        scale, codes = (b"".join(data) for data in zip(*part, strict=True))
        parts.append(
            [
                (f"embedding.scale{suffix}", "F32", [len(part)], scale),
                (f"embedding.weight{suffix}", "I8", [len(part), 3], codes),
            ]
        )
    whole = [offsets, *parts[0], text]
    (folder / "tiny.int8.safetensors").write_bytes(file_of(whole, metadata))
    (folder / "tiny.shards").mkdir(exist_ok=True)
    shards = [[offsets, text], *parts[1:]]
    names = [f"model-{number:05}-of-00004.safetensors" for number in (1, 2, 3, 4)]
    for name, tensors in zip(names, shards, strict=True):
        own = {"format": "pt"} | (metadata if name == names[0] else {})
        data = file_of(tensors, own)
        (folder / "tiny.shards" / name).write_bytes(data)
    index = {
        "metadata": {"total_size": sum(len(one[3]) for part in shards for one in part)},
        "weight_map": {
            one[0]: name for name, part in zip(names, shards, strict=True) for one in part
        },
    }
    text_of_index = json.dumps(index, indent=2) + "\n"
    (folder / "tiny.shards" / "model.safetensors.index.json").write_text(text_of_index)


def write_shrunk(folder: Path) -> None:
    """Write a table of which two words share a row, whose rows are quantised and projected."""
    encoded = [word.encode() for word in WORDS]
    places = [sum(map(len, encoded[:i])) for i in range(len(encoded) + 1)]
    tensors = [
        ("vocab.offsets", "I64", [6], struct.pack("<6q", *places)),
        ("embedding.rows", "I32", [5], struct.pack("<5i", 0, 2, 1, 2, 3)),
        ("embedding.codebooks", "F32", [1, 2, 2], struct.pack("<4f", 1.0, 0.5, -2.0, 0.25)),
        ("embedding.basis", "F32", [2, 3], struct.pack("<6f", 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)),
        ("embedding.mean", "F32", [3], struct.pack("<3f", 8.0, 0.5, -0.125)),
        ("embedding.weight", "U8", [4, 1], bytes((1, 0, 0, 1))),
        ("vocab.bytes", "U8", [25], b"".join(encoded)),
    ]
    data = file_of(tensors, {"library_version": "0.1.0"})
    (folder / "tiny.shrunk.safetensors").write_bytes(data)


def main() -> None:
    """Write all files beside this one."""
    folder = Path(__file__).parent
    rows = [" ".join((word, *row)) + "\n" for word, row in zip(WORDS, NUMBERS, strict=True)]
    (folder / "tiny.glove.txt").write_bytes("".join(rows).encode())
    (folder / "tiny.word2vec.txt").write_bytes("".join(["5 3\n", *rows]).encode())
    for name, newline in (("tiny.word2vec.bin", b""), ("tiny.word2vec-newline.bin", b"\n")):
        data = b"5 3\n"
        for word, bits in zip(WORDS, BITS, strict=True):
            data += word.encode() + b" " + struct.pack("<3I", *bits) + newline
        (folder / name).write_bytes(data)
    encoded = [word.encode() for word in WORDS]
    offsets = [sum(map(len, encoded[:i])) for i in range(len(encoded) + 1)]
    header = HEADER.encode()
    header += b" " * (-len(header) % 8)
    data = struct.pack("<Q", len(header)) + header + struct.pack("<6q", *offsets)
    data += b"".join(struct.pack("<3I", *bits) for bits in BITS)
    data += b"".join(encoded) + bytes(ORIGIN)
    (folder / "tiny.safetensors").write_bytes(data)
    (folder / "tiny.projector").mkdir(exist_ok=True)
    lines = "".join("\t".join(row) + "\n" for row in NUMBERS)
    (folder / "tiny.projector" / "vectors.tsv").write_text(lines)
    (folder / "tiny.projector" / "metadata.tsv").write_text("\n".join((*WORDS, "")))
    write_small(folder)
    write_shrunk(folder)


if __name__ == "__main__":
    main()
