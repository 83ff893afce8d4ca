"""`load_vectors` detects the format from the content, and its options work for every format."""

from __future__ import annotations

import gzip
import hashlib
import shutil

import numpy as np
import pytest

from finetune_embed import (
    EmbeddingTable,
    VectorFileError,
    Vocabulary,
    load_glove,
    load_safetensors,
    load_vectors,
    load_word2vec,
    save_safetensors,
)
from finetune_embed.formats import SAVERS

FILES = {
    "tiny.glove.txt": "glove",
    "tiny.word2vec.txt": "word2vec",
    "tiny.word2vec.bin": "word2vec-binary",
    "tiny.word2vec-newline.bin": "word2vec-binary",
}
WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂"]
LOADERS = (load_vectors, load_glove, load_word2vec, load_safetensors)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("suffix", [".txt", ".bin", ".vec", ".gz", ".safetensors", ""])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_content_decides_and_not_the_name(golden, write, name, suffix, compressed):
    data = (golden / name).read_bytes()
    stored = gzip.compress(data) if compressed else data
    table = load_vectors(write(stored, "v" + suffix))
    assert table.index_to_key == WORDS
    assert table.vectors[3].view(np.uint32).tolist() == [0x3EAAAAAB, 0x4B800000, 0x47F12065]
    assert table.metadata == {
        "source": "v" + suffix,
        "source_sha256": hashlib.sha256(stored).hexdigest(),
        "source_format": FILES[name],
    }


def test_safetensors_by_content(golden, tmp_path):
    shutil.copy(golden / "tiny.safetensors", tmp_path / "v.bin")
    assert load_vectors(tmp_path / "v.bin").index_to_key == WORDS


@pytest.mark.parametrize("load", [load_vectors, load_safetensors])
def test_gzipped_safetensors_are_read_into_memory(golden, write, load):
    compressed = gzip.compress((golden / "tiny.safetensors").read_bytes())
    table = load(write(compressed))
    assert table.index_to_key == WORDS
    assert table.vectors.tobytes() == load(golden / "tiny.safetensors").vectors.tobytes()


@pytest.mark.parametrize("name", FILES)
def test_keys_keep_the_order_of_the_file(golden, name):
    table = load_vectors(golden / name, keys=["🙂", "nowhere", "\ud800", "café", "café"])
    assert table.index_to_key == ["café", "🙂"]
    assert table.vectors[:, 0].tolist() == [np.float32(0.1), np.float32(-0.012345679)]


@pytest.mark.parametrize("name", [*FILES, "tiny.safetensors"])
def test_limit_counts_rows_of_the_file(golden, name):
    assert load_vectors(golden / name, limit=2).index_to_key == WORDS[:2]
    assert load_vectors(golden / name, limit=5).index_to_key == WORDS
    assert load_vectors(golden / name, limit=99).index_to_key == WORDS
    assert load_vectors(golden / name, keys=["the", "🙂"], limit=4).index_to_key == ["the"]
    nothing = load_vectors(golden / name, keys=[])
    assert (len(nothing), nothing.vector_size) == (0, 3)


@pytest.mark.parametrize("name", [*FILES, "tiny.safetensors"])
@pytest.mark.parametrize("limit", [0, -1])
def test_limit_of_no_row(golden, name, limit):
    load = {"glove": load_glove, "word2v": load_word2vec, "safete": load_safetensors}[
        name.removeprefix("tiny.")[:6].removesuffix(".")
    ]
    for function in (load_vectors, load):
        with pytest.raises(VectorFileError, match=f"limit={limit} must be 1 or more; leave limit"):
            function(golden / name, limit=limit)


@pytest.mark.parametrize("name", [*FILES, "tiny.safetensors"])
def test_one_string_is_not_a_list_of_keys(golden, name):
    with pytest.raises(VectorFileError, match=r"keys='the' is a single string.*keys=\['the'\]"):
        load_vectors(golden / name, keys="the")


@pytest.mark.parametrize("name", [*FILES, "tiny.safetensors"])
@pytest.mark.parametrize("kind", [list, tuple, set, dict.fromkeys, iter])
def test_keys_are_any_iterable_of_words(golden, name, kind):
    table = load_vectors(golden / name, keys=kind(["🙂", "not there", "the"]))
    assert table.index_to_key == ["the", "🙂"]


@pytest.mark.parametrize("name", [*FILES, "tiny.safetensors"])
@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (b"the", r"^keys contains \d+, which is not a string; pass a list of words"),
        ([None], "^keys contains None, which is not a string; pass a list of words"),
        ([["the"]], r"^keys is not a collection of words \(unhashable type: 'list'\); pass a list"),
        (
            Vocabulary.from_texts(["the"]),
            r"^keys is not a collection of words \('Vocabulary' object is not iterable\); pass a "
            r"list of words, such as list\(vocab.key_to_index\)",
        ),
    ],
)
def test_keys_that_are_not_words(golden, name, keys, message):
    with pytest.raises(VectorFileError, match=message):
        load_vectors(golden / name, keys=keys)


@pytest.mark.parametrize("load", LOADERS)
def test_no_file(tmp_path, load, monkeypatch):
    with pytest.raises(VectorFileError, match=r"nowhere\.txt: no such file$"):
        load(tmp_path / "nowhere.txt")
    monkeypatch.chdir(tmp_path)  # where to look is not plain from a relative path
    with pytest.raises(VectorFileError, match=r"^no/vectors: no such file \(looked in /.*\)$"):
        load("no/vectors")
    with pytest.raises(VectorFileError, match=r"this (is a folder; give|folder is empty; pass)"):
        load(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(VectorFileError, match=r"empty: the file is empty \(0 bytes\)"):
        load(tmp_path / "empty")


#: The first bytes of files, and their names in messages where another format is expected.
MAGIC = [
    (b"\xba\x16\x4f\x2f\x0c\0\0\0", r"a fastText binary model, not .*; use load_fasttext\(path\)"),
    (b"\x93NUMPY\x01\x00", r"a numpy array, not .*; use load_numpy\(path, words=\.\.\.\), or load"),
    (b"\x80\x04\x95\x10", r"a Python pickle, not .*; use load_gensim\(path, allow_pickle=True\)$"),
    (b"\x80\x05\x95\x10", r"a Python pickle, not .*; use load_gensim\(path, allow_pickle=True\)$"),
    (
        b"PAR1\x15\x04",
        r"a Parquet file, not .*; use load_arrow\(path\), or load_vectors\(path\), wh",
    ),
    (b"ARROW1\0\0", r"an Arrow file, not .*; use load_arrow\(path\), or load_vectors\(path\), wh"),
]
#: Formats that are recognised but not read.
UNREAD = [
    (
        b"\x89HDF\r\n\x1a\n",
        r"an HDF5 file, .*; read it with h5py and pass EmbeddingTable\(words, vectors\)$",
    ),
    (b"SQLite format 3\0", "an SQLite database, .*; export it with the library that wro"),
]


@pytest.mark.parametrize("load", [load_glove, load_word2vec, load_safetensors])
@pytest.mark.parametrize(("magic", "message"), MAGIC + UNREAD)
@pytest.mark.parametrize("name", ["v.bin", "v.txt"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_wrong_guess_is_named(write, load, magic, message, name, compressed):
    data = magic + bytes(range(256)) * 20
    with pytest.raises(VectorFileError, match=rf"{name}: this is {message}"):
        load(write(gzip.compress(data) if compressed else data, name))


@pytest.mark.parametrize(("magic", "message"), UNREAD)
def test_known_formats_that_are_not_read_are_named(write, magic, message):
    with pytest.raises(VectorFileError, match=rf"v\.txt: this is {message}"):
        load_vectors(write(magic + bytes(range(256)) * 20, "v.txt"))


@pytest.mark.parametrize(
    ("magic", "message"),
    [
        (b"PK\x03\x04\x14\0", "the zip data is damaged or cut short"),
        (b"BZh91AY&SY", "the bzip2 data is damaged or cut short"),
        (b"\xfd7zXZ\x00\x00", "the xz data is damaged or cut short"),
        (b"\x28\xb5\x2f\xfd\x24", "the zstandard data is damaged or cut short"),
    ],
)
@pytest.mark.parametrize("load", LOADERS)
def test_a_magic_number_and_noise(write, load, magic, message):
    with pytest.raises(VectorFileError, match=rf"vectors\.txt: {message}"):
        load(write(magic + bytes(range(256)) * 20))


@pytest.mark.parametrize(
    "data",
    [b"\0" * 1000, bytes(range(256)) * 30, b"\xff" * 100, b"\n\n\n", b"   \n \r\n", b"{}", b"\r"],
)
@pytest.mark.parametrize("load", LOADERS)
def test_other_files_are_refused(write, load, data):
    with pytest.raises(VectorFileError):
        load(write(data))


def test_a_file_name_that_is_not_utf8_is_kept_readable(tmp_path):
    path = tmp_path / "v\udcff.txt"
    try:
        path.write_bytes(b"a 1 2\n")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    table = load_vectors(path)
    assert table.metadata["source"] == "v?.txt"
    SAVERS["safetensors"](table, tmp_path / "out")
    assert load_vectors(tmp_path / "out").metadata["source"] == "v?.txt"


def test_a_table_of_another_format_is_saved_to_all_others(golden, tmp_path):
    table = load_vectors(golden / "tiny.safetensors")
    assert isinstance(table, EmbeddingTable)
    for name, file in (("glove", "tiny.glove.txt"), ("word2vec-binary", "tiny.word2vec.bin")):
        SAVERS[name](table, tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == (golden / file).read_bytes()


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4", ">f2"])
def test_numbers_that_were_put_in_a_table_become_float32(tmp_path, name, dtype):
    table = EmbeddingTable(["a", "b", "c", "d"], np.zeros((4, 3)))
    table.vectors = np.arange(24).reshape(8, 3)[::2].astype(dtype)
    table.origin = np.array([1, 0, 2, 3])
    SAVERS[name](table, tmp_path / "v")
    loaded = load_vectors(tmp_path / "v")
    assert loaded.index_to_key == ["a", "b", "c", "d"]
    assert loaded.vectors.dtype == np.float32
    assert loaded.vectors.tolist() == table.vectors.tolist()
    if name == "safetensors":
        assert loaded.origin.tolist() == [1, 0, 2, 3]


def test_a_mapped_table_is_saved_over_its_own_file(tmp_path):
    drawn = np.random.default_rng(0).standard_normal((1_000, 7), np.float32)
    path = tmp_path / "v.safetensors"
    save_safetensors(EmbeddingTable([f"w{i}" for i in range(1_000)], drawn), path)
    mapped = load_vectors(path)
    save_safetensors(mapped.subset(mapped.index_to_key[:500]), path)
    assert mapped.vectors.tobytes() == drawn.tobytes()
    assert load_vectors(path).vectors.tobytes() == drawn[:500].tobytes()


def test_a_folder_has_no_members(golden):
    message = r"this is a folder, not an archive, so it has no member 'x'; leave out member"
    with pytest.raises(VectorFileError, match=message):
        load_vectors(golden / "spacy" / next((golden / "spacy").iterdir()).name, member="x")
