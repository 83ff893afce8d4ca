"""Run a coverage-guided fuzzer on every parser, or replay inputs that it found.

    python tests/fuzz/run.py --seconds 30                 each target for half a minute
    python tests/fuzz/run.py --seconds 600 arrow spacy    some targets, longer
    python tests/fuzz/run.py tests/fuzz/found/arrow-...   replay an input

Each target starts from `corpus/<target>`. An input must give a table or one of the library's
errors, within ten seconds and two gigabytes; otherwise it is saved in `found/`. Move it to the
corpus when the bug is fixed, and the tests will replay it.

The fuzzer is atheris (libFuzzer): pip install -e ".[fuzz]".
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
FOUND = HERE / "found"
TIMEOUT = 10  # seconds for one input
MEMORY = 2048  # megabytes for the process
LONGEST = 20_000  # bytes of an input


def main() -> int:
    """Fuzz or replay; return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", help="targets, all by default, or files to replay")
    parser.add_argument("--seconds", type=int, default=30, help="time for each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="targets run in parallel")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.insert(0, str(HERE))
    if arguments.child:
        fuzz(arguments.child, arguments.seconds, Path(arguments.what[0]))
    files = [Path(name) for name in arguments.what if Path(name).is_file()]
    if files:
        for file in files:
            replay(file)
        return 0
    if importlib.util.find_spec("atheris") is None:
        print('The fuzzer is not installed: pip install -e ".[fuzz]"', file=sys.stderr)
        return 2
    targets = importlib.import_module("targets").TARGETS
    names = arguments.what or list(targets)
    if unknown := set(names) - set(targets):
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(targets)}")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        return max(pool.map(lambda name: fuzz_in_process(name, arguments.seconds), names))


def fuzz_in_process(name: str, seconds: int) -> int:
    """Fuzz one target in its own process, and print the result in one line."""
    command = [sys.executable, __file__, "--child", name, "--seconds", str(seconds)]
    with tempfile.TemporaryDirectory() as new:
        run = subprocess.run([*command, new], stderr=subprocess.STDOUT, stdout=subprocess.PIPE)
        grown = len(list(Path(new).iterdir()))
    log = run.stdout.decode(errors="replace").splitlines()
    if run.returncode == 0:
        last = next((line for line in reversed(log) if "DONE" in line), "").split()
        runs, covered = (last[0].strip("#"), last[last.index("cov:") + 1]) if last else ("0", "0")
        print(
            f"{name}: {int(runs):,} inputs, {covered} branches, {grown} inputs reached new ones",
            flush=True,
        )
        return 0
    print(f"{name}: FOUND\n" + "\n".join(log[-60:]), flush=True)
    return 1


def fuzz(name: str, seconds: int, new: Path) -> None:
    """Fuzz one target; libFuzzer ends the process when it is done."""
    import atheris

    with atheris.instrument_imports(include=["finetune_embed"]):
        targets = importlib.import_module("targets")
    FOUND.mkdir(exist_ok=True)
    for seed in targets.seeds(name):  # lazy imports happen here, not in a fuzzed input
        targets.check(name, seed.read_bytes())
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={TIMEOUT}",
        f"-rss_limit_mb={MEMORY}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={FOUND}/{name}-",
    ]
    folders = [str(new), str(targets.CORPUS / name)]
    atheris.Setup([sys.argv[0], *options, *folders], lambda data: targets.check(name, data))
    atheris.Fuzz()


def replay(file: Path) -> None:
    """Run a target on an input of `found/` or `corpus/`; any other error propagates."""
    targets = importlib.import_module("targets")
    fitting = [name for name in targets.TARGETS if file.name.startswith(f"{name}-")]
    name = file.parent.name if file.parent.name in targets.TARGETS else max(fitting, key=len)
    targets.check(name, file.read_bytes())
    print(f"{file}: {name} gives a table or an error of the library")


if __name__ == "__main__":
    sys.exit(main())
