"""Peak memory of reading a vector file, above what the process had after the imports (Linux).

python benchmarks/peak_memory.py FILE [FILE_OF_WORDS_TO_KEEP]
"""

from __future__ import annotations

import sys
from pathlib import Path

import finetune_embed as fe


def status(name: str) -> float:
    """Return a figure of this process's memory, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name + ":"))


def main() -> None:
    """Read the file and print the peak."""
    keys = Path(sys.argv[2]).read_text().split("\n") if len(sys.argv) > 2 else None
    before = status("VmRSS")
    table = fe.load_vectors(sys.argv[1], keys=keys)
    above = status("VmHWM") - before
    print(f"{above:.0f} MB for a table of {table.vectors.nbytes / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
