"""The plain values in the files of a run, checked when they are read.

Files may be damaged, or written by others. What is read is what the library would have written, as
far as types go: a value of another type is an error that names it, before anything uses it.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, load_file

from ...errors import DataError, FinetuneEmbedError, Option, Text, shown
from ..settings import FLOATING, settings_fields
from .file_names import MARK

__all__ = [
    "DAMAGE",
    "HISTORY_SHAPE",
    "METRICS_SHAPE",
    "RECORD_SHAPE",
    "Shape",
    "check_shape",
    "is_count",
    "is_finite",
    "is_flag",
    "is_number",
    "is_text",
    "later_settings",
    "load_tensors",
    "read_json",
    "reading",
    "settings_shape",
]

#: What reading a damaged file raises.
DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,  # of torch, and of deep nesting
    MemoryError,
)
LARGEST = 1 << 63
#: A function that allows some values; a list of one shape for lists; a mapping from keys to shapes,
#: where `str` stands for all other keys; or a tuple of alternatives.
Shape = Callable[[Any], bool] | list[Any] | Mapping[Any, Any] | tuple[Any, ...]


@contextlib.contextmanager
def reading(path: Path, what: str = "this file of the run is damaged") -> Iterator[None]:
    """Turn whatever the reading of a damaged file raises into one error that names it.

    Raises:
        DataError: it is damaged.
    """
    from safetensors import SafetensorError
    from yaml import YAMLError

    try:
        yield
    except (*DAMAGE, SafetensorError, YAMLError) as error:
        reason: Text = str(error) or type(error).__name__
        if isinstance(error, FinetuneEmbedError):
            reason = error.what
            if error.option is not None:
                reason = (Option(error.option, error.value), " ", error.what)
        raise DataError((f"{what}: ", reason), where=path) from error


def check_shape(value: Any, shape: Shape, name: str = "") -> None:
    """Check that a value has a shape.

    Raises:
        ValueError: a part of it has not.
    """
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise _wrong(value, name, "a mapping")
        for key in shape.keys() - value.keys() - {str}:
            if not (isinstance(shape[key], tuple) and is_absent in shape[key]):
                raise ValueError(f"{name or 'it'} has no {key}")
        for key, part in value.items():
            if not is_text(key):
                raise _wrong(key, f"a key of {name}" if name else "a key", "a text")
            if key in shape or str in shape:
                known: Any = key if key in shape else str
                check_shape(part, shape[known], f"{name}, {key}" if name else key)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _wrong(value, name, "a list")
        for number, part in enumerate(value):
            check_shape(part, shape[0], f"{name}[{number}]")
    elif isinstance(shape, tuple):
        kinds = [one for one in shape if isinstance(one, (list, Mapping)) == _nested(value)]
        for number, one in enumerate(kinds):
            try:
                check_shape(value, one, name)
                return
            except ValueError:
                if number == len(kinds) - 1:
                    raise
        if not kinds:
            raise _wrong(value, name, "of this type")
    elif not shape(value):
        raise _wrong(value, name, _DESCRIBED.get(shape, "of this type"))


def _nested(value: Any) -> bool:
    return isinstance(value, (list, dict))


def _wrong(value: Any, name: str, kind: str) -> ValueError:
    return ValueError(f"{name or 'it'} is {shown(value)[:100]}, which cannot be {kind}")


def is_text(value: Any) -> bool:
    """Return whether a value is a text; bytes of file names may be in it, other surrogates not."""
    try:
        return isinstance(value, str) and value.encode("utf-8", "surrogateescape") is not None
    except UnicodeEncodeError:
        return False


def is_flag(value: Any) -> bool:
    """Return whether a value is True or False."""
    return isinstance(value, bool)


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number of 0 or more that fits into 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST


def is_number(value: Any) -> bool:
    """Return whether a value is a number that fits into 64 bits; scores may be NaN."""
    if isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST


def is_finite(value: Any) -> bool:
    """Return whether a value is a number that fits into 64 bits, and not NaN or infinite."""
    return is_number(value) and math.isfinite(value)


def is_share(value: Any) -> bool:
    """Return whether a value is a number from 0 to 1."""
    return is_number(value) and 0 <= value <= 1


def is_none(value: Any) -> bool:
    """Return whether a value is None."""
    return value is None


def is_absent(value: Any) -> bool:
    """Return False: as an alternative of a shape, its key may be left out."""
    return False


def is_label(value: Any) -> bool:
    """Return whether a value may be a label."""
    return is_text(value) or is_flag(value) or is_finite(value)


def is_plain(value: Any) -> bool:
    """Return whether a value is a text, a number, a flag or None."""
    return is_none(value) or is_text(value) or is_flag(value) or is_number(value)


_DESCRIBED: dict[Any, str] = {
    is_text: "a text",
    is_flag: "True or False",
    is_count: "a count",
    is_number: "a number",
    is_finite: "a finite number",
    is_share: "a share",
    is_none: "None",
    is_label: "a label",
    is_plain: "a plain value",
}

RECORD_SHAPE: Shape = {
    **dict.fromkeys(("task", "tokenizer", "head", "embedding", "device"), is_text),
    **dict.fromkeys(("data_sha256", "start_sha256", "mixed_precision"), is_text),
    "labels": [is_label],
    "custom_head": is_flag,
    "processes": is_count,
    str: (is_plain, [is_plain], {str: is_plain}),
}
METRICS_SHAPE: Shape = {
    "validation": {"loss": is_number, str: is_number},
    "best_epoch": is_count,
    "epochs": is_count,
    "seconds": is_number,
    "coverage": {
        **dict.fromkeys(("types", "types_found", "tokens", "tokens_found"), is_count),
        "missing": [[is_label]],
        "by_step": {str: {"types": is_count, "tokens": is_count}},
    },
    "drift": {
        **dict.fromkeys(("rows", "rows_moved", "new_rows"), is_count),
        **dict.fromkeys(("median_movement", "median_cosine"), (is_number, is_none)),
        "bands": [
            {
                "name": is_text,
                **dict.fromkeys(("rows", "moved"), is_count),
                **dict.fromkeys(("median_movement", "median_cosine"), is_number),
                str: is_plain,
            }
        ],
    },
    "warnings": [is_text],
    str: {str: is_number},
}
HISTORY_SHAPE: Shape = [
    {
        "epoch": is_count,
        "step": is_count,
        "embedding_lr": is_number,
        "movement": (is_absent, {"displacement": is_number, str: is_number}),
        str: is_number,
    }
]


#: Settings that came after release 0.1.0, whose runs do not have them.
LATER = (
    "class_weight",
    "delimiter",
    "encoding",
    "ensemble",
    "ignore_label",
    "label_smoothing",
    "lexical",
    "limit",
    "metric",
    "missing",
    "optimizer",
    "sheet",
    "test",
    "vector_size",
)


def later_settings() -> dict[str, Any]:
    """Return the values of settings that the runs of earlier releases lack."""
    known = settings_fields()
    return {**{name: known[name].default for name in LATER}, "lexical": False}


def settings_shape() -> Shape:
    """Return the shape of `config.yaml`."""
    nested = [(is_plain, {str: (is_plain, [is_plain])})]
    shape: dict[Any, Any] = dict.fromkeys((MARK, "vectors", "data"), is_text)
    for name, one in settings_fields().items():
        check, optional = one.metadata["check"], one.default is None
        if name in FLOATING:
            continue
        if check is not None:
            shape[name] = (is_none, _both(check.allows)) if optional else _both(check.allows)
        elif "Mapping" in str(one.type):
            shape[name] = (is_none, is_text, {str: is_number})
        elif "Sequence" in str(one.type):
            shape[name] = (is_text, nested) if name == "text" else nested
        else:
            shape[name] = (is_none, is_text, [is_number])
    return {**shape, str: (is_plain, nested)}


def _both(allows: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: is_plain(value) and allows(value)


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file, whose reader takes no names that are not UTF-8."""
    if path.as_posix().encode(errors="surrogateescape").decode(errors="replace") == path.as_posix():
        return load_file(path)
    return load(path.read_bytes())


def read_json(path: Path, shape: Shape) -> Any:
    """Return the content of a JSON file of a run.

    Raises:
        DataError: it is damaged.
    """
    with reading(path):
        value = json.loads(path.read_bytes())
        check_shape(value, shape)
    return value
