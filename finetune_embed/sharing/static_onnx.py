"""The ONNX file of a static embedding model, as transformers.js runs those of model2vec.

Its inputs are `input_ids`, int64 `(tokens,)`, the ids of all texts one after the other, and
`offsets`, int64 `(texts,)`, where each text starts. Its output is `embeddings`, float32
`(texts, D)`, the mean vector of each text, zeros for one without tokens.

Sources: https://huggingface.co/docs/transformers.js (`AutoModel`), and the `onnx/model.onnx` of the
models that the authors of model2vec publish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import optional_packages
from ..table import Vectors

if TYPE_CHECKING:
    from ..training.run.onnx_graph import Graph

__all__ = ["mean_model"]


def mean_model(rows: Vectors, dropped: int, where: str) -> bytes:
    """Return the file, once onnxruntime computes with it what numpy does.

    Args:
        rows: `(V, D)`, the vector of each id.
        dropped: the id of tokens that do not count; -1 for none.
        where: what is written, for messages.

    Raises:
        VectorFileError: the file would be larger than the format allows.
        DataError: onnxruntime computes something else.
        MissingPackageError: onnx or onnxruntime is not installed.
    """
    with optional_packages("onnx", "onnxruntime", extra="onnx"):
        import onnx  # noqa: F401
        import onnxruntime
    from ..training.run.onnx_graph import Graph, check_same, check_size

    check_size(rows.nbytes, where)
    graph = Graph()
    graph.inputs = {"input_ids": ["tokens"], "offsets": ["texts"]}
    _add_means(graph, rows, dropped)
    data: bytes = graph.model({"embeddings": ["texts", rows.shape[1]]}, {}).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    last = len(rows) - 1
    long = np.random.default_rng(0).integers(0, last + 1, 300).tolist()
    texts = [[], [last], [0, last, last], [], [max(dropped, 0)] * 2, [last, *long], []]
    for some in (texts, texts[:1]):
        lengths = np.array([len(text) for text in some])
        flat = np.array([one for text in some for one in text], np.int64)
        feed = {"input_ids": flat, "offsets": lengths.cumsum() - lengths}
        kept = [[one for one in text if one != dropped] for text in some]
        nothing = np.zeros(rows.shape[1], np.float32)
        expected = np.stack([rows[text].mean(axis=0) if text else nothing for text in kept])
        check_same(session.run(["embeddings"], feed)[0], expected, where)
    return data


def _add_means(graph: Graph, rows: Vectors, dropped: int) -> None:
    """Add the mean of the rows of each text's ids, as `embeddings`."""
    from onnx import TensorProto

    one, texts = graph.ints(1), graph.add("Shape", "offsets")
    tokens = graph.add("Shape", "input_ids")
    # how many texts start at or before each token; texts without tokens may start at the end
    begun = graph.filled(graph.add("Add", tokens, one), 0)
    starts = graph.add("Unsqueeze", "offsets", one)
    begun = graph.add("ScatterND", begun, starts, graph.filled(texts, 1), reduction="add")
    begun = graph.add("CumSum", begun, graph.number(0))
    begun = graph.add("Slice", begun, graph.ints(0), graph.ints(-1))
    text = graph.add("Unsqueeze", graph.add("Sub", begun, one), one)
    vectors = graph.add("Gather", graph.constant(rows, "embedding.weight"), "input_ids")
    counted = graph.filled(tokens, 1)
    if dropped >= 0:
        kept = graph.add("Not", graph.add("Equal", "input_ids", graph.ints(dropped)))
        counted = graph.add("Cast", kept, to=TensorProto.INT64)
        shown = graph.add("Unsqueeze", kept, one)
        vectors = graph.add("Where", shown, vectors, graph.constant(np.float32(0)))
    shape = graph.add("Concat", texts, graph.ints(rows.shape[1]), axis=0)
    sums = graph.add("Cast", graph.filled(shape, 0), to=TensorProto.FLOAT)
    sums = graph.add("ScatterND", sums, text, vectors, reduction="add")
    lengths = graph.filled(texts, 0)
    lengths = graph.add("ScatterND", lengths, text, counted, reduction="add")
    least = graph.add("Cast", graph.add("Max", lengths, one), to=TensorProto.FLOAT)
    graph.add("Div", sums, graph.add("Unsqueeze", least, one), name="embeddings")
