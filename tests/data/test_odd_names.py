"""Names of files that look like patterns name files."""

from __future__ import annotations

import gzip

import pytest

import finetune_embed as fe
from finetune_embed.data import open_splits
from finetune_embed.demo import VECTORS


@pytest.mark.parametrize(
    "name", ["q[1].csv", "q*.csv", "q?.csv", "~.csv", "q[1].csv.gz", "q[1].jsonl"]
)
def test_a_name_that_looks_like_a_pattern(tmp_path, name):
    def content(text: str, suffix: str) -> bytes:
        if "jsonl" in suffix:
            return f'{{"text": "{text}", "label": "a"}}\n'.encode()
        return f"text,label\n{text},a\n".encode()

    for path, text in (
        (tmp_path / name.replace("[1]", "1").replace("*", "1").replace("?", "1"), "other"),
        (tmp_path / name, "own"),
    ):
        data = content(text, path.name)
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    assert open_splits(tmp_path / name).train["text"][:] == ["own"]


@pytest.mark.parametrize("name", ["r[1]", "r*", "~"])
def test_a_run_folder_that_looks_like_a_pattern(tmp_path, name):
    train = tmp_path / "train.csv"
    train.write_text("text,label\n" + "good,a\nbad,b\n" * 20)
    other = fe.finetune(VECTORS, train, epochs=1, output_dir=tmp_path / "r1")
    train.write_text("text,label\n" + "fine,a\nawful,b\n" * 20)
    run = fe.finetune(VECTORS, train, epochs=1, output_dir=tmp_path / name)
    assert fe.load(tmp_path / name).words == run.words != other.words
