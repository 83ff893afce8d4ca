from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from finetune_embed import BagOfEmbeddings, DataError, DiscriminativeLR, KimCNN
from finetune_embed.heads import HEADS, build_head

IDS = torch.tensor([[2, 3, 4, 2], [5, 0, 0, 0], [0, 0, 0, 0], [6, 2, 0, 0]])
LENGTHS = torch.tensor([4, 1, 0, 2])


@pytest.fixture(params=[False, True], ids=["dense", "sparse"])
def embedding(request):
    return nn.Embedding(8, 5, padding_idx=0, sparse=request.param)


def linear_layers(hidden):
    return [part for part in (hidden.modules() if hidden else ()) if isinstance(part, nn.Linear)]


def slow_bag(model, ids, lengths):
    rows = []
    for row, length in zip(ids.tolist(), lengths.tolist(), strict=True):
        vectors = [model.embedding.weight[i] for i in row[:length]]
        mean = sum(vectors) / length if length else torch.zeros(5)
        for layer in linear_layers(model.hidden):
            mean = (layer.weight @ mean + layer.bias).clamp(min=0)
        rows.append(model.output.weight @ mean + model.output.bias)
    return torch.stack(rows)


def slow_cnn(model, ids, lengths):
    """Slide every filter over the words, with a window's width less one of zeros around them."""
    logits = []
    for row, length in zip(ids.tolist(), lengths.tolist(), strict=True):
        maxima = []
        for convolution in model.convolutions.widths:
            width = convolution.kernel_size[0]
            around = torch.zeros(width - 1, 5)
            words = torch.cat([around, model.embedding.weight[row[:length]], around])
            features = [
                (convolution.weight * words[at : at + width].T).sum((1, 2)) + convolution.bias
                for at in range(len(words) - width + 1)
            ]
            features.append(torch.zeros(len(convolution.bias)))
            maxima.append(torch.stack(features).amax(0))
        logits.append(model.output.weight @ torch.cat(maxima) + model.output.bias)
    return torch.stack(logits)


@pytest.mark.parametrize(("hidden", "layers"), [(0, 1), (7, 1), (7, 3)])
def test_bag_equals_a_slow_mean(embedding, hidden, layers):
    model = BagOfEmbeddings(embedding, 3, hidden=hidden, layers=layers)
    assert len(linear_layers(model.hidden)) == (layers if hidden else 0)
    logits = model(IDS, LENGTHS)
    assert logits.shape == (4, 3)
    torch.testing.assert_close(logits, slow_bag(model, IDS, LENGTHS))


def test_packed_texts_have_the_bits_of_padded_ones(embedding):
    model = BagOfEmbeddings(embedding, 3, hidden=4)
    assert model.packed is True
    packed = IDS[IDS != 0]
    ends = []
    for ids in (IDS, packed):
        model.zero_grad()
        logits = model(ids, LENGTHS)
        logits.square().sum().backward()
        ends.append((logits, *(p.grad.to_dense() for p in model.parameters())))
    assert len(ends[0]) == 6
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("form", ["packed", "padded"])
def test_padding_in_a_text_is_left_out(embedding, form):
    model = BagOfEmbeddings(embedding, 3)
    ids = torch.tensor([[2, 0, 3], [0, 0, 0], [4, 5, 6]])
    lengths = torch.tensor([3, 3, 3])
    logits = model(ids.flatten() if form == "packed" else ids, lengths)
    texts = torch.tensor([[2, 3, 0], [0, 0, 0], [4, 5, 6]])
    assert torch.equal(logits, model(texts, torch.tensor([2, 0, 3])))
    torch.testing.assert_close(logits, slow_bag(model, texts, torch.tensor([2, 0, 3])))


def test_without_a_padding_row_lengths_define_what_is_padding():
    model = BagOfEmbeddings(nn.Embedding(8, 5), 3)
    torch.testing.assert_close(model(IDS, LENGTHS), slow_bag(model, IDS, LENGTHS))


def test_no_text_has_a_word(embedding):
    model = BagOfEmbeddings(embedding, 3)
    logits = model(torch.zeros(0, dtype=torch.int64), torch.tensor([0, 0]))
    assert torch.equal(logits, model.output.bias.expand(2, 3))
    logits.sum().backward()
    assert not embedding.weight.grad.to_dense().any()


def test_a_larger_table_instead_of_the_weight(embedding):
    """Evaluation looks words up in more rows than were trained."""
    model = BagOfEmbeddings(embedding, 3)
    with torch.no_grad():
        rows = torch.cat([embedding.weight, torch.ones(4, 5)])
        logits = functional_call(
            model, {"embedding.weight": rows}, (torch.tensor([11, 2]), torch.tensor([1, 1]))
        )
        torch.testing.assert_close(logits[0], model.output(torch.ones(5)))
        alone = model(torch.tensor([2]), torch.tensor([1]))[0]
        torch.testing.assert_close(logits[1], alone)  # a matrix of one row may be summed otherwise


class Doubled(nn.Embedding):
    def forward(self, ids):
        return 2 * super().forward(ids)


@pytest.mark.parametrize("kind", ["hook", "subclass", "max_norm"])
def test_a_custom_embedding_is_called(kind):
    """Its own forward counts, and its gradient is that of a slow mean."""
    torch.manual_seed(0)
    table = (Doubled if kind == "subclass" else nn.Embedding)(8, 5, padding_idx=0, sparse=True)
    plain = nn.Embedding.from_pretrained(table.weight.detach().clone(), padding_idx=0, freeze=False)
    factor = 1.0 if kind == "max_norm" else 2.0
    if kind == "hook":
        table.register_forward_hook(lambda module, inputs, output: 2 * output)
    elif kind == "max_norm":
        table.max_norm = 0.5
        with torch.no_grad():
            plain.weight.mul_((0.5 / plain.weight.norm(dim=1, keepdim=True)).clamp(max=1))
    model, other = BagOfEmbeddings(table, 3), BagOfEmbeddings(plain, 3)
    with torch.no_grad():
        other.output.weight.copy_(factor * model.output.weight)
        other.output.bias.copy_(model.output.bias)
    for ids in (IDS, IDS[IDS != 0]):
        torch.testing.assert_close(model(ids, LENGTHS), other(ids, LENGTHS), rtol=1e-4, atol=1e-6)
    model(IDS, LENGTHS).square().sum().backward()
    other(IDS, LENGTHS).square().sum().backward()
    torch.testing.assert_close(
        table.weight.grad.to_dense(), plain.weight.grad, rtol=1e-4, atol=1e-5
    )


def test_hidden_layers_are_parts_for_a_strategy(embedding):
    model = build_head("bag(hidden=4, layers=3)", embedding, 2)
    groups = DiscriminativeLR(decay=0.5).param_groups(model, embedding, lr=1.0)
    assert {group["name"]: group["lr"] for group in groups} == {
        "embedding": 0.5**4,
        "hidden.0": 0.5**3,
        "hidden.2": 0.5**2,
        "hidden.4": 0.5,
        "output": 1.0,
    }
    names = [name for name, _ in BagOfEmbeddings(embedding, 2, hidden=4).named_parameters()]
    assert names[1:] == ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]


def test_an_empty_text_has_the_logits_of_a_zero_vector(embedding):
    model = BagOfEmbeddings(embedding, 3)
    assert torch.equal(
        model(torch.zeros(1, 1, dtype=torch.int64), torch.tensor([0]))[0], model.output.bias
    )


@pytest.mark.parametrize("widths", [(1,), (2,), (3, 4), (1, 2, 6)])
def test_cnn_equals_slow_filters(embedding, widths):
    model = KimCNN(embedding, 3, filters=6, widths=widths).eval()
    logits = model(IDS, LENGTHS)
    assert logits.shape == (4, 3)
    torch.testing.assert_close(logits, slow_cnn(model, IDS, LENGTHS))


def test_cnn_with_biases_above_zero_sees_no_padding(embedding):
    # The bias alone wins in windows of padding, were they counted.
    model = KimCNN(embedding, 2, filters=4, widths=(1, 3)).eval()
    with torch.no_grad():
        for convolution in model.convolutions.widths:
            convolution.weight.abs_().neg_()
            convolution.bias.fill_(10)
        embedding.weight[1:].abs_()
    alone = model(torch.tensor([[2, 3]]), torch.tensor([2]))
    padded = model(torch.tensor([[2, 3, 0, 0, 0, 0, 0]]), torch.tensor([2]))
    torch.testing.assert_close(padded, alone)


def test_the_second_channel_keeps_the_start_and_is_added(embedding):
    model = KimCNN(embedding, 3, filters=6, widths=(2, 3), channels=2).eval()
    start = embedding.weight.detach().clone()
    with torch.no_grad():
        embedding.weight[2:].add_(torch.randn(6, 5))
    one = KimCNN(nn.Embedding.from_pretrained(start + embedding.weight.detach()), 3, 6, (2, 3))
    one.load_state_dict(model.state_dict() | {"embedding.weight": one.embedding.weight}, False)
    torch.testing.assert_close(model(IDS, LENGTHS), one.eval()(IDS, LENGTHS))
    assert torch.equal(model.start, start)
    assert not any(parameter is model.start for parameter in model.parameters())


def test_a_word_beyond_the_table_is_the_same_in_both_channels(embedding):
    model = KimCNN(embedding, 3, filters=6, channels=2).eval()
    with torch.no_grad():
        embedding.weight[2:].add_(1)
    more = torch.randn(2, 5)
    wide = torch.cat([embedding.weight.detach(), more])
    ids, lengths = torch.tensor([[2, 9, 8, 0]]), torch.tensor([3])
    logits = torch.func.functional_call(model, {"embedding.weight": wide}, (ids, lengths))
    both = torch.cat([model.start, more]) + wide
    expected = KimCNN(nn.Embedding.from_pretrained(both), 3, filters=6).eval()
    state = {n: v for n, v in model.state_dict().items() if n not in ("embedding.weight", "start")}
    expected.load_state_dict(state, strict=False)
    torch.testing.assert_close(logits, expected(ids, lengths))
    own = torch.func.functional_call(model, {"embedding.weight": wide}, (IDS, LENGTHS))
    torch.testing.assert_close(own, model(IDS, LENGTHS))


def test_a_second_channel_whose_table_was_replaced_is_an_error(embedding):
    model = KimCNN(embedding, 3, channels=2)
    model.embedding = nn.Embedding(9, 5)
    with pytest.raises(DataError, match=r"has 8 rows, the embedding 9, .*: head=lambda"):
        model(IDS, LENGTHS)


@pytest.mark.parametrize(
    "text",
    ["bag", "bag(hidden=4)", "cnn(filters=8)", "cnn(widths=(1,))", "cnn(filters=8, channels=2)"],
)
@pytest.mark.parametrize("more", [1, 2, 30])
def test_longer_padding_changes_nothing(embedding, text, more):
    model = build_head(text, embedding, 3).eval()
    longer = nn.functional.pad(IDS, (0, more))
    torch.testing.assert_close(model(longer, LENGTHS), model(IDS, LENGTHS))


@pytest.mark.parametrize("text", ["bag", "bag(hidden=4)", "cnn(filters=8, dropout=0.0)"])
def test_the_gradient_reaches_every_word_of_the_batch_and_no_other_row(embedding, text):
    model = build_head(text, embedding, 3)
    nn.functional.cross_entropy(model(IDS, LENGTHS), torch.tensor([0, 1, 2, 0])).backward()
    gradient = embedding.weight.grad.to_dense()
    assert (gradient != 0).any(dim=1).tolist() == [
        False,
        False,
        True,
        True,
        True,
        True,
        True,
        False,
    ]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


def test_the_gradient_of_the_bag_is_the_one_of_the_slow_mean(embedding):
    model = BagOfEmbeddings(embedding, 3)
    labels = torch.tensor([0, 1, 2, 0])
    nn.functional.cross_entropy(model(IDS, LENGTHS), labels).backward()
    fast = embedding.weight.grad.to_dense().clone()
    model.zero_grad()
    embedding.weight.grad = None
    nn.functional.cross_entropy(slow_bag(model, IDS, LENGTHS), labels).backward()
    torch.testing.assert_close(fast, embedding.weight.grad)


def test_dropout_acts_in_training_alone(embedding):
    for text in ("bag(dropout=0.5)", "cnn(dropout=0.5)"):
        model = build_head(text, embedding, 3)
        assert not torch.equal(model(IDS, LENGTHS), model(IDS, LENGTHS))
        model.eval()
        assert torch.equal(model(IDS, LENGTHS), model(IDS, LENGTHS))


def test_an_empty_batch(embedding):
    for text, head in HEADS.items():
        model = build_head(text, embedding, 3)
        expected = (0, 4, 3) if getattr(head, "per_word", False) else (0, 3)
        ids, lengths = torch.zeros(0, 4, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
        assert model(ids, lengths).shape == expected


def test_heads_from_text_forms(embedding):
    bag = build_head("bag(hidden=100, dropout=0.25)", embedding, 4)
    assert isinstance(bag, BagOfEmbeddings)
    assert bag.embedding is embedding
    assert bag.hidden.weight.shape == (100, 5)
    assert bag.output.weight.shape == (4, 100)
    assert bag.dropout.p == 0.25
    cnn = build_head("cnn(filters=50, widths=(2, 3))", embedding, 4)
    assert isinstance(cnn, KimCNN)
    assert [tuple(c.weight.shape) for c in cnn.convolutions.widths] == [(50, 5, 2), (50, 5, 3)]
    assert cnn.output.weight.shape == (4, 100)
    assert [tuple(c.weight.shape) for c in KimCNN(embedding, 2).convolutions.widths] == [
        (100, 5, 3),
        (100, 5, 4),
        (100, 5, 5),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lstm", r"no head is called 'lstm' \(did you mean bilstm\?\); choose from bag, cnn"),
        ("bagg", "did you mean bag"),
        (
            "bag(hiden=3)",
            r"no option 'hiden' \(did you mean hidden\?\); write bag\(hidden=..., dropout=",
        ),
        ("bag(num_labels=3)", "bag has no option 'num_labels'"),
        ("bag(dropout=2)", "dropout=2 must be a number of 0 or more and below 1$"),
        (
            "bag(hidden=3, layers=0)",
            r"layers=0 must be 1 or more; .* hidden=0",
        ),
        ("bag(hidden=-1)", "hidden=-1 must be 0 or more$"),
        ("bag(hidden='x')", r"hidden='x' must be a whole number from 0 to 1,000,000$"),
        ("bag(hidden=1.5)", r"hidden=1\.5 must be a whole number from 0 to 1,000,000$"),
        ("bag(hidden=True)", "hidden=True must be a whole number"),
        ("bag(hidden=None)", "hidden=None must be a whole number"),
        ("bag(hidden=10000000)", "hidden=10000000 must be a whole number from 0 to 1,000,000"),
        (
            "bag(hidden=1000000, layers=2)",
            r"bag\(hidden=1000000, layers=2\) is too large to build$",
        ),
        ("bag(hidden=3, layers=1.0)", r"layers=1\.0 must be a whole number"),
        ("bag(dropout='x')", "dropout='x' must be a number of 0 or more and below 1$"),
        ("bag(dropout=1j)", "dropout=1j must be a number"),
        ("bag(dropout=-0.1)", r"dropout=-0\.1 must be a number"),
        ("bag(dropout=1)", "dropout=1 must be a number of 0 or more and below 1"),
        ("cnn(widths=3)", r"widths=3 must be one or more numbers of words"),
        ("cnn(widths='ab')", r"widths='ab' must be one or more numbers of words"),
        ("cnn(widths={2: 3})", r"widths=\{2: 3\} must be one or more numbers of words"),
        ("cnn(widths=(2.5,))", r"widths=2\.5 must be a whole number"),
        ("cnn(filters='a')", "filters='a' must be a whole number"),
        ("cnn(channels=True)", "channels=True must be 1, or 2"),
        (
            "cnn(widths=())",
            r"widths=\(\) must be one or more .* widths=\(3, 5\)",
        ),
        ("cnn(widths=(0,))", r"widths=\(0,\) must be one or more numbers of words"),
        ("cnn(filters=0)", "filters=0 must be 1 or more"),
        ("cnn(channels=3)", "channels=3 must be 1, or 2 for a second one"),
    ],
)
def test_wrong_text_forms(embedding, text, message):
    with pytest.raises(DataError, match=message):
        build_head(text, embedding, 2)


@pytest.mark.parametrize(
    ("text", "option", "value"),
    [
        ("bag(layers=0)", "layers", 0),
        ("cnn(filters=0)", "filters", 0),
        ("cnn(widths=())", "widths", ()),
        ("cnn(channels=3)", "channels", 3),
        ("bilstm(hidden=0)", "hidden", 0),
        ("cnn_tagger(layers=0)", "layers", 0),
        ("cnn_tagger(widths=(2,))", "widths", (2,)),
    ],
)
def test_errors_name_the_option_of_the_head(embedding, text, option, value):
    with pytest.raises(DataError) as raised:
        build_head(text, embedding, 2)
    assert (raised.value.option, raised.value.value) == (option, value)
