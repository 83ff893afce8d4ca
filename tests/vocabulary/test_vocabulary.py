from __future__ import annotations

import os

import numpy as np
import pytest
import tokenizers
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import Coverage, EmbeddingTable, Special, Tokenizer, Vocabulary, VocabularyError
from finetune_embed.vocabulary import CASED, GLOVE, WHITESPACE

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


def test_coverage_by_step():
    vocab = Vocabulary({"Paris": 5, "B2": 3, "b": 2, "zz": 1}, Tokenizer(lowercase=False))
    table = EmbeddingTable(["paris", "b", "b#", "x"], np.zeros((4, 2)))
    coverage = vocab.coverage(table, ("lower", "digits_hash", "strip_punctuation"))
    assert coverage == Coverage(
        types=4,
        types_found=3,
        tokens=11,
        tokens_found=10,
        missing=(("zz", 1),),
        by_step={
            "exact": {"types": 1, "tokens": 2},
            "lower": {"types": 1, "tokens": 5},
            "digits_hash": {"types": 1, "tokens": 3},
            "strip_punctuation": {"types": 0, "tokens": 0},
        },
    )
    assert str(coverage) == (
        "coverage: 3 of 4 words (75.0%), 90.9% of 11 running words\n"
        "found: exact 1 (18.2%), lower 1 (45.5%), digits_hash 1 (27.3%), strip_punctuation 0 (0.0%)"
        "\nnot in the table: zz (1)"
    )
    assert vocab.coverage(table).by_step == {}
    assert vocab.coverage(table).types_found == 1
    with pytest.raises(VocabularyError, match="no fallback step is called 'stem'"):
        vocab.coverage(table, ("stem",))


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


# Special tokens


SPECIALS = ("<mask>", Special("[Num]", trainable=False), "<mask>>", "İ x")


def test_special_tokens_follow_unk_and_stay_whole():
    texts = ["A <mask>b [Num] B.", ["[Num]", "[num]", "B"], "x<mask>>İ xi̇ x"]
    vocab = Vocabulary.from_texts(texts, specials=SPECIALS)
    assert vocab.index_to_key[:6] == ["<pad>", "<unk>", "<mask>", "[Num]", "<mask>>", "İ x"]
    assert vocab.first_word == 6
    assert vocab.counts[:6].tolist() == [0, 0, 1, 2, 1, 1]
    assert vocab.words_of(texts) == [
        ["a", "<mask>", "b", "[Num]", "b", "."],
        ["[Num]", "[num]", "b"],
        ["x", "<mask>>", "İ x", "i̇", "x"],
    ]
    ids, offsets = vocab.encode([texts[0]])
    assert [vocab.index_to_key[i] for i in ids] == ["a", "<mask>", "b", "[Num]", "b", "."]
    ids, offsets = vocab.encode(texts)
    words = [word for words in vocab.words_of(texts) for word in words]
    assert [vocab.index_to_key[i] for i in ids] == words
    assert offsets.tolist() == [0, 6, 9]


def test_special_tokens_are_kept_however_rare():
    vocab = Vocabulary.from_texts(["a a <rare> b"], min_count=2, specials=["<rare>", "<never>"])
    assert vocab.index_to_key == ["<pad>", "<unk>", "<rare>", "<never>", "a"]
    assert vocab.counts.tolist() == [0, 1, 1, 0, 2]
    with pytest.raises(VocabularyError, match="no word occurs 2 times"):
        Vocabulary.from_texts(["<rare> <rare>"], min_count=2, specials=["<rare>"])


def test_unk_as_a_special_token():
    vocab = Vocabulary.from_texts(["a <unk> b"], specials=[Special("<unk>", "mean"), "<m>"])
    assert vocab.index_to_key == ["<pad>", "<unk>", "<m>", "a", "b"]
    assert vocab.counts.tolist() == [0, 1, 0, 1, 1]
    assert vocab.encode(["b <unk>c"])[0].tolist() == [4, 1, 1]
    assert Vocabulary.from_texts(["a <unk> b"]).index_to_key[2:] == ["<", ">", "a", "b", "unk"]


def test_special_tokens_of_a_data_set():
    dataset = Dataset.from_dict({"text": ["a <s> b"], "other": ["<s>"]})
    vocab = Vocabulary.from_dataset(dataset, ["text", "other"], specials=("<s>",))
    assert dict(zip(vocab.index_to_key, vocab.counts.tolist(), strict=True)) == {
        "<pad>": 0,
        "<unk>": 0,
        "<s>": 2,
        "a": 1,
        "b": 1,
    }


def test_special_tokens_do_not_count_for_coverage():
    vocab = Vocabulary({"a": 3, "<s>": 9}, specials=("<s>", "<unk>"))
    coverage = vocab.coverage(EmbeddingTable(["a"], [[0.0]]))
    assert (coverage.types, coverage.tokens, coverage.missing) == (1, 3, ())


@pytest.mark.parametrize("tokenizer", [GLOVE, CASED, WHITESPACE])
def test_special_tokens_survive_tokenizer_json(tmp_path, tokenizer):
    texts = ["A <mask>b [Num] B.", "x<mask>>İ xi̇ x <unk>"]
    vocab = Vocabulary.from_texts(texts, tokenizer, specials=("<unk>", *SPECIALS))
    vocab.save(tmp_path / "tokenizer.json")
    loaded = Vocabulary.load(tmp_path / "tokenizer.json")
    assert loaded.index_to_key == vocab.index_to_key
    assert loaded.first_word == vocab.first_word == 6
    assert {special.token for special in loaded.specials} == {"<unk>", *vocab.index_to_key[2:6]}
    assert loaded.tokenizer.name == tokenizer.name
    assert loaded.extended(["new"]).index_to_key == [*vocab.index_to_key, "new"]
    theirs = tokenizers.Tokenizer.from_file(os.fspath(tmp_path / "tokenizer.json"))
    assert theirs.get_vocab() == vocab.key_to_index
    for text in texts:
        ids = theirs.encode(text).ids
        assert ids == loaded.encode([text])[0].tolist() == vocab.encode([text])[0].tolist()


PIECES = [
    "<mask>",
    "<mask>>",
    "[Num]",
    "[num]",
    "<",
    ">",
    "a",
    "B",
    " ",
    "İ",
    "x",
    "i",
    "'",
    "\u0307",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.sampled_from([GLOVE, CASED]))
def test_words_of_a_text_are_those_that_the_tokenizers_library_finds(text, tokenizer):
    words = [*PIECES, "İ x", "i̇"]
    vocab = Vocabulary(dict.fromkeys(words, 1), tokenizer, SPECIALS)
    found = [vocab.key_to_index.get(word, 1) for word in vocab.words_of([text])[0]]
    assert vocab.encode([text])[0].tolist() == found


def test_special_tokens_of_the_tokenizer_come_behind_those_given():
    tokenizer = Tokenizer(specials=("<x>", "<y>"))
    vocab = Vocabulary.from_texts(["a <y> <z>"], tokenizer, specials=[Special("<z>"), "<y>"])
    assert vocab.index_to_key == ["<pad>", "<unk>", "<z>", "<y>", "<x>", "a"]
    assert vocab.tokenizer.specials == ("<z>", "<y>", "<x>")
    assert vocab.tokenizer.name == "glove"
    assert Vocabulary.from_texts(["a<x>"], tokenizer).counts.tolist() == [0, 0, 1, 0, 1]


def test_special_tokens_are_checked():
    with pytest.raises(VocabularyError, match="the special token '<m>' is given twice"):
        Vocabulary.from_texts(["a"], specials=["<m>", Special("<m>", "mean")])
    for one in ("<m>", Special("<m>", "mean")):
        with pytest.raises(VocabularyError, match=r"pass a list of special tokens, \['<m>'\]"):
            Vocabulary.from_texts(["a"], specials=one)
