"""The wheel holds what it must, its demo is small, and the library stays quiet."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import finetune_embed

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.compress_size for info in archive.infolist()}
    assert "finetune_embed/py.typed" in sizes
    assert {
        f"finetune_embed/{name}.pyi"
        for name in (
            "__init__",
            "formats/common/_kernels",
            "optim/_kernels",
            "vocabulary/_tokenization",
        )
    } <= set(sizes)
    assert "finetune_embed/formats/fasttext/model.py" in sizes
    assert "finetune_embed/demo/LICENSE-glove.txt" in sizes
    demo = {name: size for name, size in sizes.items() if name.startswith("finetune_embed/demo/")}
    assert "finetune_embed/demo/glove.6B.50d.demo.txt.gz" in demo
    assert {f"finetune_embed/demo/reviews/{s}.csv" for s in ("train", "validation", "test")} <= set(
        demo
    )
    assert sum(demo.values()) < 3_000_000
    assert not any(name.startswith(("tests/", "recipes/", "benchmarks/")) for name in sizes)


def test_one_version() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert tomllib.load(file)["project"]["version"] == finetune_embed.__version__


def test_constraints_pin_every_dependency() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    wanted = {
        dependency.split(">=")[0].lower().replace("-", "_")
        for dependency in [*project["dependencies"], *extras["plot"], *extras["dev"]]
        if not dependency.startswith("finetune_embed")
    }
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {
        line.split("==")[0].lower().replace("-", "_") for line in lines if not line.startswith("#")
    }
    assert wanted <= pinned
    assert "torch==2.13.0" in lines


def test_only_the_command_line_prints() -> None:
    package = ROOT / "finetune_embed"
    allowed = {"cli", "demo"}
    swept = 0
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in allowed:
            continue
        assert not re.search(r"\bprint\(", path.read_text()), path
        swept += 1
    assert swept > 40
