"""Special tokens that don't train, under every strategy: the same bits at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.strategies import STRATEGIES, parts_of

D = 5
WORDS = [f"w{i}" for i in range(20)]
FIXED = [1, 2]
FREE = 3


@dataclass(frozen=True)
class FullRule(fe.Strategy):
    """A rule that sets everything, also for the rows that are held."""

    def rows(self, weight, vocab):
        return fe.RowRule(
            scale=torch.full((len(weight),), 0.5),
            anchor=torch.ones_like(weight),
            decay=0.5,
            shrink=0.1,
            radius=0.5,
            max_norm=0.1,
        )


SWEPT = [
    fe.FullTune(),
    fe.Freeze(),
    fe.UnfreezeAfter(epochs=1),
    fe.UnfreezeAfter(steps=3),
    fe.DiscriminativeLR(embedding=0.5),
    fe.DiscriminativeLR(decay=0.5) | fe.UnfreezeAfter(epochs=1),
    fe.UnfreezeOnPlateau(),
    fe.GradualUnfreeze(),
    fe.ChainThaw(),
]
#: These set single rows or a share of a rate.
FOR_ROW_ADAMW = [
    FullRule(),
    FullRule() | fe.UnfreezeAfter(epochs=1),
    fe.GradualUnfreeze(by="frequency", bands=2),
    fe.HeadFirst(epochs=1),
    fe.RampUp(steps=2),
    fe.FrequencyLR(),
    fe.TrainRows(keys=["w1", "<free>", "<held>"]),
    fe.LockRows({"<free>": 0.5}),
    fe.L2SP(),
    fe.DeltaShrink(0.01),
    fe.TrustRegion(),
    fe.MaxNorm(),
]
OPTIMIZERS = {
    "RowAdamW": fe.RowAdamW,
    "AdamW": lambda groups: torch.optim.AdamW(groups, foreach=False),
    "SGD": lambda groups: torch.optim.SGD(groups, momentum=0.9, foreach=False),
}


class Model(nn.Module):
    def __init__(self, embedding: nn.Embedding, tied: bool) -> None:
        super().__init__()
        self.embedding = embedding
        self.hidden = nn.Linear(D, D)
        self.output = nn.Linear(D, len(embedding.weight), bias=False)
        if tied:
            self.output.weight = embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.output(torch.relu(self.hidden(self.embedding(ids).mean(dim=1))))


CASES = [
    (strategy, optimizer, form)
    for strategy in [*SWEPT, *FOR_ROW_ADAMW]
    for optimizer in OPTIMIZERS
    for form in ("dense", "sparse", "tied")
    if optimizer == "RowAdamW" or (form != "sparse" and strategy in SWEPT)
]


def test_every_strategy_is_swept():
    swept = [*SWEPT, *FOR_ROW_ADAMW]
    parts = {type(part).__name__ for strategy in swept for part in parts_of(strategy)}
    assert parts >= STRATEGIES.keys()
    assert len(CASES) == 9 * 3 * 2 + 9 + 12 * 3


@pytest.mark.parametrize(("strategy", "optimizer", "form"), CASES, ids=str)
def test_rows_that_do_not_train_keep_their_bits(strategy, optimizer, form):
    table = fe.EmbeddingTable(WORDS, np.random.default_rng(0).normal(size=(20, D)))
    specials = [
        fe.Special("<unk>", "mean", trainable=False),
        fe.Special("<held>", "normal", trainable=False),
        fe.Special("<free>", "normal"),
    ]
    vocab = fe.Vocabulary(dict.fromkeys([*WORDS, "<free>"], 1), specials=specials)
    embedding = fe.to_embedding(table, vocab, sparse=form == "sparse")
    model = Model(embedding, form == "tied")
    start = embedding.weight.detach().clone().view(torch.int32)
    groups = strategy.param_groups(model, embedding, lr=0.05, weight_decay=0.2, vocab=vocab)
    made = OPTIMIZERS[optimizer](groups)
    for epoch in range(3):
        if strategy.timing == "epoch":
            scores = [{"validation_loss": 1.0}] * epoch
            strategy.on_epoch_start(embedding, epoch, model=model, scores=scores)
        for batch in range(3):
            if strategy.timing == "step":
                strategy.on_step_start(embedding, 3 * epoch + batch, epoch=epoch)
            ids = torch.tensor([[1, 2, 3], [4, 5 + batch, 0], [1, 1, 6]])
            loss = functional.cross_entropy(model(ids), torch.tensor([1, 2, 3]))
            made.zero_grad()
            loss.backward()
            made.step()
        if isinstance(made, fe.RowAdamW):
            made.flush()
    same = (embedding.weight.detach().view(torch.int32) == start).all(dim=1)
    assert same[FIXED].all()
    assert bool(same[FREE]) is (strategy == fe.Freeze())
