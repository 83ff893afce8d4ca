"""The folder of a run of `finetune`, where its tuned table is what a reader of vectors wants.

A run folder also has `model.safetensors` and `tokenizer.json`, which hold the rows of the training
vocabulary alone: without its table, it must not be taken for a static model.
"""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import Either, VectorFileError, shell_word
from ...files import STDIN, PathOrFile, place_of

__all__ = ["CONFIG", "RECORD", "RUN_TABLE", "STATE", "file_in_run", "how_to_continue", "is_run"]

RUN_TABLE = "embedding.safetensors"
CONFIG, RECORD = "config.yaml", "record.json"
#: The file of a checkpoint, in a folder `checkpoint-<epochs>-<steps>`, that says where a run is.
STATE = "state.json"


def is_run(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is the folder of a finished run."""
    return all(os.path.isfile(os.path.join(path, name)) for name in (RECORD, CONFIG))


def file_in_run(given: PathOrFile) -> PathOrFile:
    """Return the file of the tuned table in the folder of a run; anything else unchanged.

    Raises:
        VectorFileError: it is a checkpoint, or the folder of a run without its table.
    """
    if not isinstance(given, (str, os.PathLike)) or given == STDIN or not os.path.isdir(given):
        return given
    path = Path(given)
    if (table := place_of(path, RUN_TABLE)).is_file():
        return table
    if path.name.startswith("checkpoint-") and (path / STATE).is_file():
        raise VectorFileError(
            "this is a checkpoint of a run that has not finished, which has no tuned vectors yet",
            where=path,
            remedy=how_to_continue(path.parent),
        )
    if any(path.glob(f"checkpoint-*/{STATE}")):
        raise VectorFileError(
            "this folder holds an unfinished run, which has no tuned vectors yet",
            where=path,
            remedy=how_to_continue(path),
        )
    if is_run(path):
        raise VectorFileError(
            f"this folder holds a run whose {RUN_TABLE} is missing",
            where=path,
            remedy=f"put {RUN_TABLE} back, which has the tuned vectors, or tune again",
        )
    return given


def how_to_continue(folder: Path) -> Either:
    """Return how to continue the run in a folder."""
    name, config = shell_word(str(folder)), shell_word(str(folder / CONFIG))
    return Either(
        f"continue it: finetune(..., output_dir={str(folder)!r}, resume=True)",
        f"continue it: finetune-embed train --config {config} -o {name} --resume",
    )
