"""Special tokens: strings that stay one token in a text, and where their rows start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from ..errors import Either, Option, VocabularyError
from ..table import EmbeddingTable, Vectors
from .initial_vectors import look_up_vectors
from .start_values import (
    Argument,
    Seed,
    StartValue,
    check_start,
    fault_of,
    start_vectors,
)
from .tokenizer import well_formed

__all__ = ["PAD", "PAD_ID", "UNK", "UNK_ID", "Special", "as_specials", "special_vector"]

PAD, UNK = "<pad>", "<unk>"
PAD_ID, UNK_ID = 0, 1


@dataclass(frozen=True, eq=False)
class Special:
    """A special token, such as `<mask>` or `<unk>`.

    Attributes:
        token: the token. In a text it always stays one token, whatever surrounds it.
        start: where its row starts: a vector `(D,)`; or `zeros`, `mean`, `normal`, `subwords` or a
            function of the token, as for words that a table lacks. None means the table's own row
            of that name, zeros if there is none.
        trainable: whether its row moves. If not, its gradient is always zero, so only weight decay
            on the table could move it, and `strategy.param_groups` sets none. Build the groups
            after copying a model: a copied weight has no hooks, and `param_groups` puts them back.

    Raises:
        VocabularyError: the token is blank, not well-formed or `<pad>`, or `start` is not a start
            value.

    Example:
        >>> mask = fe.Special("<mask>", start="mean", trainable=False)
        >>> vocab = fe.Vocabulary.from_texts(["a <mask> film"], specials=[mask])
        >>> vocab.words_of(["a<mask>Film"])
        [['a', '<mask>', 'film']]
    """

    token: str
    start: StartValue | npt.ArrayLike | None = None
    trainable: bool = True

    def __post_init__(self) -> None:
        token = self.token
        if not isinstance(token, str) or not token.strip() or well_formed(token) != token:
            raise VocabularyError(
                f"{token!r} cannot be a special token",
                value=token,
                remedy=(
                    "choose a string that is not blank and has no lone surrogate, such as ",
                    Either("Special('<mask>')", Option("specials", "<mask>")),
                ),
            )
        if token == PAD:
            raise VocabularyError(
                f"{PAD!r} cannot be a special token, because its row is always zero",
                value=token,
                remedy="choose another token",
            )
        if isinstance(self.start, str) or callable(self.start):
            check_start(self.start, self._argument)

    @property
    def _argument(self) -> Argument:
        return Argument("start", f"Special({self.token!r})")


def as_specials(specials: Sequence[Special | str]) -> tuple[Special, ...]:
    """Return special tokens, given as `Special` or as strings, as `Special` objects.

    Raises:
        VocabularyError: a token is given twice, or cannot be a special token.
    """
    if isinstance(specials, (str, Special)):
        raise VocabularyError(
            "is one special token, not a list of them",
            option="specials",
            value=specials,
            remedy=("pass ", Option("specials", [specials])),
        )
    found = tuple(one if isinstance(one, Special) else Special(one) for one in specials)
    tokens = [one.token for one in found]
    for token in tokens:
        if tokens.count(token) > 1:
            raise VocabularyError(
                f"the special token {token!r} is given twice",
                value=token,
                remedy="keep one of them",
            )
    return found


def special_vector(table: EmbeddingTable, special: Special, seed: Seed) -> Vectors:
    """Return the start vector `(D,)` of a special token.

    Raises:
        VocabularyError: its vector is of another shape or not finite, or see `start_vectors`.
    """
    start, argument = special.start, special._argument
    vector: Vectors
    if start is None:
        vector = look_up_vectors(table, [special.token], "zeros")[0][0]
    elif isinstance(start, str) or callable(start):
        named = cast("StartValue", start)  # `__post_init__` has checked that a string is a name
        vector = start_vectors(table, [special.token], named, seed, argument)[0]
    else:
        vector = np.asarray(start, np.float32)
        if fault := fault_of(vector, table.vector_size):
            raise VocabularyError(
                (Option("start"), f" is a vector that {fault}"),
                where=argument.where,
                value=vector,
                remedy=f"pass {table.vector_size:,} finite numbers",
            )
    return vector
