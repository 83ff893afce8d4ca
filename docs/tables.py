"""Write the tables of the documentation that are made from the code.

    python docs/tables.py            # rewrite them
    python docs/tables.py --check    # fail if one is out of date

They stand between markers such as `<!-- settings -->` and `<!-- /settings -->`: the settings in
docs/training.md, and the settings and the map of the package in CONTRIBUTING.md.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

from finetune_embed.comparison import compare
from finetune_embed.training.settings import Settings

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "finetune_embed"


def settings_for_users() -> Iterator[str]:
    """Yield the lines of the table of settings."""
    yield "| setting | default | legal values | what it is |"
    yield "|---|---|---|---|"
    for one in fields(Settings):
        check = one.metadata["check"]
        default = "" if one.default is None else f"`{one.default!r}`"
        help = one.metadata["help"].replace("|", "\\|").replace("<", "&lt;")
        yield f"| `{one.name}` | {default} | {check.range if check else ''} | {help} |"


def settings_for_developers() -> Iterator[str]:
    """Yield the lines of the table of settings, with the places where they are defined."""
    yield "| setting | defined in | type | default | option |"
    yield "|---|---|---|---|---|"
    for one in fields(Settings):
        option = one.metadata["option"]
        flag = "" if option is None else option or f"--{one.name.replace('_', '-')}"
        kind = str(one.type).replace("|", "\\|")
        place = "`training/settings.py`"
        yield f"| `{one.name}` | {place} | `{kind}` | `{one.default!r}` | {flag and f'`{flag}`'} |"
    own = [p for p in inspect.signature(compare).parameters.values() if p.kind is p.KEYWORD_ONLY]
    names = {one.name for one in fields(Settings)}
    for parameter in own:
        if parameter.name not in names:
            kind = str(parameter.annotation).replace("|", "\\|")
            place, flag = "`comparison/compare.py`", f"`--{parameter.name.replace('_', '-')}`"
            yield f"| `{parameter.name}` | {place} | `{kind}` | `{parameter.default!r}` | {flag} |"


def package_map() -> Iterator[str]:
    """Yield the lines of the map of the package, from the bottom of its imports to the top."""
    sys.path.insert(0, str(ROOT / "tests"))
    from test_layers import ORDER

    yield "| folder or module | what it is | modules |"
    yield "|---|---|---|"
    for part in ORDER:
        path = PACKAGE / part
        if path.is_dir():
            for folder in sorted({p.parent for p in path.rglob("*.py")}):
                yield _folder(folder)
        else:
            yield f"| `{part}.py` | {_first_line(path.with_suffix('.py'))} | |"


def _folder(folder: Path) -> str:
    files = [*folder.glob("*.py"), *folder.glob("*.c")]
    names = sorted(p.stem if p.suffix == ".py" else p.name for p in files)
    modules = ", ".join(f"`{name}`" for name in names if name != "__init__")
    name = folder.relative_to(PACKAGE).as_posix()
    return f"| `{name}/` | {_first_line(folder / '__init__.py')} | {modules} |"


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]


TABLES: dict[tuple[str, str], Callable[[], Iterator[str]]] = {
    ("docs/training.md", "settings"): settings_for_users,
    ("CONTRIBUTING.md", "settings"): settings_for_developers,
    ("CONTRIBUTING.md", "map"): package_map,
}


def rewritten(file: str, marker: str) -> tuple[str, str]:
    """Return the text of a file as it is, and with its table made again.

    Raises:
        ValueError: the file does not have the markers.
    """
    text = (ROOT / file).read_text()
    table = "\n".join(TABLES[file, marker]())
    pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    new, count = pattern.subn(lambda found: f"{found[1]}{table}\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"{file} has {count} tables marked {marker}, not one")
    return text, new


def main() -> None:
    """Rewrite the tables, or check them."""
    parser = argparse.ArgumentParser(description="Write the tables that are made from the code.")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for file, marker in TABLES:
        old, new = rewritten(file, marker)
        if options.check and old != new:
            sys.exit(f"{file}: the table {marker} is out of date; run python docs/tables.py")
        if not options.check:
            (ROOT / file).write_text(new)


if __name__ == "__main__":
    main()
