"""`finetune-embed compare`, and `train --config` with the recipe it writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.demo import REVIEWS, VECTORS

FAST = ["--epochs", "2", "--max-steps", "6", "--seeds", "2", "--budget", "2", "--quiet"]


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in words])
    return int(done.value.code or 0)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "people.tsv"
    path.write_text("good\tgreat\t9\nbad\tgood\t3\nbad\tawful\t8\ncamera\tbad\t1\n")
    return path


def compare(folder: Path, *words: object) -> int:
    given = ("--vectors", VECTORS, "--data", REVIEWS, "-o", folder, *FAST)
    return run("compare", *given, "--strategy", "FullTune", *words)


@pytest.mark.slow
def test_a_comparison_and_its_recipe(
    tmp_path: Path,
    pairs: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "which"
    assert compare(folder, "--word-pairs", pairs, "--batch-size", 32) == 0
    out = capsys.readouterr().out
    assert "FullTune" in out
    assert "Freeze" in out
    assert "people" in out.splitlines()[0]
    assert "\nuse F" in out
    assert "is not used" not in out  # a share for a test split, which nobody gave
    recipe = folder / "recipe.yaml"
    heads = re.split(" {2,}", out.splitlines()[0])
    assert len(set(heads)) == len(heads)
    assert heads[3:7] == ["test accuracy", "test 95 %", "over Freeze", "over Freeze 95 %"]
    assert out.endswith(f"next: finetune-embed train --config {recipe} -o tuned\n")
    assert recipe.read_text().startswith(
        "# finetune-embed train --config recipe.yaml -o tuned\n# use F"
    )
    settings = yaml.safe_load(recipe.read_text())
    assert settings["batch_size"] == 32
    assert "weight_decay" not in settings  # defaults are left out
    assert run("train", "--config", recipe, "-o", tmp_path / "tuned", "--quiet") == 0
    config = fe.load(tmp_path / "tuned").config
    for name, value in settings.items():
        assert config[name] == value
    assert compare(folder, "--word-pairs", pairs, "--batch-size", 32) == 2
    assert capsys.readouterr().err.endswith(
        "which: the folder holds a comparison; choose --resume or --overwrite\n"
    )
    assert compare(folder, "--word-pairs", pairs, "--batch-size", 32, "--resume", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert compare(folder, "--word-pairs", pairs, "--batch-size", 32, "--resume") == 0
    assert capsys.readouterr().out.endswith(f" --config {recipe} -o tuned-2\n")
    assert document == json.loads((folder / "comparison.json").read_text())
    assert compare(folder, "--resume") == 2
    assert "; continue with the same settings, or start over with --overwrite" in (
        capsys.readouterr().err
    )


def test_options_override_the_config(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(
        f"vectors: {VECTORS}\ndata: {REVIEWS}\nepochs: 5\nlr: 0.5\ntext: [text]\n"
        "fallback: [lower, digits_zero]\nspecials: [<url>]\nschedule: linear\nmax_steps: 3\n"
    )
    given = ("--config", config, "-o", tmp_path / "out", "--lr", 0.02, "--quiet")
    assert run("train", *given) == 0
    found = fe.load(tmp_path / "out").config
    assert (found["epochs"], found["lr"], found["schedule"]) == (5, 0.02, "linear")
    assert (found["fallback"], found["text"]) == (["lower", "digits_zero"], ["text"])
    assert found["specials"] == ["<url>"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "epoch: 5\n",
            "yaml sets epoch, which train has no option for; did you mean epochs?",
        ),
        ("- a\n", "settings.yaml has no settings; one is a line such as epochs: 15"),
        ("a: [\n", "settings.yaml can't be read"),
        ("epochs: many\n", "'many' is not a valid integer"),
        ("epochs: 2.9\n", "'2.9' is not a valid integer"),
        ("seed: true\n", "'True' is not a valid integer"),
        (None, "settings.yaml can't be read"),
    ],
)
def test_configs_that_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    config = tmp_path / "settings.yaml"
    if content is not None:
        config.write_text(content)
    words = ("--vectors", VECTORS, "--data", REVIEWS, "-o", tmp_path / "out")
    assert run("train", "--config", config, *words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_bad_input_of_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "which"
    cases = [
        (("--word-pairs", tmp_path / "none.tsv"), "none.tsv: the word pairs can't be read"),
        (("--batch-size", 0), "--batch-size 0 must be a whole number of 1 or more"),
        (("--strategy", "Frieze"), "did you mean Freeze?"),
        (("--label", "stars"), "there is no column 'stars'"),
    ]
    for words, message in cases:
        assert compare(folder, *words) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
    empty = tmp_path / "empty.csv"
    empty.write_text("text,label\n")
    given = ("--vectors", VECTORS, "--data", empty, "-o", folder)
    assert run("compare", *given) == 2
    assert "the data is empty (0 examples)" in capsys.readouterr().err
    assert not folder.exists()
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\n" + "good,a\nbad,b\nawful,\n" * 9)
    assert run("compare", "--vectors", VECTORS, "--data", bad, "-o", folder, *FAST) == 0
    assert "9 of 27 examples" in capsys.readouterr().out  # left out, and reported


def test_the_defaults_of_the_command_are_those_of_the_function() -> None:
    import inspect

    from finetune_embed.cli.app import app

    defaults = {name: p.default for name, p in inspect.signature(fe.compare).parameters.items()}
    options = [p for p in app.commands["compare"].params if p.name in defaults and p.name != "text"]
    checked = 0
    for option in options:
        default = defaults[option.name]
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            assert option.default == default, option.name
            checked += 1
    assert checked >= 10
