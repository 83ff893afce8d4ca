"""Law 3: other libraries' trainers give the table of a loop by hand, bit for bit."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.strategies import STRATEGIES as KNOWN
from finetune_embed.strategies import parts_of

V, D, EPOCHS = 20, 4, 4
WORDS = [f"word{i}" for i in range(V)]
STRATEGIES = [
    fe.Freeze(),
    fe.FullTune(),
    fe.UnfreezeAfter(epochs=2),
    fe.UnfreezeAfter(steps=4),
    fe.UnfreezeAfter(fraction=0.3),
    fe.UnfreezeOnPlateau(min_delta=10.0),
    fe.HeadFirst(patience=1, rate_after=0.5),
    fe.GradualUnfreeze(),
    fe.GradualUnfreeze(by="frequency", bands=2),
    fe.ChainThaw(),
    fe.DiscriminativeLR(embedding=0.3, parts={"output": 2.0}),
    fe.RampUp(steps=5) | fe.UnfreezeAfter(steps=3),
    fe.RampUp(epochs=2) | fe.UnfreezeAfter(epochs=1),
    fe.FrequencyLR(),
    fe.TrainRows(top=8),
    fe.TrainRows(oov=True),
    fe.LockRows({"word0": 0.0, "word1": 0.5}),
    fe.L2SP(2.0),
    fe.DeltaShrink(0.2),
    fe.TrustRegion(0.1),
    fe.MaxNorm(1.5),
]


class Model(nn.Module):
    """A bag of embeddings with the interface of a model for `transformers.Trainer`."""

    def __init__(self, strategy: fe.Strategy, *, sparse: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        table = fe.EmbeddingTable(WORDS[:15], rng.standard_normal((15, D)))
        vocab = fe.Vocabulary({word: 2 * (V - i) for i, word in enumerate(WORDS)})
        self.embedding = fe.to_embedding(table, vocab, sparse=sparse)
        self.hidden, self.output = nn.Linear(D, D), nn.Linear(D, 2)
        self.groups = strategy.param_groups(
            self, self.embedding, lr=0.05, weight_decay=0.01, vocab=vocab
        )

    def forward(self, ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        units = torch.relu(self.hidden(self.embedding(ids).mean(1)))
        logits = self.output(units)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def batches(seed: int, count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        {
            "ids": torch.randint(1, V + 2, (4, 3), generator=generator),
            "labels": torch.randint(0, 2, (4,), generator=generator),
        }
        for _ in range(count)
    ]


TRAIN, HELD_OUT = batches(1, 3), batches(2, 1)


def by_hand(strategy: fe.Strategy, *, sparse: bool, accelerator: Any = None) -> Model:
    """Tune in a custom loop; with Accelerate, if it is given."""
    model = Model(strategy, sparse=sparse)
    optimizer: Any = fe.RowAdamW(model.groups)
    called, stepper, loader, backward = model, optimizer, TRAIN, torch.Tensor.backward
    if accelerator is not None:
        loader = torch.utils.data.DataLoader(TRAIN, batch_size=None)
        called, stepper, loader = accelerator.prepare(model, optimizer, loader)
        backward = accelerator.backward
    step, scores = 0, []
    for epoch in range(EPOCHS):
        given: dict[str, Any] = {"model": model, "scores": scores}
        if strategy.timing == "epoch":
            strategy.on_epoch_start(model.embedding, epoch, **given)
        for batch in loader:
            if strategy.timing == "step":
                total = EPOCHS * len(TRAIN)
                strategy.on_step_start(
                    model.embedding, step, epoch=epoch, total_steps=total, **given
                )
            stepper.zero_grad()
            backward(called(**batch)["loss"])
            stepper.step()
            step += 1
        optimizer.flush()
        with torch.no_grad():
            scores.append({"validation_loss": model(**HELD_OUT[0])["loss"].item()})
    return model


def same_bits(one: nn.Module, other: nn.Module) -> None:
    for (name, a), (_, b) in zip(one.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(a.view(torch.int32), b.view(torch.int32)), name


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries warn about workers and the like
        yield
    torch.set_num_threads(threads)


def with_transformers(
    strategy: fe.Strategy, folder: Path, model: Model | None = None, **options: Any
) -> Model:
    from transformers import Trainer, TrainingArguments

    from finetune_embed.integrations.transformers import StrategyCallback

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> torch.utils.data.Sampler[int]:
            return torch.utils.data.SequentialSampler(TRAIN)

    model = model or Model(strategy, sparse=False)
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": EPOCHS,
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
        TrainingArguments(**settings | options),
        data_collator=lambda examples: examples[0],
        train_dataset=TRAIN,
        eval_dataset=HELD_OUT,
        optimizers=(fe.RowAdamW(model.groups), None),
        callbacks=[StrategyCallback(strategy, model.embedding)],
    )
    trainer.train()
    return model


#: Options of a Lightning trainer that writes and shows nothing.
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def with_lightning(strategy: fe.Strategy, model: Model | None = None, **options: Any) -> Model:
    from lightning.pytorch import LightningModule, Trainer

    from finetune_embed.integrations.lightning import StrategyCallback

    class Module(LightningModule):
        def __init__(self, model: Model) -> None:
            super().__init__()
            self.embedding, self.hidden, self.output = model.embedding, model.hidden, model.output
            self.model = [model]

        def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
            return self.model[0](**batch)["loss"]

        def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
            self.log("val_loss", self.model[0](**batch)["loss"], batch_size=4)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return fe.RowAdamW(self.model[0].groups)

    model = model or Model(strategy, sparse=True)
    settings: dict[str, Any] = {
        **QUIET,
        "max_epochs": EPOCHS,
        "num_sanity_val_steps": 1,
        "callbacks": [StrategyCallback(strategy, model.embedding)],
    }
    loaders = [torch.utils.data.DataLoader(part, batch_size=None) for part in (TRAIN, HELD_OUT)]
    Trainer(**settings | options).fit(Module(model), *loaders)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_law3_every_trainer_gives_the_table_of_a_loop_by_hand(strategy, tmp_path):
    from accelerate import Accelerator

    same_bits(by_hand(strategy, sparse=False), with_transformers(strategy, tmp_path))
    expected = by_hand(strategy, sparse=True)
    same_bits(expected, with_lightning(strategy))
    same_bits(expected, by_hand(strategy, sparse=True, accelerator=Accelerator(cpu=True)))


def test_every_strategy_is_driven():
    driven = {type(part).__name__ for strategy in STRATEGIES for part in parts_of(strategy)}
    assert driven == set(KNOWN)


@pytest.mark.slow
def test_sparse_gradients_that_a_trainer_can_not_clip_are_errors(tmp_path):
    with pytest.raises(
        fe.StrategyError, match=r"; make the table without sparse=True: to_embedding\("
    ):
        with_transformers(fe.FullTune(), tmp_path, Model(fe.FullTune(), sparse=True))
    message = r"can't clip the sparse gradient .*; .*RowAdamW\(groups, max_grad_norm=1.0\)"
    with pytest.raises(fe.StrategyError, match=message):
        with_lightning(fe.FullTune(), gradient_clip_val=1.0)


@pytest.mark.parametrize("kind", ["transformers", "lightning"])
def test_an_optimizer_without_the_table_is_an_error(kind, tmp_path):
    model = Model(fe.FullTune(), sparse=kind == "lightning")
    model.groups = [group for group in model.groups if group["name"] != "embedding"]
    drive = {
        "transformers": lambda: with_transformers(fe.FullTune(), tmp_path, model),
        "lightning": lambda: with_lightning(fe.FullTune(), model),
    }
    with pytest.raises(fe.StrategyError, match="is in none of the optimizer's 2 groups"):
        drive[kind]()


def after_two_steps_and_flush(*, sparse: bool) -> Model:
    model = Model(fe.L2SP(2.0), sparse=sparse)
    optimizer = fe.RowAdamW(model.groups)
    fe.L2SP(2.0).on_epoch_start(model.embedding, 0, model=model)
    for batch in TRAIN[:2]:
        optimizer.zero_grad()
        model(**batch)["loss"].backward()
        optimizer.step()
    owing = model.embedding.weight.detach().clone()
    optimizer.flush()
    assert not torch.equal(owing, model.embedding.weight)
    return model


def test_a_checkpoint_of_transformers_in_mid_epoch_owes_no_decay(tmp_path):
    from safetensors.torch import load_file

    options = {"save_strategy": "steps", "save_steps": 2, "num_train_epochs": 1}
    with_transformers(fe.L2SP(2.0), tmp_path, **options)
    saved = load_file(tmp_path / "checkpoint-2" / "model.safetensors")
    expected = after_two_steps_and_flush(sparse=False)
    assert torch.equal(saved["embedding.weight"], expected.embedding.weight)


def test_a_checkpoint_of_lightning_in_mid_epoch_owes_no_decay(tmp_path):
    from lightning.pytorch.callbacks import ModelCheckpoint

    from finetune_embed.integrations.lightning import StrategyCallback

    strategy = fe.L2SP(2.0)
    model = Model(strategy, sparse=True)
    keep = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=2, save_top_k=-1)
    callbacks = [StrategyCallback(strategy, model.embedding), keep]
    with_lightning(strategy, model, max_epochs=1, enable_checkpointing=True, callbacks=callbacks)
    saved = torch.load(tmp_path / "step=2.ckpt", weights_only=True)
    expected = after_two_steps_and_flush(sparse=True)
    assert torch.equal(saved["state_dict"]["embedding.weight"], expected.embedding.weight)
    state = saved["optimizer_states"][0]["state"]
    (table,) = [entries for entries in state.values() if "decay_seen" in entries]
    assert torch.equal(table["decay_seen"], table["log_decay"].expand_as(table["decay_seen"]))


@pytest.mark.parametrize(
    "strategy", [fe.L2SP(2.0), fe.DeltaShrink(0.2), fe.TrustRegion(0.1)], ids=str
)
def test_a_resumed_fit_of_lightning_measures_from_the_start(strategy, tmp_path):
    """Lightning loads a checkpoint before it makes the optimizer, whose groups set the anchors."""
    from lightning.pytorch import LightningModule, Trainer

    from finetune_embed.integrations.lightning import StrategyCallback

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Model(fe.FullTune(), sparse=True)

        def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
            return self.inner(**batch)["loss"]

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return fe.RowAdamW(strategy.param_groups(self, self.inner.embedding, lr=0.05))

    def fit(epochs: int, path: Path | None = None) -> tuple[Module, Trainer]:
        module = Module()
        trainer = Trainer(
            max_epochs=epochs,
            **QUIET,
            callbacks=[StrategyCallback(strategy, module.inner.embedding)],
        )
        loader = torch.utils.data.DataLoader(TRAIN, batch_size=None)
        trainer.fit(module, loader, ckpt_path=path, weights_only=False)
        return module, trainer

    _, trainer = fit(2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    resumed, uninterrupted = fit(4, tmp_path / "two.ckpt")[0], fit(4)[0]
    same_bits(resumed, uninterrupted)
    anchor = resumed.inner.embedding.weight.row_rule.anchor
    assert torch.equal(anchor, Model(strategy, sparse=True).embedding.weight)
    assert not hasattr(resumed.inner.embedding.weight, "row_start")


class Endless(torch.utils.data.IterableDataset):
    """The batches in their order, without a length."""

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        return iter(TRAIN)


def test_lightning_without_a_known_number_of_steps():
    from lightning.pytorch import LightningModule, Trainer

    from finetune_embed.integrations.lightning import StrategyCallback

    def fit(strategy: fe.Strategy, **options: Any) -> list[bool]:
        model, opened = Model(strategy, sparse=True), []

        class Module(LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.inner = model

            def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
                opened.append(model.embedding.weight.requires_grad)
                if len(opened) == 8:
                    self.trainer.should_stop = True
                return model(**batch)["loss"]

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return fe.RowAdamW(model.groups)

        Trainer(
            **QUIET,
            callbacks=[StrategyCallback(strategy, model.embedding)],
            **options,
        ).fit(Module(), torch.utils.data.DataLoader(Endless(), batch_size=None))
        return opened

    for options in ({"max_epochs": 2}, {"max_epochs": -1}):
        opened = fit(fe.UnfreezeAfter(steps=4), **options)
        assert opened[:6] == [False] * 4 + [True] * 2
        with pytest.raises(fe.StrategyError, match="needs the number of all steps"):
            fit(fe.UnfreezeAfter(fraction=0.5), **options)


def test_lightning_keeps_one_record_per_epoch_of_training():
    from finetune_embed.integrations.lightning import StrategyCallback

    strategy = fe.UnfreezeOnPlateau(min_delta=10.0)
    model = Model(strategy, sparse=True)
    callback = StrategyCallback(strategy, model.embedding)
    expected = by_hand(strategy, sparse=True)
    given = with_lightning(strategy, model, callbacks=[callback], val_check_interval=1)
    same_bits(expected, given)
    state = callback.state_dict()
    assert list(state["scores"]) == list(range(EPOCHS))
    for fn, sanity in (("validate", False), ("fit", True)):
        other: Any = SimpleNamespace(state=SimpleNamespace(fn=fn), sanity_checking=sanity)
        callback.on_validation_epoch_end(other, other)
    assert len(callback.state_dict()["scores"]) == EPOCHS


def test_lightning_may_have_an_optimizer_of_other_parts():
    from finetune_embed.integrations.lightning import StrategyCallback

    model = Model(fe.FullTune(), sparse=True)
    critic = torch.optim.AdamW(nn.Linear(2, 2).parameters())
    callback = StrategyCallback(fe.FullTune(), model.embedding)
    trainer: Any = SimpleNamespace(
        optimizers=[fe.RowAdamW(model.groups), critic],
        gradient_clip_val=None,
        check_val_every_n_epoch=1,
        max_epochs=1,
    )
    callback.on_fit_start(trainer, trainer)
    trainer.optimizers.pop(0)
    with pytest.raises(fe.StrategyError, match="is in none of the optimizer's 1 groups"):
        callback.on_fit_start(trainer, trainer)


@pytest.mark.slow
def test_epochs_of_transformers_over_data_without_a_length(tmp_path):
    from transformers import Trainer, TrainingArguments

    from finetune_embed.integrations.transformers import StrategyCallback

    strategy = fe.UnfreezeAfter(epochs=2)
    model, opened = Model(strategy, sparse=False), []

    class Watching(StrategyCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            super().on_step_end(args, state, control, **given)
            opened.append(self.embedding.weight.requires_grad)

    def trainer() -> Trainer:
        settings: dict[str, Any] = {
            "max_steps": 4 * len(TRAIN),
            "per_device_train_batch_size": 1,
            "lr_scheduler_type": "constant",
            "save_steps": 7,
            "report_to": [],
            "use_cpu": True,
            "disable_tqdm": True,
            "remove_unused_columns": False,
        }
        return Trainer(
            model,
            TrainingArguments(str(tmp_path), **settings),
            data_collator=lambda examples: examples[0],
            train_dataset=Endless(),
            optimizers=(fe.RowAdamW(model.groups), None),
            callbacks=[Watching(strategy, model.embedding)],
        )

    trainer().train()
    assert opened == [False] * 2 * len(TRAIN) + [True] * 2 * len(TRAIN)
    with pytest.raises(fe.StrategyError, match=r"; use a strategy that counts steps, such as Unfr"):
        trainer().train(resume_from_checkpoint=str(tmp_path / "checkpoint-7"))
    strategy = fe.L2SP(1.0) | fe.TrainRows(oov=True)  # which do not depend on epochs
    model, done = Model(strategy, sparse=False), len(opened)
    trainer().train(resume_from_checkpoint=str(tmp_path / "checkpoint-7"))
    assert len(opened) - done == 4 * len(TRAIN) - 7


def test_missing_scores_are_an_error_before_training(tmp_path):
    strategy = fe.L2SP() | fe.UnfreezeOnPlateau()
    with pytest.raises(fe.StrategyError, match=r"there will be none; .*eval_strategy='epoch'"):
        with_transformers(strategy, tmp_path, eval_strategy="no")
    with pytest.raises(
        fe.StrategyError, match=r"there will be none; add a validation_step .*trainer.fit\("
    ):
        with_lightning(strategy, limit_val_batches=0)


def test_a_table_stays_shut_until_late_scores_come(tmp_path):
    strategy = fe.UnfreezeOnPlateau(min_delta=10.0)
    start = Model(strategy, sparse=False).embedding.weight
    tuned = with_transformers(strategy, tmp_path, eval_delay=2, num_train_epochs=6)
    assert not torch.equal(tuned.embedding.weight, start)
    tuned = with_lightning(strategy, check_val_every_n_epoch=2, max_epochs=6)
    assert not torch.equal(tuned.embedding.weight, start)
