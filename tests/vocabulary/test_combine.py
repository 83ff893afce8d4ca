"""Tables from tables."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed import EmbeddingTable, Origin, VocabularyError
from finetune_embed.vocabulary import combine


@pytest.fixture
def first() -> EmbeddingTable:
    metadata = {"source": "one.txt", "source_sha256": "11", "source_format": "glove"}
    return EmbeddingTable(["a", "b", "c"], [[1, 2], [3, 4], [5, 6]], metadata, [0, 1, 0])


@pytest.fixture
def second() -> EmbeddingTable:
    metadata = {"source": "two.bin", "source_sha256": "22"}
    return EmbeddingTable(["d", "b", "a"], [[7, 8, 9], [10, 11, 12], [13, 14, 15]], metadata)


def test_vectors_side_by_side(first, second):
    both = fe.concatenate([first, second])
    assert both.index_to_key == ["a", "b", "c", "d"]
    assert both.vectors.tolist() == [
        [1, 2, 13, 14, 15],
        [3, 4, 10, 11, 12],
        [5, 6, 0, 0, 0],
        [0, 0, 7, 8, 9],
    ]
    assert both.vectors.dtype == np.float32
    assert both.origin.tolist() == [0, Origin.TUNED, 0, 0]
    other = fe.concatenate([second, first])
    assert other.index_to_key == ["d", "b", "a", "c"]
    assert other["a"].tolist() == [13, 14, 15, 1, 2]


def test_the_mean_pads_shorter_vectors_with_zeros(first, second):
    mean = fe.average([first, second])
    assert mean.index_to_key == ["a", "b", "c", "d"]
    assert mean.vectors.tolist() == [[7, 8, 7.5], [6.5, 7.5, 6], [5, 6, 0], [7, 8, 9]]
    assert mean.vectors.dtype == np.float32
    assert mean.origin.tolist() == [0, Origin.TUNED, 0, 0]


def test_keys_select_and_order_the_words(first, second):
    assert fe.concatenate([first, second], ["d", "c"]).vectors.tolist() == [
        [0, 0, 7, 8, 9],
        [5, 6, 0, 0, 0],
    ]
    mean = fe.average([first, second], iter(["b"]))
    assert (mean.index_to_key, mean.vectors.tolist()) == (["b"], [[6.5, 7.5, 6]])
    assert fe.average([first, second], []).vectors.shape == (0, 3)


def test_metadata_lists_the_sources(first, second):
    for make, name in ((fe.concatenate, "concatenation"), (fe.average, "average")):
        metadata = make([first, second]).metadata
        assert metadata["source"] == "one.txt + two.bin"
        assert metadata["source_format"] == name
        assert "source_sha256" not in metadata
        assert json.loads(metadata["sources"]) == [
            {
                "source": "one.txt",
                "source_sha256": "11",
                "source_format": "glove",
                "words": "3",
                "vector_size": "2",
            },
            {"source": "two.bin", "source_sha256": "22", "words": "3", "vector_size": "3"},
        ]
    nested = fe.average([fe.concatenate([first, second]), second]).metadata
    assert json.loads(json.loads(nested["sources"])[0]["sources"])[0]["source"] == "one.txt"


def test_origins_that_agree_are_kept():
    tables = [EmbeddingTable(["a", "b"], [[1], [2]], origin=[2, 3]) for _ in range(3)]
    tables.append(EmbeddingTable(["b"], [[5]], origin=[0]))
    assert fe.average(tables).origin.tolist() == [Origin.NEW, Origin.TUNED]
    assert fe.average(tables).vectors.tolist() == [[1], [2.75]]


def test_the_size_of_blocks_does_not_matter(monkeypatch):
    random = np.random.default_rng(0)
    tables = [
        EmbeddingTable(
            [f"w{i}" for i in random.permutation(200)[:120]], random.normal(size=(120, size))
        )
        for size in (3, 5, 4)
    ]
    expected = [make(tables) for make in (fe.concatenate, fe.average)]
    monkeypatch.setattr(combine, "BLOCK", 7)
    for table, make in zip(expected, (fe.concatenate, fe.average), strict=True):
        again = make(tables)
        assert again.index_to_key == table.index_to_key
        assert again.vectors.tobytes() == table.vectors.tobytes()
    for word in expected[0].index_to_key:
        rows = [t[word].astype(np.float64) if word in t else None for t in tables]
        parts = [
            np.zeros(t.vector_size) if r is None else r for t, r in zip(tables, rows, strict=True)
        ]
        assert expected[0][word].tolist() == np.concatenate(parts).tolist()
        padded = [np.pad(row, (0, 5 - len(row))) for row in rows if row is not None]
        assert expected[1][word].tolist() == np.mean(padded, axis=0).astype(np.float32).tolist()


@pytest.mark.parametrize("make", [fe.concatenate, fe.average])
def test_memory_is_that_of_the_new_table_and_a_block(make):
    words = [f"w{i}" for i in range(50_000)]
    tables = [EmbeddingTable(words, np.ones((50_000, 64), np.float32)) for _ in range(2)]
    assert all("w0" in table for table in tables)
    tracemalloc.start()
    made = make(tables)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < made.vectors.nbytes + 34_000_000  # blocks, words, rows


def test_invalid_tables_and_keys(first, second):
    for tables in ([], [first], first, iter([first, second]), ["a.txt", "b.txt"], "ab"):
        message = (
            r"^tables is not a list of two or more tables; pass such a list, .*=\[glove, word2"
        )
        with pytest.raises(VocabularyError, match=message) as raised:
            fe.concatenate(tables)
        assert raised.value.value is tables
    with pytest.raises(VocabularyError, match=r"2 of 3 keys .* first is 'x'; pass keys=\[key for"):
        fe.average([first, second], ["a", "x", "y"])
    with pytest.raises(VocabularyError, match=r"keys='ab' is one string, .*; pass keys=\['ab'\]$"):
        fe.concatenate([first, second], "ab")
    with pytest.raises(VocabularyError, match="the key 1 is not a string; pass a list of words"):
        fe.average([first, second], ["a", 1])
    with pytest.raises(VocabularyError, match=r"the key 'a' is given twice; .*dict.fromkeys\(keys"):
        fe.concatenate([first, second], ["b", "a", "a"])


def test_a_combined_table_is_tuned_and_keeps_its_sources(first, second, tmp_path):
    import datasets

    both = fe.concatenate([first, second])
    texts = datasets.Dataset.from_dict({"text": ["a b", "c d"] * 8, "label": ["x", "y"] * 8})
    run = fe.finetune(both, texts, epochs=2, batch_size=4, output_dir=tmp_path)
    assert run.table.vectors.shape == (4, 5)
    (before,) = json.loads(fe.load(tmp_path).table.metadata["history"])
    assert before["sources"] == both.metadata["sources"]


# --- more words -----------------------------------------------------------------------------------


def bits(vectors) -> bytes:
    return np.ascontiguousarray(vectors).tobytes()


def test_new_words_are_appended(table):
    table.vectors[0, 0] = np.nan  # a row that is not used
    table.vectors[1, 1] = -0.0
    before, table.origin[2] = bits(table.vectors), Origin.TUNED
    longer = fe.extend(table, ["pear", "plum"], vectors=[[1, 2, 3], [4, 5, 6]])
    assert longer.index_to_key == [*table.index_to_key, "pear", "plum"]
    assert bits(longer.vectors[:5]) == before == bits(table.vectors)
    assert longer.vectors[5:].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert longer.origin.tolist() == [0, 0, 1, 0, 0, Origin.NEW, Origin.NEW]
    assert longer.metadata == {"source": "fixture"}
    assert len(table) == 5
    assert not np.shares_memory(longer.vectors, table.vectors)


def test_new_words_start_like_words_that_a_table_lacks(table):
    drawn = fe.extend(table, ["x", "King", "y"], fallback=("lower",), seed=4)
    assert drawn["King"].tolist() == [1.0, 0.5, 0.0]
    vocab = fe.Vocabulary({"x": 1, "King": 1, "y": 1})
    same = fe.to_embedding(table, vocab, fallback=("lower",), seed=4).weight[2:]
    assert bits(drawn.vectors[5:]) == bits(same.detach().numpy())
    assert fe.extend(table, ["x"], oov="zeros")["x"].tolist() == [0, 0, 0]
    assert fe.extend(table, ["x"], oov=lambda word: [1, 2, 3])["x"].tolist() == [1, 2, 3]
    assert fe.extend(table, []).index_to_key == table.index_to_key
    assert fe.extend(table, "pear").index_to_key[-1] == "pear"


@pytest.mark.parametrize("options", [{"oov": "subwords"}, {"fallback": ("subwords",)}])
def test_origin_marks_composed_words(table, options):
    class Composer:
        def compose(self, words):
            could = np.array([len(word) > 3 for word in words])
            return np.where(could[:, None], np.float32([7, 8, 9]), 0), could

    table.subwords = composer = Composer()
    longer = fe.extend(table, ["pear", "x"], **options)
    assert longer["pear"].tolist() == [7, 8, 9]
    assert longer.origin.tolist() == [0] * 5 + [Origin.COMPOSED, Origin.NEW]
    assert longer["x"].tolist() == fe.extend(table, ["x"])["x"].tolist()
    assert longer.subwords is composer


def test_an_extended_table_keeps_its_metadata_when_it_is_saved(table, tmp_path):
    table.metadata |= {"strategy": "FullTune", "history": "[]"}
    fe.save_safetensors(fe.extend(table, ["pear"], oov="zeros"), tmp_path / "t")
    back = fe.load_safetensors(tmp_path / "t")
    assert back.metadata.items() >= table.metadata.items()
    assert bits(back.vectors[:5]) == bits(table.vectors)
    assert back.origin.tolist() == [0] * 5 + [Origin.NEW]


def test_invalid_new_words(table):
    message = r"2 of 3 words are already in the table, the first is 'king'; pass extend\(table, \[w"
    with pytest.raises(VocabularyError, match=message):
        fe.extend(table, ["x", "king", "man"])
    with pytest.raises(VocabularyError, match=r"the word 'x' is given twice"):
        fe.extend(table, ["x", "y", "x"])
    for shape in ((2, 3), (1, 2), (3,)):
        message = r"vectors has the shape \(.*\); pass the shape \(1, 3\), one row per word"
        with pytest.raises(VocabularyError, match=message) as raised:
            fe.extend(table, ["x"], vectors=np.zeros(shape))
        assert raised.value.value == shape
    message = "vectors has 1 rows that are not finite, the first is that of 'y'; pass finite"
    with pytest.raises(VocabularyError, match=message):
        fe.extend(table, ["x", "y"], vectors=[[1, 2, 3], [1, np.inf, 3]])
    with pytest.raises(VocabularyError, match="the word 1 is not a string"):
        fe.extend(table, [1])
    with pytest.raises(VocabularyError, match="oov='subwords' needs subword vectors, which Embedd"):
        fe.extend(table, ["x"], oov="subwords")
