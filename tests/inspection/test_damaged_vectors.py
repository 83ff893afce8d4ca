"""Damaged text, binaries and streams: what is read, and what is reported."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspecting import SOUND, findings

import finetune_embed as fe
from finetune_embed.errors import PythonForm, VectorFileError
from finetune_embed.inspection import inspect


def damaged(lines: int = 60) -> bytes:
    """Return a file in which every sixth line is odd in its own way."""
    text = [b"w%d %.2f %.2f %.2f" % (i, i / 10, 1, -i / 7) for i in range(1, lines + 1)]
    text[5] = b"short 1 2"
    text[11] = b""
    text[17] = text[16]
    text[23] = b"\xff 1 2 3"
    text[29] = b"New\xc2\xa0York 1 2 3"
    text[35] = b"comma 0,5 1 2"
    text[41] = b"zero 0 0 0"
    text[47] = b"nan nan 1 2"
    text[53] = b"joined 0.1 0.2 0.3 w55 1 2 3"
    text[59] = b"cut 0.1 0"
    return b"\n".join(text)


def test_a_damaged_file_of_60_lines(write):
    path = write(damaged())
    with pytest.raises(VectorFileError, match=r":6: 2 of 3 numbers in"):
        fe.load_vectors(path)
    report = inspect(path)
    assert (report.words, report.vector_size) == (56, 3)
    assert {finding.code: finding.count for finding in report.findings} == {
        "short_lines": 2,
        "not_numbers": 1,
        "blank_lines": 1,
        "duplicates": 1,
        "swallowed_numbers": 1,
        "white_space": 1,
        "not_utf8": 1,
        "zero_rows": 1,
        "nan_rows": 1,
    }
    assert [finding.severity for finding in report.findings] == ["error"] * 3 + ["warning"] * 6
    short = report.findings[0]
    assert short.examples == ("'short 1 2' (line 6)", "'cut 0.1 0' (line 60)")
    assert report.findings[3].examples == ("'w17' (line 18 after 17)",)


def test_damage_is_found_wherever_the_borders_of_blocks_are(write, monkeypatch):
    path = write(damaged())
    expected = inspect(path).to_dict()
    for size in (7, 64, 300):
        monkeypatch.setattr("finetune_embed.formats.common.text_blocks.BLOCK", size)
        assert inspect(path).to_dict() == expected


def test_damage_is_found_without_the_compiled_loops(write, monkeypatch):
    path = write(damaged())
    expected = inspect(path).to_dict()
    monkeypatch.setattr("finetune_embed.formats.common.kernels.native", None)
    assert inspect(path).to_dict() == expected


HEADERS = {
    "true": (b"2 2\na 1 2\nb 3 4\n", True, None),
    "too many": (b"3 2\na 1 2\nb 3 4\n", False, "the header promises 3 vectors, but"),
    "too few": (b"1 2\na 1 2\nb 3 4\n", False, "the header promises 1 vectors, but the file has 2"),
    "dimension": (b"2 3\na 1 2\nb 3 4\n", False, "the header promises vectors of 3"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_whether_the_header_of_text_is_true(case, write):
    data, is_true, message = HEADERS[case]
    report = inspect(write(data))
    assert report.source_format == "word2vec"
    assert (report.words, report.vector_size) == (2, 2)
    assert report.header is not None
    assert f"{report.header.rows} {report.header.vector_size}".encode() == data.split(b"\n")[0]
    assert report.header.is_true is is_true
    assert len(report.findings) == (not is_true)
    if message:
        assert report.findings[0].severity == "error"
        assert report.findings[0].what.startswith(message)
    assert inspect(write(b"a 1 2\nb 3 4\n")).header is None


def test_lines_of_two_sizes_in_equal_number_are_read_as_the_smaller(write):
    report = inspect(write(b"a 1 2\nb 3 4\nc 1 2 3\nd 4 5 6\n"))
    assert (report.words, report.vector_size) == (4, 2)
    assert [finding.code for finding in report.findings] == ["layout", "spaces"]
    assert report.findings[0].where is None
    assert "vectors.txt', vector_size=2)" in str(report.findings[0])


def binary(rows: int = 3) -> bytes:
    return b"%d 2\n" % rows + b"".join(
        b"w%d " % i + struct.pack("<2f", 3 * i, 4 * i) for i in range(1, rows + 1)
    )


def test_a_word2vec_binary(write):
    report = inspect(write(binary(), "vectors.bin"))
    assert (report.source_format, report.dtype) == ("word2vec-binary", "float32")
    assert (report.words, report.vector_size, report.findings) == (3, 2, ())
    assert report.norms["min"] == 5
    assert report.norms["median"] == 10
    assert report.norms["max"] == 15


@pytest.mark.parametrize("cut", range(8, 38))
def test_the_complete_rows_of_a_binary_cut_short_are_counted(cut, write):
    data = binary()
    assert len(data) == 37
    report = inspect(write(data[:cut], "vectors.bin"))
    complete = (cut - 4) // 11
    assert report.words == complete
    if complete == 3:
        assert report.findings == ()
        return
    assert report.header is not None
    assert not report.header.is_true
    assert report.findings[0].what == (
        f"the header promises 3 vectors of 2 numbers, but only {complete} are complete: the file "
        f"ends within row {complete + 1}, at byte {cut}"
    )
    assert ("limit=" in PythonForm().render(report.findings[0].remedy)) is (complete > 0)


def test_bytes_after_the_rows_that_a_binary_promises(write):
    report = inspect(write(binary() + b"w4 ", "vectors.bin"))
    assert report.words == 3
    assert report.findings[0].what.endswith("but more bytes follow at 37")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_what_comes_before_the_damage_of_a_stream_is_reported(name, write):
    pack = {
        "gzip": gzip.compress,
        "bzip2": partial(bz2.compress, compresslevel=1),
        "xz": lzma.compress,
    }[name]
    random = np.random.default_rng(0)
    text = b"".join(b"w%d %d %d\n" % (i, *random.integers(1e9, size=2)) for i in range(60_000))
    data = pack(text)
    report = inspect(write(data[: len(data) // 2]))
    assert report.compression == name
    assert report.findings[0].code == "damaged"
    assert f"the {name} data is damaged or cut short at byte" in report.findings[0].message()
    assert {finding.code for finding in report.findings} <= {"damaged", "outlier_norms"}
    assert 0.1 * 60_000 < report.words < 0.6 * 60_000
    sound = inspect(write(data))
    assert sound.words == 60_000
    assert "damaged" not in findings(write(data))


def test_a_wrong_checksum_is_damage_though_every_row_can_be_read(write):
    data = bytearray(gzip.compress(SOUND))
    data[-8] ^= 1
    report = inspect(write(bytes(data)))
    assert report.words == 9
    assert [finding.code for finding in report.findings] == ["damaged"]
    assert report.findings[0].remedy == "fetch the file again"


NO_VECTORS = {
    "prose": (
        b"Call me Ishmael.\nSome years ago - never mind how.\n" * 9,
        ":1: .*'Call me Ishmael.' is",
    ),
    "csv": (b"text,label\nit works,1\nit broke,0\n", ":1: this is CSV: ','"),
    "header only": (b"3 5\n", "no line follows it; fetch the file again"),
    "nothing": (b"", "empty"),
    "blank": (b"\n\n\n", "no line of text"),
    "hdf5": (b"\x89HDF\r\n\x1a\n....", "this is an HDF5 file, .*; read it with h5py"),
}


@pytest.mark.parametrize("case", NO_VECTORS)
def test_other_files_are_errors(case, write):
    data, message = NO_VECTORS[case]
    with pytest.raises(VectorFileError, match=message):
        inspect(write(data))


PARTS = st.sampled_from(
    [
        *(b" ", b"\n", b"\r\n", b"a", b"b", b"1", b"-0.5", b"nan", b"inf", b"1e39", b"1,5", b"\t"),
        *(b"\xc2\xa0", b"\xff", b"x 1 2\n", b"y 3 4\n", b"z 0 0\n", b"q q 5 6\n", b"3 2\n"),
        b"\xef\xbb\xbf",
    ]
)


@given(st.lists(PARTS, min_size=1, max_size=30).map(b"".join), st.booleans(), st.integers(0, 40))
def test_there_is_an_error_if_and_only_if_load_vectors_refuses_the_file(data, packed, cut):
    data = gzip.compress(data) if packed else data
    data = data[:-cut] if packed and cut and cut < len(data) else data
    refused, table = False, None
    try:
        table = fe.load_vectors(io.BytesIO(data))
    except VectorFileError:
        refused = True
    try:
        report = inspect(io.BytesIO(data))
    except VectorFileError:
        assert refused
        return
    assert any(finding.severity == "error" for finding in report.findings) is refused
    json.dumps(report.to_dict(), allow_nan=False)
    if table is not None:
        again = sum(one.count for one in report.findings if one.code == "duplicates")
        assert report.words - again == len(table)
