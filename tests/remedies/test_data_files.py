"""The remedies for files of data sets are followed."""

from __future__ import annotations

import gzip
import lzma

import openpyxl
import pytest
from following import follows

from finetune_embed import DataError
from finetune_embed.data import open_splits

ROWS = "text,label\ngrüße,x\nnaïve tree,y\n"


def texts(path, **options: object) -> list[str]:
    return open_splits(path, **options).train["text"]


@follows("data/reading/csv_layout.py", "is not one ASCII character")
@pytest.mark.parametrize("delimiter", ["::", "§", '"', "", "\n"])
def test_a_delimiter_that_cannot_be_one(tmp_path, delimiter):
    (tmp_path / "a.csv").write_text("text;label\na, b;x\n")
    with pytest.raises(DataError, match=r"; pass delimiter=';', or leave it out$"):
        open_splits(tmp_path / "a.csv", delimiter=delimiter)
    assert texts(tmp_path / "a.csv", delimiter=";") == texts(tmp_path / "a.csv") == ["a, b"]


@follows("data/reading/text_encoding.py", "is not an encoding that Python knows")
@pytest.mark.parametrize("encoding", ["cp125", "base64", "x\0", "été"])
def test_an_encoding_that_does_not_exist(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(ROWS.encode("cp1252"))
    with pytest.raises(DataError, match=r"; pass one, such as encoding='cp1252'$"):
        open_splits(tmp_path / "a.csv", encoding=encoding)
    assert texts(tmp_path / "a.csv", encoding="cp1252") == ["grüße", "naïve tree"]


@follows("data/reading/text_encoding.py", "is not the encoding of this line")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "utf-16"])
def test_an_encoding_that_is_not_that_of_the_file(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(ROWS.encode("cp1252"))
    message = rf"a\.csv:\d+: encoding='{encoding}' is not the encoding of this line; name the "
    with pytest.raises(DataError, match=message + r"right one, or leave encoding out$"):
        open_splits(tmp_path / "a.csv", encoding=encoding)
    assert texts(tmp_path / "a.csv", encoding="latin-1") == ["grüße", "naïve tree"]
    assert texts(tmp_path / "a.csv") == ["grüße", "naïve tree"]


@follows("data/reading/text_encoding.py", "contradicts the byte order mark")
@pytest.mark.parametrize(("stated", "given"), [("utf-8-sig", "cp1252"), ("utf-16", "utf-8")])
def test_an_encoding_that_contradicts_the_file(tmp_path, stated, given):
    (tmp_path / "a.csv").write_bytes(ROWS.encode(stated))
    with pytest.raises(DataError, match=r"; leave encoding out$"):
        open_splits(tmp_path / "a.csv", encoding=given)
    assert texts(tmp_path / "a.csv") == ["grüße", "naïve tree"]


@follows("data/reading/text_encoding.py", "this looks like UTF-16 without")
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_byte_order_mark(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(ROWS.encode(encoding))
    with pytest.raises(DataError, match=rf"; pass encoding='{encoding}'$"):
        open_splits(tmp_path / "a.csv")
    assert texts(tmp_path / "a.csv", encoding=encoding) == ["grüße", "naïve tree"]


@follows("data/reading/text_encoding.py", "this line is not UTF-8")
@pytest.mark.parametrize(
    ("words", "encoding"),
    [("хорошая книга", "cp1251"), ("素晴らしい本", "shift-jis"), ("很好的书", "gbk")],
)
def test_an_encoding_that_is_not_clear(tmp_path, words, encoding):
    (tmp_path / "a.csv").write_bytes(f"text,label\n{words},x\n{words},y\n".encode(encoding))
    with pytest.raises(DataError, match=r"a\.csv:2: .*such as encoding='cp1252' "):
        open_splits(tmp_path / "a.csv")
    assert texts(tmp_path / "a.csv", encoding=encoding) == [words, words]


@follows("data/reading/csv_scan.py", "the number of fields is {fields:,}")
def test_a_field_that_holds_the_delimiter(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,x\na, b,y\n")
    with pytest.raises(DataError, match=r'a\.csv:3: .*; quote a field that .*: "a, b"$'):
        open_splits(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text('text,label\na,x\n"a, b",y\n')
    assert texts(tmp_path / "a.csv") == ["a", "a, b"]


@follows("data/reading/hub.py", "there is no such file or folder")
@pytest.mark.parametrize("name", ["reveiws.csv", "reviews", "review.csv", "Reviews.tsv"])
def test_a_name_that_is_nearly_that_of_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text(ROWS)
    with pytest.raises(DataError, match=r"looked in .*\); did you mean dataset='reviews\.csv'\?$"):
        open_splits(name)
    assert len(texts("reviews.csv")) == 2


@follows("data/reading/file_kinds.py", "not {kind[1:]}")
def test_a_file_that_is_no_text(tmp_path):
    path, data = tmp_path / "a.csv", ROWS.encode()
    path.write_bytes(gzip.compress(data))
    with pytest.raises(DataError, match=r"this is a gzip file, not csv; let its name end in \.gz$"):
        open_splits(path)
    assert texts(path.rename(tmp_path / "a.csv.gz")) == ["grüße", "naïve tree"]
    path.write_bytes(lzma.compress(data))
    with pytest.raises(
        DataError, match=r"this is an xz file, not csv; unpack it first: xz -d FILE$"
    ):
        open_splits(path)
    path.write_bytes(lzma.decompress(path.read_bytes()))
    assert texts(path) == ["grüße", "naïve tree"]


@follows("data/reading/text_encoding.py", "has the byte order mark of")
def test_a_mark_of_utf8_in_front_of_another_encoding(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + ROWS.encode("cp1252"))
    with pytest.raises(DataError, match=r"a\.csv:2: .*, such as encoding='cp1252'$"):
        open_splits(tmp_path / "a.csv")
    assert texts(tmp_path / "a.csv", encoding="cp1252") == ["grüße", "naïve tree"]


def workbook(path, *sheets: list):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"S{number}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


@follows("data/reading/excel.py", "is not the name of a sheet")
@pytest.mark.parametrize(("given", "proposed"), [("s1", "S1"), ("data", "S0"), ("", "S0")])
def test_a_sheet_that_is_not_there(tmp_path, given, proposed):
    rows = [["text"], ["a"], ["b"]]
    path = workbook(tmp_path / "a.xlsx", rows, rows)
    message = rf"is not the name of a sheet; choose from 'S0', 'S1', such as sheet='{proposed}'$"
    with pytest.raises(DataError, match=message):
        open_splits(path, sheet=given)
    assert texts(path, sheet=proposed) == ["a", "b"]


@follows("data/reading/excel.py", "choose another: ")
@pytest.mark.parametrize("first", [[], [["a note"]]])
def test_a_first_sheet_without_data(tmp_path, first):
    path = workbook(tmp_path / "a.xlsx", first, [["text"], ["a"]])
    with pytest.raises(DataError, match=r"; choose another: sheet='S1'$"):
        open_splits(path)
    assert texts(path, sheet="S1") == ["a"]


@follows("data/reading/local_files.py", "is the sheet of a workbook")
@pytest.mark.parametrize("streaming", [False, True])
def test_a_sheet_of_a_file_that_is_no_workbook(tmp_path, streaming):
    (tmp_path / "a.csv").write_text(ROWS)
    with pytest.raises(DataError, match=r"sheet='S1' is the sheet of .*; leave sheet out$"):
        open_splits(tmp_path / "a.csv", streaming, sheet="S1")
    assert texts(tmp_path / "a.csv") == ["grüße", "naïve tree"]
