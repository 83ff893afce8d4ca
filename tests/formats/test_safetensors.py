from __future__ import annotations

import json
import mmap
import struct

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import finetune_embed
from finetune_embed import (
    EmbeddingTable,
    VectorFileError,
    VocabularyError,
    inspect,
    load_safetensors,
    load_vectors,
    save_safetensors,
)

WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂"]
VECTORS = np.array(
    [
        [0.5, -1.25, 3.0],
        [0.1, 0.0625, -0.0],
        [65504.0, 0.7, -2.5],
        [0.33333334, 16777216.0, 123456.79],
        [-0.012345679, 7.0, 0.2],
    ],
    np.float32,
)
METADATA = {"library_version": "0.1.0", "source": "näive.txt"}
ORIGIN = [0, 1, 0, 2, 3]

SPECS = {
    "vocab.offsets": {"dtype": "I64", "shape": [3], "data_offsets": [0, 24]},
    "embedding.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [24, 40]},
    "vocab.bytes": {"dtype": "U8", "shape": [3], "data_offsets": [40, 43]},
}
BODY = struct.pack("<3q4f", 0, 1, 3, 1.5, 2.5, 3.5, 4.5) + b"abc"


def file_of(header: object, body: bytes = BODY) -> bytes:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def changed(name: str, **values: object) -> dict[str, object]:
    return {**SPECS, name: {**SPECS[name], **values}}


def test_reads_the_golden_file_to_the_bit(golden):
    for load in (load_safetensors, load_vectors):
        table = load(golden / "tiny.safetensors")
        assert table.index_to_key == WORDS
        assert table.vectors.dtype == np.float32
        assert table.vectors.tobytes() == VECTORS.tobytes()
        assert table.metadata == METADATA
        assert table.origin.tolist() == ORIGIN


def test_writes_the_golden_bytes(golden, tmp_path):
    table = EmbeddingTable(WORDS, VECTORS, dict(reversed(METADATA.items())), ORIGIN)
    save_safetensors(table, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == (golden / "tiny.safetensors").read_bytes()


def test_the_safetensors_library_reads_what_we_wrote(random_table, tmp_path):
    path = tmp_path / "out.safetensors"
    random_table.origin[5] = 2
    random_table.metadata["note"] = "ü"
    save_safetensors(random_table, path)
    tensors = load_file(path)
    assert sorted(tensors) == ["embedding.weight", "vocab.bytes", "vocab.offsets", "vocab.origin"]
    assert tensors["embedding.weight"].dtype == np.float32
    assert tensors["embedding.weight"].tobytes() == random_table.vectors.tobytes()
    assert tensors["vocab.origin"].tolist() == random_table.origin.tolist()
    at, data = tensors["vocab.offsets"], tensors["vocab.bytes"].tobytes()
    words = [data[at[i] : at[i + 1]].decode() for i in range(len(at) - 1)]
    assert words == random_table.index_to_key
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {
            "library_version": finetune_embed.__version__,
            "note": "ü",
        }
        assert file.get_slice("embedding.weight").get_shape() == [2_000, 16]


def test_vectors_stay_on_disk(random_table, tmp_path):
    save_safetensors(random_table, tmp_path / "out")
    table = load_safetensors(tmp_path / "out")
    base = table.vectors
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base.obj, mmap.mmap)
    assert not table.vectors.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        table.vectors[0] = 0
    first = load_safetensors(tmp_path / "out", limit=3)
    assert not first.vectors.flags.owndata
    assert not first.vectors.flags.writeable
    assert first.vectors.tobytes() == random_table.vectors[:3].tobytes()
    assert first.index_to_key == ["w0", "w1", "w2"]


def test_a_mapped_table_can_be_saved_over_its_own_file(random_table, tmp_path):
    path = tmp_path / "out"
    save_safetensors(random_table, path)
    before = path.read_bytes()
    save_safetensors(load_safetensors(path), path)
    assert path.read_bytes() == before


def test_keys_are_copied_in_the_order_of_the_file(golden):
    table = load_safetensors(golden / "tiny.safetensors", keys=["🙂", "the", "absent", "the"])
    assert table.index_to_key == ["the", "🙂"]
    assert table.vectors.tobytes() == VECTORS[[0, 4]].tobytes()
    assert table.origin.tolist() == [0, 3]
    assert table.vectors.flags.writeable
    limited = load_safetensors(golden / "tiny.safetensors", keys=["the", "🙂"], limit=4)
    assert limited.index_to_key == ["the"]


def test_equal_tables_give_equal_bytes(tmp_path):
    metadata = {"b": "2", "a": "1"}
    one = EmbeddingTable(list(WORDS), VECTORS, metadata)
    two = EmbeddingTable(tuple(WORDS), VECTORS.tolist(), dict(sorted(metadata.items())))
    two.key_to_index  # noqa: B018  (a cached index must not matter)
    for table, name in ((one, "1"), (two, "2")):
        save_safetensors(table, tmp_path / name)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_origin_is_written_only_if_not_all_rows_are_imported(tmp_path, table):
    save_safetensors(table, tmp_path / "out")
    assert "vocab.origin" not in load_file(tmp_path / "out")
    assert load_safetensors(tmp_path / "out").origin.tolist() == [0] * 5


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_tables_without_rows_or_columns(tmp_path, shape):
    words = ["a", ""][: shape[0]]
    save_safetensors(EmbeddingTable(words, np.zeros(shape)), tmp_path / "out")
    table = load_safetensors(tmp_path / "out")
    assert table.index_to_key == words
    assert table.vectors.shape == shape


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"epochs": 3}, r"metadata\['epochs'\] is 3, not a string"),
        ({"a": None}, r"metadata\['a'\] is None, not a string"),
        ({3: "a"}, r"metadata\[3\] is 'a', not a string"),
        ({"source": "x\udcff"}, r"metadata\['source'\] is 'x\\udcff', which UTF-8 can't enco"),
    ],
)
def test_metadata_are_strings(tmp_path, metadata, message):
    with pytest.raises(VectorFileError, match=message):
        save_safetensors(EmbeddingTable(["a"], [[1.0]], metadata), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_words_it_cannot_hold(tmp_path):
    with pytest.raises(VectorFileError, match="1 of 2 words have lone surrogates"):
        save_safetensors(EmbeddingTable(["a", "\ud800"], np.eye(2)), tmp_path / "out")
    with pytest.raises(VocabularyError, match="'a' is in rows 0 and 1"):
        save_safetensors(EmbeddingTable(["a", "a"], np.eye(2)), tmp_path / "out")


def test_truncated_at_any_byte(golden, tmp_path):
    data = (golden / "tiny.safetensors").read_bytes()
    path = tmp_path / "cut"
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        unknown = "is (text of vectors, |a binary file of .*, )?not a safetensors file"
        message = unknown if 0 < cut < 9 else r"cut: the (header|safetensors header|file is empty)"
        with pytest.raises(VectorFileError, match=message):
            load_safetensors(path)


def test_a_byte_too_many(golden, write):
    data = (golden / "tiny.safetensors").read_bytes()
    message = rf"the header promises {len(data):,} bytes, but the file has {len(data) + 1:,}"
    with pytest.raises(VectorFileError, match=message):
        load_safetensors(write(data + b"\0"))


def test_the_base_of_the_damaged_files_below_is_valid(write):
    table = load_safetensors(write(file_of(SPECS)))
    assert table.index_to_key == ["a", "bc"]
    assert table.vectors.tolist() == [[1.5, 2.5], [3.5, 4.5]]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b'{"a":' + b"[" * 100_000, "the safetensors header is damaged"),
        (b"[" * 100_000, "this is not a safetensors file, nor any other"),
        (b"{", "the safetensors header is damaged"),
        (b"[]", "a binary file of unknown kind, not a safetensors file"),
        (b"{\xff}", "the safetensors header is damaged"),
        ({}, "the header promises"),
        ({**SPECS, "x": 3}, "the safetensors header is damaged"),
        ({**SPECS, "x": {"data_offsets": []}}, "the safetensors header is damaged"),
        ({**SPECS, "__metadata__": [1]}, "the safetensors header is damaged"),
        ({**SPECS, "__metadata__": {"a": 1}}, "the safetensors header is damaged"),
        (changed("vocab.bytes", data_offsets=[40, float("inf")]), "header is damaged"),
        (changed("vocab.bytes", data_offsets=[40, 44]), "promises .* bytes, but the fi"),
        (changed("vocab.bytes", data_offsets=[-3, 43]), "needs 3 bytes, but .* has 46 for"),
        (changed("vocab.bytes", data_offsets=[41, 43]), "needs 3 bytes, but .* has 2 for"),
        (changed("embedding.weight", data_offsets=[40, 24]), "needs 16 bytes, but .* has -16"),
        (changed("embedding.weight", data_offsets=[24]), "damaged"),
        (changed("embedding.weight", shape=[2, 3]), r"shape \[2, 3\] needs 24 bytes.*has 16"),
        (changed("embedding.weight", shape=[1 << 40, 1 << 40]), "needs 4,8"),
        (changed("embedding.weight", shape=[0, 10**30]), "F32 with 2 dimensions is nee"),
        (changed("embedding.weight", shape=[-2, -2]), "F32 with 2 dimensions is nee"),
        (changed("embedding.weight", shape=[4]), "F32 with 2 dimensions is nee"),
        (changed("embedding.weight", shape=[2, float("inf")]), "entry for embedding.weight is dam"),
        (changed("embedding.weight", shape=None), "entry for embedding.weight is damaged"),
        (changed("embedding.weight", dtype="F64"), "is F64 .* but F32 with 2 dimensions is nee"),
        (changed("vocab.offsets", shape=[1], data_offsets=[0, 8]), "does not divide 3 bytes"),
        ({k: v for k, v in SPECS.items() if k != "vocab.offsets"}, "but not vocab.offsets, so i"),
    ],
)
def test_headers_that_lie(write, header, message):
    with pytest.raises(VectorFileError, match=message):
        load_safetensors(write(file_of(header)))


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (10_000, "the header claims 10,000 bytes of a file of 52, so .*, or it is damaged; fetch"),
        (100_000_000, "the header claims 100,000,000 bytes of a file of 52"),
        (100_000_001, "a binary file of unknown kind, not a safetensors file"),
        (1 << 62, "a binary file of unknown kind, not a safetensors file"),
    ],
)
def test_a_header_longer_than_the_file(write, length, message):
    with pytest.raises(VectorFileError, match=message):
        load_safetensors(write(struct.pack("<Q", length) + b"{" + BODY))


@pytest.mark.parametrize(
    "offsets",
    [
        (1, 1, 3),
        (0, 4, 3),
        (0, 1, 2),
        (0, -1, 3),
        (0, 2**63 - 1, 3),
        (0, 1, 2**63 - 1),
        (-(2**63), 1, 3),
    ],
)
def test_offsets_that_do_not_divide_the_bytes(write, offsets):
    body = struct.pack("<3q", *offsets) + BODY[24:]
    message = r"vectors\.txt: vocab\.offsets does not divide 3 bytes into 2 words; the file is dam"
    with pytest.raises(VectorFileError, match=message):
        load_safetensors(write(file_of(SPECS, body)))


def test_offsets_whose_differences_overflow(write):
    specs = {
        "vocab.offsets": {"dtype": "I64", "shape": [4], "data_offsets": [0, 32]},
        "embedding.weight": {"dtype": "F32", "shape": [3, 0], "data_offsets": [32, 32]},
        "vocab.bytes": {"dtype": "U8", "shape": [3], "data_offsets": [32, 35]},
    }
    body = struct.pack("<4q", 0, 2**63 - 1, -2, 3) + b"abc"
    with pytest.raises(VectorFileError, match=r"vocab\.offsets does not divide"):
        load_safetensors(write(file_of(specs, body)))


def test_other_tensors_are_named(write):
    message = (
        r"vectors\.txt: the file holds x, but not embedding\.weight and vocab\.offsets and "
        r"vocab\.bytes, .*EmbeddingTable\(words, vectors\)"
    )
    header = {"x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}
    with pytest.raises(VectorFileError, match=message):
        load_safetensors(write(file_of(header, b"1")))


@pytest.mark.parametrize("origin", [[0, 0], [0, 0, 0, 0], [0, 4, 0], [200, 0, 0]])
def test_invalid_origins(tmp_path, origin):
    tensors = {
        "embedding.weight": np.ones((3, 2), np.float32),
        "vocab.bytes": np.frombuffer(b"abc", np.uint8),
        "vocab.offsets": np.arange(4),
        "vocab.origin": np.array(origin, np.uint8),
    }
    save_file(tensors, tmp_path / "t.safetensors")
    with pytest.raises(VectorFileError, match=r"vocab\.origin does not hold a code from 0 to 3"):
        load_safetensors(tmp_path / "t.safetensors")


def test_a_word_in_two_rows_is_an_error_when_words_are_looked_up_and_for_inspect(tmp_path):
    tensors = {
        "embedding.weight": np.ones((3, 2), np.float32),
        "vocab.bytes": np.frombuffer(b"aac", np.uint8),
        "vocab.offsets": np.arange(4),
    }
    save_file(tensors, tmp_path / "t.safetensors")
    with pytest.raises(VocabularyError, match="'a' is in rows 0 and 1"):
        load_safetensors(tmp_path / "t.safetensors").rows_of(["c"])
    (finding,) = [f for f in inspect(tmp_path / "t.safetensors").findings if f.code == "duplicates"]
    assert finding.severity == "error"
