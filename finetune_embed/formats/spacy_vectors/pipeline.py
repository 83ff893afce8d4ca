"""A blank pipeline of spaCy around a vocabulary that is written here, which `spacy.load` opens.

`config.cfg`, `meta.json` and `tokenizer` are what spaCy itself writes for a blank pipeline of a
language. Its vectors are never loaded: they are described in `meta.json` as `spacy init vectors`
does it, and lie in `vocab/`. A mark in `meta.json` tells whether anything else was changed since.

Source: https://spacy.io/api/data-formats#meta.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import Option, VectorFileError, one_line, optional_packages
from ...files import is_clutter
from ...table import EmbeddingTable

__all__ = ["VOCAB", "blank_pipeline", "is_unedited", "write_pipeline"]

VOCAB, META, MARK = "vocab", "meta.json", "finetune_embed"


def blank_pipeline(lang: str) -> Any:
    """Return a pipeline of spaCy that has the tokenizer of a language, and nothing else.

    Raises:
        VectorFileError: spaCy does not have the language, or lacks a package for its tokenizer.
        MissingPackageError: spaCy is not installed.
    """
    with optional_packages("spacy", extra="spacy"):
        from spacy.util import get_lang_class
    try:
        language = get_lang_class(lang) if isinstance(lang, str) else None
    except (ImportError, AttributeError):  # there is no such module, or it is not of a language
        language = None
    if language is None:
        raise VectorFileError(
            "is not a language that spaCy has",
            option="lang",
            value=lang,
            remedy=("pass its code, such as en, or ", Option("lang", "xx"), " for any language"),
        )
    try:
        return language()
    except ImportError as error:  # of the package that splits Japanese, Korean, Thai
        reason = re.sub(r" ?\(https?://[^\s)]+\)", "", str(error)).rstrip(".")  # long addresses
        raise VectorFileError(
            f"can't be split into tokens: {one_line(reason, 200)}",
            option="lang",
            value=lang,
            remedy=("install what it needs, or pass ", Option("lang", "xx")),
        ) from error


def write_pipeline(nlp: Any, table: EmbeddingTable, folder: Path) -> Path:
    """Write a pipeline without its vocabulary to a folder; return the folder of that, made empty.

    Args:
        nlp: the pipeline of `blank_pipeline`.
        table: the table that the vocabulary will hold.
        folder: an empty folder.
    """
    nlp.to_disk(folder, exclude=[VOCAB])
    meta = json.loads((folder / META).read_text("utf-8"))
    rows = {"width": table.vector_size, "vectors": len(table), "keys": len(table)}
    meta["vectors"] |= {**rows, "name": f"{meta['lang']}_{meta['name']}.vectors"}
    meta[MARK] = _mark(folder, meta)
    (folder / META).write_text(json.dumps(meta, indent=2, ensure_ascii=False), "utf-8")
    (folder / VOCAB).mkdir()
    return folder / VOCAB


def is_unedited(folder: Path) -> bool:
    """Return whether a folder holds what `write_pipeline` wrote, and has a vocabulary."""
    try:
        meta = json.loads((folder / META).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    mark = meta.pop(MARK, None) if isinstance(meta, dict) else None
    return mark is not None and (folder / VOCAB).is_dir() and mark == _mark(folder, meta)


def _mark(folder: Path, meta: Mapping[str, Any]) -> str:
    """Return a hash of everything in a folder but its vocabulary."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] not in (VOCAB, META) and not is_clutter(path.name):
            content = path.read_bytes() if path.is_file() else b""
            digest.update(json.dumps([name.as_posix(), len(content)]).encode() + content)
    return digest.hexdigest()[:16]
