"""What writes or changes a table or a run takes either, or the path of one, in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import finetune_embed as fe
from finetune_embed.cli import main

WORDS = ["<unk>", "king", "queen", "the"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run, `run`, and a table, `v.txt`."""
    folder = tmp_path_factory.mktemp("sources")
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    fe.save_glove(fe.EmbeddingTable(WORDS, rows), folder / "v.txt")
    data = Dataset.from_dict({"text": ["the King", "a queen"] * 9, "label": ["x", "y"] * 9})
    settings = {"epochs": 1, "lexical": False, "tokenizer": "cased"}
    fe.finetune(folder / "v.txt", data, output_dir=folder / "run", **settings)
    return folder


def both(folder: Path) -> list[tuple[Any, Any]]:
    """Return a table and a run, each with its path."""
    table, run = folder / "v.txt", folder / "run"
    return [(fe.load_vectors(table), table), (fe.load(run), str(run))]


def written(folder: Path) -> dict[str, bytes]:
    return {
        one.relative_to(folder).as_posix(): one.read_bytes()
        for one in folder.rglob("*")
        if one.is_file() and one.name != "README.md"  # which has the name of the folder
    }


def test_static_folders_and_cards(folder, tmp_path):
    for number, (source, path) in enumerate(both(folder)):
        out = [tmp_path / f"{number}-{at}" / "model" for at in range(2)]
        for one, given in zip(out, (source, path), strict=True):
            one.parent.mkdir()
            fe.save_static(given, one, onnx=True)
            fe.save_card(given, one, license="mit")
        assert written(out[0]) == written(out[1])
        assert (out[0] / "README.md").read_bytes() == (out[1] / "README.md").read_bytes()
    assert b"Lowercase" not in written(out[0])["tokenizer.json"]  # that of the run's texts


def test_shrink(folder, tmp_path):
    for source, path in both(folder):
        small, again = (fe.shrink(one, words=2, dtype="int8") for one in (source, path))
        assert type(small) is type(again) is type(source)
        one, other = (getattr(found, "table", found) for found in (small, again))
        assert one.index_to_key == other.index_to_key
        assert one.vectors.tobytes() == other.vectors.tobytes()


def test_deltas(folder, tmp_path):
    (table, path), (run, run_path) = both(folder)
    found = []
    for base, tuned in ((table, run), (path, run_path), (table, run.table), (path, run)):
        fe.save_delta(base, tuned, tmp_path / "d")
        found.append((tmp_path / "d").read_bytes())
        again = fe.apply_delta(base, tmp_path / "d")
        assert again.vectors.tobytes() == run.table.vectors.tobytes()
    assert len(set(found)) == 1


def test_onnx(folder, tmp_path):
    _, (run, path) = both(folder)
    fe.save_onnx(run, tmp_path / "a")
    fe.save_onnx(path, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(fe.DataError, match="a run, with its head, and is given vectors; give"):
        fe.save_onnx(run.table, tmp_path / "c")
    with pytest.raises(fe.DataError, match=r"v.txt: this is a file, not the folder of a run; pass"):
        fe.save_onnx(folder / "v.txt", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_convert_to_static(folder, tmp_path, capsys):
    def command(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main([str(one) for one in arguments])
        assert stopped.value.code == 0, capsys.readouterr()
        return capsys.readouterr().out

    for name, (source, path) in zip(("table", "run"), both(folder), strict=True):
        shown = command("convert", path, tmp_path / name, "--to", "static")
        assert shown.splitlines()[-1].startswith(f"{tmp_path / name}: static, ")
        fe.save_static(source, tmp_path / f"{name}-2")
        assert written(tmp_path / name) == written(tmp_path / f"{name}-2")
    command("convert", folder / "run", tmp_path / "few", "--to", "static", "--limit", "2")
    assert fe.load_vectors(tmp_path / "few").index_to_key == WORDS[:2]
    command("delta", "save", folder / "v.txt", folder / "run", tmp_path / "d")
    command("delta", "apply", folder / "v.txt", tmp_path / "d", tmp_path / "s", "--to", "static")
    expected = fe.load_vectors(folder / "run")
    assert fe.load_vectors(tmp_path / "s").vectors.tobytes() == expected.vectors.tobytes()
