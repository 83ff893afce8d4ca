"""A table that shares rows and words with a file gives the same files as one in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune_embed import (
    EmbeddingTable,
    Origin,
    VectorFileError,
    VocabularyError,
    load_safetensors,
    save_safetensors,
)
from finetune_embed.formats import SAVERS
from finetune_embed.table import PackedWords

#: The formats whose writer needs all vectors in one Arrow array.
IN_MEMORY = {"arrow", "parquet"}
ROWS, SIZE = 30_000, 60  # more than one block of any writer


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A tuned table of a memory-mapped base."""
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    vectors = np.random.default_rng(0).standard_normal((ROWS, SIZE), np.float32)
    words = [f"w{i}" for i in range(ROWS - 3)] + ["é", "e\u0301", "😀"]
    save_safetensors(EmbeddingTable(words, vectors, {"source": "made"}), path)
    base = load_safetensors(path)
    at = np.array([ROWS - 1, 0, 20_000, 7])
    origin = np.zeros(ROWS + 2, np.uint8)
    origin[at] = Origin.TUNED
    origin[-2:] = Origin.NEW
    return base.patched(at, np.full((6, SIZE), 0.5, np.float32), ["neu", "новый"], origin)


def fresh(shared: EmbeddingTable) -> EmbeddingTable:
    """Return the table without anything that it has cached."""
    return EmbeddingTable(shared.words, shared.stored, shared.metadata, shared.origin)


def content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize("name", SAVERS)
def test_the_bytes_are_those_of_a_table_in_memory(shared, tmp_path, name):
    table = fresh(shared)
    in_memory = EmbeddingTable(
        list(table.words), table.stored.to_array(), table.metadata, np.array(table.origin)
    )
    for kind, one in (("shared", table), ("memory", in_memory)):
        (tmp_path / kind).mkdir()
        SAVERS[name](one, tmp_path / kind / "v")
    written = content(tmp_path / "shared" / "v")
    assert written == content(tmp_path / "memory" / "v")
    assert sum(map(len, written.values())) > 4 * ROWS * SIZE * 0.8
    assert ("vectors" in vars(table)) == (name in IN_MEMORY)


def test_the_sweep_sees_every_format():
    assert len(SAVERS) == 9
    assert set(SAVERS) > IN_MEMORY


def packed(*words: str) -> EmbeddingTable:
    data = PackedWords.from_bytes(word.encode("utf-8", "surrogateescape") for word in words)
    return EmbeddingTable(data, np.ones((len(words), 2), np.float32))


@pytest.mark.parametrize("name", SAVERS)
def test_a_word_in_two_rows_is_refused(name, tmp_path):
    with pytest.raises(VocabularyError, match="the word 'b' is in rows 1 and 2"):
        SAVERS[name](packed("a", "b", "b"), tmp_path / "v")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("word", ["a b", "a\nb", "\udcff", "a\0"])
def test_words_that_a_format_can_not_hold_give_the_same_error(name, word, tmp_path):
    errors: list[tuple[object, object] | None] = []
    for table in (packed("ok", word), EmbeddingTable(["ok", word], np.ones((2, 2), np.float32))):
        try:
            SAVERS[name](table, tmp_path / "v")
            errors.append(None)
        except VectorFileError as error:
            errors.append((error.what, error.remedy))
        if name in ("projector", "spacy") and errors[-1] is None:
            (tmp_path / "v").rename(tmp_path / f"v{len(errors)}")
    assert errors[0] == errors[1]
    assert (errors[0] is not None) == (
        (name.startswith("word2vec") and word in ("a b", "a\nb"))
        or (name == "glove" and word in ("a b", "a\nb"))
        or (name in ("projector", "spacy", "arrow", "parquet") and word == "\udcff")
        or (name == "projector" and word == "a\nb")
    )
