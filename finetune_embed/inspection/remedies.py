"""The calls and commands that remedies of findings name."""

from __future__ import annotations

from ..errors import Either

__all__ = ["REMOVE_WORDS", "WRITE_SAFETENSORS", "WRITE_TEXT"]

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
