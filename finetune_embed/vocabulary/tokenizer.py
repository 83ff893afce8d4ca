"""`Tokenizer`: a value object that says how a text is split into tokens.

It is specified by a Hugging Face `tokenizers` pipeline, so the `tokenizer.json` of a run folder
means the same to that library.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

from ..errors import Either, VocabularyError
from ..table import EmbeddingTable, PipelineTokenizer, well_formed

if TYPE_CHECKING:
    import tokenizers

__all__ = [
    "CASED",
    "CONVENTIONS",
    "GLOVE",
    "TREEBANK",
    "WHITESPACE",
    "AnyTokenizer",
    "Tokenizer",
    "well_formed",
    "words_in",
]

#: Splits as the Penn Treebank does, as found in GloVe's corpora: `didn't` is `did n't` and `it's`
#: is `it 's`; numbers, abbreviations (`u.s.`) and hyphenated words are not split; other
#: punctuation marks are tokens of their own.
TREEBANK = (
    r"(?i:n't)\b|'(?i:s|re|ve|ll|d|m)\b|\.{2,}|--+|\d+(?:[.,:]\d+)+|(?:\b\p{L}\.){2,}"
    r"|\w+?(?=(?i:n't)\b)|\w+(?:-\w+)*|[^\w\s]"
)
#: Patterns of which no match contains a space or depends on what comes after one. The loop in
#: `_tokenization.c` implements both.
_WITHIN_SPACES = (TREEBANK, r"\S+")
CASED_SHARE = 0.01  # a table is cased if more of its words than this have an upper-case letter


@dataclass(frozen=True)
class Tokenizer:
    """Splits texts into tokens.

    Attributes:
        lowercase: whether tokens are lower-cased.
        pattern: a regular expression (Oniguruma syntax) whose matches are the tokens.
        normalize: whether Unicode is composed (NFC) and curly apostrophes are made straight.
        specials: tokens that are matched first, as written, each as one token; the longest wins
            where several begin at the same position.

    Example:
        >>> fe.Tokenizer().tokenize("It isn't bad.")
        ['it', 'is', "n't", 'bad', '.']
        >>> fe.Tokenizer.named("whitespace").tokenize("It isn't bad.")
        ['It', "isn't", 'bad.']
    """

    lowercase: bool = True
    pattern: str = TREEBANK
    normalize: bool = True
    specials: tuple[str, ...] = ()

    @classmethod
    def named(cls, name: str) -> Tokenizer:
        """Return a convention by name: `glove`, `cased` or `whitespace`.

        Raises:
            VocabularyError: there is no such convention.
        """
        if name not in CONVENTIONS:
            raise VocabularyError(
                "is not a known tokenizer",
                option="tokenizer",
                value=name,
                remedy=(
                    f"choose from {', '.join(CONVENTIONS)}",
                    Either(", or make your own: Tokenizer(lowercase=..., pattern=...)", ""),
                ),
            )
        return CONVENTIONS[name]

    @classmethod
    def for_table(cls, table: EmbeddingTable) -> AnyTokenizer:
        """Return the tokenizer that a table came with, or else the convention that fits its words.

        That is `cased` or lower-cased `glove`.
        """
        if table.tokenizer is not None:
            return table.tokenizer
        words = [word for word in table.words[:50_000] if word.isalpha()]
        cased = sum(word != word.lower() for word in words)
        return CASED if cased > CASED_SHARE * len(words) else GLOVE

    @property
    def name(self) -> str:
        """The name of the convention, or `custom`."""
        plain = replace(self, specials=())
        return next((name for name, known in CONVENTIONS.items() if known == plain), "custom")

    @property
    def within_spaces(self) -> bool:
        """Whether no token reaches across a space; False if unknown, as for a custom pattern.

        If so, the tokens of a text are those of its pieces between spaces: composition (NFC) and
        lower-casing don't look across a space either.
        """
        return self.pattern in _WITHIN_SPACES and not any(" " in token for token in self.specials)

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        if not self.specials:
            return self._tokenize_plain(well_formed(text))
        tokens: list[str] = []
        for position, part in enumerate(self._specials.split(well_formed(text))):
            tokens += [part] if position % 2 else self._tokenize_plain(part)
        return tokens

    def _tokenize_plain(self, text: str) -> list[str]:
        """Return the tokens of a text without special tokens."""
        pipeline = self._pipeline
        if pipeline.normalizer is not None:
            text = pipeline.normalizer.normalize_str(text)
        return [token for token, _ in pipeline.pre_tokenizer.pre_tokenize_str(text)]

    def tokenize_pieces(self, pieces: Iterable[str]) -> list[str]:
        """Return the tokens of pieces without spaces: those of `tokenize`, in less time.

        Only for a tokenizer with `within_spaces`. On ASCII, Python's regular expressions mean the
        same as the pipeline's, and there is nothing to compose.

        Returns:
            The tokens of all pieces, with a space after those of each piece.
        """
        tokens: list[str] = []
        for is_plain, run in groupby(pieces, self._is_plain):
            if is_plain:
                text = " ".join(chain(run, [""]))
                tokens += self._ascii.findall(text.lower() if self.lowercase else text)
            else:
                tokens += chain.from_iterable([*self.tokenize(piece), " "] for piece in run)
        return tokens

    def _is_plain(self, piece: str) -> bool:
        return piece.isascii() and not (self.specials and self._specials.search(piece))

    def to_pipeline(self, vocabulary: dict[str, int], unk: str) -> tokenizers.Tokenizer:
        """Return a Hugging Face tokenizer that maps texts to the ids of a vocabulary.

        (`PipelineTokenizer.pipeline`, which has ids of its own, is an attribute.)
        """
        from tokenizers import (
            AddedToken,
            Regex,
            Tokenizer,
            models,
            normalizers,
            pre_tokenizers,
        )

        pipeline = Tokenizer(models.WordLevel(vocabulary, unk_token=unk))
        steps: list[Any] = []
        if self.normalize:
            steps += [normalizers.NFC(), normalizers.Replace("\u2019", "'")]
        if self.lowercase:
            steps.append(normalizers.Lowercase())
        if steps:
            pipeline.normalizer = normalizers.Sequence(steps)
        pipeline.pre_tokenizer = pre_tokenizers.Split(Regex(self.pattern), "removed", invert=True)
        pipeline.add_special_tokens(
            [AddedToken(t, normalized=False) for t in self.specials if t in vocabulary]
        )
        return pipeline

    pipeline = to_pipeline  # its earlier name

    @classmethod
    def from_pipeline(
        cls, pipeline: tokenizers.Tokenizer, where: str | os.PathLike[str] | None = None
    ) -> Tokenizer:
        """Return the tokenizer whose method `to_pipeline` made a pipeline.

        Args:
            pipeline: the pipeline.
            where: the file it comes from, for messages.

        Raises:
            VocabularyError: something else made the pipeline.
        """
        spec = json.loads(pipeline.to_str())
        steps = [step["type"] for step in (spec["normalizer"] or {}).get("normalizers", [])]
        try:
            pattern = spec["pre_tokenizer"]["pattern"]["Regex"]
        except (KeyError, TypeError) as error:
            raise VocabularyError(
                "the tokenizer was not written by finetune_embed",
                where=where,
                remedy="pass the tokenizer.json of a run folder or of Vocabulary.save",
            ) from error
        added = sorted(spec["added_tokens"], key=lambda token: int(token["id"]))
        specials = tuple(token["content"] for token in added)
        return cls("Lowercase" in steps, pattern, "NFC" in steps, specials)

    @cached_property
    def _specials(self) -> re.Pattern[str]:
        longest_first = sorted(self.specials, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    @cached_property
    def _ascii(self) -> re.Pattern[str]:
        """Matches a token of ASCII text, or a space."""
        letters = self.pattern.replace(r"\p{L}", "[A-Za-z]")
        return re.compile(f"{letters}| ", re.ASCII)

    @cached_property
    def _cased(self) -> Tokenizer:
        """The same without lower-casing."""
        return replace(self, lowercase=False)

    @cached_property
    def _pipeline(self) -> Any:
        return self.to_pipeline({"<unk>": 0}, "<unk>")


GLOVE = Tokenizer()
CASED = Tokenizer(lowercase=False)
WHITESPACE = Tokenizer(lowercase=False, pattern=r"\S+", normalize=False)
CONVENTIONS = {"glove": GLOVE, "cased": CASED, "whitespace": WHITESPACE}

#: What splits texts into tokens: our conventions for words, or a pipeline that a table came with.
AnyTokenizer = Tokenizer | PipelineTokenizer


def words_in(text: Any, tokenizer: AnyTokenizer) -> Any:
    """Return the words of a text whose words are tagged; a list of words is returned as it is.

    A convention splits a text into words, in the case that they have there if that is clear. A
    pipeline splits words into pieces: words are those of the convention `cased`.
    """
    if not isinstance(text, str):
        return text
    if isinstance(tokenizer, PipelineTokenizer):
        return CASED.tokenize(text)
    words, cased = tokenizer.tokenize(text), tokenizer._cased.tokenize(text)
    return cased if [word.lower() for word in cased] == words else words
