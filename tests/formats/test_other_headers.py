"""Headers above the rows of a word2vec binary that are not the line `V D`."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import pytest

import finetune_embed as fe

VECTORS = np.random.default_rng(0).normal(0, 0.4, (30, 20)).astype("<f4")
WORDS = [f"word{row}" for row in range(30)]
HEADERS = {
    "comma": b"30,20\n",
    "like-thousands": b"030,020\n",
    "thousands": b"0,030 20\n",
    "swapped": b"D=20, V=30\n",
    "comma-and-space": b"30, 20\n",
    "semicolon": b"30;20\r\n",
    "cross": b"30x20\n",
    "names": b"V=30 D=20\n",
    "three-numbers": b"30 20 7\n",
    "comment": b"# 30 20\n",
    "decimals": b"30.0 20.0\n",
    "quoted": b'"30" "20"\n',
    "tuple": b"(30, 20)\n",
    "two-lines": b"30\n20\n",
    "title": b"vectors\n30 20\n",
    "blank": b"\n30 20\n",
    "blank-cr": b"\r\n30 20\r\n",
    "bom-comma": b"\xef\xbb\xbf30,20\n",
}


def rows(end: bytes) -> bytes:
    """Return the rows of a binary, each with an end."""
    pairs = zip(WORDS, VECTORS, strict=True)
    return b"".join(word.encode() + b" " + row.tobytes() + end for word, row in pairs)


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["packed", "newlines"])
@pytest.mark.parametrize("name", HEADERS)
def test_another_header_is_named_and_its_remedy_works(name, end, tmp_path):
    path = tmp_path / "v.bin"
    path.write_bytes(HEADERS[name] + rows(end))
    for read in (fe.load_vectors, fe.load_word2vec, fe.inspect):
        with pytest.raises(fe.VectorFileError, match="which is not a header line `V D`") as error:
            read(path)
    assert "rows of a word2vec binary with 20 numbers follow" in str(error.value)
    command = str(error.value).partition("replace it: ")[2]
    new = tmp_path / "new.bin"
    command = command.replace("NEW_FILE", str(new)).replace(" FILE", f" {path}")
    subprocess.run(["bash", "-c", command], check=True)
    table = fe.load_vectors(new)
    assert table.index_to_key == WORDS
    assert table.vectors.tobytes() == VECTORS.tobytes()


@pytest.mark.parametrize("binary", [None, True])
def test_a_byte_order_mark_before_the_header_is_read_over(binary):
    data = b"\xef\xbb\xbf30 20\n" + rows(b"")
    table = fe.load_word2vec(io.BytesIO(data), binary=binary)
    assert table.vectors.tobytes() == VECTORS.tobytes()
    assert fe.inspect(io.BytesIO(data)).words == 30


@pytest.mark.parametrize("header", [b"3,2\n", b"(3, 2)\n"])
def test_text_in_latin_1_is_no_binary(header):
    text = header + "".join(f"caf\xe9{row} 0.5 0.25\n" for row in range(3)).encode("latin-1")
    with pytest.raises(fe.VectorFileError) as error:
        fe.load_vectors(io.BytesIO(text))
    assert "binary" not in str(error.value)


@pytest.mark.parametrize("count", [2, 30])
@pytest.mark.parametrize("mark", [b"\0", b"\t", b"\n", b","], ids=repr)
def test_another_byte_than_a_space_after_words_is_named(mark, count):
    pairs = zip(WORDS[:count], VECTORS, strict=False)
    rows = b"".join(word.encode() + mark + row.tobytes() for word, row in pairs)
    for read in (fe.load_vectors, fe.inspect):
        with pytest.raises(fe.VectorFileError, match="not a space, is between each word"):
            read(io.BytesIO(b"%d 20\n" % count + rows))
