"""Each strategy's own numbers: when what opens, at which rate, which rows, and how far they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.strategies.gates import gate_of
from finetune_embed.strategies.validation_records import epoch_of_plateau

D = 4
WORDS = [f"w{i}" for i in range(10)]
COUNTS = [500, 100, 64, 25, 9, 4, 4, 1, 1, 1]


def vocabulary() -> fe.Vocabulary:
    return fe.Vocabulary(dict(zip(WORDS, COUNTS, strict=True)))


class Model(nn.Module):
    """A table, two layers and an output: depths 3, 2, 1 and 0."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        table = fe.EmbeddingTable(WORDS[:8], torch.randn(8, D).numpy())
        self.embedding = fe.to_embedding(table, vocabulary(), sparse=True)
        self.low, self.high, self.output = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        units = torch.tanh(self.low(self.embedding(ids).mean(1)))
        return self.output(torch.tanh(self.high(units)))


def records(*losses: float) -> list[dict[str, float]]:
    return [{"validation_loss": loss, "validation_accuracy": 1 - loss} for loss in losses]


def opened(strategy: fe.Strategy, scores: Sequence[dict[str, float]], epochs: int) -> list[str]:
    """Return for each epoch the letters of the parts that train: embedding, low, high, output."""
    model, letters = Model(), []
    fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=1.0, vocab=vocabulary()))
    for epoch in range(epochs):
        strategy.on_epoch_start(model.embedding, epoch, model=model, scores=scores[:epoch])
        named = (("e", model.embedding), ("l", model.low), ("h", model.high), ("o", model.output))
        letters.append("".join(letter for letter, part in named if part.weight.requires_grad))
    return letters


def rule(strategy: fe.Strategy, model: Model | None = None) -> fe.RowRule:
    return strategy.rows((model or Model()).embedding.weight, vocabulary())


def trained(strategy: fe.Strategy, steps: int = 6, lr: float = 0.1) -> tuple[Model, torch.Tensor]:
    """Return a model after some steps over all words, and the table it started from."""
    model = Model()
    start = model.embedding.weight.detach().clone()
    optimizer = fe.RowAdamW(
        strategy.param_groups(model, model.embedding, lr=lr, vocab=vocabulary())
    )
    ids = torch.arange(12).reshape(4, 3)
    for step in range(steps):
        if strategy.timing == "step":
            strategy.on_step_start(model.embedding, step, total_steps=steps, model=model)
        else:
            strategy.on_epoch_start(model.embedding, step, model=model)
        optimizer.zero_grad()
        functional.cross_entropy(model(ids), torch.tensor([0, 1, 0, 1])).backward()
        optimizer.step()
    return model, start


# --- when ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "losses", "expected"),
    [
        (fe.GradualUnfreeze(), [], ["o", "ho", "lho", "elho", "elho"]),
        (fe.GradualUnfreeze(epochs=2), [], ["o", "o", "ho", "ho", "lho", "lho", "elho"]),
        (fe.GradualUnfreeze(by="frequency"), [], ["elho", "elho"]),
        (fe.ChainThaw(), [], ["o", "e", "l", "h", "o", "elho", "elho"]),
        (fe.ChainThaw(epochs=2), [], ["o", "o", "e", "e", "l", "l", "h", "h"]),
        (fe.HeadFirst(epochs=2), [], ["lho", "lho", "elho", "elho"]),
        (fe.HeadFirst(patience=1), [0.5, 0.4, 0.4], ["lho", "lho", "lho", "elho", "elho"]),
        (fe.UnfreezeOnPlateau(), [0.5, 0.4, 0.4, 0.3], ["lho", "lho", "lho", "elho", "elho"]),
        (fe.UnfreezeOnPlateau(patience=2), [0.5, 0.4, 0.4, 0.3], ["lho"] * 5),
        (fe.UnfreezeOnPlateau(metric="accuracy"), [0.3, 0.4], ["lho", "lho", "elho"]),
        (fe.UnfreezeOnPlateau(min_delta=0.2), [0.5, 0.4], ["lho", "lho", "elho"]),
        (fe.UnfreezeOnPlateau() | fe.GradualUnfreeze(), [0.5, 0.5], ["o", "ho", "lho", "elho"]),
        (fe.Freeze(), [], ["lho", "lho"]),
    ],
    ids=str,
)
def test_each_epoch_opens_its_parts(strategy, losses, expected):
    assert opened(strategy, records(*losses), len(expected)) == expected


def test_unfreezeafter_a_share_of_the_steps():
    strategy = fe.UnfreezeAfter(fraction=0.3)
    gates = [strategy.gate("embedding", fe.Clock(step=step, total_steps=10)) for step in range(6)]
    assert gates == [0, 0, 0, 1, 1, 1]
    with pytest.raises(
        fe.StrategyError, match=r"needs the number of all steps; .*total_steps=\.\.\."
    ):
        strategy.on_step_start(Model().embedding, 0)


def test_headfirst_lowers_the_rate_of_everything():
    model, strategy = Model(), fe.HeadFirst(epochs=1, rate_after=0.25)
    optimizer = fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=0.1), eps=0.0)
    for epoch, share in ((0, 1.0), (1, 0.25), (2, 0.25)):
        strategy.on_epoch_start(model.embedding, epoch, model=model)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
        optimizer.step()
        for name, parameter in model.named_parameters():
            expected = 0.0 if epoch == 0 and name == "embedding.weight" else 0.1 * share
            moved = (before[name] - parameter).detach()
            torch.testing.assert_close(
                moved, torch.full_like(moved, expected), rtol=1e-4, atol=1e-6
            )


def test_headfirst_without_a_claim_of_its_share_is_an_error():
    model, strategy = Model(), fe.HeadFirst(epochs=1)
    torch.optim.AdamW(strategy.param_groups(model, model.embedding, lr=0.1))
    strategy.on_epoch_start(model.embedding, 0, model=model)
    with pytest.raises(
        fe.StrategyError, match=r"^HeadFirst\(epochs=1\) sets single rows or.*; use RowAdamW\("
    ):
        strategy.on_epoch_start(model.embedding, 1, model=model)


@pytest.mark.parametrize(
    "strategy", [fe.GradualUnfreeze(), fe.ChainThaw(), fe.ChainThaw(epochs=3)], ids=str
)
def test_strategies_of_parts_need_the_model(strategy):
    with pytest.raises(fe.StrategyError, match=r"needs the model; call .*epoch, model=model\)"):
        strategy.on_epoch_start(Model().embedding, 0)


def test_unfreezeonplateau_finds_plateaus():
    losses = [0.9, 0.8, 0.8, 0.85, 0.7, 0.7]
    assert epoch_of_plateau(records(*losses), 1, "loss") == 3
    assert epoch_of_plateau(records(*losses), 2, "loss") == 4
    assert epoch_of_plateau(records(*losses), 3, "loss") is None
    assert epoch_of_plateau(records(*losses), 1, "accuracy") == 3
    assert epoch_of_plateau([], 1, "loss") is None
    for prefix in ("", "val_", "eval_", "validation_"):
        kept = [{prefix + "loss": 1.0, "train_loss": 1.0 / n} for n in (1, 2)]
        assert epoch_of_plateau(kept, 1, "loss") == 2
    with pytest.raises(
        fe.StrategyError, match=r"has 'f1', but no 'loss'; .*'validation_loss': 0.5"
    ):
        epoch_of_plateau([{"f1": 1.0}], 1, "loss")


def gates(strategy: fe.Strategy, moments: Sequence[fe.Clock]) -> list[float]:
    return [round(strategy.gate("embedding", moment), 6) for moment in moments]


class ByStep(fe.Strategy):
    """Timed by step, without any effect."""

    @property
    def timing(self):
        return "step"

    def __str__(self) -> str:
        return "ByStep"


def test_rampup_counts_from_the_opening():
    epochs = [fe.Clock(epoch) for epoch in range(6)]
    steps = [fe.Clock(step=step, total_steps=10) for step in range(8)]
    assert gates(fe.RampUp(epochs=3), epochs) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert gates(fe.RampUp(epochs=1) | fe.UnfreezeAfter(epochs=2), epochs) == [0, 0, 0.5, 1, 1, 1]
    assert gates(fe.RampUp(steps=3), steps) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    late = [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert gates(fe.RampUp(steps=3) | fe.UnfreezeAfter(steps=3), steps) == late
    assert gates(fe.RampUp(steps=3) | fe.UnfreezeAfter(fraction=0.3), steps) == late
    scores = records(0.5, 0.5, 0.5, 0.5, 0.5)
    scored = [fe.Clock(epoch, scores=scores[:epoch]) for epoch in range(6)]
    plateau = fe.RampUp(epochs=1) | fe.UnfreezeOnPlateau()
    assert gates(plateau, scored) == [0, 0, 0.5, 1, 1, 1]
    assert plateau.gate("output", scored[2]) == 1
    assert (fe.RampUp(steps=3) | fe.L2SP()).timing == "step"
    beside = fe.RampUp(epochs=1) | fe.UnfreezeAfter(epochs=2) | ByStep()
    assert gates(beside, [replace(clock, step=9 * clock.epoch) for clock in epochs]) == [
        *(0, 0, 0.5, 1, 1, 1)
    ]


# --- how fast -----------------------------------------------------------------------------------


def test_discriminativelr_by_name():
    model = Model()
    strategy = fe.DiscriminativeLR(embedding=0.1, decay=0.5, parts={"low": 3.0, "[ho]*": 2})
    groups = strategy.param_groups(model, model.embedding, lr=1.0)
    assert {group["name"]: group["lr"] for group in groups} == {
        "embedding": 0.1,
        "low": 0.25 * 3,
        "high": 0.5 * 2,
        "output": 2.0,
    }
    for parts, message in (
        ({"hid*": 0.5}, r"'hid\*' matches no layer of the model; there are low, high, output;"),
        ({"embedding": 0.5}, r"'embedding' matches no layer .*, for the table, .*\(embedding="),
        ({"high": 1, "h*": 2}, r"the layer 'high' matches 'h\*', 'high'; keep one"),
        ({"high": -1}, r"takes names with numbers of 0 or more, not \{'high': -1\}; give a dict"),
    ):
        with pytest.raises(fe.StrategyError, match=message):
            fe.DiscriminativeLR(parts=parts).param_groups(model, model.embedding, lr=1.0)
    strategy = fe.DiscriminativeLR(parts={"b": 2, "a": 1})
    assert str(strategy) == "DiscriminativeLR(parts={'a': 1.0, 'b': 2.0})"
    assert len({strategy, fe.DiscriminativeLR(parts={"a": 1, "b": 2})}) == 1


def test_frequencylr_rates():
    root = rule(fe.FrequencyLR())
    assert root.train.tolist() == [False, False] + [True] * 10
    expected = [1, 1, 0.8, 0.5, 0.3, 0.2, 0.2, 0.1, 0.1, 0.1]
    torch.testing.assert_close(root.scale[2:], torch.tensor(expected))
    inverse = rule(fe.FrequencyLR(power=-1, full=4, min_count=4))
    assert inverse.train.tolist() == [False, False] + [True] * 7 + [False] * 3
    expected = [4 / 500, 0.04, 0.0625, 0.16, 4 / 9, 1, 1, 1, 1, 1]
    torch.testing.assert_close(inverse.scale[2:], torch.tensor(expected))


# --- which rows ---------------------------------------------------------------------------------


def names(mask: torch.Tensor) -> list[str]:
    return [vocabulary().index_to_key[row] for row in mask.nonzero().squeeze(1).tolist()]


@pytest.mark.parametrize("default", [0, 1])
def test_lockrows_factors_are_floats_even_if_the_default_is_an_integer(default):
    scale = rule(fe.LockRows({"w0": 0.5, "w1": 1.7}, default=default)).scale
    assert scale.dtype == torch.float32
    expected = torch.full((len(vocabulary()),), float(default))
    expected[[vocabulary().key_to_index[word] for word in ("w0", "w1")]] = torch.tensor([0.5, 1.7])
    assert torch.equal(scale, expected)


def test_trainrows_which_rows(tmp_path):
    lexicon = tmp_path / "words.txt"
    lexicon.write_bytes(b"\xef\xbb\xbfw1 w2\nabsent w9\n")
    assert names(rule(fe.TrainRows(keys=["w3", "w1", "absent"])).train) == ["w1", "w3"]
    assert names(rule(fe.TrainRows(lexicon=str(lexicon))).train) == ["w1", "w2", "w9"]
    assert names(rule(fe.TrainRows(oov=True)).train) == ["<pad>", "<unk>", "w8", "w9"]
    assert names(rule(fe.TrainRows(top=3)).train) == ["w0", "w1", "w2"]
    assert names(rule(fe.TrainRows(top=99)).train) == WORDS
    rare = fe.Vocabulary.from_texts(["a a a b b c d e f g"], min_count=2, specials=["<s>"])
    weight = torch.nn.Parameter(torch.zeros(len(rare), 2))
    assert rare.counts[rare.unk_idx] == 5  # more than any word has, but it is not a word
    top = fe.TrainRows(top=1).rows(weight, rare).train
    assert [rare.index_to_key[row] for row in top.nonzero().squeeze(1)] == ["a"]
    assert names(rule(fe.TrainRows(min_count=9)).train) == ["w0", "w1", "w2", "w3", "w4"]
    both = fe.TrainRows(top=4) | fe.FrequencyLR(min_count=100)
    assert names(rule(both).train) == ["w0", "w1"]


@pytest.mark.parametrize(
    ("strategy", "moved"),
    [
        (fe.TrainRows(keys=["w1", "w3"]), ["w1", "w3"]),
        (fe.TrainRows(oov=True), ["<unk>", "w8", "w9"]),
        (fe.TrainRows(top=2), ["w0", "w1"]),
        (fe.LockRows({"w0": 0, "w5": 0.5}), ["<unk>", *(w for w in WORDS if w != "w0")]),
        (fe.LockRows({"w4": 1.0}, default=0.0), ["w4"]),
    ],
    ids=str,
)
def test_rows_that_do_not_train_stay_bit_for_bit(strategy, moved):
    model, start = trained(strategy)
    same = model.embedding.weight.detach().view(torch.int32) == start.view(torch.int32)
    assert names(~same.all(1)) == moved


def test_lockrows_factor_is_on_the_step():
    (free, start), (locked, _) = trained(fe.FullTune(), 1), trained(fe.LockRows({"w2": 0.25}), 1)
    row = vocabulary().key_to_index["w2"]
    one = (free.embedding.weight - start)[row]
    torch.testing.assert_close((locked.embedding.weight - start)[row], one / 4, rtol=1e-5, atol=0)


def test_gradualunfreeze_opens_bands_of_frequency_one_after_the_other():
    strategy = fe.GradualUnfreeze(by="frequency", bands=3, epochs=2)
    # twelve rows in bands of four; those that never occur come last, in their order
    assert rule(strategy).opens.tolist() == [4, 4, 0, 0, 0, 0, 2, 2, 2, 2, 4, 4]
    model, start = Model(), Model().embedding.weight.detach()
    optimizer = fe.RowAdamW(
        strategy.param_groups(model, model.embedding, lr=0.1, vocab=vocabulary())
    )
    for epoch, expected in ((0, WORDS[:4]), (1, WORDS[:4]), (2, WORDS[:8]), (4, ["<unk>", *WORDS])):
        strategy.on_epoch_start(model.embedding, epoch)
        optimizer.zero_grad()
        model(torch.arange(12).reshape(4, 3)).square().sum().backward()
        optimizer.step()
        assert names((model.embedding.weight != start).any(1)) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rule(fe.TrainRows(keys=["absent"])), r"none of its words is in the vocabulary"),
        (lambda: rule(fe.TrainRows(keys=[])), r"none of its words is in the vocabulary"),
        (lambda: rule(fe.TrainRows(lexicon="no such file")), r"no such file'\) can't be read"),
        (lambda: fe.TrainRows(top=3).rows(Model().embedding.weight, None), r"vocab=vocab\)$"),
        (
            lambda: fe.FrequencyLR().rows(nn.Parameter(torch.ones(3, 2)), vocabulary()),
            r"the table has 3 rows, the vocabulary 12 words",
        ),
        (
            lambda: fe.TrainRows(top=1).rows(
                Model().embedding.weight, fe.Vocabulary(dict.fromkeys(WORDS, 0))
            ),
            r"this vocabulary has no counts; give it counts",
        ),
        (
            lambda: fe.TrainRows(oov=True).rows(nn.Parameter(torch.ones(12, 2)), vocabulary()),
            r"make it with to_embedding\(table, vocab\), .*: a copy loses",
        ),
        (lambda: rule(fe.LockRows({"absent": 0.0})), r"none of its words is in the vocabulary"),
        (lambda: fe.TrainRows(lexicon=True), r"TrainRows\(lexicon=True\) must be a text"),
        (lambda: fe.UnfreezeOnPlateau(metric=3), r"UnfreezeOnPlateau\(metric=3\) must be a text"),
        (
            lambda: fe.UnfreezeOnPlateau(min_delta="a"),
            r"\(min_delta='a'\) must be a number of 0 or",
        ),
        (lambda: fe.HeadFirst(patience=1, metric=None), r"\(metric=None\) must be a text"),
        (
            lambda: fe.UnfreezeOnPlateau().on_epoch_start(Model().embedding, 1),
            r"UnfreezeOnPlateau needs validation scores; give the records so far.*scores=history",
        ),
        (
            lambda: (fe.L2SP() | fe.HeadFirst(patience=2)).on_epoch_start(Model().embedding, 0),
            r"HeadFirst\(patience=2\) needs validation scores; give the records so far",
        ),
        (
            lambda: fe.TrainRows(),
            r"takes one of keys, lexicon, oov, top, min_count and rows; .*TrainRows\(oov=True\)",
        ),
        (lambda: fe.TrainRows(top=3, oov=True), r"TrainRows takes one of keys"),
        (lambda: fe.TrainRows(keys="good"), r"keys='good'\) must be a list of words"),
        (lambda: fe.TrainRows(top=0), r"needs an integer of 1 or more, not 0"),
        (lambda: fe.LockRows({"a": "b"}), r"not \{'a': 'b'\}"),
        (lambda: fe.LockRows({}, default=-1), r"LockRows\(default=-1\) must be a number of 0 or"),
        (lambda: fe.FrequencyLR(power=float("inf")), r"power=inf\) must be a number"),
        (lambda: fe.FrequencyLR(full=0), r"integer of 1 or more, not 0"),
        (lambda: fe.L2SP(0), r"L2SP\(decay=0\) must be a number above 0"),
        (lambda: fe.DeltaShrink(-1), r"DeltaShrink\(shrink=-1\) must be"),
        (lambda: fe.TrustRegion(float("nan")), r"TrustRegion\(radius=nan\) must be"),
        (lambda: fe.MaxNorm("3"), r"MaxNorm\(max_norm='3'\) must be"),
        (lambda: fe.RampUp(), r"RampUp takes either epochs or steps"),
        (lambda: fe.RampUp(epochs=0), r"integer of 1 or more"),
        (lambda: fe.HeadFirst(), r"HeadFirst takes either epochs or patience"),
        (
            lambda: fe.HeadFirst(epochs=1, rate_after=2),
            r"rate_after=2\) must be above 0 and at most 1",
        ),
        (lambda: fe.UnfreezeAfter(fraction=1), r"fraction=1\) must be at least 0 and below 1"),
        (lambda: fe.UnfreezeOnPlateau(patience=0), r"integer of 1 or more, not 0"),
        (lambda: fe.GradualUnfreeze(by="row"), r"by='row'\) must be 'module' or 'frequency'"),
        (lambda: fe.GradualUnfreeze(bands=2), r"bands=2\) applies only to by='frequency'"),
        (lambda: fe.ChainThaw(0), r"integer of 1 or more, not 0"),
    ],
)
def test_wrong_arguments_are_errors(make, message):
    with pytest.raises(fe.StrategyError, match=message):
        make()


# --- how far ------------------------------------------------------------------------------------


def distances(strategy: fe.Strategy, **options: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far each word has moved, and the length of its row at the start."""
    model, start = trained(strategy, 30, **options)
    return (model.embedding.weight - start).detach().norm(dim=1)[2:], start.norm(dim=1)[2:]


def test_l2sp_pulls_back():
    free, _ = distances(fe.FullTune())
    weak, _ = distances(fe.L2SP(0.5))
    strong, _ = distances(fe.L2SP(4.0))
    assert (weak < free).all()
    assert (strong < weak).all()
    assert (strong > 0).all()


def test_deltashrink_gives_exact_zeros():
    model, start = trained(fe.DeltaShrink(3.0), 30)
    same = model.embedding.weight.detach().view(torch.int32) == start.view(torch.int32)
    assert same.all()
    some, _ = distances(fe.DeltaShrink(0.5))
    free, _ = distances(fe.FullTune())
    assert (some < free).all()
    assert some.max() > 0


def test_trustregion_is_a_share_of_each_rows_length():
    moved, length = distances(fe.TrustRegion(0.2))
    torch.testing.assert_close(moved.clamp(min=0.2 * length), 0.2 * length, rtol=1e-5, atol=1e-6)
    assert (moved > 0.19 * length).sum() > 5
    model, start = trained(fe.TrustRegion(0.2), 30)
    cosine = functional.cosine_similarity(model.embedding.weight[2:], start[2:])
    assert (cosine > (1 - 0.2**2) ** 0.5 - 1e-6).all()
    mean = start.norm(dim=1)[start.norm(dim=1) > 0].mean()
    unk = model.embedding.weight[1].norm().item()  # which starts at zero
    assert 0 < unk <= 0.2 * mean * (1 + 1e-5)


def test_maxnorm_bounds_what_moved():
    model, start = trained(fe.MaxNorm(1.5), 30)
    norms = model.embedding.weight.detach().norm(dim=1)
    assert (start.norm(dim=1) > 1.5).any()
    assert norms.max() <= 1.5 + 1e-5


def test_two_anchors_contradict_each_other():
    for one, other in ((fe.L2SP(), fe.DeltaShrink()), (fe.L2SP(), fe.TrustRegion())):
        with pytest.raises(fe.StrategyError, match="both set the rows' anchor; keep one of them"):
            one | other
    assert rule(fe.TrustRegion() | fe.MaxNorm(2.0)).max_norm == 2.0


def test_of_two_radii_the_smaller_counts_row_by_row():
    class Ball(fe.Strategy):
        def rows(self, weight, vocab):
            return fe.RowRule(radius=0.3)

        def __str__(self) -> str:
            return "Ball"

    model = Model()
    lengths = model.embedding.weight.detach().norm(dim=1)
    both = rule(Ball() | fe.TrustRegion(0.2), model).radius
    assert torch.equal(both[2:], (0.2 * lengths[2:]).clamp(max=0.3))
    assert gate_of(model.embedding.weight) == 1
