"""Names that a run's files have and that a caller may choose by; nothing else is imported here."""

from __future__ import annotations

__all__ = [
    "CONFIG",
    "FILES",
    "HISTORY",
    "MARK",
    "METRICS",
    "MODEL",
    "PRECISIONS",
    "SCHEDULES",
    "TABLE",
    "TASKS",
    "TOKENIZER",
    "WORDS",
]

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

PRECISIONS = ("no", "bf16", "fp16")
SCHEDULES = ("constant", "linear", "cosine", "slanted_triangular", "one_cycle")
TASKS = ("single_label", "multi_label", "tagging")
