"""How a text is cut into words: a value object that fits the convention of the vectors.

The specification is a Hugging Face `tokenizers` pipeline, so `tokenizer.json` of a run folder
means the same to that library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

from ..errors import VocabularyError
from ..table import EmbeddingTable

if TYPE_CHECKING:
    import tokenizers

__all__ = ["CASED", "GLOVE", "TREEBANK", "WHITESPACE", "Tokenizer"]

#: The splits of the Penn Treebank as GloVe's corpora have them: `didn't` is `did n't`, `it's` is
#: `it 's`; numbers, abbreviations (`u.s.`) and hyphenated words stay whole; the rest of
#: punctuation stands alone.
TREEBANK = (
    r"(?i:n't)\b|'(?i:s|re|ve|ll|d|m)\b|\.{2,}|--+|\d+(?:[.,:]\d+)+|(?:\b\p{L}\.){2,}"
    r"|\w+?(?=(?i:n't)\b)|\w+(?:-\w+)*|[^\w\s]"
)
#: Patterns without a match that has a space in it, or that depends on what is beyond one.
_WITHIN_SPACES = (TREEBANK, r"\S+")  # `_cutting.c` has both as loops
CASED_SHARE = 0.01  # of a table's words; above it the table keeps the case of words


@dataclass(frozen=True)
class Tokenizer:
    """Cuts texts into words.

    Attributes:
        lowercase: whether words are lower-cased.
        pattern: a regular expression (Oniguruma syntax) that matches one word after the other.
        normalize: whether Unicode is composed (NFC) and curly apostrophes are made straight.
        specials: tokens that are found first, as they stand, and stay whole; where several could
            begin at one place, the longest.
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
                f"no tokenizer is called {name!r}; there are {', '.join(CONVENTIONS)}, or build "
                "your own: Tokenizer(lowercase=..., pattern=...)"
            )
        return CONVENTIONS[name]

    @classmethod
    def for_table(cls, table: EmbeddingTable) -> Tokenizer:
        """Return the convention that a table's words were cut by: cased, or lower-cased."""
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
        """Whether no word reaches across a space.

        If so, the words of a text are those of its pieces between spaces: composition (NFC) and
        lower-casing don't look across a space either. False where this is not known, as for a
        pattern of one's own.
        """
        return self.pattern in _WITHIN_SPACES and not any(" " in token for token in self.specials)

    def tokenize_pieces(self, pieces: Iterable[str]) -> list[str]:
        """Return the words of pieces without spaces: what `tokenize` finds, in less time.

        For a tokenizer with `within_spaces` only. On ASCII, Python's regular expressions mean the
        same as the pipeline's, and there is nothing to compose.

        Returns:
            The words of all pieces, and a space behind those of each piece.
        """
        words: list[str] = []
        for plain, run in groupby(pieces, self._is_plain):
            if plain:
                text = " ".join(chain(run, [""]))
                words += self._ascii.findall(text.lower() if self.lowercase else text)
            else:
                words += chain.from_iterable([*self.tokenize(piece), " "] for piece in run)
        return words

    def _is_plain(self, piece: str) -> bool:
        return piece.isascii() and not (self.specials and self._specials.search(piece))

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        if not self.specials:
            return self._cut(well_formed(text))
        words: list[str] = []
        for position, part in enumerate(self._specials.split(well_formed(text))):
            words += [part] if position % 2 else self._cut(part)
        return words

    def _cut(self, text: str) -> list[str]:
        pipeline = self._pipeline
        if pipeline.normalizer is not None:
            text = pipeline.normalizer.normalize_str(text)
        return [word for word, _ in pipeline.pre_tokenizer.pre_tokenize_str(text)]

    def pipeline(self, vocabulary: dict[str, int], unk: str) -> tokenizers.Tokenizer:
        """Return a Hugging Face tokenizer that maps texts to the ids of a vocabulary."""
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

    @classmethod
    def of_pipeline(cls, pipeline: tokenizers.Tokenizer) -> Tokenizer:
        """Return the value object that a pipeline made by `pipeline()` came from.

        Raises:
            VocabularyError: the pipeline was made by something else.
        """
        spec = json.loads(pipeline.to_str())
        steps = [step["type"] for step in (spec["normalizer"] or {}).get("normalizers", [])]
        try:
            pattern = spec["pre_tokenizer"]["pattern"]["Regex"]
        except (KeyError, TypeError) as error:
            raise VocabularyError("tokenizer.json was not written by finetune_embed") from error
        added = sorted(spec["added_tokens"], key=lambda token: int(token["id"]))
        specials = tuple(token["content"] for token in added)
        return cls("Lowercase" in steps, pattern, "NFC" in steps, specials)

    @cached_property
    def _specials(self) -> re.Pattern[str]:
        longest_first = sorted(self.specials, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    @cached_property
    def _ascii(self) -> re.Pattern[str]:
        letters = self.pattern.replace(r"\p{L}", "[A-Za-z]")
        return re.compile(f"{letters}| ", re.ASCII)

    @cached_property
    def _pipeline(self) -> Any:
        return self.pipeline({"<unk>": 0}, "<unk>")


GLOVE = Tokenizer()
CASED = Tokenizer(lowercase=False)
WHITESPACE = Tokenizer(lowercase=False, pattern=r"\S+", normalize=False)
CONVENTIONS = {"glove": GLOVE, "cased": CASED, "whitespace": WHITESPACE}


def well_formed(text: str) -> str:
    """Return a text that can be encoded: lone surrogates become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
