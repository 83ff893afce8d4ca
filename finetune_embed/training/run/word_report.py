"""What became of one word in a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...evaluation import Drift, Mover
from ...table import EmbeddingTable, PipelineTokenizer
from ...vocabulary import EXACT, Vocabulary, look_up, tokenize_texts, without_subwords
from .summary import MISSING, SPECIAL

__all__ = ["WordReport", "report_of_word"]

#: What the column `found` of `words.parquet` means; any other value is a fallback step.
FOUND = {
    EXACT: "in the vectors",
    MISSING: "not in the vectors, a new row",
    SPECIAL: "a special token",
}


@dataclass(frozen=True)
class WordReport:
    """What became of one word. Prints as two or three lines.

    Attributes:
        word: the word.
        found: where its vector came from: the vectors, a new row, or nowhere.
        count: its number of occurrences in the training texts.
        movement: the distance it moved, relative to the norm of its initial vector; None without
            one.
        cosine: the cosine of its initial and its tuned vector; None without one.
        neighbours: the nearest words in the tuned table.
        mover: its neighbours before and after, if the base table is known.
    """

    word: str
    found: str
    count: int
    movement: float | None
    cosine: float | None
    neighbours: tuple[tuple[str, float], ...]
    mover: Mover | None

    def __str__(self) -> str:
        text = f"{self.word}: {self.found}, {self.count:,} times in the training texts"
        if self.mover is not None:
            return f"{text}\n{self.mover}"
        if self.movement is not None:
            text += f", moved {self.movement:.1%}, cosine to its start {self.cosine:.3f}"
        if self.neighbours:
            text += "\n  nearest: " + ", ".join(word for word, _ in self.neighbours)
        return text


def report_of_word(
    word: str,
    topn: int,
    table: EmbeddingTable,
    vocab: Vocabulary,
    words: Mapping[str, Sequence[Any]],
    fallback: Sequence[str],
    drift: Drift | None,
) -> WordReport:
    """Return what became of a word in a run.

    Args:
        word: the word, which is written as the tokenizer writes it.
        topn: the number of its neighbours.
        table: the tuned table.
        vocab: the vocabulary of the run.
        words: what became of its words, as columns.
        fallback: the steps by which words are looked up.
        drift: what moved, if that is known.
    """
    tokenizer, known = vocab.tokenizer, words["word"]
    if isinstance(tokenizer, PipelineTokenizer):
        word = tokenizer.piece_of(word)
    else:
        tokens = tokenizer.tokenize(word)
        (word,) = tokens if len(tokens) == 1 else tokenize_texts([[word]], tokenizer).tokens
    if word in vocab and word in known:
        at = known.index(word)
        step = str(words["found"][at])
        return WordReport(
            word,
            FOUND.get(step) or f"in the vectors by {step}, a new row",
            int(words["count"][at]),
            words["movement"][at],
            words["cosine"][at],
            tuple(table.most_similar(word, topn=topn)),
            _mover(drift, word, topn),
        )
    how = look_up(table, [word], without_subwords(fallback))  # training did not see it
    if how.rows[0] < 0:
        return WordReport(word, "unknown", 0, None, None, (), None)
    form, step = table.index_to_key[how.rows[0]], how.step_of_each_word("")[0]
    found = FOUND.get(step) or f"in the vectors as {form!r} ({step})"
    row = known.index(form) if form in known else None
    return WordReport(
        word,
        f"{found}, never seen in training",
        0,
        0.0 if row is None else words["movement"][row],
        1.0 if row is None else words["cosine"][row],
        tuple(table.most_similar(form, topn=topn)),
        _mover(drift, form, topn),
    )


def _mover(drift: Drift | None, word: str, topn: int) -> Mover | None:
    return None if drift is None or word not in drift.base else drift.word(word, topn)
