from __future__ import annotations

import pickle

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import EmbeddingTable, Tokenizer, Vocabulary, VocabularyError
from finetune_embed.vocabulary import CASED, GLOVE, WHITESPACE, words_in
from finetune_embed.vocabulary.tokenizer import well_formed

CONVENTIONS = [GLOVE, CASED, WHITESPACE]
TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("aB'’.-,3 \n\u0301\u00a0İΣß\ud800\udfff")),
    max_size=40,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I can't.", "i|ca|n't|."),
        ("I can’t.", "i|ca|n't|."),
        ("CAN'T DON'T", "ca|n't|do|n't"),
        ("it's They'll we've he'd I'm you're", "it|'s|they|'ll|we|'ve|he|'d|i|'m|you|'re"),
        ("the dogs' 'em o'clock", "the|dogs|'|'|em|o|'|clock"),
        ("'sofa' 'dear", "'|sofa|'|'|dear"),
        ("the u.s. and e.g. Dr. No.", "the|u.s.|and|e.g.|dr|.|no|."),
        ("3,000.50 12:30 3. 1,5,6", "3,000.50|12:30|3|.|1,5,6"),
        ("20th 1990s 20-year-old 2007-08 b2b", "20th|1990s|20-year-old|2007-08|b2b"),
        ("a well-known re-elect -x- y--z", "a|well-known|re-elect|-|x|-|y|--|z"),
        ("wait... what.. $5 (50%)!", "wait|...|what|..|$|5|(|50|%|)|!"),
        ("a\u00a0b\u2003c\td\ne", "a|b|c|d|e"),
        ("Cafe\u0301 CAFÉ", "café|café"),
        ("日本語 中文, Ελλάδα", "日本語|中文|,|ελλάδα"),
        ("हिन्दी", "हिन्दी"),
        ("🙂🙂", "🙂|🙂"),
        ("snake_case", "snake_case"),
        ("", ""),
        (" \n\t ", ""),
    ],
)
def test_glove_convention(text, words):
    assert GLOVE.tokenize(text) == [word for word in words.split("|") if word]


def test_cased_convention_differs_in_case_alone():
    assert CASED.tokenize("They’ll CAN'T IT'S u.S.") == [
        "They",
        "'ll",
        "CA",
        "N'T",
        "IT",
        "'S",
        "u.S.",
    ]


def test_whitespace_convention_does_not_change_words():
    assert WHITESPACE.tokenize("Cafe\u0301 can’t, X-y!\n z\u00a0w") == [
        "Cafe\u0301",
        "can’t,",
        "X-y!",
        "z",
        "w",
    ]


def test_a_custom_convention():
    tokenizer = Tokenizer(lowercase=True, pattern=r"[a-z]", normalize=False)
    assert tokenizer.tokenize("A1b") == ["a", "b"]
    assert tokenizer.name == "custom"


def test_names():
    assert [Tokenizer.named(name) for name in ("glove", "cased", "whitespace")] == CONVENTIONS
    assert [convention.name for convention in CONVENTIONS] == ["glove", "cased", "whitespace"]
    message = (
        "tokenizer='bert' is not a known tokenizer; choose from glove, cased, whitespace, or make "
        r"your own: Tokenizer\(lowercase=\.\.\., pattern=\.\.\.\)"
    )
    with pytest.raises(VocabularyError, match=message):
        Tokenizer.named("bert")


def test_values_are_equal_hashable_and_survive_pickling():
    GLOVE.tokenize("x")  # fills the caches, which must not matter
    assert Tokenizer() == GLOVE
    assert hash(Tokenizer()) == hash(GLOVE)
    assert pickle.loads(pickle.dumps(Tokenizer(lowercase=False))) == CASED


def test_the_words_of_many_texts_take_two_pipelines(monkeypatch):
    made, plain = [], Tokenizer.to_pipeline

    def counted(tokenizer: Tokenizer, *arguments: object) -> tokenizers.Tokenizer:
        made.append(tokenizer)
        return plain(tokenizer, *arguments)

    monkeypatch.setattr(Tokenizer, "to_pipeline", counted)
    tokenizer = Tokenizer(specials=("<x>",))
    texts = ["The King", "its İ", "<x>Queen"] * 10
    expected = [["The", "King"], ["its", "İ"], ["<x>", "Queen"]] * 10
    assert [words_in(text, tokenizer) for text in texts] == expected
    assert len(made) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["the", "king", "3", "."], GLOVE),
        (["the", "King", "3", "."], CASED),
        (["w"] * 99 + ["X"], GLOVE),
        (["w"] * 98 + ["X", "Y"], CASED),
        (["3,000", ".", "<UNK>", "A1"], GLOVE),
        ([], GLOVE),
        (["日本", "中文"], GLOVE),
        (["w"] * 50_000 + ["X"] * 50_000, GLOVE),
    ],
)
def test_for_table_looks_at_the_case_of_the_most_frequent_words(words, expected):
    table = EmbeddingTable(words, np.zeros((len(words), 1)))
    assert Tokenizer.for_table(table) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fine", "fine"),
        ("a\ud800b", "a\ufffdb"),
        ("\udfff", "\ufffd"),
        ("\ud83d\ude42", "🙂"),
        ("\ude42\ud83d", "\ufffd\ufffd"),
        ("🙂\udcff", "🙂\ufffd"),
    ],
)
def test_lone_surrogates_become_replacement_characters(text, expected):
    assert well_formed(text) == expected
    assert WHITESPACE.tokenize(text) == [expected]


@given(TEXT)
def test_tokens_are_parts_of_the_text_in_order(text):
    clean = well_formed(text)
    position = 0
    for word in WHITESPACE.tokenize(text):
        position = clean.index(word, position) + len(word)
    assert "".join(WHITESPACE.tokenize(text)) == "".join(
        word for word in WHITESPACE.tokenize(" ".join(clean))
    )


@pytest.mark.parametrize("tokenizer", CONVENTIONS, ids=lambda tokenizer: tokenizer.name)
@given(text=TEXT)
def test_encode_tokenizes_and_looks_ids_up(tokenizer, text):
    words = tokenizer.tokenize(text)
    vocab = Vocabulary(dict.fromkeys(["a", "b", "'", *words[::2]], 1), tokenizer)
    expected = [vocab.key_to_index.get(word, vocab.unk_idx) for word in words]
    ids, offsets = vocab.encode([text, "", text])
    assert ids.tolist() == expected * 2
    assert offsets.tolist() == [0, len(expected), len(expected)]


@pytest.mark.parametrize("tokenizer", CONVENTIONS, ids=lambda tokenizer: tokenizer.name)
def test_a_pipeline_gives_back_its_convention(tokenizer):
    pipeline = tokenizer.pipeline({"<unk>": 0}, "<unk>")
    assert Tokenizer.from_pipeline(pipeline) == tokenizer
    reread = tokenizers.Tokenizer.from_str(pipeline.to_str())
    assert Tokenizer.from_pipeline(reread) == tokenizer


def test_a_pipeline_of_something_else_is_refused():
    pipeline = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0}, "<unk>"))
    with pytest.raises(VocabularyError, match=r"not written by finetune_embed; pass the tokenizer"):
        Tokenizer.from_pipeline(pipeline)
    pipeline.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    with pytest.raises(VocabularyError, match=r"not written by finetune_embed; pass the tokenizer"):
        Tokenizer.from_pipeline(pipeline)
