"""Every Python block of the documentation runs, in order, in one folder, as a reader would."""

from __future__ import annotations

import gzip
import re
import shlex
import shutil
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

from finetune_embed.cli import main
from finetune_embed.demo import REVIEWS, VECTORS

ROOT = Path(__file__).parent.parent
#: How many Python blocks each page has, and a file that running them must leave behind.
PAGES = {
    "README.md": (4, "run/metrics.json"),
    "docs/formats.md": (3, "vectors.npz"),
    "docs/migration.md": (10, "locked/metrics.json"),
    "docs/strategies.md": (8, "fitted.safetensors"),
    "docs/training.md": (2, "streamed/metrics.json"),
    "docs/words.md": (3, "glove.6B.50d.txt"),
}
#: Pages with other libraries' trainers.
OTHERS = {"docs/migration.md", "docs/strategies.md"}


def python_blocks(page: Path) -> list[tuple[int, str]]:
    """Return the Python blocks of a page with the line each starts at."""
    text = page.read_text()
    return [
        (text[: match.start()].count("\n") + 2, match[1])
        for match in re.finditer(r"^```python\n(.*?)^```$", text, flags=re.M | re.S)
    ]


@pytest.fixture
def reader_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the documentation speaks of."""
    (tmp_path / "glove.6B.50d.txt").write_bytes(gzip.decompress(VECTORS.read_bytes()))
    shutil.copytree(REVIEWS, tmp_path / "reviews")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_of_a_page_run(page: str, reader_folder: Path) -> None:
    blocks = python_blocks(ROOT / page)
    count, made = PAGES[page]
    assert len(blocks) == count
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        if page in OTHERS:  # other libraries' trainers warn about themselves
            warnings.simplefilter("ignore")
        _run(blocks, page, names)
    assert (reader_folder / made).stat().st_size > 100


def _run(blocks: list[tuple[int, str]], page: str, names: dict[str, object]) -> None:
    for line, code in blocks:
        if "from fastai" in code and find_spec("fastai") is None:
            continue  # tests/test_migration.py says so
        exec(compile("\n" * (line - 1) + code, str(ROOT / page), "exec"), names)


@pytest.mark.slow
def test_the_commands_of_the_readme_run(
    reader_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```$", text, flags=re.M | re.S)
    assert [block.split("\n")[0].split()[0] for block in blocks] == ["make", "finetune-embed"]
    commands = [shlex.split(line) for line in blocks[1].splitlines()]
    assert len(commands) == 7
    for program, *arguments in commands:
        assert program == "finetune-embed"
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0, (arguments, capsys.readouterr().err)
    assert (reader_folder / "tuned.bin").stat().st_size > 1_000_000


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"^(quickstart|test):", makefile, flags=re.M) == ["quickstart", "test"]
    script = (ROOT / ".ci" / "run").read_text()
    assert "\nmake test\n" in script


def test_the_added_lines_of_the_readme_are_two() -> None:
    code = python_blocks(ROOT / "README.md")[0][1]
    assert code.count("# <- added") == 2


def test_every_page_is_swept() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")}
    pages |= {"README.md"}
    assert {page for page in pages if python_blocks(ROOT / page)} == set(PAGES)


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
