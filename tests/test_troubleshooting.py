"""The messages of docs/troubleshooting.md are those that the library gives."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import finetune_embed as fe

PAGE = Path(__file__).parent.parent / "docs" / "troubleshooting.md"
WORDS = ["a", "good", "film", "bad"]
TABLE = fe.EmbeddingTable(WORDS, np.eye(4, dtype=np.float32))
VOCAB = fe.Vocabulary.from_texts(["a good film"])
ROWS = [{"text": "a good film", "label": "yes"}, {"text": "a bad film", "label": "no"}] * 20


def read(name: str, content: str) -> None:
    Path(name).write_text(content)
    fe.load_vectors(name)


def archive() -> None:
    with zipfile.ZipFile("vectors.zip", "w") as file:
        file.writestr("glove.50d.txt", "good 0.1 0.2\n")
        file.writestr("glove.100d.txt", "good 0.1 0.2 0.3\n")
    fe.load_vectors("vectors.zip")


def saved_by_torch() -> None:
    torch.save({"weight": torch.zeros(2)}, "model.pt")
    fe.load_vectors("model.pt")


def saved_by_gensim() -> None:
    TABLE.to_keyed_vectors().save("vectors.kv")
    fe.load_vectors("vectors.kv")


def train(data: object = ROWS, **settings: object) -> fe.Run:
    return fe.finetune(TABLE, data, head="bag", **{"epochs": 1, **settings})


def fields() -> None:
    Path("reviews.csv").write_text("text,label\ngood, but long,yes\nbad,no\n")
    train("reviews.csv")


def again(**settings: object) -> None:
    train(output_dir="run")
    train(output_dir="run", **settings)


def step(
    optimizer: Callable[..., torch.optim.Optimizer], strategy: fe.Strategy, hook: bool
) -> None:
    model = fe.BagOfEmbeddings(fe.to_embedding(TABLE, VOCAB), num_labels=2)
    made = optimizer(strategy.param_groups(model, model.embedding, lr=0.1, vocab=VOCAB))
    if hook:
        strategy.on_epoch_start(model.embedding, 0)
    ids, _ = VOCAB.encode(["a good film"])
    model(ids, torch.tensor([3])).sum().backward()
    made.step()


def moved_while_frozen() -> None:
    model = fe.BagOfEmbeddings(fe.to_embedding(TABLE, VOCAB), num_labels=2)
    strategy = fe.Freeze()
    optimizer = torch.optim.SGD(strategy.param_groups(model, model.embedding, lr=0.1))
    strategy.on_epoch_start(model.embedding, 0)
    torch.nn.init.ones_(model.embedding.weight)
    optimizer.step()


def without_vocabulary() -> None:
    model = fe.BagOfEmbeddings(fe.to_embedding(TABLE, VOCAB), num_labels=2)
    fe.TrainRows(keys=["good"]).param_groups(model, model.embedding, lr=0.1)


def with_a_space() -> None:
    table = fe.EmbeddingTable(["new york", "rome"], [[1.0], [2.0]])
    fe.save_word2vec(table, "vectors.bin", binary=True)


#: What makes each message, in the order of the page.
CAUSES: list[Callable[[], object]] = [
    lambda: fe.load_vectors("glove.txt"),
    lambda: read("vectors.txt", "<!DOCTYPE html><html></html>\n"),
    lambda: read(
        "vectors.txt", f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}"
    ),
    lambda: read("vectors.txt", "king 0.1 0.2 0.3\nqueen 0.1 0.2\nman 0.1 0.2 0.3\n"),
    lambda: read("vectors.txt", "king,0.1,0.2\nqueen,0.3,0.4\n"),
    lambda: read("vectors.vec", "3 2\nking 0.1 0.2\nqueen 0.1 0.3\n"),
    archive,
    saved_by_torch,
    saved_by_gensim,
    lambda: train(text="comment"),
    fields,
    lambda: train([{"text": "a good film", "label": "yes"}] * 9),
    lambda: train(lr=1e30),
    lambda: train(strategy="UnfreezeAfter(epochs=0) | LockRows(default=0.0)"),
    lambda: train(strategy="UnfreezeAfter(epoch=2)"),
    lambda: fe.Freeze() | fe.L2SP(),
    lambda: again(),
    lambda: again(resume=True, lr=0.5),
    lambda: fe.load("run"),
    lambda: step(torch.optim.AdamW, fe.L2SP(), hook=True),
    lambda: step(fe.RowAdamW, fe.UnfreezeAfter(epochs=1), hook=False),
    lambda: step(fe.RowAdamW, fe.UnfreezeAfter(steps=5), hook=True),
    without_vocabulary,
    moved_while_frozen,
    lambda: fe.save_glove(TABLE, "vectors.txt.gz"),
    with_a_space,
]
MESSAGES = re.findall(r"^```text\n(.*)\n```$", PAGE.read_text(), flags=re.M)


def test_every_message_of_the_page_has_its_cause_here() -> None:
    assert len(MESSAGES) == len(CAUSES) == PAGE.read_text().count("\n### ")


@pytest.mark.parametrize(("cause", "message"), list(zip(CAUSES, MESSAGES, strict=True)))
def test_a_message_is_the_one_on_the_page(
    cause: Callable[[], object],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(fe.FinetuneEmbedError) as caught:
        cause()
    error = caught.value
    shown = f"{type(error).__name__}: {error}".replace(str(tmp_path), "FOLDER")
    assert shown == message
