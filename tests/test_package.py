"""What the package needs: declared, pinned, few, and named where it is missing."""

from __future__ import annotations

import ast
import importlib
import os
import pickle
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.errors import PIP_NAMES, MissingPackageError, missing_extra, optional_packages
from finetune_embed.formats.common import kernels

ROOT = Path(__file__).parent.parent


def test_one_version() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert tomllib.load(file)["project"]["version"] == fe.__version__


def project() -> dict[str, Any]:
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]


def normal(requirement: str) -> str:
    """Return the name of a requirement as the index of packages compares it."""
    return re.split(r"[<>=;\[]", requirement)[0].strip().lower().replace("-", "_")


EXTRAS = project()["optional-dependencies"]


def locked(*names: str) -> dict[str, list[str]]:
    """Return the hashes of each package of lists of requirements."""
    found: dict[str, list[str]] = {}
    for name in names:
        for block in re.split(r"(?m)^(?=\w)", (ROOT / name).read_text())[1:]:
            found[normal(block)] = re.findall(r"--hash=sha256:([0-9a-f]{64})", block)
    return found


def test_every_package_but_torch_is_pinned_with_hashes() -> None:
    runtime, every = locked("requirements.txt"), locked("requirements.txt", "requirements-dev.txt")
    every |= locked("requirements-docs.txt", "tests/fastai.txt")
    required = {normal(one) for one in project()["dependencies"]}
    assert required - {"torch"} <= set(runtime)
    wanted = {normal(one) for one in chain(project()["dependencies"], *EXTRAS.values())}
    assert wanted - {"finetune_embed", "torch"} <= set(every)
    assert all(every.values())
    assert {"pytest", "hypothesis"}.isdisjoint(runtime)
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["torch==2.13.0"]


def test_few_packages_are_required() -> None:
    required = {normal(one) for one in project()["dependencies"]}
    assert len(required) == 14
    assert {"torch", "gensim", "datasets", "safetensors"} <= required


def imported_packages() -> Iterator[tuple[str, str]]:
    """Yield a module's path and each package of others that it imports, wherever in it."""
    for path in sorted((ROOT / "finetune_embed").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names | {"finetune_embed"}:
                    yield path.relative_to(ROOT).as_posix(), top


def test_every_package_that_is_imported_is_declared() -> None:
    allowed = {normal(one) for one in chain(project()["dependencies"], EXTRAS["all"])}
    for extra in EXTRAS.keys() - {"all", "dev", "fuzz"}:
        allowed |= {normal(one) for one in EXTRAS[extra]}
    drivers = {"transformers": "integrations", "lightning": "integrations"}
    names = {"yaml": "pyyaml", "sklearn": "scikit_learn"}
    found = set(imported_packages())
    assert len(found) > 100
    for path, name in found:
        if name in drivers:
            assert drivers[name] in path, (path, name)
        else:
            assert names.get(name, name) in allowed, (path, name)


def test_a_missing_package_names_an_extra_that_installs_it() -> None:
    swept = 0
    for path in (ROOT / "finetune_embed").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.With) and "optional_packages" in ast.unparse(node.items[0]):
                # any exception in the block is taken for one of an import
                assert {type(one) for one in node.body} <= {ast.Import, ast.ImportFrom}, path
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called != "optional_packages":
                continue
            modules = [one.value for one in node.args if isinstance(one, ast.Constant)]
            swept += len(modules)
            if node.keywords:
                extra = ast.literal_eval(node.keywords[0].value)
                listed = {normal(one) for one in EXTRAS[extra]}
                assert {normal(PIP_NAMES.get(name, name)) for name in modules} <= listed, path
                assert f"finetune_embed[{extra}]" in str(missing_extra(modules[0], extra))
    assert swept == 13


#: Modules of the packages that a plain installation lacks, and of gensim; the test tools' own too.
OPTIONAL = (
    "accelerate",
    "gensim",
    "matplotlib",
    "nervaluate",
    "onnx",
    "onnxruntime",
    "tensorboard",
)
WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({OPTIONAL}))  # what is None there can't be imported
import finetune_embed as fe
from finetune_embed.cli import main

def run(*arguments):
    try: main(list(arguments))
    except SystemExit as done: assert not done.code, arguments

run("quickstart", "--epochs", "1", "--quiet", "-o", "demo")
best = fe.load("demo")
assert best.predict(["a good film"])
for name in ("x.glove.txt", "x.txt", "x.bin", "x.safetensors", "x.npz", "x.parquet", "x.arrow"):
    run("convert", sys.argv[1], name)
    assert len(fe.load_vectors(name)) == len(fe.load_vectors(sys.argv[1])), name
"""


@pytest.mark.slow
def test_optional_packages_are_optional(tmp_path: Path) -> None:
    tiny = ROOT / "tests" / "golden" / "tiny.glove.txt"
    command = [sys.executable, "-c", WITHOUT, str(tiny)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def tagged(tmp_path: Path) -> fe.Run:
    rows = datasets.Dataset.from_dict(
        {"text": [["a", "b"]] * 4, "label": [["B-X", "O"]] * 4}, split="train"
    )
    splits = datasets.DatasetDict(train=rows, validation=rows)
    return fe.finetune(fe.EmbeddingTable(["a", "b"], np.eye(2)), splits, output_dir=tmp_path)


def labelled(**options: Any) -> fe.Run:
    rows = datasets.Dataset.from_dict({"text": ["a", "b"] * 4, "label": ["x", "y"] * 4})
    splits = datasets.DatasetDict(train=rows, validation=rows)
    return fe.finetune(fe.EmbeddingTable(["a", "b"], np.eye(2)), splits, **options)


@pytest.mark.parametrize(
    ("package", "advice", "use"),
    [
        (
            "gensim",
            "pip install gensim",
            lambda path: fe.EmbeddingTable(["a"], [[1]]).to_keyed_vectors(),
        ),
        (
            "gensim",
            "pip install gensim",
            lambda path: fe.load_gensim(pickled(path), allow_pickle=True),
        ),
        ("nervaluate", 'pip install "finetune_embed[tagging]"', tagged),
        (
            "accelerate",
            'pip install "finetune_embed[trackers]"',
            lambda path: labelled(trackers=["tensorboard"], output_dir=path),
        ),
        (
            "tensorboard",
            'pip install "finetune_embed[trackers]"',
            lambda path: labelled(trackers=["tensorboard"], output_dir=path),
        ),
    ],
)
def test_a_missing_package_is_one_line_with_the_command_to_install_it(
    package, advice, use, missing, tmp_path, monkeypatch
) -> None:
    if package == "tensorboard":  # which is looked for once, when accelerate is imported
        monkeypatch.setattr("accelerate.tracking.get_available_trackers", list)
    missing(package)
    with pytest.raises(MissingPackageError) as caught:
        use(tmp_path)
    assert str(caught.value) == f"{package} is not installed; {advice}"
    assert isinstance(caught.value, (fe.FinetuneEmbedError, ImportError))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("raise ImportError('libonnx.so: cannot open\\nshared object')", "libonnx.so: cannot open"),
        ("import a_package_that_onnx_needs", "No module named 'a_package_that_onnx_needs'"),
        ("raise ValueError('numpy.dtype size changed')", "numpy.dtype size changed"),
        ("raise AttributeError", "AttributeError"),
    ],
)
def test_a_package_that_is_broken_is_not_called_absent(tmp_path, monkeypatch, broken, reason):
    """One whose own code, or a package that it needs, cannot be imported."""
    (tmp_path / "onnx.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnx"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingPackageError) as caught, optional_packages("onnx", extra="onnx"):
        import onnx  # noqa: F401
    assert str(caught.value).startswith(f"onnx is installed, but cannot be imported: {reason}")
    remedy = "; reinstall it: pip install --upgrade --force-reinstall onnx"
    assert str(caught.value).endswith(remedy)
    assert caught.value.__cause__ is not None


def test_a_folder_of_the_name_of_a_package_is_not_that_package(tmp_path, monkeypatch):
    """Python imports a folder without modules from the working directory."""
    (tmp_path / "a_package_of_figures").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    wanted = "^a_package_of_figures is not installed; pip install a_package_of_figures$"
    packages = optional_packages("a_package_of_figures")
    with pytest.raises(MissingPackageError, match=wanted), packages:
        from a_package_of_figures import svg  # noqa: F401


def test_a_file_of_ones_own_that_hides_a_package_is_named(tmp_path, monkeypatch):
    """Such as the example about spaCy, saved as spacy.py."""
    package = tmp_path / "installed" / "a_package_of_curves"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "svg.py").write_text("lines = 3")
    own = tmp_path / "a_package_of_curves.py"
    own.write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.syspath_prepend(tmp_path)
    wanted = f"a_package_of_curves cannot be imported, since Python imports {own} instead; rename"
    packages = optional_packages("a_package_of_curves")
    with pytest.raises(MissingPackageError, match=f"^{re.escape(wanted)} this file$"), packages:
        from a_package_of_curves import svg
    own.rename(tmp_path / "curves.py")
    del sys.modules["a_package_of_curves"]
    importlib.invalidate_caches()
    with optional_packages("a_package_of_curves"):
        from a_package_of_curves import svg
    assert svg.lines == 3


def test_of_several_packages_the_broken_one_is_named(tmp_path, monkeypatch):
    (tmp_path / "broken_twin.py").write_text("from json import nothing_of_this_name")
    monkeypatch.syspath_prepend(tmp_path)
    wanted = "^broken_twin is installed, but cannot be imported: cannot import name 'nothing_of_th"
    with pytest.raises(MissingPackageError, match=wanted), optional_packages("json", "broken_twin"):
        import broken_twin  # noqa: F401
    wanted = "^scikit-learn is installed, but cannot be imported: cannot import name 'no_such_class"
    with pytest.raises(MissingPackageError, match=wanted), optional_packages("sklearn"):
        from sklearn.cluster import no_such_class  # noqa: F401


def test_several_processes_need_accelerate(missing, monkeypatch) -> None:
    missing("accelerate")
    labelled(epochs=1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MissingPackageError, match=r"pip install \"finetune_embed\[distributed\]\""):
        labelled(epochs=1)


def pickled(folder: Path) -> Path:
    path = folder / "vectors.kv"
    path.write_bytes(pickle.dumps({}))
    return path


@pytest.mark.slow
def test_the_version_says_whether_the_compiled_loops_are_in_use(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "finetune_embed", "--version"]
    for setting, state in {"": "in use", "1": "not in use for vector files, tok"}.items():
        environment = {**os.environ, "FINETUNE_EMBED_NO_COMPILED": setting}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        first, second = done.stdout.splitlines()
        assert first == f"finetune-embed {fe.__version__}"
        assert second.startswith(f"compiled loops {state}") or kernels.native is None
