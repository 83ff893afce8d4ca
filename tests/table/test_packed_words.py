"""Packed words behave like a list of words and a dictionary of their rows."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import finetune_embed.table.packed_words as module
from finetune_embed import VocabularyError
from finetune_embed.table import PackedWords, as_bytes, starts_with
from finetune_embed.table.packed_words import append_words

#: The empty word, a word in two Unicode forms, a null, an emoji, and bytes that are not UTF-8.
NOT_UTF8 = ["\udcff\udc80", "\udced\udca0\udc80"]
ODD = ["", "a", "é", "e\u0301", "\0", "a\0", "😀", "a b\n", "ab", *NOT_UTF8]
#: Words that have no bytes: other lone surrogates, and two that would decode to `é`.
NO_BYTES = ["\ud800", "x\udfff", "\udcc3\udca9"]


def packed(words: list[str]) -> PackedWords:
    return PackedWords.from_bytes(word.encode("utf-8", "surrogateescape") for word in words)


@pytest.fixture(params=["hash", "colliding"])
def few_hashes(request, monkeypatch):
    """Run a test also with a hash that has three values."""
    if request.param == "colliding":
        monkeypatch.setattr(module, "_hash", lambda word: len(str(word)) % 3)


@pytest.mark.usefixtures("few_hashes")
def test_rows_are_those_of_a_dictionary():
    words = ODD + [f"w{i}" for i in range(500)]
    asked = [*words[::-1], "absent", "W1", "w500", *NO_BYTES, None, 7, "a", "a"]
    index = {word: row for row, word in enumerate(words)}
    expected = [index.get(key, -1) for key in asked]
    assert packed(words).rows_of(asked).tolist() == expected
    assert [packed(words).row_of(key) for key in asked] == expected
    assert expected.count(-1) == 8


def test_any_words_are_found():
    text = st.text(st.characters() | st.sampled_from("\udc80\udcff"), max_size=4)
    clean = text.filter(lambda word: as_bytes(word) is not None)

    @given(st.lists(clean, unique=True), st.lists(text))
    def found(words: list[str], asked: list[str]) -> None:
        both = words + asked
        index = {word: row for row, word in enumerate(words)}
        one = packed(words)
        assert one.rows_of(both).tolist() == [index.get(key, -1) for key in both]
        assert list(one) == one[:] == one.take(np.arange(len(one))) == words

    found()


@pytest.mark.usefixtures("few_hashes")
@pytest.mark.parametrize("ask", [lambda w: w.rows_of(()), lambda w: w.row_of("c")])
def test_a_word_in_two_rows_is_named(ask):
    with pytest.raises(
        VocabularyError,
        match="the word 'b' is in rows 1 and 3, but a table needs distinct words; remove one",
    ):
        ask(packed(["a", "b", "c", "b", "c"]))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4)))
def test_words_packed_from_strings(words):
    one, other = (
        PackedWords.from_strings(words),
        PackedWords.from_bytes(word.encode() for word in words),
    )
    assert list(one) == words
    assert one.offsets.tolist() == other.offsets.tolist()
    assert one.data.tobytes() == other.data.tobytes()


@pytest.mark.parametrize("word", NOT_UTF8)
def test_words_that_are_not_utf8_are_not_packed_from_strings(word):
    with pytest.raises(UnicodeEncodeError):
        PackedWords.from_strings(["a", word])


def test_no_words():
    none = packed([])
    assert (len(none), list(none), none[:]) == (0, [], [])
    assert none.rows_of(["a"]).tolist() == [-1]
    assert none.row_of("a") == -1
    assert none.appended([b"a"]).rows_of(["a"]).tolist() == [0]


def test_the_block_size_does_not_matter(monkeypatch):
    words = ODD + [f"w{i}" for i in range(20)]
    for block in (1, 7, 31, 32):
        monkeypatch.setattr(module, "BLOCK", block)
        assert list(packed(words)) == words


def test_appended_words():
    base = packed(ODD)
    more = append_words(base, ["x", "\udcfe"])
    assert isinstance(more, PackedWords)
    assert list(more) == [*ODD, "x", "\udcfe"]
    assert more.data.tobytes() == b"".join(as_bytes(word) or b"" for word in more)
    assert list(base) == ODD
    assert append_words(["a"], ["b"]) == ["a", "b"]


@pytest.mark.parametrize("word", NO_BYTES)
def test_appending_a_word_without_bytes_gives_a_list(word):
    assert as_bytes(word) is None
    assert append_words(packed(["a", "b"]), ["c", word]) == ["a", "b", "c", word]


def test_copies_and_pickles_are_independent():
    inner = PackedWords(memoryview(b"xxabcyy"), np.array([2, 3, 5]))
    for other in (copy.deepcopy(inner), pickle.loads(pickle.dumps(inner))):
        assert list(other) == ["a", "bc"]
        assert other.rows_of(["bc", "x"]).tolist() == [1, -1]


def test_the_first_word_may_start_inside_the_data():
    inner = PackedWords(memoryview(b"xxabcyy"), np.array([2, 3, 5]))
    assert list(inner) == ["a", "bc"]
    assert inner.data.tobytes() == b"abc"
    assert inner.offsets.tolist() == [0, 1, 3]
    assert list(inner.appended([b"d"])) == ["a", "bc", "d"]


def test_starts_with():
    for words in (["a", "bc", "d"], packed(["a", "bc", "d"])):
        for kind in (list, packed):
            for others, does in (
                ([], True),
                (["a"], True),
                (["a", "bc"], True),
                (["a", "bc", "d"], True),
                (["a", "b"], False),
                (["ab", "c"], False),
                (["a", "bc", "d", "e"], False),
            ):
                assert starts_with(words, kind(others)) is does
