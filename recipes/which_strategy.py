"""Compare strategies with `fe.compare` on several data sets, with 10% and 100% of the examples.

    python recipes/which_strategy.py --vectors glove.6B.50d.txt --data DIR --output-dir which

DIR has a folder for each data set (sst2, mr, trec6, banking77, clinc150), with one file per split
and columns `text` and `label`. Every strategy has the same budget: its learning rate is searched
with one seed, and it is scored with five other seeds; see `compare`. The 10% are one stratified
sample of the training examples, the same for all strategies. The validation and test splits are
unchanged; without a validation split, a tenth of the sampled training examples is held out.

`--model bag` is a mean of vectors under a linear layer. Beside its frozen table the table of scores
has logistic regression over the means of the frozen vectors, fitted to convergence, with the
penalty that is best on validation: what a frozen table can do at most. `--model default` is the
model that `finetune` chooses, with its settings for data sets of this size; give it `--shares 1`.
`--optimizer` is that of all runs. `--word-pairs` names files of word pairs with human similarity
scores. Finished runs are not repeated. `--smoke` takes a minute, offline, on the included demo.

Prints Markdown: each comparison, then a table of all test scores and one of the effect of tuning on
the vectors.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from common import frozen_means, markdown, part_of

import finetune_embed as fe
from finetune_embed.comparison import REPRESENTATIVE
from finetune_embed.demo import REVIEWS, VECTORS

SETS = ("sst2", "mr", "trec6", "banking77", "clinc150")
SHARES = (0.1, 1.0)
MODELS: dict[str, dict[str, Any]] = {
    "bag": {"epochs": 30, "patience": 5},
    "default": {"head": "pooled_cnn", "lexical": True, "epochs": 8, "batch_size": 64}
    | {"lr": 6e-3, "schedule": "linear"},
}
Results = dict[tuple[str, float], fe.Comparison]


def main(options: argparse.Namespace) -> Results:
    """Run the comparisons that are not finished yet, print each, and return all."""
    found: Results = {}
    for name in options.sets:
        for share in options.shares:
            found[name, share] = fe.compare(
                options.strategies,
                options.vectors,
                part_of(options.data / name, share),
                seeds=options.seeds,
                budget=options.budget,
                optimizer=options.optimizer,
                word_pairs=options.word_pairs,
                output_dir=options.output_dir / f"{name}-{share:.0%}".replace("%", ""),
                resume=True,
                **options.settings,
            )
            print(f"\n## {name}, {share:.0%} of the training examples\n", flush=True)
            print(found[name, share].markdown(), flush=True)
    return found


def table(found: Results, frozen: list[float]) -> str:
    """Return test scores of all strategies on all data sets as a Markdown table.

    A last line has those of logistic regression over frozen vectors, where there are some.

    Bold: the best on validation, and every strategy whose test score does not differ significantly
    from it. Arrow: what the comparison recommends.
    """
    cases = list(found)
    heads = ["strategy", *(f"{name} {share:.0%}" for name, share in cases)]
    rows = []
    for strategy in dict.fromkeys(s.strategy for one in found.values() for s in one.standings):
        cells = []
        for case in cases:
            one = found[case]
            standing = one.standing(strategy)
            cell = f"{100 * standing.test:.1f}"
            cell = f"**{cell}**" if standing in one.as_good() else cell
            cells.append(f"{cell} ←" if str(one.recommended) == strategy else cell)
        rows.append([f"`{strategy}`", *cells])
    if frozen:
        rows.append(["logistic regression, frozen means", *(f"{100 * one:.1f}" for one in frozen)])
    return markdown(heads, rows)


def effects(found: Results) -> str:
    """Return how each strategy changes the vectors: means over all comparisons, in Markdown."""
    pairs = list(next(iter(found.values())).word_pairs)
    heads = ["strategy", "gain over Freeze", "share of FullTune's gain", "movement"]
    heads += ["neighbours kept", *pairs]
    rows = []
    full_gain = fmean([one.standing("FullTune").difference for one in found.values()])
    for strategy in next(iter(found.values())).standings:
        name = strategy.strategy
        standings = [one.standing(name) for one in found.values()]
        gain = fmean([s.difference for s in standings])
        cells = [f"{100 * gain:+.1f}", f"{gain / full_gain:.0%}"]
        cells.append(f"{fmean([s.median_movement for s in standings]):.1%}")
        cells.append(f"{fmean([s.neighbour_overlap for s in standings]):.1%}")
        for pair in pairs:
            changes = [
                one.standing(name).word_pairs[pair] - one.word_pairs[pair] for one in found.values()
            ]
            cells.append(f"{fmean(changes):+.3f}")
        rows.append([f"`{name}`", *cells])
    return markdown(heads, rows)


def command_line(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the comparisons and print the tables."""
    parser = argparse.ArgumentParser(description="Compare strategies on several data sets.")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output-dir", type=Path, default=Path("which"))
    parser.add_argument("--word-pairs", type=Path, nargs="*", default=[])
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.add_argument("--strategies", nargs="+", default=REPRESENTATIVE)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=5)
    parser.add_argument("--model", choices=MODELS, default="bag")
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--smoke", action="store_true", help="a few runs on the included demo")
    options = parser.parse_args(arguments)
    options.settings = MODELS[options.model]
    if options.smoke:
        options.vectors, options.data, options.sets = VECTORS, REVIEWS.parent, [REVIEWS.name]
        options.shares, options.strategies = [0.1], ["Freeze", "FullTune", "TrustRegion"]
        options.settings = {**options.settings, "epochs": 3}
        options.seeds, options.budget = 2, 2
    if options.vectors is None or options.data is None:
        parser.error("give --vectors FILE and --data DIR, or --smoke")
    found, frozen = main(options), []
    if options.model == "bag":
        vectors = fe.load_vectors(options.vectors)
        frozen = [frozen_means(vectors, part_of(options.data / name, part)) for name, part in found]
    print(f"\n## Test scores\n\n{table(found, frozen)}")
    print(f"\n## Effect on the vectors\n\n{effects(found)}")


if __name__ == "__main__":
    command_line()
