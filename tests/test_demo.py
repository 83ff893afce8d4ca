"""The demo data is what its generator writes, and difficult in the intended ways."""

from __future__ import annotations

import csv
import gzip
import os
import re
from pathlib import Path

import pytest

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS
from finetune_embed.demo.generate import polar_words, write_reviews, write_vectors

GLOVE = os.environ.get("FINETUNE_EMBED_GLOVE", "")
SPLITS = {"train": 5_000, "validation": 1_000, "test": 1_500}


def examples(split: str) -> list[dict[str, str]]:
    with open(REVIEWS / f"{split}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_generator_writes_the_same_files(tmp_path: Path) -> None:
    write_reviews(tmp_path)
    for split in SPLITS:
        made = (tmp_path / f"{split}.csv").read_bytes()
        assert made == (REVIEWS / f"{split}.csv").read_bytes()


def test_every_polar_word_is_in_the_slice() -> None:
    words = {word.removesuffix("*") for word in polar_words()}
    assert len(words) == 461
    assert words <= set(fe.load_vectors(VECTORS).index_to_key)


@pytest.mark.skipif(not GLOVE, reason="FINETUNE_EMBED_GLOVE is not set")
def test_the_generator_writes_the_same_vectors(tmp_path: Path) -> None:
    write_vectors(Path(GLOVE), tmp_path / "slice.txt.gz")
    made = gzip.decompress((tmp_path / "slice.txt.gz").read_bytes())
    assert made == gzip.decompress(VECTORS.read_bytes())


def test_sizes_and_balance() -> None:
    for split, size in SPLITS.items():
        reviews = examples(split)
        assert len(reviews) == size
        positive = sum(review["label"] == "positive" for review in reviews) / size
        assert 0.45 < positive < 0.55
        assert {review["label"] for review in reviews} == {"positive", "negative"}


def test_no_review_is_in_two_splits() -> None:
    texts = [review["text"] for split in SPLITS for review in examples(split)]
    assert len(set(texts)) == sum(SPLITS.values())


def test_the_vectors_are_a_slice_of_glove() -> None:
    table = fe.load_vectors(VECTORS)
    assert (len(table), table.vector_size) == (11_138, 50)
    assert table.metadata["source_format"] == "glove"
    first = gzip.decompress(VECTORS.read_bytes()).split(b"\n", 1)[0]
    assert first.startswith(b"the 0.418 0.24968 -0.41242 0.1217 0.34527 -0.044457 ")
    similar = dict(table.most_similar("good", topn=len(table)))
    assert similar["bad"] > 0.75  # close in GloVe


def test_the_test_split_has_words_that_training_never_saw() -> None:
    table = fe.load_vectors(VECTORS)
    words = {split: set() for split in SPLITS}
    for split in SPLITS:
        for review in examples(split):
            words[split] |= set(re.findall(r"[a-z]+", review["text"].lower()))
    unseen = {word for word in words["test"] - words["train"] if word in table}
    assert len(unseen) >= 50


@pytest.mark.slow
def test_a_frozen_table_is_worse_and_no_table_is_perfect() -> None:
    accuracy = {
        strategy: fe.finetune(
            VECTORS, REVIEWS, head="bag", strategy=strategy, epochs=8, seed=1
        ).metrics
        for strategy in ("Freeze", "FullTune")
    }
    frozen, tuned = (accuracy[name]["test"]["accuracy"] for name in ("Freeze", "FullTune"))
    assert 0.70 < frozen < 0.83
    assert 0.88 < tuned < 0.95
    assert tuned - frozen > 0.08
