from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from finetune_embed import (
    EmbeddingTable,
    VectorFileError,
    VocabularyError,
    load_numpy,
    load_vectors,
    save_numpy,
)
from finetune_embed.formats import numpy_arrays
from finetune_embed.formats.numpy_arrays import archive_words

WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂"]
BITS = [
    [0x3F000000, 0xBFA00000, 0x40400000],
    [0x3DCCCCCD, 0x3D800000, 0x80000000],
    [0x477FE000, 0x3F333333, 0xC0200000],
    [0x3EAAAAAB, 0x4B800000, 0x47F12065],
    [0xBC4A4588, 0x40E00000, 0x3E4CCCCD],
]
VECTORS = np.array(BITS, np.uint32).view(np.float32)
SMALL = np.array([[1.5, -2.0], [0.25, 4.0], [3.0, 8.0]], np.float32)
ABC = ["a", "b", "c"]


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version, allow_pickle=True)
    return file.getvalue()


def header(text: str, version: int = 1) -> bytes:
    """Return the header of an array with a literal text."""
    length = (len(text)).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode("latin1")


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def test_reads_the_golden_array_and_its_word_list_in_place(golden):
    for load in (load_numpy, load_vectors):
        table = load(golden / "tiny.npy")
        assert table.index_to_key == WORDS
        assert table.vectors.tobytes() == VECTORS.tobytes()
        assert not table.vectors.flags.owndata
        assert not table.vectors.flags.writeable
        assert table.metadata["source_format"] == "numpy"
        assert table.metadata["source"] == "tiny.npy"
        assert table.metadata["words_file"] == "tiny.words"
        assert len(table.metadata["source_sha256"]) == 64


def test_reads_numpys_compressed_archive_with_other_names_and_types(golden):
    for load in (load_numpy, load_vectors):
        table = load(golden / "tiny.numpy.npz")
        assert table.index_to_key == WORDS
        assert table.vectors.tobytes() == VECTORS.tobytes()
        assert table.metadata["source_format"] == "numpy-archive"
        assert "words_file" not in table.metadata


def test_writes_the_golden_archive_and_opens_it_in_place(golden, tmp_path):
    save_numpy(EmbeddingTable(WORDS, np.asfortranarray(VECTORS)), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == (golden / "tiny.npz").read_bytes()
    table = load_numpy(golden / "tiny.npz")
    assert table.index_to_key == WORDS
    assert table.vectors.tobytes() == VECTORS.tobytes()
    assert not table.vectors.flags.owndata
    assert table.vectors.ctypes.data % 64 == 0


def test_numpy_reads_what_we_wrote_without_pickle(random_table, tmp_path):
    save_numpy(random_table, tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as archive:
        assert archive.files == ["vectors", "words"]
        assert archive["words"].tolist() == random_table.index_to_key
        assert archive["vectors"].dtype == np.float32
        assert archive["vectors"].tobytes() == random_table.vectors.tobytes()
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    "words",
    [
        ["a", "b\0", "\0\0", ""],
        ["a", "\udcff\0", "\0b"],
        ["x" * 100_000, *(f"w{i}" for i in range(400))],
    ],
    ids=["trailing NULs", "not UTF-8", "one of 100 KB among 400"],
)
def test_words_that_a_fixed_width_array_cannot_hold_well(words, tmp_path):
    vectors = np.arange(2 * len(words), dtype=np.float32).reshape(-1, 2)
    save_numpy(EmbeddingTable(words, vectors), tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as archive:
        assert archive.files == ["vectors", "words_utf8", "words_offsets"]
        data, at = archive["words_utf8"].tobytes(), archive["words_offsets"].tolist()
    decoded = [data[a:b].decode("utf-8", "surrogateescape") for a, b in zip(at, at[1:])]  # noqa: B905, RUF007
    assert decoded == words
    assert (tmp_path / "out.npz").stat().st_size < 150_000
    table = load_numpy(tmp_path / "out.npz")
    assert table.index_to_key == words
    assert table.vectors.tobytes() == vectors.tobytes()


def test_a_fixed_width_array_is_written_up_to_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_arrays, "WORDS_BYTES", 0)
    vectors = np.ones((4, 8), np.float32)  # twice 128 bytes: 16 characters for each of 4
    for length, files in ((16, ["vectors", "words"]), (17, ["words_utf8", "words_offsets"])):
        words = ["x" * length, "", "é", "\udc80"]
        save_numpy(EmbeddingTable(words, vectors), tmp_path / "out.npz")
        with np.load(tmp_path / "out.npz") as archive:
            assert archive.files[-2:] == files
        assert load_numpy(tmp_path / "out.npz").index_to_key == words
        assert load_numpy(tmp_path / "out.npz").metadata["non_utf8"] == "1"


CODES = st.sampled_from("ab \n\0é\u00a0\udcff\U0001f642")
TEXTS = st.one_of(
    st.text(CODES, max_size=4),
    st.binary(max_size=6).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)
NUMBERS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0x7FC00001, 0x7F800001, 0xFFFFFFFF, 0x7F800000, 0xFF800000, 1, 1 << 31]),
)


@st.composite
def tables(draw) -> EmbeddingTable:
    words = draw(st.lists(TEXTS, min_size=1, max_size=6, unique=True))
    bits = draw(npst.arrays(np.uint32, (len(words), draw(st.integers(1, 4))), elements=NUMBERS))
    return EmbeddingTable(words, bits.view(np.float32))


@given(tables())
@example(EmbeddingTable([""], [[np.nan]]))
@example(EmbeddingTable(["", "\0"], [[np.inf], [-0.0]]))
def test_the_archive_holds_every_table_to_the_bit(table):
    with tempfile.TemporaryDirectory() as folder:
        save_numpy(table, Path(folder, "out"))
        back = load_vectors(Path(folder, "out"))
        assert back.index_to_key == table.index_to_key
        assert back.vectors.tobytes() == table.vectors.tobytes()


def test_tables_that_are_refused(tmp_path):
    for words, vectors, error, message in (
        ([], np.zeros((0, 3)), VectorFileError, "the table is 0 x 3, but a numpy archive nee"),
        (["a"], np.zeros((1, 0)), VectorFileError, "the table is 1 x 0, but a numpy archive n"),
        (["a", "a"], np.eye(2), VocabularyError, "'a' is in rows 0 and 1"),
        (["a", "\ud800"], np.eye(2), VectorFileError, "1 of 2 words have lone surrogates"),
    ):
        with pytest.raises(error, match=message):
            save_numpy(EmbeddingTable(words, vectors), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", "<i8", ">i2", "|i1", "|u1"])
def test_every_type_layout_and_version(write, dtype, version, layout):
    numbers = np.array([[1, 2, 3], [100, 0, 7]], dtype, order=layout)
    path = write(npy(numbers, version), "x.npy")
    for source in (path, io.BytesIO(path.read_bytes()), write(gzip.compress(path.read_bytes()))):
        table = load_numpy(source, words=["a", "b"])
        assert table.index_to_key == ["a", "b"]
        assert table.vectors.dtype == np.float32
        assert table.vectors.flags.c_contiguous
        assert table.vectors.tolist() == [[1, 2, 3], [100, 0, 7]]
        names = {"f4": None, "f8": "float64", "f2": "float16", "i8": "int64", "i2": "int16"}
        names |= {"i1": "int8", "u1": "uint8"}
        assert table.metadata.get("source_dtype") == names[dtype[1:]]


def test_numbers_keep_their_bits_or_are_rounded_as_numpy_does(write):
    bits = np.array([[0x7FC00001, 0x7F800001, 0x80000000, 1]], np.uint32)
    swapped = write(npy(bits.view(np.float32).astype(">f4")), "x.npy")
    assert load_numpy(swapped, words=["a"]).vectors.view(np.uint32).tolist() == bits.tolist()
    double = np.array([[0.1, np.inf, -np.inf, np.nan, 1e-300, 3.4028235e38]])
    found = load_numpy(write(npy(double), "y.npy"), words=["a"]).vectors
    assert found.tobytes() == double.astype(np.float32).tobytes()


def test_a_number_too_large_for_float32_is_named(write):
    numbers = np.zeros((300_000, 2))
    numbers[290_000] = 0, -1e39
    path = write(npy(numbers), "big.npy")
    words = [f"w{i}" for i in range(300_000)]
    message = r"big.npy\[290000\]: -1e\+39 is too large for float32.*; scale the vectors down"
    with pytest.raises(VectorFileError, match=message):
        load_numpy(path, words=words)
    kept = ["w5", "w289999", "w290001"]
    assert load_numpy(path, keys=kept, words=words).index_to_key == kept
    with pytest.raises(VectorFileError, match=message):
        load_numpy(path, keys=["w1", "w290000", "w290001"], words=words)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["in place", "columns", "doubles", "stream", "deflated"])
def test_keys_limit_and_duplicates_over_many_blocks(how, tmp_path):
    count = 70_000
    vectors = np.arange(count * 33, dtype=np.float32).reshape(count, 33)
    words = [f"w{i % 69_000}" for i in range(count)]
    path = tmp_path / "x"
    array = {"columns": np.asfortranarray(vectors), "doubles": vectors.astype("f8")}
    path.write_bytes(npy(array.get(how, vectors)))
    if how == "deflated":
        np.savez_compressed(tmp_path / "x.npz", vectors=vectors, words=words)
        path = tmp_path / "x.npz"

    def load(keys=None, limit=None):
        source = io.BytesIO(path.read_bytes()) if how == "stream" else path
        listed = None if how == "deflated" else words
        table = load_numpy(source, keys, limit, words=listed)
        return table, [int(word[1:]) for word in table.index_to_key]

    table, rows = load()
    assert rows == list(range(69_000))
    assert np.array_equal(table.vectors, vectors[:69_000])
    assert table.metadata["duplicates"] == "1000"
    keys = [f"w{i}" for i in (68_999, 3, 31_775, 31_776, 999, 70_001)]
    table, rows = load(keys=keys)
    assert rows == [3, 999, 31_775, 31_776, 68_999]
    assert np.array_equal(table.vectors, vectors[rows])
    assert table.metadata["duplicates"] == "2"
    table, rows = load(keys=keys, limit=31_776)
    assert rows == [3, 999, 31_775]
    assert np.array_equal(table.vectors, vectors[rows])
    assert "duplicates" not in table.metadata
    table, rows = load(limit=40_000)
    assert rows == list(range(40_000))
    assert np.array_equal(table.vectors, vectors[:40_000])
    assert load(keys=[])[0].vectors.shape == (0, 33)


LISTS = {
    "lines": (b"a\nb c\n\xff\n", ["a", "b c", "\udcff"]),
    "no newline at the end": ("a\n\u00e9\nc".encode(), ["a", "é", "c"]),
    "empty words": (b"\n\nx\n", ["", "", "x"]),
    "CRLF": (b"a\r\nb\r\nc\r\n", ["a", "b", "c"]),
    "a carriage return in one": (b"a\nb\r\nc\n", ["a", "b\r", "c"]),
    "BOM": (b"\xef\xbb\xbfa\nb\nc\n", ["a", "b", "c"]),
    "a bracket": (b"[\n]\n{\n", ["[", "]", "{"]),
    "a number in one": (b"a 1\nb\nc\n", ["a 1", "b", "c"]),
    "JSON list": (b' ["a", "b\\n", "\\udcff"]', ["a", "b\n", "\udcff"]),
    "JSON map": (b'{"b": 2, "": 0, "a": 1}', ["", "a", "b"]),
    "numpy": (npy(np.array(["a", "é", ""])), ["a", "é", ""]),
    "numpy bytes": (npy(np.array([b"a", b"\xc3\xa9", b"\xff"])), ["a", "é", "\udcff"]),
    "gzip": (gzip.compress(b"a\nb\nc"), ["a", "b", "c"]),
}


@pytest.mark.parametrize("case", LISTS)
def test_word_lists_are_recognised_by_content(case, write):
    data, words = LISTS[case]
    path = write(npy(SMALL), "x.npy")
    listed = write(data, "list")
    table = load_numpy(path, words=listed, keys=words)
    assert table.metadata["words_file"] == "list"
    assert table.index_to_key == list(dict.fromkeys(words))
    assert table.vectors.tolist() == SMALL[[words.index(w) for w in table.index_to_key]].tolist()


def test_words_may_be_an_array_or_a_map(write):
    path = write(npy(SMALL), "x.npy")
    for words in (np.array(ABC), tuple(ABC), {"c": 2, "a": 0, "b": 1}, {w: 0 for w in ABC}.keys()):
        table = load_numpy(path, words=words)
        assert table.index_to_key == ABC
        assert "words_file" not in table.metadata


BAD_LISTS = {
    "counts": (b"the 12\nof 7\nto 3\n", "each line ends in a number, such as 'the 12'.*; rem"),
    "too few": (b"a\nb\n", r"x.npy: this holds 3 vectors, but the list of words has 2"),
    "empty": (b"", r"list: the file is empty \(0 bytes\)"),
    "numbers": (b"[1, 2, 3]", r"list\[0\]: this is 1, of type int, not a word"),
    "null": (b'["a", null, "c"]', r"list\[1\]: this is None, of type NoneType, n"),
    "gap": (b'{"a": 0, "b": 1, "c": 3}', "list: this maps 'c' to 3, which is not a row from "),
    "twice": (b'{"a": 0, "b": 1, "c": 1}', "list: this maps both 'b' and 'c' to row 1; give"),
    "no row": (b'{"a": 0, "b": true, "c": 1}', "list: this maps 'b' to True, which is not a r"),
    "vectors": (npy(SMALL), r"list: this is <f4 \[3, 2\], not an array of words; save"),
    "objects": (npy(np.array(ABC, object)), r"list: this is object \[3\], not an array"),
    "no characters": (
        npy(np.array([97, 0x110000, 99], np.uint32).view("<U1")),
        r"list\[0\]: this word, .* holds numbers that are not characters",
    ),
    "cut array": (npy(np.array(ABC))[:-1], "is 12 bytes, but only 11 follow it; the file is cut"),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_bad_word_lists(case, write):
    data, message = BAD_LISTS[case]
    path = write(npy(SMALL), "x.npy")
    with pytest.raises(VectorFileError, match=message):
        load_numpy(path, words=write(data, "list"))


def test_a_list_of_other_things_is_refused(write):
    path = write(npy(SMALL), "x.npy")
    with pytest.raises(VectorFileError, match=r"words\[1\]: this is 3, of type int, not a word"):
        load_numpy(path, words=["a", 3, "c"])
    with pytest.raises(VectorFileError, match=r"absent\S*: no such file"):
        load_numpy(path, words=path.with_name("absent"))


def test_the_first_word_list_beside_the_array_is_used(write):
    path = write(npy(SMALL), "x.npy")
    write(b"not\nthis\none\neither\n", "x.txt")
    message = (
        r"x\.npy: this holds vectors without words, and there is no x\.words, x\.words\.txt, "
        r"x\.vocab, words\.txt, vocab\.txt, vocab\.json beside it; .*path, words='words\.txt'\)"
    )
    with pytest.raises(VectorFileError, match=message):
        load_numpy(path)
    places = ("vocab.json", "vocab.txt", "words.txt", "x.vocab", "x.words.txt", "x.words")
    for number, name in enumerate(places):
        words = [f"{letter}{number}" for letter in ABC]
        data = (
            json.dumps(dict(zip(words, range(3), strict=True))) if not number else "\n".join(words)
        )
        write(data.encode(), name)
        for load in (load_numpy, load_vectors):
            table = load(path)
            assert table.index_to_key == words
            assert table.metadata["words_file"] == name
    packed = write(gzip.compress(path.read_bytes()), "x.npy.gz")
    assert load_vectors(packed).metadata["words_file"] == "x.words"
    assert load_numpy(path, words=ABC).index_to_key == ABC
    write(b"a\nb\n", "x.words")
    message = r"x\.npy: this holds 3 vectors, but \S*x\.words has 2 words"
    with pytest.raises(VectorFileError, match=message):
        load_numpy(path)
    with pytest.raises(VectorFileError, match=r"without words; pass them: load_numpy"):
        load_numpy(io.BytesIO(path.read_bytes()))


def test_an_archive_with_only_vectors_uses_the_list_beside_it(tmp_path):
    path = npz(tmp_path / "x.npz", embeddings=SMALL)
    (tmp_path / "words.txt").write_text("a\nb\nc\n")
    assert load_vectors(path).metadata["words_file"] == "words.txt"
    assert load_numpy(path, words=["x", "y", "z"]).index_to_key == ["x", "y", "z"]


ARCHIVES = {
    "named": ({"vectors": SMALL, "words": ABC, "other": SMALL * 2, "x": ["x", "y", "z"]}, None),
    "other names": ({"W": SMALL.astype(">f8"), "tokens": np.array([b"a", b"b", b"c"])}, None),
    "words by their count": ({"m": SMALL, "names": ["x", "y"], "words_": ABC}, None),
    "things to ignore": ({"m": SMALL, "w": ABC, "n": 3, "id": np.arange(3), "o": [[True]]}, None),
    "objects beside": ({"m": SMALL, "w": ABC, "o": np.array([{}], object)}, None),
    "empty": ({}, "no files"),
    "no matrix": ({"words": ABC}, r"no array can be the vectors: words <U1 \[3\]; save it"),
    "two": ({"a": SMALL, "b": SMALL}, r"several arrays .* a <f4 \[3, 2\], b <f4 \[3, 2\]; save"),
    "two lists": ({"m": SMALL, "x": ABC, "y": ABC}, "several arrays can be the words: "),
    "too few": (
        {"vectors": SMALL, "words": ["a", "b"]},
        "this holds 3 vectors, but .* has 2 words",
    ),
    "two too few": ({"v": SMALL, "w": ["a"], "x": ["b"]}, "several arrays can be the words"),
    "no words": ({"vectors": SMALL}, "this holds vectors without words, and there is no"),
    "object words": (
        {"v": SMALL, "w": np.array(ABC, object)},
        r"w\.npy: this holds Python objects",
    ),
    "objects": ({"v": np.array([[{}]], object)}, r"v object \[1, 1\]\): this holds Python o"),
    "complex": ({"vectors": SMALL * 1j, "words": ABC}, "no array can be the vectors"),
    "no rows": ({"vectors": SMALL[:0], "words": np.array([], str)}, r"is <f4 \[0, 2\], but a t"),
    "no columns": ({"vectors": SMALL[:, :0], "words": ABC}, r"is <f4 \[3, 0\], but a table nee"),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("case", ARCHIVES)
def test_archives(case, compressed, tmp_path):
    arrays, message = ARCHIVES[case]
    (np.savez_compressed if compressed else np.savez)(tmp_path / "x.npz", **arrays)
    if message is not None:
        with pytest.raises(VectorFileError, match=message):
            load_numpy(tmp_path / "x.npz")
        return
    table = load_numpy(tmp_path / "x.npz")
    assert table.index_to_key == ABC
    assert table.vectors.tolist() == SMALL.tolist()


def test_one_array_of_an_archive_by_name_and_an_archive_in_an_archive(tmp_path):
    path = npz(tmp_path / "x.npz", a=SMALL, b=SMALL * 2, words=ABC)
    table = load_numpy(path, member="b.npy", words=ABC)
    assert table.vectors.tolist() == (SMALL * 2).tolist()
    inner = npz(tmp_path / "y.npz", vectors=SMALL, words=ABC)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(inner, "deep/y.npz")
    table = load_numpy(tmp_path / "outer.zip")
    assert table.index_to_key == ABC
    assert table.vectors.tolist() == SMALL.tolist()
    assert table.metadata["source"] == "outer.zip#deep/y.npz"
    data = inner.read_bytes()
    (tmp_path / "y.npz.gz").write_bytes(gzip.compress(data))
    for source in (io.BytesIO(data), tmp_path / "y.npz.gz"):
        assert load_vectors(source).index_to_key == ABC


def packed(tmp_path: Path, offsets: object, data: object = b"abc") -> Path:
    data = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    return npz(tmp_path / "x.npz", vectors=SMALL, words_utf8=data, words_offsets=offsets)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        (np.array([0, 1, 2], np.int64), "does not divide the 3 bytes"),
        (np.array([1, 1, 2, 3], np.int64), "does not divide the 3 bytes"),
        (np.array([0, 2, 1, 3], np.int64), "does not divide the 3 bytes"),
        (np.array([0, 2**63 - 1, -2, 3], np.int64), "does not divide the 3 bytes"),
        (np.array([], np.int64), "does not divide the 3 bytes"),
        (np.array([0, 1, 3], np.int64), "3 vectors, but the list of words has 2 words"),
        (np.array([0, 1, 2, 3], np.int32), r"is <i4 \[4\], but int64 with one dimension"),
        (np.array([[0, 1, 2, 3]], np.int64), r"is <i8 \[1, 4\], but int64 with one dim"),
    ],
)
def test_packed_words_that_are_damaged(offsets, message, tmp_path):
    assert load_numpy(packed(tmp_path, np.array([0, 1, 2, 3]))).index_to_key == ABC
    with pytest.raises(VectorFileError, match=message):
        load_numpy(packed(tmp_path, offsets))
    with pytest.raises(VectorFileError, match=r"is <i8 \[1\], but uint8 with one dimension"):
        load_numpy(packed(tmp_path, np.array([0, 3]), np.array([97])))


SHAPE = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"
HEADERS = {
    "a shape that lies": (
        SHAPE.replace("3,", "4,"),
        r"<f4 \[4, 2\], which is 32 bytes, but only",
    ),
    "fewer rows": (SHAPE.replace("3,", "2,"), "is 16 bytes, but .*24|17 follow it; save the array"),
    "a huge shape": (SHAPE.replace("3,", f"{10**18},"), "is 8,000,000,000,000,000,000 bytes, but"),
    "an endless shape": (SHAPE.replace("3,", f"{10**30},"), f"f4 .{10**30}, 2., which is"),
    "a huge vector": (SHAPE.replace("3, 2", "1, 2000000"), r"needs .* D from 1 to 1,048,576"),
    "a negative shape": (SHAPE.replace("3,", "-3,"), r"damaged \(its shape is \(-3, 2\)\)"),
    "no shape": (SHAPE.replace("shape", "shope"), "the array's header is damaged"),
    "text for a shape": (SHAPE.replace("(3, 2)", "'32'"), "the array's header is damaged"),
    "one dimension": (SHAPE.replace("(3, 2)", "(6,)"), r"is <f4 \[6\], but a table needs"),
    "no dimension": (SHAPE.replace("(3, 2)", "()"), r"is <f4 \[\], but a table needs"),
    "no type": (SHAPE.replace("<f4", "<q9"), "the array's header is damaged"),
    "complex": (SHAPE.replace("<f4", "<c8"), r"is <c8 \[3, 2\], but a table needs"),
    "booleans": (SHAPE.replace("<f4", "|b1"), r"is \|b1 \[3, 2\], but a table needs"),
    "dates": (SHAPE.replace("<f4", "<M8[D]"), r"is <M8\[D\] \[3, 2\], but a table needs"),
    "words": (SHAPE.replace("<f4", "<U1"), r"is <U1 \[3, 2\], but a table needs"),
    "objects": (SHAPE.replace("<f4", "|O"), "holds Python objects, which need pickle"),
    "fields": (SHAPE.replace("'<f4'", "[('a', '<f4')]"), r"is \|V4 \[3, 2\], but a table needs"),
    "no Python": ("{" * 500, "the array's header is damaged"),
    "nested": ("(" * 9_000 + ")" * 9_000, "the array's header is damaged"),
    "code": ("__import__('os').getcwd()", "the array's header is damaged"),
    "long": (SHAPE + " " * 20_000, "the array's header is damaged"),
    "empty": ("", "the array's header is damaged"),
}


@pytest.mark.parametrize("inside", ["a file", "a stream", "an archive", "a deflated archive"])
@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_lie(case, inside, write, tmp_path):
    text, message = HEADERS[case]
    data = header(text) + SMALL.tobytes()
    path = write(data, "x.npy")
    if "archive" in inside:
        path = tmp_path / "x.npz"
        kind = zipfile.ZIP_DEFLATED if "deflated" in inside else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", kind) as archive:
            archive.writestr("vectors.npy", data)
            archive.writestr("words.npy", npy(np.array(ABC)))
        message = f"{message}|no array can be the vectors|holds 1 vectors, but|is cut short"
    source = io.BytesIO(data) if inside == "a stream" else path
    count = 4 if case == "a shape that lies" else 2 if case == "fewer rows" else 3
    words = None if "archive" in inside else ["a", "b", "c", "d"][:count]
    with pytest.raises(VectorFileError, match=rf"{message}|but .*words(\.npy)? has 3 words"):
        load_numpy(source, words=words)


def test_a_header_of_python_2_is_read_without_a_warning(write):
    path = write(header(SHAPE.replace("(3, 2)", "(3L, 2L)")) + SMALL.tobytes())
    assert load_numpy(path, words=ABC).vectors.tolist() == SMALL.tolist()


def test_misaligned_numbers_are_copied(write):
    path = write(header(SHAPE) + SMALL.tobytes())
    assert len(header(SHAPE)) % 4
    table = load_numpy(path, words=ABC)
    assert table.vectors.tolist() == SMALL.tolist()
    assert table.vectors.flags.aligned


def test_unknown_versions(write):
    data = header(SHAPE)
    with pytest.raises(VectorFileError, match=r"header is damaged \(its version is \(9, 0\)\)"):
        load_numpy(write(data[:6] + b"\x09" + data[7:]), words=ABC)


@pytest.mark.parametrize("name", ["tiny.npy", "tiny.npz", "tiny.numpy.npz"])
def test_truncated_at_any_byte(name, golden, tmp_path):
    data = (golden / name).read_bytes()
    for cut in range(len(data)):
        (tmp_path / "cut").write_bytes(data[:cut])
        for source in (tmp_path / "cut", io.BytesIO(data[:cut])):
            words = None if name.endswith("z") else WORDS
            with pytest.raises(VectorFileError):
                load_numpy(source, words=words)


@pytest.mark.parametrize("name", ["tiny.npz", "tiny.numpy.npz"])
def test_an_archive_damaged_at_any_byte_gives_a_table_or_one_clear_error(name, golden, tmp_path):
    data = (golden / name).read_bytes()
    refused = 0
    for at in range(len(data)):
        (tmp_path / "x").write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        try:
            assert load_numpy(tmp_path / "x").vectors.shape[1] <= 3
        except VectorFileError:
            refused += 1
    assert refused > len(data) / 3


def test_a_bomb_is_refused_before_it_expands(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("vectors.npy", "w", force_zip64=True) as member:
            member.write(header(SHAPE.replace("(3, 2)", "(1000000, 32)")))
            for _ in range(128):
                member.write(bytes(1_000_000))
        archive.writestr("words.npy", npy(np.array(ABC)))
    message = r"bytes expand to 128,000,000 or more, over 200 to 1"
    with pytest.raises(VectorFileError, match=message):
        load_numpy(tmp_path / "x.npz")


def test_words_that_cannot_belong_to_the_vectors_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_words, "array_words", None)
    np.savez_compressed(tmp_path / "x.npz", vectors=SMALL, words=np.zeros(1_000_000, "U1"))
    message = r"x.npz#vectors.npy: this holds 3 vectors, but .*#words.npy has 1,000,000 words; pass"
    with pytest.raises(VectorFileError, match=message):
        load_numpy(tmp_path / "x.npz")


def test_packed_words_that_are_a_bomb(tmp_path):
    offsets = np.array([0, 70_000_000])
    packed = {"words_utf8": np.zeros(70_000_000, np.uint8), "words_offsets": offsets}
    np.savez_compressed(tmp_path / "x.npz", vectors=SMALL[:1], **packed)
    message = r"words_utf8.npy: .* bytes expand to 70,000,000 or more, over 200 to 1"
    with pytest.raises(VectorFileError, match=message):
        load_numpy(tmp_path / "x.npz")


def test_words_of_a_million_characters_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    npz(path, vectors=SMALL[:1], words=np.array(["x"], "<U1048577"))
    with pytest.raises(VectorFileError, match="not an array of words: each would take 4,194,308"):
        load_numpy(path)


def test_other_formats_and_wrong_options_are_named(golden, write):
    with pytest.raises(VectorFileError, match=r"is text of vectors, not a numpy array or a numpy"):
        load_numpy(golden / "tiny.glove.txt")
    path = write(npy(SMALL), "x.npy")
    with pytest.raises(VectorFileError, match=r"limit=0 must be 1 or more; leave limit out"):
        load_numpy(path, limit=0, words=ABC)
    with pytest.raises(VectorFileError, match=r"keys='a' is a single string; pass a list"):
        load_numpy(path, keys="a", words=ABC)
    with pytest.raises(VectorFileError, match=r"not an archive, so it has no member"):
        load_numpy(path, member="x.npy", words=ABC)


def test_a_large_archive_has_room_for_its_size(tmp_path, monkeypatch):
    """The header of a member of over 2 GB is longer; its numbers are aligned too."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    save_numpy(EmbeddingTable(ABC, SMALL), tmp_path / "x.npz")
    table = load_numpy(tmp_path / "x.npz")
    assert table.vectors.tolist() == SMALL.tolist()
    assert table.vectors.ctypes.data % 64 == 0
    with np.load(tmp_path / "x.npz") as archive:
        assert archive["words"].tolist() == ABC


@pytest.mark.parametrize("made", ["ours", "ours, packed words", "numpy's"])
def test_words_of_an_archive_are_checked_by_its_checksums(tmp_path, made):
    words = ["king", "queen" + "n" * 20_000_000 * (made == "ours, packed words")]
    vectors = np.array([[1, 2], [3, 4]], np.float32)
    path = tmp_path / "t.npz"
    if made == "numpy's":
        np.savez(path, vectors=vectors, words=np.array(words))
        sought = "king".encode("utf-32-le")
    else:
        save_numpy(EmbeddingTable(words, vectors), path)
        sought = b"king" if "packed" in made else "king".encode("utf-32-le")
    data = bytearray(path.read_bytes())
    data[bytes(data).index(sought)] ^= 2
    path.write_bytes(data)
    with pytest.raises(
        VectorFileError, match=r"words.*: the array is damaged: its CRC-32 differs from the arc"
    ):
        load_numpy(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a\r\nb\r\nc", ["a", "b", "c"]),
        (b"a\r\nb\r\nc\r\n", ["a", "b", "c"]),
        (b"a\nb\r\nc", ["a", "b\r", "c"]),
        (b"a\nb\nc\n", ["a", "b", "c"]),
    ],
)
def test_line_ends_of_a_word_list(tmp_path, data, words):
    np.save(tmp_path / "x.npy", np.zeros((3, 2), np.float32))
    (tmp_path / "w.txt").write_bytes(data)
    assert load_numpy(tmp_path / "x.npy", words=tmp_path / "w.txt").index_to_key == words


@pytest.mark.parametrize("order", ["utf-16", "utf-16-le"])
def test_a_word_list_in_utf_16_is_refused(tmp_path, order):
    np.save(tmp_path / "x.npy", np.zeros((2, 2), np.float32))
    (tmp_path / "w.txt").write_bytes("\ufeffa\nb".encode(order))
    with pytest.raises(VectorFileError, match=r"w\.txt: this is UTF-16; save the words as UTF-8"):
        load_numpy(tmp_path / "x.npy", words=tmp_path / "w.txt")


@pytest.mark.parametrize("rows", [["a"], ["a", "b"], ["the", "of", "king", "queen", "good"]])
@pytest.mark.parametrize("name", ["vocab.json", "words.json"])
def test_words_numbered_from_1_as_keras_does(rows, name, tmp_path):
    vectors = np.arange(2 * (len(rows) + 1), dtype=np.float32).reshape(-1, 2)
    np.save(tmp_path / "v.npy", vectors)
    numbers = {word: row for row, word in enumerate(rows, 1)}
    (tmp_path / name).write_text(json.dumps(numbers))
    message = f"numbers {len(rows)} words from 1, as Keras does.*; add a word for row 0"
    with pytest.raises(VectorFileError, match=message):
        load_numpy(tmp_path / "v.npy", words=tmp_path / name)
    (tmp_path / name).write_text(json.dumps({"<pad>": 0, **numbers}))
    table = load_numpy(tmp_path / "v.npy", words=tmp_path / name)
    assert table.index_to_key == ["<pad>", *rows]
    assert table.vectors.tobytes() == vectors.tobytes()
    np.save(tmp_path / "v.npy", vectors[1:])
    (tmp_path / name).write_text(json.dumps({word: row - 1 for word, row in numbers.items()}))
    assert load_numpy(tmp_path / "v.npy", words=tmp_path / name).index_to_key == rows
