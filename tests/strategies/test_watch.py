"""What a step of any torch optimizer must not do to a table, and a forward pass neither."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize, prune

import finetune_embed as fe

V, D, LR = 9, 4, 0.1
IDS = torch.tensor([[1, 2, 3], [4, 5, 5]])


class Model(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(V, D, **options)
        self.hidden, self.output = nn.Linear(D, D), nn.Linear(D, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.output(torch.relu(self.hidden(self.embedding(ids).mean(1))))


def backward(model: nn.Module) -> torch.Tensor:
    loss = functional.cross_entropy(model(IDS), torch.tensor([0, 1]))
    loss.backward()
    return loss


def bits(weight: torch.Tensor) -> bytes:
    return weight.detach().numpy().tobytes()


# --- a hook that never ran ------------------------------------------------------------------------

GATED = [
    fe.Freeze(),
    fe.UnfreezeAfter(epochs=1),
    fe.UnfreezeAfter(steps=1),
    fe.UnfreezeAfter(fraction=0.5),
    fe.UnfreezeOnPlateau(),
    fe.HeadFirst(epochs=1),
    fe.GradualUnfreeze(),
    fe.GradualUnfreeze(by="frequency"),
    fe.ChainThaw(),
    fe.RampUp(epochs=2),
    fe.DiscriminativeLR(embedding=0.5) | fe.UnfreezeAfter(epochs=0),
]
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "RowAdamW": fe.RowAdamW,
    "SGD": lambda groups: torch.optim.SGD(groups, lr=LR, momentum=0.9, weight_decay=0.1),
    "AdamW": lambda groups: torch.optim.AdamW(groups, lr=LR, weight_decay=0.1),
    "fused": lambda groups: torch.optim.AdamW(groups, lr=LR, fused=True),
    "foreach": lambda groups: torch.optim.Adam(groups, lr=LR, foreach=True),
    "Adagrad": lambda groups: torch.optim.Adagrad(groups, lr=LR),
    "RMSprop": lambda groups: torch.optim.RMSprop(groups, lr=LR, momentum=0.5),
    "ASGD": lambda groups: torch.optim.ASGD(groups, lr=LR),
}
VOCAB = fe.Vocabulary({f"w{i}": V - i for i in range(V - 2)})


@pytest.mark.parametrize("strategy", GATED, ids=str)
@pytest.mark.parametrize("kind", ["RowAdamW", "SGD"])
def test_the_first_step_of_a_gated_strategy_needs_its_hook(strategy, kind):
    model = Model()
    groups = strategy.param_groups(model, model.embedding, lr=LR, vocab=VOCAB)
    optimizer = OPTIMIZERS[kind](groups)
    start = bits(model.embedding.weight)
    backward(model)
    hook = {"epoch": r"on_epoch_start\(embedding, ep", "step": r"on_step_start\(embedding, st"}
    with pytest.raises(fe.StrategyError, match=f"no hook of .* has run .*{hook[strategy.timing]}"):
        optimizer.step()
    assert bits(model.embedding.weight) == start


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_optimizer_of_torch_is_checked(kind):
    model = Model()
    optimizer = OPTIMIZERS[kind](fe.Freeze().param_groups(model, model.embedding, lr=LR))
    start = bits(model.embedding.weight)
    backward(model)
    with pytest.raises(fe.StrategyError, match="no hook of Freeze has run on the table"):
        optimizer.step()
    fe.Freeze().on_epoch_start(model.embedding, 0)
    for _ in range(3):
        optimizer.zero_grad(set_to_none=False)
        backward(model)
        optimizer.step()
    assert bits(model.embedding.weight) == start


@pytest.mark.parametrize("strategy", [fe.FullTune(), fe.DiscriminativeLR(embedding=0.5)], ids=str)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_without_a_gate_no_hook_is_needed(strategy, kind):
    model = Model()
    optimizer = OPTIMIZERS[kind](strategy.param_groups(model, model.embedding, lr=LR))
    start = model.embedding.weight.detach().clone()
    backward(model)
    optimizer.step()
    assert fe.check_moved(model.embedding, start, LR) >= 5


def test_a_table_that_was_frozen_before_needs_the_hook_that_opens_it():
    """`nn.Embedding.from_pretrained` freezes by default."""
    model = Model()
    model.embedding = nn.Embedding.from_pretrained(torch.ones(V, D))
    strategy = fe.FullTune()
    optimizer = fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=LR))
    backward(model)
    with pytest.raises(fe.StrategyError, match="which is frozen, before the first step of RowAd"):
        optimizer.step()
    strategy.on_epoch_start(model.embedding, 0)
    backward(model)
    optimizer.step()
    assert (model.embedding.weight != 1).any(dim=1).sum() == 5


def test_groups_thrown_away_are_no_way_around():
    model = Model()
    fe.Freeze().param_groups(model, model.embedding, lr=LR)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    backward(model)
    with pytest.raises(fe.StrategyError, match="no hook of Freeze"):
        optimizer.step()


class Doubled(torch.optim.Optimizer):
    """An optimizer of another library."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {"lr": LR})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(2 * group["lr"] * parameter.grad)


def test_optimizers_of_other_libraries_and_closures_are_checked():
    model = Model()
    optimizer = Doubled(fe.Freeze().param_groups(model, model.embedding, lr=LR))
    backward(model)
    with pytest.raises(fe.StrategyError, match="first step of Doubled"):
        optimizer.step()
    sgd = torch.optim.SGD(fe.Freeze().param_groups(model, model.embedding, lr=LR))
    with pytest.raises(fe.StrategyError, match="first step of SGD"):
        sgd.step(lambda: float(backward(model)))


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch"])
def test_copies_of_a_model_and_its_optimizer_are_still_checked(how):
    model = Model()
    optimizer = fe.RowAdamW(fe.Freeze().param_groups(model, model.embedding, lr=LR))
    pair = (model, optimizer)
    if how == "deepcopy":
        model, optimizer = copy.deepcopy(pair)
    elif how == "pickle":
        model, optimizer = pickle.loads(pickle.dumps(pair))
    else:
        file = io.BytesIO()
        torch.save(pair, file)
        file.seek(0)
        model, optimizer = torch.load(file, weights_only=False)
    backward(model)
    with pytest.raises(fe.StrategyError, match="no hook of Freeze"):
        optimizer.step()
    fe.Freeze().on_epoch_start(model.embedding, 0)
    start = bits(model.embedding.weight)
    backward(model)
    optimizer.step()
    assert bits(model.embedding.weight) == start


# --- rows and shares of a rate --------------------------------------------------------------------


@pytest.mark.parametrize(
    "strategy",
    [fe.TrainRows(top=2), fe.LockRows({"w1": 0.0}), fe.L2SP(), fe.TrustRegion(), fe.MaxNorm(0.1)],
    ids=str,
)
@pytest.mark.parametrize("hooked", [False, True])
def test_rows_need_an_optimizer_that_applies_them(strategy, hooked):
    """Even if one has claimed them and another makes the step."""
    model = Model()
    groups = strategy.param_groups(model, model.embedding, lr=LR, vocab=VOCAB)
    fe.RowAdamW(groups)
    if hooked:
        strategy.on_epoch_start(model.embedding, 0)
    other = torch.optim.AdamW(groups)
    start = bits(model.embedding.weight)
    backward(model)
    with pytest.raises(
        fe.StrategyError, match=r"sets single rows .*, which AdamW ignores; use Row"
    ):
        other.step()
    assert bits(model.embedding.weight) == start


# --- frozen, and changed nevertheless -------------------------------------------------------------


def frozen(strategy: fe.Strategy | None = None) -> tuple[Model, torch.optim.Optimizer]:
    model, strategy = Model(), strategy or fe.Freeze()
    optimizer = torch.optim.SGD(strategy.param_groups(model, model.embedding, lr=LR))
    strategy.on_epoch_start(model.embedding, 0)
    return model, optimizer


def opened(model: Model) -> None:
    model.embedding.weight.requires_grad_(True)


def opened_as_a_whole(model: Model) -> None:
    model.requires_grad_(True)


def given_a_gradient(model: Model) -> None:
    model.embedding.weight.grad = torch.ones(V, D)


@pytest.mark.parametrize("open_again", [opened, opened_as_a_whole, given_a_gradient])
@pytest.mark.parametrize("strategy", [fe.Freeze(), fe.UnfreezeAfter(epochs=1)], ids=str)
def test_a_frozen_table_that_is_opened_by_other_code(strategy, open_again):
    model, optimizer = frozen(strategy)
    start = bits(model.embedding.weight)
    open_again(model)
    backward(model)
    with pytest.raises(
        fe.StrategyError, match=r"has frozen .* requires_grad or a gradient was set"
    ):
        optimizer.step()
    assert bits(model.embedding.weight) == start
    strategy.on_epoch_start(model.embedding, 0)
    optimizer.step()
    assert bits(model.embedding.weight) == start


class Renormed(Model):
    """A forward pass that renormalizes the rows it uses, without an option of the module."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        units = functional.embedding(ids, self.embedding.weight, max_norm=0.5).mean(1)
        return self.output(self.hidden(units))


def decayed(model: Model) -> None:
    with torch.no_grad():
        model.embedding.weight.mul_(0.99)


def averaged(model: Model) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.lerp_(torch.zeros_like(parameter), 0.1)


def loaded(model: Model) -> None:
    model.load_state_dict({n: p + 1 for n, p in model.state_dict().items()})


def one_bit(model: Model) -> None:
    with torch.no_grad():
        model.embedding.weight[8, 3] = torch.nextafter(
            model.embedding.weight[8, 3], torch.tensor(9.0)
        )


@pytest.mark.parametrize("change", [decayed, averaged, loaded, one_bit])
def test_a_frozen_table_that_other_code_changes(change):
    model, optimizer = frozen()
    backward(model)
    optimizer.step()
    change(model)
    with pytest.raises(fe.StrategyError, match="but its values were changed since"):
        optimizer.step()


@pytest.mark.parametrize("strategy", [fe.UnfreezeAfter(epochs=9), fe.Freeze()], ids=str)
def test_a_frozen_table_that_a_loop_changes_between_a_step_and_the_next_hook(strategy):
    model, optimizer = frozen(strategy)
    hook = strategy.on_epoch_start
    for epoch in range(2):  # before the first step other weights may be loaded
        decayed(model)
        hook(model.embedding, epoch)
    backward(model)
    optimizer.step()
    averages(model)  # and back: the same bits
    hook(model.embedding, 2)
    optimizer.step()
    with torch.no_grad():
        weight = model.embedding.weight
        weight.div_(weight.norm(dim=1, keepdim=True))
    with pytest.raises(fe.StrategyError, match=r"has frozen row 0 of .* were changed since"):
        hook(model.embedding, 3)
    fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=LR))
    hook(model.embedding, 3)


def test_rows_that_a_rule_freezes_and_a_loop_changes_between_a_step_and_the_next_hook():
    model, strategy = Model(), fe.TrainRows(top=2) | fe.UnfreezeAfter(epochs=0)
    optimizer = build(strategy, "groups", model)
    strategy.on_epoch_start(model.embedding, 0)
    backward(model)
    optimizer.step()
    trains = model.embedding.weight.row_rule.train
    with torch.no_grad():
        model.embedding.weight[trains] *= 2
    strategy.on_epoch_start(model.embedding, 1)
    optimizer.step()
    decayed(model)
    with pytest.raises(fe.StrategyError, match=r"has frozen row 0 of .* were changed since"):
        strategy.on_epoch_start(model.embedding, 2)


def test_a_functional_max_norm_on_a_frozen_table():
    model = Renormed()
    optimizer = fe.RowAdamW(fe.Freeze().param_groups(model, model.embedding, lr=LR))
    fe.Freeze().on_epoch_start(model.embedding, 0, model=model)
    backward(model)
    with pytest.raises(fe.StrategyError, match=r"forward pass \(max_norm\)"):
        optimizer.step()


def swapped(model: Model) -> None:
    """Average weights are swapped in for an evaluation, and out again."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict({name: value * 2 for name, value in state.items()})
    model.load_state_dict(state)


def cleared(model: Model) -> None:
    with torch.no_grad():
        model.embedding.weight[0] = model.embedding.weight[0].clone()


def averages(model: Model) -> None:
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    for _ in range(3):
        average.update_parameters(model)
    assert bits(average.module.embedding.weight) == bits(model.embedding.weight)
    model.load_state_dict(average.module.state_dict())


@pytest.mark.parametrize("write", [swapped, cleared, averages])
def test_writing_the_same_bits_is_no_change(write):
    model, optimizer = frozen()
    for _ in range(2):
        write(model)
        backward(model)
        optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("size", [(3, 3), (4, 2), (1, 1)], ids=str)
def test_a_change_of_one_bit_is_seen_in_every_type_and_shape(dtype, size):
    embedding = nn.Embedding(*size, dtype=dtype)
    optimizer = torch.optim.SGD(fe.Freeze().param_groups(embedding, embedding, lr=LR))
    fe.Freeze().on_epoch_start(embedding, 0)
    optimizer.step()
    with torch.no_grad():
        embedding.weight[-1, -1] = torch.nextafter(
            embedding.weight[-1, -1], torch.tensor(9.0, dtype=dtype)
        )
    with pytest.raises(fe.StrategyError, match="values were changed since"):
        optimizer.step()


@dataclass(frozen=True)
class EveryOther(fe.Strategy):
    """The table trains in even epochs."""

    def gate(self, name: str, clock: fe.Clock) -> float:
        return float(name != "embedding" or clock.epoch % 2 == 0)


def test_lbfgs_moves_parameters_without_a_gradient():
    """It adds a direction to all parameters, for a frozen one that of former steps."""
    model, strategy = Model(), EveryOther()
    strategy.param_groups(model, model.embedding, lr=LR)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=3)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        return backward(model)

    strategy.on_epoch_start(model.embedding, 0, model=model)
    optimizer.step(closure)
    strategy.on_epoch_start(model.embedding, 1, model=model)
    optimizer.step(closure)
    with pytest.raises(fe.StrategyError, match=r"values were changed since: .*\(LBFGS\)"):
        optimizer.step(closure)


def test_lbfgs_on_a_table_that_is_never_open_keeps_its_bits():
    model, strategy = Model(), fe.Freeze()
    strategy.param_groups(model, model.embedding, lr=LR)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)
    strategy.on_epoch_start(model.embedding, 0, model=model)
    start = bits(model.embedding.weight)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        return backward(model)

    losses = [optimizer.step(closure).item() for _ in range(4)]
    assert losses[3] < 0.8 * losses[0]
    assert bits(model.embedding.weight) == start


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_moments_of_an_open_epoch_do_not_move_a_table_that_is_frozen_again(kind):
    model, strategy = Model(), EveryOther()
    optimizer = OPTIMIZERS[kind](
        strategy.param_groups(model, model.embedding, lr=LR, weight_decay=0.3)
    )
    for epoch in range(4):
        strategy.on_epoch_start(model.embedding, epoch, model=model)
        before = bits(model.embedding.weight)
        for _ in range(2):
            optimizer.zero_grad(set_to_none=False)
            backward(model)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        assert (bits(model.embedding.weight) == before) == (epoch % 2 == 1)


def test_a_gradient_scaler_that_skips_a_step_changes_nothing():
    model = Model()
    strategy = fe.UnfreezeAfter(steps=1)
    optimizer = fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=LR))
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    start = [bits(p) for p in model.parameters()]
    for step, factor in enumerate((1.0, float("inf"), 1.0)):
        strategy.on_step_start(model.embedding, step)
        before = [bits(p) for p in model.parameters()]
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(IDS), torch.tensor([0, 1]))
        scaler.scale(loss * factor).backward()
        scaler.step(optimizer)
        scaler.update()
        assert ([bits(p) for p in model.parameters()] == before) == (step == 1)
        assert (bits(model.embedding.weight) == start[0]) == (step < 2)


# --- a new strategy on the same table -------------------------------------------------------------


def test_new_groups_forget_the_gates_of_the_last_strategy():
    model = Model()
    fe.ChainThaw().param_groups(model, model.embedding, lr=LR)
    fe.ChainThaw().on_epoch_start(model.embedding, 0, model=model)  # the output alone
    assert [p.requires_grad for p in model.parameters()] == [False] * 3 + [True] * 2
    model.output.bias.requires_grad_(False)  # by hand
    optimizer = fe.RowAdamW(fe.FullTune().param_groups(model, model.embedding, lr=LR))
    assert [p.requires_grad for p in model.parameters()] == [True] * 4 + [False]
    start = model.embedding.weight.detach().clone()
    backward(model)
    optimizer.step()
    assert fe.check_moved(model.embedding, start, LR) == 5


# --- max_norm -------------------------------------------------------------------------------------


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(V, D, max_norm=0.5, mode="mean")
        self.output = nn.Linear(D, 2)


class Tied(Model):
    """The module that is tuned has no `max_norm`; another with the same weight has one."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Embedding(V, D, max_norm=2.0))
        self.inner[0].weight = self.embedding.weight


class Own(nn.Module):
    """A module of the user's own with the option of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.max_norm = nn.Parameter(torch.ones(V, D)), 1.5


class Holder(nn.Module):
    """A table inside another module that shows its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Embedding(V, D, max_norm=1.0)

    @property
    def weight(self) -> nn.Parameter:
        return self.inner.weight


def renorming(kind: str) -> tuple[nn.Module, nn.Module]:
    """Return a model and its table."""
    if kind == "bag":
        model: Any = Bag()
        return model, model.table
    if kind == "tied":
        model = Tied()
        return model, model.embedding
    if kind == "own":
        model = nn.Sequential(Own(), nn.Linear(D, 2))
        return model, model[0]
    if kind == "holder":
        model = nn.Sequential(Holder(), nn.Linear(D, 2))
        return model, model[0]
    if kind == "table alone":
        model = nn.Embedding(V, D, max_norm=1.0)
        return model, model
    model = Model(max_norm=1.0, sparse=kind == "sparse", padding_idx=0)
    return model, model.embedding


@pytest.mark.parametrize("strategy", [fe.FullTune(), fe.Freeze(), fe.TrainRows(top=2)], ids=str)
@pytest.mark.parametrize(
    "kind", ["embedding", "sparse", "bag", "tied", "own", "holder", "table alone"]
)
def test_a_max_norm_is_refused_where_groups_are_made(kind, strategy):
    model, embedding = renorming(kind)
    with pytest.raises(fe.StrategyError, match=r"has max_norm=.*, which rescales rows of its tab"):
        strategy.param_groups(model, embedding, lr=LR, vocab=VOCAB)


def test_a_max_norm_set_later_is_refused_by_the_hooks():
    for strategy, start in (
        (fe.Freeze(), "on_epoch_start"),
        (fe.FullTune(), "on_epoch_start"),
        (fe.UnfreezeAfter(steps=1), "on_step_start"),
    ):
        for given in (True, False):
            model = Model()
            strategy.param_groups(model, model.embedding, lr=LR)
            model.embedding.max_norm = 1
            with pytest.raises(fe.StrategyError, match="embedding has max_norm=1, which"):
                getattr(strategy, start)(model.embedding, 0, model=model if given else None)


def test_a_max_norm_of_a_second_table_is_refused_once_it_is_frozen():
    model = Model()
    model.positions = nn.Embedding(5, D, max_norm=1.0)
    for strategy, epoch, refused in (
        (fe.Freeze(), 0, False),
        (fe.UnfreezeAfter(epochs=1), 0, False),
        (fe.GradualUnfreeze(), 0, False),  # it is the part defined last, so it trains first
        (fe.ChainThaw(), 1, True),
    ):
        strategy.param_groups(model, model.embedding, lr=LR)
        if refused:
            with pytest.raises(fe.StrategyError, match=r"positions has max_norm=1\.0"):
                strategy.on_epoch_start(model.embedding, epoch, model=model)
        else:
            strategy.on_epoch_start(model.embedding, epoch, model=model)


@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_by_frequency_and_padding_leave_the_laws_alone(sparse):
    """They change gradients, not rows; torch itself refuses the first for sparse ones."""
    options = {"padding_idx": 5} | ({} if sparse else {"scale_grad_by_freq": True})
    model = Model(sparse=sparse, **options)
    strategy = EveryOther()
    optimizer = fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=LR))
    start = model.embedding.weight.detach().clone()
    strategy.on_epoch_start(model.embedding, 1)
    backward(model)
    optimizer.step()
    assert bits(model.embedding.weight) == bits(start)
    strategy.on_epoch_start(model.embedding, 2)
    backward(model)
    optimizer.step()
    moved = (model.embedding.weight != start).any(dim=1).nonzero().flatten().tolist()
    assert moved == [1, 2, 3, 4]  # the row of padding has no gradient


# --- another weight than the groups ---------------------------------------------------------------


def assign(model: Model) -> nn.Module:
    model.load_state_dict({n: p.clone() for n, p in model.state_dict().items()}, assign=True)
    return model


def replaced(model: Model) -> nn.Module:
    model.embedding.weight = nn.Parameter(model.embedding.weight.detach().clone())
    return model


def new_module(model: Model) -> nn.Module:
    model.embedding = nn.Embedding.from_pretrained(model.embedding.weight.detach(), freeze=False)
    return model


def resized(model: Model) -> nn.Module:
    larger = nn.Embedding(V + 3, D)
    larger.weight.data[:V] = model.embedding.weight.data
    model.embedding = larger
    return model


def overwritten(model: Model) -> nn.Module:
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        return model.to(torch.float64)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


def from_meta(model: Model) -> nn.Module:
    return model.to("meta").to_empty(device="cpu")


REPLACED = [assign, replaced, new_module, resized, copy.deepcopy, overwritten, from_meta]


@pytest.mark.parametrize("replace", REPLACED)
@pytest.mark.parametrize(
    "strategy", [fe.TrustRegion(0.1), fe.Freeze(), fe.UnfreezeAfter(steps=1), fe.FullTune()],
    ids=str,
)  # fmt: skip
def test_a_hook_that_sees_another_weight_says_so(strategy, replace):
    model: Any = Model()
    fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=LR))
    model = replace(model)
    hook = strategy.on_step_start if strategy.timing == "step" else strategy.on_epoch_start
    with pytest.raises(fe.StrategyError, match="param_groups was not given the embedding's weight"):
        hook(model.embedding, 0, model=model)
    fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=LR))
    hook(model.embedding, 0, model=model)


def test_a_hook_on_another_table_than_the_groups_says_so():
    model = Model()
    model.other = nn.Embedding(V, D)
    strategy = fe.Freeze()
    strategy.param_groups(model, model.embedding, lr=LR)
    with pytest.raises(fe.StrategyError, match="but that of another table of the model, or"):
        strategy.on_epoch_start(model.other, 0, model=model)
    strategy.param_groups(model, model.other, lr=LR)
    strategy.on_epoch_start(model.other, 0, model=model)


@pytest.mark.parametrize(
    "convert",
    [
        lambda model: model.to(torch.float64),
        lambda model: model.half().float(),
        lambda model: model.to("cpu"),
        lambda model: model.load_state_dict(model.state_dict()) and model,
        lambda model: model.share_memory(),
        lambda model: model.requires_grad_(False).requires_grad_(True),
    ],
)
def test_what_keeps_the_weight_is_no_error(convert):
    model: Any = Model()
    strategy = fe.UnfreezeAfter(epochs=1)
    optimizer = torch.optim.SGD(strategy.param_groups(model, model.embedding, lr=LR))
    convert(model)
    start = bits(model.embedding.weight)
    for epoch in range(2):
        strategy.on_epoch_start(model.embedding, epoch, model=model)
        optimizer.zero_grad()
        backward(model)
        optimizer.step()
        assert (bits(model.embedding.weight) == start) == (epoch == 0)


def test_a_hook_without_groups_still_freezes_and_watches():
    """An optimizer over `model.parameters()` is the user's choice."""
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    strategy = fe.UnfreezeAfter(epochs=1)
    start = bits(model.embedding.weight)
    strategy.on_epoch_start(model.embedding, 0)
    backward(model)
    optimizer.step()
    assert bits(model.embedding.weight) == start
    opened(model)
    with pytest.raises(fe.StrategyError, match="has frozen"):
        optimizer.step()
    strategy.on_epoch_start(model.embedding, 1)
    backward(model)
    optimizer.step()
    assert bits(model.embedding.weight) != start


class Halved(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight / 2


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "change",
    [
        lambda e: parametrize.register_parametrization(e, "weight", Halved()),
        lambda e: nn.utils.parametrizations.weight_norm(e),
        lambda e: nn.utils.parametrizations.spectral_norm(e),
        lambda e: nn.utils.parametrizations.orthogonal(e),
        lambda e: prune.l1_unstructured(e, "weight", 0.5),
    ],
)
def test_a_weight_that_is_computed_is_refused(change, when):
    model, strategy = Model(), fe.Freeze()
    if when == "after":
        strategy.param_groups(model, model.embedding, lr=LR)
    change(model.embedding)
    for call in (
        lambda: strategy.on_epoch_start(model.embedding, 0),
        lambda: strategy.param_groups(model, model.embedding, lr=LR),
    ):
        with pytest.raises(fe.StrategyError, match="is no parameter but computed, as by weight_no"):
            call()


# --- nothing is open ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shut(fe.Strategy):
    """A gate that is closed for everything, at some time."""

    at: int = 0
    by: str = "epoch"

    @property
    def timing(self):
        return self.by

    def gate(self, name: str, clock: fe.Clock) -> float:
        return float(getattr(clock, self.by) != self.at)


@dataclass(frozen=True)
class BelowZero(fe.Strategy):
    def gate(self, name: str, clock: fe.Clock) -> float:
        return -1.0 if name == "embedding" else 0.0


@pytest.mark.parametrize(
    ("strategy", "at"),
    [
        (Shut(), 0),
        (Shut(at=3), 3),
        (Shut(by="step"), 0),
        (Shut(at=2, by="step"), 2),
        (BelowZero(), 0),
        (Shut() | fe.DiscriminativeLR(embedding=0.5), 0),
        (Shut(at=1) | fe.UnfreezeAfter(epochs=2), 1),
    ],
    ids=str,
)
def test_gates_that_close_everything_are_an_error(strategy, at):
    model = Model()
    strategy.param_groups(model, model.embedding, lr=LR)
    hook = strategy.on_step_start if strategy.timing == "step" else strategy.on_epoch_start
    with pytest.raises(fe.StrategyError) as caught:
        hook(model.embedding, at, model=model)
    assert "every part of Model is frozen" in str(caught.value)
    assert ": embedding, hidden, output; let the gate of one part" in str(caught.value)


@dataclass(frozen=True)
class Odd(fe.Strategy):
    value: Any = 2.0
    part: str = "embedding"

    def gate(self, name: str, clock: fe.Clock) -> float:
        return self.value if name == self.part else 1.0


@pytest.mark.parametrize("value", [1.5, float("nan"), float("inf"), None, 2])
@pytest.mark.parametrize("part", ["embedding", "output"])
def test_a_gate_that_is_no_share_of_a_rate(value, part):
    model, strategy = Model(), Odd(value, part)
    torch.optim.SGD(strategy.param_groups(model, model.embedding, lr=LR))
    with pytest.raises(fe.StrategyError, match=f"a gate must be from 0 to 1, and is {value}"):
        strategy.on_epoch_start(model.embedding, 0, model=model)


def test_a_frozen_table_beside_a_head_that_the_user_froze():
    model = Model()
    model.hidden.requires_grad_(False)
    model.output.requires_grad_(False)
    fe.Freeze().param_groups(model, model.embedding, lr=LR)
    with pytest.raises(fe.StrategyError, match="every part of Model is frozen in epoch 1"):
        fe.Freeze().on_epoch_start(model.embedding, 0, model=model)


# --- the cost -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "times"),
    [
        (fe.UnfreezeAfter(steps=50), 1),
        (fe.UnfreezeAfter(steps=20), 1),
        (fe.UnfreezeAfter(steps=0) | fe.TrainRows(top=3), 1),
        (fe.UnfreezeAfter(steps=20) | fe.TrainRows(top=3), 1),
        (fe.UnfreezeAfter(steps=0) | fe.L2SP(), 0),
    ],
    ids=str,
)
def test_a_table_is_summed_once(strategy, times, monkeypatch):
    from finetune_embed.strategies import watch

    summed: list[int] = []
    original = watch._sums
    monkeypatch.setattr(watch, "_sums", lambda w: summed.append(1) or original(w))
    model = Model()
    optimizer = fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=LR, vocab=VOCAB))
    for step in range(50):
        strategy.on_step_start(model.embedding, step)
        optimizer.zero_grad()
        backward(model)
        optimizer.step()
        optimizer.flush()
    assert len(summed) == times


# --- rows that are frozen in an open table --------------------------------------------------------

ROWS = [
    fe.TrainRows(top=2),
    fe.TrainRows(keys=["w1"]) | fe.UnfreezeAfter(epochs=0),
    fe.GradualUnfreeze(by="frequency", epochs=9),
    fe.TrainRows(top=3) | fe.L2SP(),
    fe.TrainRows(min_count=8) | fe.MaxNorm(1.0),
]


def build(strategy: fe.Strategy, how: str, model: nn.Module) -> fe.RowAdamW:
    groups = strategy.param_groups(model, model.embedding, lr=LR, vocab=VOCAB)
    if how == "parameters":
        return fe.RowAdamW(model.parameters(), lr=LR)
    if how == "row_wise=False":
        groups[0]["row_wise"] = False
    return fe.RowAdamW(groups)


@pytest.mark.parametrize("strategy", ROWS, ids=str)
@pytest.mark.parametrize("how", ["groups", "parameters", "row_wise=False"])
def test_rows_are_frozen_however_the_optimizer_was_built(strategy, how):
    model = Model()
    optimizer = build(strategy, how, model)
    start = model.embedding.weight.detach().clone()
    for epoch in range(2):
        strategy.on_epoch_start(model.embedding, epoch, model=model)
        for _ in range(2):
            optimizer.zero_grad()
            backward(model)
            optimizer.step()
        optimizer.flush()
    rule = model.embedding.weight.row_rule
    frozen = ~rule.train if rule.opens is None else rule.opens > 1
    assert frozen.any()
    moved = (model.embedding.weight != start).any(dim=1)
    assert not moved[frozen].any()
    assert moved.any()


@pytest.mark.parametrize("strategy", ROWS, ids=str)
@pytest.mark.parametrize("closure", [False, True])
@pytest.mark.parametrize("hooked", [False, True])
def test_a_functional_max_norm_on_frozen_rows(strategy, closure, hooked):
    """With a closure, as in Lightning, the forward pass is a part of the step."""
    model = Renormed()
    optimizer = build(strategy, "groups", model)
    if strategy.timed or hooked:
        strategy.on_epoch_start(model.embedding, 0, model=model)
    else:
        optimizer.step()
    if closure:
        with pytest.raises(fe.StrategyError, match=r"has frozen row \d of .*max_norm"):
            optimizer.step(lambda: backward(model))
    else:
        backward(model)
        with pytest.raises(fe.StrategyError, match=r"has frozen row \d of .*max_norm"):
            optimizer.step()


def test_writes_to_rows_that_train_are_no_error():
    model, strategy = Model(), fe.TrainRows(top=2)
    optimizer = build(strategy, "groups", model)
    strategy.on_epoch_start(model.embedding, 0)
    trains = model.embedding.weight.row_rule.train
    for _ in range(3):
        with torch.no_grad():
            model.embedding.weight[trains] *= 2
        backward(model)
        optimizer.step()
    with torch.no_grad():
        model.embedding.weight[~trains] *= 2
    with pytest.raises(fe.StrategyError, match=r"TrainRows\(top=2\) has frozen row 0 of"):
        optimizer.step()


def test_a_checkpoint_may_be_loaded_after_the_groups_were_made():
    model, strategy = Model(), fe.TrainRows(top=2)
    optimizer = build(strategy, "groups", model)
    loaded(model)
    backward(model)
    optimizer.step()
    loaded(model)
    strategy.on_epoch_start(model.embedding, 0)
    backward(model)
    optimizer.step()


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of torch itself
@pytest.mark.parametrize("inner", [fe.RowAdamW, torch.optim.SGD])
def test_of_an_optimizer_that_wraps_another_the_inner_one_counts(inner, tmp_path):
    from torch.distributed.optim import ZeroRedundancyOptimizer

    distributed = torch.distributed
    distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model, strategy = Model(), fe.TrainRows(rows=[1])
        before = model.embedding.weight.detach().clone()
        groups = strategy.param_groups(model, model.embedding, lr=LR)
        optimizer = ZeroRedundancyOptimizer(groups, optimizer_class=inner, lr=LR)
        if inner is fe.RowAdamW:
            strategy.on_epoch_start(model.embedding, 0)
            backward(model)
            optimizer.step()
        else:
            with pytest.raises(fe.StrategyError, match=r"sets single rows .* ignore; use RowAdamW"):
                strategy.on_epoch_start(model.embedding, 0)
    finally:
        distributed.destroy_process_group()
    moved = (model.embedding.weight != before).any(dim=1)
    assert moved.nonzero().flatten().tolist() == ([1] if inner is fe.RowAdamW else [])
