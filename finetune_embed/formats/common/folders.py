"""What the readers of folders share: a JSON file inside one, and what a table tells of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import VectorFileError
from ...files import Source, open_source
from .table_building import provenance

__all__ = ["MAX_SIZE", "folder_provenance", "missing_folder", "read_json"]

MAX_SIZE = 1 << 16  # numbers in a vector, where few rows in a file make many in a table


def read_json(path: Path) -> Any:
    """Return what a JSON file in UTF-8 holds.

    Raises:
        VectorFileError: it is missing, cut short or no JSON.
    """
    with open_source(path) as source:
        try:
            return json.loads(bytes(source.whole()))
        except (ValueError, RecursionError) as error:
            raise VectorFileError(
                f"{source.name} is no JSON ({error}); it is cut short or damaged; fetch it again"
            ) from error


def folder_provenance(source: Source, folder: Path, source_format: str) -> dict[str, str]:
    """Return what the metadata of a table tell: `folder/file` and the hash of the vectors' file."""
    told = provenance(source, source_format)
    inside = folder.resolve().name.encode(errors="replace").decode()
    return told | {"source": f"{inside}/{told['source']}"}


def missing_folder(path: Path, what: str, cure: str) -> VectorFileError:
    """Return the error for a path that should be a folder of some kind and is not."""
    if path.is_dir():
        found = f"{path} is a folder, but not {what}"
    elif path.exists():
        found = f"{path} is a file, not {what}"
    else:
        found = f"no such folder: {path} (looked in {Path.cwd()})"
    return VectorFileError(f"{found}; {cure}")
