"""Tune word vectors on a text classification data set, as a config file says.

    python recipes/text_classification.py recipes/configs/sst2-glove50-full_tune.yaml

The data set comes from the Hub by name, or from a local copy: `--data DIR`, with columns `text`
and `label`. The vectors come from a file; nothing is downloaded but the named data set. Any key of
a config can be set on the command line: `--set seed=1 --set lr=0.02`. `--smoke` runs in seconds,
offline, on the embedded demo.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS


@dataclass(frozen=True)
class Config:
    """Every setting of the recipe; a config file sets some of them, and no others."""

    data: str
    vectors: str
    strategy: str
    text: str = "text"
    label: str = "label"
    head: str = "bag"
    epochs: int = 15
    lr: float = 5e-3
    batch_size: int = 64
    schedule: str = "constant"
    patience: int | None = None
    seed: int = 0
    output_dir: str | None = None


class ConfigError(ValueError):
    """All that is wrong with a config, at once."""


def read_config(path: Path, settings: Sequence[str] = ()) -> Config:
    """Read a config file and lay `key=value` settings over it.

    Raises:
        ConfigError: keys are unknown or missing, or a value is of the wrong type.
    """
    values: dict[str, Any] = yaml.safe_load(path.read_text())
    wrong = []
    for setting in settings:
        key, equals, value = setting.partition("=")
        if equals:
            values[key] = yaml.safe_load(value)
        else:
            wrong.append(f"--set {setting} is not key=value")
    legal = {field.name: field for field in fields(Config)}
    wrong += [f"unknown key {key!r}" for key in values if key not in legal]
    wrong += [f"missing key {k!r}" for k in ("data", "vectors", "strategy") if k not in values]
    for key, value in values.items():
        kind = legal[key].type if key in legal else "Any"
        if not _fits(value, str(kind)):
            wrong.append(f"{key}={value!r} is not of the type {kind}")
    if wrong:
        raise ConfigError(f"{path}: {'; '.join(wrong)}; the keys are {', '.join(legal)}")
    return Config(**values)


def _fits(value: object, kind: str) -> bool:
    known: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "None": (type(None),),
        "Any": (object,),
    }
    return any(isinstance(value, known[one.strip()]) for one in kind.split("|"))


def main(config: Config) -> dict[str, Any]:
    """Run the recipe and return its metrics."""
    # 1. The strategy: what trains when, and how fast.
    strategy = fe.Strategy.parse(config.strategy)
    # 2. Vectors, data, vocabulary, head, loop, early stopping and export are one call.
    run = fe.finetune(
        config.vectors,
        config.data,
        text=config.text,
        label=config.label,
        head=config.head,
        strategy=strategy,
        epochs=config.epochs,
        lr=config.lr,
        batch_size=config.batch_size,
        schedule=config.schedule,
        patience=config.patience,
        seed=config.seed,
        output_dir=config.output_dir,
        overwrite=True,
        progress=sys.stderr.isatty(),
    )
    # 3. How good it is, and how far the table has moved for it.
    return {
        "strategy": str(strategy),
        "seed": config.seed,
        "validation_accuracy": run.metrics["validation"]["accuracy"],
        "test_accuracy": run.metrics["test"]["accuracy"],
        "best_epoch": run.metrics["best_epoch"],
        "losses": [record["train_loss"] for record in run.history],
        "rows_moved": run.metrics["drift"]["rows_moved"],
        "median_movement": run.metrics["drift"]["median_movement"],
        "seconds": run.metrics["seconds"],
    }


def command_line(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the recipe, print its metrics as one line of JSON."""
    parser = argparse.ArgumentParser(description="Tune word vectors on text classification.")
    parser.add_argument("config", type=Path, help="YAML file")
    parser.add_argument("--data", help="local copy of the data, with columns text and label")
    parser.add_argument("--vectors", help="vector file, in the place of the config's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--smoke", action="store_true", help="two epochs on the embedded demo")
    options = parser.parse_args(arguments)
    settings = options.settings
    if options.smoke:
        options.data, options.vectors = str(REVIEWS), str(VECTORS)
        settings = ["epochs=2", *settings]
    if options.data:
        settings = [f"data={options.data}", "text=text", "label=label", *settings]
    if options.vectors:
        settings = [f"vectors={options.vectors}", *settings]
    try:
        metrics = main(read_config(options.config, settings))
    except (ConfigError, fe.FinetuneEmbedError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    print(json.dumps(metrics))


if __name__ == "__main__":
    command_line()
