"""A writer that is killed leaves the old file or the new one, and nothing that stops the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from writers import OF_RUNS, WRITERS

KILLS, LATER = 12, 4  # of each writer; of those that take longer


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes can't be forked here")
def test_killed_at_two_hundred_random_points(tmp_path):
    script = Path(__file__).with_name("killing_writers.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(KILLS), str(LATER)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sorted(found) == sorted([*WRITERS, *OF_RUNS])
    assert {one["deaths"] for one in found.values()} == {KILLS, LATER}
    assert sum(one["deaths"] for one in found.values()) >= 200
    assert sum(one["incomplete"] for one in found.values()) >= 150
    assert all(one["old"] and one["incomplete"] for one in found.values())
    assert sum(one.get("new", 0) for one in found.values()) >= 1
