"""The code of other libraries on the pages of docs/migration, run where the library is installed.

fastText 0.9.2 is a development tool where fasttext-numpy2-wheel has a wheel. torchtext and AllenNLP
are no longer developed. To run the test of torchtext, install it outside of the environment and
name that folder in `PYTHONPATH`:

    pip install --no-deps --target before torchtext==0.6.0 six
    PYTHONPATH=before pytest tests/test_migration_before.py

AllenNLP 2.10.1 asks for other packages than ours, so it has an environment of its own, whose Python
`ALLENNLP_PYTHON` names: torch 2.13, allennlp and fairscale 0.4.6 without their dependencies,
transformers 4.46.3, spaCy 3.8, numpy 2.2 and what else it imports. It imports torchvision for
images; a stand-in without contents is enough for texts.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS
from tests.test_docs import ROOT, blocks_of


@pytest.fixture(autouse=True)
def _reader_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the two files of docs/README.md."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REVIEWS, "reviews")
    with gzip.open(VECTORS) as file:
        Path("glove.6B.50d.txt").write_bytes(file.read())
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def run_block(page: str, language: str) -> dict[str, Any]:
    """Run the first block of a page in a language, and return its names."""
    line, code = blocks_of(f"docs/migration/{page}.md", language)[0]
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other libraries' own
        exec(compile("\n" * (line - 1) + code, str(ROOT / page), "exec"), names)
    return names


def test_torchtext_and_ours_start_with_the_same_rows_for_the_same_words() -> None:
    pytest.importorskip("torchtext", reason="torchtext is not installed; see the top of this file")
    before, after = run_block("torchtext", "py"), run_block("torchtext", "python")
    there, here = before["field"].vocab.stoi, after["vocab"].key_to_index
    words = [word for word in here if word in there and word in after["table"]]
    assert len(words) > 800
    mine = fe.to_embedding(after["table"], after["vocab"]).weight
    rows = before["embedding"].weight[[there[word] for word in words]]
    assert torch.equal(rows, mine[[here[word] for word in words]])
    lacking = [there[word] for word in there if word not in after["table"]]
    assert len(lacking) > 2
    assert not before["embedding"].weight[lacking].any()  # zeros
    assert before["ids"].tolist() == [[there[word] for word in ("a", "good", "film")]]


#: What follows the code of the page: the start of the table of a training, and predictions.
FASTTEXT_ROWS = """
import json
import numpy

options |= {"lr": 0.0, "epoch": 1}
unmoved = fasttext.train_supervised("train.txt", **options)
words = [line.split(" ", 1)[0] for line in glove.splitlines()]
numpy.save("rows.npy", [unmoved.get_word_vector(word) for word in words])
labels, _ = model.predict(["works like a charm", "broke after a day"])
print(json.dumps([*model.test("test.txt")[:2], labels]))
"""


@pytest.mark.slow
def test_fasttext_starts_with_the_rows_of_the_file_and_scores_what_the_page_says() -> None:
    pytest.importorskip("fasttext", reason="fastText is not installed; see the top of this file")
    (_, code), *_ = blocks_of("docs/migration/fasttext.md", "py")
    done = subprocess.run(
        [sys.executable, "-c", code + FASTTEXT_ROWS],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},  # as the page says
        check=True,
        capture_output=True,
    )
    count, right, labels = json.loads(done.stdout)
    assert (count, right) == (1500, pytest.approx(0.88, abs=0.01))
    assert labels == [["__label__positive"], ["__label__negative"]]
    after = run_block("fasttext", "python")
    with open("reviews/test.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    predicted = after["run"].predict([row["text"] for row in rows])
    assert np.mean([a == row["label"] for a, row in zip(predicted, rows, strict=True)]) > right

    table = fe.load_vectors("glove.6B.50d.txt")
    assert len(table) > 11_000
    assert np.array_equal(np.load("rows.npy"), table.vectors)


#: Run by AllenNLP's Python: the start of the table whose vocabulary a training has written.
ALLENNLP_ROWS = """
import numpy
from allennlp.data import Vocabulary
from allennlp.modules.token_embedders import Embedding

vocab = Vocabulary.from_files("out/vocabulary")
table = Embedding(50, pretrained_file="glove.6B.50d.txt", vocab=vocab)
names = vocab.get_index_to_token_vocabulary("tokens")
words = [names[at] for at in range(len(names))]
numpy.savez("rows.npz", rows=table.weight.detach().numpy(), words=words)
"""


def test_allennlp_trains_with_the_file_of_the_page_and_starts_with_the_same_rows() -> None:
    python = os.environ.get("ALLENNLP_PYTHON")
    if python is None:
        pytest.skip("ALLENNLP_PYTHON names no Python with AllenNLP; see the top of this file")
    for split in ("train", "validation"):
        with open(f"reviews/{split}.csv", newline="") as file:
            Path(f"{split}.jsonl").write_text(
                "".join(json.dumps(r) + "\n" for r in csv.DictReader(file))
            )
    ((_, config),) = blocks_of("docs/migration/allennlp.md", "jsonnet")
    Path("config.jsonnet").write_text(config)
    for command in (
        ["-m", "allennlp", "train", "config.jsonnet", "-s", "out"],
        ["-c", ALLENNLP_ROWS],
    ):
        subprocess.run([python, *command], check=True, capture_output=True)
    there = json.loads(Path("out/metrics.json").read_bytes())["best_validation_accuracy"]
    assert round(there, 2) == 0.91
    run = run_block("allennlp", "python")["run"]
    assert round(run.metrics["validation"]["accuracy"], 3) == pytest.approx(0.9, abs=0.006)

    table, found = fe.load_vectors("glove.6B.50d.txt"), np.load("rows.npz")
    at = [row for row, word in enumerate(found["words"].tolist()) if word in table]
    assert len(at) > 900
    assert np.array_equal(found["rows"][at], np.stack([table[found["words"][row]] for row in at]))
