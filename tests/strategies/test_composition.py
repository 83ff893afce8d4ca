"""Strategies together, and the text form they are read from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import nn

import finetune_embed as fe
from finetune_embed.strategies import STRATEGIES, Anchored, Composition
from finetune_embed.strategies.base import compose

counts = st.integers(0, 10**9)
some = st.integers(1, 10**9)
factors = st.floats(0, 1e6, exclude_min=True, allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1, exclude_min=True, exclude_max=True)
names = st.text(max_size=8)
EACH: dict[str, st.SearchStrategy[fe.Strategy]] = {
    "ChainThaw": st.builds(fe.ChainThaw, epochs=some),
    "DeltaShrink": st.builds(fe.DeltaShrink, shrink=factors),
    "DiscriminativeLR": st.one_of(
        st.builds(fe.DiscriminativeLR, embedding=factors, decay=shares | st.just(1.0)),
        st.builds(fe.DiscriminativeLR, decay=shares),
        st.builds(fe.DiscriminativeLR, parts=st.dictionaries(names, factors, min_size=1)),
    ),
    "Freeze": st.just(fe.Freeze()),
    "FrequencyLR": st.builds(
        fe.FrequencyLR, power=st.floats(-3, 3), full=some, min_count=some | st.just(1)
    ),
    "FullTune": st.just(fe.FullTune()),
    "GradualUnfreeze": st.one_of(
        st.builds(fe.GradualUnfreeze, epochs=some),
        st.builds(fe.GradualUnfreeze, epochs=some, by=st.just("frequency"), bands=some),
    ),
    "HeadFirst": st.one_of(
        st.builds(fe.HeadFirst, epochs=counts, rate_after=st.floats(1e-6, 1)),
        st.builds(fe.HeadFirst, patience=some, metric=names.filter(bool)),
    ),
    "L2SP": st.builds(fe.L2SP, decay=factors),
    "LockRows": st.builds(fe.LockRows, factors=st.dictionaries(names, factors), default=shares),
    "MaxNorm": st.builds(fe.MaxNorm, max_norm=factors),
    "RampUp": st.builds(fe.RampUp, epochs=some) | st.builds(fe.RampUp, steps=some),
    "TrainRows": st.one_of(
        st.builds(fe.TrainRows, keys=st.lists(names)),
        st.builds(fe.TrainRows, lexicon=names.filter(bool)),
        st.builds(fe.TrainRows, oov=st.just(True)),
        st.builds(fe.TrainRows, top=some),
        st.builds(fe.TrainRows, min_count=some),
        st.builds(fe.TrainRows, rows=st.lists(some, min_size=1)),
    ),
    "TrustRegion": st.builds(fe.TrustRegion, radius=factors),
    "UnfreezeAfter": st.one_of(
        st.builds(fe.UnfreezeAfter, epochs=counts),
        st.builds(fe.UnfreezeAfter, steps=counts),
        st.builds(fe.UnfreezeAfter, fraction=shares),
    ),
    "UnfreezeOnPlateau": st.builds(
        fe.UnfreezeOnPlateau, patience=some, min_delta=factors, metric=names.filter(bool)
    ),
}


@st.composite
def valid_parts(draw: st.DrawFn) -> list[fe.Strategy]:
    """Return a few strategies of different classes that don't contradict each other."""
    chosen = draw(st.lists(st.sampled_from(sorted(EACH)), min_size=1, max_size=4, unique=True))
    parts = [draw(EACH[name]) for name in chosen]
    try:
        compose(*parts)
    except fe.StrategyError:
        reject()
    return parts


@dataclass(frozen=True)
class Rows(fe.Strategy):
    """A custom strategy that sets a given rule."""

    label: str = "rows"
    rule: fe.RowRule = field(default=fe.RowRule(), compare=False)

    def rows(self, weight, vocab):
        return self.rule


@dataclass(frozen=True)
class OtherRows(Rows):
    """A second one."""


class OneAnchor(Anchored):
    """A custom strategy that measures from where rows start."""


class OtherAnchor(Anchored):
    """A second one."""


def test_the_generators_make_every_strategy_there_is():
    assert set(EACH) == set(STRATEGIES)


# --- the algebra --------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=30)
@given(valid_parts())
def test_the_order_of_parts_does_not_matter(parts):
    composed = {compose(*order) for order in itertools.permutations(parts)}
    assert len(composed) == 1
    by_operator = parts[0]
    for part in parts[1:]:
        by_operator = part | by_operator
    assert {by_operator} == composed


@given(valid_parts())
def test_full_tune_is_the_identity(parts):
    one = compose(*parts)
    if one.tunes:
        assert one | fe.FullTune() == one == fe.FullTune() | one
    assert compose(fe.FullTune(), fe.FullTune()) == fe.FullTune()
    assert compose() == fe.FullTune()


@pytest.mark.parametrize(
    "text",
    [
        "FullTune | Freeze",
        "Freeze | FullTune",
        "Freeze() | FullTune()",
        "FullTune | Freeze | DiscriminativeLR(parts={'output': 2.0})",
        "Freeze | DiscriminativeLR(parts={'output': 2.0}) | FullTune",
    ],
)
def test_all_rows_and_no_row_is_a_contradiction(text):
    with pytest.raises(fe.StrategyError, match="so FullTune would do nothing to it; keep one"):
        fe.Strategy.parse(text)


@given(valid_parts())
def test_what_is_written_is_what_is_read(parts):
    one = compose(*parts)
    assert fe.Strategy.parse(str(one)) == one
    assert str(fe.Strategy.parse(str(one))) == str(one)
    assert type(fe.Strategy.parse(str(one))) is type(one)


@given(valid_parts(), st.integers(0, 20), st.integers(0, 50), st.integers(0, 9))
def test_rates_and_gates_multiply(parts, epoch, step, depth):
    record = {part.metric: 0.5 for part in parts if hasattr(part, "metric")}
    one, clock = compose(*parts), fe.Clock(epoch, step, 60, [record] * epoch, depth, 9)
    for name in ("embedding", "output"):
        rate, gate = 1.0, 1.0
        for part in parts:
            rate *= part.rate(name, depth)
            gate *= 1.0 if part.from_opening else part.gate(name, clock)
        assert one.rate(name, depth) == pytest.approx(rate, rel=1e-12)
        if any(part.from_opening for part in parts):  # which ramps count from when the others open
            assert (one.gate(name, clock) > 0) == (gate > 0)
        else:
            assert one.gate(name, clock) == pytest.approx(gate, rel=1e-12)
    steps = any(part.timing == "step" for part in parts)
    assert one.timing == ("step" if steps else "epoch")


def test_figures_of_one_composition():
    strategy = fe.UnfreezeAfter(epochs=2) | fe.DiscriminativeLR(embedding=0.1, decay=0.5)
    assert isinstance(strategy, Composition)
    assert str(strategy) == "DiscriminativeLR(embedding=0.1, decay=0.5) | UnfreezeAfter(epochs=2)"
    assert strategy.parts == (
        fe.DiscriminativeLR(embedding=0.1, decay=0.5),
        fe.UnfreezeAfter(epochs=2),
    )
    assert [strategy.rate("embedding", 3), strategy.rate("x", 0), strategy.rate("x", 2)] == [
        0.1,
        1.0,
        0.25,
    ]
    assert [strategy.gate("embedding", fe.Clock(epoch)) for epoch in range(4)] == [0, 0, 1, 1]
    assert strategy.gate("output", fe.Clock(0)) == 1


def test_a_composition_of_one_or_none_is_plain():
    assert compose(fe.Freeze()) == fe.Freeze()
    assert type(fe.FullTune() | fe.MaxNorm()) is fe.MaxNorm


def test_rules_merge():
    weight = nn.Parameter(torch.zeros(3, 2))
    anchor = torch.ones(3, 2)
    first = Rows(
        "first",
        fe.RowRule(
            train=torch.tensor([True, True, False]),
            scale=torch.tensor([1.0, 2.0, 3.0]),
            anchor=anchor,
            decay=0.5,
            radius=2.0,
            max_norm=5.0,
        ),
    )
    second = OtherRows(
        "second",
        fe.RowRule(
            train=torch.tensor([False, True, True]),
            scale=torch.tensor([0.5, 0.5, 0.5]),
            shrink=0.25,
            radius=1.0,
        ),
    )
    for both in (first | second, second | first):
        rule = both.rows(weight, None)
        assert rule.train.tolist() == [False, True, False]
        assert rule.scale.tolist() == [0.5, 1.0, 1.5]
        assert rule.anchor is anchor
        assert (rule.decay, rule.shrink, rule.radius, rule.max_norm) == (0.5, 0.25, 1.0, 5.0)
    assert (
        (fe.DiscriminativeLR(embedding=0.1) | fe.UnfreezeAfter(epochs=1)).rows(weight, None).trivial
    )


@pytest.mark.parametrize(
    ("name", "value"), [("anchor", torch.ones(3, 2)), ("decay", 0.5), ("shrink", 0.5)]
)
def test_two_rules_that_set_the_same_operation_are_an_error(name, value):
    """Also for custom strategies, whose rules are only known with the table."""
    both = Rows("a", fe.RowRule(**{name: value})) | OtherRows("b", fe.RowRule(**{name: value}))
    message = rf"^two strategies set the rows' {name}; keep one of them"
    with pytest.raises(fe.StrategyError, match=message):
        both.rows(nn.Parameter(torch.zeros(3, 2)), None)


# --- contradictions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            fe.UnfreezeAfter(epochs=1),
            fe.UnfreezeAfter(steps=1),
            "UnfreezeAfter is given twice; keep one of them",
        ),
        (
            fe.DiscriminativeLR(embedding=0.1),
            fe.DiscriminativeLR(decay=0.5),
            "DiscriminativeLR is given twice; keep one of them",
        ),
        (fe.Freeze(), fe.Freeze(), "Freeze is given twice; keep one of them"),
        (
            fe.Freeze(),
            fe.UnfreezeAfter(epochs=1),
            "Freeze keeps the table unchanged, so UnfreezeAfter(epochs=1) would do nothing to it; "
            "keep one of them",
        ),
        (
            fe.Freeze(),
            fe.DiscriminativeLR(embedding=0.1),
            "Freeze keeps the table unchanged, so DiscriminativeLR(embedding=0.1) would do nothing "
            "to it; keep one of them",
        ),
        (OneAnchor(), OtherAnchor(), "both set the rows' anchor; keep one of them"),
        (
            fe.RampUp(steps=3),
            fe.UnfreezeAfter(epochs=2),
            "RampUp(steps=3) counts steps from when UnfreezeAfter(epochs=2) opens the table, which "
            "counts epochs; let both count the same",
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_contradictions_are_errors_in_both_orders(a, b, message):
    for left, right in ((a, b), (b, a)):
        with pytest.raises(fe.StrategyError) as caught:
            left | right
        first, second = sorted((a, b), key=str)
        assert str(caught.value) == f"{first} | {second}: {message}"


def test_contradictions_are_found_inside_compositions():
    pair = fe.UnfreezeAfter(epochs=1) | fe.DiscriminativeLR(embedding=0.1)
    for other in (fe.Freeze(), fe.UnfreezeAfter(steps=3), pair):
        with pytest.raises(fe.StrategyError, match="keep one of them"):
            pair | other


def test_users_strategies_compose_but_have_no_name_in_text_forms():
    assert {"Rows", "OneAnchor", "Composition", "Strategy"}.isdisjoint(STRATEGIES)
    for text in ("Rows", "Freeze | OneAnchor"):
        with pytest.raises(fe.StrategyError, match="no strategy is called"):
            fe.Strategy.parse(text)


def test_a_ramp_may_count_in_another_unit_than_what_never_shuts_the_table():
    for other in (fe.UnfreezeAfter(epochs=0), fe.GradualUnfreeze(by="frequency")):
        gates = [
            (fe.RampUp(steps=1) | other).gate("embedding", fe.Clock(epoch, step))
            for epoch, step in ((0, 0), (0, 1), (1, 2))
        ]
        assert gates == [0.5, 1.0, 1.0]


def test_a_strategy_composes_with_strategies_only():
    with pytest.raises(TypeError, match="unsupported operand"):
        fe.Freeze() | "UnfreezeAfter(epochs=1)"


# --- text forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        ("Freeze", fe.Freeze()),
        ("  Freeze()  ", fe.Freeze()),
        ("UnfreezeAfter(epochs = 2)", fe.UnfreezeAfter(epochs=2)),
        ("UnfreezeAfter(steps=1_000)", fe.UnfreezeAfter(steps=1000)),
        ("DiscriminativeLR(embedding=1e-1)", fe.DiscriminativeLR(embedding=0.1)),
        ("FullTune|FullTune()|MaxNorm", fe.MaxNorm()),
        ("TrustRegion(0.1)", fe.TrustRegion(radius=0.1)),
        ("UnfreezeAfter(2)", fe.UnfreezeAfter(epochs=2)),
        ("L2SP(.1) | MaxNorm(2)", fe.L2SP(0.1) | fe.MaxNorm(2)),
        ("DiscriminativeLR(0.1, 0.5)", fe.DiscriminativeLR(embedding=0.1, decay=0.5)),
        ("TrainRows(['b', 'a'])", fe.TrainRows(keys=["a", "b"])),
        ("TrainRows(rows=[3, 1, 3])", fe.TrainRows(rows=[1, 3])),
        ("LockRows({'a': 0.5}, default=0)", fe.LockRows({"a": 0.5}, default=0)),
        (
            "(UnfreezeAfter(epochs=2) |\n DiscriminativeLR(decay=.5))",
            fe.UnfreezeAfter(epochs=2) | fe.DiscriminativeLR(decay=0.5),
        ),
    ],
)
def test_text_forms(text, strategy):
    assert fe.Strategy.parse(text) == strategy


HUGE = "9" * 400
KNOWN = (
    "ChainThaw, DeltaShrink, DiscriminativeLR, Freeze, FrequencyLR, FullTune, GradualUnfreeze, "
    "HeadFirst, L2SP, LockRows, MaxNorm, RampUp, TrainRows, TrustRegion, UnfreezeAfter, "
    "UnfreezeOnPlateau"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"'' is not a strategy; write one or more of {KNOWN}, such as 'Unfr"),
        ("Freeze |", f"'Freeze |' is not a strategy; write one or more of {KNOWN}"),
        ("UnfreezeAfter(epochs=1, epochs=2)", "epochs is given twice; keep one of them"),
        ("(" * 300, "is not a strategy; write one or more of"),
        ("Freeze\0", "is not a strategy; write one or more of"),
        ("Thaw", f"called 'Thaw' (did you mean ChainThaw?); choose from {KNOWN}"),
        ("freeze", f"called 'freeze' (did you mean Freeze?); choose from {KNOWN}"),
        ("UnfreezAfter(epochs=2)", f"(did you mean UnfreezeAfter?); choose from {KNOWN}"),
        ("Composition", "no strategy is called 'Composition'"),
        ("fe.Freeze()", "no strategy is called 'fe.Freeze'"),
        ("Freeze & FullTune", "no strategy is called 'Freeze & FullTune'"),
        ("Freeze()()", "no strategy is called 'Freeze()'"),
        ("2", "no strategy is called '2'"),
        ("TrustRegion(1, 2)", "TrustRegion(1, 2): TrustRegion has 1 options; write TrustRegion(ra"),
        ("Freeze(1)", "Freeze(1): Freeze has 0 options; write Freeze()"),
        ("UnfreezeAfter(2, epochs=2)", "epochs is given twice; keep one of them"),
        (
            "Freeze | FullTune",
            "Freeze keeps the table unchanged, so FullTune would do nothing to it",
        ),
        ("|".join(["Freeze"] * 300), "Freeze is given twice"),
        ("|".join(["Freeze"] * 3_000), "is not a strategy; write one or more of"),
        ("|".join(["FullTune"] * 100_000), "is not a strategy; write one or more of"),
        ("Freeze" + ".a" * 400, "is nested too deeply"),
        ("TrustRegion(radius=1j)", "TrustRegion(radius=1j) must be a number above 0"),
        ("FrequencyLR(power=1j)", "FrequencyLR(power=1j) must be a number"),
        ("FrequencyLR(power='x')", "FrequencyLR(power='x') must be a number"),
        (f"TrustRegion(radius={HUGE})", "must be a number above 0, and one that a float can hold"),
        (f"FrequencyLR(power={HUGE})", "must be a number"),
        (f"DiscriminativeLR(embedding={HUGE})", "must be a number above 0; to keep the table unch"),
        (f"DiscriminativeLR(decay={HUGE})", "must be above 0 and at most 1"),
        (f"HeadFirst(epochs=1, rate_after={HUGE})", "must be above 0 and at most 1"),
        (f"UnfreezeAfter(fraction={HUGE})", "must be at least 0 and below 1"),
        (f"LockRows(factors={{'a': {HUGE}}})", "LockRows takes names with numbers of 0 or more"),
        (f"UnfreezeAfter(epochs={HUGE})", "needs an integer of at most 9,007,199,254,740,992"),
        (f"TrainRows(min_count={HUGE})", "needs an integer of at most 9,007,199,254,740,992"),
        (f"TrainRows(top={HUGE})", "needs an integer of at most 9,007,199,254,740,992"),
        ("TrainRows(keys=5)", "TrainRows(keys=5) must be a list of words"),
        ("TrainRows(rows=5)", "TrainRows(rows=5) must be a list of row numbers"),
        ("TrainRows(rows=[])", "TrainRows(rows=[]) must be a list of row numbers"),
        ("TrainRows(rows=[-1])", "TrainRows(rows=[-1]) must be a list of row numbers"),
        ("TrainRows(rows=[1.5])", "TrainRows(rows=[1.5]) must be a list of row numbers"),
        ("TrainRows(rows=[True])", "TrainRows(rows=[True]) must be a list of row numbers"),
        ("TrainRows(rows='12')", "TrainRows(rows='12') must be a list of row numbers"),
        ("TrainRows(rows={1: 2})", "TrainRows(rows={1: 2}) must be a list of row numbers"),
        ("TrainRows(rows=[1], top=3)", "TrainRows takes one of keys, lexicon, oov, top, min_count"),
        (
            "UnfreezeAfter(epoch=2)",
            "no option 'epoch' (did you mean epochs?); write UnfreezeAfter(",
        ),
        ("Freeze(epochs=2)", "Freeze has no option 'epochs'; write Freeze()"),
        ("UnfreezeAfter(**{'epochs': 2})", "options need names; write UnfreezeAfter(epochs="),
        ("UnfreezeAfter(epochs=n)", "n is not a literal; give a plain number or text"),
        (
            "UnfreezeAfter(epochs=1 + 1)",
            "(epochs=1 + 1): 1 + 1 is not a literal; give a plain",
        ),
        (
            "UnfreezeAfter(epochs={[]: 1})",
            "epochs={[]: 1}): {[]: 1} is not a literal; give a",
        ),
        ("UnfreezeAfter(epochs='2')", "UnfreezeAfter needs an integer of 0 or more, not '2'"),
        ("UnfreezeAfter", "UnfreezeAfter takes either epochs, steps or fraction"),
        (
            "DiscriminativeLR(embedding='x')",
            "DiscriminativeLR(embedding='x') must be a number above 0",
        ),
        ("Freeze | UnfreezeAfter(epochs=2)", "Freeze keeps the table unchanged"),
    ],
)
def test_every_wrong_text_form_has_its_own_message(text, message):
    with pytest.raises(fe.StrategyError) as caught:
        fe.Strategy.parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('pathlib').Path('made').touch()",
        "UnfreezeAfter(epochs=open('made', 'w').write('1'))",
        "UnfreezeAfter(epochs=[open('made', 'w') for _ in (1,)])",
        "UnfreezeAfter(**vars(open('made', 'w')))",
        "Freeze(open('made', 'w'))",
        "Freeze if open('made', 'w') else FullTune",
        "(lambda: open('made', 'w'))()",
        "(Freeze := open('made', 'w'))",
        "Freeze | open('made', 'w')",
        "f\"{open('made', 'w')}\"",
        "STRATEGIES['Freeze']()",
        "Freeze.__class__.__base__.__subclasses__()",
    ],
)
def test_nothing_in_a_text_form_is_executed(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(fe.StrategyError):
        fe.Strategy.parse(text)
    assert not list(tmp_path.iterdir())


@given(st.text(max_size=40))
def test_any_text_is_a_strategy_or_an_error_of_ours(text):
    try:
        strategy = fe.Strategy.parse(text)
    except fe.StrategyError:
        return
    assert fe.Strategy.parse(str(strategy)) == strategy


def test_a_ramp_beside_bands_of_rows_counts_from_the_first_step():
    """They never shut the table, so there is no opening to count from."""
    both = fe.RampUp(steps=3) | fe.GradualUnfreeze(by="frequency", epochs=2)
    gates = [both.gate("embedding", fe.Clock(0, step, 60, (), 1, 1)) for step in range(5)]
    assert gates == [0.25, 0.5, 0.75, 1.0, 1.0]
    with pytest.raises(fe.StrategyError, match="let both count the same"):
        fe.RampUp(steps=3) | fe.GradualUnfreeze(epochs=2)
