"""How much of a vocabulary a table has."""

from __future__ import annotations

import numpy as np
import pytest

from finetune_embed import Coverage, EmbeddingTable, Tokenizer, Vocabulary, VocabularyError

TEXTS = ["b a b", "C c, b", "", "a d"]


@pytest.fixture
def vocab():
    return Vocabulary.from_texts(TEXTS)


def test_coverage_by_word_and_by_token(vocab):
    table = EmbeddingTable(["b", "d", "z", "<pad>"], np.zeros((4, 2)))
    coverage = vocab.coverage(table)
    assert coverage == Coverage(
        types=5, types_found=2, tokens=9, tokens_found=4, missing=(("a", 2), ("c", 2), (",", 1))
    )
    assert str(coverage) == (
        "coverage: 2 of 5 words (40.0%), 44.4% of 9 tokens\nnot in the table: a (2), c (2), , (1)"
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
        "coverage: 3 of 4 words (75.0%), 90.9% of 11 tokens\n"
        "found: exact 1 (18.2%), lower 1 (45.5%), digits_hash 1 (27.3%), strip_punctuation 0 (0.0%)"
        "\nnot in the table: zz (1)"
    )
    assert vocab.coverage(table).by_step == {}
    assert vocab.coverage(table).types_found == 1
    with pytest.raises(VocabularyError, match=r"fallback=\('stem',\) has the unknown step"):
        vocab.coverage(table, ("stem",))


def test_coverage_shows_ten_missing_words_only():
    vocab = Vocabulary({f"w{i:02}": 2_000 - i for i in range(12)})
    coverage = vocab.coverage(EmbeddingTable(["x"], [[0.0]]))
    assert len(coverage.missing) == 12
    shown = str(coverage).splitlines()[1]
    assert shown.startswith("not in the table: w00 (2,000), w01 (1,999), ")
    assert shown.endswith("w09 (1,991), ...")
    everything = Vocabulary({"x": 1}).coverage(EmbeddingTable(["x"], [[0.0]]))
    assert str(everything) == "coverage: 1 of 1 words (100.0%), 100.0% of 1 tokens"
    nothing = Vocabulary({}).coverage(EmbeddingTable(["x"], [[0.0]]))
    assert str(nothing) == "coverage: 0 of 0 words (0.0%), 0.0% of 0 tokens"
