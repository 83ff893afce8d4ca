"""`report`: a run, a comparison or a search as one HTML file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ..data import DataSource
from ..errors import DataError, printable
from ..evaluation import Drift, drift
from ..files import atomic_write
from ..table import EmbeddingTable
from ..training.base_vectors import base_of
from ..training.run.load import load
from ..training.run.run import Run
from .figures import map_chart
from .inputs import Given, Source, given, reading_of
from .judged import Judged, Tested, check_comparable
from .parts import Figures, Map, Section
from .run_sections import headline, results, shown_texts, training
from .table_sections import compared, coverage, drift_section, origin, tried, word_section
from .word_map import MOST, words_of_page

__all__ = ["report"]

WORDS = 50_000
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
) -> None:
    """Write a report for people to look at: one HTML file that needs no network.

    The same input gives the same bytes. The file appears complete or not at all.

    Args:
        run: a run, what `compare` or `autotune` returned, or the folder of one of these.
        path: the file to write.
        dataset: labelled texts, as for `Run.evaluate`, to show what the run takes for what: a run
            does not store its texts.
        base: the table that the run was tuned from, or its file. When left out, the file that the
            run names is used, if it is still there.
        against: another run on the same data, or its folder, such as one with `Freeze`, to show the
            gain over it and the texts that it labels otherwise.
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

    Raises:
        DataError: there is no run in the folder, the data or the other run does not fit it, or
            `words` is out of its range.
        FinetuneEmbedError: the vectors do not fit the run, or the file cannot be written.

    Example:
        >>> run = fe.finetune("glove.6B.50d.txt", "reviews", max_steps=20, lexical=False)
        >>> fe.report(run, "run.html")
        >>> from pathlib import Path
        >>> Path("run.html").read_text()[:15]
        '<!DOCTYPE html>'
    """
    if not 2 <= words <= MOST:
        raise DataError(f"must be 2 to {MOST:,}", option="words", value=words)
    reading: dict[str, Any] = {
        "text": text,
        "label": label,
        "delimiter": delimiter,
        "encoding": encoding,
    }
    reading |= {"sheet": sheet, "missing": missing, "ignore_label": ignore_label}
    found = given(run)
    if found.comparison is not None:
        with reading_of(found):
            sections = list(compared(found.comparison))
    else:
        sections = list(_of_run(found, dataset, base, against, words, progress, reading))
    sections.append(origin(found.run, found.settings))
    page = _page(_title(found), sections)
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))
    if figures is not None:
        _write_figures(sections, Path(figures))


def _of_run(
    found: Given,
    dataset: DataSource | None,
    base: Any,
    against: Any,
    most: int,
    progress: bool,
    reading: Any,
) -> Iterator[Section]:
    """Yield the sections about a run."""
    assert found.run is not None
    run = found.run
    data = None if dataset is None else Judged(run, run.read_labelled(dataset, **reading))
    other = against if isinstance(against, Run) or against is None else load(against)
    name = "the other run"
    if isinstance(against, (str, os.PathLike)):
        name = Path(os.path.abspath(against)).name
    if other is not None:
        check_comparable(run, other)
    tested = Tested(data, other, name)
    before = base_of(run, base)
    words = words_of_page(run, before.table, most, progress)
    yield headline(run, found.search, tested)
    yield from training(run)
    if found.search is not None:
        with reading_of(found):
            yield tried(found.search)
    yield drift_section(run, _drift(run, before.table))
    yield word_section(words, before)
    yield results(run, tested)
    yield shown_texts(run, tested)
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


def _write_figures(sections: list[Section], folder: Path) -> None:
    """Write every chart as SVG and, with cairosvg, as PNG, in the light colours of the page."""
    try:
        from cairosvg import svg2png
    except (ImportError, OSError):  # it is not installed, or libcairo is not
        svg2png = None
    light = _file("page.css").split("}")[0]
    style = _file("figures.css")
    for name, color in re.findall(r"(--\w+): (#\w+);", light):
        style = style.replace(f"var({name})", color)
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for part in section.parts:
            charts = part.charts if isinstance(part, Figures) else ()
            for chart in [map_chart(part.words)] if isinstance(part, Map) else charts:
                drawn = chart.svg(style).encode()
                with atomic_write(folder / f"{chart.name}.svg") as file:
                    file.write(drawn)
                if svg2png is not None:
                    with atomic_write(folder / f"{chart.name}.png") as file:
                        file.write(svg2png(bytestring=drawn, scale=PNG_SCALE))
