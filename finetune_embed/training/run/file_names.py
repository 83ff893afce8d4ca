"""The names of a run's files."""

from __future__ import annotations

from ...formats.common.run_folder import CONFIG, RECORD, RUN_TABLE, STATE

__all__ = [
    "CHECKPOINT_FILES",
    "COMPARISON_FILES",
    "CONFIG",
    "FILES",
    "HISTORY",
    "LEXICAL",
    "MARK",
    "MEMBERS",
    "METRICS",
    "MODEL",
    "RECORD",
    "REQUIRED",
    "TABLE",
    "TOKENIZER",
    "TRACKERS",
    "WORDS",
]

METRICS, HISTORY = "metrics.json", "history.jsonl"
TABLE, MODEL, TOKENIZER, WORDS = (
    RUN_TABLE,
    "model.safetensors",
    "tokenizer.json",
    "words.parquet",
)
#: The folder that trackers write to.
TRACKERS = "trackers"
#: The files of every run, and those of every run and of some.
REQUIRED = (CONFIG, RECORD, METRICS, HISTORY, TABLE, MODEL, TOKENIZER, WORDS)
LEXICAL, MEMBERS = "lexical.safetensors", "members.safetensors"
FILES = (*REQUIRED, LEXICAL, MEMBERS)
#: The files of a checkpoint.
CHECKPOINT_FILES = (
    STATE,
    "model.safetensors",
    "best.safetensors",
    "optimizer.safetensors",
    MEMBERS,
)
#: Files that a folder of a comparison has from its first run.
COMPARISON_FILES = ("settings.json", "trials.jsonl")
#: The first key of a run's config.yaml; its value is the version of the library.
MARK = "finetune_embed"
