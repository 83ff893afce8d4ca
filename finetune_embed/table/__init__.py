"""`EmbeddingTable`, words and their vectors, and what it is made of. numpy only."""

from .chunking import Chunking
from .coding import CodedRows, Coding, Part
from .embedding_table import EmbeddingTable
from .fingerprint import sha256_of_table
from .lazy_rows import LazyRows, Vectors
from .lexicon import Lexicon, read_lexicon, related_rows
from .neighbours import lengths, nearest_rows, top_rows, unit
from .origin import Origin
from .packed_words import PackedWords, Rows, as_bytes, starts_with
from .patched_rows import PatchedRows, differing
from .pipeline_tokenizer import PipelineTokenizer, well_formed
from .query import missing_word
from .retrofit import retrofit
from .sentencepiece import is_sentencepiece
from .shrinking import DTYPES, ORDERS, dtype_of, kept_rows, shrink_rows
from .subwords import Subwords

__all__ = [
    "DTYPES",
    "ORDERS",
    "Chunking",
    "CodedRows",
    "Coding",
    "EmbeddingTable",
    "LazyRows",
    "Lexicon",
    "Origin",
    "PackedWords",
    "Part",
    "PatchedRows",
    "PipelineTokenizer",
    "Rows",
    "Subwords",
    "Vectors",
    "as_bytes",
    "differing",
    "dtype_of",
    "is_sentencepiece",
    "kept_rows",
    "lengths",
    "missing_word",
    "nearest_rows",
    "read_lexicon",
    "related_rows",
    "retrofit",
    "sha256_of_table",
    "shrink_rows",
    "starts_with",
    "top_rows",
    "unit",
    "well_formed",
]
