"""The strings to which spaCy gives fixed numbers; the key of any other string is its hash.

Source: `spacy.symbols` of spaCy 3 (the enum of https://github.com/explosion/spaCy, symbols.pxd).
Some are English words (`mark`, `root`, `number`). None of them is in a strings.json.
"""

from __future__ import annotations

__all__ = ["SYMBOLS"]

_LEXICAL = """
IS_ALPHA IS_ASCII IS_DIGIT IS_LOWER IS_PUNCT IS_SPACE IS_TITLE IS_UPPER LIKE_URL LIKE_NUM
LIKE_EMAIL IS_STOP IS_OOV_DEPRECATED IS_BRACKET IS_QUOTE IS_LEFT_PUNCT IS_RIGHT_PUNCT IS_CURRENCY
"""
_TOKEN = """
ID ORTH LOWER NORM SHAPE PREFIX SUFFIX LENGTH CLUSTER LEMMA POS TAG DEP ENT_IOB ENT_TYPE HEAD
SENT_START SPACY PROB LANG ADJ ADP ADV AUX CONJ CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT
SCONJ SYM VERB X EOL SPACE
"""
_LABELS = """
PERSON NORP FACILITY ORG GPE LOC PRODUCT EVENT WORK_OF_ART LANGUAGE LAW DATE TIME PERCENT MONEY
QUANTITY ORDINAL CARDINAL acomp advcl advmod agent amod appos attr aux auxpass cc ccomp complm
conj cop csubj csubjpass dep det dobj expl hmod hyph infmod intj iobj mark meta neg nmod nn
npadvmod nsubj nsubjpass num number oprd obj obl parataxis partmod pcomp pobj poss possessive
preconj prep prt punct quantmod relcl rcmod root xcomp acl ENT_KB_ID MORPH ENT_ID IDX _
"""
_NAMES = [
    "",
    *_LEXICAL.split(),
    *(f"FLAG{number}" for number in range(19, 64)),
    *_TOKEN.split(),
    *(f"DEPRECATED{number:03}" for number in range(1, 277)),
    *_LABELS.split(),
]
#: The number of each string.
SYMBOLS = {name: number for number, name in enumerate(_NAMES)}
