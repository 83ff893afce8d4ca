"""Imports point downwards only; the imports of every module are parsed and looked at."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import finetune_embed as fe

PACKAGE = Path(fe.__file__).parent
#: From the bottom up; a module may import from its own layer and from those below it.
LAYERS = [
    {"errors", "_cutting", "_native", "_rows"},
    {"words"},
    {"rows"},
    {"cosines"},
    {"table", "files", "source", "spelling"},
    {"formats", "tokenizer"},
    {"lexicon", "combine", "coverage", "cutting", "fallback", "lookup", "vocabulary"},
    {"embedding"},
    {
        "batches",
        "augment",
        "evaluation",
        "inspection",
        "frame",
        "row_files",
        "splits",
        "holdout",
        "data",
        "models",
        "losses",
        "taggers",
        "strategies",
        "optim",
        "demo",
    },
    {"training", "integrations"},
    {"comparison"},
    {"cli"},
    {"__init__", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))
STANDARD = sys.stdlib_module_names


def name_of(path: Path) -> tuple[str, ...]:
    """Return the dotted name of a module inside the package, in parts."""
    return path.relative_to(PACKAGE).with_suffix("").parts


def part_of(path: Path) -> str:
    return name_of(path)[0]


PARTS = {part_of(path) for path in MODULES} | {"_cutting", "_native", "_rows"}


class Imports(ast.NodeVisitor):
    """Collects imports, but for those under `if TYPE_CHECKING:`."""

    def __init__(self, path: Path) -> None:
        self.package = ("finetune_embed", *name_of(path)[:-1])
        self.found: list[tuple[str, bool]] = []  # dotted name, and whether at the module's level
        self.depth = 0
        self.visit(ast.parse(path.read_text()))

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [(alias.name, self.depth == 0) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        start = self.package[: len(self.package) - node.level + 1] if node.level else ()
        module = ".".join([*start, *([node.module] if node.module else [])])
        names = [f"{module}.{alias.name}" for alias in node.names]
        self.found += [(name, self.depth == 0) for name in names]


def ours(path: Path) -> Iterator[str]:
    """Yield the parts of the package that a module imports from."""
    for name, _ in Imports(path).found:
        parts = name.split(".")
        if parts[0] == "finetune_embed":
            yield parts[1] if len(parts) > 1 and parts[1] in PARTS else "__init__"


def others(path: Path, *, lazily: bool = True) -> set[str]:
    """Return the libraries that a module imports, at its own level or in a function as well."""
    found = {name.split(".")[0] for name, at_once in Imports(path).found if at_once or lazily}
    return found - STANDARD - {"finetune_embed", "__future__"}


def test_the_sweep_sees_every_module_and_every_module_has_a_layer():
    assert len(MODULES) == sum(1 for _ in PACKAGE.rglob("*.py")) >= 50
    assert LEVEL.keys() >= PARTS
    empty = [path.name for path in MODULES if not Imports(path).found]
    assert {*empty} <= {"__init__.py", "errors.py"}
    counted = sum(len(Imports(path).found) for path in MODULES)
    assert counted > 5 * len(MODULES)  # the parser finds imports at all


def test_the_parser_reads_every_form_of_import(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "training" / "deep.py"
    path.parent.mkdir()
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "import torch.nn as nn, rich\n"
        "from . import loop\n"
        "from .. import errors\n"
        "from ..formats.glove import read\n"
        "from finetune_embed.table import EmbeddingTable\n"
        "if TYPE_CHECKING:\n    from ..cli import app\n    import gensim\n"
        "def f():\n    from ..data import x\n    import polars\n"
    )
    assert list(ours(path)) == ["training", "errors", "formats", "table", "data"]
    assert others(path) == {"torch", "rich", "polars"}
    assert others(path, lazily=False) == {"torch", "rich"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: "/".join(name_of(path)))
def test_imports_point_downwards(path):
    here = LEVEL[part_of(path)]
    above = [part for part in ours(path) if LEVEL[part] > here]
    assert above == []


def in_parts(*parts: str) -> list[Path]:
    return [path for path in MODULES if part_of(path) in parts]


def test_strategies_know_torch_errors_and_spelling_only():
    paths = in_parts("strategies")
    assert len(paths) == 13
    for path in paths:
        assert set(ours(path)) <= {"strategies", "errors", "spelling"}, path
        assert others(path) <= {"torch", "typing_extensions"}, path


def test_the_optimizer_knows_torch_and_rules_only():
    paths = in_parts("optim")
    assert len(paths) == 11
    for path in paths:
        assert set(ours(path)) <= {"optim", "strategies", "errors", "_rows"}, path
        assert others(path) <= {"torch"}, path


def test_files_tables_and_formats_never_import_torch():
    paths = in_parts(
        "formats", "table", "files", "errors", "tokenizer", "lookup", "fallback", "combine"
    )
    paths += in_parts("coverage", "cutting", "spelling")
    assert len(paths) >= 12
    for path in paths:
        assert "torch" not in others(path), path


def test_heavy_libraries_are_imported_where_they_are_used():
    for path in MODULES:
        if part_of(path) not in ("cli", "demo"):
            heavy = {"gensim", "datasets", "polars", "tokenizers", "rich", "typer", "matplotlib"}
            assert not others(path, lazily=False) & heavy, path


def test_only_the_command_line_prints():
    printing = [
        path
        for path in MODULES
        if part_of(path) not in ("cli", "demo")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert printing == []


def test_nobody_imports_the_top_of_the_package_but_the_command_line():
    for path in MODULES:
        if part_of(path) != "cli":
            assert "__init__" not in set(ours(path)), path
