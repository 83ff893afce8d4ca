"""`PipelineTokenizer`: the tokenizer that vectors were made with, a pipeline of Hugging Face."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import VocabularyError
from .chunking import Chunking, chunking_of
from .sentencepiece import is_sentencepiece, tokenizer_json

if TYPE_CHECKING:
    import tokenizers

__all__ = ["PipelineTokenizer", "well_formed"]


@dataclass(frozen=True, repr=False)
class PipelineTokenizer:
    """Splits texts into the pieces of a Hugging Face `tokenizers` pipeline.

    Texts are not truncated or padded, whatever the file says, and no special token is added, as in
    model2vec with `max_length=None` and in `StaticEmbedding` of sentence-transformers.

    Attributes:
        json: the content of its `tokenizer.json`.
        drops_unknown: whether what has no piece of its own yields no token, as in model2vec;
            otherwise it is the pipeline's unknown token, as in sentence-transformers.
        specials: further tokens that are matched first, as written, each as one token.
        where: the file that it comes from, for messages.

    Example:
        >>> from tokenizers import Tokenizer, models
        >>> pieces = Tokenizer(models.WordPiece({"un": 0, "##do": 1}, unk_token="un"))
        >>> fe.PipelineTokenizer(pieces.to_str()).tokenize("undo")
        ['un', '##do']
    """

    json: str
    drops_unknown: bool = False
    specials: tuple[str, ...] = ()
    where: str = field(default="", compare=False)

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, drops_unknown: bool = False
    ) -> PipelineTokenizer:
        """Read a `tokenizer.json`, or a model of SentencePiece.

        Args:
            path: the file.
            drops_unknown: see the attribute.

        Raises:
            VocabularyError: the file cannot be read, or is not a tokenizer.
        """
        with _errors_of(path):
            data = Path(path).read_bytes()
            text = tokenizer_json(data) if is_sentencepiece(data) else data.decode()
        tokenizer = cls(text, drops_unknown, where=os.fspath(path))
        tokenizer.check()
        return tokenizer

    def check(self) -> None:
        """Check that the `tokenizers` library reads the pipeline.

        Raises:
            VocabularyError: it does not.
        """
        self.pipeline.get_vocab_size()

    @cached_property
    def name(self) -> str:
        """The kind of its model, `wordpiece`, `bpe`, `unigram` or `wordlevel`."""
        return type(self.pipeline.model).__name__.lower()

    def __repr__(self) -> str:
        size = self.pipeline.get_vocab_size()
        digest = hashlib.sha256(self.json.encode()).hexdigest()[:12]
        dropped = ", drops_unknown=True" if self.drops_unknown else ""
        specials = f", specials={self.specials}" if self.specials else ""
        return f"PipelineTokenizer({self.name}, {size:,} tokens, {digest}{dropped}{specials})"

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text.

        Raises:
            VocabularyError: the pipeline fails on it.
        """
        return [self.token_of(one) for one in self._ids(text) if one != self.dropped]

    def piece_of(self, word: str) -> str:
        """Return the token of a word that has a single one; else the word, which may be a token.

        Raises:
            VocabularyError: the pipeline fails on it.
        """
        ids = self._ids(word)
        return self.token_of(ids[0]) if len(ids) == 1 else word

    def _ids(self, text: str) -> list[int]:
        text = well_formed(text)
        with self.failing_on([text]):
            return list(self.pipeline.encode(text, add_special_tokens=False).ids)

    @contextmanager
    def failing_on(self, texts: Sequence[str]) -> Iterator[None]:
        """Make any error of the pipeline in the block one that names the text that it fails on.

        Args:
            texts: those that are encoded in the block.

        Raises:
            VocabularyError: in place of that error.
        """
        try:
            yield
        except VocabularyError:  # there is no pipeline
            raise
        except BaseException as error:
            if not _is_of_pipeline(error):
                raise
            text = next(filter(self._fails_on, texts), "")
            raise VocabularyError(
                f"the tokenizer fails on {text[:80]!r}: {str(error) or type(error).__name__}",
                where=self.where or None,
                value=text,
                remedy="leave this text out, or correct its tokenizer.json",
            ) from error

    def _fails_on(self, text: str) -> bool:
        try:
            self.pipeline.encode(text, add_special_tokens=False)
        except BaseException as error:
            if not _is_of_pipeline(error):
                raise
            return True
        return False

    def token_of(self, number: int) -> str:
        """Return the token of an id of the pipeline."""
        return str(self.pipeline.id_to_token(number))

    @cached_property
    def dropped(self) -> int:
        """The id of the token that is dropped; -1 for none."""
        if not self.drops_unknown:
            return -1
        model = self.pipeline.model
        if hasattr(model, "unk_token"):
            token = model.unk_token
            number = None if token is None else self.pipeline.token_to_id(token)
        else:  # Unigram
            number = json.loads(self.json)["model"].get("unk_id")
        return -1 if number is None else int(number)

    @cached_property
    def chunking(self) -> Chunking | None:
        """How the ids of a text follow from those of its chunks; None if that is not known."""
        return chunking_of(self.pipeline)

    def to_json(self) -> str:
        """Return the `tokenizer.json` with the special tokens, which cuts and pads no text."""
        if self.specials:
            return str(self.pipeline.to_str())
        spec = json.loads(self.json)
        if not (spec.get("truncation") or spec.get("padding")):
            return self.json
        return json.dumps({**spec, "truncation": None, "padding": None}, ensure_ascii=False)

    @cached_property
    def pipeline(self) -> tokenizers.Tokenizer:
        """The pipeline as an object of the `tokenizers` library; do not change it.

        Raises:
            VocabularyError: the library does not read it.
        """
        from tokenizers import AddedToken, Tokenizer

        with _errors_of(self.where or None):
            pipeline = Tokenizer.from_str(self.json)
        pipeline.no_truncation()
        pipeline.no_padding()
        if self.specials:
            added = [AddedToken(token, normalized=False) for token in self.specials]
            pipeline.add_special_tokens(added)
        return pipeline


def _is_of_pipeline(error: BaseException) -> bool:
    """Return whether an error is one of the Rust side: a bare Exception, or a panic."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


@contextmanager
def _errors_of(where: str | os.PathLike[str] | None) -> Iterator[None]:
    """Make any error in the block one that says that there is no tokenizer.

    Raises:
        VocabularyError: in place of that error.
    """
    try:
        yield
    except BaseException as error:
        if not _is_of_pipeline(error):
            raise
        raise VocabularyError(
            f"cannot be read as a tokenizer: {str(error) or type(error).__name__}",
            where=where,
            remedy="pass a tokenizer.json of Hugging Face tokenizers, or a model of SentencePiece",
        ) from error


def well_formed(text: str) -> str:
    """Return a text that UTF-8 can encode: lone surrogates become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
