"""Data files that take too much memory for their size are refused, before they are parsed."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from finetune_embed import DataError
from finetune_embed.data import open_splits
from finetune_embed.data.reading import excel

TEXTS = {
    "a.csv.gz": b"text,label\n" + b"a,b\n" * 1_700_000,
    "a.tsv.gz": b"text\tlabel\n" + b"\n" * 3_800_000,
    "a.jsonl.gz": b'{"text": [' + b"[]," * 600_000 + b'[]], "label": 1}\n',
    "a.json.gz": b"[" + b"{}," * 600_000 + b"{}]",
}
SHEETS = {
    "cells of one row": b"<row>" + b"<c/>" * 680_000 + b"</row>",
    "attributes": b"<row><c" + b' a="a"' * 1_800_000 + b"/></row>",
    "empty cells": b'<row><c r="XFD1"><v>1</v></c></row>' * 130,
}
TOO_MUCH = r"[\d,]+ bytes expand to [\d,]+ or more, over 200 to 1; if you trust it, unpack it"


def workbook(path: Path, rows: bytes, start: bytes = b"") -> Path:
    """Write a workbook with more in its sheet than openpyxl would write."""
    book, plain = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["text", "label"])
    book.active.append(["a", "b"])
    book.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("sheet1.xml"):
                data = data.replace(b"A1:B2", b"A1:XFD999")
                data = start + data.replace(b"</sheetData>", rows + b"</sheetData>")
            new.writestr(name, data)
    return path


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_a_compressed_text(tmp_path, name, streaming):
    path = tmp_path / name
    path.write_bytes(gzip.compress(TEXTS[name], 6))
    assert path.stat().st_size < 64_000
    with pytest.raises(DataError, match=f"{name}: {TOO_MUCH}"):
        list(open_splits(path, streaming).train)


@pytest.mark.parametrize("kind", SHEETS)
def test_a_workbook(tmp_path, kind):
    path = workbook(tmp_path / "a.xlsx", SHEETS[kind])
    with pytest.raises(DataError, match=rf"a\.xlsx: {TOO_MUCH}"):
        open_splits(path)


@pytest.mark.parametrize("block", [5, excel._BLOCK])
def test_a_workbook_that_declares_entities(tmp_path, monkeypatch, block):
    monkeypatch.setattr(excel, "_BLOCK", block)
    path = workbook(tmp_path / "a.xlsx", b"", b'<!DOCTYPE a [<!ENTITY a "b">]>')
    with pytest.raises(DataError, match=r"sheet1\.xml declares entities"):
        open_splits(path)
    assert list(open_splits(workbook(path, b"")).train) == [{"text": "a", "label": "b"}]


def test_a_header_of_too_many_fields(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a" + "," * 16_384 + "\n")
    with pytest.raises(DataError, match=r"a\.csv:1: the header has 16,385 fields, and 16,384 are"):
        open_splits(path)
