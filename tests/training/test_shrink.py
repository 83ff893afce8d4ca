"""Runs that take fewer bytes predict as before they were saved, and nearly as before at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from safetensors.torch import load_file

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.lexical import Texts
from finetune_embed.training.run.file_names import FILES

WORDS = [f"w{i}" for i in range(60)]
TABLE = fe.EmbeddingTable(WORDS, np.random.default_rng(1).normal(size=(60, 6)).astype(np.float32))


def rows(count: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count)
    texts = [" ".join(WORDS[i] for i in [*rng.choice(38, 6), 5 * one]) for one in labels]
    return Dataset.from_dict({"text": texts, "label": ["abc"[one] for one in labels]})


DATA = DatasetDict(train=rows(200, 0), validation=rows(60, 1), test=rows(60, 2))
TEXTS = ["w1 w5 w39", "w38 w38 w59", "nothing known", "", "w10 w2 [x] w50"]


def tune(folder: Path, **settings: Any) -> fe.Run:
    given = {"epochs": 3, "lr": 0.05, "batch_size": 16, "device": "cpu", "output_dir": folder}
    fe.finetune(TABLE, settings.pop("data", DATA), **{**given, **settings})
    return fe.load(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> fe.Run:
    return tune(tmp_path_factory.mktemp("run"))


def saved(small: fe.Run, folder: Path) -> fe.Run:
    """Return a run that was saved and loaded, which predicts the same bits."""
    small.save(folder)
    back = fe.load(folder)
    assert torch.equal(back.logits(TEXTS)[0], small.logits(TEXTS)[0])
    assert back.vocab.index_to_key == small.vocab.index_to_key
    assert back.vocab.counts.tolist() == small.vocab.counts.tolist()
    assert back.words == small.words
    return back


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "pq"])
def test_smaller_numbers(dtype, run, tmp_path):
    small = fe.shrink(run, dtype=dtype)
    back = saved(small, tmp_path / "small")
    logits, before = back.logits(TEXTS)[0], run.logits(TEXTS)[0]
    bound = {"float32": 0, "float16": 0.005, "bfloat16": 0.03, "int8": 0.05, "pq": 0.3}[dtype]
    assert (logits - before).abs().max() <= bound
    assert back.record["shrunk"] == {"words": 60, "dtype": dtype}
    warning = f"the scores are from before it was shrunk to words 60, dtype {dtype}"
    assert back.warnings == [*run.warnings, warning]
    assert warning in str(back)
    kind = torch.float32 if dtype == "float32" else torch.float16
    assert load_file(tmp_path / "small" / "lexical.safetensors")["weight"].dtype == kind
    assert load_file(tmp_path / "small" / "model.safetensors")["embedding.weight"].shape == (2, 6)
    saved(back, tmp_path / "again")
    for name in FILES:
        if (tmp_path / "small" / name).is_file():
            once = (tmp_path / "small" / name).read_bytes()
            assert (tmp_path / "again" / name).read_bytes() == once, name


def test_fewer_words(run, tmp_path):
    by_count = np.argsort(-run.vocab.counts[2:], kind="stable")
    most = {run.vocab.words[at] for at in by_count[:20]}
    small = saved(fe.shrink(run, words=20), tmp_path)
    assert set(small.table.index_to_key) == set(small.vocab.words) == most
    assert small.table.index_to_key == [word for word in run.table.index_to_key if word in most]
    for word in most:
        assert small.table[word].tobytes() == run.table[word].tobytes()
    texts = [" ".join(sorted(most)[:7]), " ".join(sorted(most)[7:]), sorted(most)[3]]
    known = small.logits(texts)[0]
    assert known.argmax(dim=1).tolist() == run.logits(texts)[0].argmax(dim=1).tolist()
    assert small.lexical.classifier.features.size == 22
    ids = torch.tensor([2, 3, 3, 5])  # all evidence of words and pairs that are left is as before
    old = torch.tensor([run.vocab.key_to_index[small.vocab.index_to_key[at]] for at in ids])
    lengths = torch.tensor([4])
    one, two = small.lexical.classifier.features, run.lexical.classifier.features
    few, all_ = one(ids.numpy(), lengths.numpy()), two(old.numpy(), lengths.numpy())
    assert np.sort(few.values).tolist() == np.sort(all_.values).tolist()
    evidence = [
        part.lexical.classifier(Texts(at.numpy(), lengths.numpy(), np.zeros(4, np.int64), ["w9"]))
        for part, at in ((small, ids), (run, old))
    ]
    assert torch.allclose(*evidence, atol=1e-6)


def test_words_beyond_those_of_training(run, tmp_path):
    words = len(run.vocab.words) + 5
    small = saved(fe.shrink(run, words=words), tmp_path)
    beyond = [word for word in run.table.index_to_key if word not in run.vocab]
    assert small.vocab.index_to_key == run.vocab.index_to_key
    assert [word for word in small.table.index_to_key if word not in run.vocab] == beyond[:5]
    assert fe.shrink(run, words=["w1", "w59"]).vocab.words == ["w1"]


def test_words_that_are_left_out_get_the_nearest_row(run, tmp_path):
    small = saved(fe.shrink(run, words=10, remap=True), tmp_path)
    assert small.table.index_to_key == run.table.index_to_key
    assert small.table.coded.held == 10
    assert len(small.vocab.words) == 10
    other = next(word for word in run.vocab.words if word not in small.vocab)
    assert small.logits_and_unknown([other])[2].tolist() == [0]


def test_the_longest_vectors(run):
    norms = run.model.embedding.weight.detach().norm(dim=1)[2:].numpy()
    longest = {run.vocab.words[at] for at in np.argsort(-norms)[:7]}
    assert set(fe.shrink(run, words=7, by="norm").table.index_to_key) == longest
    others = [word for word in run.table.index_to_key if word not in run.vocab]
    others.sort(key=lambda word: -np.linalg.norm(run.table[word]))
    first = {*run.vocab.words, *others[:5]}
    small = fe.shrink(run, words=len(first), by="norm")
    assert set(small.table.index_to_key) == first != set(run.table.index_to_key[: len(first)])


def test_fewer_dimensions_keep_the_size_that_the_head_takes(run, tmp_path):
    small = saved(fe.shrink(run, dim=5, dtype="int8"), tmp_path)
    assert small.table.vector_size == 6
    assert small.table.coded.parts[0].codes.shape == (60, 5)
    assert small.model.embedding.weight.shape == run.model.embedding.weight.shape
    flat = run.table.vectors - run.table.vectors.mean(axis=0)
    lost = np.linalg.svd(flat)[1][-1]
    error = np.linalg.norm(small.table.vectors - run.table.vectors)
    assert lost * 0.99 < error < lost * 1.1


@pytest.mark.parametrize("head", ["cnn(channels=2, filters=4)", "bag"])
def test_an_ensemble(head, tmp_path):
    whole = tune(tmp_path / "whole", head=head, ensemble=2)
    small = saved(fe.shrink(whole, words=15, dtype="int8"), tmp_path / "small")
    assert len(small.others) == 1
    assert small.others[0].model.embedding.weight.shape == (17, 6)
    kept = [whole.vocab.key_to_index[word] for word in small.vocab.index_to_key]
    rows = whole.others[0].model.embedding.weight.detach()[kept]
    assert torch.equal(small.others[0].model.embedding.weight, rows.half().float())
    if "channels" in head:
        assert torch.equal(small.model.start, whole.model.start[kept])
    assert len(whole.others[0].model.embedding.weight) == len(whole.vocab)


def test_a_tagger_with_special_tokens(tmp_path):
    texts = [["w1", "<x>", "w2"], ["w3", "w4", "<x>"]] * 10
    tags = [["A", "B", "A"], ["A", "A", "B"]] * 10
    data = DatasetDict(train=Dataset.from_dict({"text": texts, "label": tags}))
    whole = tune(tmp_path / "whole", data=data, head="cnn_tagger", specials=["<x>"])
    small = saved(fe.shrink(whole, words=2), tmp_path / "small")
    assert small.vocab.index_to_key[2] == "<x>"
    assert small.predict([["w1", "<x>"]])[0][1] == whole.predict([["w1", "<x>"]])[0][1]
    row = whole.model.embedding.weight[2]
    assert torch.equal(small.model.embedding.weight[2], row)


def test_a_run_of_pieces(golden, tmp_path):
    static = fe.load_vectors(golden / "static" / "model2vec")
    texts = ["the cafés", "café the the", "the", "日本語 the"] * 6
    data = DatasetDict(train=Dataset.from_dict({"text": texts, "label": [0, 1, 0, 1] * 6}))
    fe.finetune(static, data, epochs=2, output_dir=tmp_path / "whole")
    whole = fe.load(tmp_path / "whole")
    small = fe.shrink(whole, dtype="float16")
    small.save(tmp_path / "small")
    back = fe.load(tmp_path / "small")
    assert back.table.tokenizer == whole.table.tokenizer
    assert back.vocab.words_of(texts[:1]) == whole.vocab.words_of(texts[:1])
    assert torch.equal(back.logits(texts)[0], small.logits(texts)[0])
    assert torch.allclose(back.logits(texts)[0], whole.logits(texts)[0], atol=0.01)


def test_from_the_command_line(run, tmp_path, capsys):
    run.save(tmp_path / "run")

    def command(*words: object) -> int:
        with pytest.raises(SystemExit) as stopped:
            main(["shrink", *map(str, words)])
        return int(stopped.value.code)

    out = tmp_path / "small"
    given = (tmp_path / "run", "-o", out, "--words", 20, "--dtype", "int8")
    assert command(*given, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["after"] < printed["before"]
    assert (printed["kind"], printed["words"], printed["size"]) == ("run", 20, 6)
    small = fe.shrink(run, words=20, dtype="int8")
    assert torch.equal(fe.load(out).logits(TEXTS)[0], small.logits(TEXTS)[0])
    assert command(*given) == 2
    assert "replace it with --overwrite" in capsys.readouterr().err
    assert command(*given, "--overwrite") == 0
    assert capsys.readouterr().out.startswith(f"{out}: run, 20 words x 6 of int8, 0.")
    (tmp_path / "keys").write_text("w3\nw1\n")
    vectors = tmp_path / "v.safetensors"
    assert command(tmp_path / "run" / "embedding.safetensors", "-o", vectors, "--words", 3) == 0
    assert capsys.readouterr().out.startswith(f"{vectors}: table, 3 words x 6 of float32, 0.0 MB")
    assert fe.load_vectors(vectors).index_to_key == run.table.index_to_key[:3]
    assert command(vectors, "-o", vectors, "--overwrite") == 2
    assert "this is the source, which would be lost" in capsys.readouterr().err
    keys = ("--keys", tmp_path / "keys")
    assert command(tmp_path / "run", "-o", tmp_path / "k", *keys, "--words", 3) == 2
    assert "--words 3 excludes --keys; give one of the two" in capsys.readouterr().err
    assert command(tmp_path / "run", "-o", tmp_path / "k", *keys) == 0
    assert fe.load(tmp_path / "k").table.index_to_key == ["w1", "w3"]
