"""From a data set to what a run trains on and is measured by."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from ..data import EncodedTexts, Splits, are_hidden, class_names, texts_of
from ..errors import DataError
from ..table import EmbeddingTable
from ..vocabulary import Tokenizer, Vocabulary, tokenize_texts
from .inference import UnseenRows, unseen_rows
from .steps import BLOCK, Batching, InMemory, Source, Streamed, as_split, read_examples
from .tasks import LossFunction, Task, task_of

__all__ = ["Prepared", "prepare"]

MakeVocabulary = Callable[[Mapping[str, int]], Vocabulary]


@dataclass(frozen=True)
class Prepared:
    """A data set, ready to train on.

    Attributes:
        task: what the head is trained for.
        vocab: the words of the training split.
        source: makes the source of steps, once it is known how texts become batches.
        held_out: the encoded texts of `validation` and `test`, by the ids of a vocabulary that is
            extended by words that training lacks.
        unseen: the rows of those words.
        sha256: a hash of the encoded data, so that a run resumes on the same data only.
    """

    task: Task
    vocab: Vocabulary
    source: Callable[[Batching], Source]
    held_out: Mapping[str, EncodedTexts]
    unseen: UnseenRows
    sha256: str


def prepare(
    splits: Splits,
    base: EmbeddingTable,
    settings: Mapping[str, Any],
    loss_fn: LossFunction | None,
    vocab: Vocabulary | MakeVocabulary,
    tokenizer: Tokenizer,
) -> Prepared:
    """Make the vocabulary and encode a data set, of a streamed one the held-out splits.

    Args:
        splits: the data set, with a validation split.
        base: the table in which words of held-out texts are looked up that training lacks.
        settings: of the run.
        loss_fn: in the place of the task's own.
        vocab: the vocabulary, or what makes it of the words of the training texts.
        tokenizer: by which texts are cut.

    Raises:
        DataError: a column is missing or not what the task needs.
    """
    train = _streamed if splits.streamed else _whole
    task, words, source, told = train(splits, settings, loss_fn, vocab, tokenizer)
    texts = {
        name: texts_of(split, settings["text"], f"{splits.name} ({name})")
        for name, split in (("validation", splits.validation), ("test", splits.test))
        if split is not None and not (name == "test" and are_hidden(split, settings["label"]))
    }
    found = {name: tokenize_texts(rows, tokenizer) for name, rows in texts.items()}
    wide, unseen = unseen_rows(
        base,
        words,
        chain.from_iterable(rows.words for rows in found.values()),
        settings["fallback"],
    )
    held_out = {}
    for name, rows in texts.items():
        split = splits.validation if name == "validation" else splits.test
        targets = task.targets(split, settings["label"], f"{splits.name} ({name})", rows)
        held_out[name] = EncodedTexts.of(found[name], wide, targets, settings["max_length"])
        if task.per_word and not len(targets):
            raise DataError(
                f"{splits.name} ({name}): all {len(rows):,} texts are empty, and there is no word "
                "to tag; pass a split with words"
            )
    return Prepared(task, words, source, held_out, unseen, _sha256(told, *held_out.values()))


Train = tuple[Task, Vocabulary, Callable[[Batching], Source], EncodedTexts | str]


def _whole(
    splits: Splits,
    settings: Mapping[str, Any],
    loss_fn: LossFunction | None,
    vocab: Vocabulary | MakeVocabulary,
    tokenizer: Tokenizer,
) -> Train:
    """Prepare a training split that is held in memory."""
    where, label = f"{splits.name} (train)", settings["label"]
    task = task_of(settings["task"], splits, settings["text"], label, loss_fn)
    texts = texts_of(splits.train, settings["text"], where)
    targets = task.targets(splits.train, label, where, texts)
    found = tokenize_texts(texts, tokenizer)
    words = _vocabulary(vocab, found.counts)
    data = EncodedTexts.of(found, words, targets, settings["max_length"])
    return task, words, lambda batching: InMemory(data, batching), data


def _vocabulary(vocab: Vocabulary | MakeVocabulary, counts: Mapping[str, int]) -> Vocabulary:
    """Return the vocabulary of counted words; a given one keeps its counts, if it has any."""
    if not isinstance(vocab, Vocabulary):
        return vocab(counts)
    return vocab if vocab.counts.any() else vocab.with_counts(counts)  # a loaded one has none


def _streamed(
    splits: Splits,
    settings: Mapping[str, Any],
    loss_fn: LossFunction | None,
    vocab: Vocabulary | MakeVocabulary,
    tokenizer: Tokenizer,
) -> Train:
    """Prepare a streamed training split.

    A first pass over it finds its words, its labels and its length. It is left out where the
    vocabulary is given and the labels have names; then the length stays unknown.
    """
    label, where = settings["label"], f"{splits.name} (train)"
    stream = splits.train.with_format(None)  # plain values
    first = _FirstPass(stream, settings["text"], label, where)
    counts: Counter[str] = Counter()
    if isinstance(vocab, Vocabulary) and class_names(stream, label):
        next(first.blocks(), None)
        first.check_begins_anew()
    else:
        has_counts = isinstance(vocab, Vocabulary) and bool(vocab.counts.any())
        for texts in first.blocks():
            if not has_counts:
                counts.update(tokenize_texts(texts, tokenizer).counts)
    first.check_not_empty()
    words = _vocabulary(vocab, counts)
    sample = as_split(first.sample, stream.features, where)
    task = task_of(
        settings["task"],
        Splits(sample, None, None, splits.name),
        settings["text"],
        label,
        loss_fn,
    )

    def encode(block: list[Any], start: int) -> EncodedTexts:
        here = _from(where, start)
        split = as_split(block, stream.features, here)
        rows = texts_of(split, settings["text"], here)
        targets = task.targets(split, label, here, rows)
        return EncodedTexts.of(rows, words, targets, settings["max_length"])

    told = f"{first.sha256.hexdigest()} {words.index_to_key} {words.counts.tolist()}"

    def source(batching: Batching) -> Streamed:
        return Streamed(stream, encode, batching, first.length, where)

    return task, words, source, told


class _FirstPass:
    """The texts of a stream, and what is learnt of it while they go by.

    Attributes:
        sample: the first example with each label.
        length: how many examples there are, None before the end was reached.
        sha256: of the texts and labels that went by.
    """

    def __init__(self, stream: Any, text: str | Sequence[str], label: str, where: str) -> None:
        self._stream, self._text, self._label, self._where = stream, text, label, where
        self.sample: list[Any] = []
        self.length: int | None = None
        self.sha256 = hashlib.sha256()
        self._names = class_names(stream, label)

    def blocks(self) -> Iterator[list[Any]]:
        """Yield the texts of all examples, many at a time.

        Raises:
            DataError: an example has no text or no label; the message names the first.
        """
        seen: set[Any] = set()
        examples, count = read_examples(self._stream, self._where), 0
        while block := list(islice(examples, BLOCK)):
            where = _from(self._where, count)
            texts = texts_of(as_split(block, None, where), self._text, where)
            given = [example.get(self._label) for example in block]
            for row, (example, value) in enumerate(zip(block, given, strict=True)):
                labels = value if isinstance(value, list) else [value]
                if self.sample or self._label in example:  # or else the column is missing
                    self._check_labels(labels, count + row)
                if not self.sample or not seen.issuperset(labels):
                    self.sample.append(example)
                    seen.update(labels)
            self.sha256.update(repr((texts, given)).encode("utf-8", "surrogatepass"))
            yield texts
            count += len(block)
        self.length = count

    def _check_labels(self, labels: list[Any], row: int) -> None:
        """Check that the labels of an example may be some; their column has no other values."""
        names = self._names
        for value in labels:
            known = 0 <= value < len(names) if names and isinstance(value, int) else True
            if not isinstance(value, (str, int)) or not known:
                raise DataError(
                    f"{self._where}: row {row:,} (counted from 0) has {value!r} in "
                    f"{self._label!r}; a label is "
                    f"{'one of its class names' if names else 'a string or a whole number'}; "
                    "remove such rows with stream.filter(...)"
                )

    def check_begins_anew(self) -> None:
        """Check that the examples which were looked at, if any, will be there to train on."""
        if not self.sample:
            return
        again = next(read_examples(self._stream, self._where), None)
        if repr(again) != repr(self.sample[0]):
            raise DataError(
                f"{self._where}: the stream doesn't begin with the same example when it is read "
                "again; it is read once an epoch, so make it of a function that begins anew each "
                "time: IterableDataset.from_generator(read_examples)"
            )

    def check_not_empty(self) -> None:
        """Check, after the first block, that there is an example."""
        if not self.sample:
            raise DataError(f"{self._where}: the training split is empty (0 rows)")


def _from(where: str, first: int) -> str:
    return f"{where}, rows from {first:,} on" if first else where


def _sha256(*parts: EncodedTexts | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode("utf-8", "surrogateescape"))
            continue
        for tensor in (part.ids, part.offsets, part.lengths, part.labels):
            if tensor is not None:
                digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
