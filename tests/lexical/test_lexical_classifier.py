"""The lexical classifier: the decisions of `LinearSVC`, and files of others that are refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from finetune_embed.lexical import LexicalClassifier, Texts, classifier
from finetune_embed.lexical.svm import fit_machines

V, B = 30, 80
WORDS = ["", "", *(f"word{at // 3}" + "a" * (at % 3) for at in range(2, V))]


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Machines are fitted to the minimum, so that they can be compared."""
    monkeypatch.setattr(classifier, "fit_machines", partial(fit_machines, tolerance=1e-6))


def texts_of(ids: torch.Tensor, lengths: torch.Tensor) -> Texts:
    return Texts(ids.numpy(), lengths.numpy(), ids.clamp(max=V).numpy(), [*WORDS, "new"])


def corpus(seed: int = 0) -> Texts:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, 9, (B,), generator=generator)
    return texts_of(torch.randint(0, V, (int(lengths.sum()),), generator=generator), lengths)


def single(labels: int) -> torch.Tensor:
    return torch.randint(0, labels, (B,), generator=torch.Generator().manual_seed(1))


def fit(targets: torch.Tensor, labels: int, **options: Any) -> LexicalClassifier:
    return LexicalClassifier.fit(corpus(), targets, labels, V, 2, **options)


def matrix(found: LexicalClassifier, seed: int) -> csr_matrix:
    rows = found.rows(corpus(seed))
    shape = (B, len(found.weight))
    return csr_matrix((rows.values, rows.columns, rows.starts), shape=shape)


def decisions(found: LexicalClassifier, targets: Any, seed: int, **options: Any) -> np.ndarray:
    machine = LinearSVC(random_state=0, tol=1e-6, **options).fit(matrix(found, 0), targets)
    return machine.decision_function(matrix(found, seed))


def close(ours: torch.Tensor, theirs: np.ndarray) -> None:
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("labels", [3, 7])
def test_several_classes(labels, seed):
    targets = single(labels)
    found = fit(targets, labels)
    close(found(corpus(seed)), decisions(found, targets.numpy(), seed))


@pytest.mark.parametrize("seed", [0, 5])
def test_two_classes(seed):
    targets = single(2)
    found = fit(targets, 2)
    expected = decisions(found, targets.numpy(), seed)
    close(found(corpus(seed)), np.stack([-expected, expected], 1))


def test_class_weights():
    targets, weights = single(3), (0.5, 2.0, 4.0)
    found = fit(targets, 3, weights=weights)
    theirs = decisions(found, targets.numpy(), 5, class_weight=dict(enumerate(weights)))
    close(found(corpus(5)), theirs)


def test_classes_that_training_lacks_are_never_the_best():
    targets = single(3) * 2  # of 0 to 5, training has 0, 2 and 4
    found = fit(targets, 6)
    logits = found(corpus(5))
    close(logits[:, [0, 2, 4]], decisions(found, targets.numpy(), 5))
    assert (logits[:, [1, 3, 5]] == -1).all()


@pytest.mark.parametrize("labels", [1, 3])
def test_one_class_alone_is_always_the_best(labels):
    found = fit(torch.full((B,), labels - 1), labels)
    logits = found(corpus(5))
    assert logits.shape == (B, labels)
    assert (logits.argmax(1) == labels - 1).all()


def test_several_labels_per_text():
    targets = torch.stack([single(2), single(3) == 0, torch.ones(B), torch.zeros(B)], 1).float()
    found = fit(targets, 4)
    logits = found(corpus(5))
    for label in (0, 1):
        close(logits[:, label], decisions(found, targets[:, label].numpy(), 5))
    assert (logits[:, 2] == 1).all()  # every text has it
    assert (logits[:, 3] == -1).all()


@pytest.mark.parametrize("labels", [1, 2, 7])
@pytest.mark.parametrize("characters", [True, False])
def test_scores_are_features_times_weights(labels, characters):
    found = fit(single(labels), labels)
    if not characters:
        kept = len(found.features.idf)
        found = replace(found, characters=classifier._NO_CHARACTERS, weight=found.weight[:kept])
    weight = np.random.default_rng(0).standard_normal(found.weight.shape).astype(np.float32)
    found = replace(found, weight=torch.from_numpy(weight))
    texts = corpus(5)
    long = Texts(np.tile(texts.ids, 20), np.array([0, 20 * len(texts.ids)]), *texts[2:])
    for given in (texts, long._replace(numbers=np.tile(texts.numbers, 20))):
        rows = found.rows(given)
        shape = (len(given.lengths), len(weight))
        expected = csr_matrix((rows.values, rows.columns, rows.starts), shape) @ weight
        np.testing.assert_allclose(found(given), expected + found.bias.numpy(), atol=1e-6)


def test_texts_without_a_known_word_have_the_bias():
    found = fit(single(3), 3)
    logits = found(texts_of(torch.tensor([0, 1, V, V + 4]), torch.tensor([0, 2, 2])))
    assert torch.equal(logits, found.bias.expand(3, 3))
    nothing = torch.zeros(0, dtype=torch.int64)
    assert found(texts_of(nothing, nothing)).shape == (0, 3)


def test_a_word_that_training_lacks_counts_by_its_characters():
    found = fit(single(3), 3)
    one, numbers = np.array([1]), np.array([0])
    known = found(Texts(np.array([1]), one, numbers, ["word3"]))
    assert not torch.allclose(known, found.bias.expand(1, 3), atol=0.01)
    rows = found.rows(Texts(np.array([1]), one, numbers, ["xword3x"]))
    columns = rows.columns[rows.values > 0] - len(found.features.idf)
    ngrams = [found.characters.ngrams[column] for column in columns.tolist()]
    assert sorted(ngrams) == ["ord3", "word"]


@pytest.mark.parametrize("fewer", [True, False])
def test_in_many_tokens_quality_chooses_whether_characters_count(monkeypatch, fewer):
    def quality(one: LexicalClassifier) -> int:
        return -len(one.weight) if fewer else len(one.weight)

    monkeypatch.setattr(classifier, "MANY_TOKENS", len(corpus().ids))
    both = fit(single(3), 3)
    assert torch.equal(fit(single(3), 3, quality=quality).weight, both.weight)
    monkeypatch.setattr(classifier, "MANY_TOKENS", len(corpus().ids) - 1)
    found = fit(single(3), 3, quality=quality)
    if not fewer:
        assert torch.equal(found.weight, both.weight)
        return
    assert len(found.weight) == len(found.features.idf) < len(both.weight)
    assert not found.characters.ngrams
    close(found(corpus(5)), decisions(found, single(3).numpy(), 5))


def test_files_that_were_made_before_characters_counted():
    found = fit(single(3), 3)
    tensors, words = found.tensors(), len(found.features.idf)
    old = {name: tensors[name] for name in ("pairs", "idf", "bias")}
    again = LexicalClassifier.from_tensors({**old, "weight": tensors["weight"][:words]}, V, 3)
    rows = again.features(*corpus(5)[:2])
    assert all(np.array_equal(*both) for both in zip(again.rows(corpus(5)), rows, strict=True))
    assert again(corpus(5)).shape == (B, 3)


def test_equal_calls_give_equal_bits():
    one, other = (fit(single(4), 4, seed=3).tensors() for _ in range(2))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_few_weights_if_there_are_many_labels(monkeypatch):
    found = fit(single(3), 3)
    assert len(found.features.pairs) > 5 < len(found.characters.ngrams)
    for more in (5, len(found.features.pairs) + 5):
        monkeypatch.setattr(classifier, "LARGEST", 3 * (V + more))
        assert V < fit(single(3), 3).weight.shape[0] <= V + more


def test_tensors_round_trip():
    found = fit(single(3), 3)
    again = LexicalClassifier.from_tensors(found.tensors(), V, 3)
    assert torch.equal(again(corpus(5)), found(corpus(5)))


def changed(name: str, change: Any) -> dict[str, torch.Tensor]:
    tensors = fit(single(3), 3).tensors()
    return {**tensors, name: change(tensors[name])}


def with_first(value: float) -> Any:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[0] = value
        return tensor

    return change


WRONG = {
    "half a character idf": lambda: changed("characters.idf", lambda t: t.half()),
    "n-grams of 3": lambda: changed("characters", lambda t: t[:, 1:]),
    "an n-gram twice": lambda: changed("characters", lambda t: torch.cat([t[:1], t[:-1]])),
    "n-grams of no characters": lambda: changed("characters", with_first(0x110000)),
    "an n-gram less": lambda: changed("characters", lambda t: t[1:]),
    "infinite character idf": lambda: changed("characters.idf", with_first(float("inf"))),
    "no pairs": lambda: {n: t for n, t in fit(single(3), 3).tensors().items() if n != "pairs"},
    "more": lambda: {**fit(single(3), 3).tensors(), "more": torch.zeros(1)},
    "pairs of another type": lambda: changed("pairs", lambda t: t.int()),
    "half an idf": lambda: changed("idf", lambda t: t.half()),
    "double weights": lambda: changed("weight", lambda t: t.double()),
    "a longer idf": lambda: changed("idf", lambda t: torch.cat([t, t[:1]])),
    "a table of pairs": lambda: changed("pairs", lambda t: t[None]),
    "fewer rows": lambda: changed("weight", lambda t: t[1:]),
    "fewer labels": lambda: changed("weight", lambda t: t[:, 1:]),
    "a flat weight": lambda: changed("weight", lambda t: t.reshape(-1)),
    "a longer bias": lambda: changed("bias", lambda t: torch.cat([t, t])),
    "a number as bias": lambda: changed("bias", lambda t: t[0]),
    "NaN in idf": lambda: changed("idf", with_first(float("nan"))),
    "NaN in weights": lambda: changed("weight", with_first(float("nan"))),
    "infinite bias": lambda: changed("bias", with_first(float("inf"))),
    "pairs in reverse": lambda: changed("pairs", lambda t: t.flip(0)),
    "a pair twice": lambda: changed("pairs", lambda t: torch.cat([t[:1], t[:-1]])),
    "a negative pair": lambda: changed("pairs", with_first(-1)),
    "a pair of no words": lambda: changed("pairs", lambda t: torch.cat([t[:-1], t[:1] + V * V])),
}


@pytest.mark.parametrize("what", WRONG)
def test_tensors_of_others_are_refused(what):
    with pytest.raises(ValueError, match=r"^(it holds|its sizes|its pairs) "):
        LexicalClassifier.from_tensors(WRONG[what](), V, 3)


def test_tensors_of_another_vocabulary_or_other_labels_are_refused():
    tensors = fit(single(3), 3).tensors()
    for size, labels in ((V + 1, 3), (V - 1, 3), (V, 2), (V, 4)):
        with pytest.raises(ValueError, match=r"do not fit \d+ words and \d labels$"):
            LexicalClassifier.from_tensors(tensors, size, labels)
