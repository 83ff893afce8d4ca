"""The public names: sorted, complete, documented, and cheap to import."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import finetune_embed as fe

HEAVY = (
    "yaml",
    "gensim",
    "datasets",
    "polars",
    "tokenizers",
    "click",
    "rich",
    "matplotlib",
    "sklearn",
    "scipy",
)


def test_all_names_all_that_is_public():
    public = [
        name
        for name in dir(fe)
        if not name.startswith("_") and not isinstance(getattr(fe, name), ModuleType)
    ]
    assert sorted(public) == sorted(fe.__all__)
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


def imported_by(script: str) -> set[str]:
    """Return the top-level modules that are loaded in a fresh process after a script."""
    script += "; import sys, json; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_import_leaves_heavy_libraries_alone():
    alone = imported_by("import finetune_embed.cli")
    assert not alone & {*HEAVY, "torch", "numpy", "click"}
    assert "email" not in alone  # of importlib.metadata: Ctrl-C meanwhile would show a traceback
    loop = imported_by(
        "from finetune_embed import RowAdamW, Vocabulary, load_vectors, to_embedding"
    )
    assert {"finetune_embed", "torch", "numpy"} <= loop
    assert not loop & set(HEAVY)


TINY = Path(__file__).parent / "golden" / "tiny.glove.txt"
WITHOUT_TORCH = [
    ["convert", TINY, "x.npz"],
    ["inspect", TINY],
    ["neighbors", TINY, "the"],
    ["drift", TINY, TINY],
    ["delta", "save", TINY, TINY, "x.delta"],
    ["train", "--help"],
]


@pytest.mark.slow
def test_files_are_read_and_written_without_torch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = [[str(word) for word in words] for words in WITHOUT_TORCH]
    script = f"""
import sys
from finetune_embed.cli import main
for words in {commands}:
    try: main(words)
    except SystemExit as done: assert not done.code, words
    assert "torch" not in sys.modules, words
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
