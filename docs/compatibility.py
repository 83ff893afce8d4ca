"""Write the table of docs/compatibility.md: what other libraries read of what this library writes.

    python docs/compatibility.py            # run the libraries and rewrite the table
    python docs/compatibility.py --check    # fail if it is out of date

Each target is written by this library and read by the real one. A row whose library is not
installed stays as it is. All are development tools; fastText has wheels for some platforms only.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import finetune_embed as fe

sys.path.insert(0, str(Path(__file__).parent))
from other_readers import (
    Found,
    Work,
    by_hand,
    in_datasets,
    in_fasttext,
    in_gensim,
    in_model2vec,
    in_numpy,
    in_onnxruntime,
    in_polars,
    in_pyarrow,
    in_safetensors,
    in_sentence_transformers,
    in_shards,
    in_spacy,
    in_the_projector,
    in_tokenizers,
    in_torch,
)

PAGE = Path(__file__).parent / "compatibility.md"
COLUMNS = (
    "written with",
    "read with",
    "loads",
    "rows equal",
    "words equal",
    "tokens of texts equal",
    "sentence vectors equal",
    "dtype",
    "size",
)
TOLERANCE = 1e-6  # of sums in another order
DISTRIBUTIONS = {"fasttext": "fasttext-numpy2-wheel"}  # of packages with another name


# --- the targets ----------------------------------------------------------------------------------


def to_dataset(table: fe.EmbeddingTable, path: Path) -> None:
    """Save the table as a data set."""
    import datasets

    datasets.disable_progress_bars()
    fe.to_dataset(table).save_to_disk(str(path))


@dataclass(frozen=True)
class Target:
    """A file or a folder that is written, and a library that reads it.

    Attributes:
        reader: the package that reads it, a colon and a call; without a colon, a few lines of ours.
        read: reads it.
        save: writes it.
        options: those of `save`.
    """

    reader: str
    read: Callable[[Path, Work], Found]
    save: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> tuple[str, str]:
        """The first two cells of its row, without the version of a library."""
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"`{self.save.__name__}{options and f'({options})'}`", self.reader

    @property
    def library(self) -> str:
        """The package that reads it; empty if it is none."""
        return self.reader.partition(":")[0] if ":" in self.reader else ""

    @property
    def version(self) -> str:
        """The version of that package; empty if it is not installed or there is none."""
        try:
            name = DISTRIBUTIONS.get(self.library, self.library)
            return version(name) if name else ""
        except PackageNotFoundError:
            return ""

    @property
    def is_installed(self) -> bool:
        """Whether it can be read here."""
        return not self.library or bool(self.version)


binary, no_header = (partial(in_gensim, **{name: True}) for name in ("binary", "no_header"))
arrow, parquet = (partial(in_pyarrow, kind=kind) for kind in ("arrow", "parquet"))
ipc, of_polars = (partial(in_polars, kind=kind) for kind in ("arrow", "parquet"))
FLOATS = "safetensors: numpy.load_file"
INDEXED = "safetensors: safe_open, by the index"
FORMAT = "gensim: load_word2vec_format"
MODEL = "onnxruntime: InferenceSession, its probabilities"

TARGETS = (
    Target(FLOATS, in_safetensors, fe.save_safetensors),
    Target(FLOATS, in_safetensors, fe.save_safetensors, {"dtype": "float16"}),
    Target("safetensors: torch.load_file", in_torch, fe.save_safetensors, {"dtype": "bfloat16"}),
    Target(f"{FLOATS}, by its scales", in_safetensors, fe.save_safetensors, {"dtype": "int8"}),
    Target(INDEXED, in_shards, fe.save_safetensors, {"shard_size": "1MB"}),
    Target("model2vec: StaticModel.from_pretrained", in_model2vec, fe.save_static),
    Target("sentence-transformers: SentenceTransformer", in_sentence_transformers, fe.save_static),
    Target("tokenizers: Tokenizer.from_file", in_tokenizers, fe.save_static),
    Target("gensim: KeyedVectors.load", in_gensim, fe.save_gensim),
    Target(FORMAT, partial(in_gensim, binary=False), fe.save_word2vec),
    Target(f"{FORMAT}(binary=True)", binary, fe.save_word2vec, {"binary": True}),
    Target(f"{FORMAT}(no_header=True)", no_header, fe.save_glove),
    Target("lines split at spaces", by_hand, fe.save_glove),
    Target("fasttext: pretrainedVectors", in_fasttext, fe.save_word2vec),
    Target("spacy: load", partial(in_spacy, pipeline=True), fe.save_spacy, {"lang": "en"}),
    Target("spacy: Vocab().from_disk", in_spacy, fe.save_spacy),
    Target("numpy: load", in_numpy, fe.save_numpy),
    Target("pyarrow: ipc.open_file", arrow, fe.save_arrow),
    Target("polars: read_ipc", ipc, fe.save_arrow),
    Target("pyarrow: parquet.read_table", parquet, fe.save_parquet),
    Target("polars: read_parquet", of_polars, fe.save_parquet),
    Target("datasets: Dataset.from_parquet", in_datasets, fe.save_parquet),
    Target("datasets: load_from_disk", in_datasets, to_dataset),
    Target("lines split as the Projector does", in_the_projector, fe.save_projector),
    Target(MODEL, in_onnxruntime, fe.save_onnx),
)


# --- the table ------------------------------------------------------------------------------------


def row_of(target: Target, work: Work) -> list[str]:
    """Write a target, read it with its library, and return the row of the table."""
    is_run, found, loads = target.save is fe.save_onnx, Found(), "yes"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vectors")
        target.save(work.run if is_run else work.table, path, **target.options)
        files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
        size = sum(file.stat().st_size for file in files if file.suffix != ".md")
        try:
            found = target.read(path, work)
        except Exception as error:  # whatever the library raises goes into the table
            loads = f"no ({type(error).__name__})"
        rows = None if found.rows is None else np.array(found.rows)
    dtype = found.dtype or ("n/a" if rows is None else str(rows.dtype))
    rounded = target.options.get("dtype")
    expected = (fe.shrink(work.table, dtype=rounded) if rounded else work.table).vectors
    sentences = work.run.predict_proba(work.texts).numpy() if is_run else work.sentences
    call, reader = target.title
    if target.library:
        reader = reader.replace(":", f" {target.version}:", 1)
    return [
        call,
        reader,
        loads,
        _cell(rows, lambda: rows.astype(np.float32).tobytes() == expected.tobytes())
        + (", rounded" if rounded else ""),
        _cell(found.words, lambda: list(found.words) == work.table.index_to_key),
        _cell(found.tokens, lambda: found.tokens == work.tokens),
        _cell(found.sentences, lambda: np.allclose(found.sentences, sentences, 0, TOLERANCE)),
        dtype,
        f"{size / 1e6:.2f} MB",
    ]


def _cell(value: Any, equal: Callable[[], bool]) -> str:
    return "n/a" if value is None else "yes" if equal() else "no"


def rows_of_page() -> dict[tuple[str, str], list[str]]:
    """Return the rows on the page, by their first two cells without versions."""
    text = PAGE.read_text("utf-8").partition("<!-- targets -->\n")[2]
    lines = text.partition("<!-- /targets -->")[0].splitlines()[2:]
    cells = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines]
    return {(one[0], re.sub(r" [\d.]+:", ":", one[1])): one for one in cells}


def main() -> None:
    """Rewrite the table, or check it."""
    parser = argparse.ArgumentParser(description="Write the table of docs/compatibility.md.")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    work, rows = Work(), rows_of_page()
    for target in TARGETS:
        if target.is_installed:
            rows[target.title] = row_of(target, work)
        elif target.title not in rows:
            sys.exit(f"{target.library} is not installed; pip install {target.library}")
    table = [COLUMNS, ["---"] * len(COLUMNS), *(rows[target.title] for target in TARGETS)]
    lines = "".join(f"| {' | '.join(row)} |\n" for row in table)
    text = PAGE.read_text("utf-8")
    pattern = re.compile(r"(<!-- targets -->\n).*?(<!-- /targets -->)", re.DOTALL)
    new = pattern.sub(lambda found: f"{found[1]}{lines}{found[2]}", text)
    print(lines, end="")
    if options.check and new != text:
        sys.exit(f"{PAGE} is out of date; run python docs/compatibility.py")
    if not options.check:
        PAGE.write_text(new, "utf-8")


if __name__ == "__main__":
    main()
