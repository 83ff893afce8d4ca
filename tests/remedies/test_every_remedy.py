"""Every remedy that names a call or an option is followed by a test of this folder."""

from __future__ import annotations

import importlib
from pathlib import Path

import following

HERE = Path(__file__).parent


def test_every_remedy_is_followed():
    for path in sorted(HERE.glob("test_*.py")):
        importlib.import_module(path.stem)
    sites = following.all_sites()
    assert len(sites) > 100
    unknown = [
        (module, fragment)
        for module, fragment, _ in following.FOLLOWED
        if sum(s.module == module and fragment in s.source for s in sites) != 1
    ]
    assert unknown == []  # each fragment means one error
    missing = [
        f"{site.module}:{site.first}"
        for site in sites
        if not any(m == site.module and f in site.source for m, f, _ in following.FOLLOWED)
    ]
    assert missing == []


def test_the_sweep_sees_calls_and_options(tmp_path):
    path = tmp_path / "x.py"
    path.write_text(
        "DataError('a', remedy='do it')\n"
        "DataError('a', remedy='call f(x)')\n"
        "errors.VectorFileError('a', remedy=('pass ', Option('b', 1)))\n"
        "DataError('a', remedy=cure)\n"
        "DataError('a', remedy=f'{x} rows')\n"
        "DataError('a')\n"
        "ValueError('a', remedy='f(x)')\n"
    )
    assert [site.first for site in following.sites_of(path, tmp_path)] == [2, 3, 4]
