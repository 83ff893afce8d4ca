"""The library's own file: one safetensors file that holds a table, its words and its story.

Tensors: `embedding.weight` float32 `(V, D)`; `vocab.offsets` int64 `(V + 1,)` and `vocab.bytes`
uint8, so that word `i` is `vocab.bytes[offsets[i]:offsets[i + 1]]` in UTF-8 (any other bytes are
kept as they are); and, where not every row is as it was imported, `vocab.origin` uint8 `(V,)`, the
codes of `Origin`. The metadata are plain strings: the source file's name, SHA-256 and format,
strategy, seed, metrics, the library's version, and `history`, a JSON list of earlier tunings.

Specification: https://github.com/huggingface/safetensors#format. The file is written here rather
than by that library so that equal tables give equal bytes, and read by memory map.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Collection
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError
from ..files import PathOrFile, Source, atomic_write, open_source
from ..table import EmbeddingTable, Origin, PackedWords, RevisedRows
from .common.sniff import expect
from .common.table_building import check_limit, pack_words, wanted_keys
from .common.tensors import DTYPES, TensorFile, open_tensors
from .static_model import STATIC_TENSORS

__all__ = ["load_safetensors", "read", "save_safetensors", "write_safetensors"]

WEIGHT, BYTES, OFFSETS, ORIGIN = "embedding.weight", "vocab.bytes", "vocab.offsets", "vocab.origin"
WRITE_BYTES = 1 << 22
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def save_safetensors(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table with its words and metadata as one safetensors file. Holds any word."""
    with atomic_write(path) as file:
        write_safetensors(table, file)


def write_safetensors(table: EmbeddingTable, file: BinaryIO) -> None:
    """Write what `save_safetensors` writes to a file that is open."""
    from importlib.metadata import version

    words, stored = pack_words(table), table.stored
    tensors: dict[str, npt.NDArray[Any] | RevisedRows] = {
        OFFSETS: words.offsets,
        WEIGHT: stored if isinstance(stored, RevisedRows) else np.asarray(stored, np.float32),
        BYTES: words.data,
    }
    if table.origin.any():
        tensors[ORIGIN] = np.asarray(table.origin, np.uint8)
    metadata = {"library_version": version("finetune_embed")} | table.metadata
    _check_metadata(metadata)
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    position = 0
    for name, array in tensors.items():
        dtype = _NAMES[array.dtype.newbyteorder("<").str]
        end = position + math.prod(array.shape) * array.dtype.itemsize
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [position, end],
        }
        position = end
    encoded = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(struct.pack("<Q", len(encoded)) + encoded)
    for array in tensors.values():
        step = max(1, WRITE_BYTES // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
        for start in range(0, len(array), step):
            part = array[start : start + step]
            file.write(np.ascontiguousarray(part, array.dtype.newbyteorder("<")).data)


def _check_metadata(metadata: dict[str, str]) -> None:
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise VectorFileError(
                f"metadata[{name!r}] is {value!r}, not a string; safetensors holds strings only"
            )
        try:
            (name + value).encode()
        except UnicodeEncodeError as error:
            raise VectorFileError(
                f"metadata[{name!r}] is {value!r}, which UTF-8 can't hold; safetensors holds "
                "UTF-8 only"
            ) from error


def load_safetensors(
    path: PathOrFile, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Open a table from a safetensors file; its vectors stay on disk, memory-mapped, read-only.

    Args:
        path: a file that `save_safetensors` wrote. From a file object, standard input or a
            compressed file it is read into memory.
        keys: keep only these words, copied into memory. Rows keep the file's order.
        limit: only the first rows.

    Raises:
        VectorFileError: the file is missing or damaged, holds no words beside its tensors, or is of
            another format.
    """
    with open_source(path) as source:
        expect(source, "safetensors")
        return read(source, keys, limit)


def read(
    source: Source, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Open a table from the safetensors file of an open source."""
    check_limit(limit)
    wanted = wanted_keys(keys)
    file = open_tensors(source)
    missing = [name for name in (WEIGHT, OFFSETS, BYTES) if name not in file.tensors]
    if missing:
        cure = "load_safetensors reads what save_safetensors wrote"
        if any(name in file.tensors for name in STATIC_TENSORS):
            cure += ", load_static(folder) a static embedding model with its tokenizer.json"
        raise VectorFileError(
            f"{source.name} holds {', '.join(sorted(file.tensors)) or 'no tensors'}, but not "
            f"{' and '.join(missing)}; {cure}"
        )
    weight = file.read(WEIGHT, "F32", 2)
    words = _packed_words(file, len(weight))
    origin = file.read(ORIGIN, "U8", 1) if ORIGIN in file.tensors else None
    if origin is not None and (len(origin) != len(weight) or (origin > max(Origin)).any()):
        raise VectorFileError(
            f"{source.name}: {ORIGIN} is no list of a code from 0 to {max(Origin):d} for each of "
            f"{len(weight):,} rows; the file is damaged"
        )
    table = EmbeddingTable(words, weight, file.metadata, origin)
    if limit is not None:
        table = EmbeddingTable(words[:limit], weight[:limit], file.metadata, table.origin[:limit])
    if wanted is not None:
        table = table.subset(key for key in table.index_to_key if key in wanted)
    return table


def _packed_words(file: TensorFile, rows: int) -> PackedWords:
    """Return the words, each in its place, from the two vocabulary tensors."""
    offsets = file.read(OFFSETS, "I64", 1)
    data = file.read(BYTES, "U8", 1)
    sound = (
        len(offsets) == rows + 1
        and offsets[0] == 0
        and offsets[-1] == len(data)
        and bool((offsets[1:] >= offsets[:-1]).all())
    )
    if not sound:
        raise VectorFileError(
            f"{file.name}: {OFFSETS} does not divide {len(data):,} bytes into {rows:,} words; the "
            "file is damaged"
        )
    return PackedWords(data.data, offsets)
