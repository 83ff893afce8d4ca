"""Reads a word2vec binary for its words and row lengths, past all damage."""

from __future__ import annotations

import numpy as np

from ..errors import Text, VectorFileError
from ..files import Source
from ..formats.common.arguments import read_first
from ..formats.common.binary_numbers import check_numbers
from ..formats.common.binary_words import fault_error
from ..formats.common.kernels import parse_binary
from ..formats.common.sniff import HEAD, W2V_HEADER
from ..formats.common.table_building import ROW
from ..formats.word2vec import BLOCK, MAX_SIZE, MAX_WORD, read_binary
from .findings import Finding, finding_from
from .scan import Header, Lengths, Scan, lengths_of

__all__ = ["scan_binary"]


def scan_binary(source: Source, limit: int | None = None) -> Scan:
    """Read the complete rows of a word2vec binary, and compare them with its header.

    Raises:
        VectorFileError: it has no valid header, or its numbers are not float32.
    """
    header = W2V_HEADER.match(source.peek(64))
    if header is None or not 1 <= int(header[2]) <= MAX_SIZE:
        read_binary(source)  # raises the error of the loader
        raise AssertionError("the loader accepts this header")
    promised, size = int(header[1]), int(header[2])
    source.read(header.end())
    words: list[bytes] = []
    lengths: list[Lengths] = []
    data, seen, offset, state = b"", 0, header.end(), 0
    fault: VectorFileError | None = None
    head = source.peek(HEAD)
    check_numbers(head, len(head) < HEAD, promised, size, source.name)
    total = promised if limit is None else min(promised, limit)
    while seen < total and fault is None:
        block = source.read(BLOCK)
        data += block
        rows = parse_binary(data, size, total - seen, None, len(block) < BLOCK, state)
        state = rows.after
        if rows.passed:
            words.append(rows.words)
            lengths.append(lengths_of(rows.vectors))
            source.refuse_bomb((seen + rows.passed) * ROW)
        seen, offset, data = seen + rows.passed, offset + rows.used, data[rows.used :]
        if rows.fault:
            word = data[: rows.length]
            fault = fault_error(source.name, rows.fault, seen + 1, offset, word)
        if not block or (not rows.passed and len(data) > MAX_WORD + 4 * size + BLOCK):
            break
    rest = (data + source.read(2)).lstrip(b"\n")
    is_part = total < promised or seen < total
    scan = Scan(
        source_format="word2vec-binary",
        words=b" ".join(words).decode("utf-8", "surrogateescape").split(" ") if seen else [],
        lengths=np.concatenate([np.empty(0), *lengths]),
        places=np.arange(1, seen + 1),
        vector_size=size,
        header=Header(promised, size, fault is None and seen == total and (is_part or not rest)),
    )
    promise = f"the header promises {promised:,} vectors of {size} numbers"
    if fault is not None:
        scan.findings.append(finding_from(fault, "damaged", source.name))
    elif seen < total and source.damage is None:
        what = (
            f"{promise}, but only {seen:,} are complete: the file ends within row {seen + 1:,}, "
            f"at byte {offset + len(data):,}"
        )
        fetch = "fetch the file again"
        remedy: Text = (fetch, ", or ", read_first(seen)) if seen else fetch
        scan.findings.append(Finding("error", "header", 1, what, remedy))
    elif rest and not is_part:
        what = f"{promise}, but more bytes follow at {offset:,}"
        correct = "correct the header"
        remedy = (correct, ", or ", read_first(promised)) if promised else correct
        scan.findings.append(Finding("error", "header", 1, what, remedy))
    return scan
