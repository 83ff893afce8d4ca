"""Apply a delta to its base, or several of them in shares."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np

from ..errors import Option, VectorFileError, VocabularyError, printable
from ..files import PathOrFile
from ..table import EmbeddingTable, Origin
from .base import Base
from .delta import Delta
from .delta_file import HasTable, as_table, load_delta

__all__ = ["apply_delta"]

_UNSET = 255  # no code of `Origin`


def apply_delta(
    base: EmbeddingTable | HasTable | PathOrFile,
    *deltas: Delta | PathOrFile,
    weights: Sequence[float] | None = None,
) -> EmbeddingTable:
    """Return the tuned table of a base and its delta, or a merge of several.

    Args:
        base: the table that each delta was made from: a table, that of a run, or the path of
            either. Its words and vectors must be the same to the bit; the file may be another.
        deltas: one or more deltas, or files that `save_delta` wrote.
        weights: how much of each delta to apply. A changed row becomes
            `base + sum of weight * (tuned - base)`, computed in float64: of one delta, 0.5 is half
            way between the base and the tuned table. A new word, which no base has, gets the mean
            of its vectors, weighted by the sizes of the weights. A delta of weight 0 has no part.

    Returns:
        A new table. Of one delta without `weights`, the tuned table: to the bit from float32, with
        its words in their order, its origins and its metadata. With weights, unless one
        is 1 and the others are 0, the `origin` of a row is the one on which the deltas agree, else
        `TUNED`, and the metadata are those of the base, with the weight and the metadata of each
        delta as JSON under `deltas`. If the base was
        opened in place, the two share the rows that did not change. The tokenizer is that of the
        base; there are no `subwords`.

    Raises:
        VectorFileError: a file cannot be read, or a delta belongs to another base; the message has
            both hashes.
        VocabularyError: there is no delta, or not one finite weight for each.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> tuned = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 2]])
        >>> fe.save_delta(table, tuned, "half.delta")
        >>> fe.apply_delta(table, "half.delta", weights=[0.5])["bad"]
        array([0. , 1.5], dtype=float32)
    """
    table = as_table(base)
    opened = [one if isinstance(one, Delta) else load_delta(one) for one in deltas]
    shares = _checked(opened, weights)
    found = Base.of(table)
    for one in opened:
        one.base.check_is(found, one.name)
        _check_fits(one, table)
    used = [(share, one) for share, one in zip(shares, opened, strict=True) if share]
    if [share for share, _ in used] == [1.0]:
        return _tuned(table, used[0][1])
    return _merged(table, used)


def _checked(deltas: Sequence[Delta], weights: Sequence[float] | None) -> list[float]:
    """Return the weight of each delta.

    Raises:
        VocabularyError: see `apply_delta`.
    """
    if not deltas:
        raise VocabularyError("there is no delta to apply", remedy="pass one or more deltas")
    if weights is None and len(deltas) == 1:
        return [1.0]
    share = round(1 / len(deltas), 3)
    advice = ("give each delta its share, such as ", Option("weights", [share] * len(deltas)))
    if weights is None:
        raise VocabularyError(f"{len(deltas)} deltas need {len(deltas)} weights", remedy=advice)
    shares = [float(one) for one in weights]
    if len(shares) != len(deltas) or not all(map(math.isfinite, shares)):
        raise VocabularyError(
            f"must be {len(deltas)} finite number{'s' * (len(deltas) != 1)}",
            option="weights",
            value=shares,
            remedy=advice,
        )
    whole = [share == 1 for share in shares if share]
    for one in deltas:
        if one.removed and whole != [True]:
            raise VocabularyError(
                "a delta that removes words, such as one back to the base, can't be merged or "
                "applied in part",
                where=one.name or None,
                remedy=("apply it alone, without ", Option("weights")),
            )
    return shares


def _check_fits(delta: Delta, base: EmbeddingTable) -> None:
    """Check what a delta's file can't show by itself.

    Raises:
        VectorFileError: the vectors have another size, a new word is in the base, or a number of
            an int8 delta becomes too large.
    """
    what = None
    known = np.flatnonzero(base.rows_of(delta.words) >= 0)
    if delta.vectors.shape[1] != base.vector_size:
        what = f"the delta has {delta.vectors.shape[1]} dimensions, the base {base.vector_size}"
    elif len(known):
        what = f"the delta adds the word '{printable(delta.words[known[0]])}', which the base has"
    elif delta.scale is not None and not np.isfinite(delta.vectors_for(base)).all():
        what = "the delta makes vectors that are not finite"
    if what is not None:
        raise VectorFileError(
            what, where=delta.name or None, remedy="the file is damaged; fetch it again"
        )


def _tuned(base: EmbeddingTable, delta: Delta) -> EmbeddingTable:
    """Return the table that a delta was made from."""
    kept = delta.kept
    if kept < len(base):
        tokenizer = base.tokenizer
        base = EmbeddingTable(base.words[:kept], base.rows(slice(kept)), None, base.origin[:kept])
        base.tokenizer = tokenizer
    origin = np.concatenate([base.origin, delta.origin[len(delta.rows) :]])
    origin[delta.rows] = delta.origin[: len(delta.rows)]
    tuned = base.patched(delta.rows, delta.vectors_for(base), delta.words, origin)
    tuned.metadata = dict(delta.metadata)
    return tuned


def _merged(base: EmbeddingTable, used: Sequence[tuple[float, Delta]]) -> EmbeddingTable:
    """Return the base with the deltas in their shares."""
    rows = np.unique(np.concatenate([[], *(one.rows for _, one in used)])).astype(np.int64)
    words = list(dict.fromkeys(word for _, one in used for word in one.words))
    place = {word: at for at, word in enumerate(words, len(rows))}
    start = np.zeros((len(rows) + len(words), base.vector_size))
    start[: len(rows)] = base.rows(rows)
    change, sizes = np.zeros_like(start), np.zeros(len(start))
    origin = np.full(len(start), _UNSET, np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):  # of rows that are not finite
        for share, one in used:
            new = np.array([place[word] for word in one.words], np.int64)
            at = np.concatenate([np.searchsorted(rows, one.rows), new])
            each = np.where(at < len(rows), share, abs(share))
            change[at] += each[:, None] * (one.vectors_for(base) - start[at])
            sizes[at] += each
            agrees = (origin[at] == _UNSET) | (origin[at] == one.origin)
            origin[at] = np.where(agrees, one.origin, Origin.TUNED)
        change[len(rows) :] /= sizes[len(rows) :, None]
        vectors = (start + change).astype(np.float32)
    origins = np.concatenate([base.origin, origin[len(rows) :]])
    origins[rows] = origin[: len(rows)]
    merged = base.patched(rows, vectors, words, origins)
    parts = [{"weight": share, "metadata": dict(one.metadata)} for share, one in used]
    merged.metadata = {**base.metadata, "deltas": json.dumps(parts)}
    return merged
