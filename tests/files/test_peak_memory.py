"""No small file takes much memory, whatever it claims or expands to."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packing import lying_tar, zipped
from safetensors.numpy import save

MB = 1 << 20
MOST = 300  # MB above the imports, for an input under 64 KB

PROGRAM = """
import gc, os, sys
import datasets, gensim, openpyxl, polars, pyarrow.compute, pyarrow.ipc, pyarrow.parquet, torch
import finetune_embed as fe
from finetune_embed.data import open_splits
from finetune_embed.files import read_parquet

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

vectors = fe.load_vectors, fe.inspect, read_parquet  # imported once, and not in each child
gc.freeze()  # nor searched for garbage in each
for path in sys.argv[1:]:
    is_data = path.endswith((".csv.gz", ".jsonl.gz", ".feather", ".xlsx"))
    for read in (open_splits,) if is_data else vectors:
        if read is read_parquet and not path.endswith("parquet"):
            continue
        if not (child := os.fork()):
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # resets the peak
            before = memory("VmRSS")
            message = ""
            try:
                read(path)
            except fe.FinetuneEmbedError as error:
                message = str(error)
                assert len(message) < 500
            peak = memory("VmHWM") - before
            print(os.path.basename(path), read.__name__, peak, message, sep="\t", flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, path
"""


def repeated(data: bytes, size: int) -> bytes:
    """Return `size` bytes in gzip, in about a thousandth of the space."""
    block = data * (MB // len(data))
    return gzip.compress(block, mtime=0) * (size // len(block))


def npy(shape: tuple[int, ...], kind: str, data: bytes, fortran: bool = False) -> bytes:
    file = io.BytesIO()
    header = {"descr": kind, "fortran_order": fortran, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


def packed(method: int, *members: tuple[str, bytes], repeat: int = 1) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            with archive.open(name, "w") as member:
                for _ in range(repeat):
                    member.write(data)
    return file.getvalue()


def lying_about_its_sizes(data: bytes) -> bytes:
    archive = bytearray(data)
    at = archive.index(b"PK\1\2")
    struct.pack_into("<2I", archive, at + 20, (1 << 31) - 1, 100)
    return bytes(archive)


def arrow(column: pa.Array, compression: str) -> bytes:
    file = io.BytesIO()
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(len(column) * 2, "f4")), 2)
    table = pa.table({"token": column, "vector": vectors})
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table)
    return file.getvalue()


def claiming(data: bytes, small: int, large: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<q", changed, data.index(struct.pack("<q", small)), large)
    return bytes(changed)


def parquet(column: pa.Array, **options: object) -> bytes:
    file = io.BytesIO()
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(len(column) * 2, "f4")), 2)
    table = pa.table({"token": column, "vector": vectors})
    pq.write_table(table, file, compression="zstd", store_schema=False, **options)
    return file.getvalue()


def safetensors(header: bytes, claimed: int = 0) -> bytes:
    return struct.pack("<Q", claimed or len(header)) + header


def files() -> dict[str, bytes]:
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 300), ["x" * (MB // 2)])
    bzip2 = packed(zipfile.ZIP_BZIP2, ("v.txt", bytes(8 * MB)), repeat=20)
    size = 20 * MB
    words = npy((4,), f"<U{5 * MB // 4}", b"")
    shape = {"embedding.weight": {"dtype": "F32", "shape": [1 << 40, 9], "data_offsets": [0, 8]}}
    return {
        "bzip2 in zip": bzip2,
        "bzip2 in zip, lying": lying_about_its_sizes(bzip2),
        "lies of deflate": lying_about_its_sizes(zipped(("v.txt", b"ab 0\n" * (2 * MB)))),
        "rows in gzip": repeated(b"ab 0\n", 60 * MB)[: 64 << 10],
        "a line in gzip": repeated(b"a 0 0 ", 60 * MB)[: 64 << 10],
        "gzip in gzip": gzip.compress(repeated(b"ab 0 0\n", 400 * MB)),
        "zip in gzip": gzip.compress(zipped(("v.txt", bytes(size)))),
        "dictionary of xz": lzma.compress(
            b"ab 0\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
        ),
        "tar of a long name": lying_tar(b"L", 1 << 40),
        "long words in npz": packed(
            zipfile.ZIP_DEFLATED,
            ("vectors.npy", npy((4, 1), "<f4", bytes(16))),
            ("words.npy", words + bytes(size)),
        ),
        "short words in npz": packed(
            zipfile.ZIP_DEFLATED,
            ("vectors.npy", npy((5 * MB, 1), "|i1", bytes(5 * MB))),
            ("words.npy", npy((5 * MB,), "|S2", b"ab" * (5 * MB))),
        ),
        "bytes in npz": packed(
            zipfile.ZIP_DEFLATED,
            ("vectors.npy", npy((MB, 50), "|i1", bytes(50 * MB), fortran=True)),
            ("words.npy", npy((MB,), "|S1", b"a" * MB)),
        ),
        "a shape of npy": npy((1 << 40, 300), "<f4", bytes(99), fortran=True),
        "bytes in npy.gz": gzip.compress(npy((MB, 50), "|i1", bytes(50 * MB)), 6),
        "a header of safetensors": safetensors(b'{"a": 1}', 99_000_000),
        "a shape of safetensors": safetensors(json.dumps(shape).encode()) + bytes(8),
        "JSON of safetensors": gzip.compress(safetensors(b'{"a":[' + b"[]," * (6 * MB) + b"0]}")),
        "a header of word2vec": b"1000000000 1000000\nab " + bytes(99),
        "a buffer of arrow": claiming(arrow(pa.array(["a"] * 2000), "zstd"), 16000, 1_700_000_000),
        "a dictionary of arrow": arrow(shared, "lz4"),
        "rows.csv.gz": repeated(b"a,b\n", 40 * MB),
        "lists.jsonl.gz": gzip.compress(b'{"a":[' + b"[]," * (4 * MB) + b"0]}", 6),
        "zeros.feather": arrow(pa.array([np.zeros(9 * MB)]), "zstd"),
        "cells.xlsx": zipped(("xl/worksheets/sheet1.xml", b"<c/>" * (2 * MB))),
        "page.parquet": parquet(pa.array(["x" * (70 * MB)]), use_dictionary=False),
        "dictionary.parquet": parquet(shared),
        "delta.parquet": parquet(
            shared.cast(pa.string()),
            use_dictionary=False,
            column_encoding={"token": "DELTA_BYTE_ARRAY"},
        ),
    }


def folders() -> dict[str, dict[str, bytes]]:
    model = save({"embedding.weight": np.ones((2, 3), np.float32)})
    vectors = npy((2, 3), "<f4", bytes(24))
    ids = {"model": {"vocab": {"a": 0, "b": 1 << 31}}}
    lists = gzip.compress(b"[" + b"[]," * (6 * MB) + b"0]")
    return {
        "id": {"tokenizer.json": json.dumps(ids).encode(), "model.safetensors": model},
        "JSON": {"tokenizer.json": lists, "model.safetensors": model},
        "keys": {
            "vectors": vectors,
            "key2row": gzip.compress(b"\xdf\1\0\0\0" + bytes(32 * MB)),
            "strings.json": b'["a"]',
        },
        "claimed keys": {
            "vectors": vectors,
            "key2row": b"\xdf\xff\xff\xff\xff" + bytes(99),
            "strings.json": b'["a"]',
        },
    }


BOMB = "or more, over 200 to 1"
BINARY = "this is a binary file of unknown kind"
#: What the error of each file says.
MESSAGES = {
    "bzip2 in zip": BINARY,
    "bzip2 in zip, lying": BINARY,
    "lies of deflate": "Bad CRC-32",
    "rows in gzip": BOMB,
    "a line in gzip": "no line of text in the first 4,194,304 bytes",
    "gzip in gzip": BOMB,
    "zip in gzip": BINARY,
    "dictionary of xz": "needs more memory than is given to it here",
    "tar of a long name": "the tar data is damaged or cut short",
    "long words in npz": "this is not an array of words: each would take 5,242,880 bytes",
    "short words in npz": BOMB,
    "bytes in npz": BOMB,
    "a shape of npy": "this holds vectors without words",
    "bytes in npy.gz": BOMB,
    "a header of safetensors": "the header claims 99,000,000 bytes of a file of 16",
    "a shape of safetensors": "the file holds embedding.weight, but not vocab.offsets",
    "JSON of safetensors": BOMB,
    "a header of word2vec": "the header promises 1,000,000,000 vectors of 1000000 numbers",
    "a buffer of arrow": "expand to 1,700,",
    "a dictionary of arrow": BOMB,
    "rows.csv.gz": BOMB,
    "lists.jsonl.gz": BOMB,
    "zeros.feather": BOMB,
    "cells.xlsx": BOMB,
    "page.parquet": BOMB,
    "dictionary.parquet": BOMB,
    "delta.parquet": BOMB,
    "id": "the token 'b' has the id 2147483648",
    "JSON": BOMB,
    "keys": BOMB,
    "claimed keys": "the file is incomplete or damaged",
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc exists on Linux only")
def test_small_files_take_little_memory(tmp_path: Path) -> None:
    paths = []
    for name, data in files().items():
        assert len(data) <= 80_000, name
        (tmp_path / name).write_bytes(data)
        paths.append(tmp_path / name)
    for name, members in folders().items():
        (tmp_path / name).mkdir()
        for member, data in members.items():
            (tmp_path / name / member).write_bytes(data)
        paths.append(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {name for name, *_ in rows} == set(MESSAGES)
    assert [row for row in rows if int(row[2]) > 1000 * MOST] == []
    pinned = [row for row in rows if row[1] != "inspect"]  # which reports instead
    assert [row for row in pinned if MESSAGES[row[0]] not in row[3]] == []
