"""What every writer writes, in every reader: the same table, or an error that says what to call."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from writers import WRITERS

import finetune_embed as fe
from finetune_embed import EmbeddingTable, VectorFileError
from finetune_embed.formats import FOLDER_READERS, READERS, SAVERS

WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂", "1,5"]
VECTORS = np.float32(
    [
        [0.5, -1.25, 3.0],
        [0.1, 0.0625, -0.0],
        [65504.0, 0.7, -2.5],
        [1 / 3, 1e-8, 1234.5678],
        [-0.012345679, 7.0, 0.2],
        [-1.0, 2.0, -3.0],
    ]
)
TABLE = EmbeddingTable(WORDS, VECTORS, origin=np.array([0, 1, 0, 2, 3, 0], np.uint8))
#: Those that load a table, and `load_delta`.
LOADERS: dict[str, Callable[..., Any]] = {
    name: getattr(fe, name)
    for name in fe.__all__
    if name.startswith("load_") and name != "load_gensim"
} | {"load_gensim": lambda path: fe.load_gensim(path, allow_pickle=True)}
#: The loaders of what a writer writes, besides `load_vectors`.
READ_BY = {
    "arrow": {"load_arrow"},
    "dataset": {"load_arrow"},
    "delta": {"load_delta"},
    "delta-int8": {"load_delta"},
    "float16": {"load_safetensors"},
    "gensim": {"load_gensim"},
    "glove": {"load_glove"},
    "int8": {"load_safetensors"},
    "numpy-archive": {"load_numpy"},
    "parquet": {"load_arrow"},
    "pipeline": {"load_spacy"},
    "projector": {"load_projector"},
    "safetensors": {"load_safetensors"},
    "shards": {"load_safetensors"},
    "shrunk": {"load_safetensors"},
    "spacy": {"load_spacy"},
    "static": {"load_static"},
    "static-onnx": {"load_static"},
    "word2vec": {"load_word2vec", "load_fasttext"},  # a .vec file is word2vec text
    "word2vec-binary": {"load_word2vec"},
}
#: What `load_vectors` refuses: a pickle, and what is no table.
REFUSED = {"gensim", "delta", "delta-int8"}
#: The library's own format, which keeps the format of the file that a table was read from.
OURS = {"float16", "int8", "safetensors", "shards", "shrunk"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each writer writes."""
    folder = tmp_path_factory.mktemp("files")
    for name in READ_BY:
        if name == "dataset":
            fe.to_dataset(TABLE).save_to_disk(str(folder / name))
        else:
            WRITERS[name].write(TABLE, folder / name)
    return folder


def expected(name: str) -> EmbeddingTable:
    """Return the table that a file holds: that with the rounded numbers of its type."""
    if name in ("float16", "int8"):
        return fe.shrink(TABLE, dtype=name)
    if name == "shrunk":
        return fe.shrink(TABLE, words=len(TABLE) // 2, remap=True, dim=2, dtype="pq")
    return TABLE


def equal(found: EmbeddingTable, name: str) -> None:
    table = expected(name)
    assert found.index_to_key == table.index_to_key
    assert found.vectors.dtype == np.float32
    assert found.vectors.tobytes() == table.vectors.tobytes()
    assert "duplicates" not in found.metadata
    if name in OURS:
        assert found.origin.tolist() == table.origin.tolist()
    else:
        kind = "spacy" if name == "pipeline" else name.removesuffix("-onnx")
        assert found.metadata["source_format"] == kind


@pytest.mark.parametrize("name", READ_BY)
def test_a_file_in_every_reader(files: Path, name: str) -> None:
    able = READ_BY[name] if name in REFUSED else READ_BY[name] | {"load_vectors"}
    seen = 0
    for loader, load in LOADERS.items():
        seen += 1
        if loader not in able:
            with pytest.raises(VectorFileError) as caught:
                load(files / name)
            message = str(caught.value)
            assert message.startswith(str(files / name))
            assert caught.value.remedy is not None
            named = set(re.findall(r"load_\w+(?=\()", message))
            if message.endswith("write one with save_delta(base, tuned, path)"):
                assert loader == "load_delta"
            elif READ_BY[name] == {"load_delta"}:  # a safetensors file, whose reader says more
                assert named <= {"load_safetensors", "load_vectors"}
            elif name in ("glove", "word2vec") and "text of vectors" in message:
                assert named & able  # either of them
            else:
                assert named <= able
        elif loader == "load_delta":
            base = EmbeddingTable(WORDS, np.zeros_like(VECTORS))
            tuned = fe.apply_delta(base, files / name)
            assert tuned.index_to_key == WORDS
            exact = np.abs(tuned.vectors - VECTORS) <= np.abs(VECTORS).max(axis=1)[:, None] / 254
            assert exact.all() if name == "delta-int8" else (tuned.vectors == VECTORS).all()
        else:
            equal(load(files / name), name)
    assert seen == 12


def test_every_reader_and_writer_is_in_the_sweep() -> None:
    assert sorted(READ_BY) == sorted({*WRITERS, "dataset"} - {"vocabulary"})
    assert {*SAVERS} <= {*READ_BY}
    written = {*READ_BY} | {"numpy", "fasttext", "safetensors-shards"}  # .npy and .bin: not written
    assert {*READERS, *FOLDER_READERS} <= written
    assert len(LOADERS) == 12
    read = sum(map(len, READ_BY.values())) + len(READ_BY) - len(REFUSED)
    assert (len(READ_BY) * len(LOADERS), read) == (240, 38)


@pytest.mark.parametrize("name", [name for name in SAVERS if not WRITERS[name].is_folder])
def test_compressed_and_from_a_stream(files: Path, tmp_path: Path, name: str) -> None:
    """A file is read in the same way from an archive and from an open file."""
    shutil.make_archive(str(tmp_path / "packed"), "zip", files, name)
    equal(fe.load_vectors(tmp_path / "packed.zip"), name)
    with open(files / name, "rb") as file:
        equal(fe.load_vectors(file), name)
