"""Entities that tags mark, and their F1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import optional_packages

__all__ = ["SCHEMES", "entity_f1", "entity_outcomes", "list_loader", "scheme_of"]

#: The tags of each scheme; the first that has all tags of a task is the one they are read by.
SCHEMES = {
    "BIO": re.compile(r"O|[BI]-.+"),
    "BIOES": re.compile(r"O|[BIES]-.+"),
    "BILOU": re.compile(r"O|[BILU]-.+"),
}
#: The tags that begin an entity whatever is before them, and those after which none is open.
STARTS, ENDS = "BSU", "ESLU"


def scheme_of(tags: Iterable[str]) -> str:
    """Return the name of the scheme by which tags mark entities; empty if they do not.

    `BIO` stands for IOB1 and for tags without `B-` too, which are read in the same way.
    """
    given = set(tags)
    if given <= {"O"}:
        return ""
    names = (name for name, scheme in SCHEMES.items() if all(map(scheme.fullmatch, given)))
    return next(names, "")


def entity_f1(true: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> float:
    """Return the micro-averaged F1 of entities; one is right if its words and type are.

    Entities are read from tags as `conlleval` of CoNLL-2000 does: a tag within or at the end of an
    entity begins one where none of its type is open, so that IOB1 and IOB2 give the same. Tags of
    BIOES are read as seqeval reads them in its default mode, those of BILOU as those of BIOES that
    they stand for. 0 without any.
    """
    above, below = entity_outcomes(true, found).sum(axis=0).tolist()
    return above / below if below else 0.0


def entity_outcomes(
    true: Sequence[Sequence[str]], found: Sequence[Sequence[str]]
) -> npt.NDArray[np.float64]:
    """Return for each text twice its correct entities, and the number of true and found ones."""
    outcomes = np.zeros((len(true), 2))
    both = zip(
        *(list_loader().load(list(map(as_bio, side))) for side in (true, found)), strict=True
    )
    for outcome, entities in zip(outcomes, both, strict=True):
        a, b = ({(one.label, one.start, one.end) for one in text} for text in entities)
        outcome[:] = 2 * len(a & b), len(a) + len(b)
    return outcomes


def as_bio(tags: Sequence[str]) -> list[str]:
    """Return the tags of a text as those of BIO that mark the same entities."""
    ended = [False, *(tag[0] in ENDS for tag in tags)]
    return [
        tag if tag == "O" else ("B" if tag[0] in STARTS or after_end else "I") + tag[1:]
        for tag, after_end in zip(tags, ended, strict=False)
    ]


def list_loader() -> Any:
    """Return nervaluate's reader of entities.

    Raises:
        MissingPackageError: nervaluate is not installed.
    """
    with optional_packages("nervaluate", extra="tagging"):
        from nervaluate.loaders import ListLoader
    return ListLoader()
