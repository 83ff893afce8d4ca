"""The fuzzed parsers, as functions of bytes that may only raise `FinetuneEmbedError`."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from finetune_embed import (
    EmbeddingTable,
    FinetuneEmbedError,
    apply_delta,
    load,
    load_delta,
    load_vectors,
    load_word2vec,
)
from finetune_embed.data import open_splits
from finetune_embed.files import open_source
from finetune_embed.formats import (
    glove,
    load_arrow,
    load_fasttext,
    load_numpy,
    load_safetensors,
    load_spacy,
    load_static,
    word2vec,
)
from finetune_embed.formats.common import text_blocks
from finetune_embed.formats.projector import load_projector
from finetune_embed.inspection import inspect
from finetune_embed.training.run.file_names import FILES as RUN

__all__ = ["CORPUS", "RUN", "TARGETS", "check", "pack", "seeds", "unpack"]

CORPUS = Path(__file__).parent / "corpus"
#: The files of fuzzed folders, in their order in an input.
SPACY = ("key2row", "vectors", "strings.json", "vectors.cfg")
PROJECTOR = ("vectors.tsv", "metadata.tsv")
STATIC = ("model.safetensors", "tokenizer.json", "modules.json", "config.json")
SHARDS = (
    "model.safetensors.index.json",
    *(f"model-{number:05}-of-00004.safetensors" for number in (1, 2, 3, 4)),
)
DATASET = ("data-00000-of-00001.arrow", "state.json", "dataset_info.json")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"limit": 1},
    {"keys": ["the", "café", "a b", "\udcff", "", "king", "word"]},
    {"keys": ["the"], "limit": 2},
]


def pack(*files: bytes) -> bytes:
    """Return several files as one input."""
    return b"".join(struct.pack("<I", len(file)) + file for file in files)


def unpack(data: bytes) -> Iterator[bytes]:
    """Yield the files of an input; lengths may exceed the bytes that are left."""
    while data:
        length = int.from_bytes(data[:4], "little")
        yield data[4 : 4 + length]
        data = data[4 + length :]


def _read_all(table: EmbeddingTable) -> None:
    """Read all of a table, since words and mapped rows are read lazily."""
    assert len(table.index_to_key) == len(table.vectors) == len(table)
    table.vectors.tobytes()
    for word in table.index_to_key:
        word.lower().encode("utf-8", "surrogatepass")
    assert len(table.key_to_index) == len(table)
    if table.subwords is not None:
        vectors, made = table.subwords.compose(["theking", "", "日本", "a b"])
        assert vectors.shape == (4, table.vector_size)
        assert made.shape == (4,)


def _file(load: Callable[..., EmbeddingTable]) -> Callable[[bytes], None]:
    """Return a target that loads bytes as a file object or a file, with one of `OPTIONS`."""

    def target(data: bytes) -> None:
        options = OPTIONS[len(data) % len(OPTIONS)]
        if len(data) % 3:
            _read_all(load(io.BytesIO(data), **options))
            return
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            _read_all(load(file.name, **options))

    return target


def _folder(load: Callable[..., EmbeddingTable], names: tuple[str, ...]) -> Callable[[bytes], None]:
    """Return a target that loads a folder of the files that are not empty."""

    def target(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in zip(names, unpack(data), strict=False):
                if content:
                    Path(folder, name).write_bytes(content)
            _read_all(load(folder, **OPTIONS[len(data) % len(OPTIONS)]))

    return target


def _text_in_blocks(data: bytes) -> None:
    """Read text in blocks of a size given by the first byte."""
    block, data = 1 + data[0] % 64 if data else 1, data[1:]
    before, text_blocks.BLOCK = text_blocks.BLOCK, block
    try:
        with open_source(io.BytesIO(data)) as source:
            read = word2vec.read if data[:1].isdigit() else glove.read
            _read_all(read(source, **OPTIONS[len(data) % len(OPTIONS)]))
    finally:
        text_blocks.BLOCK = before


def _binary_in_blocks(data: bytes) -> None:
    """Read word2vec binary in blocks of a size given by the first byte."""
    block, data = 1 + data[0] % 64 if data else 1, data[1:]
    before, word2vec.BLOCK = word2vec.BLOCK, block
    try:
        _read_all(load_word2vec(io.BytesIO(data), **OPTIONS[len(data) % len(OPTIONS)]))
    finally:
        word2vec.BLOCK = before


def _source(data: bytes) -> None:
    """Decompress, and read the result."""
    with open_source(io.BytesIO(data), "v.txt" if len(data) % 5 == 0 else None) as source:
        source.peek(100)
        while source.read(1 << 16):
            pass
        source.sha256()
    _file(load_vectors)(data)


def _inspect(data: bytes) -> None:
    """Inspect a file, and write the report as text and as JSON."""
    report = inspect(io.BytesIO(data))
    assert str(report)
    json.dumps(report.to_dict())


def _examples(data: bytes) -> None:
    """Read all examples of a Parquet file, in memory and streamed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "examples.parquet")
        path.write_bytes(data)
        train = open_splits(path).train
        assert len(list(train)) == len(train)
        assert len(list(open_splits(path, streaming=True).train)) == len(train)


def _run(data: bytes) -> None:
    """Load a run folder of the files that are not empty, and predict with it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in zip(RUN, unpack(data), strict=False):
            if content:
                Path(folder, name).write_bytes(content)
        run = load(folder)
        assert len(run.predict(["good film", "", "unknown"])) == 3
        assert str(run)
        _read_all(load_vectors(folder))


def _delta(data: bytes) -> None:
    """Read a delta, print it, and apply it to the base of the golden ones."""
    delta = load_delta(io.BytesIO(data))
    assert str(delta)
    json.dumps(delta.to_dict())
    base = load_safetensors(CORPUS.parents[1] / "golden" / "tiny.safetensors")
    for weights in (None, [0.5]):
        _read_all(apply_delta(base, delta, weights=weights))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "arrow": _file(load_arrow),
    "dataset": _folder(load_arrow, DATASET),
    "delta": _delta,
    "examples": _examples,
    "fasttext": _file(load_fasttext),
    "inspect": _inspect,
    "numpy": _file(load_numpy),
    "projector": _folder(load_projector, PROJECTOR),
    "run": _run,
    "safetensors": _file(load_safetensors),
    "shards": _folder(load_safetensors, SHARDS),
    "source": _source,
    "spacy": _folder(load_spacy, SPACY),
    "static": _folder(load_static, STATIC),
    "text": _text_in_blocks,
    "word2vec-binary": _binary_in_blocks,
}


def check(name: str, data: bytes) -> None:
    """Run a target on an input; errors other than the library's propagate."""
    with warnings.catch_warnings(action="error"), contextlib.suppress(FinetuneEmbedError):
        TARGETS[name](data)


def seeds(name: str) -> list[Path]:
    """Return the inputs in the corpus of a target."""
    return sorted((CORPUS / name).iterdir())
