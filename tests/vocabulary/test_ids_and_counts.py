"""The ids and counts of a vocabulary, and texts as ids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict

from finetune_embed import Tokenizer, Vocabulary, VocabularyError
from finetune_embed.vocabulary import CASED, WHITESPACE

TEXTS = ["b a b", "C c, b", "", "a d"]


@pytest.fixture
def vocab():
    return Vocabulary.from_texts(TEXTS)


def test_ids_are_ordered_by_count_then_by_word(vocab):
    assert vocab.index_to_key == ["<pad>", "<unk>", "b", "a", "c", ",", "d"]
    assert vocab.counts.tolist() == [0, 0, 3, 2, 2, 1, 1]
    assert vocab.counts.dtype == np.int64
    assert vocab.key_to_index == {word: i for i, word in enumerate(vocab.index_to_key)}
    assert (vocab.padding_idx, vocab.unk_idx, len(vocab)) == (0, 1, 7)
    assert "a" in vocab
    assert "C" not in vocab
    assert repr(vocab) == "Vocabulary(7 words, tokenizer 'glove')"


def test_the_order_of_texts_does_not_matter(vocab):
    reversed_texts = Vocabulary.from_texts(reversed(TEXTS))
    assert reversed_texts.index_to_key == vocab.index_to_key
    assert reversed_texts.counts.tolist() == vocab.counts.tolist()


@pytest.mark.parametrize(
    ("min_count", "words", "counts"),
    [(1, ["b", "a", "c", ",", "d"], [0, 0, 3, 2, 2, 1, 1]), (2, ["b", "a", "c"], [0, 2, 3, 2, 2])],
)
def test_rare_words_are_counted_for_unk(min_count, words, counts):
    vocab = Vocabulary.from_texts(TEXTS, min_count=min_count)
    assert vocab.index_to_key[2:] == words
    assert vocab.counts.tolist() == counts
    assert vocab.counts.sum() == 9


def test_no_word_is_left():
    message = (
        "no word occurs 4 times or more among the 9 tokens; .*, or keep rarer words: min_count=3"
    )
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.from_texts(TEXTS, min_count=4)
    message = "no word among the 0 tokens of the texts; check which column holds the texts"
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.from_texts(["", " "])


def test_special_words_in_the_texts_have_the_special_ids():
    vocab = Vocabulary.from_texts(["a <unk> <pad> <unk> a a"], WHITESPACE)
    assert vocab.index_to_key == ["<pad>", "<unk>", "a"]
    assert vocab.counts.tolist() == [0, 2, 3]


def test_from_a_data_set():
    dataset = Dataset.from_dict({"text": ["B a", "a"], "title": ["a c", "D"], "n": [1, 2]})
    assert Vocabulary.from_dataset(dataset, "text").index_to_key[2:] == ["a", "b"]
    both = Vocabulary.from_dataset(dataset, ["text", "title"])
    assert dict(zip(both.index_to_key[2:], both.counts[2:].tolist(), strict=True)) == {
        "a": 3,
        "b": 1,
        "c": 1,
        "d": 1,
    }
    cased = Vocabulary.from_dataset(dataset, ("text", "title"), Tokenizer.named("cased"), 1)
    assert cased.index_to_key[2:] == ["a", "B", "D", "c"]
    assert cased.tokenizer == CASED


def test_lists_of_tokens_are_not_tokenized_again():
    dataset = Dataset.from_dict({"words": [["New York", "can't"], ["new york"], []]})
    lower = Vocabulary.from_dataset(dataset, "words")
    assert lower.index_to_key[2:] == ["new york", "can't"]
    assert lower.counts.tolist() == [0, 0, 2, 1]
    cased = Vocabulary.from_dataset(dataset, "words", CASED)
    assert cased.index_to_key[2:] == ["New York", "can't", "new york"]
    ids, offsets = lower.encode([["NEW YORK", "x"], [], ["can't"]])
    assert ids.tolist() == [2, 1, 3]
    assert offsets.tolist() == [0, 2, 2]


def test_more_texts_than_go_into_one_batch():
    vocab = Vocabulary.from_texts(f"w{i % 3} x" for i in range(2_500))
    assert vocab.index_to_key[2:] == ["x", "w0", "w1", "w2"]
    assert vocab.counts.tolist() == [0, 0, 2_500, 834, 833, 833]
    ids, offsets = vocab.encode([f"w{i % 3} x" for i in range(2_500)])
    assert offsets.tolist() == list(range(0, 5_000, 2))
    assert ids[::2].tolist() == [3 + i % 3 for i in range(2_500)]


def test_invalid_data():
    dataset = Dataset.from_dict({"text": ["a", None], "n": [1, 2]})
    message = "there is no column 'body'; choose from 'text', 'n': columns="
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.from_dataset(dataset, "body")
    message = r"dataset has several splits: 'train'; pass one, such as dataset\['train'\]"
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.from_dataset(DatasetDict(train=dataset), "text")
    with pytest.raises(VocabularyError, match=r"None is neither a text nor a list of words; rem"):
        Vocabulary.from_dataset(dataset, "text")
    with pytest.raises(VocabularyError, match="1 is neither a text nor a list of words"):
        Vocabulary.from_dataset(dataset, "n")
    with pytest.raises(VocabularyError, match=r"are one string, 'a text', .*; pass \['a text'\]"):
        Vocabulary.from_texts("a text")


def test_encode_fits_embedding_bag(vocab):
    ids, offsets = vocab.encode(["b a x", "", "D"])
    assert ids.tolist() == [2, 3, 1, 6]
    assert offsets.tolist() == [0, 3, 3]
    assert ids.dtype == offsets.dtype == torch.int64
    weight = torch.randn(len(vocab), 4)
    bag = torch.nn.EmbeddingBag.from_pretrained(weight, mode="mean")
    expected = torch.stack([weight[[2, 3, 1]].mean(0), torch.zeros(4), weight[6]])
    torch.testing.assert_close(bag(ids, offsets), expected)


def test_encode_of_texts_and_lists_of_tokens_in_one_batch(vocab):
    mixed = ["b a", ["a", "C", "b a"], "", [], "d x", ("b",)]
    expected = [2, 3, 3, 4, 1, 6, 1, 2]
    ids, offsets = vocab.encode(mixed)
    assert ids.tolist() == expected
    assert offsets.tolist() == [0, 2, 5, 5, 5, 7]
    ids, offsets = vocab.encode(mixed[::-1])
    assert ids.tolist() == [2, 6, 1, 3, 4, 1, 2, 3]
    assert offsets.tolist() == [0, 1, 3, 3, 3, 6]
    for bad in (["a", None], [None, "a"], [["a"], 3]):
        with pytest.raises(VocabularyError, match=r"(None|3) is neither a text nor a list of word"):
            vocab.encode(bad)


def test_encode_of_nothing(vocab):
    for texts, rows in (([], 0), (["", " "], 2), ([[]], 1)):
        ids, offsets = vocab.encode(texts)
        assert ids.tolist() == []
        assert offsets.tolist() == [0] * rows
        assert ids.dtype == offsets.dtype == torch.int64
    with pytest.raises(VocabularyError, match=r"are one string, 'b a', not a list; pass \['b a"):
        vocab.encode("b a")


def test_lone_surrogates_anywhere():
    for texts in (["a \ud800 b"], [["a", "\ud800", "b"]]):
        vocab = Vocabulary.from_texts(texts, WHITESPACE)
        assert vocab.index_to_key[2:] == ["a", "b", "\ufffd"]
        assert vocab.encode(texts)[0].tolist() == [2, 4, 3]


def test_words_of_keeps_words_that_the_vocabulary_lacks(vocab):
    assert vocab.words_of(["B x", "", ["Q"]]) == [["b", "x"], [], ["q"]]


def test_extended_appends_new_words(vocab):
    longer = vocab.extended(["z", "a", "y", "z"])
    assert longer.index_to_key == [*vocab.index_to_key, "z", "y"]
    assert longer.counts.tolist() == [*vocab.counts.tolist(), 0, 0]
    assert longer.tokenizer == vocab.tokenizer
    rare = Vocabulary.from_texts(TEXTS, min_count=2).extended(["z"])
    assert rare.counts.tolist() == [0, 2, 3, 2, 2, 0]
