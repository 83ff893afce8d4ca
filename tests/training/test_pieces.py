"""Runs on a table that came with a tokenizer of its own."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import finetune_embed as fe

PIECES = "[PAD] [UNK] un ##happy happy king ##s the run ##ning dog . a ##b great ##ly film bad"
PIECES = PIECES.split()
TAGS = {
    "unhappy": "A",
    "happy": "A",
    "kings": "N",
    "the": "D",
    "running": "V",
    "☃": "S",
    "Dog": "N",
}
UNSEEN = {"unhappy", "running", "dog"}
GOOD, BAD = ["greatly happy film .", "the happy kings"], ["bad film .", "unhappy running dog"]


@pytest.fixture
def model(tmp_path):
    """Return the folder of a static model of word pieces."""
    vocab = {piece: number for number, piece in enumerate(PIECES)}
    made = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = (
        normalizers.BertNormalizer(),
        pre_tokenizers.BertPreTokenizer(),
    )
    folder = tmp_path / "model"
    folder.mkdir()
    rows = np.random.default_rng(0).normal(size=(len(PIECES), 8)).astype(np.float32)
    save_file({"embeddings": rows}, folder / "model.safetensors")
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def reviews():
    texts, labels = [*GOOD, *BAD] * 20, ["good", "good", "bad", "bad"] * 20
    split = Dataset.from_dict({"text": texts, "label": labels})
    return DatasetDict(train=split, validation=split.select(range(8)), test=split.select(range(8)))


def tagged(count: int, seed: int) -> Dataset:
    random = np.random.default_rng(seed)
    texts = [list(random.choice(list(TAGS), random.integers(1, 7))) for _ in range(count)]
    return Dataset.from_dict({"text": texts, "label": [[TAGS[w] for w in ws] for ws in texts]})


@pytest.fixture
def tags():
    return DatasetDict(train=tagged(120, 0), validation=tagged(30, 1), test=tagged(30, 2))


def test_pieces_train_and_a_saved_run_predicts_the_same(model, reviews, tmp_path):
    run = fe.finetune(model, reviews, epochs=3, output_dir=tmp_path / "run")
    base = fe.load_vectors(model)
    assert run.table.index_to_key == base.index_to_key == PIECES  # and no new rows
    assert "##happy" in run.vocab
    moved = (run.table.vectors != base.vectors).any(axis=1)
    assert [PIECES[row] for row in moved.nonzero()[0]] == [
        piece for piece in PIECES if piece in run.vocab
    ]
    assert run.record["tokenizer"] == f"<{base.tokenizer!r}>"
    assert run.record["drops_unknown"] is True
    assert run.warnings == []
    texts = [*GOOD, *BAD, "", "☃", "great kings and great films " * 300, ["happy", "Kings"]]
    again = fe.load(tmp_path / "run")
    assert again.predict(texts) == run.predict(texts)
    assert torch.equal(again.predict_proba(texts), run.predict_proba(texts))
    assert again.evaluate(reviews["test"]).scores == run.metrics["test"]
    resumed = fe.finetune(model, reviews, epochs=3, output_dir=tmp_path / "run", resume=True)
    assert resumed.table.vectors.tobytes() == run.table.vectors.tobytes()
    assert run.explain("happy").word == "happy"
    assert run.explain("##happy").count == run.vocab.counts[run.vocab.key_to_index["##happy"]]
    more = fe.finetune(tmp_path / "run", reviews, epochs=1)
    assert more.vocab.tokenizer == base.tokenizer


def test_special_tokens_are_kept_in_a_saved_run(model, reviews, tmp_path):
    run = fe.finetune(model, reviews, epochs=1, specials=["<user>"], output_dir=tmp_path / "run")
    again = fe.load(tmp_path / "run")
    assert again.vocab.index_to_key == run.vocab.index_to_key
    assert again.vocab.words_of(["the<user>dog"]) == [["the", "<user>", "dog"]]
    assert [one.token for one in again.vocab.specials] == ["<user>"]
    texts = ["the <user> dog", "<user>"]
    assert torch.equal(again.predict_proba(texts), run.predict_proba(texts))
    saved = Tokenizer.from_file(str(tmp_path / "run" / "tokenizer.json"))
    assert saved.encode("the<user>dog").tokens == ["the", "<user>", "dog"]


def test_the_lexical_part_counts_words(model, reviews, tmp_path):
    settings = {"epochs": 1, "specials": ["<user>"], "max_length": 3}
    run = fe.finetune(model, reviews, output_dir=tmp_path / "run", **settings)
    vocab = run.lexical.classifier.vocab
    assert set(vocab.words) == {"greatly", "happy", "film", "the", "kings", "bad", *UNSEEN, "."}
    words = sorted(vocab.words)
    rows = np.random.default_rng(1).normal(size=(len(words), 8)).astype(np.float32)
    of_words = fe.finetune(fe.EmbeddingTable(words, rows), reviews, tokenizer="glove", **settings)
    for split in ("validation", "test"):
        found, expected = run.held_out[split].words, of_words.held_out[split].words
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    texts = ["Happy <user>kings film", "☃", "", ["bad", "film"], "unhappiest dogs " * 99]
    again = fe.load(tmp_path / "run")
    assert again.lexical.classifier.vocab.index_to_key == vocab.index_to_key
    assert torch.equal(again.predict_proba(texts), run.predict_proba(texts))
    assert again.evaluate(reviews["test"]).parts == run.evaluate(reviews["test"]).parts
    parts = run.evidence(texts)[2]["lexical"]
    torch.testing.assert_close(parts, of_words.evidence(texts)[2]["lexical"], rtol=1e-5, atol=1e-5)
    small = fe.shrink(again, words=4)
    assert torch.equal(small.evidence(texts)[2]["lexical"], parts)


def test_a_run_of_an_earlier_version_counts_pieces(model, reviews, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("finetune_embed.training.lexical_part.PipelineTokenizer", type(None))
        run = fe.finetune(model, reviews, epochs=1, output_dir=tmp_path / "run")
    assert "tokenizer.json" not in load_file(tmp_path / "run" / "lexical.safetensors")
    again = fe.load(tmp_path / "run")
    assert again.lexical.classifier.vocab is None
    assert len(again.lexical.classifier.weight) == len(run.lexical.classifier.weight)
    assert torch.equal(again.predict_proba([*GOOD, *BAD]), run.predict_proba([*GOOD, *BAD]))


def test_another_tokenizer_that_finds_little_is_reported(model, reviews):
    run = fe.finetune(model, reviews, epochs=1, tokenizer="glove")
    (warning,) = run.warnings
    assert warning == (
        "only 69.2% of the tokens of the tokenizer glove are in the vectors, which came with one "
        "of their own; leave tokenizer out to use it"
    )
    assert "unhappy" in run.table


def test_a_stream_gives_the_same_vocabulary(model, reviews):
    streamed = {name: split.to_iterable_dataset() for name, split in reviews.items()}
    from datasets import IterableDatasetDict

    run = fe.finetune(model, IterableDatasetDict(streamed), epochs=1, lexical=False)
    whole = fe.finetune(model, reviews, epochs=1, lexical=False)
    assert run.vocab.index_to_key == whole.vocab.index_to_key
    assert run.vocab.counts.tolist() == whole.vocab.counts.tolist()


def test_each_word_has_a_tag_by_its_first_piece(model, tags, tmp_path):
    run = fe.finetune(model, tags, task="tagging", epochs=12, lr=0.01, output_dir=tmp_path / "run")
    assert run.metrics["test"]["accuracy"] > 0.95
    assert run.warnings == []
    again = fe.load(tmp_path / "run")
    texts = [["unhappy", "kings", "☃"], [], ["the"], "The unhappy dog."]
    assert [len(one) for one in again.predict(texts)] == [3, 0, 1, 4]
    assert again.predict(texts)[0] == ["A", "N", "S"]
    assert again.predict_proba(texts).shape == (8, len(again.labels))
    assert torch.equal(again.predict_proba(texts), run.predict_proba(texts))
    assert again.evaluate(tags["test"]).scores == run.metrics["test"]
    one_by_one = torch.cat([again.predict_proba([text]) for text in texts if text])
    np.testing.assert_allclose(one_by_one, again.predict_proba(texts), atol=1e-5)


def test_a_truncated_text_has_tags_for_its_first_words(model, tags):
    run = fe.finetune(model, tags, task="tagging", epochs=1, max_length=3)
    assert [len(one) for one in run.predict([["unhappy"] * 4, ["the"] * 4])] == [2, 3]
    assert run.logits([["unhappy"] * 4])[1].tolist() == [2]


def test_streamed_words_have_the_tags_of_words_in_memory(model, tags):
    from datasets import IterableDatasetDict

    streamed = IterableDatasetDict({n: split.to_iterable_dataset() for n, split in tags.items()})
    run = fe.finetune(model, streamed, task="tagging", epochs=6, lr=0.02)
    assert run.metrics["test"]["accuracy"] > 0.9


def test_compare_and_autotune(model, reviews):
    report = fe.compare(["Freeze", "FullTune"], model, reviews, seeds=1, epochs=1)
    assert "FullTune" in str(report)
    best = fe.autotune(model, reviews, budget=2)
    assert best.run.vocab.tokenizer == fe.load_vectors(model).tokenizer


def test_inspect_reports_the_tokenizer(model, reviews):
    found = fe.inspect(model, reviews)
    assert found.tokenizer == "wordpiece"
    assert found.coverage is not None
    assert found.coverage.tokens_found == found.coverage.tokens
    assert "tokenizer" not in found.advice.settings
    assert fe.finetune(model, reviews, epochs=1, **found.advice.settings).warnings == []
    assert found.advice.tokenizers["wordpiece"] == 1.0
    assert found.advice.tokenizers["glove"] < 0.9


def test_inspect_reports_a_tokenizer_that_cannot_be_read(model):
    spec = json.loads((model / "tokenizer.json").read_text())
    del spec["model"]["unk_token"]
    spec["pre_tokenizer"] = {"type": "of another version"}
    (model / "tokenizer.json").write_text(json.dumps(spec))
    found = fe.inspect(model)
    (finding,) = [one for one in found.findings if one.code == "tokenizer"]
    assert finding.severity == "warning"
    assert "choose another one: tokenizer='glove'" in str(finding)
    assert found.tokenizer == "glove"
    with pytest.raises(fe.VocabularyError, match=r"tokenizer.json: cannot be read as a tokenizer"):
        fe.load_vectors(model).tokenizer.tokenize("the")


def test_a_run_without_its_tokenizer(model, reviews, tmp_path):
    fe.finetune(model, reviews, epochs=1, output_dir=tmp_path / "run")
    shutil.copy(tmp_path / "run" / "config.yaml", tmp_path / "run" / "tokenizer.json")
    with pytest.raises(fe.DataError, match=r"tokenizer.json: this file of the run is damaged"):
        fe.load(tmp_path / "run")
