"""A linear model over TF-IDF of words, pairs of words and characters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from ..vocabulary import Vocabulary
from . import counts
from .chars import SIZE, CharTfidf, ngrams_of
from .ngrams import NgramTfidf
from .rows import Floats, Numbers, SparseRows, side_by_side
from .svm import fit_machines, fit_ridge

__all__ = ["LexicalClassifier", "Texts"]

LARGEST = 100_000_000  # the most weights: 400 MB
#: In more tokens than these, words may be frequent enough without their characters.
MANY_TOKENS = 2_000_000
_NO_CHARACTERS = CharTfidf(np.zeros((0, SIZE), np.int32), np.zeros(0, np.float32))
TOKENIZER = "tokenizer.json"  # the tensor of the vocabulary, where a classifier has its own
#: What files of runs lack that were made before characters counted.
_WITHOUT_CHARACTERS = {
    "characters": torch.zeros(0, SIZE, dtype=torch.int32),
    "characters.idf": torch.zeros(0),
}


class Texts(NamedTuple):
    """Texts as the ids of words and as words themselves.

    Attributes:
        ids: int64 `(N,)`, the id of each token, one text after the other; ids that training did not
            have are unknown words.
        lengths: int64 `(B,)`, the number of tokens of each text.
        numbers: int64 `(N,)`, which of the distinct words each token is.
        words: the distinct words; an empty one has no characters that count.
    """

    ids: Numbers
    lengths: Numbers
    numbers: Numbers
    words: Sequence[str]


@dataclass(frozen=True)
class LexicalClassifier:
    """A linear support vector machine for each label against the others, over TF-IDF.

    The loss is the squared hinge, as in scikit-learn's `LinearSVC`. Numbers are predicted by ridge
    regression instead, as in its `Ridge`.

    Attributes:
        features: the TF-IDF of words and pairs of words.
        characters: that of n-grams of characters, which are the last features.
        weight: float32 `(F, C)`, the weights of each feature.
        bias: float32 `(C,)`.
        vocab: the vocabulary whose ids it takes, if that is its own: the vectors are of pieces.
    """

    features: NgramTfidf
    characters: CharTfidf
    weight: torch.Tensor
    bias: torch.Tensor
    vocab: Vocabulary | None = None

    @classmethod
    def fit(
        cls,
        texts: Texts,
        targets: torch.Tensor,
        labels: int,
        size: int,
        unused: int,
        seed: int = 0,
        weights: Sequence[float] = (),
        quality: Callable[[LexicalClassifier], float] | None = None,
        threads: int = 1,
    ) -> LexicalClassifier:
        """Return a classifier of texts.

        Characters help most where words are rare. So in many tokens, `quality` chooses whether they
        count.

        Args:
            texts: the texts.
            targets: the class of each text, int64 `(B,)`; whether it has each label, `(B, C)`; or
                its number, a float `(B,)`.
            labels: the number of labels `C`.
            size: the number of ids.
            unused: ids below this are padding and unknown words, which are no features.
            seed: the seed of the order in which examples are visited.
            weights: what examples of each class count, the `class_weight` of `LinearSVC`; for
                targets `(B,)`. When left out, all count 1.
            quality: returns what is greater the better a classifier is. When left out, characters
                always count.
            threads: the threads that fit the machines of several labels.
        """
        ids, lengths, numbers, words = texts
        most = LARGEST // labels - size
        features, of_words = NgramTfidf.fit_transform(ids, lengths, size, unused, most)
        most -= len(features.pairs)
        characters, of_characters = CharTfidf.fit_transform(numbers, lengths, words, most)

        def learned(characters: CharTfidf, rows: SparseRows) -> LexicalClassifier:
            count = len(features.idf) + len(characters.idf)
            weight, bias = _learned(rows, count, targets, labels, weights, seed, threads)
            return cls(features, characters, torch.from_numpy(weight), torch.from_numpy(bias))

        if not len(characters.idf):
            return learned(characters, of_words)
        both = learned(characters, side_by_side(of_words, of_characters, len(features.idf)))
        if quality is None or len(numbers) <= MANY_TOKENS:
            return both
        del of_characters
        return max(learned(_NO_CHARACTERS, of_words), both, key=quality)

    def __call__(self, texts: Texts) -> torch.Tensor:
        """Return the distance of each text from the border of each label, float32 `(B, C)`.

        Of a number, return the prediction, `(B, 1)`.
        """
        if counts.native is None:
            rows = self.rows(texts)
            sums = functional.embedding_bag(
                torch.from_numpy(rows.columns),
                self.weight,
                torch.from_numpy(rows.starts[:-1]),
                mode="sum",
                per_sample_weights=torch.from_numpy(rows.values),
            )
            return sums + self.bias
        ids, lengths, numbers, words = texts
        pairs, parts = self.features.counted, self.characters.parts(words)
        scores = np.zeros((len(lengths), len(self.bias)), np.float32)
        counts.native.score(
            *(ids, numbers, lengths),
            *(pairs.keys, pairs.slots, pairs.size),
            *(parts.parts, parts.starts),
            *(self.features.idf, self.characters.idf, self.weight.numpy(), scores),
        )
        return torch.from_numpy(scores) + self.bias

    def rows(self, texts: Texts) -> SparseRows:
        """Return the features `(B, F)` of texts."""
        words = self.features(texts.ids, texts.lengths)
        if not len(self.characters.idf):
            return words
        characters = self.characters(texts.numbers, texts.lengths, texts.words)
        return side_by_side(words, characters, len(self.features.idf))

    def subset(self, ids: Numbers) -> LexicalClassifier:
        """Return a classifier over some ids, int64 `(n,)` ascending, that are numbered anew."""
        features, kept = self.features.subset(ids)
        others = np.arange(len(self.features.idf), len(self.weight))
        weight = self.weight[torch.from_numpy(np.concatenate([kept, others]))]
        return LexicalClassifier(features, self.characters, weight, self.bias)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return what `from_tensors` takes."""
        features, characters = self.features, self.characters
        own = {} if self.vocab is None else {TOKENIZER: _bytes_of(self.vocab)}
        return {
            "pairs": torch.from_numpy(features.pairs),
            "idf": torch.from_numpy(features.idf),
            "characters": torch.from_numpy(characters.codes),
            "characters.idf": torch.from_numpy(characters.idf),
            "weight": self.weight,
            "bias": self.bias,
            **own,
        }

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, torch.Tensor], size: int, labels: int
    ) -> LexicalClassifier:
        """Return a classifier from its tensors.

        Raises:
            ValueError: they are not those of a classifier over `size` ids and `labels` labels.
        """
        tensors, vocab = {**_WITHOUT_CHARACTERS, **tensors}, None
        if (own := tensors.pop(TOKENIZER, None)) is not None:
            vocab = Vocabulary.from_json(own.numpy().tobytes())
            size = len(vocab)
        kinds = {name: tensor.dtype for name, tensor in tensors.items()}
        numbers = ("idf", "characters.idf", "weight", "bias")
        expected = {
            "pairs": torch.int64,
            "characters": torch.int32,
            **dict.fromkeys(numbers, torch.float32),
        }
        if kinds != expected:
            raise ValueError(f"it holds {kinds}, not {expected}")
        pairs, characters, idf, idf_of_characters, weight, bias = (tensors[n] for n in expected)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        rows, ngrams = size + len(pairs), len(characters)
        fitting = {
            "pairs": (len(pairs),),
            "characters": (ngrams, SIZE),
            "idf": (rows,),
            "characters.idf": (ngrams,),
            "weight": (rows + ngrams, labels),
            "bias": (labels,),
        }
        if shapes != fitting:
            raise ValueError(f"its sizes {shapes} do not fit {size:,} words and {labels:,} labels")
        if not all(bool(tensors[name].isfinite().all()) for name in numbers):
            raise ValueError("it holds values that are not finite")
        ordered = bool((pairs.diff() > 0).all())
        if len(pairs) and (not ordered or pairs[0] < 0 or pairs[-1] >= size * size):
            raise ValueError("its pairs of words are not in order, or not those of the vocabulary")
        codes = characters.numpy()
        try:
            distinct = set(ngrams_of(codes))
        except UnicodeDecodeError as error:
            raise ValueError(f"it holds numbers that are no characters ({error.reason})") from error
        if len(distinct) != ngrams:
            raise ValueError("it holds an n-gram of characters twice")
        return cls(
            NgramTfidf(size, _aligned(pairs), _aligned(idf)),
            CharTfidf(codes, _aligned(idf_of_characters)),
            torch.from_numpy(_aligned(weight)),
            bias,
            vocab,
        )


def _learned(
    rows: SparseRows,
    count: int,
    targets: torch.Tensor,
    labels: int,
    weights: Sequence[float],
    seed: int,
    threads: int,
) -> tuple[Floats, Floats]:
    """Return the weights `(F, C)` and biases `(C,)` over `F = count` features; see `fit`."""
    weight, bias = np.zeros((count, labels), np.float32), np.full(labels, -1, np.float32)
    if targets.dim() == 1 and targets.is_floating_point():
        weight[:, 0], bias[0] = fit_ridge(rows, count, targets.double().numpy())
        return weight, bias
    exclusive = targets.dim() == 1
    has = targets[:, None] == torch.arange(labels) if exclusive else targets > 0
    every, some = has.all(0).numpy(), has.any(0).numpy()
    bias[every] = 1
    learned = np.flatnonzero(some & ~every).tolist()
    cost = weights or [1.0] * labels
    costs = [(1.0, cost[label]) for label in learned]
    is_pair = exclusive and len(learned) == 2  # one machine tells them apart
    if is_pair:
        other, *learned = learned
        costs = [(cost[other], cost[learned[0]])]
    positive = has[:, learned].numpy()
    found, offset = fit_machines(rows, count, positive, costs, seed, threads=threads)
    weight[:, learned], bias[learned] = found, offset
    if is_pair:
        weight[:, other], bias[other] = -found[:, 0], -offset[0]
    return weight, bias


def _aligned(tensor: torch.Tensor) -> Any:
    """Return an array of a tensor, copied if its file has it where compiled loops cannot read."""
    return np.require(tensor.numpy(), requirements="A")


def _bytes_of(vocab: Vocabulary) -> torch.Tensor:
    """Return the `tokenizer.json` of a vocabulary, uint8."""
    return torch.frombuffer(bytearray(vocab.to_json()), dtype=torch.uint8)
