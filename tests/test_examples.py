"""Every public name has an example in its docstring, and it prints what it shows."""

from __future__ import annotations

import doctest
import gzip
import inspect
import shutil
from pathlib import Path

import pytest
import torch

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS

#: Examples that train.
SLOW = ("DivergenceError", "Run", "compare", "finetune", "load", "report")
#: Examples that take long, and the pages on which the tests run the same call.
ON_A_PAGE = {
    "Autotuned": "docs/training.md",
    "Comparison": "docs/which_strategy.md",
    "autotune": "docs/training.md",
}
ROOT = Path(__file__).parent.parent
REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.rst"))


class Hub:
    """In the place of the Hub."""

    def __init__(self, token: str | None = None) -> None:
        pass

    def create_repo(self, name: str, **_: object) -> str:
        return f"https://huggingface.co/{name}"

    def upload_folder(self, **_: object) -> None:
        pass


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of vectors that docs/README.md sets up."""
    path = tmp_path_factory.mktemp("vectors") / "glove.6B.50d.txt"
    with gzip.open(VECTORS) as packed, open(path, "wb") as file:
        shutil.copyfileobj(packed, file)
    return path


def examples_of(name: str) -> doctest.DocTest:
    """Return the examples in the docstring of a public name."""
    text = getattr(fe, name).__doc__ or ""
    names = {"fe": fe, "torch": torch}
    return doctest.DocTestParser().get_doctest(inspect.cleandoc(text), names, name, None, None)


def test_no_public_name_lacks_an_example() -> None:
    assert len(fe.__all__) > 90
    assert [
        name for name in fe.__all__ if "Example:\n" not in (getattr(fe, name).__doc__ or "")
    ] == []
    run = {n for n in fe.__all__ if any(not e.options for e in examples_of(n).examples)}
    assert set(fe.__all__) - run == set(ON_A_PAGE)
    for name, page in ON_A_PAGE.items():
        call = {"Autotuned": "autotune", "Comparison": "compare"}.get(name, name)
        assert f"= fe.{call}(" in (ROOT / page).read_text()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in fe.__all__
        if name not in ON_A_PAGE
    ],
)
def test_an_example_prints_what_it_shows(
    name: str, vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    Path("glove.6B.50d.txt").symlink_to(vectors)
    Path("reviews").symlink_to(REVIEWS)
    result = doctest.DocTestRunner().run(examples_of(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_reference_has_every_public_name_once() -> None:
    lines = [line for path in REFERENCE for line in path.read_text().splitlines()]
    found = [line.split(":: ")[1] for line in lines if line.startswith(".. auto")]
    assert sorted(found) == sorted(fe.__all__)
