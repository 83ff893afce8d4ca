"""Analogies: which word is to c as b is to a."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError, VocabularyError
from ..table import EmbeddingTable, Rows, top_rows, unit
from .intervals import Figure, Interval, Scored, of_share
from .word_lists import Place, read_lines, rows_of_words, rows_without_case

__all__ = ["Analogies", "Section", "evaluate_analogies", "read_analogies"]

Question = tuple[str, str, str, str]
BATCH = 4_096  # questions that are compared with the table together
TOPN = 5  # answers that are looked at, because words of the question don't count as one


@dataclass(frozen=True)
class Section:
    """The analogies of one section of a file.

    Attributes:
        name: the name of the section.
        accuracy: the share of the questions that count whose answer is right; nan without any.
        interval: its 95 % interval over other questions (Wilson 1927), which takes them to be
            independent, though many share words.
        correct: the number of questions whose answer is right.
        found: the number of questions that count.
        questions: the number of all questions.
    """

    name: str
    accuracy: float
    interval: Interval
    correct: int
    found: int
    questions: int

    @classmethod
    def of(cls, name: str, correct: int, found: int, questions: int) -> Section:
        """Return a section with its accuracy."""
        accuracy = correct / found if found else float("nan")
        return cls(name, accuracy, of_share(accuracy, found), correct, found, questions)


@dataclass(frozen=True)
class Analogies(Scored):
    """How many analogies a table solves.

    Attributes:
        total: all questions together.
        sections: the questions of each section.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> questions = {"family": [("man", "king", "woman", "queen")]}
        >>> found = fe.evaluate_analogies(table, questions)
        >>> [section.name for section in found.sections]
        ['family']
    """

    total: Section
    sections: tuple[Section, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that are printed."""
        return (Figure("accuracy", self.total.accuracy, self.total.interval),)

    @property
    def coverage(self) -> str:
        """How much of the test set they are of."""
        return f"{self.total.found:,} of {self.total.questions:,} analogies"


def read_analogies(path: Place) -> dict[str, list[Question]]:
    """Read analogies in the format of Google's `questions-words.txt` (Mikolov et al. 2013).

    Args:
        path: a text file in UTF-8: lines of four words, `a b c answer`, and before each section
            a line `: name`. Questions before the first are in a section without a name.

    Raises:
        DataError: the file can't be read, or a line is not four words.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("family.txt").write_text("man king woman queen")
        >>> fe.read_analogies("family.txt")
        {'': [('man', 'king', 'woman', 'queen')]}
    """
    sections: dict[str, list[Question]] = {}
    name = ""
    for number, line in enumerate(read_lines(path, "analogies"), 1):
        if line.startswith(":"):
            name = line.lstrip(": ").strip()
            sections.setdefault(name, [])
        elif words := line.split():
            if len(words) != 4:
                raise DataError(
                    f"{line[:80]!r} is not an analogy",
                    where=f"{path}:{number}",
                    value=line,
                    remedy="write four words: Athens Greece Berlin Germany",
                )
            sections.setdefault(name, []).append((words[0], words[1], words[2], words[3]))
    if not any(sections.values()):
        raise DataError("the file has no analogies", where=path)
    return sections


def evaluate_analogies(
    table: EmbeddingTable,
    analogies: dict[str, list[Question]] | Place,
    *,
    restrict_vocab: int | None = 300_000,
    case_insensitive: bool = True,
    dummy4unknown: bool = False,
) -> Analogies:
    """Count the analogies `a : b = c : d` whose `d` is nearest to `b - a + c` by cosine.

    The answers are those of gensim's `KeyedVectors.evaluate_word_analogies`.

    Args:
        table: the table.
        analogies: questions by section, or a file of them; see `read_analogies`.
        restrict_vocab: the number of rows that count, from the first; None for all.
        case_insensitive: whether case does not matter; of words that differ in case alone the
            first row counts.
        dummy4unknown: whether a question with a word that the table lacks counts as not solved;
            it does not count otherwise.

    Raises:
        DataError: the file can't be read, or has no analogies.
        VocabularyError: `restrict_vocab` is below 1.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> questions = {"family": [("man", "king", "woman", "queen")]}
        >>> found = fe.evaluate_analogies(table, questions)
        >>> found.total.accuracy
        1.0
    """
    if restrict_vocab is not None and restrict_vocab < 1:
        raise VocabularyError("must be 1 or more", option="restrict_vocab", value=restrict_vocab)
    sections = analogies if isinstance(analogies, dict) else read_analogies(analogies)
    questions = [question for section in sections.values() for question in section]
    if not questions:
        raise DataError("there are no analogies")
    words = [word for question in questions for word in question]
    rows = rows_of_words(table, words, restrict_vocab, case_insensitive).reshape(-1, 4)
    known = np.asarray((rows >= 0).all(axis=1))
    solved = np.zeros(len(questions), bool)
    answers = _answers(table, rows[known, :3], restrict_vocab, case_insensitive)
    solved[known] = answers == rows[known, 3]
    counts, first = [], 0
    for section in sections.values():
        part = slice(first, first := first + len(section))
        found = len(section) if dummy4unknown else int(known[part].sum())
        counts.append((int(solved[part].sum()), found, len(section)))
    total = Section.of("total", *(sum(column) for column in zip(*counts, strict=True)))
    each = (Section.of(name, *some) for name, some in zip(sections, counts, strict=True))
    return Analogies(total, tuple(each))


def _answers(
    table: EmbeddingTable, rows: Rows, restrict_vocab: int | None, case_insensitive: bool
) -> Rows:
    """Return the row of the answer to each question, int64 `(n,)`.

    Args:
        table: the table.
        rows: `(n, 3)`, the rows of `a`, `b` and `c`.
        restrict_vocab: the number of rows that may be the answer.
        case_insensitive: whether an answer counts as the first row of the word in any case.
    """
    count = min(len(table), len(table) if restrict_vocab is None else restrict_vocab)
    first_row = np.arange(count)
    if case_insensitive:
        known = rows_without_case(table, count)
        first_row = np.array([known[word.upper()] for word in table.words[:count]], np.int64)
    answers = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), BATCH):
        asked = rows[start : start + BATCH]
        a, b, c = (unit(table.rows(side)) for side in asked.T)
        nearest, _ = top_rows(
            table.stored.__getitem__, count, b + c - a, TOPN, [*map(tuple, asked.tolist())]
        )
        nearest = np.where(nearest >= 0, first_row[nearest], -1)
        other = (nearest[:, :, None] != asked[:, None, :]).all(axis=2)
        other[:, -1] = True  # if all are words of the question, the last one is the answer
        answers[start : start + BATCH] = nearest[np.arange(len(asked)), other.argmax(axis=1)]
    return answers
