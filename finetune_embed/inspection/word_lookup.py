"""How to look words up that carry a prefix or a tag, such as `/c/en/dog` and `dog_NOUN`."""

from __future__ import annotations

import re
from collections import Counter

from ..errors import Either
from .findings import SHOWN, Finding, quoted
from .scan import Scan

__all__ = ["TAGGED", "lookup_findings"]

MOST = 0.5  # share of the words
SAMPLE = 100_000  # words
_TAGS = """
    NOUN PROPN VERB ADJ ADV ADP AUX CCONJ SCONJ CONJ DET INTJ NUM PART PRON PUNCT SYM X
    NN NNS NNP NNPS VB VBD VBG VBN VBP VBZ JJ JJR JJS RB RBR RBS IN CC CD DT PRP PRP[$] WP WP[$]
    WDT WRB MD TO UH FW EX POS LS RP PDT PERSON ORG GPE LOC NORP FAC PRODUCT EVENT DATE
"""
#: Words that end in a part of speech or a kind of entity.
TAGGED = re.compile(
    rf"(?<=.)(?:(_|\||/|::|#)(?:{'|'.join(_TAGS.split())})|([_#-])[nvajr])$", re.IGNORECASE
)
_PREFIX = re.compile(r"/c/[a-z]{2,3}/|[^\W\d_]\w*://\S*[/#]|[^\W\d_]\w*[:/#]|[a-z]{2}_")
_CONCEPTNET = re.compile(r"/c/[a-z]{2,3}/")


def lookup_findings(scan: Scan) -> list[Finding]:
    """Return what most words carry that no text has, and how to look words up."""
    sample = scan.words[:SAMPLE]
    tagged = [word for word in sample if TAGGED.search(word)]
    if len(tagged) > MOST * len(sample):
        return [_tags(tagged, sum(1 for word in scan.words if TAGGED.search(word)))]
    quotes = sum(len(word) > 2 and word[0] == word[-1] == '"' for word in sample)
    if quotes > MOST * len(sample):
        return [_quotes(scan.words)]
    prefixes = [match[0] for match in map(_PREFIX.match, sample) if match]
    paths = [prefix for prefix in prefixes if _CONCEPTNET.fullmatch(prefix)]
    if len(paths) > MOST * len(sample):
        prefix = Counter(paths).most_common(1)[0][0]  # of one of several languages
    else:
        prefix, times = Counter(prefixes).most_common(1)[0] if prefixes else ("", 0)
        if times <= MOST * len(sample):
            return []
    example = next(word for word in sample if word.startswith(prefix))
    return [_prefixes(prefix, example, sum(word.startswith(prefix) for word in scan.words))]


def _quotes(words: list[str]) -> Finding:
    count = sum(len(word) > 2 and word[0] == word[-1] == '"' for word in words)
    return Finding(
        "warning",
        "quoted_words",
        count,
        "words in quotation marks, which no text has",
        Either(
            "make a table without them: "
            "EmbeddingTable([w.strip('\"') for w in table.index_to_key], table.vectors)",
            "make a file without them: finetune-embed convert FILE all.txt, then "
            "sed -E 's/^\"([^ ]*)\" /\\1 /' all.txt > NEW_FILE",
        ),
        tuple(map(quoted, words[:SHOWN])),
    )


def _prefixes(prefix: str, example: str, count: int) -> Finding:
    spaces = ", with _ for spaces" if _CONCEPTNET.fullmatch(prefix) else ""
    script = re.sub(r"([][\\.*^$|])", r"\\\1", prefix)
    return Finding(
        "warning",
        "prefixed_words",
        count,
        f"words that start with {prefix!r}, which no text has",
        Either(
            f"look words up as table[{prefix!r} + word]{spaces}, or make a table without the "
            f"prefix: words = [w for w in table.index_to_key if w.startswith({prefix!r})]; "
            f"EmbeddingTable([w[{len(prefix)}:] for w in words], table.subset(words).vectors)",
            "make a file without the prefix: finetune-embed convert FILE all.txt, then "
            f"sed -n 's|^{script}||p' all.txt > NEW_FILE",
        ),
        (quoted(example),),
    )


def _tags(tagged: list[str], count: int) -> Finding:
    marks = {match[1] or match[2] for match in map(TAGGED.search, tagged) if match}
    pattern = "|".join("[|]" if mark == "|" else mark for mark in sorted(marks))
    return Finding(
        "warning",
        "tagged_words",
        count,
        "words that end in a tag, which no text has",
        Either(
            f"look words up with their tag, as table[{tagged[0]!r}], or make a table without tags, "
            f"of the first row of each word: words = {{re.sub('({pattern})[A-Za-z$]*$', '', w): w "
            "for w in reversed(table.index_to_key)}; "
            "EmbeddingTable(list(words), table.subset(words.values()).vectors)",
            "make a file without tags, of which the first row of each word is read: "
            "finetune-embed convert FILE all.txt, then "
            f"sed -E 's~^([^ ]*)({pattern})[A-Za-z$]* ~\\1 ~' all.txt > NEW_FILE",
        ),
        tuple(quoted(word) for word in tagged[:SHOWN]),
    )
