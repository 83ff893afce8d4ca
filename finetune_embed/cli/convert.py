"""`finetune-embed convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import Option, VectorFileError
from ..files import STDIN
from ..formats import SAVERS, save_safetensors, save_spacy
from ..formats.common.run_folder import is_run
from ..formats.common.saving import check_name
from ..formats.load import Loaded
from ..formats.numpy_arrays.wordlist import words_of
from ..table import EmbeddingTable
from .folders import PIPELINE, check_folder, folder_overwrite_option, written_folder
from .output import (
    as_json_option,
    check_target,
    limit_option,
    member_option,
    print_json,
    read_file,
    vector_size_option,
    working,
)

__all__ = ["FOLDERS", "TARGETS", "convert", "format_of", "write_as"]

STATIC = "static"  # which `sharing` writes
TARGETS = (*SAVERS, STATIC)
FOLDERS = ("projector", "spacy", STATIC)  # formats that are written as a new folder

BY_SUFFIX = {
    ".safetensors": "safetensors",
    ".bin": "word2vec-binary",
    ".vec": "word2vec",
    ".txt": "glove",
    ".npz": "numpy-archive",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".parquet": "parquet",
}


@click.command(epilog="Example: finetune-embed convert glove.6B.50d.txt glove.6B.50d.safetensors")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--to", help=f"{', '.join(TARGETS)}; from the suffix of the target when left out.")
@limit_option
@vector_size_option
@click.option(
    "--keys",
    type=click.Path(path_type=Path),
    help="Read only the words in this file, one per line.",
)
@click.option("--dtype", help="float32, float16, bfloat16 or int8, of a safetensors file.")
@click.option(
    "--shard-size",
    help="Most bytes of vectors in a file, such as 2GB. TARGET is then a folder of safetensors.",
)
@click.option(
    "--lang",
    help="Language of a spaCy pipeline, such as en, or xx for any. TARGET is then a folder for "
    "spacy.load; it needs spaCy.",
)
@member_option
@folder_overwrite_option
@as_json_option
def convert(
    source: Path,
    target: Path,
    to: str | None,
    limit: int | None,
    vector_size: int | None,
    keys: Path | None,
    dtype: str | None,
    shard_size: str | None,
    lang: str | None,
    member: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a table in another format.

    SOURCE may be compressed, the folder of a model or a run, or - for standard input.
    """
    name = format_of(target, to or ("safetensors" if shard_size else "spacy" if lang else None))
    for option, value, wanted_format in (
        ("dtype", dtype, "safetensors"),
        ("shard_size", shard_size, "safetensors"),
        ("lang", lang, "spacy"),
    ):
        if value is not None and name != wanted_format:
            raise VectorFileError(
                f"is for {wanted_format}, not for {name}",
                option=option,
                value=value,
                remedy=("leave ", Option(option), " out, or give ", Option("to", wanted_format)),
            )
    is_folder = name in FOLDERS or shard_size is not None
    folder_kind = name if lang is None else PIPELINE
    if is_folder:
        check_folder(target, source, kind=folder_kind, overwrite=overwrite)
    else:
        check_target(target, source, overwrite=overwrite)
    wanted = None if keys is None else words_of(str(keys))
    with working(f"reading {source}", as_json):
        found = read_file(source, limit, wanted, member, vector_size)
    if wanted and not len(found.table):
        raise VectorFileError(
            f"none of the {len(wanted):,} words is in {source}",
            where=keys,
            remedy="write them one per line, as in the table",
        )
    replaced = folder_kind if overwrite and is_folder else None
    with working(f"writing {target}", as_json), written_folder(target, replaced) as path:
        if name == "safetensors":
            save_safetensors(found.table, path, dtype=dtype, shard_size=shard_size)
        elif lang is not None:
            save_spacy(found.table, path, lang=lang)
        elif name == STATIC and is_run(source) and limit is None and wanted is None:
            write_as(name, source, path)
        else:
            write_as(name, found.table, path)
    read = _facts(source, found)
    if wanted is not None:
        read["missing"] = len(set(wanted)) - len(found.table)
    words, size = len(found.table), found.table.vector_size
    if as_json:
        written = {"target": str(target), "format": name, "words": words, "size": size}
        print_json({"read": read, "written": written})
        return
    notes = [
        f"{read[what]:,} {text}"
        for what, text in (
            ("duplicates", "duplicates skipped"),
            ("non_utf8", "words not UTF-8"),
            ("missing", "requested words missing"),
        )
        if read.get(what)
    ]
    packed = f" in {found.compression}" if found.compression else ""
    click.echo(", ".join([f"{source}: {found.format}{packed}", *notes]))
    kind = folder_kind if dtype is None else f"{name} of {dtype}"
    click.echo(f"{target}: {kind}, {words:,} words x {size}")


def write_as(name: str, source: EmbeddingTable | Path, target: Path) -> None:
    """Write a table in a format, one of `TARGETS`; as `static` also the folder of a run."""
    if name == STATIC:
        from ..sharing import save_static  # imports torch

        save_static(source, target)
    else:
        assert isinstance(source, EmbeddingTable)
        SAVERS[name](source, target)


def format_of(target: Path, to: str | None) -> str:
    """Return the name of the format to write, `to` or by the suffix of the target.

    Raises:
        VectorFileError: it is not a format, or the target is standard output or a compressed file.
    """
    if str(target) == STDIN:
        raise VectorFileError(
            "a table is written to a file, not to standard output",
            remedy="name one: finetune-embed convert SOURCE vectors.txt",
        )
    check_name(target)
    name = to or BY_SUFFIX.get(target.suffix.lower())
    if name not in TARGETS:
        what = f"{to!r} is not a format" if to else "the suffix is not that of a format"
        raise VectorFileError(
            what,
            where=None if to else target,
            remedy=f"name the format to write: --to {' | '.join(TARGETS)}",
        )
    return name


def _facts(source: Path, found: Loaded) -> dict[str, Any]:
    """Return what was read. Metadata are used only if they describe this file."""
    metadata = found.table.metadata
    name = "<stdin>" if str(source) == STDIN else source.name
    origin = metadata.get("source", "")
    read_here = origin == name or origin.startswith(f"{name}#")
    own = metadata if read_here and metadata.get("source_format") == found.format else {}
    return {
        "source": str(source),
        "format": found.format,
        "compression": found.compression,
        **{what: _count(own.get(what, "")) for what in ("duplicates", "non_utf8")},
    }


def _count(text: str) -> int:
    """Return a number from metadata, 0 if it is not one."""
    return int(text) if text.isascii() and text.isdecimal() else 0
