"""Recognises files that no format of this library looks like, by their first bytes.

They turn up wherever a file of vectors, words or settings is expected: a pointer of Git LFS, the
answer of a web server, an archive that is not opened here, a model of another library.
`open_source` refuses them, so each is named in every place that a file is read.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection
from typing import NamedTuple

from ..errors import Either, Text

__all__ = ["ANSWER", "Foreign", "foreign_in", "foreign_kind", "is_binary", "is_plain"]

BOM = b"\xef\xbb\xbf"
SAMPLE = 1 << 12  # bytes inspected to distinguish text from binary
ANSWER = 1 << 16  # bytes; a server's answer in JSON is shorter
CONTROLS, FEWEST = 0.02, 16  # the share and number of control characters that make bytes binary


class Foreign(NamedTuple):
    """A kind of file that is not read here.

    Attributes:
        title: its name in messages.
        remedy: what to do with it.
    """

    title: str
    remedy: Text


_PAIR: Text = Either(
    "pass EmbeddingTable(words, vectors)",
    "save it with numpy.savez('vectors.npz', vectors=vectors, words=words)",
)


def _unpack(command: str) -> Text:
    return f"unpack it first: {command}"


TORCH = Foreign(
    "a file written by torch.save",
    ("read its words and vectors with torch.load(path) and ", _PAIR),
)
_OFFICE = Foreign("an Office document", "save it as CSV or text")
_KERAS = Foreign("a Keras model", ("read the weights of its embedding and ", _PAIR))
_LFS = Foreign("a Git LFS pointer", "fetch the file itself with git lfs pull")
_PAGE = Foreign("a web page", "download the file that the page links to")
_ANSWER = "download it again; check the address, and that you may read it"
#: Kinds of files by first bytes that no text starts with.
_BINARY_MAGIC = {
    b"7z\xbc\xaf\x27\x1c": Foreign("a 7z archive", _unpack("7z x FILE")),
    b"Rar!\x1a\x07": Foreign("a RAR archive", _unpack("unrar x FILE")),
    b"\x04\x22\x4d\x18": Foreign("an lz4 file", _unpack("lz4 -d FILE")),
    b"\x89HDF\r\n\x1a\n": Foreign("an HDF5 file", ("read it with h5py and ", _PAIR)),
    b"SQLite format 3\x00": Foreign(
        "an SQLite database", "export it with the library that wrote it"
    ),
    b"\xd0\xcf\x11\xe0": Foreign("an old Office file, such as .xls", "save it as CSV or text"),
}
#: Kinds by first bytes that could be a word: what follows must be binary.
_WORDLIKE_MAGIC = {
    b"FEA1": Foreign(
        "a Feather file of version 1", ("read it with pandas.read_feather(path) and ", _PAIR)
    ),
    b"GGUF": Foreign("a GGUF model", "use the safetensors files of the model"),
    b"%PDF-": Foreign("a PDF file", "pass another file"),
}
_LZMA = re.compile(
    rb"\x5d\x00\x00[\x00-\xff](?:[\x00-\x0f])(?:\xff{8}|[\x00-\xff]{5}\x00{3})", re.S
)
_TORCH = re.compile(rb"\x80[\x02-\x05]\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\.")
_POINTER = re.compile(
    rb"version (?:https?://(?:git-lfs\.github\.com|hawser\.github\.com|git-media\.io)/)"
    rb"|(?:\.\./)*(?:\.git)?/annex/objects/|# xet version"
)
_HTTP = re.compile(rb"HTTP/\d(?:\.\d)? \d{3}\b")
_PREFACE = rb"(?:<!--.*?-->\s*|<\?xml\b[^>]*\?>\s*)*"
_HTML = re.compile(
    _PREFACE + rb"<(?:!doctype\s+html\b|(?:html|head|body|title|script|meta|center|h1)[\s>])",
    re.I | re.S,
)
_XML = re.compile(
    rb"<\?xml\s|<!doctype\s|" + _PREFACE + rb"<(?:[a-z]+:)?(?:error|errors|errorresponse|response|"
    rb"listbucketresult|envelope|fault)[\s>]",
    re.I | re.S,
)
_ERROR = re.compile(rb"<(?:code|message|faultstring)>\s*([^<]{1,80})", re.I)
#: What servers answer instead of a file, as a line of text.
_LINE = re.compile(
    rb"(?:\d{3}:? )?(?:entry |file |page |repository |resource )?(?:not found|forbidden|"
    rb"access denied|unauthorized|bad gateway|bad request|too many requests|"
    rb"internal server error|service unavailable|gateway time-?out)[.!]?\s*",
    re.I,
)
_ERROR_KEYS = ("error", "errors", "message", "detail", "error_message", "error_description")
_ROW = re.compile(
    rb"[^\r\n]*?\S[ \t]+[-+]?(?:\d+\.?\d*|\.\d+|nan|inf)(?:e[-+]?\d+)?[ \t]*\r?(?:\n|$)", re.I
)
_UTF16 = re.compile(rb"(\xff\xfe|(?:[^\0]\0){4})|\xfe\xff|(?:\0[^\0]){4}")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def foreign_kind(head: bytes, *, is_whole: bool) -> Foreign | None:
    """Return what a file is if this library does not read it; else None.

    Args:
        head: its first bytes.
        is_whole: whether the head is all of it.
    """
    if _TORCH.match(head):
        return TORCH
    if _LZMA.match(head) and not is_plain(head):
        return Foreign("an lzma file of the old format", _unpack("unlzma FILE"))
    for magic, kind in _BINARY_MAGIC.items():
        if head.startswith(magic):
            return kind
    for magic, kind in _WORDLIKE_MAGIC.items():
        if head.startswith(magic) and not is_plain(head[len(magic) : SAMPLE]):
            return kind
    return _of_text(head, is_whole)


def foreign_in(names: Collection[str]) -> Foreign | None:
    """Return what an archive with such members is if it is a file of another library."""
    last = {name.rpartition("/")[2] for name in names}
    if "data.pkl" in last or {"pickle", "storages", "tensors"} <= last:
        return TORCH
    if "[Content_Types].xml" in last:
        return _OFFICE
    return _KERAS if {"model.weights.h5", "config.json"} <= last else None


def _of_text(head: bytes, is_whole: bool) -> Foreign | None:
    if wide := _UTF16.match(head):
        head = head.decode("utf-16-le" if wide[1] else "utf-16-be", "ignore").encode()
    text = head.removeprefix(BOM).lstrip()
    if _POINTER.match(text):
        return (
            _LFS
            if text.startswith(b"version")
            else _LFS._replace(
                title="a pointer of git-annex or Xet", remedy="fetch the file itself"
            )
        )
    if _HTTP.match(text):
        return Foreign("the answer of a web server", _ANSWER)
    if text[:1] == b"<" and not _ROW.match(text):
        if _HTML.match(text):
            return _PAGE
        if _XML.match(text):
            found = _ERROR.search(text)
            said = f" ({_shown(found[1])})" if found else ""
            return Foreign(
                f"the error that a web server sent{said}" if found else "an XML document", _ANSWER
            )
    if is_whole and len(head) < ANSWER:
        if _LINE.fullmatch(text):
            return Foreign(f"the error that a web server sent ({_shown(text)})", _ANSWER)
        if text[:1] == b"{":
            return _of_json(text)
    return None


def _of_json(text: bytes) -> Foreign | None:
    """Return the kind of an object in JSON whose keys are those of a server's error."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    for key in _ERROR_KEYS if isinstance(answer, dict) else ():
        said = answer.get(key)
        if isinstance(said, dict):
            said = said.get("message", said)
        if isinstance(said, (str, list, dict)):
            shown = _shown(str(said).encode(errors="replace"))
            return Foreign(f"the error that a web server sent ({shown})", _ANSWER)
    return None


def _shown(text: bytes) -> str:
    return " ".join(text[:80].decode("utf-8", "replace").split())


def is_plain(sample: bytes) -> bool:
    """Return whether bytes are UTF-8 without control characters; the last one may be cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(sample) is None


def is_binary(head: bytes) -> bool:
    """Return whether bytes are not text: many control characters, and no row at the start.

    A few of them may be in words.
    """
    sample = head[:SAMPLE]
    controls = len(_CONTROL.findall(sample))
    many = max(CONTROLS * len(sample), FEWEST)
    return controls > many and not _ROW.match(sample.removeprefix(BOM))
