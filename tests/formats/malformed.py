"""Damaged, lying and merely strange files, for `test_malformed.py`.

Each case describes how its file is made and opened, and the expected table or error message.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import os
import struct
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from packing import lying_tar, patched_zip, tarred, zipped, zstd

from finetune_embed import load_glove, load_safetensors, load_vectors, load_word2vec

MB = 1 << 20
ROWS = b"a 1 2\nb 3 4\n"
TABLE = {"a": [1.0, 2.0], "b": [3.0, 4.0]}
ONE, TWO = struct.pack("<2f", 1, 2), struct.pack("<2f", 3, 4)


@dataclass(frozen=True)
class Case:
    """A file and what loading it gives.

    Attributes:
        name: what is wrong with it.
        made: its bytes, or a function that takes a folder and returns what to open.
        expected: the table as a dict, or a pattern of the error message.
        load: the loader.
        options: the loader's options.
        most: the most bytes of memory that it may take.
    """

    name: str
    made: bytes | Callable[[Path], Any]
    expected: dict[str, list[float]] | str
    load: Callable[..., Any] = load_vectors
    options: dict[str, Any] = field(default_factory=dict)
    most: int = 32 * MB


def tensors(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def table_header(weight: str = "[1,1]", end: int = 8, words: int = 16) -> bytes:
    """Return the header of a table of one word; the arguments are its claims."""
    return (
        f'{{"vocab.offsets":{{"dtype":"I64","shape":[2],"data_offsets":[0,16]}},'
        f'"embedding.weight":{{"dtype":"F32","shape":{weight},"data_offsets":[16,20]}},'
        f'"vocab.bytes":{{"dtype":"U8","shape":[1],"data_offsets":[20,{end}]}}}}'
    ).encode()


def piped(data: bytes) -> Callable[[Path], Any]:
    def make(folder: Path) -> Path:
        os.mkfifo(folder / "pipe")
        threading.Thread(target=(folder / "pipe").write_bytes, args=(data,)).start()
        return folder / "pipe"

    return make


def bomb(make: Callable[[], bytes]) -> Callable[[Path], Any]:
    """Return what writes a file that takes long to make, in its test alone."""

    def made(folder: Path) -> Path:
        (folder / "vectors").write_bytes(make())
        return folder / "vectors"

    return made


def closed(folder: Path) -> Any:
    (folder / "v.txt").write_bytes(ROWS)
    with open(folder / "v.txt", "rb") as file:
        return file


class Text:
    """A file object that returns text, but is not an `io.TextIOBase`."""

    def read(self, size: int = -1) -> str:
        return ROWS.decode()[:size]


LONG = "x" * 100_000
CUT = "data is damaged or cut short at byte .*; fetch the file again"
NO_NUMBER = r"vectors:1: value 1 of the vector is {}, which is not a number; correct the line or re"
NO_LINE = r"vectors:{}: this is not a text file of vectors: {} is not a word and numbers sep"
BUT = "vectors:1: the header promises {} vectors of 2 numbers, but no line follows"

TEXT_CASES = [
    Case("empty", b"", r"vectors: the file is empty \(0 bytes\); fetch the file again"),
    Case("newlines", b"\n\n\n", "vectors: no line of text in the first 3 bytes"),
    Case("spaces", b"   \r\n ", "vectors: no line of text"),
    Case("byte order mark alone", b"\xef\xbb\xbf", "vectors: no line of text"),
    Case("byte order mark", b"\xef\xbb\xbf" + ROWS, TABLE),
    Case("byte order mark and header", b"\xef\xbb\xbf2 2\n" + ROWS, TABLE),
    Case("CRLF", b"a 1 2\r\nb 3 4\r\n", TABLE),
    Case("CRLF and header", b"2 2\r\na 1 2\r\nb 3 4\r\n", TABLE),
    Case("CR alone", b"a 1 2\rb 3 4\r", "vectors: the lines end in carriage returns"),
    Case("UTF-16", "a 1 2\n".encode("utf-16"), "vectors: this is UTF-16 text.*: iconv -f UTF-16"),
    Case("UTF-16 BE", b"\xfe\xff\0a\0 \x001\0\n", "vectors: this is UTF-16 text.*: iconv -f UTF"),
    Case("tabs", b"a\t1\t2\n", r":1: this is tab-separated text: '\\t' is .*replace each '\\t' wi"),
    Case(
        "a tab after the word",
        b"a\t1 2\nb\t3 4\n",
        r"vectors:1: '\\t', not a space, separates the word from its numbers in 'a\\t1 2' and all",
    ),
    Case(
        "a comma after the word",
        b"a,1 2\nb,3 4\n",
        r"',', not a space, .*; replace it with a space, .*load_vectors\(path, vector_size=1\)",
    ),
    Case(
        "commas in words",
        b"1,5 2\n1,6 3\n",
        {"1,5": [2.0], "1,6": [3.0]},
        options={"vector_size": 1},
    ),
    Case(
        "a floret table",
        b"2 2 2 3 2 2166136261 < >\n0 1 2\n1 3 4\n",
        "vectors: this is a floret table, which is not read here; convert it with spacy init vec",
    ),
    Case(
        "commas",
        b"a,1,2\n",
        ":1: this is CSV: ',' is between .* 'a,1,2'; replace each ',' with a s",
    ),
    Case(
        "two spaces", b"a  1 2\nb  3 4\n", ":1: several spaces, not one, .* 'b  3 4'; write single"
    ),
    Case("a space ahead", b" a 1 2\n b 3 4\n", ":1: several spaces, not one, .* ' b 3 4'; write s"),
    Case("a web page", b"<!DOCTYPE html>\n<html>", "vectors: this is a web page, which is not"),
    Case(
        "a Git LFS pointer",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "vectors: this is a Git LFS pointer, which is not read here; fetch .*git lfs pull",
    ),
    Case("JSON", b"{}", NO_LINE.format(1, "'{}'")),
    Case("one token", b"word", "vectors:1: this is not vectors but a message: 'word'"),
    Case(
        "one token and a newline", b"word\n", "vectors:1: this is not vectors but a message: 'word'"
    ),
    Case(
        "one token under a header",
        b"1 1\nword\n",
        "vectors:2: this is not vectors but a message: 'word'",
    ),
    Case("one row", b"a 1 2", {"a": [1.0, 2.0]}),
    Case("one row and a header", b"1 2\na 1 2", {"a": [1.0, 2.0]}),
    Case("a header alone", b"3 2\n", BUT.format(3)),
    Case("a header of no rows", b"0 2\n", BUT.format(0)),
    Case("half a header", b"3", NO_LINE.format(1, "'3'")),
    Case("more rows promised", b"3 2\n" + ROWS, "vectors:4: the header promises 3 vectors, but th"),
    Case("fewer rows promised", b"1 2\n" + ROWS, "vectors:4: the header promises 1 vectors, but t"),
    Case(
        "no rows promised", b"0 2\n" + ROWS, "vectors:4: .*promises 0 vectors, .* has 2; .*limit=2"
    ),
    Case("other numbers promised", b"2 9\n" + ROWS, "vectors:1: .* of 9 numbers, but line 2 has 2"),
    Case(
        "other numbers promised, and a word with a space",
        b"3 3\nx a 1 2\n" + ROWS,
        "vectors:1: .* of 3 numbers, but most lines have 2; correct the header, or remove it to",
    ),
    Case(
        "other numbers requested than promised",
        b"2 2\n" + ROWS,
        "vectors:1: vector_size=3 contradicts the header, which .* of 2 numbers; leave vector_size",
        options={"vector_size": 3},
    ),
    Case("a billion rows promised", b"999999999 2\n" + ROWS, "promises 999,999,999 vectors, but"),
    Case("a header of 18 digits", b"9" * 18 + b" 2\n" + ROWS, "promises 999,999,999,999,999,999"),
    Case("a header of 19 digits", b"9" * 19 + b" 2\n" + ROWS, "vectors:1: 1 of 2 numbers in '999"),
    Case(
        "a negative header",
        b"-2 2\n" + ROWS,
        r"vectors:1: 1 of 2 numbers in '-2 2'; the file is damaged there or cut short; fetch it",
    ),
    Case("two vector sizes", b"a 1 2\nb 3 4\nc 5\n", "vectors:3: 1 of 2 numbers in 'c 5'; the f"),
    Case("a longer line", ROWS + b"c 5 6 7\n", TABLE | {"c 5": [6.0, 7.0]}),
    Case(
        "two vector sizes, equally often",
        b"a 1 2\nb 3\n",
        r"vectors: the vector size is in doubt: 1 of the first lines have 2 numbers, and 1 have 1; "
        r"if words contain spaces, use load_vectors\(path, vector_size=1\)",
    ),
    Case("cut in a number", ROWS + b"c 0.7", "vectors:3: 1 of 2 numbers in 'c 0.7'; the file"),
    Case("cut in a word", ROWS + b"c", "vectors:3: 0 of 2 numbers in 'c'; the file is damaged"),
    Case("cut after a space", ROWS + b"c 1 ", "vectors:3: 1 of 2 numbers in 'c 1'; the file"),
    Case(
        "a blank line within", b"a 1 2\n\nb 3 4\n", "vectors:2: 0 of 2 numbers in ''; the file is"
    ),
    Case(
        "a blank line before a header",
        b"\n3 1\na 1\nb 2\n",
        "vectors:1: a blank line is above the header",
    ),
    Case("a line of spaces within", b"a 1 2\n   \nb 3 4\n", "vectors:2: 0 of 2 numbers in ''; the"),
    Case("blank lines at the end", ROWS + b"\n\r\n  \n", TABLE),
    Case("a line without an end", b"x" * 5_000_000, "vectors: no line of text in the first 4,194"),
    Case("exponents", b"a 1e-5 -2E+3\n", {"a": [float(np.float32(1e-5)), -2000.0]}),
    Case(
        "not finite",
        b"a nan inf\nb -inf NaN\n",
        {"a": [math.nan, math.inf], "b": [-math.inf, math.nan]},
    ),
    Case(
        "too large for float32",
        b"a 1 2\nb 1 -1e999\n",
        r":2: value 2 .* '-1e999', which is too large for float32; correct",
    ),
    Case("too small for float32", b"a 1 2\nb 1e-46 -1e-999\n", {"a": [1.0, 2.0], "b": [0.0, -0.0]}),
    Case(
        "400 digits", b"a 1." + b"5" * 400 + b" 2\n", {"a": [float(np.float32(1.5555555555)), 2.0]}
    ),
    Case("signs and bare points", b"a +1 .5\nb 5. -0\n", {"a": [1.0, 0.5], "b": [5.0, -0.0]}),
    Case("a decimal comma", b"a 1,5 2\nb 3 4\n", NO_NUMBER.format("'1,5'")),
    Case("an underscore", b"a 1_0 2\nb 3 4\n", NO_NUMBER.format("'1_0'")),
    Case("hexadecimal", b"a 0x1p3 2\nb 3 4\n", NO_NUMBER.format("'0x1p3'")),
    Case("full-width digits", "a １ 2\nb 3 4\n".encode(), NO_NUMBER.format("'１'")),
    Case("a bracket", b"a [1 2]\nb [3 4]\n", NO_NUMBER.format(r"'\[1'")),
    Case("null", b"a null 2\nb 3 4\n", "vectors:1: value 1 of the vector is 'null', which stands"),
    Case("a tab after a number", b"a 1\t 2\nb 3 \t4\n", TABLE),
    Case("words that are numbers", b"1 2 3\n4 5 6\n", {"1": [2.0, 3.0], "4": [5.0, 6.0]}),
    Case("a row like a header", b"10 3\n11 4\n12 5\n", {"10": [3.0], "11": [4.0], "12": [5.0]}),
    Case("a word of 100 KB", f"a 1 2\n{LONG} 3 4\n".encode(), {"a": [1.0, 2.0], LONG: [3.0, 4.0]}),
    Case("doubled words", b"a 1 2\nb 3 4\na 5 6\n", TABLE),
    Case("empty words", b" 1 2\na 3 4\n 5 6\n", {"": [1.0, 2.0], "a": [3.0, 4.0]}),
    Case("a null byte", b"a\0 1 2\n", {"a\0": [1.0, 2.0]}),
    Case(
        "bytes that are not UTF-8",
        b"\xe9 1 2\n\xff\xff 3 4\n",
        {"\udce9": [1.0, 2.0], "\udcff\udcff": [3.0, 4.0]},
    ),
    Case("a no-break space", "a\u00a0b 1 2\n".encode(), {"a\u00a0b": [1.0, 2.0]}),
    Case("noise", bytes(range(256)) * 16, "vectors: this is a binary file of unknown"),
    Case(
        "too large a vector size",
        b"a 1 2\n",
        "vectors:1: 2 of 9 numbers in 'a 1 2'",
        options={"vector_size": 9},
    ),
    Case(
        "an absurd size",
        b"a 1 2\n",
        "vector_size=1000000000000000000 must be from 1 to 67,108,864$",
        options={"vector_size": 10**18},
    ),
    Case("no size", b"a 1 2\n", "vector_size=0 must be from 1 to 6", options={"vector_size": 0}),
    Case(
        "no row requested", ROWS, "limit=0 must be 1 or more; leave limit out", options={"limit": 0}
    ),
    Case(
        "one string of keys",
        ROWS,
        r"keys='ab' is a single string; pass a list of words: keys=\['ab'\]",
        options={"keys": "ab"},
    ),
]

BINARY_CASES = [
    Case("binary", b"2 2\na " + ONE + b"b " + TWO, TABLE),
    Case("binary with newlines", b"2 2\na " + ONE + b"\nb " + TWO + b"\n", TABLE),
    Case("binary, CRLF header", b"2 2\r\na " + ONE + b"b " + TWO, TABLE),
    Case("binary, an empty word", b"2 2\n " + ONE + b"b " + TWO, {"": [1.0, 2.0], "b": [3.0, 4.0]}),
    Case("binary, doubled words", b"2 2\na " + ONE + b"a " + TWO, {"a": [1.0, 2.0]}),
    Case("binary, a word of 100 KB", f"1 2\n{LONG} ".encode() + ONE, {LONG: [1.0, 2.0]}),
    Case(
        "binary cut in a vector",
        b"2 2\na " + ONE + b"b " + TWO[:7],
        "the file ends within row 2, at byte 23; .*limit=1",
    ),
    Case(
        "binary cut in a word",
        b"2 2\na " + ONE + b"b",
        "the file ends within row 2, at byte 15; .*limit=1",
    ),
    Case(
        "binary cut in row 1",
        b"2 2\na " + ONE[:5] + b"\xff",
        "the file ends within row 1, at byte 12; fetch the file again$",
    ),
    Case(
        "binary, bytes left over",
        b"1 2\na " + ONE + b"b " + TWO,
        "promises 1 vectors, but more bytes follow them at 14; .*limit=1",
    ),
    Case(
        "binary, a billion rows promised",
        b"999999999 2\na " + ONE,
        "promises 999,999,999 vectors of 2 numbers, but the file ends within row 2",
    ),
    Case(
        "binary, 4 MB a row promised",
        b"9 1048576\na " + ONE,
        "promises 9 vectors of 1048576 numbers, but the file ends within row 1",
    ),
    Case(
        "binary, absurd rows promised",
        b"9 99999999999999999\na " + ONE,
        "vectors:1: .*not a word2vec binary: its header promises vectors of 99,999,999,999,999,999",
    ),
    Case(
        "binary, no numbers promised",
        b"9 0\na " + ONE,
        "vectors:1: .*not a word2vec binary: its header promises vectors of 0 numbers$",
    ),
    Case(
        "binary, no rows promised",
        b"0 2\na " + ONE,
        "promises 0 vectors, but more bytes follow them at 4; correct the header$",
    ),
    Case(
        "binary, a word without an end",
        b"2 2\n" + b"\xff" * 12_000_000,
        "but row 1, at byte 4, does not start with a word and a space; fetch the file again$",
    ),
    Case("text for load_word2vec", ROWS, "vectors:1: there is no header line `V D`", load_word2vec),
    Case(
        "word2vec for load_glove",
        b"2 2\n" + ROWS,
        r"vectors:1: '2 2' is a header, .*; use load_word2vec\(path\)",
        load_glove,
    ),
    Case(
        "binary for load_glove",
        b"1 2\na " + ONE,
        r"is a word2vec binary, not text of vectors; use load_word2vec\(path\)",
        load_glove,
    ),
    Case(
        "binary loaded as text",
        b"1 2\na " + ONE,
        r"vectors: this is binary, not text; pass binary=True",
        load_word2vec,
        {"binary": False},
    ),
    Case(
        "fastText for load_word2vec",
        b"\xba\x16\x4f\x2f\x0c\0\0\0",
        r"is a fastText binary model, not .*; use load_fasttext\(path\)",
        load_word2vec,
    ),
    Case(
        "text for load_safetensors",
        ROWS,
        r"is text of vectors, not a safetensors file; use load_glove\(path\) or",
        load_safetensors,
    ),
]

TENSOR_CASES = [
    Case(
        "safetensors",
        tensors(table_header(end=21), struct.pack("<2qf", 0, 1, 5) + b"a"),
        {"a": [5.0]},
    ),
    Case(
        "a header of 4 exabytes",
        struct.pack("<Q", 1 << 62) + b"{}",
        "vectors: this is not a safetensors file, nor any other known format; .* fetch it again",
        load_safetensors,
    ),
    Case(
        "a header of 100 MB",
        struct.pack("<Q", 10**8) + b"{}",
        "vectors: the header claims 100,000,000 bytes of a file of 10, .* damaged; fetch it again",
    ),
    Case(
        "a tensor of 4 TB",
        tensors(table_header("[1099511627776,1]", 21), bytes(21)),
        "needs 4,398,046,511,104 bytes, but the file has 4 for it; the file is damaged",
    ),
    Case(
        "a shape that overflows",
        tensors(table_header("[4294967296,4294967296]", 21), bytes(21)),
        "needs 73,786,976,294,838,206,464 bytes",
    ),
    Case(
        "a tensor beyond the file",
        tensors(table_header(end=4000), bytes(21)),
        "the header promises .* bytes, but the file has",
    ),
    Case(
        "nested a thousand times",
        tensors(b'{"a":' + b"[" * 100_000),
        "the safetensors header is damaged",
    ),
    Case(
        "words that overlap",
        tensors(table_header(end=21), struct.pack("<2qf", 1, 0, 5) + b"a"),
        "vectors: vocab.offsets does not divide 1 bytes into 1 words; the file is damaged",
    ),
    Case("no tensors", tensors(b"{}"), "holds no tensors, but not embedding.weight and"),
    Case(
        "safetensors cut short",
        tensors(table_header(end=21), struct.pack("<2qf", 0, 1, 5)),
        "the header promises .* bytes, but the file has .* cut short; fetch it again",
    ),
]

COMPRESSED_CASES = [
    Case("gzip", gzip.compress(ROWS), TABLE),
    Case("gzip in gzip", gzip.compress(gzip.compress(ROWS)), TABLE),
    Case(
        "compressed four times",
        gzip.compress(bz2.compress(lzma.compress(gzip.compress(ROWS)))),
        r"compressed more than 3 times \(gzip\+bzip2\+xz, then gzip\)",
    ),
    Case("gzip of nothing", gzip.compress(b""), r"vectors: the file is empty \(0 bytes\)"),
    Case("gzip cut", gzip.compress(ROWS)[:-4], CUT),
    Case("gzip cut in its header", gzip.compress(ROWS)[:5], CUT),
    Case(
        "gzip with a wrong checksum",
        gzip.compress(ROWS)[:-8] + bytes(4) + gzip.compress(ROWS)[-4:],
        "the gzip " + CUT,
    ),
    Case("gzip with a damaged stream", gzip.compress(ROWS)[:12] + b"\xff" * 20, "the gzip " + CUT),
    Case("gzip and noise", gzip.compress(ROWS) + b"noise", "the gzip " + CUT),
    Case("bzip2 cut", bz2.compress(ROWS)[:-4], "the bzip2 " + CUT),
    Case("xz cut", lzma.compress(ROWS)[:-4], "the xz " + CUT),
    Case("zstandard cut", zstd(ROWS)[:-4], "the zstandard " + CUT),
    Case("zip cut", zipped(("v.txt", ROWS))[:-9], "the zip " + CUT),
    Case("zip cut in its member", zipped(("v.txt", ROWS))[:20], "the zip " + CUT),
    Case("tar cut", tarred(("v.txt", ROWS * 99))[:600], "the tar " + CUT),
    Case(
        "tar cut in its header",
        gzip.compress(lying_tar(tarfile.REGTYPE, 9)[:400]),
        "the tar " + CUT,
    ),
    Case("tar in gzip cut", tarred(("v.txt", ROWS), mode="w:gz")[:-9], CUT),
    Case("zip without members", zipped(), "the archive holds no files; fetch it again"),
    Case("zip of a folder", zipped(("d/", b"")), "the archive holds no files; fetch it again"),
    Case(
        "zip of files that macOS adds",
        zipped(("__MACOSX/._v", b"")),
        "the archive holds no files; fetch it",
    ),
    Case(
        "zip of several", zipped(("a", ROWS), ("b", ROWS)), "several files: 'a', 'b'; .*member='a'"
    ),
    Case("a member of a zip", zipped(("a", b"x 1\n"), ("b", ROWS)), TABLE, options={"member": "b"}),
    Case(
        "no such member",
        zipped(("a", ROWS)),
        "no member 'c', only 'a'; .*member='a'",
        options={"member": "c"},
    ),
    Case(
        "a member of no archive",
        gzip.compress(ROWS),
        "not an archive, so it has no member 'c'",
        options={"member": "c"},
    ),
    Case("zip that points out", zipped(("../../../x", ROWS)), TABLE),
    Case("zip from the root", zipped(("/etc/passwd", ROWS)), TABLE),
    Case(
        "zip, encrypted",
        patched_zip(ROWS, 6, 1),
        "can't be decompressed here .*encrypted.*; decompress it first",
    ),
    Case(
        "zip, compressed in another way",
        patched_zip(ROWS, 8, 9),
        "can't be decompressed here .*compression.*; decompress it",
    ),
    Case("zip with a wrong checksum", patched_zip(ROWS, 14, 0, "<I"), "the zip " + CUT),
    Case("zip that says it is larger", patched_zip(ROWS, 22, 0xFFFFFFF0, "<I"), TABLE),
    Case("zip that says it is smaller", patched_zip(ROWS, 22, 7, "<I"), CUT),
    Case("zip that lies about its compressed size", patched_zip(ROWS, 18, 3, "<I"), CUT),
    Case("zip of compressed vectors", zipped(("v.gz", gzip.compress(ROWS))), TABLE),
    Case("tar", tarred(("v.txt", ROWS)), TABLE),
    Case(
        "tar of several",
        tarred(("a", ROWS), ("b", ROWS), mode="w:gz"),
        "several files: 'a', 'b'; .*member='a'",
    ),
    Case(
        "tar of nothing", tarred() + bytes(1024), "vectors: this is a binary file of unknown kind"
    ),
    Case(
        "tar of a folder",
        tarred(("d", b""), kind=tarfile.DIRTYPE),
        "the archive holds no files; fetch it again",
    ),
    Case(
        "tar of a symbolic link",
        tarred(("v", b""), kind=tarfile.SYMTYPE),
        "the archive holds no files",
    ),
    Case(
        "tar of a hard link", tarred(("v", b""), kind=tarfile.LNKTYPE), "the archive holds no files"
    ),
    Case("tar of a device", tarred(("v", b""), kind=tarfile.CHRTYPE), "the archive holds no files"),
    Case("tar of a pipe", tarred(("v", b""), kind=tarfile.FIFOTYPE), "the archive holds no files"),
    Case("tar that points out", tarred(("../../x", ROWS)), TABLE),
    Case("tar that lies about size", lying_tar(tarfile.REGTYPE, 1 << 40) + ROWS, "the tar " + CUT),
    Case(
        "tar of a name of 1 TB",
        lying_tar(tarfile.GNUTYPE_LONGNAME, 1 << 40) + ROWS,
        "the tar " + CUT,
    ),
    Case(
        "tar whose name is a bomb",
        bomb(lambda: gzip.compress(lying_tar(tarfile.GNUTYPE_LONGNAME, 1 << 40) + bytes(300 * MB))),
        "over 200 to 1",
        most=300 * MB,
    ),
    Case(
        "gzip bomb",
        bomb(lambda: gzip.compress(bytes(200 * MB))),
        "vectors: this is a binary file of unknown kind",
        most=200 * MB,
    ),
    Case(
        "zip bomb",
        bomb(lambda: zipped(("v.txt", (b"a" * 100_000 + b" 1 2\n") * 1_200))),
        "over 200 to 1",
        options={"keys": []},
        most=100 * MB,
    ),
]

OBJECT_CASES = [
    Case("no file", lambda folder: folder / "no", r"no: no such file$"),
    Case("a folder", lambda folder: folder, r"folder: this folder is empty; pass a vector file$"),
    Case(
        "a folder for load_glove", lambda folder: folder, "is a folder; give the vector", load_glove
    ),
    Case(
        "a null character in the name",
        lambda folder: str(folder / "a\0b"),
        "can't be read: embedded null",
    ),
    Case(
        "a name too long", lambda folder: folder / ("x" * 5000), "can't be read: File name too long"
    ),
    Case("a device", lambda folder: "/dev/null", r"/dev/null: the file is empty \(0 bytes\)"),
    Case("a file object", lambda folder: io.BytesIO(ROWS), TABLE),
    Case(
        "a file object of text",
        lambda folder: io.StringIO("a 1"),
        "was opened as text; open it with mode 'rb'",
    ),
    Case(
        "an object that reads text",
        lambda folder: Text(),
        "was opened as text; open it with mode 'rb'",
    ),
    Case("a closed file object", closed, r"can't be read: .*closed.*; pass open\(path, 'rb'\)"),
    Case("no file object", lambda folder: 5, r"5 is neither a path nor a file object; pass open"),
    Case("a pipe", piped(ROWS), TABLE),
    Case(
        "a pipe of safetensors",
        piped(tensors(table_header(end=21), struct.pack("<2qf", 0, 1, 5) + b"a")),
        {"a": [5.0]},
    ),
    Case("a pipe of a zip", piped(zipped(("v.txt", ROWS))), TABLE),
    Case("standard input", lambda folder: "-", TABLE),
]

CASES = TEXT_CASES + BINARY_CASES + TENSOR_CASES + COMPRESSED_CASES + OBJECT_CASES
