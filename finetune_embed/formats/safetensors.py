"""The library's own format: safetensors files with a table, its words and its provenance.

Tensors:

- `embedding.weight`, float32, float16, bfloat16 or int8 `(V, D)`: the vectors.
- `embedding.scale`, float32 `(V,)`, only with int8: row `i` is `weight[i] * scale[i]`.
- Only in tables that `shrink` made:
  - `embedding.codebooks`, float32 `(M, K, S)`, with a uint8 `weight` `(V, M)`: row `i` is
    `codebooks[m, weight[i, m]]` for all `m`, one after the other.
  - `embedding.basis`, float32 `(d, D)`, and `embedding.mean`, float32 `(D,)`, with rows of `d`
    numbers: row `i` is `weight[i] @ basis + mean`.
  - `embedding.rows`, int32 `(V,)`: row `i` is row `rows[i]` of the others.
- `vocab.offsets`, int64 `(V + 1,)`, and `vocab.bytes`, uint8: word `i` is
  `vocab.bytes[offsets[i]:offsets[i + 1]]`, in UTF-8; other bytes are kept.
- `vocab.origin`, uint8 `(V,)`: the `Origin` codes of the rows, unless all rows are as imported.
- `tokenizer.json`, uint8: the `tokenizer.json` of the table's tokenizer, in UTF-8, if it has one;
  `tokenizer.drops_unknown`, uint8 `(1,)`: 1 if unknown text yields no token; and
  `tokenizer.specials`, uint8: a JSON list of its further special tokens, if it has some.

The metadata are strings: the source file's name, SHA-256 and format, the strategy, seed, metrics,
the library's version, and `history`, a JSON list of earlier tunings.

A table is in one file, or in the shards of a folder, named as Hugging Face names them. No tensor
is divided there, so each shard after the first has a tensor of consecutive rows, from
`embedding.weight.0` on, and with int8 `embedding.scale.0`; the first has the words and the
metadata. `model.safetensors.index.json` maps each tensor to its file.

Specifications: https://github.com/huggingface/safetensors#format, and
https://huggingface.co/docs/transformers/big_models#sharded-checkpoints. This module writes the
files itself, so equal tables give equal bytes, and reads them by memory map.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import Either, VectorFileError
from ..files import PathOrFile, Source, as_folder, atomic_write, open_source
from ..table import EmbeddingTable, Origin, PackedWords, PipelineTokenizer
from .common.arguments import check_limit, wanted_keys
from .common.row_tensors import WEIGHT, RowTensors, rows_in, weight_names
from .common.run_folder import file_in_run
from .common.saving import check_name, pack_words
from .common.shards import INDEX, open_shards, parse_size, write_shards
from .common.sniff import expect
from .common.table_building import ROW
from .common.tensor_writer import Tensor, check_metadata, tensor_of, write_tensors
from .common.tensors import TensorFile, open_tensors
from .hub import fetched
from .static_model import STATIC_TENSORS

__all__ = [
    "BYTES",
    "DELTA",
    "OFFSETS",
    "load_safetensors",
    "read",
    "read_shards",
    "read_words",
    "save_safetensors",
    "write_safetensors",
]

#: What a delta has as its metadata `format`; see `deltas`.
DELTA = "finetune_embed.delta"

BYTES, OFFSETS, ORIGIN = "vocab.bytes", "vocab.offsets", "vocab.origin"
TOKENIZER, DROPS_UNKNOWN = "tokenizer.json", "tokenizer.drops_unknown"
SPECIALS = "tokenizer.specials"


def save_safetensors(
    table: EmbeddingTable,
    path: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    shard_size: int | str | None = None,
) -> None:
    """Write a table with its words and metadata as safetensors, which hold any word.

    Args:
        table: the table.
        path: the file; with `shard_size`, a folder that does not exist yet.
        dtype: `float32`, `float16`, `bfloat16`, or `int8` with a scale for each row. When left out,
            that of the table, if `shrink` made it or a file of this library; else `float32`.
        shard_size: the most bytes of vectors in a file, such as `"2GB"`. A larger table is written
            as several files with an index, another one as `model.safetensors`.

    Raises:
        VectorFileError: a number does not fit `dtype`, a word cannot be written, the folder exists,
            or the file cannot be written.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> fe.save_safetensors(table, "table.safetensors", dtype="float16")
        >>> fe.load_vectors("table.safetensors").vector_size
        50
    """
    check_name(path)
    if shard_size is None:
        with atomic_write(path) as file:
            write_safetensors(table, file, dtype)
        return
    size = parse_size(shard_size)
    words, rows = _word_tensors(table), RowTensors(table, dtype)
    shards = [_whole(words, rows)]
    if sum(one.size for one in shards[0]) > size:
        step = max(1, size // rows.bytes_of_row)
        starts = range(0, max(rows.held, 1), step)
        shards = [rows.tensors(at, at + step, f".{number}") for number, at in enumerate(starts)]
        shards = [[words[0], *rows.shared, *words[1:]], *shards]
    write_shards(path, shards, _metadata(table))


def write_safetensors(table: EmbeddingTable, file: BinaryIO, dtype: str | None = None) -> None:
    """Write what `save_safetensors` writes to an open file."""
    tensors = _whole(_word_tensors(table), RowTensors(table, dtype))
    write_tensors(file, tensors, _metadata(table))


def _whole(words: list[Tensor], rows: RowTensors) -> list[Tensor]:
    """Return the tensors of one file in their order, in which all numbers are aligned."""
    return [words[0], *rows.shared, *rows.tensors(0, rows.held), *words[1:]]


def _metadata(table: EmbeddingTable) -> dict[str, str]:
    from importlib.metadata import version

    metadata = {"library_version": version("finetune_embed")} | table.metadata
    check_metadata(metadata)
    return metadata


def _word_tensors(table: EmbeddingTable) -> list[Tensor]:
    words = pack_words(table)
    tensors = [tensor_of(OFFSETS, words.offsets), tensor_of(BYTES, words.data)]
    if table.origin.any():
        tensors.append(tensor_of(ORIGIN, np.asarray(table.origin, np.uint8)))
    if (tokenizer := table.tokenizer) is not None:
        drops = np.array([tokenizer.drops_unknown], np.uint8)
        text = np.frombuffer(tokenizer.json.encode(), np.uint8)
        tensors += [tensor_of(TOKENIZER, text), tensor_of(DROPS_UNKNOWN, drops)]
        if tokenizer.specials:
            specials = np.frombuffer(json.dumps(tokenizer.specials).encode(), np.uint8)
            tensors.append(tensor_of(SPECIALS, specials))
    return tensors


def load_safetensors(
    path: PathOrFile, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Load a table from a file or a folder that `save_safetensors` wrote.

    The vectors stay on disk, memory-mapped and read-only; those that are not float32 are converted
    when they are used. From a file object, standard input or a compressed file, they are read into
    memory.

    Args:
        path: the file, the folder of shards or of a run, a binary file object, `"-"` for standard
            input, or `"hub:org/model"`.
        keys: load only these words, copied into memory. Rows keep the file's order.
        limit: load only the first rows.

    Raises:
        VectorFileError: a file is missing or damaged, holds tensors but no words, or is of another
            format.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_safetensors(table, "words.safetensors")
        >>> fe.load_safetensors("words.safetensors").index_to_key
        ['good', 'bad']
    """
    path = file_in_run(fetched(path))
    folder = as_folder(path)
    if folder is not None and (folder / INDEX).is_file():
        return read_shards(folder, keys, limit)
    with open_source(path) as source:
        expect(source, "safetensors")
        return read(source, keys, limit)


def read(
    source: Source, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Read a table from an open source."""
    file = open_tensors(source)
    return _table_in(dict.fromkeys(file.tensors, file), source.name, keys, limit, source)


def read_shards(
    folder: Path, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Read a table from a folder of shards."""
    table = _table_in(open_shards(folder), str(folder / INDEX), keys, limit)
    table.metadata.pop("format", "")
    return table


def _table_in(
    files: Mapping[str, TensorFile],
    name: str,
    keys: Collection[str] | None,
    limit: int | None,
    source: Source | None = None,
) -> EmbeddingTable:
    """Return the table in some tensors.

    Args:
        files: the file of each tensor.
        name: where they are, for messages.
        keys: load only these words.
        limit: load only the first rows.
        source: the file that they are in, if it is one.
    """
    check_limit(limit)
    wanted = wanted_keys(keys)
    missing = [] if weight_names(files) else [WEIGHT]
    missing += [one for one in (OFFSETS, BYTES) if one not in files]
    if missing:
        raise _without_words(files, name, missing)
    weight = rows_in(files, name)
    if source is not None:
        source.refuse_bomb(len(weight) * (ROW + 4 * weight.shape[1]))
    words = read_words(files, len(weight))
    origin = files[ORIGIN].read(ORIGIN, "U8", 1) if ORIGIN in files else None
    if origin is not None and (len(origin) != len(weight) or (origin > max(Origin)).any()):
        raise VectorFileError(
            f"{ORIGIN} does not hold a code from 0 to {max(Origin):d} for each of "
            f"{len(weight):,} rows",
            where=files[ORIGIN].name,
            remedy="the file is damaged; fetch it again",
        )
    metadata = files[OFFSETS].metadata
    table = EmbeddingTable(words, weight, metadata, origin)
    if limit is not None:
        table = EmbeddingTable(words[:limit], weight[:limit], metadata, table.origin[:limit])
    table.tokenizer = _tokenizer_in(files)
    if wanted is not None:
        table = table.subset(key for key in table.index_to_key if key in wanted)
    return table


def _tokenizer_in(files: Mapping[str, TensorFile]) -> PipelineTokenizer | None:
    """Return the tokenizer of the table, None if the files have none."""
    if TOKENIZER not in files:
        return None
    file, drops = files[TOKENIZER], False
    if DROPS_UNKNOWN in files:
        drops = bool(files[DROPS_UNKNOWN].read(DROPS_UNKNOWN, "U8", 1).any())
    data, listed = file.read(TOKENIZER, "U8", 1).tobytes(), b"[]"
    if SPECIALS in files:
        listed = files[SPECIALS].read(SPECIALS, "U8", 1).tobytes()
    try:
        text, specials = data.decode(), json.loads(listed)
        if not isinstance(specials, list) or not all(isinstance(one, str) for one in specials):
            raise ValueError("not a list of texts")
    except (ValueError, RecursionError) as error:  # also of bytes that are not UTF-8
        raise VectorFileError(
            f"{TOKENIZER} is not UTF-8 text, or {SPECIALS} is not a JSON list of texts",
            where=file.name,
            remedy="the file is damaged; fetch it again",
        ) from error
    return PipelineTokenizer(text, drops, tuple(specials), file.name)


def _without_words(
    files: Mapping[str, TensorFile], where: str, missing: list[str]
) -> VectorFileError:
    """Return the error for tensors among which some of a table are missing."""
    if any(file.metadata.get("format") == DELTA for file in files.values()):
        return VectorFileError(
            "this is a delta, what a tuned table has that its base lacks",
            where=where,
            remedy=Either(
                "apply it to its base: apply_delta(base, path)",
                "apply it to its base: finetune-embed delta apply BASE DELTA tuned.safetensors",
            ),
        )
    remedy = Either(
        "pair its tensor with its words: EmbeddingTable(words, vectors)",
        "save its tensor and words with numpy.savez('vectors.npz', vectors=vectors, words=words)",
    )
    if any(name in files for name in STATIC_TENSORS):
        remedy = Either(
            "load a static embedding model from its folder: load_static(folder)",
            "pass the folder of the static embedding model, with its tokenizer.json",
        )
    return VectorFileError(
        f"the file holds {', '.join(sorted(files)) or 'no tensors'}, but not "
        f"{' and '.join(missing)}, so it was not written by this library",
        where=where,
        remedy=remedy,
    )


def read_words(files: Mapping[str, TensorFile], rows: int) -> PackedWords:
    """Return the words from the two vocabulary tensors.

    Raises:
        VectorFileError: the tensors don't hold this number of words.
    """
    offsets = files[OFFSETS].read(OFFSETS, "I64", 1)
    data = files[BYTES].read(BYTES, "U8", 1)
    is_valid = (
        len(offsets) == rows + 1
        and offsets[0] == 0
        and offsets[-1] == len(data)
        and bool((offsets[1:] >= offsets[:-1]).all())
    )
    if not is_valid:
        raise VectorFileError(
            f"{OFFSETS} does not divide {len(data):,} bytes into {rows:,} words",
            where=files[OFFSETS].name,
            remedy="the file is damaged; fetch it again",
        )
    return PackedWords(data.data, offsets)
