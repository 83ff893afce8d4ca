"""`finetune-embed predict`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .output import as_json_option, print_json

__all__ = ["predict"]


@click.command(
    epilog="Example: finetune-embed predict tuned 'works like a charm' 'broke after a day'"
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1)
@as_json_option
def predict(run: Path, texts: tuple[str, ...], as_json: bool) -> None:
    """Print the label of each text and its probability."""
    from ..training.run import load

    loaded = load(run)
    lines = list(texts) if texts else [line.rstrip("\n") for line in sys.stdin]
    chances = loaded.predict_proba(lines)
    best = chances.argmax(dim=1).tolist()
    found = [
        {"text": text, "label": loaded.labels[number], "probability": float(row[number])}
        for text, number, row in zip(lines, best, chances, strict=True)
    ]
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(f"{one['label']}\t{one['probability']:.3f}\t{one['text']}")
