"""Check what a built sdist and wheel hold: python tests/built.py dist."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = "finetune_embed/demo/"


def main() -> None:
    """Check the only sdist and the only wheel of a folder."""
    folder = Path(sys.argv[1])
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True)
    committed = {name for name in listed.stdout.decode().splitlines() if name[:4] != ".git"}
    check_sdist(sdist, committed)
    check_wheel(wheel, {name for name in committed if name.startswith("finetune_embed/")})
    print(f"{sdist.name} and {wheel.name} hold what they must")


def check_sdist(path: Path, committed: set[str]) -> None:
    """Check that all that is committed is in the sdist: the C sources, and what tests read."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sum(name.endswith((".c", ".h")) for name in names) == 6
    assert committed - names == set()


def check_wheel(path: Path, package: set[str]) -> None:
    """Check that the package without its C sources is in the wheel, a small demo, and no tests."""
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.compress_size for info in archive.infolist()}
    sources = {name for name in package if name.endswith((".c", ".h"))}
    demo = {name: size for name, size in sizes.items() if name.startswith(DEMO)}
    reviews = {f"{DEMO}reviews/{split}.csv" for split in ("train", "validation", "test")}
    assert {f"{DEMO}LICENSE-glove.txt", f"{DEMO}glove.6B.50d.demo.txt.gz", *reviews} <= set(demo)
    assert sum(demo.values()) < 3_000_000
    assert package - sources - set(sizes) == set()
    assert not any(name.endswith((".c", ".h")) for name in sizes)
    others = {name.split("/")[0] for name in sizes} - {"finetune_embed"}
    assert all(name.endswith(".dist-info") for name in others)


if __name__ == "__main__":
    main()
