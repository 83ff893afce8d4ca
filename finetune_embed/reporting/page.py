"""`report`: a run, a comparison or a search as one HTML file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ..data import DataSource
from ..errors import DataError, Option, VectorFileError, printable
from ..evaluation import Drift, drift
from ..files import atomic_write, errors_of_writing
from ..table import EmbeddingTable
from ..training.base_vectors import base_of
from ..training.run.labelled import Reading
from ..training.run.load import load
from ..training.run.run import Run
from ..training.runtime.progress import CountBar
from .figures import map_chart
from .gains import gain_in_search, gain_of_run, unknown_gain
from .inputs import Given, Source, given, reading_of
from .judged import Judged, Tested, check_comparable, how_to_compare
from .parts import Figures, Map, Section
from .run_sections import headline, results, shown_texts, training
from .table_sections import compared, coverage, drift_section, origin, tried, word_section
from .word_map import MOST, words_of_page

__all__ = ["report"]

WORDS = 50_000
STEPS = 4  # of a report: the texts, what moved, each label, what words do
PNG_SCALE = 3  # pixels for each unit of a chart


def report(
    run: Source,
    path: str | os.PathLike[str],
    *,
    dataset: DataSource | None = None,
    base: str | os.PathLike[str] | EmbeddingTable | None = None,
    against: Run | str | os.PathLike[str] | None = None,
    words: int = WORDS,
    figures: str | os.PathLike[str] | None = None,
    progress: bool = False,
    text: str | Sequence[str] | None = None,
    label: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    missing: str | None = None,
    ignore_label: str | int | None = None,
    overwrite: bool = True,
) -> list[str]:
    """Write a report for people to look at: one HTML file that needs no network.

    The same input gives the same bytes. The file appears complete or not at all.

    Args:
        run: a run, what `compare` or `autotune` returned, or the folder of one of these.
        path: the file to write.
        dataset: labelled texts, as for `Run.evaluate`, to show which labels it confuses: a run does
            not store its texts.
        base: the table that the run was tuned from, or its file. When left out, the file that the
            run names is used, if it is still there.
        against: another run on the same data, or its folder, such as one with `Freeze`, to show the
            gain over it and the texts that both label differently.
        words: the number of words on the map, with their neighbours, 2 to 65,000.
        figures: a folder to write each chart to as well, as SVG and, if cairosvg is installed, as
            PNG.
        progress: whether to show a progress bar on the terminal.
        text: the column of texts of the data set, as for `Run.evaluate`.
        label: its column of labels, as there.
        delimiter: what is between the fields of its files, as there.
        encoding: the encoding of its files, as there.
        sheet: the sheet of its workbook, as there.
        missing: what becomes of examples without a text or a label, as there.
        ignore_label: a label that is not scored, as there.
        overwrite: whether files that are there are replaced.

    Returns:
        The names of the files that were written, the page first.

    Raises:
        DataError: there is no run in the folder, the data, the vectors or the other run do not fit
            it, an option is not about what is reported, or `words` is out of its range.
        FinetuneEmbedError: a file cannot be read or written, or is there already.

    Example:
        >>> run = fe.finetune("glove.6B.50d.txt", "reviews", max_steps=20, lexical=False)
        >>> fe.report(run, "run.html")
        ['run.html']
        >>> from pathlib import Path
        >>> Path("run.html").read_text()[:15]
        '<!DOCTYPE html>'
    """
    if not 2 <= words <= MOST:
        raise DataError(f"must be 2 to {MOST:,}", option="words", value=words)
    reading: Reading = {
        "text": text,
        "label": label,
        "delimiter": delimiter,
        "encoding": encoding,
        "sheet": sheet,
        "missing": missing,
        "ignore_label": ignore_label,
    }
    found = given(run)
    _check_options(found, {"dataset": dataset, "base": base, "against": against}, reading)
    if found.comparison is not None:
        with reading_of(found):
            sections = list(compared(found.comparison))
    else:
        with CountBar(progress, STEPS) as bar:
            sections = list(_of_run(found, dataset, base, against, words, bar, reading))
    sections.append(origin(found.run, found.settings))
    page = _page(_title(found), sections)
    files = {Path(path): page.encode("utf-8", "backslashreplace")}
    folder = None if figures is None else Path(figures)
    if folder is not None:
        files |= {folder / name: content for name, content in _drawn(sections).items()}
    return _write(files, folder, overwrite)


def _of_run(
    found: Given,
    dataset: DataSource | None,
    base: Any,
    against: Any,
    most: int,
    bar: CountBar,
    reading: Reading,
) -> Iterator[Section]:
    """Yield the sections about a run."""
    assert found.run is not None
    run = found.run
    bar.begin("predictions for the texts")
    data = None if dataset is None else Judged(run, run.read_labelled(dataset, **reading))
    other = against if isinstance(against, Run) or against is None else load(against)
    name = "the other run"
    if isinstance(against, (str, os.PathLike)):
        name = Path(os.path.abspath(against)).name
    if other is not None:
        check_comparable(run, other)
    tested = Tested(data, other, name, how_to_compare(run, found.folder))
    for one in (tested.data, tested.other_data):
        if one is not None:
            _ = one.outputs  # found once, for all sections
    bar.advance()
    before = base_of(run, base)
    words = words_of_page(run, before.table, most, bar)
    gain = gain_of_run(run, tested)
    if gain is None and found.search is not None:
        with reading_of(found):
            gain = gain_in_search(run.task.metric, found.search)
    yield headline(run, gain or unknown_gain(tested), tested)
    yield from training(run)
    if found.search is not None:
        with reading_of(found):
            yield tried(found.search)
    bar.begin("what moved")
    yield drift_section(run, _drift(run, before.table))
    bar.advance()
    yield word_section(words, before)
    bar.begin("scores of each label")
    yield results(run, tested)
    bar.advance()
    bar.begin("what single words do")
    yield shown_texts(run, tested)
    bar.advance()
    yield coverage(run)


def _drift(run: Run, table: EmbeddingTable | None) -> Drift | None:
    """Return what moved; None if the base table is not known."""
    if run.drift is not None or table is None:
        return run.drift
    counts = dict(zip(run.words["word"], run.words["count"], strict=True))
    if (run.table.rows_of(table.words) < 0).any():
        return None  # a shrunk run, which lacks words
    return drift(table, run.table, counts)


def _title(found: Given) -> str:
    if found.comparison is not None:
        return f"Comparison of strategies: {printable(found.name)}"
    assert found.run is not None
    data = found.run.table.metadata.get("data") or "texts"
    source = found.run.record.get("source") or "word vectors"
    return f"{printable(str(source))} tuned on {printable(data)}"


def _page(title: str, sections: list[Section]) -> str:
    """Return the page. Texts are escaped by the template engine."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    maps = [part for section in sections for part in section.parts if isinstance(part, Map)]
    packed = json.dumps(maps[0].words.packed() if maps else {}, ensure_ascii=False)
    return environment.from_string(_file("page.html")).render(
        title=title,
        sections=sections,
        style=_file("page.css") + _file("figures.css"),
        script=_file("page.js") + _file("map.js"),
        data=packed.replace("<", "\\u003c"),
    )


@cache
def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _drawn(sections: list[Section]) -> dict[str, bytes]:
    """Return every chart as SVG and, with cairosvg, as PNG, in the light colours of the page."""
    try:
        from cairosvg import svg2png
    except (ImportError, OSError):  # it is not installed, or libcairo is not
        svg2png = None
    light = _file("page.css").split("}")[0]
    style = _file("figures.css")
    for name, color in re.findall(r"(--\w+): (#\w+);", light):
        style = style.replace(f"var({name})", color)
    drawn: dict[str, bytes] = {}
    for part in (part for section in sections for part in section.parts):
        charts = part.charts if isinstance(part, Figures) else ()
        for chart in [map_chart(part.words)] if isinstance(part, Map) else charts:
            svg = drawn[f"{chart.name}.svg"] = chart.svg(style).encode()
            if svg2png is not None:
                drawn[f"{chart.name}.png"] = svg2png(bytestring=svg, scale=PNG_SCALE)
    return drawn


def _write(files: Mapping[Path, bytes], figures: Path | None, overwrite: bool) -> list[str]:
    """Write files, and return their names.

    Raises:
        VectorFileError: one is there and may not be replaced, or cannot be written.
    """
    if not overwrite and (there := [path for path in files if path.exists()]):
        raise VectorFileError(
            "the file is there already",
            where=there[0],
            remedy=("name another, or replace it with ", Option("overwrite", True)),
        )
    if figures is not None:
        with errors_of_writing(figures):
            figures.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        with atomic_write(path) as file:
            file.write(content)
    return list(map(str, files))


def _check_options(found: Given, of_run: Mapping[str, Any], of_data: Mapping[str, Any]) -> None:
    """Check that no option is given that a report does not use.

    Raises:
        DataError: one is.
    """
    given = {name: value for name, value in {**of_run, **of_data}.items() if value is not None}
    for name, value in given.items():
        if found.comparison is not None:
            raise DataError("is about a run, and this is a comparison", option=name, value=value)
        if name in of_data and of_run["dataset"] is None:
            what = ("is about ", Option("dataset"), ", which is not given")
            raise DataError(what, option=name, value=value)
