"""The documentation: its Python blocks and commands run, its links and outputs are right."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import warnings
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from finetune_embed.cli import main
from finetune_embed.cli.app import app
from finetune_embed.demo import REVIEWS

ROOT = Path(__file__).parent.parent
#: The number of Python blocks on each page, and a file that they write, if any. A block marked `py`
#: is code of a library that the tests do not have; tests/test_migration_before.py runs those of
#: docs/migration where the library is installed.
PAGES = {
    "README.md": (2, "words.bin"),
    "docs/concepts/how_little_they_move.md": (1, None),
    "docs/concepts/row_exact.md": (1, None),
    "docs/concepts/strategies.md": (2, None),
    "docs/evidence.md": (3, "glove.6B.50d.txt"),
    "docs/formats.md": (7, "projector/vectors.tsv"),
    "docs/howto/hf_trainer.md": (1, "from_trainer.safetensors"),
    "docs/howto/lightning.md": (1, "from_lightning.safetensors"),
    "docs/howto/own_csv.md": (1, "from_csv/metrics.json"),
    "docs/howto/own_ids.md": (2, "own_ids.safetensors"),
    "docs/howto/own_model.md": (1, "own_model.safetensors"),
    "docs/howto/regression.md": (1, "stars/metrics.json"),
    "docs/howto/serving.md": (1, "served_small/metrics.json"),
    "docs/howto/sharing.md": (2, "shared.delta"),
    "docs/howto/spacy.md": (1, "spacy_pipeline/config.cfg"),
    "docs/howto/tagging.md": (1, "tagger/metrics.json"),
    "docs/migration.md": (8, None),
    "docs/migration/allennlp.md": (1, "from_allennlp/config.yaml"),
    "docs/migration/fasttext.md": (1, "tuned.vec"),
    "docs/migration/gensim.md": (4, "locked/metrics.json"),
    "docs/migration/glove_loader.md": (3, "from_loader.txt"),
    "docs/migration/model2vec.md": (3, "static_tuned/model.safetensors"),
    "docs/migration/torchtext.md": (1, "from_torchtext.safetensors"),
    "docs/onnx.md": (1, "reviews.onnx"),
    "docs/report.md": (1, "report.html"),
    "docs/shrinking.md": (1, "small.safetensors"),
    "docs/strategies.md": (6, "fitted.safetensors"),
    "docs/training.md": (8, "streamed/metrics.json"),
    "docs/tutorial.md": (7, "tutorial/metrics.json"),
    "docs/which_strategy.md": (1, "which/recipe.yaml"),
    "docs/without_us.md": (5, "default/lexical.safetensors"),
    "docs/words.md": (6, "glove.6B.50d.txt"),
}
#: How many texts of the reviews the pages are run on.
TEXTS = {"train": 1_000, "validation": 300, "test": 300}
#: Pages that are run on all of them, since they show what is then predicted.
WHOLE = {"README.md", "docs/tutorial.md"}
#: Pages with other libraries' trainers.
OTHERS = {
    "docs/howto/hf_trainer.md",
    "docs/howto/lightning.md",
    "docs/howto/spacy.md",
    "docs/migration.md",
    "docs/migration/gensim.md",
    "docs/migration/model2vec.md",
    "docs/strategies.md",
}
ALL_PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "recipes/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)


def blocks_of(page: str, language: str) -> list[tuple[int, str]]:
    """Return the blocks of a page in a language, each with the line it starts at."""
    text = (ROOT / page).read_text()
    return [
        (text[: match.start()].count("\n") + 2, match[1])
        for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)
    ]


def commands_of(page: str) -> list[list[str]]:
    """Return the `finetune-embed` commands of a page that are complete."""
    lines = [line for _, block in blocks_of(page, "console") for line in block.splitlines()]
    lines = [line.removeprefix("$ ") for line in lines]
    return [
        shlex.split(line, comments=True)[1:]
        for line in lines
        if line.startswith("finetune-embed ") and "..." not in line
    ]


@pytest.fixture
def reader_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the package lies as in a checkout, set up as docs/README.md says."""
    (tmp_path / "finetune_embed").symlink_to(ROOT / "finetune_embed")
    monkeypatch.chdir(tmp_path)
    ((_, set_up),) = blocks_of("docs/README.md", "console")
    subprocess.run(set_up, shell=True, check=True)
    shutil.copy(REVIEWS / "train.csv", "reviews.csv")
    shutil.copy(REVIEWS / "test.csv", "new.csv")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path


def shorten_reviews(folder: Path) -> None:
    """Keep the first texts of each file alone, so that what trains on them takes less time."""
    for name, texts in TEXTS.items():
        lines = (folder / "reviews" / f"{name}.csv").read_text().splitlines(keepends=True)
        (folder / "reviews" / f"{name}.csv").write_text("".join(lines[: texts + 1]))
    shutil.copy(folder / "reviews" / "train.csv", folder / "reviews.csv")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_of_a_page_run_and_print_what_it_shows(
    page: str, reader_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = blocks_of(page, "python")
    count, made = PAGES[page]
    assert len(blocks) == count
    if page not in WHOLE:
        shorten_reviews(reader_folder)
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        if page in OTHERS:  # other libraries' trainers warn about themselves
            warnings.simplefilter("ignore")
        for line, code in blocks:
            if "from fastai" in code and find_spec("fastai") is None:
                continue  # tests/test_migration.py says so
            exec(compile("\n" * (line - 1) + code, str(ROOT / page), "exec"), names)
    printed = capsys.readouterr().out
    for output in re.findall(r"^print\(.*\n((?:# .*\n)+)", "".join(c for _, c in blocks), re.M):
        assert re.sub(r"^# ", "", output, flags=re.M) in printed
    if made is not None:
        assert (reader_folder / made).stat().st_size > 100


@pytest.mark.slow
def test_the_commands_of_the_readme_run(
    reader_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shorten_reviews(reader_folder)
    commands = commands_of("README.md")
    assert len(commands) == 10
    for given in commands:
        arguments = ["3s" if one == "60s" else one for one in given]  # of autotune
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0, (arguments, capsys.readouterr().err)
    assert (reader_folder / "tuned.bin").stat().st_size > 1_000_000
    assert (reader_folder / "which" / "recipe.yaml").is_file()


@pytest.mark.slow
def test_inspect_still_prints_the_lines_that_the_page_shows(
    reader_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ((_, shown),) = blocks_of("docs/inspect.md", "console")
    labels = set(re.findall(r"^(?:  )?[a-z_]+", shown, flags=re.M)) - {"  note"}
    assert len(labels) > 15
    with pytest.raises(SystemExit):
        main(["inspect", "glove.6B.50d.txt", "--data", "reviews"])
    printed = "\n" + capsys.readouterr().out
    assert [label for label in labels if f"\n{label}" not in printed] == []


def test_every_command_on_every_page_has_only_options_that_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipes").symlink_to(ROOT / "recipes")
    Path("which").mkdir()
    Path("which/recipe.yaml").write_text("vectors: glove.6B.50d.txt\ndata: reviews.csv\n")
    swept = 0
    for page in ALL_PAGES:
        for name, *arguments in commands_of(page):
            app.commands[name].make_context(name, arguments)
            swept += 1
    assert swept >= 11


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "\nmake quickstart " in readme
    assert "\nmake test " in readme
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"^(quickstart|test):", makefile, flags=re.M) == ["quickstart", "test"]
    script = (ROOT / ".ci" / "run").read_text()
    assert "\nmake test\n" in script


def test_the_readme_adds_two_lines_to_a_loop_and_fits_in_130_lines() -> None:
    assert blocks_of("README.md", "python")[1][1].count("  # added\n") == 2
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_every_page_with_python_blocks_is_run() -> None:
    assert {page for page in ALL_PAGES if blocks_of(page, "python")} == set(PAGES)


def test_every_link_inside_the_repository_leads_somewhere() -> None:
    swept = 0
    for page in ALL_PAGES:
        text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            found = (ROOT / page).parent / path if path else ROOT / page
            assert found.exists(), (page, target)
            if anchor:
                assert anchor in anchors_of(found), (page, target)
            swept += 1
    assert swept > 50


def test_every_external_link_has_the_form_of_one() -> None:
    swept = 0
    for page in ALL_PAGES:
        text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
        for link in re.findall(r"(?:\]\(|<)(\w+:[^)>]*)[)>]", text):
            parts = urlsplit(link)
            assert parts.scheme == "https", (page, link)
            assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc), (page, link)
            assert not re.search(r"\s", link), (page, link)
            swept += 1
    assert swept > 10


def test_every_page_is_in_the_tree_of_the_site() -> None:
    tree = (ROOT / "docs" / "toctree.txt").read_text()
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in ROOT.glob("docs/**/*.md")}
    named = set(re.findall(r"^(?:.*<)?([\w/.]+)>?$", tree, flags=re.M))
    assert {page.as_posix() for page in pages} - named == {"README"}


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_project_speaks_of_itself_alone() -> None:
    folders = ("finetune_embed", "recipes", "benchmarks", "tests", "docs")
    paths = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in folders:
        paths += (ROOT / folder).rglob("*")
    swept = 0
    for path in paths:
        if path.suffix in {".py", ".c", ".md", ".toml", ".yaml", ".txt"}:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not re.search(r"/(work|tmp|root|home)/\w", text), path
            swept += 1
    assert swept > 80
