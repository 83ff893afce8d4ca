"""The statements of docs/migration.md about other libraries and this one, checked on numbers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import lr_scheduler

import finetune_embed as fe

V, D, EPOCHS, LR = 20, 4, 4, 0.05
VOCAB = fe.Vocabulary({f"word{i}": V - i for i in range(V)})
TABLE = fe.EmbeddingTable(
    [f"word{i}" for i in range(V)],
    np.random.default_rng(0).standard_normal((V, D)).astype(np.float32),
)
#: Four batches per epoch; they contain no row numbered UNSEEN or higher.
UNSEEN = 15
_random = torch.Generator().manual_seed(0)
BATCHES = [
    (
        torch.randint(2, UNSEEN, (4, 3), generator=_random),
        torch.randint(0, 2, (4,), generator=_random),
    )
    for _ in range(4)
]
START = fe.to_embedding(TABLE, VOCAB).weight.detach()


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = fe.to_embedding(TABLE, VOCAB)
        self.hidden, self.output = nn.Linear(D, D), nn.Linear(D, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.output(torch.relu(self.hidden(self.embedding(ids).mean(1))))


def train_epoch(model: Model, optimizer: torch.optim.Optimizer) -> None:
    for ids, labels in BATCHES:
        optimizer.zero_grad()
        cross_entropy(model(ids), labels).backward()
        optimizer.step()


def table_of(model: Model) -> torch.Tensor:
    return model.embedding.weight.detach().clone()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other libraries' own, about workers and the like
        yield


Schedule = Callable[[torch.optim.Optimizer], Any]


def with_lightning(
    groups: Callable[[nn.Module], Any],
    callback: Callable[[Any], Any],
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam,
    schedule: Schedule | None = None,
) -> tuple[torch.Tensor, list[list[float]]]:
    """Train with Lightning; return the table and the rates of all groups in each epoch."""
    from lightning.pytorch import Callback, LightningModule, Trainer

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.backbone, self.head = fe.to_embedding(TABLE, VOCAB), nn.Linear(D, 2)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return cross_entropy(self.head(self.backbone(batch[0]).mean(1)), batch[1])

        def configure_optimizers(self) -> Any:
            made = optimizer(groups(self), lr=LR)
            return made if schedule is None else ([made], [schedule(made)])

    class Rates(Callback):
        def on_train_epoch_start(self, trainer: Any, *_: Any) -> None:
            rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])

    rates: list[list[float]] = []
    module = Module()
    Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback(module), Rates()],
    ).fit(module, torch.utils.data.DataLoader(BATCHES, batch_size=None))
    return module.backbone.weight.detach(), rates


def lightning_before(
    schedule: Schedule | None = None, **options: Any
) -> tuple[torch.Tensor, list[list[float]]]:
    from lightning.pytorch.callbacks import BackboneFinetuning

    callback = BackboneFinetuning(1, **({"lambda_func": lambda epoch: 1.0} | options))
    return with_lightning(lambda m: m.head.parameters(), lambda m: callback, schedule=schedule)


def lightning_after(
    strategy: fe.Strategy, optimizer: Any, schedule: Schedule | None = None
) -> tuple[torch.Tensor, list[list[float]]]:
    from finetune_embed.integrations.lightning import StrategyCallback

    return with_lightning(
        lambda m: strategy.param_groups(m, m.backbone, lr=LR),
        lambda m: StrategyCallback(strategy, m.backbone),
        optimizer,
        schedule,
    )


TENTH = fe.UnfreezeAfter(epochs=1) | fe.DiscriminativeLR(embedding=0.1)


def test_lightning_gives_the_same_bits_with_the_same_schedule_and_optimizer():
    before, rates = lightning_before()
    assert rates == [[LR], *[[LR, 0.1 * LR]] * 3]
    after, rates = lightning_after(TENTH, torch.optim.Adam)
    assert rates == [[0.1 * LR, LR]] * 4
    assert torch.equal(before, after)
    seen = torch.cat([ids for ids, _ in BATCHES]).unique()
    assert (before[seen] != START[seen]).any(1).all()


def test_lightning_adam_moves_rows_outside_the_batch_and_row_adamw_does_not():
    once = [
        (torch.tensor([[2, 3, 4]]), torch.tensor([1])),
        (torch.tensor([[5]]), torch.tensor([0])),
    ]
    for optimizer, moved in ((torch.optim.Adam, True), (fe.RowAdamW, False)):
        model = Model()
        made = optimizer(fe.FullTune().param_groups(model, model.embedding, lr=LR))
        for ids, labels in once:
            made.zero_grad()
            cross_entropy(model(ids), labels).backward()
            before = table_of(model)
            made.step()
        assert bool((table_of(model)[2:5] != before[2:5]).all()) == moved
        assert torch.equal(table_of(model)[6:], START[6:])


@pytest.mark.parametrize(
    ("schedule", "error"),
    [
        (lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.5**epoch), ValueError),
        (lambda o: {"scheduler": _one_cycle(o), "interval": "step"}, KeyError),
    ],
)
def test_lightning_a_scheduler_fails_on_the_added_group_and_works_here(schedule, error):
    with pytest.raises(error):
        lightning_before(schedule)
    for optimizer in (torch.optim.Adam, fe.RowAdamW):
        _, rates = lightning_after(TENTH, optimizer, schedule)
        assert len({tuple(epoch) for epoch in rates}) == EPOCHS
        assert all(table == pytest.approx(0.1 * head) for table, head in rates)


def _one_cycle(optimizer: torch.optim.Optimizer) -> Any:
    peaks = [group["lr"] for group in optimizer.param_groups]
    return lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=EPOCHS * len(BATCHES))


def test_lightning_the_callback_overrides_the_scheduler_of_the_table():
    schedule = lambda o: lr_scheduler.StepLR(o, 1, gamma=0.5)  # noqa: E731
    _, before = lightning_before(schedule)
    assert [head for head, *_ in before] == [LR, LR / 2, LR / 4, LR / 8]
    assert [table for _, table in before[1:]] == pytest.approx([LR / 20] * 3)
    _, after = lightning_after(TENTH, torch.optim.Adam, schedule)
    assert after == [[pytest.approx(0.1 * LR / 2**i), LR / 2**i] for i in range(EPOCHS)]


def test_lightning_a_growing_rate_is_exponential_there_and_linear_here():
    _, before = lightning_before(lambda_func=lambda epoch: 4.0)
    assert [epoch[-1] for epoch in before[1:]] == pytest.approx([0.1 * LR, 0.4 * LR, LR])
    ramp = fe.UnfreezeAfter(epochs=1) | fe.RampUp(epochs=9)
    gates = [ramp.gate("embedding", fe.Clock(epoch=epoch)) for epoch in range(12)]
    assert gates == pytest.approx([0, *np.linspace(0.1, 1, 10), 1])


def fastai_learner() -> Any:
    pytest.importorskip(
        "fastai", reason="fastai is not installed; its block in the docs is not run either"
    )
    from fastai.basics import DataLoaders, Learner, params
    from fastai.callback import schedule  # noqa: F401

    return Learner(
        DataLoaders(BATCHES, []),
        Model(),
        loss_func=cross_entropy,
        splitter=lambda m: [params(m.embedding), params(m.hidden), params(m.output)],
    )


def test_fastai_a_slice_of_rates_has_the_rates_of_our_groups():
    learn, model = fastai_learner(), Model()
    from fastai.basics import params

    learn.create_opt()

    def there(rate: slice) -> list[float]:
        learn.opt.set_hyper("lr", rate)
        return [group["lr"] for group in learn.opt.hypers]

    def here(strategy: fe.Strategy) -> Any:
        groups = strategy.param_groups(model, model.embedding, lr=LR)
        return pytest.approx([group["lr"] for group in groups])

    assert there(slice(LR / 2.6**2, LR)) == here(fe.DiscriminativeLR(decay=1 / 2.6))
    tenth = fe.DiscriminativeLR(embedding=0.1, parts={"hidden": 0.1})
    assert there(slice(LR)) == here(tenth)

    learn.splitter = lambda m: [params(m.embedding), [*params(m.hidden), *params(m.output)]]
    learn.create_opt()
    strategy = fe.HeadFirst(epochs=1, rate_after=0.5) | fe.DiscriminativeLR(embedding=0.01)
    groups = strategy.param_groups(model, model.embedding, lr=LR)
    gates = [
        [strategy.gate(group["name"], fe.Clock(epoch=epoch)) for group in groups]
        for epoch in range(3)
    ]
    assert gates == [[0.0, 1.0, 1.0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    table, *head = (0.5 * group["lr"] for group in groups)
    assert there(slice(LR / 2 / 100, LR / 2)) == pytest.approx([table, head[0]])  # of fine_tune
    assert head[0] == head[1]


def test_fastai_opens_the_same_layers_in_the_same_epochs():
    learn, model = fastai_learner(), Model()
    learn.create_opt()
    for epoch, layers in enumerate((-1, -2, 0)):
        learn.freeze_to(layers)
        fe.GradualUnfreeze().on_epoch_start(model.embedding, epoch, model=model)
        open_there = [p.requires_grad for p in learn.model.parameters()]
        assert open_there == [p.requires_grad for p in model.parameters()]
        assert open_there.count(True) == (2, 4, 5)[epoch]


def test_fastai_decays_rows_outside_the_batch_and_a_table_frozen_again():
    learn = fastai_learner()
    with learn.no_bar(), learn.no_logging():
        start = table_of(learn.model)
        learn.fit(1, LR)
        tuned = table_of(learn.model)
        decay = (1 - LR * 0.01) ** len(BATCHES)
        torch.testing.assert_close(tuned[UNSEEN:], start[UNSEEN:] * decay)
        assert "grad_avg" in learn.opt.state[learn.model.output.weight]
        learn.freeze()
        assert "grad_avg" not in learn.opt.state[learn.model.output.weight]
        learn.fit(1, LR)
        assert not learn.model.embedding.weight.requires_grad
        torch.testing.assert_close(table_of(learn.model), tuned * decay)


def test_here_a_table_frozen_again_keeps_its_bits():
    model = Model()
    groups = fe.FullTune().param_groups(model, model.embedding, lr=LR, weight_decay=0.01)
    groups[0]["weight_decay"] = 0.01  # of the table, which param_groups gives none
    optimizer = fe.RowAdamW(groups)
    fe.FullTune().on_epoch_start(model.embedding, 0)
    train_epoch(model, optimizer)
    tuned, head = table_of(model), model.output.weight.detach().clone()
    assert torch.equal(tuned[UNSEEN:], START[UNSEEN:])
    fe.Freeze().on_epoch_start(model.embedding, 1)
    train_epoch(model, optimizer)
    assert torch.equal(table_of(model), tuned)
    assert not torch.equal(model.output.weight, head)


def test_a_mask_of_rows_holds_under_weight_decay_and_keeps_no_moments():
    strategy = fe.TrainRows(keys=["word1", "word2"])
    rows = [VOCAB.key_to_index[key] for key in strategy.keys]
    model = Model()
    start = table_of(model)
    groups = strategy.param_groups(model, model.embedding, lr=LR, vocab=VOCAB)
    groups[0]["weight_decay"] = 0.1
    optimizer = fe.RowAdamW(groups)
    strategy.on_epoch_start(model.embedding, 0)
    train_epoch(model, optimizer)
    optimizer.flush()
    changed = (table_of(model) != start).any(1).nonzero().flatten().tolist()
    assert changed == sorted(rows)
    assert optimizer.state[model.embedding.weight]["rows"].tolist() == sorted(rows)
    model = Model()
    torch.optim.AdamW(strategy.param_groups(model, model.embedding, lr=LR, vocab=VOCAB))
    with pytest.raises(fe.StrategyError, match="which torch's optimizers ignore"):
        strategy.on_epoch_start(model.embedding, 0)


def test_adam_cancels_a_factor_on_the_gradient_but_not_on_the_step():
    def moved(factor: float, *, on_step: bool) -> torch.Tensor:
        model = Model()
        start = table_of(model)
        strategy = fe.LockRows(default=factor) if on_step else fe.FullTune()
        if not on_step:
            model.embedding.weight.register_hook(lambda grad: grad * factor)
        groups = strategy.param_groups(model, model.embedding, lr=LR, vocab=VOCAB)
        optimizer = fe.RowAdamW(groups) if on_step else torch.optim.Adam(groups)
        strategy.on_epoch_start(model.embedding, 0)
        ids, labels = BATCHES[0]
        cross_entropy(model(ids), labels).backward()
        optimizer.step()
        return table_of(model) - start

    full = moved(1.0, on_step=True)
    assert full.abs().max() == pytest.approx(LR, rel=1e-3)
    torch.testing.assert_close(moved(0.5, on_step=False), full, rtol=0, atol=0.01 * LR)
    torch.testing.assert_close(moved(0.5, on_step=True), full / 2, rtol=0, atol=1e-6)


def test_gensim_a_new_word_has_the_factor_of_an_old_one():
    from gensim.models import Word2Vec

    old, new = ["old0", "old1", "old2"], ["new0", "new1"]
    model = Word2Vec(vector_size=D, min_count=1, workers=1, seed=1, sample=0)
    model.build_vocab([old] * 50)
    assert model.wv.vectors_lockf.shape == (1,)
    with pytest.raises(IndexError):
        model.wv.vectors_lockf[1] = 0.0  # what intersect_word2vec_format does
    model.wv.vectors_lockf = np.array([0.0, 1.0, 1.0], dtype=np.float32)
    texts = [old + new] * 50
    model.build_vocab(texts, update=True)
    assert set(model.wv.index_to_key[3:]) == set(new)
    start = model.wv.vectors.copy()
    model.train(texts, total_examples=50, epochs=1)
    moved = (model.wv.vectors != start).any(1)
    assert moved.tolist() == [False, True, True, False, True]  # the fourth has the first's factor
