"""Reads a text file of vectors for its words and row lengths, past all damage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..errors import VectorFileError
from ..files import Source
from ..formats.common.kernels import in_order
from ..formats.common.sniff import HEAD, W2V_HEADER
from ..formats.common.table_building import ROW
from ..formats.common.text_blocks import Block, blocks
from ..formats.common.text_layout import BOM, DETECT_LINES, detect_layout
from ..formats.common.text_rows import leave_out, number_of_numbers
from .findings import Finding, Tally, finding_from
from .last_line import last_line_findings
from .remedies import WRITE_TEXT
from .scan import Header, Scan
from .text_lines import Lines, read_lines

__all__ = ["scan_text"]

MIN_SOUND = 0.1  # share of the lines; with fewer, the file is not text of vectors


def scan_text(source: Source, limit: int | None = None, vector_size: int | None = None) -> Scan:
    """Read the sound lines of a text file, and count the others.

    Raises:
        VectorFileError: it is not text of vectors: less than a tenth of its lines are vectors.
    """
    size, promised, error = _layout(source, vector_size)
    findings = [finding_from(error, "layout", source.name)] if error else []
    findings += _first_line_findings(source)

    def read(block: Block) -> Lines:
        return read_lines(block, size, source)

    total, words = Lines(), []
    lengths, places = [total.lengths], [total.places]
    seen = 0
    for lines in in_order(read, _blocks(source, size, promised is not None, limit, findings)):
        total.count(lines)
        if len(lines.lengths):
            words.append(lines.words)
            lengths.append(lines.lengths)
            places.append(lines.places)
            seen += len(lines.lengths)
            source.refuse_bomb(seen * ROW)
    scan = Scan(
        source_format="glove" if promised is None else "word2vec",
        lengths=np.concatenate(lengths),
        places=np.concatenate(places),
        unit="line",
        vector_size=size,
        dtype="text",
        findings=findings,
    )
    if len(scan.lengths) < max(1, MIN_SOUND * total.lines):
        raise error or _not_vectors(source, total, len(scan.lengths), size)
    scan.words = b"\n".join(words).decode("utf-8", "surrogateescape").split("\n")
    findings += _line_findings(total, size, "" in scan.words)
    if promised is not None:
        rows = total.lines - (total.lines == promised[0] + 1 and scan.words[-1] == "<unk>")
        rows = promised[0] if total.lines == limit else rows
        scan.header = Header(*promised, is_true=promised == (rows, size))
        if promised[0] != rows and source.damage is None:
            findings.append(_wrong_header(promised[0], total.lines, size))
    return scan


def _layout(
    source: Source, vector_size: int | None
) -> tuple[int, tuple[int, int] | None, VectorFileError | None]:
    """Return the vector size, what the header promises, and what is contradictory about them.

    Raises:
        VectorFileError: the first lines are not vectors.
    """
    try:
        layout = detect_layout(source, vector_size)
    except VectorFileError as error:
        head = source.peek(HEAD).removeprefix(BOM)
        lines = [line.rstrip(b" \r") for line in head.split(b"\n")[: DETECT_LINES + 1]]
        lines = [line for line in lines if line]
        header = W2V_HEADER.match(head)
        sizes = Counter(map(number_of_numbers, lines[1:] if header else lines))
        size = max(filter(None, sizes), key=lambda size: (sizes[size], -size), default=0)
        if error.option is not None or 2 * sizes[0] > len(lines) or not size:
            raise
        promised = (int(header[1]), int(header[2])) if header and size > 1 else None
        return size, promised, error
    size = layout.vector_size
    return size, None if layout.promised is None else (layout.promised, size), None


def _first_line_findings(source: Source) -> list[Finding]:
    head = source.peek(HEAD)
    bom, crlf = int(head.startswith(BOM)), int(head.partition(b"\n")[0].endswith(b"\r"))
    return Tally(bom).finding(
        "note",
        "bom",
        "the file starts with a byte order mark, which is ignored",
        ("other readers take it for a part of the first word; write a file without: ", WRITE_TEXT),
    ) + Tally(crlf).finding(
        "note",
        "crlf",
        "lines end with CR LF, which is read as a line end",
        ("other readers may not accept it; write a file with LF: ", WRITE_TEXT),
    )


def _blocks(
    source: Source, size: int, has_header: bool, limit: int | None, findings: list[Finding]
) -> Iterator[Block]:
    """Yield the lines of a file up to damage; add what ends them oddly to the findings."""
    before = b""
    try:
        for block in blocks(source, has_header, limit):
            if block.is_last and source.damage is None:
                findings += last_line_findings(before, block.data, size)
            before = block.data
            yield block
    except VectorFileError as error:
        findings.append(finding_from(error, "damaged", source.name))


def _line_findings(total: Lines, size: int, has_empty: bool) -> list[Finding]:
    """Return what is wrong with the lines that are not sound."""
    end_of_line = "; where a line without a word follows one, the word was a line end: remove both"
    commas = ", with points for decimal commas," if total.has_commas else ""
    return [
        *total.short.finding(
            "error",
            "short_lines",
            f"lines with fewer than {size} numbers",
            "the file is damaged there or cut short: fetch it again, or remove the lines",
        ),
        *total.not_numbers.finding(
            "error",
            "not_numbers",
            "lines with a value that is not a float32 number",
            leave_out(total.missing)
            if total.missing
            else f"correct the lines{commas} or remove them",
        ),
        *total.blank.finding(
            "error",
            "blank_lines",
            "blank lines before other lines",
            "remove them" + end_of_line * has_empty,
        ),
    ]


def _wrong_header(promised: int, lines: int, size: int) -> Finding:
    return Finding(
        "error",
        "header",
        1,
        f"the header promises {promised:,} vectors, but the file has {lines:,}",
        f"fetch the file again, or correct the header to {lines} {size}",
    )


def _not_vectors(source: Source, total: Lines, sound: int, size: int) -> VectorFileError:
    """Return the error for a file that is not text of vectors."""
    bad = total.short if total.short.count else total.not_numbers
    example = f", unlike {bad.examples[0]}" if bad.count else ""
    return VectorFileError(
        f"this is not a text file of vectors: {sound:,} of {total.lines:,} lines are a word and "
        f"{size} numbers separated by spaces{example}",
        where=f"{source.name}:{bad.first_line}" if bad.count else source.name,
    )
