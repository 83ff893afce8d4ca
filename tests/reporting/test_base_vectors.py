"""The vectors that a run was tuned from: given, found again, or not, and what is said of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from pages import data, table, text_of, words_in

import finetune_embed as fe
from finetune_embed.training.base_vectors import Base, base_of
from finetune_embed.training.run.file_names import CONFIG

SECRET = "root:x:0:0:a secret of this machine"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was tuned from a file beside it, `glove.txt`."""
    place = tmp_path_factory.mktemp("tuned")
    fe.save_glove(plain(table()), place / "glove.txt")
    options = {"head": "bag", "epochs": 1, "tokenizer": "whitespace", "lexical": False}
    fe.finetune(place / "glove.txt", data(40), **options).save(place / "run")  # type: ignore[arg-type]
    return place / "run"


def plain(of: fe.EmbeddingTable) -> fe.EmbeddingTable:
    """Return a table with words that a text file can hold."""
    return fe.EmbeddingTable([word.replace(" ", "_") for word in of.index_to_key], of.vectors)


def page_of(run: Path, place: Path, **options: object) -> str:
    fe.report(run, place / "page.html", words=9, **options)  # type: ignore[arg-type]
    return (place / "page.html").read_text()


def renamed(folder: Path, vectors: Path) -> fe.Run:
    """Return a run whose `config.yaml` names other vectors."""
    settings = yaml.safe_load((folder / CONFIG).read_text())
    copy = vectors.parent / "run"
    copy.mkdir()
    for one in folder.iterdir():
        if one.is_file():
            (copy / one.name).write_bytes(one.read_bytes())
    (copy / CONFIG).write_text(yaml.safe_dump({**settings, "vectors": str(vectors)}))
    return fe.load(copy)


def test_the_file_that_the_run_names_is_found_again(folder: Path, tmp_path: Path) -> None:
    assert words_in(page_of(folder, tmp_path))["known"]
    found = base_of(fe.load(folder), None)
    assert found.table is not None
    assert found.table.vectors.tobytes() == plain(table()).vectors.tobytes()


@pytest.mark.parametrize("name", ["secret", "secret.txt", "secret.json", "secret.npy"])
def test_nothing_of_a_file_that_a_stranger_names_is_shown(
    name: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(f"{SECRET}\n" * 3)
    run = renamed(folder, tmp_path / name)
    assert base_of(run, None) == Base(None, "the vectors that it was tuned from cannot be read")
    page = page_of(tmp_path / "run", tmp_path)
    (tmp_path / "pairs.tsv").write_text("good\tbad\t1\nfine\tpoor\t2\nthe\ta\t3\n")
    fe.save_card(run, tmp_path, name="card", word_pairs=[tmp_path / "pairs.tsv"])
    for text in (page, (tmp_path / "README.md").read_text()):
        assert "cannot be read" in text
        assert "root:x" not in text
        assert str(tmp_path) not in text


def test_a_pipe_that_a_stranger_names_is_not_opened(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = base_of(renamed(folder, tmp_path / "pipe"), None)
    assert found == Base(None, "the vectors that it was tuned from are not where they were")


def test_a_file_that_has_changed(folder: Path, tmp_path: Path) -> None:
    fe.save_glove(fe.EmbeddingTable(["good"], np.eye(1, 8)), tmp_path / "glove.txt")
    run = renamed(folder, tmp_path / "glove.txt")
    assert base_of(run, None) == Base(None, "the file that it was tuned from has changed")


def test_a_given_table_of_other_dimensions_is_an_error(folder: Path, tmp_path: Path) -> None:
    narrow = fe.EmbeddingTable(["good", "bad"], np.eye(2, 4))
    fe.save_glove(narrow, tmp_path / "narrow.txt")
    for base in (narrow, tmp_path / "narrow.txt"):
        with pytest.raises(fe.DataError, match="has 4 dimensions, and the run has 8") as error:
            page_of(folder, tmp_path, base=base)
        assert error.value.option == "base"
    assert not (tmp_path / "page.html").exists()


def test_a_given_file_that_is_not_that_of_the_run_is_a_warning(
    folder: Path, tmp_path: Path
) -> None:
    other = fe.EmbeddingTable(table().index_to_key, table().vectors[::-1])
    fe.save_glove(plain(other), tmp_path / "other.txt")
    for base in (tmp_path / "other.txt", fe.load_vectors(tmp_path / "other.txt")):
        page = page_of(folder, tmp_path, base=base)
        assert "have another SHA-256 than those that the run was" in text_of(page, "words")
    for base in (folder.parent / "glove.txt", fe.load_vectors(folder.parent / "glove.txt")):
        assert "another SHA-256" not in page_of(folder, tmp_path, base=base)
    assert "another SHA-256" not in page_of(folder, tmp_path, base=plain(other))  # not known


def test_a_run_to_compare_with_is_named_after_its_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    page = page_of(folder, tmp_path, against=".")
    assert "gain over run" in text_of(page, "headline")
