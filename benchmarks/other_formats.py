"""Reading GloVe in every other format, beside the library that the format is from, in one run.

python benchmarks/other_formats.py glove.6B.50d.txt

Each file is made here, of the same words and vectors. To read is to have every word as a string and
every number in memory: what is mapped or decoded late is gone through once, for ours and the peer
alike; ours also takes the SHA-256 and looks for duplicated words. They take turns; each figure is
the median of the runs, with their range. The disk's cache is warm for all. Peers that are not
installed (spaCy, model2vec, fasttext), or can't open a compression, are left out.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import lzma
import shutil
import struct
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import datasets
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy
import smart_open
from gensim.models import KeyedVectors
from gensim.models.fasttext import load_facebook_vectors
from read_vectors import Call, against

import finetune_embed as fe

WORDS, BUCKETS, MINN, MAXN = 50_000, 200_000, 3, 6  # of the fastText model


def used(words: Sequence[str], vectors: Any) -> tuple[int, float]:
    """Go through all words and all numbers."""
    return len(list(words)), float(np.asarray(vectors).sum())


def ours(path: Path, **options: Any) -> Call:
    """Return a call that reads a file as we do."""

    def read() -> None:
        table = fe.load_vectors(path, **options)
        used(table.index_to_key, table.vectors)

    return read


def installed(name: str) -> Any:
    """Return a module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def safetensors_reads(path: Path) -> None:
    """Read our own file by safetensors, the words one by one."""
    tensors = safetensors.numpy.load_file(path)
    data, at = tensors["vocab.bytes"].tobytes(), tensors["vocab.offsets"].tolist()
    words = [data[start:stop].decode() for start, stop in pairwise(at)]
    used(words, tensors["embedding.weight"])


def numpy_reads(path: Path) -> None:
    """Read an archive of vectors and words, or an array with a word a line beside it."""
    loaded = np.load(path)
    if path.suffix == ".npy":
        used(path.with_suffix(".words").read_text("utf-8").splitlines(), loaded)
        return
    with loaded:
        used(loaded["words"].tolist(), loaded["vectors"])


def pyarrow_reads(path: Path) -> None:
    """Read an Arrow file in place, or a Parquet file."""
    if path.suffix == ".parquet":
        data = pq.read_table(path)
    else:
        data = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    vectors = data["vector"].combine_chunks().flatten().to_numpy()
    used(data["token"].to_pylist(), vectors)


def polars_reads(path: Path) -> None:
    """Read an Arrow or a Parquet file."""
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ipc(path)
    used(frame["token"].to_list(), frame["vector"].to_numpy())


def datasets_reads(path: Path) -> None:
    """Read a saved data set, a block of rows at a time as it gives them."""
    rows = datasets.load_from_disk(str(path)).with_format("numpy")
    blocks = [(block["token"], block["vector"]) for block in rows.iter(1 << 14)]
    used([word for words, _ in blocks for word in words], np.concatenate([v for _, v in blocks]))


def array_formats(table: fe.EmbeddingTable, folder: Path, runs: int) -> None:
    """Print the lines of the formats that are arrays."""
    archive, array = folder / "g.npz", folder / "g.npy"
    arrow, parquet, saved = folder / "g.arrow", folder / "g.parquet", folder / "g.safetensors"
    fe.save_safetensors(table, saved)
    fe.save_numpy(table, archive)
    np.save(array, table.vectors)
    words = "".join(f"{word}\n" for word in table.index_to_key)
    array.with_suffix(".words").write_text(words, "utf-8")
    fe.save_arrow(table, arrow)
    fe.save_parquet(table, parquet)
    datasets.disable_progress_bars()
    fe.to_dataset(table).save_to_disk(str(folder / "dataset"))
    against("safetensors", ours(saved), {"safetensors": lambda: safetensors_reads(saved)}, runs)
    against("numpy .npz", ours(archive), {"numpy": lambda: numpy_reads(archive)}, runs)
    against("numpy .npy, a word a line", ours(array), {"numpy": lambda: numpy_reads(array)}, runs)
    for title, path in (("Arrow", arrow), ("Parquet", parquet)):
        peers: dict[str, Call] = {
            "pyarrow": partial(pyarrow_reads, path),
            "polars": partial(polars_reads, path),
        }
        against(title, ours(path), peers, runs)
    against(
        "Hugging Face data set",
        ours(folder / "dataset"),
        {"datasets": lambda: datasets_reads(folder / "dataset")},
        runs,
    )


def model_formats(table: fe.EmbeddingTable, folder: Path, runs: int) -> None:
    """Print the lines of the formats that are a library's models."""
    native, pipeline, static = folder / "g.kv", folder / "spacy", folder / "static"
    table.to_keyed_vectors().save(str(native))

    def read_native() -> None:
        read = fe.load_gensim(native, allow_pickle=True)
        used(read.index_to_key, read.vectors)

    def gensim_reads() -> None:
        keyed = KeyedVectors.load(str(native))
        used(keyed.index_to_key, keyed.vectors)

    against("gensim native", read_native, {"gensim": gensim_reads}, runs)
    fe.save_spacy(table, pipeline)
    peers: dict[str, Call] = {}
    if spacy := installed("spacy"):
        peers["spaCy"] = lambda: spacy.vocab.Vocab().from_disk(pipeline)
    against("spaCy vectors", ours(pipeline), peers, runs)
    save_static(table, static)
    peers = {}
    if model2vec := installed("model2vec"):
        peers["model2vec"] = lambda: model2vec.StaticModel.from_pretrained(static)
    against("static model", ours(static), peers, runs)


def save_static(table: fe.EmbeddingTable, folder: Path) -> None:
    """Write a folder as model2vec does, each word a token."""
    folder.mkdir()
    vectors = np.ascontiguousarray(table.vectors)
    safetensors.numpy.save_file({"embeddings": vectors}, folder / "model.safetensors")
    vocab = {word: row for row, word in enumerate(table.index_to_key)}
    model = {"type": "WordLevel", "vocab": vocab, "unk_token": table.index_to_key[0]}
    tokenizer = {"version": "1.0", "added_tokens": [], "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    (folder / "config.json").write_text("{}")


def save_fasttext(table: fe.EmbeddingTable, path: Path) -> None:
    """Write a fastText model (skipgram, version 12) of the first words, its n-grams drawn."""
    words = [word.encode() for word in table.index_to_key[:WORDS]]
    size = table.vector_size
    drawn = np.random.default_rng(0).standard_normal((BUCKETS, size), np.float32) / size
    with open(path, "wb") as file:
        file.write(struct.pack("<2i", 793_712_314, 12))
        file.write(struct.pack("<12i", size, 5, 5, 5, 5, 1, 2, 2, BUCKETS, MINN, MAXN, 100))
        file.write(struct.pack("<d", 1e-4))
        file.write(struct.pack("<3i2q", len(words), len(words), 0, 10 * len(words), -1))
        for word in words:
            file.write(word + b"\0" + struct.pack("<qb", 10, 0))
        _write_matrix(file, np.concatenate([table.vectors[: len(words)], drawn]))
        _write_matrix(file, np.zeros((len(words), size), np.float32))


def _write_matrix(file: BinaryIO, rows: fe.table.Vectors) -> None:
    file.write(struct.pack("<?2q", False, *rows.shape))
    file.write(np.ascontiguousarray(rows, "<f4").data)


def fasttext_models(table: fe.EmbeddingTable, folder: Path, runs: int) -> None:
    """Print the lines of a fastText model: its own words, and words that it lacks."""
    path = folder / "g.bin"
    save_fasttext(table, path)
    lacking = table.index_to_key[WORDS : WORDS + 1_000]

    def gensim_reads() -> None:
        keyed = load_facebook_vectors(str(path))
        used(keyed.index_to_key, keyed.vectors)

    def gensim_composes() -> None:
        keyed = load_facebook_vectors(str(path))
        used(lacking, [keyed.get_vector(word) for word in lacking])

    reads: dict[str, Call] = {"gensim": gensim_reads}
    composes: dict[str, Call] = {"gensim": gensim_composes}
    if fasttext := installed("fasttext"):

        def all_of(words: Sequence[str] | None = None) -> None:
            model = fasttext.load_model(str(path))
            words = model.get_words() if words is None else words
            used(words, [model.get_word_vector(word) for word in words])

        reads["fasttext"], composes["fasttext"] = all_of, lambda: all_of(lacking)
    title = f"fastText .bin, {WORDS:,} words"
    against(title, ours(path), reads, runs)
    against("fastText .bin, 1,000 it lacks", ours(path, keys=lacking), composes, runs)


def _compressing(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path, "wb", compresslevel=6)
    if path.suffix == ".xz":
        return lzma.open(path, "wb", preset=1)
    return pa.CompressedOutputStream(str(path), "zstd")


def compressed_text(glove: str, folder: Path, runs: int) -> None:
    """Print the lines of the text compressed, beside gensim where it can open it."""
    for kind in ("gz", "zst", "xz"):
        path = folder / f"g.txt.{kind}"
        with open(glove, "rb") as text, _compressing(path) as packed:
            shutil.copyfileobj(text, packed, 1 << 20)

        def gensim_reads(path: Path = path) -> None:
            keyed = KeyedVectors.load_word2vec_format(str(path), binary=False, no_header=True)
            used(keyed.index_to_key, keyed.vectors)

        peers: dict[str, Call] = {"gensim": gensim_reads}
        try:
            with smart_open.open(str(path), "rb") as file:
                file.read(1)
        except (ImportError, NotImplementedError):  # smart_open, gensim's way in, lacks this kind
            peers = {}
        title = f"GloVe text, {kind}, {path.stat().st_size / 1e6:.0f} MB"
        against(title, ours(path), peers, runs)
        path.unlink()


def main() -> None:
    """Print a line for each format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", help="a GloVe text file, such as glove.6B.50d.txt")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    table = fe.load_glove(options.vectors)
    name = Path(options.vectors).name
    print(f"\n{name}: {table!r}, medians (and ranges) of {options.runs} runs")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        array_formats(table, folder, options.runs)
        model_formats(table, folder, options.runs)
        fasttext_models(table, folder, options.runs)
        compressed_text(options.vectors, folder, options.runs)


if __name__ == "__main__":
    main()
