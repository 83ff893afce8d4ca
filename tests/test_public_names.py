"""The public names: sorted, complete, documented, and cheap to import."""

from __future__ import annotations

import inspect
import json
import statistics
import subprocess
import sys
from types import ModuleType

import pytest

import finetune_embed as fe

HEAVY = (
    "yaml",
    "gensim",
    "datasets",
    "polars",
    "tokenizers",
    "typer",
    "click",
    "rich",
    "matplotlib",
)


def test_all_is_sorted_and_names_all_that_is_public():
    public = [
        name
        for name in dir(fe)
        if not name.startswith("_") and not isinstance(getattr(fe, name), ModuleType)
    ]
    assert sorted(public) == fe.__all__
    assert len(set(fe.__all__)) == len(fe.__all__) > 30


@pytest.mark.parametrize("name", fe.__all__)
def test_every_public_name_is_documented_where_it_is_defined(name):
    thing = getattr(fe, name)
    assert inspect.isclass(thing) or inspect.isfunction(thing)
    assert thing.__module__.startswith("finetune_embed.")
    assert len((vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__) or "") > 20
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if inspect.isfunction(function) and not member.startswith("_"):
                assert inspect.getdoc(getattr(thing, member)), f"{name}.{member}"


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert fe.__version__ == version("finetune_embed")


def test_the_import_leaves_heavy_libraries_alone():
    script = (
        "import sys, json, finetune_embed;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert {"finetune_embed", "torch", "numpy"} <= set(loaded)
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.slow
def test_the_import_costs_little_more_than_that_of_torch():
    """Medians of fresh processes, taken in turn, so that a busy machine slows both."""

    def seconds(module: str) -> float:
        script = f"import time; t = time.perf_counter(); import {module}; "
        script += "print(time.perf_counter() - t)"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return float(done.stdout)

    for module in ("torch", "finetune_embed"):  # the files are in memory from here on
        seconds(module)
    pairs = [(seconds("torch"), seconds("finetune_embed")) for _ in range(7)]
    torch, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert ours <= 1.15 * torch, f"{ours:.2f} s, torch alone {torch:.2f} s"
