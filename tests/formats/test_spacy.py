from __future__ import annotations

import io
import json
import shutil
import struct
import warnings

import numpy as np
import pytest

from finetune_embed import (
    EmbeddingTable,
    Origin,
    VectorFileError,
    load_spacy,
    load_vectors,
    save_spacy,
)
from finetune_embed.formats.spacy_vectors.murmur import murmur3_x64_128, murmur64a
from finetune_embed.formats.spacy_vectors.symbols import SYMBOLS

WORDS = ["the", "café", "mark", "a\u00a0b", "NUM", "日本語", "🙂", "internationalisation"]
IN_INIT = ["the", "café", "a\u00a0b", "日本語", "🙂"]
FOLDERS = {
    "default": WORDS,
    "floret": WORDS,
    "floret-words": WORDS,
    "init": IN_INIT,
    "pipeline": WORDS,
    "pruned": WORDS,
    "vectors": WORDS,
}


@pytest.fixture
def spacy(golden):
    return golden / "spacy"


@pytest.fixture
def expected(spacy):
    """Return the vectors that spaCy itself has for the words of each folder, `(n, D)`."""
    stored = json.loads((spacy / "expected.json").read_text())
    return {
        name: np.array([rows[word] for word in FOLDERS[name]], np.float32)
        for name, rows in stored.items()
    }


@pytest.fixture
def vocab(tmp_path):
    """Write a folder of vectors; None leaves a file out."""

    def _vocab(**files: bytes | None):
        folder = tmp_path / "vocab"
        folder.mkdir()
        buffer = io.BytesIO()
        np.save(buffer, np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
        sound = {
            "vectors": buffer.getvalue(),
            "key2row": packed([(key("a"), 0), (key("b"), 1)]),
            "strings.json": b'["a", "b"]',
            "vectors.cfg": b'{"mode": "default"}',
        }
        for name, data in (sound | {k.replace("_", "."): v for k, v in files.items()}).items():
            if data is not None:
                (folder / name).write_bytes(data)
        return folder

    return _vocab


def key(word: str) -> int:
    return int(murmur64a([word.encode()], 1)[0])


def packed(pairs: list[tuple[int, int]]) -> bytes:
    return bytes([0x80 | len(pairs)]) + b"".join(
        b"\xcf" + struct.pack(">Q", one) + b"\xcd" + struct.pack(">H", row) for one, row in pairs
    )


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_the_golden_folders_are_all_tested(spacy, expected):
    assert sorted(path.name for path in spacy.iterdir() if path.is_dir()) == sorted(FOLDERS)
    assert sorted(expected) == sorted(FOLDERS)


def test_hashes_are_those_of_the_reference():
    """Known answers of MurmurHash64A, and of MurmurHash3_x64_128 as its authors print them."""
    assert murmur64a([], 1).tolist() == []
    # https://spacy.io/api/stringstore
    assert murmur64a([b"apple", b"coffee"], 1).tolist() == [
        8566208034543834098,
        3197928453018144401,
    ]
    fox = b"The quick brown fox jumps over the lazy dog"
    first, second = murmur3_x64_128([fox], 0).view("<u8")[0].tolist()
    assert (first, second) == (0xE34BBC7BBC071B6C, 0x7A433CA9C49A9347)
    assert murmur3_x64_128([b""], 0).tolist() == [[0, 0, 0, 0]]


def test_hashes_do_not_depend_on_other_strings():
    strings = [bytes(range(length)) for length in range(70)]
    for function in (murmur64a, murmur3_x64_128):
        together = function(strings, 7)
        assert len(np.unique(together, axis=0)) == len(strings)
        for at, one in enumerate(strings):
            assert np.array_equal(function([one], 7)[0], together[at])


def test_the_symbols_have_the_numbers_of_spacy():
    """A few of https://github.com/explosion/spaCy/blob/master/spacy/symbols.pxd."""
    assert len(SYMBOLS) == 457
    known = {"": 0, "IS_ALPHA": 1, "FLAG63": 63, "ORTH": 65, "ADJ": 84, "NUM": 93, "_": 456}
    assert {name: SYMBOLS[name] for name in known} == known


@pytest.mark.parametrize("name", ["default", "init", "pipeline", "pruned"])
def test_words_have_spacy_s_vectors(name, spacy, expected):
    for load in (load_spacy, load_vectors):
        table = load(spacy / name)
        assert table.index_to_key == FOLDERS[name]
        assert table.vectors.tobytes() == expected[name].tobytes()
        assert table.metadata["source"] == f"{name}/vectors"
        assert table.metadata["source_format"] == "spacy"
        assert "nameless" not in table.metadata
        assert table.origin.tolist() == [0] * len(table)
    first = load_spacy(spacy / name, limit=3)
    assert first.index_to_key == FOLDERS[name][:3]
    assert first.vectors.tobytes() == expected[name][:3].tobytes()


@pytest.mark.parametrize("name", ["default", "init", "pipeline", "pruned", "vectors"])
def test_keys_are_found_without_the_list_of_strings(name, spacy, expected, tmp_path):
    folder = shutil.copytree(spacy / name, tmp_path / "copy")
    for path in folder.rglob("strings.json"):
        path.unlink()
    table = load_vectors(folder, keys=["🙂", "absent", "the", "\udcff"])
    assert table.index_to_key == ["the", "🙂"]
    rows = [FOLDERS[name].index(word) for word in ("the", "🙂")]
    assert table.vectors.tobytes() == expected[name][rows].tobytes()
    assert "nameless" not in table.metadata
    with pytest.raises(
        VectorFileError, match=r"no strings.json, .*load_spacy\(path, keys=\[\.{3}\]\)$"
    ):
        load_spacy(folder)


def test_pruned_words_share_rows(spacy):
    table = load_spacy(spacy / "pruned")
    assert len(np.load(spacy / "pruned" / "vectors")) == 3
    assert len(np.unique(table.vectors, axis=0)) == 3
    assert len(table) == 8


def test_keys_without_a_string_are_counted(spacy, expected):
    table = load_spacy(spacy / "vectors")
    assert table.index_to_key == ["the", "mark", "NUM"]  # two are symbols
    assert table.metadata["nameless"] == "5"
    assert table.vectors.tobytes() == expected["vectors"][[0, 2, 4]].tobytes()


def test_float32_vectors_stay_on_disk(spacy):
    for name in ("default", "init", "pipeline"):
        table = load_spacy(spacy / name)
        assert not table.vectors.flags.owndata
        assert not table.vectors.flags.writeable


@pytest.mark.parametrize("name", ["floret", "floret-words"])
def test_floret_vectors_are_composed(name, spacy, expected):
    table = load_vectors(spacy / name, keys=[*WORDS, "", "the", "\udcff"])
    assert table.index_to_key == WORDS
    assert table.origin.tolist() == [Origin.COMPOSED] * len(WORDS)
    assert table.vectors.tobytes() == expected[name].tobytes()
    assert table.subwords is not None
    vectors, made = table.subwords.compose(["", "the", "\udcff", "x" * 1_001, "café"])
    assert made.tolist() == [False, True, False, False, True]
    assert vectors[[1, 4]].tobytes() == expected[name][:2].tobytes()
    assert not vectors[[0, 2, 3]].any()


def test_floret_vectors_without_keys_are_those_of_strings_json(spacy):
    table = load_spacy(spacy / "floret", limit=2)
    assert table.index_to_key == ["a\u00a0b", "café"]
    vectors, made = table.subwords.compose([])
    assert vectors.shape == (0, 4)
    assert made.shape == (0,)


def test_the_package_of_a_pipeline(spacy, expected, tmp_path):
    (tmp_path / "__init__.py").touch()
    meta = json.loads((spacy / "pipeline" / "meta.json").read_text())
    name = f"{meta['lang']}_{meta['name']}-{meta['version']}"
    shutil.copytree(spacy / "pipeline", tmp_path / name)
    shutil.copyfile(spacy / "pipeline" / "meta.json", tmp_path / "meta.json")
    table = load_vectors(tmp_path)
    assert table.index_to_key == WORDS
    assert table.vectors.tobytes() == expected["pipeline"].tobytes()


@pytest.mark.parametrize("meta", [b"[]", b"3", b"{}", b'{"lang": "/", "name": [], "version": 1}'])
def test_packages_that_hold_nothing(meta, tmp_path):
    (tmp_path / "__init__.py").touch()
    (tmp_path / "meta.json").write_bytes(meta)
    with pytest.raises(VectorFileError, match=r"this folder is not one of spaCy vectors; pass"):
        load_vectors(tmp_path)


def test_writes_the_bytes_that_spacy_writes(spacy, tmp_path):
    table = load_spacy(spacy / "default")
    save_spacy(table, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in (spacy / "default").iterdir()
    )
    for name in ("vectors", "key2row"):
        assert (tmp_path / "out" / name).read_bytes() == (spacy / "default" / name).read_bytes()
    assert json.loads((tmp_path / "out" / "vectors.cfg").read_text()) == {"mode": "default"}
    assert json.loads((tmp_path / "out" / "strings.json").read_text()) == sorted(WORDS)


@pytest.mark.slow
def test_a_pipeline_with_our_vectors_is_loaded_by_spacy(spacy, expected, tmp_path):
    """As docs/howto/spacy.md says. Importing spaCy takes the time."""
    import spacy as library

    save_spacy(load_spacy(spacy / "default"), tmp_path / "out")
    nlp = library.blank("en")
    nlp.vocab.from_disk(tmp_path / "out")
    nlp.to_disk(tmp_path / "pipeline")
    loaded = library.load(tmp_path / "pipeline")
    assert loaded.vocab.vectors.data.tobytes() == expected["default"].tobytes()
    for word, vector in zip(WORDS, expected["default"], strict=True):
        assert loaded.vocab[word].vector.tobytes() == vector.tobytes()
        assert loaded.vocab[word].has_vector
    document = loaded("the café unseen")
    assert [token.has_vector for token in document] == [True, True, False]
    assert np.allclose(document[:2].vector, expected["default"][:2].mean(axis=0), rtol=1e-6)
    assert load_vectors(tmp_path / "pipeline").index_to_key == WORDS


@pytest.mark.parametrize("rows", [1, 15, 16, 200, 300, 70_000])
def test_round_trip(rows, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
    words = ["", "\0", "\ufffd", "NUM", *(f"w{number}" for number in range(rows))][:rows]
    save_spacy(EmbeddingTable(words, vectors), tmp_path / "out")
    again = load_vectors(tmp_path / "out")
    assert again.index_to_key == words
    assert again.vectors.tobytes() == vectors.tobytes()


def test_words_that_spacy_can_t_hold(tmp_path):
    table = EmbeddingTable(["a", "b\udcff", "\ud800"], np.ones((3, 1)))
    with pytest.raises(VectorFileError, match=r"lone surrogates|2 of 3 words are not UTF-8"):
        save_spacy(table, tmp_path / "out")
    table = EmbeddingTable(["a", "b\udcff", "c"], np.ones((3, 1)))
    with pytest.raises(VectorFileError, match=r"1 of 3 words are not .*the first is 'b\\udcff'"):
        save_spacy(table, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_two_words_with_the_same_hash(tmp_path, monkeypatch):
    monkeypatch.setitem(SYMBOLS, "b", SYMBOLS["NUM"])
    table = EmbeddingTable(["a", "NUM", "b"], np.ones((3, 1)))
    with pytest.raises(VectorFileError, match=r"^'NUM' and 'b' have the same hash, .*; remove one"):
        save_spacy(table, tmp_path / "out")
    save_spacy(table.subset(["a", "NUM"]), tmp_path / "out")


def test_writes_nothing_over_what_is_there(table, tmp_path):
    with pytest.raises(VectorFileError, match="this already exists; choose another path"):
        save_spacy(table, tmp_path)
    with pytest.raises(VectorFileError, match=r"out: there is no folder .*; make that folder"):
        save_spacy(table, tmp_path / "absent" / "out")
    with pytest.raises(VectorFileError, match="the table is 0 x 2"):
        save_spacy(EmbeddingTable([], np.ones((0, 2))), tmp_path / "out")


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, 2.0], [3.0, 4.0]], ">f4"),
        np.array([[1.5, 2.0], [3.0, 4.0]], np.float64),
        np.asfortranarray(np.array([[1.5, 2.0], [3.0, 4.0]], np.float32)),
        np.array([[1.5, 2.0], [3.0, 4.0]], np.float16),
    ],
    ids=["big-endian", "float64", "fortran", "float16"],
)
def test_other_arrays_are_converted(vocab, array):
    table = load_spacy(vocab(vectors=saved(array)))
    assert table.vectors.tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert table.vectors.dtype == np.float32
    assert table.vectors.flags.c_contiguous


def test_integers_of_every_width(vocab):
    pairs = [(5, b"\x05"), (200, b"\xcc\xc8"), (300, b"\xcd\x01\x2c"), (0, b"\x00")]
    data = b"\xde\x00\x04" + b"".join(number + b"\xce\0\0\0\1" for _, number in pairs)
    table = load_spacy(vocab(key2row=data))
    names = {number: name for name, number in SYMBOLS.items()}
    assert table.index_to_key == [names[number] for number, _ in pairs]
    assert table.vectors.tolist() == [[3.0, 4.0]] * 4


def test_a_duplicate_key_is_counted(vocab):
    data = packed([(key("a"), 1), (key("b"), 0), (key("a"), 0)])
    table = load_spacy(vocab(key2row=data))
    assert table.index_to_key == ["a", "b"]
    assert table.vectors.tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert table.metadata["duplicates"] == "1"


def test_without_vectors_cfg_the_mode_is_default(vocab):
    assert load_spacy(vocab(vectors_cfg=None)).index_to_key == ["a", "b"]


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("key2row", None, "key2row: no such file"),
        ("key2row", b"", "key2row: the file is empty"),
        ("key2row", b"\x81", "key2row: byte 1 does not belong to a msgpack map"),
        ("key2row", b"\x93\x01\x02\x03", "key2row: byte 0 does not belong to a msgpack map"),
        (
            "key2row",
            b"\xdf\xff\xff\xff\xff\x01\x01",
            "key2row: byte 7 does not belong to",
        ),
        ("key2row", b"\xdf\xff", "key2row: byte 2 does not belong to a msgpack map"),
        ("key2row", b"\x81\xa1a\x01", "key2row: byte 1 does not belong to a msgpack map"),
        ("key2row", b"\x81\x01\xff", "key2row: byte 2 does not belong to a msgpack map"),
        ("key2row", b"\x81\x01\xd0\x01", "key2row: byte 2 does not belong to a msgpack map"),
        ("key2row", b"\x81\x01\x01\x01", "key2row: byte 3 does not belong to a msgpack map"),
        ("key2row", b"\x81\x01\x02", "a key has the row 2, but vectors has 2 rows; use"),
        ("key2row", b"\x81\x01\xcf" + b"\xff" * 8, "a key has the row 9,223,372,036,854,775,8"),
        ("strings.json", b"", "strings.json: the file is empty"),
        ("strings.json", b"[", "strings.json: .*not valid JSON"),
        ("strings.json", b'{"a": 1}', "strings.json: this is not a list of strings"),
        ("strings.json", b"[1]", "strings.json: this is not a list of strings"),
        ("vectors.cfg", b"[]", r"vectors.cfg: the mode is \[\]"),
        ("vectors.cfg", b'"floret"', r"vectors.cfg: the mode is 'floret'; write a JSON object"),
        (
            "vectors.cfg",
            b'{"mode": "other"}',
            "the mode is 'other'; write a JSON object with",
        ),
        ("vectors.cfg", b"{", "vectors.cfg: .*not valid JSON"),
        ("vectors", b"", "vectors: the file is empty"),
        ("vectors", b"\x93NUMPY", "vectors: the array's header is damaged"),
        ("vectors", b"a 1 2\n", "vectors: this is text of vectors, not a numpy array"),
        ("vectors", saved(np.ones((2, 2)))[:-1], "header promises"),
        ("vectors", saved(np.ones((2, 2))) + b"\0", "header promises"),
        (
            "vectors",
            saved(np.ones(4)),
            r"vectors: the array is .* \[4\], not numbers of shape",
        ),
        ("vectors", saved(np.ones((2, 2), "c8")), r"not numbers of shape \(R, D\)"),
        ("vectors", saved(np.array([["a"]])), r"not numbers of shape \(R, D\)"),
        ("vectors", saved(np.ones((0, 0))), "is 0 x 0, so there are no vectors; use a pipeline"),
        ("vectors", saved(np.ones((0, 300))), "is 0 x 300, so there are no vectors"),
        ("vectors", saved(np.ones((1, 65_537), "i1")), "1 x 65,537, so there are no vectors"),
        ("vectors", saved(np.full((2, 2), 1e300)), "too large for float32"),
    ],
)
def test_damaged_folders(vocab, file, data, message):
    folder = vocab(**{file.replace(".", "_"): data})
    with pytest.raises(VectorFileError, match=message):
        load_spacy(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"minn": 4},
        {"minn": -1},
        {"maxn": 2.5},
        {"maxn": None},
        {"hash_count": 0},
        {"hash_count": 5},
        {"hash_seed": -1},
        {"hash_seed": 1 << 32},
        {"hash_seed": True},
        {"bow": 1},
        {"bow": "<" * 17},
        {"eow": "\ud800"},
    ],
)
def test_invalid_floret_settings(vocab, change):
    sound = {"mode": "floret", "minn": 2, "maxn": 3, "hash_count": 1, "hash_seed": 0}
    folder = vocab(vectors_cfg=json.dumps(sound | change).encode())
    with pytest.raises(VectorFileError, match=r"vectors.cfg: minn=.* are not valid settings"):
        load_spacy(folder, keys=["a"])


def test_marks_of_floret_may_be_any_characters(vocab):
    settings = {"mode": "floret", "minn": 2, "maxn": 3, "hash_count": 1, "bow": "\u2581", "eow": ""}
    folder = vocab(vectors_cfg=json.dumps(settings).encode())
    assert load_spacy(folder, keys=["ab"]).subwords._ngrams("ab") == [
        word.encode() for word in ("\u2581ab", "\u2581a", "ab", "\u2581ab")
    ]


def test_words_of_too_many_ngrams_have_no_vector(vocab):
    settings = {"mode": "floret", "minn": 0, "maxn": 1 << 30, "hash_count": 1}
    folder = vocab(vectors_cfg=json.dumps(settings).encode())
    table = load_spacy(folder, keys=["a", "b" * 177, "c" * 178, "d" * 900, "e"])
    assert [len(key) for key in table.index_to_key] == [1, 177, 1]
    for word in table.index_to_key:
        assert table.subwords._size(word) == len(table.subwords._ngrams(word))
        assert (table[word] == table.subwords._means([word])[0]).all()


def test_other_paths_are_refused(tmp_path):
    with pytest.raises(VectorFileError, match="absent: no such folder; pass the folder of a"):
        load_spacy(tmp_path / "absent")
    with pytest.raises(VectorFileError, match="this folder is not one of spaCy vectors"):
        load_spacy(tmp_path)
    (tmp_path / "file").write_bytes(b"a 1 2\n")
    with pytest.raises(VectorFileError, match="file: this is a file, not one of spaCy vectors"):
        load_spacy(tmp_path / "file")
    with pytest.raises(VectorFileError, match="limit=0"):
        load_spacy(tmp_path, limit=0)


@pytest.mark.parametrize("name", ["default", "pruned", "floret", "vectors"])
def test_random_damage_is_always_an_error(name, spacy, tmp_path):
    """With bytes changed at random, there is a table or one clear error, and no warning."""
    random = np.random.default_rng(1)
    folder = shutil.copytree(spacy / name, tmp_path / "copy")
    refused = 0
    for file in ("vectors", "key2row", "strings.json", "vectors.cfg"):
        sound = (folder / file).read_bytes()
        for _ in range(60):
            data = bytearray(sound)
            for at in random.integers(0, len(data), 2):
                data[at] = random.integers(0, 256)
            (folder / file).write_bytes(data[: random.integers(len(data) // 2, 2 * len(data))])
            with warnings.catch_warnings(action="error"):
                try:
                    load_spacy(folder)
                except VectorFileError:
                    refused += 1
        (folder / file).write_bytes(sound)
    assert 40 < refused < 240
