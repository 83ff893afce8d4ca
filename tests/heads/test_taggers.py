from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from finetune_embed import BiLSTMTagger, CNNTagger, DataError
from finetune_embed.heads import HEADS, build_head

IDS = torch.tensor([[2, 3, 4, 2], [5, 0, 0, 0], [6, 2, 0, 0], [4, 5, 3, 0]])
LENGTHS = torch.tensor([4, 1, 2, 3])
TAGS = torch.tensor([0, 1, 2, 0, 2, 1, 1, 0, 2, 1])
TEXTS = [
    "bilstm(hidden=4)",
    "bilstm(hidden=4, layers=2)",
    "cnn_tagger(filters=4)",
    "cnn_tagger(filters=3, widths=(1, 5), layers=3)",
]


@pytest.fixture(params=[False, True], ids=["dense", "sparse"])
def embedding(request):
    return nn.Embedding(8, 5, padding_idx=0, sparse=request.param)


def inside(lengths: torch.Tensor, columns: int) -> torch.Tensor:
    return torch.arange(columns) < lengths[:, None]


def slow_lstm(lstm: nn.LSTM, words: torch.Tensor, suffix: str) -> list[torch.Tensor]:
    """Hochreiter and Schmidhuber's cell with a forget gate, one word after the other."""
    w_ih, w_hh = getattr(lstm, f"weight_ih_l0{suffix}"), getattr(lstm, f"weight_hh_l0{suffix}")
    bias = getattr(lstm, f"bias_ih_l0{suffix}") + getattr(lstm, f"bias_hh_l0{suffix}")
    state = cell = torch.zeros(lstm.hidden_size)
    states = []
    for word in words:
        enter, forget, update, leave = (w_ih @ word + w_hh @ state + bias).chunk(4)
        cell = forget.sigmoid() * cell + enter.sigmoid() * update.tanh()
        state = leave.sigmoid() * cell.tanh()
        states.append(state)
    return states


def test_bilstm_equals_a_slow_one(embedding):
    model = BiLSTMTagger(embedding, 3, hidden=4).eval()
    logits = model(IDS, LENGTHS)
    assert logits.shape == (4, 4, 3)
    for row, length, ours in zip(IDS, LENGTHS, logits, strict=True):
        words = embedding.weight[row[:length]]
        onward = slow_lstm(model.lstm, words, "")
        backward = slow_lstm(model.lstm, words.flip(0), "_reverse")[::-1]
        states = torch.stack([torch.cat(pair) for pair in zip(onward, backward, strict=True)])
        slow = states @ model.output.weight.T + model.output.bias
        torch.testing.assert_close(ours[:length], slow)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_cnn_equals_slow_windows(embedding, layers):
    model = CNNTagger(embedding, 3, filters=4, widths=(1, 3, 5), layers=layers).eval()
    logits = model(IDS, LENGTHS)
    assert logits.shape == (4, 4, 3)
    for row, length, ours in zip(IDS, LENGTHS, logits, strict=True):
        words = embedding.weight[row[:length]]
        for layer in model.layers:
            features = []
            for convolution in layer.widths:
                width = convolution.kernel_size[0]
                around = torch.zeros(width // 2, words.shape[1])
                padded = torch.cat([around, words, around])
                windows = [padded[at : at + width] for at in range(int(length))]
                outputs = [(convolution.weight * w.T).sum((1, 2)) for w in windows]
                features.append((torch.stack(outputs) + convolution.bias).clamp(min=0))
            words = torch.cat(features, dim=1)
        torch.testing.assert_close(ours[:length], words @ model.output.weight.T + model.output.bias)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("more", [0, 1, 30])
def test_logits_of_words_are_those_of_the_text_alone(embedding, text, more):
    model = build_head(text, embedding, 3).eval()
    logits = model(functional.pad(IDS, (0, more)), LENGTHS)
    assert logits.shape == (4, 4 + more, 3)
    for row, length, ours in zip(IDS, LENGTHS, logits, strict=True):
        alone = model(row[None, :length], length[None])
        torch.testing.assert_close(ours[:length], alone[0])


@pytest.mark.parametrize("text", TEXTS)
def test_gradients_are_those_of_the_texts_alone(embedding, text):
    """With biases above zero, so that positions of padding would be seen if they counted."""
    model = build_head(text, embedding, 3).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.fill_(0.5)

    def gradients() -> dict[str, torch.Tensor]:
        found = {n: p.grad.to_dense().clone() for n, p in model.named_parameters()}
        model.zero_grad(set_to_none=True)
        return found

    logits = model(functional.pad(IDS, (0, 3)), LENGTHS)
    units = logits[inside(LENGTHS, 7)]
    functional.cross_entropy(units, TAGS, reduction="sum").backward()
    together = gradients()
    for row, length, tags in zip(IDS, LENGTHS, TAGS.split(LENGTHS.tolist()), strict=True):
        alone = model(row[None, :length], length[None])[0]
        functional.cross_entropy(alone, tags, reduction="sum").backward()
    torch.testing.assert_close(together, gradients(), rtol=1e-4, atol=1e-6)
    touched = (together["embedding.weight"] != 0).any(dim=1)
    assert touched.tolist() == [False, False, True, True, True, True, True, False]


@pytest.mark.parametrize("text", TEXTS)
def test_an_empty_text_and_an_empty_batch(embedding, text):
    model = build_head(text, embedding, 3).eval()
    ids = torch.cat([torch.zeros(1, 4, dtype=torch.int64), IDS])
    logits = model(ids, torch.cat([torch.tensor([0]), LENGTHS]))
    torch.testing.assert_close(
        logits[1:][inside(LENGTHS, 4)], model(IDS, LENGTHS)[inside(LENGTHS, 4)]
    )
    assert model(IDS[:0], LENGTHS[:0]).shape == (0, 4, 3)


@pytest.mark.parametrize("text", TEXTS)
def test_dropout_acts_in_training_alone(embedding, text):
    model = build_head(text, embedding, 3)
    assert not torch.equal(model(IDS, LENGTHS), model(IDS, LENGTHS))
    model.eval()
    assert torch.equal(model(IDS, LENGTHS), model(IDS, LENGTHS))


def test_taggers_from_text_forms(embedding):
    lstm = build_head("bilstm", embedding, 4)
    assert isinstance(lstm, BiLSTMTagger)
    assert lstm.embedding is embedding
    assert (lstm.lstm.hidden_size, lstm.lstm.num_layers, lstm.lstm.bidirectional) == (100, 1, True)
    assert (lstm.output.weight.shape, lstm.dropout.p) == ((4, 200), 0.5)
    deep = build_head("bilstm(hidden=7, layers=3, dropout=0.25)", embedding, 4)
    assert (deep.lstm.num_layers, deep.lstm.dropout, deep.dropout.p) == (3, 0.25, 0.25)
    cnn = build_head("cnn_tagger(filters=6, layers=2)", embedding, 4)
    assert isinstance(cnn, CNNTagger)
    assert [tuple(c.weight.shape) for layer in cnn.layers for c in layer.widths] == [
        (6, 5, 3),
        (6, 5, 5),
        (6, 12, 3),
        (6, 12, 5),
    ]
    assert [getattr(head, "per_word", False) for head in HEADS.values()].count(True) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bilstm(hidden=0)", "hidden=0 must be 1 or more"),
        ("bilstm(layers=0)", "layers=0 must be 1 or more"),
        ("bilstm(dropout=2)", "dropout=2 must be a number of 0 or more and below 1$"),
        ("bilstm(hidden=2.0)", r"hidden=2\.0 must be a whole number"),
        ("cnn_tagger(layers=None)", "layers=None must be a whole number"),
        ("cnn_tagger(dropout='x')", "dropout='x' must be a number"),
        ("cnn_tagger(filters=0)", "filters=0 must be 1 or more"),
        ("cnn_tagger(layers=0)", "layers=0 must be 1 or more"),
        ("cnn_tagger(widths=())", r"widths=\(\) must be one or more .*, widths=\(3, 5\)"),
        ("cnn_tagger(widths=(3, 4))", r"widths=\(3, 4\) must be odd, .*, widths=\(3, 5\)"),
        ("cnn_tagger(widths=(-1,))", r"widths=\(-1,\) must be one or more numbers of words"),
        ("bilstm_tagger", r"'bilstm_tagger' \(did you mean bilstm\?\); choose from bag, cnn"),
    ],
)
def test_wrong_text_forms(embedding, text, message):
    with pytest.raises(DataError, match=message):
        build_head(text, embedding, 2)
