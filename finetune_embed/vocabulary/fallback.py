"""The fallback chain: other forms under which to look up a word that a table lacks.

A chain is an ordered tuple of names from `STEPS`, written the same in Python, in YAML and, with
commas, on the command line. The unchanged word is always looked up first. Then the forms
accumulate: each step applies its change to every form so far, in order. The first form that the
table has wins and counts under the step that made it. So `("lower", "digits_hash", "digits_zero")`
looks `IPv4` up as `IPv4`, `ipv4`, `IPv#`, `ipv#`, `IPv0`, `ipv0`; flair's word embeddings (Akbik et
al. 2019, NAACL demonstrations) look up some of these.

`lower`
    all lower case.
`capitalize`
    the first letter upper case, the others lower case: `PARIS` and `paris` become `Paris`.
`digits_hash`, `digits_zero`
    every decimal digit, of any script, becomes `#`, or `0`: `1.50` becomes `#.##`, or `0.00`.
`strip_punctuation`
    without the punctuation at both ends: Unicode's category P, and the ASCII symbols
    ``$+<=>^`|~``. Punctuation inside stays (`(re-elect)` becomes `re-elect`), and so do other
    symbols.
`normalize`
    in Unicode normalization form KC (UAX #15): ligatures, full-width letters, no-break spaces and
    decomposed accents become their plain, composed counterparts.
`subwords`
    a vector composed from parts of the unchanged word, if the table comes from a file that has
    such parts, as a fastText `.bin` does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import Option, VocabularyError
from ..table import Subwords, Vectors

__all__ = [
    "EXACT",
    "STEPS",
    "SUBWORDS",
    "LookupResult",
    "apply_fallback",
    "forms_of",
    "parse_fallback",
    "without_subwords",
]

EXACT, SUBWORDS = "exact", "subwords"
_DIGIT = re.compile(r"\d")
_ASCII_SYMBOLS = frozenset("$+<=>^`|~")

#: Returns the row of each form, -1 for a form that the table lacks.
RowsOf = Callable[[Sequence[str]], npt.NDArray[np.int64]]


def _strip_punctuation(word: str) -> str:
    start, end = 0, len(word)
    while start < end and _is_punctuation(word[start]):
        start += 1
    while end > start and _is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end]


def _is_punctuation(char: str) -> bool:
    return char in _ASCII_SYMBOLS or unicodedata.category(char)[0] == "P"


_CHANGES: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "capitalize": str.capitalize,
    "digits_hash": lambda word: _DIGIT.sub("#", word),
    "digits_zero": lambda word: _DIGIT.sub("0", word),
    "strip_punctuation": _strip_punctuation,
    "normalize": lambda word: unicodedata.normalize("NFKC", word),
}
STEPS = (*_CHANGES, SUBWORDS)


@dataclass(frozen=True, eq=False)
class LookupResult:
    """How each of `n` words was found.

    Attributes:
        rows: int64 `(n,)`, the row of the form that was found; -1 for a word that was composed or
            not found.
        step_numbers: int8 `(n,)`, the step that found a word, as an index into `step_names`; -1 if
            no step did.
        step_names: `exact` and the steps of the chain.
        composed: `(k, D)`, the vectors of the words found by `subwords`, in their order; None if
            the chain does not have that step, or no word was left for it.
    """

    rows: npt.NDArray[np.int64]
    step_numbers: npt.NDArray[np.int8]
    step_names: tuple[str, ...]
    composed: Vectors | None = None

    @property
    def is_found(self) -> npt.NDArray[np.bool_]:
        """Which of the words were found, bool `(n,)`."""
        return self.step_numbers >= 0

    def found_by(self, step: str) -> npt.NDArray[np.bool_]:
        """Return which of the words a step found, bool `(n,)`."""
        if step not in self.step_names:
            return np.zeros(len(self.step_numbers), bool)
        by: npt.NDArray[np.bool_] = self.step_numbers == self.step_names.index(step)
        return by

    def step_of_each_word(self, missing: str) -> list[str]:
        """Return for each word the name of the step that found it, or `missing`."""
        names = (*self.step_names, missing)
        return [names[number] for number in self.step_numbers.tolist()]


def parse_fallback(fallback: Sequence[str]) -> tuple[str, ...]:
    """Return a chain as a tuple of step names.

    Args:
        fallback: the names in order; a string is split at commas.

    Raises:
        VocabularyError: a step is unknown, or given twice.
    """
    if isinstance(fallback, str):
        fallback = [name.strip() for name in fallback.split(",") if name.strip()]
    steps = tuple(fallback)
    for step in steps:
        if step not in STEPS:
            raise VocabularyError(
                f"has the unknown step {step!r}",
                option="fallback",
                value=steps,
                remedy=(
                    f"choose from {', '.join(STEPS)}, such as ",
                    Option("fallback", ("lower", "digits_zero")),
                ),
            )
        if steps.count(step) > 1:
            raise VocabularyError(
                f"has the step {step!r} twice",
                option="fallback",
                value=steps,
                remedy=("remove one: ", Option("fallback", tuple(dict.fromkeys(steps)))),
            )
    return steps


def without_subwords(fallback: Sequence[str]) -> tuple[str, ...]:
    """Return a chain without `subwords`, the step that needs subword vectors."""
    return tuple(step for step in parse_fallback(fallback) if step != SUBWORDS)


def forms_of(words: Iterable[str], fallback: Sequence[str]) -> list[str]:
    """Return all forms under which a chain may look words up, the words themselves first.

    Pass these as `keys=` to a loader to load only the rows that the chain may need.
    """
    forms: dict[str, None] = {}

    def collect(asked: Sequence[str]) -> npt.NDArray[np.int64]:
        forms.update(dict.fromkeys(asked))
        return np.full(len(asked), -1, np.int64)

    apply_fallback(list(words), without_subwords(fallback), collect)
    return list(forms)


def apply_fallback(
    words: Sequence[str],
    steps: Sequence[str],
    rows_of: RowsOf,
    subwords: Subwords | None = None,
) -> LookupResult:
    """Look words up, and those that are missing under their other forms.

    Args:
        words: `n` words.
        steps: a chain, as `parse_fallback` returns it.
        rows_of: returns the row of each form, -1 for a form that is not there; called once per
            step.
        subwords: composes vectors; required if the chain has the step `subwords`.
    """
    rows = rows_of(words)
    step_numbers = np.where(rows >= 0, 0, -1).astype(np.int8)
    composed = None
    missing = np.flatnonzero(rows < 0).tolist() if steps else []
    forms_by_word = {at: [words[at]] for at in missing}
    for number, name in enumerate(steps, 1):
        if name == SUBWORDS:
            assert subwords is not None
            if not forms_by_word:
                continue
            vectors, could = subwords.compose([words[at] for at in forms_by_word])
            pending = np.fromiter(forms_by_word, np.int64, len(forms_by_word))
            composed, found = vectors[could], pending[could]
        else:
            found, found_rows = _take_step(_CHANGES[name], forms_by_word, rows_of)
            rows[found] = found_rows
        step_numbers[found] = number
        for at in found.tolist():
            del forms_by_word[at]
    return LookupResult(rows, step_numbers, (EXACT, *steps), composed)


def _take_step(
    change: Callable[[str], str], forms_by_word: dict[int, list[str]], rows_of: RowsOf
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Look up the forms that a step adds, and append them to the forms of each word.

    Args:
        change: how the step changes a form.
        forms_by_word: the forms so far of each word that is still missing, by its position.
        rows_of: see `apply_fallback`.

    Returns:
        The positions of the words that were found, and their rows.
    """
    new_forms: list[str] = []
    positions: list[int] = []
    for at, forms in forms_by_word.items():
        new = {form: None for form in map(change, forms) if form and form not in forms}
        new_forms += new
        positions += [at] * len(new)
        forms += new
    rows, position = rows_of(new_forms), np.array(positions, np.int64)
    hit = np.flatnonzero(rows >= 0)
    found, first = np.unique(position[hit], return_index=True)
    return found, rows[hit[first]]
