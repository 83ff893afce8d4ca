"""A vocabulary as a `tokenizer.json`."""

from __future__ import annotations

import json
import os

import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import PipelineTokenizer, Special, Tokenizer, Vocabulary, VocabularyError
from finetune_embed.vocabulary import CASED, GLOVE, WHITESPACE

TEXTS = ["b a b", "C c, b", "", "a d"]


@pytest.fixture
def vocab():
    return Vocabulary.from_texts(TEXTS)


@pytest.mark.parametrize(
    "tokenizer", [GLOVE, CASED, WHITESPACE, Tokenizer(pattern="[a-c]", normalize=False)]
)
def test_saved_and_loaded(tmp_path, tokenizer):
    texts = ["B a b", "can’t C-c,", '日本 \0 \u2028 "q\\']
    vocab = Vocabulary.from_texts(texts, tokenizer)
    vocab.save(tmp_path / "tokenizer.json")
    loaded = Vocabulary.load(tmp_path / "tokenizer.json")
    assert loaded.index_to_key == vocab.index_to_key
    assert loaded.tokenizer == tokenizer
    assert loaded.counts.tolist() == [0] * len(vocab)
    unseen = [*texts, "x B \ud83d\ude42", ""]
    for ours, theirs in zip(loaded.encode(unseen), vocab.encode(unseen), strict=True):
        assert torch.equal(ours, theirs)


def test_the_tokenizers_library_gives_the_same_ids(tmp_path, vocab):
    vocab.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(os.fspath(tmp_path / "tokenizer.json"))
    assert theirs.get_vocab() == vocab.key_to_index
    for text in ["B a’s can't", "x", "", "d, D", "<unk> <pad>"]:
        assert theirs.encode(text).ids == vocab.encode([text])[0].tolist()


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_any_text_survives_saving(texts):
    vocab = Vocabulary.from_texts(["x", *texts], WHITESPACE)
    pipeline = tokenizers.Tokenizer.from_str(vocab._pipeline.to_str())
    assert pipeline.get_vocab() == vocab.key_to_index
    assert vocab.counts.sum() == 1 + sum(len(WHITESPACE.tokenize(text)) for text in texts)


def a_vocabulary_of_pieces() -> Vocabulary:
    ids = {"[UNK]": 0, "king": 1, "queen": 2, "##s": 3, "é\u2028": 4}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.enable_truncation(2)
    tokenizer = PipelineTokenizer(made.to_str(), drops_unknown=True)
    special = Special("[x]", "zeros", trainable=False)
    texts = ["queens king queens", "[x] unknown king [man]"]
    return Vocabulary.from_texts(texts, tokenizer, specials=[special, "[man]"])


def test_a_vocabulary_of_pieces(tmp_path):
    vocab, path = a_vocabulary_of_pieces(), tmp_path / "vocabulary.json"
    vocab.save(path)
    again = Vocabulary.load(path)
    assert again.index_to_key == vocab.index_to_key
    assert again.tokenizer == vocab.tokenizer
    assert [one.token for one in again.specials] == ["[x]", "[man]"]
    texts = ["kings [x]queen", "zzz", "", "[man] kings queens king queens"]
    for ours, theirs in zip(again.encode(texts), vocab.encode(texts), strict=True):
        assert torch.equal(ours, theirs)
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        {"words": [1]},
        {"words": "king"},
        {"words": ["king", "king"]},
        {"words": ["no such piece"]},
        {"specials": None},
        {"drops_unknown": 1},
        {"tokenizer": "{}"},
        {"tokenizer": 3},
    ],
    ids=str,
)
def test_a_damaged_vocabulary_of_pieces_is_one_error(tmp_path, damage):
    content = json.loads(a_vocabulary_of_pieces().to_json())
    (tmp_path / "bad.json").write_text(json.dumps({**content, **damage}))
    with pytest.raises(VocabularyError, match=r"bad.json: cannot be read as a tokenizer"):
        Vocabulary.load(tmp_path / "bad.json")


def test_invalid_files(tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    for name in ("bad.json", "absent.json"):
        with pytest.raises(VocabularyError, match=rf"{name}: cannot be read as a tokenizer"):
            Vocabulary.load(tmp_path / name)


def test_a_tokenizer_of_something_else(tmp_path):
    path = tmp_path / "other.json"
    tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0}, "<unk>")).save(str(path))
    with pytest.raises(VocabularyError, match="not written by finetune_embed; pass") as raised:
        Vocabulary.load(path)
    assert raised.value.where == path
