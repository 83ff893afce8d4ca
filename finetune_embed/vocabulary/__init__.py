"""From texts to tokens, ids and initial vectors."""

from .columns import column_values, plain
from .combine import average, concatenate, extend
from .coverage import Coverage
from .fallback import (
    EXACT,
    STEPS,
    SUBWORDS,
    LookupResult,
    apply_fallback,
    forms_of,
    parse_fallback,
    without_subwords,
)
from .given_ids import check_vocabulary
from .initial_vectors import check_finite, look_up, look_up_vectors, vectors_for
from .special_tokens import PAD, PAD_ID, UNK, UNK_ID, Special, as_specials, special_vector
from .start_values import StartValue
from .tokenization import Text, TokenizedTexts, tokenize_texts
from .tokenizer import (
    CASED,
    CONVENTIONS,
    GLOVE,
    TREEBANK,
    WHITESPACE,
    AnyTokenizer,
    Tokenizer,
    words_in,
)
from .vocabulary import Vocabulary

__all__ = [
    "CASED",
    "CONVENTIONS",
    "EXACT",
    "GLOVE",
    "PAD",
    "PAD_ID",
    "STEPS",
    "SUBWORDS",
    "TREEBANK",
    "UNK",
    "UNK_ID",
    "WHITESPACE",
    "AnyTokenizer",
    "Coverage",
    "LookupResult",
    "Special",
    "StartValue",
    "Text",
    "TokenizedTexts",
    "Tokenizer",
    "Vocabulary",
    "apply_fallback",
    "as_specials",
    "average",
    "check_finite",
    "check_vocabulary",
    "column_values",
    "concatenate",
    "extend",
    "forms_of",
    "look_up",
    "look_up_vectors",
    "parse_fallback",
    "plain",
    "special_vector",
    "tokenize_texts",
    "vectors_for",
    "without_subwords",
    "words_in",
]
