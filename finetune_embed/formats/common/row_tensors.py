"""The vectors of a table as tensors of safetensors files; see `formats.safetensors`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError, check_choice
from ...table import CodedRows, Coding, EmbeddingTable, Part, Vectors
from .folders import MAX_SIZE
from .tensor_writer import WRITE_BYTES, Tensor, tensor_of
from .tensors import TensorFile

__all__ = ["WEIGHT", "RowTensors", "rows_in", "weight_names"]

WEIGHT, SCALE, ROWS = "embedding.weight", "embedding.scale", "embedding.rows"
CODEBOOKS, BASIS, MEAN = "embedding.codebooks", "embedding.basis", "embedding.mean"
#: The type of each coding's numbers in a header.
TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int8": "I8", "pq": "U8"}
#: The codings that need no knowledge of other rows.
NUMBERS = ("float32", "float16", "bfloat16", "int8")


class RowTensors:
    """Makes the tensors of consecutive rows of a table, whose blocks are encoded when written.

    Args:
        table: the table.
        dtype: the name of their coding; that of the table when left out.

    Attributes:
        held: the number of rows.
        shared: the tensors that all of them share.

    Raises:
        VectorFileError: there is no such coding.
    """

    def __init__(self, table: EmbeddingTable, dtype: str | None) -> None:
        coded = table.coded
        self._coded: CodedRows | None = None
        if coded is not None and dtype in (None, coded.coding.name):
            self._coded, self._coding, self.held = coded, coded.coding, coded.held
        else:
            dtype = NUMBERS[0] if dtype is None else dtype
            check_choice("dtype", dtype, NUMBERS, VectorFileError)
            self._coding, self.held = Coding(dtype), len(table)
        self._table = table
        shared = {
            ROWS: None if self._coded is None else self._coded.rows,
            CODEBOOKS: self._coding.codebooks,
            BASIS: self._coding.basis,
            MEAN: self._coding.mean,
        }
        self.shared = [tensor_of(name, one) for name, one in shared.items() if one is not None]
        self._step = max(1, WRITE_BYTES // max(1, 4 * table.vector_size))
        self.bytes_of_row = sum(one.bytes_of_row for one in self.tensors(0, 0)) or 1

    def tensors(self, start: int, stop: int, suffix: str = "") -> list[Tensor]:
        """Return the tensors of the rows from `start` up to `stop`, or up to the last row."""
        table, coding = self._table, self._coding
        stop = min(stop, self.held)

        def codes(first: int, last: int) -> npt.NDArray[Any]:
            return self._part(start + first, start + last).codes

        def scale(first: int, last: int) -> npt.NDArray[Any]:
            if self._coded is None:
                rows = table.rows(slice(start + first, start + last))
                return coding.scale(rows, range(start + first, start + last))
            return np.asarray(self._part(start + first, start + last).scale)

        codes_of = table.vector_size if self._coded is None else self._coded.parts[0].codes.shape[1]
        shape = (stop - start, codes_of)
        weight = Tensor(WEIGHT + suffix, TYPES[coding.name], shape, codes, self._step)
        if coding.name != "int8":
            return [weight]
        return [Tensor(SCALE + suffix, "F32", shape[:1], scale, self._step), weight]

    def _part(self, start: int, stop: int) -> Part:
        if self._coded is not None:
            return self._coded.part(start, stop)
        return self._coding.encode(self._table.rows(slice(start, stop)), range(start, stop))


def weight_names(files: Mapping[str, TensorFile]) -> list[str]:
    """Return the names of the tensors that hold the rows, in their order; none if there are none.

    Args:
        files: the file of each tensor.
    """
    if WEIGHT in files:
        return [WEIGHT]
    return list(takewhile(files.__contains__, (f"{WEIGHT}.{number}" for number in count())))


def rows_in(files: Mapping[str, TensorFile], where: str) -> Vectors | CodedRows:
    """Return the rows in the tensors of `weight_names`, in place.

    Args:
        files: the file of each tensor.
        where: where they are, for messages.

    Raises:
        VectorFileError: tensors are missing, or do not fit each other.
    """
    names = weight_names(files)
    dtypes = {files[name].dtype(name) for name in names}
    kind = next((one for one, dtype in TYPES.items() if {dtype} == dtypes), "float32")
    needed = [SCALE + name.removeprefix(WEIGHT) for name in names] if kind == "int8" else []
    needed += [CODEBOOKS] if kind == "pq" else []
    needed += [MEAN] if BASIS in files else []
    if missing := [name for name in needed if name not in files]:
        raise VectorFileError(
            f"there is no {missing[0]}, without which {kind} has no meaning"
            if missing[0] != MEAN
            else f"there is no {MEAN} beside {BASIS}",
            where=where,
            remedy="the file is damaged; fetch it again",
        )
    parts: list[Part] = []
    for name in names:
        codes, scale = files[name].read(name, TYPES[kind], 2), None
        if kind == "int8":
            of_rows = SCALE + name.removeprefix(WEIGHT)
            scale = files[of_rows].read(of_rows, "F32", 1)
            if len(scale) != len(codes) or not np.isfinite(scale).all():
                raise VectorFileError(
                    f"{of_rows} does not hold a finite number for each of {len(codes):,} rows",
                    where=files[of_rows].name,
                    remedy="the file is damaged; fetch it again",
                )
        if parts and codes.shape[1] != parts[0].codes.shape[1]:
            raise VectorFileError(
                f"{name} has {codes.shape[1]:,} columns, and {names[0]} "
                f"{parts[0].codes.shape[1]:,}",
                where=where,
                remedy="the files are of different tables; fetch the complete folder",
            )
        parts.append(Part(codes, scale))
    read = {
        name: files[name].read(name, "F32", ndim)
        for name, ndim in ((CODEBOOKS, 3), (BASIS, 2), (MEAN, 1))
        if name in files
    }
    rows = files[ROWS].read(ROWS, "I32", 1) if ROWS in files else None
    if kind == "float32" and len(parts) == 1 and rows is None and not read:
        return parts[0].codes
    coding = Coding(kind, *map(read.get, (CODEBOOKS, BASIS, MEAN)))
    if not _fits(coding, parts, rows):
        raise VectorFileError(
            f"{', '.join(read) or ROWS} does not fit the other tensors",
            where=where,
            remedy="the file is damaged; fetch it again",
        )
    return CodedRows(coding, parts, rows)


def _fits(coding: Coding, parts: list[Part], rows: npt.NDArray[np.int32] | None) -> bool:
    """Return whether codes can be decoded, and are not much larger then."""
    books, basis, mean = coding.codebooks, coding.basis, coding.mean
    if not all(np.isfinite(one).all() for one in (books, basis, mean) if one is not None):
        return False
    width = parts[0].codes.shape[1]
    if books is not None:
        if coding.name != "pq" or len(books) != width or not books.size:
            return False
        if books.shape[1] < 256 and any((part.codes >= books.shape[1]).any() for part in parts):
            return False
        width *= books.shape[2]
    if basis is not None and (mean is None or basis.shape != (width, len(mean))):
        return False
    held = sum(len(part.codes) for part in parts)
    if rows is not None and len(rows) and not 0 <= rows.min() <= rows.max() < held:
        return False
    is_larger = rows is not None or basis is not None or books is not None
    return not is_larger or coding.width(parts[0].codes) <= MAX_SIZE
