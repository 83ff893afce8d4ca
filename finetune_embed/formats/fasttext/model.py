"""The parts of a fastText binary model, each checked against the bytes of the file.

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

VERSIONS = (11, 12)
SENT2VEC = 4  # the kind of model that sent2vec added to its copy of fastText
UNSIGNED = 10  # the version assigned to a file of the first fastText, which stores none


class Args(NamedTuple):
    """The training arguments that determine what the rows are."""

    version: int
    model: str
    dim: int
    word_ngrams: int
    bucket: int
    minn: int
    maxn: int


class Model(NamedTuple):
    """A fastText model whose parts were all checked.

    Attributes:
        name: the file, for messages.
        args: the training arguments.
        dictionary: the words.
        matrix: the rows of words and n-grams, which stay in the file.
    """

    name: str
    args: Args
    dictionary: Dictionary
    matrix: Matrix


def read_model(source: Source) -> Model:
    """Read a model. Its words and its matrix stay in the file.

    Raises:
        VectorFileError: a part is damaged, incomplete, or contradicts another.
    """
    cursor = Cursor(source)
    unsigned = is_unsigned(bytes(cursor.data[:HEAD_SIZE]))
    version = UNSIGNED if unsigned else _read_version(cursor)
    args = _read_args(cursor, version)
    dictionary, prunes = read_dictionary(cursor, args.bucket, unsigned)
    quantized = not unsigned and cursor.flag("the flag of a quantised input matrix")
    if prunes >= 0 and not quantized:
        raise cursor.error(
            f"the n-grams are pruned to {prunes:,}, but the matrix is not quantised, so fastText "
            "rejects the file too",
            remedy="fetch the current version of the model, or train it again",
        )
    ngrams = args.bucket if prunes < 0 else prunes
    matrix = read_matrix(
        cursor, "the input matrix", quantized, (dictionary.nwords + ngrams, args.dim)
    )
    quantized_output = not unsigned and cursor.flag("the flag of a quantised output matrix")
    read_matrix(cursor, "the output matrix", quantized and quantized_output, (None, args.dim))
    if cursor.at != len(cursor.data):
        raise cursor.error(f"the model ends here, but the file has {len(cursor.data):,} bytes")
    return Model(source.name, args, dictionary, matrix)


def _read_version(cursor: Cursor) -> int:
    _, version = cursor.unpack("<2i", "the magic number and the version")
    if version not in VERSIONS:
        raise cursor.error(
            f"the fastText model is of version {version}, but only versions 11 and 12 can be read",
            at=4,
            value=version,
            remedy="save it with fastText 0.9.2",
        )
    return int(version)


def _read_args(cursor: Cursor, version: int) -> Args:
    start = cursor.at
    fields = cursor.unpack("<12id", "the arguments")
    dim, word_ngrams, model, bucket, minn, maxn = (fields[at] for at in (0, 5, 7, 8, 9, 10))
    if model == SENT2VEC:
        raise cursor.error(
            "this is a sent2vec model, which is not read here",
            at=start + 28,
            value=model,
            remedy="export its vectors with sent2vec: get_unigram_embeddings()",
        )
    if model not in MODELS:
        what = f"the model is of kind {model}, but only 1, 2 and 3 exist"
        raise cursor.error(what, at=start + 28, value=model)
    if not 1 <= dim <= MAX_SIZE:
        raise cursor.error(f"the header claims vectors of {dim:,} numbers", at=start, value=dim)
    for name, number, most, at in (
        ("bucket", bucket, (1 << 31) - 1, 32),
        ("minn", minn, (1 << 31) - 1, 36),
        ("maxn", maxn, MAX_NGRAM, 40),
    ):
        if not 0 <= number <= most:
            what = f"{name} is {number:,}, not 0 to {most:,}"
            raise cursor.error(what, at=start + at, value=number)
    if MODELS[model] == "supervised" and version < 12:
        maxn = 0  # as in fastText: these models had no character n-grams, whatever the file says
    return Args(version, MODELS[model], dim, word_ngrams, bucket, minn, maxn)
