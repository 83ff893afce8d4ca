"""Settings that are left out: what they become, and that those given are never changed."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.data import EncodedTexts
from finetune_embed.heads import HEADS
from finetune_embed.training.choose import _BY_TEXTS, _MORE, GENERAL, TOKENS, choose
from finetune_embed.training.settings import Settings
from finetune_embed.training.tasks import MultiLabel, SingleLabel, Tagging

CHOSEN = ("head", "lexical", "epochs", "lr", "schedule", "batch_size")
TASKS = [SingleLabel(["x", "y"]), MultiLabel(["x", "y"]), Tagging(["x", "y"])]


def texts(count: int = 4, length: int = 5) -> EncodedTexts:
    lengths = torch.full((count,), length)
    return EncodedTexts(torch.zeros(count * length).long(), lengths.cumsum(0) - lengths, lengths)


def values(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in CHOSEN}


@given(
    settings=st.fixed_dictionaries(
        {},
        optional={
            "head": st.sampled_from(["bag", "cnn", "bilstm"]),
            "lexical": st.just(False),
            "epochs": st.integers(1, 99),
            "lr": st.floats(0, 1),
            "schedule": st.sampled_from(["constant", "cosine", "one_cycle"]),
            "batch_size": st.integers(1, 999),
        },
    ),
    task=st.sampled_from(TASKS),
    train=st.none() | st.builds(texts, st.integers(1, 9), st.integers(0, 9)),
)
def test_given_settings_are_never_changed(settings, task, train):
    before = Settings(**settings)
    found = choose(before, task, train)
    assert {name: getattr(found, name) for name in settings} == settings
    assert None not in values(found).values()
    others = [name for name in vars(before) if name not in CHOSEN]
    assert [getattr(found, name) for name in others] == [getattr(before, name) for name in others]
    assert vars(choose(before, task, train)) == vars(found)
    assert vars(choose(found, task, train)) == vars(found)
    found.check()


@pytest.mark.parametrize(("labels", "has_part"), [(5_000, True), (5_001, False)])
def test_so_many_labels_that_their_words_would_not_fit(labels, has_part):
    train, task = texts(), SingleLabel(list(map(str, range(labels))))
    train.ids[0] = 99_999
    assert choose(Settings(), task, train).lexical is has_part
    assert choose(Settings(lexical=True), task, train).lexical


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [
        ("adamw(betas=(0.8, 0.9))", {None: 3e-3, "bag": 5e-3}),
        ("adagrad", {None: 0.03, "bag": 0.03}),
        ("adagrad(per_row=True)", {None: 0.03, "bag": 0.03}),
        ("sgd", {None: 1.0, "bag": 1.0}),
        ("sgd(momentum=0.9)", {None: 0.1, "bag": 0.1}),
    ],
)
def test_the_rate_depends_on_the_optimizer(optimizer, rate):
    for head, expected in rate.items():
        found = choose(Settings(optimizer=optimizer, head=head), TASKS[0], texts())
        assert found.lr == pytest.approx(expected, rel=1e-12)
        given = Settings(optimizer=optimizer, head=head, lr=0.7)
        assert choose(given, TASKS[0], texts()).lr == 0.7


def test_what_is_chosen():
    single, several, tags = TASKS
    of_texts = {"head": "pooled_cnn", "lexical": True, "lr": 3e-3, "schedule": "linear"}
    few = {**of_texts, "epochs": 50, "batch_size": 16}
    for task in (single, several):
        assert values(choose(Settings(), task, texts())) == few
    tagger = {"head": "bilstm", "lexical": False, **GENERAL}
    assert values(choose(Settings(), tags, texts())) == tagger
    assert GENERAL == {"epochs": 15, "lr": 5e-3, "schedule": "constant", "batch_size": 64}
    # a head that was asked for
    assert values(choose(Settings(head="cnn"), single, texts())) == {**tagger, "head": "cnn"}
    both = Settings(head="bag", lexical=True)
    assert values(choose(both, single, texts())) == {**tagger, "head": "bag", "lexical": True}
    # a loss of the caller's own, of which the lexical part would know nothing
    own = Settings(loss_fn=nn.functional.cross_entropy)
    assert values(choose(own, single, texts())) == {**few, "lexical": False}
    # a stream
    stream = {"head": "pooled_cnn", "lexical": False, **GENERAL}
    assert values(choose(Settings(), single, None)) == stream


@pytest.mark.parametrize(
    ("count", "length", "expected"),
    [
        (1, 0, (50, 16, 3e-3)),
        (500, 9, (50, 16, 3e-3)),
        (501, 9, (15, 32, 3e-3)),
        (4_000, 9, (15, 32, 3e-3)),
        (4_001, 9, (8, 64, 6e-3)),
        (20_000, 9, (8, 64, 6e-3)),
        (20_001, 9, (4, 128, 6e-3)),
        (100_001, 9, (3, 128, 6e-3)),
        (4_000, 400, (12, 32, 3e-3)),  # 20 million tokens
        (20_000, 400, (3, 64, 6e-3)),
    ],
)
def test_epochs_batches_and_rates_follow_the_texts(count, length, expected):
    found = choose(Settings(), TASKS[0], texts(count, length))
    assert (found.epochs, found.batch_size, found.lr) == expected


def test_the_documentation_has_these_numbers():
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    steps = [f"{epochs}, {size}, {lr} up to {n:,}" for n, (epochs, size, lr) in _BY_TEXTS.items()]
    assert f"{'; '.join(steps)}; {_MORE[0]}, {_MORE[1]}, {_MORE[2]} beyond." in text
    assert f"{TOKENS // 10**6} million tokens" in text
    for head, build in HEADS.items():
        options = list(inspect.signature(build).parameters.values())[2:]
        row = next(line for line in text.splitlines() if line.startswith(f"| `{head}` | "))
        shown = [f"`{one.name}={one.default!r}`".replace("'", '"') for one in options]
        assert all(one in row for one in shown), (head, shown)


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("files")
    words = [f"{kind}{i}" for kind in ("good", "bad") for i in range(6)]
    vectors = np.random.default_rng(0).normal(size=(len(words), 5)).astype(np.float32)
    fe.save_glove(fe.EmbeddingTable(words, vectors), folder / "v.txt")
    rng = np.random.default_rng(1)
    rows = [rng.choice(words[:6] if i % 2 else words[6:], 3) for i in range(60)]
    data = {"text": [" ".join(row) for row in rows], "label": ["no", "yes"] * 30}
    tags = {"text": [list(row) for row in rows], "label": [["A", "B", "A"]] * 60}
    datasets.Dataset.from_dict(data).to_parquet(folder / "texts.parquet")
    datasets.Dataset.from_dict(tags).to_parquet(folder / "tags.parquet")
    return {"vectors": str(folder / "v.txt"), "folder": str(folder)}


def of(files: dict[str, str], name: str) -> tuple[str, str]:
    return files["vectors"], str(Path(files["folder"], name))


def test_two_calls_are_equal(files, tmp_path):
    for name in ("one", "two"):
        fe.finetune(*of(files, "texts.parquet"), output_dir=tmp_path / name)
    for name in ("embedding", "model", "lexical"):
        one, two = ((tmp_path / run / f"{name}.safetensors").read_bytes() for run in ("one", "two"))
        assert one == two
    for name in ("config.yaml", "record.json", "words.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("data", ["texts.parquet", "tags.parquet"])
def test_the_config_holds_what_was_chosen_and_repeats_the_run(files, tmp_path, data, capsys):
    run = fe.finetune(*of(files, data), output_dir=tmp_path / "one")
    config = yaml.safe_load((tmp_path / "one" / "config.yaml").read_text())
    task = TASKS[2] if data.startswith("tags") else TASKS[0]
    expected = values(choose(Settings(), task, texts(60, 3)))
    assert {name: config[name] for name in CHOSEN} == expected
    assert {name: run.settings[name] for name in CHOSEN} == expected
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--config", str(tmp_path / "one" / "config.yaml"), "-o",
              str(tmp_path / "two"), "--quiet"])  # fmt: skip
    assert (stopped.value.code, capsys.readouterr().err) == (0, "")
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one.keys() == two.keys()
    durations = ("metrics.json", "history.jsonl")
    assert [n for n in one if n not in durations and one[n] != two[n]] == []


def test_a_run_resumes_by_what_is_chosen_as_by_what_is_given(files, tmp_path):
    given_settings = {"epochs": 50, "lr": 3e-3, "schedule": "linear", "batch_size": 16}
    first = fe.finetune(*of(files, "texts.parquet"), output_dir=tmp_path)
    again = fe.finetune(
        *of(files, "texts.parquet"), output_dir=tmp_path, resume=True, head="pooled_cnn",
        lexical=True, **given_settings,
    )  # fmt: skip
    assert again.metrics == first.metrics
    with pytest.raises(fe.DataError, match="lexical=True, this run has lexical=False"):
        fe.finetune(*of(files, "texts.parquet"), output_dir=tmp_path, resume=True, lexical=False)


def test_the_lexical_part_on_the_command_line(files, tmp_path, capsys):
    vectors, data = of(files, "texts.parquet")
    for flag, there in (("--no-lexical", False), ("--lexical", True)):
        words = ["train", "--vectors", vectors, "--data", data, "-o", str(tmp_path / flag)]
        with pytest.raises(SystemExit) as stopped:
            main([*words, flag, "--quiet", "--head", "bag", "--epochs", "1"])
        assert stopped.value.code == 0
        assert ("lexical.safetensors" in capsys.readouterr().out) is there
        assert (fe.load(tmp_path / flag).lexical is not None) is there
