"""Write requirements.txt, -dev and -docs: every package that `make` installs, with hashes.

    python tests/lock.py            # needs uv: pip install uv
    python tests/lock.py --upgrade  # to newer versions

The first is what `pip install .` would install and what builds the package, the second what the
tests need besides, the third what makes the site of the documentation. The hashes are those of
every file of a version, for any platform.

torch has no hash, since its builds for CPUs and GPUs come from several places: constraints.txt pins
it, and it is installed after its dependencies. It pins those of its own that only some builds have.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: The lists, and the extras of the packages that each has beyond those before it.
LISTS = {
    ROOT / "requirements.txt": (),
    ROOT / "requirements-dev.txt": ("dev", "fuzz"),
    ROOT / "requirements-docs.txt": ("dev", "fuzz", "docs"),
}
#: What builds the package, and what every build of torch depends on.
MORE = ("setuptools>=77", "jinja2", "networkx", "sympy")
OPTIONS = ("--universal", "--python-version=3.11", "--generate-hashes", "--no-annotate")
COMMENT = "# Written by tests/lock.py.\n"
FASTAI = ROOT / "tests" / "fastai.txt"


def main() -> None:
    """Write the lists, and the hashes of the versions in `tests/fastai.txt`."""
    with tempfile.TemporaryDirectory() as folder:
        more, old, without = (Path(folder, name) for name in ("more.in", "old.txt", "without.txt"))
        more.write_text("\n".join(MORE))
        without.write_text("torch\n")
        old.write_text("".join(path.read_text() for path in LISTS if path.exists()))
        if "--upgrade" in sys.argv[1:]:
            old.write_text("")
        command = ["uv", "pip", "compile", *OPTIONS, "--quiet", "--no-header", "--excludes"]
        command += [str(without), "--constraint", str(old), "pyproject.toml", str(more)]
        found: list[str] = []
        for path, extras in LISTS.items():
            chosen = [f"--extra={extra}" for extra in extras]
            run = subprocess.run(
                [*command, *chosen], cwd=ROOT, check=True, capture_output=True, text=True
            )
            lines = run.stdout.replace(" \\\n", " \\").splitlines(keepends=True)
            new = [line.replace(" \\", " \\\n") for line in lines if line not in found]
            path.write_text(COMMENT + "".join(new))
            found = lines
    command = ["uv", "pip", "compile", *OPTIONS, "--quiet", "--no-header", "--no-deps", str(FASTAI)]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    comments = [line for line in FASTAI.read_text().splitlines(True) if line.startswith("#")]
    FASTAI.write_text("".join(comments) + run.stdout)


if __name__ == "__main__":
    main()
