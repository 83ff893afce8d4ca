"""Fixtures of the tests of training."""

from __future__ import annotations

import pytest

from finetune_embed.training.run import checkpoints as checkpoint


@pytest.fixture(autouse=True)
def _a_checkpoint_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of tests are too short to get one otherwise."""
    monkeypatch.setattr(checkpoint, "MIN_SECONDS", 0.0)
