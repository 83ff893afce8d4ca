"""Parquet files are read as pyarrow reads them, and damage is an error."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finetune_embed import DataError, VectorFileError, load_vectors
from finetune_embed.files import ParquetReader, read_parquet

ROWS = 300
COLUMNS = pa.table(
    {
        "text": [f"text {i % 7}" for i in range(ROWS)],
        "label": pa.array([1, None, -3] * (ROWS // 3), pa.int8()),
        "tags": [["a", "b", "a"], None, []] * (ROWS // 3),
        "pair": [{"x": "y", "n": 1.5}] * ROWS,
        "map": pa.array([[("k", 1)]] * ROWS, pa.map_(pa.string(), pa.int32())),
        "kind": pa.array(["u", "v", None] * (ROWS // 3)).dictionary_encode(),
        "bytes": pa.array([b"abcd"] * ROWS, pa.binary(4)),
        "large": pa.array(["z" * 50] * ROWS, pa.large_string()),
    }
)
WRITERS = {
    "plain": {},
    "v2": {"data_page_version": "2.0", "compression": "none"},
    "groups": {"row_group_size": 70, "compression": "zstd"},
    "delta": {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}},
    "pages": {"data_page_size": 64, "dictionary_pagesize_limit": 8},
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_is_read_as_pyarrow_reads_it(tmp_path, writer):
    path = tmp_path / "a[1]*.parquet"
    pq.write_table(COLUMNS, path, **WRITERS[writer])
    assert read_parquet(path).equals(pq.ParquetFile(path).read())
    assert read_parquet(path, ["tags", "text"]).equals(pq.ParquetFile(path).read().select([2, 0]))


def test_a_file_that_polars_wrote_gives_the_same_frame(tmp_path):
    frame = pl.DataFrame({"word": ["a", "b", None] * 50, "count": range(150), "l": [["x"]] * 150})
    frame.write_parquet(tmp_path / "p.parquet")
    assert pl.from_arrow(read_parquet(tmp_path / "p.parquet")).equals(frame)


LONG = "x" * (1 << 19)
SHARED = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS), [LONG])  # 150 MB of text
BOMBS = {
    "page": pa.array(["x" * 70_000_000]),
    "dictionary": SHARED,
    "nested": pa.ListArray.from_arrays(pa.array([0, ROWS]), SHARED),
    "nulls": pa.nulls(1 << 24, pa.string()),
    "wide": pa.DictionaryArray.from_arrays(
        pa.array([0] * ROWS), pa.array([LONG.encode()], pa.binary(1 << 19))
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_file_that_expands_too_much_is_refused(tmp_path, kind):
    path = tmp_path / "t.parquet"
    column = pa.table({"t": BOMBS[kind]})
    pq.write_table(column, path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(DataError, match=r"bytes expand to .* or more, over 200 to 1"):
        read_parquet(path)


DAMAGE = """
import sys
from finetune_embed.files import read_parquet
from finetune_embed import DataError
path, data, found = sys.argv[1], open(sys.argv[1], "rb").read(), []
for at in [*range(4, 64), *range(len(data) - 600, len(data), 3)]:
    for value in {255, data[at] ^ 1} - {data[at]}:
        with open(path, "wb") as file:
            file.write(data[:at] + bytes([value]) + data[at + 1 :])
        try:
            read_parquet(path)
        except DataError as error:
            found.append(len(str(error)))
print(len(found), max(found))
"""


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_a_changed_byte_never_ends_the_process(tmp_path, library):
    path = tmp_path / "p.parquet"
    words = {"word": [f"w{i}" for i in range(ROWS)], "count": list(range(ROWS))}
    if library == "polars":
        pl.DataFrame(words).write_parquet(path)
    else:
        pq.write_table(pa.table(words), path, write_page_index=True)
    done = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    errors, longest = map(int, done.stdout.split())
    assert errors > 150
    assert longest < 500


def test_a_missing_file_and_a_missing_column_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"none.parquet: .*No such file"):
        read_parquet(tmp_path / "none.parquet")
    pq.write_table(COLUMNS, tmp_path / "p.parquet")
    with pytest.raises(DataError, match="Column scores does not exist"):
        read_parquet(tmp_path / "p.parquet", ["scores"])


def test_a_damaged_file_of_vectors_is_an_error(tmp_path):
    path = tmp_path / "v.parquet"
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(200, np.float32)), 2)
    pq.write_table(pa.table({"token": [f"w{i}" for i in range(100)], "vector": vectors}), path)
    data = bytearray(path.read_bytes())
    reader = ParquetReader(pa.py_buffer(bytes(data)), "v.parquet")
    assert sum(batch.num_rows for batch in reader.batches(["token", "vector"])) == 100
    data[4 + 3] ^= 0x40  # in the header of the first page
    path.write_bytes(data)
    with pytest.raises(VectorFileError, match="damaged or cut short"):
        load_vectors(path)
