"""Text of vectors that starts with a blank line, is in UTF-32 or is JSON with indents."""

from __future__ import annotations

import io
import json
import subprocess

import pytest

import finetune_embed as fe

ROWS = "".join(f"word{row} 0.{row}1 0.{row}2 0.{row}3\n" for row in range(20))


@pytest.mark.parametrize("blank", ["\n", "\r\n", "  \n", "\n\n"], ids=repr)
@pytest.mark.parametrize("header", ["20 3\n", "20 3 \r\n", "20\t3\n"], ids=repr)
def test_a_blank_line_above_the_header_is_named(tmp_path, blank, header):
    path, new = tmp_path / "v.txt", tmp_path / "new.txt"
    path.write_bytes((blank + header + ROWS).encode())
    with pytest.raises(fe.VectorFileError, match=r"v\.txt:1: a blank line is above the") as error:
        fe.load_vectors(path)
    findings = {one.code: one for one in fe.inspect(path).findings}
    assert findings["layout"].remedy == error.value.remedy
    command = str(error.value).partition("remove blank lines: ")[2]
    command = command.replace("NEW_FILE", str(new)).replace(" FILE", f" {path}")
    subprocess.run(["bash", "-c", command], check=True)
    table = fe.load_vectors(new)
    assert (len(table), table.metadata["source_format"]) == (20, "word2vec")


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-be"])
def test_utf_32_is_named(tmp_path, encoding):
    path, new = tmp_path / "v.txt", tmp_path / "new.txt"
    path.write_bytes(("\ufeff" * (encoding != "utf-32") + ROWS).encode(encoding))
    for read in (fe.load_vectors, fe.load_glove, fe.inspect):
        with pytest.raises(fe.VectorFileError, match="this is UTF-32 text, ") as error:
            read(path)
    command = str(error.value).partition("convert it to UTF-8: ")[2]
    command = command.replace("NEW_FILE", str(new)).replace(" FILE", f" {path}")
    subprocess.run(["bash", "-c", command], check=True)
    assert len(fe.load_vectors(new)) == 20


@pytest.mark.parametrize("indent", [1, 4, "\t"])
def test_json_with_indents_is_named(indent):
    words = {f"word{row}": [0.5, row, 0.25] for row in range(20)}
    for value in (words, [words], list(words.values())):
        data = json.dumps(value, indent=indent).encode()
        for read in (fe.load_vectors, fe.inspect):
            with pytest.raises(fe.VectorFileError, match="this is JSON"):
                read(io.BytesIO(data))


@pytest.mark.parametrize("first", ["{", "[", "{ {"])
def test_a_bracket_may_be_the_first_word(first):
    data = (f"{first} 0.1 0.2 0.3\n" + ROWS).encode()
    assert fe.load_vectors(io.BytesIO(data)).index_to_key[0] == first
