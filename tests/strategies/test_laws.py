"""The laws of strategies and optimizers, each over every one of both, on numbers and bits.

`pytest -k law1` runs one law, `pytest -k L2SP` every law over one strategy, `pytest -k RowSGD` all
of them over one optimizer, and `make gpu` all but law 3 on a GPU.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import datasets
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed import optim
from finetune_embed.data import EncodedTexts, batch_indices
from finetune_embed.heads import build_head
from finetune_embed.optim import RowOptimizer, build_optimizer
from finetune_embed.strategies import STRATEGIES, parts_of
from finetune_embed.strategies.row_rules import rule_of

V, D, C = 30, 6, 2
EPOCHS, BATCHES = 4, 5


@dataclass(frozen=True)
class EveryOther(fe.Strategy):
    """Freeze -> tune -> freeze -> tune, by epoch."""

    def gate(self, name: str, clock: fe.Clock) -> float:
        return float(clock.epoch % 2) if name == "embedding" else 1.0


@dataclass(frozen=True)
class Ramp(fe.Strategy):
    """Shut for some steps, then open gradually."""

    shut: int = 6
    steps: int = 5

    @property
    def timing(self):
        return "step"

    def gate(self, name: str, clock: fe.Clock) -> float:
        share = (clock.step - self.shut) / self.steps
        return min(1.0, max(0.0, share)) if name == "embedding" else 1.0


@dataclass(frozen=True)
class FullRule(fe.Strategy):
    """A row rule that sets everything; rows divisible by 5 do not train."""

    def rows(self, weight, vocab):
        rows = torch.arange(len(weight))
        return fe.RowRule(
            train=rows % 5 != 0,
            scale=0.5 + rows / len(weight),
            anchor=weight.detach().clone(),
            decay=0.3,
            shrink=0.01,
            radius=0.5,
            max_norm=3.0,
        )


#: One for each row of a table except those of padding and `<unk>`; the first 18 occur often.
WORDS = [f"word{i}" for i in range(V - 2)]
BUILT_IN = [
    fe.Freeze(),
    fe.FullTune(),
    fe.UnfreezeAfter(epochs=2),
    fe.UnfreezeAfter(steps=7),
    fe.DiscriminativeLR(embedding=0.1),
    fe.DiscriminativeLR(decay=0.385),
    fe.Freeze() | fe.DiscriminativeLR(decay=0.385),
    fe.UnfreezeAfter(epochs=1) | fe.DiscriminativeLR(embedding=0.1),
    fe.UnfreezeAfter(steps=7) | fe.DiscriminativeLR(embedding=0.5, decay=0.5),
    fe.UnfreezeAfter(fraction=0.4),
    fe.UnfreezeOnPlateau(),
    fe.GradualUnfreeze(),
    fe.GradualUnfreeze(by="frequency", bands=3),
    fe.HeadFirst(epochs=1),
    fe.HeadFirst(patience=1, rate_after=0.3),
    fe.ChainThaw(),
    fe.DiscriminativeLR(embedding=0.5, parts={"out*": 2.0}),
    fe.RampUp(epochs=2),
    fe.RampUp(steps=6),
    fe.FrequencyLR(),
    fe.FrequencyLR(power=-0.5, min_count=12),
    fe.TrainRows(keys=[*WORDS[:14], "finea", "poora", "worda"]),
    fe.TrainRows(oov=True),
    fe.TrainRows(top=15),
    fe.TrainRows(min_count=12),
    fe.LockRows({WORDS[1]: 0.0, WORDS[2]: 0.5, "finea": 0.0, "poora": 0.5}),
    fe.L2SP(),
    fe.DeltaShrink(shrink=0.005),  # more would undo every step of SGD
    fe.TrustRegion(),
    fe.MaxNorm(),
    fe.UnfreezeAfter(epochs=1) | fe.RampUp(epochs=2) | fe.L2SP() | fe.FrequencyLR(),
    fe.UnfreezeOnPlateau() | fe.TrainRows(top=15) | fe.MaxNorm(),
    fe.GradualUnfreeze() | fe.DiscriminativeLR(decay=0.385) | fe.TrustRegion(),
    fe.LockRows({WORDS[1]: 0.0, "finea": 0.0}, default=0.5)
    | fe.DeltaShrink(shrink=0.005)
    | fe.UnfreezeAfter(steps=7),
]
OF_THE_PROTOCOL = [EveryOther(), Ramp(), FullRule(), FullRule() | fe.UnfreezeAfter(epochs=1)]
SWEPT = [*BUILT_IN, *OF_THE_PROTOCOL]
#: The validation records of a run that improves once and never again.
SCORES = [{"validation_loss": 1.0}] * EPOCHS


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- a model, its data, and a raw loop ------------------------------------------------------------


class Model(nn.Module):
    """A bag of embeddings with dropout, whose bits depend on the random generator."""

    def __init__(self, *, sparse: bool = False, seed: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(V, D, padding_idx=0, sparse=sparse)
        self.embedding.weight.pretrained = torch.arange(V) % 3 == 0
        self.hidden = nn.Linear(D, D)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(D, C)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.output(torch.relu(self.hidden(self.dropout(self.embedding(ids).mean(1)))))


@cache
def batches(
    epoch: int, device: str | torch.device = "cpu"
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the batches of an epoch; rows 20 and up occur in none of them."""
    rng = np.random.default_rng(epoch)
    made = []
    for _ in range(BATCHES):
        pool = rng.choice(20, 8, replace=False)
        ids = torch.from_numpy(rng.choice(pool, (4, 3)))
        made.append((ids, torch.from_numpy(rng.integers(0, C, 4))))
    return [(ids.to(device), labels.to(device)) for ids, labels in made]


#: The optimizers by rows, in the text form that `finetune` takes.
BY_ROW = {
    "RowAdamW": "adamw",
    "RowAdagrad": "adagrad",
    "RowAdagrad per row": "adagrad(per_row=True)",
    "RowSGD": "sgd(momentum=0.9)",
}
#: What torch has of them.
OF_TORCH = {"RowAdamW": "AdamW", "RowAdagrad": "Adagrad", "RowSGD": "SGD with momentum"}
SPARSE = "SGD with momentum"  # of torch's, that which takes sparse gradients
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    **{name: partial(build_optimizer, text, lr=0.05) for name, text in BY_ROW.items()},
    "AdamW": lambda groups: torch.optim.AdamW(groups, lr=0.05, foreach=False),
    "Adam": lambda groups: torch.optim.Adam(groups, lr=0.05, foreach=False),
    "Adagrad": lambda groups: torch.optim.Adagrad(groups, lr=0.05, foreach=False),
    SPARSE: lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9, foreach=False),
}


def vocabulary() -> fe.Vocabulary:
    return fe.Vocabulary({word: 20 if i < 18 else 5 for i, word in enumerate(WORDS)})


def clock_of(step: int, depth: int = 2) -> fe.Clock:
    """Return the clock of a gate in a step, for a part of `Model`; the table's depth is 2."""
    epoch = step // BATCHES
    return fe.Clock(epoch, step, EPOCHS * BATCHES, SCORES[:epoch], depth, 2)


def fits(strategy: fe.Strategy, optimizer: str) -> bool:
    """Return whether an optimizer applies what a strategy sets: not rules and ramps, by torch's."""
    parts = {"embedding": 2, "hidden": 1, "output": 0}
    gates = {
        strategy.gate(name, clock_of(step, depth))
        for name, depth in parts.items()
        for step in range(EPOCHS * BATCHES)
    }
    plain = gates <= {0.0, 1.0} and strategy.rows(Model().embedding.weight, vocabulary()).trivial
    return optimizer in BY_ROW or plain


def run(
    model: Model,
    optimizer: torch.optim.Optimizer,
    strategy: fe.Strategy,
    epochs: range = range(EPOCHS),
    *,
    watch: Callable[[int, bool, torch.Tensor, torch.Tensor], None] | None = None,
    autocast: bool = False,
    leftover: bool = False,
) -> None:
    """Train in a loop as in the README.

    Args:
        model: the model.
        optimizer: made by `built`.
        strategy: the strategy that made its groups.
        epochs: the epochs to run.
        watch: called after each step with its number, whether the table was open, the table
            before it, and the ids of the batch.
        autocast: do the forward pass in bfloat16.
        leftover: leave a gradient at the end of every epoch, and step with it before the
            first batch of the next one.
    """

    weight = model.embedding.weight

    def context() -> AbstractContextManager[Any]:
        return torch.autocast(weight.device.type, torch.bfloat16) if autocast else nullcontext()

    for epoch in epochs:
        torch.manual_seed(epoch)
        if strategy.timing == "epoch":
            strategy.on_epoch_start(model.embedding, epoch, model=model, scores=SCORES[:epoch])
        for i, (ids, labels) in enumerate(batches(epoch, weight.device)):
            step = epoch * BATCHES + i
            if strategy.timing == "step":
                strategy.on_step_start(
                    model.embedding,
                    step,
                    epoch=epoch,
                    total_steps=EPOCHS * BATCHES,
                    model=model,
                    scores=SCORES[:epoch],
                )
            before, was_open = weight.detach().clone(), weight.requires_grad
            if i == 0 and leftover:
                optimizer.step()
            optimizer.zero_grad()
            with context():
                loss = functional.cross_entropy(model(ids), labels)
            loss.backward()
            optimizer.step()
            if watch is not None:
                watch(step, was_open, before, ids)
        if isinstance(optimizer, RowOptimizer):
            optimizer.flush()
        if leftover:
            ids, labels = batches(epoch, weight.device)[0]
            functional.cross_entropy(model(ids), labels).backward()


def built(
    strategy: fe.Strategy,
    optimizer: str = "RowAdamW",
    *,
    sparse: bool = False,
    weight_decay: float = 0.2,
    dropout: float = 0.0,
    device: str = "cpu",
) -> tuple[Model, torch.optim.Optimizer]:
    model = Model(sparse=sparse, dropout=dropout).to(device)
    groups = strategy.param_groups(
        model, model.embedding, lr=0.05, weight_decay=weight_decay, vocab=vocabulary()
    )
    return model, OPTIMIZERS[optimizer](groups)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone().view(torch.int32)


def at_start() -> torch.Tensor:
    """Return the table of every model before its run."""
    return Model().embedding.weight.detach()


def opens(strategy: fe.Strategy) -> list[bool]:
    """Return for each step of a run whether the strategy has the table open."""
    return [strategy.gate("embedding", clock_of(step)) > 0 for step in range(EPOCHS * BATCHES)]


# --- the laws ----------------------------------------------------------------------------------


def frozen_means_bit_identical(strategy: fe.Strategy, name: str, device: str) -> None:
    """With weight decay and leftover gradients, in float32 and bfloat16."""
    for autocast in (False, True):
        model, optimizer = built(strategy, name, device=device)
        for group in optimizer.param_groups:
            rule = rule_of(group["params"][0])
            if rule is None or not rule.decay:  # a table has one of the two
                group["weight_decay"] = 0.2  # the table's too: a user may set it
        seen: list[bool] = []

        def watch(step, was_open, before, ids, model=model, seen=seen):
            weight = model.embedding.weight
            seen.append(was_open)
            assert torch.equal(bits(before), bits(weight)) == (not was_open), step
            assert was_open or weight.grad is None

        head = [bits(p) for p in (model.hidden.weight, model.output.weight)]
        run(model, optimizer, strategy, watch=watch, autocast=autocast, leftover=True)
        assert seen == opens(strategy)
        after = [bits(p) for p in (model.hidden.weight, model.output.weight)]
        assert not any(torch.equal(a, b) for a, b in zip(head, after, strict=True))


def interrupted_equals_uninterrupted(strategy: fe.Strategy, name: str, device: str) -> None:
    """In a raw loop, at every epoch boundary, through a safe `torch.save` and new objects."""
    uninterrupted, optimizer = built(strategy, name, dropout=0.3, device=device)
    run(uninterrupted, optimizer, strategy)
    stopped, its_optimizer = built(strategy, name, dropout=0.3, device=device)
    for stop in range(1, EPOCHS):
        run(stopped, its_optimizer, strategy, range(stop - 1, stop))
        buffer = io.BytesIO()
        state = {"model": stopped.state_dict(), "optimizer": its_optimizer.state_dict()}
        torch.save(state, buffer)
        buffer.seek(0)
        saved = torch.load(buffer, weights_only=True)
        model, optimizer = built(strategy, name, dropout=0.3, device=device)
        with torch.no_grad():
            model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        run(model, optimizer, strategy, range(stop, EPOCHS))
        for (part, one), (_, other) in zip(
            uninterrupted.named_parameters(), model.named_parameters(), strict=True
        ):
            assert torch.equal(bits(one), bits(other)), (part, stop)


def every_driver_agrees(strategy: fe.Strategy, name: str, device: str, head: str = "bag") -> None:
    """A loop written out by hand and `finetune` give the same table, bit for bit.

    With dense gradients torch adds up the words of a batch in another order, which gives the same
    table within rounding.
    """
    table, data = word_table(), word_data()
    options = {"lr": 0.02, "weight_decay": 0.01, "batch_size": 8, "seed": 3, "epochs": 3}
    optimizer = BY_ROW[name]
    result = fe.finetune(
        table, data, strategy=strategy, head=head, optimizer=optimizer, device=device, **options
    )
    epochs = result.metrics["best_epoch"] + 1  # those that are in the export
    opened = any(record["embedding_lr"] > 0 for record in result.history[:epochs])
    for sparse in (True, False):
        model, tuned = tuned_by_hand(
            strategy, optimizer, table, data["train"], result.history[:epochs], head, sparse=sparse
        )
        assert tuned.index_to_key == result.table.index_to_key
        still = tuned.vectors[: len(table)].tobytes() == table.vectors.tobytes()
        assert still == (not opened or strategy == fe.TrainRows(oov=True))
        pairs = {"table": (tuned.vectors, result.table.vectors)} | {
            name: (value.numpy(), result.model.state_dict()[name].numpy())
            for name, value in model.state_dict().items()
        }
        for name, (ours, theirs) in pairs.items():
            if sparse:
                assert ours.tobytes() == theirs.tobytes(), name
            else:
                np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5, err_msg=name)


def tuned_by_hand(
    strategy: fe.Strategy,
    optimizer_text: str,
    table: fe.EmbeddingTable,
    train: datasets.Dataset,
    history: Sequence[Mapping[str, Any]],
    head: str,
    *,
    sparse: bool,
) -> tuple[nn.Module, fe.EmbeddingTable]:
    """Tune in a user's own loop; two lines of it concern the strategy."""
    vocab = fe.Vocabulary.from_dataset(train, "text", fe.Tokenizer.for_table(table))
    embedding = fe.to_embedding(table, vocab, seed=3, sparse=sparse)
    torch.manual_seed(3)
    model = build_head(head, embedding, 2)
    optimizer = build_optimizer(
        optimizer_text,
        strategy.param_groups(model, embedding, lr=0.02, weight_decay=0.01, vocab=vocab),
    )
    labels = torch.tensor([["bad", "good"].index(label) for label in train["label"]])
    texts = EncodedTexts.of(train["text"], vocab, labels)
    step = 0
    for epoch in range(len(history)):
        given = {"model": model, "scores": history[:epoch]}
        if strategy.timing == "epoch":
            strategy.on_epoch_start(embedding, epoch, **given)
        for rows in batch_indices(len(texts), 8, 3, epoch):
            if strategy.timing == "step":
                strategy.on_step_start(embedding, step, epoch=epoch, total_steps=15, **given)
            loss = functional.cross_entropy(model(*texts.padded(rows)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        optimizer.flush()
    return model, fe.to_table(embedding, vocab, like=table)


def a_strategy_that_tunes_moves_rows(strategy: fe.Strategy, name: str, device: str) -> None:
    """Rows move and are counted; an optimizer that lacks the table is an error."""
    model, optimizer = built(strategy, name, device=device)
    before = model.embedding.weight.detach().clone()
    run(model, optimizer, strategy)
    moved = fe.check_moved(model.embedding, before, 0.05)
    assert moved == int((model.embedding.weight != before).any(1).sum())
    assert moved >= 10

    model, optimizer = built(strategy, name, device=device)
    blind = torch.optim.SGD([*model.hidden.parameters(), *model.output.parameters()], lr=0.05)
    with pytest.raises(fe.StrategyError, match="in none of the optimizer's 1 groups"):
        fe.check_optimizer(blind, model.embedding, strategy)
    if opens(strategy)[-1]:
        run(model, blind, strategy)
        with pytest.raises(fe.StrategyError, match="no optimizer steps it"):
            fe.check_moved(model.embedding, before, 0.05)


def rows_outside_the_batch_do_not_move(strategy: fe.Strategy, name: str, device: str) -> None:
    """With dense and sparse gradients, at every step of a run with momentum."""
    for sparse in (False, True):
        model, optimizer = built(strategy, name, sparse=sparse, device=device)
        moves = []

        def watch(step, was_open, before, ids, model=model, moves=moves):
            changed = (model.embedding.weight != before).any(1).nonzero().squeeze(1).tolist()
            assert set(changed) <= set(ids.flatten().tolist()) - {0}, step
            moves.append(len(changed))

        run(model, optimizer, strategy, watch=watch)
        assert max(moves) >= 4
        assert torch.equal(model.embedding.weight[20:].cpu(), at_start()[20:])
        assert not model.embedding.weight[0].any()


def equals_torch_where_every_row_is_touched(strategy: fe.Strategy, name: str, device: str) -> None:
    """With the strategy's own groups and hooks; of torch's, AdamW has the same weight decay."""
    ends = []
    for kind in (name, OF_TORCH[name]):
        decay = 0.2 if name == "RowAdamW" else 0.0
        model, optimizer = built(strategy, kind, weight_decay=decay, device=device)
        generator = torch.Generator().manual_seed(5)
        for step in range(EPOCHS * BATCHES):
            epoch = step // BATCHES
            given = {"model": model, "scores": SCORES[:epoch]}
            if strategy.timing == "epoch":
                strategy.on_epoch_start(model.embedding, epoch, **given)
            else:
                total = EPOCHS * BATCHES
                strategy.on_step_start(
                    model.embedding, step, epoch=epoch, total_steps=total, **given
                )
            for parameter in model.parameters():
                grad = torch.randn(parameter.shape, generator=generator).to(device)
                parameter.grad = grad if parameter.requires_grad else None
            optimizer.step()
        ends.append([parameter.detach().cpu() for parameter in model.parameters()])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-6)
    moved = (ends[0][0] != at_start()).any(1)
    assert moved.tolist() == [any(opens(strategy))] * V


class Law(NamedTuple):
    """A law: the check, the strategies that it applies to, and the optimizers."""

    holds: Callable[[fe.Strategy, str, str], None]
    applies: Callable[[fe.Strategy], bool] = lambda strategy: True
    optimizers: Iterable[str] = tuple(BY_ROW)


LAWS = {
    "law1 frozen": Law(
        frozen_means_bit_identical, lambda strategy: not all(opens(strategy)), tuple(OPTIMIZERS)
    ),
    "law2 resumed": Law(interrupted_equals_uninterrupted),
    "law3 drivers": Law(every_driver_agrees),
    "law3 pooled_cnn": Law(
        partial(every_driver_agrees, head="pooled_cnn(filters=4, dropout=0)"),
        optimizers=["RowAdamW"],
    ),
    "law4 moves": Law(a_strategy_that_tunes_moves_rows, lambda strategy: any(opens(strategy))),
    "law5 rows": Law(rows_outside_the_batch_do_not_move, lambda strategy: any(opens(strategy))),
    "law6 torch": Law(
        equals_torch_where_every_row_is_touched,
        lambda strategy: fits(strategy, "AdamW"),
        tuple(OF_TORCH),
    ),
}
CELLS = [
    (law, optimizer, strategy)
    for law in LAWS
    for optimizer in LAWS[law].optimizers
    for strategy in SWEPT
]
NOT_APPLICABLE = "n/a"
#: What each cell that has run gave on the CPU.
OUTCOMES: dict[tuple[str, str, fe.Strategy], str] = {}


def applies(law: str, optimizer: str, strategy: fe.Strategy) -> bool:
    return LAWS[law].applies(strategy) and fits(strategy, optimizer)


@pytest.mark.parametrize(("law", "optimizer", "strategy"), CELLS, ids=str)
def test_law(law: str, optimizer: str, strategy: fe.Strategy, device: str):
    if law.startswith("law3") and device != "cpu":
        pytest.skip("its bits are those of the CPU")
    outcome = NOT_APPLICABLE
    OUTCOMES[law, optimizer, strategy] = "FAILED"
    if applies(law, optimizer, strategy):
        LAWS[law].holds(strategy, optimizer, device)
        outcome = "ok"
    OUTCOMES[law, optimizer, strategy] = outcome


def test_the_laws_cover_every_strategy_and_optimizer(capsys: pytest.CaptureFixture[str]):
    """Print the outcomes so far; a law that quietly stops applying shows up here."""
    with capsys.disabled():
        print("\n" + "\n".join(drawn()))
    assert {type(part).__name__ for s in BUILT_IN for part in parts_of(s)} == set(STRATEGIES)
    assert {text.partition("(")[0] for text in BY_ROW.values()} == set(optim.OPTIMIZERS)
    assert len(SWEPT) == 38
    assert len(CELLS) == (8 + 4 * 4 + 1 + 3) * 38
    head_only = [s for s in SWEPT if not s.tunes]
    always_open = [s for s in SWEPT if all(opens(s))]
    beyond_torch = [s for s in SWEPT if not fits(s, "AdamW")]
    assert (len(head_only), len(always_open), len(beyond_torch)) == (2, 19, 23)
    for law, optimizer, strategy in CELLS:
        left_out = {
            "law1 frozen": strategy in always_open
            or (strategy in beyond_torch and optimizer not in BY_ROW),
            "law4 moves": strategy in head_only,
            "law5 rows": strategy in head_only,
            "law6 torch": strategy in beyond_torch,
        }
        assert applies(law, optimizer, strategy) != left_out.get(law, False)


def drawn() -> Iterable[str]:
    """Return the outcomes as a table, a line for each strategy; one for all optimizers alike."""
    width = 78
    yield " " * width + "".join(f"{law:>16}" for law in LAWS)
    for strategy in SWEPT:
        cells = ""
        for law in LAWS:
            every = [
                OUTCOMES.get((law, optimizer, strategy), "not run")
                for optimizer in LAWS[law].optimizers
            ]
            worst = ("FAILED", "not run", "ok", NOT_APPLICABLE)
            cells += f"{next(one for one in worst if one in every):>16}"
        yield f"{textwrap.shorten(str(strategy), width - 2):<{width}}{cells}"


# --- words, a table and data for law 3 ------------------------------------------

GOOD, BAD, PLAIN = (
    [f"{kind}{letter}" for letter in "abcdefgh"] for kind in ("fine", "poor", "word")
)


@cache
def word_table() -> fe.EmbeddingTable:
    rng = np.random.default_rng(0)
    words = [*GOOD[:6], *BAD[:6], *PLAIN, "elsewhere"]
    return fe.EmbeddingTable(words, rng.standard_normal((len(words), D)))


@cache
def word_data() -> datasets.DatasetDict:
    def split(size: int, seed: int) -> datasets.Dataset:
        rng = np.random.default_rng(seed)
        labels = ["good" if rng.random() < 0.5 else "bad" for _ in range(size)]
        texts = [
            " ".join([*rng.choice(GOOD if label == "good" else BAD, 3), *rng.choice(PLAIN, 2)])
            for label in labels
        ]
        return datasets.Dataset.from_dict({"text": texts, "label": labels})

    return datasets.DatasetDict(train=split(40, 1), validation=split(30, 2))


# --- law 1 in detail ----------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_law1_momentum_built_up_before_the_freeze_does_not_move_the_table(optimizer):
    """Tune, then freeze, with a gradient still on the weight and moments in the optimizer."""
    model, stepper = built(fe.FullTune(), optimizer)
    run(model, stepper, fe.FullTune(), range(2), leftover=True)
    weight = model.embedding.weight
    assert weight.grad is not None
    fe.Freeze().on_epoch_start(model.embedding, 2)
    frozen = bits(weight)
    for _ in range(3):
        stepper.step()
        for ids, labels in batches(2):
            functional.cross_entropy(model(ids), labels).backward()
            stepper.step()
    assert torch.equal(bits(weight), frozen)
    fe.FullTune().on_epoch_start(model.embedding, 3)
    functional.cross_entropy(model(batches(3)[0][0]), batches(3)[0][1]).backward()
    stepper.step()
    assert not torch.equal(bits(weight), frozen)


@pytest.mark.parametrize("optimizer", ["AdamW", "Adam", "SGD with momentum"])
def test_law1_a_gradient_of_zeros_would_not_be_enough(optimizer):
    """Why freezing drops the gradient: with one of zeros, momentum goes on moving the table."""
    model, stepper = built(fe.FullTune(), optimizer)
    run(model, stepper, fe.FullTune(), range(1))
    weight = model.embedding.weight
    weight.requires_grad_(False)
    before = bits(weight)
    weight.grad = torch.zeros_like(weight)
    stepper.step()
    assert not torch.equal(bits(weight), before)


@pytest.mark.parametrize(
    ("optimizer", "is_sparse"),
    [*((name, False) for name in OPTIMIZERS), *((name, True) for name in (*BY_ROW, SPARSE))],
)
def test_law1_frozen_after_resume(optimizer, is_sparse):
    """A resumed optimizer has momentum for a table that is frozen in the next epoch."""
    decay = 0.0 if is_sparse else 0.2
    model, stepper = built(EveryOther(), optimizer, sparse=is_sparse, weight_decay=decay)
    run(model, stepper, EveryOther(), range(2))  # shut, open
    resumed, second = built(EveryOther(), optimizer, sparse=is_sparse, weight_decay=decay)
    resumed.load_state_dict(model.state_dict())
    second.load_state_dict(stepper.state_dict())
    frozen = bits(model.embedding.weight)
    run(resumed, second, EveryOther(), range(2, 3))
    assert torch.equal(bits(resumed.embedding.weight), frozen)
    run(resumed, second, EveryOther(), range(3, 4))
    assert not torch.equal(bits(resumed.embedding.weight), frozen)


def test_law1_a_rule_owes_no_decay_to_a_frozen_table():
    """Steps in which the table was frozen add no decay."""

    @dataclass(frozen=True)
    class Decaying(fe.Strategy):
        def rows(self, weight, vocab):
            return fe.RowRule(decay=1.0)

        def gate(self, name, clock):
            return float(clock.epoch != 1 or name != "embedding")

    model, strategy = Model(), Decaying()
    optimizer = fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=0.05))
    run(model, optimizer, strategy, range(1))
    weight, after_one = model.embedding.weight, bits(model.embedding.weight)
    run(model, optimizer, strategy, range(1, 2))
    assert torch.equal(bits(weight), after_one)
    strategy.on_epoch_start(model.embedding, 2)
    optimizer.flush()
    assert torch.equal(bits(weight), after_one)


def test_scaling_a_gradient_does_nothing_under_adam_and_scaling_the_step_does():
    """Why a rule's scale belongs on the step."""
    ends = []
    for scale_grad, scale_step in ((1.0, 1.0), (0.125, 1.0), (1.0, 0.125)):
        weight = nn.Parameter(torch.zeros(2, D))
        optimizer = fe.RowAdamW([{"params": [weight], "row_wise": True}], lr=0.1, eps=0.0)
        weight.row_rule = fe.RowRule(scale=torch.full((2,), scale_step))
        for sign in (1, 1, -1):
            weight.grad = torch.full((2, D), float(sign) * scale_grad)
            optimizer.step()
        ends.append(weight.detach()[0, 0].item())
    assert ends[1] == pytest.approx(ends[0], rel=1e-5)
    assert ends[2] == pytest.approx(ends[0] / 8, rel=1e-5)
