"""Run the tests of the compiled loops under AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/sanitize.py [pytest's arguments]

The package is built into build/sanitize, beside the normal one. Python itself allocates with
`malloc`, so that reads and writes outside of its objects are seen too. Needs gcc on Linux.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "sanitize"
TESTS = (
    "tests/formats/test_binary_words.py",
    "tests/formats/test_native.py",
    "tests/lexical/test_counts.py",
    "tests/lexical/test_svm.py",
    "tests/optim/test_bag.py",
    "tests/optim/test_features.py",
    "tests/optim/test_kernels.py",
    "tests/test_native_calls.py",
    "tests/vocabulary/test_tokenization.py",
)
FLAGS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
BUILD_PACKAGE = "import setuptools; setuptools.setup()"
#: The loops must be those that were built here, and the sanitizer must be loaded.
CHECK = """
import ctypes, sys
from finetune_embed.formats.common import _kernels as files
from finetune_embed.lexical import _counts as counts, _svm as machines
from finetune_embed.optim import _kernels as steps
from finetune_embed.vocabulary import _tokenization as texts
ctypes.CDLL(None).__asan_init
places = [module.__file__ for module in (files, counts, machines, steps, texts)]
assert all(place.startswith(sys.argv[1]) for place in places), places
for place in places:
    assert b"__ubsan_handle" in open(place, "rb").read(), place
"""


def main() -> int:
    """Build the package, check that it is the one that is tested, and run the tests."""
    build()
    environment = sanitized()
    subprocess.run([sys.executable, "-P", "-c", CHECK, str(BUILD)], env=environment, check=True)
    options = ["-m", "not slow", "--hypothesis-profile", "fast", "-p", "no:cacheprovider", "-q"]
    workers = ["--numprocesses", str(os.cpu_count()), "--dist", "worksteal"]
    command = [sys.executable, "-P", "-m", "pytest", *options, *workers, *TESTS, *sys.argv[1:]]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def build() -> None:
    """Build the package with the sanitizers into `BUILD`."""
    shutil.rmtree(BUILD, ignore_errors=True)
    command = [sys.executable, "-W", "ignore", "-c", BUILD_PACKAGE]
    command += ["--quiet", "build", "--build-base", str(BUILD / "temp"), "--build-lib", str(BUILD)]
    environment = {**os.environ, "CC": "gcc", "CFLAGS": FLAGS, "LDFLAGS": FLAGS}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def sanitized() -> dict[str, str]:
    """Return the environment in which Python loads the sanitizers and the package built here."""
    libraries = []
    for name in ("libasan.so", "libstdc++.so"):  # the second for C++ exceptions that asan follows
        found = subprocess.run(
            ["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True
        )
        libraries.append(found.stdout.strip())
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(BUILD),
        "OMP_NUM_THREADS": "1",
    }


if __name__ == "__main__":
    sys.exit(main())
