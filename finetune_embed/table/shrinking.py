"""Tables that take fewer bytes: fewer words, fewer dimensions, smaller numbers. numpy only."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..errors import Option, VocabularyError, check_choice
from .coding import CodedRows, Coding, Part
from .embedding_table import EmbeddingTable
from .lazy_rows import Vectors
from .neighbours import lengths, unit
from .packed_words import PackedWords, Rows
from .quantization import SAMPLE, codebooks_of

__all__ = ["DTYPES", "ORDERS", "dtype_of", "kept_rows", "shrink_rows"]

DTYPES = ("float32", "float16", "bfloat16", "int8", "pq")
#: What decides which words are kept, if their number is given.
ORDERS = ("order", "norm")
BLOCK = 1 << 14  # rows read at a time
COMPARED = 1 << 8  # rows compared with all kept ones at a time


def kept_rows(
    table: EmbeddingTable, words: int | Collection[str] | None, by: str, first: Rows | None = None
) -> Rows:
    """Return the rows of the words to keep, int64 `(n,)`, in the order of the table.

    Args:
        table: the table.
        words: how many words, or which ones, of which the table may lack some.
        by: which of them, if `words` is a number: those that come first, or the longest vectors.
        first: rows that come before all others, in this order; the others follow by `by`.

    Raises:
        VocabularyError: nothing would be kept, or `by` is unknown.
    """
    check_choice("by", by, ORDERS, VocabularyError)
    if words is None:
        return np.arange(len(table))
    if not isinstance(words, int):
        if isinstance(words, str):
            raise VocabularyError(
                "is a single string",
                option="words",
                value=words,
                remedy=("pass a list of words: ", Option("words", [words])),
            )
        rows = np.unique(table.rows_of(words))
        rows = rows[rows >= 0]
        if not len(rows):
            raise VocabularyError(
                "holds no word of the table",
                option="words",
                value=list(words)[:3],
                remedy="write them as in the table",
            )
        return rows
    if words < 1 or isinstance(words, bool):
        raise VocabularyError("must be 1 or more", option="words", value=words)
    before = np.zeros(0, np.int64) if first is None else first
    is_rest = np.ones(len(table), bool)
    is_rest[before] = False
    rest = is_rest.nonzero()[0]
    if by == "norm" and words > len(before):
        norms = np.concatenate([np.zeros(0), *(lengths(block) for block in _blocks(table, rest))])
        rest = rest[np.argsort(-norms, kind="stable")]
    return np.sort(np.concatenate([before, rest])[:words])


def shrink_rows(
    table: EmbeddingTable,
    kept: Rows,
    *,
    remap: bool = False,
    dim: int | None = None,
    all_but_top: int = 0,
    dtype: str | None = None,
    keeps_size: bool = False,
) -> EmbeddingTable:
    """Return a table with some of the rows, in fewer bytes.

    Args:
        table: the table.
        kept: int64 `(n,)`, the rows to keep, ascending.
        remap: keep all words; those of other rows get the nearest kept row.
        dim: the number of dimensions.
        all_but_top: how many principal components are removed.
        dtype: one of `DTYPES`; that of the table when left out.
        keeps_size: hold `dim` numbers of each row, and return vectors of all dimensions.

    Raises:
        VocabularyError: an argument is out of its range.
        VectorFileError: `dtype` cannot hold a number.
    """
    dtype = dtype_of(table) if dtype is None else dtype
    _check(table, dim, all_but_top, dtype)
    projection, coding = None, Coding(dtype)
    if dim is not None or all_but_top:
        projection = _projection(table, kept, dim, all_but_top)
        if keeps_size:
            coding = Coding(dtype, basis=projection.matrix.T.copy(), mean=projection.mean)
    if dtype == "pq":
        chosen = kept
        if len(kept) > SAMPLE:
            chosen = np.sort(np.random.default_rng(0).choice(kept, SAMPLE, replace=False))
        rows = table.rows(chosen)
        coding.check_finite(rows, chosen)
        rows = rows if projection is None else projection(rows)
        coding = Coding(dtype, codebooks_of(rows), coding.basis, coding.mean)
    parts, first = [], 0
    for block in _blocks(table, kept):
        changed = block if projection is None or keeps_size else projection(block)
        parts.append(coding.encode(changed, kept[first : first + len(block)]))
        first += len(block)
    codes, scales = zip(*parts, strict=True)
    part = Part(np.concatenate(codes), None if scales[0] is None else np.concatenate(scales))
    mapping = _nearest_kept(table, kept).astype(np.int32) if remap else None
    stored: Vectors | CodedRows = CodedRows(coding, [part], mapping)
    if dtype == "float32" and coding.basis is None and mapping is None:
        stored = part.codes
    asked = {"words": len(kept), "remap": remap, "dim": dim, "all_but_top": all_but_top}
    done = {name: value for name, value in (asked | {"dtype": dtype}).items() if value}
    words: Any = table.words
    if not remap and len(kept) < len(table):
        words = words.take(kept) if isinstance(words, PackedWords) else [words[i] for i in kept]
    origin = table.origin if remap else table.origin[kept]
    metadata = table.metadata | {"shrunk": json.dumps(done)}
    shrunk = EmbeddingTable(words, stored, metadata, origin)
    shrunk.tokenizer = table.tokenizer
    if projection is None:
        shrunk.subwords = table.subwords
    return shrunk


def dtype_of(table: EmbeddingTable) -> str:
    """Return the numbers that the rows of a table are held as, one of `DTYPES`."""
    return "float32" if table.coded is None else table.coded.coding.name


def _check(table: EmbeddingTable, dim: int | None, all_but_top: int, dtype: str) -> None:
    size = table.vector_size
    if not len(table) or not size:
        raise VocabularyError("the table has no rows or no columns, so there is nothing to shrink")
    check_choice("dtype", dtype, DTYPES, VocabularyError)
    if isinstance(all_but_top, bool) or not 0 <= all_but_top < size:
        raise VocabularyError(
            f"must be from 0 to {size - 1}, the dimensions less one",
            option="all_but_top",
            value=all_but_top,
        )
    if dim is not None and (isinstance(dim, bool) or not 1 <= dim <= size - all_but_top):
        raise VocabularyError(
            f"must be from 1 to {size - all_but_top}, the dimensions that there are",
            option="dim",
            value=dim,
        )


def _blocks(table: EmbeddingTable, rows: Rows) -> Iterator[Vectors]:
    """Yield some rows in blocks."""
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        if block[-1] - block[0] == len(block) - 1:
            yield table.rows(slice(int(block[0]), int(block[-1]) + 1))
        else:
            yield table.rows(block)


class _Projection(NamedTuple):
    """Subtracts a mean `(D,)` and multiplies by a matrix `(D, d)`."""

    mean: Vectors
    matrix: Vectors

    def __call__(self, rows: Vectors) -> Vectors:
        return np.asarray((rows - self.mean) @ self.matrix, np.float32)


def _projection(
    table: EmbeddingTable, kept: Rows, dim: int | None, all_but_top: int
) -> _Projection:
    """Return the projection on principal components of some rows, without the first ones.

    With `dim`, its result are the coordinates along the next components; else the vectors without
    the first ones (Mu and Viswanath 2018).

    Raises:
        VocabularyError: a number of these rows is not finite.
    """
    size = table.vector_size
    total, products = np.zeros(size), np.zeros((size, size))
    for block in _blocks(table, kept):
        wide = block.astype(np.float64)
        total += wide.sum(axis=0)
        products += wide.T @ wide
    mean = total / len(kept)
    if not np.isfinite(products).all():
        raise VocabularyError(
            "some vectors are not finite, so there are no principal components",
            remedy="leave them out: table.subset(word for word in table.words if "
            "np.isfinite(table[word]).all())",
        )
    _, axes = np.linalg.eigh(products / len(kept) - np.outer(mean, mean))
    axes = axes[:, ::-1]  # the largest variance first
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(size)])
    axes = (axes * signs).astype(np.float32)
    if dim is not None:
        return _Projection(mean.astype(np.float32), axes[:, all_but_top : all_but_top + dim])
    top = axes[:, :all_but_top]
    return _Projection(mean.astype(np.float32), np.eye(size, dtype=np.float32) - top @ top.T)


def _nearest_kept(table: EmbeddingTable, kept: Rows) -> Rows:
    """Return for each row which of the kept ones it is, or which is the nearest by cosine."""
    found = np.full(len(table), -1)
    found[kept] = np.arange(len(kept))
    directions = np.nan_to_num(unit(table.rows(kept))).T
    (others,) = (found < 0).nonzero()
    for start in range(0, len(others), COMPARED):
        rows = others[start : start + COMPARED]
        found[rows] = (np.nan_to_num(unit(table.rows(rows))) @ directions).argmax(axis=1)
    return found
