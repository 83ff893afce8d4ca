"""Kills each writer at random points, and checks what it leaves.

    python tests/files/killing_writers.py FOLDER KILLS LATER

Writers run in children of this process, which has imported everything and started no thread. A
child dies at a random byte of a file, by the limit that the system sets on its size, or at a random
call of a function once it has begun to write. Afterwards there is the old file or the new one at
its place, every byte of it, and nothing else but hidden files. When a writer has died many times,
it writes the new file past all that these have left.

Printed, as JSON: for each writer the number of its deaths, and how often something incomplete, the
old file or the new one was there afterwards.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import writers

import finetune_embed as fe

#: Imported once, and not in each child: for all writers, and for those from `gensim` on. A process
#: that has imported less forks in a sixth of the time.
FIRST = ("polars", "pyarrow.parquet", "pandas")
LATER = (
    "onnx",
    "onnxruntime",
    "gensim.models",
    "spacy",
    "tokenizers",
    "finetune_embed.training.run.load",
)

Write = Callable[[Path], Any]
Content = dict[str, bytes]


def in_a_child(work: Callable[[], Any]) -> int:
    """Do something in a child; return the signal that it died of, 0 if it did not."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL, signal.SIGXFSZ), f"a child failed with {status}"
    return status


def counting(parent: Path, reached: Callable[[int], None]) -> None:
    """Call `reached` at every call of a function after something in a folder is opened or made."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1
            reached(calls)

    def start(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.mkdir") and str(arguments[0]).startswith(f"{parent}/"):
            sys.setprofile(count)

    sys.addaudithook(start)


def die_at_call(number: int, write: Write, path: Path) -> None:
    def die(calls: int) -> None:
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)

    counting(path.parent, die)
    write(path)


def die_at_byte(number: int, write: Write, path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
    write(path)


def count_calls(write: Write, path: Path, into: Path) -> None:
    found = 0

    def note(calls: int) -> None:
        nonlocal found
        found = calls

    counting(path.parent, note)
    write(path)
    sys.setprofile(None)
    into.write_text(str(found))


def content_of(path: Path) -> Content | None:
    """Return the bytes of a file, or of those in a folder by path; None if nothing is there."""
    if path.is_dir():
        if (path / ".new-files").exists():  # of a run, which readers move to their places first
            from finetune_embed.training.run.folder import settle_run

            settle_run(path)
        files = {str(one.relative_to(path)): one for one in path.rglob("*") if one.is_file()}
        return {name: one.read_bytes() for name, one in files.items() if name[0] != "."}
    return {"": path.read_bytes()} if path.exists() else None


def put(content: Content | None, path: Path) -> None:
    """Make a file or a folder have some content again."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if content is not None and "" not in content:
        path.mkdir()
    for name, data in (content or {}).items():
        (path / name if name else path).write_bytes(data)


def kill(write: Write, before: Write | None, folder: Path, kills: int, rng: Any) -> Counter[str]:
    """Kill a writer many times; return what was there afterwards, and the deaths."""
    path = folder / "place" / "out"
    path.parent.mkdir()
    found: Counter[str] = Counter()
    assert in_a_child(partial(count_calls, write, path, folder / "calls")) == 0
    calls, new = int((folder / "calls").read_text()), content_of(path)
    assert new
    largest = max(map(len, new.values()))
    put(None, path)
    old = None
    if before is not None:
        assert in_a_child(partial(before, path)) == 0
        old = content_of(path)
    while found["deaths"] < kills:
        if found["deaths"] % 2:
            work = partial(die_at_byte, int(rng.integers(largest)), write, path)
        else:
            work = partial(die_at_call, int(rng.integers(1, calls + 1)), write, path)
        left = set(path.parent.rglob("*"))
        found["deaths"] += in_a_child(work) != 0
        found["lives"] += 1
        assert found["lives"] < 2 * kills, "it does not die"
        made = {one.relative_to(path.parent).parts for one in set(path.parent.rglob("*")) - left}
        hidden = [parts for parts in made if any(name[0] == "." for name in parts)]
        assert all(parts[0] == "out" or parts in hidden for parts in made), made
        content = content_of(path)
        assert content in (old, new), content and {n: len(data) for n, data in content.items()}
        found["new" if content == new else "old"] += 1
        found["incomplete"] += bool(hidden)
        if content == new:
            put(old, path)
    assert in_a_child(partial(write, path)) == 0
    assert content_of(path) == new
    shutil.rmtree(path.parent)
    return found


def main(folder: Path, kills: int, later: int) -> None:
    """Kill every writer, those from `gensim` on as often as `later` says; print what was found."""
    rng = np.random.default_rng(7)
    os.fsync = lambda handle: None  # a process that dies does not lose what the system has
    for name in FIRST:
        __import__(name)
    table, other = (
        fe.EmbeddingTable(
            [f"{letter}{number}" for number in range(600)],
            rng.normal(size=(600, 8)).astype(np.float32),
        )
        for letter in "ab"
    )
    result: dict[str, Counter[str]] = {}
    for name, (write, is_folder) in writers.WRITERS.items():
        if name == "gensim":
            assert "torch" not in sys.modules
            for module in LATER:
                __import__(module)
            kills = later
        before = None if is_folder else partial(write, other)
        result[name] = kill(partial(write, table), before, folder, kills, rng)
    run_folder = folder / "run"
    assert in_a_child(lambda: writers.tuned(output_dir=run_folder)) == 0
    run = fe.load(run_folder)
    for name, save in writers.OF_RUNS.items():
        before = None
        if name != "static-run":
            small = fe.shrink(run, words=9)
            before = partial(save if name.startswith("onnx") else fe.Run.save, small)
        result[name] = kill(partial(save, run), before, folder, kills, rng)
    print(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
