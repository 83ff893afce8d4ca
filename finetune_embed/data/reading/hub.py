"""Names of data sets on the Hugging Face Hub, and mistyped paths that look like one."""

from __future__ import annotations

import contextlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DataError, Option
from ...files import looked_in, near

__all__ = ["check_not_a_path", "load_from_hub"]

#: `name` or `owner/name`, where the name does not end like that of a file.
_HUB_NAME = re.compile(r"(?:[A-Za-z0-9][\w.-]{,95}/)?[A-Za-z0-9][\w.-]{,95}", re.ASCII)
_FILE_SUFFIX = re.compile(r"\.[A-Za-z]\w*$")
_TIMEOUT = 10  # seconds


def check_not_a_path(name: str) -> None:
    """Check that a name of which there is no file or folder can be one on the Hub.

    Raises:
        DataError: it looks like a path: of a file, in a folder that exists, or nearly that of a
            file or folder here.
    """
    path = Path(name)
    can_be_on_hub = bool(_HUB_NAME.fullmatch(name)) and not _FILE_SUFFIX.search(name)
    close = near(name)
    if can_be_on_hub and not ("/" in name and os.path.isdir(path.parent)) and close is None:
        return
    parent = path.parent
    while not os.path.isdir(parent) and parent != parent.parent:
        parent = parent.parent
    where = f"; there is no folder {path.parent}" if parent != path.parent else looked_in(path)
    raise DataError(
        f"there is no such file or folder{where}",
        where=name,
        remedy=None if close is None else ("did you mean ", Option("dataset", close), "?"),
    )


def load_from_hub(name: str, streaming: bool) -> Mapping[str, Any]:
    """Return a data set of the Hub, which must answer at once unless the data set is cached.

    Raises:
        DataError: the Hub has none, or cannot be reached, or the data set cannot be loaded.
    """
    from datasets import config, load_dataset

    cached = Path(config.HF_DATASETS_CACHE) / name.replace("/", "___")
    try:
        if not cached.is_dir() and not config.HF_HUB_OFFLINE:
            _reach(config.HF_ENDPOINT)  # `load_dataset` would try again and again
        loaded: Mapping[str, Any] = load_dataset(name, streaming=streaming)
    except Exception as error:  # of the network libraries, whatever they are
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise DataError(
            f"is neither a file or folder here nor a data set that the Hub returns: {reason}",
            option="dataset",
            value=name,
        ) from error
    return loaded


def _reach(address: str) -> None:
    """Ask a server for anything.

    Raises:
        OSError: it does not answer.
    """
    with (
        contextlib.suppress(urllib.error.HTTPError),
        urllib.request.urlopen(address, None, _TIMEOUT),
    ):
        pass
