"""Write the golden numpy, Arrow and Parquet files.

numpy, polars and datasets write `tiny.npy` with `tiny.words`, `tiny.numpy.npz`,
`tiny.polars.arrow`, `tiny.polars.parquet` and `tiny.dataset`; this library writes `tiny.npz`,
`tiny.arrow` and `tiny.parquet`. The files are committed; run this only to change them:
`python tests/golden/make_arrays.py`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import datasets
import numpy as np
import polars as pl
from make_golden import BITS, WORDS

from finetune_embed import EmbeddingTable, save_arrow, save_numpy, save_parquet


def main() -> None:
    """Write all files beside this one."""
    folder = Path(__file__).parent
    vectors = np.array(BITS, np.uint32).view(np.float32)
    np.save(folder / "tiny.npy", vectors)
    (folder / "tiny.words").write_text("".join(f"{word}\n" for word in WORDS), "utf-8")
    np.savez_compressed(folder / "tiny.numpy.npz", glove=vectors.astype(">f8"), vocab=WORDS)
    frame = pl.DataFrame({"id": range(5), "word": WORDS, "embedding": vectors})
    frame.write_ipc(folder / "tiny.polars.arrow", compression="lz4")
    frame.with_columns(pl.col("embedding").arr.to_list()).write_parquet(
        folder / "tiny.polars.parquet", compression="zstd"
    )
    rows = {"word": list(WORDS), "embedding": vectors.astype(np.float64).tolist()}
    shutil.rmtree(folder / "tiny.dataset", ignore_errors=True)
    datasets.Dataset.from_dict(rows).save_to_disk(folder / "tiny.dataset", num_shards=2)
    table = EmbeddingTable(WORDS, vectors, {"source": "näive.txt", "source_format": "glove"})
    save_numpy(table, folder / "tiny.npz")
    save_arrow(table, folder / "tiny.arrow")
    save_parquet(table, folder / "tiny.parquet")


if __name__ == "__main__":
    main()
