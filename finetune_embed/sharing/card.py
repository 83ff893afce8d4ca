"""Model cards in the Hub's layout: YAML metadata, then Markdown. Nothing is asked of the network.

The metadata are those that `huggingface_hub.ModelCardData` has: `license`, `library_name`,
`pipeline_tag`, `tags` and `metrics`. What the vectors were tuned from is in the text, with its
SHA-256: the field `base_model` only takes names of models on the Hub. The last line is a comment
with a hash of the lines above it, so that a card that somebody edited is never replaced unasked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ..errors import printable
from ..evaluation import evaluate_word_pairs
from ..files import atomic_write
from ..formats.static_model import TOKENIZER
from ..table import EmbeddingTable
from ..training.base_vectors import base_of
from ..training.run.run import Run
from ..training.run.shrunk import shrunk_to
from ..training.run.source import Source, opened
from ..training.run.summary import MISSING, SPECIAL
from ..training.tasks import score_text

__all__ = ["CARD", "card_of", "is_unedited", "save_card"]

CARD = "README.md"
LABELS, MOVERS = 20, 8  # that a card lists at most
SPLITS = ("validation", "test")
TAGS = ("embeddings", "static-embeddings", "finetune_embed")
STATIC_TAGS = ("sentence-transformers", "model2vec")  # of folders that these open
_MARK = b"\n<!-- written by finetune_embed "
USE = """\
finetune_embed, to tune them further:

```python
import finetune_embed as fe

table = fe.load_vectors({ours})
```
"""
STATIC_USE = """\
model2vec:

```python
from model2vec import StaticModel

vectors = StaticModel.from_pretrained({name}).encode(["a text"])
```

sentence-transformers:

```python
from sentence_transformers import SentenceTransformer

vectors = SentenceTransformer({name}).encode(["a text"])
```

gensim, from the files:

```python
from gensim.models import KeyedVectors
from safetensors.numpy import load_file
from tokenizers import Tokenizer

ids = Tokenizer.from_file({tokenizer}).get_vocab()
rows = load_file({tensors})["embeddings"]
words = [word for word in sorted(ids, key=ids.get) if rows[ids[word]].any()]  # not <unk>, padding
vectors = KeyedVectors(rows.shape[1])
vectors.add_vectors(words, rows[[ids[word] for word in words]])
```

torch, from the files:

```python
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file({tokenizer})
rows = load_file({tensors})["embeddings"]
embedding = torch.nn.EmbeddingBag.from_pretrained(rows, mode="mean")
ids = tokenizer.encode("a text", add_special_tokens=False).ids
vector = embedding(torch.tensor([ids]))
```
"""


def save_card(
    source: Source,
    folder: str | os.PathLike[str],
    *,
    license: str | None = None,
    name: str | None = None,
    word_pairs: Sequence[str | os.PathLike[str]] = (),
    base: EmbeddingTable | str | os.PathLike[str] | None = None,
) -> None:
    """Write the model card of a folder, its `README.md`, in place of the one it has.

    `save_static` writes one too. It has what is known here: the task, the data, the strategy, the
    scores, what moved, the file that the vectors were tuned from, and how to load them.

    Args:
        source: the table or the run that the folder was written from, or the path of either.
        folder: the folder.
        license: the licence of the vectors, by its name on the Hub, such as `mit`.
        name: what readers load, such as `org/name`; that of the folder when left out.
        word_pairs: files of word pairs with human scores; see `evaluate_word_pairs`. The card has
            the agreement of the vectors with them, of a run before and after it was tuned.
        base: what a run was tuned from; when left out, the table that it remembers, or the file
            that it names, if that is unchanged.

    Raises:
        VectorFileError: the file cannot be written.
        DataError: a file of word pairs cannot be read.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_static(table, "shared")
        >>> fe.save_card(table, "shared", license="mit", name="you/words")
        >>> from pathlib import Path
        >>> Path("shared/README.md").read_text().splitlines()[1]
        'license: mit'
    """
    is_static = (Path(folder) / TOKENIZER).is_file()
    name = Path(os.path.abspath(folder)).name if name is None else name
    source = opened(source)
    similarity = _similarity(source, word_pairs, base)
    text = card_of(source, name, license, is_static, similarity)
    with atomic_write(Path(folder) / CARD, through_links=False) as file:
        file.write(text)


def card_of(
    source: EmbeddingTable | Run,
    name: str,
    license: str | None,
    is_static: bool,
    similarity: Iterable[str] = (),
) -> bytes:
    """Return a card, in UTF-8.

    Args:
        source: the table or the run.
        name: what readers load.
        license: the licence of the vectors.
        is_static: whether the folder is one of `save_static`, with a tokenizer.
        similarity: the section on word similarity.
    """
    import yaml

    run = source if isinstance(source, Run) else None
    table = source.table if isinstance(source, Run) else source
    head = {
        **({} if license is None else {"license": license}),
        "library_name": "model2vec" if is_static else "finetune_embed",
        "pipeline_tag": "feature-extraction",
        "tags": [*TAGS, *(STATIC_TAGS if is_static else ())],
        **({} if run is None else {"metrics": [run.task.metric]}),
    }
    folder = name.rpartition("/")[2]
    ours = f"hub:{name}" if folder != name else name
    paths = {"tokenizer": f"{folder}/tokenizer.json", "tensors": f"{folder}/model.safetensors"}
    loaded = {"name": name, "ours": ours, **paths}
    parts = [
        f"# {_text(name)}",
        f"Vectors of {len(table):,} tokens, {table.vector_size} numbers each."
        + " The vector of a text is the mean of those of its tokens." * is_static,
        "\n".join(_table(("", ""), _facts(run, table))),
    ]
    if run is not None:
        parts += [*_scores(run), *_moved(run)]
    parts += similarity
    use = USE + ("\n" + STATIC_USE) * is_static
    parts += ["## Use", use.format(**{key: json.dumps(one) for key, one in loaded.items()})]
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    text = f"---\n{front}---\n\n" + "\n\n".join(parts)
    return _with_mark(text.encode("utf-8", "backslashreplace"))


def is_unedited(card: bytes) -> bool:
    """Return whether a card is as `card_of` returned it."""
    text, _, _ = card.rpartition(_MARK)
    return card == _with_mark(text)


def _with_mark(text: bytes) -> bytes:
    return text + _MARK + b"%s -->\n" % hashlib.sha256(text).hexdigest()[:16].encode()


def _facts(run: Run | None, table: EmbeddingTable) -> Iterator[tuple[str, str]]:
    """Yield what is known of where a table comes from."""
    known = table.metadata
    if run is not None:
        yield "task", str(run.record["task"])
        if run.labels:
            more = f" and {len(run.labels) - LABELS:,} more" if len(run.labels) > LABELS else ""
            yield "labels", ", ".join(map(str, run.labels[:LABELS])) + more
        yield "tokenizer", str(run.record["tokenizer"])
    for title, key in (("data", "data"), ("strategy", "strategy"), ("seed", "seed")):
        if known.get(key):
            yield title, known[key]
    if run is not None:
        yield "epochs", f"{run.metrics['best_epoch'] + 1} of {run.metrics['epochs']}"
        if small := shrunk_to(run.record):
            yield "shrunk to", small
    tuned = "tuned from" if known.get("strategy") else "read from"
    if known.get("source"):
        kind = known.get("source_format")
        yield tuned, known["source"] + (f" ({kind})" if kind else "")
    if known.get("source_sha256"):
        yield "its SHA-256", known["source_sha256"]
    if known.get("library_version"):
        yield "made with", f"finetune_embed {known['library_version']}"


def _scores(run: Run) -> Iterator[str]:
    """Yield the section on scores."""
    metric, sizes = run.task.metric, run.metrics.get("texts", {})
    rows = []
    for split in SPLITS:
        if split in run.metrics:
            score, texts = run.metrics[split][metric], sizes.get(split)
            spread = run.task.interval(score, texts) if texts else None
            interval = "" if spread is None else " to ".join(score_text(metric, x) for x in spread)
            number = f"{texts:,}" if texts else ""
            rows.append((split, score_text(metric, score), number, interval))
    if not rows:
        return
    parts = f"the head {_text(str(run.record['head']))}"
    if run.lexical is not None:
        parts += " and a lexical part"
    yield "## Scores"
    yield f"These are of the whole model, with {parts}, which this folder does not hold."
    if small := shrunk_to(run.record):
        yield _text(f"The scores are from before it was shrunk to {small}.")
    yield "\n".join(_table(("split", metric.replace("_", " "), "texts", "95 % interval"), rows))
    if run.others:
        members = [run.metrics[f"member_{at + 1}"] for at in range(len(run.others) + 1)]
        each = ", ".join(score_text(metric, one[metric]) for one in members)
        alone = [one[metric] for one in members]
        middle, apart = (score_text(metric, one) for one in (fmean(alone), stdev(alone)))
        yield (
            f"Each model of the ensemble alone on validation: {each}; mean {middle}, standard "
            f"deviation {apart}."
        )


def _moved(run: Run) -> Iterator[str]:
    """Yield the section on drift."""
    found: Mapping[str, Any] | None = run.metrics.get("drift")
    if not found:
        return
    yield "## What tuning changed"
    if small := shrunk_to(run.record):
        yield _text(f"This is from before it was shrunk to {small}.")
    text = f"{found['rows_moved']:,} of {found['rows']:,} vectors moved, the others are "
    text += f"bit-identical; new words: {found['new_rows']:,}."
    if found["median_movement"] is not None:
        text += f" The median movement is {found['median_movement']:.1%} of the length of the "
        text += f"vector, the median cosine to its start {found['median_cosine']:.4f}."
    yield text
    columns = (run.words[one] for one in ("movement", "word", "found"))
    known = [
        (movement, word)
        for movement, word, how in zip(*columns, strict=True)
        if how not in (MISSING, SPECIAL) and movement and movement > 0
    ]
    if farthest := sorted(known, reverse=True)[:MOVERS]:
        words = ", ".join(f"{_text(word)} ({movement:.0%})" for movement, word in farthest)
        yield f"Farthest moved: {words}."


def _similarity(
    source: EmbeddingTable | Run,
    word_pairs: Sequence[str | os.PathLike[str]],
    base: EmbeddingTable | str | os.PathLike[str] | None,
) -> list[str]:
    """Return the section on word similarity; nothing without word pairs."""
    if not word_pairs:
        return []
    tables, note = [source if isinstance(source, EmbeddingTable) else source.table], ""
    if isinstance(source, Run):
        before = base_of(source, base)
        tables = [*([] if before.table is None else [before.table]), *tables]
        note = f" Before tuning it is not known: {before.why}." if before.why else ""
        note += f" {before.warning}" if before.warning else ""
    rows = []
    for path in word_pairs:
        found = [evaluate_word_pairs(table, path) for table in tables]
        scores = [f"{one.spearman:.3f} ({one.found:,})" for one in found]
        rows.append((Path(path).name, f"{found[-1].pairs:,}", *scores))
    titles = ("before tuning", "after") if len(tables) > 1 else ("Spearman",)
    text = "Spearman's rank correlation of cosines and human scores of word pairs; in brackets the "
    text += f"number of pairs of which the vectors have both words.{_text(note)}"
    return ["## Word similarity", text, "\n".join(_table(("file", "pairs", *titles), rows))]


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines: list[Sequence[str]] = [titles, ["---"] * len(titles)]
    lines += [[_text(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _text(text: str) -> str:
    """Return a text that stays on its line and has no meaning in Markdown or HTML."""
    clean = printable(text).replace("\\", "\\\\").replace("<", "&lt;")
    for mark in "|`*_[]#":
        clean = clean.replace(mark, f"\\{mark}")
    return clean
