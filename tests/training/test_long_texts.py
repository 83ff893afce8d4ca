"""One long text among short ones: it pads none of them, and nothing else changes."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from datasets import Dataset, IterableDataset

import finetune_embed as fe
from finetune_embed.data import MOST_PADDED, EncodedTexts
from finetune_embed.heads import build_head
from finetune_embed.training import steps as steps_module
from finetune_embed.training.runtime.processes import Processes
from finetune_embed.training.steps import Batching, InMemory
from finetune_embed.training.tasks import SingleLabel, Tagging

SHORT, LONG = 63, 5_000


def encoded(lengths: list[int], per_word: bool = False) -> EncodedTexts:
    sizes = torch.tensor(lengths)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(2, 30, (int(sizes.sum()),), generator=generator)
    labels = torch.randint(0, 2, (int(sizes.sum()) if per_word else len(sizes),))
    return EncodedTexts(ids, sizes.cumsum(0) - sizes, sizes, labels)


def batching_of(head: torch.nn.Module, task, batch_size: int = 64) -> Batching:
    packed = getattr(head, "packed", False)
    return Batching(batch_size, None, 1, packed, task, 0, Processes(None))


def gradients(head, task, step) -> tuple[float, list[torch.Tensor]]:
    head = copy.deepcopy(head).eval()  # without dropout
    total = 0.0
    for batch in step.batches:
        logits = task.units(head(batch.ids, batch.lengths), batch.words)
        loss = task.loss(logits, batch.targets) * batch.weight
        loss.backward()
        total += loss.item()
    return total, [p.grad for p in head.parameters()]


@pytest.mark.parametrize(
    "form", ["bag", "cnn(filters=3, widths=(2,))", "bilstm(hidden=3)", "cnn_tagger(filters=3)"]
)
def test_the_gradient_of_a_step_is_the_same(form, monkeypatch):
    torch.manual_seed(0)
    head = build_head(form, torch.nn.Embedding(30, 4, padding_idx=0), 2)
    per_word = getattr(head, "per_word", False)
    task = Tagging(["x", "y"]) if per_word else SingleLabel(["x", "y"])
    data = encoded([5] * SHORT + [2_000], per_word)
    batching = batching_of(head, task)
    (step,) = InMemory(data, batching).steps(0)
    if form == "bag":
        assert len(step.batches) == 1
        return
    assert [tuple(batch.ids.shape) for batch in step.batches] == [(SHORT, 5), (1, 2_000)]
    assert sum(batch.weight for batch in step.batches) == pytest.approx(1)
    monkeypatch.setattr(steps_module, "without_waste", lambda rows, lengths: [rows])
    (whole,) = InMemory(data, batching).steps(0)
    assert [tuple(batch.ids.shape) for batch in whole.batches] == [(64, 2_000)]
    assert whole.units == step.units
    loss, found = gradients(head, task, step)
    expected_loss, expected = gradients(head, task, whole)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("lengths", [[5] * 200, [1, 0, 40, 900] * 50, [300] * 256])
@pytest.mark.parametrize("batch_size", [64, 200])
def test_ordinary_texts_make_the_same_batches(lengths, batch_size, monkeypatch):
    head = build_head("cnn(filters=2)", torch.nn.Embedding(30, 4), 2)
    data = encoded(lengths)
    source = InMemory(data, batching_of(head, SingleLabel(["x", "y"]), batch_size))
    found = [step for epoch in (0, 1) for step in source.steps(epoch)]
    monkeypatch.setattr(steps_module, "without_waste", lambda rows, lengths: [rows])
    expected = [step for epoch in (0, 1) for step in source.steps(epoch)]
    for one, other in zip(found, expected, strict=True):
        assert one.units == other.units
        assert len(one.batches) == len(other.batches) == 1
        assert torch.equal(one.batches[0].ids, other.batches[0].ids)
        assert torch.equal(one.batches[0].targets, other.batches[0].targets)
        assert one.batches[0].weight == other.batches[0].weight == 1.0


@pytest.mark.parametrize("head", ["cnn(filters=3)", "bilstm(hidden=3)", "cnn_tagger(filters=3)"])
@pytest.mark.parametrize("streamed", [False, True])
def test_no_batch_is_padded_to_a_long_text(head, streamed, monkeypatch):
    words = [f"w{i}" for i in range(8)]
    vectors = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    table = fe.EmbeddingTable(words, vectors)
    texts = [[words[i % 8], words[i % 5], words[i % 3]] for i in range(SHORT)]
    texts.insert(9, [words[i % 8] for i in range(LONG)])
    tagged = head != "cnn(filters=3)"
    labels = [[w in ("w1", "w2") for w in t] for t in texts] if tagged else [0, 1] * 32
    rows = {"text": texts, "label": labels}
    held_out = Dataset.from_dict(rows)
    train: object = held_out
    if streamed:
        train = IterableDataset.from_generator(
            lambda: ({"text": t, "label": g} for t, g in zip(texts, labels, strict=True))
        )
    shapes: list[tuple[int, int]] = []
    padded = EncodedTexts.padded

    def record(self, chosen):
        ids, lengths = padded(self, chosen)
        shapes.append(tuple(ids.shape))
        return ids, lengths

    monkeypatch.setattr(EncodedTexts, "padded", record)
    run = fe.finetune(table, {"train": train, "validation": held_out}, head=head, epochs=1)
    run.predict(texts)
    assert (1, LONG) in shapes
    assert max(rows * longest for rows, longest in shapes) == LONG
    assert {longest for rows, longest in shapes if rows > 1} == {3}
    assert SHORT * LONG > MOST_PADDED


@pytest.mark.slow
def test_the_memory_of_a_run_with_a_long_text():
    """20,000 words with a CNN took 2 GB more than without; now less than 200 MB."""
    code = """
import resource
import numpy as np, datasets, torch, finetune_embed as fe
words = [f"w{i}" for i in range(40)]
table = fe.EmbeddingTable(words, np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32))
for times in (1, 500):
    texts = [" ".join(words[i % 7 : i % 7 + 6]) for i in range(80)]
    texts[3] = " ".join(words * times)
    data = datasets.Dataset.from_dict({"text": texts, "label": [0, 1] * 40})
    run = fe.finetune(table, data, epochs=1, head="cnn(filters=50)", validation=0.1)
    run.predict(texts)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    short, long = map(int, done.stdout.split())
    assert 0 <= long - short < 200_000
