"""Writes a table as a static embedding model that model2vec and sentence-transformers open.

The folder holds what both read:

- `model.safetensors`: the tensor `embeddings`, float32 `(T, D)`, a row for each id. This is the
  name that model2vec wants beside a `config.json`; sentence-transformers takes it too.
- `tokenizer.json`: texts to ids, without truncation. Of a table of words, a `WordLevel` model of
  its words in their order, then `<unk>` if the table lacks it.
- `config.json`: `model_type`, `normalize` (false), `max_length` (null) and `embedding_dtype` for
  model2vec. Ours, under `finetune_embed`, are `drops_unknown`, which see in `PipelineTokenizer`,
  and, of a table of words whose tokenizer follows from its words, `words`: how many of the rows are
  those of the table.
- `modules.json`: the one module that sentence-transformers loads.
- If asked, for transformers.js: `onnx/model.onnx`, which see in `static_onnx`, and
  `tokenizer_config.json`, from which it takes the unknown token of a `WordLevel` model.

`load_static` reads the vectors back as they were, and the tokenizer of a pipeline or of a table
whose words say which it is; another one of words comes back as a pipeline. Both libraries average
the rows of a text's tokens; an unknown word is a token in sentence-transformers as in ours, and
none in model2vec.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import VectorFileError
from ..files import atomic_folder
from ..formats.common.saving import check_keys, check_name, check_new_folder, check_utf8
from ..formats.common.tensor_writer import WRITE_BYTES, Tensor, write_tensors
from ..formats.static_model import (
    CONFIG,
    DROPS_UNKNOWN,
    MODULES,
    OURS,
    TENSORS,
    TOKENIZER,
    WORDS,
)
from ..table import EmbeddingTable, PipelineTokenizer, Vectors
from ..training.inference import weight_of
from ..training.run.run import Run
from ..training.run.source import Source, opened
from ..vocabulary import UNK, UNK_ID, AnyTokenizer, Tokenizer
from .card import CARD, card_of
from .static_onnx import mean_model

__all__ = ["save_static"]

ONNX, TOKENIZER_CONFIG = "onnx/model.onnx", "tokenizer_config.json"
#: The module as sentence-transformers has named it since version 3.2; later ones know it too.
STATIC_EMBEDDING = {
    "idx": 0,
    "name": "0",
    "path": ".",
    "type": "sentence_transformers.models.StaticEmbedding",
}


def save_static(
    source: Source,
    folder: str | os.PathLike[str],
    *,
    license: str | None = None,
    onnx: bool = False,
) -> None:
    """Write a folder that model2vec and sentence-transformers open.

    `StaticModel.from_pretrained(folder)` and `SentenceTransformer(folder)` give a text the tokens
    and the mean vector that it has here, however long it is. model2vec leaves unknown words out of
    the mean.

    Args:
        source: a table, or a run, of which its tuned table is written with the tokenizer of its
            texts, or the path of either. The head of a run is not written.
        folder: the folder, which does not exist yet. Its `README.md` is a model card; see
            `save_card`.
        license: the licence of the vectors, by its name on the Hub, such as `mit`, for the card.
        onnx: write the files that transformers.js loads, too; see `static_onnx`.

    Raises:
        VectorFileError: a word is not UTF-8, the table lacks tokens of its tokenizer or has others,
            or the folder exists or cannot be written.
        VocabularyError: a word is in two rows.
        MissingPackageError: onnx or onnxruntime is not installed.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_static(table, "folder")
        >>> from model2vec import StaticModel
        >>> StaticModel.from_pretrained("folder").encode("good bad").tolist()
        [0.5, 0.5]
    """
    check_name(folder)
    source = opened(source)
    table = source.table if isinstance(source, Run) else source
    check_keys(table, "a static embedding model", "")
    check_utf8(table.words, "tokenizer.json")
    tokenizer = source.vocab.tokenizer if isinstance(source, Run) else Tokenizer.for_table(table)
    ours: dict[str, object] = {DROPS_UNKNOWN: False}
    config = {
        "model_type": "model2vec",
        "normalize": False,
        "max_length": None,
        "embedding_dtype": "float32",
        OURS: ours,
    }
    if isinstance(tokenizer, PipelineTokenizer):
        ours[DROPS_UNKNOWN] = tokenizer.drops_unknown
        tokens, text = _pieces_of(table, tokenizer), tokenizer.to_json()
    else:
        tokens = [*table.index_to_key] + [UNK] * (UNK not in table)
        ids = {token: number for number, token in enumerate(tokens)}
        text = tokenizer.to_pipeline(ids, UNK).to_str()
        if _follows_from_words(tokenizer, table):
            ours[WORDS] = len(table)
    embeddings = _embeddings(table, tokens, _unknown_row(source, table.vector_size))
    model = b""
    if onnx:
        dropped = tokenizer.dropped if isinstance(tokenizer, PipelineTokenizer) else -1
        model = mean_model(embeddings.block(0, len(tokens)), dropped, os.fspath(folder))
    card = card_of(source, Path(os.path.abspath(folder)).name, license, is_static=True)
    check_new_folder(folder)
    with atomic_folder(folder) as new:
        with open(new / TENSORS, "xb") as file:
            write_tensors(file, [embeddings], {})
        (new / TOKENIZER).write_text(text, "utf-8")
        _write_json(new / CONFIG, config)
        _write_json(new / MODULES, [STATIC_EMBEDDING])
        (new / CARD).write_bytes(card)
        if onnx:
            (new / ONNX).parent.mkdir()
            (new / ONNX).write_bytes(model)
            kind = {"tokenizer_class": "PreTrainedTokenizerFast"}
            of_words = {} if isinstance(tokenizer, PipelineTokenizer) else {"unk_token": UNK}
            _write_json(new / TOKENIZER_CONFIG, kind | of_words)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def _follows_from_words(tokenizer: AnyTokenizer, table: EmbeddingTable) -> bool:
    """Return whether a tokenizer is the one that a table without any gets."""
    return tokenizer == Tokenizer.for_table(EmbeddingTable(table.words, table.stored))


def _unknown_row(source: EmbeddingTable | Run, size: int) -> Vectors:
    """Return the vector `(D,)` of unknown words without a row: that of a run, else zeros."""
    if isinstance(source, Run):
        weight = weight_of(source.model, str(source.record["embedding"]))
        row: Vectors = weight[UNK_ID].detach().float().cpu().numpy()
        return row
    return np.zeros(size, np.float32)


def _embeddings(table: EmbeddingTable, tokens: Sequence[str], unknown: Vectors) -> Tensor:
    """Return the tensor with the row of each token; `unknown` where the table has none."""
    rows = table.rows_of(tokens)

    def block(start: int, stop: int) -> Vectors:
        at = rows[start:stop]
        if np.array_equal(at, np.arange(at[0], at[0] + len(at))) and at[0] >= 0:
            return table.rows(slice(int(at[0]), int(at[0]) + len(at)))
        found = np.array(table.rows(np.maximum(at, 0)))
        found[at < 0] = unknown
        return found

    step = max(1, WRITE_BYTES // (4 * table.vector_size))
    return Tensor("embeddings", "F32", (len(tokens), table.vector_size), block, step)


def _pieces_of(table: EmbeddingTable, tokenizer: PipelineTokenizer) -> list[str]:
    """Return the tokens of a pipeline in the order of their ids; they are those of the table.

    Raises:
        VectorFileError: they are not, or an id has no token.
    """
    ids = tokenizer.pipeline.get_vocab()
    tokens = sorted(ids, key=ids.__getitem__)
    missing = [token for token in tokens if token not in table]
    others = [word for word in table.words if word not in ids]
    numbered = [ids[token] for token in tokens] == list(range(len(tokens)))
    if missing or others or not numbered:
        what = "the tokenizer has ids without a token"
        if missing:
            what = (
                f"the table lacks {len(missing):,} tokens of its tokenizer, such as {missing[0]!r}"
            )
        elif others:
            what = f"{len(others):,} words, such as {others[0]!r}, are no tokens of the tokenizer"
        raise VectorFileError(
            f"{what}, and a static embedding model has a row for each",
            remedy="use save_safetensors(table, path), which keeps any table with its tokenizer",
        )
    return tokens
