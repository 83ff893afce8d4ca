"""Which strategy wins where: data sets, whole and a tenth of them, by `fe.compare`.

    python recipes/which_strategy.py --vectors glove.6B.50d.txt --data DIR --output-dir which

DIR has a folder for each data set (sst2, mr, trec6, banking77, clinc150), with files named by split
and columns `text` and `label`. Every strategy has the same budget: its learning rate is searched
with one seed, and it is judged by five others; see `compare`. The tenth is one stratified sample of
the training rows, the same for all; validation and test splits stay as they are, and where there is
no validation split, a tenth of the rows that are trained on is one. `--word-pairs` names files of
pairs of words with people's scores. What is finished is not run again. `--smoke` runs in a minute,
offline, on the embedded demo.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import finetune_embed as fe
from finetune_embed.comparison import REPRESENTATIVE
from finetune_embed.data import hold_out, open_splits
from finetune_embed.demo import REVIEWS, VECTORS

SETS = ("sst2", "mr", "trec6", "banking77", "clinc150")
SHARES = (0.1, 1.0)
Results = dict[tuple[str, float], fe.Comparison]


def part_of(folder: Path, share: float) -> Any:
    """Return a data set with a share of its training rows, as many of each class as there are."""
    if share == 1:
        return folder
    splits = open_splits(folder)
    sample = hold_out(replace(splits, validation=None), "label", share, seed=0).validation
    parts = {"train": sample, "validation": splits.validation, "test": splits.test}
    return {name: split for name, split in parts.items() if split is not None}


def main(options: argparse.Namespace) -> Results:
    """Run what is missing, print each comparison, and return all."""
    found: Results = {}
    for name in options.sets:
        for share in options.shares:
            found[name, share] = fe.compare(
                options.strategies,
                options.vectors,
                part_of(options.data / name, share),
                seeds=options.seeds,
                budget=options.budget,
                epochs=options.epochs,
                patience=5,
                word_pairs=options.word_pairs,
                output_dir=options.output_dir / f"{name}-{share:.0%}".replace("%", ""),
                resume=True,
            )
            print(f"\n## {name}, {share:.0%} of the training rows\n", flush=True)
            print(found[name, share], flush=True)
    return found


def table(found: Results) -> str:
    """Return test scores of all strategies on all data sets as a Markdown table.

    Bold: the best on validation and all that the test texts can't tell from it. An arrow: what the
    comparison recommends.
    """
    cases = list(found)
    heads = ["strategy", *(f"{name} {share:.0%}" for name, share in cases)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for strategy in dict.fromkeys(s.strategy for one in found.values() for s in one.standings):
        cells = []
        for case in cases:
            one = found[case]
            standing = one.standing(strategy)
            cell = f"{100 * standing.test:.1f}"
            cell = f"**{cell}**" if standing in one.as_good() else cell
            cells.append(f"{cell} ←" if str(one.recommended) == strategy else cell)
        lines.append(f"| `{strategy}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def kept(found: Results) -> str:
    """Return what each strategy keeps, as a Markdown table of means over all comparisons."""
    pairs = list(next(iter(found.values())).word_pairs)
    heads = ["strategy", "gain over Freeze", "gain of FullTune kept", "movement", "neighbours kept"]
    lines = [f"| {' | '.join([*heads, *pairs])} |", "|---" * (len(heads) + len(pairs)) + "|"]
    for strategy in next(iter(found.values())).standings:
        name = strategy.strategy
        all_of_it = [one.standing(name) for one in found.values()]
        whole = [one.standing("FullTune") for one in found.values()]
        gain, most = fmean([s.difference for s in all_of_it]), fmean([s.difference for s in whole])
        cells = [f"{100 * gain:+.1f}", f"{gain / most:.0%}"]
        cells.append(f"{fmean([s.median_movement for s in all_of_it]):.1%}")
        cells.append(f"{fmean([s.neighbour_overlap for s in all_of_it]):.1%}")
        for pair in pairs:
            changes = [
                one.standing(name).word_pairs[pair] - one.word_pairs[pair] for one in found.values()
            ]
            cells.append(f"{fmean(changes):+.3f}")
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def command_line(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run, print the tables."""
    parser = argparse.ArgumentParser(description="Compare strategies on several data sets.")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output-dir", type=Path, default=Path("which"))
    parser.add_argument("--word-pairs", type=Path, nargs="*", default=[])
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.set_defaults(strategies=REPRESENTATIVE)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--smoke", action="store_true", help="a few runs on the embedded demo")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.vectors, options.data, options.sets = VECTORS, REVIEWS.parent, [REVIEWS.name]
        options.shares, options.strategies = [0.1], ["Freeze", "FullTune", "TrustRegion"]
        options.seeds, options.budget, options.epochs = 2, 2, 3
    if options.vectors is None or options.data is None:
        parser.error("give --vectors FILE and --data DIR, or --smoke")
    found = main(options)
    print(f"\n## Test scores\n\n{table(found)}\n\n## What is kept\n\n{kept(found)}")


if __name__ == "__main__":
    command_line()
