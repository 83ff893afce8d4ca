"""The file of a delta: one safetensors file, of `n` rows of the base and `m` new words.

Tensors:

- `delta.rows`, int64 `(n,)`: the rows of the base that changed, in ascending order.
- `vocab.offsets`, int64 `(m + 1,)`, and `vocab.bytes`, uint8: the new words, as in a table's file.
- `delta.vectors`, float32 `(n + m, D)`: the tuned vectors of the rows, then those of the words. Or
  int8: with `delta.scale`, float32 `(n + m,)`, row `i` of the tuned table is
  `base + delta.vectors[i] * delta.scale[i]` in float32, where the base of a new word is 0.
- `delta.origin`, uint8 `(n + m,)`: the `Origin` codes of the same rows and words.

The metadata are strings:

- `format` is `finetune_embed.delta`, and `version` is `1`.
- `base_rows`, the number of words of the base, and `kept_rows`, how many of them the tuned table
  starts with: fewer in a delta that leads from a tuned table back to its base.
- `base_vocab_sha256`: of the base's `vocab.offsets` and `vocab.bytes`, as in its safetensors file,
  one after the other. `base_vectors_sha256`: of its `embedding.weight` as float32.
- `base_source` and `base_source_sha256`: the file that the base's metadata name, for messages.
- `metadata`: those of the tuned table, a JSON object.

Equal deltas give equal bytes.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import Either, VectorFileError
from ..files import PathOrFile, Source, atomic_write, is_plain, only_file, open_source
from ..formats import load_vectors
from ..formats.common.saving import check_name, pack
from ..formats.common.sniff import FORMATS, SAMPLE, expect, sniff
from ..formats.common.table_building import ROW
from ..formats.common.tensor_writer import check_metadata, tensor_of, write_tensors
from ..formats.common.tensors import TensorFile, open_tensors
from ..formats.safetensors import BYTES, DELTA, OFFSETS, read_words
from ..table import EmbeddingTable, Origin, Vectors
from .base import Base
from .delta import Delta

__all__ = ["as_table", "load_delta", "save_delta", "write_delta", "write_to"]

VERSION = "1"
ROWS, VECTORS, SCALE, ORIGIN = "delta.rows", "delta.vectors", "delta.scale", "delta.origin"
_COUNT, _SHA256 = re.compile(r"\d{1,15}", re.ASCII), re.compile(r"[0-9a-f]{64}")


class HasTable(Protocol):
    """What has a table, such as a run."""

    @property
    def table(self) -> EmbeddingTable:
        """The table."""


def as_table(given: HasTable | EmbeddingTable | PathOrFile) -> EmbeddingTable:
    """Return a table, the one of a run, or the one that `load_vectors` opens."""
    found: Any = getattr(given, "table", given)
    return found if isinstance(found, EmbeddingTable) else load_vectors(found)


def save_delta(
    base: EmbeddingTable | HasTable | PathOrFile,
    tuned: EmbeddingTable | HasTable | PathOrFile,
    path: str | os.PathLike[str],
    dtype: str = "float32",
) -> None:
    """Write what a tuned table has that its base lacks as one small safetensors file.

    `apply_delta(base, path)` makes the tuned table from it.

    Args:
        base: the table before tuning: a table, that of a run, or the path of either.
        tuned: the table after, in the same way. Its words are those of the base, then new ones, as
            in every table that `finetune`, `to_table` and `extend` return.
        path: the file to write.
        dtype: `float32` keeps every bit. `int8` takes about a quarter of the bytes: the difference
            to the base, with a scale for each row.

    Raises:
        VectorFileError: a table cannot be read, or the file not be written.
        VocabularyError: the tables do not belong together, or int8 can't hold a row.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> tuned = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 2]])
        >>> fe.save_delta(table, tuned, "tuned.delta")
        >>> fe.apply_delta(table, "tuned.delta")["bad"]
        array([0., 2.], dtype=float32)
    """
    write_delta(Delta.between(as_table(base), as_table(tuned), dtype), path)


def write_delta(delta: Delta, path: str | os.PathLike[str]) -> None:
    """Write a delta as `save_delta` does."""
    check_name(path)
    with atomic_write(path) as file:
        write_to(delta, file)


def write_to(delta: Delta, file: BinaryIO) -> None:
    """Write a delta to an open file."""
    words, base = pack(delta.words), delta.base
    arrays: dict[str, npt.NDArray[Any]] = {ROWS: delta.rows, OFFSETS: words.offsets}
    if delta.scale is not None:
        arrays[SCALE] = delta.scale
    arrays |= {VECTORS: delta.vectors, ORIGIN: delta.origin, BYTES: words.data}
    metadata = {
        "format": DELTA,
        "version": VERSION,
        "base_rows": str(base.rows),
        "kept_rows": str(delta.kept),
        "base_vocab_sha256": base.vocab_sha256,
        "base_vectors_sha256": base.vectors_sha256,
        "base_source": base.source,
        "base_source_sha256": base.source_sha256,
        "metadata": json.dumps(dict(delta.metadata), sort_keys=True, separators=(",", ":")),
    }
    check_metadata(metadata)
    write_tensors(file, [tensor_of(*one) for one in arrays.items()], metadata)


def load_delta(path: PathOrFile) -> Delta:
    """Read a file that `save_delta` wrote.

    Args:
        path: the file, which may be compressed, a binary file object, or `"-"` for standard input.

    Raises:
        VectorFileError: the file is missing, damaged, or not a delta.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> tuned = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 2]])
        >>> fe.save_delta(table, tuned, "change.delta")
        >>> fe.load_delta("change.delta").vectors
        array([[0., 2.]], dtype=float32)
    """
    if isinstance(path, (str, os.PathLike)) and os.path.isdir(path) and not only_file(Path(path)):
        raise _not_a_delta("this is a folder", os.fspath(path))
    with open_source(path) as source:
        found = sniff(source)
        if found == "text" and not is_plain(source.peek(SAMPLE)):
            expect(source, "safetensors")  # which says that it is of no known format
        if found != "safetensors":
            raise _not_a_delta(f"this is {FORMATS[found].title}", source.name)
        return _read(open_tensors(source), source)


def _not_a_delta(what: str, where: str) -> VectorFileError:
    """Return the error for a file or a folder that is not a delta."""
    return VectorFileError(
        f"{what}, and is not a delta",
        where=where,
        remedy=Either(
            "write one with save_delta(base, tuned, path)",
            "write one with finetune-embed delta save BASE TUNED DELTA",
        ),
    )


def _read(file: TensorFile, source: Source) -> Delta:
    kind, version = (file.metadata.get(name) for name in ("format", "version"))
    if kind != DELTA:
        held = ", ".join(sorted(file.tensors)) or "no tensors"
        raise _not_a_delta(f"the file holds {held}", file.name)
    if version != VERSION:
        raise VectorFileError(
            f"the delta is of version {version}, and this library reads version {VERSION}",
            where=file.name,
            value=version,
            remedy="update the library",
        )
    missing = [name for name in (ROWS, VECTORS, ORIGIN, OFFSETS, BYTES) if name not in file.tensors]
    if missing:
        raise _damaged(file, f"{' and '.join(missing)} is missing")
    base, kept, metadata = _facts_in(file)
    rows = file.read(ROWS, "I64", 1)
    if len(rows) and not (rows[0] >= 0 and rows[-1] < kept and (rows[1:] > rows[:-1]).all()):
        raise _damaged(file, f"{ROWS} does not hold distinct rows of {kept:,}, in ascending order")
    is_int8 = file.dtype(VECTORS) == "I8"
    vectors = file.read(VECTORS, "I8" if is_int8 else "F32", 2)
    size = len(vectors)
    new = size - len(rows)
    if new < 0 or (new and kept < base.rows):
        raise _damaged(file, f"{VECTORS} has {size:,} rows, and {ROWS} has {len(rows):,}")
    source.refuse_bomb(vectors.nbytes + ROW * size)
    words = list(read_words(dict.fromkeys(file.tensors, file), new))
    if len(set(words)) < new:
        raise _damaged(file, f"{BYTES} holds a word twice")
    origin = file.read(ORIGIN, "U8", 1)
    if len(origin) != size or (origin > max(Origin)).any():
        raise _damaged(file, f"{ORIGIN} does not hold a code for each of {size:,} rows")
    scale = _scale_in(file, size) if is_int8 else None
    return Delta(
        base, kept, rows.copy(), words, vectors.copy(), scale, origin.copy(), metadata, file.name
    )


def _facts_in(file: TensorFile) -> tuple[Base, int, dict[str, str]]:
    """Return the base, how many of its rows are kept, and the tuned table's metadata."""
    counts = [file.metadata.get(name, "") for name in ("base_rows", "kept_rows")]
    hashes = [file.metadata.get(f"base_{one}_sha256", "") for one in ("vocab", "vectors")]
    sources = [file.metadata.get(name, "") for name in ("base_source", "base_source_sha256")]
    if not all(map(_COUNT.fullmatch, counts)) or not all(map(_SHA256.fullmatch, hashes)):
        raise _damaged(file, "its metadata do not say which base it belongs to")
    total, kept = map(int, counts)
    if kept > total:
        raise _damaged(file, f"it keeps {kept:,} rows of a base of {total:,}")
    try:
        metadata = json.loads(file.metadata.get("metadata", ""))
    except (ValueError, RecursionError) as error:
        raise _damaged(file, f"the metadata of the tuned table are not JSON ({error})") from error
    if not isinstance(metadata, dict) or not all(isinstance(o, str) for o in metadata.values()):
        raise _damaged(file, "the metadata of the tuned table are not strings")
    return Base(total, *hashes, *sources), kept, metadata


def _scale_in(file: TensorFile, size: int) -> Vectors:
    if SCALE not in file.tensors:
        raise _damaged(file, f"{SCALE} is missing")
    scale: Vectors = file.read(SCALE, "F32", 1)
    if len(scale) != size or not (np.isfinite(scale) & (scale >= 0)).all():
        raise _damaged(file, f"{SCALE} does not hold a finite number for each of {size:,} rows")
    return scale.copy()


def _damaged(file: TensorFile, what: str) -> VectorFileError:
    return VectorFileError(what, where=file.name, remedy="the file is damaged; fetch it again")
