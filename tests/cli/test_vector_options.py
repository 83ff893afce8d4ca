"""`--vector-size` and `--limit` of all commands that read vectors, and words as they are shown."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

import finetune_embed as fe
from finetune_embed.cli import main

NAMES = b"Ada Lovelace 1 0.5\nAlan Turing 1 -0.5\nMarie Curie 0.25 0.5\n"
LONG = b"9 2\nking 1 0.5\nqueen 1 -0.5\nman 0.25 0.5\n"
DATA = "text,label\n" + "good king,x\nbad queen,y\n" * 8


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs a command in a folder with files; returns its code, output and message."""
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_bytes(NAMES)
    Path("long.txt").write_bytes(LONG)
    Path("data.csv").write_text(DATA)

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return run


TRAIN = ("--data", "data.csv", "--epochs", 1, "--quiet", "-o", "run")
COMPARE = (*TRAIN, "--strategy", "Freeze", "--seeds", 2, "--budget", 1)
COMMANDS = {
    "neighbors": (("neighbors", "{0}", "{1}"), ()),
    "inspect": (("inspect", "{0}", "--strict", "--json"), ()),
    "convert": (("convert", "{0}", "out.safetensors"), ()),
    "drift": (("drift", "{0}", "{0}"), ()),
    "train": (("train", "--vectors", "{0}"), TRAIN),
    "compare": (("compare", "--vectors", "{0}"), COMPARE),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_vector_size_that_a_message_names_is_an_option(name, command):
    words, more = COMMANDS[name]
    given = [word.format("names.txt", "Ada Lovelace") for word in words]
    code, out, err = command(*given, *more)
    assert code == 2
    assert "if words contain spaces, pass --vector-size 2" in (out + err).replace("\n", " ")
    code, out, err = command(*given, "--vector-size", 2, *more)
    if name == "inspect":  # words with spaces are a warning
        assert json.loads(out)["findings"][0]["code"] == "spaces"
    else:
        assert (code, err) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_limit_that_a_message_names_is_an_option(name, command):
    words, more = COMMANDS[name]
    given = [word.format("long.txt", "king") for word in words]
    code, out, err = command(*given, *more)
    assert code == 2
    assert "the header promises 9 vectors, but the file has 3" in out + err
    code, out, err = command(*given, "--limit", 3, *more)
    assert (code, err) == (0, "")
    if name == "inspect":
        assert json.loads(out)["words"] == 3
    if name == "convert":
        assert fe.load_vectors("out.safetensors").index_to_key == ["king", "queen", "man"]


def test_settings_about_the_file_are_kept_for_the_next_run(command):
    code, _, err = command("train", "--vectors", "names.txt", "--vector-size", 2, *TRAIN)
    assert (code, err) == (0, "")
    config = Path("run/config.yaml").read_text()
    assert "vector_size: 2\n" in config
    assert "limit: null\n" in config
    code, _, err = command("train", "--config", "run/config.yaml", *TRAIN[:-1], "again")
    assert (code, err) == (0, "")
    again = fe.load("again").table
    assert again.index_to_key[:3] == ["Ada Lovelace", "Alan Turing", "Marie Curie"]
    assert again.vectors.tobytes() == fe.load("run").table.vectors.tobytes()


def test_a_recipe_of_a_comparison_names_the_vector_size(command):
    code, _, err = command("compare", "--vectors", "names.txt", "--vector-size", 2, *COMPARE)
    assert (code, err) == (0, "")
    assert "vector_size: 2\n" in Path("run/recipe.yaml").read_text()


def test_the_limit_of_a_binary_with_damage(command):
    rows = b"".join(b"w%d " % i + struct.pack("<2f", i, 1) for i in range(3))
    Path("v.bin").write_bytes(b"4 2\n" + rows)
    for words in (("neighbors", "v.bin", "w1"), ("inspect", "v.bin", "--strict")):
        assert command(*words)[0] == 2
        assert command(*words, "--limit", 3)[0] == 0


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_1(limit, command):
    for words in (("neighbors", "long.txt", "king"), ("inspect", "long.txt")):
        code, _, err = command(*words, "--limit", limit)
        assert code == 2
        assert "must be 1 or more; leave --limit out" in err


MISSING = {
    "King": "king",
    "KING": "king",
    "Café": "cafe",
    "new york": "new_york",
    "new-york": "new_york",
    "nato": "NATO",
    "paris": "Paris",
    " king": "king",
    "dog": "dog_NN",
    "cat": "/c/en/cat",
    "horse": "ENTITY/horse",
}


@pytest.mark.parametrize("word", MISSING)
def test_a_near_form_of_a_missing_word_is_suggested(word, command):
    words = sorted({*MISSING.values(), "other"})
    fe.save_glove(fe.EmbeddingTable(words, [[i + 1.0, 1.0] for i in range(len(words))]), "v.txt")
    near = MISSING[word]
    code, _, err = command("neighbors", "v.txt", word)
    assert code == 2
    assert err.startswith(f"error: '{word}' is not in the table (")
    assert err.endswith(f"; give '{near}', which it has\n")
    assert command("neighbors", "v.txt", near)[0] == 0
    code, _, err = command("drift", "v.txt", "v.txt", "--word", word)
    assert (code, err.endswith(f"; give '{near}', which it has\n")) == (2, True)


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("queeen", "'queen'"),
        ("quen", "'queen'"),
        ("qeuen", "'queen'"),
        ("queem", "'queen'"),
        ("Frnace", "'France' or 'france'"),
        ("kingg", "'kings' or 'king'"),  # in the order of the file
        ("NAÏVEE", "'naïve'"),
        ("on", ""),  # too short
        ("queenly", ""),
        ("q" * 1_000_000, ""),
    ],
    ids=lambda text: text[:10],
)
def test_near_spellings_of_a_missing_word_are_suggested(word, shown):
    words = ["kings", "France", "queen", "one", "king", "france", "naïve"]
    table = fe.EmbeddingTable(words, [[i + 1.0, 1.0] for i in range(len(words))])
    with pytest.raises(fe.VocabularyError) as error:
        table.most_similar(word)
    use = f"; use {shown}, which it has, or leave out" if shown else "; leave out such words"
    assert use in str(error.value)


@pytest.mark.parametrize("word", ["don't", "a\\b", 'say "x"', "🙂", "日本"])
def test_a_missing_word_is_shown_plainly(word, command):
    fe.save_glove(fe.EmbeddingTable(["a", "b"], [[1.0, 0.5], [0.5, 1.0]]), "v.txt")
    code, _, err = command("neighbors", "v.txt", word)
    assert (code, err.startswith(f"error: '{word}' is not in the table (")) == (2, True)


@pytest.mark.parametrize(
    "word", ["a\x1b[31mb", "\x07", "x\x00y", "a\u202eb", "tab\there", "\x9b1m"]
)
def test_control_characters_of_words_are_escaped_alike(word, command):
    words = ["king", word, "queen"]
    fe.save_safetensors(fe.EmbeddingTable(words, [[1, 0.5], [1, 0.4], [0.2, 1]]), "a.safetensors")
    fe.save_safetensors(fe.EmbeddingTable(words, [[1, 0.5], [1, 0.9], [0.2, 1]]), "b.safetensors")
    escaped = repr(word)[1:-1]
    for given in (
        ("neighbors", "a.safetensors", "king"),
        ("neighbors", "a.safetensors", word + "x"),
        ("drift", "a.safetensors", "b.safetensors"),
        ("drift", "a.safetensors", "b.safetensors", "--word", word),
        ("inspect", "a.safetensors"),
    ):
        _, out, err = command(*given)
        assert "".join(out.split("\n")).isprintable()
        assert err.rstrip("\n").isprintable()
        if given[0] != "inspect" or "\u202e" not in word:
            assert escaped in out + err
