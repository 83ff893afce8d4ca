"""The names of the files of static embedding models."""

from __future__ import annotations

__all__ = ["CONFIG", "MODULES", "TENSORS", "TOKENIZER", "WORD_LISTS"]

TENSORS, TOKENIZER, MODULES = "model.safetensors", "tokenizer.json", "modules.json"
CONFIG = "config.json"  # model2vec's settings
#: The files that list the words of a `WordEmbeddings` module.
WORD_LISTS = ("whitespacetokenizer_config.json", "phrasetokenizer_config.json")
