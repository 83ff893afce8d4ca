"""The folder for the TensorFlow Embedding Projector, and what the Projector's rules make of it."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed import EmbeddingTable, VectorFileError, load_vectors, save_projector

WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂"]


def in_the_projector(folder: Path) -> tuple[list[str], list[list[float]]]:
    """Return the labels and points that the Projector makes of a folder.

    It reads a file as text, without a byte order mark, splits it at newlines and leaves out lines
    that are blank. A first row of metadata with a tab names columns. A point whose first field is
    no number has that as its label.
    """
    lines, points = {}, []
    for name in ("vectors", "metadata"):
        text = (folder / f"{name}.tsv").read_bytes().decode().removeprefix("\ufeff")
        lines[name] = [line for line in text.split("\n") if line.strip()]
    assert "\t" not in lines["metadata"][0]
    for line in lines["vectors"]:
        numbers = [float(field) for field in line.strip().split("\t")]
        assert all(map(math.isfinite, numbers))
        points.append(numbers)
    assert len(points) == len(lines["metadata"])
    return lines["metadata"], points


def test_golden_bytes_and_back(golden, tmp_path):
    table = load_vectors(golden / "tiny.safetensors")
    save_projector(table, tmp_path / "out")
    wanted = {one.name: one.read_bytes() for one in (golden / "tiny.projector").iterdir()}
    assert {one.name: one.read_bytes() for one in (tmp_path / "out").iterdir()} == wanted
    back = load_vectors(golden / "tiny.projector")
    assert back.index_to_key == WORDS
    assert back.vectors.tobytes() == table.vectors.tobytes()
    assert back.metadata == {
        "source": "tiny.projector/vectors.tsv",
        "source_sha256": hashlib.sha256(wanted["vectors.tsv"]).hexdigest(),
        "source_format": "projector",
    }


def test_what_the_projector_makes_of_it(random_table, tmp_path):
    save_projector(random_table, tmp_path / "out")
    words, points = in_the_projector(tmp_path / "out")
    assert words == random_table.index_to_key
    assert np.float32(points).tobytes() == random_table.vectors.tobytes()
    back = load_vectors(tmp_path / "out")
    assert back.index_to_key == words
    assert back.vectors.tobytes() == random_table.vectors.tobytes()


def folder_of(path: Path, vectors: bytes, metadata: bytes) -> Path:
    path.mkdir(exist_ok=True)
    (path / "vectors.tsv").write_bytes(vectors)
    (path / "metadata.tsv").write_bytes(metadata)
    return path


def test_files_of_others(tmp_path):
    """Several columns below their names, line ends of Windows, a byte order mark, no last line."""
    folder = folder_of(
        tmp_path / "f",
        b"1\t2e-3\r\n-3\t0.5\r\n7\tnan\r\n1\t1",
        b"\xef\xbb\xbfword\tcount\r\na\t1\r\nb c\t2\r\n\xff\t3\r\na\t4\r\n",
    )
    table = load_vectors(folder)
    assert table.index_to_key == ["a", "b c", "\udcff"]
    assert table.vectors.tobytes() == np.float32([[1, 2e-3], [-3, 0.5], [7, np.nan]]).tobytes()
    assert (table.metadata["duplicates"], table.metadata["non_utf8"]) == ("1", "1")
    few = load_vectors(folder, keys=["b c", "\udcff"], limit=2)
    assert (few.index_to_key, few.vectors.tolist()) == (["b c"], [[-3.0, 0.5]])
    assert fe.inspect(folder).source_format == "projector"


def test_blank_lines_at_the_end(tmp_path):
    table = fe.load_projector(folder_of(tmp_path / "f", b"1\t2\n3\t4\n\n", b"a\nb\n\n\n"))
    assert (table.index_to_key, table.vectors.tolist()) == (["a", "b"], [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("vectors", "metadata", "message"),
    [
        (b"1\t2\n3\t4\n", b"a\n", r"vectors\.tsv: this has 2 lines, and metadata\.tsv has 1 words"),
        (b"1\t2\n3\n", b"a\nb\n", r"vectors\.tsv:2: '3' is not 2 numbers separated by tabs"),
        (b"1\t\n", b"a\n", r"vectors\.tsv:1: '1\\t' is not 2 numbers separated by tabs"),
        (b"1\t2\n\t\n", b"a\nb\n", r"vectors\.tsv:2: '\\t' is not 2 numbers"),
        (b"1\t2\n3\t4\t5\n", b"a\nb\n", r"vectors\.tsv:2: '3\\t4\\t5' is not 2 numbers"),
        (b"1\t2\n3 4\t5\n", b"a\nb\n", r"vectors\.tsv:2: '3 4\\t5' is not 2 numbers"),
        (b"1\t2\n\n3\t4\n", b"a\nb\nc\n", r"vectors\.tsv:2: '' is not 2 numbers"),
        (b"1\t2\n3\tx\n", b"a\nb\n", r"vectors\.tsv:2: value 2 of the vector is 'x', which is not"),
        (b"1\t1e99\n", b"a\n", r"vectors\.tsv:1: value 2 of the vector is '1e99', which is too l"),
        (b"\x93NUMPY", b"a\n", "this is a numpy array, not text of vectors"),
        (b"version https://git-lfs.github.com/spec/v1\n", b"a\n", "this is a Git LFS pointer"),
    ],
)
def test_damaged_folders(tmp_path, vectors, metadata, message):
    folder = folder_of(tmp_path / "f", vectors, metadata)
    with pytest.raises(VectorFileError, match=message):
        load_vectors(folder)


@pytest.mark.parametrize(
    ("word", "number", "message"),
    [
        ("a\tb", 1, r"1 of 2 words contain '\\t', which the Projector's list of words can't hold"),
        ("a\nb", 1, r"contain '\\n'"),
        ("a\rb", 1, r"contain '\\r'"),
        ("", 1, "the word '' is blank or starts like a byte order mark, which the Projector leav"),
        ("\u3000\ufeff\u00a0", 1, "is blank"),
        ("\ufeffa", 1, r"the word '\\ufeffa' is blank or starts like a byte order mark"),
        ("\udcff", 1, "1 of 2 words are not UTF-8, which the Projector needs"),
        ("a", np.inf, "the vector of 'a' has a number that is not finite, which the Projector"),
        ("a", np.nan, "not finite"),
    ],
)
def test_what_it_can_not_hold(tmp_path, word, number, message):
    table = EmbeddingTable([word, "b"], np.float32([[0, number], [1, 2]]))
    with pytest.raises(VectorFileError, match=message):
        save_projector(table, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_vectors_of_one_number_and_folders_that_exist(table, tmp_path):
    one = EmbeddingTable(["a"], np.ones((1, 1), np.float32))
    message = "the vectors have one number, and the Projector needs two or more"
    with pytest.raises(VectorFileError, match=message):
        save_projector(one, tmp_path / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(VectorFileError, match=re.escape("out: this already exists")):
        save_projector(table, tmp_path / "out")
