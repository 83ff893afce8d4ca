"""`finetune-embed train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import console, print_json

__all__ = ["train"]


def train(
    vectors: Annotated[Path, typer.Option(help="Vector file: GloVe, word2vec, safetensors.")],
    data: Annotated[str, typer.Option(help="CSV, JSONL or Parquet file, folder, or Hub name.")],
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Folder for the run.")],
    text: Annotated[str, typer.Option(help="Column of texts; several, separated by commas.")] = (
        "text"
    ),
    label: Annotated[str, typer.Option(help="Column of classes.")] = "label",
    strategy: Annotated[
        str,
        typer.Option(help="Such as 'UnfreezeAfter(epochs=2) | DiscriminativeLR(embedding=0.1)'."),
    ] = "FullTune",
    head: Annotated[str, typer.Option(help="bag, 'bag(hidden=100)', cnn, ...")] = "bag",
    epochs: Annotated[int, typer.Option(help="The most epochs.")] = 15,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 5e-3,
    batch_size: Annotated[int, typer.Option(help="Texts in a batch.")] = 64,
    weight_decay: Annotated[float, typer.Option(help="Of all but the table.")] = 0.0,
    schedule: Annotated[str, typer.Option(help="constant, linear or cosine.")] = "constant",
    warmup: Annotated[float, typer.Option(help="Share of the run in which the rate rises.")] = 0.0,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better score.")
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the training data held out if no split is given.")
    ] = 0.1,
    tokenizer: Annotated[
        str | None, typer.Option(help="glove, cased or whitespace; found out if left out.")
    ] = None,
    min_count: Annotated[int, typer.Option(help="Rarer words become <unk>.")] = 1,
    max_length: Annotated[int | None, typer.Option(help="Words of a text that count.")] = None,
    oov: Annotated[
        str, typer.Option(help="Start of words the vectors lack: normal, mean or zeros.")
    ] = "normal",
    seed: Annotated[int, typer.Option(help="Of everything that is random.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a former run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Tune a table on a text classification task and export it.

    Example: finetune-embed train --vectors glove.6B.50d.txt --data reviews.csv -o tuned
    """
    from ..training.finetune import finetune

    columns = [column.strip() for column in text.split(",")]
    run = finetune(
        vectors,
        data,
        text=columns[0] if len(columns) == 1 else columns,
        label=label,
        head=head,
        strategy=strategy,
        epochs=epochs,
        lr=lr,
        batch_size=batch_size,
        weight_decay=weight_decay,
        schedule=schedule,
        warmup=warmup,
        patience=patience,
        validation=validation,
        tokenizer=tokenizer,
        min_count=min_count,
        max_length=max_length,
        oov=oov,  # type: ignore[arg-type]  # a wrong word is refused with the right ones
        seed=seed,
        device=device,
        output_dir=output_dir,
        resume=resume,
        overwrite=overwrite,
        progress=not quiet,
    )
    if as_json:
        print_json(dict(run.metrics))
        return
    console.print(str(run))
    if run.drift is not None:
        console.print(f"\n{run.drift}")
    console.print(
        f"\nwritten to {output_dir}: " + ", ".join(p.name for p in sorted(output_dir.iterdir()))
    )
    console.print(f"next: finetune-embed predict {output_dir} 'a text of yours'")
