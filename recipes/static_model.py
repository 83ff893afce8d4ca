"""A static embedding model: tune it, and open the result in model2vec.

    python recipes/static_model.py --vectors FOLDER --data DIR
    python recipes/static_model.py --smoke

FOLDER is a model2vec or sentence-transformers static model, or `hub:org/name`; a file of word
vectors is first written as such a folder. The model is tuned on TREC-6 with its own tokenizer. It
prints the test accuracy of logistic regression over the mean vectors that model2vec computes,
before and after tuning.

With a folder made of GloVe 6B 100d, 3 seeds: 74.2% before tuning, 84.0% ± 1.1 after.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import over_seeds, read_options
from datasets import load_dataset

import finetune_embed as fe


def probe(folder: Path, data: Any) -> float:
    """Return the test accuracy of logistic regression over what model2vec makes of each text."""
    from model2vec import StaticModel
    from sklearn.linear_model import LogisticRegression

    model = StaticModel.from_pretrained(folder)
    train, test = (model.encode(list(data[split]["text"])) for split in ("train", "test"))
    fitted = LogisticRegression(C=100, max_iter=5000).fit(train, data["train"]["label"])
    return float(fitted.score(test, data["test"]["label"]))


def main(arguments: Sequence[str] | None = None) -> tuple[float, float]:
    """Print and return the test accuracy before and after tuning."""
    options = read_options(__doc__, arguments)
    data = load_dataset(str(options.folder("trec6")))
    table = fe.load_vectors(options.vectors)
    with tempfile.TemporaryDirectory() as made:
        before = Path(made, "before")
        fe.save_static(table, before)

        def after(seed: int) -> float:
            run = fe.finetune(
                before, data, head="bag", lexical=False, epochs=options.epochs or 15, seed=seed
            )
            fe.save_static(run, Path(made, f"after-{seed}"))
            return probe(Path(made, f"after-{seed}"), data)

        frozen = over_seeds(
            "before tuning: test accuracy", options, lambda seed: probe(before, data)
        )
        return frozen, over_seeds("after tuning: test accuracy", options, after)


if __name__ == "__main__":
    main()
