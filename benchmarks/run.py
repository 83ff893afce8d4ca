"""Print every figure that README claims: python benchmarks/run.py [--vectors FILE --data DIR].

Without `--seeds` each benchmark has its own number of them; `--seeds 1` is a first look.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def run(title: str, *command: str) -> None:
    """Print a title and what a command prints."""
    print(f"\n## {title}\n", flush=True)
    subprocess.run([sys.executable, *command], check=True)


def main() -> None:
    """Run the benchmarks; those on real data only where it is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", nargs="+", help="glove.6B.50d.txt, and others if you like")
    parser.add_argument("--data", type=Path, help="folder with a folder for each data set")
    parser.add_argument("--tasks", help="folder with goemotions_multi and sets of tagged words")
    parser.add_argument("--peers", help="Python of the peers' environment, see peers.py")
    parser.add_argument("--seeds", help="how many, for all that is run with several")
    parser.add_argument(
        "--runs", type=Path, help="folder of finished runs on these files, to go on with"
    )
    options = parser.parse_args()
    seeds = ("--seeds", options.seeds) if options.seeds else ()

    def kept(name: str) -> tuple[str, ...]:
        return ("--json", str(options.runs / f"{name}.jsonl")) if options.runs else ()

    if options.runs:
        options.runs.mkdir(parents=True, exist_ok=True)
    run("Import", str(HERE / "import_cost.py"))
    run("A training step", str(HERE / "step.py"))
    run("A table of 2.4 GB", str(HERE / "large_table.py"))
    run("Words looked up", str(HERE / "look_up.py"))
    with tempfile.TemporaryDirectory() as folder:
        quickstart = ("-m", "finetune_embed", "quickstart", "--quiet", "-o", folder)
        run("Quickstart (synthetic reviews)", *quickstart)
    if options.vectors:
        run("Vector files", str(HERE / "read_vectors.py"), *options.vectors)
        run("Other formats", str(HERE / "other_formats.py"), options.vectors[0])
    if options.vectors:
        command = [str(HERE / "compiled_loops.py"), "--vectors", options.vectors[-1]]
        if options.data:
            imdb, sst2 = options.data / "imdb", options.data / "sst2"
            command += ["--texts", str(imdb / "train.parquet"), "--train", str(imdb), str(sst2)]
        run("Compiled loops", *command)
    if options.vectors and options.data:
        sets = [
            str(path) for name in ("banking77", "sst2") if (path := options.data / name).is_dir()
        ]
        if sets:
            run("Deltas", str(HERE / "deltas.py"), options.vectors[-1], *sets, *seeds)
    if options.vectors and options.data:
        script = str(HERE / "pros_cons.py")
        run("pros_cons", script, options.vectors[0], str(options.data / "pros_cons"), *seeds)
    if options.data and (texts := options.data / "imdb" / "train.parquet").exists():
        run("Texts", str(HERE / "tokenize_texts.py"), str(texts))
    if options.vectors and options.data:
        last = options.vectors[-1]
        arguments = (last, str(options.data), *seeds)
        run("Published references", str(HERE / "published.py"), *arguments, *kept("published"))
        if options.tasks:
            script = str(HERE / "tasks.py")
            run("Other tasks", script, last, options.tasks, *seeds, *kept("tasks"))
        if options.peers:
            script = str(HERE / "first_run.py")
            arguments = (*arguments, "--peers", options.peers, *kept("first_run"))
            run("fastText and model2vec", script, *arguments)
            texts = options.data / "sst2"
            if texts.is_dir():
                script = str(HERE / "serving.py")
                run("Predictions", script, last, str(texts), "--peers", options.peers)


if __name__ == "__main__":
    main()
