"""`shrink`: a table or a run that takes fewer bytes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, TypedDict, TypeVar, Unpack, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...embedding import to_embedding
from ...errors import DataError, Option
from ...files import PathOrFile
from ...table import EmbeddingTable, dtype_of, kept_rows, shrink_rows
from ..build_model import fill_module
from ..ensemble import Other
from ..inference import lock_of, weight_of
from ..lexical_part import LexicalPart
from .run import Run
from .shrunk import shrunk_to
from .source import Source, opened

__all__ = ["shrink"]

Shrinkable = TypeVar("Shrinkable", EmbeddingTable, Run)
Ids = npt.NDArray[np.int64]


class Changes(TypedDict, total=False):
    """The keywords of `shrink`."""

    words: int | Collection[str] | None
    by: str
    remap: bool
    dim: int | None
    all_but_top: int
    dtype: str | None


@overload
def shrink(source: Shrinkable, **changes: Unpack[Changes]) -> Shrinkable: ...


@overload
def shrink(source: PathOrFile, **changes: Unpack[Changes]) -> EmbeddingTable | Run: ...


def shrink(
    source: Source,
    *,
    words: int | Collection[str] | None = None,
    by: str = "order",
    remap: bool = False,
    dim: int | None = None,
    all_but_top: int = 0,
    dtype: str | None = None,
) -> EmbeddingTable | Run:
    """Return a table or a run that takes fewer bytes in memory and as a file.

    A run predicts with what is left. Its scores are those from before: call `evaluate` on it.

    Args:
        source: the table or the run, or the path of either.
        words: how many words to keep, or which ones; words that the table lacks are left out.
        by: which words, if `words` is a number. `order`: the first ones of the table, since most
            files have frequent words first; of a run, those that occur most often in its training
            data, then the first ones. `norm`: those with the longest vectors; of a run, those of
            its training data come before all others, each part by length.
        remap: keep the other words too, each with the vector of the nearest word that is kept. It
            takes minutes for hundreds of thousands of words.
        dim: the number of dimensions, by principal components. A run keeps the size of its vectors,
            which are projected back from `dim` numbers when they are used.
        all_but_top: how many principal components to remove first, and with them the mean (Mu and
            Viswanath 2018); for tables.
        dtype: the numbers that rows are made of: `float32`, `float16`, `bfloat16`, `int8`, or `pq`,
            product quantization into a byte for each two numbers (Jegou et al. 2011); those of
            the table when left out. Of further models of an ensemble, and of the lexical part, it
            is `float16` if it is not `float32`.

    Returns:
        What was given, smaller. Vectors are decoded when they are used, and `save_safetensors` and
        `Run.save` write them as they are.

    Raises:
        FinetuneEmbedError: an argument is out of its range, or `dtype` cannot hold a number.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> small = fe.shrink(table, words=1000, dtype="int8")
        >>> small.vectors.shape
        (1000, 50)
    """
    numbers: dict[str, Any] = {"remap": remap, "dim": dim, "dtype": dtype}
    source = opened(source)
    if isinstance(source, EmbeddingTable):
        kept = kept_rows(source, words, by)
        return shrink_rows(source, kept, all_but_top=all_but_top, **numbers)
    if all_but_top:
        raise DataError(
            "would change what the model of the run is made for",
            option="all_but_top",
            value=all_but_top,
            remedy=("leave ", Option("all_but_top"), " out"),
        )
    return _shrunk_run(source, words, by, numbers)


def _shrunk_run(
    run: Run, words: int | Collection[str] | None, by: str, numbers: dict[str, Any]
) -> Run:
    table, vocab = run.table, run.vocab
    numbers = {**numbers, "dtype": numbers["dtype"] or dtype_of(table)}
    path = str(run.record["embedding"])
    weight = weight_of(run.model, path).detach().cpu()
    worth = vocab.counts if by == "order" else weight.norm(dim=1).numpy()
    first = table.rows_of([vocab.index_to_key[at] for at in np.argsort(-worth, kind="stable")])
    kept = kept_rows(table, words, by, first[first >= 0])
    small = shrink_rows(table, kept, keeps_size=True, **numbers)
    is_kept = np.zeros(len(table) + 1, bool)  # the last one is for words that the table lacks
    is_kept[kept] = True
    ids = np.flatnonzero(is_kept[table.rows_of(vocab.index_to_key)])
    ids = np.union1d(np.arange(vocab.first_word), ids)
    half = numbers["dtype"] != "float32"
    fewer = vocab.subset(ids)
    rows = to_embedding(small, fewer, oov="zeros").weight.detach()
    rows[: vocab.first_word] = weight[: vocab.first_word]
    others = []
    for model, lexical in run.others:
        own = weight_of(model, path).detach()[torch.from_numpy(ids)]
        own = own.half().float() if half else own
        others.append(Other(_with_rows(model, path, own, ids), _fewer(lexical, ids, half)))
    places = [at - 2 for at in ids.tolist() if at > 1]
    asked = {"words": len(kept), **numbers}
    done = {name: value for name, value in asked.items() if value}
    record = {**run.record, "shrunk": done}
    warning = f"the scores are from before it was shrunk to {shrunk_to(record)}"
    return replace(
        run,
        table=small,
        model=_with_rows(run.model, path, rows, ids),
        vocab=fewer,
        record=record,
        metrics={**run.metrics, "warnings": [*run.metrics["warnings"], warning]},
        words={name: [column[at] for at in places] for name, column in run.words.items()},
        drift=None,
        outcomes=None,
        lexical=_fewer(run.lexical, ids, half),
        others=tuple(others),
        held_out={},
    )


def _with_rows(model: nn.Module, path: str, rows: torch.Tensor, ids: Ids) -> nn.Module:
    """Return a model over other rows `(n, D)`, those of some ids."""
    rows = rows.to(weight_of(model, path).device)
    embedding = nn.Embedding(len(rows), rows.shape[1], padding_idx=0, _weight=rows)
    with lock_of(model):
        smaller, _ = fill_module(model, embedding, path.rpartition(".")[0])
    start = getattr(smaller, "start", None)  # the second channel of `KimCNN`
    if isinstance(start, torch.Tensor):
        smaller.start = start[torch.from_numpy(ids)]
    return smaller


def _fewer(part: LexicalPart | None, ids: Ids, half: bool) -> LexicalPart | None:
    """Return a lexical part over some ids, with weights that float16 holds if asked."""
    if part is None:
        return None
    classifier = part.classifier
    if classifier.vocab is None:
        classifier = classifier.subset(ids)
    if half:
        classifier = replace(classifier, weight=classifier.weight.half().float())
    return replace(part, classifier=classifier)
