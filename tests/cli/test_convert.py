from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.cli.convert import BY_SUFFIX
from finetune_embed.formats import SAVERS

TEXT = b"the 1 2\na\xff 3 4\nthe 5 6\nof 0.5 -0.25\n"
ROWS = {"the": [1.0, 2.0], "a\udcff": [3.0, 4.0], "of": [0.5, -0.25]}


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Text with a duplicate and a word that is not UTF-8, compressed."""
    path = tmp_path / "in.txt.gz"
    path.write_bytes(gzip.compress(TEXT))
    return path


def plain(path: Path) -> Path:
    """Write text with neither."""
    path.write_bytes(TEXT.replace(b"\xff", b"").replace(b"the 5 6\n", b""))
    return path


@pytest.mark.parametrize("name", SAVERS)
def test_every_format_can_be_written_and_read_back(name, tmp_path, capsys):
    source, target = plain(tmp_path / "in"), tmp_path / "out"
    assert run("convert", source, target, "--to", name, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["read"] == {
        "source": str(source),
        "format": "glove",
        "compression": "",
        "duplicates": 0,
        "non_utf8": 0,
    }
    assert printed["written"] == {"target": str(target), "format": name, "words": 3, "size": 2}
    assert run("convert", target, tmp_path / "back.txt") == 0
    back = fe.load_glove(tmp_path / "back.txt")
    assert sorted(back.index_to_key) == ["a", "of", "the"]
    assert back["of"].tolist() == [0.5, -0.25]


@pytest.mark.parametrize("suffix", [*BY_SUFFIX, ".BIN"])
def test_the_suffix_of_the_target_names_the_format(suffix, tmp_path, capsys):
    assert run("convert", plain(tmp_path / "in"), tmp_path / f"out{suffix}", "--json") == 0
    name = BY_SUFFIX[suffix.lower()]
    assert json.loads(capsys.readouterr().out)["written"]["format"] == name
    target = tmp_path / "again"
    SAVERS[name](fe.load_vectors(tmp_path / "in"), target)
    assert name == "safetensors" or target.read_bytes() == (tmp_path / f"out{suffix}").read_bytes()
    assert run("convert", tmp_path / f"out{suffix}", tmp_path / "back.vec", "--json") == 0
    assert json.loads(capsys.readouterr().out)["read"]["format"] == name


def test_what_was_read_is_printed(source, tmp_path, capsys):
    target = tmp_path / "out.npz"
    assert run("convert", source, target, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["read"] == {
        "source": str(source),
        "format": "glove",
        "compression": "gzip",
        "duplicates": 1,
        "non_utf8": 1,
    }
    assert printed["written"]["words"] == 3
    table = fe.load_vectors(target)
    assert dict(zip(table.index_to_key, table.vectors.tolist(), strict=True)) == ROWS
    assert run("convert", source, tmp_path / "out.safetensors") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{source}: glove in gzip, 1 duplicates skipped, 1 words not UTF-8",
        f"{tmp_path / 'out.safetensors'}: safetensors, 3 words x 2",
    ]
    assert run("convert", tmp_path / "out.safetensors", target, "--overwrite", "--json") == 0
    read = json.loads(capsys.readouterr().out)["read"]
    assert (read["format"], read["duplicates"], read["non_utf8"]) == ("safetensors", 0, 0)


def test_keys_and_limit(source, tmp_path, capsys):
    keys = tmp_path / "keys.txt"
    keys.write_bytes(b"of\nabsent\na\xff\nof\n")
    target = tmp_path / "out.vec"
    assert run("convert", source, target, "--keys", keys, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["read"]["missing"] == 1
    assert printed["written"]["words"] == 2
    assert fe.load_vectors(target).index_to_key == ["a\udcff", "of"]
    assert run("convert", source, target, "--keys", keys, "--limit", 3, "--overwrite") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith(": glove in gzip, 1 words not UTF-8, 2 requested words missing")
    assert fe.load_vectors(target).index_to_key == ["a\udcff"]


def test_smaller_numbers_and_shards(tmp_path, capsys):
    source, target = plain(tmp_path / "in"), tmp_path / "out"
    assert run("convert", source, target, "--dtype", "int8", "--shard-size", "6B") == 0
    assert capsys.readouterr().out.splitlines()[1] == f"{target}: safetensors of int8, 3 words x 2"
    table = fe.load_vectors(target)
    assert table.coded.coding.name == "int8"
    assert table["the"].tolist() == [np.float32(64) * (np.float32(2) / 127), 2.0]
    assert len(list(target.iterdir())) == 5
    assert run("convert", target, tmp_path / "back.safetensors", "--dtype", "bfloat16") == 0
    assert fe.load_vectors(tmp_path / "back.safetensors").coded.coding.name == "bfloat16"


def test_a_member_of_an_archive(tmp_path, capsys):
    packed = tmp_path / "glove.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for size in (1, 2):
            archive.writestr(
                f"{size}d.txt", b"".join(b"w%d" % i + b" 7" * size + b"\n" for i in (1, 2))
            )
    target = tmp_path / "out.txt"
    assert run("convert", packed, target) == 2
    error = capsys.readouterr().err
    assert "holds several files: '1d.txt', '2d.txt'; name the one to read: --member 2d.txt" in error
    assert not target.exists()
    assert run("convert", packed, target, "--member", "2d.txt", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["read"]["compression"] == "zip"
    assert printed["written"]["size"] == 2


def test_standard_input(source, tmp_path, capsys, monkeypatch):
    for data, packing in ((TEXT, ""), (source.read_bytes(), "gzip")):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        assert run("convert", "-", tmp_path / "out.bin", "--overwrite", "--json") == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["read"]["source"] == "-"
        assert printed["read"]["compression"] == packing
        assert np.array_equal(fe.load_vectors(tmp_path / "out.bin").vectors, [*ROWS.values()])
    data = TEXT.replace(b"\xff", b"")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert run("neighbors", "-", "the", "--topn", 1) == 0
    assert capsys.readouterr().out.split() == ["0.9839", "a"]


BAD = {
    "standard output": (
        ("-",),
        "not to standard output; name one: finetune-embed convert SOURCE v",
    ),
    "no suffix": (
        ("out",),
        "out: the suffix is not that of a format; name the format to wr",
    ),
    "no format": (
        ("out.bin", "--to", "csv"),
        "'csv' is not a format; name the format to write: ",
    ),
    "words beyond UTF-8": (("out.parquet",), "1 of 3 words are not UTF-8 ('a\\udcff' is the firs"),
    "no keys file": (("out.bin", "--keys", "nope"), "nope: no such file"),
    "keys of another table": (
        ("out.npz", "--keys", "in.txt.gz"),
        "in.txt.gz: none of the 4 words is in ",
    ),
    "a member of none": (
        ("out.bin", "--member", "x"),
        "not an archive, so it has no member 'x'; leave out --member",
    ),
    "a limit of none": (
        ("out.bin", "--limit", "0"),
        "--limit 0 must be 1 or more; leave --limit out to read all rows",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line_and_writes_nothing(case, source, capsys, monkeypatch):
    monkeypatch.chdir(source.parent)
    arguments, message = BAD[case]
    assert run("convert", source, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(source.parent.iterdir()) == [source]


def test_counts_are_those_of_the_file_that_was_read(tmp_path, capsys):
    (tmp_path / "in#1.txt").write_bytes(b"a 1 2\na 3 4\nb 5 6\n")
    assert run("convert", tmp_path / "in#1.txt", tmp_path / "one.arrow") == 0
    assert "1 duplicates skipped" in capsys.readouterr().out
    assert run("convert", tmp_path / "one.arrow", tmp_path / "two.arrow") == 0
    assert run("convert", tmp_path / "two.arrow", tmp_path / "three.arrow") == 0
    assert "duplicates" not in capsys.readouterr().out
    printed = {"source": "odd.safetensors", "source_format": "safetensors", "duplicates": "many"}
    fe.save_safetensors(fe.EmbeddingTable(["a"], [[1.0]], printed), tmp_path / "odd.safetensors")
    assert run("convert", tmp_path / "odd.safetensors", tmp_path / "out.txt", "--json") == 0
    assert json.loads(capsys.readouterr().out)["read"]["duplicates"] == 0


def test_the_source_is_not_replaced(tmp_path, capsys):
    source = plain(tmp_path / "in.txt")
    before = source.read_bytes()
    (tmp_path / "link.txt").symlink_to(source)
    for target in (source, tmp_path / "link.txt"):
        assert run("convert", source, target, "--limit", 1) == 2
        assert "the target is the source, which would be lost; name another target" in (
            capsys.readouterr().err
        )
    assert source.read_bytes() == before
