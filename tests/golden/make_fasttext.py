"""Train the golden fastText models with the `fasttext` package, and record its vectors.

It writes `tiny.fasttext-*.bin` and `.ftz`, and `tiny.fasttext.npz`. The latter holds `words`, JSON
with three lists for each model: its dictionary, other words, and the other words for which
`get_subwords` has rows; and for each model, `get_word_vector` of all words but the last list.

The files are committed; run this only to change them, after `pip install fasttext-wheel`:
`python tests/golden/make_fasttext.py`.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fasttext
import numpy as np

FOLDER = Path(__file__).parent
WORDS = [
    "the",
    "a",
    "of",
    "an",
    "x",
    "good",
    "bad",
    "film",
    "book",
    "play",
    "café",
    "naïve",
    "日本語",
]
WORDS += ["кино", "🙂", "story", "plot", "slow", "dull", "ох", "well-made", "don't", "1999"]
#: Words that no dictionary has, except `</s>` and `the`. fastText reads the empty word as `<>`.
OTHERS = [
    "films",
    "booked",
    "unseen",
    "Café",
    "наивный",
    "日本",
    "日",
    "🙂🙂",
    "🙃",
    "q",
    "ab",
    "",
]
OTHERS += ["</s>", "the", "__label__good", "new\u00a0york", "e\u0301toile", "straße", "don"]
SUPERVISED: dict[str, Any] = {"dim": 5, "epoch": 3, "thread": 1, "verbose": 0, "minCount": 1}


def corpus(labels: int) -> str:
    """Return lines of random words, each with one of so many labels if there are any."""
    draw = random.Random(3)
    lines = [" ".join(draw.choices(WORDS, k=8)) for _ in range(max(60, labels))]
    if labels:
        names = ["good", "bad"] if labels == 2 else [f"l{number}" for number in range(labels)]
        lines = [f"__label__{names[at % labels]} {line}" for at, line in enumerate(lines)]
    return "\n".join(lines) + "\n"


def unsupervised(text: str, **options: Any) -> Any:
    """Train a skipgram or cbow model."""
    return fasttext.train_unsupervised(text, **(SUPERVISED | {"dim": 4, "ws": 2} | options))


def supervised(text: str, **options: Any) -> Any:
    """Train a classifier."""
    return fasttext.train_supervised(text, **(SUPERVISED | options))


def quantized(text: str, options: dict[str, Any], **quantizing: Any) -> Any:
    """Train a classifier and quantise it."""
    model = supervised(text, **options)
    model.quantize(text, thread=1, verbose=0, **quantizing)
    return model


def main() -> None:
    """Write all models and the vectors of their words."""
    ngrams = {"minn": 2, "maxn": 4, "bucket": 300}
    models: dict[str, tuple[int, Callable[[str], Any]]] = {
        "skipgram.bin": (0, lambda text: unsupervised(text, minn=2, maxn=4, bucket=60)),
        "cbow.bin": (0, lambda text: unsupervised(text, model="cbow", minn=1, maxn=3, bucket=47)),
        "plain.bin": (0, lambda text: unsupervised(text, maxn=0)),
        "supervised.bin": (2, lambda text: supervised(text, minn=1, maxn=3, bucket=40)),
        "wordngrams.bin": (2, lambda text: supervised(text, wordNgrams=2, bucket=30)),
        "both.bin": (2, lambda text: supervised(text, wordNgrams=2, bucket=30, minn=3, maxn=3)),
        "quantized.ftz": (2, lambda text: quantized(text, ngrams, dsub=2)),
        "qnorm.ftz": (2, lambda text: quantized(text, ngrams, qnorm=True, dsub=3)),
        "pruned.ftz": (2, lambda text: quantized(text, ngrams | {"bucket": 3000}, cutoff=260)),
        "retrained.ftz": (
            2,
            lambda text: quantized(text, ngrams, cutoff=270, retrain=True, qnorm=True),
        ),
        "nongrams.ftz": (
            2,
            lambda text: quantized(text, {"wordNgrams": 2, "bucket": 300}, dsub=8),
        ),
        "qout.ftz": (260, lambda text: quantized(text, ngrams | {"dim": 3}, qout=True, qnorm=True)),
    }
    expected: dict[str, np.ndarray] = {}
    words: dict[str, list[list[str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        for name, (labels, train) in models.items():
            text.write_text(corpus(labels), encoding="utf-8")
            model = train(str(text))
            model.save_model(str(FOLDER / f"tiny.fasttext-{name}"))
            with_rows = [word for word in OTHERS if len(model.get_subwords(word)[1])]
            words[name] = [model.get_words(), OTHERS, with_rows]
            vectors = [model.get_word_vector(word) for word in [*model.get_words(), *OTHERS]]
            expected[name] = np.array(vectors, np.float32)
    expected["words"] = np.frombuffer(json.dumps(words, ensure_ascii=False).encode(), np.uint8)
    np.savez_compressed(FOLDER / "tiny.fasttext.npz", **expected)


if __name__ == "__main__":
    main()
