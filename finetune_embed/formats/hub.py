"""Models on the Hugging Face Hub, which are fetched only where a name says so: `hub:org/model`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from ..errors import VectorFileError
from ..files import PathOrFile
from .common.run_folder import RUN_TABLE
from .common.shards import INDEX
from .common.static_files import CONFIG, MODULES, TENSORS, TOKENIZER, WORD_LISTS

__all__ = ["HUB", "WANTED", "fetched"]

HUB = "hub:"
_MODEL = (TENSORS, TOKENIZER, *WORD_LISTS)
#: The only files that are fetched: those that the readers of such folders open.
WANTED = (
    *_MODEL,
    *(f"0_*/{name}" for name in _MODEL),
    CONFIG,
    MODULES,
    INDEX,
    "model-*-of-*.safetensors",
    RUN_TABLE,
)


Place = TypeVar("Place", bound=PathOrFile)


def fetched(path: Place) -> Place | Path:
    """Return the folder of a model on the Hub that `hub:` names; anything else unchanged.

    Files that were fetched before are taken from the cache of `huggingface_hub`.

    Raises:
        VectorFileError: the Hub has no such model, cannot be reached, or has no file of it that
            is read here.
    """
    if not isinstance(path, str) or not path.startswith(HUB) or os.path.exists(path):
        return path
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(path.removeprefix(HUB), allow_patterns=list(WANTED)))
    except Exception as error:  # of the network libraries, whatever they are
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise VectorFileError(
            f"cannot be fetched from the Hub: {reason}",
            where=path,
            value=path,
            remedy="check its name, org/model, and the connection; or pass a local folder",
        ) from error
    if not any(one.is_file() for one in folder.rglob("*")):
        raise VectorFileError(
            "this model has no file of vectors that is read from the Hub",
            where=path,
            value=path,
            remedy="download the file that holds its vectors, and pass that",
        )
    return folder
