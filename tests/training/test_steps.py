"""The steps of texts in memory and of streams: all of them, resumed, and shared by processes."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import repeat, zip_longest
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest
import torch

import finetune_embed as fe
from finetune_embed.data import EncodedTexts
from finetune_embed.training import first_pass, prepare
from finetune_embed.training import steps as memory_steps
from finetune_embed.training import streamed as stream_steps
from finetune_embed.training.steps import Batching, InMemory, Step, in_advance
from finetune_embed.training.streamed import Streamed
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


def test_steps_are_made_in_advance_up_to_a_number_of_tokens(monkeypatch):
    monkeypatch.setattr(memory_steps, "AHEAD", 6)
    made: list[int] = []

    def steps(sizes: list[int]) -> Iterator[Step]:
        for size in sizes:
            made.append(size)
            yield batching().step_of(encoded(), [torch.tensor([size])])  # of so many tokens

    taken = [(sum(words(step).values()), len(made)) for step in in_advance(steps([5, 3, 1, 5, 2]))]
    assert taken == [(5, 2), (3, 2), (1, 4), (5, 4), (2, 5)]
    assert list(in_advance([])) == []


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
    """Also where a process gets no text: 23 texts in batches of 4 leave 3."""
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


def stream(shards: int = 1, texts: int = TEXTS) -> datasets.IterableDataset:
    numbers = datasets.Dataset.from_dict({"number": list(range(texts))})
    return numbers.to_iterable_dataset(num_shards=shards)


def streamed(
    monkeypatch: pytest.MonkeyPatch,
    block: int = 8,
    source: datasets.IterableDataset | None = None,
    **options: Any,
) -> Streamed:
    monkeypatch.setattr(stream_steps, "BLOCK", block)

    def encode(rows: list[Any], start: int) -> EncodedTexts:
        assert len(rows) <= block
        if options.get("count", 1) == 1:
            assert [row["number"] for row in rows] == list(range(start, start + len(rows)))
        return encoded_of([row["number"] for row in rows], options.get("tags", False))

    return Streamed(source or stream(), encode, batching(**options), TEXTS)


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


def encoded_of(numbers: list[int], tags: bool = False) -> EncodedTexts:
    whole = encoded(tags=tags)
    ids, lengths = whole.packed(torch.tensor(numbers))
    labels = ids % 3 if tags else torch.tensor(numbers) % 2
    return EncodedTexts(ids, lengths.cumsum(0) - lengths, lengths, labels)


def turns(sums_of_all: list[list[float]], own: list[Step]) -> Callable[..., list[float]]:
    """Return a sum over processes with given results, and then that nothing is left.

    It checks what this process adds.
    """
    left = iter([*sums_of_all, [0, 0]])
    mine = iter([*([s.units, True] for s in own), *repeat([0, False], len(sums_of_all) + 1)])

    def sums(*given: float) -> list[float]:
        assert list(given) == next(mine)
        return next(left)

    return sums


def shared(
    monkeypatch: pytest.MonkeyPatch, count: int, start: int = 0, **options: Any
) -> list[list[Step]]:
    """Return the steps of every process, with sums over processes computed here."""
    alone = [
        list(streamed(monkeypatch, index=i, count=count, **options)._own_steps(0, start))
        for i in range(count)
    ]
    totals = [[sum(s.units for s in row if s), sum(map(bool, row))] for row in zip_longest(*alone)]
    return [
        list(
            streamed(
                monkeypatch,
                index=i,
                count=count,
                sums=turns(totals, alone[i]),
                **options,
            ).steps(0, start)
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("shards", [1, 2, 3, 4])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_processes_share_a_stream_until_none_has_examples_left(monkeypatch, shards, accumulation):
    options = {"accumulation": accumulation, "source": stream(shards)}
    parts = shared(monkeypatch, 2, **options)
    assert len(parts[0]) == len(parts[1])
    seen = [sum(map(words, part), Counter()) for part in parts]
    assert seen[0] + seen[1] == EVERY_WORD
    if shards in (2, 4):  # one has half of the shards, the other the other half
        pieces = np.array_split(np.arange(100, 100 + TEXTS), shards)
        assert all(
            not (set(piece) & set(seen[0]) and set(piece) & set(seen[1])) for piece in pieces
        )
        assert sum(bool(set(piece) & set(seen[0])) for piece in pieces) == shards // 2
    else:
        assert {word % 2 for word in seen[0]} == {0}
        assert {word % 2 for word in seen[1]} == {1}
    for one, two in zip(*parts, strict=True):
        assert one.units == two.units == sum(len(b.targets) for b in one.batches + two.batches)
        assert (weights(one) + weights(two)) / 2 == pytest.approx(1.0)
        for batch in one.batches + two.batches:
            assert batch.weight == pytest.approx(2 * len(batch.targets) / one.units)


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("count", [2, 4])
def test_processes_resume_a_stream_at_any_step(monkeypatch, shards, count):
    """Also after the first block, and where a process has no examples left, or never had any."""
    options: dict[str, Any] = {"block": 4, "source": stream(shards)}
    whole = shared(monkeypatch, count, **options)
    assert len(whole[0]) > 4
    for start in range(1, len(whole[0])):
        rest = shared(monkeypatch, count, start, **options)
        for resumed, part in zip(rest, whole, strict=True):
            assert len(resumed) == len(part) - start
            for one, two in zip(resumed, part[start:], strict=True):
                assert (words(one), one.units, weights(one)) == (
                    words(two), two.units, weights(two)
                )  # fmt: skip


def test_a_process_without_an_example_takes_part_in_every_step(monkeypatch):
    one, two = shared(monkeypatch, 2, source=stream(texts=1))
    assert [len(step.batches) for step in one] == [1]
    assert two == [Step([], 1)]


def test_tagging_steps_whose_texts_are_all_empty(monkeypatch):
    """Text 0 and text 6 are empty."""
    empty = datasets.Dataset.from_dict({"number": [0, 6, 6, 0, 5, 5]}).to_iterable_dataset()
    parts = shared(monkeypatch, 2, block=2, size=4, tags=True, source=empty)
    assert [step.units for step in parts[0]] == [0, 10]
    assert [weights(step) for step in parts[0]] == [0.0, 1.0]


def _even(row: dict[str, int], index: int) -> bool:
    return index % 2 == 0


PARTS: dict[str, Callable[[datasets.IterableDataset], datasets.IterableDataset]] = {
    "skip": lambda whole: whole.skip(5).map(lambda row: row),
    "take": lambda whole: whole.take(9),
    "filter by index": lambda whole: whole.filter(_even, with_indices=True),
    "concatenate": lambda whole: datasets.concatenate_datasets([whole.take(4), stream(2, 3)]),
    "interleave": lambda whole: datasets.interleave_datasets(
        [whole, stream(2)], probabilities=[0.3, 0.7], seed=3
    ),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("shards", [1, 2])
def test_processes_see_what_one_sees_of_a_part_of_a_stream(monkeypatch, part, shards):
    """In each shard, an index or `skip` would start over."""
    train = PARTS[part](stream(shards))
    alone = streamed(monkeypatch, source=train)
    alone._encode = lambda rows, start: encoded_of([row["number"] for row in rows])
    expected = sum(map(words, alone.steps(0)), Counter())
    parts = shared(monkeypatch, 2, source=train)
    assert sum((words(step) for part in parts for step in part), Counter()) == expected


def test_the_steps_of_shards_of_different_sizes(monkeypatch):
    source = datasets.concatenate_datasets([stream(1, 17), stream(1, 6)])
    assert source.num_shards == 2
    parts = shared(monkeypatch, 2, source=source)
    assert len(parts[0]) == len(parts[1]) == 9
    own = [streamed(monkeypatch, source=source, index=i, count=2) for i in range(2)]
    sizes = [sum(1 for _ in one._own_examples(0)) for one in own]
    assert sizes == [17, 6]
    given = streamed(monkeypatch, source=source, count=2, sums=lambda *n: [n[0], sizes[1] + n[1]])
    assert given.steps_of_run(3) == 3 * 9


def test_a_stream_that_can_only_be_read_once(monkeypatch):
    numbers = iter(range(TEXTS))

    def once() -> Any:
        yield from ({"number": number} for number in numbers)

    source = streamed(monkeypatch, source=datasets.IterableDataset.from_generator(once))
    assert len(list(source.steps(0))) == 6
    with pytest.raises(
        fe.DataError,
        match=r"the stream is empty in epoch 2, .*; make it .*IterableDataset.from_generator\(",
    ):
        list(source.steps(1))


def test_batches_that_a_stream_does_not_support(monkeypatch):
    with pytest.raises(
        fe.DataError,
        match=r"^batch_tokens=9 sorts texts by length, .*; pass batch_size=\.\.\. instead$",
    ):
        streamed(monkeypatch, tokens=9)
    with pytest.raises(
        fe.DataError,
        match=r"^batch_size=4 cannot be shared evenly by 3 processes; pass batch_size=6$",
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
    monkeypatch.setattr(stream_steps, "BLOCK", 64)
    monkeypatch.setattr(first_pass, "BLOCK", 50)
    held: list[int] = []
    real = prepare.texts_of

    def counting(split: datasets.Dataset, *rest: Any) -> list[Any]:
        held.append(len(split))
        return real(split, *rest)

    monkeypatch.setattr(prepare, "texts_of", counting)
    run = fe.finetune(table(), parts(), epochs=6, lr=0.05, batch_size=16)
    assert max(held) == 64  # never the whole split
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
    real = first_pass.FirstPass.blocks

    def counting(self: Any) -> Any:
        for block in real(self):
            passes.append(len(block))
            yield block

    monkeypatch.setattr(first_pass.FirstPass, "blocks", counting)
    monkeypatch.setattr(first_pass, "BLOCK", 50)
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


def test_streams_that_cannot_be_trained_on():
    empty = {**parts(), "train": reviews(200).to_iterable_dataset().take(0)}
    with pytest.raises(fe.DataError, match=r"the training split is empty \(0 examples\)|no word "):
        fe.finetune(table(), empty)
    without = {"train": parts()["train"]}
    with pytest.raises(fe.DataError, match="a stream has no examples to hold out"):
        fe.finetune(table(), without)
    bad = reviews(200).to_list()
    bad[130]["label"] = 0.5
    bad = [{**row, "label": row["label"] if row["label"] == 0.5 else 1.0} for row in bad]
    spoilt = datasets.Dataset.from_list(bad).to_iterable_dataset()
    with pytest.raises(fe.DataError, match=r"example 130 \(counted from 0\) has 0.5 in 'label'"):
        fe.finetune(table(), {**parts(), "train": spoilt}, task="single_label")
    numbers = [{**row, "label": int(row["label"] == "good")} for row in reviews(200).to_list()]
    numbers[77]["label"] = -1
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    hidden = datasets.Dataset.from_list(numbers, features=features).to_iterable_dataset()
    with pytest.raises(
        fe.DataError, match=r"example 77 .* has -1 in 'label'; a label is one of the col"
    ):
        fe.finetune(table(), {**parts(features), "train": hidden})
    lists = [{**row, "text": [*row["text"].split(), None]} for row in reviews(20)]
    with pytest.raises(fe.VocabularyError, match=r"None\] is neither a text nor a list of words"):
        fe.finetune(
            table(), {**parts(), "train": datasets.Dataset.from_list(lists).to_iterable_dataset()}
        )


def test_a_run_does_not_resume_on_a_stream_of_other_examples(tmp_path, monkeypatch):
    """Of the same length and the same words, with the labels exchanged."""
    options: dict[str, Any] = {"epochs": 2, "batch_size": 16, "output_dir": tmp_path / "run"}
    monkeypatch.setattr(fe.RowAdamW, "step", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fe.finetune(table(), parts(), **options)
    monkeypatch.undo()
    turned = reviews(200).map(lambda row: {"label": "bad" if row["label"] == "good" else "good"})
    other = {**parts(), "train": turned.to_iterable_dataset()}
    with pytest.raises(fe.DataError, match="it was written with data_sha256="):
        fe.finetune(table(), other, **options, resume=True)
    assert fe.finetune(table(), parts(), **options, resume=True).metrics["epochs"] == 2


@pytest.mark.parametrize("min_count", [1, 70])
def test_a_vocabulary_that_was_saved_and_loaded(tmp_path, min_count):
    """It has no counts: texts in memory are counted again, a stream's are not."""
    vocab = fe.Vocabulary.from_dataset(reviews(200), "text", min_count=min_count)
    assert (vocab.counts[1] > 0) == (min_count > 1)
    vocab.save(tmp_path / "tokenizer.json")
    loaded = fe.Vocabulary.load(tmp_path / "tokenizer.json")
    whole = {name: datasets.Dataset.from_list(list(part)) for name, part in parts().items()}
    options: dict[str, Any] = {"epochs": 2, "batch_size": 16, "strategy": fe.FrequencyLR()}
    run, one = (fe.finetune(table(), whole, vocab=v, **options) for v in (loaded, vocab))
    assert run.vocab.counts.tolist() == vocab.counts.tolist()
    assert not loaded.counts.any()
    assert np.array_equal(run.table.vectors, one.table.vectors)
    assert run.metrics["coverage"] == one.metrics["coverage"]
    streamed = fe.finetune(table(), parts(), vocab=loaded, epochs=1)
    assert streamed.metrics["coverage"]["types_found"] == len(vocab) - 2
    assert streamed.warnings == []


def named(rows: datasets.Dataset) -> datasets.IterableDataset:
    """Return a stream with class names that can only be read once."""
    numbers = [{"text": r["text"], "label": int(r["label"] == "good")} for r in rows]
    left = iter(numbers)

    def once() -> Any:
        yield from left

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    return datasets.IterableDataset.from_generator(once, features=features)


def test_a_stream_that_does_not_start_over(monkeypatch):
    monkeypatch.setattr(first_pass, "BLOCK", 50)
    vocab = fe.Vocabulary.from_dataset(reviews(200), "text")
    held = reviews(60, 1).map(lambda row: {"label": int(row["label"] == "good")})
    with pytest.raises(
        fe.DataError, match=r"does not begin with the same example when .*from_generator\("
    ):
        fe.finetune(table(), {"train": named(reviews(200)), "validation": held}, vocab=vocab)


def test_a_first_pass_counts_the_words_of_a_loaded_vocabulary(tmp_path):
    vocab = fe.Vocabulary.from_dataset(reviews(200), "text")
    vocab.save(tmp_path / "tokenizer.json")
    loaded = fe.Vocabulary.load(tmp_path / "tokenizer.json")
    run = fe.finetune(table(), parts(), vocab=loaded, epochs=1, strategy=fe.FrequencyLR())
    assert run.vocab.counts.tolist() == vocab.counts.tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "train.jsonl",
            b'{"text": "a", "label": "x"}\n{"text": "b", "la',
            r"train.jsonl:2: cannot be read",
        ),
        (
            "train.csv",
            b"text;label\na,b;x\nc;y;z\n",
            r"train.csv:3: the number of fields is 3 here",
        ),
        ("train.csv", b"text,label\nna\x81\xefve,x\n", "train.csv:2: this line is not UTF-8"),
        ("train.jsonl", b"", r"train.jsonl: the file is empty \(0 bytes\)"),
    ],
)
def test_files_of_a_stream_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "validation.csv").write_text("text,label\na,x\nb,y\n")
    with pytest.raises(fe.DataError, match=message):
        fe.finetune(table(), tmp_path, streaming=True)


def test_a_compressed_file_of_a_stream_that_is_truncated(tmp_path):
    rows = "".join(f'{{"text": "good{i}", "label": "l{i % 2}"}}\n' for i in range(2_000))
    packed = gzip.compress(rows.encode())
    (tmp_path / "train.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "validation.csv").write_text("text,label\na,l0\nb,l1\n")
    with pytest.raises(fe.DataError, match=r"jsonl.gz: cannot be read: .*ended before the end"):
        fe.finetune(table(), tmp_path, streaming=True)


def test_examples_of_different_types():
    def mixed() -> Any:
        for label in ("x", "y", 3):
            yield {"text": "a", "label": label}

    source = datasets.IterableDataset.from_generator(mixed)
    with pytest.raises(fe.DataError, match=r"cannot be read after|examples do not fit together"):
        fe.finetune(table(), {"train": source, "validation": reviews(10)})


@pytest.mark.parametrize("form", ["numpy", "torch", "arrow"])
def test_a_stream_in_another_format(form):
    train = reviews(200).map(lambda row: {"label": int(row["label"] == "good")})
    held = reviews(60, 1).map(lambda row: {"label": int(row["label"] == "good")})
    data = {"train": train.to_iterable_dataset().with_format(form), "validation": held}
    plain = {"train": train.to_iterable_dataset(), "validation": held}
    run, one = (fe.finetune(table(), d, epochs=2, batch_size=16) for d in (data, plain))
    assert run.labels == one.labels == [0, 1]
    assert np.array_equal(run.table.vectors, one.table.vectors)


def test_a_first_pass_tokenizes_only_to_count(monkeypatch):
    calls: list[int] = []
    real = prepare.tokenize_texts

    def counting(texts: Any, tokenizer: Any) -> Any:
        calls.append(len(texts))
        return real(texts, tokenizer)

    monkeypatch.setattr(prepare, "tokenize_texts", counting)
    vocab = fe.Vocabulary.from_dataset(reviews(200), "text")
    fe.finetune(table(), parts(), vocab=vocab, epochs=1)
    assert sorted(calls) == [60, 60]  # validation and test
    fe.finetune(table(), parts(), epochs=1)
    assert sorted(calls[2:]) == [60, 60, 200]


def test_a_step_gathers_the_targets_of_a_text_once(monkeypatch):
    gathered: list[int] = []
    original = SingleLabel.batch_targets

    def batch_targets(task: SingleLabel, data: EncodedTexts, rows: torch.Tensor) -> torch.Tensor:
        gathered.extend(rows.tolist())
        return original(task, data, rows)

    monkeypatch.setattr(SingleLabel, "batch_targets", batch_targets)
    step = batching().step(encoded(), [torch.tensor([3, 0]), torch.tensor([1])])
    assert sorted(gathered) == [0, 1, 3]
    assert step.units == 3
    assert sum(batch.weight for batch in step.batches) == pytest.approx(1)


def test_the_targets_of_a_batch_are_collected_once(monkeypatch):
    asked = []
    collect = SingleLabel.batch_targets
    monkeypatch.setattr(
        SingleLabel, "batch_targets",
        lambda task, data, rows: asked.append(rows) or collect(task, data, rows),
    )  # fmt: skip
    for source in (InMemory(encoded(), batching()), streamed(monkeypatch)):
        batches = [batch for step in source.steps(0) for batch in step.batches]
        assert len(asked) == len(batches) == 6
        asked.clear()
