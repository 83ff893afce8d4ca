"""The remedies of comparisons are followed, in Python and on the command line."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import datasets
import pytest
from datasets import Dataset
from following import follows

import finetune_embed as fe
from finetune_embed import DataError, DivergenceError, StrategyError
from finetune_embed.cli import main
from finetune_embed.comparison import runner
from finetune_embed.comparison.budget import Budget
from finetune_embed.comparison.trials import Trial

DATA = Dataset.from_dict({"text": ["a king", "the queen"] * 15, "label": ["x", "y"] * 15})
CSV = "text,label\n" + "a king,x\nthe queen,y\n" * 15


def message_of(error: type[Exception], call: Callable[[], Any]) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


@pytest.fixture
def compare(table):
    """Compares in the fewest runs: one rate, one seed, one epoch."""

    def run(strategies: Any = (), dataset: Any = DATA, **settings: Any) -> fe.Comparison:
        fast = {"epochs": 1, "seeds": 1, "budget": 1}
        return fe.compare(strategies, table, dataset, **fast | settings)

    return run


@pytest.fixture
def command(table, tmp_path, capsys):
    """Runs `compare`, and returns its message; nothing if it succeeded."""
    fe.save_word2vec(table, tmp_path / "vectors.vec")
    (tmp_path / "data.csv").write_text(CSV)

    def run(*options: object, out: str = "out") -> str:
        given = ("--vectors", tmp_path / "vectors.vec", "--data", tmp_path / "data.csv")
        fast = ("--epochs", 1, "--seeds", 1, "--budget", 1, "--quiet", "-o", tmp_path / out)
        with pytest.raises(SystemExit) as stopped:
            main(list(map(str, ("compare", *given, *fast, *options))))
        err = capsys.readouterr().err
        assert stopped.value.code == (2 if err else 0)
        return err

    return run


@follows("comparison/compare.py", "takes a list of strategies")
def test_one_strategy(compare):
    message = message_of(StrategyError, lambda: compare("FullTune"))
    assert message == "compare takes a list of strategies; call compare(['FullTune'], ...)"
    assert compare(["FullTune"])


@follows("comparison/compare.py", "with every learning rate tried")
def test_a_strategy_that_always_diverges(compare, command):
    name = "L2SP(decay=40.0)"
    message = message_of(DivergenceError, lambda: compare([name], lr=0.05))
    assert message.endswith("tried: 0.05; start lower: lr=0.0005")
    assert compare([name], lr=0.0005)
    options = ("--strategy", name, "--lr")
    assert command(*options, 0.05).endswith("tried: 0.05; start lower: --lr 0.0005\n")
    assert command(*options, 0.0005, "--overwrite") == ""


@follows("comparison/verdict.py", "the best with another seed")
def test_a_strategy_that_diverges_with_another_seed(compare, command, monkeypatch):
    real = runner.Runner.run

    def run(self: runner.Runner, strategy: str, lr: float, seed: int) -> Trial:
        if strategy == "FullTune" and seed and lr > 0.02:
            return Trial(strategy, lr, seed, diverged=True)
        return real(self, strategy, lr, seed)

    monkeypatch.setattr(runner.Runner, "run", run)
    message = message_of(DivergenceError, lambda: compare(["FullTune"], lr=0.05))
    assert message.endswith("the loss diverged with seed 1; start lower: lr=0.005")
    assert compare(["FullTune"], lr=0.005)
    options = ("--strategy", "FullTune", "--lr")
    assert command(*options, 0.05).endswith("with seed 1; start lower: --lr 0.005\n")
    assert command(*options, 0.005, "--overwrite") == ""


@follows("comparison/folder.py", "which no comparison of")
def test_a_folder_with_files_of_others(compare, command, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "settings.json").write_text("{}")
    message = message_of(DataError, lambda: compare(output_dir=tmp_path / "theirs"))
    assert message.endswith("; choose another output_dir")
    assert compare(output_dir=tmp_path / "mine")
    assert command(out="theirs").endswith("; choose another --output-dir\n")
    assert command(out="another") == ""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["resume", "overwrite"])
@follows("comparison/folder.py", "the folder holds a comparison")
def test_a_folder_with_a_comparison(compare, command, tmp_path, how):
    compare(output_dir=tmp_path / "a")
    message = message_of(DataError, lambda: compare(output_dir=tmp_path / "a"))
    assert message.endswith("; choose resume=True or overwrite=True")
    assert compare(output_dir=tmp_path / "a", **{how: True})
    assert command() == ""
    assert command().endswith("; choose --resume or --overwrite\n")
    assert command(f"--{how}") == ""


@pytest.mark.slow
@follows("training/run/record.py", '"it was written with ",')
def test_a_comparison_with_other_settings(compare, command, tmp_path):
    compare(output_dir=tmp_path / "a", batch_size=8)
    other = {"output_dir": tmp_path / "a", "batch_size": 9}
    message = message_of(DataError, lambda: compare(**other, resume=True))
    assert message.endswith(
        "with batch_size=8, this run has batch_size=9; continue with the same settings, or start "
        "over with overwrite=True instead of resume=True"
    )
    assert compare(output_dir=tmp_path / "a", batch_size=8, resume=True)
    assert compare(**other, overwrite=True)
    assert command("--batch-size", 8) == ""
    assert command("--batch-size", 9, "--resume").endswith(
        "; continue with the same settings, or start over with --overwrite instead of --resume\n"
    )
    assert command("--batch-size", 8, "--resume") == ""
    assert command("--batch-size", 9, "--overwrite") == ""


@follows("comparison/engine.py", "needs the data in memory")
@pytest.mark.parametrize("function", [fe.compare, fe.autotune])
def test_a_streamed_data_set(function, table, tmp_path):
    (tmp_path / "data.csv").write_text(CSV)

    def loaded(**how: bool) -> Any:
        files = {name: str(tmp_path / "data.csv") for name in ("train", "validation")}
        return datasets.load_dataset("csv", data_files=files, cache_dir=tmp_path, **how)

    def run(data: Any) -> Any:
        if function is fe.autotune:
            return fe.autotune(table, data, budget=0.1, epochs=1, lexical=False)
        return fe.compare([], table, data, epochs=1, seeds=1, budget=1)

    message = message_of(DataError, lambda: run(loaded(streaming=True)))
    assert f"{function.__name__} needs the data in memory" in message
    assert message.endswith("; load it without streaming=True")
    assert run(loaded())


@follows("comparison/compare.py", "is one file, not a list of files")
def test_one_file_of_word_pairs(compare, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("king\tqueen\t9\nman\tking\t3\nwoman\tqueen\t4\n")
    message = message_of(DataError, lambda: compare(word_pairs=str(path)))
    assert message.endswith(f"; pass word_pairs=[{str(path)!r}]")
    assert compare(word_pairs=[str(path)]).word_pairs.keys() == {"pairs"}


@follows("comparison/budget.py", "is not a time above 0")
def test_a_budget_that_is_no_time(table, tmp_path, monkeypatch, capsys):
    fe.save_word2vec(table, tmp_path / "vectors.vec")
    (tmp_path / "data.csv").write_text(CSV)
    given = ("--vectors", tmp_path / "vectors.vec", "--data", tmp_path / "data.csv", "--epochs", 1)

    def run(budget: str, out: str) -> str:
        options = (*given, "--budget", budget, "-o", tmp_path / out, "--quiet")
        with pytest.raises(SystemExit):
            main(list(map(str, ("autotune", *options))))
        return capsys.readouterr().err

    message = message_of(StrategyError, lambda: fe.autotune(table, DATA, budget="0s"))
    assert message.endswith("give, for example, budget='60s' or budget='5m'")
    advice = "give, for example, --budget 60s or --budget 5m"
    assert run("0s", "no") == f"error: --budget 0s is not a time above 0; {advice}\n"
    hours = partial(Budget, clock=count(step=3600).__next__)  # each look at the clock is one later
    monkeypatch.setattr(
        importlib.import_module("finetune_embed.comparison.autotune"), "Budget", hours
    )
    for budget in ("60s", "5m"):
        assert run(budget, budget) == ""
        assert fe.load(tmp_path / budget).predict(["a king"])


@follows("comparison/kept.py", "the folder holds an unfinished search")
def test_an_unfinished_search(table, tmp_path, monkeypatch):
    given = {"budget": 1e-3, "epochs": 1, "device": "cpu"}

    def stopped(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fe.Run, "write", stopped)
        for folder in ("a", "b"):
            with pytest.raises(KeyboardInterrupt):
                fe.autotune(table, DATA, output_dir=tmp_path / folder, **given)
    message = message_of(
        DataError, lambda: fe.autotune(table, DATA, output_dir=tmp_path / "a", **given)
    )
    assert message.endswith("; choose resume=True or overwrite=True")
    for folder, choice in (("a", "resume"), ("b", "overwrite")):
        fe.autotune(table, DATA, output_dir=tmp_path / folder, **given, **{choice: True})
        assert fe.load(tmp_path / folder).predict(["a king"])


@follows("comparison/autotuned.py", "the folder holds a run, and no search that made it")
def test_a_search_in_the_folder_of_a_run(table, tmp_path):
    given = {"epochs": 1, "device": "cpu", "output_dir": tmp_path / "run"}
    fe.finetune(table, DATA, **given)
    message = message_of(
        DataError, lambda: fe.autotune(table, DATA, budget=1e-3, resume=True, **given)
    )
    assert message.endswith("; choose another output_dir, or overwrite=True")
    assert fe.autotune(table, DATA, budget=1e-3, overwrite=True, **given)
    again = fe.autotune(table, DATA, budget=1e-3, resume=True, **given)
    assert again.settings == ({},)
    fe.finetune(table, DATA, overwrite=True, **{**given, "epochs": 2})
    with pytest.raises(DataError, match="no search that made it"):
        fe.autotune(table, DATA, budget=1e-3, resume=True, **{**given, "epochs": 2})
    given["output_dir"] = tmp_path / "another"
    assert fe.autotune(table, DATA, budget=1e-3, **given)
