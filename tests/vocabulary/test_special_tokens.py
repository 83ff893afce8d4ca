"""Special tokens: their ids, their place in texts and their start vectors."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tokenizers
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import EmbeddingTable, Special, Tokenizer, Vocabulary, VocabularyError
from finetune_embed.vocabulary import CASED, GLOVE, WHITESPACE, special_vector
from finetune_embed.vocabulary.start_values import start_vectors


class Lengths:
    """Composes words of four letters and more, as their length, 1 and 2."""

    def compose(self, words):
        could = np.array([len(word) > 3 for word in words], bool)
        vectors = np.array([[len(word), 1, 2] for word in words], np.float32).reshape(-1, 3)
        return vectors * could[:, None], could


SPECIALS = ("<mask>", Special("[Num]", trainable=False), "<mask>>", "İ x")


def test_special_tokens_follow_unk_and_stay_one_token():
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


def test_rare_special_tokens_are_kept():
    vocab = Vocabulary.from_texts(["a a <rare> b"], min_count=2, specials=["<rare>", "<never>"])
    assert vocab.index_to_key == ["<pad>", "<unk>", "<rare>", "<never>", "a"]
    assert vocab.counts.tolist() == [0, 1, 1, 0, 2]
    with pytest.raises(VocabularyError, match="there is no word among the 2 tokens"):
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
def test_the_tokenizers_library_finds_the_same_tokens(text, tokenizer):
    words = [*PIECES, "İ x", "i̇"]
    vocab = Vocabulary(dict.fromkeys(words, 1), tokenizer, SPECIALS)
    found = [vocab.key_to_index.get(word, 1) for word in vocab.words_of([text])[0]]
    assert vocab.encode([text])[0].tolist() == found


def test_special_tokens_of_the_tokenizer_follow_the_given_ones():
    tokenizer = Tokenizer(specials=("<x>", "<y>"))
    vocab = Vocabulary.from_texts(["a <y> <z>"], tokenizer, specials=[Special("<z>"), "<y>"])
    assert vocab.index_to_key == ["<pad>", "<unk>", "<z>", "<y>", "<x>", "a"]
    assert vocab.tokenizer.specials == ("<z>", "<y>", "<x>")
    assert vocab.tokenizer.name == "glove"
    assert Vocabulary.from_texts(["a<x>"], tokenizer).counts.tolist() == [0, 0, 1, 0, 1]


def test_special_tokens_are_checked():
    with pytest.raises(VocabularyError, match="the special token '<m>' is given twice"):
        Vocabulary.from_texts(["a"], specials=["<m>", Special("<m>", "mean")])
    message = r"specials='<m>' is one special token, not a list of them; pass specials=\['<m>'\]"
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.from_texts(["a"], specials="<m>")
    with pytest.raises(VocabularyError, match=r"pass specials=\[Special\(token='<m>', start='m"):
        Vocabulary.from_texts(["a"], specials=Special("<m>", "mean"))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (None, [1.0, 0.5, 0.0]),
        ("zeros", [0.0, 0.0, 0.0]),
        ("subwords", [4.0, 1.0, 2.0]),
        ([3, 2, 1], [3.0, 2.0, 1.0]),
        (np.array([3.0, 2.0, 1.0]), [3.0, 2.0, 1.0]),
        (lambda token: [len(token), 0, 1], [4.0, 0.0, 1.0]),
    ],
)
def test_where_a_special_token_starts(table, start, expected):
    table.subwords = Lengths()
    assert special_vector(table, Special("king", start), 0).tolist() == expected
    missing = special_vector(table, Special("pear", start), 0).tolist()
    assert missing == ([0.0, 0.0, 0.0] if start is None else expected)


def test_special_tokens_at_the_mean_and_drawn(table):
    mean = special_vector(table, Special("<m>", "mean"), 0)
    np.testing.assert_allclose(mean, [0.6, 0.0, 0.4], rtol=1e-6)
    one, same, other = (special_vector(table, Special("<m>", "normal"), (0, n)) for n in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, start_vectors(table, ["x"], "normal", 0)[0])


@pytest.mark.parametrize("start", [[1, 2], [[1, 2, 3]], [np.nan, 0, 0], 1.0])
def test_a_special_token_whose_vector_does_not_fit(table, start):
    message = r"Special\('<m>'\): start is a vector that has .*; pass 3 finite numbers"
    with pytest.raises(VocabularyError, match=message):
        special_vector(table, Special("<m>", start), 0)


def test_invalid_special_tokens():
    for token in ("", " ", "a\ud800", None):
        message = r"cannot be a special token; choose a string .*, such as Special\('<mask>'\)"
        with pytest.raises(VocabularyError, match=message):
            Special(token)
    with pytest.raises(VocabularyError, match=r"'<pad>' cannot be a special token, .*; choose an"):
        Special("<pad>")
    message = r"Special\('<m>'\): start='uniform' is not a start value; choose 'normal', "
    with pytest.raises(VocabularyError, match=message):
        Special("<m>", "uniform")


def test_the_mean_of_a_special_token_needs_a_finite_row():
    table = EmbeddingTable(["a"], [[np.nan, 1.0]])
    message = r"^Special\('<m>'\): no row of .* is finite, .*; pass start='zeros', or use another t"
    with pytest.raises(VocabularyError, match=message):
        special_vector(table, Special("<m>", "mean"), 0)
