"""CSV and TSV files as people have them: what is read, what is reported, and what is an error."""

from __future__ import annotations

import codecs
import csv
import io
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from finetune_embed import DataError
from finetune_embed.data import open_splits
from finetune_embed.data.reading import csv_layout, local_files
from finetune_embed.data.reading.csv_layout import layout_of

ROWS = [("a, b; c", "x"), ("größe – 5 €", "y"), ("d|e", "x"), ("f\ng", "y"), ('h "i"', "x")]


@pytest.fixture(params=[False, True], ids=["in memory", "streamed"])
def read(request, tmp_path):
    """Returns the rows of a file with these bytes, and what is reported."""

    def rows_of(data: bytes, name: str = "a.csv", **options: object):
        (tmp_path / name).write_bytes(data)
        splits = open_splits(tmp_path / name, request.param, **options)
        return [tuple(row.values()) for row in splits.train], splits.notes

    return rows_of


def written(delimiter: str, newline: str = "\n", rows=ROWS) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=newline).writerows(
        [("text", "label"), *rows]
    )
    return file.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_delimiter_and_encoding(read, encoding, delimiter, newline):
    rows, notes = read(written(delimiter, newline).encode(encoding))
    assert rows == ROWS
    assert len(notes) == (delimiter != ",") + (encoding != "utf-8")


@pytest.mark.parametrize("bom", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_utf16_of_either_order(read, bom):
    order = "utf-16-le" if bom == codecs.BOM_UTF16_LE else "utf-16-be"
    rows, notes = read(bom + written(",").encode(order))
    assert rows == ROWS
    assert notes == ("a.csv is read as UTF-16, by its byte order mark",)


def test_what_is_reported(read):
    _, notes = read(written(";").encode("cp1252"))
    assert notes == (
        "a.csv is not UTF-8, so it is read as cp1252 (Western European); line 3 then has 'größe'",
        "a.csv has the delimiter semicolon between fields",
    )


@pytest.mark.parametrize("delimiter", [":", "~", "^", "tab", "pipe", "\\t", ";"])
def test_a_delimiter_that_is_given(read, delimiter):
    written_as = csv_layout.NAMED.get(delimiter, delimiter)
    assert read(written(written_as).encode(), delimiter=delimiter)[0] == ROWS


@pytest.mark.parametrize("encoding", ["latin-1", "cp1250", "mac-roman", "utf-16-le", "utf-8"])
def test_an_encoding_that_is_given(read, encoding):
    rows = [("größe", "x"), ("über", "y")]
    assert read(written(",", rows=rows).encode(encoding), encoding=encoding) == (rows, ())


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"sep=;\r\ntext;label\r\na, b;x\r\n", [("a, b", "x")]),
        (b'"sep=|"\ntext|label\na|x\n', [("a", "x")]),
        (b"text,label\ra,x\rb,y\r", [("a", "x"), ("b", "y")]),
        (b"\n\ntext,label\n\na,x\n,\n\nb,y", [("a", "x"), ("b", "y")]),
        (b'text,label\n"",x\n,y\n', [("", "x"), (None, "y")]),
        (b"text,label\n  a  , x\n", [("  a  ", " x")]),
        (b'text,label\n"a\r\nb",x\r\n', [("a\r\nb", "x")]),
        (b'text,label\n"Hello, friend\nhow are you",x\nok,y\n', [
            ("Hello, friend\nhow are you", "x"), ("ok", "y")]),
        (b'text,label\n"""a""",x\n', [('"a"', "x")]),
        (b"text,label\na\xc2\x85b\xe2\x80\xa8c,x\n", [("a\x85b\u2028c", "x")]),
    ],
)  # fmt: skip
def test_rows_as_they_are_written(read, data, rows):
    assert read(data)[0] == rows


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        (['"w1 good\tx', "w2 bad\ty", 'w3 bad"\ty'], ['"w1 good', "w2 bad", 'w3 bad"']),
        (["w1\tx", '"w2\ty', "w3\tx"], ["w1", '"w2', "w3"]),
        (['a 5" disk\tx', "b\ty"], ['a 5" disk', "b"]),
        (['he said "no" .\tx', "b\ty"], ['he said "no" .', "b"]),
        (["`` quoted ''\tx", '"\ty', '"\tx'], ["`` quoted ''", '"', '"']),
    ],
)
def test_tsv_without_quoting_keeps_every_row(read, lines, texts):
    rows, notes = read("\n".join(["text\tlabel", *lines, ""]).encode(), "a.tsv")
    assert [text for text, _ in rows] == texts
    assert notes == ("a.tsv is read without quoting: quotation marks are part of its texts",)


@pytest.mark.parametrize(
    ("data", "line", "fault"),
    [
        (b'text,label\na,x\n"b,y\nc,x\nd",y\ne,x\n', 3, "swallows rows: it closes in line 5"),
        (b'label,text\nx,a\ny,"b\nx,c\ny,d"\nx,e\n', 3, "swallows rows: it closes in line 5"),
        (b'id,text,n\n1,"b,5\n2,c,1\n3,d",5\n4,e,1\n5,f,5\n', 2, "swallows rows: it closes in"),
        (b'text;label\na;x\n"b;y\nc;x\nd";y\n', 3, "swallows rows: it closes in line 5"),
        (b'text,label\na,x\n"b,y\n"c",x\n', 3, "is followed by text where it closes in line 4"),
        (b'text,label\n"a\nb",x\n"c,y\nd,x\n', 4, "is not closed"),
        (b'text,label\n"a" b,x\n', 2, "is followed by text where it closes"),
        (b'text,label\na "b",x\n"c, d",y\n', 2, "is inside a field that does not begin with one"),
        (b'text,label\na,x\n"b", "y"\n', 3, "is inside a field that does not begin with one"),
        (b"text,label\na,x\nb\nc,y\n", 3, "the number of fields is 1 here, and 2 in the header"),
        (
            b'text,label\n"a\nb",x\nc,y,z\n',
            4,
            "the number of fields is 3 here, and 2",
        ),
        (b"text\tlabel\na\tb\tx\n", 2, "the number of fields is 3 here, and 2"),
        (b"text,label\na,x\nb\0,y\n", 3, "this line holds a NUL"),
        (b"text,label\n\0\0\0,x\n", 2, "this line holds a NUL"),
        (b"text,text\na,x\n", 1, "two columns have the name 'text'"),
        (b'"a","b","a"\n1,2,3\n', 1, "two columns have the name 'a'"),
        (b",\na,x\n", 1, "the header has no names"),
    ],
)
@pytest.mark.parametrize("block", [csv_layout.BLOCK, 7])
def test_a_fault_is_an_error_with_its_line(read, monkeypatch, data, line, fault, block):
    monkeypatch.setattr(csv_layout, "BLOCK", block)
    with pytest.raises(DataError) as raised:
        read(data)
    assert str(raised.value.where).endswith(f"a.csv:{line}")
    assert fault in str(raised.value)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\x03\x04....", "a zip archive"),
        (b"PAR1....", "a Parquet file"),
        (b"\x1f\x8b\x08....", "a gzip file"),
        (b"ARROW1..", "an Arrow file"),
        (b"%PDF-1.4\n\0\1\2", "a PDF file"),
        (b"BZh9....", "a bzip2 file"),
        (b"\xfd7zXZ\0...", "an xz file"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4c\nsize 9\n",
            "a Git LFS pointer",
        ),
        (b"<!doctype html><html></html>", "a web page"),
        (b"404: Not Found", "the error that a web server sent"),
        (b"\xd0\xcf\x11\xe0....", "an old Office file"),
    ],
)
def test_a_file_of_another_kind_is_named(read, data, kind):
    with pytest.raises(DataError, match=f"this is {kind}.*, not csv; "):
        read(data)


@pytest.mark.parametrize(
    "data", [b"text,label\na,x\nb", b"text,label\na,x\n,", b'text,label\n"a",x\n"b"']
)
def test_a_file_that_ends_within_a_line(read, data):
    rows, notes = read(data)
    assert rows[0] == ("a", "x")
    assert notes == (("a.csv ends within line 3, which has too few fields",) * (data[-1:] != b","))


def test_damaged_utf8_is_not_taken_for_cp1252(read):
    text = written(",", rows=[("größe, naïve, déjà vu", "x")] * 9).encode()
    with pytest.raises(DataError, match=r"a\.csv:11: this line is not UTF-8, at byte 0xe9"):
        read(text + b"caf\xe9,y\n")


FIELD = st.text(st.sampled_from('ab ,;"\t|\n\r'), max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(rows=[("", ";"), ("", "\n|")], delimiter="|", block=40)
@example(rows=[("", ";"), (",;\n", ";")], delimiter=";", block=40)
@example(rows=[("", ";"), (",;\n", ";")], delimiter=",", block=40)
@given(
    rows=st.lists(st.tuples(FIELD, FIELD.filter(bool)), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;|"),
    block=st.integers(1, 40),
)
def test_what_csv_writers_write_is_read(tmp_path, monkeypatch, rows, delimiter, block):
    """All fields are quoted, so that nothing is swallowed; blocks may end anywhere."""
    monkeypatch.setattr(csv_layout, "BLOCK", block)
    monkeypatch.setattr(local_files, "BLOCK", block)
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("t", "l"), *rows])
    (tmp_path / "a.csv").write_bytes(file.getvalue().encode())
    for streaming in (False, True):
        train = open_splits(tmp_path / "a.csv", streaming, delimiter=delimiter).train
        assert [(row["t"], row["l"]) for row in train] == rows


def test_a_layout_is_found_in_one_pass_of_bounded_blocks():
    """However long a quotation mark stays open, no more than a part of the text is kept."""
    lines = [b"text,label\n", b'"a,x\n', *[b"b,y\n" * 9_000] * 100]
    with pytest.raises(DataError, match=r"a\.csv:2: the quotation mark that opens here is not"):
        layout_of(lambda: iter(lines), local_files.Path("a.csv"), ",")


def test_lines_that_end_with_two_carriage_returns(read):
    data = written(",", "\r\n").replace("\r\n", "\r\r\n").encode()
    rows, notes = read(data)
    assert rows == ROWS
    assert notes == ()


def test_a_carriage_return_among_quoted_lines(read):
    rows = [("", "\n\r;\n"), ("|\n", ";")]
    file = io.StringIO()
    csv.writer(file, delimiter="|", quoting=csv.QUOTE_ALL).writerows([("t", "l"), *rows])
    assert read(file.getvalue().encode(), delimiter="|")[0] == rows


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("data", "header"),
    [
        ("Report 2024\n\ntext,label\na,x\nb,y\n", 3),
        ("Report 2024\ntext,label\na,x\nb,y\n", 2),
        ("Report 2024\nby us\n\ntext,label\na,x\n", 4),
        ("Report 2024,,\n,,\ntext,label,n\na,x,1\nb,y,\n", 3),
        ("Report 2024\n\ntext;label\na, b;x\nb;y\n", 3),
        ("Report 2024\n\ntext\tlabel\na\tx\n", 3),
    ],
)
def test_a_title_above_the_header(tmp_path, streaming, data, header):
    (tmp_path / "a.csv").write_text(data)
    message = (
        rf"a\.csv:1: this line looks like a title, 'Report 2024', of the header in line {header};"
    )
    with pytest.raises(DataError, match=message):
        open_splits(tmp_path / "a.csv", streaming)


@pytest.mark.parametrize(
    "data",
    [
        "text\na; b\nc; d\n",
        "text\n\na; b\nc\n",
        "text,\na,1\nb,2\n",
        "text,label\n\na,x\n",
        ",text\n,a\n1,b\n",
    ],
)
def test_headers_that_are_no_title(tmp_path, data):
    (tmp_path / "a.csv").write_text(data)
    assert len(open_splits(tmp_path / "a.csv").train)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_mark_of_utf8_in_front_of_another_encoding(tmp_path, streaming):
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF8 + "text,label\ngrüße,x\n".encode("cp1252"))
    train = open_splits(path, streaming, encoding="cp1252").train
    assert list(train) == [{"text": "grüße", "label": "x"}]


def test_a_long_field_is_read_in_time_that_grows_with_it():
    blocks = [b'text,label\n"'] + [b"a" * 1000] * 20_000 + [b'",x\n', b"b,y"]
    start = time.perf_counter()
    parts = list(csv_layout._whole_lines(iter(blocks)))
    assert time.perf_counter() - start < 2  # 20 s where each block is joined to all before it
    assert b"".join(part for part, _ in parts) == b"".join(blocks) + b"\n"
    assert [is_cut for _, is_cut in parts] == [False, False, True]
