"""The remedies of errors about ONNX files are followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from following import follows

import finetune_embed as fe

TABLE = fe.EmbeddingTable(["king", "queen", "the"], np.eye(3, 4, dtype=np.float32))


@pytest.fixture
def tune(tmp_path):
    """Tunes a run with some settings, and without a lexical part unless they say so."""
    data = tmp_path / "data.csv"
    data.write_text("text,label\n" + "a king,x\nthe queen,y\n" * 9)

    def run(vectors: Any = TABLE, **settings: Any) -> fe.Run:
        return fe.finetune(vectors, data, epochs=1, **{"lexical": False, **settings})

    return run


def refused(run: fe.Run, path: Path, **options: Any) -> str:
    """Return the message of the error that `save_onnx` raises; there is no file."""
    with pytest.raises(fe.FinetuneEmbedError) as error:
        fe.save_onnx(run, path, **options)
    assert not path.exists()
    return str(error.value)


def written(run: fe.Run, path: Path, **options: Any) -> bool:
    fe.save_onnx(run, path, **options)
    return path.stat().st_size > 1_000


def test_a_dtype_that_is_none(tune, tmp_path):
    run, path = tune(), tmp_path / "m.onnx"
    assert refused(run, path, dtype="float16").endswith("; choose one, such as dtype='float32'")
    assert written(run, path, dtype="float32")


@follows("training/run/onnx_file.py", "only ready heads are written as ONNX")
def test_a_head_that_has_no_graph(tune, tmp_path):
    path = tmp_path / "m.onnx"
    other = tune(head=lambda embedding, num_labels: fe.BagOfEmbeddings(embedding, num_labels))
    end = "; tune with a ready head, such as head='pooled_cnn'"
    assert refused(other, path).endswith(end)
    assert written(tune(head="pooled_cnn"), path)


@follows("training/run/onnx_file.py", "the run has a lexical part")
def test_a_lexical_part(tune, tmp_path, command):
    path = tmp_path / "m.onnx"
    run = tune(lexical=True, output_dir=tmp_path / "run")
    end = "; write the vectors' part alone with vectors_only=True, or tune without the other: "
    assert refused(run, path).endswith(f"{end}lexical=False")
    assert written(run, path, vectors_only=True)
    assert "alone with --vectors-only, or" in command("onnx", tmp_path / "run", tmp_path / "c.onnx")
    assert command("onnx", tmp_path / "run", tmp_path / "c.onnx", "--vectors-only") == ""
    assert (tmp_path / "c.onnx").read_bytes() == path.read_bytes()
    assert written(tune(lexical=False), path)


@follows("training/run/onnx_graph.py", "an ONNX file has at most 2")
def test_rows_that_no_file_can_hold(tune, tmp_path, monkeypatch):
    run, path = tune(), tmp_path / "m.onnx"
    monkeypatch.setattr("finetune_embed.training.run.onnx_graph.LARGEST", 90)
    assert refused(run, path).endswith("; keep fewer words first: shrink(source, words=100_000)")
    assert written(fe.shrink(run, words=2), path)
    two = tune(head="cnn(channels=2, filters=2)")
    assert "keep fewer words first" in refused(fe.shrink(two, words=2), tmp_path / "two")
