"""The remedy of comparing tables of different words is followed."""

from __future__ import annotations

import pytest
from following import follows

import finetune_embed as fe
from finetune_embed.cli import main


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@follows("evaluation/drift.py", "compare it with")
def test_a_tuned_table_that_lacks_words(table, tmp_path, capsys):
    base, tuned = table, table.subset(["king", "man"])
    with pytest.raises(fe.VocabularyError, match=r"subset\(w for w in base.index_to_key if w in"):
        fe.drift(base, tuned)
    assert fe.drift(base.subset(w for w in base.index_to_key if w in tuned), tuned).rows_moved == 0
    base_file, tuned_file, part = (tmp_path / n for n in ("base.txt", "tuned", "part.safetensors"))
    fe.save_glove(base, base_file)
    fe.save_glove(tuned, tuned_file)
    assert run("drift", base_file, tuned_file) == 2
    assert "finetune-embed convert BASE part.safetensors --keys FILE" in capsys.readouterr().err
    (tmp_path / "words").write_text("king\nman\n")
    assert run("convert", base_file, part, "--keys", tmp_path / "words") == 0
    assert run("drift", part, tuned_file) == 0
