"""The recipes run by their real command line, and their configs are what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "text_classification.py"
CONFIGS = sorted((ROOT / "recipes" / "configs").rglob("*.yaml"))
DATA_SETS, STRATEGIES = 3, 4
#: The training losses of two epochs on the embedded demo.
SMOKE_LOSSES = {
    "DiscriminativeLR(embedding=0.3)": [0.639946, 0.469154],
    "Freeze": [0.657166, 0.596356],
    "FullTune": [0.592608, 0.331314],
    "UnfreezeAfter(epochs=2)": [0.657166, 0.596356],
}


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_all_configs_are_found() -> None:
    assert len(CONFIGS) == DATA_SETS * STRATEGIES


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_config_opens_with_its_command_and_its_result(config: Path) -> None:
    first, second, *_ = config.read_text().splitlines()
    path = config.relative_to(ROOT).as_posix()
    assert first == f"# python recipes/text_classification.py {path}"
    assert re.fullmatch(r"# test accuracy: \d\d\.\d% ± \d\.\d \(3 seeds; .*\)", second)


def test_the_configs_of_a_data_set_differ_in_their_strategy_only() -> None:
    groups: dict[str, list[dict[str, object]]] = {}
    for config in CONFIGS:
        values = yaml.safe_load(config.read_text())
        groups.setdefault(config.stem.split("-")[0], []).append(values)
    assert len(groups) == DATA_SETS
    for configs in groups.values():
        assert len({config.pop("strategy") for config in configs}) == STRATEGIES
        assert all(config == configs[0] for config in configs)


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_smokes_offline(config: Path, tmp_path: Path) -> None:
    done = run(str(config), "--smoke", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert metrics["strategy"] == yaml.safe_load(config.read_text())["strategy"]
    assert metrics["losses"] == pytest.approx(SMOKE_LOSSES[metrics["strategy"]], rel=1e-3)
    opened = metrics["strategy"] in ("FullTune", "DiscriminativeLR(embedding=0.3)")
    assert metrics["rows_moved"] == (982 if opened else 0)  # the others open after two epochs
    assert list(tmp_path.iterdir()) == []


def test_all_errors_of_a_config_are_told_at_once(tmp_path: Path) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text("data: x\nstrategy: Freeze\nstratgy: Freeze\nepochs: many\n")
    done = run(str(config), "--set", "lr", folder=tmp_path)
    assert done.returncode == 2
    message = done.stderr
    for part in ("unknown key 'stratgy'", "missing key 'vectors'", "epochs='many'", "--set lr"):
        assert part in message
    assert "the keys are data, vectors, strategy, text" in message


def test_a_setting_of_the_command_line_wins(tmp_path: Path) -> None:
    done = run(str(CONFIGS[0]), "--smoke", "--set", "vectors=no/such.txt", folder=tmp_path)
    assert done.returncode == 2
    assert "no/such.txt: no such file" in done.stderr


@pytest.mark.slow
def test_which_strategy_smokes_and_goes_on(tmp_path: Path) -> None:
    script = [sys.executable, "-W", "error", str(SCRIPT.with_name("which_strategy.py")), "--smoke"]
    printed = []
    for _ in range(2):
        done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert printed[0] == printed[1]  # read, not run again: the seconds are the same
    for part in ("## reviews, 10% of the training rows", "## Test scores", "## What is kept"):
        assert part in printed[0]
    assert len(re.findall(r"^\| `(Freeze|FullTune|TrustRegion)` \|", printed[0], flags=re.M)) == 6
    made = (tmp_path / "which" / "reviews-10" / "trials.jsonl").read_text().splitlines()
    assert {json.loads(line)["strategy"] for line in made} == {"Freeze", "FullTune", "TrustRegion"}
