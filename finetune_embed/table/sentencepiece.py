"""SentencePiece models, such as BPEmb's, as pipelines of Hugging Face `tokenizers`.

A model is a Protocol Buffers message, of which these fields are read here: 1, the pieces (1 text, 2
score, 3 type); 2, how it was trained (3 kind of model, 24 white space at the ends of pieces, 35
byte fallback); 3, how texts are normalised (2 character map, 3 dummy prefix, 4 no extra white
space).

Sources: https://github.com/google/sentencepiece (`sentencepiece_model.proto`), the conversion in
transformers (`convert_slow_tokenizer.py`), and https://github.com/bheinzerling/bpemb.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["is_sentencepiece", "tokenizer_json"]

NORMAL, UNKNOWN, USER_DEFINED, UNUSED = 1, 2, 4, 5  # types of pieces
UNIGRAM, BPE = 1, 2  # kinds of models
SPACE = "\u2581"
#: Share of pieces with an upper-case letter in lower-case text; share of digits that are 0.
MOST_UPPER, LEAST_ZEROS = 0.05, 0.5
_START = re.compile(rb"\n[\x01-\x7f]\n[\x01-\x7f]")  # of the first piece, and of its text


class Piece(NamedTuple):
    """A piece of a model."""

    text: str
    score: float
    kind: int


def is_sentencepiece(data: bytes) -> bool:
    """Return whether a file starts as a SentencePiece model does."""
    return _START.match(data) is not None


def tokenizer_json(data: bytes) -> str:
    """Return the `tokenizer.json` of a SentencePiece model.

    If the pieces have no upper-case letters, texts are lower-cased, and if their digits are 0, so
    are those of texts, as BPEmb does before it splits them. A few others come from signs such as
    `²`, which become digits later.

    Raises:
        ValueError: it is damaged, of another kind than BPE and unigram, has symbols that are never
            split or pieces that are not used, or has white space at the ends of its pieces.
    """
    pieces, training, normalising = [], dict[int, Any](), dict[int, Any]()
    for field, value in _fields(data):
        if field == 1:
            pieces.append(_piece(value))
        elif field == 2:
            training = dict(_fields(value))
        elif field == 3:
            normalising = dict(_fields(value))
    if not any(piece.kind == UNKNOWN for piece in pieces):
        raise ValueError("it has no unknown piece")
    if own := [piece.text for piece in pieces if piece.kind == USER_DEFINED]:
        raise ValueError(f"it has a symbol that is never split, {own[0]!r}")
    if unused := [piece.text for piece in pieces if piece.kind == UNUSED]:
        raise ValueError(f"it has a piece that is not used, {unused[0]!r}")
    if training.get(24, 0):
        raise ValueError("it has white space at the ends of its pieces")
    made = _model(pieces, training.get(3, UNIGRAM), bool(training.get(35, 0)))
    from tokenizers import Tokenizer, normalizers, pre_tokenizers

    pipeline = Tokenizer(made)
    steps = _as_in_bpemb(pieces)
    if normalising.get(2):
        steps.append(normalizers.Precompiled(normalising[2]))
    if normalising.get(4, 1):
        steps += [normalizers.Strip(), normalizers.Replace(_regex(" {2,}"), " ")]
    if normalising.get(3, 1):
        steps.append(normalizers.Prepend(SPACE))
    pipeline.normalizer = normalizers.Sequence(steps)
    crosses = any(SPACE in piece.text[1:].lstrip(SPACE) for piece in pieces)
    pipeline.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "never", split=not crosses)
    return str(pipeline.to_str())


def _model(pieces: list[Piece], kind: int, bytes_too: bool) -> Any:
    """Return the model of a pipeline."""
    from tokenizers import models

    unknown = next(number for number, piece in enumerate(pieces) if piece.kind == UNKNOWN)
    if kind == UNIGRAM:
        lowest = min((piece.score for piece in pieces if piece.kind == NORMAL), default=0.0)
        scored = [(one.text, one.score if one.kind == NORMAL else lowest) for one in pieces]
        return models.Unigram(scored, unknown, bytes_too)
    if kind != BPE:
        raise ValueError("it is a model of words or characters")
    vocab = {piece.text: number for number, piece in enumerate(pieces)}
    if len(vocab) < len(pieces):
        raise ValueError("two pieces are the same")
    return models.BPE(
        vocab,
        _merges(pieces),
        unk_token=pieces[unknown].text,
        fuse_unk=True,
        byte_fallback=bytes_too,
    )


def _merges(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Return the pairs of pieces that are joined, the first ones first.

    SentencePiece joins the two neighbours that make the piece with the highest score.
    """
    number = {one.text: at for at, one in enumerate(pieces) if one.kind == NORMAL}
    merges = []
    for piece in pieces:
        if piece.kind == NORMAL:
            halves = ((piece.text[:at], piece.text[at:]) for at in range(1, len(piece.text)))
            found = [pair for pair in halves if pair[0] in number and pair[1] in number]
            found.sort(key=lambda pair: (number[pair[0]], number[pair[1]]))
            merges += [(piece.score, pair) for pair in found]
    merges.sort(key=lambda merge: -merge[0])
    return [pair for _, pair in merges]


def _as_in_bpemb(pieces: list[Piece]) -> list[Any]:
    """Return what BPEmb does with texts first, if the pieces show it."""
    from tokenizers import normalizers

    words = [piece.text for piece in pieces if piece.kind == NORMAL]
    steps: list[Any] = []
    cased = [word for word in words if word != word.swapcase()]
    if sum(word != word.lower() for word in cased) < MOST_UPPER * len(cased):
        steps.append(normalizers.Lowercase())
    letters = "".join(words)
    if letters.count("0") > LEAST_ZEROS * sum(map(str.isdecimal, letters)):
        steps.append(normalizers.Replace(_regex(r"\d"), "0"))
    return steps


def _regex(pattern: str) -> Any:
    from tokenizers import Regex

    return Regex(pattern)


def _piece(data: bytes) -> Piece:
    found = dict(_fields(data))
    (score,) = struct.unpack("<f", found.get(2, b"\0\0\0\0"))
    return Piece(found[1].decode(), score, found.get(3, NORMAL))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each field of a message: an integer, or bytes.

    Raises:
        ValueError: it is damaged.
    """
    at = 0
    while at < len(data):
        key, at = _integer(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _integer(data, at)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, at = _integer(data, at)
        if size is None or at + size > len(data):
            raise ValueError("it is cut short or damaged")
        yield key >> 3, data[at : at + size]
        at += size


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """Return an integer of variable length, and where it ends."""
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("it is cut short or damaged")
