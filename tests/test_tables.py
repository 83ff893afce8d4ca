"""The tables of the documentation that are made from the code are up to date."""

from __future__ import annotations

import importlib.util
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from finetune_embed.training.settings import Settings

ROOT = Path(__file__).parent.parent


def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("file", "marker"), list(tables().TABLES))
def test_a_table_is_up_to_date(file: str, marker: str) -> None:
    old, new = tables().rewritten(file, marker)
    assert old == new, "run python docs/tables.py"


def test_the_tables_cover_every_setting_and_every_module() -> None:
    rows = list(tables().settings_for_users())
    assert [row.split("`")[1] for row in rows[2:]] == [one.name for one in fields(Settings)]
    assert len(list(tables().settings_for_developers())) == len(rows) + 3  # those of compare
    text = "\n".join(tables().package_map())
    modules = [p for p in (ROOT / "finetune_embed").rglob("*.py") if p.name[0] != "_"]
    assert len(modules) > 120
    assert [p for p in modules if f"`{p.stem}" not in text] == []
