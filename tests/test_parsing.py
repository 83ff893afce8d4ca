from __future__ import annotations

from dataclasses import dataclass

import pytest

from finetune_embed import DataError
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
    ],
)
def test_spellings(text, value):
    if value is None:
        with pytest.raises(DataError, match="give a plain number or text"):
            parse_call(text, KNOWN, "thing", DataError)
    else:
        assert parse_call(text, KNOWN, "thing", DataError) == value


def test_given_arguments_come_first_and_are_no_options():
    assert parse_call("bag(number=2)", KNOWN, "thing", DataError, "x") == ("x", 2)
    with pytest.raises(DataError, match=r"bag has no option 'first'; write bag\(number"):
        parse_call("bag(first='y')", KNOWN, "thing", DataError, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no thing; write Box or bag"),
        ("Box(", r"'Box\(' is no thing"),
        ("Box()\0", "is no thing"),
        ("(" * 1_000, "is no thing"),
        ("Box; bag", "is no thing"),
        ("box", "no thing is called 'box'; there are Box, bag; did you mean Box"),
        ("Bx(size=1)", "no thing is called 'Bx'.*did you mean Box"),
        ("zebra", "no thing is called 'zebra'; there are Box, bag$"),
        ("Box.size", "no thing is called 'Box.size'"),
        ("Box()()", r"no thing is called 'Box\(\)'"),
        ("3", "no thing is called '3'"),
        ("Box(3)", r"name the options, such as Box\(option=value\)"),
        ("Box(*[3])", "name the options"),
        ("Box(**{'size': 3})", "name the options"),
        ("Box(sise=3)", r"Box has no option 'sise'; write Box\(size, names"),
        ("Box(size=x)", r"Box\(size=x\): give a plain number or text"),
        ("Box(size=__import__('os').getpid())", "give a plain number or text"),
        ("Box(size={[]: 1})", "give a plain number or text"),
        ("Box(size='a')", r"Box\(size='a'\): '<' not supported"),
        ("Box(size=-1)", r"Box\(size=-1\): size below zero"),
        ("Box(size=13)", "^thirteen brings bad luck$"),
    ],
)
def test_errors(text, message):
    with pytest.raises(DataError, match=message):
        parse_call(text, KNOWN, "thing", DataError)
