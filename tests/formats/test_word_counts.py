"""Word lists and arrays that do not belong together as they are."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

import finetune_embed as fe

WORDS = [f"word{row}" for row in range(9)]
VECTORS = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)


@pytest.mark.parametrize("archive", [False, True])
def test_transposed_vectors_are_named(tmp_path, archive):
    path = tmp_path / ("v.npz" if archive else "v.npy")

    def save(vectors):
        if archive:
            np.savez(path, vectors=vectors, words=np.array(WORDS))
        else:
            np.save(path, vectors)
            (tmp_path / "v.words").write_text("\n".join(WORDS))

    save(VECTORS.T)
    with pytest.raises(fe.VectorFileError, match=r"4 vectors of 9 numbers, .*; the vectors are co"):
        fe.load_vectors(path)
    save(VECTORS)
    assert fe.load_vectors(path).index_to_key == WORDS


@pytest.mark.parametrize("first", [0, 1])
def test_numbered_words_are_refused(tmp_path, first):
    np.save(tmp_path / "v.npy", VECTORS)
    numbered, path = tmp_path / "numbered", tmp_path / "v.words"
    numbered.write_text("".join(f"{at}\t{word}\n" for at, word in enumerate(WORDS, first)))
    path.write_bytes(numbered.read_bytes())
    with pytest.raises(fe.VectorFileError, match="each line starts with its number") as error:
        fe.load_vectors(tmp_path / "v.npy")
    command = str(error.value).partition("remove the numbers: ")[2]
    command = command.replace("NEW_FILE", str(path)).replace(" FILE", f" {numbered}")
    subprocess.run(["bash", "-c", command], check=True)
    assert fe.load_vectors(tmp_path / "v.npy").index_to_key == WORDS


def test_words_that_are_numbers_are_words(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "v.words").write_text("\n".join(f"{at}" for at in range(1, 10)))
    assert fe.load_vectors(tmp_path / "v.npy").index_to_key[0] == "1"


def test_words_in_utf_32_are_named(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "v.words").write_bytes("\n".join(WORDS).encode("utf-32"))
    with pytest.raises(fe.VectorFileError, match="this is UTF-32 text, not a list of words"):
        fe.load_vectors(tmp_path / "v.npy")
