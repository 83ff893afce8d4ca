"""Tasks: inferred from data, targets, scores, decoding, and synthetic data that can be learned."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import chain
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.data import (
    EncodedTexts,
    Splits,
    class_names,
    distinct_labels,
    has_hidden_labels,
    open_splits,
)
from finetune_embed.heads import build_head
from finetune_embed.training.tasks import (
    MultiLabel,
    SingleLabel,
    Tagging,
    Task,
    entity_f1,
    restore_task,
    task_of,
)
from finetune_embed.training.tasks.multi_label import best_threshold


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


NO_LENGTHS = torch.tensor([], dtype=torch.int64)
WORDS = [["a", "b"], ["c"], [], ["a", "c", "b"]]
TAGS = [["B-X", "I-X"], ["O"], [], ["O", "B-X", "O"]]


def rows(**columns: Any) -> Dataset:
    return Dataset.from_dict(columns)


def splits_of(train: Dataset, **others: Dataset) -> Splits:
    return open_splits(DatasetDict(train=train, **others))


def inferred(texts: list, labels: list, name: str | None = None) -> Task:
    return task_of(name, splits_of(rows(text=texts, label=labels)), "text", "label")


def logits_of(found: list[int], classes: int) -> torch.Tensor:
    return functional.one_hot(torch.tensor(found), classes).double()


# Which task


@pytest.mark.parametrize(
    ("texts", "labels", "name", "expected"),
    [
        (["a", "b"], ["y", "x"], "single_label", ["x", "y"]),
        ([["a"], ["b"]], [1, 0], "single_label", [0, 1]),
        (["a", "b"], ["['y']", "x"], "single_label", ["['y']", "x"]),
        (["a", "b"], ["[NEG]", "[POS]"], "single_label", ["[NEG]", "[POS]"]),
        (["a", "b", "c"], [["y"], [], ["x", "y"]], "multi_label", ["x", "y"]),
        ([["a"], ["b", "c"], []], [["y", "x"], [], ["x"]], "multi_label", ["x", "y"]),
        (["a", "b"], [[7], [3, 7]], "multi_label", [3, 7]),
        (WORDS, TAGS, "tagging", ["B-X", "I-X", "O"]),
        ([["a", "b"], ["c"]], [[2, 0], [1]], "tagging", [0, 1, 2]),
        # one of two examples agrees: that is not tagging
        ([["a", "b"], ["c", "d"]], [["x", "y"], ["x"]], "multi_label", ["x", "y"]),
    ],
)
def test_the_task_is_inferred_from_the_columns(texts, labels, name, expected):
    task = inferred(texts, labels)
    assert (task.name, task.labels) == (name, expected)
    assert inferred(texts, labels, name) == task


@pytest.mark.parametrize("labels", [[{"x": 1}, {"x": 2}], [[["x"]], [["y"]]]])
def test_labels_that_are_objects_or_lists_in_lists(labels):
    with pytest.raises(fe.DataError, match="a label in 'label' that is not a string or a whole"):
        inferred(["a", "b"], labels)


def test_words_and_tags_can_be_labels_of_the_text_when_asked_for():
    assert inferred(WORDS, TAGS, "multi_label") == MultiLabel(["B-X", "I-X", "O"])


def test_several_columns_of_words_are_tagged_as_one():
    data = rows(left=[["a"], []], right=[["b"], ["c"]], label=[["x", "y"], ["x"]])
    task = task_of(None, splits_of(data), ["left", "right"], "label")
    assert task == Tagging(["x", "y"])


@pytest.mark.parametrize("names", [["never", "x", "y"], ["y", "x", "never"]])
@pytest.mark.parametrize("kind", ["list", "sequence", "large list", "list of one"])
def test_class_names_of_lists_are_kept_in_their_order(names, kind):
    import datasets

    inner = ClassLabel(names=names)
    feature: Any = {
        "list": lambda: List(inner),
        "sequence": lambda: datasets.Sequence(inner),
        "large list": lambda: datasets.LargeList(inner),
        "list of one": lambda: [inner],
    }[kind]()
    numbers = [[names.index("x")], [names.index("y"), names.index("x")], []]
    features = Features({"text": List(Value("string")), "label": feature})
    texts = [["a"], ["b", "c"], []]
    data = Dataset.from_dict({"text": texts, "label": numbers}, features=features)
    splits = splits_of(data)
    multi = task_of("multi_label", splits, "text", "label")
    assert multi.labels == names
    targets = multi.targets(data, "label", "here", texts)
    assert targets.argmax(dim=1).tolist()[0] == names.index("x")
    assert targets.sum(dim=1).tolist() == [1, 2, 0]
    tagging = task_of(None, splits, "text", "label")
    assert (tagging.name, tagging.labels) == ("tagging", names)
    assert tagging.targets(data, "label", "here", texts).tolist() == [*chain.from_iterable(numbers)]


def test_class_names_of_a_list_as_older_versions_of_datasets_have_it():
    split: Any = SimpleNamespace(
        features={"label": [ClassLabel(names=["p", "q"])]}, column_names=["label"]
    )
    assert class_names(split, "label") == ["p", "q"]


@pytest.mark.parametrize(
    ("texts", "labels", "name", "message"),
    [
        (
            ["a"],
            ["x"],
            "tags",
            "task='tags' is not a task; use one of single_label, multi_",
        ),
        (["a", "b"], [["x"], None], None, "1 of 2 examples have no list of labels .* 1 .*: None"),
        (
            ["a", "b"],
            ["x", "y"],
            "multi_label",
            "2 of 2 examples .*task='single_label'",
        ),
        (["a", "b"], [[], []], None, r"the labels in 'label' are \[\], but a task needs two or"),
        (["a", "b"], [["x", None], []], None, "that is not a string .* example 0 .*: None"),
        (["a", "b"], [[1.5], []], None, r"that is not a string .* example 0 .*: 1\.5"),
        (
            ["a", "b"],
            ["['x', 'y']", " []"],
            None,
            r"every label in 'label' is a string that looks like a list, the first is "
            r""""\['x', 'y'\]"; make lists of them: .*literal_eval.* or pass task='single_label'""",
        ),
        (
            ["a"],
            [["x"]],
            "tagging",
            "example 0 .* has a string, 'a', .* needs a list of words, .*; split it with "
            "dataset.map",
        ),
        (["a", "b"], [["x"], []], None, r"are \['x'\], but a task .*task='single_label'"),
        ([["a"], ["b"]], [["x"], ["x"]], None, r"are \['x'\], but a task needs two"),
        (
            [["a", "b"], ["c"], ["d"]],
            [["x"], ["y"], ["x"]],
            None,
            r"2 of 3 examples have one label per word in 'label', but example 0 \(counted from 0\) "
            r"has 2 words and 1 labels; pass task='tagging' .* or task='multi_label'$",
        ),
        (
            [["a", "b"], ["c"], ["d"]],
            [["x", "y"], ["y"], ["x", "x"]],
            "tagging",
            r"\(train\): example 2 \(counted from 0\) has 1 words and 2 tags; each word has one "
            r"tag; "
            r"remove such examples with dataset.filter\(\.\.\.\), or pass task='multi_label' if ",
        ),
    ],
)
def test_data_that_fits_no_task(texts, labels, name, message):
    with pytest.raises(fe.DataError, match=message):
        inferred(texts, labels, name)


def test_labels_that_are_partly_text_partly_numbers():
    mixed = rows(label=[["1"], ["x"]]).with_transform(
        lambda batch: {"label": [[int(t) if t.isdigit() else t for t in r] for r in batch["label"]]}
    )
    with pytest.raises(fe.DataError, match="'label' are partly text, partly numbers"):
        distinct_labels(mixed, "label", "here")


def test_missing_columns():
    splits = splits_of(rows(text=["a"], label=[["x"]]))
    with pytest.raises(
        fe.DataError, match=r"no column 'tags'; choose from 'text', 'label', such as label='label'$"
    ):
        task_of(None, splits, "text", "tags")
    with pytest.raises(fe.DataError, match=r"no column 'tokens'; .* such as text='text'$"):
        task_of(None, splits, "tokens", "label")


# Targets


def test_targets_of_multi_label():
    task = MultiLabel(["x", "y", "z"])
    data = rows(label=[["z"], [], ["y", "x"], ["y", "y"]])  # twice is once
    targets = task.targets(data, "label", "here", [])
    assert targets.dtype == torch.float32
    assert targets.tolist() == [[0, 0, 1], [0, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert task.targets(rows(label=[[], []]), "label", "here", []).tolist() == [[0] * 3] * 2


def test_targets_of_tagging():
    task = Tagging(["B-X", "I-X", "O"])
    targets = task.targets(rows(label=TAGS), "label", "here", WORDS)
    assert targets.dtype == torch.int64
    assert targets.tolist() == [0, 1, 2, 2, 0, 2]


@pytest.mark.parametrize("task", [MultiLabel(["x", "y"]), Tagging(["x", "y"])])
def test_labels_that_training_does_not_have(task):
    data = rows(label=[["x"], ["y", "new"], ["x"], ["other"]])
    texts = [["a"], ["a", "b"], ["a"], ["a"]]
    expected = (
        r"set \(test\): 2 of 4 examples have a label that is not among the 2 of the training "
        r"split, the first is example 1 \(counted from 0\): 'new'; remove"
    )
    with pytest.raises(fe.DataError, match=expected):
        task.targets(data, "label", "set (test)", texts)


def test_tags_that_do_not_fit_the_words_of_a_split():
    with pytest.raises(fe.DataError, match=r"set \(test\): example 1 .* has 2 words and 1 tags"):
        Tagging(["x"]).targets(
            rows(label=[["x"], ["x"]]), "label", "set (test)", [["a"], ["a"] * 2]
        )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([-1, -1], True),
        ([None, -1], True),
        ([0, -1], False),
        (["x", None], False),
        ([[-1, -1], [-1]], True),
        ([[], []], True),
        ([None, [-1]], True),
        ([["x"], []], False),
        ([[["x"]], [["y"]]], False),
        ([{"x": 1}, {"x": 2}], False),
    ],
)
def test_hidden_labels(labels, expected):
    assert has_hidden_labels(rows(label=labels), "label") is expected
    assert has_hidden_labels(rows(other=labels), "label") is False


# Units


def encoded(max_length: int | None = None) -> tuple[EncodedTexts, Tagging]:
    vocab = fe.Vocabulary({"a": 3, "b": 2, "c": 1})
    task = Tagging(["B-X", "I-X", "O"])
    targets = task.targets(rows(label=TAGS), "label", "here", WORDS)
    return EncodedTexts.of(WORDS, vocab, targets, max_length), task


@pytest.mark.parametrize(
    ("max_length", "order", "tags"),
    [
        (None, [0, 1, 2, 3], [0, 1, 2, 2, 0, 2]),
        (None, [3, 2, 0], [2, 0, 2, 0, 1]),
        (1, [3, 2, 1, 0], [2, 2, 0]),
        (2, [0, 3], [0, 1, 2, 0]),
        (None, [2, 2], []),
    ],
)
def test_tags_of_a_batch_belong_to_the_words_of_its_logits(max_length, order, tags):
    data, task = encoded(max_length)
    batch = torch.tensor(order)
    targets = task.batch_targets(data, batch)
    assert targets.tolist() == tags
    ids, _ = data.padded(batch)
    logits = ids[:, :, None].repeat(1, 1, 3) * 1.0  # an id says which word it is
    units = task.units(logits, data.lengths[batch])
    words = [word for at in order for word in WORDS[at][:max_length]]
    key_to_index = {"a": 2, "b": 3, "c": 4}
    assert units[:, 0].tolist() == [key_to_index[word] for word in words]
    assert len(units) == len(targets)


def test_units_of_texts_are_the_texts():
    labels = torch.tensor([4, 5, 6])
    data = EncodedTexts(torch.arange(3), torch.arange(3), torch.ones(3), labels)
    task = SingleLabel(["x", "y"])
    logits = torch.randn(2, 2)
    assert task.units(logits, torch.tensor([1, 1])) is logits
    assert task.batch_targets(data, torch.tensor([2, 0])).tolist() == [6, 4]


def test_logits_of_another_shape():
    for task in (SingleLabel(["x", "y"]), MultiLabel(["x", "y"])):
        with pytest.raises(fe.DataError, match=r"\(2, 5, 3\); for task='\w+' .* \(texts, labels\)"):
            task.units(torch.zeros(2, 5, 3), torch.tensor([5, 5]))
    with pytest.raises(fe.DataError, match=r"\(2, 3\); .* \(texts, words, labels\); use head="):
        Tagging(["x", "y"]).units(torch.zeros(2, 3), torch.tensor([5, 5]))


def test_heads_for_another_task():
    table = nn.Embedding(5, 4, padding_idx=0)
    for task in (SingleLabel(["x", "y"]), MultiLabel(["x", "y"])):
        task.check_head(build_head("bag", table, 2), ready_made=True)
        with pytest.raises(
            fe.DataError,
            match=r"BiLSTMTagger labels words, .* use head='bag' or head='cnn' or "
            r"head='pooled_cnn'$",
        ):
            task.check_head(build_head("bilstm", table, 2), ready_made=True)
    task = Tagging(["x", "y"])
    task.check_head(build_head("cnn_tagger", table, 2), ready_made=True)
    with pytest.raises(
        fe.DataError,
        match=r"^KimCNN labels texts, and task='tagging' needs a head that labels words; use "
        r"head='bilstm' or head='cnn_tagger'$",
    ):
        task.check_head(build_head("cnn", table, 2), ready_made=True)
    task.check_head(nn.Linear(2, 2), ready_made=False)  # it does not say


# Loss, scores, decoding


def test_single_label():
    task = SingleLabel(["x", "y"])
    logits, targets = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 0, 0])
    scores = task.scores(logits, targets, NO_LENGTHS)
    each = [math.log(1 + math.exp(-2)), math.log(1 + math.e), math.log(1 + math.exp(-1))]
    # x is found twice of three times, both correct; y once, wrongly
    assert scores == pytest.approx({"accuracy": 2 / 3, "macro_f1": 0.4, "loss": sum(each) / 3})
    assert task.decode(logits, NO_LENGTHS) == ["x", "y", "x"]
    assert (task.metric, task.fit(logits, targets)) == ("accuracy", task)
    torch.testing.assert_close(task.probabilities(logits), logits.exp() / logits.exp().sum(1, True))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40))
def test_macro_f1_is_that_of_scikit_learn(pairs):
    true, found = torch.tensor(pairs).T
    scores = SingleLabel(list("abcdef")).scores(
        functional.one_hot(found, 6) * 9.0, true, NO_LENGTHS
    )
    assert scores["macro_f1"] == pytest.approx(f1_score(true, found, average="macro"), abs=1e-12)
    assert scores["accuracy"] == pytest.approx(f1_score(true, found, average="micro"), abs=1e-12)


def test_multi_label():
    task = MultiLabel(["x", "y", "z"])
    logits = torch.tensor([[3.0, -1.0, -3.0], [-3.0, 2.0, -2.0], [0.0, 1.0, -1.0]])
    targets = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 0, 0]])
    # found: x | y | x y; right 3 of 4 found and of 4 wanted; x 2/2 of 3, y 1/2 of 1, z 0
    scores = task.scores(logits, targets, NO_LENGTHS)
    loss = functional.binary_cross_entropy_with_logits(logits, targets).item()
    assert scores == pytest.approx(
        {
            "micro_f1": 3 / 4,
            "macro_f1": (4 / 5 + 2 / 3 + 0) / 3,
            "accuracy": 1 / 3,
            "threshold": 0.5,
            "loss": loss,
        }
    )
    assert task.decode(logits, NO_LENGTHS) == [["x"], ["y"], ["x", "y"]]
    strict = MultiLabel(["x", "y", "z"], threshold=0.9)
    assert strict.decode(logits, NO_LENGTHS) == [["x"], [], []]
    assert task.metric == "micro_f1"
    torch.testing.assert_close(task.probabilities(logits), 1 / (1 + (-logits).exp()))


def test_a_threshold_between_two_floats_that_follow_each_other():
    task = MultiLabel(["x", "y"])
    above = torch.tensor(0.3)
    below = torch.nextafter(above, torch.tensor(0.0))
    logits = torch.stack([above, below]).logit()[None]
    near = task.probabilities(logits)
    assert near[0, 0] > near[0, 1]
    fitted = task.fit(logits, torch.tensor([[1.0, 0.0]]))
    assert fitted.decode(logits, NO_LENGTHS) == [["x"]]


def test_multi_label_without_labels_and_predictions():
    task = MultiLabel(["x", "y"])
    scores = task.scores(torch.full((2, 2), -1.0), torch.zeros(2, 2), NO_LENGTHS)
    assert (scores["micro_f1"], scores["macro_f1"], scores["accuracy"]) == (0, 0, 1)
    assert task.fit(torch.full((2, 2), -1.0), torch.zeros(2, 2)).threshold == 0.5


@pytest.mark.parametrize(
    ("probabilities", "true", "expected"),
    [
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.5),  # F1 1 between 0.8 and 0.2
        ([0.3, 0.2, 0.1, 0.1], [1, 1, 0, 0], 0.15),
        ([0.9, 0.7, 0.6], [1, 0, 1], 0.3),  # 2/3, 1/2, 4/5: all
        ([0.9, 0.7, 0.6, 0.2, 0.1], [1, 0, 0, 1, 0], 0.8),  # 2/3, 1/2, 2/5, 2/3, 4/7: 0.8 and 0.15
        ([0.75, 0.55, 0.35, 0.15], [1, 0, 0, 1], 0.65),  # 2/3 at 0.65; 2/3 at 0.075
        ([0.5, 0.5, 0.5], [1, 0, 0], 0.25),  # equal ones are found together
        ([0.0, 0.0], [1, 0], 0.5),  # no threshold above 0 finds anything
        ([1.0, 1.0, 0.0], [1, 1, 0], 0.5),
    ],
)
def test_the_threshold_of_the_best_f1(probabilities, true, expected):
    found = best_threshold(np.array([probabilities]), np.array([true]) > 0)
    assert found == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=30))
def test_no_other_threshold_is_better(pairs):
    probabilities = np.array([[number / 12 for number, _ in pairs]])
    true = np.array([[wanted for _, wanted in pairs]])

    def f1(threshold: float) -> float:
        found = probabilities >= threshold
        return 2 * (found & true).sum() / max(1, found.sum() + true.sum())

    best = best_threshold(probabilities, true)
    assert 0 < best < 1
    assert f1(best) == max(f1(at / 24) for at in range(1, 25))


def test_fit_keeps_the_rest_of_a_task():
    task = MultiLabel(["x", "y"], loss_fn=functional.multilabel_soft_margin_loss)
    logits = torch.tensor([[-1.0, -3.0], [-1.0, -2.0]])
    fitted = task.fit(logits, torch.tensor([[1.0, 0], [1, 0]]))
    assert fitted.threshold == pytest.approx((1 / (1 + math.e) + 1 / (1 + math.exp(2))) / 2)
    assert (fitted.labels, fitted.loss_fn) == (task.labels, task.loss_fn)
    assert fitted.decode(logits, NO_LENGTHS) == [["x"], ["x"]]
    assert task.threshold == 0.5


def test_tagging():
    task = Tagging(["B-X", "I-X", "O"])
    lengths = torch.tensor([2, 0, 1, 3])
    true, found = [0, 1, 2, 0, 2, 0], [0, 1, 2, 0, 1, 2]
    # entities: (0-1), (3), (5) wanted; (0-1), (3-4) found; one is right
    logits = logits_of(found, 3)
    scores = task.scores(logits, torch.tensor(true), lengths)
    assert scores == pytest.approx(
        {
            "entity_f1": 2 / 5,
            "accuracy": 4 / 6,
            "macro_f1": (4 / 5 + 2 / 3 + 1 / 2) / 3,
            "loss": functional.cross_entropy(logits, torch.tensor(true)).item(),
        }
    )
    assert task.decode(logits, lengths) == [["B-X", "I-X"], [], ["O"], ["B-X", "I-X", "O"]]
    assert task.metric == "entity_f1"


@pytest.mark.parametrize(
    "labels", [["DET", "NOUN"], ["O", "X"], ["O"], [0, 1], ["B-", "O"], ["B-X", "E-X", "O", "U-X"]]
)
def test_tags_that_mark_no_entities_are_scored_by_word(labels):
    task = Tagging(labels)
    assert task.metric == "accuracy"
    found = torch.arange(len(labels))
    scores = task.scores(logits_of(found.tolist(), len(labels)), found, torch.tensor([len(labels)]))
    assert scores.keys() == {"accuracy", "macro_f1", "loss"}
    assert (scores["accuracy"], scores["macro_f1"]) == (1, 1)


def test_the_loss_is_a_mean_over_units_and_0_without_any():
    task = Tagging(["x", "y", "z"])
    logits, targets = torch.randn(5, 3, requires_grad=True), torch.tensor([0, 1, 2, 1, 0])
    parts = [task.loss(logits[:2], targets[:2]) * 2, task.loss(logits[2:], targets[2:]) * 3]
    torch.testing.assert_close(task.loss(logits, targets), sum(parts) / 5)
    none = task.loss(logits[:0], targets[:0])
    none.backward()
    assert none.item() == 0
    assert logits.grad.abs().sum() == 0


# Entities: the expected figures are those of seqeval 1.2.2, which reads tags as conlleval does


@pytest.mark.parametrize(
    ("true", "found", "expected"),
    [
        ("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC", 1),
        ("B-PER I-PER O B-LOC", "B-PER O O B-LOC", 1 / 2),
        ("B-PER I-PER O B-LOC", "B-PER I-PER O B-ORG", 1 / 2),
        ("B-PER I-PER O B-LOC", "I-PER I-PER O I-LOC", 1),  # IOB1
        ("B-PER B-PER I-PER O", "I-PER B-PER I-PER O", 1),
        ("B-PER B-PER I-PER O", "I-PER I-PER I-PER O", 0),
        ("B-PER I-LOC I-LOC O", "B-PER B-LOC I-LOC O", 1),  # I- after another type
        ("O B-PER O O", "O I-PER I-LOC O", 2 / 3),
        ("O B-X-Y I-X-Y O", "O B-X-Y I-X O", 0),
        ("O O O O", "O O I-PER O", 0),
        ("O O O O", "O O O O", 0),
        ("B-PER I-PER I-PER I-PER | O B-LOC", "B-PER I-PER I-PER I-PER | O I-LOC", 1),
        ("O B-LOC | I-LOC O", "O B-LOC | B-LOC O", 1),  # no entity reaches into the next text
        ("B-A I-A B-A I-A O I-A", "B-A I-A I-A I-A O B-A", 0.4),
        ("B-A | | B-A", "B-A | | O", 2 / 3),  # an empty text (not by seqeval)
    ],
)
def test_entities_are_read_as_conlleval_reads_them(true, found, expected):
    texts = [[text.split() for text in tags.split("|")] for tags in (true, found)]
    assert entity_f1(*texts) == pytest.approx(expected)


def test_no_texts_have_no_entities():
    assert entity_f1([], []) == 0


TAG = st.sampled_from(["O", "O", "B-X", "I-X", "B-Y", "I-Y"])
PAIRS = st.lists(st.lists(st.tuples(TAG, TAG), max_size=8), max_size=5)


@given(PAIRS)
def test_entity_f1_is_that_of_sets_of_spans(pairs):
    def spans(text: int, tags: list[str]) -> set[tuple[int, int, int, str]]:
        found, start = set(), 0
        for at, tag in enumerate([*tags, "O"]):
            before = tags[at - 1] if at else "O"
            goes_on = tag[0] == "I" and before[2:] == tag[2:]
            if before != "O" and not goes_on:
                found.add((text, start, at, before[2:]))
            start = start if goes_on else at
        return found

    true = [[tag for tag, _ in text] for text in pairs]
    found = [[tag for _, tag in text] for text in pairs]
    sets = [
        set().union(*(spans(i, text) for i, text in enumerate(texts))) for texts in (true, found)
    ]
    expected = 2 * len(sets[0] & sets[1]) / max(1, len(sets[0]) + len(sets[1]))
    assert entity_f1(true, found) == pytest.approx(expected)


def logits_for(task: Any, targets: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return logits that are often right."""
    noise = torch.from_numpy(rng.normal(size=(len(targets), len(task.labels)))).float()
    wanted = targets if targets.ndim == 2 else functional.one_hot(targets, len(task.labels))
    return noise + 1.5 * wanted


@pytest.mark.parametrize(
    "task",
    [
        SingleLabel(["a", "b", "c"]),
        MultiLabel(["a", "b", "c"], threshold=0.6),
        Tagging(["DET", "NOUN", "VERB"]),
        Tagging(["B-X", "I-X", "B-Y", "I-Y", "O"]),
    ],
    ids=lambda task: f"{task.name}-{task.metric}",
)
@pytest.mark.parametrize("seed", range(5))
def test_the_outcomes_of_any_texts_add_up_to_their_score(task, seed):
    """Of all texts and of half of them, as a bootstrap draws them."""
    rng = np.random.default_rng(seed)
    lengths = torch.from_numpy(rng.integers(0, 7, 40))
    units = int(lengths.sum()) if task.per_word else len(lengths)
    if isinstance(task, MultiLabel):
        targets = torch.from_numpy(rng.integers(0, 2, (units, 3))).float()
    else:
        targets = torch.from_numpy(rng.integers(0, len(task.labels), units))
    logits = logits_for(task, targets, rng)
    outcomes = task.outcomes(logits, targets, lengths)
    assert outcomes.shape == (40, 2)
    half = torch.arange(40) % 2 == 0
    for kept in (torch.ones(40, dtype=torch.bool), half):
        at = kept.repeat_interleave(lengths) if task.per_word else kept
        above, below = outcomes[kept.numpy()].sum(axis=0)
        assert 0 < above < below
        score = task.scores(logits[at], targets[at], lengths[kept])[task.metric]
        assert above / below == pytest.approx(score)


# Settings


@pytest.mark.parametrize(
    "task",
    [
        SingleLabel(["x", "y"]),
        MultiLabel([3, 7], threshold=0.1 + 0.2),
        Tagging(["B-X", "I-X", "O"]),
    ],
)
def test_a_task_comes_back_from_its_settings(task):
    written = yaml.safe_dump({**task.settings(), "epochs": 3})
    assert restore_task(yaml.safe_load(written)) == task


def test_settings_of_an_unknown_task():
    with pytest.raises(
        fe.DataError, match=r"^task='parsing' is not a task; use one of single_label"
    ):
        restore_task({"task": "parsing", "labels": []})


def test_a_loss_of_the_callers():
    splits = splits_of(rows(text=["a", "b"], label=[["x"], ["y"]]))
    task = task_of(None, splits, "text", "label", functional.multilabel_soft_margin_loss)
    logits, targets = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    assert task.scores(logits, targets, NO_LENGTHS)["micro_f1"] == pytest.approx(2 / 3)
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.e)) / 2
    assert task.loss(logits, targets).item() == pytest.approx(expected)


# From texts to scores


def learned(task: Task, texts: list, labels: list, head: str) -> dict[str, float]:
    """Train a head from a random table and return its scores on the same texts."""
    data = rows(text=texts, label=labels)
    vocab = fe.Vocabulary.from_texts(texts)
    table = nn.Embedding(len(vocab), 8, padding_idx=0, sparse=True)
    model = build_head(head, table, len(task.labels))
    task.check_head(model, ready_made=True)
    encoded = EncodedTexts.of(texts, vocab, task.targets(data, "label", "here", texts))
    groups = fe.FullTune().param_groups(model, table, lr=0.05, vocab=vocab)
    optimizer = fe.RowAdamW(groups, lr=0.05)
    everything = torch.arange(len(texts))
    for _ in range(25):
        for batch in everything[torch.randperm(len(texts))].split(10):
            ids, lengths = encoded.padded(batch)
            logits = task.units(model(ids, lengths), encoded.lengths[batch])
            loss = task.loss(logits, task.batch_targets(encoded, batch))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    optimizer.flush()
    model.eval()
    with torch.no_grad():
        logits = task.units(model(*encoded.padded(everything)), encoded.lengths)
    targets = task.batch_targets(encoded, everything)
    fitted = task.fit(logits, targets)
    assert fitted.decode(logits, encoded.lengths) == [sorted(row) for row in labels] or (
        task.per_word and fitted.decode(logits, encoded.lengths) == labels
    )
    return fitted.scores(logits, targets, encoded.lengths)


def test_labels_of_the_words_in_a_text_are_learned():
    """A text has the label `l3` if it has the word `w3`; some have no label."""
    rng = np.random.default_rng(0)
    chosen = [sorted(rng.choice(4, rng.integers(0, 4), replace=False)) for _ in range(40)]
    texts = [" ".join([f"w{i}" for i in row] + ["plain", "words"]) for row in chosen]
    labels = [[f"l{i}" for i in row] for row in chosen]
    task = inferred(texts, labels)
    assert isinstance(task, MultiLabel)
    scores = learned(task, texts, labels, "bag")
    assert (scores["micro_f1"], scores["macro_f1"], scores["accuracy"]) == (1, 1, 1)
    assert 0 < scores["threshold"] < 1


@pytest.mark.parametrize(
    "head", ["bilstm(hidden=8, dropout=0.0)", "cnn_tagger(filters=8, dropout=0.0)"]
)
def test_tags_that_depend_on_the_neighbours_are_learned(head):
    """`x` is an entity after `the`, as is each `x` that follows it; alone it is not."""
    rng = np.random.default_rng(0)
    texts, labels = [[]], [[]]
    for _ in range(40):
        words = rng.choice(["the", "x", "go"], rng.integers(1, 7)).tolist()
        tags: list[str] = []
        for at, word in enumerate(words):
            before, tag = (words[at - 1], tags[at - 1]) if at else ("", "O")
            kind = "B-E" if before == "the" else "I-E" if tag == "B-E" else "O"
            tags.append(kind if word == "x" else "O")
        texts.append(words)
        labels.append(tags)
    task = inferred(texts, labels)
    assert isinstance(task, Tagging)
    scores = learned(task, texts, labels, head)
    assert (scores["entity_f1"], scores["accuracy"]) == (1, 1)


def noisy(size: int, seed: int) -> Dataset:
    """Texts that often have the label `l3` where the word `w3` is, and rarely elsewhere."""
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(5, 2, replace=False) for _ in range(size)]
    return rows(
        text=[" ".join(f"w{i}" for i in row) for row in chosen],
        label=[
            [f"l{i}" for i in range(5) if rng.random() < (0.35 if i in row else 0.02)]
            for row in chosen
        ],
    )


def test_the_threshold_of_a_run_is_the_best_on_validation_and_used_everywhere(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    table = fe.EmbeddingTable([f"w{i}" for i in range(5)], vectors)
    data = DatasetDict(train=noisy(300, 0), validation=noisy(100, 1), test=noisy(100, 2))
    run = fe.finetune(table, data, epochs=8, lr=0.05, output_dir=tmp_path)
    assert isinstance(run.task, MultiLabel)
    threshold = run.task.threshold
    assert threshold < 0.4  # at 0.5 almost nothing would be found
    assert run.config["threshold"] == run.metrics["validation"]["threshold"] == threshold

    def f1(split: str, at: float) -> float:
        found = run.predict_proba(data[split]["text"]).numpy().astype(float) >= at
        true = [[name in given for name in run.labels] for given in data[split]["label"]]
        return float(f1_score(np.array(true), found, average="micro", zero_division=0))

    best = max(f1("validation", at) for at in np.linspace(0.01, 0.99, 197))
    assert run.metrics["validation"]["micro_f1"] >= best - 1e-9
    for split in ("validation", "test"):
        assert run.metrics[split]["micro_f1"] == pytest.approx(f1(split, threshold), abs=1e-9)
    loaded = fe.load(tmp_path)
    record = json.loads((tmp_path / "record.json").read_text())
    (tmp_path / "record.json").write_text(json.dumps(record | {"threshold": threshold / 2}))
    with pytest.raises(
        fe.DataError, match=r"metrics.json: .* damaged: it has another threshold than record.json"
    ):
        fe.load(tmp_path)
    texts = data["test"]["text"][:20]
    assert loaded.task == run.task
    chances = run.predict_proba(texts).double().tolist()
    assert loaded.predict(texts) == run.predict(texts) == [
        [name for name, chance in zip(run.labels, row, strict=True) if chance >= threshold]
        for row in chances
    ]  # fmt: skip
    assert all(record["validation_threshold"] != 0.5 for record in run.history)


@pytest.mark.parametrize("kind", [int, float, bool])
def test_a_number_for_each_label_is_not_a_list_of_labels(kind):
    hot = [[kind(i == 0), kind(i == 1), kind(i == 2)] for i in (0, 1, 2, 3)]
    splits = splits_of(rows(text=["a", "b", "c", "d"], label=hot))
    for name in (None, "multi_label"):
        with pytest.raises(
            fe.DataError, match=r"look like a 0 or 1 for each of 3 labels; .*zip\(names"
        ):
            task_of(name, splits, "text", "label")
    sets = splits_of(rows(text=["a", "b"], label=[[0, 1], [1, 0]]))  # both of both
    assert task_of("multi_label", sets, "text", "label").labels == [0, 1]
    with pytest.raises(fe.DataError, match=r"it marks one of 2 labels; .*\.index\(1\)"):
        task_of(None, sets, "text", "label")


def test_held_out_texts_without_words_cannot_be_tagged():
    words, tags = [["a", "b"], ["b"]] * 4, [["x", "y"], ["y"]] * 4
    table = fe.EmbeddingTable(["a", "b"], np.eye(2, dtype=np.float32))
    empty = Dataset.from_dict(
        {"text": [[], []], "label": [[], []]}, features=rows(text=words, label=tags).features
    )
    data = DatasetDict(train=rows(text=words, label=tags), validation=empty)
    with pytest.raises(fe.DataError, match=r"\(validation\): all 2 texts are empty"):
        fe.finetune(table, data, head="bilstm")


def test_lists_of_labels_where_training_has_single_ones():
    train = rows(text=["a", "b"], label=["x", "y"])
    lists = rows(text=["a"], label=[["x"]])
    with pytest.raises(fe.DataError, match=r"1 of 1 examples have a label that .*\['x'\]"):
        SingleLabel(["x", "y"]).targets(lists, "label", "here", ["a"])
    assert task_of(None, splits_of(train), "text", "label").labels == ["x", "y"]
