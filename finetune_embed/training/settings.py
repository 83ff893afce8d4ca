"""The settings of `finetune`: each is defined once, here.

A definition has a name, a type, a default, a legal range and a line of help. The signature of
`finetune`, the options of the command line, the keys of `--config` files and `config.yaml`, the
range checks and the table in docs/training.md are made from it.
"""

# ruff: noqa: RUF009 (`setting` makes a dataclass field)

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, Either, Option, StrategyError
from .kinds import (
    is_class_weight,
    is_list,
    is_text,
    is_text_or_callable,
    is_text_or_texts,
    is_tokenizer,
    is_vocabulary,
)
from .plain import PLAIN_FORMS, plain_value
from .ranges import Check, Choice, Flag, Kind, Number, WholeNumber

if TYPE_CHECKING:
    from torch import nn

    from ..strategies import Strategy
    from ..vocabulary import AnyTokenizer, Special, StartValue, Vocabulary
    from .build_model import Head
    from .tasks import LossFunction

__all__ = [
    "FLOATING",
    "METRICS",
    "Complete",
    "Settings",
    "settings_fields",
]

#: Settings of where and how a run is made. They do not change its result, and `config.yaml` leaves
#: them out.
FLOATING = ("output_dir", "resume", "overwrite", "progress")

#: The scores of all tasks that may choose the best epoch.
METRICS = (
    *("accuracy", "macro_f1", "micro_f1", "weighted_f1", "balanced_accuracy", "mcc"),
    *("entity_f1", "spearman", "pearson", "mse", "mae", "loss"),
)


def setting(
    default: Any,
    help: str,
    check: Check | None = None,
    *,
    option: str | None = "",
    error: type[Exception] = StrategyError,
    kind: Kind | None = None,
) -> Any:
    """Define a setting.

    Args:
        default: its default; None also allows None where there is a check.
        help: one line that says what it is.
        check: the legal values.
        option: the name of the option on the command line, where it is not `--` and the name of the
            setting; None for none.
        error: the class of the error for an illegal value.
        kind: what a value must be, where `check` does not say it.
    """
    metadata = {"help": help, "check": check, "option": option, "error": error, "kind": kind}
    return field(default=default, metadata=metadata)


_A_NAME = Kind("a name", is_text)


@dataclass(frozen=True)
class Settings:
    """Every setting of `finetune`; see `setting`."""

    # The data
    text: str | Sequence[str] = setting(
        "text",
        "Column of texts, or of lists of words; several are joined, unless the head is pair.",
        kind=Kind("the name of a column, or a list of names", is_text_or_texts),
    )
    label: str = setting(
        "label",
        "Column of labels, of lists of labels or tags, or of numbers.",
        kind=Kind("the name of a column", is_text),
    )
    task: str | None = setting(
        None,
        "What to train for; when left out, what the columns look like.",
        Choice(("single_label", "multi_label", "tagging", "regression")),
        error=DataError,
    )
    ignore_label: str | int | None = setting(
        None,
        "Label, besides -100, that is neither trained on nor scored.",
        kind=Kind("a label: a string or a whole number", lambda one: isinstance(one, (str, int))),
    )
    delimiter: str | None = setting(
        None,
        "What is between the fields of CSV and TSV files; found when left out.",
        kind=Kind("a text", is_text),
    )
    encoding: str | None = setting(
        None,
        "Encoding of CSV, TSV and JSON files, such as cp1252; found when left out.",
        kind=_A_NAME,
    )
    sheet: str | None = setting(
        None,
        "Sheet of an Excel workbook; the first one when left out.",
        kind=_A_NAME,
    )
    missing: str = setting(
        "drop",
        "Leave out examples without a text or a label, or keep a missing text as an empty one.",
        Choice(("drop", "keep")),
        error=DataError,
    )
    streaming: bool = setting(False, "Stream the training data, and never hold all of it.", Flag())
    validation: float = setting(
        0.1,
        "Share of the training data to hold out where there is no validation split.",
        Number(0, 1, excluded=True),
    )
    test: float | None = setting(
        None,
        "Share of the training data to set aside for the test where there is no test split.",
        Number(0, 1, excluded=True),
    )
    # The vocabulary and its initial vectors
    member: str | None = setting(
        None,
        "The vector file to read from an archive that holds several.",
        kind=_A_NAME,
    )
    limit: int | None = setting(
        None,
        "Number of rows of the vector file to read, from its start; all when left out.",
        WholeNumber(1),
    )
    vector_size: int | None = setting(
        None,
        "Number of values in a line of a text file of vectors; detected when left out.",
        WholeNumber(1),
    )
    tokenizer: AnyTokenizer | str | None = setting(
        None,
        "glove, cased or whitespace; when left out, the one that the vectors came with or that "
        "fits them.",
        kind=Kind("a name or a tokenizer", is_tokenizer),
    )
    vocab: Vocabulary | None = setting(
        None,
        "A vocabulary, instead of one made from the training split.",
        option=None,
        kind=Kind("a Vocabulary", is_vocabulary),
    )
    min_count: int = setting(1, "Rarer tokens become <unk>.", WholeNumber(1))
    max_length: int | None = setting(
        None, "Truncate texts to this number of tokens.", WholeNumber(1)
    )
    oov: StartValue = setting(
        "normal", "Initial vectors of tokens that the vectors lack: normal, mean, zeros, subwords."
    )
    fallback: Sequence[str] = setting(
        (),
        "Other forms under which to look up tokens that the vectors lack, such as lower.",
        kind=Kind("a list of steps", is_list),
    )
    specials: Sequence[Special | str] = setting(
        (),
        "Tokens that the tokenizer never splits.",
        option="--special",
        kind=Kind("a list of tokens", is_list),
    )
    # The model
    head: Head | None = setting(
        None,
        "pooled_cnn, bag, 'bag(hidden=100)', cnn, pair, bilstm, ...; in Python also a module or a "
        "function. Chosen for the task when left out.",
        kind=Kind(
            "the text form of a head, an nn.Module, or a function (embedding, num_labels) of one",
            is_text_or_callable,
        ),
    )
    lexical: bool | None = setting(
        None,
        "Classify by the words of a text, their pairs and their characters too, beside their "
        "vectors; done for the default head when left out.",
        Flag(),
    )
    embedding: str | nn.Module | None = setting(
        None,
        "Which embedding of a module given as head is the table.",
        option=None,
        kind=Kind("a name or a module", is_text_or_callable),
    )
    strategy: Strategy | str | None = setting(
        "FullTune",
        "Freeze, FullTune, 'UnfreezeAfter(epochs=2) | DiscriminativeLR(embedding=0.1)', ...",
    )
    # Training
    optimizer: str = setting(
        "adamw",
        "adamw, adagrad, 'adagrad(per_row=True)', sgd, 'sgd(momentum=0.9)', ...",
        kind=Kind("the text form of an optimizer", is_text),
    )
    epochs: int | None = setting(
        None, "Maximum number of epochs; chosen from the data when left out.", WholeNumber(1)
    )
    max_steps: int | None = setting(None, "Maximum number of optimizer steps.", WholeNumber(1))
    lr: float | None = setting(None, "Learning rate; chosen from the data when left out.", Number())
    schedule: str | None = setting(
        None,
        "How the learning rate changes over the run; chosen from the data when left out.",
        Choice(("constant", "linear", "cosine", "slanted_triangular", "one_cycle")),
    )
    warmup: float | None = setting(
        None,
        "Share of the run in which the rate rises; the schedule's own when left out.",
        Number(0, 1),
    )
    batch_size: int | None = setting(
        None,
        "Texts per batch, over all processes; chosen from the data when left out.",
        WholeNumber(1),
    )
    batch_tokens: int | None = setting(
        None, "Tokens per batch with padding, instead of batch_size.", WholeNumber(1)
    )
    gradient_accumulation_steps: int = setting(1, "Batches per optimizer step.", WholeNumber(1))
    weight_decay: float = setting(
        0.0, "Decoupled weight decay of everything except the table.", Number()
    )
    max_grad_norm: float | None = setting(
        None, "Clip the gradient of each step to this norm.", Number(excluded=True)
    )
    word_dropout: float = setting(
        0.0, "Probability of leaving out a token of a training text.", Number(0, 1)
    )
    patience: int | None = setting(
        None,
        "Stop after this number of epochs without a better score, counted from the epoch in which "
        "the table opens.",
        WholeNumber(1),
    )
    metric: str | None = setting(
        None,
        "The validation score that chooses the best epoch; the task's own when left out. On a tie "
        "the loss decides.",
        Choice(METRICS),
        error=DataError,
    )
    class_weight: str | Mapping[str | int, float] | None = setting(
        None,
        "What each label counts in training: balanced, or a mapping such as {spam: 5}; labels that "
        "it lacks count 1.",
        kind=Kind("balanced, or a mapping of labels to numbers from 1e-6 to 1e6", is_class_weight),
    )
    label_smoothing: float = setting(
        0.0,
        "Share of each label that the training loss spreads over all labels.",
        Number(0, 1),
    )
    loss_fn: LossFunction | None = setting(
        None,
        "Loss of logits (units, C) and targets, instead of the task's own.",
        option=None,
        kind=Kind("a function of logits and targets", callable),
    )
    ensemble: int = setting(
        1,
        "Number of models whose probabilities are averaged, with the seeds from seed on.",
        WholeNumber(1),
    )
    seed: int = setting(
        0, "Seed of the splits, initial vectors, head, batches and dropout.", WholeNumber(0)
    )
    # The machine
    device: str | None = setting(
        None,
        "cpu, cuda, ...; a GPU if there is one when left out.",
        kind=Kind("the name of a device", lambda one: type(one).__name__ in ("str", "device")),
    )
    mixed_precision: str | None = setting(
        None,
        "Precision of the forward pass; that of accelerate launch, or no, when left out.",
        Choice(("no", "bf16", "fp16")),
    )
    # The run
    output_dir: str | os.PathLike[str] | None = setting(
        None,
        "Folder for the run and its checkpoints.",
        kind=Kind("a path", lambda one: isinstance(one, (str, os.PathLike))),
    )
    checkpoint_steps: int | None = setting(
        None, "Also write a checkpoint after every so many steps.", WholeNumber(1)
    )
    checkpoint_minutes: float | None = setting(
        None, "Also write a checkpoint after every so many minutes.", Number(excluded=True)
    )
    trackers: Sequence[str] = setting(
        (),
        "Report to tensorboard, wandb or another tracker of Accelerate.",
        option="--tracker",
        kind=Kind("a list of names", is_list),
    )
    resume: bool = setting(False, "Continue from the last checkpoint in output_dir.", Flag())
    overwrite: bool = setting(False, "Replace the run in output_dir.", Flag())
    progress: bool = setting(False, "Show a progress bar.", Flag(), option=None)

    def __post_init__(self) -> None:
        for one in fields(self):  # numbers of numpy become Python's, as files hold them
            value = getattr(self, one.name)
            if isinstance(value, (np.generic, np.ndarray)):
                value = value.tolist()
            object.__setattr__(self, one.name, tuple(value) if isinstance(value, list) else value)

    def check(self) -> None:
        """Check every setting against its legal range, or what it must be.

        Raises:
            StrategyError: one is out of range.
            DataError: there is no such task, or one is of another type.
        """
        for one in fields(self):
            value, check = getattr(self, one.name), one.metadata["check"]
            if isinstance(value, int) and value >= 1 << 63:
                raise one.metadata["error"](
                    "is too large: a whole number has 64 bits", option=one.name, value=value
                )
            optional = value is None and one.default is None
            if check is not None and not optional and not check.allows(value):
                article = "a " if isinstance(check, (Number, WholeNumber)) else ""
                none = Either(", or None", "") if one.default is None else ""
                what = (f"must be {article}{check.range}", none)
                raise one.metadata["error"](what, option=one.name, value=value)
            kind = one.metadata["kind"]
            if kind is not None and not optional and not kind.allows(value):
                raise DataError(f"must be {kind.words}", option=one.name, value=value)
        if self.resume and self.output_dir is None:
            raise DataError(
                "needs the folder of the run",
                option="resume",
                value=True,
                remedy=("pass ", Option("output_dir", ...)),
            )

    def plain(self) -> dict[str, Any]:
        """Return the settings as YAML and JSON hold them, without the `FLOATING` ones.

        An object, such as a module given as head, is represented by its name in angle brackets,
        which no setting accepts: a run with objects cannot be repeated from its `config.yaml`.
        """
        return {
            one.name: PLAIN_FORMS.get(one.name, plain_value)(getattr(self, one.name))
            for one in fields(self)
            if one.name not in FLOATING
        }


class Complete(Settings):
    """Settings of which none is left to the data; see `choose`."""

    if TYPE_CHECKING:
        head: Head
        lexical: bool
        strategy: Strategy
        epochs: int
        lr: float
        schedule: str
        batch_size: int


def settings_fields() -> dict[str, Field[Any]]:
    """Return the definition of each setting by name."""
    return {one.name: one for one in fields(Settings)}
