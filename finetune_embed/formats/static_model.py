"""Static embedding models: folders written by sentence-transformers or model2vec.

A folder contains `tokenizer.json` (Hugging Face tokenizers) and `model.safetensors`. The words of
the table are the tokens, in the order of their ids: `model.vocab` of the tokenizer, a map of tokens
to ids (WordPiece, BPE, WordLevel) or a list of pairs (Unigram), and `added_tokens`.

- sentence-transformers: the tensor `embedding.weight` `(V, D)`. `modules.json` names the folder of
  the first module: `.`, or `0_StaticEmbedding` before version 5.
- `WordEmbeddings` of sentence-transformers: the tensor `emb_layer.weight` `(V, D)` and, instead of
  `tokenizer.json`, `whitespacetokenizer_config.json` or `phrasetokenizer_config.json`, whose
  `vocab` lists the words of the rows.
- model2vec: the tensor `embeddings` `(V, D)`. If the vocabulary was quantised, `weights` `(T,)`
  holds a factor and `mapping` `(T,)` a row for each token. The vector of token `t` is
  `embeddings[mapping[t]] * weights[t]`, without a part whose tensor is missing.

Texts are split by the pipeline in `tokenizer.json`, the `tokenizer` of the table. What it does not
know yields no token in model2vec; in sentence-transformers it is the unknown token, with its row.
Neither library adds special tokens. `WordEmbeddings` has no such pipeline. `save_static` notes in
`config.json`, under `finetune_embed`, what the files do not say: `drops_unknown`, which of both it
is; and of a table of words `words`, how many of the rows are its own. Such a table has no
tokenizer: its words say which. Whatever else `config.json` holds is for other libraries.

float32 numbers are used in place; float16, float64 and int8 are converted. model2vec writes int8
without its scale, so those vectors are the plain integers.

Sources: https://huggingface.co/docs/tokenizers, https://sbert.net (`StaticEmbedding`), and
https://github.com/MinishLab/model2vec (`StaticModel`).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError
from ..files import open_source
from ..table import EmbeddingTable, PipelineTokenizer
from .common.arguments import check_limit, wanted_keys
from .common.float_rows import as_float32, source_dtype
from .common.folders import MAX_SIZE, folder_provenance, missing_folder, read_json
from .common.run_folder import file_in_run
from .common.sniff import expect
from .common.static_files import CONFIG, MODULES, TENSORS, TOKENIZER, WORD_LISTS
from .common.table_building import ROW, make_table
from .common.tensors import TensorFile, open_tensors
from .hub import fetched

__all__ = [
    "CONFIG",
    "DROPS_UNKNOWN",
    "MODULES",
    "OURS",
    "STATIC_TENSORS",
    "TENSORS",
    "TOKENIZER",
    "WORDS",
    "load_static",
]

#: The tensor of vectors in sentence-transformers, in model2vec and in `WordEmbeddings`.
STATIC_TENSORS = ("embedding.weight", "embeddings", "emb_layer.weight")
#: What `save_static` adds to `CONFIG`, under the key `OURS`.
OURS, DROPS_UNKNOWN, WORDS = "finetune_embed", "drops_unknown", "words"
_MODULE_KINDS = ("StaticEmbedding", "WordEmbeddings")
BLOCK = 1 << 14  # rows converted at a time
_FLOATS = ("F32", "F16", "F64")
_INTEGERS = ("I64", "I32", "I16", "U8")

Array = npt.NDArray[Any]


def load_static(
    path: str | os.PathLike[str], keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Load the token vectors of a static embedding model.

    Args:
        path: the folder that sentence-transformers or model2vec wrote, its `model.safetensors`, or
            `"hub:org/model"`.
        keys: load only these tokens, copied. Rows keep the order of the token ids.
        limit: load only the first tokens.

    Returns:
        The table. Without `keys`, float32 vectors stay on disk, memory-mapped and read-only.

    Raises:
        VectorFileError: this is not the folder of a static model, a file in it is missing or
            damaged, or its tokenizer does not fit its tensors.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_static(table, "model")
        >>> fe.load_static("model")["bad"]
        array([0., 1.], dtype=float32)
    """
    check_limit(limit)
    if (folder := fetched(path)) is not path:
        table = load_static(folder, keys, limit)
        table.metadata["source"] = f"{path}/{TENSORS}"
        return table
    path = Path(path)
    path = path.parent if path.is_file() and path.name == TENSORS else path
    if file_in_run(path) != path:
        raise VectorFileError(
            "this is the folder of a run; its model has the rows of the training vocabulary alone",
            where=path,
            remedy="read its tuned table: load_vectors(path)",
        )
    folder = _module_folder(path)
    with open_source(folder / TENSORS) as source:
        expect(source, "safetensors")
        file = open_tensors(source)
        embeddings = _embeddings(file)
        mapping = _per_token(file, "mapping", _INTEGERS)
        weights = _per_token(file, "weights", _FLOATS)
        if mapping is not None and not 0 <= mapping.min() <= mapping.max() < len(embeddings):
            raise VectorFileError(
                f"mapping refers to rows {mapping.min()} to {mapping.max()}, but embeddings has "
                f"{len(embeddings):,} rows",
                where=file.name,
                remedy="the file is damaged; fetch it again",
            )
        count = len(embeddings if mapping is None else mapping)
        if weights is not None and len(weights) != count:
            raise VectorFileError(
                f"there are {len(weights):,} weights for {count:,} tokens",
                where=file.name,
                remedy="the file is damaged; fetch it again",
            )
        source.refuse_bomb(count * (ROW + 4 * embeddings.shape[1]))
        tokens, ids = _tokens(_tokenizer_of(folder), count)
        config = _config_in(folder)
        if config.words is not None:
            tokens = tokens[: config.words]
        rows = _wanted(tokens, keys, limit)
        vectors = _vectors(embeddings, mapping, weights, ids[rows], file.name)
        metadata = folder_provenance(source, path, "static") | source_dtype(embeddings.dtype)
        table = make_table([tokens[row] for row in rows], vectors, metadata)
    file_of_tokenizer = _tokenizer_of(folder)
    if file_of_tokenizer.name == TOKENIZER and config.words is None:
        text, drops = (
            file_of_tokenizer.read_bytes().decode("utf-8", "replace"),
            config.drops_unknown,
        )
        if drops is None:
            drops = STATIC_TENSORS[0] not in file.tensors
        table.tokenizer = PipelineTokenizer(text, drops, where=str(file_of_tokenizer))
    return table


class _Config(NamedTuple):
    """What `save_static` notes in `config.json`; None where it does not."""

    drops_unknown: bool | None = None
    words: int | None = None


def _config_in(folder: Path) -> _Config:
    """Return what `config.json` notes of a folder.

    Raises:
        VectorFileError: it is damaged.
    """
    config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    ours = config.get(OURS) if isinstance(config, dict) else None
    found: dict[str, Any] = ours if isinstance(ours, dict) else {}
    drops, words = found.get(DROPS_UNKNOWN), found.get(WORDS)
    is_count = words is None or (type(words) is int and words >= 0)
    if not is_count or type(drops) not in (bool, type(None)):
        raise VectorFileError(
            f"this does not note {DROPS_UNKNOWN} and {WORDS}, but {drops!r} and {words!r}",
            where=folder / CONFIG,
            remedy="the file is damaged; fetch it again",
        )
    return _Config(drops, words)


def _module_folder(path: Path) -> Path:
    """Return the folder of a model that contains the tensors and the tokenizer.

    Raises:
        VectorFileError: there is no such folder.
    """
    folder = path
    if (path / MODULES).is_file():
        folder = _first_module(path)
    elif (path / "0_StaticEmbedding").is_dir():
        folder = path / "0_StaticEmbedding"
    files = (TENSORS, _tokenizer_of(folder).name)
    missing = [name for name in files if not (folder / name).is_file()]
    if (folder / "pytorch_model.bin").is_file() and TENSORS in missing:
        raise VectorFileError(
            "the vectors are in pytorch_model.bin, a pickle, which is not read here",
            where=folder,
            remedy="save the model again with safe_serialization=True",
        )
    if missing:
        raise missing_folder(
            folder,
            "static",
            f"one with {TENSORS} and {TOKENIZER} of a static embedding model",
            f"pass the folder that the library wrote, with {' and '.join(missing)}",
        )
    return folder


def _tokenizer_of(folder: Path) -> Path:
    """Return the file that lists the words of a module."""
    lists = [folder / name for name in WORD_LISTS if (folder / name).is_file()]
    return lists[0] if lists and not (folder / TOKENIZER).is_file() else folder / TOKENIZER


def _first_module(path: Path) -> Path:
    """Return the folder of the first module that a model's `modules.json` lists.

    Raises:
        VectorFileError: it is not a static embedding, or its folder is missing.
    """
    modules = read_json(path / MODULES)
    try:
        kind, name = str(modules[0]["type"]), str(modules[0]["path"])
    except (LookupError, TypeError) as error:
        raise VectorFileError(
            "this does not list modules, each with a type and a path",
            where=path / MODULES,
            remedy="the file is damaged; fetch it again",
        ) from error
    if kind.rpartition(".")[2] not in _MODULE_KINDS:
        raise VectorFileError(
            f"the first module of this model is {kind}, not {' or '.join(_MODULE_KINDS)}, so its "
            "tokens have no fixed vectors",
            where=path,
            value=kind,
            remedy="pass a static embedding model",
        )
    if name in ("", "."):
        return path
    if name not in os.listdir(path):
        raise VectorFileError(
            f"this names the folder {name!r}, which is not in {path}",
            where=path / MODULES,
            value=name,
            remedy="fetch the complete model",
        )
    return path / name


def _embeddings(file: TensorFile) -> Array:
    """Return the stored table of a static model, `(rows, D)`."""
    name = next((name for name in STATIC_TENSORS if name in file.tensors), None)
    if name is None:
        listed = ", ".join(sorted(file.tensors)[:5]) or "no tensors"
        raise VectorFileError(
            "this is not the table of a static embedding model: it holds "
            f"{listed}, but neither {' nor '.join(STATIC_TENSORS)}",
            where=file.name,
        )
    embeddings = _read(file, name, (*_FLOATS, "I8"), 2)
    if not embeddings.size or embeddings.shape[1] > MAX_SIZE:
        raise VectorFileError(
            f"{name} is {embeddings.shape[0]:,} x {embeddings.shape[1]:,}, which is not a table of "
            "vectors",
            where=file.name,
        )
    return embeddings


def _per_token(file: TensorFile, name: str, dtypes: tuple[str, ...]) -> Array | None:
    """Return a tensor of model2vec with one number per token; None if it is missing."""
    if name not in file.tensors or STATIC_TENSORS[0] in file.tensors:
        return None
    array = _read(file, name, dtypes, 1)
    if not len(array):
        raise VectorFileError(
            f"{name} is empty", where=file.name, remedy="the file is damaged; fetch it again"
        )
    return array


def _read(file: TensorFile, name: str, dtypes: tuple[str, ...], ndim: int) -> Array:
    found = file.dtype(name)
    if found not in dtypes:
        raise VectorFileError(
            f"{name} is of type {found}, which is not one of {', '.join(dtypes)}",
            where=file.name,
            value=found,
            remedy="convert the model, for example with model.to(torch.float32), and save it again",
        )
    return file.read(name, found, ndim)


def _tokens(path: Path, count: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the tokens of a tokenizer in the order of their ids, and the ids.

    Raises:
        VectorFileError: the file is not a tokenizer, or an id has no row in the model's tensors.
    """
    tokenizer = read_json(path)
    try:
        is_list = path.name in WORD_LISTS
        vocab = tokenizer["vocab"] if is_list else tokenizer["model"]["vocab"]
        if is_list:
            ids: dict[str, Any] = {}
            for row, word in enumerate(vocab):
                ids.setdefault(str(word), row)
        elif isinstance(vocab, list):
            ids = {str(piece): row for row, (piece, _) in enumerate(vocab)}
        else:
            ids = dict(vocab)
        for token in tokenizer.get("added_tokens") or ():
            ids.setdefault(str(token["content"]), token["id"])
        if not all(type(number) is int for number in ids.values()):
            raise TypeError("an id is not an integer")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise VectorFileError(
            f"this does not list tokens in {'vocab' if path.name in WORD_LISTS else 'model.vocab'} "
            f"({error!r})",
            where=path,
            remedy=f"it is not a {path.name}, or it is damaged; fetch it again",
        ) from error
    tokens = sorted(ids, key=ids.__getitem__)
    if not tokens:
        raise VectorFileError(
            f"this lists no tokens, but {TENSORS} has {count:,} vectors",
            where=path,
            remedy="the files are of different models; fetch the complete model",
        )
    for token in (tokens[0], tokens[-1]):
        if not 0 <= ids[token] < count:
            raise VectorFileError(
                f"the token {token!r} has the id {ids[token]}, but {TENSORS} has vectors for ids 0 "
                f"to {count - 1}",
                where=path,
                value=ids[token],
                remedy="the files are of different models; fetch the complete model",
            )
    return tokens, np.fromiter((ids[token] for token in tokens), np.int64, len(tokens))


def _wanted(
    tokens: list[str], keys: Collection[str] | None, limit: int | None
) -> npt.NDArray[np.int64]:
    """Return the positions of the tokens to load."""
    wanted = wanted_keys(keys)
    tokens = tokens[:limit]
    if wanted is None:
        return np.arange(len(tokens))
    return np.array([row for row, token in enumerate(tokens) if token in wanted], np.int64)


def _vectors(
    embeddings: Array,
    mapping: Array | None,
    weights: Array | None,
    ids: npt.NDArray[np.int64],
    name: str,
) -> Array:
    """Return the vectors of some tokens, `(len(ids), D)`, in place if possible."""
    is_plain = mapping is None and weights is None and embeddings.dtype == np.float32
    if is_plain and np.array_equal(ids, np.arange(len(ids))):
        return embeddings[: len(ids)]
    vectors = np.empty((len(ids), embeddings.shape[1]), np.float32)
    for start in range(0, len(ids), BLOCK):
        at = ids[start : start + BLOCK]
        rows = embeddings[at if mapping is None else mapping[at]]
        if weights is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                rows = rows * weights[at, None]
        vectors[start : start + len(at)] = as_float32(rows, name, at)
    return vectors
