"""docs/compatibility.md has what the libraries that are installed read of our files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def _module() -> ModuleType:
    path = ROOT / "docs" / "compatibility.py"
    spec = importlib.util.spec_from_file_location("compatibility", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


def test_the_page_has_every_target_and_each_is_equal() -> None:
    module = _module()
    rows = module.rows_of_page()
    assert list(rows) == [target.title for target in module.TARGETS]
    assert len(rows) == 25
    assert {len(row) for row in rows.values()} == {len(module.COLUMNS)}
    assert {cell for row in rows.values() for cell in row[2:7]} == {"yes", "yes, rounded", "n/a"}
    others = {target.library for target in module.TARGETS if not target.is_installed}
    assert others <= {"fasttext"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # gensim, without a header
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_page_is_what_the_libraries_read() -> None:
    module = _module()
    work, rows, seen = module.Work(), module.rows_of_page(), 0
    for target in module.TARGETS:
        if target.is_installed:
            row = module.row_of(target, work)
            assert row == rows[target.title], "run python docs/compatibility.py"
            seen += 1
    assert seen >= 24
    assert len(work.texts) == 1_176  # as the page says
