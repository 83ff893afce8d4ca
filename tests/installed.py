"""Check an installed package, without test tools: python -I tests/installed.py [--compiled].

The package must not be the checkout's. With `--compiled` its compiled loops must be in use.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import finetune_embed as fe
from finetune_embed.formats.common import kernels as files
from finetune_embed.lexical import svm as machines
from finetune_embed.optim import kernels as steps
from finetune_embed.vocabulary import tokenization

CHECKOUT = Path(__file__).resolve().parent.parent
GOLDEN = CHECKOUT / "tests" / "golden" / "tiny.glove.txt"


def main() -> None:
    """Check where the package is, its compiled loops, and that files go round."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--compiled", action="store_true", help="compiled loops must be in use")
    options = parser.parse_args()
    place = Path(fe.__file__).resolve()
    assert not place.is_relative_to(CHECKOUT / "finetune_embed"), f"{place} is the checkout"
    modules = (files, machines, steps, tokenization)
    loops = {module.__name__: module.native is not None for module in modules}
    assert all(loops.values()) or not options.compiled, loops
    table = fe.load_vectors(GOLDEN)
    with tempfile.TemporaryDirectory() as folder:
        for name, save in {
            "glove.txt": fe.save_glove,
            "word2vec.txt": fe.save_word2vec,
            "tuned.safetensors": fe.save_safetensors,
            "tuned.npz": fe.save_numpy,
            "tuned.parquet": fe.save_parquet,
        }.items():
            path = Path(folder) / name
            save(table, path)
            again = fe.load_vectors(path)
            assert again.index_to_key == table.index_to_key, name
            assert np.array_equal(again.vectors, table.vectors), name
            del again  # Windows can't remove a file that is mapped
    print(f"finetune_embed {fe.__version__} in {place.parent}, compiled loops: {loops}")


if __name__ == "__main__":
    main()
