"""fastText models against fastText itself, to the bit, and against gensim."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path

import gensim
import numpy as np
import pytest
from gensim.models.fasttext import load_facebook_vectors
from gensim.models.word2vec import PathLineSentences

from finetune_embed import (
    Vocabulary,
    load_fasttext,
    load_safetensors,
    load_vectors,
    save_safetensors,
    to_embedding,
)
from finetune_embed.formats.fasttext import subwords as _fasttext_subwords
from finetune_embed.table import Origin

GENSIM = Path(gensim.__file__).parent / "test" / "test_data"
GOLDEN = {
    "skipgram.bin": ("skipgram", 24, 4),
    "cbow.bin": ("cbow", 24, 4),
    "plain.bin": ("skipgram", 24, 4),
    "supervised.bin": ("supervised", 24, 5),
    "wordngrams.bin": ("supervised", 24, 5),
    "both.bin": ("supervised", 24, 5),
    "quantized.ftz": ("supervised", 24, 5),
    "qnorm.ftz": ("supervised", 24, 5),
    "pruned.ftz": ("supervised", 22, 5),
    "retrained.ftz": ("supervised", 24, 5),
    "nongrams.ftz": ("supervised", 24, 5),
    "qout.ftz": ("supervised", 24, 3),
}
WITHOUT_SUBWORDS = {"plain.bin", "wordngrams.bin", "nongrams.ftz"}
#: Models of fastText that gensim tests itself with: words, D, version.
MODELS = {
    "crime-and-punishment.bin": (291, 5, 12),
    "lee_fasttext.bin": (1762, 10, 10),
    "lee_fasttext_new.bin": (1763, 10, 11),
    "non_ascii_fasttext.bin": (171, 2, 10),
    "cp852_fasttext.bin": (171, 2, 10),
    "toy-model.bin": (22, 5, 12),
    "toy-model-pretrained.bin": (24, 5, 12),
}
OTHERS = ["zzqx", "превед", "naïveté🙂", "日本語テキスト", "x", "Nights", "night-time", "a b"]


def bits(vectors):
    return np.ascontiguousarray(vectors, np.float32).view(np.uint32).tolist()


@pytest.fixture(scope="module")
def expected():
    """Return for each golden model its words, other words, those with rows, and all vectors."""
    with np.load(Path(__file__).parent.parent / "golden" / "tiny.fasttext.npz") as file:
        words = json.loads(file["words"].tobytes())
        return {name: (*words[name], file[name]) for name in words}


@pytest.fixture
def model(golden):
    return lambda name: golden / f"tiny.fasttext-{name}"


# Against fastText


def test_the_golden_files_are_those_that_are_tested(golden, expected):
    files = {path.name.removeprefix("tiny.fasttext-") for path in golden.glob("tiny.fasttext-*")}
    assert files == set(GOLDEN) == set(expected)
    assert all(path.stat().st_size < 20_000 for path in golden.glob("tiny.fasttext*"))


@pytest.mark.parametrize("load", [load_fasttext, load_vectors])
@pytest.mark.parametrize("name", GOLDEN)
def test_rows_are_those_of_get_word_vector(model, expected, name, load):
    words, _, _, vectors = expected[name]
    kind, rows, dim = GOLDEN[name]
    table = load(model(name))
    assert table.index_to_key == words
    assert table.vectors.shape == (rows, dim)
    assert bits(table.vectors) == bits(vectors[:rows])
    assert set(table.origin) == {Origin.PRETRAINED}
    assert table.metadata["source_format"] == "fasttext"
    assert table.metadata["fasttext_model"] == kind
    assert table.metadata["fasttext_version"] == "12"
    assert table.metadata.get("quantized", "") == ("true" if name.endswith("ftz") else "")
    assert (table.subwords is None) == (name in WITHOUT_SUBWORDS)


def test_metadata(model):
    metadata = load_fasttext(model("both.bin")).metadata
    assert {name: metadata[name] for name in list(metadata)[3:]} == {
        "fasttext_version": "12",
        "fasttext_model": "supervised",
        "minn": "3",
        "maxn": "3",
        "bucket": "30",
        "word_ngrams": "2",
        "labels": "2",
    }
    assert load_fasttext(model("qout.ftz")).metadata["labels"] == "260"
    assert "labels" not in load_fasttext(model("cbow.bin")).metadata


@pytest.mark.parametrize("name", sorted(set(GOLDEN) - WITHOUT_SUBWORDS))
def test_composed_words_are_those_of_get_word_vector(model, expected, name):
    words, others, with_rows, vectors = expected[name]
    composed, made = load_fasttext(model(name)).subwords.compose(others)
    theirs = vectors[len(words) :].copy()
    if is_label(name):  # to fastText a word, by mistake, whose row is an n-gram's
        theirs[others.index("__label__good")] = 0
        with_rows = [word for word in with_rows if word != "__label__good"]
    assert bits(composed) == bits(theirs)
    assert [word for word, could in zip(others, made, strict=True) if could] == with_rows
    if name == "pruned.ftz":
        assert len(with_rows) == 10


def is_label(name):
    """Return whether `__label__good` is a label in a golden model."""
    return name not in ("skipgram.bin", "cbow.bin", "plain.bin", "qout.ftz")


@pytest.mark.parametrize("name", GOLDEN)
def test_keys(model, expected, name):
    words, others, with_rows, vectors = expected[name]
    theirs = dict(zip([*words, *others], vectors, strict=True))
    keys = [*others, "book", "book", "\ud800", "films"]
    table = load_fasttext(model(name), keys)
    known = [word for word in words if word in keys]
    made = [
        word
        for word in with_rows
        if word not in words and not (word == "__label__good" and is_label(name))
    ]
    assert not (made and name in WITHOUT_SUBWORDS)
    assert table.index_to_key == known + made
    assert table.origin.tolist() == [Origin.PRETRAINED] * len(known) + [Origin.COMPOSED] * len(made)
    assert bits(table.vectors) == bits([theirs[word] for word in known + made])
    # Words that the table was read without, but the dictionary has, keep their vector.
    if table.subwords is not None:
        vector, could = table.subwords.compose([words[-1]])
        assert (bits(vector[0]), could.tolist()) == (bits(theirs[words[-1]]), [True])


def test_limit(model, expected):
    words, _, _, vectors = expected["skipgram.bin"]
    table = load_fasttext(model("skipgram.bin"), limit=3)
    assert table.index_to_key == words[:3]
    assert bits(table.vectors) == bits(vectors[:3])
    # Words beyond the limit are left out, not composed: they are in the dictionary.
    table = load_fasttext(model("skipgram.bin"), [words[5], words[1], "unseen"], limit=3)
    assert table.index_to_key == [words[1], "unseen"]
    assert load_fasttext(model("skipgram.bin"), limit=10**9).index_to_key == words


def test_no_keys_and_none_that_is_there(model):
    for keys in ([], {"nothing"}):
        table = load_fasttext(model("plain.bin"), keys)
        assert (len(table), table.vector_size) == (0, 4)
    assert load_fasttext(model("skipgram.bin"), []).subwords.compose(["one"])[1].tolist() == [True]


def test_compose_of_nothing(model):
    vectors, made = load_fasttext(model("skipgram.bin")).subwords.compose([])
    assert vectors.shape == (0, 4)
    assert made.shape == (0,)


def test_supervised_models_of_version_11_have_no_ngrams(model, write):
    data = bytearray(model("supervised.bin").read_bytes())
    struct.pack_into("<i", data, 4, 11)
    table = load_fasttext(write(bytes(data), "old.bin"), keys=["the", "unseen"])
    assert (table.index_to_key, table.subwords) == (["the"], None)
    assert (table.metadata["maxn"], table.metadata["fasttext_version"]) == ("0", "11")
    # Each word has its own row only: the first rows of the matrix.
    table = load_fasttext(write(bytes(data), "old.bin"))
    start = data.index(b"\0" + struct.pack("<2q", 24 + 40, 5)) + 17
    rows = np.frombuffer(data, "<f4", 24 * 5, start).reshape(24, 5)
    assert bits(table.vectors) == bits(rows)
    # Other models of version 11 are read like those of version 12.
    data = bytearray(model("skipgram.bin").read_bytes())
    struct.pack_into("<i", data, 4, 11)
    current = load_fasttext(model("skipgram.bin"))
    assert bits(load_fasttext(write(bytes(data))).vectors) == bits(current.vectors)


def test_groups_and_lanes_don_t_change_a_bit(model, monkeypatch):
    path = GENSIM / "lee_fasttext_new.bin"
    expected = load_fasttext(path)
    monkeypatch.setattr(_fasttext_subwords, "GROUP_BYTES", 4_000)
    monkeypatch.setattr(_fasttext_subwords, "LANE", 1)
    monkeypatch.setattr(_fasttext_subwords, "STEP", 2)
    assert bits(load_fasttext(path).vectors) == bits(expected.vectors)


# Compressed files, file objects, and what becomes of a table


def test_compressed_files_and_file_objects(model, tmp_path, write):
    data = model("pruned.ftz").read_bytes()
    rows = bits(load_fasttext(model("pruned.ftz")).vectors)
    assert bits(load_fasttext(write(gzip.compress(data), "m.gz")).vectors) == rows
    assert bits(load_fasttext(io.BytesIO(data)).vectors) == rows
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("a.ftz", data)
        archive.writestr("b.txt", "a 1 2\n")
    assert bits(load_fasttext(tmp_path / "m.zip", member="a.ftz").vectors) == rows


def test_subwords_outlive_the_file(model, write):
    path = write(model("skipgram.bin").read_bytes(), "m.bin")
    table = load_fasttext(path)
    before = bits(table.subwords.compose(["unseen"])[0])
    path.unlink()
    assert bits(table.subwords.compose(["unseen"])[0]) == before


def test_subset_keeps_subwords_and_a_round_trip_keeps_the_rows(model, tmp_path):
    table = load_fasttext(model("skipgram.bin"), ["the", "unseen"])
    assert table.subset(["the"]).subwords is table.subwords
    save_safetensors(table, tmp_path / "t.safetensors")
    again = load_safetensors(tmp_path / "t.safetensors")
    assert bits(again.vectors) == bits(table.vectors)
    assert again.origin.tolist() == [Origin.PRETRAINED, Origin.COMPOSED]


def test_an_embedding_starts_at_composed_rows(model, expected):
    words, others, _, vectors = expected["skipgram.bin"]
    table = load_fasttext(model("skipgram.bin"))
    vocabulary = Vocabulary({"the": 1, "unseen": 1})
    embedding = to_embedding(table, vocabulary, oov="subwords")
    theirs = vectors[len(words) + others.index("unseen")]
    row = vocabulary.key_to_index["unseen"]
    assert bits(embedding.weight.detach().numpy()[row]) == bits(theirs)


# Against gensim


@pytest.mark.parametrize("name", MODELS)
def test_gensim_has_the_same_rows(name):
    """Within 1 unit in the last place: gensim divides, fastText multiplies by the reciprocal."""
    rows, dim, version = MODELS[name]
    table, keyed = load_vectors(GENSIM / name), load_facebook_vectors(str(GENSIM / name))
    assert table.vectors.shape == (rows, dim)
    assert table.metadata["fasttext_version"] == str(version)
    same = [a == b for a, b in zip(table.index_to_key, keyed.index_to_key, strict=True)]
    # gensim escapes bytes that are not UTF-8 ("\x82") and composes the vector of the escapes.
    assert same.count(False) == int(table.metadata.get("non_utf8", 0))
    assert same.count(False) == (69 if name.startswith("cp852") else 0)
    if "</s>" in table and version > 10:  # gensim uses its n-grams, fastText since 2017 does not
        same[table.key_to_index["</s>"]] = False
    np.testing.assert_array_max_ulp(table.vectors[same], keyed.vectors[same], maxulp=1)
    vectors, made = table.subwords.compose(OTHERS)
    assert made.tolist() == [True] * len(OTHERS)
    theirs = np.array([keyed.get_vector(word) for word in OTHERS])
    np.testing.assert_allclose(vectors, theirs, rtol=0, atol=3e-7)  # numpy sums in another order


@pytest.mark.parametrize("name", ["crime-and-punishment", "lee_fasttext", "toy-model"])
def test_a_vec_file_holds_the_rows_of_the_binary(name):
    """To its 5 digits; also `</s>`, to which the first fastText gave n-grams."""
    text, table = load_fasttext(GENSIM / f"{name}.vec"), load_fasttext(GENSIM / f"{name}.bin")
    assert text.metadata["source_format"] == "word2vec"
    assert text.index_to_key == table.index_to_key
    np.testing.assert_allclose(text.vectors, table.vectors, rtol=5e-5, atol=1e-9)


def test_a_supervised_model_that_gensim_refuses():
    path = GENSIM / "pang_lee_polarity_fasttext.bin"
    with pytest.raises(NotImplementedError):
        load_facebook_vectors(str(path))
    table, text = load_fasttext(path), load_fasttext(path.with_suffix(".vec"))
    assert table.vectors.shape == (1694, 100)
    assert table.metadata["labels"] == "2"
    assert table.index_to_key == text.index_to_key
    np.testing.assert_allclose(text.vectors, table.vectors, rtol=5e-5, atol=1e-9)


def test_models_that_gensim_writes(tmp_path):
    from gensim.models.fasttext import FastText, save_facebook_model

    sentences = list(PathLineSentences(str(GENSIM / "lee_background.cor")))
    trained = FastText(
        sentences, vector_size=6, min_count=20, bucket=50, epochs=1, workers=1, seed=1
    )
    save_facebook_model(trained, str(tmp_path / "m.bin"))
    table = load_fasttext(tmp_path / "m.bin")
    assert table.index_to_key == trained.wv.index_to_key
    assert len(table) > 100
    np.testing.assert_array_max_ulp(table.vectors, trained.wv.vectors, maxulp=1)
