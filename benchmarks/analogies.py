"""Google's analogies: the accuracy and the time of `evaluate_analogies` and of gensim.

    python benchmarks/analogies.py VECTORS [--every 20]

The questions are those that gensim brings. gensim answers one of `--every` questions, since each
takes it as long; the answers to these are compared. Times are seconds of CPU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from gensim.test.utils import datapath

import finetune_embed as fe


def main() -> None:
    """Print accuracies and times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors")
    parser.add_argument("--every", type=int, default=20)
    args = parser.parse_args()
    table = fe.load_vectors(args.vectors)
    sections = fe.read_analogies(datapath("questions-words.txt"))
    started = time.process_time()
    whole = fe.evaluate_analogies(table, sections)
    ours = time.process_time() - started
    print(f"finetune_embed: {whole}: {ours:.1f} s")
    part = {name: questions[:: args.every] for name, questions in sections.items()}
    keyed = table.to_keyed_vectors()
    keyed.fill_norms()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "questions.txt"
        path.write_text(
            "".join(
                f": {name}\n" + "".join(" ".join(question) + "\n" for question in questions)
                for name, questions in part.items()
            )
        )
        started = time.process_time()
        score, found = keyed.evaluate_word_analogies(str(path))
        theirs = time.process_time() - started
    same = fe.evaluate_analogies(table, part)
    counted = len(found[-1]["correct"]) + len(found[-1]["incorrect"])
    scaled = theirs * whole.total.found / counted
    print(f"gensim: accuracy {score!r} on {counted:,}: {theirs:.1f} s; {scaled:.0f} s for all")
    print(f"finetune_embed on these: {same.total.accuracy!r}; {scaled / ours:.1f} times as fast")


if __name__ == "__main__":
    main()
