"""ONNX files compute in onnxruntime what runs compute in torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from datasets import Dataset, DatasetDict
from tokenizers import Tokenizer

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.table import Coding
from finetune_embed.training.run import onnx_heads

WORDS = [f"w{i}" for i in range(60)]
TABLE = fe.EmbeddingTable(
    [*WORDS, "b\udcff"], np.random.default_rng(1).normal(size=(61, 6)).astype(np.float32)
)
TEXTS = ["w1 w5 w39", "w38 w38 w59 w58", "nothing known", "", "w10", " ".join(WORDS)]


def rows(count: int, seed: int, kind: str) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count)
    texts = [" ".join(WORDS[i] for i in [*rng.choice(38, 6), 5 * one]) for one in labels]
    values = {
        "single": ["abc"[one] for one in labels],
        "multi": [["abc"[one], "d"][: 1 + one] for one in labels],
        "number": [float(one) * 10 for one in labels],
    }
    return Dataset.from_dict({"text": texts, "label": values[kind]})


def tune(kind: str = "single", **settings: Any) -> fe.Run:
    data = DatasetDict(train=rows(120, 0, kind), validation=rows(60, 1, kind))
    given = {"epochs": 2, "lr": 0.05, "batch_size": 16, "device": "cpu", "lexical": False}
    return fe.finetune(TABLE, data, **{**given, **settings})


@pytest.fixture(scope="module")
def run() -> fe.Run:
    return tune()


def session_of(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def outputs_of(path: Path, texts: list[str]) -> dict[str, np.ndarray]:
    """Return what a file makes of texts, with its own tokenizer."""
    session = session_of(path)
    tokenizer = Tokenizer.from_str(session.get_modelmeta().custom_metadata_map["tokenizer"])
    tokenizer.enable_padding(pad_id=0, pad_token="<pad>")
    encoded = tokenizer.encode_batch(texts)
    feed = {
        "input_ids": np.array([one.ids for one in encoded], np.int64),
        "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
    }
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


HEADS = [
    "bag",
    "bag(pooling='mean+max+min')",
    "bag(hidden=5)",
    "bag(hidden=5, layers=3, pooling='max')",
    "pooled_cnn",
    "pooled_cnn(widths=(1, 4), filters=3, pooling='min')",
    "cnn(widths=(1, 3), filters=4)",
    "cnn(channels=2, filters=4)",
]


@pytest.mark.parametrize("head", HEADS)
def test_heads(head, tmp_path):
    tuned = tune(head=head)
    fe.save_onnx(tuned, tmp_path / "m.onnx")
    found = outputs_of(tmp_path / "m.onnx", TEXTS)
    assert np.allclose(found["logits"], tuned.logits(TEXTS)[0], 1e-5, 1e-5)
    assert np.allclose(found["probabilities"], tuned.predict_proba(TEXTS), 1e-5, 1e-5)
    alone = outputs_of(tmp_path / "m.onnx", [""])
    assert np.allclose(alone["logits"], found["logits"][3], 1e-6)


def test_what_is_in_the_file(run, tmp_path):
    path = tmp_path / "m.onnx"
    fe.save_onnx(run, path)
    session = session_of(path)
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [
        ("input_ids", "tensor(int64)", ["texts", "tokens"]),
        ("attention_mask", "tensor(int64)", ["texts", "tokens"]),
    ]
    assert [(one.name, one.type, one.shape) for one in session.get_outputs()] == [
        ("logits", "tensor(float)", ["texts", 3]),
        ("probabilities", "tensor(float)", ["texts", 3]),
    ]
    found = session.get_modelmeta().custom_metadata_map
    assert json.loads(found["labels"]) == ["a", "b", "c"] == run.labels
    assert (found["task"], found["parts"]) == ("single_label", "all")
    assert "threshold" not in found
    model = onnx.load(path)
    assert (model.ir_version, model.opset_import[0].version) == (8, 17)
    ids = Tokenizer.from_str(found["tokenizer"]).get_vocab()
    assert set(ids) == {"<pad>", "<unk>", *WORDS}  # no word that is not UTF-8
    table = next(one for one in model.graph.initializer if one.name == "embedding.weight")
    table = onnx.numpy_helper.to_array(table)
    for word, at in ids.items():
        if at > 1:
            assert table[at].tobytes() == run.table[word].tobytes(), word
    fe.save_onnx(run, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()


def test_ids_that_there_are_not_and_masks(run, tmp_path):
    fe.save_onnx(run, tmp_path / "m.onnx")
    session = session_of(tmp_path / "m.onnx")

    def logits(ids: list[list[int]], mask: list[list[int]]) -> np.ndarray:
        feed = {"input_ids": np.array(ids, np.int64), "attention_mask": np.array(mask, np.int64)}
        return session.run(["logits"], feed)[0]

    highest = len(run.vocab) + len(set(WORDS) - set(run.vocab.words)) - 1
    odd = logits([[highest, 2**62, -1], [highest + 1, 5, 5]], [[1, 1, 1], [1, 0, 0]])
    same = logits([[highest, 1, 1], [1, 0, 0]], [[1, 1, 1], [1, 1, 1]])
    assert np.allclose(odd, same, 1e-6)
    last = next(word for word in reversed(WORDS) if word not in run.vocab)
    assert np.allclose(logits([[highest]], [[1]]), run.logits([last])[0], 1e-5)


def test_int8(run, tmp_path):
    fe.save_onnx(run, tmp_path / "m.onnx", dtype="int8")
    found = outputs_of(tmp_path / "m.onnx", TEXTS)
    assert 0 < np.abs(found["logits"] - run.logits(TEXTS)[0].numpy()).max() < 0.1
    types = {one.name: one.data_type for one in onnx.load(tmp_path / "m.onnx").graph.initializer}
    assert types["embedding.weight"] == onnx.TensorProto.INT8
    rows = run.model.embedding.weight.detach().numpy()
    coded = torch.from_numpy(Coding("int8").decode(Coding("int8").encode(rows)))
    before = run.model.embedding.weight.detach().clone()
    with torch.no_grad():
        run.model.embedding.weight.copy_(coded)
        expected = run.logits(["w1 w5 w2", "w7"])[0].numpy()
        run.model.embedding.weight.copy_(before)
    of_rows = outputs_of(tmp_path / "m.onnx", ["w1 w5 w2", "w7"])["logits"]
    assert np.allclose(of_rows, expected, 1e-5, 1e-5)


def test_long_texts_are_truncated_as_in_the_run(tmp_path):
    tuned = tune(max_length=4, head="bag")
    fe.save_onnx(tuned, tmp_path / "m.onnx")
    found = outputs_of(tmp_path / "m.onnx", TEXTS)
    assert np.allclose(found["logits"], tuned.logits(TEXTS)[0], 1e-5, 1e-5)


def test_several_labels_and_numbers(tmp_path):
    tuned = tune("multi", head="bag")
    fe.save_onnx(tuned, tmp_path / "m.onnx")
    metadata = session_of(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map
    assert float(metadata["threshold"]) == tuned.task.threshold
    found = outputs_of(tmp_path / "m.onnx", TEXTS)["probabilities"]
    assert np.allclose(found, tuned.predict_proba(TEXTS), 1e-5, 1e-5)
    labels = json.loads(metadata["labels"])
    chosen = [[labels[at] for at in np.flatnonzero(row >= tuned.task.threshold)] for row in found]
    assert chosen == tuned.predict(TEXTS)
    tuned = tune("number", head="bag", task="regression")
    fe.save_onnx(tuned, tmp_path / "n.onnx")
    found = outputs_of(tmp_path / "n.onnx", TEXTS)
    assert np.allclose(found["predictions"][:, 0], tuned.predict(TEXTS), 1e-4, 1e-4)
    metadata = session_of(tmp_path / "n.onnx").get_modelmeta().custom_metadata_map
    assert (metadata["labels"], metadata["task"]) == ("[]", "regression")


def test_the_vectors_part_alone(tmp_path, capsys):
    tuned = tune(lexical=True, output_dir=tmp_path / "run")
    message = "a lexical part, which an ONNX file cannot hold; without it, accuracy on validation"
    with pytest.raises(fe.DataError, match=message):
        fe.save_onnx(tuned, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
    arguments = ["onnx", str(tmp_path / "run"), str(tmp_path / "m.onnx"), "--vectors-only"]
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--dtype", "int8"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{tmp_path / 'm.onnx'}: the vectors' part alone, rows of int8, 0.")
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--overwrite", "--json"])
    assert json.loads(capsys.readouterr().out)["parts"] == "vectors"
    found = session_of(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map
    assert found["parts"] == "vectors"
    vectors = tuned.evidence(TEXTS)[2]["vectors"]
    assert np.allclose(outputs_of(tmp_path / "m.onnx", TEXTS)["logits"], vectors, 1e-5, 1e-5)


def test_a_shrunk_run(run, tmp_path):
    small = fe.shrink(run, words=20, dtype="int8")
    fe.save_onnx(small, tmp_path / "m.onnx")
    found = outputs_of(tmp_path / "m.onnx", TEXTS)
    assert np.allclose(found["logits"], small.logits(TEXTS)[0], 1e-5, 1e-5)


def test_nothing_takes_the_name_of_a_file_that_computes_something_else(run, tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(b"before")
    right = onnx_heads._pooled_cnn

    def wrong(graph: Any, model: Any, text: Any) -> str:
        of_words = graph.add("Cast", text.tokens.lengths, to=onnx.TensorProto.FLOAT)
        return graph.add("Add", right(graph, model, text), of_words)

    monkeypatch.setitem(onnx_heads._GRAPHS, fe.PooledCNN, wrong)
    with pytest.raises(fe.DataError, match="other numbers than this library, by up to 40"):
        fe.save_onnx(run, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def test_without_onnxruntime(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        ImportError, match=r'onnxruntime is not installed; pip install "finetune_embed\[on'
    ):
        fe.save_onnx(run, tmp_path / "m.onnx")


def test_rows_that_no_file_can_hold(run, tmp_path, monkeypatch):
    monkeypatch.setattr("finetune_embed.training.run.onnx_graph.LARGEST", 1_000)
    with pytest.raises(fe.VectorFileError, match="an ONNX file has at most 2; keep fewer words"):
        fe.save_onnx(run, tmp_path / "m.onnx")
