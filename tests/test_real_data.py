"""From vectors and a data set to a tuned file, on real data; skipped without it.

The environment variable FINETUNE_EMBED_DATA names the folder of data sets, and FINETUNE_EMBED_GLOVE
the complete GloVe 6B 50d text file. Without that file, only the included slice of it is used.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.demo import VECTORS

DATA = os.environ.get("FINETUNE_EMBED_DATA", "")
GLOVE = os.environ.get("FINETUNE_EMBED_GLOVE", "")
PROS_CONS = Path(DATA, "text", "pros_cons")

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA and PROS_CONS.is_dir()),
        reason="FINETUNE_EMBED_DATA names no folder with text/pros_cons",
    ),
]


@pytest.mark.parametrize(
    ("vectors", "frozen_at_most"),
    [
        pytest.param(VECTORS, 0.87, id="slice"),
        pytest.param(
            GLOVE,
            0.87,
            id="complete",
            marks=pytest.mark.skipif(not GLOVE, reason="FINETUNE_EMBED_GLOVE names no file"),
        ),
    ],
)
def test_pros_and_cons(vectors: str | Path, frozen_at_most: float, tmp_path: Path) -> None:
    base = fe.load_vectors(vectors)
    assert "cut_short" not in base.metadata
    frozen = fe.finetune(base, PROS_CONS, strategy=fe.Freeze(), epochs=4)
    run = fe.finetune(base, PROS_CONS, epochs=6, output_dir=tmp_path / "tuned")
    assert run.metrics["test"]["accuracy"] >= 0.925
    assert 0.80 < frozen.metrics["test"]["accuracy"] < frozen_at_most
    written = fe.load_safetensors(tmp_path / "tuned" / "embedding.safetensors")
    assert written.index_to_key[: len(base)] == base.index_to_key
    outside = np.array([word not in run.vocab for word in base.index_to_key])
    assert outside.sum() > len(base) / 3
    assert np.array_equal(
        written.vectors[: len(base)][outside].view(np.uint32),
        base.vectors[outside].view(np.uint32),
    )
