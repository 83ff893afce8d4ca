"""Every input of the fuzzer's corpus gives a table or one of the library's errors."""

from __future__ import annotations

import pytest
from targets import CORPUS, TARGETS, check, seeds

INPUTS = [(name, seed) for name in TARGETS for seed in seeds(name)]


@pytest.mark.parametrize(("name", "seed"), INPUTS, ids=lambda item: getattr(item, "name", item))
def test_an_input_is_read_or_refused(name, seed):
    check(name, seed.read_bytes())


def test_every_target_has_a_corpus():
    assert sorted(folder.name for folder in CORPUS.iterdir()) == sorted(TARGETS)
    assert len(TARGETS) == 16
    assert len(INPUTS) >= 49
