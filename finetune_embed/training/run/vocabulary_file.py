"""The vocabulary of a run in its folder: `tokenizer.json` and the words of `words.parquet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...files import atomic_write
from ...table import PipelineTokenizer
from ...vocabulary import Vocabulary
from .summary import SPECIAL

__all__ = ["load_vocabulary", "save_tokenizer"]


def save_tokenizer(vocab: Vocabulary, path: Path) -> None:
    """Write the `tokenizer.json` of a vocabulary.

    A convention for words has the ids of the vocabulary. A pipeline has its own, those of the rows
    of the table that it came with, and its file is as it was, but for special tokens of the run.
    """
    tokenizer = vocab.tokenizer
    if not isinstance(tokenizer, PipelineTokenizer):
        vocab.save(path)
        return
    text = tokenizer.pipeline.to_str() if tokenizer.specials else tokenizer.json
    with atomic_write(path) as file:
        file.write(text.encode())


def load_vocabulary(
    path: Path, words: Mapping[str, Sequence[Any]], record: Mapping[str, Any]
) -> Vocabulary:
    """Read the vocabulary of a run, without counts.

    Args:
        path: the `tokenizer.json`.
        words: the columns of `words.parquet`.
        record: the record of the run.

    Raises:
        VocabularyError: the file is not a tokenizer.
    """
    if "drops_unknown" not in record:
        return Vocabulary.load(path)
    tokenizer = PipelineTokenizer.from_file(path, drops_unknown=bool(record["drops_unknown"]))
    pairs = zip(words["word"], words["found"], strict=True)
    specials = [word for word, found in pairs if found == SPECIAL]
    return Vocabulary(dict.fromkeys(words["word"], 0), tokenizer, specials)
