"""Every remedy is followed by a test: which remedies there are, and which test follows which.

A test in this folder makes an error happen, does what its remedy says, and passes if that works:

    @follows("formats/glove.py", "read one row at least")
    def test_limit_of_nothing(tmp_path):
        with pytest.raises(VectorFileError):
            fe.load_glove(path, limit=0)
        fe.load_glove(path, limit=1)

The fragment is a part of the source of the call that makes the error, and identifies that call.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import finetune_embed as fe
from finetune_embed import errors

PACKAGE = Path(fe.__file__).parent
ERRORS = {name for name in errors.__all__ if name.endswith("Error")}
CALL = re.compile(r"[\w.]+\(")
FOLLOWED: list[tuple[str, str, str]] = []  # module, fragment, test


class Site(NamedTuple):
    """A call that makes an error whose remedy names a call or an option."""

    module: str
    first: int
    last: int
    source: str


def called(call: ast.Call) -> str | None:
    """Return the last part of the name of what is called."""
    return getattr(call.func, "attr", None) or getattr(call.func, "id", None)


def names_something(remedy: ast.expr) -> bool:
    """Return whether a remedy is more than plain words."""
    if isinstance(remedy, ast.Constant):
        return bool(CALL.search(str(remedy.value)))
    if isinstance(remedy, ast.JoinedStr):
        return bool(CALL.search(ast.unparse(remedy)))
    return True  # parts, a variable, a choice


@functools.cache
def sites_of(path: Path, root: Path = PACKAGE) -> list[Site]:
    """Return the calls in a module that make errors with such a remedy."""
    text = path.read_text()
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and called(node) in ERRORS:
            remedy = next((k.value for k in node.keywords if k.arg == "remedy"), None)
            if remedy is not None and names_something(remedy):
                source = ast.get_source_segment(text, node) or ""
                module = path.relative_to(root).as_posix()
                found.append(Site(module, node.lineno, node.end_lineno or node.lineno, source))
    return found


def all_sites() -> list[Site]:
    """Return those of all modules."""
    return [site for path in sorted(PACKAGE.rglob("*.py")) for site in sites_of(path)]


def follows(module: str, fragment: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Say which error a test makes; the test fails if it makes no such error."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        FOLLOWED.append((module, fragment, test.__name__))

        @functools.wraps(test)
        def checked(*args: Any, **kwargs: Any) -> None:
            made: list[tuple[str, int]] = []
            initialise = errors.FinetuneEmbedError.__init__

            def noted(self: errors.FinetuneEmbedError, *a: Any, **k: Any) -> None:
                frame = sys._getframe(1)
                while frame.f_code.co_filename == __file__ and frame.f_back:  # `follows` is stacked
                    frame = frame.f_back
                made.append((frame.f_code.co_filename, frame.f_lineno))
                initialise(self, *a, **k)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(errors.FinetuneEmbedError, "__init__", noted)
                test(*args, **kwargs)
            hit = [
                site
                for site in sites_of(PACKAGE / module)
                if fragment in site.source
                for name, line in made
                if Path(name) == PACKAGE / module and site.first <= line <= site.last
            ]
            assert hit, f"no error of {module} with {fragment!r} was made"

        return checked

    return decorate
