"""The remedies of errors about tables and lexicons are followed."""

from __future__ import annotations

import numpy as np
import pytest
from following import follows

import finetune_embed as fe
from finetune_embed.cli import main


@follows("table/embedding_table.py", "one row per word")
def test_a_table_of_words_and_too_many_rows():
    index_to_key, vectors = ["a", "b"], np.ones((3, 4))
    with pytest.raises(fe.VocabularyError, match=r"call EmbeddingTable\(index_to_key, vectors\) w"):
        fe.EmbeddingTable(index_to_key, vectors)
    assert len(fe.EmbeddingTable(index_to_key, vectors[:2])) == 2


@follows("table/embedding_table.py", "pass only words of the table")
def test_a_subset_of_missing_words(table):
    keys = ["king", "pear"]
    with pytest.raises(fe.VocabularyError, match=r"subset\(k for k in keys if k in table\)$"):
        table.subset(keys)
    assert table.subset(k for k in keys if k in table).index_to_key == ["king"]


@follows("table/query.py", "leave out such words")
def test_a_query_with_a_missing_word(table, tmp_path, capsys):
    words = ["king", "pear"]
    with pytest.raises(fe.VocabularyError, match=r"; .*: \[word for word in words if word in ta"):
        table.most_similar(words)
    assert table.most_similar([word for word in words if word in table])
    fe.save_glove(table, tmp_path / "v.txt")
    for word, code in (("pear", 2), ("king", 0)):
        with pytest.raises(SystemExit) as stopped:
            main(["neighbors", str(tmp_path / "v.txt"), word])
        assert stopped.value.code == code
    assert capsys.readouterr().err.endswith("; give a word of the file\n")


@follows("table/query.py", "leave out such words")
def test_a_near_form_of_a_missing_word(table, tmp_path, capsys):
    with pytest.raises(fe.VocabularyError, match=r"'King' is not in .*; use 'king', which it has"):
        table.most_similar("King")
    path = str(tmp_path / "v.txt")
    fe.save_glove(table, path)
    for command in (["neighbors", path], ["drift", path, path, "--word"]):
        for word, code in (("king", 0), ("King", 2)):
            with pytest.raises(SystemExit) as stopped:
                main([*command, word])
            assert stopped.value.code == code
        assert capsys.readouterr().err.endswith("; give 'king', which it has\n")


@follows("table/query.py", "the query is empty")
def test_an_empty_query(table):
    with pytest.raises(fe.VocabularyError, match=r"such as table.most_similar\('king'\)$"):
        table.most_similar([])
    assert table.most_similar("king")


@follows("table/retrofit.py", "vectors still move")
def test_retrofitting_with_too_little_weight(table):
    lexicon = {"king": ["queen"], "queen": ["king"]}
    with pytest.raises(fe.VocabularyError, match=r"such as alpha=0.1$"):
        fe.retrofit(table, lexicon, alpha=1e-6)
    assert fe.retrofit(table, lexicon, alpha=0.1).origin.any()


@follows("table/retrofit.py", "give a list of words")
def test_a_lexicon_of_strings(table):
    with pytest.raises(fe.VocabularyError, match=r"a list of words, such as \['queen', 'man'\]$"):
        fe.retrofit(table, {"king": "queen man"})
    assert fe.retrofit(table, {"king": ["queen", "man"]}).origin.any()
