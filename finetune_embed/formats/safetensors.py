"""The library's own format: one safetensors file with a table, its words and its provenance.

Tensors:

- `embedding.weight`, float32 `(V, D)`: the vectors.
- `vocab.offsets`, int64 `(V + 1,)`, and `vocab.bytes`, uint8: word `i` is
  `vocab.bytes[offsets[i]:offsets[i + 1]]`, in UTF-8; other bytes are kept.
- `vocab.origin`, uint8 `(V,)`: the `Origin` codes of the rows, unless all rows are as imported.

The metadata are strings: the source file's name, SHA-256 and format, the strategy, seed, metrics,
the library's version, and `history`, a JSON list of earlier tunings.

Specification: https://github.com/huggingface/safetensors#format. This module writes the file
itself, so equal tables give equal bytes, and reads it by memory map.
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

from ..errors import Either, VectorFileError
from ..files import PathOrFile, Source, atomic_write, open_source
from ..table import EmbeddingTable, Origin, PackedWords, PatchedRows
from .common.arguments import check_limit, wanted_keys
from .common.run_folder import file_in_run
from .common.saving import check_name, pack_words
from .common.sniff import expect
from .common.table_building import ROW
from .common.tensors import DTYPES, TensorFile, open_tensors
from .static_model import STATIC_TENSORS

__all__ = ["load_safetensors", "read", "save_safetensors", "write_safetensors"]

WEIGHT, BYTES, OFFSETS, ORIGIN = "embedding.weight", "vocab.bytes", "vocab.offsets", "vocab.origin"
WRITE_BYTES = 1 << 22
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def save_safetensors(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table with its words and metadata as one safetensors file, which holds any word."""
    check_name(path)
    with atomic_write(path) as file:
        write_safetensors(table, file)


def write_safetensors(table: EmbeddingTable, file: BinaryIO) -> None:
    """Write what `save_safetensors` writes to an open file."""
    from importlib.metadata import version

    words, stored = pack_words(table), table.stored
    tensors: dict[str, npt.NDArray[Any] | PatchedRows] = {
        OFFSETS: words.offsets,
        WEIGHT: stored if isinstance(stored, PatchedRows) else np.asarray(stored, np.float32),
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
                f"metadata[{name!r}] is {value!r}, not a string",
                value=value,
                remedy="convert it; safetensors metadata are strings",
            )
        try:
            (name + value).encode()
        except UnicodeEncodeError as error:
            raise VectorFileError(
                f"metadata[{name!r}] is {value!r}, which UTF-8 can't encode",
                value=value,
                remedy="remove its lone surrogates; safetensors metadata are UTF-8",
            ) from error


def load_safetensors(
    path: PathOrFile, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Load a table from a file that `save_safetensors` wrote.

    The vectors stay on disk, memory-mapped and read-only. From a file object, standard input or a
    compressed file, they are read into memory.

    Args:
        path: the file, the folder of a run, a binary file object, or `"-"` for standard input.
        keys: load only these words, copied into memory. Rows keep the file's order.
        limit: load only the first rows.

    Raises:
        VectorFileError: the file is missing or damaged, holds tensors but no words, or is of
            another format.
    """
    with open_source(file_in_run(path)) as source:
        expect(source, "safetensors")
        return read(source, keys, limit)


def read(
    source: Source, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Read a table from an open source."""
    check_limit(limit)
    wanted = wanted_keys(keys)
    file = open_tensors(source)
    missing = [name for name in (WEIGHT, OFFSETS, BYTES) if name not in file.tensors]
    if missing:
        raise _without_words(file, missing)
    weight = file.read(WEIGHT, "F32", 2)
    source.refuse_bomb(len(weight) * (ROW + 4 * weight.shape[1]))
    words = _packed_words(file, len(weight))
    origin = file.read(ORIGIN, "U8", 1) if ORIGIN in file.tensors else None
    if origin is not None and (len(origin) != len(weight) or (origin > max(Origin)).any()):
        raise VectorFileError(
            f"{ORIGIN} does not hold a code from 0 to {max(Origin):d} for each of "
            f"{len(weight):,} rows",
            where=source.name,
            remedy="the file is damaged; fetch it again",
        )
    table = EmbeddingTable(words, weight, file.metadata, origin)
    if limit is not None:
        table = EmbeddingTable(words[:limit], weight[:limit], file.metadata, table.origin[:limit])
    if wanted is not None:
        table = table.subset(key for key in table.index_to_key if key in wanted)
    return table


def _without_words(file: TensorFile, missing: list[str]) -> VectorFileError:
    """Return the error for a file that lacks tensors of a table."""
    remedy = Either(
        "pair its tensor with its words: EmbeddingTable(words, vectors)",
        "save its tensor and words with numpy.savez('vectors.npz', vectors=vectors, words=words)",
    )
    if any(name in file.tensors for name in STATIC_TENSORS):
        remedy = Either(
            "load a static embedding model from its folder: load_static(folder)",
            "pass the folder of the static embedding model, with its tokenizer.json",
        )
    return VectorFileError(
        f"the file holds {', '.join(sorted(file.tensors)) or 'no tensors'}, but not "
        f"{' and '.join(missing)}, so it was not written by this library",
        where=file.name,
        remedy=remedy,
    )


def _packed_words(file: TensorFile, rows: int) -> PackedWords:
    """Return the words from the two vocabulary tensors."""
    offsets = file.read(OFFSETS, "I64", 1)
    data = file.read(BYTES, "U8", 1)
    is_valid = (
        len(offsets) == rows + 1
        and offsets[0] == 0
        and offsets[-1] == len(data)
        and bool((offsets[1:] >= offsets[:-1]).all())
    )
    if not is_valid:
        raise VectorFileError(
            f"{OFFSETS} does not divide {len(data):,} bytes into {rows:,} words",
            where=file.name,
            remedy="the file is damaged; fetch it again",
        )
    return PackedWords(data.data, offsets)
