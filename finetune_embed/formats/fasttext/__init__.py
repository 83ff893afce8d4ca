"""fastText files: `.vec` text, and `.bin` and `.ftz` binary models with rows for subwords.

A `.vec` file is word2vec text with its header, and is read as such (`source_format` word2vec).

A binary model is, all numbers little-endian:

- int32 magic 793712314 and version, 11 or 12. Models of the first fastText (2016) lack these two;
- the arguments: int32 dim, ws, epoch, minCount, neg, wordNgrams, loss, model (1 cbow, 2 skipgram,
  3 supervised), bucket, minn, maxn, lrUpdateRate, double t;
- the dictionary: int32 size, nwords, nlabels, int64 ntokens, int64 pruned (-1 for a model that is
  not pruned; not in the first fastText); `size` entries, words before labels, each the bytes of the
  word, NUL, int64 count, byte type (0 word, 1 label); `pruned` pairs int32 (n-gram, row);
- a byte, whether the input matrix is quantised (not in the first fastText), and the input matrix: a
  row a word, then a row an n-gram, `bucket` of them or those that pruning left;
- a byte, whether the output matrix is quantised, and the output matrix, of which only the size is
  checked.

A plain matrix is int64 rows and columns, then float32. A quantised one is a byte `qnorm`, int64
rows and columns, int32 number of codes, the codes (a byte for each part of a row), a product
quantiser, and with `qnorm` a code for the norm of each row and their quantiser. A quantiser is
int32 dim, parts, dsub, size of the last part, then 256 centroids of float32 for each part.

A word's vector is the mean of its row and of the rows of its n-grams of minn to maxn characters:
the word between `<` and `>`, but neither of these two alone; n-gram `g` has the row
`nwords + fnv1a(g) % bucket`, where the 32-bit hash extends the sign of each byte. `</s>` has none,
but in files of the first fastText (2016).
In supervised models of version 11 maxn counts as 0, as in fastText; in those with wordNgrams above
1 the n-gram rows are shared with n-grams of words, or belong to them alone if maxn is 0.

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
from ..common.composed import with_composed
from ..common.sniff import expect
from ..common.table_building import check_limit, make_table, provenance, wanted_keys

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
        path: the file, plain or compressed, a binary file object, or `"-"` for standard input. A
            plain file on disk is memory-mapped; only the rows that are needed are read.
        keys: keep only these words, in the file's order. Words that the model's dictionary lacks
            are composed of their n-grams, if they have any, and follow in the order of `keys`;
            their `origin` is `COMPOSED`. Words of the dictionary beyond `limit`, and labels, are
            left out.
        limit: read only the first words of the dictionary.
        member: the file to read of an archive.

    Returns:
        The table `(V, D)`. Its rows are what fastText's `getWordVector` gives, to the bit. Its
        `subwords` compose vectors for further words, if the model has rows for n-grams of
        characters, and so do those of `table.subset`. Besides what all formats tell, `metadata`
        has `fasttext_version`, `fasttext_model`, `minn`, `maxn`, `bucket`, `word_ngrams`, `labels`
        (how many were left out) and `quantized` (`true`, where rows are approximations, with
        `source_dtype` `product-quantised`).

    Raises:
        VectorFileError: the file is missing, damaged, cut short, or of another format or version.
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
    from .subwords import FastTextSubwords, compose, encodable, has_subwords, vectors_of

    check_limit(limit)
    wanted = wanted_keys(keys)
    model = read_model(source)
    count = model.dictionary.nwords if limit is None else min(limit, model.dictionary.nwords)
    lacking: list[bytes] = []
    if keys is None or wanted is None:
        rows = np.arange(count)
    else:
        words, _ = encodable(list(dict.fromkeys(keys)))
        found = model.dictionary.rows_of(words)
        rows = np.sort(found[(found >= 0) & (found < count)])
        lacking = [words[at] for at in np.flatnonzero(found < 0).tolist()]
    table = make_table(
        _decode(model.dictionary.words(rows)), vectors_of(model, rows), _metadata(source, model)
    )
    if lacking:
        table = with_composed(table, _decode(lacking), *compose(model, lacking))
    if has_subwords(model):
        table.subwords = FastTextSubwords(model)
    return table


def _decode(words: list[bytes]) -> list[str]:
    """Return words as text, bytes beyond UTF-8 as lone surrogates."""
    return b"\0".join(words).decode("utf-8", "surrogateescape").split("\0") if words else []


def _metadata(source: Source, model: Model) -> dict[str, str]:
    args = model.args
    told = {
        "fasttext_version": str(args.version),
        "fasttext_model": args.model,
        "minn": str(args.minn),
        "maxn": str(args.maxn),
        "bucket": str(args.bucket),
        "word_ngrams": str(args.word_ngrams),
    }
    if model.dictionary.nlabels:
        told["labels"] = str(model.dictionary.nlabels)
    if model.matrix.quantized:
        told |= {"quantized": "true", "source_dtype": "product-quantised"}
    return provenance(source, "fasttext") | told
