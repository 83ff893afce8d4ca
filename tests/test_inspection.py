from __future__ import annotations

from datasets import Dataset

from finetune_embed.inspection import inspect


def test_coverage_is_of_every_training_row(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("a 1 2\nb 3 4\n")
    coverage = inspect(path, Dataset.from_dict({"text": ["a x"] * 10 + ["b"]})).coverage
    assert coverage is not None
    assert (coverage.types, coverage.types_found) == (3, 2)
    assert (coverage.tokens, coverage.tokens_found) == (21, 11)
    one = inspect(path, Dataset.from_dict({"text": ["b"]})).coverage  # too few to set any aside
    assert one is not None
    assert one.tokens == 1
