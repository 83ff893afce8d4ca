"""The words of a data set: ids, counts, what a table covers of them, and texts as ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import chain, count, groupby, pairwise, repeat
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError
from ..files import atomic_write
from ..table import EmbeddingTable
from .coverage import Coverage
from .fallback import Found
from .initial_vectors import Special, find
from .tokenization import Text, TokenizedTexts, tokenize_texts
from .tokenizer import GLOVE, Tokenizer

if TYPE_CHECKING:
    import tokenizers
    import torch
    from datasets import Dataset

__all__ = ["PAD", "UNK", "Coverage", "Vocabulary", "specials_of"]

PAD, UNK = "<pad>", "<unk>"


class Vocabulary:
    """Words and their ids. Id 0 is padding, id 1 stands for unknown words.

    Attributes:
        index_to_key: the words in the order of their ids: `<pad>`, `<unk>`, the special tokens, and
            from `first_word` on the words.
        counts: int64 array `(V,)`, how often each word occurs in the data set it was made from.
        tokenizer: how texts are cut into words; it leaves the special tokens whole.
        specials: the special tokens, in the order of their ids; `<unk>` may be among them.
        first_word: the id of the first word that is none of them.
    """

    padding_idx = 0
    unk_idx = 1

    def __init__(
        self,
        counts: Mapping[str, int],
        tokenizer: Tokenizer = GLOVE,
        specials: Sequence[Special | str] = (),
    ) -> None:
        given = specials_of(specials)
        known = {special.token for special in given}
        given += specials_of([token for token in tokenizer.specials if token not in known])
        self.specials, tokens = given, [special.token for special in given]
        first = list(dict.fromkeys((PAD, UNK, *tokens)))
        self.first_word = len(first)
        known = set(first)
        self.index_to_key = first + [word for word in counts if word not in known]
        self.counts = self._counts_of(counts)
        self.tokenizer = replace(tokenizer, specials=tuple(tokens))

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        columns: str | Sequence[str],
        tokenizer: Tokenizer | None = None,
        min_count: int = 1,
        specials: Sequence[Special | str] = (),
    ) -> Vocabulary:
        """Collect the words of one or more columns, the most frequent first.

        Args:
            dataset: one split, usually the training split.
            columns: names of columns that hold texts or lists of words.
            tokenizer: how texts are cut; GloVe's convention when left out.
                `Tokenizer.for_table(table)` gives the one that fits a table.
            min_count: rarer words are left to `<unk>`.
            specials: tokens that stay whole in a text and get the ids after `<unk>`, whether they
                occur or not: `Special(token, start, trainable)`, or just the token. `<unk>` may be
                among them, to say how it starts and whether it trains.

        Raises:
            VocabularyError: several splits were passed, a column is missing, a row has no text,
                no word is found, or a special token is given twice.
        """
        names = [columns] if isinstance(columns, str) else list(columns)
        if isinstance(dataset, Mapping):
            raise VocabularyError(
                f"pass one split, such as dataset[{next(iter(dataset))!r}], not all of them"
            )
        for name in names:
            if name not in dataset.column_names:
                raise VocabularyError(
                    f"no column {name!r} in the data set; there are "
                    f"{', '.join(map(repr, dataset.column_names))}"
                )
        texts = chain.from_iterable(dataset[name][:] for name in names)
        return cls.from_texts(texts, tokenizer, min_count, specials)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[Text],
        tokenizer: Tokenizer | None = None,
        min_count: int = 1,
        specials: Sequence[Special | str] = (),
    ) -> Vocabulary:
        """Collect the words of texts or of lists of words; see `from_dataset`."""
        tokenizer = cls({}, tokenizer or GLOVE, specials).tokenizer
        return cls.from_counts(
            tokenize_texts(texts, tokenizer).counts, tokenizer, min_count, specials
        )

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        tokenizer: Tokenizer,
        min_count: int = 1,
        specials: Sequence[Special | str] = (),
    ) -> Vocabulary:
        """Make a vocabulary of words that were counted; see `from_dataset`.

        Args:
            counts: how often each word occurs, as in `tokenize_texts(texts, tokenizer).counts`.
            tokenizer: by which they were cut; it leaves `specials` whole.
            min_count: rarer words are left to `<unk>`.
            specials: tokens that get the ids after `<unk>`.

        Raises:
            VocabularyError: no word is found, or a special token is given twice.
        """
        whole = set(tokenizer.specials)
        kept = {w: n for w, n in counts.items() if n >= min_count or w in whole}
        total = sum(counts.values())
        if not kept.keys() - whole:
            raise VocabularyError(
                f"no word occurs {min_count:,} times or more among {total:,} running "
                "words; is this the right column, and is min_count low enough?"
            )
        if rare := total - sum(kept.values()):
            kept[UNK] = kept.get(UNK, 0) + rare
        ordered: dict[str, int] = {}
        by_count = sorted(kept.items(), key=itemgetter(1), reverse=True)
        for n, words in groupby(by_count, itemgetter(1)):
            ordered.update(dict.fromkeys(sorted(word for word, _ in words), n))
        return cls(ordered, tokenizer, specials)

    @cached_property
    def key_to_index(self) -> dict[str, int]:
        """The id of each word."""
        return {key: index for index, key in enumerate(self.index_to_key)}

    @property
    def words(self) -> list[str]:
        """The words in the order of their ids, without the special tokens."""
        return self.index_to_key[self.first_word :]

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, key: object) -> bool:
        return key in self.key_to_index

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} words, tokenizer {self.tokenizer.name!r})"

    def extended(self, words: Iterable[str]) -> Vocabulary:
        """Return a vocabulary with further words (count 0) behind the ones of this one."""
        known = self.key_to_index
        further = [word for word in dict.fromkeys(words) if word not in known]
        wider = copy(self)
        wider.index_to_key = self.index_to_key + further
        wider.counts = np.concatenate([self.counts, np.zeros(len(further), np.int64)])
        wider.key_to_index = known | dict(zip(further, count(len(self)), strict=False))
        wider.__dict__.pop("_pipeline", None)
        return wider

    def with_counts(self, counts: Mapping[str, int]) -> Vocabulary:
        """Return the same words with other counts; all other words are counted as `<unk>`."""
        counted = copy(self)
        counted.counts = self._counts_of(counts)
        counted.counts[self.unk_idx] += sum(
            n for word, n in counts.items() if word not in self.key_to_index
        )
        return counted

    def with_specials(self, specials: Sequence[Special | str]) -> Vocabulary:
        """Return the same words with special tokens that start and train as told.

        Args:
            specials: some of the special tokens, or `<unk>`; the others stay as they are.

        Raises:
            VocabularyError: one is no special token of this vocabulary.
        """
        told = {special.token: special for special in specials_of(specials)}
        known = {special.token: special for special in self.specials}
        if lacking := [token for token in told if token not in known and token != UNK]:
            raise VocabularyError(
                f"{lacking[0]!r} is no special token of the vocabulary, which cuts it as any other "
                f"text; make it with them: Vocabulary.from_texts(texts, specials={lacking!r})"
            )
        changed = copy(self)
        changed.specials = tuple((known | told).values())
        return changed

    def _counts_of(self, counts: Mapping[str, int]) -> npt.NDArray[np.int64]:
        known = (counts.get(word, 0) for word in self.index_to_key[1:])
        return np.array([0, *known], np.int64)  # padding has none

    def words_of(self, texts: Iterable[Text]) -> list[list[str]]:
        """Return the words of each text, whether the vocabulary has them or not."""
        found = tokenize_texts(texts, self.tokenizer)
        words = [found.words[number] for number in found.numbers.tolist()]
        bounds = np.cumsum([0, *found.lengths]).tolist()
        return [words[start:end] for start, end in pairwise(bounds)]

    def encode(self, texts: Iterable[Text] | TokenizedTexts) -> tuple[torch.Tensor, torch.Tensor]:
        """Return texts, or lists of words, as ids in the form that `nn.EmbeddingBag` takes.

        Args:
            texts: texts and lists of words, which may be mixed; or both as `cut` gives them with
                the vocabulary's tokenizer.

        Returns:
            `ids`, int64 `(N,)`, the words of all texts one after the other, and `offsets`, int64
            `(len(texts),)`, where each text starts.

        Raises:
            VocabularyError: an item is neither a text nor a list of words.
        """
        found = (
            texts if isinstance(texts, TokenizedTexts) else tokenize_texts(texts, self.tokenizer)
        )
        import torch

        find = self.key_to_index.get
        ids = np.fromiter(map(find, found.words, repeat(self.unk_idx)), np.int64, len(found.words))
        offsets = np.cumsum(found.lengths, dtype=np.int64) - found.lengths
        return torch.from_numpy(ids[found.numbers]), torch.from_numpy(offsets)

    def coverage(self, table: EmbeddingTable, fallback: Sequence[str] = ()) -> Coverage:
        """Return how much of the vocabulary, by word and by running word, a table has.

        Special tokens don't count: they start as they are told to.

        Args:
            table: the table.
            fallback: the steps to take for words that it lacks; see `fallback`.

        Raises:
            VocabularyError: a step is unknown, or is `subwords` and the table can't compose.
        """
        return self.coverage_of(find(table, self.words, fallback))

    def coverage_of(self, how: Found) -> Coverage:
        """Return the coverage of a table in which `words` were looked up."""
        words, counts = self.words, self.counts[self.first_word :]
        found = how.any
        by_step = {
            name: {"types": int(how.by(name).sum()), "tokens": int(counts[how.by(name)].sum())}
            for name in how.names
        }
        lacking = np.flatnonzero(~found)
        lacking = lacking[np.argsort(-counts[lacking], kind="stable")]
        missing = zip([words[at] for at in lacking.tolist()], counts[lacking].tolist(), strict=True)
        return Coverage(
            types=len(words),
            types_found=int(found.sum()),
            tokens=int(counts.sum()),
            tokens_found=int(counts[found].sum()),
            missing=tuple(missing),
            by_step=by_step if len(by_step) > 1 else {},
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the words' ids and the tokenizer as a Hugging Face `tokenizer.json`.

        Special tokens are its added tokens. The format has no place for where they start and
        whether they train.
        """
        with atomic_write(path) as file:
            file.write(self._pipeline.to_str(pretty=True).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read what `save` wrote.

        The counts are not part of it and are 0; special tokens start from the table and train.
        """
        from tokenizers import Tokenizer as Pipeline

        try:
            pipeline = Pipeline.from_file(os.fspath(path))
        except Exception as error:  # the Rust side raises bare Exception
            raise VocabularyError(f"{path} can't be read as a tokenizer: {error}") from error
        ids = pipeline.get_vocab()
        words = sorted(ids, key=ids.__getitem__)
        return cls(dict.fromkeys(words, 0), Tokenizer.of_pipeline(pipeline))

    @cached_property
    def _pipeline(self) -> tokenizers.Tokenizer:
        return self.tokenizer.pipeline(self.key_to_index, UNK)


def specials_of(specials: Sequence[Special | str]) -> tuple[Special, ...]:
    """Return special tokens as value objects, each once.

    Raises:
        VocabularyError: a token is given twice, or can't be one.
    """
    if isinstance(specials, (str, Special)):
        token = specials if isinstance(specials, str) else specials.token
        raise VocabularyError(f"pass a list of special tokens, [{token!r}], not a single one")
    found = tuple(Special(one) if isinstance(one, str) else one for one in specials)
    tokens = [one.token for one in found]
    for token in tokens:
        if tokens.count(token) > 1:
            raise VocabularyError(f"the special token {token!r} is given twice; keep one of them")
    return found
