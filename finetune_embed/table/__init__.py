"""`EmbeddingTable`, words and their vectors, and what it is made of. numpy only."""

from .embedding_table import EmbeddingTable, Origin, Subwords, sha256_of_table
from .neighbours import lengths, nearest_rows, unit
from .packed_words import PackedWords, Rows, as_bytes, begins_with
from .retrofit import Lexicon, pairs_of, read_lexicon, retrofit
from .revised_rows import RevisedRows, Vectors

__all__ = [
    "EmbeddingTable",
    "Lexicon",
    "Origin",
    "PackedWords",
    "RevisedRows",
    "Rows",
    "Subwords",
    "Vectors",
    "as_bytes",
    "begins_with",
    "lengths",
    "nearest_rows",
    "pairs_of",
    "read_lexicon",
    "retrofit",
    "sha256_of_table",
    "unit",
]
