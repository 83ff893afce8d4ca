"""Write the golden files of text and binary formats without the library.

The files are committed; run this only to change them, from any folder:
`python tests/golden/make_golden.py`.
"""

from __future__ import annotations

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


def main() -> None:
    """Write all five files beside this one."""
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


if __name__ == "__main__":
    main()
