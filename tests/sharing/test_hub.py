"""Models to and from the Hub, with stand-ins for its client."""

from __future__ import annotations

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from datasets import Dataset
from huggingface_hub.errors import LocalEntryNotFoundError

import finetune_embed as fe


class Hub:
    """A stand-in for the client of the Hub: a folder for each model."""

    def __init__(self, root: Path) -> None:
        self.root, self.made, self.fetched = root, {}, []
        self.is_offline = False

    def api(self, token: str | None = None) -> Hub:
        self.token = token
        return self

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> str:
        if self.is_offline:
            raise ConnectionError("no route to the host\nand more")
        assert exist_ok
        self.made.setdefault(repo_id, private)
        return f"https://hub.example/{repo_id}"

    def model_info(self, repo_id: str) -> SimpleNamespace:
        return SimpleNamespace(private=bool(self.made[repo_id]))

    def upload_folder(self, *, repo_id: str, folder_path: Path, ignore_patterns: list[str]) -> None:
        for file in Path(folder_path).rglob("*"):
            name = file.relative_to(folder_path).as_posix()
            if file.is_file() and not any(fnmatch(name, one) for one in ignore_patterns):
                (self.root / repo_id / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, self.root / repo_id / name)

    def snapshot_download(self, repo_id: str, *, allow_patterns: list[str]) -> str:
        if self.is_offline:
            raise LocalEntryNotFoundError("cannot find the model, and the Hub does not answer")
        folder = self.root / "cache" / repo_id.replace("/", "--") / "snapshots" / ("0" * 40)
        for file in sorted((self.root / repo_id).rglob("*")):
            name = file.relative_to(self.root / repo_id).as_posix()
            if file.is_file() and any(fnmatch(name, one) for one in allow_patterns):
                self.fetched.append(name)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).unlink(missing_ok=True)
                (folder / name).symlink_to(file)  # as in the cache of the client
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def files(self, name: str) -> list[str]:
        folder = self.root / name
        return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*"))


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Hub:
    made = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", made.api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot_download)
    return made


STATIC = ["README.md", "config.json", "model.safetensors", "modules.json", "tokenizer.json"]


def test_a_table_there_and_back(hub, table):
    address = fe.push_to_hub(table, "org/words", private=True, license="mit", token="secret")
    assert address == "https://hub.example/org/words"
    assert hub.made == {"org/words": True}
    assert hub.token == "secret"
    assert hub.files("org/words") == STATIC
    card = (hub.root / "org/words/README.md").read_text()
    assert "license: mit\n" in card
    assert 'fe.load_vectors("hub:org/words")' in card
    again = fe.load_vectors("hub:org/words")
    assert sorted(hub.fetched) == STATIC[1:]
    assert again.index_to_key == table.index_to_key
    assert again.vectors.tobytes() == table.vectors.tobytes()
    assert again.metadata["source"] == "hub:org/words/model.safetensors"
    assert fe.load_vectors("hub:org/words", keys=["man"]).index_to_key == ["man"]


@pytest.fixture
def run(table, tmp_path) -> fe.Run:
    data = Dataset.from_dict({"text": ["king man", "queen woman"] * 8, "label": [0, 1] * 8})
    return fe.finetune(table, data, head="bag", epochs=1, output_dir=tmp_path / "run")


def test_a_run_and_its_folder(hub, run, tmp_path):
    fe.push_to_hub(run, "org/run")
    fe.push_to_hub(tmp_path / "run", "org/folder")
    for name in ("org/run", "org/folder"):
        assert hub.files(name) == STATIC
        pushed = "".join(file.read_text("latin-1") for file in (hub.root / name).iterdir())
        assert str(tmp_path) not in pushed
    first, second = ((hub.root / f"org/{name}/model.safetensors") for name in ("run", "folder"))
    assert first.read_bytes() == second.read_bytes()
    assert "accuracy" in (hub.root / "org/folder/README.md").read_text()


def test_what_the_card_and_the_folder_take(hub, run, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("king\tman\t1\nking\tqueen\t3\nwoman\tqueen\t2\n")
    options = {"license": "mit", "word_pairs": [pairs], "base": run.drift.base}
    fe.push_to_hub(tmp_path / "run", "org/model", onnx=True, **options)
    fe.save_static(run, tmp_path / "model", onnx=True)
    fe.save_card(run, tmp_path / "model", name="org/model", **options)
    written = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert len(written) == len(STATIC) + 2
    for path in written:
        pushed = hub.root / "org/model" / path.relative_to(tmp_path / "model")
        assert pushed.read_bytes() == path.read_bytes()
    assert "| pairs.tsv | 3 |" in (hub.root / "org/model/README.md").read_text()


def test_a_folder_is_pushed_as_it_is_without_hidden_files(hub, table, tmp_path):
    fe.save_static(table, tmp_path / "model")
    (tmp_path / "model" / "onnx").mkdir()
    (tmp_path / "model" / "onnx" / "model.onnx").write_bytes(b"3")
    (tmp_path / "model" / ".README.md.0123abcd").write_text("a part")
    (tmp_path / "model" / "onnx" / ".env").write_text("TOKEN=secret")
    (tmp_path / "model" / ".git" / "deep").mkdir(parents=True)
    (tmp_path / "model" / ".git" / "deep" / "config").write_text("[core]")
    (tmp_path / "model" / "onnx" / ".cache").mkdir()
    (tmp_path / "model" / "onnx" / ".cache" / "part").write_text("a part")
    fe.push_to_hub(str(tmp_path / "model"), "org/model", word_pairs=[])
    assert hub.files("org/model") == sorted([*STATIC, "onnx", "onnx/model.onnx"])
    fe.load_vectors("hub:org/model")
    assert "onnx/model.onnx" not in hub.fetched


def test_a_public_model_gets_nothing_private(hub, table):
    fe.push_to_hub(table, "org/open", private=True)
    fe.push_to_hub(table, "org/open", private=True)  # as it is
    hub.made["org/open"] = None
    before = (hub.root / "org/open/model.safetensors").read_bytes()
    with pytest.raises(fe.DataError) as raised:
        fe.push_to_hub(fe.EmbeddingTable(["a"], [[1.0]]), "org/open", private=True)
    assert str(raised.value) == (
        "org/open: private=True does not fit this model, which is public already; nothing was "
        "pushed; make it private on the Hub first, or leave private out"
    )
    assert (hub.root / "org/open/model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "name", ["model2vec", "sentence-transformers", "sentence-transformers-before"]
)
def test_folders_of_the_libraries_are_read_without_other_files(hub, golden, name):
    folder = shutil.copytree(golden / "static" / name, hub.root / "org" / name)
    for other in ("pytorch_model.bin", "vectors.pkl", "model.py", "model.onnx", "README.md"):
        (folder / other).write_bytes(b"\x80\x04.")
    again = fe.load_vectors(f"hub:org/{name}")
    assert fe.load_static(f"hub:org/{name}").metadata == again.metadata
    expected = fe.load_vectors(golden / "static" / name)
    assert again.index_to_key == expected.index_to_key
    assert again.vectors.tobytes() == expected.vectors.tobytes()
    assert again.tokenizer == expected.tokenizer
    assert {Path(one).name for one in hub.fetched} <= set(STATIC[1:])


def test_tables_of_ours(hub, table, run, tmp_path):
    shutil.copytree(tmp_path / "run", hub.root / "org" / "run")
    assert fe.load_vectors("hub:org/run").vectors.tobytes() == run.table.vectors.tobytes()
    assert "lexical.safetensors" not in hub.fetched
    fe.save_safetensors(table, tmp_path / "shards", shard_size=24)
    shutil.copytree(tmp_path / "shards", hub.root / "org" / "shards")
    for load in (fe.load_vectors, fe.load_safetensors):
        assert load("hub:org/shards").vectors.tobytes() == table.vectors.tobytes()


def test_a_folder_of_one_file_is_pushed(hub, table, tmp_path):
    fe.save_safetensors(table, tmp_path / "one", shard_size="1MB")
    fe.save_card(table, tmp_path / "one")
    fe.push_to_hub(tmp_path / "one", "org/one")
    assert hub.files("org/one") == ["README.md", "model.safetensors"]
    assert fe.load_vectors("hub:org/one").vectors.tobytes() == table.vectors.tobytes()
    assert fe.load_safetensors("hub:org/one").vectors.tobytes() == table.vectors.tobytes()
    data = Dataset.from_dict({"text": ["king man", "queen woman"] * 8, "label": [0, 1] * 8})
    tuned = fe.finetune(str(tmp_path / "one"), data, head="bag", strategy="Freeze", epochs=1)
    assert tuned.record["source_sha256"] == fe.inspect(tmp_path / "one").sha256


def test_finetune_takes_a_name_on_the_hub(hub, table, run, tmp_path):
    fe.push_to_hub(table, "org/words")
    shutil.copytree(tmp_path / "run", hub.root / "org" / "run")
    data = Dataset.from_dict({"text": ["king man", "queen woman"] * 8, "label": [0, 1] * 8})
    fe.save_safetensors(table, tmp_path / "shards", shard_size=24)
    shutil.copytree(tmp_path / "shards", hub.root / "org" / "shards")
    for name, file, start in (
        ("org/words", "/model.safetensors", table),
        ("org/run", "/embedding.safetensors", run.table),
        ("org/shards", "", table),
    ):
        tuned = fe.finetune(f"hub:{name}", data, head="bag", strategy="Freeze", epochs=1)
        assert tuned.settings["vectors"] == f"hub:{name}"
        assert tuned.record["source"] == f"hub:{name}{file}"
        assert tuned.table.metadata["source"] == f"hub:{name}{file}"
        assert tuned.table.vectors.tobytes() == start.vectors.tobytes()
        assert len(tuned.record["source_sha256"]) == 64


def test_commands_take_a_name_on_the_hub(hub, table, capsys):
    from finetune_embed.cli import main

    fe.push_to_hub(table, "org/words")
    with pytest.raises(SystemExit) as stopped:
        main(["neighbors", "hub:org/words", "king", "--json"])
    assert stopped.value.code == 0
    assert "queen" in json.dumps(json.loads(capsys.readouterr().out))


def test_inspect_takes_a_name_on_the_hub(hub, table, run, tmp_path, capsys):
    from finetune_embed.cli import main

    fe.push_to_hub(table, "org/words")
    shutil.copytree(tmp_path / "run", hub.root / "org" / "run")
    for name, words in (("org/words", len(table)), ("org/run", len(run.table))):
        report = fe.inspect(f"hub:{name}")
        assert (report.path, report.words) == (f"hub:{name}", words)
        with pytest.raises(SystemExit) as stopped:
            main(["inspect", f"hub:{name}", "--json"])
        assert stopped.value.code == 0
        assert json.loads(capsys.readouterr().out)["words"] == words


def test_nothing_is_fetched_by_surprise(hub, table, tmp_path, monkeypatch):
    fe.push_to_hub(table, "org/words")
    monkeypatch.chdir(tmp_path)
    for given in ("org/words", Path("hub:org/words"), "words", Path("org/words")):
        with pytest.raises(fe.VectorFileError, match="no such file"):
            fe.load_vectors(given)
    assert hub.fetched == []
    fe.save_safetensors(table, "hub:here")
    assert len(fe.load_vectors("hub:here")) == 5
    assert hub.fetched == []


def test_without_a_connection(hub, table, tmp_path):
    fe.push_to_hub(table, "org/words")
    hub.is_offline = True
    with pytest.raises(fe.VectorFileError) as raised:
        fe.load_vectors("hub:org/words")
    assert str(raised.value) == (
        "hub:org/words: cannot be fetched from the Hub: cannot find the model, and the Hub does "
        "not answer; check its name, org/model, and the connection; or pass a local folder"
    )
    with pytest.raises(fe.DataError, match="did not take the files: no route to the host;"):
        fe.push_to_hub(table, "org/words")


def test_the_client_itself_refuses_a_name_that_is_none():
    for name in ("hub:", "hub:../x", "hub:a/b/c"):
        with pytest.raises(fe.VectorFileError, match="Hub: Repo id must"):
            fe.load_vectors(name)


def test_a_model_without_vectors(hub, table, tmp_path):
    (hub.root / "org" / "other").mkdir(parents=True)
    (hub.root / "org" / "other" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(fe.VectorFileError, match="no file of vectors that is read from the Hub"):
        fe.load_vectors("hub:org/other")
    for wrong in (tmp_path / "absent", tmp_path / "hub"):
        with pytest.raises(fe.VectorFileError):
            fe.push_to_hub(wrong, "org/model")
    assert hub.made == {}
