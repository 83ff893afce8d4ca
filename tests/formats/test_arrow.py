from __future__ import annotations

import gzip
import io
import json
import shutil
import struct
import tempfile
from pathlib import Path

import datasets
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from finetune_embed import (
    EmbeddingTable,
    VectorFileError,
    VocabularyError,
    inspect,
    load_arrow,
    load_glove,
    load_vectors,
    save_arrow,
    save_parquet,
    to_dataset,
)

WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂"]
BITS = [
    [0x3F000000, 0xBFA00000, 0x40400000],
    [0x3DCCCCCD, 0x3D800000, 0x80000000],
    [0x477FE000, 0x3F333333, 0xC0200000],
    [0x3EAAAAAB, 0x4B800000, 0x47F12065],
    [0xBC4A4588, 0x40E00000, 0x3E4CCCCD],
]
VECTORS = np.array(BITS, np.uint32).view(np.float32)
METADATA = {"source": "näive.txt", "source_format": "glove"}
GOLDEN = ("tiny.arrow", "tiny.parquet", "tiny.polars.arrow", "tiny.polars.parquet", "tiny.dataset")
SAVE = {"arrow": save_arrow, "parquet": save_parquet}
ABC = ["a", "b", "c"]
SMALL = [[1.5, -2.0], [0.25, 4.0], [3.0, 8.0]]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    datasets.disable_progress_bars()


def fixed(rows: object, size: int = 2) -> pa.Array:
    return pa.array(rows, pa.list_(pa.float32(), size))


def written(path: Path, kind: str, rows: int | None = None, **columns: object) -> Path:
    """Write columns as a file of one of `KINDS`."""
    data = pa.table(columns)
    if kind == "parquet":
        pq.write_table(data, path, row_group_size=rows)
        return path
    new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    options = pa.ipc.IpcWriteOptions(compression="zstd" if kind == "packed" else None)
    with pa.OSFile(str(path), "wb") as file, new(file, data.schema, options=options) as writer:
        writer.write_table(data, max_chunksize=rows)
    return path


KINDS = ("file", "stream", "packed", "parquet")


@pytest.mark.parametrize("name", GOLDEN)
def test_reads_the_golden_files_of_every_library_to_the_bit(name, golden):
    for load in (load_arrow, load_vectors):
        table = load(golden / name)
        assert table.index_to_key == WORDS
        assert table.vectors.tobytes() == VECTORS.tobytes()
    if name in ("tiny.arrow", "tiny.parquet"):
        assert table.metadata == METADATA
    else:
        formats = {"tiny.polars.arrow": "arrow", "tiny.polars.parquet": "parquet"}
        assert table.metadata["source_format"] == formats.get(name, "dataset")
        inside = "/data-00000-of-00002.arrow" if name == "tiny.dataset" else ""
        assert table.metadata["source"] == name + inside
        assert len(table.metadata["source_sha256"]) == 64


def test_an_arrow_file_is_opened_in_place_and_written_back_over_itself(golden, tmp_path):
    path = tmp_path / "t.arrow"
    shutil.copy(golden / "tiny.arrow", path)
    table = load_arrow(path)
    assert not table.vectors.flags.owndata
    assert not table.vectors.flags.writeable
    save_arrow(table, path)
    assert load_arrow(path).vectors.tobytes() == VECTORS.tobytes()
    assert load_arrow(path, limit=2).index_to_key == WORDS[:2]


@pytest.mark.parametrize("kind", SAVE)
def test_the_libraries_read_what_we_wrote(kind, random_table, tmp_path):
    random_table.metadata["note"] = "ü\udcff"
    for name in ("1", "2"):
        SAVE[kind](random_table, tmp_path / name)
    path = tmp_path / "1"
    assert path.read_bytes() == (tmp_path / "2").read_bytes()
    raw = random_table.vectors.tobytes()
    frame = pl.read_parquet(path) if kind == "parquet" else pl.read_ipc(path)
    assert frame.schema == {"token": pl.String, "vector": pl.Array(pl.Float32, 16)}
    assert frame["token"].to_list() == random_table.index_to_key
    assert frame["vector"].to_numpy().tobytes() == raw
    data = pq.read_table(path) if kind == "parquet" else pa.ipc.open_file(path).read_all()
    assert data.schema.names == ["token", "vector"]
    assert data.schema.types == [pa.string(), pa.list_(pa.float32(), 16)]
    assert json.loads(data.schema.metadata[b"finetune_embed"]) == {"note": "ü\udcff"}
    assert data["token"].to_pylist() == random_table.index_to_key
    assert b"".join(c.flatten().to_numpy().tobytes() for c in data["vector"].chunks) == raw
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset(
        kind, data_files=str(path), split="train", cache_dir=cache, keep_in_memory=True
    )
    assert loaded["token"][:] == random_table.index_to_key
    assert np.array(loaded["vector"][:], np.float32).tobytes() == raw
    assert load_arrow(loaded).vectors.tobytes() == raw
    back = load_vectors(path)
    assert back.metadata["note"] == "ü\udcff"
    assert back.metadata["source_format"] == kind
    assert back.metadata["source"] == "1"
    assert back.vectors.tobytes() == raw


def test_parquet_is_smaller_than_the_numbers_and_has_several_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("finetune_embed.formats.arrow.GROUP_BYTES", 4 * 16 * 1_000)
    vectors = np.random.default_rng(0).normal(size=(2_500, 16)).astype(np.float32)
    table = EmbeddingTable([f"w{i}" for i in range(2_500)], vectors)
    save_parquet(table, tmp_path / "t")
    found = pq.ParquetFile(tmp_path / "t").metadata
    assert [found.row_group(i).num_rows for i in range(found.num_row_groups)] == [1_000, 1_000, 500]
    assert found.row_group(0).column(1).compression == "ZSTD"
    assert (tmp_path / "t").stat().st_size < vectors.nbytes
    assert load_arrow(tmp_path / "t").vectors.tobytes() == vectors.tobytes()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0x7FC00001, 0x7F800001, 0xFFFFFFFF, 0x7F800000, 0xFF800000, 1, 1 << 31]),
)


@st.composite
def tables(draw) -> EmbeddingTable:
    words = draw(st.lists(TEXTS, min_size=1, max_size=6, unique=True))
    bits = draw(npst.arrays(np.uint32, (len(words), draw(st.integers(1, 4))), elements=NUMBERS))
    names = st.one_of(TEXTS, st.sampled_from(["source", "source_format"]))
    return EmbeddingTable(words, bits.view(np.float32), draw(st.dictionaries(names, TEXTS)))


@pytest.mark.parametrize("kind", SAVE)
@given(table=tables())
@example(table=EmbeddingTable(["", "\0", "x" * 100_000, "\r\n"], np.ones((4, 1)), {"": "\0"}))
def test_files_hold_every_table_of_utf8_words_to_the_bit(kind, table):
    with tempfile.TemporaryDirectory() as folder:
        SAVE[kind](table, Path(folder, "out"))
        back = load_vectors(Path(folder, "out"))
        assert back.index_to_key == table.index_to_key
        assert back.vectors.tobytes() == table.vectors.tobytes()
        if "source_format" in table.metadata:
            assert back.metadata == table.metadata
        else:
            read = {"source": "out", "source_format": kind}
            assert back.metadata.items() >= (table.metadata | read).items()
            assert len(back.metadata.keys() - table.metadata) <= 3


@given(tables())
def test_data_sets_hold_every_table_of_utf8_words_to_the_bit(table):
    dataset = to_dataset(table)
    assert dataset.column_names == ["token", "vector"]
    back = load_arrow(dataset)
    assert back.index_to_key == table.index_to_key
    assert back.vectors.tobytes() == table.vectors.tobytes()


@pytest.mark.parametrize("write", [*SAVE.values(), lambda table, path: to_dataset(table)])
def test_tables_that_are_refused(write, tmp_path):
    for words, vectors, error, message in (
        (
            [],
            np.zeros((0, 3)),
            VectorFileError,
            "the table is 0 x 3, but .* needs at least one",
        ),
        (["a"], np.zeros((1, 0)), VectorFileError, "the table is 1 x 0, but .* needs at least"),
        (["a", "a"], np.eye(2), VocabularyError, "'a' is in rows 0 and 1"),
        (
            ["a", "\udcff", "b\udc80"],
            np.eye(3),
            VectorFileError,
            r"2 of 3 words are not UTF-8 \('\\udcff' is the first\), .*; use save_safetensors\(ta",
        ),
    ):
        with pytest.raises(error, match=message):
            write(EmbeddingTable(words, vectors), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


TOKENS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "dictionary": pa.dictionary(pa.int16(), pa.string()),
    "dictionary of bytes": pa.dictionary(pa.int8(), pa.large_binary()),
}
ITEMS = [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.uint16(), pa.int64()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TOKENS)
def test_every_type_of_string(name, kind, tmp_path):
    words = ["", "café", "x" * 20, "\0日"]
    tokens = pa.array([word.encode() for word in words] if "b" in name[:1] else words)
    kind_of = TOKENS[name]
    if "dictionary" in name:
        tokens = tokens.cast(kind_of.value_type).dictionary_encode().cast(kind_of)
    else:
        tokens = tokens.cast(kind_of)
    path = written(tmp_path / "x", kind, 3, token=tokens, vector=fixed(np.eye(4)[:, :2].tolist()))
    assert load_arrow(path).index_to_key == words
    for keys in (words[1:3], [], words, ["absent"]):
        table = load_arrow(path, keys=keys)
        assert table.index_to_key == [word for word in words if word in keys]
        assert table.vectors.shape == (len(table), 2)


@pytest.mark.parametrize(
    ("kind", "list_of"),
    [(kind, of) for kind in KINDS for of in ("list", "large", "fixed")]
    + [(kind, "view") for kind in KINDS if kind != "parquet"],  # which has none
)
@pytest.mark.parametrize("item", ITEMS, ids=str)
def test_every_type_of_vector(item, list_of, kind, tmp_path):
    rows = [[1, 2], [3, 4], [100, 0]]
    types = {"list": pa.list_(item), "large": pa.large_list(item), "fixed": pa.list_(item, 2)}
    types["view"] = pa.list_view(item)
    vectors = pa.array([[item.to_pandas_dtype()(x) for x in row] for row in rows], types[list_of])
    path = written(tmp_path / "x", kind, 2, token=ABC, vector=vectors)
    for source in (path, io.BytesIO(path.read_bytes())):
        table = load_arrow(source)
        assert table.index_to_key == ABC
        assert table.vectors.dtype == np.float32
        assert table.vectors.tolist() == rows
    assert load_arrow(path, keys=["c", "a"]).vectors.tolist() == [rows[0], rows[2]]
    assert load_arrow(path, limit=2).vectors.tolist() == rows[:2]


def test_slices_tensors_and_compressed_files(tmp_path):
    data = pa.table({"t": pa.array(["x", *ABC]), "v": fixed([[0, 0], *SMALL])}).slice(1)
    with pa.OSFile(str(tmp_path / "x"), "wb") as file, pa.ipc.new_file(file, data.schema) as out:
        out.write_table(data)
    assert load_arrow(tmp_path / "x").vectors.tolist() == SMALL
    (tmp_path / "x.gz").write_bytes(gzip.compress((tmp_path / "x").read_bytes()))
    assert load_vectors(tmp_path / "x.gz").vectors.tolist() == SMALL
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.array(SMALL, np.float32))
    path = written(tmp_path / "t", "file", token=ABC, vector=tensors)
    assert load_arrow(path).vectors.tolist() == SMALL


def test_bytes_that_are_not_utf8_are_kept_and_counted(tmp_path):
    raw = [b"\xff", "é".encode(), b"a\x80b"]
    odd = pa.array(raw)
    forged = pa.StringArray.from_buffers(3, odd.buffers()[1], odd.buffers()[2])
    for number, tokens in enumerate((odd, forged)):
        path = written(tmp_path / str(number), "file", token=tokens, vector=fixed(SMALL))
        table = load_arrow(path)
        assert table.index_to_key == ["\udcff", "é", "a\udc80b"]
        assert table.metadata["non_utf8"] == "2"
        assert load_arrow(path, keys=["\udcff", "x\ud800"]).vectors.tolist() == SMALL[:1]


@pytest.mark.parametrize("kind", KINDS)
def test_keys_limit_and_duplicates_over_many_batches(kind, tmp_path):
    count = 20_000
    vectors = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    words = [f"w{i % 19_500}" for i in range(count)]
    path = written(tmp_path / "x", kind, 999, token=words, vector=fixed(vectors.tolist(), 3))
    table = load_arrow(path)
    assert table.index_to_key == words[:19_500]
    assert np.array_equal(table.vectors, vectors[:19_500])
    assert table.metadata["duplicates"] == "500"
    keys = [f"w{i}" for i in (19_499, 998, 999, 20_001, 2)]
    table = load_arrow(path, keys=keys)
    assert table.index_to_key == ["w2", "w998", "w999", "w19499"]
    assert np.array_equal(table.vectors, vectors[[2, 998, 999, 19_499]])
    assert table.metadata["duplicates"] == "1"
    assert load_arrow(path, keys=keys, limit=999).index_to_key == ["w2", "w998"]
    table = load_arrow(path, limit=1_500)
    assert np.array_equal(table.vectors, vectors[:1_500])
    assert "duplicates" not in table.metadata


def test_columns_are_found_by_type_or_by_name(tmp_path):
    lists = fixed(SMALL)
    others = {"id": [1, 2, 3], "ints": pa.array([[[1]]] * 3), "n": [1.0, 2.0, 3.0]}
    only = written(tmp_path / "1", "file", **others, word=ABC, embedding=lists)
    assert load_arrow(only).index_to_key == ABC
    named = written(tmp_path / "2", "parquet", x=["x"] * 3, v=lists, token=ABC, vector=lists)
    assert load_arrow(named).index_to_key == ABC
    both = written(tmp_path / "3", "stream", de=ABC, en=["x", "y", "z"], v=lists, raw=[b"1"] * 3)
    assert load_arrow(both, token="en").index_to_key == ["x", "y", "z"]
    assert load_arrow(both, token="de", vector="v").vectors.tolist() == SMALL
    assert load_arrow(both, token="raw").index_to_key == ["1"]
    raw = written(tmp_path / "4", "file", raw=[b"a", b"b", b"c"], v=lists)
    assert load_arrow(raw).index_to_key == ABC


L = fixed(SMALL)
COLUMNS = {
    "several of strings": (
        {"de": ABC, "en": ABC, "v": L},
        {},
        r"x: 2 columns of strings; the columns are: de string, en string, v fixed.*"
        r"; name the one to read: load_arrow\(source, token=\.\.\.\)",
    ),
    "none of strings": (
        {"id": [1, 2, 3], "v": L},
        {},
        "x: no columns of strings; the columns are",
    ),
    "several of vectors": ({"t": ABC, "v": L, "w": L}, {}, r"x: 2 columns of lists .*vector=\.\."),
    "none of vectors": ({"t": ABC, "x": [1.0] * 3, "y": [2.0] * 3}, {}, "no columns of lists of n"),
    "lists of strings": ({"t": ABC, "v": [["1", "2"]] * 3}, {}, "no columns of lists of numbers"),
    "not there": ({"t": ABC, "v": L}, {"token": "word"}, "no columns are called 'word'; the colu"),
    "of another type": (
        {"t": ABC, "v": L},
        {"vector": "t"},
        "vector='t' is a column of string, no",
    ),
    "numbers for words": (
        {"t": ABC, "n": [1, 2, 3], "v": L},
        {"token": "n"},
        "token='n' is a column of int64, not of strings",
    ),
    "no columns": ({}, {}, "no columns of lists of numbers; the columns are: none"),
    "null word": ({"t": ["a", None, "c"], "v": L}, {}, r"x: t\[1\]: this value is null; remov"),
    "null vector": ({"t": ABC, "v": fixed([[1, 2], [3, 4], None])}, {}, r"x: v\[2\]: this"),
    "null at first": ({"t": ABC, "v": fixed([None, [3, 4], None])}, {}, r"x: v\[0\]: this"),
    "null number": ({"t": ABC, "v": fixed([[1, 2], [3, None], [5, 6]])}, {}, r"v\[1\]\[1\]: this"),
    "ragged": (
        {"t": ABC, "v": [[1.0, 2.0], [3.0, 4.0], [5.0]]},
        {},
        r"x: v\[2\]: length 1, but the first vector has length 2; give all vectors the same",
    ),
    "empty vectors": (
        {"t": ABC, "v": pa.array([[]] * 3, pa.list_(pa.float64()))},
        {},
        r"v\[0\]: l",
    ),
    "all null": ({"t": ABC, "v": pa.array([None] * 3, pa.list_(pa.float64()))}, {}, "is null; rem"),
    "too large": (
        {"t": ABC, "v": [[0.0], [1e39], [2.0]]},
        {},
        r"v\[1\]: 1e\+39 is too large for f",
    ),
    "no rows": (
        {"t": pa.array([], pa.string()), "v": L[:0]},
        {},
        "x: this holds no rows; fetch the file",
    ),
}


@pytest.mark.parametrize("kind", ["file", "parquet", "dataset"])
@pytest.mark.parametrize("case", COLUMNS)
def test_columns_that_are_refused(case, kind, tmp_path):
    columns, named, message = COLUMNS[case]
    if kind == "dataset":
        source = datasets.Dataset(pa.table(columns))
        message = message.replace("x: ", "the data set: ")
    else:
        source = written(tmp_path / "x", kind, 2, **columns)
    with pytest.raises(VectorFileError, match=message):
        load_arrow(source, **named)


def test_errors_name_the_row_of_the_file_where_keys_were_asked_for(tmp_path):
    vectors = pa.array([[1.0], [2.0], [1e39], [None], [5.0]])
    path = written(tmp_path / "x", "file", 2, token=list("abcde"), vector=vectors)
    assert load_arrow(path, keys=["a", "e"]).vectors.tolist() == [[1.0], [5.0]]
    with pytest.raises(VectorFileError, match=r"x: vector\[2\]: 1e\+39 is too large"):
        load_arrow(path, keys=["c"])
    with pytest.raises(VectorFileError, match=r"vector\[3\]\[0\]: this value is null; replace"):
        load_arrow(path, keys=["a", "d"])


def test_data_sets_in_memory(random_table):
    dataset = to_dataset(random_table)
    rows = [7, 3, 1_999, 0]
    for source in (dataset.select(rows), dataset.select(rows).with_format("torch")):
        table = load_arrow(source)
        assert table.index_to_key == [f"w{row}" for row in rows]
        assert table.vectors.tobytes() == random_table.vectors[rows].tobytes()
        assert table.metadata == {"source_format": "dataset"}
    renamed = dataset.rename_columns({"token": "word", "vector": "v"}).add_column(
        "x", ["x"] * 2_000
    )
    assert load_arrow(renamed, ["w5"], token="word", vector="v").index_to_key == ["w5"]
    both = datasets.concatenate_datasets([dataset, dataset])
    assert len(load_arrow(both)) == 2_000
    assert load_arrow(both).metadata["duplicates"] == "2000"


def test_iterable_data_sets(random_table):
    stream = to_dataset(random_table).to_iterable_dataset(num_shards=3)
    table = load_arrow(stream, limit=1_000)
    assert table.vectors.tobytes() == random_table.vectors[:1_000].tobytes()

    def rows():
        for word, vector in zip(ABC, SMALL, strict=True):
            yield {"word": word, "vector": vector}

    made = datasets.IterableDataset.from_generator(rows)
    assert load_arrow(made, keys=["c", "a"]).vectors.tolist() == [SMALL[0], SMALL[2]]
    empty = datasets.IterableDataset.from_generator(lambda: iter(()))
    with pytest.raises(VectorFileError, match="the data set: this has no rows"):
        load_arrow(empty)


def test_several_data_sets_at_once(tmp_path, random_table):
    several = datasets.DatasetDict({"glove": to_dataset(random_table), "test": None})
    message = r"the data set: this holds several data sets: glove, test; .*, such as dataset\['gl"
    with pytest.raises(VectorFileError, match=message):
        load_arrow(several)
    del several["test"]
    several.save_to_disk(tmp_path / "d")
    for load in (load_arrow, load_vectors):
        message = r"/d: the folder holds several data sets: glove; pass .*, such as /.*/d/glove$"
        with pytest.raises(VectorFileError, match=message):
            load(tmp_path / "d")
    table = load_vectors(tmp_path / "d" / "glove")
    assert table.vectors.tobytes() == random_table.vectors.tobytes()


def test_a_selection_is_saved_and_loaded(tmp_path, random_table):
    to_dataset(random_table).select([4, 2]).save_to_disk(tmp_path / "d")
    assert load_vectors(tmp_path / "d").index_to_key == ["w4", "w2"]
    assert load_vectors(tmp_path / "d", keys=["w2"], limit=1).index_to_key == []


NOT_LISTED = "state.json: this does not list the files of the data"
STATES = {
    "outside": ({"_data_files": [{"filename": "../tiny.arrow"}]}, NOT_LISTED),
    "absolute": ({"_data_files": [{"filename": "/etc/passwd"}]}, NOT_LISTED),
    "none": ({"_data_files": []}, NOT_LISTED + r" \(it lists \[\]\)"),
    "no list": ({}, NOT_LISTED),
    "no map": ([], NOT_LISTED),
    "no names": ({"_data_files": ["x"]}, NOT_LISTED),
    "numbers": ({"_data_files": [{"filename": 3}]}, NOT_LISTED),
    "absent": (
        {"_data_files": [{"filename": "x.arrow"}]},
        "this names x.arrow, which is missing",
    ),
    "text": (
        {"_data_files": [{"filename": "state.json"}]},
        "is text of vectors, not an Arrow file",
    ),
    "indices": (
        {
            "_data_files": [{"filename": "data-00000-of-00002.arrow"}],
            "_indices_data_files": [{"filename": "i"}],
        },
        r"an old version of datasets saved .* a selection .*; open .* dataset\.flatten_indices\(\)",
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_folders_that_lie(case, golden, tmp_path):
    state, message = STATES[case]
    shutil.copytree(golden / "tiny.dataset", tmp_path / "d")
    (tmp_path / "d" / "state.json").write_text(json.dumps(state))
    with pytest.raises(VectorFileError, match=message):
        load_vectors(tmp_path / "d")


def test_folders_whose_parts_differ_and_other_folders(golden, tmp_path):
    shutil.copytree(golden / "tiny.dataset", tmp_path / "d")
    part = tmp_path / "d" / "data-00001-of-00002.arrow"
    written(part, "stream", token=ABC, vector=L)
    message = (
        r"00001-of-00002.arrow: this has other columns than .*: \['token', 'vector'\], not \['"
    )
    with pytest.raises(VectorFileError, match=message):
        load_vectors(tmp_path / "d")
    with pytest.raises(VectorFileError, match="this folder is not a saved Hugging Face data set"):
        load_arrow(tmp_path)


def test_other_formats_and_wrong_options_are_named(golden):
    with pytest.raises(VectorFileError, match="is text of vectors, not an Arrow file or a Parquet"):
        load_arrow(golden / "tiny.glove.txt")
    with pytest.raises(VectorFileError, match=r"use load_arrow\(path\), or load_vectors\(path\)"):
        load_glove(golden / "tiny.parquet")
    with pytest.raises(VectorFileError, match="limit=0 must be 1 or more; leave limit out"):
        load_arrow(golden / "tiny.arrow", limit=0)
    with pytest.raises(VectorFileError, match="keys='a' is a single string; pass a list of"):
        load_arrow(golden / "tiny.arrow", keys="a")
    with pytest.raises(VectorFileError, match="neither a path nor a file object"):
        load_arrow({"token": ABC})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny.arrow", "tiny.parquet", "tiny.polars.arrow"])
def test_truncated_at_any_byte(name, golden, tmp_path):
    data = (golden / name).read_bytes()
    for cut in range(len(data)):
        (tmp_path / "cut").write_bytes(data[:cut])
        with pytest.raises(VectorFileError, match=r"cut( |:|\.)"):
            load_arrow(tmp_path / "cut")


def test_a_stream_truncated_at_any_byte_gives_complete_batches_or_an_error(golden, tmp_path):
    data = (golden / "tiny.dataset" / "data-00000-of-00002.arrow").read_bytes()
    complete = 0
    for cut in range(len(data)):
        (tmp_path / "cut").write_bytes(data[:cut])
        try:
            table = load_arrow(tmp_path / "cut")
        except VectorFileError:
            continue
        complete += 1
        assert table.vectors.tobytes() == VECTORS[:3].tobytes()
    assert 1 <= complete <= 9  # the end marker is eight bytes, and optional


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny.arrow", "tiny.parquet", "tiny.polars.arrow"])
def test_damaged_at_any_byte_gives_a_table_or_one_clear_error(name, golden, tmp_path):
    data = (golden / name).read_bytes()
    refused = 0
    for at in range(len(data)):
        (tmp_path / "x").write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        try:
            assert load_arrow(tmp_path / "x").vectors.shape[1] <= 3
        except VectorFileError:
            refused += 1
    assert refused > len(data) / 10


def test_a_damaged_footer_of_parquet_does_not_end_the_process(tmp_path):
    words = pa.array(["a", "b", "a"]).dictionary_encode()
    path = written(tmp_path / "x", "parquet", token=words, vector=pa.array([[1.0, 2.0]] * 3))
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    refused = 0
    for at in range(footer, len(data) - 8):
        for value in (0, 255, data[at] ^ 0x10):
            try:
                load_arrow(io.BytesIO(data[:at] + bytes([value]) + data[at + 1 :]))
            except VectorFileError:
                refused += 1
    assert refused > len(data) - footer


@pytest.mark.parametrize(
    "data",
    [
        b"ARROW1",
        b"ARROW1\0\0" + b"\xff" * 64,
        b"ARROW1\0\0" + struct.pack("<i", 2**31 - 1) + b"ARROW1",
        b"\xff\xff\xff\xff" + struct.pack("<i", 2**31 - 1),
        b"\xff\xff\xff\xff" + bytes(4),
        b"PAR1",
        b"PAR1" + struct.pack("<i", 2**31 - 1) + b"PAR1",
        b"PAR1" + bytes(100) + b"PAR1",
    ],
)
def test_headers_that_lie(data, write):
    with pytest.raises(
        VectorFileError, match=r"x: the data is damaged or cut short .*; fetch the file again"
    ):
        load_vectors(write(data, "x"))


@pytest.mark.slow
def test_rows_that_a_file_repeats_without_end_are_refused(tmp_path):
    row = pa.table({"token": ["a"], "vector": pa.array([[0.0] * 500])})
    index = pa.array(np.zeros(80_000, np.int64))
    pq.write_table(row.take(index), tmp_path / "x", compression="zstd")
    size = (tmp_path / "x").stat().st_size
    assert size < 300_000
    message = rf"x: {size:,} bytes expand to [\d,]+ or more, over 200 to 1"
    with pytest.raises(VectorFileError, match=message):
        load_arrow(tmp_path / "x")


@pytest.mark.parametrize("kind", ["file", "stream", "parquet", "parquet of strings"])
def test_a_long_word_that_many_rows_share_is_never_repeated(kind, tmp_path, monkeypatch):
    index = pa.array(np.zeros(3_000, np.int32))
    words = pa.DictionaryArray.from_arrays(index, pa.array(["x" * (1 << 20)], pa.large_string()))
    columns = {"token": words, "vector": fixed([[1, 2]] * 3_000)}
    if kind == "parquet of strings":
        pq.write_table(pa.table(columns), tmp_path / "x", store_schema=False)
    else:
        written(tmp_path / "x", kind, **columns)
    expanded = r"[\d,]+"  # Parquet is read in batches of 64 MB
    if "parquet" not in kind:
        monkeypatch.setattr("finetune_embed.formats.arrow.column_data._texts", None)
        expanded = "3,145,752,000"
    message = rf"x: [\d,]+ bytes expand to {expanded} or more, over 200 to 1"
    with pytest.raises(VectorFileError, match=message):
        load_arrow(tmp_path / "x")


@pytest.mark.parametrize("kind", ["file", "stream"])  # pyarrow writes no null to Parquet
def test_a_null_in_a_dictionary_is_reported(kind, tmp_path):
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["a", None]))
    path = written(tmp_path / "x", kind, token=words, vector=fixed([[1, 2]] * 3))
    with pytest.raises(VectorFileError, match=r"x: token\[1\]: this value is null; remove that"):
        load_arrow(path)


def test_views_of_one_long_word_are_never_repeated(tmp_path):
    word = pa.array(["x" * 100_000], pa.string_view())
    views = np.tile(np.frombuffer(word.buffers()[1], np.uint8), 1_000)
    buffers = [None, pa.py_buffer(views), *word.buffers()[2:]]
    words = pa.Array.from_buffers(pa.string_view(), 1_000, buffers)
    path = written(tmp_path / "x", "file", token=words, vector=fixed([[1, 2]] * 1_000))
    with pytest.raises(VectorFileError, match=r"x: [\d,]+ bytes expand to 100,008,000 or more, o"):
        load_arrow(path)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.binary(3)])
@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", None])
def test_every_encoding_of_words_in_parquet(encoding, kind, tmp_path):
    words = [f"{row:03}" for row in range(500)]
    if encoding == "DELTA_LENGTH_BYTE_ARRAY" and kind == pa.binary(3):
        encoding = "PLAIN"
    pq.write_table(
        pa.table({"token": pa.array(words).cast(kind), "vector": fixed([[1, 2]] * 500)}),
        tmp_path / "x",
        use_dictionary=["token"] if encoding is None else False,
        column_encoding=None if encoding is None else {"token": encoding},
    )
    assert load_arrow(tmp_path / "x").index_to_key == words


def test_numbers_that_parquet_repeats_are_counted_before_they_are_read(tmp_path, monkeypatch):
    data = pa.table({"token": ["a", "b"], "vector": pa.array([np.zeros(10_000_000, "f4")] * 2)})
    pq.write_table(data, tmp_path / "x", compression="zstd")
    monkeypatch.setattr("finetune_embed.files.parquet.expanded_size", None)
    with pytest.raises(VectorFileError, match=r"x: [\d,]+ bytes expand to 80,000,[\d,]+ or more"):
        load_arrow(tmp_path / "x")


def test_the_type_of_the_numbers_is_recorded_unless_the_file_is_ours(golden, tmp_path):
    assert load_vectors(golden / "tiny.polars.parquet").metadata.get("source_dtype") is None
    assert load_vectors(golden / "tiny.dataset").metadata["source_dtype"] == "float64"
    half = pa.array([[1.5], [2.0]], pa.list_(pa.float16()))
    path = written(tmp_path / "x", "file", token=["a", "b"], vector=half)
    table = load_arrow(path)
    assert table.metadata["source_dtype"] == "float16"
    assert inspect(path).dtype == "float16"
    save_arrow(table, tmp_path / "y")
    assert load_arrow(tmp_path / "y").metadata == table.metadata  # that of the first file
    assert inspect(tmp_path / "y").dtype == "float32"
