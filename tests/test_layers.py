"""Imports point downwards only and form no circle: the graph of all modules, from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import finetune_embed as fe

PACKAGE = Path(fe.__file__).parent
#: The parts of the package from the bottom up, each on a floor of its own; a part may import from
#: itself and from those below it.
ORDER = (
    "errors",
    "parsing",
    "files",
    "table",
    "formats",
    "deltas",
    "vocabulary",
    "embedding",
    "data",
    "strategies",
    "optim",
    "heads",
    "lexical",
    "evaluation",
    "inspection",
    "training",
    "comparison",
    "sharing",
    "reporting",
    "integrations",
    "demo",
    "cli",
    "__main__",
)
FLOOR = {name: floor for floor, name in enumerate(ORDER)}
STANDARD = sys.stdlib_module_names
Graph = Mapping[str, set[str]]


def module_name(path: Path, root: Path) -> str:
    """Return the dotted name of a module, of a package's `__init__.py` that of the package."""
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_of(path: Path, root: Path) -> list[tuple[str, str | None, bool]]:
    """Return the module, the name and whether it is at the module's level, of every import.

    Those in functions and under `if TYPE_CHECKING:` count too: they hide circles.
    """
    tree = ast.parse(path.read_text())
    package = module_name(path, root).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    at_once, found = {id(node) for node in tree.body}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, None, id(node) in at_once) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            found += [(module, alias.name, id(node) in at_once) for alias in node.names]
    return found


def graph_of(root: Path) -> Graph:
    """Return for each module of a package the modules of it that it imports."""
    modules = {module_name(path, root): path for path in root.rglob("*.py")}
    compiled = {module_name(path, root) for path in root.rglob("*.c")}
    graph: dict[str, set[str]] = {name: set() for name in compiled}
    for name, path in modules.items():
        found = set()
        for module, member, _ in imports_of(path, root):
            inner = f"{module}.{member}"
            if inner in modules or inner in compiled:  # a module as a member of its package
                found.add(inner)
            elif module in modules:
                found.add(module)
        graph[name] = found
    return graph


def circle_in(graph: Graph) -> list[str]:
    """Return the modules of a circle of imports, none if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def part_of(module: str) -> str:
    """Return the folder or module at the root of the package that a module belongs to."""
    return module.split(".")[1] if "." in module else ""


def upward(graph: Graph) -> list[str]:
    """Return the imports that point up."""
    return [
        f"{module} -> {target}"
        for module, targets in graph.items()
        for target in targets
        if module != "finetune_embed"
        and (target == "finetune_embed" or FLOOR[part_of(target)] > FLOOR[part_of(module)])
    ]


def private_imports(root: Path) -> list[str]:
    """Return the private names and modules that are imported from another folder."""
    found = []
    for path in root.rglob("*.py"):
        folder = ".".join(path.relative_to(root.parent).parent.parts)
        for module, member, _ in imports_of(path, root):
            inside = module == folder or module.rpartition(".")[0] == folder
            names = [*module.split("."), member or ""]
            if module.split(".")[0] == root.name and not inside:
                found += [f"{path}: {n}" for n in names if n.startswith("_") and n != "__init__"]
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))
COMPILED = sorted(PACKAGE.rglob("*.c"))


@cache
def graph() -> Graph:
    """Return the graph of the package."""
    return graph_of(PACKAGE)


def write(root: Path, **files: str) -> Path:
    """Write a package for the tests of the test itself."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_graph_covers_every_module_and_has_no_circle(record_property):
    edges = sum(map(len, graph().values()))
    record_property("modules", len(graph()))
    record_property("edges", edges)
    print(f"{len(graph())} modules, {edges} imports between them")
    assert len(graph()) == len(MODULES) + len(COMPILED) >= 140
    assert edges > 3 * len(graph())  # imports are found at all
    assert circle_in(graph()) == []


def test_circles_are_seen_wherever_they_hide(tmp_path):
    hidden = {
        "lazy": "def f():\n    from .b import y\n",
        "typing": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .b import y\n",
        "package": "from . import b\n",
        "plain": "import package.b\n",
    }
    for kind, text in hidden.items():
        root = write(tmp_path / kind / "package", a=text, b="from .a import x\n", c="")
        found = graph_of(root)
        assert found["package.a"] == {"package.b"}, kind
        assert set(circle_in(found)) == {"package.a", "package.b"}
    root = write(
        tmp_path / "deep" / "package",
        a="from .deep.b import y\n",
        deep__b="from ..c import z\n",
        c="",
    )
    assert graph_of(root) == {
        "package.a": {"package.deep.b"},
        "package.deep.b": {"package.c"},
        "package.c": set(),
    }
    assert circle_in(graph_of(root)) == []


def test_imports_point_downwards():
    parts = {part_of(module) for module in graph()} - {""}
    assert parts == set(ORDER)
    assert upward(graph()) == []
    bad = {"finetune_embed.table.x": {"finetune_embed.training.y", "finetune_embed.files.z"}}
    assert upward(bad) == ["finetune_embed.table.x -> finetune_embed.training.y"]


def test_the_root_of_the_package_holds_few_modules():
    modules = sorted(path.name for path in PACKAGE.glob("*.py"))
    assert modules == ["__init__.py", "__main__.py", "embedding.py", "errors.py", "parsing.py"]


def test_no_private_name_is_imported_across_folders(tmp_path):
    assert private_imports(PACKAGE) == []
    root = write(tmp_path / "package", a="from .deep.b import _y\n", deep__b="from ._c import z\n")
    assert [line.split(": ")[1] for line in private_imports(root)] == ["_y"]


def test_each_compiled_loop_lies_beside_its_wrapper():
    for source in COMPILED:
        name = module_name(source, PACKAGE)
        wrappers = [
            path
            for path in MODULES
            if any(f"{module}.{member}" == name for module, member, _ in imports_of(path, PACKAGE))
        ]
        assert [path.parent for path in wrappers] == [source.parent]


def others(path: Path, *, lazily: bool = True) -> set[str]:
    """Return the libraries that a module imports, at its own level or in a function as well."""
    found = {
        module.split(".")[0]
        for module, _, at_once in imports_of(path, PACKAGE)
        if at_once or lazily
    }
    return found - STANDARD - {"finetune_embed", "__future__"}


def in_parts(*parts: str) -> list[Path]:
    return [path for path in MODULES if part_of(module_name(path, PACKAGE)) in parts]


def parts_known_to(*parts: str) -> set[str]:
    return {part_of(t) for m, targets in graph().items() if part_of(m) in parts for t in targets}


def test_strategies_know_torch_errors_and_parsing_only():
    assert parts_known_to("strategies") <= {"strategies", "errors", "parsing"}
    for path in in_parts("strategies"):
        assert others(path) <= {"torch"}, path


def test_optimizers_know_torch_rules_and_parsing_only():
    assert parts_known_to("optim") <= {"optim", "strategies", "errors", "parsing"}
    for path in in_parts("optim"):
        assert others(path) <= {"torch"}, path


def test_files_tables_and_formats_never_import_torch():
    paths = in_parts("errors", "parsing", "files", "table", "formats")
    assert len(paths) >= 40
    for path in paths:
        assert "torch" not in others(path), path


def test_vocabulary_imports_torch_only_where_ids_become_tensors():
    for path in in_parts("vocabulary"):
        assert "torch" not in others(path, lazily=False), path


def test_heavy_libraries_are_imported_where_they_are_used():
    for path in MODULES:
        if part_of(module_name(path, PACKAGE)) not in ("cli", "demo"):
            heavy = {"gensim", "datasets", "polars", "tokenizers", "rich", "matplotlib"}
            assert not others(path, lazily=False) & heavy, path


def test_only_the_command_line_prints():
    for path in MODULES:
        if part_of(module_name(path, PACKAGE)) not in ("cli", "demo"):
            calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
            assert all(ast.unparse(call.func) != "print" for call in calls), path
