"""Write the corpus of the fuzzer: small valid files of each format, most from `tests/golden`.

It leaves inputs that the fuzzer found, which are beside them, alone.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from packing import tarred, zipped, zstd
from targets import CORPUS, PROJECTOR, RUN, SHARDS, SPACY, STATIC, pack

import finetune_embed as fe

GOLDEN = Path(__file__).parents[1] / "golden"
TEXT = b"a 1 2\nb 3 -0.5\n\xc3\xa9 nan 1e-5\n"


def write(target: str, name: str, data: bytes) -> None:
    """Write one input of a target."""
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / name).write_bytes(data)


def folder(path: Path, names: tuple[str, ...]) -> bytes:
    """Return the files of a folder as one input."""
    return pack(*(f.read_bytes() if (f := path / name).exists() else b"" for name in names))


def parquet(**options: object) -> bytes:
    """Return examples of texts, labels and tags as a Parquet file."""
    columns = {
        "text": ["good film", "bad plot", None, "caf\xe9"] * 3,
        "label": pa.array([1, 0, None, 1] * 3).dictionary_encode(),
        "tags": [["A", "B"], [], None, ["A"]] * 3,
    }
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def run_folder(shrunk: bool = False) -> bytes:
    """Return the folder of a small run, or of a shrunk one."""
    texts = ["good film", "bad plot", "good plot", "bad film"] * 5
    table = fe.EmbeddingTable(["good", "bad", "film", "plot"], np.eye(4, 3, dtype=np.float32))
    with tempfile.TemporaryDirectory() as path:
        fe.save_glove(table, f"{path}/v.txt")
        Path(path, "d.csv").write_text("text,label\n" + "".join(f"{t},{t[0]}\n" for t in texts))
        fe.finetune(f"{path}/v.txt", f"{path}/d.csv", epochs=1, output_dir=f"{path}/run")
        if shrunk:
            small = fe.shrink(fe.load(f"{path}/run"), words=3, remap=True, dtype="int8")
            small.save(f"{path}/run")
        return folder(Path(path, "run"), RUN)


def main() -> None:
    """Write all inputs."""
    for name in ("tiny.arrow", "tiny.polars.arrow", "tiny.parquet", "tiny.polars.parquet"):
        write("arrow", name, (GOLDEN / name).read_bytes())
    dataset = GOLDEN / "tiny.dataset"
    parts = [
        next(dataset.glob("data-00000*")),
        dataset / "state.json",
        dataset / "dataset_info.json",
    ]
    state = parts[1].read_bytes().replace(b"00000-of-00002", b"00000-of-00001")
    write("dataset", "tiny", pack(parts[0].read_bytes(), state, parts[2].read_bytes()))
    write("examples", "zstd", parquet(compression="zstd"))
    write("examples", "plain", parquet(compression="none", use_dictionary=False))
    write("run", "tiny", run_folder())
    write("run", "shrunk", run_folder(shrunk=True))
    for name in ("plain.bin", "skipgram.bin", "supervised.bin", "quantized.ftz", "pruned.ftz"):
        write("fasttext", name, (GOLDEN / f"tiny.fasttext-{name}").read_bytes())
    for name in ("tiny.npz", "tiny.numpy.npz", "tiny.npy"):
        write("numpy", name, (GOLDEN / name).read_bytes())
    for name in ("delta", "delta-int8"):
        write("delta", name, (GOLDEN / f"{name}.safetensors").read_bytes())
    write("safetensors", "tiny", (GOLDEN / "tiny.safetensors").read_bytes())
    for name in ("float16", "bfloat16", "int8", "shrunk"):
        write("safetensors", name, (GOLDEN / f"tiny.{name}.safetensors").read_bytes())
    write("shards", "int8", folder(GOLDEN / "tiny.shards", SHARDS))
    for name in ("default", "floret", "floret-words", "vectors"):
        write("spacy", name, folder(GOLDEN / "spacy" / name, SPACY))
    write("projector", "tiny", folder(GOLDEN / "tiny.projector", PROJECTOR))
    columns = pack(b"1\t2e-3\r\n-3\t0.5\r\n", b"word\tcount\r\na\t1\r\nb c\t2\r\n")
    write("projector", "columns", columns)
    for name in ("model2vec", "model2vec-quantised-int8", "sentence-transformers"):
        write("static", name, folder(GOLDEN / "static" / name, STATIC))
    for name, data in {
        "glove": TEXT,
        "word2vec": b"3 2\n" + TEXT,
        "crlf": TEXT.replace(b"\n", b"\r\n"),
    }.items():
        write("text", name, b"\x3f" + data)
        write("inspect", name, data)
    vectors = np.float32([[1, 2], [0.1, np.nan]]).tobytes()
    binary = b"2 2\na " + vectors[:8] + b"\nb " + vectors[8:]
    write("word2vec-binary", "newlines", b"\x3f" + binary)
    write("word2vec-binary", "plain", b"\x05" + binary.replace(b"\nb", b"b"))
    write("inspect", "binary", binary)
    write("inspect", "safetensors", (GOLDEN / "tiny.safetensors").read_bytes())
    write("inspect", "npy.npz", (GOLDEN / "tiny.npz").read_bytes())
    compressed = {
        "gzip": gzip.compress(TEXT, mtime=0),
        "bzip2": bz2.compress(TEXT),
        "xz": lzma.compress(TEXT),
        "zstandard": zstd(TEXT),
        "zip": zipped(("v.txt", TEXT)),
        "zip-two": zipped(("v.txt", TEXT), ("d/w.txt", TEXT)),
        "tar": tarred(("v.txt", TEXT))[:1536],
        "tar-gzip": gzip.compress(tarred(("v.txt", TEXT), ("w.txt", TEXT)), mtime=0),
        "gzip-zip-gzip": gzip.compress(zipped(("v.gz", gzip.compress(TEXT, mtime=0))), mtime=0),
    }
    for name, data in compressed.items():
        write("source", name, data)


if __name__ == "__main__":
    main()
