from __future__ import annotations

import logging
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from gensim.models import FastText, KeyedVectors, Word2Vec
from gensim.test.utils import datapath
from gensim.utils import SaveLoad

from finetune_embed import (
    EmbeddingTable,
    Origin,
    VectorFileError,
    load_gensim,
    load_vectors,
    load_word2vec,
    save_gensim,
)
from finetune_embed.errors import MissingPackageError

DATA = Path(datapath("word2vec_3.3")).parent
VERSIONS = [
    "0.13.4",
    "1.0.1",
    *(f"{a}.{b}.0" for a, b in zip("1222233333", "0012301234", strict=True)),
]
#: The vectors among gensim's own test data that gensim 4.4 opens, and how many words they have.
OPENED = {
    "compatible-hash-true.model": 22,
    "model-from-gensim-3.8.0.w2v": 3,
    "old_keyedvectors_320.dat": 12,
    "poincare_test_3.4.0": 239,
    "word2vec_3.3": 4,
    "word2vec_old": 12,
    "word2vec_old_sep": 12,
    **{f"old_w2v_models/w2v_{version}.mdl": 3 for version in VERSIONS},
}
TEXTS = [["the", "cat", "sat"], ["the", "dog", "sat", "here"]] * 3


@pytest.fixture(autouse=True)
def _quiet():
    """Some of gensim's older files make it log an error before it raises it."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def keyed(table) -> KeyedVectors:
    return table.to_keyed_vectors()


def opened(path: Path) -> KeyedVectors:
    with warnings.catch_warnings(action="ignore"):
        found = SaveLoad.load(str(path))
    return found if isinstance(found, KeyedVectors) else getattr(found, "wv", None) or found.kv


@pytest.mark.parametrize("name", OPENED)
def test_gensim_s_own_data(name):
    keyed = opened(DATA / name)
    table = load_gensim(DATA / name, allow_pickle=True)
    assert len(table) == OPENED[name]
    assert table.index_to_key == keyed.index_to_key
    assert table.vectors.tobytes() == keyed.vectors.astype(np.float32).tobytes()
    assert table.metadata["source"] == Path(name).name
    assert table.metadata["source_format"] == "gensim"


def test_all_other_pickles_of_gensim_s_data_are_refused():
    others = 0
    for path in sorted(path for path in DATA.rglob("*") if path.is_file()):
        name = path.relative_to(DATA).as_posix()
        if name in OPENED or not re.match(rb"\x80[\x02-\x05]", path.read_bytes()[:2]):
            continue
        others += 1
        with pytest.raises(
            VectorFileError, match=r"the installed gensim can't open this|which has no word vectors"
        ) as caught:
            load_gensim(path, allow_pickle=True)
        assert caught.value.where == path
        assert caught.value.remedy
    assert others >= 80
    with pytest.raises(VectorFileError, match=r"can't open .* \(TypeError: Pre-gensim-3.8.x fa"):
        load_gensim(DATA / "ft_kv_3.6.0.model.gz", allow_pickle=True)


@pytest.mark.parametrize("load", [load_gensim, load_vectors])
def test_nothing_is_unpickled_by_default(load, tmp_path):
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "trap.model"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(VectorFileError, match=r"trap.model: this is a Python pickle, .*use lo"):
        load(path)
    with pytest.raises(VectorFileError, match=r"use load_gensim\(path, allow_pickle=True\)"):
        load_gensim(path, allow_pickle=1)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(VectorFileError):  # with allow_pickle=True it runs
        load_gensim(path, allow_pickle=True)
    assert (tmp_path / "ran").exists()


def test_a_wrong_guess_is_named(keyed, golden, tmp_path):
    keyed.save(str(tmp_path / "kv"))
    with pytest.raises(
        VectorFileError, match=r"is a Python pickle, not .*load_gensim\(path, allow"
    ):
        load_word2vec(tmp_path / "kv")
    with pytest.raises(VectorFileError, match=r"is a word2vec binary, not a Python pickle; use lo"):
        load_gensim(golden / "tiny.word2vec.bin", allow_pickle=True)
    with pytest.raises(VectorFileError, match="no such file"):
        load_gensim(tmp_path / "absent", allow_pickle=True)
    with pytest.raises(VectorFileError, match="pass its path"), open(tmp_path / "kv", "rb") as file:
        load_gensim(file, allow_pickle=True)
    with pytest.raises(VectorFileError, match="pass its path"):
        load_gensim("-", allow_pickle=True)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_round_trip_in_one_file_and_in_several(table, keyed, tmp_path, suffix):
    path = tmp_path / f"kv{suffix}"
    for separately in ([], ["vectors"]):
        keyed.save(str(path), separately=separately)
        again = load_gensim(path, allow_pickle=True)
        assert again.index_to_key == table.index_to_key
        assert again.vectors.tobytes() == table.vectors.tobytes()
    assert len(list(tmp_path.iterdir())) == 2
    assert "source_dtype" not in again.metadata
    keyed.vectors = keyed.vectors.astype(np.float64)
    keyed.save(str(path))
    assert load_gensim(path, allow_pickle=True).metadata["source_dtype"] == "float64"


def test_keys_and_limit(table, keyed, tmp_path):
    keyed.save(str(tmp_path / "kv"))
    some = load_gensim(tmp_path / "kv", keys=["apple", "absent", "king"], allow_pickle=True)
    assert some.index_to_key == ["king", "apple"]
    assert some.vectors.tobytes() == table.vectors[[0, 4]].tobytes()
    first = load_gensim(tmp_path / "kv", limit=2, allow_pickle=True)
    assert first.index_to_key == ["king", "queen"]
    with pytest.raises(VectorFileError, match="limit=0"):
        load_gensim(tmp_path / "kv", limit=0, allow_pickle=True)


def test_rows_that_gensim_left_without_a_word_are_counted(write, tmp_path):
    path = write(b"3 2\na 1 2\nb 3 4\na 5 6\n")
    keyed = KeyedVectors.load_word2vec_format(str(path))
    assert keyed.index_to_key == ["a", "b", None]
    keyed.save(str(tmp_path / "kv"))
    table = load_gensim(tmp_path / "kv", allow_pickle=True)
    assert table.index_to_key == ["a", "b"]
    assert table.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert table.metadata["nameless"] == "1"


def test_the_word_vectors_of_a_model_are_read(tmp_path):
    model = Word2Vec(TEXTS, vector_size=4, min_count=1, seed=1, workers=1)
    model.save(str(tmp_path / "model"))
    table = load_gensim(tmp_path / "model", allow_pickle=True)
    assert table.index_to_key == model.wv.index_to_key
    assert table.vectors.tobytes() == model.wv.vectors.tobytes()
    assert table.subwords is None


def test_fasttext_vectors_compose_other_words(tmp_path):
    model = FastText(TEXTS, vector_size=4, min_count=1, bucket=50, seed=1, workers=1)
    model.save(str(tmp_path / "model"))
    model.wv.save(str(tmp_path / "kv"))
    for name in ("model", "kv"):
        table = load_gensim(tmp_path / name, allow_pickle=True)
        assert table.index_to_key == model.wv.index_to_key
        assert table.vectors.tobytes() == model.wv.vectors.tobytes()
        vectors, made = table.subwords.compose(["dogs", "the", "\udcff"])
        assert made.tolist() == [True, True, False]
        assert vectors[0].tobytes() == model.wv["dogs"].tobytes()
        assert vectors[1].tobytes() == model.wv["the"].tobytes()
        some = load_gensim(tmp_path / name, keys=["dogs", "sat", "cats"], allow_pickle=True)
        assert some.index_to_key == ["sat", "dogs", "cats"]
        assert some.origin.tolist() == [0, Origin.COMPOSED, Origin.COMPOSED]
        assert some.vectors[1].tobytes() == model.wv["dogs"].tobytes()
        assert some.subwords is not None
        both = model.wv.index_to_key[:2]  # beyond the limit a word is not composed either
        first = load_gensim(tmp_path / name, keys=both, limit=1, allow_pickle=True)
        assert first.index_to_key == both[:1]


def changed(keyed: KeyedVectors, **values: object) -> KeyedVectors:
    vars(keyed).update(values)
    return keyed


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"index_to_key": [1, 2, 3, 4, 5]}, "the key 1 is not a string"),
        ({"index_to_key": ["a"]}, "the 1 words have no vectors"),
        ({"index_to_key": None}, "the words are not a list"),
        ({"vectors": None}, "the 5 words have no vectors"),
        ({"vectors": np.ones(5, np.float32)}, "the 5 words have no vectors"),
        ({"vectors": np.ones((5, 0), np.float32)}, "the 5 words have no vectors"),
        ({"vectors": np.ones((5, 2), object)}, "the 5 words have no vectors"),
        ({"vectors": np.full((5, 2), 1e300)}, "too large for float32"),
    ],
)
def test_objects_that_are_damaged(keyed, values, message, tmp_path):
    (tmp_path / "kv").write_bytes(pickle.dumps(changed(keyed, **values)))
    with pytest.raises(VectorFileError, match=message):
        load_gensim(tmp_path / "kv", allow_pickle=True)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (divmod, (1, 0))


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04",
        b"\x80\x04.",
        b"\x80\x05" + bytes(100),
        pickle.dumps([1, 2]),
        pickle.dumps({"a": np.ones(3)}),
        pickle.dumps(EmbeddingTable(["a"], [[1.0]])),
        pickle.dumps(Bomb()),
        b"\x80\x02cno_such_module\nclass\n.",
    ],
)
def test_pickles_that_are_not_vectors(write, data):
    path = write(data, "pickle")
    with pytest.raises(VectorFileError, match=r"pickle: the installed gensim can't open this"):
        load_gensim(path, allow_pickle=True)


def test_without_gensim_one_line_says_how_to_install_it(keyed, tmp_path, monkeypatch):
    keyed.save(str(tmp_path / "kv"))
    for name in ("gensim", "gensim.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"^gensim is not installed; pip install gensim$"):
        load_gensim(tmp_path / "kv", allow_pickle=True)


WITHOUT_GENSIM = """
import sys
sys.modules["gensim"] = None
import finetune_embed as fe
for path in sys.argv[1:]:
    table = fe.load_vectors(path)
    assert fe.inspect(path).words == len(table)
    try:
        table.to_keyed_vectors()
    except ImportError as error:
        print(error)
"""


def test_all_but_gensim_s_own_conversions_works_without_it(golden):
    names = ["tiny.glove.txt", "tiny.word2vec.bin", "tiny.fasttext-cbow.bin", "spacy/default"]
    paths = [str(golden / name) for name in names]
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_GENSIM, *paths], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    assert run.stdout == "gensim is not installed; pip install gensim\n" * len(paths)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.mark.parametrize("model", ["kv", "w2v", "kv.gz"])
def test_arrays_that_are_missing_or_damaged_beside_the_file(tmp_path, keyed, model):
    if model == "w2v":
        saved: SaveLoad = Word2Vec(TEXTS, vector_size=4, min_count=1)
    else:
        saved = keyed
    saved.save(str(tmp_path / model), sep_limit=0)
    assert len(load_gensim(tmp_path / model, allow_pickle=True)) > 2
    arrays = [place for place in tmp_path.iterdir() if place.name != model]
    assert arrays
    for place in arrays:
        sound = place.read_bytes()
        for data, message in (
            (LFS, rf"{re.escape(place.name)}: this is a Git LFS pointer"),
            (sound[:-3], rf"{re.escape(place.name)}: .*(cut short|damaged)"),
            (b"<html><body>Gone</body>", rf"{re.escape(place.name)}: this is a web page"),
        ):
            place.write_bytes(data)
            with pytest.raises(VectorFileError, match=message):
                load_gensim(tmp_path / model, allow_pickle=True)
        place.unlink()
        message = rf"{model}: {re.escape(place.name)} is missing: gensim saved an array of this mod"
        with pytest.raises(VectorFileError, match=message):
            load_gensim(tmp_path / model, allow_pickle=True)
        place.write_bytes(sound)


def test_a_file_cut_anywhere(keyed, tmp_path):
    keyed.save(str(tmp_path / "kv"))
    sound = (tmp_path / "kv").read_bytes()
    for stop in range(2, len(sound), 7):
        (tmp_path / "kv").write_bytes(sound[:stop])
        with pytest.raises(VectorFileError):
            load_gensim(tmp_path / "kv", allow_pickle=True)


def test_rows_of_zeros_in_gensim(tmp_path):
    """As docs/compatibility.md says."""
    table = EmbeddingTable(["a", "b", "c", "<pad>"], [[1, 0], [0, 1], [1, 1], [0, 0]])
    save_gensim(table, tmp_path / "whole")
    keyed = KeyedVectors.load(str(tmp_path / "whole"))
    assert keyed.index_to_key == table.index_to_key
    with pytest.warns(RuntimeWarning, match="invalid value encountered in divide"):
        found = keyed.most_similar("a")
    assert [word for word, _ in found] == ["c", "b", "<pad>"]
    assert np.isnan(found[-1][1])
    save_gensim(table.subset([w for w in table.index_to_key if table[w].any()]), tmp_path / "part")
    part = KeyedVectors.load(str(tmp_path / "part")).most_similar("a")
    assert part == found[:-1]
    assert part[0][1] == pytest.approx(0.5**0.5)
