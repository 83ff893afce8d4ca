"""`Vocabulary`: the tokens of a data set with their ids and counts, and texts as ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import chain, count, groupby, pairwise, repeat
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import Option, VocabularyError
from ..files import atomic_write
from ..table import EmbeddingTable, PipelineTokenizer
from .columns import column_values
from .coverage import Coverage
from .fallback import LookupResult
from .given_ids import check_counts, row_of_token, tokens_of_ids
from .initial_vectors import look_up
from .saved import pipeline_json, read_json, unreadable
from .special_tokens import PAD, PAD_ID, UNK, UNK_ID, Special, as_specials
from .tokenization import Text, TokenizedTexts, tokenize_texts
from .tokenizer import GLOVE, WHITESPACE, AnyTokenizer, Tokenizer

if TYPE_CHECKING:
    import tokenizers
    import torch
    from datasets import Dataset

__all__ = ["Vocabulary"]


class Vocabulary:
    """Tokens and their ids. Id 0 is padding, id 1 stands for unknown tokens.

    A vocabulary of ids that exist already, `from_ids`, has them as they are. It does not split
    texts.

    Attributes:
        index_to_key: the tokens in the order of their ids: `<pad>`, `<unk>`, the special tokens,
            then the words, the first of which has the id `first_word`.
        counts: int64 array `(V,)`, how often each token occurs in the data set.
        tokenizer: how texts are split into tokens; it keeps each special token as one token.
        specials: the special tokens, in the order of their ids; `<unk>` may be among them.
        first_word: the id of the first word.
        padding_idx: the id of padding, None if there is none.
        unk_idx: the id of unknown tokens, None if there is none.
        has_given_ids: whether `from_ids` made it.

    Example:
        >>> vocab = fe.Vocabulary.from_texts(["a good film", "a bad film"])
        >>> vocab.index_to_key
        ['<pad>', '<unk>', 'a', 'film', 'bad', 'good']
        >>> ids, offsets = vocab.encode(["good film"])
        >>> ids.tolist()
        [5, 3]
    """

    padding_idx: int | None = PAD_ID
    unk_idx: int | None = UNK_ID
    has_given_ids = False

    def __init__(
        self,
        counts: Mapping[str, int],
        tokenizer: AnyTokenizer = GLOVE,
        specials: Sequence[Special | str] = (),
    ) -> None:
        check_counts(counts)
        given = as_specials(specials)
        known = {special.token for special in given}
        given += as_specials([token for token in tokenizer.specials if token not in known])
        self.specials, tokens = given, [special.token for special in given]
        first = list(dict.fromkeys((PAD, UNK, *tokens)))
        self.first_word = len(first)
        known = set(first)
        self.index_to_key = first + [word for word in counts if word not in known]
        self.counts = self._counts_from(counts)
        self.tokenizer: AnyTokenizer = replace(tokenizer, specials=tuple(tokens))

    @classmethod
    def from_ids(
        cls, ids: Mapping[str, int], *, pad: str | None = None, unk: str | None = None
    ) -> Vocabulary:
        """Make a vocabulary of ids that exist already, such as a Hugging Face tokenizer's.

        `to_embedding`, `to_table` and `strategy.param_groups` take it: row `i` of the embedding
        belongs to id `i`. Tokens are looked up as they are, so `##s` or `Ġking` are only found in
        a table that has them. Texts become ids by the tokenizer that the ids come from; `encode`
        takes lists of tokens. Counts are 0; `with_counts` sets them.

        Args:
            ids: the id of each token, such as `tokenizer.get_vocab()`. Ids start at 0 and leave
                none out.
            pad: the token for padding, whose row is zero and stays zero; None for none.
            unk: the token for unknown tokens, whose row starts at zero unless the table has it;
                None for none.

        Raises:
            VocabularyError: the ids are not as described, or `pad` or `unk` is not among them.
        """
        vocab = cls.__new__(cls)
        vocab.has_given_ids = True
        vocab.index_to_key = tokens_of_ids(ids)
        vocab.padding_idx = row_of_token(vocab.index_to_key, pad, "pad")
        vocab.unk_idx = row_of_token(vocab.index_to_key, unk, "unk")
        if pad is not None and pad == unk:
            raise VocabularyError(
                f"{pad!r} cannot be both padding, whose row is always zero, and unknown tokens",
                value=pad,
                remedy=("leave ", Option("unk"), " out"),
            )
        vocab.first_word, vocab.specials, vocab.tokenizer = 0, (), WHITESPACE
        vocab.counts = np.zeros(len(vocab.index_to_key), np.int64)
        return vocab

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        columns: str | Sequence[str],
        tokenizer: AnyTokenizer | None = None,
        min_count: int = 1,
        specials: Sequence[Special | str] = (),
    ) -> Vocabulary:
        """Make a vocabulary from one or more columns, the most frequent words first.

        Args:
            dataset: one split, usually the training split.
            columns: names of columns that hold texts or lists of tokens.
            tokenizer: how to split texts into tokens; by default GloVe's convention.
                `Tokenizer.for_table(table)` returns the one that a table came with or that fits
                its words.
            min_count: rarer words count as `<unk>`.
            specials: strings that stay one token in a text and get the ids after `<unk>`, even if
                they do not occur: `Special(token, start, trainable)`, or just the token. `<unk>`
                may be among them, to set how it starts and whether it trains.

        Raises:
            VocabularyError: several splits were passed, a column is missing, an example has no
                text, no word is found, or a special token is given twice.
        """
        if isinstance(dataset, Mapping):
            raise VocabularyError(
                (Option("dataset"), f" has several splits: {', '.join(map(repr, dataset))}"),
                remedy=("pass one, such as ", Option("dataset"), f"[{next(iter(dataset))!r}]"),
            )
        names = [columns] if isinstance(columns, str) else list(columns)
        for name in names:
            if name not in dataset.column_names:
                raise VocabularyError(
                    f"there is no column {name!r}",
                    value=name,
                    remedy=(
                        f"choose from {', '.join(map(repr, dataset.column_names))}: ",
                        Option("columns", ...),
                    ),
                )
        texts = chain.from_iterable(column_values(dataset, name) for name in names)
        return cls.from_texts(texts, tokenizer, min_count, specials)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[Text],
        tokenizer: AnyTokenizer | None = None,
        min_count: int = 1,
        specials: Sequence[Special | str] = (),
    ) -> Vocabulary:
        """Make a vocabulary from texts or lists of tokens; see `from_dataset`."""
        if isinstance(texts, Mapping):
            raise VocabularyError(
                "the texts are a dict, not a list",
                remedy="pass ids to Vocabulary.from_ids(ids, pad=..., unk=...)",
            )
        tokenizer = cls({}, tokenizer or GLOVE, specials).tokenizer
        return cls.from_counts(
            tokenize_texts(texts, tokenizer).counts, tokenizer, min_count, specials
        )

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        tokenizer: AnyTokenizer,
        min_count: int = 1,
        specials: Sequence[Special | str] = (),
    ) -> Vocabulary:
        """Make a vocabulary from tokens that were counted; see `from_dataset`.

        Args:
            counts: how often each token occurs, as in `tokenize_texts(texts, tokenizer).counts`.
            tokenizer: the tokenizer they come from; it keeps each of `specials` as one token.
            min_count: rarer words count as `<unk>`.
            specials: tokens that get the ids after `<unk>`.

        Raises:
            VocabularyError: no word is found, a special token is given twice, or the counts are
                ids.
        """
        check_counts(counts)
        always_kept = set(tokenizer.specials)
        kept = {w: n for w, n in counts.items() if n >= min_count or w in always_kept}
        total = sum(counts.values())
        if not kept.keys() - always_kept:
            most = max((n for word, n in counts.items() if word not in always_kept), default=0)
            if not most:
                raise VocabularyError(
                    f"there is no word among the {total:,} tokens of the texts",
                    value=total,
                    remedy="check which column holds the texts",
                )
            raise VocabularyError(
                f"no word occurs {min_count:,} times or more among the {total:,} tokens",
                value=min_count,
                remedy=(
                    "check which column holds the texts, or keep rarer words: ",
                    Option("min_count", most),
                ),
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
        """The id of each token."""
        return {key: index for index, key in enumerate(self.index_to_key)}

    @property
    def word_ids(self) -> npt.NDArray[np.int64]:
        """The ids of `words`, int64 `(words,)`."""
        if not self.has_given_ids:
            return np.arange(self.first_word, len(self))
        taken = [at for at in (self.padding_idx, self.unk_idx) if at is not None]
        return np.delete(np.arange(len(self)), taken)

    @property
    def words(self) -> list[str]:
        """The words, without padding, `<unk>` and special tokens, in the order of their ids."""
        if not self.has_given_ids:
            return self.index_to_key[self.first_word :]
        return [self.index_to_key[at] for at in self.word_ids.tolist()]

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, key: object) -> bool:
        return key in self.key_to_index

    def __repr__(self) -> str:
        if self.has_given_ids:
            return f"Vocabulary({len(self):,} words, given ids)"
        return f"Vocabulary({len(self):,} words, tokenizer {self.tokenizer.name!r})"

    def extended(self, words: Iterable[str]) -> Vocabulary:
        """Return a vocabulary with more words, appended after the ids of this one with count 0."""
        known = self.key_to_index
        new = [word for word in dict.fromkeys(words) if word not in known]
        extended = copy(self)
        extended.index_to_key = self.index_to_key + new
        extended.counts = np.concatenate([self.counts, np.zeros(len(new), np.int64)])
        extended.key_to_index = known | dict(zip(new, count(len(self)), strict=False))
        extended.__dict__.pop("_pipeline", None)
        return extended

    def subset(self, ids: npt.NDArray[np.int64]) -> Vocabulary:
        """Return a vocabulary of some tokens, numbered anew in the order of their ids.

        Args:
            ids: int64 `(n,)`, ascending, with all ids below `first_word`.
        """
        kept = copy(self)
        kept.index_to_key = [self.index_to_key[at] for at in ids.tolist()]
        kept.counts = self.counts[ids]
        for cached in ("key_to_index", "_pipeline"):
            kept.__dict__.pop(cached, None)
        return kept

    def with_counts(self, counts: Mapping[str, int]) -> Vocabulary:
        """Return the same words with other counts; all other words count as `<unk>`."""
        check_counts(counts)
        counted = copy(self)
        counted.counts = self._counts_from(counts)
        if self.unk_idx is not None:
            counted.counts[self.unk_idx] += sum(
                n for word, n in counts.items() if word not in self.key_to_index
            )
        return counted

    def with_specials(self, specials: Sequence[Special | str]) -> Vocabulary:
        """Return the same words with other start values of special tokens.

        Args:
            specials: some of the special tokens, or `<unk>`; the others do not change.

        Raises:
            VocabularyError: one is not a special token of this vocabulary.
        """
        given = {special.token: special for special in as_specials(specials)}
        known = {special.token: special for special in self.specials}
        if missing := [token for token in given if token not in known and token != UNK]:
            raise VocabularyError(
                f"{missing[0]!r} is not a special token of the vocabulary, which does not keep it "
                "as one token in texts",
                value=missing[0],
                remedy=(
                    "make the vocabulary with it: Vocabulary.from_texts(texts, ",
                    Option("specials", missing),
                    ")",
                ),
            )
        changed = copy(self)
        changed.specials = tuple((known | given).values())
        return changed

    def _counts_from(self, counts: Mapping[str, int]) -> npt.NDArray[np.int64]:
        found = np.array([counts.get(word, 0) for word in self.index_to_key], np.int64)
        if self.padding_idx is not None:
            found[self.padding_idx] = 0  # it never occurs
        return found

    def words_of(self, texts: Iterable[Text]) -> list[list[str]]:
        """Return the tokens of each text, whether the vocabulary has them or not."""
        if self.has_given_ids:
            texts = self._only_lists(texts)
        found = tokenize_texts(texts, self.tokenizer)
        tokens = [found.tokens[number] for number in found.numbers.tolist()]
        bounds = np.cumsum([0, *found.lengths]).tolist()
        return [tokens[start:end] for start, end in pairwise(bounds)]

    def encode(self, texts: Iterable[Text] | TokenizedTexts) -> tuple[torch.Tensor, torch.Tensor]:
        """Return texts as ids in the form that `nn.EmbeddingBag` takes.

        Args:
            texts: texts and lists of tokens, which may be mixed; or what `tokenize_texts` returns
                for them with the vocabulary's tokenizer.

        Returns:
            `ids`, int64 `(N,)`, the tokens of all texts one after the other, and `offsets`, int64
            `(len(texts),)`, where each text starts.

        Raises:
            VocabularyError: an item is neither a text nor a list of tokens; or, with given ids, it
                is a text, or a token has no id and there is none for unknown tokens.
        """
        if self.has_given_ids and not isinstance(texts, TokenizedTexts):
            texts = self._only_lists(texts)
        found = (
            texts if isinstance(texts, TokenizedTexts) else tokenize_texts(texts, self.tokenizer)
        )
        import torch

        unk = self.unk_idx
        if unk is None and (unknown := [t for t in found.tokens if t not in self.key_to_index]):
            raise VocabularyError(
                f"{unknown[0]!r} has no id, and there is none for unknown tokens",
                value=unknown[0],
                remedy="name the token for them: Vocabulary.from_ids(ids, pad=..., unk=...)",
            )
        id_of = self.key_to_index.get
        ids = np.fromiter(map(id_of, found.tokens, repeat(unk)), np.int64, len(found.tokens))
        offsets = np.cumsum(found.lengths, dtype=np.int64) - found.lengths
        return torch.from_numpy(ids[found.numbers]), torch.from_numpy(offsets)

    def _only_lists(self, texts: Iterable[Text]) -> list[Text]:
        """Return texts that are lists of tokens.

        Raises:
            VocabularyError: one is a string, which only the tokenizer of the ids can split.
        """
        given = texts if isinstance(texts, str) else list(texts)
        if isinstance(given, str) or any(isinstance(text, str) for text in given):
            raise VocabularyError(
                "this vocabulary has the ids of another tokenizer, and does not split texts",
                remedy="pass lists of tokens: "
                "vocab.encode([tokenizer.tokenize(text) for text in texts])",
            )
        return given

    def coverage(self, table: EmbeddingTable, fallback: Sequence[str] = ()) -> Coverage:
        """Return how many of the vocabulary's words, and of the data's tokens, a table has.

        Special tokens don't count, since they have start values of their own.

        Args:
            table: the table.
            fallback: the fallback chain for words that it lacks; see `vocabulary.fallback`.

        Raises:
            VocabularyError: a step is unknown, or is `subwords` and the table has no subword
                vectors.
        """
        return self.coverage_of(look_up(table, self.words, fallback))

    def coverage_of(self, lookup: LookupResult) -> Coverage:
        """Return the coverage of a table in which `words` were looked up."""
        return Coverage.of(self.words, self.counts[self.word_ids], lookup)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the words' ids and the tokenizer as a Hugging Face `tokenizer.json`.

        Special tokens become its added tokens. The format has no place for where they start and
        whether they train. A pipeline has ids of its own: its `tokenizer.json` is in a JSON file of
        ours with the words; see `vocabulary.saved`.

        Raises:
            VocabularyError: `from_ids` made the vocabulary.
        """
        if self.has_given_ids:
            raise VocabularyError(
                "this vocabulary has the ids of another tokenizer, and does not split texts",
                remedy="save that tokenizer instead",
            )
        with atomic_write(path) as file:
            file.write(self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read what `save` wrote.

        The file has no counts: they are 0. Special tokens start from the table and train.

        Raises:
            VocabularyError: the file cannot be read, or something else wrote it.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise unreadable(path, error) from error
        return cls.from_json(data, path)

    def to_json(self) -> bytes:
        """Return what `save` writes."""
        if isinstance(self.tokenizer, PipelineTokenizer):
            return pipeline_json(self.tokenizer, self.words)
        return self._pipeline.to_str(pretty=True).encode()

    @classmethod
    def from_json(cls, data: bytes, where: str | os.PathLike[str] | None = None) -> Vocabulary:
        """Return the vocabulary of what `to_json` returned; `where` is for messages."""
        words, tokenizer = read_json(data, where)
        return cls(dict.fromkeys(words, 0), tokenizer)

    @cached_property
    def _pipeline(self) -> tokenizers.Tokenizer:
        assert isinstance(self.tokenizer, Tokenizer)
        return self.tokenizer.to_pipeline(self.key_to_index, UNK)
