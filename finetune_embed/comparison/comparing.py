"""`compare`: fair runs of strategies beside each other, and which one they speak for."""

from __future__ import annotations

import hashlib
import inspect
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data import texts_of
from ..errors import DataError, DivergenceError, StrategyError
from ..evaluation import evaluate_word_pairs, neighbour_overlap, read_word_pairs
from ..evaluation.word_pairs import Pair
from ..splits import DataSource, Splits, column_of, hold_out, open_splits
from ..strategies import Freeze, Strategy
from ..table import EmbeddingTable
from ..training.finetune import finetune, open_vectors, spelled
from ..training.processes import Processes
from ..training.progress import CountBar
from ..training.run import Run
from ..training.tasks import are_hidden
from .folder import open_folder
from .report import Comparison, Confirmation, Standing
from .search import DIVERGED, next_rung, rate_of
from .statistics import Floats, bootstrap, holm, interval, p_value
from .trials import Trial, Trials

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
WORDS, AMONG, NEIGHBOURS = 1_000, 20_000, 10  # frequent words, among how many, how many of each
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
    splits = _with_test(open_splits(dataset), label, test, seed)
    base, source = open_vectors(vectors, member)
    pairs = {Path(path).stem: read_word_pairs(path) for path in word_pairs}
    fixed = {"text": text, "label": label, "epochs": epochs, **_not_default(settings)}
    told = {
        "vectors": spelled(vectors),
        **source,
        "data": spelled(dataset),
        "data_sha256": _sha256(splits, text, label),
        "test": test,
        **{name: _plain(value) for name, value in fixed.items()},
        "word_pairs": {name: len(found) for name, found in pairs.items()},
    }
    path = open_folder(None if output_dir is None else Path(output_dir), told, resume, overwrite)
    runner = _Runner(known, base, splits, fixed, pairs)
    with CountBar(progress, len(names) * (budget + seeds) + 2 * seeds) as bar:
        trials = Trials(runner.run, bar, path)
        tried = {name: _search(trials, name, lr, seed, budget, bar) for name in names}
        rates = {name: _best_rate(name, found) for name, found in tried.items()}
        judged = range(seed + 1, seed + 1 + seeds)
        found = {name: [trials.get(name, rates[name], s) for s in judged] for name in names}
        standings = _standings(found, tried, baseline)
        best = standings[0].strategy
        confirmation = None
        if best == baseline:
            bar.skip(2 * seeds)
        else:
            fresh, two = range(judged.stop, judged.stop + seeds), (best, baseline)
            found |= {name: [trials.get(name, rates[name], s) for s in fresh] for name in two}
            confirmation = _confirmed({name: found[name] for name in two})
    chosen = best if confirmation is not None and confirmation.holds else baseline
    comparison = Comparison(
        standings,
        baseline,
        found[baseline][0].metric,
        confirmation,
        tuple(judged),
        seed,
        {name: evaluate_word_pairs(base, rows).spearman for name, rows in pairs.items()},
        known[chosen],
        {
            "vectors": spelled(vectors),
            **({} if member is None else {"member": member}),
            "data": spelled(dataset),
            "strategy": chosen,
            "lr": rates[chosen],
            **{name: _plain(value) for name, value in fixed.items()},
            "seed": seed,
        },
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


def _not_default(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are other than those `finetune` has by itself."""
    known = inspect.signature(finetune).parameters
    return {
        name: value
        for name, value in settings.items()
        if name not in known or value != known[name].default
    }


def _with_test(splits: Splits, label: str, share: float, seed: int) -> Splits:
    """Return splits with a test split that has labels, set aside where there is none."""
    if splits.streamed:
        raise DataError(
            f"{splits.name}: compare runs on data in memory; load it without streaming=True"
        )
    if splits.test is not None and not are_hidden(splits.test, label):
        return splits
    try:
        parts = hold_out(Splits(splits.train, None, None, splits.name), label, share, seed)
    except DataError as error:
        raise DataError(str(error).replace("validation", "test")) from error
    return Splits(parts.train, splits.validation, parts.validation, splits.name)


def _sha256(splits: Splits, text: str | Sequence[str], label: str) -> str:
    """Return a hash of all texts and labels, so that a comparison goes on with the same only."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        split = getattr(splits, name)
        if split is None:
            continue
        where = f"{splits.name} ({name})"
        for values in (texts_of(split, text, where), column_of(split, label, where, "label")):
            digest.update(repr(values).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return a setting as YAML and JSON hold it; of a function or module, its name."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return getattr(value, "__name__", None) or type(value).__name__


class _Runner:
    """Makes the runs of a comparison, and measures what is not part of a run."""

    def __init__(
        self,
        strategies: Mapping[str, Strategy],
        base: EmbeddingTable,
        splits: Splits,
        settings: Mapping[str, Any],
        pairs: Mapping[str, Sequence[Pair]],
    ) -> None:
        self._strategies = strategies
        self._base, self._splits, self._settings, self._pairs = base, splits, settings, pairs

    def run(self, strategy: str, lr: float, seed: int) -> Trial:
        """Return what a run comes to."""
        try:
            run = finetune(
                self._base,
                self._splits,
                strategy=self._strategies[strategy],
                lr=lr,
                seed=seed,
                **self._settings,
            )
        except DivergenceError:
            return Trial(strategy, lr, seed, diverged=True)
        metric, metrics = run.task.metric, run.metrics
        assert run.outcomes is not None
        above, below = run.outcomes.T.tolist()
        return Trial(
            strategy,
            lr,
            seed,
            metric=metric,
            validation=metrics["validation"][metric],
            test=metrics["test"][metric],
            best_epoch=metrics["best_epoch"],
            seconds=metrics["seconds"],
            rows_moved=metrics["drift"]["rows_moved"],
            median_movement=metrics["drift"]["median_movement"],
            neighbour_overlap=self._overlap(run),
            word_pairs={
                name: evaluate_word_pairs(run.table, pairs).spearman
                for name, pairs in self._pairs.items()
            },
            outcomes=(above, below),
        )

    def _overlap(self, run: Run) -> float:
        if not run.metrics["drift"]["rows_moved"]:
            return 1.0
        order = np.argsort(-run.vocab.counts, kind="stable")
        words = [run.vocab.index_to_key[i] for i in order[:AMONG] if i >= run.vocab.first_word]
        return neighbour_overlap(self._base, run.table, words[:WORDS], among=words, topn=NEIGHBOURS)


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


def _standings(
    found: Mapping[str, Sequence[Trial]],
    tried: Mapping[str, Mapping[float, float | None]],
    baseline: str,
) -> tuple[Standing, ...]:
    """Return how the strategies stand, the best on validation first."""
    drawn = bootstrap(_outcomes(found))
    others = [name for name in found if name != baseline]
    best = max(found, key=lambda name: statistics.mean(t.validation for t in found[name]))
    p_values = holm([p_value(drawn[name] - drawn[baseline]) for name in others])
    p = dict(zip(others, p_values, strict=True)) | {baseline: 1.0}
    means = {name: statistics.mean(t.test for t in trials) for name, trials in found.items()}
    standings = []
    for name, trials in found.items():
        pairs = trials[0].word_pairs
        standings.append(
            Standing(
                name,
                trials[0].lr,
                tried[name],
                statistics.mean(t.validation for t in trials),
                means[name],
                interval(drawn[name]),
                means[name] - means[baseline],
                interval(drawn[name] - drawn[baseline]),
                p[name],
                interval(drawn[name] - drawn[best]),
                statistics.median(t.seconds for t in trials),
                statistics.median(t.best_epoch for t in trials),
                statistics.median(t.rows_moved for t in trials),
                statistics.median(t.median_movement for t in trials),
                statistics.mean(t.neighbour_overlap for t in trials),
                {key: statistics.mean(t.word_pairs[key] for t in trials) for key in pairs},
            )
        )
    return tuple(sorted(standings, key=lambda one: -one.validation))


def _confirmed(found: Mapping[str, Sequence[Trial]]) -> Confirmation:
    """Return how the first of two strategies does beside the second, the baseline."""
    drawn = bootstrap(_outcomes(found))
    name, baseline = found
    means = {name: statistics.mean(t.test for t in trials) for name, trials in found.items()}
    bounds = interval(drawn[name] - drawn[baseline])
    seeds = tuple(trial.seed for trial in found[name])
    return Confirmation(name, means[name], means[baseline], bounds, seeds)


def _outcomes(found: Mapping[str, Sequence[Trial]]) -> dict[str, Floats]:
    for trials in found.values():
        for trial in trials:
            if trial.diverged:
                raise DivergenceError(
                    f"{trial.strategy}: at lr={trial.lr:g}, the best with another seed, the loss "
                    f"diverged with seed={trial.seed}; begin lower: compare(..., "
                    f"lr={trial.lr / 10:g})"
                )
    return {name: np.stack([t.parts for t in trials]) for name, trials in found.items()}
