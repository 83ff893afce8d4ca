"""`DistributedDataParallel` around the head, without the table: two processes equal one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ddp_work import STRATEGIES, TABLE, VOCAB, Classifier, tuned

import finetune_embed as fe

SCRIPT = Path(__file__).parent / "ddp_work.py"


@pytest.mark.slow
def test_law3_two_processes_tune_like_one_with_every_strategy(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += ["--master-port=0", "--standalone", str(SCRIPT), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    ranks = [json.loads((tmp_path / f"bits-{rank}.json").read_text()) for rank in (0, 1)]
    assert ranks[0] == ranks[1]  # bit for bit
    assert len(ranks[0]) == len(STRATEGIES) == 6
    start = Classifier().embedding.weight.detach().numpy()
    assert len(start) == len(TABLE) + 2
    for strategy in STRATEGIES:
        found = np.frombuffer(bytes.fromhex(ranks[0][str(strategy)]), np.float32)
        alone = np.frombuffer(tuned(strategy, 0, 1), np.float32)
        np.testing.assert_allclose(found, alone, rtol=0, atol=2e-5, err_msg=str(strategy))
        moved = (found.reshape(start.shape) != start).any(axis=1)
        if strategy == fe.Freeze():
            assert not moved.any()
        elif "TrainRows" in str(strategy):
            kept = [VOCAB.key_to_index[word] for word in ("word1", "word2")]
            assert np.flatnonzero(moved).tolist() == kept
        else:
            assert moved.sum() >= 18
