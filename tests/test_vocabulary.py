from __future__ import annotations

import os

import numpy as np
import pytest
import tokenizers
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import Coverage, EmbeddingTable, Tokenizer, Vocabulary, VocabularyError
from finetune_embed.tokenizer import CASED, GLOVE, WHITESPACE

TEXTS = ["b a b", "C c, b", "", "a d"]


@pytest.fixture
def vocab():
    return Vocabulary.from_texts(TEXTS)


def test_ids_go_by_count_then_by_word(vocab):
    assert vocab.index_to_key == ["<pad>", "<unk>", "b", "a", "c", ",", "d"]
    assert vocab.counts.tolist() == [0, 0, 3, 2, 2, 1, 1]
    assert vocab.counts.dtype == np.int64
    assert vocab.key_to_index == {word: i for i, word in enumerate(vocab.index_to_key)}
    assert (vocab.padding_idx, vocab.unk_idx, len(vocab)) == (0, 1, 7)
    assert "a" in vocab
    assert "C" not in vocab
    assert repr(vocab) == "Vocabulary(7 words, tokenizer 'glove')"


def test_the_order_of_texts_does_not_matter(vocab):
    turned = Vocabulary.from_texts(reversed(TEXTS))
    assert turned.index_to_key == vocab.index_to_key
    assert turned.counts.tolist() == vocab.counts.tolist()


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
    with pytest.raises(VocabularyError, match="no word occurs 4 times or more among 9 running wor"):
        Vocabulary.from_texts(TEXTS, min_count=4)
    with pytest.raises(VocabularyError, match="no word occurs 1 times or more among 0 running wor"):
        Vocabulary.from_texts(["", " "])


def test_special_words_in_the_texts_are_the_special_ids():
    vocab = Vocabulary.from_texts(["a <unk> <pad> <unk> a a"], WHITESPACE)
    assert vocab.index_to_key == ["<pad>", "<unk>", "a"]
    assert vocab.counts.tolist() == [0, 2, 3]


def test_of_a_data_set():
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


def test_of_lists_of_words_which_are_not_cut_again():
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


def test_what_can_not_be_a_vocabulary():
    dataset = Dataset.from_dict({"text": ["a", None], "n": [1, 2]})
    with pytest.raises(VocabularyError, match="no column 'body' in the data set; there are 'text'"):
        Vocabulary.from_dataset(dataset, "body")
    with pytest.raises(VocabularyError, match=r"pass one split, such as dataset\['train'\]"):
        Vocabulary.from_dataset(DatasetDict(train=dataset), "text")
    with pytest.raises(VocabularyError, match=r"None is neither a text nor a list of words; rem"):
        Vocabulary.from_dataset(dataset, "text")
    with pytest.raises(VocabularyError, match="1 is neither a text nor a list of words"):
        Vocabulary.from_dataset(dataset, "n")
    with pytest.raises(VocabularyError, match=r"pass a list of texts, \['a text'\]"):
        Vocabulary.from_texts("a text")


def test_encode_is_the_form_of_embedding_bag(vocab):
    ids, offsets = vocab.encode(["b a x", "", "D"])
    assert ids.tolist() == [2, 3, 1, 6]
    assert offsets.tolist() == [0, 3, 3]
    assert ids.dtype == offsets.dtype == torch.int64
    weight = torch.randn(len(vocab), 4)
    bag = torch.nn.EmbeddingBag.from_pretrained(weight, mode="mean")
    expected = torch.stack([weight[[2, 3, 1]].mean(0), torch.zeros(4), weight[6]])
    torch.testing.assert_close(bag(ids, offsets), expected)


def test_encode_of_texts_and_lists_of_words_in_one_batch(vocab):
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
    with pytest.raises(VocabularyError, match=r"pass a list of texts, \['b a'\], not one string"):
        vocab.encode("b a")


def test_lone_surrogates_anywhere():
    for texts in (["a \ud800 b"], [["a", "\ud800", "b"]]):
        vocab = Vocabulary.from_texts(texts, WHITESPACE)
        assert vocab.index_to_key[2:] == ["a", "b", "\ufffd"]
        assert vocab.encode(texts)[0].tolist() == [2, 4, 3]


def test_words_of_keeps_those_the_vocabulary_lacks(vocab):
    assert vocab.words_of(["B x", "", ["Q"]]) == [["b", "x"], [], ["q"]]


def test_extended_puts_new_words_behind(vocab):
    longer = vocab.extended(["z", "a", "y", "z"])
    assert longer.index_to_key == [*vocab.index_to_key, "z", "y"]
    assert longer.counts.tolist() == [*vocab.counts.tolist(), 0, 0]
    assert longer.tokenizer == vocab.tokenizer
    rare = Vocabulary.from_texts(TEXTS, min_count=2).extended(["z"])
    assert rare.counts.tolist() == [0, 2, 3, 2, 2, 0]


def test_coverage_by_word_and_by_running_word(vocab):
    table = EmbeddingTable(["b", "d", "z", "<pad>"], np.zeros((4, 2)))
    coverage = vocab.coverage(table)
    assert coverage == Coverage(
        types=5, types_found=2, tokens=9, tokens_found=4, missing=(("a", 2), ("c", 2), (",", 1))
    )
    assert str(coverage) == (
        "coverage: 2 of 5 words (40.0%), 44.4% of 9 running words\n"
        "not in the table: a (2), c (2), , (1)"
    )


def test_coverage_shows_ten_missing_words_only():
    vocab = Vocabulary({f"w{i:02}": 2_000 - i for i in range(12)})
    coverage = vocab.coverage(EmbeddingTable(["x"], [[0.0]]))
    assert len(coverage.missing) == 12
    shown = str(coverage).splitlines()[1]
    assert shown.startswith("not in the table: w00 (2,000), w01 (1,999), ")
    assert shown.endswith("w09 (1,991), ...")
    everything = Vocabulary({"x": 1}).coverage(EmbeddingTable(["x"], [[0.0]]))
    assert str(everything) == "coverage: 1 of 1 words (100.0%), 100.0% of 1 running words"
    nothing = Vocabulary({}).coverage(EmbeddingTable(["x"], [[0.0]]))
    assert str(nothing) == "coverage: 0 of 0 words (0.0%), 0.0% of 0 running words"


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


def test_what_is_no_tokenizer(tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    for name in ("bad.json", "absent.json"):
        with pytest.raises(VocabularyError, match=rf"{name} can't be read as a tokenizer"):
            Vocabulary.load(tmp_path / name)
