"""The sections about tables and strategies: drift, words, coverage, comparisons, provenance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from ..errors import printable
from ..evaluation import Drift, Geometry
from ..training.base_vectors import Base
from ..training.run.run import Run
from ..training.tasks import score_text
from .figures import bands_chart, scores_chart, standings_against_movement
from .gains import gain_interval, gain_text, gain_tile
from .parts import Cell, Figures, Map, Part, Section, Table, Text, Tile, Tiles, plain_rows
from .word_map import Words

__all__ = ["compared", "coverage", "drift_section", "origin", "tried", "word_section"]

MOVERS, LOST = 30, 5  # words that moved farthest, and neighbours that their table lists
PLACES = ("vectors", "data", "output_dir", "word_pairs")  # names of files on somebody's machine
Values = Mapping[str, Any]


def drift_section(run: Run, found: Drift | None) -> Section:
    """Return the section on how far rows moved, and how the space changed as a whole."""
    drift = run.metrics["drift"] if found is None else found.summary()
    by = "frequency" if found is None else found.banded_by
    title = f"Drift by {by}"
    if not drift["rows_moved"] or drift["median_movement"] is None:
        return Section("drift", title, [Text("No row moved.")])
    parts: list[Part] = [Figures([bands_chart(drift["bands"], by)]), _bands(by, drift["bands"])]
    if found is None:
        return Section("drift", title, parts)
    parts.append(_bands("where rows come from", [vars(one) for one in found.origins]))
    kept = found.neighbours()
    words = (("words that moved", kept.moved), ("other words", kept.others))
    rows = [
        [Cell(name), Cell(f"{one.share:.1%}", one.share), *_interval(one.interval), _count(one.of)]
        for name, one in words
        if one.words
    ]
    heads = ["", "kept", "95 % interval", "words"]
    parts.append(Table(f"Nearest neighbours kept, of {kept.k}", heads, rows))
    if found.geometry is not None:
        parts += _space(found.geometry, found.base.vector_size)
    return Section("drift", title, parts)


def _bands(by: str, bands: Sequence[Values]) -> Table:
    heads = [by, "rows", "moved", "median movement", "median cosine"]
    rows = [
        [
            Cell(printable(str(one["name"])), at),
            _count(one["rows"]),
            _count(one["moved"]),
            Cell(f"{one['median_movement']:.1%}", one["median_movement"]),
            Cell(f"{one['median_cosine']:.4f}", one["median_cosine"]),
        ]
        for at, one in enumerate(bands)
    ]
    return Table(f"Movement by {by}", heads, rows)


def _space(found: Geometry, size: int) -> Iterator[Part]:
    """Yield what says how the space of the rows that moved changed as a whole."""
    sides, rotation = (found.before, found.after), found.rotation
    figures = (
        ("mean length", [one.mean_norm for one in sides]),
        ("mean cosine of two of them", [one.mean_cosine for one in sides]),
        ("IsoScore, 1 if all dimensions vary alike", [one.iso_score for one in sides]),
    )
    rows = [[Cell(name), *(Cell(f"{one:.4f}", one) for one in both)] for name, both in figures]
    caption = f"Space of the {found.rows:,} rows that moved"
    yield Table(caption, ["", "before", "after"], rows)
    yield Text(
        f"One rotation of them all explains {rotation.explained:.1%} of their squared movement; it "
        f"would explain about {rotation.by_chance:.1%} if each moved at random."
    )
    rows = [
        [
            Cell(f"{one.share:.1%}", one.share),
            *(Cell(", ".join(printable(w) for w, _ in end)) for end in (one.high, one.low)),
        ]
        for one in found.directions
    ]
    heads = ["share", "words that moved along it", "words that moved against it"]
    yield Table("Directions that many rows moved in", heads, rows)
    yield Text(
        "The share is that of the squared movement: it would be about "
        f"{1 / size:.1%} for each direction if the rows had none in common."
    )


def _count(value: int) -> Cell:
    return Cell(f"{value:,}", value)


def _interval(bounds: Sequence[float]) -> list[Cell]:
    low, high = bounds
    return [Cell(f"{low:.1%} to {high:.1%}" if low < high else "every word", low)]


def word_section(words: Words, base: Base) -> Section:
    """Return the section with the search and the map of words.

    Args:
        words: the words of the page.
        base: the base table, or why it is not known.
    """
    parts: list[Part] = []
    why = base.why
    if base.warning:
        parts.append(Text(base.warning, warning=True))
    if why:
        parts.append(
            Text(
                f"There is only the map after tuning, and no neighbours before: {why}. Pass them: "
                "--vectors on the command line, base= in Python."
            )
        )
    parts.append(Map(words))
    rows = []
    for at in words.farthest(MOVERS):
        row = [
            Cell(printable(words.words[at])),
            Cell(f"{words.counts[at]:,}", int(words.counts[at])),
            Cell(f"{words.movement[at]:.1%}", float(words.movement[at])),
            Cell(f"{words.cosine[at]:.3f}", float(words.cosine[at])),
        ]
        if not why:
            before, after = (words.near(one, at) for one in ("before", "after"))
            for own, others in ((before, after), (after, before)):
                left = [printable(word) for word in own if word not in others][:LOST]
                row.append(Cell(", ".join(left)))
        rows.append(row)
    heads = ["word", "count", "movement", "cosine"]
    heads += [] if why else ["neighbours it lost", "neighbours it found"]
    if rows:
        parts.append(Table("Words that moved farthest", heads, rows))
    return Section("words", "Words before and after", parts)


def coverage(run: Run) -> Section:
    """Return the section on the words that the vectors have and lack."""
    found = run.metrics["coverage"]
    heads = ["", "distinct words", "tokens"]
    rows = [("in the vectors", found["types_found"], found["tokens_found"])]
    rows += [(f"of these, {name}", n["types"], n["tokens"]) for name, n in found["by_step"].items()]
    rows.append(("in the training texts", found["types"], found["tokens"]))
    cells = [[Cell(name), *(Cell(f"{n:,}", n) for n in numbers)] for name, *numbers in rows]
    parts: list[Part] = [Table("Words of the training texts", heads, cells)]
    missing = [(printable(str(word)), count) for word, count in found["missing"]]
    if missing:
        cells = [[Cell(word), Cell(f"{count:,}", count)] for word, count in missing]
        parts.append(Table("Most frequent words that the vectors lack", ["word", "count"], cells))
    return Section("coverage", "Coverage", parts)


def tried(search: Values) -> Section:
    """Return the section on what a search tried."""
    metric = str(search["metric"])
    beside = search["beside"]
    rivals = [(one["name"], one["score"], one["interval"]) for one in beside]
    heads = ["changed settings", "validation", "loss", "seconds", "chosen"]
    rows = []
    for one in search["tried"]:
        what = ", ".join(f"{name}={one['settings'][name]}" for name in one["changed"])
        score, loss = one["score"], one["loss"]
        rows.append(
            [
                Cell(printable(what) or "a first run"),
                Cell("diverged" if score is None else score_text(metric, score), score or -1.0),
                Cell("" if loss is None else f"{loss:.4f}", 1e9 if loss is None else loss),
                Cell(f"{one['seconds']:.1f}", one["seconds"]),
                Cell("yes" if one["is_chosen"] else "no"),
            ]
        )
    text = f"{len(rows)} settings were tried; those that together have the least validation loss "
    text += "are the result."
    return Section(
        "strategies",
        "What was tried",
        [Text(text), Figures([scores_chart(rivals, metric)]), Table("Tried", heads, rows)],
    )


def compared(found: Values) -> Iterator[Section]:
    """Yield the sections of a comparison."""
    metric, standings = str(found["metric"]), found["standings"]
    baseline = str(found["baseline"])
    best, sure = standings[0], found["confirmation"]
    test = f"test {metric.replace('_', ' ')}"
    low, high = best["test_interval"]
    tiles = [
        Tile("use", str(found["recommended"]), str(found["verdict"]).partition(": ")[2]),
        Tile(
            f"{test} of {best['strategy']}",
            score_text(metric, best["test"]),
            f"95 % interval {score_text(metric, low, 1)} to {score_text(metric, high, 1)}, over "
            f"{len(found['seeds'])} seeds and other texts; best on validation",
        ),
    ]
    if sure is not None:
        title = f"gain of {sure['strategy']} over {baseline}"
        how = f"with {len(sure['seeds'])} fresh seeds"
        note = f"{baseline} scores {score_text(metric, sure['freeze'])}"
        difference = sure["test"] - sure["freeze"]
        tiles.append(gain_tile(title, metric, difference, sure["difference_interval"], how, note))
    moved = f"by {best['median_movement']:.1%} of their length at the median; frequent words kept "
    moved += f"{best['neighbour_overlap']:.1%} of their neighbours"
    tiles.append(Tile(f"what {best['strategy']} moved", f"{best['rows_moved']:,.0f} rows", moved))
    yield Section("headline", "Result", [Tiles(tiles)])
    heads = ["strategy", "rate", "validation", test, "95 % interval", f"over {baseline}"]
    heads += ["p (Holm)", "rows moved", "movement", "neighbours kept", "seconds"]
    heads += [printable(name) for name in found["word_pairs"]]
    rows = [_standing(one, one["strategy"] == baseline, found) for one in standings]
    bars = [(one["strategy"], one["test"], one["test_interval"]) for one in standings]
    charts = [scores_chart(bars, metric), standings_against_movement(standings, metric)]
    text = "Best on validation first. Intervals are over other seeds and other test texts."
    parts: list[Part] = [Text(text), Figures(charts), Table("Strategies", heads, rows)]
    yield Section("strategies", "Strategies", parts + [Text(note) for note in found["data_notes"]])


def _standing(one: Values, is_baseline: bool, found: Values) -> list[Cell]:
    metric = str(found["metric"])
    low, high = one["test_interval"]
    over = gain_text(metric, one["difference"], 2)
    over += f" ({gain_interval(metric, one['difference_interval'], 2)})"
    return [
        Cell(printable(one["strategy"])),
        Cell(f"{one['lr']:g}", one["lr"]),
        Cell(score_text(metric, one["validation"]), one["validation"]),
        Cell(score_text(metric, one["test"]), one["test"]),
        Cell(f"{score_text(metric, low, 1)} to {score_text(metric, high, 1)}", low),
        Cell("" if is_baseline else over, one["difference"]),
        Cell("" if is_baseline else f"{one['p']:.3f}", one["p"]),
        Cell(f"{one['rows_moved']:,.0f}", one["rows_moved"]),
        Cell(f"{one['median_movement']:.1%}", one["median_movement"]),
        Cell(f"{one['neighbour_overlap']:.1%}", one["neighbour_overlap"]),
        Cell(f"{one['seconds']:.1f}", one["seconds"]),
        *(Cell(f"{one['word_pairs'][n]:.3f}", one["word_pairs"][n]) for n in found["word_pairs"]),
    ]


def origin(run: Run | None, settings: Values | None) -> Section:
    """Return the section on where everything comes from."""
    title = "Where this comes from"
    facts: list[tuple[str, Any]] = []
    known: Values = {**(settings or {})}
    if run is not None:
        known = {**run.settings, **run.record}
        facts.append(("data", run.table.metadata.get("data")))
        facts.append(("tokenizer", run.record.get("tokenizer")))
        facts.append(("head", run.record.get("head")))
    facts = [
        ("vectors", known.get("source")),
        ("their format", known.get("source_format")),
        ("their SHA-256", known.get("source_sha256") or known.get("table_sha256")),
        *facts,
        ("SHA-256 of the encoded data", known.get("data_sha256")),
        ("strategy", known.get("strategy")),
        ("seed", known.get("seed")),
        ("made with finetune_embed", known.get("finetune_embed")),
        ("this page by finetune_embed", version("finetune_embed")),
    ]
    rows = plain_rows([(name, value) for name, value in facts if value not in (None, "")])
    every = [(name, _text(one)) for name, one in sorted(known.items()) if name not in PLACES]
    return Section(
        "origin",
        title,
        [
            Table("Origin", ["", "value"], rows),
            Table("Every setting", ["setting", "value"], plain_rows(every), folded=True),
        ],
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) < 400 else text[:399] + "…"
