"""Checks and encodes the words of a table before it is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from ...errors import Either, Option, VectorFileError
from ...table import EmbeddingTable, PackedWords, as_bytes
from .table_building import is_utf8

__all__ = [
    "HOLDS_ANY_WORD",
    "check_keys",
    "check_name",
    "check_new_folder",
    "check_utf8",
    "join_words",
    "pack",
    "pack_words",
]

#: The remedy for words that a format can't hold.
HOLDS_ANY_WORD = Either(
    "use save_safetensors(table, path), which holds any word",
    ("use ", Option("to", "safetensors"), ", which holds any word"),
)


_COMPRESSED = frozenset(
    (".gz", ".gzip", ".tgz", ".bz2", ".xz", ".lzma", ".zst", ".zstd", ".zip", ".tar", ".7z", ".lz4")
)


def check_name(path: str | os.PathLike[str]) -> None:
    """Check that a name does not promise a compressed file, since none is written.

    Raises:
        VectorFileError: it ends like that of a compressed file or an archive.
    """
    suffix = PurePath(os.fsdecode(path)).suffix
    if suffix.lower() in _COMPRESSED:
        raise VectorFileError(
            f"the name ends in {suffix}, but what is written is not compressed",
            where=path,
            remedy=f"leave {suffix} off, and compress the file afterwards",
        )


def check_new_folder(path: str | os.PathLike[str]) -> None:
    """Check that a folder can be made: there is nothing at its path, and a folder to hold it.

    Raises:
        VectorFileError: it can't.
    """
    parent = Path(path).parent
    if os.path.lexists(path):
        raise VectorFileError("this already exists", where=path, remedy="choose another path")
    if not os.path.isdir(parent):
        raise VectorFileError(
            f"there is no folder {parent}", where=path, remedy="make that folder first"
        )


def pack_words(table: EmbeddingTable) -> PackedWords:
    """Return the words as the bytes that read back as them.

    Raises:
        VectorFileError: a word has lone surrogates that do not represent a byte, or the file of
            the vectors was changed.
        VocabularyError: a word is in two rows.
    """
    table.check_unchanged()
    table.rows_of(())  # raises if a word is in two rows
    return pack(table.words)


def pack(words: Sequence[str]) -> PackedWords:
    """Return distinct words as the bytes that read back as them.

    Raises:
        VectorFileError: a word has lone surrogates that do not represent a byte.
    """
    if isinstance(words, PackedWords):
        return words
    try:
        return PackedWords.from_strings(words)
    except UnicodeEncodeError:
        packed = [as_bytes(key) for key in words]
    bad = [key for key, word in zip(words, packed, strict=True) if word is None]
    if bad:
        raise VectorFileError(
            f"{len(bad):,} of {len(words):,} words have lone surrogates that no bytes in a file "
            f"represent ({bad[0]!r} is the first)",
            value=bad[0],
            remedy="rename or remove these words",
        )
    return PackedWords.from_bytes(word for word in packed if word is not None)


def check_keys(table: EmbeddingTable, target: str, forbidden: str) -> None:
    """Check that a file can hold all words of a table.

    Args:
        table: the table.
        target: the kind of file, for messages.
        forbidden: ASCII characters that no word may contain.

    Raises:
        VectorFileError: a word contains a forbidden character or can't be encoded, the table has
            no rows or no columns, or the file of its vectors was changed.
        VocabularyError: a word is in two rows.
    """
    if not len(table) or not table.vector_size:
        raise VectorFileError(
            f"the table is {len(table):,} x {table.vector_size}, but {target} needs at least one "
            "word and one number"
        )
    table.check_unchanged()
    table.rows_of(())  # raises if a word is in two rows
    packed = table.words if isinstance(table.words, PackedWords) else None
    text = "".join(table.words) if packed is None else ""
    for character in forbidden:
        found = character in text if packed is None else ord(character) in packed.data
        if found:
            bad = [key for key in table.words if character in key]
            raise VectorFileError(
                f"{len(bad):,} of {len(table):,} words contain {character!r}, which {target} "
                f"can't hold ({bad[0]!r} is the first)",
                value=bad[0],
                remedy=(
                    HOLDS_ANY_WORD,
                    Either(
                        ", or remove these words: table.subset(k for k in table.index_to_key if "
                        f"{character!r} not in k)",
                        "",
                    ),
                ),
            )
    try:
        text.encode()
    except UnicodeEncodeError:
        pack_words(table)


def check_utf8(words: Sequence[str], target: str) -> None:
    """Check that words are UTF-8.

    Args:
        words: the words.
        target: what needs it, for messages.

    Raises:
        VectorFileError: a word is not.
    """
    odd = [word for word in words if not is_utf8(word)]
    if odd:
        raise VectorFileError(
            f"{len(odd):,} of {len(words):,} words are not UTF-8, which {target} needs (the first "
            f"is {odd[0]!r})",
            value=odd[0],
            remedy=(HOLDS_ANY_WORD, ", or remove these words"),
        )


def join_words(keys: list[str], separator: str) -> bytes:
    """Return checked words as the bytes that read back as them, joined by a separator."""
    return separator.join(keys).encode("utf-8", "surrogateescape")
