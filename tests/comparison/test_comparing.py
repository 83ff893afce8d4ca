"""`compare`: the same budget for all, what it concludes, and how it resumes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import finetune_embed as fe
from finetune_embed.comparison import engine, runner
from finetune_embed.comparison.trials import Trial, Trials
from finetune_embed.demo import REVIEWS, VECTORS
from finetune_embed.files import locked
from finetune_embed.training.given_objects import strategy_sha256
from finetune_embed.training.runtime.progress import CountBar

FAST: dict[str, Any] = {"epochs": 2, "seeds": 2, "budget": 2, "max_steps": 8}
TUNED = "DiscriminativeLR(embedding=0.5)"


def reviews(rows: int = 200) -> dict[str, Dataset]:
    import polars as pl

    parts = {name: pl.read_csv(REVIEWS / f"{name}.csv") for name in ("train", "validation", "test")}
    return {name: Dataset.from_polars(part[:rows]) for name, part in parts.items()}


@pytest.fixture(scope="module")
def table() -> fe.EmbeddingTable:
    return fe.load_vectors(VECTORS)


@pytest.fixture(scope="module")
def found(table, tmp_path_factory) -> tuple[fe.Comparison, Path]:
    folder = tmp_path_factory.mktemp("which") / "deep" / "folder"
    pairs = folder.parents[1] / "pairs.tsv"
    pairs.write_text("good\tgreat\t9\nbad\tgood\t3\nbad\tawful\t8\ncamera\tbad\t1\n")
    comparison = fe.compare(
        [TUNED, fe.FullTune()],
        table,
        reviews(),
        word_pairs=[pairs],
        output_dir=folder,
        **FAST,
    )
    return comparison, folder


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_every_strategy_has_the_same_budget_and_seeds(found):
    comparison, folder = found
    made = lines(folder)
    names = ["Freeze", TUNED, "FullTune"]
    assert {s.strategy for s in comparison.standings} == set(names)
    for name in names:
        searched = [t for t in made if t["strategy"] == name and t["seed"] == 0]
        assert [t["lr"] for t in searched] == [0.01, 0.03]
        judged = [t for t in made if t["strategy"] == name and t["seed"] in (1, 2)]
        assert [t["seed"] for t in judged] == [1, 2]
        rates = {t["lr"]: t["validation"] for t in searched}
        assert {t["lr"] for t in judged} == {max(rates, key=rates.__getitem__)}
        assert comparison.standing(name).tried == rates
    assert comparison.seeds == (1, 2)
    assert comparison.search_seed == 0


def test_the_figures_equal_those_of_the_runs(found, table):
    comparison, folder = found
    made = lines(folder)
    assert comparison.metric == "accuracy"
    for standing in comparison.standings:
        judged = [t for t in made if t["strategy"] == standing.strategy and t["seed"] in (1, 2)]
        assert standing.test == pytest.approx(np.mean([t["test"] for t in judged]))
        assert standing.validation == pytest.approx(np.mean([t["validation"] for t in judged]))
        for trial in judged:
            above, below = trial["outcomes"]
            assert sum(above) / sum(below) == pytest.approx(trial["test"])
            assert len(above) == 200
        low, high = standing.test_interval
        assert low <= standing.test <= high
    one = comparison.standing("FullTune")
    run = fe.finetune(
        table, reviews(), head="bag", strategy="FullTune", lr=one.lr, seed=1, epochs=2, max_steps=8
    )
    kept = next(t for t in made if (t["strategy"], t["seed"]) == ("FullTune", 1))
    assert kept["test"] == run.metrics["test"]["accuracy"]
    assert kept["validation"] == run.metrics["validation"]["accuracy"]
    assert kept["median_movement"] == run.metrics["drift"]["median_movement"]
    assert kept["word_pairs"]["pairs"] == pytest.approx(
        fe.evaluate_word_pairs(run.table, folder.parents[1] / "pairs.tsv").spearman
    )


def test_the_frozen_table_is_unchanged(found):
    comparison, _ = found
    frozen = comparison.standing("Freeze")
    assert frozen.rows_moved == frozen.median_movement == frozen.difference == 0
    assert frozen.neighbour_overlap == 1
    assert frozen.word_pairs == comparison.word_pairs
    tuned = comparison.standing("FullTune")
    assert tuned.rows_moved > 100
    assert 0 < tuned.neighbour_overlap < 1


def test_the_files_of_a_comparison(found):
    comparison, folder = found
    written = json.loads((folder / "comparison.json").read_text())
    assert written["verdict"] == comparison.verdict()
    assert written["recommended"] == str(comparison.recommended)
    assert [s["strategy"] for s in written["standings"]] == [
        s.strategy for s in comparison.standings
    ]
    markdown = (folder / "comparison.md").read_text()
    assert markdown.count("\n| `") == 3
    assert comparison.verdict() in markdown
    assert (folder / "comparison.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    printed = str(comparison)
    assert printed.splitlines()[0].startswith("strategy")
    assert all(s.strategy in printed for s in comparison.standings)
    assert comparison.verdict() in printed
    assert sorted(path.name for path in folder.iterdir()) == [
        "comparison.json",
        "comparison.md",
        "comparison.png",
        "recipe.yaml",
        "settings.json",
        "trials.jsonl",
    ]


def without_seconds(comparison: fe.Comparison) -> dict[str, Any]:
    found = comparison.to_dict()
    for standing in found["standings"]:
        del standing["seconds"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("done", [1, 5, 9])
def test_interrupted_equals_uninterrupted(found, table, tmp_path, monkeypatch, done):
    expected, _ = found
    runs = []
    whole = engine.tune_on

    def interrupted(*args: Any) -> fe.Run:
        if len(runs) == done:
            raise KeyboardInterrupt
        runs.append(args)
        return whole(*args)

    pairs = found[1].parents[1] / "pairs.tsv"
    given = ([TUNED, fe.FullTune()], table, reviews())
    settings = {"word_pairs": [pairs], "output_dir": tmp_path / "which", **FAST}
    monkeypatch.setattr(engine, "tune_on", interrupted)
    with pytest.raises(KeyboardInterrupt) as stopped:
        fe.compare(*given, **settings)
    assert stopped.value.__notes__ == ["to continue, repeat the call with resume=True"]
    assert len(lines(tmp_path / "which")) == done
    runs.clear()
    done = 100
    with pytest.raises(
        fe.DataError,
        match=r": the folder holds a comparison; choose resume=True or overwrite=True$",
    ):
        fe.compare(*given, **settings)
    again = fe.compare(*given, resume=True, **settings)
    assert without_seconds(again) == without_seconds(expected)
    assert len(lines(tmp_path / "which")) == len(lines(found[1]))
    count = len(runs)
    fe.compare(*given, resume=True, **settings)
    assert len(runs) == count  # no run is repeated


def test_a_comparison_without_anything_to_resume(table, tmp_path, caplog, monkeypatch):
    def interrupted(*args: Any) -> fe.Run:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "tune_on", interrupted)
    settings = {"output_dir": tmp_path / "which", "resume": True, **FAST}
    with pytest.raises(KeyboardInterrupt) as stopped:
        fe.compare([], table, reviews(), **settings)
    assert not hasattr(stopped.value, "__notes__")  # nothing was kept
    start = f"nothing to resume in {tmp_path / 'which'}: starting from the beginning"
    assert caplog.messages == [start]
    (tmp_path / "which").mkdir()
    (tmp_path / "which" / "notes.txt").touch()
    with pytest.raises(fe.DataError, match="holds nothing to resume, but other files, such as n"):
        fe.compare([], table, reviews(), **settings)


def test_a_larger_comparison_reuses_finished_runs(found, table, tmp_path, monkeypatch):
    folder = tmp_path / "which"
    shutil.copytree(found[1], folder)
    before = lines(folder)
    pairs = found[1].parents[1] / "pairs.tsv"
    more = fe.compare(
        [TUNED, "FullTune", "UnfreezeAfter(epochs=1)"],
        table,
        reviews(),
        word_pairs=[pairs],
        output_dir=folder,
        resume=True,
        **FAST,
    )
    after = lines(folder)
    assert after[: len(before)] == before
    new = [t for t in after[len(before) :] if t["strategy"] != "UnfreezeAfter(epochs=1)"]
    fresh = set() if more.confirmation is None else set(more.confirmation.seeds)
    assert all(t["seed"] in fresh for t in new)
    assert len(more.standings) == 4


def test_other_settings_are_refused(found, table, tmp_path):
    folder = found[1]
    with pytest.raises(
        fe.DataError, match=r": it was written with epochs=2, this run has epochs=3"
    ):
        fe.compare([], table, reviews(), output_dir=folder, resume=True, **{**FAST, "epochs": 3})
    with pytest.raises(fe.DataError, match=r": it was written with data_sha256="):
        fe.compare(
            [],
            table,
            reviews(150),
            word_pairs=[folder.parents[1] / "pairs.tsv"],
            output_dir=folder,
            resume=True,
            **FAST,
        )
    other = fe.EmbeddingTable(table.index_to_key, table.vectors + np.float32(1))
    pairs = [folder.parents[1] / "pairs.tsv"]
    with pytest.raises(fe.DataError, match=r": it was written with table_sha256="):
        fe.compare([], other, reviews(), word_pairs=pairs, output_dir=folder, resume=True, **FAST)


def test_folders_of_others_are_left_alone(table, tmp_path):
    (tmp_path / "settings.json").write_text('{"theirs": 1}')
    for how in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(
            fe.DataError,
            match=r": the folder holds settings\.json, which no comparison .*; choose another "
            r"output_dir$",
        ):
            fe.compare([], table, reviews(), output_dir=tmp_path, **how, **FAST)
    assert (tmp_path / "settings.json").read_text() == '{"theirs": 1}'
    with pytest.raises(fe.DataError, match=r"settings.json: this is a file, and not a folder; "):
        fe.compare([], table, reviews(), output_dir=tmp_path / "settings.json", **FAST)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("done", [0, 1])
def test_a_comparison_stays_until_another_has_a_run(found, table, tmp_path, monkeypatch, done):
    folder, runs, whole = tmp_path / "which", [], engine.tune_on
    shutil.copytree(found[1], folder)
    before = files_in(folder)

    def interrupted(*args: Any) -> fe.Run:
        if len(runs) == done:
            raise KeyboardInterrupt
        runs.append(whole(*args))
        return runs[0]

    monkeypatch.setattr(engine, "tune_on", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fe.compare([], table, reviews(), output_dir=folder, overwrite=True, **FAST)
    if done:
        assert sorted(files_in(folder)) == ["settings.json", "trials.jsonl"]
        assert len(lines(folder)) == 1
    else:
        assert files_in(folder) == before


def test_a_comparison_writes_through_no_links(found, table, tmp_path):
    folder, elsewhere = tmp_path / "which", tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copytree(found[1], folder)
    for path in list(folder.iterdir()):
        path.rename(elsewhere / path.name)
        path.symlink_to(elsewhere / path.name)
    before = files_in(elsewhere)
    pairs = {"word_pairs": [found[1].parents[1] / "pairs.tsv"]}
    with pytest.raises(fe.DataError, match=r"trials.jsonl: is a link, and runs are written to no"):
        fe.compare([], table, reviews(), output_dir=folder, resume=True, **pairs, **FAST)
    found[0].save(folder)
    assert {p.name for p in folder.iterdir() if p.is_symlink()} == {"settings.json", "trials.jsonl"}
    fe.compare([], table, reviews(), output_dir=folder, overwrite=True, **FAST)
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert files_in(elsewhere) == before


def test_a_comparison_in_use_is_refused(table, tmp_path):
    with (
        locked(tmp_path / "which"),
        pytest.raises(fe.DataError, match="another process is writing"),
    ):
        fe.compare([], table, reviews(), output_dir=tmp_path / "which", **FAST)
    assert os.listdir(tmp_path) == []


def test_overwriting_starts_over(found, table, tmp_path):
    folder = tmp_path / "which"
    shutil.copytree(found[1], folder)
    fe.compare([], table, reviews(), output_dir=folder, overwrite=True, **FAST)
    assert {t["strategy"] for t in lines(folder)} == {"Freeze"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategies": "Freeze"}, r"compare\(\['Freeze'\], \.\.\.\)"),
        ({"strategies": ["FullTune", fe.FullTune()]}, "^FullTune is given twice; name it once$"),
        ({"strategies": ["Frieze"]}, "did you mean Freeze"),
        ({"seeds": 0}, "seeds=0"),
        ({"budget": True}, "budget=True"),
        (
            {"strategy": "Freeze"},
            "^compare does not have the setting strategy; pass it to finetune",
        ),
        ({"resume": True}, "resume=True needs the folder"),
        (
            {"resume": True, "overwrite": True, "output_dir": "out"},
            "^resume=True excludes overwrite=T",
        ),
        ({"batch_size": 0}, "batch_size=0"),
        ({"test": 0.0}, "test=0.0 must be a number above 0 and below 1"),
    ],
)
def test_input_that_is_refused(table, given, message):
    strategies = given.pop("strategies", [])
    data = reviews()
    del data["test"]
    with pytest.raises(fe.FinetuneEmbedError, match=message):
        fe.compare(strategies, table, data, **{**FAST, **given})


def test_without_a_test_split_the_same_examples_are_held_out_for_all(table, monkeypatch):
    data = reviews()
    del data["test"], data["validation"]
    seen, names = [], ("train", "validation", "test")
    whole = engine.tune_on

    def noted(base: Any, source: Any, splits: Any, *others: Any) -> fe.Run:
        seen.append({name: list(getattr(splits, name)["text"]) for name in names})
        return whole(base, source, splits, *others)

    monkeypatch.setattr(engine, "tune_on", noted)
    fe.compare(["FullTune"], table, data["train"], test=0.25, **FAST)
    assert len(seen) >= 8
    assert all(one["test"] == seen[0]["test"] for one in seen)
    assert [len(seen[0][name]) for name in names] == [135, 15, 50]
    whole_data = sorted(data["train"]["text"])
    assert all(sorted(chain.from_iterable(one.values())) == whole_data for one in seen)


def test_a_share_that_is_given_for_a_test_split_that_is_there_is_noted(table):
    given = {}, {"test": 0.25}
    notes = [fe.compare([], table, reviews(), **FAST, **one).data_notes for one in given]
    assert notes == [(), ("test=0.25 is not used, because there is a test split",)]


def test_a_test_split_without_labels_is_replaced(table):
    data = reviews()
    data["test"] = data["test"].remove_columns("label").add_column("label", [-1] * 200)
    data["train"] = Dataset.from_dict(
        {
            "text": data["train"]["text"],
            "label": [int(x == data["train"]["label"][0]) for x in data["train"]["label"]],
        }
    )
    del data["validation"]
    found = fe.compare([], table, data, **FAST)
    assert 0.3 < found.standing("Freeze").test <= 1


def test_a_rate_at_which_the_loss_diverges_is_not_chosen(table):
    found = fe.compare(["FullTune"], table, reviews(), lr=1e30, **{**FAST, "budget": 40})
    tried = found.standing("FullTune").tried
    assert [*tried.values()][:2] == [None, None]
    assert [*tried][1] == pytest.approx(1e29)
    assert tried[found.standing("FullTune").lr] == max(s for s in tried.values() if s is not None)
    with pytest.raises(
        fe.DivergenceError,
        match=r"^Freeze: the loss diverged with every learning rate tried: 1e\+38, 1e\+37, 1e\+36; "
        r"start lower: lr=1e\+34$",
    ):
        fe.compare(
            ["FullTune"], table, reviews(), lr=1e38, loss_fn=_infinite, **{**FAST, "budget": 3}
        )


def test_a_rate_at_which_decay_would_overshoot_is_not_chosen(table):
    name = "L2SP(decay=40.0)"
    found = fe.compare([name], table, reviews(), lr=1e-2, **{**FAST, "budget": 3})
    tried = found.standing(name).tried
    assert {rate: score is None for rate, score in tried.items()} == {
        rate: 40 * rate >= 1 for rate in tried
    }
    assert any(40 * rate >= 1 for rate in tried)


def _infinite(logits: Any, targets: Any) -> Any:
    return logits.sum() * float("inf")


# Conclusions from made-up runs


def made_up(accuracy: dict[str, float], noise: float = 0.0, examples: int = 400):
    def run(self: Any, strategy: str, lr: float, seed: int) -> Trial:
        rng = np.random.default_rng([seed, len(strategy)])
        share = accuracy[strategy] + noise * rng.standard_normal()
        hits = (np.arange(examples) < share * examples).astype(float)
        return Trial(
            strategy,
            lr,
            seed,
            metric="accuracy",
            validation=accuracy[strategy] - abs(lr - 0.03),
            test=float(hits.mean()),
            outcomes=(hits.tolist(), [1.0] * examples),
            neighbour_overlap=1 - accuracy[strategy] / 2,
        )

    return run


def concluded(table, monkeypatch, accuracy, noise=0.0) -> fe.Comparison:
    monkeypatch.setattr(runner.Runner, "run", made_up(accuracy, noise))
    return fe.compare(list(accuracy), table, reviews(), seeds=5, budget=5)


def test_a_strategy_that_is_better_is_recommended(table, monkeypatch):
    found = concluded(
        table, monkeypatch, {"Freeze": 0.7, "FullTune": 0.8, "TrustRegion(radius=0.1)": 0.75}
    )
    assert [s.strategy for s in found.standings] == [
        "FullTune",
        "TrustRegion(radius=0.1)",
        "Freeze",
    ]
    assert {s.lr for s in found.standings} == {0.03}
    assert found.confirmation is not None
    assert found.confirmation.holds
    assert found.confirmation.seeds == (6, 7, 8, 9, 10)
    assert found.recommended == fe.FullTune()
    assert found.recipe["strategy"] == "FullTune"
    assert found.recipe["lr"] == 0.03
    assert found.standing("FullTune").difference == pytest.approx(0.1)
    assert found.standing("FullTune").p < 0.01
    assert found.verdict().startswith("use FullTune: with 5 fresh seeds FullTune has a test")
    assert [s.strategy for s in found.as_good()] == ["FullTune"]


def test_a_strategy_that_is_not_better_beyond_chance_is_not_recommended(table, monkeypatch):
    found = concluded(table, monkeypatch, {"Freeze": 0.7, "FullTune": 0.704}, noise=0.02)
    assert found.standings[0].strategy == "FullTune"
    assert found.confirmation is not None
    assert not found.confirmation.holds
    assert found.recommended == fe.Freeze()
    assert found.recipe["strategy"] == "Freeze"
    assert "which is not beyond chance" in found.verdict()
    assert found.as_good()[0].strategy == "Freeze"  # it kept more neighbours
    assert "Freeze kept most neighbours" in str(found)


def test_freeze_that_is_best_is_not_confirmed(table, monkeypatch):
    found = concluded(table, monkeypatch, {"Freeze": 0.8, "FullTune": 0.7})
    assert found.confirmation is None
    assert found.recommended == fe.Freeze()
    assert "no strategy that tunes the table was better on validation" in found.verdict()


# Other strategies and tasks


@dataclass(frozen=True)
class EverySecond(fe.Strategy):
    """A custom strategy, which has no text form that can be parsed."""

    def gate(self, name: str, clock: fe.Clock) -> float:
        return float(name != "embedding" or clock.epoch % 2 == 0)


def test_a_custom_strategy(table, tmp_path):
    found = fe.compare([EverySecond()], table, reviews(), output_dir=tmp_path / "w", **FAST)
    assert found.standing(EverySecond()).rows_moved > 100
    assert found.recommended in (EverySecond(), fe.Freeze())
    assert json.loads((tmp_path / "w" / "comparison.json").read_text())["recommended"] == str(
        found.recommended
    )


def test_several_labels_and_tags_have_their_own_score(table):
    texts = ["good camera", "bad camera", "good and bad", "awful"] * 20
    labels = [["good"], ["bad"], ["good", "bad"], ["bad"]] * 20
    several = Dataset.from_dict({"text": texts, "label": labels})
    found = fe.compare([], table, several, **FAST)
    assert found.metric == "micro_f1"
    tags = Dataset.from_dict(
        {
            "text": [["good", "camera"], ["bad"], ["the", "good"]] * 20,
            "label": [["A", "N"], ["A"], ["D", "A"]] * 20,
        }
    )
    found = fe.compare([], table, tags, head="cnn_tagger", **FAST)
    assert found.metric == "accuracy"
    assert 0 < found.standing("Freeze").test <= 1


def test_objects_are_left_out_of_the_recipe_and_named(table, tmp_path):
    def head(embedding: Any, num_labels: int) -> fe.BagOfEmbeddings:
        return fe.BagOfEmbeddings(embedding, num_labels)

    found = fe.compare(
        [], table, reviews(), output_dir=tmp_path, head=head, specials=("<x>",), **FAST
    )
    assert found.beside_recipe == ("vectors", "data", "head")
    assert found.recipe["specials"] == ["<x>"]
    assert not found.recipe.keys() & set(found.beside_recipe)
    assert (
        "\n# given as objects, not included: vectors, data, head\n"
        in (tmp_path / "recipe.yaml").read_text()
    )


def test_other_pairs_under_the_same_name_are_refused(table, tmp_path):
    for folder, score in (("a", 3), ("b", 5)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pairs.tsv").write_text(f"good\tbad\t{score}\n")
    shared = {"output_dir": tmp_path / "which", **FAST}
    fe.compare([], table, reviews(), word_pairs=[tmp_path / "a" / "pairs.tsv"], **shared)
    with pytest.raises(fe.DataError, match=": it was written with word_pairs="):
        fe.compare(
            [], table, reviews(), word_pairs=[tmp_path / "b" / "pairs.tsv"], resume=True, **shared
        )


@pytest.mark.slow
def test_the_recipe_reproduces_its_run(table, tmp_path):
    folder = tmp_path / "which"
    fe.compare(["FullTune"], VECTORS, REVIEWS, output_dir=folder, batch_size=32, **FAST)
    import yaml

    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    chosen = (recipe["strategy"], recipe["lr"], recipe["seed"])
    assert recipe["batch_size"] == 32
    run = fe.finetune(recipe.pop("vectors"), recipe.pop("data"), **recipe)
    kept = next(t for t in lines(folder) if (t["strategy"], t["lr"], t["seed"]) == chosen)
    assert kept["test"] == run.metrics["test"]["accuracy"]


def test_a_comparison_is_not_resumed_without_its_settings(table, tmp_path):
    given = ([], table, reviews(60))
    fe.compare(*given, output_dir=tmp_path, max_length=3, **FAST)
    with pytest.raises(fe.DataError, match=r"max_length=3, this run has max_length=None"):
        fe.compare(*given, output_dir=tmp_path, resume=True, **FAST)
    tokenizer = fe.Tokenizer(pattern="[a-z]+")
    with pytest.raises(fe.DataError, match=r"tokenizer=None, this run has tokenizer=\S<Tokenizer"):
        fe.compare(
            *given, output_dir=tmp_path, resume=True, max_length=3, tokenizer=tokenizer, **FAST
        )


def test_resume_makes_the_runs_of_another_lexicon_again(tmp_path):
    """What a strategy is counts, not its text: the file of a lexicon may change."""
    lexicon = tmp_path / "words.txt"
    found = []
    for words in ("w1 w2", "w1 w2", "w1 w3"):
        lexicon.write_text(words)
        made = []

        def run(strategy: str, lr: float, seed: int, made: list[Any] = made) -> Trial:
            made.append((strategy, lr, seed))
            return Trial(strategy, lr, seed)

        one = fe.TrainRows(lexicon=str(lexicon))
        objects = {str(one): strategy_sha256(one)}
        trials = Trials(run, CountBar(False, 0), tmp_path / "trials.jsonl", objects)
        trials.get(str(one), 0.1, 0)
        trials.get("Freeze", 0.1, 0)
        found.append([name.partition("(")[0] for name, _, _ in made])
    assert found == [["TrainRows", "Freeze"], [], ["TrainRows"]]
