"""An option that takes one value is refused where it is given twice."""

from __future__ import annotations

import pytest

from finetune_embed.cli import main


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--text", "a", "--text", "b"), "--text is given twice; separate its values with commas"),
        (("--text=a", "--text", "b"), "--text is given twice; separate its values with commas"),
        (("--label", "a", "--label=b"), "--label is given twice; give it one value"),
        (("--epochs", "1", "--epochs", "2"), "--epochs is given twice; give it one value"),
        (("--data", "b.csv"), "--data is given twice; give it one value"),
    ],
)
def test_an_option_that_is_given_twice(capsys, options, message):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--vectors", "v.txt", "--data", "a.csv", "-o", "out", *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_options_that_may_be_repeated(capsys):
    given = ("--special", "<a>", "--special", "<b>", "--quiet", "--quiet")
    with pytest.raises(SystemExit):
        main(["train", "--vectors", "v.txt", "--data", "a.csv", "-o", "out", *given])
    assert "a.csv: there is no such file" in capsys.readouterr().err
