"""The baselines that scikit-learn makes, as processes of their own; see `first_run.py`.

    python benchmarks/baselines.py TOOL train OUTPUT SETTINGS
    python benchmarks/baselines.py TOOL predict OUTPUT TEXTS

`tfidf` is a linear support vector machine over TF-IDF of words, or of words and pairs of words;
`means` is logistic regression over the mean of frozen word vectors. Both choose `C` on validation.
SETTINGS is JSON; predictions are printed, one label a line. Only `train` is timed.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

PENALTIES = (0.1, 0.3, 1, 3, 10)


def tfidf(data: Path, seed: int, ngrams: int) -> Any:
    """Return the pipeline with the best penalty."""
    features = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, ngrams), token_pattern=r"(?u)\b\w+\b|[!?]"
    )
    return _best(data, features, lambda c: LinearSVC(C=c, random_state=seed))


def means(data: Path, seed: int, vectors: str) -> Any:
    """Return the pipeline with the best penalty, over the means of vectors."""
    features = FunctionTransformer(Means(vectors))
    return _best(data, features, lambda c: LogisticRegression(C=c, max_iter=1000))


class Means:
    """The mean vector of each text.

    Args:
        vectors: the vector file.
    """

    def __init__(self, vectors: str) -> None:
        self.vectors = vectors

    def __call__(self, texts: list[str]) -> Any:
        """Return the means `(texts, D)`."""
        import finetune_embed as fe

        tokens = [fe.Tokenizer().tokenize(text) for text in texts]
        table = fe.load_vectors(self.vectors, keys={word for text in tokens for word in text})
        rows = np.zeros((len(texts), table.vector_size), np.float32)
        for row, words in zip(rows, tokens, strict=True):
            known = [word for word in words if word in table]
            if known:
                row[:] = table.rows(table.rows_of(known)).mean(axis=0)
        return rows


def _best(data: Path, features: Any, machine: Any) -> Any:
    train, held_out = (pl.read_parquet(data / f"{n}.parquet") for n in ("train", "validation"))
    rows = features.fit_transform(train["text"].to_list())
    others = features.transform(held_out["text"].to_list())
    labels, right = train["label"].to_numpy(), held_out["label"].to_numpy()
    fitted = [machine(c).fit(rows, labels) for c in PENALTIES]
    scores = [float(np.mean(one.predict(others) == right)) for one in fitted]
    return make_pipeline(features, fitted[int(np.argmax(scores))])


def main() -> None:
    """Do what the command line says."""
    tool, action, output, argument = sys.argv[1:]
    path = Path(output)
    if action == "train":
        settings = json.loads(argument)
        data = Path(settings.pop("data"))
        make: Callable[..., Any] = tfidf if tool == "tfidf" else means
        fitted = make(data, **settings)
        path.write_bytes(pickle.dumps(fitted))
    else:
        texts = pl.read_parquet(argument)["text"].to_list()
        print("\n".join(map(str, pickle.loads(path.read_bytes()).predict(texts))))


if __name__ == "__main__":
    main()
