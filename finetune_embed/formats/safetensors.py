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
import os
import struct
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError
from ..files import atomic_write, open_source
from ..table import EmbeddingTable
from ._rows import check_limit, encode_words, wanted_keys

__all__ = ["is_safetensors", "load_safetensors", "save_safetensors"]

WEIGHT, BYTES, OFFSETS, ORIGIN = "embedding.weight", "vocab.bytes", "vocab.offsets", "vocab.origin"
MAX_HEADER = 100_000_000  # the limit of the format itself
_DTYPES = {"F32": "<f4", "I64": "<i8", "U8": "|u1"}
_MAX_LENGTH = 1 << 48  # of a tensor's side; more is no table, and numpy could not index it
#: What a header raises that is JSON no writer of safetensors writes.
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def is_safetensors(head: bytes) -> bool:
    """Tell a safetensors file by its first bytes: a plausible header length, then `{`."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_HEADER


def save_safetensors(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table with its words and metadata as one safetensors file. Holds any word."""
    from importlib.metadata import version

    words = encode_words(table)
    offsets = np.zeros(len(words) + 1, np.int64)
    np.cumsum([len(word) for word in words], out=offsets[1:])
    tensors: dict[str, npt.NDArray[Any]] = {
        OFFSETS: offsets,
        WEIGHT: table.vectors,
        BYTES: np.frombuffer(b"".join(words), np.uint8),
    }
    if table.origin.any():
        tensors[ORIGIN] = table.origin
    metadata = {"library_version": version("finetune_embed")} | table.metadata
    _check_metadata(metadata)
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    position = 0
    for name, array in tensors.items():
        dtype = _NAMES[np.dtype(array.dtype).newbyteorder("<").str]
        end = position + array.size * array.itemsize
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [position, end],
        }
        position = end
    encoded = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with atomic_write(path) as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for array in tensors.values():
            for start in range(0, len(array), 1 << 16):
                file.write(np.ascontiguousarray(array[start : start + (1 << 16)]).data)


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
    path: str | os.PathLike[str],
    keys: Collection[str] | None = None,
    limit: int | None = None,
) -> EmbeddingTable:
    """Open a table from a safetensors file; its vectors stay on disk, memory-mapped, read-only.

    Args:
        path: a file that `save_safetensors` wrote.
        keys: keep only these words, copied into memory. Rows keep the file's order.
        limit: only the first rows.

    Raises:
        VectorFileError: the file is missing or damaged, or holds no words beside its tensors.
    """
    check_limit(limit)
    wanted = wanted_keys(keys)
    path = Path(path)
    header, start, size = _read_header(path)
    metadata = header.pop("__metadata__", {})
    missing = [name for name in (WEIGHT, OFFSETS, BYTES) if name not in header]
    if missing:
        raise VectorFileError(
            f"{path} holds {', '.join(sorted(header)) or 'no tensors'}, but not "
            f"{' and '.join(missing)}; load_safetensors reads what save_safetensors wrote"
        )
    weight = _map(path, header, WEIGHT, "F32", 2, start, size)
    words = _decode(path, header, start, size, len(weight))
    origin = _map(path, header, ORIGIN, "U8", 1, start, size) if ORIGIN in header else None
    table = EmbeddingTable(words, weight, metadata, origin)
    if limit is not None:
        table = EmbeddingTable(words[:limit], weight[:limit], metadata, table.origin[:limit])
    if wanted is not None:
        table = table.subset(key for key in table.index_to_key if key in wanted)
    return table


def _read_header(path: Path) -> tuple[dict[str, Any], int, int]:
    """Return the header, the position of the first tensor, and the file's size, all checked."""
    size = path.stat().st_size if path.is_file() else 0
    with open_source(path) as file:
        if file.compression:
            raise VectorFileError(f"{path} is compressed by gzip; decompress it first: gunzip")
        length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER, size - 8):
            raise VectorFileError(
                f"{path}: its header claims {length:,} bytes of a file of {size:,}; it is damaged "
                "or no safetensors file; fetch it again"
            )
        try:
            header = json.loads(file.read(length))
            tensors = {name: spec for name, spec in header.items() if name != "__metadata__"}
            end = max((int(spec["data_offsets"][1]) for spec in tensors.values()), default=0)
            metadata = header.get("__metadata__", {})
            if not all(isinstance(value, str) for value in metadata.values()):
                raise TypeError("its metadata are not strings")
        except _DAMAGE as error:
            raise VectorFileError(f"{path}: its safetensors header is damaged ({error})") from error
    if 8 + length + end != size:
        raise VectorFileError(
            f"{path}: its header promises {8 + length + end:,} bytes, the file has {size:,}; it is "
            "cut short or damaged; fetch it again"
        )
    return header, 8 + length, size


def _map(
    path: Path, header: dict[str, Any], name: str, dtype: str, ndim: int, start: int, size: int
) -> npt.NDArray[Any]:
    """Return one tensor as a read-only memory map, its place in the file checked first."""
    spec = header[name]
    try:
        shape = tuple(int(length) for length in spec["shape"])
        begin, end = (int(offset) for offset in spec["data_offsets"])
        found = spec["dtype"]
    except _DAMAGE as error:
        raise VectorFileError(f"{path}: the header's entry for {name} is damaged") from error
    if found != dtype or len(shape) != ndim or not 0 <= min(shape) <= max(shape) <= _MAX_LENGTH:
        raise VectorFileError(
            f"{path}: {name} is {found} {list(shape)}, but {dtype} of {ndim} dimensions is needed"
        )
    array_dtype = np.dtype(_DTYPES[dtype])
    needed = int(np.prod(shape, dtype=object)) * array_dtype.itemsize
    if not (0 <= begin <= end <= size - start) or needed != end - begin:
        raise VectorFileError(
            f"{path}: {name} of shape {list(shape)} needs {needed:,} bytes, its place in the file "
            f"has {end - begin:,}; the file is damaged"
        )
    if not needed:
        return np.zeros(shape, array_dtype)
    mapped = np.memmap(path, array_dtype, "r", start + begin, shape)
    return np.asarray(mapped)


def _decode(path: Path, header: dict[str, Any], start: int, size: int, rows: int) -> list[str]:
    """Return the words, each in its place, from the two vocabulary tensors."""
    offsets = _map(path, header, OFFSETS, "I64", 1, start, size)
    data = _map(path, header, BYTES, "U8", 1, start, size).tobytes()
    sound = (
        len(offsets) == rows + 1
        and offsets[0] == 0
        and offsets[-1] == len(data)
        and bool((offsets[1:] >= offsets[:-1]).all())
    )
    if not sound:
        raise VectorFileError(
            f"{path}: {OFFSETS} does not divide {len(data):,} bytes into {rows:,} words; the file "
            "is damaged"
        )
    at = offsets.tolist()
    return [data[begin:end].decode("utf-8", "surrogateescape") for begin, end in pairwise(at)]
