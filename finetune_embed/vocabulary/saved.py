"""Vocabularies as JSON.

One of words is a `tokenizer.json` of Hugging Face with its ids. A pipeline has ids of its own, so
the JSON object of its vocabulary has `tokenizer`, the text of the pipeline's `tokenizer.json`,
`drops_unknown`, and the lists `specials` and `words`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from ..errors import VocabularyError, shown
from ..table import PipelineTokenizer
from .tokenizer import AnyTokenizer, Tokenizer

__all__ = ["pipeline_json", "read_json", "unreadable"]

PIPELINE, DROPS_UNKNOWN, SPECIALS, WORDS = "tokenizer", "drops_unknown", "specials", "words"


def pipeline_json(tokenizer: PipelineTokenizer, words: Sequence[str]) -> bytes:
    """Return the JSON of a vocabulary whose tokenizer is a pipeline.

    Args:
        tokenizer: the tokenizer.
        words: its words, without special tokens.
    """
    content = {
        PIPELINE: tokenizer.json,
        DROPS_UNKNOWN: tokenizer.drops_unknown,
        SPECIALS: tokenizer.specials,
        WORDS: words,
    }
    return json.dumps(content, ensure_ascii=False, indent=0).encode()


def read_json(data: bytes, where: str | os.PathLike[str] | None) -> tuple[list[str], AnyTokenizer]:
    """Return the tokens of a vocabulary in the order of their ids, and its tokenizer.

    Args:
        data: the JSON.
        where: the file it comes from, for messages.

    Raises:
        VocabularyError: it cannot be read, or something else wrote it.
    """
    from tokenizers import Tokenizer as Pipeline

    try:
        spec = json.loads(data)
        if isinstance(spec, dict) and PIPELINE in spec:
            return _of_pipeline(spec, where)
        _check_ids(spec)
        pipeline = Pipeline.from_buffer(data)
    except VocabularyError:
        raise
    except Exception as error:  # the Rust side raises bare Exception
        raise unreadable(where, error) from error
    ids = pipeline.get_vocab()
    return sorted(ids, key=ids.__getitem__), Tokenizer.from_pipeline(pipeline, where)


def unreadable(where: str | os.PathLike[str] | None, error: Exception) -> VocabularyError:
    """Return the error about a vocabulary that cannot be read."""
    reason = str(error) or type(error).__name__
    return VocabularyError(f"cannot be read as a tokenizer: {reason}", where=where)


def _of_pipeline(
    spec: dict[str, Any], where: str | os.PathLike[str] | None
) -> tuple[list[str], PipelineTokenizer]:
    text, drops, specials, words = (
        spec[name] for name in (PIPELINE, DROPS_UNKNOWN, SPECIALS, WORDS)
    )
    lists = [*specials, *words] if isinstance(specials, list) and isinstance(words, list) else [0]
    if not all(isinstance(one, str) for one in (text, *lists)) or not isinstance(drops, bool):
        raise ValueError(f"its {PIPELINE}, {DROPS_UNKNOWN}, {SPECIALS} or {WORDS} is damaged")
    tokenizer = PipelineTokenizer(text, drops, tuple(specials), os.fspath(where or ""))
    tokenizer.check()
    known = tokenizer.pipeline.get_vocab()
    if len(set(words)) < len(words) or not all(word in known for word in words):
        raise ValueError(f"its {WORDS} has one twice, or one that is no token of its {PIPELINE}")
    return words, tokenizer


def _check_ids(spec: Any) -> None:
    """Check the ids of a tokenizer, which takes memory up to the highest.

    Raises:
        ValueError: one is not below their number.
    """
    known = spec["model"]["vocab"]
    ids = [*known.items(), *((token["content"], token["id"]) for token in spec["added_tokens"])]
    for token, number in ids:
        if type(number) is not int or not 0 <= number < len(ids):
            raise ValueError(f"{token!r} has the id {shown(number)}, not one below {len(ids):,}")
