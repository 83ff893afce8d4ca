"""How the texts that vectors were trained on were tokenized, judged from the words."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np

from .scan import Scan
from .word_lookup import TAGGED

__all__ = ["SPECIAL_TOKENS", "describe_conventions", "find_special_tokens"]

#: Special tokens of well-known tables and models.
_SPECIAL_TOKENS = """
    <unk> <UNK> [UNK] UNK *UNKNOWN* <pad> <PAD> [PAD] *PADDING* <s> </s> <bos> <eos> [CLS] [SEP]
    [MASK] <mask> <user> <url> <number> <num> <hashtag> <repeat> <elong> <allcaps>
"""
SPECIAL_TOKENS = frozenset(_SPECIAL_TOKENS.split())
_TWO_DIGITS = re.compile(r"\d\d")
_TWO_HASHES = re.compile(r"##")
_DIGIT_BUT_ZERO = re.compile(r"[1-9]")
_PHRASE = re.compile(r"\w_\w")
_WORD_PIECE = re.compile(r"##\w")
_PIECE_MARKS = {"\u2581": "SentencePiece", "\u0120": "byte-level BPE"}
MOST, MANY, SOME = 0.5, 0.1, 0.01  # shares of the words
SAMPLE = 100_000  # words


def describe_conventions(scan: Scan, words: set[str], tokenizer: str) -> tuple[str, ...]:
    """Return the conventions that the words show, one clause each.

    Args:
        scan: the rows.
        words: its words.
        tokenizer: the name of the tokenizer that fits them.
    """
    sample = scan.words[:SAMPLE]

    def share(test: Callable[[str], object]) -> float:
        return sum(1 for word in sample if test(word)) / max(1, len(sample))

    clauses = ["lower-cased" if tokenizer == "glove" else "case is kept"]
    if clitics := [word for word in ("n't", "'s", "'re") if word in words]:
        clauses.append(f"{' '.join(clitics)} are words, as in the Penn Treebank")
    elif contractions := [word for word in ("don't", "it's", "can't") if word in words]:
        clauses.append(f"contractions are one word ({' '.join(contractions)})")
    if "``" in words and "''" in words:
        clauses.append("quotes are `` and ''")
    if brackets := [word for word in ("-lrb-", "-LRB-", "-rrb-", "-RRB-") if word in words]:
        clauses.append(f"brackets are {' '.join(brackets)}")
    clauses += _replaced_digits(scan, words)
    if share(_WORD_PIECE.match) > SOME:
        clauses.append("word pieces that begin with ## (BERT)")
    for mark, name in _PIECE_MARKS.items():
        if share(partial(_starts_with, mark)) > MANY:
            clauses.append(f"pieces, where {mark!a} begins a word ({name})")
    if share(partial(_starts_with, "/c/")) > MOST:
        clauses.append("words are ConceptNet paths such as /c/en/word")
    if share(TAGGED.search) > MOST:
        clauses.append("words carry a part of speech, such as word_NOUN")
    elif share(lambda word: "_" in word and _PHRASE.search(word)) > SOME:
        clauses.append("phrases are joined by _")
    lengths = scan.finite_lengths
    if len(lengths) and np.quantile(np.abs(lengths - 1), 0.99) < 1e-3:
        clauses.append("rows have length 1")
    return tuple(clauses)


def _starts_with(mark: str, word: str) -> bool:
    return word.startswith(mark)


def _replaced_digits(scan: Scan, words: set[str]) -> list[str]:
    """Return what digits were replaced by, as a clause; empty if they were not."""
    if "##" in words and not any(_WORD_PIECE.match(word) for word in scan.words):
        hashes = sum(1 for word in scan.words if "#" in word and _TWO_HASHES.search(word))
        numbers = sum(1 for word in scan.words if _TWO_DIGITS.search(word))
        if hashes > 10 * numbers:
            return ["digits are #"]
    if {"00", "0000"} & words and not any(map(_DIGIT_BUT_ZERO.search, scan.words)):
        return ["digits are 0"]
    return []


def find_special_tokens(scan: Scan) -> dict[str, int]:
    """Return the special tokens among the words, with the line or row of each."""
    return {
        word: int(scan.places[row]) for row, word in enumerate(scan.words) if word in SPECIAL_TOKENS
    }
