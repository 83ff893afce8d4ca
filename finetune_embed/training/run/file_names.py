"""The names of a run's files."""

from __future__ import annotations

__all__ = ["CONFIG", "FILES", "HISTORY", "MARK", "METRICS", "MODEL", "TABLE", "TOKENIZER", "WORDS"]

CONFIG, RECORD, METRICS, HISTORY = "config.yaml", "record.json", "metrics.json", "history.jsonl"
TABLE, MODEL, TOKENIZER, WORDS = (
    "embedding.safetensors",
    "model.safetensors",
    "tokenizer.json",
    "words.parquet",
)
FILES = (CONFIG, RECORD, METRICS, HISTORY, TABLE, MODEL, TOKENIZER, WORDS)
#: The first key of a run's config.yaml; its value is the version of the library.
MARK = "finetune_embed"
