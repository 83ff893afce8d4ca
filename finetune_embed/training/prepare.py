"""From a data set to what a run trains on and is evaluated with."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from ..data import (
    EncodedTexts,
    Missing,
    Splits,
    are_whole,
    as_whole,
    class_names,
    has_hidden_labels,
    ignored_labels,
    pairs_of,
    similar_labels,
    text_labels,
    texts_of,
    with_whole_labels,
)
from ..errors import DataError
from ..heads import takes_pairs
from ..table import EmbeddingTable
from ..vocabulary import AnyTokenizer, Text, TokenizedTexts, Vocabulary, tokenize_texts
from .first_pass import FirstPass, place_of
from .inference import UnseenRows, unseen_rows
from .settings import Settings
from .steps import Batching, InMemory, Source
from .streamed import Streamed, as_split
from .task_settings import with_settings
from .tasks import Regression, Task, task_of

__all__ = ["Prepared", "prepare"]

ENOUGH = 20  # texts, of which most should share their label with others


@dataclass(frozen=True)
class Prepared:
    """A data set, ready to train on.

    Attributes:
        task: what the head is trained for.
        vocab: the vocabulary of the training split.
        source: makes the source of steps from how texts become batches.
        train: the encoded texts of the training split; None if they are streamed.
        tokenized: the texts of `validation` and `test` as tokens.
        held_out: these texts, encoded with `extended`.
        extended: `vocab`, continued with the words of the table that training did not see.
        unseen: the rows of those words.
        texts: returns the texts of a split, of `train` only where it is in memory.
        max_length: the number of tokens to which texts are truncated; None for all.
        sha256: a hash of the encoded data: a run resumes on the same data only.
        warnings: what to report about the data.
    """

    task: Task
    vocab: Vocabulary
    source: Callable[[Batching], Source]
    train: EncodedTexts | None
    tokenized: Mapping[str, TokenizedTexts]
    held_out: Mapping[str, EncodedTexts]
    extended: Vocabulary
    unseen: UnseenRows
    texts: Callable[[str], Sequence[Text]]
    max_length: int | None
    sha256: str
    warnings: list[str]


def prepare(
    splits: Splits, base: EmbeddingTable, settings: Settings, tokenizer: AnyTokenizer
) -> Prepared:
    """Make the vocabulary and encode the splits; of a streamed data set, only the held-out ones.

    Args:
        splits: the data set, with a validation split.
        base: the table in which words of held-out texts are looked up that training did not see.
        settings: the settings of the run.
        tokenizer: the tokenizer, which keeps each special token as one token.

    Raises:
        DataError: a column is missing or not what the task needs.
    """
    train = _prepare_stream if splits.streamed else _prepare_in_memory
    task, vocab, source, train_data, splits = train(splits, settings, tokenizer)
    train_texts = train_data if isinstance(train_data, EncodedTexts) else None
    task = with_settings(task, settings, train_texts)
    given = {"validation": splits.validation, "test": splits.test}
    ignored = task.ignored
    if splits.test is not None and has_hidden_labels(splits.test, settings.label, ignored):
        del given["test"]
    names = {name: f"{splits.name} ({name})" for name in given}
    kept = {name: split for name, split in given.items() if split is not None}
    pairs = takes_pairs(settings.head)
    read = pairs_of if pairs else texts_of
    texts = {name: read(split, settings.text, names[name]) for name, split in kept.items()}
    tokens = {name: tokenize_texts(found, tokenizer) for name, found in texts.items()}
    all_words = chain.from_iterable(found.tokens for found in tokens.values())
    extended, unseen = unseen_rows(base, vocab, all_words, settings.fallback)
    unknown = {n: task.unknown_labels(kept[n], settings.label, names[n]) for n in kept}
    task = replace(task, others=tuple(dict.fromkeys(chain.from_iterable(unknown.values()))))
    held_out = {}
    for name, split in kept.items():
        targets = task.targets(split, settings.label, names[name], texts[name])
        limit = settings.max_length
        held_out[name] = EncodedTexts.of(
            tokens[name], extended, targets, limit, pairs, task.per_word
        )
        if task.per_word and not len(targets):
            raise DataError(
                f"all {len(split):,} texts are empty, so there is no word to tag",
                where=names[name],
                remedy="pass a split with words",
            )
        if not bool(task.counted(targets).any()):
            raise DataError(
                f"no label of the {len(split):,} texts counts: all are ignored",
                where=names[name],
                remedy="pass a split with labels",
            )
    sha256, similar = _sha256(train_data, *held_out.values()), similar_labels(task.labels)
    not_known = [note for name, labels in unknown.items() for note in labels.note(f"{name} ")]
    warnings = [
        *splits.notes,
        *not_known,
        *([similar] if similar else []),
        *_odd_labels(task, train_data),
    ]
    if settings.task is None and isinstance(task, Regression):
        otherwise = "pass task='single_label'" if splits.is_as_written else "make them texts"
        warnings.append(
            f"the labels in {settings.label!r} are numbers that are not all whole, so the task is "
            f"{task.name}; if they are classes, {otherwise}"
        )

    def texts_of_split(split: str) -> Sequence[Text]:
        return read(getattr(splits, split), settings.text, f"{splits.name} ({split})")

    encoded = (tokens, held_out, extended, unseen, texts_of_split, settings.max_length)
    return Prepared(task, vocab, source, train_texts, *encoded, sha256, warnings)


#: The task, the vocabulary, what makes the source of steps, what identifies the data, and the
#: splits with what was found out about them.
Train = tuple[Task, Vocabulary, Callable[[Batching], Source], EncodedTexts | str, Splits]


def _prepare_in_memory(splits: Splits, settings: Settings, tokenizer: AnyTokenizer) -> Train:
    """Prepare a training split that is held in memory."""
    where, label = f"{splits.name} (train)", settings.label
    task = _task(settings, splits)
    pairs = takes_pairs(settings.head)
    texts = (pairs_of if pairs else texts_of)(splits.train, settings.text, where)
    targets = task.targets(splits.train, label, where, texts)
    tokens = tokenize_texts(texts, tokenizer)
    vocab = _vocabulary(settings, tokenizer, tokens.counts)
    data = EncodedTexts.of(tokens, vocab, targets, settings.max_length, pairs, task.per_word)
    return task, vocab, lambda batching: InMemory(data, batching), data, splits


def _prepare_stream(splits: Splits, settings: Settings, tokenizer: AnyTokenizer) -> Train:
    """Prepare a streamed training split.

    A first pass over it finds its tokens, its labels and its length. Where the vocabulary is given
    and the labels have names, the pass ends after one block, and the length stays unknown.
    """
    label, where = settings.label, f"{splits.name} (train)"
    stream = splits.train.with_format(None)  # plain values
    ignored = ignored_labels(settings.ignore_label, class_names(stream, label))
    numbers = Regression().ignoring(settings.ignore_label, None)
    names = (settings.text,) if isinstance(settings.text, str) else tuple(settings.text)
    missing = Missing(names, label, settings.missing == "keep", splits.is_as_written)
    pairs = takes_pairs(settings.head)
    read = pairs_of if pairs else texts_of
    first = FirstPass(
        stream, settings.text, label, where, ignored, missing, settings.task, numbers.ignored, read
    )
    counts: Counter[str] = Counter()
    has_names = class_names(stream, label) and settings.task != Regression.name
    if settings.vocab is not None and has_names:
        next(first.blocks(), None)
        first.check_repeatable()
    else:
        counted = settings.vocab is not None and bool(settings.vocab.counts.any())
        for texts in first.blocks():
            if not counted:
                counts.update(tokenize_texts(texts, tokenizer).counts)
    first.check_not_empty()
    vocab = _vocabulary(settings, tokenizer, counts)
    splits = replace(splits, notes=(*splits.notes, *first.note()))
    if settings.missing == "drop" and (first.left_out or first.length is None):
        stream = stream.filter(missing.is_used)
    is_whole = splits.is_as_written and are_whole({*first.labels, *text_labels(splits, label)})
    splits = with_whole_labels(splits, label) if is_whole else splits

    def split_of(block: list[Any], place: str) -> Any:
        block = [missing.plain(example) for example in block]
        if is_whole:
            block = [{**example, label: as_whole(example[label])} for example in block]
        return as_split(block, stream.features, place)

    task: Task
    if first.moments is None:
        sample = Splits(split_of(first.sample, where), None, None, splits.name)
        task = _task(settings, sample)
    else:
        task = Regression.fitted(first.moments, label, where, numbers.ignored)
        task = task if settings.loss_fn is None else replace(task, loss_fn=settings.loss_fn)

    def encode(block: list[Any], start: int) -> EncodedTexts:
        place = place_of(where, start)
        split = split_of(block, place)
        texts = read(split, settings.text, place)
        targets = task.targets(split, label, place, texts)
        return EncodedTexts.of(texts, vocab, targets, settings.max_length, pairs, task.per_word)

    def source(batching: Batching) -> Streamed:
        return Streamed(stream, encode, batching, first.length, where)

    identity = f"{first.sha256.hexdigest()} {vocab.index_to_key} {vocab.counts.tolist()}"
    return task, vocab, source, identity, splits


def _task(settings: Settings, splits: Splits) -> Task:
    """Return the task of a data set with these settings."""
    text, label = settings.text, settings.label
    return task_of(settings.task, splits, text, label, settings.loss_fn, settings.ignore_label)


def _vocabulary(
    settings: Settings, tokenizer: AnyTokenizer, counts: Mapping[str, int]
) -> Vocabulary:
    """Return the given vocabulary, with counts if it has none, or one of the counted tokens."""
    vocab = settings.vocab
    if vocab is None:
        return Vocabulary.from_counts(counts, tokenizer, settings.min_count, settings.specials)
    return vocab if vocab.counts.any() else vocab.with_counts(counts)


def _odd_labels(task: Task, data: EncodedTexts | str) -> list[str]:
    """Return warnings about the labels of a training split in memory."""
    if isinstance(data, str):
        return []
    assert data.labels is not None
    labels = data.labels if data.first is None else data.labels[data.first]
    left_out = int((~task.counted(labels)).sum())
    warnings = []
    if left_out:
        warnings.append(
            f"{left_out:,} of {len(labels):,} training labels are ignored: they are -100 or "
            "ignore_label"
        )
    if data.labels.dim() == 2 and len(data) > 1 and bool((data.labels == data.labels[0]).all()):
        warnings.append("all training texts have the same labels, so there is nothing to learn")
    if labels.dim() == 1 and not labels.is_floating_point() and not task.per_word:
        different = len(labels.unique())
        if len(labels) >= ENOUGH and different > len(labels) / 2:
            warnings.append(
                f"{len(labels):,} training texts have {different:,} different labels, so there is "
                "little to learn; are the columns of texts and labels swapped?"
            )
    return warnings


def _sha256(*parts: EncodedTexts | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode("utf-8", "surrogateescape"))
            continue
        for tensor in (part.ids, part.offsets, part.lengths, part.labels, part.halves):
            if tensor is not None:
                digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
