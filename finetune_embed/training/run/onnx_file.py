"""`save_onnx`: the table and the head of a run as one ONNX file that needs neither torch nor us."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...data import EncodedTexts
from ...errors import DataError, Either, Option, VectorFileError, missing_extra
from ...files import atomic_write
from ...table import Coding, PipelineTokenizer, Vectors
from ...vocabulary import UNK, UNK_ID, Tokenizer, Vocabulary, check_finite
from ..inference import forward_all, weight_of
from .run import Run

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["save_onnx"]

DTYPES = ("float32", "int8")
LARGEST = 2_000_000_000  # bytes: a file of protocol buffers has at most 2 GiB
TOLERANCE = 1e-4


def save_onnx(
    run: Run,
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    vectors_only: bool = False,
) -> None:
    """Write the table and the head of a run as an ONNX model.

    Its inputs are `input_ids` and `attention_mask`, int64 `(texts, tokens)`, padded on the right.
    Its outputs are `logits` and `probabilities` `(texts, labels)`; where numbers are predicted,
    `predictions` `(texts, 1)`. Its metadata are `labels`, a JSON list; `tokenizer`, the
    `tokenizer.json` that turns texts into these ids; `task`, and of several labels the `threshold`
    from which one counts. Its rows are those of the vocabulary and of all other words of the table.
    Ids that it has not are unknown words.

    Before the file appears, onnxruntime runs it on the highest ids, ids beyond them, unknown words,
    empty texts and others, and the results are compared with those of the head in torch over the
    rows as they are written.

    Args:
        run: the run, with the head `bag`, `pooled_cnn` or `cnn`.
        path: the file.
        dtype: the numbers of the rows: `float32`, or `int8` with a scale for each row.
        vectors_only: leave out the lexical part of the run, which ONNX cannot hold; the metadata
            then has `parts` as `vectors`, else `all`.

    Raises:
        DataError: the run has a lexical part and `vectors_only` is not set, or another head, an
            ensemble, or a tokenizer that is a pipeline.
        VectorFileError: the file cannot be written, or is larger than the format allows.
        MissingPackageError: onnx or onnxruntime is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise missing_extra("onnx", "onnx") from error
    from .onnx_graph import Graph, has_graph, model_of

    if dtype not in DTYPES:
        raise VectorFileError(
            f"is not one of {' and '.join(DTYPES)}",
            option="dtype",
            value=dtype,
            remedy=("leave ", Option("dtype"), " out for float32"),
        )
    _check(run, has_graph(run.model), vectors_only)
    vocab, rows = _every_word(run)
    size = rows.nbytes if dtype == "float32" else rows.size
    if getattr(run.model, "start", None) is not None:
        size += rows.nbytes  # the rows of the second channel are float32
    if size > LARGEST:
        raise VectorFileError(
            f"the rows take {size / 1e9:.1f} GB, and an ONNX file has at most 2",
            where=path,
            remedy=Either(
                "keep fewer words first: shrink(run, words=100_000)",
                "keep fewer words first: finetune-embed shrink RUN -o OUT --words 100000",
            ),
        )
    coding = Coding(dtype)
    part = coding.encode(rows)
    graph = Graph(run.settings["max_length"])
    decoded = coding.decode(part)
    words = graph.words(part, _second(run, decoded))
    logits = graph.head(run.model, *words)
    names = _outputs(run, graph, logits)
    assert isinstance(vocab.tokenizer, Tokenizer)
    pipeline = vocab.tokenizer.pipeline(vocab.key_to_index, UNK)
    metadata = {
        "labels": json.dumps(run.labels, ensure_ascii=False),
        "task": run.task.name,
        "tokenizer": pipeline.to_str(),
        "parts": "vectors" if run.lexical is not None else "all",
    }
    if (threshold := _threshold(run)) is not None:
        metadata["threshold"] = repr(threshold)
    shapes: dict[str, list[str | int]] = {n: ["texts", run.task.outputs] for n in names}
    data = model_of(graph, shapes, metadata).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    _compare(run, session, decoded, os.fspath(path))
    with atomic_write(path) as file:
        file.write(data)


def _check(run: Run, has_graph: bool, vectors_only: bool) -> None:
    """Check that a run can be written.

    Raises:
        DataError: it cannot.
    """
    if run.record["custom_head"] or not has_graph:
        raise DataError(
            f"the head {run.record['head']} is not written as ONNX; bag, pooled_cnn and cnn are",
            remedy=("tune with one of them: ", Option("head", "pooled_cnn")),
        )
    if run.others:
        raise DataError(
            f"the run is an ensemble of {len(run.others) + 1} models, and an ONNX file has one",
            remedy=("tune with ", Option("ensemble", 1)),
        )
    if isinstance(run.vocab.tokenizer, PipelineTokenizer):
        raise DataError(
            "the tokenizer of the run is a pipeline, whose ids are not those of the rows",
            remedy=("tune with words: ", Option("tokenizer", "glove")),
        )
    if run.lexical is not None and not vectors_only:
        metric = run.task.metric
        alone, both = (run.metrics[name][metric] for name in ("vectors", "validation"))
        raise DataError(
            f"the run has a lexical part, which an ONNX file cannot hold; without it, {metric} on "
            f"validation is {alone:.4f} instead of {both:.4f}",
            remedy=(
                "write the vectors' part alone with ",
                Option("vectors_only", True),
                ", or tune without the other: ",
                Option("lexical", False),
            ),
        )


def _every_word(run: Run) -> tuple[Vocabulary, Vectors]:
    """Return a vocabulary that also has all other words of the table, and the row of each id."""
    vocab, table = run.vocab, run.table
    words = [word for word in table.words if word not in vocab and _is_utf8(word)]
    weight = weight_of(run.model, str(run.record["embedding"])).detach().cpu().numpy()
    at = table.rows_of(words)
    rows = np.concatenate([weight, table.rows(at)])
    check_finite(rows[len(vocab) :], words, at)
    return vocab.extended(words), rows


def _is_utf8(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _second(run: Run, rows: Vectors) -> Vectors | None:
    """Return the rows of a second channel, as many; words that training did not have count twice.

    Args:
        run: the run.
        rows: those of the first channel, `(rows, D)`.
    """
    start = getattr(run.model, "start", None)
    if start is None:
        return None
    return np.concatenate([start.cpu().numpy(), rows[len(start) :]])


def _outputs(run: Run, graph: Any, logits: str) -> list[str]:
    """Add what becomes of the logits, and return the names of all outputs."""
    if not run.labels:
        mean, deviation = (
            graph.constant(np.array([run.record[name]], np.float32))
            for name in ("target_mean", "target_deviation")
        )
        return [
            logits,
            graph.add("Add", graph.add("Mul", logits, deviation), mean, name="predictions"),
        ]
    if "threshold" in run.record:
        return [logits, graph.add("Sigmoid", logits, name="probabilities")]
    return [logits, graph.add("Softmax", logits, axis=1, name="probabilities")]


def _threshold(run: Run) -> float | None:
    """Return the probability from which a label counts, for the part that is written."""
    if "threshold" not in run.record:
        return None
    own = run.metrics["vectors"] if run.lexical is not None else run.record
    return float(own["threshold"])


def _compare(run: Run, session: onnxruntime.InferenceSession, rows: Vectors, where: str) -> None:
    """Compare what onnxruntime computes with what the head computes in torch.

    Raises:
        DataError: they differ.
    """
    last = len(rows) - 1
    random = np.random.default_rng(0)
    limit = run.settings["max_length"]
    long = random.integers(1, last + 1, 40 if limit is None else min(limit, 1000) + 1).tolist()
    texts = [[last, last - 1], [UNK_ID] * 3, [], [last], long]
    beyond = [[last + 1, 2**40, -5], [2, last + 9]]
    known = [*texts, *([one if 0 <= one <= last else UNK_ID for one in ids] for ids in beyond)]
    lengths = torch.tensor([len(ids[:limit]) for ids in known])
    flat = torch.tensor([one for ids in known for one in ids[:limit]])
    data = EncodedTexts(flat, lengths.cumsum(0) - lengths, lengths)
    path = str(run.record["embedding"])
    weight = torch.from_numpy(rows).to(weight_of(run.model, path).device)
    expected = forward_all(run.model, path, weight, data).numpy()
    given = [*texts, *beyond]
    ids = np.zeros((len(given), max(map(len, given))), np.int64)
    for row, text in zip(ids, given, strict=True):
        row[: len(text)] = text
    mask = (np.arange(ids.shape[1]) < [[len(text)] for text in given]).astype(np.int64)
    for some in (slice(None), slice(2, 3)):
        width = None if some == slice(None) else 0  # a batch without any token
        feed = {"input_ids": ids[some, :width], "attention_mask": mask[some, :width]}
        found = session.run(["logits"], feed)[0]
        if not np.allclose(found, expected[some], TOLERANCE, TOLERANCE):
            raise DataError(
                "onnxruntime computes other logits than torch, by up to "
                f"{np.abs(found - expected[some]).max():.2g}",
                where=where,
                remedy="this is a mistake of the library or of onnxruntime; please report it",
            )
