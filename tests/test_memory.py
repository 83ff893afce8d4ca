"""Tuning a table opened in place takes memory for the vocabulary, not for the table."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from finetune_embed import EmbeddingTable, save_safetensors

ROWS, SIZE = 100_000, 300  # 120 MB
BOUND = 60.0  # MB; measured: 40

PROGRAM = """
import sys, numpy as np, finetune_embed as fe
base, folder = sys.argv[1:]
vocab = fe.Vocabulary({f"w{i}": 1 for i in range(0, 100_000, 100)} | {"new": 1})
small = fe.EmbeddingTable(["w0"], np.ones((1, 300), np.float32))
fe.to_embedding(small, vocab, oov="zeros").weight.sum().backward()  # torch's own memory
print("ready", flush=True)
sys.stdin.readline()
table = fe.load_vectors(base)
weight = fe.to_embedding(table, vocab).weight.detach() + 1
tuned = fe.to_table(weight, vocab, like=table)
fe.drift(table, tuned, {"w0": 1})
fe.save_safetensors(tuned, folder + "/tuned.safetensors")
fe.save_word2vec(tuned, folder + "/tuned.bin", binary=True)
back = fe.load_safetensors(folder + "/tuned.safetensors")
assert back["w100"].tolist() == weight[vocab.key_to_index["w100"]].tolist()
print(len(back), fe.drift(table, back).rows_moved)
"""


def anonymous(pid: int) -> float:
    """Return the anonymous memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 1000 if found else 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="RssAnon exists on Linux only")
@pytest.mark.slow
def test_a_table_is_tuned_and_exported_in_less_memory_than_its_size(tmp_path):
    base = tmp_path / "base.safetensors"
    vectors = np.random.default_rng(0).standard_normal((ROWS, SIZE), np.float32)
    save_safetensors(EmbeddingTable([f"w{i}" for i in range(ROWS)], vectors), base)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(base), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        before = peak = anonymous(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        while process.poll() is None:
            peak = max(peak, anonymous(process.pid))
            time.sleep(0.005)
        assert process.stdout.read().split() == [str(ROWS + 1), "1000"]
    assert process.returncode == 0
    assert 10 < peak - before < BOUND < vectors.nbytes / 1e6
    assert (tmp_path / "tuned.safetensors").stat().st_size > vectors.nbytes
