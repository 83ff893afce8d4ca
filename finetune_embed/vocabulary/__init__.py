"""From texts to tokens, ids and initial vectors."""

from .combine import average, concatenate, extend
from .coverage import Coverage
from .fallback import EXACT, STEPS, SUBWORDS, Found, follow, forms_of, steps_of, without_subwords
from .initial_vectors import (
    Special,
    StartValue,
    check_finite,
    find,
    rows_for,
    rows_found,
    special_vector,
)
from .tokenization import Text, TokenizedTexts, tokenize_texts
from .tokenizer import CASED, GLOVE, TREEBANK, WHITESPACE, Tokenizer
from .vocabulary import PAD, UNK, Vocabulary, specials_of

__all__ = [
    "CASED",
    "EXACT",
    "GLOVE",
    "PAD",
    "STEPS",
    "SUBWORDS",
    "TREEBANK",
    "UNK",
    "WHITESPACE",
    "Coverage",
    "Found",
    "Special",
    "StartValue",
    "Text",
    "TokenizedTexts",
    "Tokenizer",
    "Vocabulary",
    "average",
    "check_finite",
    "concatenate",
    "extend",
    "find",
    "follow",
    "forms_of",
    "rows_for",
    "rows_found",
    "special_vector",
    "specials_of",
    "steps_of",
    "tokenize_texts",
    "without_subwords",
]
