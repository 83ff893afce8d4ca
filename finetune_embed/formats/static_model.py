"""Static embedding models: folders of sentence-transformers and model2vec.

A folder holds `tokenizer.json` (Hugging Face tokenizers) and, beside it, `model.safetensors`. The
words of the table are the tokens in the order of their numbers: `model.vocab` of the tokenizer,
an object of numbers (WordPiece, BPE, WordLevel) or a list of pairs (Unigram), and `added_tokens`.

- sentence-transformers: the tensor `embedding.weight` `(V, D)`. `modules.json` names the folder of
  the first module, `.` in present versions and `0_StaticEmbedding` in those before.
- model2vec: the tensor `embeddings` `(V, D)`; with `weights` `(T,)`, of a number a token, and
  `mapping` `(T,)`, of a row a token, where the vocabulary was quantised. The vector of token `t` is
  `embeddings[mapping[t]] * weights[t]`; a factor that is not there is left out.

Numbers are float32, used in place, or float16, float64 or int8, converted. model2vec writes int8
without the scale it divided by, so the vectors are the integers as they stand.

Sources: https://huggingface.co/docs/tokenizers, https://sbert.net (`StaticEmbedding`), and
https://github.com/MinishLab/model2vec (`StaticModel`).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError
from ..files import open_source
from ..table import EmbeddingTable
from .common.folders import MAX_SIZE, folder_provenance, missing_folder, read_json
from .common.npy import as_float32, source_dtype
from .common.sniff import expect
from .common.table_building import check_limit, make_table, wanted_keys
from .common.tensors import TensorFile, open_tensors

__all__ = ["STATIC_TENSORS", "load_static"]

#: What the table is called: by sentence-transformers, by model2vec.
STATIC_TENSORS = ("embedding.weight", "embeddings")
TENSORS, TOKENIZER, MODULES = "model.safetensors", "tokenizer.json", "modules.json"
BLOCK = 1 << 14
_FLOATS = ("F32", "F16", "F64")
_INTEGERS = ("I64", "I32", "I16", "U8")

Array = npt.NDArray[Any]


def load_static(
    path: str | os.PathLike[str], keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Load the token vectors of a static embedding model.

    Args:
        path: the folder that sentence-transformers or model2vec wrote, or the `model.safetensors`
            in it.
        keys: keep only these tokens, copied. Rows keep the order of the tokens' numbers.
        limit: only the first tokens.

    Returns:
        The table; float32 vectors of all tokens stay on disk, memory-mapped, read-only.

    Raises:
        VectorFileError: the folder is of no static model, a file of it is missing or damaged, or
            its tokenizer and its tensors don't belong together.
    """
    check_limit(limit)
    path = Path(path)
    path = path.parent if path.is_file() and path.name == TENSORS else path
    folder = _module_folder(path)
    with open_source(folder / TENSORS) as source:
        expect(source, "safetensors")
        file = open_tensors(source)
        embeddings = _embeddings(file)
        mapping, weights = _of_tokens(file, "mapping", _INTEGERS), _of_tokens(file, "weights")
        if mapping is not None and not 0 <= mapping.min() <= mapping.max() < len(embeddings):
            raise VectorFileError(
                f"{file.name}: mapping names the rows {mapping.min()} to {mapping.max()}, but "
                f"embeddings has {len(embeddings):,}; the file is damaged"
            )
        count = len(embeddings if mapping is None else mapping)
        if weights is not None and len(weights) != count:
            raise VectorFileError(
                f"{file.name}: there are {len(weights):,} weights for {count:,} tokens; the file "
                "is damaged"
            )
        tokens, ids = _tokens(folder / TOKENIZER, count)
        rows = _wanted(tokens, keys, limit)
        vectors = _vectors(embeddings, mapping, weights, ids[rows], file.name)
        metadata = folder_provenance(source, path, "static") | source_dtype(embeddings.dtype)
        return make_table([tokens[row] for row in rows], vectors, metadata)


def _module_folder(path: Path) -> Path:
    """Return the folder inside a model's that holds the tensors and the tokenizer."""
    folder = path
    if (path / MODULES).is_file():
        modules = read_json(path / MODULES)
        try:
            kind, inside = str(modules[0]["type"]), str(modules[0]["path"])
        except (LookupError, TypeError) as error:
            raise VectorFileError(
                f"{path / MODULES} does not list modules, each with type and path; it is damaged"
            ) from error
        if kind.rpartition(".")[2] != "StaticEmbedding":
            raise VectorFileError(
                f"{path}: the first module of this model is {kind}, not StaticEmbedding, so its "
                "tokens have no vectors of their own"
            )
        if inside not in ("", "."):
            if inside not in os.listdir(path):
                raise VectorFileError(
                    f"{path / MODULES} names the folder {inside!r}, which is not in {path}; fetch "
                    "the whole model"
                )
            folder = path / inside
    elif (path / "0_StaticEmbedding").is_dir():
        folder = path / "0_StaticEmbedding"
    missing = [name for name in (TENSORS, TOKENIZER) if not (folder / name).is_file()]
    if (folder / "pytorch_model.bin").is_file() and TENSORS in missing:
        raise VectorFileError(
            f"{folder} holds its vectors in pytorch_model.bin, a pickle, which is not read here; "
            "save the model again with safe_serialization=True"
        )
    if missing:
        raise missing_folder(
            folder,
            f"one with {TENSORS} and {TOKENIZER} of a static embedding model",
            f"{' and '.join(missing)} must be there; give the folder that the library wrote",
        )
    return folder


def _embeddings(file: TensorFile) -> Array:
    """Return the table of a static model as it stands in the file, `(rows, D)`."""
    name = next((name for name in STATIC_TENSORS if name in file.tensors), None)
    if name is None:
        shown = ", ".join(sorted(file.tensors)[:5]) or "no tensors"
        raise VectorFileError(
            f"{file.name} holds {shown}, but neither {' nor '.join(STATIC_TENSORS)}; it is not "
            "the table of a static embedding model"
        )
    embeddings = _read(file, name, (*_FLOATS, "I8"), 2)
    if not embeddings.size or embeddings.shape[1] > MAX_SIZE:
        raise VectorFileError(
            f"{file.name}: {name} is {embeddings.shape[0]:,} x {embeddings.shape[1]:,}, which is "
            "no table of vectors"
        )
    return embeddings


def _of_tokens(file: TensorFile, name: str, dtypes: tuple[str, ...] = _FLOATS) -> Array | None:
    """Return a tensor that has a number a token, if there is one."""
    if name not in file.tensors or STATIC_TENSORS[0] in file.tensors:
        return None
    array = _read(file, name, dtypes, 1)
    if not len(array):
        raise VectorFileError(f"{file.name}: {name} is empty; the file is damaged")
    return array


def _read(file: TensorFile, name: str, dtypes: tuple[str, ...], ndim: int) -> Array:
    found = file.dtype(name)
    if found not in dtypes:
        raise VectorFileError(
            f"{file.name}: {name} is of the type {found}; {', '.join(dtypes)} are read. Convert "
            "the model, for example by model.to(torch.float32), and save it again"
        )
    return file.read(name, found, ndim)


def _tokens(path: Path, count: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the tokens of a tokenizer by their numbers, and the numbers.

    Raises:
        VectorFileError: the file is no tokenizer, or one of another model: a number has no row.
    """
    tokenizer = read_json(path)
    try:
        vocab = tokenizer["model"]["vocab"]
        if isinstance(vocab, list):
            numbers = {str(piece): row for row, (piece, _) in enumerate(vocab)}
        else:
            numbers = dict(vocab)
        for token in tokenizer.get("added_tokens") or ():
            numbers.setdefault(str(token["content"]), token["id"])
        if not all(type(number) is int for number in numbers.values()):
            raise TypeError("a token's number is not an integer")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise VectorFileError(
            f"{path} does not list tokens in model.vocab and added_tokens ({error!r}); it is no "
            "tokenizer.json, or damaged"
        ) from error
    tokens = sorted(numbers, key=numbers.__getitem__)
    if not tokens:
        raise VectorFileError(f"{path} lists no tokens, but {TENSORS} has {count:,} vectors")
    for token in (tokens[0], tokens[-1]):
        if not 0 <= numbers[token] < count:
            raise VectorFileError(
                f"{path}: the token {token!r} has the number {numbers[token]}, but {TENSORS} has "
                f"vectors for 0 to {count - 1}; the two files are not of one model"
            )
    return tokens, np.fromiter((numbers[token] for token in tokens), np.int64, len(tokens))


def _wanted(
    tokens: list[str], keys: Collection[str] | None, limit: int | None
) -> npt.NDArray[np.int64]:
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
    """Return the vectors of some tokens, `(len(ids), D)`, in place where that can be."""
    plain = mapping is None and weights is None and embeddings.dtype == np.float32
    if plain and np.array_equal(ids, np.arange(len(ids))):
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
