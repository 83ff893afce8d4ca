"""Write the golden folders of spaCy vectors with spaCy.

`expected.json` holds the vectors that spaCy itself returns. The folders are committed; run this
only to change them, with spaCy installed: `python tests/golden/make_spacy.py`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import spacy
from spacy.vectors import Vectors
from spacy.vocab import Vocab

FOLDER = Path(__file__).parent / "spacy"
#: `mark` and `NUM` are spaCy symbols, with fixed numbers instead of hashes.
WORDS = ["the", "café", "mark", "a\u00a0b", "NUM", "日本語", "🙂", "internationalisation"]
VECTORS = np.random.default_rng(5).normal(size=(len(WORDS), 3)).astype(np.float32)
NEEDED = {"meta.json", "config.cfg", "vocab"}


def main() -> None:
    """Write all folders and `expected.json`."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    words = {}

    nlp = spacy.blank("xx")
    for word, vector in zip(WORDS, VECTORS, strict=True):
        nlp.vocab.set_vector(word, vector)
    nlp.to_disk(FOLDER / "pipeline")
    words["pipeline"] = WORDS

    nlp.vocab.prune_vectors(3)
    nlp.vocab.to_disk(FOLDER / "pruned")
    words["pruned"] = WORDS

    text = Path(__file__).parent / "tiny.word2vec.txt"
    command = [sys.executable, "-m", "spacy", "init", "vectors", "xx", str(text)]
    subprocess.run([*command, str(FOLDER / "init")], check=True)
    words["init"] = ["the", "café", "a\u00a0b", "日本語", "🙂"]

    vocab = Vocab(strings=WORDS)
    for name, settings in (
        ("floret", {"minn": 2, "maxn": 3, "hash_count": 2, "hash_seed": 2166136261}),
        ("floret-words", {"minn": 5, "maxn": 5, "hash_count": 4, "bow": "^", "eow": "$"}),
    ):
        rows = np.random.default_rng(6).normal(size=(11, 4)).astype(np.float32)
        vocab.vectors = Vectors(strings=vocab.strings, data=rows, mode="floret", **settings)
        vocab.to_disk(FOLDER / name)
        words[name] = WORDS

    plain = Vectors(data=VECTORS, keys=WORDS)
    for word in WORDS:
        plain.strings.add(word)
    plain.to_disk(FOLDER / "default")
    words["default"] = WORDS

    wide = Vectors(data=VECTORS.astype(np.float16), keys=WORDS)
    wide.strings.add("the")  # the strings of the other keys are missing
    wide.to_disk(FOLDER / "vectors")
    words["vectors"] = WORDS

    for path in FOLDER.rglob("*"):
        if path.name == "lookups.bin":
            path.unlink()
    for folder in ("pipeline", "init"):
        for path in (FOLDER / folder).iterdir():
            if path.name not in NEEDED:
                path.unlink()
    (FOLDER / "expected.json").write_text(
        json.dumps({name: read(FOLDER / name, words[name]) for name in sorted(words)}, indent=1)
    )


def read(folder: Path, words: list[str]) -> dict[str, list[float]]:
    """Return the vectors of words from spaCy itself."""
    folder = folder / "vocab" if (folder / "vocab").is_dir() else folder
    vocab = Vocab().from_disk(folder)
    vectors = vocab.vectors.get_batch(words)
    return {word: [float(value) for value in row] for word, row in zip(words, vectors, strict=True)}


if __name__ == "__main__":
    main()
