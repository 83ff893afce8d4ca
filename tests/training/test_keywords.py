"""Settings that are wrong are reported before anything is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import finetune_embed as fe
from finetune_embed.cli import main


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fe.finetune("v", "d", epoch=3),
            r"finetune\(\) got an .* 'epoch'; did you mean epochs\?$",
        ),
        (lambda: fe.finetune("v", "d", lerning_rate=1), r"'lerning_rate'; did you mean lr\?$"),
        (lambda: fe.compare([], "v", "d", text_column=1), r"'text_column'; did you mean text\?$"),
        (lambda: fe.finetune("v", "d", zzz=3), r"finetune\(\) got an unexpected .* 'zzz'$"),
        (lambda: fe.compare(["Freeze"], "v", "d", seedz=3), r"compare\(\) got .* 'seedz'"),
    ],
)
def test_a_keyword_that_is_not_a_setting(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "bga"}, "no head is called 'bga'"),
        ({"head": "bag(hiden=3)"}, "hiden"),
        ({"oov": "nromal"}, "oov='nromal' is not a start value"),
        (
            {
                "vocab": fe.Vocabulary({"a": 1}, fe.Tokenizer(pattern="a+")),
                "tokenizer": fe.Tokenizer(pattern="b+"),
            },
            "tokenizer='custom' has no effect on a vocabulary",
        ),
    ],
)
def test_settings_are_checked_before_vectors_are_read(options, message):
    with pytest.raises(fe.FinetuneEmbedError, match=message):
        fe.finetune("no/such/vectors.txt", "no/such/data.csv", **options)


def demo(**options: Any):
    from finetune_embed.demo import REVIEWS, VECTORS

    vectors = options.pop("vectors", VECTORS)
    return fe.finetune(vectors, REVIEWS, epochs=1, max_steps=3, **options)


def mean_head(embedding, num_labels):
    return fe.BagOfEmbeddings(embedding, num_labels)


def halved(logits, targets):
    return torch.nn.functional.cross_entropy(logits, targets) / 2


def test_a_run_with_another_loss_is_not_the_same(tmp_path):
    demo(output_dir=tmp_path, head="bag", loss_fn=halved)
    with pytest.raises(fe.DataError, match=r"loss_fn='<halved>', this run has loss_fn=None"):
        demo(output_dir=tmp_path, head="bag", resume=True)
    assert (
        demo(output_dir=tmp_path, head="bag", loss_fn=halved, resume=True).settings["loss_fn"]
        == "<halved>"
    )


def test_a_finished_run_in_place_with_a_custom_head_is_returned(tmp_path):
    first = demo(output_dir=tmp_path)
    table = tmp_path / "embedding.safetensors"
    options = {"vectors": table, "output_dir": tmp_path, "head": mean_head}
    tuned = demo(overwrite=True, **options)
    assert (tuned.table.vectors != first.table.vectors).any()
    again = demo(resume=True, task="single_label", **options)
    assert again.metrics == tuned.metrics
    with pytest.raises(fe.DataError, match=r"lr=0\.005, this run has lr=0\.1"):
        demo(resume=True, lr=0.1, **options)


def test_a_finished_run_of_several_labels_is_returned(tmp_path):
    from datasets import Dataset, DatasetDict

    texts = ["good camera", "bad camera", "good and bad", "awful"] * 20
    labels = [["good"], ["bad"], ["good", "bad"], ["bad"]] * 20
    split = Dataset.from_dict({"text": texts, "label": labels})
    data = DatasetDict(train=split, validation=split)
    table = fe.EmbeddingTable(["good", "bad", "camera"], np.eye(3, dtype=np.float32))
    options = {"epochs": 2, "output_dir": tmp_path}
    first = fe.finetune(table, data, **options)
    assert first.record["threshold"] != 0.5
    assert fe.finetune(table, data, resume=True, **options).metrics == first.metrics


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epochs: [1, 2]", "sets epochs to [1, 2]; give one value"),
        ("vectors: [a, b]", "sets vectors to ['a', 'b']; give one value"),
        ("specials: [{tokn: x}]", "specials has {'tokn': 'x'}; an entry is a token, or a mapping"),
        ("vocab: '<Vocabulary>'", "sets vocab, which train has no option for"),
        ("vocab: null", "no such file"),
        ("specials: <num>", "no such file"),
        ("trackers: tensorboard", "no such file"),
    ],
)
def test_values_of_a_config_are_one_clear_line(tmp_path, capsys, line, message):
    config = tmp_path / "config.yaml"
    config.write_text(
        f"vectors: none.txt\ndata: none.csv\n{line}\n".replace(
            "vectors: none.txt\n", "" if line.startswith("vectors") else "vectors: none.txt\n"
        )
    )
    with pytest.raises(SystemExit) as done:
        main(["train", "--config", str(config), "-o", str(tmp_path / "run")])
    assert done.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
