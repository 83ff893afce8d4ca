"""The fallback chain: under which other form a table may have a word that it lacks as it stands.

A chain is an ordered tuple of the names in `STEPS`, spelled the same in Python, in YAML and, with
commas, on the command line. The word as it stands always comes first. From there on the forms
accumulate: each step adds its form of every form so far, in order, and the first form that the
table has wins and counts under the step that made it. So `("lower", "digits_hash", "digits_zero")`
looks `IPv4` up as `IPv4`, `ipv4`, `IPv#`, `ipv#`, `IPv0`, `ipv0`; the lookup of flair's word
embeddings (Akbik et al. 2019, NAACL demonstrations) asks for some of these.

`lower`
    all lower case.
`capitalize`
    the first letter upper case, the others lower case: `PARIS` and `paris` are `Paris`.
`digits_hash`, `digits_zero`
    every decimal digit, of any script, is `#`, or `0`: `1.50` is `#.##`, or `0.00`.
`strip_punctuation`
    without the punctuation at both ends: Unicode's category P, and the ASCII symbols
    ``$+<=>^`|~``. Punctuation inside stays (`(re-elect)` is `re-elect`), and so do other symbols.
`normalize`
    in Unicode normalization form KC (UAX #15): ligatures, full-width letters, no-break spaces and
    decomposed accents become their plain, composed counterparts.
`subwords`
    a vector composed from parts of the word as it stands, where the table comes from a file that
    has such parts, as a fastText `.bin` does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError
from ..table import Subwords, Vectors

__all__ = [
    "EXACT",
    "STEPS",
    "SUBWORDS",
    "Found",
    "follow",
    "forms_of",
    "steps_of",
    "without_subwords",
]

EXACT, SUBWORDS = "exact", "subwords"
_DIGIT = re.compile(r"\d")
_ASCII_SYMBOLS = frozenset("$+<=>^`|~")


def _strip_punctuation(word: str) -> str:
    start, end = 0, len(word)
    while start < end and _is_punctuation(word[start]):
        start += 1
    while end > start and _is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end]


def _is_punctuation(char: str) -> bool:
    return char in _ASCII_SYMBOLS or unicodedata.category(char)[0] == "P"


_FORMS: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "capitalize": str.capitalize,
    "digits_hash": lambda word: _DIGIT.sub("#", word),
    "digits_zero": lambda word: _DIGIT.sub("0", word),
    "strip_punctuation": _strip_punctuation,
    "normalize": lambda word: unicodedata.normalize("NFKC", word),
}
STEPS = (*_FORMS, SUBWORDS)


@dataclass(frozen=True, eq=False)
class Found:
    """How each of `n` words was found.

    Attributes:
        row: int64 `(n,)`, the row of the form that was found; -1 for a word that was composed or
            not found.
        step: int8 `(n,)`, the step that found a word, a position in `names`; -1 for none.
        names: `exact` and the steps of the chain.
        composed: `(k, D)`, the vectors of the words found by `subwords`, in their order; None where
            the chain has no such step.
    """

    row: npt.NDArray[np.int64]
    step: npt.NDArray[np.int8]
    names: tuple[str, ...]
    composed: Vectors | None = None

    @property
    def any(self) -> npt.NDArray[np.bool_]:
        """Which of the words were found, bool `(n,)`."""
        return self.step >= 0

    def by(self, name: str) -> npt.NDArray[np.bool_]:
        """Return which of the words were found by a step, bool `(n,)`."""
        return self.step == self.names.index(name) if name in self.names else self.step < -1

    def step_names(self, lacking: str) -> list[str]:
        """Return for each word the name of the step that found it, or `lacking`."""
        names = (*self.names, lacking)
        return [names[step] for step in self.step.tolist()]


def steps_of(fallback: Sequence[str]) -> tuple[str, ...]:
    """Return a chain as a tuple of the names of its steps.

    Args:
        fallback: names in the order in which they are tried; a string is split at commas.

    Raises:
        VocabularyError: a step is unknown, or given twice.
    """
    if isinstance(fallback, str):
        fallback = [name.strip() for name in fallback.split(",") if name.strip()]
    steps = tuple(fallback)
    for step in steps:
        if step not in STEPS:
            raise VocabularyError(
                f"no fallback step is called {step!r}; choose from {', '.join(STEPS)}, such as "
                "fallback=('lower', 'digits_zero')"
            )
        if steps.count(step) > 1:
            raise VocabularyError(f"the fallback step {step!r} is given twice; keep one of them")
    return steps


def without_subwords(fallback: Sequence[str]) -> tuple[str, ...]:
    """Return a chain without the step that needs rows of subwords."""
    return tuple(step for step in steps_of(fallback) if step != SUBWORDS)


def forms_of(words: Iterable[str], fallback: Sequence[str]) -> list[str]:
    """Return all forms under which a chain may look words up, the words themselves first.

    These are the `keys=` to load where a chain is to be followed afterwards.
    """
    forms: dict[str, None] = {}

    def rows_of(asked: Sequence[str]) -> npt.NDArray[np.int64]:
        forms.update(dict.fromkeys(asked))
        return np.full(len(asked), -1, np.int64)

    follow(list(words), without_subwords(fallback), rows_of)
    return list(forms)


def follow(
    words: Sequence[str],
    steps: Sequence[str],
    rows_of: Callable[[Sequence[str]], npt.NDArray[np.int64]],
    subwords: Subwords | None = None,
) -> Found:
    """Look words up, and the ones that are lacking under their other forms.

    Args:
        words: `n` words.
        steps: a chain, as `steps_of` returns it.
        rows_of: returns for each form its row, -1 where there is none; asked once a step.
        subwords: what composes vectors; needed where the chain has that step.
    """
    row = rows_of(words)
    step = np.where(row >= 0, 0, -1).astype(np.int8)
    composed = None
    lacking = np.flatnonzero(row < 0).tolist() if steps else []
    pending = {at: [words[at]] for at in lacking}
    for number, name in enumerate(steps, 1):
        if name == SUBWORDS:
            assert subwords is not None
            if not pending:
                continue
            vectors, could = subwords.compose([words[at] for at in pending])
            composed, done = vectors[could], np.fromiter(pending, np.int64, len(pending))[could]
        else:
            done, rows = _found_by(_FORMS[name], pending, rows_of)
            row[done] = rows
        step[done] = number
        for at in done.tolist():
            del pending[at]
    return Found(row, step, (EXACT, *steps), composed)


def _found_by(
    transform: Callable[[str], str],
    pending: dict[int, list[str]],
    rows_of: Callable[[Sequence[str]], npt.NDArray[np.int64]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return which of the pending words a step finds, and their rows; add its forms to the rest."""
    forms: list[str] = []
    owners: list[int] = []
    for at, before in pending.items():
        new = {form: None for form in map(transform, before) if form and form not in before}
        forms += new
        owners += [at] * len(new)
        before += new
    rows, owner = rows_of(forms), np.array(owners, np.int64)
    hit = np.flatnonzero(rows >= 0)
    done, first = np.unique(owner[hit], return_index=True)
    return done, rows[hit[first]]
