"""Everything that writes a table, a delta or a run, for the tests of writing that fails.

Importing it does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import finetune_embed as fe
from finetune_embed.formats import SAVERS

Write = Callable[[fe.EmbeddingTable, Path], Any]


class Writer(NamedTuple):
    """What writes a file or a folder.

    Attributes:
        write: writes a table.
        is_folder: whether it is a folder, which must not exist yet.
    """

    write: Write
    is_folder: bool = False


def _delta(table: fe.EmbeddingTable, path: Path, dtype: str = "float32") -> None:
    base = fe.EmbeddingTable(table.index_to_key, np.zeros_like(table.vectors))
    fe.save_delta(base, table, path, dtype)


def _shards(table: fe.EmbeddingTable, path: Path) -> None:
    fe.save_safetensors(table, path, shard_size=table.vectors.nbytes // 3)


def _shrunk(table: fe.EmbeddingTable, path: Path) -> None:
    small = fe.shrink(table, words=len(table) // 2, remap=True, dim=2, dtype="pq")
    fe.save_safetensors(small, path)


def _static(table: fe.EmbeddingTable, path: Path, onnx: bool = False) -> None:
    fe.save_static(table, path, onnx=onnx)


def _pipeline(table: fe.EmbeddingTable, path: Path) -> None:
    fe.save_spacy(table, path, lang="en")


def _vocabulary(table: fe.EmbeddingTable, path: Path) -> None:
    fe.Vocabulary.from_texts([table.index_to_key]).save(path)


#: By name: the formats of `convert --to`, then everything else; after `delta-int8` with torch.
WRITERS: dict[str, Writer] = {
    **{name: Writer(save, name in ("projector", "spacy")) for name, save in SAVERS.items()},
    "float16": Writer(partial(fe.save_safetensors, dtype="float16")),
    "int8": Writer(partial(fe.save_safetensors, dtype="int8")),
    "shards": Writer(_shards, is_folder=True),
    "delta": Writer(_delta),
    "delta-int8": Writer(partial(_delta, dtype="int8")),
    "gensim": Writer(fe.save_gensim),
    "pipeline": Writer(_pipeline, is_folder=True),
    "shrunk": Writer(_shrunk),
    "static": Writer(_static, is_folder=True),
    "static-onnx": Writer(partial(_static, onnx=True), is_folder=True),
    "vocabulary": Writer(_vocabulary),
}
#: Those that write a run.
OF_RUNS: dict[str, Callable[[fe.Run, Path], Any]] = {
    "onnx": lambda run, path: fe.save_onnx(run, path),
    "onnx-int8": lambda run, path: fe.save_onnx(run, path, dtype="int8"),
    "static-run": lambda run, path: fe.save_static(run, path),
    "run": lambda run, path: run.save(path),
    "shrunk-run": lambda run, path: fe.shrink(run, words=5, dtype="int8").save(path),
}


def tuned(**settings: Any) -> fe.Run:
    """Return a run that ONNX can hold."""
    from datasets import Dataset

    words = [f"w{number}" for number in range(300)]
    vectors = np.random.default_rng(0).normal(size=(len(words), 8)).astype(np.float32)
    rows = [{"text": f"w{i} w{i + 7}", "label": "ab"[i % 2]} for i in range(24)]
    given = {"head": "bag", "lexical": False, "epochs": 1, "batch_size": 8, **settings}
    return fe.finetune(fe.EmbeddingTable(words, vectors), Dataset.from_list(rows), **given)
