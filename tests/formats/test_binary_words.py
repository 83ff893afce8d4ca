"""Words with spaces, bytes that are no words, and other types of numbers in word2vec binaries."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import EmbeddingTable, VectorFileError, inspect, load_vectors, save_word2vec
from finetune_embed.formats import word2vec
from finetune_embed.formats.common import kernels

SPACED = ["New York", "a b", "x ", " lead", "the  two", "Leonardo da Vinci", "日本 語", "my dog"]
ODD = ["a\u00a0b", "🙂", "\x85", "\u0085\u0085", "日本", "3.14", "é", '"', "ﬁ", "\u200b", "-0.5"]


def binary(words, size=10, *, newline=b"", scale=0.5, dtype="<f4", seed=0) -> bytes:
    vectors = (np.random.default_rng(seed).normal(size=(len(words), size)) * scale).astype(dtype)
    rows = (w if isinstance(w, bytes) else w.encode() for w in words)
    body = b"".join(w + b" " + v.tobytes() + newline for w, v in zip(rows, vectors, strict=True))
    return b"%d %d\n" % (len(words), size) + body


def names(count: int) -> list[str]:
    return [f"w{i}" for i in range(count)]


@pytest.fixture(params=["compiled", "python"])
def loops(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(kernels, "native", None)
    elif kernels.native is None:
        pytest.skip("the compiled loops were not built here")


@pytest.mark.parametrize("word", SPACED)
@pytest.mark.parametrize("place", [0, 4, 8])
@pytest.mark.parametrize("size", [4, 50, 300])
@pytest.mark.usefixtures("loops")
def test_a_word_with_a_space_is_named_with_its_row_and_byte(word, place, size):
    words = names(9)
    words[place] = word
    for newline in (b"", b"\n"):
        data = binary(words, size, newline=newline)
        place_at = len(data[: data.index(word.encode() + b" ")])
        match = f"row {place + 1}, at byte {place_at:,}: the word .* contains a space"
        for options in ({}, {"limit": place + 1}, {"keys": ["w2"]}, {"keys": [word]}):
            with pytest.raises(VectorFileError, match=match):
                load_vectors(io.BytesIO(data), **options)
        assert len(load_vectors(io.BytesIO(data), limit=place or None)) == place if place else True


def test_the_rows_before_a_word_with_a_space_are_inspected(write):
    data = binary([*names(5), "New York", "end"])
    report = inspect(write(data, "vectors.bin"))
    assert report.words == 5
    assert not report.header.is_true
    (finding,) = (found for found in report.findings if found.code == "damaged")
    assert finding.severity == "error"
    assert "row 6, at byte " in finding.message()
    assert "'New York' contains a space" in finding.message()


def test_a_word_with_a_space_in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "v.zip", "w") as archive:
        archive.writestr("v.bin", binary([*names(3), "my name", "end"]))
    with pytest.raises(VectorFileError, match=r"v\.zip#v\.bin: row 4, .* 'my name' contains a sp"):
        load_vectors(tmp_path / "v.zip")


def test_what_gensim_writes_with_a_space_is_refused(tmp_path):
    keyed = KeyedVectors(25)
    vectors = np.random.default_rng(1).normal(size=(30, 25)).astype(np.float32)
    keyed.add_vectors([*names(14), "San Francisco", *names(29)[14:]], vectors)
    keyed.save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    with pytest.raises(VectorFileError, match=r"row 15, .* contains a space"):
        load_vectors(tmp_path / "v.bin")


@pytest.mark.parametrize("lost", [4, 5, 6, 9, -1, -2])
@pytest.mark.usefixtures("loops")
def test_bytes_lost_or_added_within_a_vector(lost):
    data = binary(names(40), 20)
    at = data.index(b"w20 ") + 30
    damaged = data[:at] + (data[at + lost :] if lost > 0 else b"\x07" * -lost + data[at:])
    for options in ({}, {"limit": 30}, {"keys": ["w39"]}):
        with pytest.raises(
            VectorFileError, match=r"row 2[12], at byte .*(can't be a wo|above 1e10)"
        ):
            load_vectors(io.BytesIO(damaged), **options)
    table = load_vectors(io.BytesIO(damaged), limit=20)
    assert np.array_equal(table.vectors, load_vectors(io.BytesIO(data)).vectors[:20])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("newline", [b"", b"\n"])
@pytest.mark.usefixtures("loops")
def test_bytes_lost_or_added_anywhere_within_a_vector(seed, newline):
    random = np.random.default_rng(seed)
    words = [f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(40)]
    data = binary(words, 50, newline=newline)
    row, lost = int(random.integers(4, 38)), int(random.choice([-3, -2, -1, 1, 2, 3, 4, 5, 6, 7]))
    at = data.index(words[row].encode()) + 7 + int(random.integers(0, 180))
    damaged = data[:at] + (data[at + lost :] if lost > 0 else random.bytes(-lost) + data[at:])
    with pytest.raises(
        VectorFileError, match=rf"row ({row + 1}|{row + 2}), at byte [\d,]+: .*damage"
    ):
        load_vectors(io.BytesIO(damaged))
    assert load_vectors(io.BytesIO(damaged), limit=row).index_to_key == words[:row]


@pytest.mark.parametrize("value", [1e11, -3e38])
@pytest.mark.usefixtures("loops")
def test_values_of_no_vectors_are_damage_after_a_few_rows(value, tmp_path):
    vectors = np.full((9, 3), 0.5, "<f4")
    vectors[5, 1] = value
    rows = [b"w%d " % i + row.tobytes() for i, row in enumerate(vectors)]
    with pytest.raises(
        VectorFileError, match=r"row 6, at byte 79: numbers beside 'w5' are above 1e"
    ):
        load_vectors(io.BytesIO(b"9 3\n" + b"".join(rows)))
    with pytest.raises(VectorFileError, match="look like damage"):
        save_word2vec(EmbeddingTable(names(9), vectors), tmp_path / "v.bin", binary=True)


@pytest.mark.usefixtures("loops")
def test_a_newline_within_a_word_is_damage():
    data = binary(["a", "b\nc", "d"], 3)
    with pytest.raises(VectorFileError, match=r"row 2, at byte 18: 'b\\nc' can't be a word"):
        load_vectors(io.BytesIO(data))


@pytest.mark.parametrize("word", [*ODD, "\x07bell", "a\x01b", b"\x93quoted\x94", b"\xe9t\xe9"])
@pytest.mark.usefixtures("loops")
def test_odd_words_beside_plausible_numbers_are_read(word):
    raw = word if isinstance(word, bytes) else word.encode()
    table = load_vectors(io.BytesIO(binary([*names(8), raw, "end"], 3)))
    assert table.index_to_key[8] == raw.decode("utf-8", "surrogateescape")
    assert table.index_to_key[9] == "end"


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 2])
def test_few_rows_and_dimensions_are_read(size, count, tmp_path):
    for seed in range(50):
        vectors = np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)
        save_word2vec(EmbeddingTable(names(count), vectors), tmp_path / "v.bin", binary=True)
        read = word2vec.load_word2vec(tmp_path / "v.bin", binary=True)
        assert read.vectors.tobytes() == vectors.tobytes()


def test_implausible_numbers_with_plain_words_are_read():
    vectors = np.float32([[1e30, 1e-30], [np.nan, np.inf], [0, 0], [-1e-20, 5]])
    rows = b"".join(b"w%d " % i + row.tobytes() for i, row in enumerate(vectors))
    table = load_vectors(io.BytesIO(b"4 2\n" + rows))
    assert table.vectors.tobytes() == vectors.tobytes()


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from([b"a", b"\n", b"\x07", b"a b", b"\xff"]), st.binary(max_size=4)
            ),
            st.lists(
                st.one_of(
                    st.sampled_from([0.0, 0.5, -1.0, 1e30]).map(lambda x: struct.pack("<f", x)),
                    st.binary(min_size=4, max_size=4),
                ),
                min_size=2,
                max_size=2,
            ),
        ),
        max_size=8,
    ),
    st.integers(0, 9),
    st.booleans(),
    st.integers(0, 15),
    st.sampled_from([None, frozenset(), frozenset({b"a"})]),
)
@pytest.mark.skipif(kernels.native is None, reason="the compiled loops were not built here")
def test_both_loops_find_the_same_rows_and_faults(rows, most, is_last, before, words):
    data = b"".join(word + b" " + b"".join(values) for word, values in rows)
    wanted = None if words is None else kernels.WordSet(words)
    compiled = kernels.parse_binary(data, 2, most, wanted, is_last, before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "native", None)
        plain = kernels.parse_binary(data, 2, most, wanted, is_last, before)
    assert compiled.vectors.tobytes() == plain.vectors.tobytes()
    assert compiled._replace(vectors=None) == plain._replace(vectors=None)


@pytest.mark.parametrize("block", [64, 300, 1000])
@pytest.mark.usefixtures("loops")
def test_words_with_spaces_are_found_where_blocks_end(block, monkeypatch):
    monkeypatch.setattr(word2vec, "BLOCK", block)
    for place in range(0, 30, 3):
        words = names(30)
        words[place] = "New York"
        with pytest.raises(VectorFileError, match=rf"row {place + 1}, .* contains a space"):
            load_vectors(io.BytesIO(binary(words, 6)))
    sound = load_vectors(io.BytesIO(binary(names(30), 6)))
    assert sound.index_to_key == names(30)


TYPES = {"<f8": "float64", "<f2": "float16", ">f4": "big-endian float32"}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("count", "size"), [(2, 100), (50, 7), (300, 25), (15, 3)])
@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_other_types_of_numbers_are_named(dtype, count, size, newline, write):
    path = write(binary(names(count), size, dtype=dtype, newline=newline), "vectors.bin")
    for options in ({}, {"limit": 1}, {"keys": ["w1"]}):
        with pytest.raises(VectorFileError, match=f"the bytes fit {TYPES[dtype]} numbers") as error:
            load_vectors(path, **options)
        assert "limit" not in str(error.value)
    with pytest.raises(VectorFileError, match=f"the bytes fit {TYPES[dtype]} numbers"):
        inspect(path)


def test_float64_is_written_again_as_gensim_4_does(tmp_path):
    path, vectors = str(tmp_path / "v.bin"), np.random.default_rng(0).normal(size=(20, 8))
    (tmp_path / "v.bin").write_bytes(binary(names(20), 8, dtype="<f8"))
    with pytest.raises(VectorFileError, match="with float32 numbers, as gensim 4 does"):
        load_vectors(path)
    keyed = KeyedVectors(8, dtype=np.float64)
    keyed.add_vectors(names(20), vectors)
    keyed.save_word2vec_format(path, binary=True)
    assert np.array_equal(load_vectors(path).vectors, vectors.astype(np.float32))


def test_bfloat16_and_int8_are_named(write):
    values = np.random.default_rng(0).normal(size=(20, 8)).astype("<f4")
    brain = (values.view("<u4") >> 16).astype("<u2")
    small = (values * 40).astype("i1")
    for name, array in (("bfloat16", brain), ("int8 or uint8", small)):
        rows = b"".join(b"w%d " % i + row.tobytes() for i, row in enumerate(array))
        with pytest.raises(VectorFileError, match=f"the bytes fit {name} numbers"):
            load_vectors(write(b"20 8\n" + rows, "vectors.bin"))


WHOLE = {
    "int8 or uint8": ("u1", 0, 255),
    "16-bit": ("<i2", -3000, 3000),
    "int32": ("<i4", -9, 9),
    "big-endian int32": (">i4", 0, 70000),
    "int64": ("<i8", -9, 9),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("size", [5, 8])
@pytest.mark.filterwarnings("error")
def test_whole_numbers_are_named(name, size, write):
    dtype, least, most = WHOLE[name]
    values = np.random.default_rng(0).integers(least, most, (20, size)).astype(dtype)
    rows = b"".join(b"w%d " % i + row.tobytes() for i, row in enumerate(values))
    with pytest.raises(VectorFileError, match=f"the bytes fit {name} numbers"):
        load_vectors(write(b"20 %d\n" % size + rows, "vectors.bin"))


@pytest.mark.parametrize("promised", [4, 16, 32])
@pytest.mark.filterwarnings("error")
def test_a_wrong_vector_size_is_not_taken_for_another_type(promised, write):
    data = binary(names(20), 8).partition(b"\n")[2]
    with pytest.raises(VectorFileError) as error:
        load_vectors(write(b"20 %d\n" % promised + data, "vectors.bin"))
    assert f"promises vectors of {promised} numbers, but the rows have 8 float32" in str(
        error.value
    )
    assert "correct the header" in str(error.value)


@pytest.mark.parametrize("promised", [5, 7, 9, 100])
@pytest.mark.filterwarnings("error")
def test_a_vector_size_that_fits_no_type_is_named_as_none(promised, write):
    data = binary(names(20), 8).partition(b"\n")[2]
    with pytest.raises(VectorFileError) as error:
        load_vectors(write(b"20 %d\n" % promised + data, "vectors.bin"))
    assert "the bytes fit" not in str(error.value)


@pytest.mark.parametrize("header", [b"9  4\n", b" 9 4\n", b"9\t4\n", b"9 4 \r\n", b"  9 \t 4\t\n"])
def test_headers_of_a_binary_that_gensim_reads(header, write):
    data = binary(names(9), 4)
    path = write(header + data[data.index(b"\n") + 1 :], "vectors.bin")
    expected = KeyedVectors.load_word2vec_format(str(path), binary=True)
    table = load_vectors(path)
    assert table.index_to_key == expected.index_to_key
    assert table.vectors.tobytes() == expected.vectors.tobytes()
    assert inspect(path).header.is_true


@pytest.mark.parametrize("size", [1, 3, 25])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
@pytest.mark.usefixtures("loops")
def test_sound_rows_with_odd_words_and_infinite_values_are_read(size, scale):
    words = [f"{ODD[i % len(ODD)]}{i}" if i % 5 == 3 else f"w{i}" for i in range(60)]
    data = bytearray(binary(words, size, scale=scale))
    at = data.index(b" ", data.index(words[18].encode())) + 1
    data[at : at + 4] = struct.pack("<f", np.inf)
    table = load_vectors(io.BytesIO(bytes(data)))
    assert table.index_to_key == words
    assert np.isinf(table.vectors).sum() == 1
