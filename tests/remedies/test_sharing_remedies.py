"""The remedies of the errors of `save_static` are followed."""

from __future__ import annotations

from types import SimpleNamespace

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


class Hub:
    """Stands in for the client of the Hub; it takes files only with a token."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token

    def create_repo(self, name: str, **options: object) -> str:
        if self.token is None:
            raise PermissionError("who are you?")
        return f"https://hub.example/{name}"

    def upload_folder(self, **options: object) -> None:
        assert self.token

    def model_info(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(private=False)


@follows("sharing/hub.py", "did not take the files")
def test_the_hub_asks_for_a_token(table, monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    with pytest.raises(fe.DataError, match=r"who are you\?; check .* or give token=\.\.\."):
        fe.push_to_hub(table, "org/model")
    assert fe.push_to_hub(table, "org/model", token="mine") == "https://hub.example/org/model"


@follows("sharing/hub.py", "which is pushed as it is")
def test_the_licence_of_a_folder(table, tmp_path):
    fe.save_static(table, tmp_path / "model")
    with pytest.raises(fe.DataError, match=r"save_card\(table, folder, license=\.\.\.\)"):
        fe.push_to_hub(tmp_path / "model", "org/model", license="mit")
    fe.save_card(table, tmp_path / "model", license="mit")
    assert "license: mit" in (tmp_path / "model" / "README.md").read_text()
    with pytest.raises(fe.DataError, match=r"^onnx=True is .*static\(table, new_folder, onnx="):
        fe.push_to_hub(tmp_path / "model", "org/model", onnx=True)
    fe.save_static(table, tmp_path / "new", onnx=True)
    assert (tmp_path / "new" / "onnx" / "model.onnx").is_file()
    for option in ({"word_pairs": ["pairs.tsv"]}, {"base": table}):
        with pytest.raises(fe.DataError, match=rf"folder, {next(iter(option))}=\.\.\.\)$"):
            fe.push_to_hub(tmp_path / "model", "org/model", **option)


@follows("sharing/hub.py", "which is public already")
def test_a_public_model(table, monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    with pytest.raises(fe.DataError, match="or leave private out"):
        fe.push_to_hub(table, "org/model", private=True, token="mine")
    assert fe.push_to_hub(table, "org/model", token="mine") == "https://hub.example/org/model"
