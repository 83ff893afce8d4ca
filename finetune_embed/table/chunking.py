"""Where a text can be cut so that a pipeline gives the ids of its chunks, one after the other.

A pipeline of Hugging Face `tokenizers` finds the added tokens in a text, normalizes what is between
them, splits it into words, and gives each word to the model. Texts share most of their chunks, so
it is faster to encode each chunk once. `chunking_of` decides from the components of the pipeline
whether that gives the same ids; whatever is not named here is not cut.

Source: the code of https://github.com/huggingface/tokenizers, version 0.23.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import tokenizers

__all__ = ["Chunking", "chunking_of"]

BLANKS = " \t\n\r"  # what BERT's normalizer leaves or makes a space
#: Normalizers that replace, remove or reorder characters between two blanks, and leave blanks
#: blank: a blank is no part of a composed character, and accents are not reordered across it.
_BETWEEN_BLANKS = frozenset(
    ["BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents"]
)
#: Those that make no white space of other characters.
_NO_NEW_SPACE = frozenset(["Lowercase", "NFC", "NFD"])
_AT_WHITE_SPACE = frozenset(["BertPreTokenizer", "Whitespace", "WhitespaceSplit"])
_WITHIN_WORDS = _AT_WHITE_SPACE | {"Digits", "Punctuation"}
_MODELS = frozenset(["BPE", "Unigram", "WordLevel", "WordPiece"])

Spec = dict[str, Any]


class Chunking(NamedTuple):
    r"""How the ids of a text follow from those of its chunks.

    A chunk begins at each break that follows another character; breaks at the end of a text belong
    to its last chunk. The ids of a text are those of the chunks of `prefix + text`, one after the
    other and each encoded without its `prefix`, unless one of them matches `whole`.

    Attributes:
        breaks: the characters at which a chunk begins.
        prefix: what the pipeline adds to a text, `" "` or nothing.
        whole: matches a chunk whose text has to be encoded as a whole; None matches none.
    """

    breaks: str
    prefix: str
    whole: re.Pattern[str] | None


def chunking_of(pipeline: tokenizers.Tokenizer) -> Chunking | None:
    """Return how the ids of a text follow from those of its chunks; None if that is not known.

    Args:
        pipeline: one without truncation and padding, which adds no special tokens.
    """
    spec: Spec = json.loads(pipeline.to_str())
    normalizers = _steps(spec["normalizer"], "normalizers")
    splitters = _steps(spec["pre_tokenizer"], "pretokenizers")
    model = spec["model"]
    if model["type"] not in _MODELS or model.get("dropout"):  # dropout is random
        return None
    if not all(map(_keeps_ids, _steps(spec["post_processor"], "processors"))):
        return None
    found = (
        _between_white_space(normalizers, splitters)
        or _between_spaces(normalizers, splitters)
        or _byte_level(normalizers, splitters)
        or _one_word(normalizers, splitters, model)
    )
    if found is None:
        return None
    # Tokens that are matched in the text as written are found in its chunks. What is left and right
    # of one is then a text of its own, which only matters where texts begin or end in another way
    # than words, and where spaces are stripped.
    breaks, prefix, whole = found
    alone = whole is not None
    for token in spec["added_tokens"]:
        if (normalizers and token["normalized"]) or set(breaks) & set(token["content"]):
            return None
        if alone or token["lstrip"] or token["rstrip"]:
            whole = [*(whole or ()), re.escape(token["content"])]
    return Chunking(breaks, prefix, re.compile("|".join(whole)) if whole else None)


#: Breaks, prefix, and patterns of `whole`; None if a text begins and ends as its words do.
_Found = tuple[str, str, Sequence[str] | None] | None


def _between_white_space(normalizers: list[Spec], splitters: list[Spec]) -> _Found:
    """The text is split at all white space first, and what comes later looks at words alone."""
    types = [one["type"] for one in splitters]
    if not types or types[0] not in _AT_WHITE_SPACE or not _WITHIN_WORDS.issuperset(types):
        return None
    return (BLANKS, "", None) if _are_local(normalizers, BLANKS) else None


def _between_spaces(normalizers: list[Spec], splitters: list[Spec]) -> _Found:
    """Every space becomes a mark that begins a word.

    The mark that is added to a text is not added to a chunk that begins with a space.
    """
    if [one["type"] for one in splitters] != ["Metaspace"] or not splitters[0]["split"]:
        return None
    return (" ", "", ()) if _are_local(normalizers, " ") else None


def _byte_level(normalizers: list[Spec], splitters: list[Spec]) -> _Found:
    r"""The text is split by the pattern of GPT-2, where white space begins a match or is all of it.

    Where a match of white space ends depends on what comes next: `\s+(?!\S)`. So no chunk but the
    last one may end with white space. A space that is added to a text is not added to a chunk that
    begins with one, but to one that begins with another break.
    """
    if [one["type"] for one in splitters] != ["ByteLevel"] or not splitters[0]["use_regex"]:
        return None
    if not all(one["type"] in _NO_NEW_SPACE for one in normalizers):
        return None
    breaks = " " if splitters[0]["add_prefix_space"] else BLANKS
    return breaks, "", [rf"[^\S{breaks}]\Z"]


def _one_word(normalizers: list[Spec], splitters: list[Spec], model: Spec) -> _Found:
    """A text is one word, with a mark for each space, and no merge goes from other text to a mark.

    So merges before a run of marks don't depend on those from there on. If the mark is added to
    every text (`Prepend`), a chunk gets it in place of its space. A mark in the text itself is no
    break, but looks the same to the model.
    """
    mark = ""
    prepend, metaspace = [one["type"] for one in normalizers], [one["type"] for one in splitters]
    if prepend == ["Prepend", "Replace"] and not splitters:
        mark, replace = normalizers[0]["prepend"], normalizers[1]
        if replace["pattern"] != {"String": " "} or replace["content"] != mark:
            return None
    elif metaspace == ["Metaspace"] and not normalizers:
        mark = splitters[0]["replacement"]
    if len(mark) != 1 or model["type"] != "BPE" or mark not in model["vocab"]:
        return None  # an unknown mark would be joined to an unknown character before it
    if not model["unk_token"]:
        return None  # an unknown character is dropped, so that the marks around it may be merged
    if any(map(model.get, ("ignore_merges", "continuing_subword_prefix", "end_of_word_suffix"))):
        return None  # the model treats the start or end of a word, or a whole word, in another way
    to_mark = re.compile(f"[^{re.escape(mark)}]{re.escape(mark)}")
    if any(to_mark.search("".join(merge)) for merge in model["merges"]):
        return None
    return " ", " " if prepend else "", [re.escape(mark)]


def _steps(component: Spec | None, name: str) -> list[Spec]:
    """Return the steps of a component, which may be a sequence of others."""
    if component is None:
        return []
    if component["type"] != "Sequence":
        return [component]
    return [step for one in component[name] for step in _steps(one, name)]


def _are_local(normalizers: list[Spec], breaks: str) -> bool:
    """Return whether the normalized text is that of its chunks, one after the other."""
    return all(
        one["type"] in _BETWEEN_BLANKS
        or (
            one["type"] == "Replace"
            and not set(one["pattern"].get("String") or breaks) & set(breaks)
        )
        for one in normalizers
    )


def _keeps_ids(processor: Spec) -> bool:
    """Return whether a post-processor that adds no special tokens leaves the ids as they are."""
    if processor["type"] == "TemplateProcessing":
        return sum("Sequence" in part for part in processor["single"]) == 1
    return processor["type"] in ("BertProcessing", "ByteLevel", "RobertaProcessing")
