from __future__ import annotations

import numpy as np
import pytest
from gensim.models import KeyedVectors

from finetune_embed import EmbeddingTable, Origin, VocabularyError
from finetune_embed.table.neighbours import SEARCH_BLOCK


def test_rows_belong_to_words(table):
    assert (len(table), table.vector_size) == (5, 3)
    assert table.key_to_index == {"king": 0, "queen": 1, "man": 2, "woman": 3, "apple": 4}
    assert table["woman"].tolist() == [0.5, -0.5, 0.0]
    assert np.shares_memory(table["woman"], table.vectors)
    assert "king" in table
    assert "King" not in table
    assert table.rows_of(["apple", "pear", "king"]).tolist() == [4, -1, 0]
    with pytest.raises(KeyError):
        table["pear"]


def test_vectors_become_float32_and_rows_pretrained():
    table = EmbeddingTable(("a", "b"), [[1, 2], [3, 4]])
    assert table.vectors.dtype == np.float32
    assert table.index_to_key == ["a", "b"]
    assert table.metadata == {}
    assert table.origin.dtype == np.uint8
    assert table.origin.tolist() == [Origin.PRETRAINED] * 2


def test_float32_vectors_are_not_copied():
    vectors = np.ones((2, 2), np.float32)
    assert np.shares_memory(EmbeddingTable(["a", "b"], vectors).vectors, vectors)


def test_metadata_are_copied():
    metadata = {"source": "x"}
    table = EmbeddingTable(["a"], [[1.0]], metadata)
    table.metadata["source"] = "y"
    assert metadata == {"source": "x"}


@pytest.mark.parametrize("shape", [(3, 2), (2,), (2, 2, 2)])
def test_shapes_must_agree(shape):
    with pytest.raises(VocabularyError, match=r"2 words need vectors of shape \(2, D\), not \("):
        EmbeddingTable(["a", "b"], np.zeros(shape))


def test_origin_must_have_one_code_per_row():
    with pytest.raises(VocabularyError, match=r"origin must have the shape \(2,\), not \(3,\)"):
        EmbeddingTable(["a", "b"], np.zeros((2, 1)), origin=[0, 1, 2])


def test_a_word_in_two_rows_is_found_at_first_use():
    table = EmbeddingTable(["a", "b", "c", "b"], np.zeros((4, 1)))
    with pytest.raises(VocabularyError, match=r"the word 'b' is in rows 1 and 3, .*; remove one"):
        _ = "a" in table


def test_printing(table):
    assert repr(table) == "EmbeddingTable(5 words x 3)"
    assert str(table) == "EmbeddingTable(5 words x 3): source fixture"
    assert str(EmbeddingTable(["a"], [[1.0]])) == "EmbeddingTable(1 words x 1)"


def test_subset_copies_rows_in_the_given_order(table):
    table.origin[3] = Origin.TUNED
    small = table.subset(word for word in ("apple", "woman"))
    assert small.index_to_key == ["apple", "woman"]
    assert small.vectors.tolist() == [[0.0, 0.0, 2.0], [0.5, -0.5, 0.0]]
    assert small.origin.tolist() == [0, 1]
    assert small.metadata == {"source": "fixture"}
    small.vectors[:] = 9
    assert table["apple"].tolist() == [0.0, 0.0, 2.0]


def test_subset_counts_missing_words(table):
    with pytest.raises(
        VocabularyError, match=r"2 of 3 words are not in the table; the first is 'pear'; pass"
    ):
        table.subset(["king", "pear", "plum"])


def test_most_similar_against_angles(table):
    # king is at arctan(1/2) = 26.565 degrees, man at 45, queen at -26.565, apple at right angles.
    found = table.most_similar("king")
    assert [word for word, _ in found] == ["man", "queen", "woman", "apple"]
    expected = [3 / np.sqrt(10), 0.6, 1 / np.sqrt(10), 0.0]
    assert [cosine for _, cosine in found] == pytest.approx(expected, abs=1e-6)


def test_most_similar_takes_words_and_vectors_and_leaves_out_words_of_the_query(table):
    by_word = table.most_similar(["king", "woman"], negative="man", topn=2)
    assert [word for word, _ in by_word] == ["queen", "apple"]
    vector = table["king"]
    assert table.most_similar(vector, topn=1)[0][0] == "king"
    assert table.most_similar(vector.tolist(), topn=1)[0][0] == "king"
    assert table.most_similar([vector, "man"], topn=1)[0][0] == "king"
    assert len(table.most_similar("king", topn=100)) == 4


def test_most_similar_of_missing_words_and_wrong_shapes(table):
    with pytest.raises(VocabularyError, match="'pear' is not in the table"):
        table.most_similar("pear")
    with pytest.raises(VocabularyError, match=r"shape \(1,\), but the table needs \(3,\)"):
        table.most_similar(np.ones(1))


@pytest.mark.parametrize("topn", [0, -1])
def test_topn_must_be_positive(table, topn):
    with pytest.raises(VocabularyError, match=f"^topn={topn} must be 1 or more$"):
        table.most_similar("king", topn=topn)


def test_most_similar_of_an_empty_query(table):
    with pytest.raises(VocabularyError, match=r"query is empty; .* table.most_similar\('king'\)"):
        table.most_similar([])
    opposite = table.most_similar([], negative="king")
    assert [word for word, _ in opposite] == ["apple", "woman", "queen", "man"]


def test_zero_nan_and_infinite_rows_do_not_disturb_others():
    vectors = [[1.0, 0.0], [0.0, 0.0], [np.nan, 1.0], [1.0, 1.0], [np.inf, 1.0]]
    table = EmbeddingTable(["a", "zero", "nan", "b", "inf"], vectors)
    assert table.most_similar("inf") == []
    found = table.most_similar("a")
    assert [word for word, _ in found] == ["b", "zero"]
    assert [cosine for _, cosine in found] == pytest.approx([np.sqrt(0.5), 0.0])


@pytest.mark.parametrize("seed", range(5))
def test_most_similar_equals_gensim(seed):
    random = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(300)]
    table = EmbeddingTable(words, random.normal(size=(300, 8)).astype(np.float32))
    keyed = table.to_keyed_vectors()
    for positive, negative in (("w0", []), (["w1", "w2"], ["w3"]), (["w4"], ["w5", "w6"])):
        ours = table.most_similar(positive, negative, topn=20)
        theirs = keyed.most_similar(positive, negative, topn=20)
        assert [word for word, _ in ours] == [word for word, _ in theirs]
        assert [c for _, c in ours] == pytest.approx([c for _, c in theirs], abs=1e-6)


def test_vectors_in_a_query_keep_their_length_as_in_gensim():
    vectors = np.array([[10, 0], [0, 0.1], [1, 1], [5, 1]], np.float32)
    table = EmbeddingTable(list("abcd"), vectors)
    keyed = table.to_keyed_vectors()
    for positive, negative in (([vectors[0], vectors[1]], []), (["b", vectors[0]], [vectors[2]])):
        ours = table.most_similar(positive, negative, topn=2)
        theirs = keyed.most_similar(positive, negative, topn=2)
        assert [word for word, _ in ours] == [word for word, _ in theirs]
        assert [c for _, c in ours] == pytest.approx([c for _, c in theirs], abs=1e-6)
    assert table.most_similar(list(vectors[1]), topn=1) == table.most_similar(vectors[1], topn=1)
    assert table.most_similar(np.array(["a", "b"])) == table.most_similar(["a", "b"])


def test_lengths_whose_squares_overflow_float32():
    rows = [[3e19, 0], [3e19, 1e19], [1e-23, 1e-23], [0, 0], [np.inf, 0]]
    table = EmbeddingTable(list("abcde"), np.array(rows, np.float32))
    (first, second, *rest) = table.most_similar("a")
    assert first == ("b", pytest.approx(3 / np.sqrt(10), abs=1e-6))
    assert second == ("c", pytest.approx(np.sqrt(0.5), abs=1e-6))
    assert rest == [("d", 0.0)]
    assert table.most_similar("c", topn=1) == [("b", pytest.approx(4 / np.sqrt(20), abs=1e-6))]


def test_search_crosses_block_borders():
    vectors = np.zeros((SEARCH_BLOCK + 2, 2), np.float32)
    vectors[:, 0] = 1
    vectors[SEARCH_BLOCK + 1] = [0.6, 0.8]
    vectors[SEARCH_BLOCK - 1] = [0.0, 1.0]
    table = EmbeddingTable([str(i) for i in range(len(vectors))], vectors)
    found = table.nearest(np.array([[0.0, 2.0], [3.0, 0.0]], np.float32), 2, [[], [0]])
    assert [word for word, _ in found[0]] == [str(SEARCH_BLOCK - 1), str(SEARCH_BLOCK + 1)]
    assert [cosine for _, cosine in found[0]] == pytest.approx([1.0, 0.8])
    assert "0" not in [word for word, _ in found[1]]
    assert [cosine for _, cosine in found[1]] == [1.0, 1.0]


def test_keyed_vectors_round_trip(random_table):
    keyed = random_table.to_keyed_vectors()
    assert keyed.index_to_key == random_table.index_to_key
    assert keyed.key_to_index == random_table.key_to_index
    assert keyed.vectors.dtype == np.float32
    assert np.array_equal(keyed.vectors, random_table.vectors)
    assert not np.shares_memory(keyed.vectors, random_table.vectors)
    back = EmbeddingTable.from_keyed_vectors(keyed)
    assert back.index_to_key == random_table.index_to_key
    assert back.vectors.tobytes() == random_table.vectors.tobytes()
    assert not np.shares_memory(keyed.vectors, back.vectors)
    assert back.metadata == {"source_format": "gensim"}


def test_keyed_vectors_with_the_none_key_that_gensim_leaves_for_a_duplicate():
    keyed = KeyedVectors(2)
    keyed.index_to_key = ["a", None, "b"]
    keyed.vectors = np.array([[1, 2], [0, 0], [3, 4]], np.float32)
    table = EmbeddingTable.from_keyed_vectors(keyed)
    assert table.index_to_key == ["a", "b"]
    assert table.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0]]
