"""Read vector files (paths, archives, streams), and write files atomically."""

from .atomic import atomic_folder, atomic_write, atomic_writes, remove_partial_files
from .hashing import sha256_of
from .opening import STDIN, PathOrFile, open_source
from .parquet import ParquetBomb, ParquetReader, read_parquet
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
    "atomic_writes",
    "open_source",
    "read_parquet",
    "remove_partial_files",
    "sha256_of",
]
