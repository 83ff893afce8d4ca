"""Safetensors of smaller numbers, and in shards."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import load_torch_model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.torch import load_file, save_file

import finetune_embed as fe
from finetune_embed import EmbeddingTable, VectorFileError, load_vectors, save_safetensors
from finetune_embed.formats.common.shards import parse_size
from finetune_embed.table import CodedRows, Coding

WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂"]
SMALL = np.array(
    [
        [0.5, -1.25, 3.0],
        [0.1, 0.0625, -0.0],
        [65504.0, -65504.0, 6e-8],
        [1.00390625, 1.01171875, 1 / 3],
        [0.0, 0.0, 0.0],
    ],
    np.float32,
)
TORCH = {"float16": torch.float16, "bfloat16": torch.bfloat16}
TYPES = ("float16", "bfloat16", "int8")
INDEX = "model.safetensors.index.json"


def small() -> EmbeddingTable:
    return EmbeddingTable(WORDS, SMALL, {"library_version": "0.1.0"})


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("dtype", TYPES)
def test_golden_bytes(dtype, golden, tmp_path):
    path = golden / f"tiny.{dtype}.safetensors"
    save_safetensors(small(), tmp_path / "out", dtype=dtype)
    assert (tmp_path / "out").read_bytes() == path.read_bytes()
    back = load_vectors(path)
    assert back.index_to_key == WORDS
    save_safetensors(back, tmp_path / "again")  # the type is kept, and so are the bits
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    fe.save_word2vec(back, tmp_path / "float32.bin", binary=True)
    assert load_vectors(tmp_path / "float32.bin").vectors.tobytes() == back.vectors.tobytes()
    save_safetensors(back, tmp_path / "again")  # also when all rows have been decoded
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    save_safetensors(back, tmp_path / "float32", dtype="float32")
    assert load_vectors(tmp_path / "float32").vectors.tobytes() == back.vectors.tobytes()


@pytest.mark.parametrize("dtype", TORCH)
def test_halves_are_those_of_torch(dtype, golden):
    tensors = load_file(golden / f"tiny.{dtype}.safetensors")
    expected = torch.from_numpy(SMALL).to(TORCH[dtype])
    assert tensors["embedding.weight"].dtype == TORCH[dtype]
    assert torch.equal(tensors["embedding.weight"], expected)
    back = load_vectors(golden / f"tiny.{dtype}.safetensors").vectors
    assert back.tobytes() == expected.float().numpy().tobytes()


def test_int8_read_by_the_library(golden):
    tensors = load_file(golden / "tiny.int8.safetensors")
    weight, scale = tensors["embedding.weight"], tensors["embedding.scale"]
    assert weight.dtype == torch.int8
    assert weight.tolist()[0] == [21, -53, 127]
    assert weight.tolist()[4] == [0, 0, 0]
    back = load_vectors(golden / "tiny.int8.safetensors").vectors
    assert back.tobytes() == (weight.float() * scale[:, None]).numpy().tobytes()
    assert (np.abs(back - SMALL) <= np.abs(SMALL).max(axis=1, keepdims=True) / 254 * 1.001).all()


def test_the_vectors_stay_in_the_file(golden):
    table = load_vectors(golden / "tiny.int8.safetensors")
    assert isinstance(table.stored, CodedRows)
    assert table["the"].tolist() == table.stored[:].tolist()[0]
    assert table.rows(np.array([4, 0, 0])).tolist() == table.stored[:][[4, 0, 0]].tolist()
    assert "vectors" not in vars(table)
    assert not table.vectors.flags.writeable
    limited = load_vectors(golden / "tiny.int8.safetensors", limit=2)
    assert limited.vectors.tobytes() == table.vectors[:2].tobytes()
    few = load_vectors(golden / "tiny.int8.safetensors", keys=["🙂", "the"])
    assert few.index_to_key == ["the", "🙂"]
    assert few.vectors.tobytes() == table.vectors[[0, 4]].tobytes()
    assert fe.inspect(golden / "tiny.int8.safetensors").dtype == "int8"


def test_a_table_tuned_from_smaller_numbers(golden, tmp_path):
    base = load_vectors(golden / "tiny.bfloat16.safetensors")
    vocab = fe.Vocabulary({"café": 1, "neu": 1})
    embedding = fe.to_embedding(base, vocab, oov="zeros")
    assert embedding.weight[2].tolist() == base["café"].tolist()
    with torch.no_grad():
        embedding.weight[2:] += 1
    tuned = fe.to_table(embedding, vocab, like=base)
    save_safetensors(tuned, tmp_path / "out")  # float32, since its new rows are
    back = load_vectors(tmp_path / "out")
    assert back.stored is back.vectors
    assert back.index_to_key == [*WORDS, "neu"]
    assert back["café"].tolist() == embedding.weight[2].tolist()
    assert back.vectors[[0, 2, 3, 4]].tobytes() == base.vectors[[0, 2, 3, 4]].tobytes()


BITS = npst.arrays(np.uint32, (3, 4), elements=st.integers(0, 2**32 - 1))


@given(BITS)
def test_any_number_is_rounded_as_torch_does_or_refused(bits):
    rows = bits.view(np.float32)
    with np.errstate(invalid="ignore"):  # signalling NaN
        whole = torch.from_numpy(rows.copy())
    for dtype, kind in TORCH.items():
        coding, expected = Coding(dtype), whole.to(kind)
        if bool((expected.isinf() & whole.isfinite()).any()):
            with pytest.raises(VectorFileError, match=f"dtype='{dtype}' can't hold"):
                coding.encode(rows)
        else:
            found = coding.decode(coding.encode(rows))
            assert np.array_equal(found, expected.float().numpy(), equal_nan=True)
            assert np.array_equal(np.signbit(found), np.signbit(rows))
    if not np.isfinite(rows).all():
        with pytest.raises(VectorFileError, match="dtype='int8' can't hold a number that is not"):
            Coding("int8").encode(rows)
        return
    back = Coding("int8").decode(Coding("int8").encode(rows))
    largest = np.abs(rows).max(axis=1, keepdims=True).astype(np.float64)
    assert (np.abs(back.astype(np.float64) - rows) <= largest / 254 * 1.001 + 1e-43).all()


def test_what_a_type_cannot_hold_leaves_nothing_behind(tmp_path):
    table = EmbeddingTable(["a", "b"], [[1.0], [70_000.0]])
    save_safetensors(table, tmp_path / "v", dtype="int8")
    before = content(tmp_path)
    with pytest.raises(VectorFileError, match="'float16' can't hold 70000, which is in row 1;"):
        save_safetensors(table, tmp_path / "v", dtype="float16")
    with pytest.raises(VectorFileError, match="'float16' can't hold 70000, which is in row 1;"):
        save_safetensors(table, tmp_path / "s", dtype="float16", shard_size=1)
    assert content(tmp_path) == before
    table.vectors[1] = np.nan
    with pytest.raises(VectorFileError, match=r"'int8' can't hold a number that is not .* row 1"):
        save_safetensors(table, tmp_path / "v", dtype="int8")
    with pytest.raises(VectorFileError, match="dtype='f16' is not one of float32, float16, bfloa"):
        save_safetensors(table, tmp_path / "v", dtype="f16")
    assert content(tmp_path) == before


# Shards


def test_golden_shards(golden, tmp_path):
    save_safetensors(small(), tmp_path / "out", dtype="int8", shard_size=14)  # 7 bytes a row
    assert content(tmp_path / "out") == content(golden / "tiny.shards")
    back = load_vectors(golden / "tiny.shards")
    whole = load_vectors(golden / "tiny.int8.safetensors")
    assert back.index_to_key == WORDS
    assert back.metadata == {"library_version": "0.1.0"}
    assert back.vectors.tobytes() == whole.vectors.tobytes()
    save_safetensors(load_vectors(golden / "tiny.shards"), tmp_path / "whole")
    assert content(tmp_path)["whole"] == content(golden)["tiny.int8.safetensors"]
    save_safetensors(load_vectors(golden / "tiny.shards"), tmp_path / "other", shard_size=21)
    assert len(content(tmp_path / "other")) == 4
    assert load_vectors(tmp_path / "other").vectors.tobytes() == whole.vectors.tobytes()


def test_hugging_face_s_library_reads_shards(random_table, tmp_path):
    save_safetensors(random_table, tmp_path / "v", shard_size="40 kB")
    index = json.loads((tmp_path / "v" / INDEX).read_text())
    names = sorted(set(index["weight_map"].values()))
    assert names == [f"model-{number:05}-of-00005.safetensors" for number in (1, 2, 3, 4, 5)]
    assert sorted(content(tmp_path / "v")) == [*names, INDEX]
    model = torch.nn.Module()
    model.embedding, model.vocab = torch.nn.Module(), torch.nn.Module()
    model.vocab.register_buffer("offsets", torch.zeros(2_001, dtype=torch.int64))
    model.vocab.register_buffer("bytes", torch.zeros(8_890, dtype=torch.uint8))
    parts = [torch.zeros(rows, 16) for rows in (625, 625, 625, 125)]
    model.embedding.weight = torch.nn.ParameterList(parts)
    load_torch_model(model, tmp_path / "v", strict=True)
    size = sum(one.numel() * one.element_size() for one in model.state_dict().values())
    assert index["metadata"]["total_size"] == size
    rows = torch.cat([part.detach() for part in model.embedding.weight])
    assert rows.numpy().tobytes() == random_table.vectors.tobytes()
    assert model.vocab.offsets.tolist()[-1] == 8_890


def test_rows_of_several_shards(random_table, tmp_path):
    save_safetensors(random_table, tmp_path / "v", shard_size=100_000)
    back = load_vectors(tmp_path / "v")
    assert isinstance(back.stored, CodedRows)
    vectors = random_table.vectors
    for start, stop in ((0, 2_000), (1_500, 1_600), (1_562, 1_563), (7, 7), (1_999, 5_000)):
        assert back.rows(slice(start, stop)).tobytes() == vectors[start:stop].tobytes()
    at = np.array([1_999, 0, 1_562, 1_563, 0])
    assert back.rows(at).tobytes() == vectors[at].tobytes()
    assert back.rows(slice(5, 1_900, 7)).tobytes() == vectors[5:1_900:7].tobytes()
    assert back["w1563"].tobytes() == vectors[1563].tobytes()
    assert back.most_similar("w1600") == random_table.most_similar("w1600")
    assert back.rows(np.array([], np.int64)).shape == (0, 16)
    assert load_vectors(tmp_path / "v", keys=["w1999", "w3"]).index_to_key == ["w3", "w1999"]
    assert fe.inspect(tmp_path / "v").words == 2_000


def test_a_table_that_fits_is_one_file(table, tmp_path):
    save_safetensors(table, tmp_path / "v", shard_size="1MB")
    assert list(content(tmp_path / "v")) == ["model.safetensors"]
    save_safetensors(table, tmp_path / "file")
    assert content(tmp_path / "v")["model.safetensors"] == content(tmp_path)["file"]
    assert load_vectors(tmp_path / "v").vectors.tobytes() == table.vectors.tobytes()


def test_a_table_that_fits_may_have_a_card_beside_it(table, tmp_path):
    folder = tmp_path / "v"
    save_safetensors(table, folder, shard_size="1MB")
    fe.save_card(table, folder)
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    for load in (load_vectors, fe.load_safetensors):
        assert load(folder).index_to_key == table.index_to_key
        assert load(folder).vectors.tobytes() == table.vectors.tobytes()
    assert fe.inspect(folder).sha256 == fe.inspect(folder / "model.safetensors").sha256
    save_file({"classifier": torch.zeros(2, 2)}, folder / "model.safetensors")
    with pytest.raises(VectorFileError, match="holds classifier, but not embedding"):
        load_vectors(folder)


@pytest.mark.parametrize("options", [{"dtype": "pq"}, {"words": 300, "remap": True}])
def test_numbers_in_shards_are_aligned(options, random_table, tmp_path):
    small = fe.shrink(random_table, **options)
    save_safetensors(small, tmp_path / "v", shard_size=4_000)
    shared = 0
    for data in content(tmp_path / "v").values():
        if data[:1] == b"{":  # the index
            continue
        size = int.from_bytes(data[:8], "little")
        tensors = json.loads(data[8 : 8 + size])
        for name, tensor in tensors.items():
            if name != "__metadata__":
                width = {"U8": 1, "I8": 1, "F32": 4, "I32": 4, "I64": 8}[tensor["dtype"]]
                assert (8 + size + tensor["data_offsets"][0]) % width == 0, name
                shared += name in ("embedding.codebooks", "embedding.rows")
    assert shared == 1
    assert load_vectors(tmp_path / "v").vectors.tobytes() == small.vectors.tobytes()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_shards_of_nothing(shape, tmp_path):
    table = EmbeddingTable(["a", "b"][: shape[0]], np.zeros(shape))
    for dtype in ("float32", *TYPES):
        save_safetensors(table, tmp_path / dtype, dtype=dtype, shard_size=1)
        assert load_vectors(tmp_path / dtype).vectors.shape == shape


def test_memory_is_bounded_by_a_block(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((20_000, 500), np.float32)
    save_safetensors(EmbeddingTable([f"w{i}" for i in range(20_000)], vectors), tmp_path / "v")
    table = load_vectors(tmp_path / "v")  # 40 MB in the file
    table.rows_of(["w1"])
    tracemalloc.start()
    try:
        save_safetensors(table, tmp_path / "int8", dtype="int8", shard_size="2MB")
        save_safetensors(load_vectors(tmp_path / "int8"), tmp_path / "half", dtype="float16")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 4e6 < peak < 25e6
    back = load_vectors(tmp_path / "half")
    assert np.abs(back.rows(slice(0, 1000)) - vectors[:1000]).max() < 0.03


def test_an_existing_folder_is_not_touched(golden, tmp_path):
    (tmp_path / "v").mkdir()
    with pytest.raises(VectorFileError, match="v: this already exists; choose another path"):
        save_safetensors(small(), tmp_path / "v", shard_size=1)
    with pytest.raises(VectorFileError, match=r"there is no folder .*; make that folder first"):
        save_safetensors(small(), tmp_path / "none" / "v", shard_size=1)
    assert content(tmp_path / "v") == {}


@pytest.mark.parametrize(
    ("size", "count"),
    [("2GB", 2 * 10**9), (7, 7), ("1.5 kb", 1500), ("10", 10), ("3TB", 3 * 10**12)],
)
def test_sizes(size, count):
    assert parse_size(size) == count


@pytest.mark.parametrize("size", ["", "2GiB", "-1", 0, 0.5, "0.1B", True, "1e9", None])
def test_sizes_that_are_none(size, table, tmp_path):
    with pytest.raises(VectorFileError, match=r"shard_size=.* must be a number of bytes; give"):
        parse_size(size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_map": None}, "does not map tensors to files"),
        ({"weight_map": {"vocab.bytes": 3}}, "does not map tensors to files"),
        ({"weight_map": {"vocab.bytes": "../x"}}, "does not map tensors to files"),
        ({"weight_map": {"vocab.bytes": ".."}}, "does not map tensors to files"),
        ({"weight_map": {"vocab.bytes": "x"}}, "this names x, which is missing; fetch the compl"),
        ({"weight_map": {"a": "model-00001-of-00004.safetensors"}}, "says that a is in model-0000"),
        ({"weight_map": {}}, "holds no tensors, but not embedding.weight and vocab.offsets"),
    ],
)
def test_indexes_that_lie(change, message, golden, tmp_path):
    for name, data in content(golden / "tiny.shards").items():
        (tmp_path / name).write_bytes(data)
    index = json.loads((tmp_path / INDEX).read_text())
    (tmp_path / INDEX).write_text(json.dumps(index | change))
    with pytest.raises(VectorFileError, match=message):
        load_vectors(tmp_path)


def test_shards_of_different_tables(golden, tmp_path):
    def changed(name: str, tensors: dict[str, torch.Tensor]) -> None:
        for other, data in content(golden / "tiny.shards").items():
            (tmp_path / other).write_bytes(data)
        save_file(tensors, tmp_path / f"model-0000{name}-of-00004.safetensors")

    codes, scale = torch.zeros(2, 3, dtype=torch.int8), torch.ones(2)
    cases = [
        (
            {"embedding.weight.1": codes[:, :2].contiguous()},
            "has 2 columns, and embedding.weight",
        ),
        ({"embedding.weight.1": codes[:1]}, "scale.1 does not hold a finite number for each of 1"),
        ({"embedding.scale.1": scale / 0}, "scale.1 does not hold a finite number for each of 2"),
        ({"embedding.weight.1": codes.float()}, "weight.0 is I8 .*, but F32 with 2 dimensions is"),
    ]
    for change, message in cases:
        changed("3", {"embedding.weight.1": codes, "embedding.scale.1": scale, **change})
        with pytest.raises(VectorFileError, match=message):
            load_vectors(tmp_path)
    changed("4", {"embedding.weight.2": codes, "embedding.scale.2": scale})
    with pytest.raises(VectorFileError, match="does not divide 25 bytes into 6 words"):
        load_vectors(tmp_path)


def test_int8_without_its_scale(golden, tmp_path):
    tensors = load_file(golden / "tiny.int8.safetensors")
    del tensors["embedding.scale"]
    save_file(tensors, tmp_path / "v")
    with pytest.raises(VectorFileError, match=r"no embedding\.scale, without which int8 has"):
        load_vectors(tmp_path / "v")


def test_every_number_of_shards_that_is_written_opens(tmp_path):
    resource = pytest.importorskip("resource")
    table = EmbeddingTable([f"w{at}" for at in range(199)], np.arange(199.0)[:, None])
    longer = EmbeddingTable([*table.words, "more"], np.ones((200, 1)))
    with pytest.raises(VectorFileError, match="these are 201 files"):
        save_safetensors(longer, tmp_path / "more", shard_size=4)
    save_safetensors(table, tmp_path / "v", shard_size=4)
    limits, before = resource.getrlimit(resource.RLIMIT_NOFILE), set(os.listdir("/dev/fd"))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, before)) + 420, limits[1]))
        back = load_vectors(tmp_path / "v")
        assert back.vectors.tobytes() == table.vectors.tobytes()
        with pytest.raises(VectorFileError, match="can't be read: Too many open files"):
            load_vectors(tmp_path / "v")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
