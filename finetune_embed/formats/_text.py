"""Vectors as lines of text: a word, then D numbers, between single spaces.

GloVe files are just that; word2vec text files have a header line `V D` before it. A word may
contain spaces (glove.840B has such), so lines are split from the right, at ASCII spaces only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError
from ..files import Source
from ..table import EmbeddingTable, Vectors
from ._rows import RowBuffer, check_limit, wanted_bytes

__all__ = ["BOM", "HEAD", "TextLayout", "detect_layout", "read_text", "write_text"]

BOM = b"\xef\xbb\xbf"
HEAD = 1 << 22  # bytes looked at to find out what a file is
DETECT_LINES = 1_000
BLOCK = 1 << 24
MAX_LINE = 1 << 26  # bytes; a longer "line" is no line of vectors
WRITE_ROWS = 1 << 14
_HEADER = re.compile(rb"\d{1,18} \d{1,18}")
_LINE_END = re.compile(rb"[ \r]+(?=\n)")


@dataclass(frozen=True)
class TextLayout:
    """How a text file of vectors is laid out.

    Attributes:
        vector_size: the numbers in a line.
        promised: the rows that the header promises, or None where there is no header.
    """

    vector_size: int
    promised: int | None


def detect_layout(source: Source, vector_size: int | None = None) -> TextLayout:
    """Find the dimension of a text file and whether it has a header, by its first 1,000 lines.

    The dimension is the most frequent number of fields less one. A header is a first line of two
    integers; where the lines hold one number each, only if its second integer is 1.

    Raises:
        VectorFileError: no line looks like a vector, two dimensions are equally frequent, or the
            header contradicts the lines.
    """
    head = source.peek(HEAD).removeprefix(BOM)
    lines = [line.rstrip(b" \r") for line in head.split(b"\n")[: DETECT_LINES + 1]]
    if len(head) >= HEAD - len(BOM) and len(lines) <= DETECT_LINES:
        lines = lines[:-1]  # cut off by the peek, not by the file
    lines = [line for line in lines if line]
    if not lines:
        raise VectorFileError(f"{source.path}: no line of text in the first {len(head):,} bytes")
    header = _HEADER.fullmatch(lines[0]) is not None
    body = lines[1:] if header and len(lines) > 1 else lines
    sizes = Counter(line.count(b" ") for line in body[:DETECT_LINES])
    if vector_size is None:
        (vector_size, times), *others = sizes.most_common(2)
        if others and others[0][1] == times:
            raise VectorFileError(
                f"{source.path}: {times:,} of the first lines have {vector_size} numbers and as "
                f"many have {others[0][0]}; say which it is: vector_size={vector_size}"
            )
    if vector_size < 1:
        raise VectorFileError(
            f"{source.path}:{1 if body is lines else 2}: {_shown(body[0])} is not a word and its "
            "numbers between spaces; this is not a text file of vectors"
        )
    if header:
        promised, promised_size = map(int, lines[0].split(b" "))
        if promised_size == vector_size and len(lines) > 1:
            return TextLayout(vector_size, promised)
        if len(lines) == 1:
            raise VectorFileError(
                f"{source.path}:1: the header promises {promised:,} vectors of {promised_size} "
                "numbers, and the file ends there; fetch the file again"
            )
        if vector_size != 1:
            raise VectorFileError(
                f"{source.path}:1: the header promises vectors of {promised_size} numbers, but "
                f"line 2 has {body[0].count(b' ')}; correct the header, or remove it and use "
                "load_glove(path)"
            )
    return TextLayout(vector_size, None)


def read_text(
    source: Source,
    layout: TextLayout,
    source_format: str,
    keys: Collection[str] | None = None,
    limit: int | None = None,
) -> EmbeddingTable:
    """Read the lines of a text file into a table, only the words of `keys` if given.

    Raises:
        VectorFileError: a line has too few numbers or one that is none, or the file has more or
            fewer rows than its header promises.
    """
    check_limit(limit)
    wanted = wanted_bytes(keys)
    rows = RowBuffer(layout.vector_size)
    seen, line = 0, 1
    for data in _blocks(source):
        if line == 1 and layout.promised is not None:
            data = data[data.index(b"\n") + 1 :]
            line = 2
        starts, key_ends, ends = _split(data, layout.vector_size, source, line)
        line += len(starts)
        take = len(starts) if limit is None else min(len(starts), limit - seen)
        seen += take
        _read_rows(data, starts[:take], key_ends, ends, wanted, rows, source, line - len(starts))
        if seen == limit:
            break
    if layout.promised is not None and seen != limit and seen != layout.promised:
        raise VectorFileError(
            f"{source.path}:{line}: the header promises {layout.promised:,} vectors, the file has "
            f"{seen:,}; fetch the file again, or take what is there with limit={seen}"
        )
    return rows.table(source, source_format, seen)


def _blocks(source: Source) -> Iterator[bytes]:
    """Yield the file as blocks of whole lines, each line closed by one newline."""
    rest = b""
    first = True
    while data := source.read(BLOCK):
        if first:
            data, first = data.removeprefix(BOM), False
        cut = data.rfind(b"\n") + 1
        if not cut:
            rest += data
            if len(rest) > MAX_LINE:
                raise VectorFileError(
                    f"{source.path}: no end of line within {len(rest):,} bytes; this is not a "
                    "text file of vectors"
                )
            continue
        yield _trim(rest + data[:cut])
        rest = data[cut:]
    if rest.strip(b" \r"):
        yield _trim(rest + b"\n")


def _trim(block: bytes) -> bytes:
    """Drop spaces and carriage returns at the ends of lines, and empty lines at the block's end."""
    if b" \n" in block or b"\r\n" in block:
        block = _LINE_END.sub(b"", block)
    return block.rstrip(b"\n") + b"\n" if block.endswith(b"\n\n") else block


Positions = npt.NDArray[np.int64]


def _split(
    data: bytes, vector_size: int, source: Source, line: int
) -> tuple[Positions, Positions, Positions]:
    """Return where each line starts, where its word ends, and where the line ends."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets == ord("\n"))
    if len(data) == len(ends):  # nothing but a header, or blank lines, before the end of the block
        return ends[:0], ends[:0], ends[:0]
    spaces = np.flatnonzero(octets == ord(" "))
    starts = np.concatenate(([0], ends[:-1] + 1))
    before = np.searchsorted(spaces, ends)
    found = np.diff(before, prepend=0)
    short = np.flatnonzero(found < vector_size)
    if len(short):
        at = int(short[0])
        text = data[starts[at] : ends[at]]
        raise VectorFileError(
            f"{source.path}:{line + at}: {found[at]} numbers where {vector_size} are expected in "
            f"{_shown(text)}; the file is damaged there or cut short; fetch it again"
        )
    return starts, spaces[before - vector_size], ends


def _read_rows(
    data: bytes,
    starts: Positions,
    key_ends: Positions,
    ends: Positions,
    wanted: frozenset[bytes] | None,
    rows: RowBuffer,
    source: Source,
    line: int,
) -> None:
    """Parse the lines of a block, only those whose word is wanted, and add them to `rows`."""
    spans = list(zip(starts.tolist(), key_ends.tolist(), ends.tolist(), strict=False))
    words = [data[start:key_end] for start, key_end, _ in spans]
    lines = range(line, line + len(spans))
    if wanted is not None:
        kept = [i for i, word in enumerate(words) if word in wanted]
        spans, words, lines_kept = [spans[i] for i in kept], [words[i] for i in kept], kept
        numbers_of_lines = [lines[i] for i in lines_kept]
    else:
        numbers_of_lines = list(lines)
    if words:
        texts = [data[key_end + 1 : end] for _, key_end, end in spans]
        rows.extend(words, _numbers(texts, source, numbers_of_lines))


def _numbers(texts: list[bytes], source: Source, lines: list[int]) -> Vectors:
    """Parse the number fields of lines, each correctly rounded to float32, as `(lines, D)`."""
    import polars as pl
    from polars.exceptions import PolarsError

    size = texts[0].count(b" ") + 1
    try:
        frame = pl.read_csv(
            b"\n".join(texts),
            has_header=False,
            separator=" ",
            schema={str(column): pl.Float32 for column in range(size)},
            quote_char=None,
            encoding="utf8-lossy",
        )
        if len(frame) == len(texts) and not any(frame.null_count().row(0)):
            return frame.to_numpy()
    except PolarsError:
        pass
    return np.array(
        [_line_of_numbers(text, source, line) for text, line in zip(texts, lines, strict=True)],
        np.float32,
    )


def _line_of_numbers(text: bytes, source: Source, line: int) -> list[float]:
    """Parse one line's numbers; the slow way, which names the field that is none."""
    numbers = []
    for position, field in enumerate(text.split(b" "), 1):
        try:
            if b"_" in field:
                raise ValueError
            numbers.append(float(field))
        except ValueError:
            raise VectorFileError(
                f"{source.path}:{line}: value {position} of the vector is {_shown(field)}, which "
                "is not a number; correct the line or remove it"
            ) from None
    return numbers


def write_text(table: EmbeddingTable, words: list[bytes], file: BinaryIO) -> None:
    """Write a line for each row: the word and its numbers, the shortest that read back equal."""
    import polars as pl

    for start in range(0, len(table), WRITE_ROWS):
        block = np.ascontiguousarray(table.vectors[start : start + WRITE_ROWS])
        text = pl.DataFrame(block).write_csv(include_header=False, separator=" ")
        numbers = text.encode().splitlines()
        file.write(
            b"".join(
                b"%b %b\n" % pair
                for pair in zip(words[start : start + WRITE_ROWS], numbers, strict=True)
            )
        )


def _shown(text: bytes) -> str:
    """Return bytes of a file as a short quoted string."""
    return repr((text if len(text) <= 60 else text[:57] + b"...").decode("utf-8", "replace"))
