"""`compare`: fair runs of strategies beside each other, and which one they speak for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data import DataSource, open_splits
from ..errors import DataError, DivergenceError, StrategyError
from ..evaluation import evaluate_word_pairs, read_word_pairs
from ..strategies import Freeze, Strategy
from ..table import EmbeddingTable, sha256_of_table
from ..training.finetune import open_vectors, spelled
from ..training.runtime.processes import Processes
from ..training.runtime.progress import CountBar
from .folder import open_folder
from .inputs import is_plain, not_default, sha256_of_splits, sha256_of_values, shown, with_test
from .report import Comparison
from .runner import Runner
from .search import DIVERGED, next_rung, rate_of
from .trials import Trials
from .verdict import confirmed, standings_of

__all__ = ["REPRESENTATIVE", "compare"]

#: One or two of each family, for those who don't know yet what to compare.
REPRESENTATIVE = (
    "Freeze",
    "FullTune",
    "UnfreezeAfter(fraction=0.2)",
    "DiscriminativeLR(embedding=0.1)",
    "HeadFirst(epochs=3)",
    "L2SP(decay=0.1)",
    "DeltaShrink(shrink=0.1)",
    "TrustRegion(radius=0.2)",
    "FrequencyLR(power=0.5)",
)
_GOVERNED = ("strategy", "streaming", "trackers", "checkpoint_steps", "checkpoint_minutes")


def compare(
    strategies: Sequence[Strategy | str],
    vectors: str | os.PathLike[str] | EmbeddingTable,
    dataset: DataSource,
    *,
    seeds: int = 5,
    budget: int = 5,
    lr: float = 1e-2,
    text: str | Sequence[str] = "text",
    label: str = "label",
    epochs: int = 15,
    test: float = 0.2,
    word_pairs: Sequence[str | os.PathLike[str]] = (),
    member: str | None = None,
    seed: int = 0,
    output_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
    **settings: Any,
) -> Comparison:
    """Tell which strategy pays on a task, and whether tuning pays at all.

    Every strategy gets the same: at most `epochs` epochs a run, `budget` runs with the seed `seed`
    to find its learning rate by validation score, and then a run with each of `seeds` further
    seeds, which are the same for all and decide about the validation split, the head, the order of
    batches and dropout. The one with the best mean validation score is run once more with as many
    fresh seeds, beside `Freeze`; it is recommended if it is better on test beyond chance, that is
    if the 95 % interval of the difference is above 0, and else `Freeze` is.

    Intervals are those of a bootstrap over test texts nested in seeds (see `statistics`); with
    few seeds they are a little too narrow. Differences from `Freeze` are of the same seeds and
    texts; their p-values are corrected for the number of strategies (Holm 1979).

    Args:
        strategies: what to compare, as values or as spelled. `Freeze()` is added where it is not
            among them. `REPRESENTATIVE` has one or two of each family.
        vectors: as for `finetune`.
        dataset: as for `finetune`, but held in memory.
        seeds: how many runs a strategy is judged by.
        budget: how many learning rates are tried for each strategy.
        lr: the rate that the search begins at. It goes up or down by the root of ten at a time, to
            where the neighbours on both sides are worse or the budget is used up.
        text: as for `finetune`.
        label: as for `finetune`.
        epochs: the most epochs of a run.
        test: the share of training rows set aside where there is no test split (or one without
            labels); the same rows for all runs.
        word_pairs: files of pairs of words with people's scores, such as SimLex-999, on which
            tables are measured before and after; see `read_word_pairs`.
        member: as for `finetune`.
        seed: of the search, and the first of those that are counted on from here.
        output_dir: a folder for the runs, each kept as soon as it is finished, and for the result:
            `comparison.md`, `.json` and `.png` and `recipe.yaml`, the settings to take, for
            `finetune-embed train --config`.
        resume: go on with a comparison in `output_dir`. More strategies, seeds or a larger budget
            make use of the runs that are there.
        overwrite: replace a comparison in `output_dir`.
        progress: show a progress bar on the terminal.
        settings: further ones of `finetune`, the same for all runs, such as `head="cnn"` or
            `patience=3`.

    Returns:
        The comparison: prints as a table and a verdict; `recommended`, `standings`, `plot(path)`.

    Raises:
        FinetuneEmbedError: as `finetune`; a strategy stands there twice; for a strategy the loss
            diverged with every rate tried.
    """
    known = _by_name(strategies)
    baseline, *_ = names = list(known)
    _check(seeds, budget, settings)
    if Processes(settings.get("device")).count > 1:
        raise DataError("compare runs in one process; start it without accelerate or torchrun")
    splits = with_test(open_splits(dataset), label, test, seed)
    base, source = open_vectors(vectors, member)
    pairs = {Path(path).stem: read_word_pairs(path) for path in word_pairs}
    fixed = {"text": text, "label": label, "epochs": epochs, **not_default(settings)}
    told = {
        "vectors": spelled(vectors),
        **source,
        **({"table_sha256": sha256_of_table(base)} if vectors is base else {}),
        "data": spelled(dataset),
        "data_sha256": sha256_of_splits(splits, text, label),
        "test": test,
        **{name: shown(value) for name, value in fixed.items()},
        "word_pairs": {name: sha256_of_values(rows) for name, rows in pairs.items()},
    }
    path = open_folder(None if output_dir is None else Path(output_dir), told, resume, overwrite)
    runner = Runner(known, base, splits, fixed, pairs)
    with CountBar(progress, len(names) * (budget + seeds) + 2 * seeds) as bar:
        trials = Trials(runner.run, bar, path)
        tried = {name: _search(trials, name, lr, seed, budget, bar) for name in names}
        rates = {name: _best_rate(name, found) for name, found in tried.items()}
        judged = range(seed + 1, seed + 1 + seeds)
        found = {name: [trials.get(name, rates[name], s) for s in judged] for name in names}
        standings = standings_of(found, tried, baseline)
        best = standings[0].strategy
        confirmation = None
        if best == baseline:
            bar.skip(2 * seeds)
        else:
            fresh, two = range(judged.stop, judged.stop + seeds), (best, baseline)
            found |= {name: [trials.get(name, rates[name], s) for s in fresh] for name in two}
            confirmation = confirmed({name: found[name] for name in two})
    chosen = best if confirmation is not None and confirmation.holds else baseline
    recipe = {
        "vectors": vectors,
        **({} if member is None else {"member": member}),
        "data": dataset,
        "strategy": chosen,
        "lr": rates[chosen],
        **fixed,
        "seed": seed,
    }
    comparison = Comparison(
        standings,
        baseline,
        found[baseline][0].metric,
        confirmation,
        tuple(judged),
        seed,
        {name: evaluate_word_pairs(base, rows).spearman for name, rows in pairs.items()},
        known[chosen],
        {name: shown(value) for name, value in recipe.items() if is_plain(value)},
        tuple(name for name, value in recipe.items() if not is_plain(value)),
    )
    if output_dir is not None:
        comparison.save(output_dir)
    return comparison


def _by_name(strategies: Sequence[Strategy | str]) -> dict[str, Strategy]:
    """Return strategies by their spellings, the baseline first.

    Raises:
        StrategyError: one stands there twice, or can't be parsed.
    """
    if isinstance(strategies, (str, Strategy)):
        raise StrategyError(f"compare takes a list of strategies: compare([{strategies!r}], ...)")
    baseline = Freeze()
    known: dict[str, Strategy] = {}
    for given in strategies:
        one = Strategy.parse(given) if isinstance(given, str) else given
        if str(one) in known:
            raise StrategyError(f"{one} is to be compared with itself; name it once")
        known[str(one)] = one
    return {str(baseline): baseline, **known}


def _check(seeds: int, budget: int, settings: Mapping[str, Any]) -> None:
    for name, value in (("seeds", seeds), ("budget", budget)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise StrategyError(f"{name}={value!r} must be a whole number of 1 or more")
    for name in _GOVERNED:
        if name in settings:
            raise StrategyError(f"compare has no {name}=...; give it to finetune, with the recipe")


def _search(
    trials: Trials, name: str, lr: float, seed: int, budget: int, bar: CountBar
) -> dict[float, float | None]:
    """Return the validation score of each learning rate tried, None where the loss diverged."""
    scores: dict[int, float] = {}
    tried: dict[float, float | None] = {}
    while (rung := next_rung(scores, budget)) is not None:
        trial = trials.get(name, rate_of(lr, rung), seed)
        scores[rung] = DIVERGED if trial.diverged else trial.validation
        tried[trial.lr] = None if trial.diverged else trial.validation
    bar.skip(budget - len(scores))
    return tried


def _best_rate(name: str, tried: Mapping[float, float | None]) -> float:
    known = {rate: score for rate, score in tried.items() if score is not None}
    if not known:
        raise DivergenceError(
            f"{name}: the loss diverged with every learning rate tried, "
            f"{', '.join(f'{rate:g}' for rate in tried)}; begin lower: compare(..., "
            f"lr={min(tried) / 100:g})"
        )
    return max(known, key=known.__getitem__)
