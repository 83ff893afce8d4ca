"""Predictions of a run: the same time for a text whatever the vocabulary, from any thread.

A ready-made head with `only_looks_up` gets a small table of the rows of the texts' words. Others
may do more with ids, which then keep their numbers: words that only the run's table has come after
those of the vocabulary, in a copy of its rows that is made once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..data import EncodedTexts
from ..heads import is_plain
from ..optim import alongside
from ..table import EmbeddingTable, PipelineTokenizer, Vectors
from ..vocabulary import (
    PAD_ID,
    UNK_ID,
    TokenizedTexts,
    Vocabulary,
    check_finite,
    tokenize_texts,
    words_in,
)
from .inference import BATCH, TOKENS, forward_all, lock_of, look_up_both, weight_of
from .lexical_part import LexicalPart, lexical_texts, texts_of_words
from .runtime.threads import head_work, worthwhile_threads

__all__ = ["Predictor"]

Numbers = npt.NDArray[np.int64]
MANY = 4096  # tokens of a call from which it takes batches, and threads gain time


class _Known(NamedTuple):
    """The distinct tokens of some texts, as ids of the vocabulary and as rows of the table.

    Attributes:
        ids: int64 `(T,)`, the id whose row a token uses; that of `<unk>` where there is none.
        only_in_table: int64 `(W,)`, which of the tokens only the table has.
        rows: float32 `(W, D)`, the rows of these.
        unknown: bool `(T,)`, which of the tokens neither has.
    """

    ids: Numbers
    only_in_table: Numbers
    rows: Vectors
    unknown: npt.NDArray[np.bool_]


class Predictor:
    """A model that is run on texts with every row of a table.

    Args:
        model: the model.
        path: the name of the table's weight in it.
        table: the table in which words are looked up that the vocabulary lacks.
        vocab: the vocabulary, whose rows the model has.
        fallback: the steps of the fallback chain, for words that neither has.
        max_length: the number of tokens to which texts are truncated.
        only_looks_up: whether all that the model does with an id is to look up its row, and to
            compare it with that of padding.
        lexical: the lexical part of the run.
        pairs: whether each two texts that follow each other are a pair.
        per_word: whether each word has a prediction.
    """

    def __init__(
        self,
        model: nn.Module,
        path: str,
        table: EmbeddingTable,
        vocab: Vocabulary,
        fallback: Sequence[str],
        max_length: int | None,
        only_looks_up: bool,
        lexical: LexicalPart | None = None,
        pairs: bool = False,
        per_word: bool = False,
    ) -> None:
        self._model, self._path, self._table, self._vocab = model, path, table, vocab
        self._fallback, self._max_length = fallback, max_length
        self._only_looks_up, self._lexical, self._pairs = only_looks_up, lexical, pairs
        self._per_word = per_word
        self._copy: _Copy | None = None
        with lock_of(model):
            self._work = head_work(model, weight_of(model, path), 1, 1)

    def __call__(self, texts: Sequence[object]) -> tuple[torch.Tensor, torch.Tensor, Numbers]:
        """Return the logits of texts, or of lists of words.

        Returns:
            The logits `(units, C)`; the number of tokens of each text, int64 `(texts,)`, at most
            `max_length`, or of words where these are tagged; and how many of these neither the
            vocabulary nor the table has, int64 `(texts,)`.
        """
        vectors, lexical, lengths, unknown = self.evidence(texts)
        if self._lexical is None or lexical is None:
            return vectors, lengths, unknown
        return self._lexical.weighted(vectors, lexical), lengths, unknown

    def evidence(
        self, texts: Sequence[object]
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, Numbers]:
        """Return what a call returns, with the logits of both parts instead of their sum.

        Returns:
            The logits of the head; those of the lexical part, None without it; and the two counts.
        """
        tokenizer = self._vocab.tokenizer
        if self._per_word and isinstance(tokenizer, PipelineTokenizer):
            texts = [words_in(one, tokenizer) for one in texts]
        found = tokenize_texts(texts, tokenizer)  # type: ignore[arg-type]
        known = self._look_up(found.tokens)
        numbers, lengths = found.numbers.astype(np.int64), found.lengths.astype(np.int64)
        starts = lengths.cumsum() - lengths
        if self._max_length is not None:
            lengths = np.minimum(lengths, self._max_length)
        unknown = _counts(known.unknown[numbers], starts, lengths)
        given = data = EncodedTexts(*map(torch.from_numpy, (numbers, starts, lengths)))
        packed = getattr(self._model, "packed", False)
        positions = min(len(texts), BATCH) if packed else min(int(lengths.sum()), TOKENS)
        lexical: list[torch.Tensor] = []

        def add_lexical() -> None:
            if self._lexical is None:
                return
            classifier = self._lexical.classifier
            if classifier.vocab is None:
                counted = lexical_texts(given, found, known.ids)
            else:
                counted = texts_of_words(texts, classifier.vocab, self._max_length)  # type: ignore[arg-type]
            lexical.append(classifier(counted))

        is_few = len(numbers) < MANY
        with worthwhile_threads(self._work * positions):
            with contextlib.nullcontext() if is_few else alongside(add_lexical):
                logits = self._at_once(given, known) if is_few else None
                if logits is None:
                    logits, data, unknown = self._forward(found, known, given, unknown)
            if is_few:
                add_lexical()
        return logits, lexical[0] if lexical else None, data.lengths, unknown

    def _at_once(self, data: EncodedTexts, known: _Known) -> torch.Tensor | None:
        """Return the logits of a few texts by the head's `from_rows`, in a fraction of the time.

        None if the head has no such method, or if a call of the head might give something else. No
        lock is held meanwhile: the method does not use the head's table.

        Args:
            data: the texts, whose ids number the tokens.
            known: these tokens.
        """
        model: Any = self._model
        if not self._only_looks_up or self._pairs or not hasattr(model, "from_rows"):
            return None
        weight = weight_of(model, self._path).detach()
        if not _is_unchanged(model) or weight.dtype != torch.float32 or not weight.is_cpu:
            return None
        ids, lengths = data.ids, data.lengths
        if not 0 < ids.shape[0] == lengths.numpy().sum() or (known.ids == PAD_ID).any():
            return None
        rows = weight.numpy()[known.ids]
        rows[known.only_in_table] = known.rows
        with torch.no_grad():
            logits: torch.Tensor = model.from_rows(torch.from_numpy(rows), ids, lengths)
            return logits.float()

    def _forward(
        self, found: TokenizedTexts, known: _Known, data: EncodedTexts, unknown: Numbers
    ) -> tuple[torch.Tensor, EncodedTexts, Numbers]:
        """Return the logits of the head, the texts, and how many tokens of each are unknown.

        Args:
            found: the texts.
            known: their distinct tokens.
            data: the texts, whose ids number these tokens.
            unknown: how many tokens of each text are unknown.
        """
        with lock_of(self._model):
            weight = weight_of(self._model, self._path).detach()
            if self._only_looks_up:
                weight, ids = _small(weight, known, PAD_ID)
            elif len(known.only_in_table):
                ids = known.ids.copy()
                ids[known.only_in_table] = len(weight) + np.arange(len(known.only_in_table))
                self._copy = self._copy or _Copy()
                weight = self._copy.extended(weight, known)
            else:
                ids = known.ids
            data = replace(data, ids=torch.from_numpy(ids[data.ids.numpy()]))
            if self._pairs:
                data, unknown = data.paired(), unknown.reshape(-1, 2).sum(axis=1)
            logits = forward_all(self._model, self._path, weight, data)
        if self._per_word and found.first is not None:
            return _first_pieces(logits, data, known.unknown[found.numbers], found)
        return logits, data, unknown

    def _look_up(self, tokens: Sequence[str]) -> _Known:
        vocab = self._vocab
        get = vocab.key_to_index.get
        ids = np.fromiter(map(get, tokens, repeat(-1)), np.int64, len(tokens))
        unknown = ids == UNK_ID
        (missing,) = (ids < 0).nonzero()
        if not len(missing):
            return _Known(ids, missing, np.zeros((0, self._table.vector_size), np.float32), unknown)
        words = [tokens[at] for at in missing.tolist()]
        rows = look_up_both(words, self._table, vocab, self._fallback)
        unknown[missing] = rows < 0
        (only,) = (rows >= len(vocab)).nonzero()
        only_in_table, rows_in_table = missing[only], rows[only] - len(vocab)
        ids[missing] = rows
        ids[only_in_table] = -1
        ids[ids < 0] = UNK_ID
        vectors = self._table.rows(rows_in_table)
        check_finite(vectors, [words[at] for at in only.tolist()], rows_in_table)
        return _Known(ids, only_in_table, vectors, unknown)


def _is_unchanged(model: Any) -> bool:
    """Return whether a head of ours has the output, hooks and `forward` that it was made with."""
    modules = [model, *(one for one in model._modules.values() if one is not None)]
    return (
        is_plain(model.embedding)
        and type(model.output) is nn.Linear
        and not any(
            one._forward_hooks or one._forward_pre_hooks or "forward" in one.__dict__
            for one in modules
        )
    )


def _first_pieces(
    logits: torch.Tensor, data: EncodedTexts, unknown: npt.NDArray[np.bool_], found: TokenizedTexts
) -> tuple[torch.Tensor, EncodedTexts, Numbers]:
    """Return what is of words, by their first pieces, instead of pieces.

    Args:
        logits: those of all pieces, `(N, C)`.
        data: the encoded texts.
        unknown: which of all pieces are not known.
        found: the texts.
    """
    at = data.positions(torch.arange(len(data)))
    assert found.first is not None
    first = found.first[at]
    starts = data.lengths.numpy().cumsum() - data.lengths.numpy()
    words = _counts(first, starts, data.lengths.numpy())
    unknown_words = _counts(first & unknown[at], starts, data.lengths.numpy())
    data = replace(data, lengths=torch.from_numpy(words))
    return logits[torch.from_numpy(first)], data, unknown_words


def _small(weight: torch.Tensor, known: _Known, padding: int) -> tuple[torch.Tensor, Numbers]:
    """Return the rows of tokens alone, and the number of the row of each token.

    Padding keeps its number; so does a token that has the id of padding.

    Args:
        weight: `(V, D)`, the rows of the vocabulary.
        known: the `T` tokens.
        padding: the id of padding.
    """
    first = padding + 1
    used = np.full(first + len(known.ids), padding)
    used[first:] = known.ids
    rows = weight.index_select(0, torch.from_numpy(used).to(weight.device))
    if len(known.only_in_table):
        at = torch.from_numpy(known.only_in_table + first).to(weight.device)
        rows.index_copy_(0, at, torch.from_numpy(known.rows).to(weight))
    numbers = np.arange(first, len(used))
    numbers[known.ids == padding] = padding
    return rows, numbers


class _Copy:
    """A copy of a weight `(V, D)`, with room for more rows."""

    def __init__(self) -> None:
        self._rows = torch.zeros(0, 0)
        self._of: tuple[int, int] | None = None  # the weight that was copied, and its version

    def extended(self, weight: torch.Tensor, known: _Known) -> torch.Tensor:
        """Return the rows of a weight, then those of the tokens that only the table has.

        All rows are copied if torch counted a write to the weight; those of these tokens always
        are.
        """
        size, more = len(weight), len(known.only_in_table)
        version = (weight.data_ptr(), weight._version)
        room = len(self._rows) - size
        if version != self._of or self._rows.device != weight.device or room < more:
            self._rows = weight.new_empty(size + max(64, 2 * more), weight.shape[1])
            self._rows[:size] = weight
            self._of = version
        used = torch.from_numpy(known.ids).to(weight.device)
        self._rows[used] = weight[used]
        self._rows[size : size + more] = torch.from_numpy(known.rows).to(weight)
        return self._rows[: size + more]


def _counts(which: npt.NDArray[np.bool_], starts: Numbers, lengths: Numbers) -> Numbers:
    """Return how many tokens of each text are among those marked, bool `(N,)`."""
    before = np.zeros(len(which) + 1, np.int64)
    which.cumsum(out=before[1:])
    counts: Numbers = before[starts + lengths] - before[starts]
    return counts
