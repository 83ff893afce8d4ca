"""Where steps come from: texts in memory and streams, whole, resumed, and shared by processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest
import torch

import finetune_embed as fe
from finetune_embed.data import EncodedTexts
from finetune_embed.training import prepare, steps
from finetune_embed.training.steps import Batching, InMemory, Step, Streamed
from finetune_embed.training.tasks import SingleLabel, Tagging

TEXTS = 23
LENGTHS = torch.arange(TEXTS) % 6


def encoded(start: int = 0, count: int = TEXTS, tags: bool = False) -> EncodedTexts:
    """Texts of 0 to 5 words; text `i` consists of the word `100 + i`."""
    lengths = LENGTHS[start : start + count]
    ids = (100 + torch.arange(start, start + count)).repeat_interleave(lengths)
    labels = ids % 3 if tags else torch.arange(start, start + count) % 2
    return EncodedTexts(ids, lengths.cumsum(0) - lengths, lengths, labels)


def batching(
    *,
    size: int = 4,
    tokens: int | None = None,
    accumulation: int = 1,
    packed: bool = True,
    tags: bool = False,
    index: int = 0,
    count: int = 1,
    sums: Callable[..., list[float]] | None = None,
) -> Batching:
    task = Tagging(["a", "b", "c"]) if tags else SingleLabel(["a", "b"])
    processes: Any = SimpleNamespace(index=index, count=count, sum=sums)
    return Batching(size, tokens, accumulation, packed, task, 5, processes)


def words(step: Step) -> Counter[int]:
    return Counter(i for batch in step.batches for i in batch.ids.flatten().tolist() if i >= 100)


def weights(step: Step) -> float:
    return sum(batch.weight for batch in step.batches)


EVERY_WORD = Counter(encoded().ids.tolist())


@pytest.mark.parametrize("tokens", [None, 9])
@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("tags", [True, False])
def test_an_epoch_has_every_text_once_and_can_begin_anywhere(tokens, accumulation, packed, tags):
    how = batching(tokens=tokens, accumulation=accumulation, packed=packed, tags=tags)
    source = InMemory(encoded(tags=tags), how)
    epochs = [list(source.steps(epoch)) for epoch in range(3)]
    assert source.steps_of_run(3) == sum(map(len, epochs))
    for epoch, whole in enumerate(epochs):
        assert sum((words(step) for step in whole), Counter()) == EVERY_WORD
        assert sum(step.units for step in whole) == (EVERY_WORD.total() if tags else TEXTS)
        for step in whole:
            assert len(step.batches) <= accumulation
            assert weights(step) == pytest.approx(1.0 if step.units else 0.0, abs=1e-12)
            targets = sum(len(batch.targets) for batch in step.batches)
            assert targets == step.units
        for start in range(len(whole) + 1):
            rest = list(source.steps(epoch, start))
            assert len(rest) == len(whole) - start
            for one, two in zip(rest, whole[start:], strict=True):
                assert [b.weight for b in one.batches] == [b.weight for b in two.batches]
                assert all(
                    torch.equal(a.ids, b.ids) and torch.equal(a.targets, b.targets)
                    for a, b in zip(one.batches, two.batches, strict=True)
                )
    orders = [[list(words(step)) for step in whole] for whole in epochs]
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize("tags", [True, False])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_processes_share_each_batch_and_their_weights_make_it_one(tags, count):
    """Also where a process gets no text of it: 23 texts by 4 leave 3."""
    alone = list(InMemory(encoded(tags=tags), batching(accumulation=2, tags=tags)).steps(1))
    shared = [
        list(
            InMemory(
                encoded(tags=tags), batching(accumulation=2, tags=tags, index=i, count=count)
            ).steps(1)
        )
        for i in range(count)
    ]
    for number, whole in enumerate(alone):
        parts = [steps_of[number] for steps_of in shared]
        assert {part.units for part in parts} == {whole.units}
        counted = [batch for part in parts for batch in part.batches if batch.weight]
        found = Counter(i for batch in counted for i in batch.ids.tolist())
        assert found == words(whole)
        # the mean over processes of the weighted mean losses is the mean loss of all units
        assert sum(map(weights, parts)) / count == pytest.approx(1.0)
        units = [len(batch.targets) for batch in counted]
        for batch, size in zip(counted, units, strict=True):
            assert batch.weight == pytest.approx(size * count / whole.units)


# --- streams --------------------------------------------------------------------------------------


def stream() -> datasets.IterableDataset:
    return datasets.Dataset.from_dict({"number": list(range(TEXTS))}).to_iterable_dataset()


def streamed(monkeypatch: pytest.MonkeyPatch, block: int = 8, **options: Any) -> Streamed:
    monkeypatch.setattr(steps, "BLOCK", block)

    def encode(rows: list[Any], start: int) -> EncodedTexts:
        assert [row["number"] for row in rows] == list(range(start, start + len(rows)))
        assert len(rows) <= block
        return encoded(start, len(rows))

    return Streamed(stream(), encode, batching(**options), TEXTS)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_stream_is_shuffled_by_blocks_and_can_begin_anywhere(monkeypatch, accumulation):
    source = streamed(monkeypatch, accumulation=accumulation)
    epochs = [list(source.steps(epoch)) for epoch in range(3)]
    assert source.steps_of_run(3) == sum(map(len, epochs)) == 3 * -(-TEXTS // (4 * accumulation))
    for epoch, whole in enumerate(epochs):
        assert sum((words(step) for step in whole), Counter()) == EVERY_WORD
        per_block = 2 // accumulation
        seen = sum((words(step) for step in whole[:per_block]), Counter())
        assert set(seen) <= set(range(100, 108))  # the first block, and nothing else
        for start in range(len(whole) + 1):
            rest = list(source.steps(epoch, start))
            assert [list(words(s)) for s in rest] == [list(words(s)) for s in whole[start:]]
    assert [list(words(s)) for s in epochs[0]] != [list(words(s)) for s in epochs[1]]


def test_processes_read_shards_of_their_own_until_none_has_anything_left(monkeypatch):
    """Played by turns: what a process would be told of the others is put in by hand."""
    seen = Counter()
    shares = []
    for index in range(2):
        own = streamed(monkeypatch, index=index, count=2)
        own._encode = lambda rows, start: encoded_of([row["number"] for row in rows])
        alone = list(own._own_steps(0, 0))
        shares.append([step.units for step in alone])
    assert sum(map(sum, shares)) == TEXTS
    longest = max(map(len, shares))
    units = [[*share, *[0] * (longest - len(share))] for share in shares]
    for index in range(2):
        told = iter([*zip(*units, strict=True), (0, 0)])
        own = streamed(
            monkeypatch,
            index=index,
            count=2,
            sums=lambda n, has, told=told: [sum(now := next(told)), sum(u > 0 for u in now)],
        )
        own._encode = lambda rows, start: encoded_of([row["number"] for row in rows])
        found = list(own.steps(0))
        assert len(found) == longest
        for step, mine, all_of in zip(found, units[index], zip(*units, strict=True), strict=True):
            assert step.units == sum(all_of)
            assert weights(step) == pytest.approx(2 * mine / sum(all_of))
            if mine:
                seen += words(step)
    assert seen == EVERY_WORD


def encoded_of(numbers: list[int]) -> EncodedTexts:
    whole = encoded()
    ids, lengths = whole.packed(torch.tensor(numbers))
    return EncodedTexts(ids, lengths.cumsum(0) - lengths, lengths, torch.tensor(numbers) % 2)


def test_what_a_stream_can_not_do(monkeypatch):
    with pytest.raises(
        fe.DataError, match=r"batch_tokens=9 sorts texts by length.*batch_size=\.\."
    ):
        streamed(monkeypatch, tokens=9)
    with pytest.raises(
        fe.DataError, match=r"batch_size=4 can't be shared evenly by 3 .*batch_size=6"
    ):
        streamed(monkeypatch, count=3)


# --- finetune on a stream -------------------------------------------------------------------------


def reviews(size: int, seed: int = 0) -> datasets.Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    texts = [
        " ".join(rng.choice([f"{'good' if label else 'bad'}{i}" for i in range(6)] + ["the"], 5))
        for label in labels
    ]
    return datasets.Dataset.from_dict(
        {"text": texts, "label": ["good" if label else "bad" for label in labels]}
    )


def table() -> fe.EmbeddingTable:
    rng = np.random.default_rng(1)
    names = [f"{kind}{i}" for kind in ("good", "bad") for i in range(6)]
    return fe.EmbeddingTable(
        [*names, "the"], rng.normal(size=(13, 8)).astype(np.float32), {"source": "made"}
    )


def parts(features: datasets.Features | None = None) -> dict[str, datasets.IterableDataset]:
    made = {"train": reviews(200), "validation": reviews(60, 1), "test": reviews(60, 2)}
    if features is not None:
        made = {name: part.cast(features) for name, part in made.items()}
    return {name: part.to_iterable_dataset() for name, part in made.items()}


def test_a_run_on_a_stream_learns_what_a_run_in_memory_learns(monkeypatch):
    monkeypatch.setattr(steps, "BLOCK", 64)
    monkeypatch.setattr(prepare, "BLOCK", 50)
    held: list[int] = []
    real = prepare.texts_of

    def counting(split: datasets.Dataset, *rest: Any) -> list[Any]:
        held.append(len(split))
        return real(split, *rest)

    monkeypatch.setattr(prepare, "texts_of", counting)
    run = fe.finetune(table(), parts(), epochs=6, lr=0.05, batch_size=16)
    assert max(held) == 64  # never the whole
    alike = fe.finetune(
        table(), {n: datasets.Dataset.from_list(list(p)) for n, p in parts().items()}, epochs=6,
        lr=0.05, batch_size=16,
    )  # fmt: skip
    assert run.vocab.index_to_key == alike.vocab.index_to_key
    assert run.vocab.counts.tolist() == alike.vocab.counts.tolist()
    assert run.labels == alike.labels == ["bad", "good"]
    assert [r["step"] for r in run.history] == [13 * e for e in range(1, 7)]
    for one in (run, alike):
        assert one.metrics["test"]["accuracy"] >= 0.95


def test_with_a_vocabulary_and_named_labels_there_is_no_first_pass(monkeypatch):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    passes: list[int] = []
    real = prepare._FirstPass.blocks

    def counting(self: Any) -> Any:
        for block in real(self):
            passes.append(len(block))
            yield block

    monkeypatch.setattr(prepare._FirstPass, "blocks", counting)
    monkeypatch.setattr(prepare, "BLOCK", 50)
    vocab = fe.Vocabulary.from_dataset(reviews(200), "text")
    run = fe.finetune(table(), parts(features), vocab=vocab, epochs=4, lr=0.05, batch_size=16)
    assert passes == [50]
    assert run.vocab is vocab
    assert run.metrics["test"]["accuracy"] >= 0.95
    with pytest.raises(fe.StrategyError, match=r"schedule='cosine' .*pass max_steps="):
        fe.finetune(table(), parts(features), vocab=vocab, schedule="cosine")
    run = fe.finetune(
        table(), parts(features), vocab=vocab, schedule="cosine", max_steps=20, batch_size=16
    )
    assert [record["step"] for record in run.history] == [13, 20]


def test_what_is_no_stream_to_train_on():
    empty = {**parts(), "train": reviews(200).to_iterable_dataset().take(0)}
    with pytest.raises(
        fe.DataError, match=r"the training split is empty \(0 rows\)|no word occurs"
    ):
        fe.finetune(table(), empty)
    without = {"train": parts()["train"]}
    with pytest.raises(fe.DataError, match="none can be set aside of a stream"):
        fe.finetune(table(), without)
    bad = reviews(200).to_list()
    bad[130]["text"] = None
    spoilt = {**parts(), "train": datasets.Dataset.from_list(bad).to_iterable_dataset()}
    with pytest.raises(
        fe.DataError, match=r"1 of 200 rows have no text in 'text', the first is row"
    ):
        fe.finetune(table(), spoilt)
