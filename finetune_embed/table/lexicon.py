"""Lexicons: which words are related."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..errors import VocabularyError
from .packed_words import Rows

__all__ = ["Lexicon", "read_lexicon", "related_rows"]

Lexicon = Mapping[str, Sequence[str]]


def read_lexicon(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read a lexicon in the format of Faruqui et al. (2015): a word and its related words per line.

    Args:
        path: a text file in UTF-8, words separated by spaces. Lines of the same word are joined;
            lines with a single word are skipped.

    Raises:
        VocabularyError: the file can't be read, or no line has two words.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("synonyms.txt").write_text("good fine great")
        >>> fe.read_lexicon("synonyms.txt")
        {'good': ['fine', 'great']}
    """
    lexicon: dict[str, list[str]] = {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            for line in file:
                word, *related = line.split() or [""]
                if related:
                    lexicon.setdefault(word, []).extend(related)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VocabularyError(f"the lexicon can't be read: {reason}", where=path) from error
    if not lexicon:
        raise VocabularyError(
            "the lexicon has no line with a word and a related word",
            where=path,
            remedy="write lines such as: good fine excellent",
        )
    return lexicon


def related_rows(lexicon: Lexicon, rows_of: Iterable[tuple[str, int]]) -> tuple[Rows, Rows]:
    """Return the rows of related words as pairs, int64 `(P,)` and `(P,)`.

    Only words with a row count. A pair occurs once for each entry that names it; pairs are sorted
    by the first row, and a word is not related to itself.

    Args:
        lexicon: the related words of each word.
        rows_of: words and their rows.
    """
    known = dict(rows_of)
    found = [
        (known[word], known[other])
        for word, others in lexicon.items()
        if word in known
        for other in dict.fromkeys(others)
        if other in known and other != word
    ]
    pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
