"""The ready heads as ONNX graphs, node by node: no tracing, and only operations of opset 17."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from ...heads import BagOfEmbeddings, KimCNN, PairOfBags, PooledCNN
from ...table import Part
from ...vocabulary import PAD_ID, UNK_ID

__all__ = ["INPUTS", "Graph", "has_graph", "model_of"]

INPUTS = ("input_ids", "attention_mask")
OPSET, IR = 17, 8  # of ONNX 1.12, from 2022


def has_graph(model: nn.Module) -> bool:
    """Return whether a head has an ONNX graph here."""
    kinds = (BagOfEmbeddings, PooledCNN, KimCNN)
    return type(model) in kinds and not isinstance(model, PairOfBags)


class Graph:
    """Collects the nodes and the constants of a graph.

    Args:
        max_length: the number of tokens to which texts are truncated; None for all.
    """

    def __init__(self, max_length: int | None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._max_length = max_length

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

    def int(self, value: int) -> str:
        """Add a number, int64."""
        return self.constant(np.array(value, np.int64))

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add an operation and return the name of its result."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def words(self, rows: Part, second: npt.NDArray[np.float32] | None) -> tuple[str, str, str]:
        """Look the tokens up.

        Ids that there are not are unknown words, and padding is what the mask or the id says.

        Args:
            rows: the `V` rows as they are held, float32 or int8.
            second: of a head with two channels, the `V` rows that are added to them.

        Returns:
            The vectors `(B, L, D)`, zero at padding; which positions hold tokens, bool `(B, L)`;
            and the number of tokens, int64 `(B, 1)`. There is at least one position.
        """
        zero, one = self.ints(0), self.ints(1)
        size = self.ints(0, 0, 0, 1)  # one more position, for texts without words
        ids = self.add("Pad", INPUTS[0], size, self.int(PAD_ID))
        mask = self.add("Pad", INPUTS[1], size, self.int(0))
        known = self.add(
            "And",
            self.add("GreaterOrEqual", ids, zero),
            self.add("Less", ids, self.ints(len(rows.codes))),
        )
        ids = self.add("Where", known, ids, self.ints(UNK_ID))
        tokens = self.add(
            "And",
            self.add("Greater", mask, zero),
            self.add("Not", self.add("Equal", ids, self.ints(PAD_ID))),
        )
        if self._max_length is not None:
            ones = self.add(
                "ConstantOfShape", self.add("Shape", ids), value=_tensor(np.array([1], np.int64))
            )
            places = self.add("CumSum", ones, self.int(1))
            limit = self.ints(self._max_length)
            tokens = self.add("And", tokens, self.add("LessOrEqual", places, limit))
        vectors = self.add("Gather", self.constant(rows.codes, "embedding.weight"), ids)
        if rows.scale is not None:
            scale = self.constant(rows.scale[:, None], "embedding.scale")
            numbers = self.add("Cast", vectors, to=TensorProto.FLOAT)
            vectors = self.add("Mul", numbers, self.add("Gather", scale, ids))
        if second is not None:
            start = self.constant(second, "embedding.start")
            vectors = self.add("Add", vectors, self.add("Gather", start, ids))
        shown = self.add("Unsqueeze", tokens, self.ints(2))
        vectors = self.add("Where", shown, vectors, self.constant(np.float32(0)))
        counted = self.add("Cast", tokens, to=TensorProto.INT64)
        return vectors, tokens, self.add("ReduceSum", counted, one, keepdims=1)

    def largest(self, values: str, where: str, count: str) -> str:
        """Return the maxima `(B, F)` over the positions of `(B, L, F)` with tokens, else 0."""
        shown = self.add("Unsqueeze", where, self.ints(2))
        low = self.constant(np.float32(-np.inf))
        maxima = self.add("ReduceMax", self.add("Where", shown, values, low), axes=[1], keepdims=0)
        some = self.add("Greater", count, self.ints(0))
        return self.add("Where", some, maxima, self.constant(np.float32(0)))

    def pooled(self, pool: str, vectors: str, tokens: str, count: str) -> str:
        """Return the mean, maximum or minimum of the vectors of each text, `(B, D)`."""
        if pool == "mean":
            sums = self.add("ReduceSum", vectors, self.ints(1), keepdims=0)
            least = self.add("Max", count, self.ints(1))
            return self.add("Div", sums, self.add("Cast", least, to=TensorProto.FLOAT))
        if pool == "max":
            return self.largest(vectors, tokens, count)
        return self.add("Neg", self.largest(self.add("Neg", vectors), tokens, count))

    def linear(self, layer: Any, units: str, name: str = "") -> str:
        """Apply a linear layer to units `(B, N)`."""
        weight, bias = self.constant(_values(layer.weight)), self.constant(_values(layer.bias))
        return self.add("Gemm", units, weight, bias, transB=1, name=name)

    def windows(self, layer: Any, vectors: str, tokens: str, count: str) -> str:
        """Return the features `(B, F)` of filters whose windows begin at each word."""
        width = layer.kernel_size[0]
        columns = self.add("Transpose", vectors, perm=[0, 2, 1])
        sums = self.add("Conv", columns, self.constant(_values(layer.weight)), pads=[0, width - 1])
        maxima = self.largest(self.add("Transpose", sums, perm=[0, 2, 1]), tokens, count)
        return self.add("Relu", self.add("Add", maxima, self.constant(_values(layer.bias))))

    def touching(self, layer: Any, vectors: str, count: str) -> str:
        """Return the features `(B, F)` of filters whose windows touch a word.

        A text without words counts as one of padding, as in `EncodedTexts.padded`.
        """
        width = layer.kernel_size[0]
        parameters = self.constant(_values(layer.weight)), self.constant(_values(layer.bias))
        columns = self.add("Transpose", vectors, perm=[0, 2, 1])
        sums = self.add("Conv", columns, *parameters, pads=[width - 1, width - 1])
        features = self.add("Relu", sums)
        last = self.add("Gather", self.add("Shape", features), self.int(2))
        zero, one = self.int(0), self.int(1)
        places = self.add("Range", zero, last, one)
        ends = self.add("Add", self.add("Max", count, self.ints(1)), self.ints(width - 1))
        touching = self.add("Less", places, ends)
        shown = self.add("Unsqueeze", touching, self.ints(1))
        left = self.add("Where", shown, features, self.constant(np.float32(0)))
        return self.add("ReduceMax", left, axes=[2], keepdims=0)

    def head(self, model: nn.Module, vectors: str, tokens: str, count: str) -> str:
        """Return the logits `(B, C)` of a head."""
        if isinstance(model, KimCNN):
            parts = [self.touching(one, vectors, count) for one in _layers(model)]
            return self.linear(model.output, self._beside(parts), name="logits")
        assert isinstance(model, (BagOfEmbeddings, PooledCNN))
        parts = [self.pooled(pool, vectors, tokens, count) for pool in model.pools]
        if isinstance(model, PooledCNN):
            parts += [self.windows(one, vectors, tokens, count) for one in _layers(model)]
        units = self._beside(parts)
        hidden = model.hidden if isinstance(model, BagOfEmbeddings) else None
        if hidden is not None:
            layers = [one for one in hidden.modules() if isinstance(one, nn.Linear)]
            for layer in layers:
                units = self.add("Relu", self.linear(layer, units))
        return self.linear(model.output, units, name="logits")

    def _beside(self, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=1)


def _layers(model: KimCNN | PooledCNN) -> list[Any]:
    return list(model.convolutions.widths)


def _values(parameter: torch.Tensor) -> npt.NDArray[Any]:
    return parameter.detach().cpu().numpy()


def _tensor(value: npt.NDArray[Any]) -> onnx.TensorProto:
    return numpy_helper.from_array(value)


def model_of(
    graph: Graph, outputs: dict[str, list[str | int]], metadata: dict[str, str]
) -> onnx.ModelProto:
    """Return the model of a graph, checked.

    Args:
        graph: the graph.
        outputs: the names of the outputs and their shapes.
        metadata: texts to keep with the model.
    """
    shape = ["texts", "tokens"]
    made = helper.make_graph(
        graph.nodes,
        "finetune_embed",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in INPUTS],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, one) for n, one in outputs.items()],
        list(graph.constants.values()),
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, producer_name="finetune_embed", opset_imports=opsets)
    model.ir_version = IR
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model
