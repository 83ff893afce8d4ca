"""Predictions: the same from any thread, and no more work for a larger vocabulary."""

from __future__ import annotations

import copy
import itertools
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn

import finetune_embed as fe
from finetune_embed.training import predictor
from finetune_embed.training.inference import forward_all
from finetune_embed.training.runtime.threads import worthwhile_threads
from finetune_embed.vocabulary import tokenize_texts

SEEN, UNSEEN = [f"w{i}" for i in range(30)], [f"x{i}" for i in range(300)]
TEXTS = [
    "w0 w1 w2",
    "w3 x4 nowhere",
    "",
    "x5 x6",
    "nowhere at all",
    "w7 w7 W8 <unk> x9",
    "<pad> w1",
]


class OwnHead(nn.Module):
    """A head of a caller's own that also weighs each word of the vocabulary by its id."""

    def __init__(self, embedding: nn.Embedding, labels: int) -> None:
        super().__init__()
        self.embedding, self.output = embedding, nn.Linear(embedding.embedding_dim, labels)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        weights = torch.where(ids < 10, 2.0, 1.0)[..., None]
        centre = self.embedding.weight[:5].mean(dim=0)  # other rows than those of the text
        return self.output((self.embedding(ids) * weights).mean(dim=1) + centre)


class Twice(OwnHead):
    """A head that has its table under two names."""

    def __init__(self, embedding: nn.Embedding, labels: int) -> None:
        super().__init__(embedding, labels)
        self.again = nn.Embedding.from_pretrained(embedding.weight, freeze=False)
        self.again.weight = embedding.weight

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return super().forward(ids, lengths) + self.output(self.again(ids).sum(dim=1))


class NoLength(nn.Sequential):
    """Modules that are false, as one of no length is."""

    def __len__(self) -> int:
        return 0


class WithDropout(OwnHead):
    """A head whose logits differ from call to call unless all of its modules are evaluated."""

    def __init__(self, embedding: nn.Embedding, labels: int) -> None:
        super().__init__(embedding, labels)
        self.dropout = NoLength(nn.Dropout(0.5))
        self.register_module("unused", None)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.dropout(super().forward(ids, lengths))


def run_with(head: Any = "bag", **settings: Any) -> fe.Run:
    vectors = np.random.default_rng(0).standard_normal((330, 6)).astype(np.float32)
    texts = [" ".join(SEEN[i : i + 3]) for i in range(28)]
    labels: list[Any] = ["a", "b"] * 14
    if head in TAGGERS:
        texts, labels = [text.split() for text in texts], [["O", "B-x", "I-x"]] * 28
    rows = {"text": texts, "other": texts[::-1], "label": labels}
    data = Dataset.from_dict(rows)
    if head == PAIR:
        settings["text"] = ("text", "other")
    return fe.finetune(
        fe.EmbeddingTable([*SEEN, *UNSEEN], vectors), data, head=head,
        **{"epochs": 1, "lr": 0.1, "fallback": ("lower",), **settings},
    )  # fmt: skip


def expected(run: fe.Run, texts: list[Any]) -> torch.Tensor:
    """The logits of a plain forward pass over the vocabulary's rows, then all rows of the table."""
    model, vocab = copy.deepcopy(run.model), run.vocab
    table = model.embedding
    every = torch.cat([table.weight.detach(), torch.from_numpy(np.array(run.table.vectors))])
    found = tokenize_texts(texts, vocab.tokenizer)
    ids = []
    for word in found.tokens:
        rows = run.table.rows_of([word, word.lower()])
        far = next((len(vocab) + int(row) for row in rows if row >= 0), vocab.unk_idx)
        ids.append(vocab.key_to_index.get(word, far))
    lengths = torch.from_numpy(found.lengths.astype(np.int64))
    flat = torch.tensor(ids, dtype=torch.int64)[torch.from_numpy(found.numbers.astype(np.int64))]
    data = fe.data.EncodedTexts(flat, lengths.cumsum(0) - lengths, lengths)
    path = str(run.record["embedding"])
    data = data.paired() if run.settings["head"] == PAIR else data
    with worthwhile_threads(0):  # as `predict` does; another number gives other last bits
        return forward_all(model, path, every, data)


HEADS = ["bag", "bag(hidden=4)", "cnn", "pooled_cnn(filters=4)", OwnHead, Twice]
CHANNELS = "cnn(channels=2, filters=4, widths=(2, 3))"
PAIR = "pair"
TAGGERS = ["bilstm(hidden=3)", "cnn_tagger", "cnn_tagger(filters=3, widths=(1, 3), layers=2)"]


def test_every_ready_made_head_is_tried():
    tried = {str(head).split("(")[0] for head in [*HEADS, *TAGGERS, PAIR]}
    assert set(fe.heads.HEADS) <= tried


@pytest.mark.parametrize("head", [*HEADS, CHANNELS])
def test_logits_are_those_of_a_model_with_every_row(head):
    run = run_with(head)
    # pooled_cnn multiplies the different words in the order of their ids, which are others here
    last_bits = 1e-6 if str(head).startswith("pooled_cnn") else 0.0
    for texts in (TEXTS, *([text] for text in TEXTS), TEXTS * 40, ["w1"], TEXTS):
        found = run.logits(texts)[0]
        torch.testing.assert_close(found, expected(run, texts), rtol=last_bits, atol=last_bits)
    with torch.no_grad():  # the rows of a run that is trained further
        run.model.embedding.weight.mul_(1.5)
        run.model.embedding.weight[3] += 1
    found = run.logits(TEXTS)[0]
    torch.testing.assert_close(found, expected(run, TEXTS), rtol=last_bits, atol=last_bits)


@pytest.mark.parametrize("head", TAGGERS)
def test_logits_of_words(head):
    run = run_with(head)
    texts = [["w0", "x1", "nowhere"], ["W3"], [], ["x4", "x4"]]
    assert torch.equal(run.logits(texts)[0], expected(run, texts))
    assert [len(tags) for tags in run.predict(texts)] == [3, 1, 0, 2]


def test_logits_of_pairs():
    run = run_with(PAIR)
    pairs = list(itertools.pairwise(TEXTS))
    for given in (pairs, *([pair] for pair in pairs), pairs * 40):
        assert torch.equal(run.logits(given)[0], expected(run, [one for p in given for one in p]))


@pytest.fixture
def _hurried_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_run_is_copied_while_another_thread_predicts():
    run = run_with("bag")
    expected = fe.shrink(run, words=12).model.state_dict()
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            run.predict(TEXTS)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(40):
            found = fe.shrink(run, words=12).model.state_dict()
            assert all(torch.equal(found[name], one) for name, one in expected.items())
    finally:
        done.set()
        thread.join()


@pytest.mark.usefixtures("_hurried_threads")
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "logits"])
def test_many_threads_get_what_one_does(head, method):
    run = run_with(head)
    call: Callable[[Any], Any] = getattr(run, method)
    right = [call([text]) for text in TEXTS]
    wrong: list[Any] = []

    def work(first: int) -> None:
        for at in range(first, first + 14):
            try:
                found = call([TEXTS[at % len(TEXTS)]])
                if str(found) != str(right[at % len(TEXTS)]):
                    wrong.append(found)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    weight = run.model.embedding.weight
    assert isinstance(weight, nn.Parameter)
    assert len(weight) == len(run.vocab)


@pytest.mark.parametrize("words", [100, 20_000])
def test_a_ready_made_head_gets_only_the_rows_of_the_texts(monkeypatch, words):
    names = [f"w{i}" for i in range(words)]
    table = fe.EmbeddingTable([*names, "x0"], np.ones((words + 1, 2), np.float32))
    texts = [" ".join(names[i : i + 10]) for i in range(0, words, 10)]
    data = Dataset.from_dict({"text": texts, "label": [i % 2 for i in range(len(texts))]})
    run = fe.finetune(table, data, epochs=1, batch_size=1000)
    rows: list[int] = []

    def watched(model: Any, path: str, weight: torch.Tensor, given: Any) -> torch.Tensor:
        rows.append(len(weight))
        return forward_all(model, path, weight, given)

    def few(head: Any, given: torch.Tensor, ids: torch.Tensor, sizes: torch.Tensor) -> Any:
        rows.append(len(given))
        return from_rows(head, given, ids, sizes)

    from_rows = fe.PooledCNN.from_rows
    monkeypatch.setattr(fe.PooledCNN, "from_rows", few)
    monkeypatch.setattr(predictor, "forward_all", watched)
    monkeypatch.setattr(fe.Vocabulary, "extended", None)  # it copies the vocabulary
    run.predict(["w1 w2 x0 nowhere w1"])
    run.predict(["w1 w2 x0 nowhere w1"] * predictor.MANY)
    assert rows == [4, 5]  # four tokens, then padding and these


STRAIGHT = [
    "bag(dropout=0.5)", "bag(hidden=3)", "bag(hidden=3, layers=2)", "bag(pooling='min')",
    "bag(pooling='mean+max+min')", "pooled_cnn(filters=4)",
    "pooled_cnn(filters=3, widths=(1, 4), pooling='max')",
]  # fmt: skip


@pytest.mark.parametrize("head", STRAIGHT)
@pytest.mark.parametrize("lexical", [True, False])
def test_a_few_texts_give_what_the_head_itself_gives(monkeypatch, head, lexical):
    run = run_with(head, lexical=lexical)
    run.model.train()
    calls, random = counted_calls(monkeypatch, type(run.model)), np.random.default_rng(0)
    words = np.array([*SEEN, *UNSEEN[:30], "nowhere", "W3"])
    for count in (1, 1, 1, 2, 9):
        texts = [" ".join(random.choice(words, random.integers(1, 20))) for _ in range(count)]
        found = run.logits(texts)[0]
        assert calls == []
        with monkeypatch.context() as patch:
            patch.setattr(predictor, "MANY", 0)
            torch.testing.assert_close(run.logits(texts)[0], found, rtol=1e-6, atol=1e-6)
        assert calls.pop() == 1


def counted_calls(monkeypatch: pytest.MonkeyPatch, head: Any) -> list[int]:
    """The calls of a head from now on."""
    calls: list[int] = []
    forward = head.forward
    monkeypatch.setattr(head, "forward", lambda *given: calls.append(1) or forward(*given))
    return calls


def test_the_head_itself_is_called_where_a_few_texts_would_give_something_else(monkeypatch):
    run = run_with("bag", max_length=3)
    calls = counted_calls(monkeypatch, fe.BagOfEmbeddings)

    def count(text: str) -> int:
        before = len(calls)
        run.predict([text])
        return len(calls) - before

    assert [count(text) for text in ("w1", "", "<pad> w1", "w1 w2 w3 w4")] == [0, 1, 1, 1]
    model, output = run.model, run.model.output
    for module in (model, model.embedding, model.dropout, output):
        hook = module.register_forward_hook(lambda *_: None)
        assert count("w1") == 1
        hook.remove()
    assert count("w1") == 0
    model.output = nn.Sequential(nn.Dropout(0.5), output)  # in training mode
    assert torch.equal(run.logits(["w1"] * 9)[0], run.logits(["w1"])[0].expand(9, 2))
    model.output = output
    model.forward = lambda ids, lengths: torch.ones(len(lengths), 2)
    assert run.logits(["w1"])[0].tolist() == [[1.0, 1.0]]
    del model.forward
    model.double()
    assert count("w1") == 1


def test_the_rows_of_a_head_of_ones_own_are_copied_once(monkeypatch):
    run = run_with(OwnHead)
    sizes: list[int] = []
    monkeypatch.setattr(
        predictor, "forward_all",
        lambda model, path, weight, data: sizes.append(weight.data_ptr())
        or forward_all(model, path, weight, data),
    )  # fmt: skip
    for text in ("w1", "x1 w2", "x2 x3", "nowhere", "x4", "w1"):
        run.predict([text])
    own = run.model.embedding.weight.data_ptr()
    assert [size == own for size in sizes] == [True, False, False, True, False, True]
    assert len(set(sizes)) == 2


def test_a_failed_pass_leaves_the_model_as_it_was():
    run = run_with(OwnHead)
    before = run.predict_proba(["x1"])
    run.model.output.weight.data = torch.zeros(2, 3)
    with pytest.raises(RuntimeError):
        run.predict(["x1"])
    run.model.output.weight.data = torch.zeros(2, 6)
    assert len(run.model.embedding.weight) == len(run.vocab)
    assert run.predict_proba(["x1"]).shape == before.shape


def test_evaluation_mode_is_that_of_each_module_again():
    run = run_with(WithDropout)
    run.model.train()
    run.model.output.eval()
    assert torch.equal(run.predict_proba(["w1 x2"]), run.predict_proba(["w1 x2"]))
    model, (inner,) = run.model, run.model.dropout
    modules = (model, model.dropout, inner, model.output)
    assert [one.training for one in modules] == [True, True, True, False]


def test_unknown_words_are_counted():
    run = run_with(max_length=3)
    found = run.logits_and_unknown(["w0 x1", "nowhere", "nowhere w1 at all", "", "W2 zzz w1"])
    assert found[2].tolist() == [0, 1, 2, 0, 1]
    assert run.logits_and_unknown([])[2].tolist() == []


def test_a_run_can_be_copied_after_a_prediction():
    run = run_with()
    right = run.predict_proba(["w1 x2 x3"])
    for other in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert torch.equal(other.predict_proba(["w1 x2 x3"]), right)
