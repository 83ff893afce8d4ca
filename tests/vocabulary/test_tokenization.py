"""Texts cut at once are cut as the `tokenizers` pipeline cuts them, whatever is in them."""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import Tokenizer, Vocabulary, VocabularyError
from finetune_embed.vocabulary import CASED, GLOVE, WHITESPACE, TokenizedTexts
from finetune_embed.vocabulary import tokenization as cutting
from finetune_embed.vocabulary.tokenizer import CONVENTIONS, well_formed

SPECIALS = ("<s>", "[Num]", "<s>>", "n't", "İ")
CUTTERS = {
    **CONVENTIONS,
    **{f"{name}+": replace(one, specials=SPECIALS) for name, one in CONVENTIONS.items()},
}
ODD = [
    *" \t\n\r\x1c\x1f\0aBz3'’.,-_!Σσςİıß\u0301\u0308\u0345\u0085\u00a0\u2028\u2000\u3000",
    *"\u200d\u200c\ufeff\u212b\u1e9b\u0958\u0344\ud800\udfff🙂日\u093f",
    "n't",
    "N'T",
    "u.s.",
    "\ud83d",
    "\ude42",
    "  ",
    *SPECIALS,
]
ODD_TEXT = st.lists(st.one_of(st.sampled_from(ODD), st.characters()), max_size=25).map("".join)


def cut(texts: Any, tokenizer: Tokenizer) -> TokenizedTexts:
    """Cut texts by the compiled loop and by the one in Python, which agree."""
    texts = texts if isinstance(texts, str) else list(texts)
    found = cutting.tokenize_texts(texts, tokenizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "native", None)
        other = cutting.tokenize_texts(texts, tokenizer)
    assert found.words == other.words
    assert found.numbers.tolist() == other.numbers.tolist()
    assert found.lengths.tolist() == other.lengths.tolist()
    return found


def words_of(found: TokenizedTexts) -> list[list[str]]:
    """Return the words of each text."""
    assert found.numbers.dtype == found.lengths.dtype == np.int32
    words = iter(found.words[number] for number in found.numbers.tolist())
    return [[next(words) for _ in range(length)] for length in found.lengths.tolist()]


def specified(texts: list[str], tokenizer: Tokenizer, words: list[str]) -> list[list[str]]:
    """Return the words of each text as the pipeline finds them; `?` for one not among `words`."""
    known = ["?", *dict.fromkeys([*tokenizer.specials, *words])]
    pipeline = tokenizer.pipeline({word: number for number, word in enumerate(known)}, "?")
    clean = [well_formed(text) for text in texts]
    return [
        [known[number] for number in one.ids]
        for one in pipeline.encode_batch(clean, add_special_tokens=False)
    ]


@pytest.mark.parametrize("tokenizer", CUTTERS.values(), ids=CUTTERS)
@given(texts=st.lists(ODD_TEXT, max_size=5))
def test_the_words_are_those_of_the_pipeline(tokenizer, texts):
    assert tokenizer.within_spaces
    found = cut(texts, tokenizer)
    assert words_of(found) == specified(texts, tokenizer, found.words)
    assert words_of(found) == [tokenizer.tokenize(text) for text in texts]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CONVENTIONS, "glove+"])
def test_every_code_point_within_a_word_and_at_both_ends_of_a_piece(name):
    tokenizer = CUTTERS[name]
    points = [
        chr(point)
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) not in ("Cn", "Co", "Cs")
    ]
    assert len(points) > 140_000
    assert {" ", "\0", "\u0301", "İ", "Σ", "\U000e0001"} <= set(points)
    texts = [
        " ".join(f"A{c}b n't{c} {c}'s {c} " for c in points[at : at + 500])
        for at in range(0, len(points), 500)
    ]
    found = cut(texts, tokenizer)
    assert words_of(found) == specified(texts, tokenizer, found.words)


@pytest.mark.parametrize("tokenizer", CONVENTIONS.values(), ids=CONVENTIONS)
def test_ascii_is_cut_by_python_as_by_the_pipeline(tokenizer):
    characters = [chr(point) for point in range(128) if chr(point) != " "]
    pieces = ["".join(pair) for pair in product(characters, repeat=2)]
    pieces += ["".join(some) for some in product("aN'T.3,-_:\t\x1c!", repeat=4)]
    pieces += [a + b + c for a, b, c in product(["", "ca", "it", "1", "u."], ODD[:26], ODD[20:40])]
    pieces = [piece for piece in dict.fromkeys(pieces) if piece.isascii() and " " not in piece]
    assert len(pieces) > 40_000
    words: list[list[str]] = [[]]
    for word in tokenizer.tokenize_pieces(pieces):
        words.append([]) if word == " " else words[-1].append(word)
    assert words.pop() == []
    assert words == [tokenizer.tokenize(piece) for piece in pieces]
    assert words == words_of(cutting.tokenize_texts(pieces, tokenizer))


compiled = pytest.mark.skipif(cutting.native is None, reason="the compiled loop was not built here")


@compiled
def test_what_the_compiled_loop_is_given():
    with pytest.raises(ValueError, match="a special token is empty"):
        cutting.native.TextTokenizer(True, True, [b"<s>", b""])
    cutter = cutting.native.TextTokenizer(True, True, [b"<s>"])
    for bad in (3, [3], [None]):
        with pytest.raises(TypeError):
            cutter.tokenize(bad)
        with pytest.raises(TypeError):
            cutter.numbers(bad)
    numbers, lengths, pieces = cutter.tokenize(["A a", "\xe9 <s>b A".encode(), b"", "\xe9"])
    assert np.frombuffer(numbers, np.int32).tolist() == [0, 0, -1, -2, 0, -1]
    assert np.frombuffer(lengths, np.int32).tolist() == [2, 3, 0, 1]
    assert pieces == ["\xe9".encode(), b"<s>b"]
    assert np.frombuffer(cutter.numbers([b"b", b"a"]), np.int32).tolist() == [1, 0]
    assert cutter.words() == ["a", "b"]
    assert cutter.tokenize(["\xe9 x"])[2] == []
    cutter.forget()
    assert cutter.tokenize(["\xe9 x"])[2] == ["\xe9".encode()]
    assert cutter.words() == ["a", "b", "x"]


@compiled
def test_many_words_are_numbered_and_told():
    words = [f"w{i}" for i in range(50_000)]
    found = cutting.tokenize_texts([" ".join(words), " ".join(words[::-1])], GLOVE)
    assert found.words == words
    assert found.numbers.tolist() == [*range(50_000), *range(49_999, -1, -1)]


SPACED = [
    Tokenizer(pattern=r"\w+ \w+|\S+"),
    Tokenizer(pattern=r" ?\w+", lowercase=False, normalize=False),
    replace(GLOVE, specials=("New York", "<s>")),
    replace(WHITESPACE, specials=(" ",)),
]


@pytest.mark.parametrize("tokenizer", SPACED)
@given(texts=st.lists(st.text(st.sampled_from("ab NewYork<s>,"), max_size=12), max_size=4))
def test_words_that_reach_across_spaces(tokenizer, texts):
    assert not tokenizer.within_spaces
    texts = [*texts, "a b c", "in New York <s>"]
    found = cut(texts, tokenizer)
    assert words_of(found) == specified(texts, tokenizer, found.words)
    assert any(" " in word for word in found.words)


@pytest.mark.parametrize(("characters", "remembered"), [(1, 0), (9, 3), (40, 10**6)])
@pytest.mark.parametrize("tokenizer", [GLOVE, SPACED[0]])
def test_the_size_of_batches_and_of_what_is_remembered_does_not_matter(
    monkeypatch, tokenizer, characters, remembered
):
    texts = [f"w{i % 7} x  y{i % 3}é, " * (i % 4) for i in range(60)]
    once = cut(texts, tokenizer)
    monkeypatch.setattr(cutting, "CHARACTERS", characters)
    monkeypatch.setattr(cutting, "WORDS", characters)
    monkeypatch.setattr(cutting, "REMEMBERED", remembered)
    again = cut(iter(texts), tokenizer)
    assert again.words == once.words
    assert again.numbers.tolist() == once.numbers.tolist()
    assert again.lengths.tolist() == once.lengths.tolist()
    assert words_of(once) == [tokenizer.tokenize(text) for text in texts]


MIXED = [
    "B a b",
    ["B", "New York", "<S>"],
    "c, A",
    "",
    [],
    ("b", "\ud800", " "),
    "<s>b",
    np.str_("z"),
]


@pytest.mark.parametrize("tokenizer", [GLOVE, CASED, CUTTERS["glove+"], SPACED[0]])
def test_texts_and_lists_of_words_may_be_mixed(tokenizer):
    found = cut(MIXED, tokenizer)
    lower = str.lower if tokenizer.lowercase else str
    expected = [
        tokenizer.tokenize(text) if isinstance(text, str) else [lower(well_formed(w)) for w in text]
        for text in MIXED
    ]
    assert words_of(found) == expected
    assert len(found) == len(MIXED)
    assert found.words == list(dict.fromkeys(word for words in expected for word in words))
    counts = found.counts
    assert counts["z"] == 1
    assert counts[lower("B")] == sum(words.count(lower("B")) for words in expected) > 1
    assert sum(counts.values()) == len(found.numbers)


def test_nothing_to_cut():
    for texts, rows in (([], 0), ([""], 1), (["", "  "], 2), ([[]], 1), ([" ", []], 2)):
        found = cut(texts, GLOVE)
        assert (found.words, found.numbers.tolist(), found.lengths.tolist()) == ([], [], [0] * rows)
        assert found.counts == {}
        assert found.numbers.dtype == found.lengths.dtype == np.int32


@pytest.mark.parametrize("bad", [None, 3, ["a", None], b"ab"])
@pytest.mark.parametrize("tokenizer", [GLOVE, SPACED[0]])
def test_what_is_no_text(tokenizer, bad):
    with pytest.raises(VocabularyError, match="is neither a text nor a list of words; remove such"):
        cut(["a b", bad], tokenizer)
    with pytest.raises(VocabularyError, match=r"pass a list of texts, \['a b'\], not one string"):
        cut("a b", tokenizer)


@given(st.lists(st.one_of(ODD_TEXT, st.lists(st.sampled_from(ODD), max_size=4)), max_size=5))
def test_a_vocabulary_and_the_ids_of_texts_that_were_cut_once(texts):
    texts = ["x x", *texts]  # a word that occurs twice
    for tokenizer in (CUTTERS["glove+"], WHITESPACE):
        found = cut(texts, tokenizer)
        vocab = Vocabulary.from_counts(found.counts, tokenizer, 2 if len(found.numbers) > 20 else 1)
        words = [word for words in words_of(found) for word in words]
        of_texts = Vocabulary.from_texts(texts, tokenizer, 2 if len(words) > 20 else 1)
        assert vocab.index_to_key == of_texts.index_to_key
        assert vocab.counts.tolist() == of_texts.counts.tolist()
        assert vocab.counts.sum() == len(words)
        assert vocab.counts[vocab.first_word :].tolist() == [
            words.count(word) for word in vocab.index_to_key[vocab.first_word :]
        ]
        key = [(-words.count(word), word) for word in vocab.index_to_key[vocab.first_word :]]
        assert key == sorted(key)
        ids, offsets = vocab.encode(found)
        assert ids.tolist() == [vocab.key_to_index.get(word, vocab.unk_idx) for word in words]
        assert offsets.tolist() == [0, *np.cumsum(found.lengths)[:-1].tolist()]
        assert vocab.words_of(texts) == words_of(found)
