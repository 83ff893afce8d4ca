"""Coverage of a data set, and the settings that are recommended for it."""

from __future__ import annotations

from datasets import Dataset
from inspecting import lines

import finetune_embed as fe
from finetune_embed.inspection import inspect


def test_coverage_counts_every_training_example(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("a 1 2\nb 3 4\n")
    coverage = inspect(path, Dataset.from_dict({"text": ["a x"] * 10 + ["b"]})).coverage
    assert coverage is not None
    assert (coverage.types, coverage.types_found) == (3, 2)
    assert (coverage.tokens, coverage.tokens_found) == (21, 11)
    one = inspect(path, Dataset.from_dict({"text": ["b"]})).coverage  # too few to set any aside
    assert one is not None
    assert one.tokens == 1


def test_each_step_is_counted_alone_and_the_best_comes_first(write):
    path = write(lines(["the", "of", "Paris", "##", "plain"]))
    data = Dataset.from_dict({"text": ["The the 42 17 19 PARIS x"] * 3 + ["THE of plain plain"]})
    advice = inspect(path, data).advice
    assert advice is not None
    assert advice.tokenizer == "cased"
    assert (advice.exact.tokens, advice.exact.tokens_found) == (25, 6)
    assert (advice.exact.types, advice.exact.types_found) == (10, 3)
    assert {step: (n["types"], n["tokens"]) for step, n in advice.alone.items()} == {
        "lower": (2, 4),
        "capitalize": (1, 3),
        "digits_hash": (3, 9),
        "digits_zero": (0, 0),
        "strip_punctuation": (0, 0),
        "normalize": (0, 0),
    }
    assert advice.fallback == ("digits_hash", "lower", "capitalize")
    assert (advice.coverage.tokens_found, advice.coverage.missing) == (22, (("x", 3),))
    assert advice.settings == {
        "tokenizer": "cased",
        "fallback": ("digits_hash", "lower", "capitalize"),
        "min_count": 1,
        "oov": "normal",
    }
    assert advice.options == (
        "--tokenizer cased --fallback digits_hash,lower,capitalize --min-count 1 --oov normal"
    )


def test_finetune_takes_the_settings(write):
    path = write(lines(["good", "bad", "Paris", "00"]))
    data = Dataset.from_dict(
        {"text": ["good PARIS 17", "bad PARIS 23"] * 8, "label": ["pos", "neg"] * 8}
    )
    advice = inspect(path, data).advice
    assert advice is not None
    run = fe.finetune(path, data, epochs=1, **advice.settings)
    assert run.metrics["coverage"]["tokens_found"] == run.metrics["coverage"]["tokens"]


def test_another_tokenizer_is_recommended_if_it_finds_more(write):
    path = write(lines(["well-known/good", "a"]))
    advice = inspect(path, Dataset.from_dict({"text": ["a well-known/good"] * 5})).advice
    assert advice is not None
    assert advice.tokenizers == {"glove": 0.25, "cased": 0.25, "whitespace": 1.0}
    assert advice.tokenizer == "whitespace"


def test_min_count_is_2_if_most_rare_words_are_not_in_the_table(write):
    path = write(lines(["a", "b"]))
    advice = inspect(path, Dataset.from_dict({"text": ["a a x y z", "b b w"]})).advice
    assert advice is not None
    assert advice.min_count == 2
    advice = inspect(path, Dataset.from_dict({"text": ["a b", "x x"]})).advice
    assert advice is not None
    assert advice.min_count == 1


def test_subwords_are_recommended_for_a_table_that_composes_words(golden):
    path = golden / "tiny.fasttext-skipgram.bin"
    table = fe.load_vectors(path)
    words = [*table.index_to_key[1:4], "unheardof"]
    advice = inspect(path, Dataset.from_dict({"text": [words] * 3})).advice
    assert advice is not None
    assert (advice.exact.tokens_found, advice.coverage.tokens_found) == (9, 12)
    assert advice.alone["subwords"] == {"types": 1, "tokens": 3}
    assert advice.settings == {
        "tokenizer": advice.tokenizer,
        "fallback": ("subwords",),
        "min_count": 1,
        "oov": "subwords",
    }
