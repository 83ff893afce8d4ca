"""Fixtures that every test module may use."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import settings

from finetune_embed import EmbeddingTable

settings.register_profile("suite", deadline=None, max_examples=100, database=None)
settings.register_profile("fast", settings.get_profile("suite"), max_examples=15)  # make check


def pytest_configure(config: pytest.Config) -> None:
    """Choose the number of examples, and let Ctrl-C interrupt, which background jobs ignore."""
    settings.load_profile(config.getoption("--hypothesis-profile") or "suite")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES if torch.cuda.is_available() else DEVICES[:1])
def device(request: pytest.FixtureRequest) -> str:
    """The device of a test that `make gpu` runs on a GPU too."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Start every test from the same random state, whatever ran before it."""
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session", autouse=True)
def _quick() -> Iterator[None]:
    """Leave out what takes long and what no test sees.

    That is to wait for files to reach the disk (a wrong handle is still an error), and the stack
    traces that `torch.manual_seed` records for GPUs where there are none.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        if not torch.cuda.is_available():
            patch.setattr(torch, "manual_seed", torch.default_generator.manual_seed)
        yield


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """Leave what is loaded so far out of searches for garbage: a full one would take 0.4 s."""
    gc.freeze()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Make a folder by its name, in one of the processes that run tests, and share it with all.

    A fixture of a module would do the same work again in each process that runs a test of it.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def _once(name: str, make: Callable[[Path], None]) -> Path:
        folder, made = root / name, root / f"{name}.made"
        with FileLock(root / f"{name}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # where a process failed to make it
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return _once


@pytest.fixture
def golden() -> Path:
    """The folder of the committed tiny files, one of each format."""
    return Path(__file__).parent / "golden"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write bytes to a file in a fresh folder and return its path."""

    def _write(data: bytes, name: str = "vectors.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return _write


@pytest.fixture
def table() -> EmbeddingTable:
    """Five words whose vectors have exact short decimals."""
    return EmbeddingTable(
        ["king", "queen", "man", "woman", "apple"],
        [[1.0, 0.5, 0.0], [1.0, -0.5, 0.0], [0.5, 0.5, 0.0], [0.5, -0.5, 0.0], [0.0, 0.0, 2.0]],
        {"source": "fixture"},
    )


@pytest.fixture
def random_table() -> EmbeddingTable:
    """Two thousand words of 16 normally distributed values, each column with its own spread."""
    random = np.random.default_rng(7)
    vectors = random.normal(np.linspace(-1, 1, 16), np.linspace(0.5, 2, 16), (2_000, 16))
    return EmbeddingTable([f"w{i}" for i in range(2_000)], vectors.astype(np.float32))


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package impossible to import, what is loaded of it included."""

    def _missing(package: str) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, package, None)

    return _missing
