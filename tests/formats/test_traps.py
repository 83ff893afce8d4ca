"""Files on which readers of word vectors are known to fail or to return wrong vectors."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from finetune_embed import (
    EmbeddingTable,
    VectorFileError,
    load_glove,
    load_vectors,
    load_word2vec,
    save_glove,
    save_word2vec,
)


def read(path, keys=None, limit=None, vector_size=None):
    table = load_vectors(path, keys, limit, vector_size=vector_size)
    return dict(zip(table.index_to_key, table.vectors.tolist(), strict=True))


# The vector size and the header


def test_the_vector_size_is_that_of_most_lines(write):
    lines = [b". . . 1 2", b"at name@domain.com 3 4", b"a 5 6", b"b 7 8", b"c 9 10"]
    assert read(write(b"\n".join(lines) + b"\n")) == {
        ". . .": [1.0, 2.0],
        "at name@domain.com": [3.0, 4.0],
        "a": [5.0, 6.0],
        "b": [7.0, 8.0],
        "c": [9.0, 10.0],
    }


def test_lines_of_glove_840b(write):
    # Lines of glove.840B.300d.txt, with the first five numbers.
    lines = [
        ", -0.082752 0.67204 -0.14987 -0.064983 0.056491",
        ". . . -0.1573 -0.29517 0.30453 -0.54773 0.098293",
        "at name@domain.com 0.0061218 0.39595 -0.22079 0.78149 0.56492",
        ". . . . . -0.23773 -0.82788 0.82326 -0.91878 0.35868",
        "name@domain.com 0.33529 0.32949 0.2646 0.64219 0.70701",
        "the 0.27204 -0.06203 -0.1884 0.023225 -0.018158",
    ]
    table = load_vectors(write("\n".join(lines).encode()))
    assert table.index_to_key == [
        ",",
        ". . .",
        "at name@domain.com",
        ". . . . .",
        "name@domain.com",
        "the",
    ]
    assert (
        table[". . . . ."].tolist()
        == np.float32([-0.23773, -0.82788, 0.82326, -0.91878, 0.35868]).tolist()
    )


def test_only_the_first_thousand_lines_are_counted(write):
    # 501 plain words outnumber 499 with a space; the many with a space after them don't count.
    first = [b"w%d 1 2" % i for i in range(501)] + [b"x %d 1 2" % i for i in range(499)]
    path = write(b"\n".join(first + [b"y %d 1 2" % i for i in range(3_000)]))
    assert load_vectors(path).vector_size == 2
    even = [b"w%d 1 2" % i for i in range(500)] + [b"x %d 1 2" % i for i in range(500)]
    message = "500 of the first lines have 2 numbers, and 500 have 3; .*vector_size=2"
    with pytest.raises(VectorFileError, match=message):
        load_vectors(write(b"\n".join(even + [b"z%d 1 2" % i for i in range(3_000)])))


def test_a_tie_is_left_to_the_caller(write):
    path = write(b"a b 1 2\nc 3 4\n")
    with pytest.raises(VectorFileError, match=r"1 of the first lines have 3.*vector_size=2"):
        load_vectors(path)
    assert read(path, vector_size=2) == {"a b": [1.0, 2.0], "c": [3.0, 4.0]}


def test_vector_size_overrides_the_count(write):
    path = write(b"new york 1 2\nlos angeles 3 4\na 5 6\n")
    for load in (load_vectors, load_glove):
        assert load(path, vector_size=2).index_to_key == ["new york", "los angeles", "a"]


@pytest.mark.parametrize("vector_size", [0, -3])
def test_vector_size_below_1(write, vector_size):
    with pytest.raises(VectorFileError, match=f"^vector_size={vector_size} must be from 1 to 67,"):
        load_vectors(write(b"a 1 2\n"), vector_size=vector_size)


def test_a_header_must_agree_with_line_two(write):
    assert read(write(b"2 3\na 1 2 3\nb 4 5 6\n")) == {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}
    # Two numbers per line: the first line is a row like the others,
    assert read(write(b"10 3\n11 4\n12 5\n")) == {"10": [3.0], "11": [4.0], "12": [5.0]}
    # unless its second number is 1, the vector size.
    assert read(write(b"2 1\n11 4\n12 5\n")) == {"11": [4.0], "12": [5.0]}


@pytest.mark.parametrize("load", [load_vectors, load_glove, load_word2vec])
def test_a_header_that_line_two_contradicts(write, load):
    message = (
        r"vectors\.txt:1: the header promises vectors of 4 numbers, but line 2 has 3; "
        r"correct the header, or remove it to read the file as GloVe text"
    )
    with pytest.raises(VectorFileError, match=message):
        load(write(b"2 4\na 1 2 3\nb 4 5 6\n"))


@pytest.mark.parametrize("header", [b"3 3", b"0 3", b"1 3", b"999999999999 3"])
def test_a_header_of_another_number_of_rows(write, header):
    promised = int(header.split()[0])
    message = (
        rf"vectors\.txt:4: the header promises {promised:,} vectors, but the file has 2;.*limit=2"
    )
    path = write(header + b"\na 1 2 3\nb 4 5 6\n")
    with pytest.raises(VectorFileError, match=message):
        load_vectors(path)
    assert len(read(path, limit=2)) == 2


@pytest.mark.parametrize("header", [b"2 3", b"0 5", b"5 0", b"999999999999 999999"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_header_alone(write, header, end):
    promised, size = header.split()
    message = rf"vectors\.txt:1: the header promises {int(promised):,} vectors of {int(size)} "
    with pytest.raises(VectorFileError, match=message):
        load_vectors(write(header + end))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"word ", "2: this is not vectors but a message: 'word'"),
        (b"a 1 2 3\n", "1: the header promises vectors of 999999 numbers, but line 2 has 3"),
        (b"a " + struct.pack("<3f", 1, 2, 3), "999,999,999,999 vectors of 999999 numbers, but the"),
    ],
)
@pytest.mark.parametrize("load", [load_vectors, load_word2vec])
def test_a_huge_header_costs_no_memory(write, body, message, load):
    path = write(b"999999999999 999999\n" + body)
    load_vectors(write(b"a 1 2\n", "warm"))
    tracemalloc.start()
    try:
        with pytest.raises(VectorFileError, match=message):
            load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize("size", [0, 1 << 21, 10**17])
def test_binary_of_an_absurd_vector_size(write, size):
    message = rf"vectors\.txt:1: .*: its header promises vectors of {size:,} numbers$"
    with pytest.raises(VectorFileError, match=message):
        load_word2vec(write(b"1 %d\na \x00\x00\x80\x3f" % size))


# Words


def test_only_the_ascii_space_separates_fields(write):
    words = ["a\u00a0b", "c\u2003d", "e\u3000f", "g\th", "i\x0bj", "k\u2028l", "m\x85n", "o\x1cp"]
    path = write("".join(f"{word} 1 2\n" for word in words).encode())
    assert load_vectors(path).index_to_key == words


def test_nothing_is_quoted_and_nothing_is_a_comment(write):
    words = ['"', '"a', 'b"', "''", "#", "\\", ",", ";", "null", "NaN", '"x y"', "0", "1e5"]
    path = write("".join(f"{word} 1 2\n" for word in words).encode())
    assert load_vectors(path).index_to_key == words


def test_the_first_of_duplicates_is_kept_and_they_are_counted(write):
    path = write(b"a 1 2\nb 3 4\na 5 6\nc 7 8\na 9 9\nb 0 0\n")
    table = load_vectors(path)
    assert table.index_to_key == ["a", "b", "c"]
    assert table.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0], [7.0, 8.0]]
    assert table.metadata["duplicates"] == "3"


def test_duplicates_in_a_word2vec_file_are_rows_of_its_header(write):
    row = struct.pack("<2f", 1, 2)
    other = struct.pack("<2f", 3, 4)
    for data in (b"3 2\na 1 2\nb 3 4\na 3 4\n", b"3 2\na " + row + b"b " + other + b"a " + other):
        table = load_vectors(write(data))
        assert table.index_to_key == ["a", "b"]
        assert table.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0]]
        assert table.metadata["duplicates"] == "1"


def test_bytes_that_are_not_utf8_are_kept_counted_and_written_back(write, tmp_path):
    words = [b"caf\xe9", b"ok", b"\xff\xfe", "é".encode(), b"\xed\xa0\x80", b"\xc3"]
    data = b"".join(word + b" 1.0 2.0\n" for word in words)
    table = load_vectors(write(data))
    assert table.index_to_key == [
        "caf\udce9",
        "ok",
        "\udcff\udcfe",
        "é",
        "\udced\udca0\udc80",
        "\udcc3",
    ]
    assert table.metadata["non_utf8"] == "4"
    save_glove(table, tmp_path / "glove")
    assert (tmp_path / "glove").read_bytes() == data
    save_word2vec(table, tmp_path / "text")
    assert (tmp_path / "text").read_bytes() == b"6 2\n" + data
    save_word2vec(table, tmp_path / "binary", binary=True)
    assert load_vectors(tmp_path / "binary").index_to_key == table.index_to_key
    assert load_vectors(write(data), keys=["caf\udce9"]).index_to_key == ["caf\udce9"]


def test_the_empty_word(write, tmp_path):
    path = write(b"a 1 2\n 3 4\nb 5 6\n")
    assert read(path) == {"a": [1.0, 2.0], "": [3.0, 4.0], "b": [5.0, 6.0]}
    save_word2vec(load_vectors(path), tmp_path / "out", binary=True)
    assert read(tmp_path / "out") == read(path)


def test_a_word_of_a_hundred_kilobytes(write, tmp_path):
    word = "x" * 100_000
    table = load_vectors(write(f"a 1 2\n{word} 3 4\n".encode()))
    assert table[word].tolist() == [3.0, 4.0]
    for binary in (False, True):
        save_word2vec(table, tmp_path / "out", binary=binary)
        assert load_vectors(tmp_path / "out").index_to_key == ["a", word]


# Lines


@pytest.mark.parametrize("header", [b"", b"3 2\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n", b" \r\n", b"  \n"])
@pytest.mark.parametrize("last", [b"", b"\n", b"\n\n\n"])
def test_line_ends_and_a_byte_order_mark(write, header, bom, end, last):
    lines = end.join([b"a 1 2", b"b 3 4", b"c 5 6"])
    data = bom + header.replace(b"\n", end) + lines + last.replace(b"\n", end)
    assert read(write(data)) == {"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0]}


def test_a_later_byte_order_mark_is_part_of_a_word(write):
    assert list(read(write(b"a 1 2\n\xef\xbb\xbfb 3 4\n"))) == ["a", "\ufeffb"]


def test_one_row(write):
    assert read(write(b"a 1 2")) == {"a": [1.0, 2.0]}
    assert read(write(b"1 2\na 1 2")) == {"a": [1.0, 2.0]}
    assert read(write(b"1 1\na \x00\x00\x80\x3f")) == {"a": [1.0]}


def test_no_row(write):
    with pytest.raises(VectorFileError, match="not vectors but a message: 'word'"):
        load_vectors(write(b"word\n"))
    with pytest.raises(VectorFileError, match="no line of text in the first"):
        load_vectors(write(b"\n \n"))


@pytest.mark.parametrize("blank", [b"\n", b" \n", b"b\n", b"b 1\n"])
def test_a_line_with_too_few_numbers(write, blank):
    found = blank.strip().count(b" ")
    message = rf"vectors\.txt:2: {found} of 2 numbers in .*fetch it again"
    with pytest.raises(VectorFileError, match=message):
        load_vectors(write(b"a 1 2\n" + blank + b"c 3 4\nd 5 6\n"))


@pytest.mark.parametrize("field", ["1,5", "1_0", "x", "", "1e", "0x10", "--1", "1.2.3", "é", "１"])
@pytest.mark.parametrize("line", [1, 3, 4])
def test_a_field_that_is_not_a_number_is_named_with_its_place(write, field, line):
    lines = [f"w{i} 0.5 1 2" for i in range(1, 5)]
    lines[line - 1] = f"w{line} 0.5 {field} 2"
    message = rf"vectors\.txt:{line}: value 2 of the vector is '{field}', which is not a number; c"
    with pytest.raises(VectorFileError, match=message.replace(".2.", r"\.2\.")):
        load_vectors(write("\n".join(lines).encode()))


def test_the_error_names_the_line_with_a_header_and_keys(write):
    path = write(b"3 2\na 1 2\nb 3 x\nc 5 6\n")
    for options in ({}, {"keys": ["b", "c"]}):
        with pytest.raises(VectorFileError, match=r"vectors\.txt:3: value 2 of the vector is 'x'"):
            load_vectors(path, **options)
    assert load_vectors(path, keys=["a", "c"]).index_to_key == ["a", "c"]


def test_the_error_names_the_line_in_a_later_block(write):
    lines = [b"w%07d 0.5 0.25" % i for i in range(1_000_000)]
    lines[900_000] = b"bad"
    with pytest.raises(VectorFileError, match=r"vectors\.txt:900001: 0 of 2 numbers in 'bad'"):
        load_vectors(write(b"\n".join(lines)))


def test_numbers_that_are_not_finite_are_kept(write):
    vectors = load_vectors(
        write(b"a nan inf -inf\nb NaN Infinity -nan\nc 1e38 -1e38 1e-46\n")
    ).vectors
    assert np.isnan(vectors[[0, 1, 1], [0, 0, 2]]).all()
    assert vectors[0, 1:].tolist() == [np.inf, -np.inf]
    assert vectors[1, 1] == np.inf
    assert vectors[2].tolist() == [np.float32(1e38), -np.float32(1e38), 0.0]
    with pytest.raises(VectorFileError, match=r"vectors.txt:2: value 1 .* '-1e39', which is too l"):
        load_vectors(write(b"a 1 2\nb -1e39 2\n"))


def test_a_line_that_never_ends(write):
    with pytest.raises(VectorFileError):
        load_vectors(write(b"x" * 5_000_000))


# Binary


def test_binary_with_more_rows_than_promised(write):
    row = struct.pack("<2f", 1, 2)
    path = write(b"1 2\na " + row + b"b " + row)
    message = r"the header promises 1 vectors, but more bytes follow them at 14; .*limit=1"
    with pytest.raises(VectorFileError, match=message):
        load_vectors(path)
    assert read(path, limit=1) == {"a": [1.0, 2.0]}


def test_binary_with_fewer_rows_than_promised(write):
    row = struct.pack("<2f", 1, 2)
    path = write(b"3 2\na " + row + b"b " + row)
    message = (
        r"the header promises 3 vectors of 2 numbers, but the file ends within row 3, at byte 24; "
        r"fetch the file again, or read its first rows: load_vectors\(path, limit=2\)"
    )
    with pytest.raises(VectorFileError, match=message):
        load_vectors(path)
    assert read(path, limit=2) == {"a": [1.0, 2.0], "b": [1.0, 2.0]}


def test_binary_whose_words_cross_the_ends_of_blocks(write):
    # Rows of just over 1 MB: blocks end within words and within vectors.
    size = (1 << 18) + 3
    vectors = np.random.default_rng(0).normal(size=(40, size)).astype(np.float32)
    for newline in (b"", b"\n"):
        rows = [b"w%d " % i + vectors[i].tobytes() + newline for i in range(40)]
        table = load_word2vec(write(b"40 %d\n" % size + b"".join(rows)))
        assert table.index_to_key == [f"w{i}" for i in range(40)]
        assert np.array_equal(table.vectors, vectors)


# Files cut short at every byte


def text_of(rows: int = 4, size: int = 3) -> bytes:
    values = np.random.default_rng(1).normal(size=(rows, size)).round(3)
    lines = [f"w{i} " + " ".join(map(str, row)) for i, row in enumerate(values.tolist())]
    return "".join(line + "\n" for line in lines).encode()


def naive(data: bytes, size: int) -> dict[str, list[float]] | None:
    """Read text in the simplest way; return None if it can't be read."""
    found = {}
    for line in data.rstrip(b"\n \r").split(b"\n"):
        fields = line.rstrip(b" \r").split(b" ")
        if len(fields) != size + 1:
            return None
        try:
            found[fields[0].decode()] = [float(np.float32(field)) for field in fields[1:]]
        except ValueError:
            return None
    return found


def test_glove_text_cut_at_any_byte_gives_the_rest_or_an_error(write):
    data = text_of()
    read_back = 0
    for cut in range(1, len(data)):
        expected = naive(data[:cut], 3)
        path = write(data[:cut])
        if expected is None:
            with pytest.raises(VectorFileError):
                load_glove(path, vector_size=3)
        else:
            assert read(path, vector_size=3) == expected
            read_back += 1
    assert read_back > 10


def test_word2vec_text_cut_before_its_last_number_is_an_error(write):
    data = b"4 3\n" + text_of()
    last = data.rstrip().rindex(b" ") + 1
    for cut in range(1, len(data)):
        path = write(data[:cut])
        expected = naive(data[4:cut], 3) if cut > last else None
        if expected is None:
            with pytest.raises(VectorFileError):
                load_word2vec(path)
        else:
            assert read(path) == expected


@pytest.mark.parametrize("newline", [b"", b"\n"])
@pytest.mark.parametrize("load", [load_vectors, load_word2vec])
def test_word2vec_binary_cut_at_any_byte_is_an_error(write, newline, load):
    vectors = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    rows = [b"w%d " % i + vectors[i].tobytes() + newline for i in range(4)]
    data = b"4 3\n" + b"".join(rows)
    end = len(data) - len(newline)
    for cut in range(1, end):
        path = write(data[:cut])
        with pytest.raises(VectorFileError):
            load(path)
    assert read(write(data[:end])) == read(write(data))


def test_gzip_cut_at_any_byte_is_an_error(write):
    data = gzip.compress(text_of())
    for cut in range(2, len(data)):
        with pytest.raises(VectorFileError, match="the gzip data is damaged or cut short"):
            load_vectors(write(data[:cut]))


def test_a_gzip_bomb_of_vectors(write):
    line = b"a" * (1 << 20) + b" 1 2\n"
    with pytest.raises(VectorFileError, match="over 200 to 1"):
        load_vectors(write(gzip.compress(line * 70)))


@pytest.mark.parametrize("seed", range(200))
def test_noise_is_read_or_refused_but_never_crashes(write, seed):
    random = np.random.default_rng(seed)
    alphabet = np.frombuffer(b"ab01 .\n\r-e\x00\xff\xc3,", np.uint8)
    data = random.choice(alphabet, random.integers(1, 60)).tobytes()
    if seed % 2:
        data = b"%d %d\n" % tuple(random.integers(0, 4, 2)) + data
    try:
        table = load_vectors(write(data))
    except VectorFileError:
        return
    assert isinstance(table, EmbeddingTable)
    assert len(table) == len(set(table.index_to_key)) > 0
    assert table.vectors.shape == (len(table), table.vector_size)
