"""Code for formats that are folders: reading JSON files, provenance and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import Either, Text, VectorFileError
from ...files import Source, folder_kind, looked_in, open_source
from .sniff import FORMATS, expect_text
from .table_building import provenance

__all__ = ["JSON_SIZE", "MAX_SIZE", "folder_provenance", "missing_folder", "read_json"]

JSON_SIZE = 32  # bytes that a byte of JSON takes at most
MAX_SIZE = 1 << 16  # numbers in a vector; lower because a few stored rows can serve many words


def read_json(path: Path) -> Any:
    """Return the content of a JSON file in UTF-8.

    Raises:
        VectorFileError: the file is missing, truncated or not JSON.
    """
    with open_source(path) as source:
        expect_text(source, "JSON")
        data = source.read_all()
        source.refuse_bomb(JSON_SIZE * len(data))
        try:
            return json.loads(bytes(data))
        except (ValueError, RecursionError) as error:
            raise VectorFileError(
                f"this is not valid JSON ({error})",
                where=source.name,
                remedy="the file is damaged or cut short; fetch it again",
            ) from error


def folder_provenance(source: Source, folder: Path, source_format: str) -> dict[str, str]:
    """Return the metadata of a table read from a folder: `folder/file` and the file's hash."""
    metadata = provenance(source, source_format)
    name = folder.resolve().name.encode(errors="replace").decode()
    return metadata | {"source": f"{name}/{metadata['source']}"}


def missing_folder(path: Path, kind: str, expected: str, remedy: Text) -> VectorFileError:
    """Return the error for a path that is not a folder of the expected kind.

    Args:
        path: the path.
        kind: that kind, a key of `FORMATS`.
        expected: what such a folder is, for the message.
        remedy: what to do if it is not a folder of another kind.
    """
    found = folder_kind(lambda inside: (path / inside).exists())
    if found not in ("", "safetensors", kind):
        what = f"this is {FORMATS[found].title}, not {expected}"
        remedy = Either(f"use {FORMATS[found].loader}", "pass this folder itself")
    elif path.is_dir():
        what = f"this folder is not {expected}"
    elif path.exists():
        what = f"this is a file, not {expected}"
    else:
        what = f"no such folder{looked_in(path)}"
    return VectorFileError(what, where=path, remedy=remedy)
