"""The clock and the records of other trainers are those of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_drivers import HELD_OUT, QUIET, TRAIN, Model, _quiet, same_bits  # noqa: F401

import finetune_embed as fe

#: These open the table after this many epochs with one record each, none of which is better by 10.
PLATEAUS = [
    (fe.UnfreezeOnPlateau(min_delta=10.0), 2),
    (fe.UnfreezeOnPlateau(patience=3, min_delta=10.0), 4),
    (fe.UnfreezeOnPlateau(patience=2, metric="a_loss", min_delta=10.0), 3),
]


class Watched(Model):
    """Notes in each forward pass of training whether the table is open, and at which share."""

    def __init__(self, strategy: fe.Strategy, *, sparse: bool) -> None:
        super().__init__(strategy, sparse=sparse)
        self.seen: list[float] = []

    def forward(self, ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.training:
            weight = self.embedding.weight
            self.seen.append(weight.row_gate if weight.requires_grad else 0.0)
        return super().forward(ids, labels)


# --- transformers ---------------------------------------------------------------------------------


class Endless(torch.utils.data.IterableDataset):
    """The batches in their order, without a length."""

    def __iter__(self) -> Any:
        return iter(TRAIN)


def hugging(
    strategy: fe.Strategy,
    folder: Path,
    *,
    train: Any = TRAIN,
    evaluated: Any = HELD_OUT,
    resume: str | None = None,
    more: Any = (),
    **options: Any,
) -> Watched:
    from transformers import Trainer, TrainingArguments

    from finetune_embed.integrations.transformers import StrategyCallback

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(TRAIN)

    model = Watched(strategy, sparse=False)
    settings: dict[str, Any] = {
        "num_train_epochs": 6,
        "per_device_train_batch_size": 1,
        "per_device_eval_batch_size": 1,
        "lr_scheduler_type": "constant",
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "max_grad_norm": 0,
    }
    trainer = InOrder(
        model,
        TrainingArguments(str(folder), **settings | options),
        data_collator=lambda examples: examples[0],
        train_dataset=train,
        eval_dataset=evaluated,
        optimizers=(fe.RowAdamW(model.groups), None),
        callbacks=[StrategyCallback(strategy, model.embedding), *more],
    )
    trainer.train(resume_from_checkpoint=resume)
    return model


TWO_SETS = {"a": HELD_OUT, "b": HELD_OUT * 2}
EVALUATIONS: dict[str, dict[str, Any]] = {
    "once an epoch": {},
    "every step": {"eval_strategy": "steps", "eval_steps": 1},
    "every other step": {"eval_strategy": "steps", "eval_steps": 2},
    "before the start": {"eval_on_start": True},
    "every step and before": {"eval_strategy": "steps", "eval_steps": 1, "eval_on_start": True},
    "a third of the run": {"eval_strategy": "steps", "eval_steps": 1 / 18},
    "with fewer steps": {"gradient_accumulation_steps": 2},
    "with one step": {"gradient_accumulation_steps": 3, "eval_strategy": "steps", "eval_steps": 1},
    "by steps": {"max_steps": 18, "num_train_epochs": 1, "eval_strategy": "steps", "eval_steps": 1},
}


@pytest.mark.parametrize("sets", ["one", "two"])
@pytest.mark.parametrize("how", EVALUATIONS)
def test_a_plateau_counts_one_record_an_epoch_of_transformers(how, sets, tmp_path):
    strategy, opens = PLATEAUS[2 if sets == "two" else 1]
    evaluated = TWO_SETS if sets == "two" else HELD_OUT
    model = hugging(strategy, tmp_path, evaluated=evaluated, **EVALUATIONS[how])
    assert model.seen == [0.0] * 3 * opens + [1.0] * 3 * (6 - opens)


@pytest.mark.parametrize("how", ["every step", "before the start"])
def test_head_first_counts_one_record_an_epoch_of_transformers(how, tmp_path):
    """The bits are those of one evaluation an epoch, and a loss that stops falling decides."""
    strategy = fe.HeadFirst(patience=1, rate_after=0.5)
    expected = hugging(strategy, tmp_path)
    given = hugging(strategy, tmp_path, **EVALUATIONS[how])
    assert given.seen == expected.seen
    same_bits(given, expected)


@pytest.mark.parametrize("how", ["every step", "before the start", "every step and before"])
@pytest.mark.parametrize("strategy", [fe.UnfreezeOnPlateau(), fe.HeadFirst(patience=1)], ids=str)
def test_the_last_record_of_an_epoch_counts(strategy, how, tmp_path, monkeypatch):
    """At the ends of epochs the loss falls until the third; in between, it is high or low."""
    ends = [1.0, 0.9, 0.8, 0.8, 0.7, 0.7]
    losses = [loss for end in ends for loss in ((5.0, 0.1, end) if "step" in how else (end,))]
    losses[:0] = [0.2] if "before" in how else []
    original = Watched.forward

    def forward(self: Watched, ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        given = original(self, ids, labels)
        return given if self.training else given | {"loss": torch.tensor(losses.pop(0))}

    monkeypatch.setattr(Watched, "forward", forward)
    model = hugging(strategy, tmp_path, **EVALUATIONS[how])
    assert losses == []
    share = 0.1 if isinstance(strategy, fe.HeadFirst) else 1.0
    assert model.seen == [0.0] * 12 + [share] * 6


@pytest.mark.parametrize("how", ["every step", "before the start", "every step and before"])
def test_a_plateau_in_data_without_a_length(how, tmp_path):
    strategy, opens = PLATEAUS[0]
    options = {**EVALUATIONS[how], "max_steps": 18}
    model = hugging(strategy, tmp_path, train=Endless(), **options)
    assert model.seen == [0.0] * 3 * opens + [1.0] * 3 * (6 - opens)


@pytest.mark.parametrize(
    ("how", "at"),
    [("once an epoch", 8), ("every step", 3), ("every step and before", 7), ("with one step", 3)],
)
def test_a_resumed_trainer_counts_the_records_before(at, how, tmp_path):
    strategy, opens = PLATEAUS[1]
    options = {**EVALUATIONS[how], "save_strategy": "steps", "save_steps": at}
    expected = hugging(strategy, tmp_path, **options)
    assert expected.seen == [0.0] * 3 * opens + [1.0] * 3 * (6 - opens)
    given = hugging(strategy, tmp_path, resume=str(tmp_path / f"checkpoint-{at}"), **options)
    left = 18 - at * options.get("gradient_accumulation_steps", 1)
    assert given.seen[-left:] == expected.seen[-left:]
    same_bits(given, expected)


def test_a_checkpoint_saved_before_the_record_of_its_epoch_can_not_be_resumed(tmp_path):
    """`Trainer` saves by steps before it evaluates by epochs, and then skips the evaluation."""
    strategy, options = PLATEAUS[1][0], {"save_strategy": "steps", "save_steps": 6}
    hugging(strategy, tmp_path, **options)
    with pytest.raises(
        fe.StrategyError, match=r"score of epoch 2, which .*save_strategy='epoch'\)"
    ):
        hugging(strategy, tmp_path, resume=str(tmp_path / "checkpoint-6"), **options)
    hugging(strategy, tmp_path, save_strategy="epoch")
    hugging(strategy, tmp_path, resume=str(tmp_path / "checkpoint-6"), save_strategy="epoch")


@pytest.mark.parametrize(
    ("options", "opens"),
    [
        ({"eval_strategy": "steps", "eval_steps": 6}, 4),
        ({"eval_strategy": "steps", "eval_steps": 4}, 3),
        ({"eval_delay": 2}, 3),
        ({"eval_strategy": "steps", "eval_steps": 1, "eval_delay": 7}, 4),
        ({"eval_strategy": "steps", "eval_steps": 18, "eval_on_start": True}, 6),
    ],
    ids=str,
)
def test_an_epoch_without_evaluation_does_not_count(options, opens, tmp_path):
    """The first record is an improvement, the second none."""
    model = hugging(PLATEAUS[0][0], tmp_path, **options)
    assert model.seen == [0.0] * 3 * opens + [1.0] * 3 * (6 - opens)


@pytest.mark.parametrize(
    "options",
    [
        {"eval_strategy": "steps", "eval_steps": 19},
        {"eval_strategy": "steps", "eval_steps": 100, "eval_on_start": True},
        {"eval_delay": 7},
        {"eval_strategy": "steps", "eval_steps": 1, "eval_delay": 19},
        {"eval_strategy": "steps", "eval_steps": 7, "gradient_accumulation_steps": 3},
    ],
    ids=str,
)
def test_no_evaluation_at_all_is_an_error_of_transformers(options, tmp_path):
    with pytest.raises(fe.StrategyError, match="needs validation scores, and there will be none"):
        hugging(PLATEAUS[0][0], tmp_path, **options)


def test_a_metric_that_no_set_has_names_those_that_there_are(tmp_path):
    with pytest.raises(fe.StrategyError, match=r"'eval_a_loss', .*, 'eval_b_loss', .*no 'loss'"):
        hugging(fe.UnfreezeOnPlateau(), tmp_path, evaluated=TWO_SETS)


STEPS = [
    (fe.UnfreezeAfter(steps=4), [0.0] * 4 + [1.0] * 5),
    (fe.UnfreezeAfter(fraction=0.5), [0.0] * 5 + [1.0] * 4),
    (fe.RampUp(steps=3), [0.25, 0.5, 0.75] + [1.0] * 6),
    (fe.UnfreezeAfter(steps=2) | fe.RampUp(steps=2), [0.0] * 2 + [1 / 3, 2 / 3] + [1.0] * 5),
    (fe.UnfreezeAfter(fraction=0.4) | fe.RampUp(steps=1), [0.0] * 4 + [0.5] + [1.0] * 4),
]


@pytest.mark.parametrize(("strategy", "gates"), STEPS, ids=str)
@pytest.mark.parametrize("accumulated", [1, 3])
def test_steps_of_transformers_are_those_of_the_optimizer(strategy, gates, accumulated, tmp_path):
    model = hugging(
        strategy,
        tmp_path,
        num_train_epochs=3 * accumulated,
        gradient_accumulation_steps=accumulated,
        eval_strategy="no",
    )
    assert model.seen == pytest.approx([gate for gate in gates for _ in range(accumulated)])


# --- Lightning ------------------------------------------------------------------------------------

#: How often each of two optimizers steps: of the table, and of the critic.
PATTERNS: dict[str, tuple[Any, Any]] = {
    "alone": (lambda i: 1, lambda i: 0),
    "in turn": (lambda i: 1, lambda i: 1),
    "critic five times": (lambda i: 1, lambda i: 5),
    "table every other": (lambda i: i % 2, lambda i: 1),
    "table every third": (lambda i: int(i % 3 == 2), lambda i: 1),
    "table every third, first": (lambda i: int(i % 3 == 0), lambda i: 2),
    "table twice": (lambda i: 2, lambda i: 1),
    "table late": (lambda i: int(i >= 10), lambda i: 1),
}


def lightning(
    strategy: fe.Strategy,
    pattern: str,
    *,
    epochs: int = 3,
    path: Path | None = None,
    order: int = 1,
    **options: Any,
) -> tuple[Watched, list[float], Any]:
    """Train with two optimizers; return the gate of each step of the table's, and the trainer."""
    from lightning.pytorch import LightningModule, Trainer

    from finetune_embed.integrations.lightning import StrategyCallback

    model, gates = Watched(strategy, sparse=True), []
    table_steps, critic_steps = PATTERNS[pattern]

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.inner, self.critic = model, torch.nn.Linear(2, 1)

        def training_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
            table, critic = self.optimizers()[::order]
            index = self.trainer.fit_loop.epoch_loop.total_batch_idx
            for _ in range(critic_steps(index)):
                critic.zero_grad()
                self.manual_backward(self.critic(torch.ones(1, 2)).sum())
                critic.step()
            for _ in range(table_steps(index)):
                table.zero_grad()
                self.manual_backward(model(**batch)["loss"])
                table.step()
                gates.append(model.seen[-1])

        def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
            self.log("val_loss", model(**batch)["loss"], batch_size=4)

        def configure_optimizers(self) -> list[torch.optim.Optimizer]:
            groups = strategy.param_groups(model, model.embedding, lr=0.05)
            made = [fe.RowAdamW(groups), torch.optim.SGD(self.critic.parameters(), lr=0.1)]
            return made[::order]

    loaders = [torch.utils.data.DataLoader(part, batch_size=None) for part in (TRAIN, HELD_OUT)]
    trainer = Trainer(
        **QUIET | {"max_epochs": epochs} | options,
        callbacks=[StrategyCallback(strategy, model.embedding)],
    )
    trainer.fit(Module(), *loaders, ckpt_path=path, weights_only=False)
    return model, gates, trainer


def gates_of(strategy: fe.Strategy, steps: int) -> list[float]:
    """Return the gate of each step of a run of the table's optimizer alone."""
    return [
        strategy.gate("embedding", fe.Clock(step=step, total_steps=steps)) for step in range(steps)
    ]


#: Where the share of the batches is another than that of the steps.
BY_BATCHES = {
    ("table every other", str(STEPS[1][0])): [0.0] * 4 + [1.0] * 5,
    ("table every third", str(STEPS[4][0])): [0.0, 0.0, 0.5, 1.0, 1.0, 1.0],
}


@pytest.mark.parametrize(
    ("fraction", "gates"),
    [
        (0.0, [1.0] * 8),
        (0.5, [0.0] + [1.0] * 7),  # the table's own first step comes before there is a share
        (0.7, [0.0] * 3 + [1.0] * 5),
        (0.9, [0.0] * 7 + [1.0]),
    ],
)
def test_a_table_of_lightning_that_starts_late_does_not_close_again(fraction, gates):
    strategy = fe.UnfreezeAfter(fraction=fraction)
    assert lightning(strategy, "table late", epochs=6)[1] == gates


@pytest.mark.parametrize("strategy", [STEPS[i][0] for i in (0, 1, 4)], ids=str)
@pytest.mark.parametrize(
    ("pattern", "order"),
    [*((name, 1) for name in PATTERNS if name != "table late"), ("critic five times", -1)],
)
def test_steps_of_lightning_are_those_of_the_tables_optimizer(strategy, pattern, order):
    """Fractions are shares of the batches; twice in a batch, both steps have the first's gate."""
    epochs = 6 if "every" in pattern else 3
    _, gates, _ = lightning(strategy, pattern, epochs=epochs, order=order)
    expected = BY_BATCHES.get((pattern, str(strategy))) or gates_of(strategy, len(gates))
    assert len(gates) == sum(map(PATTERNS[pattern][0], range(3 * epochs)))
    if pattern == "table twice":
        expected = [gate for gate in expected[::2] for _ in range(2)]
    assert gates == pytest.approx(expected)


@pytest.mark.parametrize(("pattern", "most"), [("in turn", 12), ("critic five times", 36)])
def test_the_maximum_of_steps_of_lightning_counts_all_optimizers(pattern, most):
    strategy = fe.UnfreezeAfter(fraction=0.5)
    _, gates, _ = lightning(strategy, pattern, epochs=10, max_steps=most)
    assert gates == gates_of(strategy, 6) == [0.0] * 3 + [1.0] * 3


@pytest.mark.parametrize("pattern", ["in turn", "table every other", "critic five times"])
@pytest.mark.parametrize("strategy", [STEPS[1][0], STEPS[4][0]], ids=str)
def test_a_resumed_fit_of_lightning_counts_the_steps_before(strategy, pattern, tmp_path):
    total = sum(map(PATTERNS[pattern][0], range(12)))
    _, before, stopped = lightning(strategy, pattern, epochs=2, order=-1)
    stopped.save_checkpoint(tmp_path / "stopped.ckpt")
    path = tmp_path / "stopped.ckpt"
    _, after, _ = lightning(strategy, pattern, epochs=4, order=-1, path=path)
    assert len(before) + len(after) == total
    assert after == gates_of(strategy, total)[len(before) :]


def alone(
    strategy: fe.Strategy, *, path: Path | None = None, callback: Any = None, **options: Any
) -> Watched:
    """Train with one optimizer, which Lightning steps."""
    from lightning.pytorch import LightningModule, Trainer

    from finetune_embed.integrations.lightning import StrategyCallback

    model = Watched(strategy, sparse=True)
    if callback is None:
        callback = StrategyCallback(strategy, model.embedding)
    callback.embedding = model.embedding

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
            return model(**batch)["loss"]

        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
            self.log("val_loss", model(**batch)["loss"], batch_size=4)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return fe.RowAdamW(strategy.param_groups(self, model.embedding, lr=0.05))

    loader, held_out = (
        torch.utils.data.DataLoader(part, batch_size=None) for part in (TRAIN, HELD_OUT)
    )
    loaders = loader, [held_out] * options.pop("sets", 1)
    callbacks = [callback, *options.pop("callbacks", ())]
    trainer = Trainer(**QUIET | {"max_epochs": 6} | options, callbacks=callbacks)
    trainer.fit(Module(), *loaders, ckpt_path=path, weights_only=False)
    return model


@pytest.mark.parametrize("at", [4, 7, 8])
@pytest.mark.parametrize(("strategy", "opens"), [PLATEAUS[0], (fe.UnfreezeAfter(epochs=3), 3)])
def test_a_fit_that_resumes_in_mid_epoch_keeps_the_table_frozen(strategy, opens, at, tmp_path):
    """Lightning calls no start of an epoch then, and reads the batches from the beginning."""
    from lightning.pytorch.callbacks import ModelCheckpoint

    keep = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=at, save_top_k=-1)
    whole = alone(strategy, callbacks=[keep], enable_checkpointing=True)
    assert whole.seen == [0.0] * 3 * opens + [1.0] * 3 * (6 - opens)
    assert alone(strategy, path=tmp_path / f"step={at}.ckpt").seen == whole.seen[at:]


def test_a_checkpoint_of_lightning_before_the_validation_of_its_epoch(tmp_path):
    from lightning.pytorch.callbacks import ModelCheckpoint

    strategy = PLATEAUS[1][0]
    for saved, when in (("early", {"every_n_train_steps": 6}), ("late", {"every_n_epochs": 1})):
        keep = ModelCheckpoint(tmp_path / saved, "{step}", save_top_k=-1, **when)
        whole = alone(strategy, callbacks=[keep], enable_checkpointing=True)
    with pytest.raises(fe.StrategyError, match=r"score of epoch 2, which .*every_n_epochs=1\)"):
        alone(strategy, path=tmp_path / "early" / "step=6.ckpt")
    resumed = alone(strategy, path=tmp_path / "late" / "step=6.ckpt")
    assert resumed.seen == whole.seen[6:]
    same_bits(resumed, whole)


def test_a_second_fit_with_the_same_callback_starts_anew():
    from finetune_embed.integrations.lightning import StrategyCallback

    strategy = PLATEAUS[0][0]
    callback = StrategyCallback(strategy, Watched(strategy, sparse=True).embedding)
    for _ in range(2):
        model = alone(strategy, callback=callback, max_epochs=4)
        assert model.seen == [0.0] * 6 + [1.0] * 6


@pytest.mark.parametrize("sets", [1, 2, 3])
def test_a_plateau_of_one_of_several_sets_of_lightning(sets):
    metric = "loss" if sets == 1 else f"loss/dataloader_idx_{sets - 1}"
    strategy = fe.UnfreezeOnPlateau(metric=metric, min_delta=10.0)
    assert fe.Strategy.parse(str(strategy)) == strategy
    model = alone(strategy, sets=sets, val_check_interval=2)
    assert model.seen == [0.0] * 6 + [1.0] * 12


@pytest.mark.parametrize("options", [{"check_val_every_n_epoch": 7}, {"limit_val_batches": 0}])
def test_no_validation_at_all_is_an_error_of_lightning(options):
    with pytest.raises(fe.StrategyError, match="needs validation scores, and there will be none"):
        alone(PLATEAUS[0][0], **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"val_check_interval": 1},
        {"val_check_interval": 1 / 3},
        {"num_sanity_val_steps": 0},
        {"num_sanity_val_steps": -1, "val_check_interval": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize(("strategy", "opens"), PLATEAUS[:2], ids=str)
def test_a_plateau_counts_one_record_an_epoch_of_lightning(strategy, opens, options):
    model, _, _ = lightning(strategy, "in turn", epochs=6, **options)
    assert model.seen == [0.0] * 3 * opens + [1.0] * 3 * (6 - opens)


@pytest.mark.parametrize(
    ("options", "opens"),
    [
        ({"check_val_every_n_epoch": 2}, 4),
        ({"check_val_every_n_epoch": None, "val_check_interval": 5}, 4),
        ({"check_val_every_n_epoch": 3, "num_sanity_val_steps": 2}, 6),
    ],
    ids=str,
)
def test_an_epoch_without_validation_does_not_count(options, opens):
    model, _, _ = lightning(PLATEAUS[0][0], "in turn", epochs=6, **options)
    assert model.seen == [0.0] * 3 * opens + [1.0] * 3 * (6 - opens)


def test_a_table_in_two_optimizers_of_lightning_is_an_error():
    from lightning.pytorch import LightningModule, Trainer

    from finetune_embed.integrations.lightning import StrategyCallback

    strategy = fe.UnfreezeAfter(steps=2)
    model = Watched(strategy, sparse=True)

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization, self.inner = False, model

        def training_step(self, batch: dict[str, torch.Tensor], _: int) -> None: ...

        def configure_optimizers(self) -> list[torch.optim.Optimizer]:
            groups = strategy.param_groups(model, model.embedding, lr=0.05)
            return [fe.RowAdamW(groups), fe.RowAdamW([dict(group) for group in groups])]

    loader = torch.utils.data.DataLoader(TRAIN, batch_size=None)
    with pytest.raises(fe.StrategyError, match="is in 2 optimizers, so its steps are not defined"):
        Trainer(**QUIET, max_epochs=1, callbacks=[StrategyCallback(strategy, model.embedding)]).fit(
            Module(), loader
        )


# --- both -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trainer", ["transformers", "lightning"])
@pytest.mark.parametrize("strategy", [fe.Freeze(), fe.FullTune(), fe.TrainRows(top=3)], ids=str)
def test_a_max_norm_is_refused_in_both_trainers(trainer, strategy, tmp_path, monkeypatch):
    """Here it is set after the groups were made."""
    original = Watched.__init__

    def with_max_norm(self: Watched, strategy: fe.Strategy, *, sparse: bool) -> None:
        original(self, strategy, sparse=sparse)
        self.embedding.max_norm = 0.5

    monkeypatch.setattr(Watched, "__init__", with_max_norm)
    with pytest.raises(fe.StrategyError, match=r"embedding has max_norm=0\.5"):
        hugging(strategy, tmp_path) if trainer == "transformers" else lightning(strategy, "alone")
