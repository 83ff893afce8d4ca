"""The remedies of the errors of `save_static` are followed."""

from __future__ import annotations

import pytest
from following import follows

import finetune_embed as fe


@follows("sharing/static.py", "a static embedding model has a row for each")
def test_a_table_with_other_words_than_its_tokenizer(golden, tmp_path):
    table = fe.load_static(golden / "static" / "model2vec")
    for other in (table.subset(["the", "café"]), fe.extend(table, ["new"])):
        with pytest.raises(fe.VectorFileError, match=r"use save_safetensors\(table, path\)"):
            fe.save_static(other, tmp_path / "model")
        fe.save_safetensors(other, tmp_path / "table.safetensors")
        again = fe.load_vectors(tmp_path / "table.safetensors")
        assert (again.index_to_key, again.tokenizer) == (other.index_to_key, table.tokenizer)
