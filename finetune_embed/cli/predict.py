"""`finetune-embed predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .output import console, print_json

__all__ = ["predict"]


def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; read line by line from stdin if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Print the label of each text and its probability.

    Example: finetune-embed predict tuned 'works like a charm' 'broke after a day'
    """
    from ..training.run import load

    loaded = load(run)
    lines = texts if texts else [line.rstrip("\n") for line in sys.stdin]
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
        console.print(f"{one['label']}\t{one['probability']:.3f}\t{one['text']}")
