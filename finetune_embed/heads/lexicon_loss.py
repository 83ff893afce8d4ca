"""A loss from a lexicon, to add to that of the task."""

from __future__ import annotations

import os

import torch
from torch import nn
from torch.nn import functional

from ..errors import VocabularyError
from ..table import Lexicon, read_lexicon, related_rows
from ..vocabulary import Vocabulary

__all__ = ["LexiconLoss"]


class LexiconLoss(nn.Module):
    """Pulls related words together, and opposites apart, while a table is tuned.

    Add it to the loss of the task: `loss = task_loss + 0.1 * lexicon_loss()`. Every call samples
    pairs with torch's generator, so its cost does not depend on the size of the lexicon, and its
    gradient has the rows of those pairs only. It is the mean over them of

    - `attract`: for related words, `|q_i - q_j|^2` (retrofitting, Faruqui et al. 2015); or, with
      `by="cosine"`, `max(0, d - near)` of their cosine distance `d` (counter-fitting, Mrkšić et al.
      2016, NAACL, synonym attract);
    - `repel`: for opposites, `max(0, far - d)` (counter-fitting, antonym repel).

    Both papers also keep words near where they were; use `L2SP` or `TrustRegion` for that. To fit
    vectors without any task, see `retrofit`.

    Args:
        embedding: the table that is tuned, an `nn.Embedding` `(V, D)`.
        vocab: its vocabulary.
        synonyms: the related words of each word, or a file for `read_lexicon`.
        antonyms: the opposites of each word, likewise.
        by: `distance` or `cosine`, for related words.
        near: below this cosine distance related words are near enough.
        far: above this cosine distance opposites are far enough.
        pairs: the number of pairs of either kind that a call samples.

    Raises:
        VocabularyError: no pair has both words in the vocabulary, or a file can't be read.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> vocab = fe.Vocabulary.from_texts(["a good film", "a bad film"])
        >>> embedding = fe.to_embedding(table, vocab)
        >>> loss = fe.LexiconLoss(embedding, vocab, synonyms={"good": ["bad"]})
        >>> loss().item()  # their squared distance
        2.0
    """

    attract: torch.Tensor
    repel: torch.Tensor

    def __init__(
        self,
        embedding: nn.Embedding,
        vocab: Vocabulary,
        synonyms: Lexicon | str | os.PathLike[str] | None = None,
        antonyms: Lexicon | str | os.PathLike[str] | None = None,
        *,
        by: str = "distance",
        near: float = 0.0,
        far: float = 1.0,
        pairs: int = 256,
    ) -> None:
        super().__init__()
        if by not in ("distance", "cosine"):
            raise VocabularyError("must be 'distance' or 'cosine'", option="by", value=by)
        self._embedding = [embedding]  # in a list, or it would be a submodule of this one
        self.by, self.near, self.far, self.pairs = by, near, far, pairs
        for name, lexicon in (("attract", synonyms), ("repel", antonyms)):
            self.register_buffer(name, _pairs(lexicon, vocab), persistent=False)
        if not len(self.attract) and not len(self.repel):
            raise VocabularyError(
                f"no pair of the lexicon has both words in the vocabulary ({vocab!r})",
                value=vocab,
                remedy="use a lexicon of the same language and case",
            )

    def forward(self) -> torch.Tensor:
        """Return the loss of sampled pairs, a scalar."""
        weight = self._embedding[0].weight
        loss = torch.zeros((), dtype=weight.dtype, device=weight.device)
        if len(self.attract):
            one, other = self._sample(self.attract)
            if self.by == "distance":
                loss = loss + (one - other).square().sum(dim=1).mean()
            else:
                loss = loss + (_distance(one, other) - self.near).clamp(min=0).mean()
        if len(self.repel):
            loss = loss + (self.far - _distance(*self._sample(self.repel))).clamp(min=0).mean()
        return loss

    def _sample(self, pairs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows `(P, D)` of both words of sampled pairs."""
        embedding = self._embedding[0]
        chosen = pairs[torch.randint(len(pairs), (min(self.pairs, len(pairs)),))]
        ids = chosen.to(embedding.weight.device)
        rows = functional.embedding(ids, embedding.weight, sparse=embedding.sparse)
        return rows[:, 0], rows[:, 1]


def _pairs(lexicon: Lexicon | str | os.PathLike[str] | None, vocab: Vocabulary) -> torch.Tensor:
    """Return the ids of related words, int64 `(P, 2)`."""
    if lexicon is None:
        return torch.empty(0, 2, dtype=torch.int64)
    if isinstance(lexicon, (str, os.PathLike)):
        lexicon = read_lexicon(lexicon)
    known = ((word, vocab.key_to_index[word]) for word in vocab.words)
    first, second = related_rows(lexicon, known)
    return torch.stack([torch.from_numpy(first.copy()), torch.from_numpy(second.copy())], dim=1)


def _distance(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return 1 - functional.cosine_similarity(one, other, dim=1)
