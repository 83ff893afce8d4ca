"""What a run found out about its inputs, and the check that two runs are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import DataError, Option, Text

__all__ = ["Record", "check_same"]

#: Where an input is. Hashes say what it is.
_PLACES = frozenset({"vectors", "data", "source"})
#: What differs where the fingerprint of an object does.
_DIFFERENCES = {
    "head_sha256": "its code, the values that it uses or its initial weights differ",
    "loss_fn_sha256": "its code or the values that it uses differ",
    "strategy_sha256": "its code or the words of its lexicon differ",
    "tokenizer_sha256": "its code or the values that it uses differ",
    "vocab_sha256": "its words, their counts, or its tokenizer differ",
}
#: What is written and reported while a run goes on; the result does not depend on it.
_ON_THE_WAY = frozenset({"checkpoint_steps", "checkpoint_minutes", "trackers"})


@dataclass(frozen=True)
class Record:
    """What a run found out about its inputs, beside its settings.

    Attributes:
        task: the task, with its labels and what its decoding learnt from validation, as
            `restore_task` takes it.
        vectors: what identifies the vectors: `source`, `source_sha256`, `source_format`, or
            `table_sha256` for a table in memory.
        tokenizer: the name of the tokenizer.
        head: the head as text, or the name of a custom one.
        custom_head: whether the head was given as a module or a function.
        embedding: the name of the table's weight in the model.
        data_sha256: a hash of the encoded data.
        start_sha256: a hash of the initial rows.
        device: the device, or its type where there are several processes.
        mixed_precision: `no`, `bf16` or `fp16`.
        processes: the number of processes.
        objects: a fingerprint of each object among the settings, such as `head_sha256`.
        stacking: the weights of the vectors and of the lexical part, if there is one.
        drops_unknown: whether the tokenizer drops what it does not know; None if it is not a
            pipeline.
    """

    task: Mapping[str, Any]
    vectors: Mapping[str, str]
    tokenizer: str
    head: str
    custom_head: bool
    embedding: str
    data_sha256: str
    start_sha256: str
    device: str
    mixed_precision: str
    processes: int
    objects: Mapping[str, str]
    stacking: Mapping[str, float] | None = None
    drops_unknown: bool | None = None

    def identity(self) -> dict[str, Any]:
        """Return what two runs must share: the record without what decoding learnt."""
        learnt = ("threshold", "stacking")
        return {name: value for name, value in self.plain().items() if name not in learnt}

    def plain(self) -> dict[str, Any]:
        """Return the record as one flat mapping of plain values."""
        found = dict(vars(self))
        for name in ("stacking", "drops_unknown"):
            if found[name] is None:
                del found[name]
        return {**found.pop("vectors"), **found.pop("objects"), **found, **found.pop("task")}


def check_same(where: object, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a run on disk was made with the settings and inputs of this one.

    The times of checkpoints, the trackers and the places of files may differ.

    Args:
        where: the folder or checkpoint of the run on disk.
        before: its settings or its record, as plain values.
        now: those of this run; names that only `before` has are not compared.

    Raises:
        DataError: one differs; the message has both values.
    """
    for name in sorted(now, key=lambda name: (name.endswith("_sha256"), name)):  # causes first
        if name not in _ON_THE_WAY | _PLACES and before.get(name) != now[name]:
            if name in _DIFFERENCES:
                difference = _DIFFERENCES[name]
                if before.get(name) is None:
                    difference = "an earlier version or Run.save wrote no hash of it"
                raise _another_object(where, name.removesuffix("_sha256"), difference)
            raise DataError(
                (
                    "it was written with ",
                    Option(name, before.get(name)),
                    ", this run has ",
                    Option(name, now[name]),
                ),
                where=str(where),
                value=now[name],
                remedy=(
                    "continue with the same settings, or start over with ",
                    Option("overwrite", True),
                    " instead of ",
                    Option("resume", True),
                ),
            )


def _another_object(where: object, name: str, difference: str) -> DataError:
    """Return the error about a setting that is not the object that the run was started with."""
    seeded: Text = " (seed torch before you build it)" if name == "head" else ""
    return DataError(
        ("it was written with another ", Option(name), f": {difference}"),
        where=str(where),
        remedy=(
            "continue with the same ",
            Option(name),
            seeded,
            ", or start over with ",
            Option("overwrite", True),
            " instead of ",
            Option("resume", True),
        ),
    )
