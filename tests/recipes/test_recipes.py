"""The configs run on the command line, and are what they say."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.demo import REVIEWS, VECTORS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "which_strategy.py"
CONFIGS = sorted((ROOT / "recipes" / "configs").rglob("*.yaml"))
DATA_SETS, STRATEGIES = 3, 4
TASKS = sorted((ROOT / "recipes" / "tasks").glob("*.yaml"))
#: What each script returns with --smoke, the last of several scores.
SMOKE = {
    "low_data": 0.51,
    "static_model": 0.88,
    "lexicon": 0.91,
    "delta_of_large_table": 0.13,
    "several_processes": 0.69,
    "with_transformers": 0.855,
    "with_lightning": 0.867,
    "embedding_dim": 0.885,
}
#: The training losses of two epochs on the included demo.
LOSSES = {
    "DiscriminativeLR(embedding=0.3)": [0.639946, 0.469154],
    "Freeze": [0.657166, 0.596356],
    "FullTune": [0.592608, 0.331314],
    "UnfreezeAfter(epochs=2)": [0.657166, 0.596356],
}


def test_all_configs_are_found() -> None:
    assert len(CONFIGS) == DATA_SETS * STRATEGIES


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_config_opens_with_its_command_and_its_result(config: Path) -> None:
    first, second, *_ = config.read_text().splitlines()
    path = config.relative_to(ROOT).as_posix()
    assert first == f"# finetune-embed train --config {path} -o run"
    assert re.fullmatch(r"# test accuracy: \d\d\.\d% ± \d\.\d \(3 seeds; .*\)", second)


def test_the_configs_differ_in_their_data_and_strategy_only() -> None:
    pairs, others = set(), []
    for config in CONFIGS:
        values = yaml.safe_load(config.read_text())
        places = {name: values.pop(name) for name in ("data", "text", "label")}
        pairs.add((places["data"], values.pop("strategy")))
        others.append(values)
    assert len({data for data, _ in pairs}) == DATA_SETS
    assert len({strategy for _, strategy in pairs}) == STRATEGIES
    assert len(pairs) == len(CONFIGS)
    assert all(values == others[0] for values in others)


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS[:STRATEGIES], ids=lambda path: path.stem)
def test_a_config_of_each_strategy_trains_on_the_demo(config: Path, tmp_path: Path) -> None:
    """On the demo, the configs of the other data sets are the same."""
    demo = ["--vectors", VECTORS, "--data", REVIEWS, "--text", "text", "--label", "label"]
    words = ["train", "--config", config, *demo, "--epochs", 2, "-o", tmp_path / "run", "--quiet"]
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in words])
    assert not done.value.code
    run = fe.load(tmp_path / "run")
    strategy = yaml.safe_load(config.read_text())["strategy"]
    assert run.settings["strategy"] == strategy
    losses = [record["train_loss"] for record in run.history]
    assert losses == pytest.approx(LOSSES[strategy], rel=1e-3)
    opened = strategy in ("FullTune", "DiscriminativeLR(embedding=0.3)")
    # UnfreezeAfter opens the table after two epochs
    assert run.metrics["drift"]["rows_moved"] == (982 if opened else 0)


def test_the_table_of_all_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import run_all

    (tmp_path / "trec6").symlink_to(REVIEWS)
    short = tmp_path / "trec6-short.yaml"
    settings = yaml.safe_load((ROOT / "recipes/configs/trec6-glove50-freeze.yaml").read_text())
    short.write_text(yaml.safe_dump({**settings, "epochs": 1, "max_steps": 3}))
    runs = run_all.run(short, str(VECTORS), tmp_path, seeds=2)
    assert [run.settings["seed"] for run in runs] == [0, 1]
    assert re.fullmatch(
        r"\| trec6 \| `Freeze` (\| \d\d\.\d% ± \d+\.\d ){2}\| 0 \| 0\.0% \| \d+\.\d \|",
        run_all.row(short, runs),
    )


@pytest.mark.slow
def test_which_strategy_smokes_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPT.parent)
    importlib.import_module("which_strategy").command_line(["--smoke"])
    printed = capsys.readouterr().out
    script = [sys.executable, "-W", "error", str(SCRIPT), "--smoke"]
    again = subprocess.run(script, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout == printed  # read, not run again: the seconds are the same
    heads = ["reviews, 10% of the training examples", "Test scores", "Effect on the vectors"]
    assert re.findall(r"^## (.*)$", printed, flags=re.M) == heads
    assert len(re.findall(r"^\| `(Freeze|FullTune|TrustRegion)` \|", printed, flags=re.M)) == 9
    made = (tmp_path / "which" / "reviews-10" / "trials.jsonl").read_text().splitlines()
    assert {json.loads(line)["strategy"] for line in made} == {"Freeze", "FullTune", "TrustRegion"}


def test_a_task_opens_with_its_command_and_its_result() -> None:
    readme = (ROOT / "recipes" / "README.md").read_text()
    assert len(TASKS) == 5
    for config in TASKS:
        settings = yaml.safe_load(config.read_text())
        first, second, *_ = config.read_text().splitlines()
        path, data = config.relative_to(ROOT).as_posix(), settings["data"]
        command = (
            f"finetune-embed train --config {path} --vectors glove.6B.100d.txt --data DIR/{data}"
        )
        assert first == f"# {command} -o run"
        found = re.fullmatch(r"# test [\w ]+: (\d\d\.\d% ± \d\.\d) \(3 seeds; .*\)", second)
        assert found is not None
        assert found[1] in readme


#: Examples of each task, in the columns that its config names.
EXAMPLES = {
    "sst2": {"text": ["good film", "bad film"], "label": ["yes", "no"]},
    "goemotions_multi": {"text": ["good film", "bad film"], "labels": [["joy", "love"], ["love"]]},
    "conll2003_ner": {
        "tokens": [["in", "Rome"], ["a", "film"]],
        "tags": [["O", "B-LOC"], ["O", "O"]],
    },
    "ud_en_ewt_pos": {"tokens": [["a", "film"], ["it", "works"]], "tags": [["D", "N"], ["P", "V"]]},
    "imdb_rating": {"text": ["good film", "bad film"], "rating": [9, 2]},
}


@pytest.mark.parametrize("config", TASKS, ids=lambda path: path.stem)
def test_a_task_trains(config: Path) -> None:
    settings = yaml.safe_load(config.read_text())
    given = {name: settings.pop(name) for name in ("data", "vectors")}
    assert given["vectors"] == "glove.6B.100d.txt"
    columns = {name: cells * 20 for name, cells in EXAMPLES[config.stem].items()}
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    run = fe.finetune(fe.load_vectors(VECTORS), rows, **{**settings, "epochs": 6})
    assert run.task.name == settings.get("task", "single_label")
    assert run.metrics["validation"][run.task.metric] > 0.7


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # other libraries' trainers warn about themselves
@pytest.mark.parametrize("name", SMOKE)
def test_a_script_smokes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.syspath_prepend(SCRIPT.parent)
    found = importlib.import_module(name).main(["--smoke"])
    scores = list(found.values()) if isinstance(found, dict) else np.atleast_1d(found)
    assert scores[-1] == pytest.approx(SMOKE[name], abs=0.03)
    assert "± 0.0 (1 seeds, " in capsys.readouterr().out


def test_the_figures_of_a_script_are_in_the_table() -> None:
    readme = (ROOT / "recipes" / "README.md").read_text()
    scripts = [path for path in sorted(SCRIPT.parent.glob("*.py")) if path.stem in SMOKE]
    assert len(scripts) == len(SMOKE)
    for script in scripts:
        text = script.read_text()
        assert text.count("\n") <= 150
        figures = re.findall(r"\d\d\.\d% ± \d\.\d", text.split('"""')[1])
        assert figures
        assert [figure for figure in figures if figure not in readme] == []
