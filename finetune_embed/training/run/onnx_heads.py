"""The ready heads as ONNX graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto
from torch import nn

from ...heads import BagOfEmbeddings, BiLSTMTagger, CNNTagger, KimCNN, PairOfBags, PooledCNN
from .onnx_graph import Graph, Tokens

__all__ = ["Text", "has_graph", "logits_of"]

GATES = [0, 3, 1, 2]  # those of an LSTM in ONNX, by their places in torch


class Text(NamedTuple):
    """A batch of texts in a graph.

    Attributes:
        tokens: their tokens.
        vectors: the vectors of these, `(B, L + 1, D)`, zero at padding.
    """

    tokens: Tokens
    vectors: str


def has_graph(model: nn.Module) -> bool:
    """Return whether a head has an ONNX graph here."""
    return type(model) in _GRAPHS


def logits_of(graph: Graph, model: nn.Module, texts: Sequence[Text]) -> str:
    """Return the logits `(B, C)` of a head; of a tagger, `(B, L, C)`.

    Args:
        graph: the graph.
        model: the head.
        texts: the texts; for a head of pairs, first the first and then the second ones.
    """
    return _GRAPHS[type(model)](graph, model, *texts)


def _bag(graph: Graph, model: BagOfEmbeddings, text: Text) -> str:
    return _layers(graph, model, _pooled(graph, model, text))


def _pair(graph: Graph, model: PairOfBags, first: Text, second: Text) -> str:
    u, v = (_pooled(graph, model, text) for text in (first, second))
    apart = graph.add("Abs", graph.add("Sub", u, v))
    return _layers(graph, model, graph.beside([u, v, apart, graph.add("Mul", u, v)]))


def _layers(graph: Graph, model: BagOfEmbeddings, units: str) -> str:
    if model.hidden is not None:
        for layer in model.hidden.modules():
            if isinstance(layer, nn.Linear):
                units = graph.add("Relu", _linear(graph, layer, units))
    return _linear(graph, model.output, units)


def _pooled_cnn(graph: Graph, model: PooledCNN, text: Text) -> str:
    columns = graph.add("Transpose", text.vectors, perm=[0, 2, 1])
    parts = [_pooled(graph, model, text)]
    for layer in _convolutions(model.convolutions.widths):
        width = layer.kernel_size[0]  # windows begin at each word
        sums = graph.add("Conv", columns, graph.constant(_of(layer.weight)), pads=[0, width - 1])
        maxima = graph.largest(graph.add("Transpose", sums, perm=[0, 2, 1]), text.tokens)
        parts.append(graph.add("Relu", graph.add("Add", maxima, graph.constant(_of(layer.bias)))))
    return _linear(graph, model.output, graph.beside(parts))


def _pooled(graph: Graph, model: BagOfEmbeddings | PooledCNN, text: Text) -> str:
    """Return the means, maxima and minima of the vectors of each text, `(B, D)` each."""
    parts = []
    for pool in model.pools:
        if pool == "mean":
            sums = graph.add("ReduceSum", text.vectors, graph.ints(1), keepdims=0)
            least = graph.add("Max", text.tokens.lengths, graph.ints(1))
            parts.append(graph.add("Div", sums, graph.add("Cast", least, to=TensorProto.FLOAT)))
        elif pool == "max":
            parts.append(graph.largest(text.vectors, text.tokens))
        else:
            lowest = graph.largest(graph.add("Neg", text.vectors), text.tokens)
            parts.append(graph.add("Neg", lowest))
    return graph.beside(parts)


def _cnn(graph: Graph, model: KimCNN, text: Text) -> str:
    parts = [_touching(graph, one, text) for one in _convolutions(model.convolutions.widths)]
    return _linear(graph, model.output, graph.beside(parts))


def _touching(graph: Graph, layer: nn.Conv1d, text: Text) -> str:
    """Return the features `(B, F)` of filters whose windows touch a word.

    A text without words counts as one of padding, as in `EncodedTexts.padded`.
    """
    width = layer.kernel_size[0]
    columns = graph.add("Transpose", text.vectors, perm=[0, 2, 1])
    sums = graph.add("Conv", columns, *_both(graph, layer), pads=[width - 1, width - 1])
    features = graph.add("Relu", sums)
    last = graph.add("Gather", graph.add("Shape", features), graph.number(2))
    places = graph.add("Range", graph.number(0), last, graph.number(1))
    least = graph.add("Max", text.tokens.lengths, graph.ints(1))
    touching = graph.add("Less", places, graph.add("Add", least, graph.ints(width - 1)))
    shown = graph.add("Unsqueeze", touching, graph.ints(1))
    left = graph.add("Where", shown, features, graph.constant(np.float32(0)))
    return graph.add("ReduceMax", left, axes=[2], keepdims=0)


def _cnn_tagger(graph: Graph, model: CNNTagger, text: Text) -> str:
    words = graph.add("Transpose", text.vectors, perm=[0, 2, 1])
    inside = graph.add("Unsqueeze", text.tokens.shown, graph.ints(1))
    for layer in model.layers:
        words = graph.add("Where", inside, words, graph.constant(np.float32(0)))
        parts = [
            graph.add("Relu", graph.add("Conv", words, *_both(graph, one), pads=2 * [half]))
            for one in _convolutions(layer.widths)
            for half in [one.kernel_size[0] // 2]
        ]
        words = graph.beside(parts)
    return _per_word(graph, model.output, graph.add("Transpose", words, perm=[0, 2, 1]))


def _bilstm(graph: Graph, model: BiLSTMTagger, text: Text) -> str:
    lstm, states = model.lstm, graph.add("Transpose", text.vectors, perm=[1, 0, 2])
    least = graph.add("Max", text.tokens.lengths, graph.ints(1))
    lengths = graph.add("Squeeze", least, graph.ints(1))
    lengths = graph.add("Cast", lengths, to=TensorProto.INT32)
    for layer in range(lstm.num_layers):
        sides = [f"l{layer}", f"l{layer}_reverse"]
        given, own = (
            np.stack([_gates(getattr(lstm, f"weight_{name}_{side}")) for side in sides])
            for name in ("ih", "hh")
        )
        bias = [
            [_gates(getattr(lstm, f"bias_{name}_{side}")) for name in ("ih", "hh")]
            for side in sides
        ]
        weights = [given, own, np.array(bias).reshape(2, -1)]
        states = graph.add(
            "LSTM",
            states,
            *map(graph.constant, weights),
            lengths,
            hidden_size=lstm.hidden_size,
            direction="bidirectional",
        )
        states = graph.add("Transpose", states, perm=[0, 2, 1, 3])  # (L + 1, B, 2, H)
        states = graph.add("Reshape", states, graph.ints(0, 0, 2 * lstm.hidden_size))
    return _per_word(graph, model.output, graph.add("Transpose", states, perm=[1, 0, 2]))


def _gates(parameter: torch.Tensor) -> npt.NDArray[Any]:
    """Return the rows of four gates in the order of ONNX."""
    return np.concatenate([np.split(_of(parameter), 4)[at] for at in GATES])


def _per_word(graph: Graph, layer: nn.Linear, units: str) -> str:
    """Apply a linear layer to units `(B, L + 1, N)`, and leave the last position out."""
    ends = (graph.ints(0), graph.ints(-1), graph.ints(1))
    words = graph.add("Slice", units, *ends)
    products = graph.add("MatMul", words, graph.constant(_of(layer.weight).T))
    return graph.add("Add", products, graph.constant(_of(layer.bias)))


def _linear(graph: Graph, layer: nn.Linear, units: str) -> str:
    """Apply a linear layer to units `(B, N)`."""
    return graph.add("Gemm", units, *_both(graph, layer), transB=1)


def _both(graph: Graph, layer: Any) -> tuple[str, str]:
    return graph.constant(_of(layer.weight)), graph.constant(_of(layer.bias))


def _convolutions(widths: Any) -> list[nn.Conv1d]:
    return [one for one in widths.children() if isinstance(one, nn.Conv1d)]


def _of(parameter: Any) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = parameter.detach().cpu().numpy()
    return values


_GRAPHS: dict[type[nn.Module], Callable[..., str]] = {
    BagOfEmbeddings: _bag,
    PairOfBags: _pair,
    PooledCNN: _pooled_cnn,
    KimCNN: _cnn,
    CNNTagger: _cnn_tagger,
    BiLSTMTagger: _bilstm,
}
