"""The remedies for the optimizer and the bag are followed."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from following import follows
from torch import nn

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.errors import DataError, DivergenceError, StrategyError
from finetune_embed.optim import checks, mean_bag


def table_weight() -> nn.Parameter:
    weight = nn.Parameter(torch.ones(4, 2))
    weight.grad = torch.ones(4, 2)
    return weight


@follows("optim/bag.py", "lengths add up to")
def test_lengths_of_other_texts():
    weight, ids = torch.ones(4, 2), [torch.tensor([1, 2]), torch.tensor([3])]
    lengths = torch.tensor([2, 1])
    with pytest.raises(DataError, match=r": mean_bag\(weight, torch.cat\(ids\), lengths\)$"):
        mean_bag(weight, ids[0], lengths)
    mean_bag(weight, torch.cat(ids), lengths)


@follows("optim/row_operations.py", "the learning rate {lr:g} times the decay")
def test_decay_that_overshoots(table, tmp_path, capsys):
    strategy = fe.L2SP(30)
    rows = {"text": ["a king", "the queen"] * 8, "label": ["x", "y"] * 8}
    data = Dataset.from_dict(rows)
    with pytest.raises(DivergenceError, match=r"choose a smaller lr or a smaller decay$"):
        fe.finetune(table, data, strategy=strategy, lr=0.1, epochs=1)
    fe.finetune(table, data, strategy=strategy, lr=0.01, epochs=1)
    fe.finetune(table, data, strategy=fe.L2SP(1), lr=0.1, epochs=1)
    fe.save_word2vec(table, tmp_path / "table.vec")
    data.to_csv(tmp_path / "data.csv")
    command = f"train --vectors {tmp_path}/table.vec --data {tmp_path}/data.csv --epochs 1".split()
    command += ["-o", str(tmp_path / "out"), "--strategy", "L2SP(decay=30)", "--overwrite"]
    for lr, code in (("0.1", 2), ("0.01", 0)):
        with pytest.raises(SystemExit) as stopped:
            main([*command, "--lr", lr])
        assert stopped.value.code == code
        assert ("choose a smaller --lr or a smaller" in capsys.readouterr().err) == bool(code)


@follows("optim/checks.py", "with exchange=True all processes must know of it")
def test_exchange_of_a_table_that_is_not_row_wise():
    weight = table_weight()
    remedy = r"RowAdamW\(\[\{'params': \[weight\], 'row_wise': True\}, \.\.\.\], exchange=True\)$"
    group = fe.RowAdamW([weight], exchange=True).param_groups[0]
    with pytest.raises(StrategyError, match=remedy):
        checks.takes_part(weight, group, True, "RowAdamW")
    optimizer = fe.RowAdamW([{"params": [weight], "row_wise": True}], exchange=True)
    assert checks.takes_part(weight, optimizer.param_groups[0], True, "RowAdamW")
    optimizer.step()


@follows("optim/row_optimizer.py", "has a sparse gradient after dense ones")
def test_sparse_gradients_after_dense_ones():
    sparse = torch.sparse_coo_tensor([[1]], [[1.0, 1.0]], (4, 2), check_invariants=True)
    for row_wise in (False, True):
        weight = table_weight()
        optimizer = fe.RowAdamW([{"params": [weight], "row_wise": row_wise}])
        optimizer.step()
        weight.grad = sparse
        if row_wise:
            optimizer.step()
        else:
            with pytest.raises(StrategyError, match=r"RowAdamW\(\[\{'params': \[weight\], 'row_w"):
                optimizer.step()
