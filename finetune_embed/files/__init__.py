"""Bytes in (paths, archives, streams) and bytes out (atomic writes)."""

from .atomic import atomic_folder, atomic_write, atomic_writes, remove_remains, sha256_of
from .source import EXPANSION_FLOOR, MAX_EXPANSION, STDIN, PathOrFile, Source, open_source
from .streams import COMPRESSED

__all__ = [
    "COMPRESSED",
    "EXPANSION_FLOOR",
    "MAX_EXPANSION",
    "STDIN",
    "PathOrFile",
    "Source",
    "atomic_folder",
    "atomic_write",
    "atomic_writes",
    "open_source",
    "remove_remains",
    "sha256_of",
]
