"""Reports as files: what they hold, that they escape it, and that bytes do not vary."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from pages import EVIL, data, table, text_of, tuned, words_in

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.errors import DataError
from finetune_embed.reporting.judged import Judged, how_to_compare
from finetune_embed.reporting.texts import changed_texts, mistakes, uncertain
from finetune_embed.reporting.word_map import NEIGHBOURS, words_of_page
from finetune_embed.training.tasks import score_text


@pytest.fixture(scope="module")
def run() -> fe.Run:
    return tuned()


@pytest.fixture(scope="module")
def frozen() -> fe.Run:
    return tuned("Freeze")


@pytest.fixture(scope="module")
def page(run: fe.Run, frozen: fe.Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run with everything that can be passed."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    fe.report(run, path, dataset=data(), against=frozen)
    return path.read_text()


def numbers(found: dict[str, Any], name: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(found[name]), kind)


def test_the_page_has_the_figures_of_the_run(page: str, run: fe.Run) -> None:
    head = text_of(page, "headline")
    score = run.metrics["test"]["accuracy"]
    low, high = run.task.interval(score, 120)
    assert f"test accuracy {score:.2%} 95 % interval {low:.1%} to {high:.1%}; 120 texts" in head
    moved = run.metrics["drift"]["rows_moved"]
    assert f"{moved} of 300 rows" in head
    assert f"of {len(run.history)}, trained in" in text_of(page, "training")
    confusion = run.evaluate(data()).confusion
    cells = re.findall(r">(\d+)</text>", page.split('id="confusion-title"')[1].split("</svg>")[0])
    assert list(map(int, cells)) == confusion.flatten().tolist()
    assert "new0" in text_of(page, "coverage")
    assert run.table.metadata.get("data", "") in text_of(page, "origin")


def test_the_gain_over_a_frozen_table_is_paired_by_text(
    page: str, run: fe.Run, frozen: fe.Run
) -> None:
    texts, wanted = (
        [one["text"] for one in data()["test"]],
        [one["label"] for one in data()["test"]],
    )
    right = [np.array(one.predict(texts)) == np.array(wanted) for one in (run, frozen)]
    gain = 100 * (right[0].mean() - right[1].mean())
    assert f"gain over a frozen table {gain:+.1f} points 95 % interval" in text_of(page, "headline")
    labelled = run.read_labelled(data())
    found, gained, lost = changed_texts(Judged(run, labelled), Judged(frozen, labelled))
    assert (gained, lost) == ((right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum())
    assert all(one.before != one.predicted for one in found)


def test_every_text_is_escaped(page: str) -> None:
    assert EVIL not in page
    assert EVIL in words_in(page)["words"].split("\n")
    assert page.count("</script>") == 2  # of the data and of the script of the page
    assert "alert(1)" in text_of(page, "texts")
    assert "yes <i>" in text_of(page, "classes")
    assert "<i>" not in page.replace("yes <i>", "") or 'class="against' in page
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)


def test_the_same_run_gives_the_same_bytes_and_figures(
    run: fe.Run, frozen: fe.Run, page: str, tmp_path: Path
) -> None:
    fe.report(run, tmp_path / "again.html", dataset=data(), against=frozen, figures=tmp_path / "f")
    assert (tmp_path / "again.html").read_text() == page
    drawn = sorted((tmp_path / "f").glob("*.svg"))
    names = ["confusion", "drift", "loss", "score", "words"]
    assert [one.stem for one in drawn if one.stem != "score-movement"] == names
    for one in drawn:
        assert ElementTree.fromstring(one.read_text()).tag.endswith("svg")
        assert "var(" not in one.read_text()
    fe.report(run, tmp_path / "again.html", dataset=data(), against=frozen, figures=tmp_path / "g")
    for one in sorted((tmp_path / "f").iterdir()):
        assert one.read_bytes() == (tmp_path / "g" / one.name).read_bytes()


def test_figures_are_png_too_if_the_package_for_it_is_installed(
    run: fe.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cairosvg", exc_type=(ImportError, OSError))
    image = pytest.importorskip("PIL.Image")
    fe.report(run, tmp_path / "page.html", words=20, figures=tmp_path / "f")
    with image.open(tmp_path / "f" / "drift.png") as found:
        width, height = found.size
        pixels = found.convert("RGB").getcolors(1 << 20)
    svg = ElementTree.parse(tmp_path / "f" / "drift.svg").getroot()
    assert [width, height] == [3 * int(one) for one in svg.get("viewBox").split()[2:]]
    assert (0x0A, 0x62, 0xB8) in [color for _, color in pixels]  # of the bars
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    fe.report(run, tmp_path / "page.html", words=20, figures=tmp_path / "g")
    assert {one.suffix for one in (tmp_path / "g").iterdir()} == {".svg"}


def test_the_words_of_the_page_are_those_of_both_tables(page: str, run: fe.Run) -> None:
    found, base = words_in(page), table()
    words = found["words"].split("\n")
    assert sorted(words) == sorted(run.table.index_to_key)
    in_base = numbers(found, "inBase", "u1") > 0
    assert [word for word, known in zip(words, in_base, strict=True) if not known] == [
        word for word in words if word not in base
    ]
    by_word = {mover.word: mover for mover in run.drift.top(300)}
    movement, cosine = numbers(found, "movement", "<f4"), numbers(found, "cosine", "<f4")
    for at, word in enumerate(words):
        if word in by_word:
            assert movement[at] == pytest.approx(by_word[word].movement, rel=1e-5)
            assert cosine[at] == pytest.approx(by_word[word].cosine, abs=1e-5)
    assert movement[words.index("good")] > 0
    assert movement[words.index("w280")] == 0
    assert words[found["farthest"][0]] == next(w for w in by_word if any(map(str.isalpha, w)))


def test_neighbours_are_those_of_the_tables(page: str, run: fe.Run) -> None:
    found = words_in(page)
    words = found["words"].split("\n")
    for when, of in (("before", table()), ("after", run.table)):
        ids = numbers(found, when, "<u2").reshape(len(words), NEIGHBOURS)
        cosines = (numbers(found, f"{when}Cosine", "u1").reshape(ids.shape) - 100.0) / 100
        for word in ("good", EVIL, "w7"):
            at = words.index(word)
            expected = of.most_similar(word, topn=NEIGHBOURS)
            assert [words[one] for one in ids[at]] == [near for near, _ in expected]
            assert cosines[at] == pytest.approx([near for _, near in expected], abs=0.0051)
    new = words.index("new0")
    assert set(numbers(found, "before", "<u2").reshape(len(words), NEIGHBOURS)[new]) == {65_535}


def test_both_tables_are_on_the_principal_axes_of_their_union(run: fe.Run) -> None:
    found = words_of_page(run, table(), 50_000)
    start = [word if word in table() else None for word in found.words]
    before = np.stack(
        [table()[a] if a else run.table[b] for a, b in zip(start, found.words, strict=True)]
    )
    after = np.stack([run.table[word] for word in found.words])
    both = np.concatenate([before, after]).astype(np.float64)
    _, singular, axes = np.linalg.svd(both - both.mean(0), full_matrices=False)
    places = np.concatenate([found.before, found.after])
    for axis in range(2):
        expected = (both - both.mean(0)) @ axes[axis]
        sign = np.sign(expected @ places[:, axis])
        assert places[:, axis] == pytest.approx(sign * expected, abs=1e-4)
    assert found.shares == pytest.approx(singular[:2] ** 2 / (singular**2).sum())


def test_fewer_words_are_the_most_frequent_ones(run: fe.Run) -> None:
    found = words_of_page(run, table(), 5)
    assert len(found.words) == 5
    assert found.counts.tolist() == sorted(run.words["count"], reverse=True)[:5]
    assert found.near("after", 0)[0] in found.words


def test_the_effect_of_a_word_is_what_its_log_odds_lose(run: fe.Run) -> None:
    judged = Judged(run, run.read_labelled(data()))
    wrong, close = mistakes(judged), uncertain(judged)
    assert all(one.label != one.predicted for one in wrong)
    assert [one.chance for one in wrong] == sorted((one.chance for one in wrong), reverse=True)
    assert [abs(one.chance - 0.5) for one in close] == sorted(abs(o.chance - 0.5) for o in close)
    one, at = wrong[0], 3
    label = run.labels.index(one.predicted)
    without = [*one.words[:at], *one.words[at + 1 :]]
    p, q = run.predict_proba([" ".join(one.words), " ".join(without)])[:, label].double().tolist()
    assert one.effects[at] == pytest.approx(np.log(p / (1 - p)) - np.log(q / (1 - q)), abs=1e-4)


def test_a_folder_alone_says_what_it_lacks(run: fe.Run, tmp_path: Path) -> None:
    run.save(tmp_path / "run")
    fe.report(tmp_path / "run", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "gain over a frozen table not known" in text_of(page, "headline")
    assert "There is only the map after tuning" in text_of(page, "words")
    for section in ("classes", "texts"):
        assert "A run does not store its texts" in text_of(page, section)
    found = words_in(page)
    assert not found["known"]
    assert "before" not in found
    movement = numbers(found, "movement", "<f4")
    at = run.words["word"].index("good")
    stored = movement[found["words"].split("\n").index("good")]
    assert stored == pytest.approx(run.words["movement"][at])
    fe.report(tmp_path / "run", tmp_path / "page.html", base=table())
    assert words_in((tmp_path / "page.html").read_text())["known"]


def with_labels(kind: str) -> dict[str, Any]:
    """Return the texts with labels of another task."""
    made = {
        "regression": lambda at, words: at / 7 + 0.05,
        "multi_label": lambda at, words: [["even", "odd"][at % 2], *["third"] * (at % 3 == 0)],
        "tagging": lambda at, words: ["good" if one in ("good", "fine") else "O" for one in words],
    }
    return {
        name: [
            {
                "text": one["text"].split() if kind == "tagging" else one["text"],
                "label": made[kind](at, one["text"].split()),
            }
            for at, one in enumerate(rows)
        ]
        for name, rows in data(80).items()
    }


@pytest.mark.parametrize("kind", ["regression", "multi_label", "tagging"])
def test_every_task_has_a_page(kind: str, tmp_path: Path) -> None:
    given = with_labels(kind)
    head = "cnn_tagger" if kind == "tagging" else "bag"
    options: dict[str, Any] = {"head": head, "epochs": 1, "tokenizer": "whitespace", "task": kind}
    run, frozen = (
        fe.finetune(table(), given, strategy=strategy, **options)
        for strategy in ("FullTune", "Freeze")
    )
    fe.report(run, tmp_path / "page.html", dataset=given, against=frozen, words=50)
    page = (tmp_path / "page.html").read_text()
    score = run.evaluate(given).scores[run.task.metric]
    assert score_text(run.task.metric, score) in text_of(page, "headline")
    assert "gain over a frozen table" in text_of(page, "headline")
    assert "give each single text one label" in text_of(page, "texts")
    assert ("95 % interval" in text_of(page, "headline").split("gain over")[0]) == (
        kind != "regression"
    )
    shown = {"regression": "predicts numbers", "multi_label": "third", "tagging": "good"}
    assert shown[kind] in text_of(page, "classes")


def test_rows_that_are_not_finite_and_runs_that_lack_words(run: fe.Run, tmp_path: Path) -> None:
    vectors = run.table.vectors.copy()
    vectors[run.table.key_to_index["w3"]] = np.nan
    broken = fe.EmbeddingTable(run.table.index_to_key, vectors, run.table.metadata)
    fe.report(replace(run, table=broken), tmp_path / "page.html")
    found = words_in((tmp_path / "page.html").read_text())
    at = found["words"].split("\n").index("w3")
    assert np.isnan(numbers(found, "movement", "<f4")[at])
    places = numbers(found, "places", "<u2").reshape(-1, 4)
    assert len(np.unique(places, axis=0)) > 290
    small = fe.shrink(run, words=40)
    fe.report(small, tmp_path / "page.html", base=table(), dataset=data())
    page = (tmp_path / "page.html").read_text()
    assert "from before it was shrunk" in text_of(page, "headline")
    assert words_in(page)["known"]


@pytest.mark.parametrize("words", [1, 65_001])
def test_a_number_of_words_that_does_not_fit(words: int, run: fe.Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must be 2 to 65,000"):
        fe.report(run, tmp_path / "page.html", words=words)


def test_a_run_with_other_labels_is_no_rival(run: fe.Run, tmp_path: Path) -> None:
    other = fe.finetune(table(), with_labels("regression"), head="bag", epochs=1)
    with pytest.raises(DataError, match="other labels or another score"):
        fe.report(run, tmp_path / "page.html", against=other)


def test_without_data_the_gain_is_that_on_the_test_split_of_both(
    run: fe.Run, frozen: fe.Run, page: str, tmp_path: Path
) -> None:
    fe.report(run, tmp_path / "page.html", against=frozen, words=20)
    (shown,) = re.findall(r"gain over a frozen table .*? paired over", text_of(page, "headline"))
    assert shown in text_of((tmp_path / "page.html").read_text(), "headline")


def test_a_damaged_comparison_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text('{"metric": "accuracy", "standings": []}')
    with pytest.raises(DataError, match=r"comparison\.json: this file of the run is damaged"):
        fe.report(tmp_path, tmp_path / "page.html")


def test_score_against_movement_where_the_history_has_it(run: fe.Run, tmp_path: Path) -> None:
    steps = [{"rows": 9, "displacement": 0.1 * at, "cosine": 0.9} for at in range(1, 5)]
    history = [{**o, "movement": m} for o, m in zip(run.history, steps, strict=True)]
    fe.report(replace(run, history=history), tmp_path / "page.html", words=20)
    page = (tmp_path / "page.html").read_text()
    chart = page.split('id="score-movement-title"')[1].split("</svg>")[0]
    assert "moved 40.0%" in chart
    without = [{k: v for k, v in one.items() if k != "movement"} for one in run.history]
    fe.report(replace(run, history=without[:1]), tmp_path / "page.html", words=20)
    page = (tmp_path / "page.html").read_text()
    assert "does not say how far rows had moved" in text_of(page, "movement")
    assert 'id="loss-title"' in page  # of one epoch


@pytest.mark.parametrize("kind", ["comparison", "search"])
def test_comparisons_and_searches(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"head": "bag", "epochs": 2, "tokenizer": "whitespace"}
    options |= {"output_dir": tmp_path / "a"}
    if kind == "comparison":
        found: Any = fe.compare(
            ["FullTune"], table(), data(), seeds=2, budget=1, lr=0.02, **options
        )
    else:
        found = fe.autotune(table(), data(), budget=0.01, **options)
    pages = []
    for name, source in (("a.html", tmp_path / "a"), ("b.html", found)):
        fe.report(source, tmp_path / name, words=50)
        pages.append((tmp_path / name).read_text())
    for page in pages:
        shown = text_of(page, "strategies")
        if kind == "comparison":
            assert f"{found.standings[0].test:.2%}" in shown
            assert found.verdict().partition(": ")[2] in text_of(page, "headline")
        else:
            assert "a first run" in shown
            assert "words alone" in page or "the result" in page


def test_a_page_appears_whole_or_not_at_all(
    run: fe.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(fe.VectorFileError, match="no room"):
        fe.report(run, path, words=20)
    assert path.read_text() == "before"
    with pytest.raises(DataError, match="no such folder"):
        fe.report(tmp_path / "nothing", path)
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_the_command_that_a_page_names_makes_the_section_that_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fe.save_safetensors(table(), "base.safetensors")
    for split, rows in data(80).items():
        lines = "".join(f"{one['text']}\t{one['label']}\n" for one in rows)
        (tmp_path / "data").mkdir(exist_ok=True)
        Path(f"data/{split}.tsv").write_text("text\tlabel\n" + lines)
    settings: dict[str, Any] = {"head": "bag", "epochs": 1, "tokenizer": "whitespace"}
    fe.finetune("base.safetensors", "data", output_dir="runs/my run", **settings)
    fe.report("runs/my run", "page.html", dataset="data", words=9)
    page = Path("page.html").read_text()
    command = re.search(r"run: finetune-embed (train .*?), then", text_of(page, "texts"))
    assert command is not None
    with pytest.raises(SystemExit) as stopped:
        main(shlex.split(command[1]))
    assert stopped.value.code == 0
    fe.report("runs/my run", "page.html", dataset="data", words=9, against="frozen")
    assert "Labelled differently from frozen" in text_of(Path("page.html").read_text(), "texts")


@pytest.mark.parametrize("changed", [{}, {"data": "a Dataset"}, {"tokenizer": "<MyTokenizer>"}])
def test_a_command_is_named_only_where_it_can_repeat_the_run(
    changed: dict[str, str], run: fe.Run, tmp_path: Path
) -> None:
    """Not where an input was an object, or is no longer there."""
    there = {"vectors": str(tmp_path), "data": str(tmp_path)}
    run = replace(run, settings={**run.settings, **there, **changed})
    in_python = 'run finetune again with strategy="Freeze", and pass that run with against='
    assert how_to_compare(run, None) == in_python
    command = "finetune-embed train --config runs/a/config.yaml --strategy Freeze -o frozen"
    how = how_to_compare(run, Path("runs/a"))
    assert how == (in_python if changed else f"{command}, then report with --against frozen")


def test_the_command(
    run: fe.Run, frozen: fe.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, one in (("run", run), ("frozen", frozen)):
        one.save(tmp_path / name)
    fe.save_safetensors(table(), tmp_path / "base.safetensors")
    rows = [f"{one['text']}\t{one['label']}" for one in data()["test"]]
    (tmp_path / "test.tsv").write_text("\n".join(["text\tlabel", *rows]))
    options = ["--data", "test.tsv", "--against", "frozen", "--vectors", "base.safetensors"]
    arguments = [
        "report",
        "run",
        "-o",
        "page.html",
        *options,
        "--figures",
        "charts",
        "--words",
        "9",
    ]
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "mine.txt").write_text("not a figure")
    for more, code in (["--json"], 0), ([], 2), (["--overwrite"], 0):
        with contextlib.chdir(tmp_path), pytest.raises(SystemExit) as stopped:
            main([*arguments, *more])
        out, err = capsys.readouterr()
        assert stopped.value.code == code, err
        if more == ["--json"]:
            size = (tmp_path / "page.html").stat().st_size
            drawn = sorted(path.name for path in (tmp_path / "charts").iterdir())
            drawn.remove("mine.txt")
            assert json.loads(out) == {"output": "page.html", "bytes": size, "figures": drawn}
            assert err == ""
        elif code:
            assert "the file is there already" in err
    page = (tmp_path / "page.html").read_text()
    assert "Labelled differently from frozen" in text_of(page, "texts")
    assert words_in(page)["known"]
