"""Safetensors in several files with an index, as Hugging Face's libraries write large models.

A folder has `model-00001-of-00003.safetensors` and so on, and `model.safetensors.index.json`, whose
`weight_map` has the file of each tensor, and whose `metadata` has the bytes of all as `total_size`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import Option, VectorFileError
from ...files import atomic_folder, open_source
from .folders import read_json
from .saving import check_new_folder
from .sniff import expect
from .tensor_writer import Tensor, write_tensors
from .tensors import TensorFile, open_tensors

__all__ = ["INDEX", "open_shards", "parse_size", "shards_of", "write_shards"]

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
#: Metadata without which Hugging Face's libraries refuse a shard that has any.
FORMAT = {"format": "pt"}
MOST = 200  # shards: each one that is mapped takes two file descriptors of often 1,024
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_size(size: int | str) -> int:
    """Return a number of bytes from a number, or a text such as `2GB`, where K is 1,000.

    Raises:
        VectorFileError: it is neither, or below 1.
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?B)?\s*", str(size).upper())
    count = int(float(match[1]) * UNITS[match[2] or ""]) if match else 0
    if count < 1 or isinstance(size, bool):
        raise VectorFileError(
            "must be a number of bytes",
            option="shard_size",
            value=size,
            remedy=("give, for example, ", Option("shard_size", "2GB")),
        )
    return count


def write_shards(
    path: str | os.PathLike[str], shards: Sequence[Sequence[Tensor]], metadata: Mapping[str, str]
) -> None:
    """Write a folder of shards and their index, or of the only shard as `model.safetensors`.

    Args:
        path: the folder, which appears complete or not at all.
        shards: the tensors of each file.
        metadata: the metadata of the first file.

    Raises:
        VectorFileError: the folder exists or cannot be written, or there are too many shards.
    """
    if len(shards) > MOST:
        raise VectorFileError(
            f"these are {len(shards):,} files, and a table in more than {MOST:,} may not open",
            where=path,
            remedy=("give a larger ", Option("shard_size")),
        )
    check_new_folder(path)
    names = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in _from_1(shards)]
    if len(shards) == 1:
        names = [WHOLE]
    with atomic_folder(path) as folder:
        for name, tensors in zip(names, shards, strict=True):
            own = metadata if name == names[0] else {}
            with open(folder / name, "xb") as file:
                write_tensors(file, tensors, own if len(shards) == 1 else {**own, **FORMAT})
        if len(shards) > 1:
            index = {
                "metadata": {"total_size": sum(one.size for part in shards for one in part)},
                "weight_map": {
                    one.name: name for name, part in zip(names, shards, strict=True) for one in part
                },
            }
            (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _from_1(items: Sequence[object]) -> range:
    return range(1, len(items) + 1)


def shards_of(folder: Path) -> list[Path]:
    """Return the files that the index of a folder names, in order.

    Raises:
        VectorFileError: the index is damaged.
    """
    return [folder / name for name in sorted(set(_weight_map(folder).values()))]


def _weight_map(folder: Path) -> dict[str, str]:
    index = read_json(folder / INDEX)
    named = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(named, dict) or not all(map(_is_name, named.values())):
        raise VectorFileError(
            "this does not map tensors to files of the folder",
            where=folder / INDEX,
            remedy="the file is damaged; fetch it again",
        )
    return named


def open_shards(folder: Path) -> dict[str, TensorFile]:
    """Open all files that the index of a folder names, and return the file of each tensor.

    Raises:
        VectorFileError: the index or a file is damaged, or a file is missing.
    """
    named = _weight_map(folder)
    files: dict[str, TensorFile] = {}
    for name in sorted(set(named.values())):
        if not (folder / name).is_file():
            raise VectorFileError(
                f"this names {name}, which is missing",
                where=folder / INDEX,
                value=name,
                remedy="fetch the complete folder",
            )
        with open_source(folder / name) as source:
            expect(source, "safetensors")
            files[name] = open_tensors(source)
    for tensor, name in named.items():
        if tensor not in files[name].tensors:
            raise VectorFileError(
                f"this says that {tensor} is in {name}, which lacks it",
                where=folder / INDEX,
                value=tensor,
                remedy="the files are of different tables; fetch the complete folder",
            )
    return {tensor: files[name] for tensor, name in named.items()}


def _is_name(name: object) -> bool:
    """Return whether a value is the name of a file, and no path that leads elsewhere."""
    return (
        isinstance(name, str) and bool(re.fullmatch(r"[^/\\\0:]+", name)) and name.strip(".") != ""
    )
