"""`save_onnx`: a run as one ONNX file that needs neither torch nor us."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...data import EncodedTexts
from ...errors import DataError, Option, VectorFileError, check_choice, optional_packages
from ...files import atomic_write
from ...heads import takes_pairs
from ...table import Vectors
from ...vocabulary import UNK_ID
from ..inference import forward_all, weight_of
from .run import Run
from .source import opened_run

if TYPE_CHECKING:
    import onnxruntime

    from .onnx_graph import Graph
    from .onnx_rows import Held, Words

__all__ = ["save_onnx"]

DTYPES = ("float32", "int8")
SECOND = "second_"  # what the names of the inputs of second texts begin with


def save_onnx(
    run: Run | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    vectors_only: bool = False,
) -> None:
    """Write the table and the head of a run as an ONNX model.

    Its inputs are `input_ids` and `attention_mask`, int64 `(texts, tokens)`, padded on the right;
    of pairs of texts also `second_input_ids` and `second_attention_mask`. Its outputs are `logits`
    and `probabilities` `(texts, labels)`, of a tagger `(texts, tokens, tags)`; where numbers are
    predicted, `predictions` `(texts, 1)`. Its metadata are `labels`, a JSON list; `tokenizer`, the
    `tokenizer.json` that turns texts into these ids; `task`, and of several labels the `threshold`
    from which one counts. Its rows are those of the vocabulary and of all other words of the table.
    Ids that it has not are unknown words. An ensemble has the rows of each of its models.

    Before the file appears, onnxruntime runs it on the highest ids, ids beyond them, unknown words,
    empty texts and others, and the results are compared with those of the run in torch over the
    rows as they are written.

    Args:
        run: the run, with a ready head, or its folder.
        path: the file.
        dtype: the numbers of the rows: `float32`, or `int8` with a scale for each row.
        vectors_only: leave out the lexical part of the run, which ONNX cannot hold; the metadata
            then has `parts` as `vectors`, else `all`.

    Raises:
        DataError: the run has a lexical part and `vectors_only` is not set, or a head of your own.
        VectorFileError: the file cannot be written, or is larger than the format allows.
        MissingPackageError: onnx or onnxruntime is not installed.

    Example:
        >>> run = fe.finetune("glove.6B.50d.txt", "reviews", max_steps=20, lexical=False)
        >>> fe.save_onnx(run, "run.onnx")
        >>> import onnxruntime
        >>> session = onnxruntime.InferenceSession("run.onnx")
        >>> [one.name for one in session.get_inputs()]
        ['input_ids', 'attention_mask']
    """
    with optional_packages("onnx", "onnxruntime", extra="onnx"):
        import onnx  # noqa: F401
        import onnxruntime
    from .onnx_graph import Graph
    from .onnx_heads import Text, has_graph, logits_of
    from .onnx_rows import rows_of, words_of

    check_choice("dtype", dtype, DTYPES, VectorFileError)
    run = opened_run(run)
    models = [run.model, *(one.model for one in run.others)]
    _check(run, all(map(has_graph, models)), vectors_only)
    words = words_of(run)
    tables = rows_of(run, models, words, dtype, path)
    graph, logits = Graph(), []
    prefixes = ("", SECOND) if takes_pairs(run.model) else ("",)
    tokens = [graph.tokens(words.ids, prefix) for prefix in prefixes]
    for number, (model, table) in enumerate(zip(models, tables, strict=True)):
        names = graph.table(table.part, table.second, f"{number}." if number else "")
        texts = [Text(one, graph.vectors(names, one)) for one in tokens]
        logits.append(logits_of(graph, model, texts))
    outputs = _outputs(run, graph, logits)
    metadata = {
        "labels": json.dumps(run.labels, ensure_ascii=False),
        "task": run.task.name,
        "tokenizer": words.tokenizer,
        "parts": "vectors" if run.lexical is not None else "all",
    }
    if (threshold := _threshold(run)) is not None:
        metadata["threshold"] = repr(threshold)
    of_text: list[str | int] = ["tokens"] if run.task.per_word else []
    shapes = {name: ["texts", *of_text, run.task.outputs] for name in outputs}
    data = graph.model(shapes, metadata).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    _compare(run, session, words, tables, os.fspath(path))
    with atomic_write(path) as file:
        file.write(data)


def _check(run: Run, has_graph: bool, vectors_only: bool) -> None:
    """Check that a run can be written.

    Raises:
        DataError: it cannot.
    """
    if run.record["custom_head"] or not has_graph:
        raise DataError(
            f"the head {run.record['head']} is your own, and only ready heads are written as ONNX",
            remedy=(
                "tune with a ready head, such as ",
                Option("head", "pooled_cnn"),
            ),
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


def _outputs(run: Run, graph: Graph, each: Sequence[str]) -> list[str]:
    """Add what becomes of the logits of each model, and return the names of all outputs."""
    several = "threshold" in run.record
    if len(each) == 1:
        logits = graph.add("Identity", each[0], name="logits")
    elif not run.labels:
        logits = graph.add("Mean", *each, name="logits")
    elif several:
        sides = []
        for side in (each, [graph.add("Neg", one) for one in each]):
            chances = [graph.add("Softplus", graph.add("Neg", one)) for one in side]
            sides.append(graph.log_mean([graph.add("Neg", one) for one in chances]))
        logits = graph.add("Sub", *sides, name="logits")
    else:
        chances = [graph.add("LogSoftmax", one, axis=-1) for one in each]
        logits = graph.add("Identity", graph.log_mean(chances), name="logits")
    if not run.labels:
        mean, deviation = (
            graph.constant(np.array([run.record[name]], np.float32))
            for name in ("target_mean", "target_deviation")
        )
        scaled = graph.add("Mul", logits, deviation)
        return [logits, graph.add("Add", scaled, mean, name="predictions")]
    if several:
        return [logits, graph.add("Sigmoid", logits, name="probabilities")]
    return [logits, graph.add("Softmax", logits, axis=-1, name="probabilities")]


def _threshold(run: Run) -> float | None:
    """Return the probability from which a label counts, for the part that is written."""
    if "threshold" not in run.record:
        return None
    own = run.metrics["vectors"] if run.lexical is not None else run.record
    return float(own["threshold"])


def _compare(
    run: Run,
    session: onnxruntime.InferenceSession,
    words: Words,
    tables: Sequence[Held],
    where: str,
) -> None:
    """Compare what onnxruntime computes with what the run computes in torch.

    Raises:
        DataError: they differ.
    """
    from .onnx_graph import check_same

    ids, last = words.ids, words.ids.size - 1
    random = np.random.default_rng(0)
    limit = 40 if ids.max_length is None else min(ids.max_length, 1000) + 1
    long = random.integers(min(1, last), last + 1, limit).tolist()
    texts = [[], [last, max(last - 1, 0)], [min(UNK_ID, last)] * 3, [last], long]
    texts += [[last + 1, 2**40, -5], [min(2, last), last + 9]]
    if ids.dropped is not None:
        texts += [[ids.dropped], [last, ids.dropped, ids.dropped, 0, *long]]
    pairs = takes_pairs(run.model)
    sides = [texts, texts[::-1]] if pairs else [texts]
    expected, lengths = _in_torch(run, words, tables, sides)
    for some in (slice(None), slice(0, 1)):
        feed = {}
        for prefix, side in zip((SECOND * at for at in range(len(sides))), sides, strict=True):
            given = side[some]
            width = max(map(len, given))  # 0 in a batch without any token
            padded = [one + [0] * (width - len(one)) for one in given]
            mask = [[1] * len(one) + [0] * (width - len(one)) for one in given]
            shape = (len(given), width)
            feed[f"{prefix}input_ids"] = np.array(padded, np.int64).reshape(shape)
            feed[f"{prefix}attention_mask"] = np.array(mask, np.int64).reshape(shape)
        found = session.run(["logits"], feed)[0]
        wanted = expected[: len(found)]
        if run.task.per_word:
            counts = lengths[: len(found)]
            wanted = expected[: sum(counts)]
            parts = [one[:count] for one, count in zip(found, counts, strict=True)]
            found = np.concatenate(parts)
        check_same(found, wanted, where)


def _in_torch(
    run: Run, words: Words, tables: Sequence[Held], sides: Sequence[Sequence[Sequence[int]]]
) -> tuple[Vectors, list[int]]:
    """Return the logits of texts that are ids of the tokenizer, and their numbers of tokens.

    Args:
        run: the run.
        words: what the ids mean.
        tables: the rows of each model.
        sides: the texts; of pairs, the first ones and the second ones.
    """
    ids = words.ids
    places = words.places.tolist()
    texts = []
    for text in chain.from_iterable(zip(*sides, strict=True)):
        kept = [one for one in text if one != ids.dropped][: ids.max_length]
        texts.append([places[one if 0 <= one < ids.size else -1] for one in kept])
    lengths = torch.tensor([len(one) for one in texts])
    flat = torch.tensor(list(chain.from_iterable(texts)), dtype=torch.int64)
    data = EncodedTexts(flat, lengths.cumsum(0) - lengths, lengths)
    data = data.paired() if len(sides) > 1 else data
    path, logits = str(run.record["embedding"]), []
    for model, table in zip([run.model, *(o.model for o in run.others)], tables, strict=True):
        weight = torch.from_numpy(table.rows).to(weight_of(model, path).device)
        logits.append(forward_all(model, path, weight, data))
    found: Any = run.task.average(logits).numpy()
    return found, lengths.tolist()
