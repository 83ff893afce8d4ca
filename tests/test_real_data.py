"""The whole way on real data sets and real vectors, where they are at hand.

The data sets are looked for in the folder that FINETUNE_EMBED_DATA names, or in `shared/data`
beside the project; a whole GloVe 6B 50d text file at FINETUNE_EMBED_GLOVE. Without the file, the
embedded slice of it stands in.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.demo import VECTORS

DATA = Path(os.environ.get("FINETUNE_EMBED_DATA", Path(__file__).parents[2] / "shared" / "data"))
GLOVE = os.environ.get("FINETUNE_EMBED_GLOVE", "")
PROS_CONS = DATA / "text" / "pros_cons"

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.skipif(not PROS_CONS.is_dir(), reason=f"the real data sets are not at {DATA}"),
]


@pytest.mark.parametrize(
    ("vectors", "frozen_at_most"),
    [
        pytest.param(VECTORS, 0.87, id="slice"),
        pytest.param(
            GLOVE,
            0.87,
            id="whole",
            marks=pytest.mark.skipif(not GLOVE, reason="FINETUNE_EMBED_GLOVE names no file"),
        ),
    ],
)
def test_pros_and_cons(vectors: str | Path, frozen_at_most: float, tmp_path: Path) -> None:
    base = fe.load_vectors(vectors)
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
