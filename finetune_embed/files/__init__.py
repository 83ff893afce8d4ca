"""Read vector files (paths, archives, streams), and write files atomically."""

from .atomic import atomic_folder, atomic_write, errors_of_writing, remove_partial_files
from .hashing import sha256_of
from .opening import STDIN, PathOrFile, open_source
from .parquet import ParquetBomb, ParquetReader, read_parquet
from .replacing import (
    finish_replacing,
    locked,
    place_of,
    remove_own_folder,
    replaced_together,
    settle,
)
from .source import EXPANSION_FLOOR, MAX_EXPANSION, Source
from .streams import COMPRESSED

__all__ = [
    "COMPRESSED",
    "EXPANSION_FLOOR",
    "MAX_EXPANSION",
    "STDIN",
    "ParquetBomb",
    "ParquetReader",
    "PathOrFile",
    "Source",
    "atomic_folder",
    "atomic_write",
    "errors_of_writing",
    "finish_replacing",
    "locked",
    "open_source",
    "place_of",
    "read_parquet",
    "remove_own_folder",
    "remove_partial_files",
    "replaced_together",
    "settle",
    "sha256_of",
]
