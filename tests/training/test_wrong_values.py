"""Run folders and checkpoints with valid files of wrong content: they work, or one clear error."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import finetune_embed as fe
from finetune_embed.training.run.stored import LATER
from finetune_embed.training.runtime.progress import ProgressBar

WORDS = [f"{kind}{i}" for kind in "ab" for i in range(5)]
DEEP = object()  # a list nested 10,000 deep, which no writer would make
WRONG: list[Any] = [
    None,
    [],
    {},
    [[]],
    {"a": {"b": None}},
    "",
    "x",
    "half \ud800",
    0,
    -1,
    1.5,
    True,
    float("nan"),
    float("-inf"),
    2**31,
    10**30,
    10**400,
    DEEP,
]


def split(size: int, seed: int) -> datasets.Dataset:
    rng = np.random.default_rng(seed)
    rows = [rng.choice(WORDS, 3) for _ in range(size)]
    return datasets.Dataset.from_dict(
        {
            "text": [" ".join(row) for row in rows],
            "label": [sorted({"good" if w[0] == "a" else "bad" for w in row}) for row in rows],
        }
    )


DATA = {"train": split(24, 0), "validation": split(12, 1), "test": split(12, 2)}


def tune(folder: Path, **options: Any) -> fe.Run:
    vectors = np.random.default_rng(3).normal(size=(len(WORDS), 4)).astype(np.float32)
    table = fe.EmbeddingTable(WORDS, vectors)
    return fe.finetune(table, DATA, epochs=2, batch_size=8, output_dir=folder, **options)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    tune(folder)
    return folder


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unfinished") / "run"
    steps: list[int] = []

    def advance(bar: ProgressBar) -> None:
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            tune(folder, checkpoint_steps=1)
    return folder


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each value of a document is; of a list only its first item."""
    yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


def without(value: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: part for name, part in value.items() if name != key}


def text_of(name: str, value: Any) -> str:
    """Return a document as a file holds it."""
    deep = "[" * 10_000 + "]" * 10_000
    if name == "config.yaml":
        return yaml.safe_dump(_without_deep(value), sort_keys=False).replace("DEEP", deep)
    if name == "history.jsonl":
        lines = value if isinstance(value, list) else [value]
        return "".join(
            json.dumps(_without_deep(line)).replace('"DEEP"', deep) + "\n" for line in lines
        )
    return json.dumps(_without_deep(value)).replace('"DEEP"', deep)


def _without_deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_deep(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_deep(part) for part in value]
    return "DEEP" if value is DEEP else value


def read(folder: Path, name: str) -> Any:
    text = (folder / name).read_text()
    if name == "config.yaml":
        return yaml.safe_load(text)
    return [json.loads(line) for line in text.splitlines()] if "jsonl" in name else json.loads(text)


def use(folder: Path) -> bool:
    """Load and use a run; return whether it could be, or there was one clear error."""
    message = ""
    try:
        run = fe.load(folder)
        str(run)
        str(run.explain("a1"))
        run.predict(["a1 b2", "", "unknown"])
        assert run.config["vectors"] is not None
        assert isinstance(run.warnings, list)
    except fe.FinetuneEmbedError as error:
        message = str(error)
    assert not message or str(folder) in message
    assert len(message) < 500
    assert message.isprintable()
    return not message


DOCUMENTS = ("config.yaml", "history.jsonl", "metrics.json", "record.json")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_wrong_values_in_a_run_folder(finished, tmp_path, name):
    """Every eleventh of all pairs of a place and a wrong value: each value in many places."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    document, tried, refused = read(folder, name), 0, 0
    cases = itertools.product(places(document), WRONG)
    for path, wrong in itertools.islice(cases, 0, None, 11):
        (folder / name).write_text(text_of(name, changed(document, path, wrong)))
        tried += 1
        refused += not use(folder)
    assert tried >= 13
    assert refused >= tried / 3
    if isinstance(document, dict):
        for key in document:
            (folder / name).write_text(text_of(name, without(document, key)))
            use(folder)
    (folder / name).write_text(text_of(name, document))
    assert use(folder)


def test_wrong_values_in_a_checkpoint(unfinished, tmp_path):
    (checkpoint,) = unfinished.glob("checkpoint-*")
    name = checkpoint / "state.json"
    document, tried = json.loads(name.read_text()), 0
    folder = tmp_path / "run"
    cases = [(p, w) for p, w in itertools.product(places(document), WRONG)]
    for path, wrong in cases[::41]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(unfinished, folder)
        (folder / checkpoint.name / "state.json").write_text(
            text_of("state.json", changed(document, path, wrong))
        )
        before = document
        for part in path:
            before = before[part]
        if json.dumps(_without_deep(wrong)) == json.dumps(before):
            continue
        with pytest.raises(fe.DataError, match="checkpoint-1-4: the checkpoint cannot be read: "):
            tune(folder, resume=True, checkpoint_steps=1)
        tried += 1
    assert tried > 12
    assert tune(folder, resume=False, overwrite=True).metrics["epochs"] == 2


def others(tensors: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """Yield tensors of which one has another shape, type or name, or is missing."""
    for name, value in tensors.items():
        yield {**tensors, name: value.double() if value.dtype == torch.float32 else value.float()}
        yield {**tensors, name: value.to(torch.int8)}
        yield {**tensors, name: torch.zeros(*value.shape, 2, dtype=value.dtype)}
        yield {**tensors, name: torch.zeros(0, dtype=value.dtype)}
        yield {n: t for n, t in tensors.items() if n != name}
        yield {**{n: t for n, t in tensors.items() if n != name}, name + ".x": value}
        yield {**tensors, "7.exp_avg": value.clone()}
        yield {**tensors, "x": value.clone()}
    yield {}


@pytest.mark.parametrize("name", ["model", "best", "optimizer"])
def test_wrong_tensors_in_a_checkpoint(unfinished, tmp_path, name):
    (checkpoint,) = unfinished.glob("checkpoint-*")
    tensors, folder, tried = load_file(checkpoint / f"{name}.safetensors"), tmp_path / "run", 0
    for wrong in others(tensors):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(unfinished, folder)
        save_file(wrong, folder / checkpoint.name / f"{name}.safetensors")
        with pytest.raises(fe.DataError, match=r"-4: the checkpoint cannot be read: its tens"):
            tune(folder, resume=True, checkpoint_steps=1)
        tried += 1
    assert tried >= 9


def test_wrong_columns_of_words(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    words = pl.read_parquet(folder / "words.parquet")
    frames = []
    for name in words.columns:
        frames += [words.drop(name), words.rename({name: "x"}), words.head(2), words.clear()]
        for value in (None, 0, -1, 1.5, "x", [1], 2**62, b"\xff"):
            frames.append(words.with_columns(pl.Series(name, [value] * len(words))))
    refused = 0
    for frame in frames:
        frame.write_parquet(folder / "words.parquet")
        refused += not use(folder)
    assert len(frames) == 60
    assert refused > 40
    words.write_parquet(folder / "words.parquet")
    data = (folder / "words.parquet").read_bytes()
    for at in range(0, len(data), 97):
        (folder / "words.parquet").write_bytes(
            data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        )
        use(folder)


@pytest.mark.parametrize(
    "head", ["bag(hidden=1000000000)", "cnn", "bag(x=1)", "lstm", "bag(", "\x1b"]
)
def test_a_head_that_the_weights_do_not_fit_takes_no_memory(finished, tmp_path, head):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    record = read(folder, "record.json")
    (folder / "record.json").write_text(json.dumps({**record, "head": head}))
    assert not use(folder)


def test_wrong_values_in_a_tokenizer(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    document, refused, tried = read(folder, "tokenizer.json"), 0, 0
    cases = [(p, w) for p, w in itertools.product(places(document), WRONG)]
    for path, wrong in cases[::3]:
        (folder / "tokenizer.json").write_text(
            text_of("tokenizer.json", changed(document, path, wrong))
        )
        refused += not use(folder)
        tried += 1
    assert tried > 150
    assert refused > tried / 2


@pytest.mark.parametrize("number", [2**31, 2**32 - 1, 10**30, -1, 1.5, True, "1", None, 100])
@pytest.mark.parametrize("where", ["vocab", "added_tokens"])
def test_an_id_that_is_too_large_takes_no_memory(finished, tmp_path, number, where):
    path = tmp_path / "tokenizer.json"
    document = read(finished, "tokenizer.json")
    if where == "vocab":
        document["model"]["vocab"]["a1"] = number
    else:
        token = {"content": "<x>", "id": number, "special": True}
        rest = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        document["added_tokens"].append({**token, **rest})
    path.write_text(json.dumps(document))
    with pytest.raises(fe.VocabularyError, match=r"tokenizer: '(a1|<x>)' has the id .*, not one b"):
        fe.Vocabulary.load(path)


def test_a_record_with_ignored_labels_is_read(tmp_path):
    data = {
        name: part.add_column("one", [row[0] for row in part["label"]])
        for name, part in DATA.items()
    }
    table = fe.EmbeddingTable(WORDS, np.eye(len(WORDS), dtype=np.float32))
    given = {"label": "one", "ignore_label": "none", "epochs": 1, "output_dir": tmp_path / "run"}
    run = fe.finetune(table, data, **given)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["ignored"] == ["none"]
    assert fe.load(tmp_path / "run").record == run.record


#: The settings of release 0.1.0, whose runs must stay loadable.
FIRST = """
    text label task streaming validation member tokenizer vocab min_count max_length oov fallback
    specials head embedding strategy epochs max_steps lr schedule warmup batch_size batch_tokens
    gradient_accumulation_steps weight_decay max_grad_norm word_dropout patience loss_fn seed device
    mixed_precision checkpoint_steps checkpoint_minutes trackers
"""


def test_a_run_of_an_earlier_release_is_loaded(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    config = read(folder, "config.yaml")
    kept = {name: config[name] for name in (*config, *FIRST.split()) if name not in LATER}
    assert len(kept) == len(config) - len(LATER)
    (folder / "config.yaml").write_text(text_of("config.yaml", kept))
    texts = ["a1 b2", "b3", "unknown"]
    run, now = fe.load(folder), fe.load(finished)
    assert run.settings == {**now.settings, "lexical": False}
    assert torch.equal(run.predict_proba(texts), now.predict_proba(texts))
    del kept["max_length"]
    (folder / "config.yaml").write_text(text_of("config.yaml", kept))
    with pytest.raises(fe.DataError, match=r"config\.yaml: .* damaged: it has no max_length"):
        fe.load(folder)
