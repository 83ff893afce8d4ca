"""The text files of a run: its settings, its history and other documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...files import atomic_write
from .file_names import CONFIG

__all__ = ["write_config", "write_history", "write_json", "write_text_file"]


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a document as JSON for people to read."""
    write_text_file(path, json.dumps(value, indent=2, ensure_ascii=False))


def write_text_file(path: Path, text: str) -> None:
    """Write a text file that appears complete or not at all, in place of a link if there is one."""
    with atomic_write(path, through_links=False) as file:
        file.write(text.rstrip("\n").encode() + b"\n")


def write_config(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write `config.yaml`, the settings of a run and the names of its inputs."""
    import yaml

    text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
    write_text_file(folder / CONFIG, text)


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the records of the epochs as JSON lines."""
    write_text_file(path, "\n".join(json.dumps(record) for record in history))
