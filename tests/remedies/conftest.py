"""What the tests of remedies share."""

from __future__ import annotations

import pytest

from finetune_embed.cli import main


@pytest.fixture
def command(capsys):
    """Runs a command, and returns what it wrote to standard error; nothing if it succeeded."""

    def run(*words: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(list(map(str, words)))
        err = capsys.readouterr().err
        assert stopped.value.code == (2 if err else 0)
        return err

    return run
