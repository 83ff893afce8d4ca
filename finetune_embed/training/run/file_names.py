"""Names that a run's files have and that a caller may choose by; nothing else is imported here."""

from __future__ import annotations

__all__ = ["CONFIG", "FILES", "HISTORY", "MARK", "METRICS", "MODEL", "TABLE", "TOKENIZER", "WORDS"]

CONFIG, METRICS, HISTORY = "config.yaml", "metrics.json", "history.jsonl"
TABLE, MODEL, TOKENIZER, WORDS = (
    "embedding.safetensors",
    "model.safetensors",
    "tokenizer.json",
    "words.parquet",
)
FILES = (CONFIG, METRICS, HISTORY, TABLE, MODEL, TOKENIZER, WORDS)
#: The first key of a run's config.yaml; its value is the version of the library.
MARK = "finetune_embed"
