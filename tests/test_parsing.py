from __future__ import annotations

from dataclasses import dataclass

import pytest

from finetune_embed import DataError, StrategyError
from finetune_embed.parsing import parse_call


@dataclass
class Box:
    size: int = 1
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.size == 13:
            raise DataError("thirteen brings bad luck")
        if self.size < 0:
            raise ValueError("size below zero")


def bag(first: str, number: float = 0.5) -> tuple[str, float]:
    return first, number


KNOWN = {"Box": Box, "bag": bag}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Box", Box()),
        (" Box() ", Box()),
        ("Box(size=3)", Box(3)),
        ("Box(size=-3e0 or 1)", None),
        ("Box(names=('a', 'b'), size=2)", Box(2, ("a", "b"))),
        ("Box(\n  size=4,\n)", Box(4)),
        ("Box(3)", Box(3)),
        ("Box(3, ('a',))", Box(3, ("a",))),
        ("Box(3, names=('a',))", Box(3, ("a",))),
    ],
)
def test_texts_of_objects(text, value):
    if value is None:
        with pytest.raises(DataError, match="not a literal; give a plain number or text"):
            parse_call(text, KNOWN, "thing", DataError)
    else:
        assert parse_call(text, KNOWN, "thing", DataError) == value


def test_first_arguments_are_not_options():
    assert parse_call("bag(number=2)", KNOWN, "thing", DataError, "x") == ("x", 2)
    with pytest.raises(DataError, match=r"bag has no option 'first'; write bag\(number=...\)"):
        parse_call("bag(first='y')", KNOWN, "thing", DataError, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a thing; write Box or bag"),
        ("Box(", r"'Box\(' is not a thing"),
        ("Box()\0", "is not a thing"),
        ("(" * 1_000, "is not a thing"),
        ("Box; bag", "is not a thing"),
        ("box", "no thing is called 'box' \\(did you mean Box\\?\\); choose from Box, bag$"),
        ("Bx(size=1)", "no thing is called 'Bx' \\(did you mean Box"),
        ("zebra", "no thing is called 'zebra'; choose from Box, bag$"),
        ("Box.size", "no thing is called 'Box.size'"),
        ("Box()()", r"no thing is called 'Box\(\)'"),
        ("3", "no thing is called '3'"),
        (
            "Box(3, (), 4)",
            r"Box\(3, \(\), 4\): Box has 2 options; write Box\(size=..., names=...\)$",
        ),
        ("Box(3, size=3)", r"Box\(3, size=3\): size is given twice; keep one of them"),
        ("Box(x)", r"Box\(size=x\): x is not a literal; give a plain number or text"),
        ("Box(" + "[" * 5_000 + "]" * 5_000 + ")", "is not a thing"),
        ("-" * 100_000 + "1", "is not a thing"),
        ("Box" + ".a" * 50_000, "is not a thing"),
        ("Box(*[3])", "options need names"),
        ("Box(**{'size': 3})", "options need names"),
        (
            "Box(sise=3)",
            r"Box has no option 'sise' \(did you mean size\?\); write Box\(size=..., names=...\)",
        ),
        ("Box(size=x)", r"Box\(size=x\): x is not a literal; give a plain number or text"),
        ("Box(size=__import__('os').getpid())", "is not a literal; give a plain number or text"),
        ("Box(size={[]: 1})", "is not a literal; give a plain number or text"),
        ("Box(size='a')", r"Box\(size='a'\): '<' not supported"),
        ("Box(size=-1)", r"Box\(size=-1\): size below zero"),
        ("Box(size=13)", "^thirteen brings bad luck$"),
    ],
)
def test_errors(text, message):
    with pytest.raises(DataError, match=message):
        parse_call(text, KNOWN, "thing", DataError)


@pytest.mark.parametrize(
    ("text", "remedy", "corrected"),
    [
        ("Box(*[3])", "write Box(size=..., names=...)", "Box(size=3, names=())"),
        ("Box(3, (), 1)", "write Box(size=..., names=...)", "Box(size=3, names=())"),
        ("Box(sise=3)", "write Box(size=..., names=...)", "Box(size=3, names=())"),
        ("Box(size=3, size=4)", "keep one of them", "Box(size=3)"),
        ("Box(size=x)", "give a plain number or text", "Box(size=3)"),
        ("Bax(size=3)", "choose from Box, bag", "Box(size=3)"),
        ("Box(", "write Box or bag", "Box"),
    ],
)
def test_remedies_can_be_followed(text, remedy, corrected):
    with pytest.raises(DataError) as caught:
        parse_call(text, KNOWN, "thing", DataError)
    assert caught.value.remedy == remedy
    assert parse_call(corrected, KNOWN, "thing", DataError)


def test_the_fields_of_an_error_of_another_class_are_kept():
    def wrong() -> None:
        raise StrategyError("must be 1 or more", option="size", value=0, where="x", remedy="r")

    with pytest.raises(DataError) as caught:
        parse_call("wrong", {"wrong": wrong}, "thing", DataError)
    assert str(caught.value) == "x: size=0 must be 1 or more; r"
    assert (caught.value.option, caught.value.value, caught.value.where) == ("size", 0, "x")
