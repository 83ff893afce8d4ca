"""ONNX files of pairs, taggers, ensembles and pipelines compute what these compute in torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from datasets import Dataset, DatasetDict
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import finetune_embed as fe

WORDS = [f"w{i}" for i in range(40)]
TABLE = fe.EmbeddingTable(WORDS, np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32))
TEXTS = ["w1 w5 w39", "w38 w38 w39", "nothing known", "", "w10", " ".join(WORDS)]
TAGGED = [["w1", "w5", "w39"], ["never", "w38"], [], ["w10"], WORDS]


def rows(count: int, seed: int, kind: str) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count)
    texts = [" ".join(WORDS[i] for i in [*rng.choice(38, 6), 5 * one]) for one in labels]
    values = {
        "single": ["abc"[one] for one in labels],
        "multi": [["abc"[one], "d"][: 1 + one] for one in labels],
        "number": [float(one) * 10 for one in labels],
        "tags": [["xyz"[int(word[1:]) % 3] for word in text.split()] for text in texts],
    }
    if kind == "tags":
        return Dataset.from_dict({"text": [text.split() for text in texts], "label": values[kind]})
    return Dataset.from_dict({"text": texts, "other": texts[::-1], "label": values[kind]})


def tune(kind: str = "single", vectors: Any = TABLE, **settings: Any) -> fe.Run:
    data = DatasetDict(train=rows(60, 0, kind), validation=rows(30, 1, kind))
    given = {"epochs": 2, "lr": 0.05, "batch_size": 16, "device": "cpu", "lexical": False}
    return fe.finetune(vectors, data, **{**given, **settings})


class File:
    """An ONNX file of a run, and its own tokenizer."""

    def __init__(self, run: fe.Run, path: Path, **options: Any) -> None:
        fe.save_onnx(run, path, **options)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.metadata = self.session.get_modelmeta().custom_metadata_map
        self.tokenizer = Tokenizer.from_str(self.metadata["tokenizer"])

    def __call__(self, *sides: list[list[int]]) -> dict[str, np.ndarray]:
        """Return all outputs for texts that are ids; for pairs, for both sides."""
        feed = {}
        for prefix, texts in zip(("", "second_"), sides, strict=False):
            width = max(map(len, texts))
            shape = (len(texts), width)
            padded = [text + [0] * (width - len(text)) for text in texts]
            mask = [[1] * len(text) + [0] * (width - len(text)) for text in texts]
            feed[f"{prefix}input_ids"] = np.array(padded, np.int64).reshape(shape)
            feed[f"{prefix}attention_mask"] = np.array(mask, np.int64).reshape(shape)
        assert set(feed) == {one.name for one in self.session.get_inputs()}
        names = [one.name for one in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, feed), strict=True))

    def ids(self, texts: list[str]) -> list[list[int]]:
        return [one.ids for one in self.tokenizer.encode_batch(texts)]


def same(found: np.ndarray, expected: torch.Tensor) -> bool:
    return found.shape == expected.shape and np.allclose(found, expected, 1e-5, 1e-5)


def of_words(found: np.ndarray, lengths: list[int]) -> np.ndarray:
    """Return what a tagger's output has for tokens, one text after the other."""
    return np.concatenate([one[:length] for one, length in zip(found, lengths, strict=True)])


@pytest.mark.parametrize("head", ["pair", "pair(hidden=5, pooling='mean+max')"])
def test_pairs(head, tmp_path):
    run = tune(head=head, text=("text", "other"), max_length=5)
    file = File(run, tmp_path / "m.onnx")
    pairs = list(zip(TEXTS, ["w3", "", *TEXTS[:4]], strict=True))
    found = file(*(file.ids(list(side)) for side in zip(*pairs, strict=True)))
    assert same(found["logits"], run.logits(pairs)[0])
    assert same(found["probabilities"], run.predict_proba(pairs))
    swapped = file(file.ids(["w3"]), file.ids(["w1 w5 w39"]))
    assert same(swapped["logits"], run.logits([("w3", "w1 w5 w39")])[0])
    shapes = {one.name: one.shape for one in file.session.get_inputs()}
    assert shapes["second_input_ids"] == ["texts", "second_tokens"]


HEADS = ["bilstm(hidden=4)", "bilstm(hidden=3, layers=2)", "cnn_tagger(filters=4, layers=2)"]


@pytest.mark.parametrize("head", HEADS)
def test_taggers(head, tmp_path):
    run = tune("tags", head=head, max_length=30)
    file = File(run, tmp_path / "m.onnx")
    known = file.tokenizer.get_vocab()
    ids = [[known.get(word, 1) for word in text] for text in TAGGED]
    found = file(ids)
    assert found["logits"].shape == (5, 40, 3)
    lengths = [min(len(text), 30) for text in TAGGED]
    assert same(of_words(found["logits"], lengths), run.logits(TAGGED)[0])
    assert same(of_words(found["probabilities"], lengths), run.predict_proba(TAGGED))
    assert file([[]])["logits"].shape == (1, 0, 3)


@pytest.mark.parametrize("kind", ["single", "multi", "number", "tags"])
def test_ensembles(kind, tmp_path):
    head = "cnn_tagger(filters=3)" if kind == "tags" else "cnn(filters=3, channels=2)"
    run = tune(kind, head=head, ensemble=3, task="regression" if kind == "number" else None)
    for dtype in ("float32", "int8"):
        file = File(run, tmp_path / f"{dtype}.onnx", dtype=dtype)
        texts = [text for text in TEXTS if text]
        found = file(file.ids(texts))
        if kind == "tags":
            lengths = [len(text.split()) for text in texts]
            found = {name: of_words(one, lengths) for name, one in found.items()}
        expected = run.logits([text.split() for text in texts])[0]
        if dtype == "float32":
            assert same(found["logits"], expected)
        else:
            assert 0 < np.abs(found["logits"] - expected.numpy()).max() < 0.3
            continue
        if kind == "number":
            assert np.allclose(found["predictions"][:, 0], run.predict(texts), 1e-4, 1e-4)
        else:
            chances = run.predict_proba([text.split() for text in texts])
            assert same(found["probabilities"], chances)


def pieces(model: Any, drops: bool) -> fe.EmbeddingTable:
    """Return a table with a tokenizer whose ids are not in the order of the rows."""
    made = Tokenizer(model)
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.enable_truncation(4)
    tokens = sorted(made.get_vocab())[::-1]
    vectors = np.random.default_rng(3).normal(size=(len(tokens), 6)).astype(np.float32)
    table = fe.EmbeddingTable(tokens, vectors)
    table.tokenizer = fe.PipelineTokenizer(made.to_str(), drops)
    return table


def wordpiece(drops: bool) -> fe.EmbeddingTable:
    tokens = ["w", *(f"##{digit}" for digit in range(10)), "w1", "known", "[UNK]", "##n"]
    vocab = {token: number for number, token in enumerate(tokens)}
    return pieces(models.WordPiece(vocab, unk_token="[UNK]"), drops)


def unigram(drops: bool) -> fe.EmbeddingTable:
    tokens = ["<unk>", "w", "w1", *"0123456789", "known", "n"]
    return pieces(models.Unigram([(one, -1.0) for one in tokens], 0, False), drops)


@pytest.mark.parametrize(
    ("kind", "drops", "head"),
    [
        (wordpiece, True, "pooled_cnn(filters=3)"),
        (wordpiece, False, "cnn(filters=3)"),
        (unigram, True, "cnn(filters=3, channels=2)"),
        (unigram, False, "bag(pooling='max')"),
    ],
)
def test_pipelines(kind, drops, head, tmp_path):
    run = tune(vectors=kind(drops), head=head, max_length=9, specials=["<user>"])
    file = File(run, tmp_path / "m.onnx")
    texts = [*TEXTS, "☃ W1 ☃☃ known w7", "☃", "<user>w3 x y z w38"]
    ids = file.ids(texts)
    assert max(map(len, ids)) > 9  # what the file of the table cuts is whole here
    found = file(ids)
    assert same(found["logits"], run.logits(texts)[0])
    assert same(found["probabilities"], run.predict_proba(texts))
    beyond = file([[file.tokenizer.get_vocab_size(), -1, 2**40]])["logits"]
    if drops:  # a word of a list has a token all the same
        assert same(beyond, run.logits([["☃", "☃", "☃"]])[0])
    small = File(run, tmp_path / "small.onnx", dtype="int8")
    assert 0 < np.abs(small(ids)["logits"] - found["logits"]).max() < 0.3


def test_a_tokenizer_with_an_id_far_above_its_number_of_tokens(tmp_path):
    spec = json.loads(wordpiece(True).tokenizer.json)
    spec["model"]["vocab"]["w38"] = 4_000_000_000
    tokenizer = fe.PipelineTokenizer(json.dumps(spec))
    run = tune(vectors=TABLE, tokenizer=tokenizer, head="bag")
    with pytest.raises(fe.VocabularyError, match="has the id 4,000,000,000, up to which the file"):
        fe.save_onnx(run, tmp_path / "m.onnx", vectors_only=True)


@pytest.mark.parametrize("head", ["bilstm(hidden=4)", "cnn_tagger(filters=3)"])
def test_taggers_with_pipelines(head, tmp_path):
    run = tune("tags", vectors=wordpiece(True), head=head)
    file = File(run, tmp_path / "m.onnx")
    words = ["w1", "w38", "☃", "known", "w7"]
    (encoded,) = file.tokenizer.encode_batch([" ".join(words)])
    found = file([encoded.ids])["logits"][0]
    first = [at for at, word in enumerate(encoded.word_ids) if word not in encoded.word_ids[:at]]
    assert same(found[first], run.logits([words])[0])


def test_a_lexical_part_beside_an_ensemble_of_pieces(tmp_path):
    run = tune(vectors=wordpiece(True), head="bag", ensemble=2, lexical=True)
    file = File(run, tmp_path / "m.onnx", vectors_only=True)
    found = file(file.ids(TEXTS))
    assert same(found["logits"], run.evidence(TEXTS)[2]["vectors"])
    assert file.metadata["parts"] == "vectors"
