"""A file that is changed while its vectors are in use is reported."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed import EmbeddingTable, VectorFileError
from finetune_embed.files import mapped
from finetune_embed.formats import SAVERS
from finetune_embed.table import sha256_of_table

WORDS = ["king", "queen", "man"]
TABLE = EmbeddingTable(WORDS, np.arange(12, dtype=np.float32).reshape(3, 4))


def made(name: str, folder: Path) -> tuple[Path, Path]:
    """Return the path of a table that is opened in place, and of the file that is mapped."""
    path = folder / "base"
    if name == "npy":
        np.save(folder / "base.npy", TABLE.vectors)
        (folder / "base.words").write_text("\n".join(WORDS))
        return folder / "base.npy", folder / "base.npy"
    SAVERS[name](TABLE, path)
    return path, path / "vectors" if name == "spacy" else path


IN_PLACE = ["safetensors", "numpy-archive", "npy", "arrow", "spacy"]


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_changed_file_is_neither_exported_nor_hashed(tmp_path, name):
    path, file = made(name, tmp_path)
    table = fe.load_vectors(path)
    assert mapped._OPEN
    sha256 = sha256_of_table(table)
    tuned = table
    if name != "npy":  # whose array may not be aligned
        tuned = table.patched(np.array([1]), np.ones((1, 4), np.float32), [], table.origin)
    data = file.read_bytes()
    with open(file, "r+b") as opened:
        opened.seek(len(data) - 70)
        opened.write(b"\x01")
    os.utime(file, ns=(0, 1))  # whatever the resolution of the clock
    for one in (table, tuned):
        for saver in SAVERS.values():
            with pytest.raises(VectorFileError, match=r"was changed while .*; load it again"):
                saver(one, tmp_path / "out")
        for call in (sha256_of_table, fe.to_dataset, EmbeddingTable.to_keyed_vectors):
            with pytest.raises(VectorFileError, match=rf"{file}: the file was changed while its"):
                call(one)
    assert not (tmp_path / "out").exists()
    file.write_bytes(data)
    assert sha256_of_table(fe.load_vectors(path)) == sha256


def test_a_file_that_became_shorter_is_reported_before_it_is_read(tmp_path):
    path, _ = made("safetensors", tmp_path)
    table = fe.load_vectors(path)
    os.truncate(path, 10)
    with pytest.raises(VectorFileError, match="it has 10 bytes, and had"):
        fe.save_word2vec(table, tmp_path / "out")
    assert os.path.exists(path)


def test_a_file_that_is_replaced_or_removed_stays_usable(tmp_path):
    path, _ = made("safetensors", tmp_path)
    table = fe.load_vectors(path)
    sha256 = sha256_of_table(table)
    fe.save_safetensors(EmbeddingTable(["x"], np.ones((1, 9), np.float32)), path)
    assert sha256_of_table(table) == sha256
    path.unlink()
    assert sha256_of_table(table) == sha256
    fe.save_safetensors(table, path)
    assert sha256_of_table(fe.load_vectors(path)) == sha256


def test_maps_and_their_files_are_closed_with_the_table(tmp_path):
    path, _ = made("safetensors", tmp_path)
    gc.collect()
    maps, files = len(mapped._OPEN), len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        fe.load_vectors(path)
    gc.collect()
    assert (len(mapped._OPEN), len(os.listdir("/proc/self/fd"))) == (maps, files)
