"""Writing a folder of vectors in place of one that is there."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import Option, VectorFileError
from ..files import STDIN, replaced_folder
from ..formats.common.saving import check_new_folder

__all__ = ["check_folder", "written_folder"]

#: The files that each kind of folder has, and those that it may have besides. The first fits.
CONTENTS = (
    ({"vectors.tsv", "metadata.tsv"}, ""),
    ({"vectors", "key2row", "strings.json", "vectors.cfg"}, ""),
    (
        {"model.safetensors", "tokenizer.json", "config.json", "modules.json"},
        r"README\.md|tokenizer_config\.json|onnx/model\.onnx",
    ),
    ({"model.safetensors"}, ""),
    ({"model.safetensors.index.json"}, r"model-\d{5}-of-\d{5}\.safetensors"),
)


def check_folder(target: Path, *sources: Path, overwrite: bool) -> None:
    """Check that a folder can be written, or replaced.

    Args:
        target: what is written.
        sources: what is read.
        overwrite: whether a folder of vectors that is there may be replaced.

    Raises:
        VectorFileError: it can't.
    """
    if not target.is_dir() or target.is_symlink():
        check_new_folder(target)
        return
    if not overwrite:
        raise VectorFileError(
            "this folder is there already",
            where=target,
            remedy=("name another, or replace it with ", Option("overwrite", True)),
        )
    for source in (one.resolve() for one in sources if str(one) != STDIN):
        if target.resolve() in (source, *source.parents):
            raise VectorFileError(
                "the source is in this folder, and would be lost",
                where=target,
                remedy="name another target",
            )
    _check_own(target)


@contextlib.contextmanager
def written_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """Yield the path to write a folder to, which is the target in the end.

    Raises:
        VectorFileError: it cannot be written.
    """
    if overwrite and target.is_dir():
        with replaced_folder(target, _check_own) as new:
            yield new
    else:
        yield target


def _check_own(folder: Path) -> None:
    """Check that a folder holds nothing but files that are written here.

    Raises:
        VectorFileError: it holds something else.
    """
    paths = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    names = {path.relative_to(folder).as_posix() for path in paths}
    found = "it is not one of vectors" if names else ""
    for needed, others in CONTENTS:
        if needed <= names:
            foreign = sorted(n for n in names - needed if not re.fullmatch(others, n))
            found = f"it holds {foreign[0]!r}" if foreign else ""
            if not foreign and not _is_ours(folder, needed):
                found = "another program wrote it"
            break
    if found:
        raise VectorFileError(
            f"this folder is not replaced, since {found}",
            where=folder,
            remedy="name another, or remove it yourself",
        )


def _is_ours(folder: Path, needed: set[str]) -> bool:
    """Return whether a folder of these files has the mark of this library, where there is one."""
    if "config.json" in needed:
        with contextlib.suppress(OSError, ValueError):
            config = json.loads((folder / "config.json").read_text("utf-8"))
            return isinstance(config, dict) and "finetune_embed" in config
        return False
    for name in needed & {"model.safetensors", "model.safetensors.index.json"}:
        with open(folder / name, "rb") as file:
            if b'"vocab.bytes"' not in file.read(1 << 20):
                return False
    return True
