"""Tables of fewer words, fewer dimensions and smaller numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import PCA

import finetune_embed as fe
from finetune_embed import EmbeddingTable, VectorFileError, VocabularyError, shrink
from finetune_embed.table import CodedRows
from finetune_embed.table.quantization import codebooks_of, nearest_centroids

WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂"]


def bits(table: EmbeddingTable) -> bytes:
    return table.rows(slice(0, len(table))).tobytes()


def saved(table: EmbeddingTable, tmp_path, **options: object) -> EmbeddingTable:
    """Return a table that was written and read, which has the same bits."""
    fe.save_safetensors(table, tmp_path / "saved", **options)
    back = fe.load_vectors(tmp_path / "saved")
    assert back.index_to_key == table.index_to_key
    assert bits(back) == bits(table)
    assert back.origin.tolist() == table.origin.tolist()
    return back


def test_the_first_words(random_table, tmp_path):
    small = shrink(random_table, words=100)
    assert small.index_to_key == random_table.index_to_key[:100]
    assert bits(small) == random_table.vectors[:100].tobytes()
    assert json.loads(small.metadata["shrunk"]) == {"words": 100, "dtype": "float32"}
    assert isinstance(small.stored, np.ndarray)
    saved(small, tmp_path)
    assert len(shrink(random_table, words=9_999)) == 2_000


def test_some_words_in_the_order_of_the_table(random_table):
    small = shrink(random_table, words=["w7", "absent", "w3", "w7"])
    assert small.index_to_key == ["w3", "w7"]
    assert bits(small) == random_table.vectors[[3, 7]].tobytes()


def test_the_longest_vectors(random_table):
    small = shrink(random_table, words=50, by="norm")
    norms = np.linalg.norm(random_table.vectors, axis=1)
    assert small.index_to_key == [f"w{at}" for at in np.sort(np.argsort(-norms)[:50])]


def test_other_words_get_the_nearest_row_that_is_kept(random_table, tmp_path):
    small = shrink(random_table, words=300, remap=True)
    assert len(small) == 2_000
    units = random_table.vectors / np.linalg.norm(random_table.vectors, axis=1, keepdims=True)
    nearest = (units[300:] @ units[:300].T).argmax(axis=1)
    assert bits(small) == random_table.vectors[[*range(300), *nearest]].tobytes()
    assert small.coded.held == 300
    back = saved(small, tmp_path)
    assert (tmp_path / "saved").stat().st_size < 60_000 < random_table.vectors.nbytes
    assert back.rows(np.array([1_999, 5])).tobytes() == bits(small)[-64:] + bits(small)[320:384]
    for size in (4_000, 100_000):
        fe.save_safetensors(small, tmp_path / f"{size}", shard_size=size)
        assert bits(fe.load_vectors(tmp_path / f"{size}")) == bits(small)
    assert len(list((tmp_path / "4000").iterdir())) == 7  # 62 rows in each shard
    assert saved(shrink(random_table, words=300, remap=True, dtype="int8"), tmp_path)["w3"].any()


@pytest.mark.parametrize("dim", [1, 5, 16])
def test_principal_components_are_those_of_scikit_learn(random_table, dim, tmp_path):
    small = shrink(random_table, dim=dim)
    expected = PCA(dim, svd_solver="full").fit_transform(random_table.vectors.astype(np.float64))
    signs = np.sign((small.vectors * expected).sum(axis=0))
    assert np.abs(small.vectors - expected * signs).max() < 2e-5
    assert bits(shrink(random_table, dim=dim)) == bits(small)
    saved(small, tmp_path)
    assert small.vector_size == dim


def test_all_but_the_top(random_table):
    rows = random_table.vectors.astype(np.float64)
    centred = rows - rows.mean(axis=0)
    top = PCA(3, svd_solver="full").fit(rows).components_
    expected = centred - centred @ top.T @ top
    small = shrink(random_table, all_but_top=3)
    assert np.abs(small.vectors - expected).max() < 2e-5
    both = shrink(random_table, all_but_top=3, dim=5)
    after = PCA(5, svd_solver="full").fit_transform(expected)
    signs = np.sign((both.vectors * after).sum(axis=0))
    assert np.abs(both.vectors - after * signs).max() < 3e-5


def test_int8_in_memory(random_table, tmp_path):
    small = shrink(random_table, dtype="int8")
    fe.save_safetensors(random_table, tmp_path / "direct", dtype="int8")
    assert bits(small) == bits(fe.load_vectors(tmp_path / "direct"))
    assert sum(one.nbytes for one in small.coded.arrays()) == 2_000 * (16 + 4)
    assert saved(small, tmp_path).coded.coding.name == "int8"


@pytest.mark.parametrize(("size", "group"), [(16, 2), (9, 3), (5, 1), (1, 1)])
def test_product_quantization(size, group, tmp_path):
    rows = np.random.default_rng(0).standard_normal((1_000, size)).astype(np.float32)
    small = shrink(EmbeddingTable([f"w{i}" for i in range(1_000)], rows), dtype="pq")
    coding, (part,) = small.coded.coding, small.coded.parts
    assert coding.codebooks.shape == (size // group, 256, group)
    assert (part.codes.dtype, part.codes.shape) == (np.uint8, (1_000, size // group))
    books = coding.codebooks.astype(np.float64)
    for at, book in enumerate(books):  # every code is that of the nearest centroid
        group_rows = rows[:, at * group : (at + 1) * group]
        distances = ((group_rows[:, None] - book) ** 2).sum(axis=2)
        chosen = distances[np.arange(1_000), part.codes[:, at]]
        assert (chosen <= distances.min(axis=1) + 1e-6).all()
        assert bits(small)
        decoded = book[part.codes[:, at]].astype(np.float32)
        assert np.array_equal(small.vectors[:, at * group : (at + 1) * group], decoded)
    assert ((small.vectors - rows) ** 2).mean() < {3: 0.09, 2: 0.02, 1: 0.002}[group]
    saved(small, tmp_path)
    saved(small, tmp_path / "", dtype="pq")


def test_centroids_of_fewer_points_than_codes():
    rows = np.float32([[1, 2], [3, 4], [1, 2]])
    books = codebooks_of(rows)
    assert books.shape == (1, 3, 2)
    codes = nearest_centroids(rows, books)
    assert np.array_equal(books[0][codes[:, 0]], rows)
    assert np.array_equal(books, codebooks_of(rows))


def test_golden_bytes(golden, tmp_path):
    path = golden / "tiny.shrunk.safetensors"
    table = fe.load_vectors(path)
    assert table.index_to_key == WORDS
    one, two = [8.0, 1.5, 0.375], [8.0, -1.5, 0.125]
    assert table.vectors.tolist() == [two, one, one, one, two]
    assert table["日本語"].tolist() == one
    fe.save_safetensors(table, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == path.read_bytes()
    fe.save_safetensors(table, tmp_path / "int8", dtype="int8")
    assert load_file(tmp_path / "int8")["embedding.weight"].shape == (5, 3)
    tensors = load_file(path)  # the formula of the documentation
    books, codes = tensors["embedding.codebooks"], tensors["embedding.weight"]
    numbers = np.concatenate([books[m, codes[:, m]] for m in range(len(books))], axis=1)
    rows = numbers @ tensors["embedding.basis"] + tensors["embedding.mean"]
    assert np.array_equal(rows[tensors["embedding.rows"]], table.vectors)
    assert fe.load_vectors(path, keys=["🙂"]).vectors.tolist() == [two]
    assert fe.load_vectors(path, limit=3).vectors.tolist() == [two, one, one]


DAMAGES = {
    "embedding.rows": [np.int32([0, 2, 1, 2, 4]), np.int32([0, -1, 1, 2, 3])],
    "embedding.codebooks": [
        np.zeros((1, 1, 2), np.float32),
        np.zeros((2, 2, 1), np.float32),
        np.full((1, 2, 2), np.nan, np.float32),
        np.zeros((1, 2, 0), np.float32),
    ],
    "embedding.basis": [np.zeros((3, 3), np.float32), np.full((2, 3), np.inf, np.float32)],
    "embedding.mean": [np.zeros(2, np.float32)],
    "embedding.weight": [np.uint8([[1], [0], [2], [0]]), np.uint8([[1, 0]] * 4)],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_tensors_that_do_not_fit(name, golden, tmp_path):
    for value in DAMAGES[name]:
        save_file(load_file(golden / "tiny.shrunk.safetensors") | {name: value}, tmp_path / "v")
        with pytest.raises(VectorFileError, match=r"does not fit the other tensors; the file is"):
            fe.load_vectors(tmp_path / "v")


@pytest.mark.parametrize("name", ["embedding.mean", "embedding.codebooks"])
def test_tensors_that_are_missing(name, golden, tmp_path):
    tensors = load_file(golden / "tiny.shrunk.safetensors")
    del tensors[name]
    save_file(tensors, tmp_path / "v")
    with pytest.raises(VectorFileError, match=rf"there is no {name}"):
        fe.load_vectors(tmp_path / "v")


def test_a_mapped_table_is_read_in_blocks(random_table, tmp_path):
    fe.save_safetensors(random_table, tmp_path / "v")
    table = fe.load_vectors(tmp_path / "v")
    small = shrink(table, words=5, dtype="float16")
    assert small.index_to_key == random_table.index_to_key[:5]
    assert isinstance(small.stored, CodedRows)
    assert small.vectors.tolist() == random_table.vectors[:5].astype(np.float16).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": 0}, "words=0 must be 1 or more"),
        ({"words": True}, "words=True must be 1 or more"),
        ({"words": ["x"]}, "holds no word of the table"),
        ({"dim": 0}, "dim=0 must be from 1 to 16"),
        ({"dim": 17}, "dim=17 must be from 1 to 16"),
        ({"dim": 14, "all_but_top": 3}, "dim=14 must be from 1 to 13"),
        ({"all_but_top": 16}, "all_but_top=16 must be from 0 to 15"),
        ({"all_but_top": -1}, "all_but_top=-1 must be from 0 to 15"),
    ],
)
def test_arguments_out_of_range(options, message, random_table):
    with pytest.raises(VocabularyError, match=message):
        shrink(random_table, **options)


def test_a_table_of_nothing():
    with pytest.raises(VocabularyError, match="so there is nothing to shrink"):
        shrink(EmbeddingTable([], np.zeros((0, 3))))


@pytest.mark.parametrize("dtype", ["int8", "pq"])
def test_numbers_that_are_not_finite(dtype):
    table = EmbeddingTable(["a", "b", "c"], [[1.0, 2.0], [3.0, 4.0], [np.nan, 0.0]])
    with pytest.raises(VectorFileError, match="a number that is not finite, as in row 2;"):
        shrink(table, words=["a", "c"], dtype=dtype)


def test_other_vectors_take_the_place_of_coded_ones(random_table, tmp_path):
    small = shrink(random_table, words=5, dtype="int8")
    old = small.coded
    assert bits(small) == small.vectors.tobytes()
    assert small.coded is old  # what was decoded is what is held
    other = np.full((5, 16), 3, np.float32)
    other.flags.writeable = False
    small.vectors = other
    assert small.coded is None
    assert bits(saved(small, tmp_path)) == other.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "pq"])
def test_numbers_stay_what_they_are(random_table, dtype, tmp_path):
    coded = saved(shrink(random_table, dtype=dtype), tmp_path)
    small = shrink(coded, words=100)
    assert json.loads(small.metadata["shrunk"]) == {"words": 100, "dtype": dtype}
    assert (small.coded is None) == (dtype == "float32")
    near = {"pq": 1e-6, "int8": 1e-6}.get(dtype, 0)
    assert np.abs(small.vectors - coded.vectors[:100]).max() <= near
