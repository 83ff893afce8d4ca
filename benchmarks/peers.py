"""fastText and model2vec as processes of their own, in an environment of their own.

    python -m venv peers
    peers/bin/pip install torch==2.13.0
    peers/bin/pip install "model2vec[train]==0.10.*"
    CXXFLAGS="-O3 -march=native -funroll-loops" peers/bin/pip install fasttext==0.9.3

torch comes first and pinned, so that it is the release the project is measured with. fastText's
setup script drops the flags that its Makefile compiles with; CXXFLAGS gives them back.

What is imported lies in that environment only, where types are not checked.
`benchmarks/first_run.py` calls this file with the Python of that environment:

    peers/bin/python benchmarks/peers.py TOOL train OUTPUT SETTINGS
    peers/bin/python benchmarks/peers.py TOOL predict OUTPUT TEXTS

SETTINGS is JSON; predictions are printed, one label a line. Only `train` is timed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

#: fastText starts a tenth of the rows in each of its threads, so with fewer it leaves rows at zero
#: whose words are not in the vectors.
THREADS = 10


def fasttext_train(output: Path, train: str, seed: int, **settings: Any) -> None:
    """Train on a file of `__label__x word word` lines and save the model with all its rows."""
    import fasttext

    model = fasttext.train_supervised(train, seed=seed, thread=THREADS, verbose=0, **settings)
    output.mkdir()
    model.save_model(str(output / "model.bin"))


def fasttext_predict(output: Path, texts: Path) -> list[str]:
    """Predict a label for each line, without the line's own label at its start."""
    import fasttext

    lines = [line.partition(" ")[2] for line in texts.read_text().split("\n")[:-1]]
    labels, _ = fasttext.load_model(str(output / "model.bin")).predict(lines)
    return [label.removeprefix("__label__") for (label,) in labels]


def model2vec_train(output: Path, vectors: str, data: str, seed: int, **settings: Any) -> None:
    """Tune a static model: a folder, or the vectors of a file over whole words, lower-cased."""
    from model2vec import StaticModel
    from model2vec.train import StaticModelForClassification

    if Path(vectors).is_dir():
        model = StaticModel.from_pretrained(vectors)
    else:
        words, rows = _read_glove(vectors)
        model = StaticModel(rows, _tokenizer(words))
    classifier = StaticModelForClassification.from_static_model(model=model)
    texts, labels = _read_split(data, "train")
    held_out, held_out_labels = _read_split(data, "validation")
    classifier.fit(
        texts, labels, X_val=held_out, y_val=held_out_labels, random_seed=seed, **settings
    )
    classifier.to_pipeline().save_pretrained(str(output))


def _read_glove(path: str) -> tuple[list[str], Any]:
    """Return the words and rows of a GloVe file, by the fastest reader in that environment."""
    import numpy as np
    from pyarrow import csv

    table = csv.read_csv(
        path,
        read_options=csv.ReadOptions(autogenerate_column_names=True),
        parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
        convert_options=csv.ConvertOptions(null_values=[], strings_can_be_null=False),
    )
    rows = np.empty((table.num_rows, table.num_columns - 1), np.float32)
    for column in range(rows.shape[1]):
        rows[:, column] = table.column(column + 1).to_numpy()
    words = table.column(0).to_pylist()
    unknown = "[UNK]"  # a row for it, which the library drops from every text
    return [*words, unknown], np.concatenate([rows, np.zeros((1, rows.shape[1]), np.float32)])


def _tokenizer(words: list[str]) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(
        models.WordLevel(dict(zip(words, range(len(words)), strict=True)), "[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _read_split(data: str, name: str) -> tuple[list[str], list[str]]:
    from pyarrow import parquet

    table = parquet.read_table(Path(data) / f"{name}.parquet")
    return table["text"].to_pylist(), table["label"].to_pylist()


def model2vec_predict(output: Path, texts: Path) -> list[str]:
    """Return the label of each text of a Parquet file."""
    from model2vec.inference import StaticModelPipeline

    rows, _ = _read_split(str(texts.parent), texts.stem)
    predicted = StaticModelPipeline.from_pretrained(str(output)).predict(rows)
    return [str(label) for label in predicted]


def main() -> None:
    """Do what the command line says."""
    tool, action, output, argument = sys.argv[1:]
    if action == "train" and tool == "fasttext":
        fasttext_train(Path(output), **json.loads(argument))
    elif action == "train":
        model2vec_train(Path(output), **json.loads(argument))
    else:
        predict = fasttext_predict if tool == "fasttext" else model2vec_predict
        print("\n".join(predict(Path(output), Path(argument))))


if __name__ == "__main__":
    main()
