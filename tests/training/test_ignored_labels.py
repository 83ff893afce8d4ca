"""Labels that do not count, and labels in the forms that other libraries leave them in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, IterableDataset
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.data import EncodedTexts
from finetune_embed.training.runtime.processes import Processes
from finetune_embed.training.steps import Batching
from finetune_embed.training.tasks import MultiLabel, SingleLabel, Tagging

WORDS = [f"w{i}" for i in range(12)] + ["good", "bad"]


@pytest.fixture(scope="module")
def table() -> fe.EmbeddingTable:
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype(np.float32)
    return fe.EmbeddingTable(WORDS, vectors)


def texts_and_labels(n: int = 40) -> tuple[list[str], list[int]]:
    rng = np.random.default_rng(1)
    labels = [int(one) for one in rng.integers(0, 2, n)]
    texts = [" ".join([*rng.choice(WORDS[:12], 4), ["bad", "good"][one]]) for one in labels]
    return texts, labels


def tune(table, texts, labels, **settings: object):
    data = Dataset.from_dict({"text": texts, "label": labels})
    return fe.finetune(table, data, epochs=2, validation=0.2, **settings)


def same_bits(one: fe.Run, other: fe.Run) -> bool:
    return one.table.vectors.tobytes() == other.table.vectors.tobytes()


LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 2.0]])


def test_units_that_do_not_count_are_in_no_loss_and_no_score():
    task, targets = SingleLabel(["a", "b"]), torch.tensor([0, -100, 1, 1])
    lengths = torch.tensor([1, 1, 1, 1])
    kept = torch.tensor([0, 2, 3])
    expected = functional.cross_entropy(LOGITS[kept], targets[kept])
    assert task.loss(LOGITS, targets) == expected
    assert task.scores(LOGITS, targets, lengths) == {
        "accuracy": 2 / 3,
        "macro_f1": pytest.approx(2 / 3),
        "loss": expected.item(),
    }
    assert task.outcomes(LOGITS, targets, lengths).tolist() == [[1, 1], [0, 0], [0, 1], [1, 1]]
    nothing = torch.full((4,), -100)
    assert task.loss(LOGITS, nothing) == 0


def test_a_loss_function_of_ones_own_sees_only_units_that_count():
    seen = []

    def loss(logits, targets):
        seen.append(targets.tolist())
        return functional.cross_entropy(logits, targets, ignore_index=77)

    SingleLabel(["a", "b"], loss).loss(LOGITS, torch.tensor([0, -100, 1, -100]))
    assert seen == [[0, 1]]


def test_words_that_do_not_count():
    task, lengths = Tagging([0, 1]), torch.tensor([3, 0, 1])
    targets = torch.tensor([0, -100, 1, -100])
    assert task.outcomes(LOGITS, targets, lengths).tolist() == [[1, 2], [0, 0], [0, 0]]
    assert task.scores(LOGITS, targets, lengths)["accuracy"] == 0.5
    entities = Tagging(["B-x", "O"])
    all_of_them = entities.scores(LOGITS[:3], torch.tensor([0, 1, 0]), torch.tensor([3]))
    assert all_of_them["entity_f1"] == 1.0
    part = entities.scores(LOGITS, torch.tensor([0, -100, 0, 0]), torch.tensor([4]))
    assert part["entity_f1"] == pytest.approx(0.8)  # of three entities two were found, and no other
    assert entities.decode(LOGITS, torch.tensor([4])) == [["B-x", "O", "B-x", "O"]]


def test_the_weight_of_a_batch_counts_its_units():
    data = EncodedTexts(
        torch.arange(6),
        torch.tensor([0, 2, 5]),
        torch.tensor([2, 3, 1]),
        torch.tensor([0, -100, 1]),
    )
    batching = Batching(2, None, 1, False, SingleLabel(["a", "b"]), 0, Processes(None))
    assert batching.units(data, torch.tensor([0, 1])) == 1
    step = batching.step(data, [torch.tensor([0, 1]), torch.tensor([2])])
    assert step.units == 2
    assert [batch.weight for batch in step.batches] == [0.5, 0.5]


@pytest.mark.parametrize("head", ["bag", "cnn(filters=4, widths=(2,))"])
def test_texts_that_do_not_count_train_nothing(table, head):
    """The same batches with a text that does not count, or without it, give the same bits."""
    texts, labels = texts_and_labels(8)
    validation = Dataset.from_dict({"text": texts, "label": labels})
    vocab = fe.Vocabulary.from_texts([*texts, "w0 w1"])
    runs = []
    for more in ([], ["w0 w1"]):
        train = Dataset.from_dict({"text": texts + more, "label": labels + [-100] * len(more)})
        data = DatasetDict(train=train, validation=validation)
        runs.append(fe.finetune(table, data, epochs=1, batch_size=9, vocab=vocab, head=head))
    difference = np.abs(runs[0].table.vectors - runs[1].table.vectors).max()
    if head == "bag":  # without dropout
        assert difference < 1e-6
    assert runs[1].labels == [0, 1]
    assert runs[1].warnings == ["1 of 9 training labels are ignored: they are -100 or ignore_label"]
    assert runs[0].warnings == []


@pytest.mark.parametrize("form", ["numbers", "floats", "text", "stream"])
def test_minus_100_among_tags(table, form):
    texts, _ = texts_and_labels()
    words = [text.split() for text in texts]
    kinds = {"numbers": int, "floats": float, "text": str, "stream": int}
    tags = [
        [kinds[form](-100 if at < 2 else int(word in ("good", "bad"))) for at, word in enumerate(t)]
        for t in words
    ]
    rows = {"text": words, "label": tags}
    data: object = Dataset.from_dict(rows)
    if form == "stream":
        held_out = data.select(range(8))
        stream = IterableDataset.from_generator(
            lambda: ({"text": t, "label": g} for t, g in zip(words, tags, strict=True))
        )
        data = {"train": stream, "validation": held_out}
    settings = {"head": "cnn_tagger(filters=8, widths=(1,))", "epochs": 4}
    run = fe.finetune(table, data, validation=0.2, **settings)
    assert run.labels == (["0", "1"] if form == "text" else [0, 1])
    assert run.task.name == "tagging"
    assert {len(one) for one in run.predict([["w1", "good"], ["w2"]])} == {1, 2}


@pytest.mark.parametrize("value", [-1, "-1", 7, "skip"])
def test_another_label_that_does_not_count(table, value):
    texts, labels = texts_and_labels()
    given = [value if at % 5 == 0 else one for at, one in enumerate(labels)]
    if isinstance(value, str):
        given = [str(one) for one in given]
    run = tune(table, texts, given, ignore_label=value)
    assert run.labels == (["0", "1"] if isinstance(value, str) else [0, 1])
    marked = [-100 if at % 5 == 0 else one for at, one in enumerate(labels)]
    if isinstance(value, str):
        marked = [str(one) for one in marked]
    assert same_bits(run, tune(table, texts, marked))
    assert run.task.settings()["ignored"]


def test_padding_among_lists_of_labels(table):
    texts, labels = texts_and_labels()
    lists = [[one] if at % 2 else [one, 2] for at, one in enumerate(labels)]
    padded = [[*one, -100, -100][:3] for one in lists]
    plain, run = tune(table, texts, lists), tune(table, texts, padded)
    assert run.task.name == "multi_label"
    assert run.labels == [0, 1, 2]
    assert same_bits(plain, run)


def test_a_split_without_any_label_that_counts(table):
    texts, labels = texts_and_labels()
    train = Dataset.from_dict({"text": texts, "label": labels})
    hidden = Dataset.from_dict({"text": texts[:4], "label": [-100] * 4})
    with pytest.raises(fe.DataError, match=r"\(validation\): no label of the 4 texts counts"):
        fe.finetune(table, DatasetDict(train=train, validation=hidden), epochs=1)
    data = DatasetDict(train=train, validation=train, test=hidden)
    assert "test" not in fe.finetune(table, data, epochs=1).metrics


def test_lists_with_the_same_labels_everywhere_are_reported(table):
    texts, _ = texts_and_labels()
    run = tune(table, texts, [["a", "b"], ["b", "a"]] * 20)
    assert run.warnings == ["all training texts have the same labels, so there is nothing to learn"]


@pytest.mark.parametrize("kind", ["numpy", "torch", "pandas", "polars", "arrow"])
@pytest.mark.parametrize("what", ["labels", "floats", "words", "lists", "tags", "words of arrays"])
def test_a_data_set_in_another_format_gives_the_same_run(table, kind, what):
    texts, labels = texts_and_labels(20)
    words = [text.split() for text in texts]
    columns = {
        "labels": (texts, labels),
        "floats": (texts, [float(one) for one in labels]),
        "words": (words, labels),
        "lists": (texts, [["a"], ["b", "a"]] * 10),
        "tags": (words, [[int(one == "good") for one in text] for text in words]),
        "words of arrays": (np.array(words), labels),
    }[what]
    data = Dataset.from_dict(dict(zip(("text", "label"), columns, strict=True)))
    settings = {"head": "cnn_tagger(filters=4)"} if what == "tags" else {}
    plain = fe.finetune(table, data, epochs=1, validation=0.2, **settings)
    other = fe.finetune(table, data.with_format(kind), epochs=1, validation=0.2, **settings)
    assert other.labels == plain.labels
    assert type(other.labels[0]) is type(plain.labels[0])
    assert same_bits(plain, other)


@pytest.mark.parametrize("kind", ["numpy", "torch", "pandas", "polars", "arrow", None])
def test_a_vocabulary_and_ids_of_a_data_set_in_another_format(kind):
    words = [["a", "b", "b"], ["c"], ["b", "a"]]
    for column in (words, [" ".join(one) for one in words]):
        data = Dataset.from_dict({"text": column, "label": [0, 1, 0]}).with_format(kind)
        vocab = fe.Vocabulary.from_dataset(data, "text")
        assert vocab.words == ["b", "a", "c"]
        assert vocab.counts.tolist() == [0, 0, 3, 2, 1]
        encoded = fe.encode(data, vocab)
        assert encoded.with_format(None)["ids"][:] == [[3, 2, 2], [4], [2, 3]]
        if kind in ("numpy", "torch", None):
            examples = [encoded[at] for at in range(3)]
            ids, lengths, labels = fe.collate_padded(examples)
            assert ids.tolist() == [[3, 2, 2], [4, 0, 0], [2, 3, 0]]
            assert lengths.tolist() == [3, 1, 2]
            assert labels.tolist() == [0, 1, 0]
            assert labels.dtype == torch.int64


def test_arrays_of_words_are_texts(table):
    texts, labels = texts_and_labels()
    run = tune(table, texts, labels)
    words = ["good", "w1"]
    expected = run.predict_proba([words])
    for given in (np.array(words), np.array(words, object), tuple(words)):
        assert torch.equal(run.predict_proba([given]), expected)


def test_binary_tags_of_one_length_are_tags(table):
    texts, _ = texts_and_labels()
    words = [text.split() for text in texts]
    tags = [[int(word in ("good", "bad")) for word in text] for text in words]
    for task in (None, "tagging"):
        run = tune(table, words, tags, head="cnn_tagger(filters=8)", task=task)
        assert run.task.name == "tagging"
        assert run.labels == [0, 1]
    assert isinstance(tune(table, texts, [[0], [1]] * 20).task, MultiLabel)


def test_a_stream_of_one_hot_labels(table):
    texts, labels = texts_and_labels()
    held_out = Dataset.from_dict({"text": texts[:4], "label": [[0, 1]] * 4})

    def stream(lists):
        return IterableDataset.from_generator(
            lambda: ({"text": t, "label": g} for t, g in zip(texts, lists, strict=True))
        )

    hot = [[one, 1 - one] for one in labels]
    with pytest.raises(fe.DataError, match="it marks one of 2 labels"):
        fe.finetune(table, {"train": stream(hot), "validation": held_out})
    lists = [[0, 1], *[[one] for one in labels[1:]]]  # the first alone would look the same
    data = {"train": stream(lists), "validation": held_out}
    assert fe.finetune(table, data, epochs=1).labels == [0, 1]
    floats = {"train": stream([float(one) for one in labels])}
    floats["validation"] = Dataset.from_dict({"text": texts[:8], "label": labels[:8]})
    assert fe.finetune(table, floats, epochs=1).labels == [0, 1]
    arrays = {**floats, "train": stream([np.int64(one) for one in labels])}
    assert fe.finetune(table, arrays, epochs=1).labels == [0, 1]


@pytest.mark.parametrize("swapped", [False, True])
def test_swapped_columns_are_reported(swapped):
    words = ["a", "b", "c", "d", "e"]
    rows = {"text": [f"{x} {y}" for x in words for y in words], "label": ["p", "q"] * 12 + ["p"]}
    data = DatasetDict({name: Dataset.from_dict(rows) for name in ("train", "validation")})
    columns = {"text": "label", "label": "text"} if swapped else {}
    table = fe.EmbeddingTable(words, np.eye(5, dtype=np.float32))
    run = fe.finetune(table, data, head="bag", lexical=False, epochs=1, **columns)
    note = "25 training texts have 25 different labels, so there is little to learn; are the"
    assert any(one.startswith(note) for one in run.warnings) == swapped
