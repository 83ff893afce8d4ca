"""The parts of a fastText binary model, each checked against the bytes that are there.

See `formats/fasttext/__init__.py` for the layout.
"""

from __future__ import annotations

from typing import NamedTuple

from ...files import Source
from ..common.fasttext_header import (
    HEAD_SIZE,
    MAX_NGRAM,
    MAX_SIZE,
    MODELS,
    is_unsigned,
)
from .dictionary import Dictionary, read_dictionary
from .matrix import Cursor, Matrix, read_matrix

__all__ = ["UNSIGNED", "Args", "Model", "read_model"]

MAGIC = 793_712_314
VERSIONS = (11, 12)
UNSIGNED = 10  # the version that a file without a signature is taken for


class Args(NamedTuple):
    """What the model was trained with, as far as it tells what the rows are."""

    version: int
    model: str
    dim: int
    word_ngrams: int
    bucket: int
    minn: int
    maxn: int


class Model(NamedTuple):
    """A fastText model whose every part was found to be where it should."""

    args: Args
    dictionary: Dictionary
    matrix: Matrix


def read_model(source: Source) -> Model:
    """Read a model but for its matrix, which stays in the file.

    Raises:
        VectorFileError: a part is damaged, cut short, or contradicts another.
    """
    cursor = Cursor(source)
    unsigned = is_unsigned(bytes(cursor.data[:HEAD_SIZE]))
    version = UNSIGNED if unsigned else _read_version(cursor)
    args = _read_args(cursor, version)
    dictionary, prunes = read_dictionary(cursor, args.bucket, unsigned)
    quantized = not unsigned and cursor.flag("the mark of a quantised input matrix")
    if prunes >= 0 and not quantized:
        raise cursor.error(
            f"its n-grams are pruned to {prunes:,}, but its matrix is not quantised; fastText "
            "refuses such files as damaged too: fetch the current model, or train it again"
        )
    further = args.bucket if prunes < 0 else prunes
    matrix = read_matrix(
        cursor, "the input matrix", quantized, (dictionary.nwords + further, args.dim)
    )
    quantized_output = not unsigned and cursor.flag("the mark of a quantised output matrix")
    read_matrix(cursor, "the output matrix", quantized and quantized_output, (None, args.dim))
    if cursor.at != len(cursor.data):
        raise cursor.error(
            f"the model ends here, but the file has {len(cursor.data):,} bytes; fetch it again"
        )
    return Model(args, dictionary, matrix)


def _read_version(cursor: Cursor) -> int:
    magic, version = cursor.unpack("<2i", "the magic number and the version")
    if magic != MAGIC:
        raise cursor.error(
            f"it starts with {magic}, fastText binary models start with {MAGIC}; "
            "load_vectors(path) finds the format",
            0,
        )
    if version not in VERSIONS:
        raise cursor.error(
            f"it is a fastText model of version {version}; versions 11 and 12 are read; save it "
            "with fastText 0.9.2",
            4,
        )
    return int(version)


def _read_args(cursor: Cursor, version: int) -> Args:
    start = cursor.at
    fields = cursor.unpack("<12id", "the arguments")
    dim, word_ngrams, model, bucket, minn, maxn = (fields[at] for at in (0, 5, 7, 8, 9, 10))
    if model not in MODELS:
        raise cursor.error(f"the model is of kind {model}; 1, 2 and 3 are known", start + 28)
    if not 1 <= dim <= MAX_SIZE:
        raise cursor.error(f"it claims vectors of {dim:,} numbers; it is damaged", start)
    for name, number, most, at in (
        ("bucket", bucket, (1 << 31) - 1, 32),
        ("minn", minn, (1 << 31) - 1, 36),
        ("maxn", maxn, MAX_NGRAM, 40),
    ):
        if not 0 <= number <= most:
            raise cursor.error(
                f"its {name} is {number:,}, not 0 to {most:,}; it is damaged", start + at
            )
    if MODELS[model] == "supervised" and version < 12:
        maxn = 0  # as fastText does: these had no n-grams of characters, whatever they say
    return Args(version, MODELS[model], dim, word_ngrams, bucket, minn, maxn)
