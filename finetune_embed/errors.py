"""Every error the library raises on bad input: an object with fields, rendered when it is shown.

```
FinetuneEmbedError(Exception)
├── VectorFileError(ValueError)        a vector file that cannot be read or written
├── VocabularyError(ValueError)        tokens, ids and tables that do not belong together
├── StrategyError(ValueError)          a strategy or an optimizer's setting that cannot be used
├── DataError(ValueError)              a data set, column, label or run folder that cannot be used
├── DivergenceError(ArithmeticError)   a learning rate at which training diverges
└── MissingPackageError(ImportError)   an optional package that is not installed, or is broken
```

`str(error)` is the message for a Python caller; the command line renders the same fields with its
own form of options. No code reads a message. A message has fewer than 500 characters, in one line,
all of them printable, whatever names and values it shows.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeAlias

__all__ = [
    "DataError",
    "DivergenceError",
    "Either",
    "FinetuneEmbedError",
    "MissingPackageError",
    "Option",
    "Part",
    "PythonForm",
    "StrategyError",
    "Text",
    "VectorFileError",
    "VocabularyError",
    "check_choice",
    "missing_extra",
    "one_line",
    "optional_packages",
    "printable",
    "shell_word",
    "shown",
]

#: The most characters of a message, and those that its remedy keeps when it is longer: a remedy may
#: hold a name, which must be whole. On the command line `error: ` comes before it.
LONGEST, REMEDY = 490, 400


class _Unset:
    """Stands for no value of an option; a class, since copies and pickles of it stay identical."""


@dataclass(frozen=True)
class Option:
    """A setting that a message mentions: `lr=0.1` in Python, `--lr 0.1` on the command line.

    Attributes:
        name: the name of the parameter in Python.
        value: the value to show; `...` for one that the reader fills in. When left out, the message
            mentions the name alone.
    """

    name: str
    value: Any = _Unset

    @property
    def has_value(self) -> bool:
        """Whether a value is shown."""
        return self.value is not _Unset


@dataclass(frozen=True)
class Either:
    """A part of a message that differs between a Python caller and the command line.

    Attributes:
        python: the text for a Python caller, such as a call to make.
        command_line: the text for the command line, such as a command to run.
    """

    python: Text
    command_line: Text


Part = str | Option | Either
#: A message, or parts of one that are joined without a separator.
Text: TypeAlias = "Part | tuple[Text, ...]"


class PythonForm:
    """Renders messages for a Python caller."""

    def render(self, text: Text) -> str:
        """Return a text with its parts joined."""
        if isinstance(text, str):
            return text
        if isinstance(text, tuple):
            return "".join(map(self.render, text))
        return self.option(text) if isinstance(text, Option) else self.either(text)

    def option(self, option: Option) -> str:
        """Return an option as a keyword argument."""
        if not option.has_value:
            return option.name
        return f"{option.name}={'...' if option.value is ... else shown(option.value)}"

    def either(self, either: Either) -> str:
        """Return the text for Python."""
        return self.render(either.python)


def one_line(text: str, length: int | None = LONGEST) -> str:
    """Return a message in one line of printable characters.

    Lines are joined by spaces; other characters that do not print, or that change the direction of
    text, are escaped as in `repr`.

    Args:
        text: the message.
        length: the most characters, above which the middle is left out; None for any number.
    """
    line = printable(re.sub(r"\s*[\r\n]\s*", " ", text.strip()))
    return line if length is None else _shortened(line, length)


def shown(value: Any, form: Callable[[Any], str] = repr) -> str:
    """Return a value as text, or the name of its type where Python gives no text."""
    try:
        return form(value)
    except (ValueError, RecursionError):  # an integer of many digits, deep nesting
        return f"<{type(value).__name__}>"


def printable(text: str) -> str:
    """Return text whose characters that do not print are escaped as in `repr`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shell_word(text: str, is_windows: bool = os.name == "nt") -> str:
    """Return text as one word of a command, in quotes where a shell needs them."""
    if not is_windows:
        return shlex.quote(text)
    escaped = text.replace('"', '\\"')
    return text if re.fullmatch(r"[\w@+=:,./\\-]+", text) else f'"{escaped}"'


def _shortened(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    end = (length - 3) // 2
    return f"{text[: length - 3 - end]}...{text[len(text) - end :]}"


class FinetuneEmbedError(Exception):
    """The base of all errors that the library raises on bad input.

    Rendered as `where: option=value what; remedy`, each part only if it is given.

    Attributes:
        what: what is wrong, in words. With `option`, the predicate of a sentence whose subject is
            the option and its value.
        where: where it is wrong: `file:line`, a file, a folder, a split of a data set, a strategy.
        value: the value that is wrong. Only shown with `option`; otherwise `what` mentions it where
            it helps.
        remedy: what to do about it.
        option: the name of the parameter it is about.

    Example:
        >>> try:
        ...     fe.load_vectors("nothing.txt")
        ... except fe.FinetuneEmbedError as error:
        ...     print(type(error).__name__, error.where)
        VectorFileError nothing.txt
    """

    def __init__(
        self,
        what: Text,
        *,
        where: str | os.PathLike[str] | None = None,
        value: Any = None,
        remedy: Text | None = None,
        option: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what, self.where, self.value = what, where, value
        self.remedy, self.option = remedy, option

    def render(self, form: PythonForm) -> str:
        """Return the message in a form: one line of fewer than 500 printable characters."""
        message = form.render(self.what)
        if self.option is not None:
            message = f"{form.render(Option(self.option, self.value))} {message}"
        message = one_line(message, None)
        where = "" if self.where is None else f"{printable(os.fsdecode(self.where))}: "
        remedy = "" if self.remedy is None else f"; {one_line(form.render(self.remedy), None)}"
        if len(where) + len(message) + len(remedy) > LONGEST:
            remedy = _shortened(remedy, REMEDY)
            left = LONGEST - len(remedy)
            where = _shortened(where, max(left // 2, left - len(message)))
            message = _shortened(message, left - len(where))
        return f"{where}{message}{remedy}"

    def __str__(self) -> str:
        return self.render(PythonForm())


class VectorFileError(FinetuneEmbedError, ValueError):
    """A vector file cannot be read or written, or its format cannot hold the table.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> try:
        ...     fe.save_glove(table, "words.gz")
        ... except fe.VectorFileError as error:
        ...     print(error.what)
        the name ends in .gz, but what is written is not compressed
    """


class VocabularyError(FinetuneEmbedError, ValueError):
    """Tokens, ids and a table do not belong together.

    Example:
        >>> try:
        ...     fe.EmbeddingTable(["a", "a"], [[1], [2]]).key_to_index
        ... except fe.VocabularyError as error:
        ...     print(error.what)
        the word 'a' is in rows 0 and 1, but a table needs distinct words
    """


class StrategyError(FinetuneEmbedError, ValueError):
    """A strategy cannot be used, or a setting of it or of the optimizer is out of its range.

    Example:
        >>> try:
        ...     fe.Freeze() | fe.L2SP()
        ... except fe.StrategyError as error:
        ...     print(error.where, "-", error.remedy)
        Freeze | L2SP - keep one of them
    """


class DataError(FinetuneEmbedError, ValueError):
    """A data set, a column, a label or a run folder cannot be used.

    Example:
        >>> try:
        ...     fe.load("nothing")
        ... except fe.DataError as error:
        ...     print(error)
        nothing: no such folder; pass the folder of a finished run
    """


class DivergenceError(FinetuneEmbedError, ArithmeticError):
    """The learning rate is too large: a loss is not finite, or decay would overshoot its anchor.

    Example:
        >>> try:
        ...     fe.finetune("glove.6B.50d.txt", "reviews", head="bag", lr=1e30)
        ... except fe.DivergenceError as error:
        ...     print("nan" in error.what)
        True
    """


class MissingPackageError(FinetuneEmbedError, ImportError):
    """An optional package is not installed, or cannot be imported."""


#: Names for pip, of modules that have another one.
PIP_NAMES = {"sklearn": "scikit-learn"}


@contextlib.contextmanager
def optional_packages(*modules: str, extra: str | None = None) -> Iterator[None]:
    """Import optional packages in the block, which holds nothing else.

    Args:
        modules: the top-level modules that the block imports, in this order.
        extra: the extra of this package that installs them; see `missing_extra`.

    Raises:
        MissingPackageError: one is not installed, or is installed and cannot be imported, whatever
            it raises: one that was compiled for another numpy raises ValueError.
    """
    try:
        yield
    except Exception as error:  # a package that is broken raises anything when it is imported
        absent = next((name for name in modules if not _is_there(name)), None)
        if absent is not None:
            raise missing_extra(PIP_NAMES.get(absent, absent), extra) from error
        failed = next((name for name in modules if name not in sys.modules), modules[-1])
        package = PIP_NAMES.get(failed, failed)
        reason = one_line(str(error)) or type(error).__name__
        own = next((path for path in map(_own_file, modules) if path), None)
        if own is not None:
            raise MissingPackageError(
                f"{package} cannot be imported, since Python imports {own} instead",
                remedy="rename this file",
            ) from error
        raise MissingPackageError(
            f"{package} is installed, but cannot be imported: {reason}",
            remedy=f"reinstall it: pip install --upgrade --force-reinstall {package}",
        ) from error


def _is_there(module: str) -> bool:
    """Return whether a top-level module is installed, without importing it."""
    if sys.modules.get(module, module) is None:  # which keeps a module from being imported
        return False
    spec = find_spec(module)
    return spec is not None and spec.origin is not None  # None of a folder without modules


def _own_file(module: str) -> str | None:
    """Return the file of a module, if it is one beside the script or in the working directory."""
    spec = find_spec(module)
    path = None if spec is None else spec.origin
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    folders = (os.getcwd(), os.path.dirname(os.path.abspath(script or "script")))
    is_own = path is not None and os.path.dirname(os.path.abspath(path)) in folders
    return path if is_own else None


def missing_extra(package: str, extra: str | None = None) -> FinetuneEmbedError:
    """Return the error for an optional package that is not installed.

    Args:
        package: the package, as pip names it.
        extra: the extra of this package that installs it; when left out, pip installs it by name.
    """
    wanted = f'"finetune_embed[{extra}]"' if extra else package
    return MissingPackageError(f"{package} is not installed", remedy=f"pip install {wanted}")


def check_choice(
    name: str, value: Any, choices: Sequence[str], error: type[FinetuneEmbedError]
) -> None:
    """Check that an argument is one of some names.

    Args:
        name: the name of the argument.
        value: its value.
        choices: the names, the usual one first.
        error: the class of the error.

    Raises:
        FinetuneEmbedError: it is not; of this class.
    """
    if value not in choices:
        raise error(
            f"is not one of {', '.join(choices)}",
            option=name,
            value=value,
            remedy=("choose one, such as ", Option(name, choices[0])),
        )
