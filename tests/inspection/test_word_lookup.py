"""Words that carry a prefix or a tag: how to look them up, in Python and on the command line."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.inspection import Finding

PREFIXED = {
    "/c/en/": ["/c/en/dog", "/c/en/new_york", "/c/de/hund", "/c/en/##th", "/c/fr/chien"],
    "/c/de/": ["/c/de/hund", "/c/de/katze", "/c/de/haus"],
    "en:": ["en:dog", "en:cat", "de:hund", "en:house"],
    "ENTITY/": ["ENTITY/Rome", "ENTITY/Paris", "the", "ENTITY/Berlin"],
    "http://dbpedia.org/resource/": [f"http://dbpedia.org/resource/{w}" for w in ("A", "B", "C")],
    "en_": ["en_dog", "en_cat", "de_hund", "en_house"],
    "wiki#": ["wiki#a", "wiki#b"],
}
TAGGED = {
    "dog": ["dog_NN", "run_VB", "be::VERB", "i::conj", "dog_VB"],
    "new_york": ["new_york_PROPN", "dog_NOUN", "run_VERB", "the"],
    "duck": ["duck|NOUN", "duck|VERB", "New_York|GPE", "fly|VERB"],
    "walk": ["walk/VBD", "dog/NNS", "I/PRP"],
    "house": ["house-n", "go-v", "nice-j"],
    "cat": ["cat#n", "go#v"],
}
PLAIN = {
    "phrases": ["new_york", "los_angeles", "log_in", "machine_learning", "check_out", "a"],
    "paths": ["and/or", "he/she", "w/o", "the", "of", "cat"],
    "times": ["10:30", "11:45", "12:00"],
    "subwords": ["▁the", "▁of", "ing", "##ed"],
    "few tags": ["dog_NN", "the", "of", "cat"],
    "numbers": ["1", "2", "3"],
    "handles": ["@a", "#b", "the"],
    "quotation marks": ['"', '""', "''", "``", "the"],
    "smileys": [":)", ":/", ";-)", "_", "-", "/"],
}


def saved(words: list[str]) -> fe.EmbeddingTable:
    table = fe.EmbeddingTable(words, np.eye(len(words), 4, dtype=np.float32) + 0.5)
    fe.save_safetensors(table, "v.safetensors")
    return table


def finding_of(code: str) -> Finding:
    (found,) = (one for one in fe.inspect("v.safetensors").findings if one.code == code)
    return found


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 0


def follow_command(remedy: str) -> fe.EmbeddingTable:
    """Run the two commands of a remedy and return the table that they make."""
    run("convert", "v.safetensors", "all.txt")
    command = "sed " + remedy.partition("then sed ")[2].replace("NEW_FILE", "new.txt")
    subprocess.run(command, shell=True, check=True)
    return fe.load_vectors("new.txt")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("prefix", PREFIXED)
def test_words_with_a_prefix(prefix):
    words = PREFIXED[prefix]
    table = saved(words)
    found = finding_of("prefixed_words")
    expected = [word.removeprefix(prefix) for word in words if word.startswith(prefix)]
    assert found.count == len(expected)
    python, command = found.remedy.python, found.remedy.command_line
    assert python.startswith(f"look words up as table[{prefix!r} + word]")
    code = re.search(r"words = (\[.*?\]); (EmbeddingTable\(.*\))$", python)
    names = {"table": table, "EmbeddingTable": fe.EmbeddingTable}
    names["words"] = eval(code[1], names)
    made = eval(code[2], names)
    assert made.index_to_key == expected
    for word in expected:
        assert np.array_equal(made[word], table[prefix + word])
    assert follow_command(command).index_to_key == expected


@pytest.mark.parametrize("word", TAGGED)
def test_words_with_a_tag(word):
    words = TAGGED[word]
    table = saved(words)
    found = finding_of("tagged_words")
    python, command = found.remedy.python, found.remedy.command_line
    code = re.search(r"words = (\{.*\}); (EmbeddingTable\(.*\))$", python)
    names = {"table": table, "EmbeddingTable": fe.EmbeddingTable, "re": re}
    names["words"] = eval(code[1], names)
    made = eval(code[2], names)
    first = next(one for one in words if one.startswith(word))
    assert np.array_equal(made[word], table[first])
    assert len(made) == len({re.sub(r"(_|\||/|::|#|-)[A-Za-z]+$", "", one) for one in words})
    by_command = follow_command(command)
    assert sorted(by_command.index_to_key) == sorted(made.index_to_key)
    assert np.array_equal(by_command[word], table[first])


def test_words_in_quotation_marks():
    table = saved(["plain", '"the"', '"of"', '"don\'t"', '"a"'])
    found = finding_of("quoted_words")
    python, command = found.remedy.python, found.remedy.command_line
    names = {"table": table, "EmbeddingTable": fe.EmbeddingTable}
    made = eval(python.partition(": ")[2], names)
    assert made.index_to_key == ["plain", "the", "of", "don't", "a"]
    assert follow_command(command).index_to_key == made.index_to_key


@pytest.mark.parametrize("case", PLAIN)
def test_other_words_have_neither(case):
    saved(PLAIN[case])
    assert not {"prefixed_words", "tagged_words", "quoted_words"} & {
        one.code for one in fe.inspect("v.safetensors").findings
    }
    assert not Path("new.txt").exists()
