"""The nodes of ONNX graphs: no tracing, and only operations of opset 17."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...errors import DataError, Either, VectorFileError
from ...table import Part

__all__ = ["INPUTS", "Graph", "Ids", "Tokens", "check_same", "check_size"]

INPUTS = ("input_ids", "attention_mask")
OPSET, IR = 17, 8  # of ONNX 1.12, from 2022
LARGEST = 2_000_000_000  # bytes: a file of protocol buffers has at most 2 GiB
TOLERANCE = 1e-4


class Ids(NamedTuple):
    """What the ids of a tokenizer mean.

    Attributes:
        size: their number; the row of unknown ones comes after theirs.
        padding: the id of padding, which the mask may leave in; None for none.
        dropped: the id of tokens that are left out; None for none.
        max_length: the number of tokens to which texts are truncated; None for all.
    """

    size: int
    padding: int | None = None
    dropped: int | None = None
    max_length: int | None = None


class Tokens(NamedTuple):
    """The tokens of texts, with one more position, for texts without any.

    Attributes:
        rows: int64 `(B, L + 1)`, the row of each.
        shown: bool `(B, L + 1)`, which positions hold tokens.
        lengths: int64 `(B, 1)`, how many do.
    """

    rows: str
    shown: str
    lengths: str


class Graph:
    """Collects the inputs, the nodes and the constants of a graph."""

    def __init__(self) -> None:
        self.inputs: dict[str, list[str]] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, value: npt.ArrayLike, name: str = "") -> str:
        """Add a constant and return its name."""
        array = np.asarray(value)
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        if not array.ndim:  # which `ascontiguousarray` gives a dimension
            self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def ints(self, *values: int) -> str:
        """Add a vector of int64."""
        return self.constant(np.array(values, np.int64))

    def number(self, value: int) -> str:
        """Add a number, int64."""
        return self.constant(np.array(value, np.int64))

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add an operation and return the name of its result."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def filled(self, shape: str, value: int) -> str:
        """Return an int64 tensor of a shape, with one value everywhere."""
        one = numpy_helper.from_array(np.array([value], np.int64))
        return self.add("ConstantOfShape", shape, value=one)

    def beside(self, parts: Sequence[str], axis: int = 1) -> str:
        """Put results side by side."""
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=axis)

    def tokens(self, ids: Ids, prefix: str = "") -> Tokens:
        """Add the inputs of texts, and return their tokens.

        Padding is what the mask or the id says. Tokens that are dropped leave no gap.

        Args:
            ids: what the ids mean.
            prefix: what the names of the inputs begin with.
        """
        names = [prefix + name for name in INPUTS]
        self.inputs |= {name: ["texts", f"{prefix}tokens"] for name in names}
        zero, size = self.ints(0), self.ints(0, 0, 0, 1)  # one more position
        given = self.add("Pad", names[0], size, self.number(0))
        mask = self.add("Pad", names[1], size, self.number(0))
        known = self.add(
            "And",
            self.add("GreaterOrEqual", given, zero),
            self.add("Less", given, self.ints(ids.size)),
        )
        rows = self.add("Where", known, given, self.ints(ids.size))
        shown = self.add("Greater", mask, zero)
        for one in (ids.padding, ids.dropped):
            if one is not None:
                is_one = self.add("Equal", rows, self.ints(one))
                shown = self.add("And", shown, self.add("Not", is_one))
        shape = self.add("Shape", rows)
        places = self.add("CumSum", self.filled(shape, 1), self.number(1))
        if ids.dropped is not None:
            width = self.add("Slice", shape, self.ints(1), self.ints(2))
            after = self.add("Where", shown, places, self.add("Add", places, width))
            order = f"order_{len(self.nodes)}"  # tokens first, each part in its order
            found = [f"{order}_values", order]
            node = helper.make_node("TopK", [after, width], found, largest=0, sorted=1)
            self.nodes.append(node)
            rows, shown = (self.add("GatherElements", one, order, axis=1) for one in (rows, shown))
        if ids.max_length is not None:
            limit = self.add("LessOrEqual", places, self.ints(ids.max_length))
            shown = self.add("And", shown, limit)
        counted = self.add("Cast", shown, to=TensorProto.INT64)
        return Tokens(rows, shown, self.add("ReduceSum", counted, self.ints(1), keepdims=1))

    def table(
        self, rows: Part, second: npt.NDArray[np.float32] | None, prefix: str = ""
    ) -> list[str]:
        """Add the rows of a table, and return the names of what `vectors` takes.

        Args:
            rows: the `V` rows as they are held, float32 or int8.
            second: of a head with two channels, the `V` rows that are added to them.
            prefix: what the names of the constants begin with.
        """
        names = [self.constant(rows.codes, f"{prefix}embedding.weight"), "", ""]
        if rows.scale is not None:
            names[1] = self.constant(rows.scale[:, None], f"{prefix}embedding.scale")
        if second is not None:
            names[2] = self.constant(second, f"{prefix}embedding.start")
        return names

    def vectors(self, table: Sequence[str], tokens: Tokens) -> str:
        """Return the vectors of tokens, `(B, L + 1, D)`, zero at padding."""
        weight, scale, start = table
        vectors = self.add("Gather", weight, tokens.rows)
        if scale:
            numbers = self.add("Cast", vectors, to=TensorProto.FLOAT)
            vectors = self.add("Mul", numbers, self.add("Gather", scale, tokens.rows))
        if start:
            vectors = self.add("Add", vectors, self.add("Gather", start, tokens.rows))
        shown = self.add("Unsqueeze", tokens.shown, self.ints(2))
        return self.add("Where", shown, vectors, self.constant(np.float32(0)))

    def largest(self, values: str, tokens: Tokens) -> str:
        """Return the maxima `(B, F)` over the positions of `(B, L, F)` with tokens, else 0."""
        shown = self.add("Unsqueeze", tokens.shown, self.ints(2))
        low = self.constant(np.float32(-np.inf))
        maxima = self.add("ReduceMax", self.add("Where", shown, values, low), axes=[1], keepdims=0)
        some = self.add("Greater", tokens.lengths, self.ints(0))
        return self.add("Where", some, maxima, self.constant(np.float32(0)))

    def log_mean(self, logarithms: Sequence[str]) -> str:
        """Return the logarithm of the mean of numbers that are given by their logarithms."""
        every = [self.add("Unsqueeze", one, self.ints(0)) for one in logarithms]
        total = self.add("ReduceLogSumExp", self.beside(every, 0), axes=[0], keepdims=0)
        return self.add("Sub", total, self.constant(np.float32(np.log(len(every)))))

    def model(
        self, outputs: Mapping[str, Sequence[str | int]], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """Return the model, checked.

        Args:
            outputs: the names of the outputs and their shapes.
            metadata: texts to keep with the model.
        """
        made = helper.make_graph(
            self.nodes,
            "finetune_embed",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, shape)
                for name, shape in self.inputs.items()
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
                for name, shape in outputs.items()
            ],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(made, producer_name="finetune_embed", opset_imports=opsets)
        model.ir_version = IR
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model)
        return model


def check_size(size: int, where: object) -> None:
    """Check that rows fit into a file.

    Raises:
        VectorFileError: they do not.
    """
    if size > LARGEST:
        raise VectorFileError(
            f"the rows take {size / 1e9:.1f} GB, and an ONNX file has at most 2",
            where=str(where),
            remedy=Either(
                "keep fewer words first: shrink(source, words=100_000)",
                "keep fewer words first: finetune-embed shrink SOURCE -o OUT --words 100000",
            ),
        )


def check_same(found: npt.NDArray[Any], expected: npt.NDArray[Any], where: str) -> None:
    """Check that onnxruntime computes what we do.

    Raises:
        DataError: it does not.
    """
    if not np.allclose(found, expected, TOLERANCE, TOLERANCE):
        raise DataError(
            "onnxruntime computes other numbers than this library, by up to "
            f"{np.abs(found - expected).max():.2g}",
            where=where,
            remedy="this is a mistake of the library or of onnxruntime; please report it",
        )
