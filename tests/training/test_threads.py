"""A run uses as many threads as its work is worth, and gives the same bits with any."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS
from finetune_embed.optim import kernels, own_threads
from finetune_embed.training import loop
from finetune_embed.training.runtime.threads import WORTH, head_work, worthwhile_threads


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_little_work_gets_one_thread_of_torch_and_loops_start_their_own():
    with worthwhile_threads(WORTH - 1):
        assert (torch.get_num_threads(), kernels.thread_count()) == (1, -2)
    assert (torch.get_num_threads(), kernels.thread_count()) == (2, 2)
    with worthwhile_threads(WORTH):
        assert (torch.get_num_threads(), kernels.thread_count()) == (2, 2)
    with pytest.raises(KeyError), worthwhile_threads(0):
        raise KeyError
    assert (torch.get_num_threads(), kernels.thread_count()) == (2, 2)


def test_a_thread_that_starts_meanwhile_gets_back_what_was_set():
    """It starts with one thread of torch, since that is what was set last in the process."""
    found, inside, started = [], threading.Event(), threading.Event()

    def later() -> None:
        started.wait()
        with worthwhile_threads(0):
            inside.set()
        found.append(torch.get_num_threads())
        with worthwhile_threads(WORTH):
            found.append(torch.get_num_threads())

    thread = threading.Thread(target=later)
    thread.start()
    with worthwhile_threads(0):
        with worthwhile_threads(0):
            assert (torch.get_num_threads(), kernels.thread_count()) == (1, -2)
        assert (torch.get_num_threads(), kernels.thread_count()) == (1, -2)
        started.set()
        inside.wait()
    thread.join()
    assert found == [2, 2]
    assert (torch.get_num_threads(), kernels.thread_count()) == (2, 2)


def test_the_work_of_a_head_leaves_out_the_table():
    embedding = nn.Embedding(1_000, 50)
    bag = fe.BagOfEmbeddings(embedding, 4)
    assert head_work(bag, embedding.weight, texts=10, tokens=1_000.0) == 6 * (50 * 4 + 4) * 10
    cnn = fe.KimCNN(embedding, 4, filters=10, widths=(3,))
    expected = 6 * (50 * 3 * 10 + 10 + 10 * 4 + 4) * 1_000.0
    assert head_work(cnn, embedding.weight, texts=10, tokens=1_000.0) == expected


@pytest.mark.parametrize(("head", "threads"), [("bag", 1), ("cnn", 2)])
def test_a_run_trains_with_them_and_restores_what_was_set(head, threads, monkeypatch):
    seen = set()
    real = loop.take_step

    def noted(*args: object) -> float:
        seen.add(torch.get_num_threads())
        return real(*args)

    monkeypatch.setattr(loop, "take_step", noted)
    fe.finetune(VECTORS, REVIEWS, head=head, epochs=1, max_steps=2)
    assert seen == {threads}
    assert torch.get_num_threads() == 2
    with pytest.raises(fe.DivergenceError):
        fe.finetune(VECTORS, REVIEWS, head=head, lr=1e30, epochs=1, max_steps=9)
    assert torch.get_num_threads() == 2


@pytest.mark.skipif(kernels.native is None, reason="the compiled loops were not built here")
def test_loops_give_the_same_bits_with_any_number_of_threads():
    random = np.random.default_rng(0)
    values = torch.from_numpy(random.normal(size=(300, 300)).astype(np.float32))
    ids = torch.from_numpy(random.integers(0, 5_000, 60_000))
    groups = kernels.Groups.of(ids, 5_000, torch.full((300,), 200))
    found = [kernels.sum_groups(values, groups)]
    for count in (1, 2, 3, 8):
        with own_threads(count):
            found.append(kernels.sum_groups(values, groups))
    assert all(torch.equal(found[0], one) for one in found[1:])
