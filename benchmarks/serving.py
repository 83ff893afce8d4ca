"""Predictions beside those of fastText and model2vec: texts a second, and the time of one text.

    python benchmarks/serving.py glove.6B.100d.txt DIR/sst2 --peers peers/bin/python

`benchmarks/first_run.py` says what DIR has, and `benchmarks/peers.py` how to make the environment
of the peers. Each tool is trained once: ours with the default model and as a bag of vectors without
a lexical part, fastText with the vectors, model2vec with its defaults. Then a process of its own
loads the model and predicts the test texts, with one thread and with two, alone and beside a
process that keeps a core busy: all in one call, the best of five times; and 2,000 texts one by one,
of which the median and the 99th percentile are printed. fastText gets texts as they are, without a
tokenizer. `tokenizing` is the time that ours takes to make tokens of a text, which is part of its
time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROUNDS, TOTAL, SINGLE = 5, 20_000, 2_000
BAG = {"head": "bag", "epochs": 5}
TOOLS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours, bag": BAG,
    "fasttext": {"epoch": 5, "lr": 0.5},
    "model2vec": {},
}
Predict = Callable[[list[str]], object]


def loaded(tool: str, folder: Path) -> dict[str, Predict]:
    """Return what is timed of a tool, by name."""
    if tool == "fasttext":
        import fasttext

        model = fasttext.load_model(str(folder / "model.bin"))
        return {"predict": lambda texts: model.predict([text.replace("\n", " ") for text in texts])}
    if tool == "model2vec":
        from model2vec.inference import StaticModelPipeline

        return {"predict": StaticModelPipeline.from_pretrained(str(folder)).predict}
    import finetune_embed as fe
    from finetune_embed.vocabulary import tokenize_texts

    run = fe.load(folder)
    return {
        "predict": run.predict,
        "tokenizing": lambda texts: tokenize_texts(texts, run.vocab.tokenizer),
    }


def measure(tool: str, folder: Path, texts: Sequence[str]) -> dict[str, list[float]]:
    """Return texts a second, then the median and the 99th percentile of one text in ms."""
    many = (list(texts) * (TOTAL // len(texts) + 1))[:TOTAL]
    found = {}
    for name, predict in loaded(tool, folder).items():
        predict(many[:100])
        rounds = [_seconds(predict, many) for _ in range(ROUNDS)]
        single = [1000 * _seconds(predict, [text]) for text in many[:SINGLE]]
        percentiles = statistics.quantiles(single, n=100)
        found[name] = [TOTAL / min(rounds), percentiles[49], percentiles[98]]
    return found


def _seconds(predict: Predict, texts: list[str]) -> float:
    started = time.perf_counter()
    predict(texts)
    return time.perf_counter() - started


def measured_apart(python: str, tool: str, folder: Path, texts: Path, threads: int) -> Any:
    """Measure in a process of its own with so many threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    command = [python, __file__, "--measure", tool, str(folder), str(texts)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main() -> None:
    """Train, measure and print a line for each."""
    if sys.argv[1] == "--measure":
        tool, model, given = sys.argv[2:]
        print(json.dumps(measure(tool, Path(model), json.loads(Path(given).read_text()))))
        return
    from first_run import PEERS, Bench, Case

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--peers", type=Path, help="Python of the peers' environment")
    options = parser.parse_args()
    tools = [one for one in TOOLS if one not in PEERS or options.peers is not None]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        case, bench = Case(options.data, folder), Bench(options.vectors, folder, options.peers)
        texts = folder / "texts.json"
        texts.write_text(json.dumps(case.texts("test")))
        print(f"{'':<24}threads          texts/s    one text, p50    p99")
        for tool in tools:
            name, output = tool.partition(",")[0], folder / tool
            bench.train(case, name, 0, TOOLS[tool], output)
            python = str(options.peers) if tool in PEERS else sys.executable
            for is_busy in (False, True):
                for threads in (1, 2):
                    spin = [sys.executable, "-c", "while True: pass"]
                    busy = [subprocess.Popen(spin)] if is_busy else []
                    try:
                        found = measured_apart(python, name, output, texts, threads)
                    finally:
                        for process in busy:
                            process.kill()
                            process.wait()
                    for what, (rate, median, slow) in found.items():
                        label = tool if what == "predict" else f"{tool}: {what}"
                        print(
                            f"{label:<24}{threads}{', busy' if is_busy else '':<8}{rate:14,.0f}"
                            f"{median:14.3f} ms{slow:9.3f} ms",
                            flush=True,
                        )


if __name__ == "__main__":
    main()
