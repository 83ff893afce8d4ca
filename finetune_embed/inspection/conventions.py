"""How the texts were cut that the vectors were trained on, and whether the rows are in order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .scan import Scan

__all__ = ["SPECIALS", "Order", "conventions_of", "order_of", "specials_of"]

#: Special tokens of the well-known tables and models.
_SPECIALS = """
    <unk> <UNK> [UNK] UNK *UNKNOWN* <pad> <PAD> [PAD] *PADDING* <s> </s> <bos> <eos> [CLS] [SEP]
    [MASK] <mask> <user> <url> <number> <num> <hashtag> <repeat> <elong> <allcaps>
"""
SPECIALS = frozenset(_SPECIALS.split())
_DIGITS = re.compile(r"\d\d")
_HASHES = re.compile(r"##")
_OTHER_DIGIT = re.compile(r"[1-9]")
_PHRASE = re.compile(r"\w_\w")
_PIECE = re.compile(r"##\w")
_TAGGED = re.compile(r"[_|](?:NOUN|PROPN|VERB|ADJ|ADV|NN\w?|VB\w?|JJ\w?)$")
_PIECE_MARKS = {"\u2581": "SentencePiece", "\u0120": "byte-level BPE"}
MOST = 0.5
SOME = 0.01

#: The most frequent words of some languages.
FUNCTION_WORDS = {
    "English": "the of and to in a is that for on with as was it by",
    "German": "der die und in den von zu das mit sich des auf ist im dem",
    "French": "de la le et les des en du un une est que pour dans qui",
    "Spanish": "de la que el en y los del se las por un con una su",
    "Italian": "di che la il un per non una in con del della le si da",
    "Portuguese": "de que do da em um para com uma os no se na por mais",
    "Dutch": "de van het een en in is dat op te met voor zijn niet aan",
}
MINFUNCTION_WORDS = 5
MIN_ROWS = 1_000  # fewer tell nothing about their order
FRONT, BACK = 0.01, 0.1  # of the rows
ALPHABETICAL = 0.9  # of neighbouring rows
SAMPLE = 100_000


def conventions_of(scan: Scan, words: set[str], tokenizer: str) -> tuple[str, ...]:
    """Return what the words tell of the convention they were cut by, each in one clause."""
    sample = scan.words[:SAMPLE]

    def share(test: Callable[[str], object]) -> float:
        return sum(1 for word in sample if test(word)) / max(1, len(sample))

    told = ["lower-cased" if tokenizer == "glove" else "case is kept"]
    clitics = [word for word in ("n't", "'s", "'re") if word in words]
    if clitics:
        told.append(f"{' '.join(clitics)} are words, as in the Penn Treebank")
    elif whole := [word for word in ("don't", "it's", "can't") if word in words]:
        told.append(f"contractions are whole ({' '.join(whole)})")
    if "``" in words and "''" in words:
        told.append("quotes are `` and ''")
    if brackets := [word for word in ("-lrb-", "-LRB-", "-rrb-", "-RRB-") if word in words]:
        told.append(f"brackets are {' '.join(brackets)}")
    told += _digits(scan, words)
    if share(_PIECE.match) > SOME:
        told.append("word pieces that begin with ## (BERT)")
    for mark, name in _PIECE_MARKS.items():
        if share(partial(_starts_with, mark)) > 10 * SOME:
            told.append(f"pieces, where {mark!a} begins a word ({name})")
    if share(lambda word: word.startswith("/c/")) > MOST:
        told.append("words are ConceptNet paths such as /c/en/word")
    if share(_TAGGED.search) > MOST:
        told.append("words carry a part of speech, such as word_NOUN")
    elif share(lambda word: "_" in word and _PHRASE.search(word)) > SOME:
        told.append("phrases are joined by _")
    finite = scan.finite
    if len(finite) and np.quantile(np.abs(finite - 1), 0.99) < 1e-3:
        told.append("rows are of length 1")
    return tuple(told)


def _starts_with(mark: str, word: str) -> bool:
    return word.startswith(mark)


def _digits(scan: Scan, words: set[str]) -> list[str]:
    """Tell whether digits were replaced."""
    hashes = sum(1 for word in scan.words if "#" in word and _HASHES.search(word))
    if "##" in words and not any(_PIECE.match(word) for word in scan.words):
        numbers = sum(1 for word in scan.words if _DIGITS.search(word))
        if hashes > 10 * numbers:
            return ["digits are #"]
    if {"00", "0000"} & words and not any(map(_OTHER_DIGIT.search, scan.words)):
        return ["digits are 0"]
    return []


def specials_of(scan: Scan) -> dict[str, int]:
    """Return special tokens that are among the words, with the line or row of each."""
    return {word: int(scan.places[row]) for row, word in enumerate(scan.words) if word in SPECIALS}


@dataclass(frozen=True)
class Order:
    """Whether the rows are sorted by frequency, as judged by what frequent words there are.

    No counts are in a file of vectors. It is `yes` if the median row of a language's function words
    is among the first hundredth of the rows, `no` if it is behind the first tenth or nine in ten
    neighbours are in alphabetical order, and `unknown` otherwise, also for tables of less than
    1,000 rows.

    Attributes:
        sorted_by_frequency: `yes`, `no` or `unknown`.
        because: what that rests on.
        length_correlation: Spearman's rank correlation of the row's number with the number of
            characters of its word; frequent words are short, so it is above 0 as a rule.
        norm_correlation: the same with the length of the row.
    """

    sorted_by_frequency: str
    because: str
    length_correlation: float | None
    norm_correlation: float | None


def order_of(scan: Scan) -> Order:
    """Judge whether rows are sorted by frequency."""
    words = scan.words
    total = len(words)
    if total < MIN_ROWS:
        return Order("unknown", f"{total:,} rows are too few to tell", None, None)
    characters = np.fromiter(map(len, words[:SAMPLE]), np.int64)
    finite = np.isfinite(scan.lengths[:SAMPLE])
    correlations = (_correlation(characters), _correlation(scan.lengths[:SAMPLE][finite]))
    ordered = sum(a <= b for a, b in pairwise(words[:SAMPLE])) / (len(characters) - 1)
    if ordered > ALPHABETICAL:
        because = f"{ordered:.0%} of neighbouring rows are in alphabetical order"
        return Order("no", because, *correlations)
    language, rows = _function_words(words)
    if not rows:
        return Order("unknown", "it has no function words that are known here", *correlations)
    median = int(np.median(rows))
    because = (
        f"{len(rows)} {language} function words, half of them in the first {median + 1:,} rows"
    )
    verdict = "yes" if median <= FRONT * total else "no" if median > BACK * total else "unknown"
    return Order(verdict, because, *correlations)


def _function_words(words: list[str]) -> tuple[str, list[int]]:
    """Return the language whose function words stand first, and their rows."""
    wanted = {word for line in FUNCTION_WORDS.values() for word in line.split()}
    row_of: dict[str, int] = {}
    for row, word in enumerate(words):
        if word in wanted:
            row_of.setdefault(word, row)
    found = {
        language: [row_of[word] for word in line.split() if word in row_of]
        for language, line in FUNCTION_WORDS.items()
    }
    enough = [name for name in found if len(found[name]) >= MINFUNCTION_WORDS]
    language = min(enough, key=lambda name: float(np.median(found[name])), default="")
    return language, found.get(language, [])


def _correlation(values: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> float | None:
    """Return Spearman's rank correlation of values with their positions; None if all are equal."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return None
    ends = np.cumsum(sizes)
    ranks = (ends - (sizes - 1) / 2)[group]
    return float(np.corrcoef(np.arange(len(values)), ranks)[0, 1])
