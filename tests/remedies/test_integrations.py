"""The remedies for trainers of other libraries are followed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from following import follows
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.errors import StrategyError

WORDS = [f"word{i}" for i in range(6)]
VOCAB = fe.Vocabulary(dict.fromkeys(WORDS, 1))
TABLE = fe.EmbeddingTable(WORDS, np.eye(6, 3, dtype=np.float32) + 1)
BATCH = {"ids": torch.tensor([[2, 3], [4, 5]]), "labels": torch.tensor([0, 1])}
PLATEAU = fe.UnfreezeOnPlateau()


class Endless(torch.utils.data.IterableDataset):
    """Batches without a length."""

    def __iter__(self) -> Any:
        return iter([BATCH] * 2)


class Model(nn.Module):
    def __init__(self, *, sparse: bool) -> None:
        super().__init__()
        self.embedding = fe.to_embedding(TABLE, VOCAB, sparse=sparse)
        self.output = nn.Linear(3, 2)

    def forward(self, ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.output(self.embedding(ids).mean(1))
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries warn about workers and the like
        yield


@pytest.fixture
def with_transformers(tmp_path):
    """Trains with `transformers.Trainer`; may resume from a checkpoint."""
    from transformers import Trainer, TrainingArguments

    from finetune_embed.integrations.transformers import StrategyCallback

    def train(
        strategy: fe.Strategy,
        *,
        sparse: bool = False,
        data: Any = (BATCH, BATCH),
        resume: str | None = None,
        **options: Any,
    ) -> None:
        model = Model(sparse=sparse)
        settings = {
            "num_train_epochs": 1,
            "per_device_train_batch_size": 1,
            "report_to": [],
            "use_cpu": True,
            "disable_tqdm": True,
            "remove_unused_columns": False,
        }
        groups = strategy.param_groups(model, model.embedding, lr=0.1)
        Trainer(
            model,
            TrainingArguments(str(tmp_path), **(settings | options)),
            data_collator=lambda examples: examples[0],
            train_dataset=data,
            eval_dataset=[BATCH],
            optimizers=(fe.RowAdamW(groups), None),
            callbacks=[StrategyCallback(strategy, model.embedding)],
        ).train(resume_from_checkpoint=resume and str(tmp_path / resume))

    return train


@pytest.mark.slow
@follows("integrations/transformers.py", "needs validation scores")
def test_transformers_without_evaluation(with_transformers):
    with pytest.raises(StrategyError, match=r"TrainingArguments\(\.\.\., eval_strategy='epoch'\)$"):
        with_transformers(PLATEAU)
    with_transformers(PLATEAU, eval_strategy="epoch")


@follows("integrations/transformers.py", "needs the score of epoch")
def test_transformers_resumed_from_before_an_evaluation(with_transformers):
    options = {"eval_strategy": "epoch", "num_train_epochs": 2}
    with_transformers(PLATEAU, save_strategy="steps", save_steps=2, **options)
    with pytest.raises(StrategyError, match=r"eval_strategy='epoch', save_strategy='epoch'\)$"):
        with_transformers(PLATEAU, resume="checkpoint-2", **options)
    with_transformers(PLATEAU, save_strategy="epoch", **options)
    with_transformers(PLATEAU, resume="checkpoint-2", **options)


@pytest.mark.slow
@follows("integrations/transformers.py", "computes the norm of all gradients")
def test_transformers_with_a_sparse_table(with_transformers):
    with pytest.raises(StrategyError, match=r"without sparse=True: to_embedding\(table, vocab\);"):
        with_transformers(fe.FullTune(), sparse=True)
    with_transformers(fe.FullTune())


@pytest.mark.slow
@follows("integrations/transformers.py", "counts epochs, and for data without a length")
def test_transformers_resumed_on_data_without_a_length(with_transformers):
    options = {"data": Endless(), "max_steps": 4, "save_steps": 2}
    for strategy, works in ((fe.UnfreezeAfter(epochs=1), False), (fe.UnfreezeAfter(steps=1), True)):
        with_transformers(strategy, **options)
        if works:
            with_transformers(strategy, resume="checkpoint-2", **options)
        else:
            with pytest.raises(StrategyError, match=r"such as UnfreezeAfter\(steps=\.\.\.\)$"):
                with_transformers(strategy, resume="checkpoint-2", **options)


def with_lightning(
    strategy: fe.Strategy,
    *,
    max_grad_norm: float | None = None,
    scores: bool = False,
    resume: Any = None,
    **options: Any,
) -> None:
    """Train with Lightning's `Trainer`, with or without validation."""
    from lightning.pytorch import LightningModule, Trainer

    from finetune_embed.integrations.lightning import StrategyCallback

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Model(sparse=True)

        def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
            return self.inner(**batch)["loss"]

        if scores:

            def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
                self.log("val_loss", self.inner(**batch)["loss"], batch_size=2)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            groups = strategy.param_groups(self, self.inner.embedding, lr=0.1)
            return fe.RowAdamW(groups, max_grad_norm=max_grad_norm)

    module = Module()
    callbacks = [StrategyCallback(strategy, module.inner.embedding), *options.pop("keep", ())]
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": len(callbacks) > 1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(callbacks=callbacks, **settings | options)
    loaders = [torch.utils.data.DataLoader([BATCH], batch_size=None) for _ in range(1 + scores)]
    trainer.fit(module, *loaders, ckpt_path=resume, weights_only=False)


@follows("integrations/lightning.py", "needs validation scores")
def test_lightning_without_validation():
    with pytest.raises(
        StrategyError, match=r"validation_loader\), with check_val_every_n_epoch=1$"
    ):
        with_lightning(PLATEAU)
    with_lightning(PLATEAU, scores=True, check_val_every_n_epoch=1)


@follows("integrations/lightning.py", "can't clip the sparse")
def test_lightning_that_clips():
    with pytest.raises(StrategyError, match=r": RowAdamW\(groups, max_grad_norm=1.0\)$"):
        with_lightning(fe.FullTune(), gradient_clip_val=1.0)
    with_lightning(fe.FullTune(), max_grad_norm=1.0)


@follows("integrations/lightning.py", "needs the score of epoch")
def test_lightning_resumed_from_before_a_validation(tmp_path):
    from lightning.pytorch.callbacks import ModelCheckpoint

    for name, when in (("early", {"every_n_train_steps": 1}), ("late", {"every_n_epochs": 1})):
        keep = ModelCheckpoint(tmp_path / name, "{step}", save_top_k=-1, **when)
        with_lightning(PLATEAU, scores=True, max_epochs=2, keep=[keep])
    options = {"scores": True, "max_epochs": 2}
    with pytest.raises(StrategyError, match=r"validation: ModelCheckpoint\(every_n_epochs=1\)$"):
        with_lightning(PLATEAU, resume=tmp_path / "early" / "step=1.ckpt", **options)
    with_lightning(PLATEAU, resume=tmp_path / "late" / "step=1.ckpt", **options)
