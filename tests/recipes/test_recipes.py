"""The configs run on the command line, and are what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.demo import REVIEWS, VECTORS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "which_strategy.py"
CONFIGS = sorted((ROOT / "recipes" / "configs").rglob("*.yaml"))
DATA_SETS, STRATEGIES = 3, 4
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
def test_which_strategy_smokes_and_goes_on(tmp_path: Path) -> None:
    script = [sys.executable, "-W", "error", str(SCRIPT), "--smoke"]
    printed = []
    for _ in range(2):
        done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert printed[0] == printed[1]  # read, not run again: the seconds are the same
    heads = ["reviews, 10% of the training examples", "Test scores", "Effect on the vectors"]
    assert re.findall(r"^## (.*)$", printed[0], flags=re.M) == heads
    assert len(re.findall(r"^\| `(Freeze|FullTune|TrustRegion)` \|", printed[0], flags=re.M)) == 9
    made = (tmp_path / "which" / "reviews-10" / "trials.jsonl").read_text().splitlines()
    assert {json.loads(line)["strategy"] for line in made} == {"Freeze", "FullTune", "TrustRegion"}
