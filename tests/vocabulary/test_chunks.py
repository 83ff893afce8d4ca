"""Texts have the same ids when each distinct chunk of them is encoded once."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

import finetune_embed as fe
from finetune_embed.table import Chunking
from finetune_embed.vocabulary import chunks, pieces, tokenization, tokenize_texts
from finetune_embed.vocabulary.chunks import ChunkEncoder, encode_whole

WORDS = (
    "the cat sat on a mat unhappily it's they'll naïve café 東京 日本 running 123 a1 ☃ x . , ' -"
)
TEXTS = [f"{one} {other}  {one}\n{other}" for one, other in product(WORDS.split(), repeat=2)]
BLANKS = " \t\n\r"
MARK = "\u2581"
SPECIALS = ["[UNK]", "<s>", "</s>"]
#: Every white space, what is removed or becomes white space, and what composes or reorders.
POINTS = [*range(0x80, 0xD800), *range(0xE000, 0x10000)]
SPACES = [chr(point) for point in range(0x10000) if chr(point).isspace()]
ODD = [
    *SPACES,
    *" " * 20,
    *"\0\x01\x7f\xad\u200b\u200c\u200d\u200e\u2060\ufeff\ufffd\u0600\u180e\u2800",
    *"aAÅéßİΣ'’.,-_!1½ª¨ﬁ\u0301\u0308\u0323\u0345\u3099か\u1100\u1161\u11a8가日本東🙂👍🏽\ud800\udfff",
    MARK,
    MARK * 2,
    "  ",
    "\r\n",
    "\n\n  ",
    "[U",
    *SPECIALS * 6,
    *WORDS.split(),
]
ODD_TEXT = st.lists(st.one_of(st.sampled_from(ODD), st.characters()), max_size=25).map("".join)


def wordpiece(pre_tokenizer: Any = None, **options: Any) -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(**options)
    made.pre_tokenizer = pre_tokenizer or pre_tokenizers.BertPreTokenizer()
    special = [AddedToken(one, special=True) for one in SPECIALS]
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=special, show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    made.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 1))
    return made


def words(normalizer: Any = None, pre_tokenizer: Any = None) -> Tokenizer:
    known = dict.fromkeys(["[UNK]", "a b", "ab", "a\u00a0", *WORDS.split(), "cafe\u0301", "fi"])
    made = Tokenizer(models.WordLevel({one: at for at, one in enumerate(known)}, "[UNK]"))
    if normalizer is not None:
        made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizer or pre_tokenizers.Whitespace()
    made.add_special_tokens(
        [AddedToken("</s>", lstrip=True, rstrip=True), AddedToken("x", single_word=True)]
    )
    return made


def byte_level(prefix: bool = False, normalizer: Any = None, **options: Any) -> Tokenizer:
    made = Tokenizer(models.BPE())
    if normalizer is not None:
        made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, **options)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>"],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator([*TEXTS, "a \n\n  b\n   c\n\n\n" * 30], trainer)
    made.post_processor = processors.ByteLevel()
    return made


def unigram(scheme: Any = "always", normalizer: Any = None, **options: Any) -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizer or normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    made.pre_tokenizer = pre_tokenizers.Metaspace(MARK, scheme, **options)
    trainer = trainers.UnigramTrainer(
        vocab_size=90, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    return made


MERGES = [
    (MARK, MARK),
    (MARK * 2, MARK * 2),
    (MARK, "a"),
    ("a", "t"),
    ("c", "at"),
    (MARK, "cat"),
    (MARK * 2, "a"),
    ("<0x0A>", "a"),
    ("t", "<0x0A>"),
    ("[UNK]", "a"),
]


def one_word(
    merges: list[tuple[str, str]] | None = None,
    unsplit: str = "",
    lacking: str = "",
    **options: Any,
) -> Tokenizer:
    """Return a tokenizer as that of Llama 2: BPE of a text as one word."""
    merges = MERGES if merges is None else merges
    parts = ["[UNK]", "<s>", *"abcdehnstuy.1éÅ", MARK, "<0x0A>", "<0xE2>", "<0x98>", "<0x83>"]
    parts += [first + second for first, second in merges]
    vocab = {one: at for at, one in enumerate(dict.fromkeys(parts)) if one != lacking}
    settings = {"unk_token": "[UNK]", "fuse_unk": True, "byte_fallback": True, **options}
    made = Tokenizer(models.BPE(vocab, merges, **settings))
    if unsplit:
        made.pre_tokenizer = pre_tokenizers.Metaspace(MARK, unsplit, split=False)
    else:
        steps = [normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)]
        made.normalizer = normalizers.Sequence(steps)
    made.add_special_tokens(["[UNK]", "<s>"])
    return made


def twice(made: Tokenizer) -> Tokenizer:
    made.post_processor = processors.TemplateProcessing("$A <s>", None, [("<s>", 1)])
    once = fe.PipelineTokenizer(made.to_str()).chunking
    assert once is not None
    made.post_processor = processors.TemplateProcessing("$A $A")
    return made


def with_added(made: Tokenizer, *tokens: AddedToken) -> Tokenizer:
    made.add_tokens(list(tokens))
    return made


def followed(*steps: Any) -> Any:
    return pre_tokenizers.Sequence(list(steps))


CUT: dict[str, tuple[str, str, Callable[[], Tokenizer]]] = {
    "wordpiece": (BLANKS, "", wordpiece),
    "wordpiece, cased": (BLANKS, "", lambda: wordpiece(lowercase=False, clean_text=False)),
    "wordpiece, accents": (BLANKS, "", lambda: wordpiece(strip_accents=False)),
    "wordpiece, whitespace": (
        BLANKS,
        "",
        lambda: wordpiece(
            followed(
                pre_tokenizers.WhitespaceSplit(),
                pre_tokenizers.Punctuation("contiguous"),
                pre_tokenizers.Digits(True),
            )
        ),
    ),
    "words": (BLANKS, "", words),
    "words, normalized": (
        BLANKS,
        "",
        lambda: with_added(
            words(
                normalizers.Sequence(
                    [
                        normalizers.NFKC(),
                        normalizers.Replace("’", " '"),
                        normalizers.Lowercase(),
                        normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
                        normalizers.NFC(),
                    ]
                )
            )
        ),
    ),
    "byte level": (BLANKS, "", byte_level),
    "byte level, prefix": (" ", "", lambda: byte_level(True, normalizers.NFC())),
    "unigram": (" ", "", unigram),
    "unigram, first": (" ", "", lambda: unigram("first", normalizers.BertNormalizer())),
    "unigram, never": (" ", "", lambda: unigram("never", normalizers.NFD())),
    "one word": (" ", " ", one_word),
    "one word, unknown": (" ", " ", lambda: one_word(byte_fallback=False, fuse_unk=False)),
    "one word, first": (" ", "", lambda: one_word(unsplit="first")),
    "one word, never": (" ", "", lambda: one_word(unsplit="never", byte_fallback=False)),
}
MADE = {
    (name, drops): fe.PipelineTokenizer(made, drops)
    for name, made in ((name, make().to_str()) for name, (_, _, make) in CUT.items())
    for drops in (False, True)
}


def tokenized(texts: list[str], tokenizer: fe.PipelineTokenizer) -> list[list[str]]:
    """Return the tokens of each text by its chunks, compiled and in Python, in several batches."""
    results = []
    for native in (tokenization.native, None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tokenization, "native", native)
            patch.setattr(tokenization, "PIECES", 40)
            patch.setattr(pieces, "MANY", 0)
            patch.setattr(chunks, "REMEMBERED", 30)
            patch.setattr(chunks, "GROUP", 3)
            results.append(tokenize_texts(texts, tokenizer))
    found, other = results
    assert found.tokens == other.tokens
    assert found.numbers.tolist() == other.numbers.tolist()
    assert found.lengths.tolist() == other.lengths.tolist()
    assert found.numbers.dtype == found.lengths.dtype == np.int32
    tokens = iter([found.tokens[number] for number in found.numbers.tolist()])
    return [[next(tokens) for _ in range(length)] for length in found.lengths.tolist()]


@pytest.mark.parametrize("name", CUT)
@settings(max_examples=settings().max_examples // 2)
@given(texts=st.lists(ODD_TEXT, max_size=6), drops_unknown=st.booleans())
def test_the_tokens_are_those_of_whole_texts(name, texts, drops_unknown):
    tokenizer = MADE[name, drops_unknown]
    assert tokenized(texts, tokenizer) == [tokenizer.tokenize(text) for text in texts]


def is_odd(char: str) -> bool:
    """Return whether a character may be a space, is not seen, or changes what is beside it."""
    normal = unicodedata.normalize("NFKC", char)
    hidden = unicodedata.category(char)[0] in "CZ" and unicodedata.category(char) not in (
        "Cn",
        "Co",
    )
    return hidden or " " in normal or unicodedata.combining(char) > 0 or normal != char


@pytest.mark.parametrize("name", CUT)
def test_odd_characters_at_both_ends_of_a_chunk(name):
    odd = [*map(chr, range(0x80)), *filter(is_odd, map(chr, POINTS)), *SPACES]
    some = [*odd[:128], *odd[-len(SPACES) :], *odd[::5]]
    assert len(some) > 700
    tokenizer = MADE[name, False]
    texts = [" ".join(f"cat{one} {one}cat  {one} \n" for one in some[at::90]) for at in range(90)]
    expected, chunking = encode_whole(tokenizer, texts), tokenizer.chunking
    assert chunking is not None
    assert chunking[:2] == CUT[name][:2]
    for ids, found in zip(
        expected, ChunkEncoder(tokenizer, chunking, None).encode(texts), strict=True
    ):
        assert found.tolist() == ids.tolist()


def joined(merge: tuple[str, str]) -> Callable[[], Tokenizer]:
    return lambda: one_word([*MERGES, merge])


#: Pipelines whose texts are not cut, and a text that would have other ids; None if it may have.
NOT_CUT: dict[str, tuple[str, str, str | None, Callable[[], Tokenizer]]] = {
    "an added token with a space": (
        BLANKS,
        "",
        "the cat sat",
        lambda: with_added(words(), AddedToken("cat sat", normalized=False)),
    ),
    "an added token that is normalized": (
        " ",
        "",
        "<B>  c",
        lambda: with_added(
            unigram(normalizer=normalizers.Lowercase()), AddedToken("<B>", rstrip=True)
        ),
    ),
    "a pattern that may match a space": (
        BLANKS,
        "",
        "a b",
        lambda: words(normalizers.Replace(Regex(r"\s+"), "")),
    ),
    "a string with a space": (BLANKS, "", "a b", lambda: words(normalizers.Replace("a b", "x"))),
    "an empty pattern": (BLANKS, "", None, lambda: words(normalizers.Replace("", "x"))),
    "white space is stripped": (
        " ",
        "",
        "a\u00a0 b",
        lambda: unigram("never", normalizers.Strip()),
    ),
    "a normalizer that is not known": (BLANKS, "", None, lambda: words(normalizers.ByteLevel())),
    "a mark before texts, which are split": (
        " ",
        "",
        "a b",
        lambda: unigram("never", normalizers.Prepend(MARK)),
    ),
    "no pre-tokenizer": (BLANKS, "", "a b", lambda: words(None, pre_tokenizers.Sequence([]))),
    "not split at white space": (
        BLANKS,
        "",
        "a b",
        lambda: words(None, pre_tokenizers.Punctuation()),
    ),
    "split at a pattern": (
        BLANKS,
        "",
        "a b",
        lambda: words(None, pre_tokenizers.Split(Regex("a b"), "isolated")),
    ),
    "a mark before words": (BLANKS, "", None, lambda: unigram_after_split()),
    "bytes without the pattern": (BLANKS, "", "a b", lambda: spaced_bytes()),
    "bytes, of new white space": (
        BLANKS,
        "",
        "a_  b",
        lambda: byte_level(normalizer=normalizers.Replace("_", " \n\n")),
    ),
    "a merge from a letter to a mark": (" ", " ", "h c", joined(("h", MARK))),
    "a merge of words": (" ", " ", "a cat", joined((MARK + "a", MARK + "cat"))),
    "a merge of an unknown character": (" ", " ", "\u20ac c", joined(("[UNK]", MARK))),
    "a mark that is unknown": (" ", " ", "\u20ac \u20ac", lambda: unknown_mark()),
    "an unknown character that is dropped": (
        " ",
        " ",
        "a \u20ac a",
        lambda: one_word(unk_token=None, byte_fallback=False),
    ),
    "whole words first": (" ", " ", "a cat", lambda: whole_words()),
    "ends of words": (" ", " ", "a cat", lambda: one_word([], end_of_word_suffix="t")),
    "within words": (" ", " ", "a cat", lambda: one_word([], continuing_subword_prefix="c")),
    "one word of another model": (" ", " ", "a cat", lambda: one_word_of_unigram()),
    "dropout": (" ", " ", None, lambda: one_word(dropout=0.5)),
    "a template with the text twice": (BLANKS, "", "the cat", lambda: twice(wordpiece())),
}


def unigram_after_split() -> Tokenizer:
    made = unigram("first")
    made.pre_tokenizer = followed(pre_tokenizers.WhitespaceSplit(), made.pre_tokenizer)
    return made


def spaced_bytes() -> Tokenizer:
    vocab = {one: at for at, one in enumerate(["a", "b", "\u0120", "a\u0120"])}
    made = Tokenizer(models.BPE(vocab, [("a", "\u0120")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return made


def unknown_mark() -> Tokenizer:
    made = one_word([("a", "t")], lacking=MARK, byte_fallback=False)
    assert MARK not in made.get_vocab()
    return made


def whole_words() -> Tokenizer:
    spec = one_word([("c", "at"), ("a", "t")], ignore_merges=True)
    vocab = {**spec.get_vocab(), f"{MARK}a{MARK}cat": 99}
    made = Tokenizer(models.BPE(vocab, [("a", "t"), ("c", "at")], ignore_merges=True))
    made.normalizer = spec.normalizer
    return made


def one_word_of_unigram() -> Tokenizer:
    made = one_word()
    scored = [(one, -1.0) for one in [*made.get_vocab(), f"{MARK}a{MARK}cat"]]
    made.model = models.Unigram(scored, 0, False)
    return made


@pytest.mark.parametrize("name", NOT_CUT)
def test_pipelines_that_are_not_cut(name, monkeypatch):
    monkeypatch.setattr(pieces, "MANY", 0)
    monkeypatch.setattr(chunks, "GROUP", 1)
    breaks, prefix, text, make = NOT_CUT[name]
    tokenizer = fe.PipelineTokenizer(make().to_str())
    assert tokenizer.chunking is None
    if text is None:
        return
    found = tokenize_texts([text], tokenizer)
    assert [found.tokens[number] for number in found.numbers] == tokenizer.tokenize(text)
    cut = ChunkEncoder(tokenizer, Chunking(breaks, prefix, None), None).encode([text])
    assert cut[0].tolist() != encode_whole(tokenizer, [text])[0].tolist()


@pytest.mark.parametrize("native", [True, False])
def test_each_distinct_chunk_is_encoded_once(native, monkeypatch):
    encoded: list[str] = []

    def recorded(tokenizer: fe.PipelineTokenizer, texts: list[str]) -> Any:
        encoded.extend(texts)
        return encode_whole(tokenizer, texts)

    texts = ["the cat sat\n", "", "the cat", "the <s>  cat ", "sat the cat sat"]
    for name in ("encode_whole", "encode_parts"):
        monkeypatch.setattr(chunks, name, recorded)
    monkeypatch.setattr(pieces, "MANY", sum(map(len, texts)))
    if not native:
        monkeypatch.setattr(tokenization, "native", None)
    tokenize_texts(texts, MADE["wordpiece", False])
    in_chunks = ["the", " cat", " sat\n", " <s>", "  cat ", "sat", " the", " sat"]
    assert encoded == in_chunks
    encoded.clear()
    tokenize_texts(texts, MADE["one word", False])
    in_chunks = ["the", "cat", "sat\n", "", "<s>", " cat ", "sat"]
    assert encoded == [*in_chunks, "the <s>  cat "]
    encoded.clear()
    monkeypatch.setattr(pieces, "MANY", sum(map(len, texts)) + 1)
    monkeypatch.setattr(pieces, "encode_whole", recorded)
    tokenize_texts(texts, MADE["wordpiece", False])
    assert encoded == texts


def test_an_error_names_the_text(monkeypatch):
    monkeypatch.setattr(pieces, "MANY", 0)
    made = Tokenizer(models.WordLevel({"the": 0, "cat": 1}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = fe.PipelineTokenizer(made.to_str())
    assert tokenizer.chunking is not None
    with pytest.raises(fe.VocabularyError, match="fails on 'the dog': WordLevel error") as caught:
        tokenize_texts(["the cat", "", "the dog", "a cat"], tokenizer)
    assert caught.value.value == "the dog"
