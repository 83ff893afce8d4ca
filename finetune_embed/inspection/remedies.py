"""The calls and commands that remedies of findings name: `path` and `FILE` stand for the file."""

from __future__ import annotations

import os
import re

from ..errors import Either, Text, shell_word
from ..formats.hub import HUB

__all__ = ["REMOVE_WORDS", "WRITE_SAFETENSORS", "WRITE_TEXT", "with_name"]

REMOVE_WORDS = Either(
    "table.subset(words_to_keep)",
    "finetune-embed convert FILE NEW_FILE --keys WORDS_TO_KEEP.txt",
)
WRITE_SAFETENSORS = Either(
    "save_safetensors(load_vectors(path), 'new.safetensors')",
    "finetune-embed convert FILE new.safetensors",
)
WRITE_TEXT = Either(
    "save_glove(load_vectors(path), 'new.txt')", "finetune-embed convert FILE new.txt"
)


def with_name(remedy: Text, path: str) -> Text:
    """Return a remedy with the name of the file in its calls and commands, so they can be pasted.

    Where the name is not one to open, such as that of standard input, nothing is put in. A command
    keeps `FILE` where the name does not print, since its characters would be lost on the way.
    """
    if not (os.path.exists(path) or path.startswith(HUB)):
        return remedy
    if isinstance(remedy, tuple):
        return tuple(with_name(part, path) for part in remedy)
    if not isinstance(remedy, Either):
        return remedy
    word = shell_word(path) if path.isprintable() else "FILE"
    return Either(
        _replaced(remedy.python, r"(?<=load_vectors\()path\b", repr(path)),
        _replaced(remedy.command_line, r"\bFILE\b", word),
    )


def _replaced(text: Text, pattern: str, name: str) -> Text:
    """Return a text in whose plain parts a name is put in."""
    if isinstance(text, tuple):
        return tuple(_replaced(part, pattern, name) for part in text)
    return re.sub(pattern, lambda _: name, text) if isinstance(text, str) else text
