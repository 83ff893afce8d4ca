"""A file of finished runs, one JSON object a line, so that a benchmark can be made in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Runs"]

Record = dict[str, Any]


class Runs:
    """Finished runs, and the file they are kept in, if any.

    Args:
        path: the file, read and added to; None to keep nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        self.records: list[Record] = [json.loads(line) for line in lines]

    def get(self, key: Record, run: Callable[[], Record]) -> Record:
        """Return the record that has every entry of `key`, making and keeping it if there is none.

        Args:
            key: what is run: its data set, settings, seed; plain values.
            run: called without arguments, returns what came of it.
        """
        found = next((record for record in self.records if record | key == record), None)
        if found is not None:
            return found
        record = {**key, **run()}
        self.records.append(record)
        if self.path is not None:
            with self.path.open("a") as file:
                print(json.dumps(record), file=file)
        return record
