"""How much slower a run is while another process keeps one core busy.

    python benchmarks/busy_machine.py [--vectors glove.6B.100d.txt --data 20newsgroups]

Runs the quickstart, and `train` with its defaults if vectors and data are given, in turn on the
machine as it is and beside a process that never sleeps; prints the seconds of each run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

REPEATS = 2


def seconds(command: Sequence[str]) -> float:
    """Run a command of finetune-embed in a fresh folder and return its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        output = ["-o", str(Path(folder) / "run"), "--quiet"]
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "finetune_embed", *command, *output],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - started


def beside_a_busy_process(command: Sequence[str]) -> float:
    """Run a command while another process keeps a core busy, and return its seconds."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            return seconds(command)
        finally:
            busy.kill()


def main() -> None:
    """Time the commands and print a line for each."""
    parser = argparse.ArgumentParser(description="Time runs beside a busy process.")
    parser.add_argument("--vectors")
    parser.add_argument("--data")
    options = parser.parse_args()
    commands = {"quickstart": ["quickstart"]}
    if options.vectors and options.data:
        commands["train"] = [
            "train",
            "--head",
            "bag",
            "--vectors",
            options.vectors,
            "--data",
            options.data,
        ]
    for name, command in commands.items():
        pairs = [(seconds(command), beside_a_busy_process(command)) for _ in range(REPEATS)]
        idle, busy = (
            ", ".join(f"{one:.1f} s" for one in times) for times in zip(*pairs, strict=True)
        )
        print(f"{name:<12} idle {idle}   beside a busy process {busy}", flush=True)


if __name__ == "__main__":
    main()
