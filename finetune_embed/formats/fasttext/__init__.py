"""fastText files: `.vec` text, and `.bin` and `.ftz` binary models with rows for subwords.

A `.vec` file is word2vec text with a header and is read as word2vec (`source_format` word2vec).

A binary model holds, all numbers little-endian:

- int32 magic 793712314 and version, 11 or 12. Models of the first fastText (2016) lack these two;
- the arguments: int32 dim, ws, epoch, minCount, neg, wordNgrams, loss, model (1 cbow, 2 skipgram,
  3 supervised), bucket, minn, maxn, lrUpdateRate, double t;
- the dictionary: int32 size, nwords, nlabels, int64 ntokens, int64 pruned (-1 for a model that is
  not pruned; absent in the first fastText); `size` entries, words before labels, each the bytes of
  the word, NUL, int64 count, byte type (0 word, 1 label); `pruned` pairs int32 (n-gram, row);
- a byte: 1 if the input matrix is quantised (absent in the first fastText); the input matrix: one
  row per word, then one row per n-gram (`bucket` of them, or those that pruning kept);
- a byte: 1 if the output matrix is quantised; the output matrix, of which only the size is checked.

A plain matrix is int64 rows and columns, then float32. A quantised matrix is a byte `qnorm`, int64
rows and columns, int32 number of codes, the codes (one byte for each part of a row), a product
quantiser, and with `qnorm` one code for the norm of each row and the quantiser of the norms. A
quantiser is int32 dim, parts, dsub, size of the last part, then 256 float32 centroids per part.

A word's vector is the mean of its own row and of the rows of its n-grams. The n-grams are the
substrings of `<word>` of minn to maxn characters, except `<` and `>` alone. N-gram `g` has the row
`nwords + fnv1a(g) % bucket`, where the 32-bit hash sign-extends each byte. `</s>` has no n-grams,
except in files of the first fastText (2016).
In supervised models of version 11, maxn counts as 0, as in fastText. In supervised models with
wordNgrams above 1, n-grams of words use the same n-gram rows; if maxn is 0, only they use them.

Sources: https://github.com/facebookresearch/fastText (src/{fasttext,args,dictionary,densematrix,
quantmatrix,productquantizer}.cc); Bojanowski et al. 2017, https://arxiv.org/abs/1607.04606; Joulin
et al. 2016, https://arxiv.org/abs/1612.03651.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from ...files import PathOrFile, Source, open_source
from ...table import EmbeddingTable
from .. import word2vec
from ..common.arguments import check_limit, wanted_keys
from ..common.composed import with_composed
from ..common.sniff import expect
from ..common.table_building import ROW, make_table, provenance

if TYPE_CHECKING:
    from .model import Model

__all__ = ["load_fasttext", "read"]


def load_fasttext(
    path: PathOrFile,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    member: str | None = None,
) -> EmbeddingTable:
    """Load vectors from a fastText binary model, plain or quantised, or from a `.vec` file.

    Args:
        path: a file, plain or compressed, a binary file object, or `"-"` for standard input. A
            plain file on disk is memory-mapped, and only the rows that are needed are read.
        keys: keep only these words, in the file's order. Words that are not in the model's
            dictionary are composed from their n-grams, if the model has rows for them. They follow
            in the order of `keys` with the `origin` `COMPOSED`. Labels, and words of the dictionary
            beyond `limit`, are left out.
        limit: read only the first words of the dictionary.
        member: the file to read from an archive.

    Returns:
        The table `(V, D)`. Its rows equal fastText's `getWordVector` bit for bit. If the model has
        rows for character n-grams, `subwords` of the table and of its subsets composes vectors for
        other words. In addition to the metadata of all formats, `metadata` has `fasttext_version`,
        `fasttext_model`, `minn`, `maxn`, `bucket`, `word_ngrams`, `labels` (the number of labels
        left out), and, if the model is quantised, `quantized` (`true`) with the `source_dtype`
        `product-quantised`.

    Raises:
        VectorFileError: the file is missing, damaged, incomplete, or of another format or version.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_word2vec(table, "words.vec")  # the format of fastText's .vec files
        >>> fe.load_fasttext("words.vec")["bad"]
        array([0., 1.], dtype=float32)
    """
    with open_source(path, member) as source:
        if expect(source, "fasttext", "text") == "text":
            return word2vec.read(source, keys, limit)
        return read(source, keys, limit)


def read(
    source: Source, keys: Collection[str] | None = None, limit: int | None = None
) -> EmbeddingTable:
    """Read a binary model from an open source."""
    from .model import read_model
    from .ngrams import has_subwords
    from .subwords import FastTextSubwords, compose, encodable, vectors_of

    check_limit(limit)
    wanted = wanted_keys(keys)
    model = read_model(source)
    source.refuse_bomb(model.dictionary.nwords * (ROW + 4 * model.args.dim))
    count = model.dictionary.nwords if limit is None else min(limit, model.dictionary.nwords)
    missing: list[bytes] = []
    if keys is None or wanted is None:
        rows = np.arange(count)
    else:
        words, _ = encodable(list(dict.fromkeys(keys)))
        found = model.dictionary.rows_of(words)
        rows = np.sort(found[(found >= 0) & (found < count)])
        missing = [words[at] for at in np.flatnonzero(found < 0).tolist()]
    table = make_table(
        _decode(model.dictionary.words(rows)), vectors_of(model, rows), _metadata(source, model)
    )
    if missing:
        table = with_composed(table, _decode(missing), *compose(model, missing))
    if has_subwords(model):
        table.subwords = FastTextSubwords(model)
    return table


def _decode(words: list[bytes]) -> list[str]:
    """Return words as text, with bytes that are not UTF-8 as lone surrogates."""
    return b"\0".join(words).decode("utf-8", "surrogateescape").split("\0") if words else []


def _metadata(source: Source, model: Model) -> dict[str, str]:
    args = model.args
    metadata = provenance(source, "fasttext") | {
        "fasttext_version": str(args.version),
        "fasttext_model": args.model,
        "minn": str(args.minn),
        "maxn": str(args.maxn),
        "bucket": str(args.bucket),
        "word_ngrams": str(args.word_ngrams),
    }
    if model.dictionary.nlabels:
        metadata["labels"] = str(model.dictionary.nlabels)
    if model.matrix.quantized:
        metadata |= {"quantized": "true", "source_dtype": "product-quantised"}
    return metadata
