"""Read vector files (paths, archives, streams), and write files atomically."""

from .archives import folder_kind, is_clutter, only_file
from .arrow import ArrowData, open_arrow
from .atomic import atomic_folder, atomic_write, errors_of_writing, remove_partial_files
from .expansion import bounded, refuse_bomb
from .foreign import Foreign, foreign_kind, is_binary, is_plain
from .hashing import sha256_of
from .mapped import refuse_changed
from .opening import STDIN, PathOrFile, as_folder, looked_in, near, open_source
from .parquet import ParquetReader, read_parquet
from .replacing import (
    finish_replacing,
    locked,
    place_of,
    remove_own_folder,
    replaced_folder,
    replaced_together,
    settle,
)
from .source import Source
from .streams import COMPRESSED, open_member

__all__ = [
    "COMPRESSED",
    "STDIN",
    "ArrowData",
    "Foreign",
    "ParquetReader",
    "PathOrFile",
    "Source",
    "as_folder",
    "atomic_folder",
    "atomic_write",
    "bounded",
    "errors_of_writing",
    "finish_replacing",
    "folder_kind",
    "foreign_kind",
    "is_binary",
    "is_clutter",
    "is_plain",
    "locked",
    "looked_in",
    "near",
    "only_file",
    "open_arrow",
    "open_member",
    "open_source",
    "place_of",
    "read_parquet",
    "refuse_bomb",
    "refuse_changed",
    "remove_own_folder",
    "remove_partial_files",
    "replaced_folder",
    "replaced_together",
    "settle",
    "sha256_of",
]
