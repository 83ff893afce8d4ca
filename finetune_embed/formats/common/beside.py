"""A SentencePiece model beside a file of vectors, as BPEmb has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import VectorFileError, VocabularyError
from ...table import PipelineTokenizer, is_sentencepiece

__all__ = ["NOT_READ", "tokenizer_beside"]

NOT_READ = "tokenizer_not_read"  # the metadata that say why a table has no tokenizer
HEAD, SAMPLE = 1 << 10, 1_000
LEAST = 0.9  # the share of words that are pieces of the model


def tokenizer_beside(path: Path | None, words: Sequence[str]) -> PipelineTokenizer | None:
    """Return the tokenizer that vectors were made with, if its file lies beside theirs.

    That is `en.wiki.bpe.vs1000.model` beside `en.wiki.bpe.vs1000.d50.w2v.bin`.

    Args:
        path: the file of the vectors; None if they are from a stream.
        words: its words, which must be pieces of the model.

    Raises:
        VectorFileError: the model is damaged, or of a kind that is not read.
    """
    if path is None:
        return None
    stems = [path.name[:at] for at, letter in enumerate(path.name) if letter == "." and at]
    found = [path.with_name(f"{stem}.model") for stem in reversed(stems)]
    model = next((one for one in found if one.is_file() and one != path), None)
    if model is None:
        return None
    with model.open("rb") as file:
        if not is_sentencepiece(file.read(HEAD)):
            return None  # gensim uses this suffix too
    try:
        tokenizer = PipelineTokenizer.from_file(model)
    except VocabularyError as error:
        raise VectorFileError(
            error.what, where=model.name, remedy="if it belongs to these vectors, fetch it again"
        ) from error
    known = tokenizer.pipeline.get_vocab()
    sample = words[:SAMPLE]
    pieces = sum(word in known for word in sample)
    return tokenizer if pieces >= LEAST * len(sample) else None
