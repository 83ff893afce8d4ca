"""Pushes static embedding models to the Hugging Face Hub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import DataError, Option
from ..formats.common.run_folder import is_run
from ..formats.common.sniff import sniff_folder
from ..table import EmbeddingTable
from ..training.run.source import Source, opened
from .card import save_card
from .static import save_static

__all__ = ["push_to_hub"]


def push_to_hub(
    source: Source,
    name: str,
    *,
    private: bool | None = None,
    license: str | None = None,
    onnx: bool = False,
    word_pairs: Sequence[str | os.PathLike[str]] = (),
    base: EmbeddingTable | str | os.PathLike[str] | None = None,
    token: str | None = None,
) -> str:
    """Push a folder to the Hub as a model, or a table or a run as `save_static` writes it.

    A model of this name gets the files as a new commit, else it is made.

    Args:
        source: a folder that `save_static` or another writer of ours wrote, pushed as it is but for
            hidden files; a run or its folder, of which the tuned table is pushed, without the head
            and the paths of this machine; or a table or the path of one.
        name: `org/name` on the Hub.
        private: whether a new model is private; as the Hub decides when left out. `True` never
            pushes to a public one.
        license: the licence for the card of a table or a run; see `save_card`.
        onnx: push the files that transformers.js loads, too; see `save_static`.
        word_pairs: files of word pairs, whose scores the card has; see `save_card`.
        base: what a run was tuned from, for the card; see `save_card`.
        token: a token of the Hub; that of the login when left out.

    Returns:
        The address of the model.

    Raises:
        VectorFileError: the folder is not one of vectors, or the table cannot be written.
        MissingPackageError: onnx or onnxruntime is not installed.
        DataError: the Hub refused the files or cannot be reached, or the model is public, against
            `private`. Nothing here is lost.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.push_to_hub(table, "you/words", license="mit")
        'https://huggingface.co/you/words'
    """
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source) and not is_run(source):
        sniff_folder(folder := Path(source))
        card = {"license": license, "word_pairs": word_pairs or None, "base": base}
        for option, value in {**card, "onnx": onnx}.items():
            if value is not None and value is not False:
                remedy = f"write it first: save_card(table, folder, {option}=...)"
                if option == "onnx":
                    remedy = "write it first: save_static(table, new_folder, onnx=True)"
                raise DataError(
                    "is not for a folder, which is pushed as it is",
                    option=option,
                    value=value,
                    remedy=remedy,
                )
        return _upload(folder, name, private, token)
    source = opened(source)
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        save_static(source, folder, onnx=onnx)
        save_card(source, folder, license=license, name=name, word_pairs=word_pairs, base=base)
        return _upload(folder, name, private, token)


def _upload(folder: Path, name: str, private: bool | None, token: str | None) -> str:
    """Upload a folder, and return the address of the model."""
    from huggingface_hub import HfApi

    try:
        api = HfApi(token=token)
        address = api.create_repo(name, private=private, exist_ok=True)
        if private and not api.model_info(name).private:
            raise DataError(
                "does not fit this model, which is public already; nothing was pushed",
                where=name,
                option="private",
                value=private,
                remedy=("make it private on the Hub first, or leave ", Option("private"), " out"),
            )
        api.upload_folder(repo_id=name, folder_path=folder, ignore_patterns=[".*", "*/.*"])
    except DataError:
        raise
    except Exception as error:  # of the network libraries, whatever they are
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise DataError(
            f"the Hub did not take the files: {reason}",
            where=name,
            remedy=(
                "check the name, org/name, and the connection; log in with `hf auth login`, or "
                "give ",
                Option("token", ...),
            ),
        ) from error
    return str(address)
