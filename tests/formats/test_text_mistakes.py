"""Text that is no text of vectors, or not yet, is named; text that is odd but sound is read."""

from __future__ import annotations

import pickle
import subprocess

import numpy as np
import pytest

from finetune_embed import (
    EmbeddingTable,
    VectorFileError,
    inspect,
    load_glove,
    load_vectors,
    load_word2vec,
    save_glove,
    save_word2vec,
)

ROWS = ["0.5 -0.25 1.5", "0.1 0.2 -0.3", "-1.25 0.75 0.5", "2.5 -0.1 0.4", "0.3 0.6 -0.9"]
WORDS = ["the", "of", "king", "queen", "good"]
VALUES = [[float(value) for value in row.split()] for row in ROWS]


def text(words=WORDS, rows=ROWS, *, header: str = "", between: str = " ") -> bytes:
    lines = [f"{word}{between}{row}" for word, row in zip(words, rows, strict=True)]
    return "".join(f"{line}\n" for line in ([header] if header else []) + lines).encode()


def read(path, **options: object) -> dict[str, list[float]]:
    table = load_vectors(path, **options)
    assert all(row in np.float32(VALUES).tolist() for row in table.vectors.tolist())
    return dict(zip(table.index_to_key, table.vectors.tolist(), strict=True))


def refused(path, **options: object) -> VectorFileError:
    with pytest.raises(VectorFileError) as error:
        load_vectors(path, **options)
    assert len(str(error.value)) < 500
    return error.value


# Headers


@pytest.mark.parametrize(
    "header", ["5  3", " 5 3", "5\t3", "5 3\t", "  5 \t 3  ", "05 03", "5 3\r"]
)
def test_headers_that_gensim_reads(header, write):
    path = write(text(header=header))
    assert list(read(path)) == WORDS
    assert load_word2vec(path).metadata["source_format"] == "word2vec"
    report = inspect(path)
    assert report.header.is_true
    assert [found.code for found in report.findings] == ["crlf"] * header.endswith("\r")


NAMES = {
    "most of two words": ["Ada Lovelace", "Alan Turing", "Marie Curie", "Paris", "Isaac Newton"],
    "all of two words": [
        "Ada Lovelace",
        "Alan Turing",
        "Marie Curie",
        "Kurt Gödel",
        "Emmy Noether",
    ],
    "of one to four": ["Leonardo da Vinci", "The New York Times", "Paris", "Marie Curie", "a b"],
    "with numbers": ["Boeing 747", "Airbus 320", "Area 51", "Apollo 11", "Concorde"],
    "all with numbers": ["Boeing 747", "Airbus 320", "Area 51", "Apollo 11", "Catch 22"],
}


@pytest.mark.parametrize("case", NAMES)
def test_a_header_that_the_lines_fit_is_followed(case, write):
    words = NAMES[case]
    path = write(text(words, header="5 3"))
    assert list(read(path)) == words
    assert list(read(path, keys=words[2:4])) == words[2:4]
    report = inspect(path)
    assert (report.words, report.vector_size, report.header.is_true) == (5, 3, True)


@pytest.mark.parametrize("case", ["all of two words", "most of two words", "of one to four"])
def test_names_without_a_header_need_the_vector_size(case, write):
    words = NAMES[case]
    path = write(text(words))
    error = refused(path)
    assert "use load_vectors(path, vector_size=3)" in str(error)
    assert list(read(path, vector_size=3)) == words
    report = inspect(path)
    assert report.vector_size == 3
    assert report.findings[0].code == "layout"
    assert inspect(path, vector_size=3).findings[0].code == "spaces"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("5 2", "promises vectors of 2 numbers, but line 2 has 3; correct the header"),
        ("5 4", "promises vectors of 4 numbers, but line 2 has 3; correct the header"),
        ("5 1", "promises vectors of 1 numbers, but line 2 has 3; correct the header"),
        ("4 3", "promises 4 vectors, but the file has 5"),
        ("6 3", "promises 6 vectors, but the file has 5"),
    ],
)
def test_a_header_that_the_lines_contradict(header, message, write):
    assert message in str(refused(write(text(header=header))))


def test_the_header_of_glove_does_not_count_unk(write):
    path = write(text([*WORDS[:4], "<unk>"], header="4 3"))
    assert list(read(path)) == [*WORDS[:4], "<unk>"]
    assert list(read(path, keys=["of"])) == ["of"]
    assert list(read(path, limit=4)) == WORDS[:4]
    assert inspect(path).header.is_true
    assert inspect(path).findings == ()
    for words, header in (([*WORDS[:4], "unk"], "4 3"), (["<unk>", *WORDS[1:]], "4 3")):
        assert "promises 4 vectors, but" in str(refused(write(text(words, header=header))))
    assert "promises 3 vectors" in str(refused(write(text([*WORDS[:4], "<unk>"], header="3 3"))))


@pytest.mark.parametrize("words", [WORDS, [f"B64:{word}==" for word in WORDS]])
def test_the_header_of_deeplearning4j_is_named(words, write):
    path = write(text(words, header="5 3 1200"))
    assert "'5 3 1200' is the header of deeplearning4j" in str(refused(path))
    assert "deeplearning4j" in inspect(path).findings[0].message()
    assert list(read(write(text(words, header="5 3")))) == words


# First lines that name columns

COLUMNS = [
    *(" 0 1 2", "word 0 1 2", "index 1 2 3", "Unnamed: 0 1 2", "token dim_0 dim_1 dim_2"),
    *(
        "word vector",
        "# made by me",
        "V1 V2 V3",
        '"V1" "V2" "V3"',
        '"" "0" "1" "2"',
        "0 1 2",
        "0 1 2 3",
        "word x y z",
    ),
]


@pytest.mark.parametrize("line", [line for line in COLUMNS if line != "Unnamed: 0 1 2"])
def test_a_line_of_column_names_is_no_row(line, write, tmp_path):
    path = write(text(header=line))
    error = refused(path)
    assert str(error).startswith(f"{path}:1: {line!r} names columns")
    assert inspect(path).findings[0].code == "layout"
    with open(tmp_path / "new", "wb") as file:
        subprocess.run(["tail", "-n", "+2", path], stdout=file, check=True)
    assert list(read(tmp_path / "new")) == WORDS


@pytest.mark.parametrize(
    "data",
    [
        b"the 0 1 2\nof 1 0 0\nto 5 5 5\n",  # integers are values too
        b"the 0.0 1.0 2.0\nof 0.5 0.5 0.5\n",
        b"a 0 1\nb 0.5 0.25\n",
        b"the 3 4 5\nof 0.5 0.5 0.5\n",
        b"a 0\nb 0.5\n",
        b"word 0 1 2\n",
        b"word 0.5 1 2\ntoken 0.1 0.2 0.3\n",
    ],
)
def test_rows_like_column_names_are_read(data, write):
    table = load_vectors(write(data))
    assert len(table) == data.count(b"\n")


# Numbers without words


@pytest.mark.parametrize("style", ["%.18e", "%.6f", "%.3f", "%.8g", "%r"])
def test_numbers_without_words(style, write):
    vectors = np.random.default_rng(0).normal(size=(20, 6))
    lines = [
        " ".join(repr(float(v)) if style == "%r" else style % v for v in row) for row in vectors
    ]
    data = "\n".join(lines).encode()
    for path in (write(data), write(b"20 6\n" + data, "header.txt")):
        error = refused(path)
        assert "there are no words" in str(error)
        assert "load_numpy('vectors.npy', words=...)" in str(error)
        assert not inspect(path).is_clean
    assert "there are no words" in str(refused(write(data), vector_size=6))


@pytest.mark.parametrize(
    ("words", "header"),
    [
        (["0", "1", "2", "3", "4"], "5 3"),
        (["0", "1", "2", "3", "4"], ""),
        (["10", "-2", "33", "1e5", "7"], ""),
        (["3.14", "2.5", "the", "1.0", "0.5"], ""),
        (["1.5", "2.5", "3.5", "4.5", "5.5"], "5 3"),
    ],
)
def test_words_that_are_numbers_are_read(words, header, write):
    path = write(text(words, header=header))
    assert list(read(path)) == words
    assert inspect(path).words == 5


def test_decimals_shorter_than_the_values_are_words(write):
    rows = ["0.418012 -0.249682 0.412421", "0.013441 0.236820 -0.168991"]
    table = load_vectors(write(text(["3.14", "2.5"], rows)))
    assert table.index_to_key == ["3.14", "2.5"]


# Other text


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["", "word{0}0{0}1{0}2", "word{0}x{0}y{0}z"])
def test_csv_is_named_and_its_remedy_works(mark, header, write):
    data = text(between=mark, header=header.format(mark) and f"{header.format(mark)}")
    data = data.replace(b" ", mark.encode())
    path = write(data)
    kind = "tab-separated text" if mark == "\t" else "CSV"
    error = refused(path)
    assert f"this is {kind}: {mark!r} is between the fields" in str(error)
    assert f"replace each {mark!r} with a space" in str(error)
    assert ("remove line 1" in str(error)) is bool(header)
    spaced = data.replace(mark.encode(), b" ")
    spaced = spaced.partition(b"\n")[2] if header else spaced
    assert list(read(write(spaced))) == WORDS
    with pytest.raises(VectorFileError, match="this is"):
        inspect(write(data))


@pytest.mark.parametrize(
    "data",
    [
        b"text,label\nit works,1\nit broke,0\n",
        b'id;text\n1;"good; really good"\n2;bad thing\n',
        b"label\ttext\npos\tI like it a lot\nneg\tI do not\n",
        b'text,label\n"I love it, really",1\nso bad,0\nmeh at best,0\n',
    ],
)
def test_a_data_set_is_named(data, write):
    error = str(refused(write(data)))
    assert "this is CSV" in error or "this is tab-separated text" in error
    assert "data set" in error


@pytest.mark.parametrize(
    ("data", "message", "replaced"),
    [
        (b"the [0.5, 1.5]\nof [0.25, 2.5]\n", "the numbers are in brackets", b"[],"),
        (b"the [0.5,1.5]\nof [0.25,2.5]\n", "the numbers are in brackets", None),
        (b'{"word": "the", "vector": [0.5]}\n{"word": "of", "vector": [1]}\n', "is JSON", None),
        (b'{"the": [0.5, 1.5], "of": [0.25, 2.5]}\n', "this is JSON", None),
        (b'[["the", [0.5, 1.5]], ["of", [0.25, 2.5]]]\n', "this is JSON", None),
    ],
)
def test_json_and_brackets_are_named(data, message, replaced, write):
    assert message in str(refused(write(data)))
    if replaced:
        table = load_vectors(write(data.translate(None, replaced)))
        assert table.vectors.tolist() == [[0.5, 1.5], [0.25, 2.5]]


def test_csv_of_numbers_without_words_is_named(write):
    error = str(refused(write(b"0.5,0.25,1.5\n0.125,2.5,0.75\n")))
    assert "and there are no words; replace each ',' with a space, and put each word" in error


def test_a_line_end_within_a_word_is_named(write):
    error = refused(write(text([*WORDS[:2], "new\nyork", *WORDS[3:]])))
    assert ":3: 0 of 3 numbers in 'new'; if the word has a line end, join both lines" in str(error)
    data = text([*WORDS[:2], "new york", *WORDS[3:]])
    assert load_vectors(write(data)).index_to_key[2] == "new york"


def test_decimal_commas_of_csv_are_named(write):
    error = refused(write(b"the;0,5;1,5\nof;0,25;2,5\n"))
    assert str(error).endswith("replace each ';' with a space and each ',' with a point")


@pytest.mark.parametrize("pairs", ["1:0.5 7:2.5", "3:1 9:2 12:-0.5", "0:1e-5"])
@pytest.mark.parametrize("header", ["", "5 1000"])
def test_sparse_vectors_are_named(pairs, header, write):
    path = write(text(rows=[pairs] * 5, header=header))
    assert "sparse vectors, pairs of a position and a value" in str(refused(path))
    with pytest.raises(VectorFileError, match="sparse vectors"):
        inspect(path)


SHELL = {
    "row numbers": (b"0 the 0.1 0.5\n1 of 0.2 0.25\n2 to 0.3 -0.5\n", "a column of row numbers"),
    "names and row numbers": (
        b'"w" "x" "y"\n"1" the 0.1 0.5\n"2" of 0.2 0.25\n"3" to 0.3 -0.5\n',
        "a column of row numbers",
    ),
    "words in quotes": (b'"the" 0.1 0.5\n"of" 0.2 0.25\n"to" 0.3 -0.5\n', "in quotation marks"),
    "all in quotes": (b'"the" "0.1" "0.5"\n"of" "0.2" "0.25"\n"to" "0.3" "-0.5"\n', "in quotation"),
    "decimal commas": (b"the 0,1 0,5\nof 0,2 0,25\nto 0,3 -0,5\n", "commas as decimal marks"),
    "carriage returns": (b"the 0.1 0.5\rof 0.2 0.25\rto 0.3 -0.5\r", "carriage returns"),
}


@pytest.mark.parametrize("case", SHELL)
@pytest.mark.parametrize("options", [{}, {"vector_size": 2}])
def test_a_command_of_the_shell_repairs_the_columns(case, options, write, tmp_path):
    data, message = SHELL[case]
    path = write(data)
    error = str(refused(path, **options))
    assert message in error
    command = error.rpartition(": ")[2].replace("NEW_FILE", str(tmp_path / "new"))
    command = command.replace("FILE", str(path))
    subprocess.run(command, shell=True, check=True)
    table = load_vectors(tmp_path / "new", **options)
    assert table.index_to_key == ["the", "of", "to"]
    assert table.vectors.tolist() == np.float32([[0.1, 0.5], [0.2, 0.25], [0.3, -0.5]]).tolist()


@pytest.mark.parametrize("rows", [["1 -2 3", "-1 0 2", "3 1 1"], ["2 1 3", "2 0 1", "1 2 3"]])
def test_a_matrix_of_integers_has_no_words(rows, write):
    assert "there are no words" in str(refused(write("\n".join(rows).encode())))
    table = load_vectors(write(b"5 1 -2\n1 0 2\n3 1 1\n"))
    assert table.index_to_key == ["5", "1", "3"]


@pytest.mark.parametrize("header", ["5,3", "# 5 3", "5.0 3.0", "5; 3", "#5 3"])
def test_a_header_in_another_form_is_named(header, write):
    error = str(refused(write(text(header=header))))
    assert "is a header, but not in the form `V D`; write it as '5 3'" in error
    assert list(read(write(text(header="5 3")))) == WORDS


@pytest.mark.parametrize(
    "message",
    [
        "Invalid username or password.",
        "Bad credentials",
        "Rate limit exceeded",
        "Access to model a/b is restricted and you are not in the list",
        "Repository Not Found for url: https://example.org/x.\nPlease check the address",
        "upstream connect error or disconnect/reset before headers",
        "no healthy upstream",
        "error code: 1020",
        "Gone",
    ],
)
@pytest.mark.parametrize("options", [{}, {"vector_size": 25}])
def test_a_short_message_is_no_file_of_vectors(message, options, write):
    error = str(refused(write(message.encode()), **options))
    assert "this is not vectors but a message" in error
    assert "vector_size=1" not in error


def test_a_pickle_of_protocol_0_is_named(write):
    assert "a Python pickle" in str(refused(write(pickle.dumps({"the": [0.5]}, protocol=0))))


@pytest.mark.parametrize("spaces", ["  ", "   "])
@pytest.mark.parametrize("before", ["", " "])
@pytest.mark.parametrize("header", ["", "V1  V2  V3", "5 3"])
def test_several_spaces_are_named_and_their_remedy_works(spaces, before, header, write, tmp_path):
    rows = [row.replace(" ", spaces) for row in ROWS]
    path = write(text([before + word for word in WORDS], rows, header=header, between=spaces))
    error = str(refused(path))
    assert "several spaces, not one, are between or before the fields" in error
    command = error.partition("sed -E ")[2].partition(" FILE")[0]
    script = command.strip("'")
    with open(tmp_path / "new", "wb") as file:
        subprocess.run(["sed", "-E", script, path], stdout=file, check=True)
    assert list(read(tmp_path / "new")) == WORDS


@pytest.mark.parametrize("token", ["\n", " \n", "\r\n"])
@pytest.mark.parametrize("header", ["", "5 3"])
def test_a_word_that_is_a_line_end_is_named(token, header, write):
    words = [*WORDS[:2], token, *WORDS[3:]]
    path = write(text(words, header=header))
    line = 3 + bool(header)
    error = refused(path)
    assert f":{line}: this line is blank and the next has 3 numbers but no word" in str(error)
    blank = next(found for found in inspect(path).findings if found.code == "blank_lines")
    assert "the word was a line end: remove both" in str(blank)
    lines = path.read_bytes().split(b"\n")
    del lines[line - 1 : line + 1]
    lines = [b"4 3" if one == b"5 3" else one for one in lines]
    assert list(read(write(b"\n".join(lines)))) == [*WORDS[:2], *WORDS[3:]]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "words", [WORDS, ["日本", "の", "猫", "犬", "鳥"], ["é", "ü", "ß", "ø", "å"]]
)
@pytest.mark.parametrize("header", ["", "5 3"])
def test_utf_16_without_a_mark_is_named(encoding, words, header, write, tmp_path):
    path = write(text(words, header=header).decode().encode(encoding))
    name = encoding.upper().replace("UTF-16-", "UTF-16")
    error = str(refused(path))
    assert (
        f"this is UTF-16 text, which is not read here; convert it to UTF-8: iconv -f {name}"
        in error
    )
    with open(tmp_path / "new", "wb") as file:
        subprocess.run(["iconv", "-f", name, "-t", "UTF-8", path], stdout=file, check=True)
    assert list(read(tmp_path / "new")) == words


# Sound files


ODD = [
    *("a\u00a0b", "🙂", "\u0085", "\x85x", "日本語", "a\tb", "\u2028", "1:2", "a,b", ";", '"'),
    *("-", ".", "+1", "nan", "inf", "1e5", "B64:dGhl", "the", "</s>", "<unk>", "\x00", "\x1c"),
]


def test_odd_words_are_read(write, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(len(ODD), 3)).astype(np.float32)
    table = EmbeddingTable(ODD, vectors)
    for save in (save_glove, save_word2vec):
        save(table, tmp_path / "v.txt")
        back = load_vectors(tmp_path / "v.txt")
        assert back.index_to_key == ODD
        assert back.vectors.tobytes() == vectors.tobytes()


@pytest.mark.parametrize("word", ODD)
@pytest.mark.parametrize("size", [1, 3])
def test_a_single_row_is_read(word, size, tmp_path):
    table = EmbeddingTable([word], np.float32([[0.5, -0.25, 1.5][:size]]))
    save_word2vec(table, tmp_path / "v.txt")
    assert load_vectors(tmp_path / "v.txt").index_to_key == [word]
    save_glove(table, tmp_path / "v.txt")
    assert load_glove(tmp_path / "v.txt").index_to_key == [word]


def test_words_that_readers_would_take_for_values_are_not_written_as_glove(tmp_path):
    words = ["0.123456", "0.234567", "0.345678"]
    table = EmbeddingTable(words, np.float32([[0.5, 0.25], [0.125, 0.5], [0.75, 1.5]]))
    with pytest.raises(VectorFileError, match=r"there are no words.*use save_safetensors"):
        save_glove(table, tmp_path / "v.txt")
    save_word2vec(table, tmp_path / "v.txt")
    assert load_vectors(tmp_path / "v.txt").index_to_key == words
