"""What is fuzzed: each parser as a function of bytes, which may raise `FinetuneEmbedError` only."""

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

from finetune_embed import EmbeddingTable, FinetuneEmbedError, load_vectors, load_word2vec
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
from finetune_embed.formats.common import text as _text
from finetune_embed.inspection import inspect

__all__ = ["CORPUS", "TARGETS", "check", "pack", "seeds", "unpack"]

CORPUS = Path(__file__).parent / "corpus"
#: Files of a folder that is fuzzed, in the order in which `pack` puts them in one input.
SPACY = ("key2row", "vectors", "strings.json", "vectors.cfg")
STATIC = ("model.safetensors", "tokenizer.json", "modules.json", "config.json")
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
    """Yield the files of an input; whatever their lengths claim, there are bytes for them."""
    while data:
        length = int.from_bytes(data[:4], "little")
        yield data[4 : 4 + length]
        data = data[4 + length :]


def _use(table: EmbeddingTable) -> None:
    """Look at all of a table, since words and mapped rows are read when first used."""
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
    """Return a target: the bytes as a file object and, mapped, as a file; options by the length."""

    def target(data: bytes) -> None:
        options = OPTIONS[len(data) % len(OPTIONS)]
        if len(data) % 3:
            _use(load(io.BytesIO(data), **options))
            return
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            _use(load(file.name, **options))

    return target


def _folder(load: Callable[..., EmbeddingTable], names: tuple[str, ...]) -> Callable[[bytes], None]:
    """Return a target: a folder of files; an empty one is left out."""

    def target(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in zip(names, unpack(data), strict=False):
                if content:
                    Path(folder, name).write_bytes(content)
            _use(load(folder, **OPTIONS[len(data) % len(OPTIONS)]))

    return target


def _text_of_any_blocks(data: bytes) -> None:
    """Read text, in blocks of a size that its first byte tells."""
    block, data = 1 + data[0] % 64 if data else 1, data[1:]
    before, _text.BLOCK = _text.BLOCK, block
    try:
        with open_source(io.BytesIO(data)) as source:
            read = word2vec.read if data[:1].isdigit() else glove.read
            _use(read(source, **OPTIONS[len(data) % len(OPTIONS)]))
    finally:
        _text.BLOCK = before


def _binary_of_any_blocks(data: bytes) -> None:
    """Read word2vec binary, in blocks of a size that its first byte tells."""
    block, data = 1 + data[0] % 64 if data else 1, data[1:]
    before, word2vec.BLOCK = word2vec.BLOCK, block
    try:
        _use(load_word2vec(io.BytesIO(data), **OPTIONS[len(data) % len(OPTIONS)]))
    finally:
        word2vec.BLOCK = before


def _source(data: bytes) -> None:
    """Undo compression, and read whatever comes out of it."""
    with open_source(io.BytesIO(data), "v.txt" if len(data) % 5 == 0 else None) as source:
        source.peek(100)
        while source.read(1 << 16):
            pass
        source.sha256()
    _file(load_vectors)(data)


def _inspect(data: bytes) -> None:
    """Look a file over; the report is written in both ways."""
    report = inspect(io.BytesIO(data))
    assert str(report)
    json.dumps(report.to_dict())


TARGETS: dict[str, Callable[[bytes], None]] = {
    "arrow": _file(load_arrow),
    "dataset": _folder(load_arrow, DATASET),
    "fasttext": _file(load_fasttext),
    "inspect": _inspect,
    "numpy": _file(load_numpy),
    "safetensors": _file(load_safetensors),
    "source": _source,
    "spacy": _folder(load_spacy, SPACY),
    "static": _folder(load_static, STATIC),
    "text": _text_of_any_blocks,
    "word2vec-binary": _binary_of_any_blocks,
}


def check(name: str, data: bytes) -> None:
    """Give bytes to a parser; all but a table and the library's own errors comes through."""
    with warnings.catch_warnings(action="error"), contextlib.suppress(FinetuneEmbedError):
        TARGETS[name](data)


def seeds(name: str) -> list[Path]:
    """Return the inputs that are kept for a target."""
    return sorted((CORPUS / name).iterdir())
