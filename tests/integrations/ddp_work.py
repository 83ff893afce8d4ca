"""One process of the test of distributed training: `torchrun ddp_work.py FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

import finetune_embed as fe
from finetune_embed.optim import broadcast_table

V, D, EPOCHS, BATCH = 20, 4, 4, 8
STRATEGIES = [
    fe.Freeze(),
    fe.UnfreezeAfter(epochs=2),  # frozen when the model is wrapped
    fe.UnfreezeAfter(epochs=1) | fe.TrainRows(keys=["word1", "word2"]),
    fe.L2SP(2.0) | fe.FrequencyLR(),
    fe.HeadFirst(epochs=2, rate_after=0.5),
    fe.TrustRegion(0.1),
]
VOCAB = fe.Vocabulary({f"word{i}": 2 * (V - i) for i in range(V)})
TABLE = fe.EmbeddingTable(
    [f"word{i}" for i in range(V)],
    np.random.default_rng(0).standard_normal((V, D)).astype(np.float32),
)
_random = torch.Generator().manual_seed(1)
BATCHES = [
    (
        torch.randint(2, V + 2, (BATCH, 3), generator=_random),
        torch.randint(0, 2, (BATCH,), generator=_random),
    )
    for _ in range(3)
]


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = fe.to_embedding(TABLE, VOCAB, sparse=True)
        self.output = nn.Linear(D, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.output(self.embedding(ids).mean(1))


def tuned(strategy: fe.Strategy, rank: int, count: int) -> bytes:
    """Return the bits of a table tuned by several processes, each on its share of every batch."""
    model = Classifier()
    called: nn.Module = model
    if count > 1:
        if rank:  # it must get the values of rank 0
            with torch.no_grad():
                model.embedding.weight.add_(1)
        broadcast_table(model.embedding.get_parameter("weight"))
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
            model, ["embedding.weight"]
        )
        called = DistributedDataParallel(model)
    groups = strategy.param_groups(model, model.embedding, lr=0.05, vocab=VOCAB)
    optimizer = fe.RowAdamW(groups, exchange=True)
    for epoch in range(EPOCHS):
        strategy.on_epoch_start(model.embedding, epoch, model=model)
        for ids, labels in BATCHES:
            optimizer.zero_grad()
            cross_entropy(called(ids[rank::count]), labels[rank::count]).backward()
            optimizer.step()
    optimizer.flush()
    return model.embedding.weight.detach().numpy().tobytes()


def main() -> None:
    """Tune with every strategy, and save the bits."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank, count = torch.distributed.get_rank(), torch.distributed.get_world_size()
    bits = {str(strategy): tuned(strategy, rank, count).hex() for strategy in STRATEGIES}
    Path(sys.argv[1], f"bits-{os.environ['RANK']}.json").write_text(json.dumps(bits))
    torch.distributed.destroy_process_group()
    # The wrapped models still hold the threads of the group, which may abort a normal exit.
    os._exit(0)


if __name__ == "__main__":
    main()
