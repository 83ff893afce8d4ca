"""The settings of `finetune`, swept from their definitions: signatures, options, ranges, files."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import click
import datasets
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.cli.app import app
from finetune_embed.comparison.compare import EXCLUDED
from finetune_embed.errors import DataError
from finetune_embed.training import finetune as module
from finetune_embed.training.keywords import Keywords
from finetune_embed.training.ranges import Choice, Flag, Number, WholeNumber
from finetune_embed.training.resolve import resolve
from finetune_embed.training.schedule import SCHEDULES
from finetune_embed.training.settings import FLOATING, METRICS, Settings, settings_fields
from finetune_embed.training.tasks import TASKS

FIELDS = settings_fields()
COMMAS = " Separate several with commas."
CHECKED = {name: one.metadata["check"] for name, one in FIELDS.items() if one.metadata["check"]}
OPTIONS = {name: one for name, one in FIELDS.items() if one.metadata["option"] is not None}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


# --- one definition -------------------------------------------------------------------------------


def test_the_keywords_are_the_settings():
    types = {name: kind.__forward_arg__ for name, kind in Keywords.__annotations__.items()}
    assert types == {name: one.type for name, one in FIELDS.items()}
    assert list(types) == list(FIELDS)
    assert Keywords.__required_keys__ == frozenset()
    assert len(FIELDS) == 53


@pytest.mark.parametrize(
    ("function", "own", "without", "changed"),
    [
        (fe.finetune, ["vectors", "dataset"], (), {}),
        (
            fe.compare,
            ["strategies", "vectors", "dataset", "seeds", "budget", "word_pairs"],
            EXCLUDED,
            {"lr": 0.01, "test": 0.2},
        ),
    ],
)
def test_signatures_show_every_setting_with_its_default(function, own, without, changed):
    parameters = inspect.signature(function).parameters
    expected = [name for name in FIELDS if name not in without]
    assert list(parameters) == [*own, *expected]
    for name in expected:
        shown, one = parameters[name], FIELDS[name]
        assert shown.kind is inspect.Parameter.KEYWORD_ONLY
        assert (shown.default, shown.annotation) == (changed.get(name, one.default), one.type)
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        function(*[()] * (3 if without else 2), epoch=3)


def test_the_settings_that_compare_excludes():
    excluded = {"strategy", "streaming", "trackers", "checkpoint_steps", "checkpoint_minutes"}
    assert set(EXCLUDED) == excluded <= set(FIELDS)


def test_the_docstring_has_the_help_of_every_setting():
    lines = [line.strip() for line in inspect.getdoc(fe.finetune).splitlines()]
    for name, one in FIELDS.items():
        assert f"{name}: {one.metadata['help']}" in lines
    for function in (fe.finetune, fe.compare):
        assert "{settings}" not in function.__doc__


def test_the_names_of_choices_are_those_that_exist():
    choices = {name: check.names for name, check in CHECKED.items() if isinstance(check, Choice)}
    assert choices == {
        "task": tuple(TASKS),
        "missing": ("drop", "keep"),
        "schedule": tuple(SCHEDULES),
        "metric": METRICS,
        "mixed_precision": ("no", "bf16", "fp16"),
    }


def test_defaults_are_legal():
    Settings().check()
    assert resolve(Settings()).plain().keys() | {*FLOATING} == {
        one.name for one in fields(Settings)
    }


def test_values_of_numpy_become_those_of_python():
    found = Settings(lr=np.float32(0.5), seed=np.int64(3), text=np.array(["title", "body"]))
    assert (found.lr, found.seed, found.text) == (0.5, 3, ("title", "body"))
    assert [type(value) for value in (found.lr, found.seed, found.text[0])] == [float, int, str]


# --- ranges ---------------------------------------------------------------------------------------


def legal_values(name: str) -> st.SearchStrategy[Any]:
    """Return legal values of a setting, its bounds among them."""
    check = CHECKED[name]
    if isinstance(check, Flag):
        values: Any = st.booleans()
        if name == "resume":  # it needs an output_dir
            values = st.just(False)
    elif isinstance(check, Choice):
        values = st.sampled_from(check.names)
    elif isinstance(check, WholeNumber):
        values = st.just(check.least) | st.integers(check.least, 10**12)
    else:
        low = math.nextafter(check.low, math.inf) if check.excluded else check.low
        high = math.nextafter(check.high, 0)
        values = st.sampled_from([low, high]) | st.floats(low, high)
        values = values if check.excluded else values | st.just(int(check.low))
    return values | st.none() if FIELDS[name].default is None else values


def illegal_values(name: str) -> st.SearchStrategy[Any]:
    """Return values outside the range of a setting, and of other types."""
    check = CHECKED[name]
    values: Any = st.sampled_from([True, False, [1], {}, b"1"])
    if FIELDS[name].default is not None:
        values |= st.none()
    if isinstance(check, Flag):
        legal = {None} if FIELDS[name].default is None else set()
        return st.sampled_from([one for one in ("no", None, 0, 1, 1.0) if one not in legal])
    if isinstance(check, Choice):
        names = st.text().filter(lambda text: text not in check.names)
        return values | names | st.sampled_from([check.names[0].upper(), "", 1])
    values |= st.sampled_from([math.nan, math.inf, -math.inf, "1", "0.5"])
    if isinstance(check, WholeNumber):
        values |= st.floats() | st.integers(max_value=check.least - 1)
        return values | st.sampled_from([check.least - 1, check.least - 0.5, float(check.least)])
    below = check.low if check.excluded else math.nextafter(check.low, -math.inf)
    values |= st.just(below) | st.floats(max_value=below)
    above = st.just(check.high) | st.floats(min_value=check.high)
    return values | above


def test_the_number_of_settings_with_a_range():
    kinds = [type(check) for check in CHECKED.values()]
    assert [kinds.count(kind) for kind in (WholeNumber, Number, Choice, Flag)] == [13, 9, 5, 5]


@pytest.mark.parametrize("name", CHECKED)
@hypothesis_settings(max_examples=50)
@given(data=st.data())
def test_values_outside_the_range_are_refused_with_option_and_value(name, data):
    value = data.draw(illegal_values(name))
    # before any file is opened
    with pytest.raises(fe.FinetuneEmbedError) as caught:
        fe.finetune("absent.txt", "absent.csv", **{name: value})
    error, check = caught.value, CHECKED[name]
    assert type(error) is FIELDS[name].metadata["error"]
    assert error.option == name
    # an illegal list is held as a tuple
    assert error.value is value or error.value == tuple(value)
    verb = "must be a" if isinstance(check, (Number, WholeNumber)) else "must be"
    none = ", or None" if FIELDS[name].default is None else ""
    assert str(error) == f"{name}={error.value!r} {verb} {check.range}{none}"


WRONG: list[Any] = [None, 3, -1.5, True, b"x", object(), {}, [], [3], [None], ["x", 3], [b"x"]]


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_checked(name):
    """Values of any type are accepted, or an error about the setting before a file is opened."""
    said = [message for value in WRONG if (message := refusal(name, value)) is not None]
    assert all(name in message or name == "specials" for message in said)
    assert len(said) >= (3 if name in ("trackers", "fallback", "specials") else 5)


def refusal(name: str, value: Any) -> str | None:
    try:
        resolve(Settings(**{name: value}))
    except fe.FinetuneEmbedError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", CHECKED)
@hypothesis_settings(max_examples=50)
@given(data=st.data())
def test_values_in_the_range_and_its_bounds_are_accepted(name, data):
    value = data.draw(legal_values(name))
    given = Settings(**{name: value})
    resolve(given)
    assert getattr(given, name) == value
    assert type(getattr(given, name)) is type(value)


@pytest.mark.parametrize("name", [n for n, one in CHECKED.items() if not isinstance(one, Flag)])
def test_an_illegal_value_of_an_option_is_one_line(name, capsys, tmp_path):
    given = ("--vectors", "absent.txt", "--data", "absent.csv", "-o", tmp_path / "out")
    flag = f"--{name.replace('_', '-')}"
    assert run("train", *given, flag, "-1") == 2
    err = capsys.readouterr().err
    check = CHECKED[name]
    if isinstance(check, Choice):
        assert f"Invalid value for '{flag}': '-1' is not one of '{check.names[0]}'" in err
    else:
        value = "-1" if isinstance(check, WholeNumber) else "-1.0"
        ", or None" if FIELDS[name].default is None else ""
        assert err == f"error: {flag} {value} must be a {check.range}\n"
    assert err.count("\n") == 1


# --- the command line -----------------------------------------------------------------------------


def options_of(command: str) -> dict[str, click.Option]:
    return {p.name: p for p in app.commands[command].params if isinstance(p, click.Option)}


def test_every_option_of_train_comes_from_a_setting():
    options = options_of("train")
    own = {"config", "vectors", "data", "quiet", "as_json"}
    assert options.keys() - own == OPTIONS.keys()
    assert len(OPTIONS) == 49
    assert FIELDS.keys() - OPTIONS.keys() == {"vocab", "embedding", "loss_fn", "progress"}
    for name, one in OPTIONS.items():
        option = options[name]
        repeatable = " Repeatable." if option.multiple else ""
        assert option.help.removesuffix(COMMAS) == one.metadata["help"] + repeatable
        flag = one.metadata["option"] or f"--{name.replace('_', '-')}"
        assert option.opts == [flag, "-o"] if name == "output_dir" else [flag]
        number = isinstance(one.default, (int, float))
        if not (option.multiple or option.required or option.is_flag):
            assert option.default == (one.default if number else one.default or None), name
        assert bool(option.show_default) is (bool(one.default) or type(one.default) in (int, float))
        if isinstance(one.metadata["check"], Choice):
            assert tuple(option.type.choices) == one.metadata["check"].names


def test_the_options_of_compare_come_from_settings():
    options = options_of("compare")
    for name, one in OPTIONS.items():
        if name in EXCLUDED:
            assert name not in options
        elif name not in ("resume", "overwrite"):  # of the comparison
            assert (
                options[name].help.removesuffix(" Repeatable.").removesuffix(COMMAS)
                == one.metadata["help"]
            )
    assert options["lr"].default == 0.01


#: A value of each option as text, and as `finetune` must get it.
GIVEN: dict[str, tuple[str, Any]] = {
    "text": ("title, body", ["title", "body"]),
    "label": ("stars", "stars"),
    "task": ("tagging", "tagging"),
    "ignore_label": ("-1", "-1"),
    "delimiter": ("tab", "tab"),
    "encoding": ("cp1252", "cp1252"),
    "sheet": ("data", "data"),
    "missing": ("keep", "keep"),
    "validation": ("0.25", 0.25),
    "test": ("0.25", 0.25),
    "member": ("v.txt", "v.txt"),
    "vector_size": ("5", 5),
    "limit": ("9", 9),
    "tokenizer": ("cased", "cased"),
    "min_count": ("2", 2),
    "max_length": ("9", 9),
    "oov": ("zeros", "zeros"),
    "fallback": ("lower,digits_zero", ["lower", "digits_zero"]),
    "specials": ("<x>", ["<x>"]),
    "head": ("cnn(filters=3)", "cnn(filters=3)"),
    "strategy": ("Freeze", "Freeze"),
    "optimizer": ("sgd", "sgd"),
    "epochs": ("3", 3),
    "max_steps": ("4", 4),
    "lr": ("0.125", 0.125),
    "schedule": ("cosine", "cosine"),
    "warmup": ("0.5", 0.5),
    "batch_size": ("7", 7),
    "batch_tokens": ("70", 70),
    "gradient_accumulation_steps": ("3", 3),
    "weight_decay": ("0.5", 0.5),
    "max_grad_norm": ("1.5", 1.5),
    "word_dropout": ("0.5", 0.5),
    "patience": ("2", 2),
    "metric": ("mcc", "mcc"),
    "class_weight": ("{a: 2}", {"a": 2}),
    "label_smoothing": ("0.5", 0.5),
    "ensemble": ("2", 2),
    "seed": ("11", 11),
    "device": ("cpu", "cpu"),
    "mixed_precision": ("bf16", "bf16"),
    "output_dir": ("there", Path("there")),
    "checkpoint_steps": ("5", 5),
    "checkpoint_minutes": ("0.5", 0.5),
    "trackers": ("tensorboard", ("tensorboard",)),
}
FLAGS = ("streaming", "lexical", "resume", "overwrite")


def settings_given(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> dict[str, Any]:
    """Return the settings with which `train` calls `finetune`."""
    found: list[dict[str, Any]] = []

    def noting(vectors: Any, dataset: Any, **settings: Any) -> None:
        found.append(settings)
        raise DataError("far enough")

    with monkeypatch.context() as patch:
        patch.setattr(module, "finetune", noting)
        assert run("train", *arguments) == 2
    assert len(found) == 1
    return found[0]


def test_every_option_reaches_finetune(monkeypatch):
    assert {*GIVEN, *FLAGS} == OPTIONS.keys()
    for name, one in OPTIONS.items():
        flag = one.metadata["option"] or f"--{name.replace('_', '-')}"
        given = ["--vectors", "v.txt", "--data", "d.csv", *(["-o", "out"] * (name != "output_dir"))]
        text, expected = GIVEN.get(name, ("", True))
        given += [flag] if name in FLAGS else [flag, text]
        found = settings_given(monkeypatch, *given)
        assert found.pop(name) == expected, name
        defaults = {**{n: one.default for n, one in OPTIONS.items()}, "output_dir": Path("out")}
        rest = {n: defaults[n] for n in found if n not in ("progress", "specials")}
        assert {n: found[n] for n in rest} == rest, name


# --- frozen ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Vectors and data of two text columns as files."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    words = [f"{kind}{i}" for kind in ("good", "bad") for i in range(6)] + ["the", "year0"]
    vectors = rng.normal(size=(len(words), 5)).astype(np.float32)
    fe.save_glove(fe.EmbeddingTable(words, vectors), folder / "v.txt")
    labels = ["good", "bad"] * 30
    rows = {
        "title": [f"{label.upper()}{rng.integers(6)} Year{rng.integers(9)}" for label in labels],
        "body": [f"the<sep>{label}{rng.integers(6)} <mask> the" for label in labels],
        "stars": labels,
    }
    datasets.Dataset.from_dict(rows).to_parquet(folder / "train.parquet")
    return {"vectors": str(folder / "v.txt"), "dataset": str(folder / "train.parquet")}


def everything() -> dict[str, Any]:
    """Return settings given as objects that have a text form, and others."""
    return {
        "text": ["title", "body"],
        "label": "stars",
        "validation": 0.3,
        "test": 0.2,
        "tokenizer": fe.Tokenizer(lowercase=False),
        "fallback": ("lower", "digits_zero"),
        "specials": [
            fe.Special("<sep>", start="mean", trainable=False),
            fe.Special("<mask>", start=np.linspace(-1, 1, 5, dtype=np.float32)),
            fe.Special("<unk>", "normal"),
            "<other>",
        ],
        "oov": "zeros",
        "head": "bag(hidden=3, dropout=0.2)",
        "lexical": True,
        "strategy": fe.UnfreezeAfter(steps=5) | fe.DiscriminativeLR(embedding=0.3) | fe.L2SP(0.1),
        "epochs": 3,
        "lr": 0.01 + 0.02,
        "schedule": "linear",
        "warmup": np.float32(0.1),
        "batch_size": 7,
        "gradient_accumulation_steps": 2,
        "weight_decay": 1e-5,
        "max_grad_norm": 1.5,
        "word_dropout": 0.1,
        "patience": 2,
        "seed": np.int64(11),
    }


def test_settings_are_frozen_and_stay_equal_through_a_run(files, monkeypatch):
    kept: list[tuple[Settings, dict[str, Any], dict[str, Any]]] = []

    def noting(settings: Settings) -> Settings:
        resolved = resolve(settings)
        for one in (settings, resolved):
            kept.append((one, dict(vars(one)), one.plain()))
        return resolved

    monkeypatch.setattr(module, "resolve", noting)
    run = fe.finetune(**files, **everything())
    assert len(kept) == 2
    for settings, values, plain in kept:
        assert vars(settings).keys() == values.keys() == FIELDS.keys()
        assert all(vars(settings)[name] is value for name, value in values.items())
        assert settings.plain() == plain
    assert {name: run.settings[name] for name in plain} == plain
    for one in fields(Settings):
        with pytest.raises(FrozenInstanceError):
            setattr(kept[0][0], one.name, one.default)


# --- config.yaml ----------------------------------------------------------------------------------

COLUMNS = st.sampled_from(["on", "null", "3", "1e3", "a: b", "größe", "# x", "'", "~", "- y"])
STEPS = ("lower", "capitalize", "digits_hash", "digits_zero", "strip_punctuation", "normalize")
WAYS = [
    fe.Freeze(),
    fe.FullTune(),
    fe.HeadFirst(epochs=1, rate_after=0.5),
    fe.UnfreezeAfter(fraction=1 / 3) | fe.DiscriminativeLR(embedding=0.1 + 0.2),
    fe.RampUp(steps=5) | fe.FrequencyLR(power=0.5) | fe.MaxNorm(2.0),
    fe.LockRows({"it's": 0.0, 'a "b"': 0.5}) | fe.TrustRegion(0.1),
]
SPECIALS = st.builds(
    fe.Special,
    st.sampled_from(["<x>", "[y]", "#z", "null"]),
    st.sampled_from([None, "zeros", "mean", (0.1, -2.5e-7)]),
    st.booleans(),
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        **{name: legal_values(name) for name in CHECKED if name not in FLOATING},
        "text": COLUMNS | st.lists(COLUMNS, min_size=1, max_size=3),
        "label": COLUMNS,
        "streaming": st.booleans(),
        "member": st.none() | COLUMNS,
        "tokenizer": st.sampled_from([None, "cased", fe.Tokenizer(lowercase=False)]),
        "class_weight": st.sampled_from([None, "balanced", {"a": 2.0}, {0: 1, "größe": 1e-3}]),
        "oov": st.sampled_from(["normal", "mean", "zeros", "subwords"]),
        "fallback": st.lists(st.sampled_from(STEPS), unique=True),
        "specials": st.lists(SPECIALS, unique_by=lambda one: one.token),
        "strategy": st.none() | st.sampled_from([*WAYS, *map(str, WAYS)]),
        "head": st.sampled_from(["bag", "cnn(filters=4, widths=(2, 3), dropout=0.5)"]),
        "trackers": st.lists(st.sampled_from(["tensorboard", "wandb"])),
    },
)


def rebuilt(plain: dict[str, Any]) -> Settings:
    """Return settings from plain values, as `--config` reads them."""
    found = [fe.Special(**s) if isinstance(s, dict) else s for s in plain.get("specials", ())]
    return Settings(**{**plain, "specials": found})


def as_values(settings: Settings) -> dict[str, Any]:
    """Return the values of settings; special tokens, which compare by identity, as plain ones."""
    return {**vars(settings), "specials": settings.plain()["specials"]}


@given(SETTINGS)
def test_plain_settings_round_trip_through_yaml(given):
    resolved = resolve(Settings(**given))
    plain = resolved.plain()
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    assert yaml.safe_load(text) == plain
    again = resolve(rebuilt(yaml.safe_load(text)))
    assert again.plain() == plain
    assert as_values(again) == as_values(resolved)


@hypothesis_settings(max_examples=40)
@given(SETTINGS)
def test_train_gives_finetune_the_settings_of_a_config(tmp_path_factory, given):
    resolved = resolve(Settings(**given))
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    plain = {"finetune_embed": "0.1.0", "vectors": "v.txt", "data": "d.csv", **resolved.plain()}
    config.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), "utf-8")
    found = settings_given(pytest.MonkeyPatch(), "--config", config, "-o", "out")
    again = resolve(Settings(**{**found, "output_dir": None, "progress": False}))
    assert as_values(again) == as_values(resolved)


def test_a_config_repeats_a_run_made_in_python_bit_for_bit(files, tmp_path, capsys):
    one = fe.finetune(**files, **everything(), output_dir=tmp_path / "one")
    assert one.metrics["drift"]["rows_moved"] > 5
    config = tmp_path / "one" / "config.yaml"
    assert run("train", "--config", config, "-o", tmp_path / "two", "--quiet") == 0
    assert capsys.readouterr().err == ""
    for name in ("embedding.safetensors", "model.safetensors", "config.yaml", "record.json"):
        first, second = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert first == second, name
    two = fe.load(tmp_path / "two")
    assert two.table.vectors.tobytes() == one.table.vectors.tobytes()
    # the same settings continue the same run
    same = ("--config", tmp_path / "two" / "config.yaml", "-o", tmp_path / "one", "--resume")
    assert run("train", *same, "--quiet") == 0
    # and an option overrides the file
    assert run("train", *same, "--quiet", "--epochs", 4) == 2
    assert ": it was written with --epochs 3, this run has --epochs 4; " in capsys.readouterr().err


def bag(embedding: torch.nn.Embedding, num_labels: int) -> torch.nn.Module:
    """A custom head with the name of a ready-made one."""
    return fe.BagOfEmbeddings(embedding, num_labels)


def mean(word: str) -> np.ndarray:
    """A custom initial vector with the name of a ready-made one."""
    return np.full(5, 0.5)


OBJECTS: dict[str, tuple[dict[str, Any], str]] = {
    "a function as head": ({"head": bag}, "'<bag>' is not a head; write bag or "),
    "a module as head": (
        {"head": fe.BagOfEmbeddings(torch.nn.Embedding(3, 5), 2)},
        "'<BagOfEmbeddings>' is not a head; write bag or ",
    ),
    "initial vectors": ({"oov": mean}, "--oov '<mean>' is not a start value; choose 'normal', "),
    "the start of a special token": (
        {"specials": [fe.Special("<mask>", mean)]},
        "Special('<mask>'): start='<mean>' is not a start value; choose 'normal', ",
    ),
    "a tokenizer": (
        {"tokenizer": fe.Tokenizer(lowercase=True, pattern="[a-z0-9]+")},
        "is not a known tokenizer; choose from glove, ",
    ),
    "a vocabulary": (
        {"vocab": fe.Vocabulary({"good1": 3, "bad1": 2})},
        "config.yaml sets vocab, which train has no option for; see finetune-embed train --help",
    ),
    "a loss": (
        {"loss_fn": torch.nn.functional.cross_entropy},
        "config.yaml sets loss_fn, which train has no option for; see ",
    ),
    "a table": (
        {"vectors": fe.EmbeddingTable(["good1", "bad1"], np.eye(2, 5))},
        "error: an EmbeddingTable: no such file",
    ),
    "a data set": (
        {
            "dataset": datasets.Dataset.from_dict(
                {"body": ["good1", "bad1"] * 9, "stars": [1, 0] * 9}
            )
        },
        "a Dataset: there is no such file or folder",
    ),
}


@pytest.mark.parametrize("what", OBJECTS)
def test_the_config_of_a_run_with_objects_is_refused_in_one_line(what, files, tmp_path, capsys):
    objects, message = OBJECTS[what]
    options = {"text": "body", "label": "stars", "epochs": 1, "batch_size": 8}
    fe.finetune(**{**files, **options, **objects}, output_dir=tmp_path / "one")
    config = tmp_path / "one" / "config.yaml"
    assert run("train", "--config", config, "-o", tmp_path / "two", "--quiet") == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert not (tmp_path / "two" / "metrics.json").exists()
