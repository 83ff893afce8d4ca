"""The header of a fastText binary model, which identifies files without a magic number.

`formats/fasttext/__init__.py` describes the layout.
"""

from __future__ import annotations

import struct

__all__ = ["ARGS", "COUNTS", "HEAD_SIZE", "MAX_NGRAM", "MAX_SIZE", "MODELS", "is_unsigned"]

MODELS = {1: "cbow", 2: "skipgram", 3: "supervised"}
MAX_SIZE = 1 << 20  # numbers in a vector
MAX_NGRAM = 64  # characters; fastText's own default is 6
ARGS = struct.Struct("<12id")
COUNTS = struct.Struct("<3i")
HEAD_SIZE = ARGS.size + COUNTS.size  # bytes that identify a model of the first fastText version


def is_unsigned(head: bytes) -> bool:
    """Return whether a file is a model of the first fastText version, which has no magic number.

    Args:
        head: at least the first `HEAD_SIZE` bytes of the file.
    """
    if len(head) < HEAD_SIZE:
        return False
    dim, ws, epoch, _, neg, word_ngrams, loss, model, bucket, minn, maxn, rate, t = (
        ARGS.unpack_from(head)
    )
    size, nwords, nlabels = COUNTS.unpack_from(head, ARGS.size)
    return bool(
        0 < dim <= MAX_SIZE
        and all(0 <= number < 1 << 20 for number in (ws, epoch, neg, word_ngrams))
        and loss in (1, 2, 3)
        and model in MODELS
        and bucket >= 0
        and 0 <= minn <= MAX_NGRAM
        and 0 <= maxn <= MAX_NGRAM
        and rate >= 0
        and 0 <= t <= 1
        and min(size, nwords, nlabels) >= 0
        and size == nwords + nlabels
    )
