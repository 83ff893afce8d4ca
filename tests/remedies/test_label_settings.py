"""The remedies of settings about labels, losses and scores are followed."""

from __future__ import annotations

from typing import Any

import pytest
from datasets import Dataset
from following import follows
from torch.nn import functional

import finetune_embed as fe
from finetune_embed import DataError

ROWS = {"text": ["a king", "the queen"] * 10, "label": ["x", "y"] * 10}
DATA = Dataset.from_dict(ROWS)


@pytest.fixture
def tune(table):
    """Runs `finetune` on the table and the data, unless others are given."""

    def run(dataset: Any = DATA, **settings: Any) -> fe.Run:
        return fe.finetune(table, dataset, **{"epochs": 1, "batch_size": 4, **settings})

    return run


@pytest.mark.parametrize("given", [{"class_weight": "balanced"}, {"label_smoothing": 0.1}])
@follows("training/resolve.py", "is about the loss of the task")
def test_weights_beside_another_loss(tune, given):
    (name,) = given
    with pytest.raises(DataError, match=f"another; leave {name} out, or loss_fn$"):
        tune(**given, loss_fn=functional.cross_entropy)
    assert tune(**given)
    assert tune(loss_fn=functional.cross_entropy)


@follows("training/task_settings.py", "weighs labels of which a text has one")
def test_weights_of_several_labels(tune):
    data = Dataset.from_dict({**ROWS, "label": [["x"], ["x", "y"]] * 10})
    with pytest.raises(DataError, match=r"on validation instead; leave class_weight out$"):
        tune(data, class_weight="balanced")
    assert tune(data)


@follows("training/task_settings.py", "counts all training labels")
def test_weights_of_streamed_labels(tune):
    data = {"train": DATA.to_iterable_dataset(), "validation": DATA}
    with pytest.raises(DataError) as caught:
        tune(data, class_weight="balanced")
    given = "class_weight={'x': 1.0, 'y': 1.0}"
    assert str(caught.value).endswith(f"; pass the weights of labels, such as {given}")
    assert tune(data, class_weight={"x": 1.0, "y": 1.0}).task.weights == (1, 1)


def test_a_weight_of_no_label(tune):
    with pytest.raises(DataError, match=r"has 'X', which is not among the 2 training labels: x, y"):
        tune(class_weight={"X": 2})
    assert tune(class_weight={"x": 2})


@follows("training/tasks/registry.py", "is not a score of")
def test_a_score_of_another_task(tune):
    with pytest.raises(DataError) as caught:
        tune(metric="entity_f1")
    message = str(caught.value)
    start = (
        "metric='entity_f1' is not a score of task='single_label' with these labels; use one of "
    )
    assert message.startswith(start)
    names = message.removeprefix(start).split(", ")
    assert len(names) == 6
    for name in names:
        assert tune(metric=name).task.metric == name


@follows("comparison/compare.py", "is not the sum of what single texts add")
def test_comparing_by_a_score_without_parts(table):
    given = {"epochs": 1, "seeds": 1, "budget": 1, "batch_size": 4}
    with pytest.raises(DataError) as caught:
        fe.compare(["FullTune"], table, DATA, metric="macro_f1", **given)
    names = "metric='accuracy', metric='micro_f1', metric='entity_f1'"
    assert str(caught.value).endswith(f"; compare by {names}, or leave metric out")
    with pytest.raises(DataError, match="run finetune with each strategy, and compare their test"):
        fe.compare(["FullTune"], table, DATA, metric="mse", **given)
    assert fe.compare(["FullTune"], table, DATA, metric="accuracy", **given)
    assert fe.compare(["FullTune"], table, DATA, **given).metric == "accuracy"
