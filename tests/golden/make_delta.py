"""Write the golden deltas without the library; `tiny.safetensors` is their base.

The files are committed; run this only to change them, from any folder:
`python tests/golden/make_delta.py`.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from make_golden import BITS, WORDS

ENCODED = [word.encode() for word in WORDS]
ENDS = struct.pack("<6q", *(sum(map(len, ENCODED[:i])) for i in range(6)))
VOCAB_SHA256 = hashlib.sha256(ENDS + b"".join(ENCODED)).hexdigest()
VECTORS_SHA256 = hashlib.sha256(b"".join(struct.pack("<3I", *row) for row in BITS)).hexdigest()
METADATA = (
    f'{{"__metadata__":{{"base_rows":"5","base_source":"näive.txt","base_source_sha256":"",'
    f'"base_vectors_sha256":"{VECTORS_SHA256}","base_vocab_sha256":"{VOCAB_SHA256}",'
    '"format":"finetune_embed.delta","kept_rows":"5",'
    '"metadata":"{\\"source\\":\\"n\\\\u00e4ive.txt\\",\\"strategy\\":\\"FullTune\\"}",'
    '"version":"1"},'
    '"delta.rows":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},'
    '"vocab.offsets":{"dtype":"I64","shape":[2],"data_offsets":[16,32]},'
)
FLOAT32 = (
    '"delta.vectors":{"dtype":"F32","shape":[3,3],"data_offsets":[32,68]},'
    '"delta.origin":{"dtype":"U8","shape":[3],"data_offsets":[68,71]},'
    '"vocab.bytes":{"dtype":"U8","shape":[3],"data_offsets":[71,74]}}'
)
INT8 = (
    '"delta.scale":{"dtype":"F32","shape":[3],"data_offsets":[32,44]},'
    '"delta.vectors":{"dtype":"I8","shape":[3,3],"data_offsets":[44,53]},'
    '"delta.origin":{"dtype":"U8","shape":[3],"data_offsets":[53,56]},'
    '"vocab.bytes":{"dtype":"U8","shape":[3],"data_offsets":[56,59]}}'
)
#: Rows 0 and 2 are tuned: by (0, 1.5, -63.5) and by (2, 0, 1); the word "new" is (1, -127, 0).
START = struct.pack("<4q", 0, 2, 0, 3)
ROWS = (0.5, 0.25, -60.5, 65506.0, 0.699999988079071, -1.5, 1.0, -127.0, 0.0)
SCALES, STEPS = (0.5, 2 / 127, 1.0), (0, 3, -127, 127, 0, 64, 1, -127, 0)
END = bytes((1, 1, 2)) + b"new"


def main() -> None:
    """Write both files beside this one."""
    folder = Path(__file__).parent
    rows = struct.pack("<9f", *ROWS)
    steps = struct.pack("<3f9b", *SCALES, *STEPS)
    for name, header, body in (("delta", FLOAT32, rows), ("delta-int8", INT8, steps)):
        start = (METADATA + header).encode()
        start += b" " * (-len(start) % 8)
        data = struct.pack("<Q", len(start)) + start + START + body + END
        (folder / f"{name}.safetensors").write_bytes(data)


if __name__ == "__main__":
    main()
