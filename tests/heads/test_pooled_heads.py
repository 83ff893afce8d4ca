"""Pooling and `pooled_cnn`: the numbers of a plain reference, packed or padded, sparse or dense."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import finetune_embed as fe
from finetune_embed import BagOfEmbeddings, DataError, PooledCNN
from finetune_embed.heads import build_head
from finetune_embed.optim import kernels

V, D, C = 9, 5, 3
IDS = torch.tensor([[2, 3, 4, 2], [5, 0, 0, 0], [0, 0, 0, 0], [6, 2, 0, 0]])
LENGTHS = torch.tensor([4, 1, 0, 2])
TEXTS = st.lists(st.lists(st.integers(1, V - 1), max_size=6), min_size=1, max_size=6)
POOLINGS = ["mean", "max", "min", "mean+max", "max+mean", "mean+max+min"]
HEADS: dict[str, Callable[[nn.Embedding], nn.Module]] = {
    **{
        f"bag {p}": lambda table, p=p: BagOfEmbeddings(table, C, hidden=4, pooling=p)
        for p in POOLINGS
    },
    "cnn": lambda table: PooledCNN(table, C, filters=4, dropout=0),
    "cnn max": lambda table: PooledCNN(
        table, C, filters=3, widths=(1, 4), dropout=0, pooling="max"
    ),
}


def table(sparse: bool = False, **options: object) -> nn.Embedding:
    torch.manual_seed(1)
    return nn.Embedding(V, D, padding_idx=0, sparse=sparse, **options)


def packed(texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([i for text in texts for i in text], dtype=torch.int64)
    return ids, torch.tensor([len(text) for text in texts])


def padded(texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max([1, *map(len, texts)])
    rows = [[*text, *[0] * (longest - len(text))] for text in texts]
    return torch.tensor(rows), torch.tensor([len(text) for text in texts])


def slow(model: nn.Module, texts: list[list[int]]) -> torch.Tensor:
    """Text by text: pooled vectors, and the largest of each filter, whose windows may end late."""
    made = []
    for text in texts:
        vectors = model.embedding.weight[text]
        kinds = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}
        parts = [kinds[p](vectors, 0) if text else torch.zeros(D) for p in model.pools]
        if isinstance(model, BagOfEmbeddings):
            units = torch.cat(parts)
            if model.hidden is not None:
                units = torch.relu(model.hidden(units))
            made.append(model.output(units))
            continue
        for convolution in model.convolutions.widths:
            width = convolution.kernel_size[0]
            late = torch.cat([vectors, torch.zeros(width - 1, D)])
            windows = [late[at : at + width].T for at in range(len(text))]
            found = [(convolution.weight * w).sum((1, 2)) + convolution.bias for w in windows]
            none = [convolution.bias]  # of a text without a window
            parts.append(torch.relu(torch.stack(found or none).amax(0)))
        made.append(model.output(torch.cat(parts)))
    return torch.stack(made)


def ends(model: nn.Module, logits: torch.Tensor) -> list[torch.Tensor]:
    """The logits, and the gradients of a loss that weighs them."""
    model.zero_grad()
    (logits * torch.linspace(-1, 2, logits.numel()).reshape(logits.shape)).sum().backward()
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    return [logits, *(grad.to_dense().clone() for grad in grads)]


def close(one: list[torch.Tensor], other: list[torch.Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
@given(texts=TEXTS, sparse=st.booleans(), native=st.booleans())
def test_logits_and_gradients_are_those_of_a_plain_reference(name, texts, sparse, native):
    with pytest.MonkeyPatch.context() as patch:
        if not native:
            patch.setattr(kernels, "native", None)
        model = HEADS[name](table(sparse))
        expected = ends(model, slow(model, texts))
        for batch in (packed(texts), padded(texts)):
            close(ends(model, model(*batch)), expected)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("sparse", [False, True])
def test_packed_texts_have_the_bits_of_padded_ones(name, sparse):
    model = HEADS[name](table(sparse))
    found = [ends(model, model(ids, LENGTHS)) for ids in (IDS, IDS[IDS != 0])]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("name", HEADS)
def test_the_sparse_gradient_is_the_dense_one(name):
    made = []
    for sparse in (False, True):
        model = HEADS[name](table(sparse))
        torch.manual_seed(2)
        for parameter in list(model.parameters())[1:]:
            nn.init.normal_(parameter)
        made.append(ends(model, model(IDS, LENGTHS)))
        assert model.embedding.weight.grad.is_sparse == sparse
    close(*made)


@pytest.mark.parametrize("name", HEADS)
def test_padding_in_a_text_is_left_out(name):
    model = HEADS[name](table()).eval()
    ids = torch.tensor([[2, 0, 3], [0, 0, 0], [4, 5, 6]])
    expected = model(torch.tensor([2, 3, 4, 5, 6]), torch.tensor([2, 0, 3]))
    assert torch.equal(model(ids, torch.tensor([3, 3, 3])), expected)
    assert torch.equal(model(ids.flatten(), torch.tensor([3, 3, 3])), expected)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("sparse", [False, True])
def test_empty_texts_alone(name, sparse):
    model = HEADS[name](table(sparse))
    nothing = torch.zeros(0, dtype=torch.int64)
    for batch in (
        (nothing, torch.tensor([0, 0])),
        (torch.zeros(2, 3).long(), torch.tensor([0, 0])),
    ):
        logits = model(*batch)
        assert torch.equal(logits[0], logits[1])
        torch.testing.assert_close(logits, slow(model, [[], []]))
        logits.sum().backward()
        grad = model.embedding.weight.grad
        assert grad is None or not grad.to_dense().any()


class Halved(nn.Embedding):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids) / 2


def hooked(table: nn.Embedding) -> nn.Embedding:
    table.register_forward_hook(lambda module, given, rows: rows / 2)
    return table


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("kind", ["subclass", "hook"])
def test_an_embedding_of_the_callers_is_called(name, kind):
    """One with a forward of its own or with hooks; the result is that of half the vectors."""
    plain = table()
    own = hooked(table()) if kind == "hook" else Halved(V, D, padding_idx=0)
    with torch.no_grad():
        own.weight.copy_(plain.weight)
        plain.weight /= 2
    model, other = HEADS[name](own), HEADS[name](plain)
    with torch.no_grad():
        for mine, theirs in list(zip(model.parameters(), other.parameters(), strict=True))[1:]:
            mine.copy_(theirs)
    for ids in (IDS, IDS[IDS != 0]):
        torch.testing.assert_close(model(ids, LENGTHS), other(ids, LENGTHS))


@pytest.mark.parametrize(
    "pooling", ["", "sum", "mean+", "mean+mean", "mean max", "Mean", None, 3, ["mean"], "max+sum"]
)
@pytest.mark.parametrize("head", [BagOfEmbeddings, PooledCNN])
def test_other_poolings_are_refused(head, pooling):
    with pytest.raises(DataError) as caught:
        head(table(), C, pooling=pooling)
    assert (caught.value.option, caught.value.value) == ("pooling", pooling)
    assert "must be one or more of mean, max, min, joined by +" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["pooled_cnn", "pooled_cnn(filters=7, widths=(3,), dropout=0.1, pooling='max')",
     "bag(pooling='mean+max')", "bag(pooling='min', hidden=4)"],
)  # fmt: skip
def test_text_forms(text):
    model = build_head(text, table(), C)
    assert model(IDS, LENGTHS).shape == (4, C)
    assert model.packed is model.only_looks_up is True


@pytest.mark.parametrize(
    "options",
    [{"filters": 0}, {"widths": ()}, {"widths": (0,)}, {"dropout": 1.0}, {"filters": 1.5}],
)
def test_options_of_pooled_cnn_are_checked(options):
    with pytest.raises(DataError):
        PooledCNN(table(), C, **options)


def test_the_order_of_words_counts():
    model = PooledCNN(table(), C, filters=4).eval()
    one, other = model(torch.tensor([2, 3, 3, 2]), torch.tensor([2, 2]))
    assert not torch.allclose(one, other)
    bag = BagOfEmbeddings(table(), C, pooling="mean+max+min").eval()
    one, other = bag(torch.tensor([2, 3, 3, 2]), torch.tensor([2, 2]))
    torch.testing.assert_close(one, other)


def test_dropout_is_on_the_filters_alone():
    model = PooledCNN(table(), C, filters=4, dropout=0.5)
    with torch.no_grad():
        model.output.weight[:, 3 * D :] = 0
    assert torch.equal(model(IDS, LENGTHS), model(IDS, LENGTHS))
    with torch.no_grad():
        model.output.weight[:, 3 * D :] = 1
    assert not torch.equal(model(IDS, LENGTHS), model(IDS, LENGTHS))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Dynamo does not know how to trace the builtin:UserWarning")
@pytest.mark.filterwarnings(r"ignore:The \.grad attribute of a Tensor that is not:UserWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is dep:DeprecationWarning")
@pytest.mark.parametrize("name", ["bag mean+max", "cnn"])
def test_a_compiled_head_gives_the_same(name):
    model = HEADS[name](table(sparse=True))
    compiled = torch.compile(model, backend="aot_eager")
    close(ends(model, compiled(IDS, LENGTHS)), ends(model, model(IDS, LENGTHS)))


def test_other_number_types():
    for dtype in (torch.float64, torch.bfloat16):
        model = PooledCNN(table(dtype=dtype), C, filters=4)
        logits = model(IDS, LENGTHS)
        assert logits.dtype == dtype
        logits.sum().backward()


def test_rows_outside_the_batch_do_not_move():
    model = PooledCNN(table(sparse=True), C, filters=4)
    optimizer = fe.RowAdamW(fe.FullTune().param_groups(model, model.embedding, lr=0.1))
    before = model.embedding.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        model(IDS, LENGTHS).square().sum().backward()
        optimizer.step()
    optimizer.flush()
    moved = (model.embedding.weight != before).any(1).nonzero()[:, 0].tolist()
    assert moved == [2, 3, 4, 5, 6]
