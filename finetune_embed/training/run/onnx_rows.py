"""The rows of an ONNX file, and what the ids of its tokenizer mean."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import nn

from ...errors import VocabularyError
from ...table import Coding, Part, PipelineTokenizer, Rows, Vectors
from ...vocabulary import PAD_ID, UNK, UNK_ID, check_finite
from ..inference import weight_of
from .onnx_graph import Ids, check_size
from .run import Run

__all__ = ["Held", "Words", "rows_of", "words_of"]

MOST_IDS = 64  # up to which ids go, for each token of a tokenizer


class Words(NamedTuple):
    """What the ids of a tokenizer mean in a run.

    Attributes:
        ids: what the graph has to know of them.
        tokenizer: the `tokenizer.json` that gives them.
        places: int64, where the row of each id is among those of the vocabulary and of `more`, and
            last where that of unknown words is.
        more: the words that only the table has.
    """

    ids: Ids
    tokenizer: str
    places: Rows
    more: Sequence[str]


def words_of(run: Run) -> Words:
    """Return what the ids mean: those of the vocabulary and of more words, or of a pipeline."""
    vocab, tokenizer, limit = run.vocab, run.vocab.tokenizer, run.settings["max_length"]
    more = [word for word in run.table.words if word not in vocab and _is_utf8(word)]
    known = vocab.extended(more).key_to_index
    if not isinstance(tokenizer, PipelineTokenizer):
        places = np.append(np.arange(len(known)), UNK_ID)
        text = tokenizer.to_pipeline(known, UNK).to_str()
        return Words(Ids(len(known), PAD_ID, None, limit), text, places, more)
    own = tokenizer.pipeline.get_vocab()
    highest = max(own.values())
    if highest >= MOST_IDS * len(own):
        raise VocabularyError(
            f"the tokenizer of {len(own):,} tokens has the id {highest:,}, up to which the file "
            "would hold rows",
            value=highest,
            remedy="number its tokens from 0 on",
        )
    places = np.full(highest + 2, UNK_ID)
    for token, number in own.items():
        places[number] = known.get(token, UNK_ID)
    dropped = tokenizer.dropped if tokenizer.dropped >= 0 else None
    if dropped is not None and run.task.per_word:  # a word without any other piece is unknown
        places[dropped], dropped = UNK_ID, None
    spec = {**json.loads(tokenizer.to_json()), "post_processor": None}
    text = json.dumps(spec, ensure_ascii=False)
    return Words(Ids(len(places) - 1, None, dropped, limit), text, places, more)


def _is_utf8(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


class Held(NamedTuple):
    """The rows of a model.

    Attributes:
        part: those of the ids as they are held, then that of unknown words.
        second: the rows of a second channel, as many; None without one.
        rows: the rows of the vocabulary and of the words that only the table has, as torch gets
            them.
    """

    part: Part
    second: Vectors | None
    rows: Vectors


def rows_of(
    run: Run,
    models: Sequence[nn.Module],
    words: Words,
    dtype: str,
    path: str | os.PathLike[str],
) -> list[Held]:
    """Return the rows of each model.

    Raises:
        VectorFileError: they take more than the format allows, or int8 cannot hold a number.
    """
    weights = [weight_of(one, str(run.record["embedding"])).detach().cpu() for one in models]
    of_row = weights[0].shape[1] * (1 if dtype == "int8" else 4)
    size = of_row * len(words.places) * len(models)
    if any(getattr(one, "start", None) is not None for one in models):
        size += 4 * weights[0].shape[1] * len(words.places) * len(models)
    check_size(size, path)
    at = run.table.rows_of(words.more)
    own, coding, found = run.table.rows(at), Coding(dtype), []
    check_finite(own, words.more, at)
    for model, weight in zip(models, weights, strict=True):
        part = coding.encode(np.concatenate([weight.numpy(), own]))
        rows, start = coding.decode(part), getattr(model, "start", None)
        second = None
        if start is not None:  # words that training did not have count twice
            second = np.concatenate([start.cpu().numpy(), rows[len(start) :]])[words.places]
        scale = None if part.scale is None else part.scale[words.places]
        found.append(Held(Part(part.codes[words.places], scale), second, rows))
    return found
