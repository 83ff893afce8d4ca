from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import EmbeddingTable, VocabularyError
from finetune_embed.vocabulary import (
    STEPS,
    apply_fallback,
    forms_of,
    look_up,
    parse_fallback,
    without_subwords,
)

PLAIN = STEPS[:-1]


class Halves:
    """Composes every word of even length, as its length in each column."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked: list[list[str]] = []

    def compose(self, words):
        self.asked.append(list(words))
        could = np.array([len(word) % 2 == 0 for word in words], bool)
        lengths = np.array([len(word) for word in words], np.float32)
        return np.where(could, lengths, 0).repeat(self.size).reshape(-1, self.size), could


def table_of(*words: str) -> EmbeddingTable:
    return EmbeddingTable(words, np.arange(len(words) * 2).reshape(-1, 2))


def form_of(word: str, step: str) -> str | None:
    """Return the other form under which a step looks a word up."""
    asked: list[str] = []

    def rows_of(forms):
        asked.extend(forms)
        return np.full(len(forms), -1)

    apply_fallback([word], [step], rows_of)
    return asked[1] if len(asked) > 1 else None


@pytest.mark.parametrize(
    ("step", "word", "form"),
    [
        ("lower", "PaRiS", "paris"),
        ("lower", "ΣΟΦΟΣ", "σοφος"),
        ("lower", "paris", None),
        ("capitalize", "paris", "Paris"),
        ("capitalize", "PARIS", "Paris"),
        ("capitalize", "o'neill", "O'neill"),
        ("digits_hash", "1,500.25", "#,###.##"),
        ("digits_hash", "IPv4", "IPv#"),
        ("digits_hash", "٣", "#"),
        ("digits_hash", "x²", None),
        ("digits_zero", "1999", "0000"),
        ("digits_zero", "000", None),
        ("strip_punctuation", "(re-elect),", "re-elect"),
        ("strip_punctuation", "«don't…»", "don't"),
        ("strip_punctuation", "$5", "5"),
        ("strip_punctuation", "~~x^", "x"),
        ("strip_punctuation", "5€", None),
        ("strip_punctuation", "...", None),
        ("strip_punctuation", "it's", None),
        ("normalize", "ﬁne", "fine"),
        ("normalize", "cafe\u0301", "café"),
        ("normalize", "ＡＢ", "AB"),
        ("normalize", "a\u00a0b", "a b"),
        ("normalize", "plain", None),
    ],
)
def test_the_form_of_each_step(step, word, form):
    assert form_of(word, step) == form


def test_forms_accumulate_in_order():
    asked = []

    def rows_of(forms):
        asked.append(list(forms))
        return np.full(len(forms), -1)

    found = apply_fallback(["IPv4"], ["lower", "digits_hash", "digits_zero"], rows_of)
    assert asked == [["IPv4"], ["ipv4"], ["IPv#", "ipv#"], ["IPv0", "ipv0"]]
    assert found.rows.tolist() == [-1]
    assert found.step_numbers.tolist() == [-1]


def test_the_first_form_that_the_table_has_wins_and_counts_under_its_step():
    table = table_of("ipv#", "IPv#", "ipv0", "Apple", "apple", "year")
    words = ["IPv4", "Apple", "APPLE", "xPv4", "iPv4", "ipv0", "(Year)"]
    found = look_up(table, words, ("lower", "digits_hash", "digits_zero", "strip_punctuation"))
    assert found.step_names == (
        "exact",
        "lower",
        "digits_hash",
        "digits_zero",
        "strip_punctuation",
    )
    assert found.step_of_each_word("-") == [
        "digits_hash",
        "exact",
        "lower",
        "-",
        "digits_hash",
        "exact",
        "strip_punctuation",
    ]
    assert found.rows.tolist() == [1, 3, 4, -1, 0, 2, 5]
    assert found.is_found.tolist() == [True, True, True, False, True, True, True]
    assert found.found_by("lower").tolist() == [False, False, True, False, False, False, False]
    assert not found.found_by("subwords").any()
    assert found.composed is None
    assert look_up(table, words).step_of_each_word("-") == [
        "-",
        "exact",
        "-",
        "-",
        "-",
        "exact",
        "-",
    ]


def test_the_order_of_steps_decides():
    table = table_of("paris", "Paris")
    assert look_up(table, ["PARIS"], ("lower", "capitalize")).rows.tolist() == [0]
    assert look_up(table, ["PARIS"], ("capitalize", "lower")).rows.tolist() == [1]
    assert look_up(table, ["PARIS"], "capitalize, lower").step_of_each_word("") == ["capitalize"]


def test_the_empty_form_of_a_word_is_never_looked_up():
    table = table_of("", "a")
    assert look_up(table, ["...", "", "a."], ("strip_punctuation",)).rows.tolist() == [-1, 0, 1]


@given(
    st.lists(st.text(st.sampled_from("aAbB19#0.(ﬁ"), max_size=4), unique=True),
    st.lists(st.text(st.sampled_from("aAbB19#0.(ﬁ"), max_size=4)),
    st.permutations(PLAIN).flatmap(lambda steps: st.integers(0, 6).map(lambda n: steps[:n])),
)
def test_equals_one_word_at_a_time_by_definition(known, words, steps):
    table = table_of(*known)
    found = look_up(table, words, steps)
    for word, row, step in zip(
        words, found.rows.tolist(), found.step_of_each_word(""), strict=True
    ):
        forms, expected = [word], (-1, "")
        if word in known:
            expected = (known.index(word), "exact")
        for name in steps if expected[0] < 0 else ():
            new = [form_of(form, name) for form in forms]
            new = [form for form in new if form and form not in forms]
            if hits := [form for form in new if form in known]:
                expected = (known.index(hits[0]), name)
                break
            forms += new
        assert (row, step) == expected


def test_subwords_compose_the_unchanged_word_in_the_order_of_steps():
    table = table_of("abc", "z")
    table.subwords = composer = Halves(2)
    words = ["ABC", "four", "five5", "ABCD", "z", "Z"]
    found = look_up(table, words, ("lower", "subwords"))
    assert found.step_of_each_word("-") == ["lower", "subwords", "-", "subwords", "exact", "lower"]
    assert composer.asked == [["four", "five5", "ABCD"]]
    assert found.composed.tolist() == [[4.0, 4.0], [4.0, 4.0]]
    assert found.rows.tolist() == [0, -1, -1, -1, 1, 1]
    before = look_up(table, ["ABCD", "ABC", "Q"], ("subwords", "lower"))
    assert before.step_of_each_word("-") == ["subwords", "lower", "-"]
    assert look_up(table, ["z"], ("subwords",)).step_of_each_word("-") == ["exact"]
    assert len(composer.asked) == 2  # no word was missing


def test_subwords_of_a_table_that_has_none():
    message = (
        r"fallback=\('lower', 'subwords'\) needs subword vectors, which EmbeddingTable\(1 words x 2"
        r"\) does not have; do without 'subwords', or use a fastText binary: "
        r"load_vectors\('cc.en.300.bin'\)"
    )
    with pytest.raises(VocabularyError, match=message):
        look_up(table_of("a"), ["a"], ("lower", "subwords"))


def test_the_keys_to_load_for_a_chain():
    chain = ("lower", "subwords", "digits_zero")
    forms = forms_of(["IPv4", "a", "ipv4", "..."], chain)
    assert forms == ["IPv4", "a", "ipv4", "...", "IPv0", "ipv0"]
    table = table_of("b", "ipv0", "a", "x")
    few = table.subset(form for form in forms if form in table)
    assert few.index_to_key == ["a", "ipv0"]
    assert look_up(few, ["IPv4"], without_subwords(chain)).step_of_each_word("") == ["digits_zero"]


def test_steps_are_checked():
    assert parse_fallback(()) == parse_fallback("") == ()
    assert parse_fallback("lower, digits_zero") == parse_fallback(["lower", "digits_zero"])
    assert without_subwords("subwords,lower") == ("lower",)
    message = (
        r"fallback=\('lowercase',\) has the unknown step 'lowercase'; choose from lower, cap.*, "
        r"such as fallback=\('lower', 'digits_zero'\)"
    )
    with pytest.raises(VocabularyError, match=message):
        parse_fallback(["lowercase"])
    message = r"has the step 'lower' twice; remove one: fallback=\('lower', 'digits_zero'\)"
    with pytest.raises(VocabularyError, match=message):
        parse_fallback("lower,digits_zero,lower")


def test_fifty_thousand_words_in_a_large_table():
    table = EmbeddingTable([f"word{i}" for i in range(400_000)], np.zeros((400_000, 2)))
    words = [f"word{7 * i}" for i in range(40_000)] + [f"(Zord{i}" for i in range(10_000)]
    found = look_up(table, words, PLAIN)
    assert found.is_found.sum() == 40_000
