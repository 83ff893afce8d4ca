"""Model cards: valid metadata, what is known of a run, and code that runs."""

from __future__ import annotations

import re
import socket
from itertools import combinations
from types import MappingProxyType

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from huggingface_hub import ModelCard

import finetune_embed as fe

TEXTS = ["the good king", "a bad queen", "the king is good", "the queen is bad"]
WORDS = ["the", "good", "king", "a", "bad", "queen"]


@pytest.fixture(scope="module")
def run() -> fe.Run:
    rows = np.random.default_rng(2).normal(size=(len(WORDS), 5))
    table = fe.EmbeddingTable(WORDS, rows, {"source": "w|x.txt", "source_sha256": "ab" * 32})
    part = Dataset.from_dict({"text": TEXTS * 10, "label": ["good", "bad"] * 20})
    data = DatasetDict(train=part, validation=part, test=part)
    return fe.finetune(table, data, head="bag", epochs=3, lr=0.1)


@pytest.fixture
def offline(monkeypatch):
    def fails(*arguments: object) -> None:
        raise AssertionError("the network is used")

    monkeypatch.setattr(socket, "create_connection", fails)
    monkeypatch.setattr(socket.socket, "connect", fails)


def test_the_card_of_a_run(run, tmp_path, offline):
    fe.save_static(run, tmp_path / "tuned", license="mit")
    card = ModelCard.load(tmp_path / "tuned" / "README.md")
    assert card.data.to_dict() == {
        "license": "mit",
        "library_name": "model2vec",
        "pipeline_tag": "feature-extraction",
        "tags": [
            "embeddings",
            "static-embeddings",
            "finetune_embed",
            "sentence-transformers",
            "model2vec",
        ],
        "metrics": ["accuracy"],
    }
    lines = card.text.strip().splitlines()
    assert lines[0] == "# tuned"
    for line in (
        "Vectors of 7 tokens, 5 numbers each. The vector of a text is the mean of those of its "
        "tokens.",
        "| task | single\\_label |",
        "| labels | bad, good |",
        "| tokenizer | glove |",
        "| strategy | FullTune |",
        f"| epochs | {run.metrics['best_epoch'] + 1} of 3 |",
        "| tuned from | w\\|x.txt |",
        f"| its SHA-256 | {'ab' * 32} |",
        "| split | accuracy | texts | 95 % interval |",
        "| test | 100.00% | 40 | 91.24% to 100.00% |",
    ):
        assert line in lines, line
    assert "6 of 6 vectors moved, the others are bit-identical; new words: 1." in card.text
    movement = run.words["movement"]
    most = max(movement[run.words["word"].index(word)] for word in WORDS)
    assert f"Farthest moved: {run.words['word'][movement.index(most)]} ({most:.0%}), " in card.text


def test_word_similarity_before_and_after(run, tmp_path, monkeypatch):
    pairs = tmp_path / "p|1.tsv"
    unit = run.table.vectors / np.linalg.norm(run.table.vectors, axis=1, keepdims=True)
    rows = {word: unit[run.table.key_to_index[word]] for word in WORDS}
    given = [(a, b, float(rows[a] @ rows[b])) for a, b in combinations(WORDS, 2)]
    lines_of = "".join(f"{a}\t{b}\t{score}\n" for a, b, score in [*given, ("never", "the", 1)])
    pairs.write_text(lines_of)
    before = fe.evaluate_word_pairs(run.drift.base, pairs)
    assert before.spearman < 0.999
    scores = [f"{before.spearman:.3f} (15)", "1.000 (15)"]

    def lines(source: object, **options: object) -> list[str]:
        fe.save_card(source, tmp_path, **options)
        return (tmp_path / "README.md").read_text().splitlines()

    found = lines(run, word_pairs=[pairs])
    titles = "| file | pairs | before tuning | after |"
    assert titles in found
    assert f"| p\\|1.tsv | 16 | {scores[0]} | {scores[1]} |" in found
    assert found.index("## What tuning changed") < found.index(titles) < found.index("## Use")
    run.save(tmp_path / "run")
    saved = lines(tmp_path / "run", word_pairs=[pairs])
    assert f"| p\\|1.tsv | 16 | {scores[1]} |" in saved
    assert any("Before tuning it is not known: the vectors that it was" in one for one in saved)
    assert lines(tmp_path / "run", word_pairs=[pairs], base=run.drift.base) == found
    table = lines(run.table, word_pairs=[pairs])
    assert table[table.index("| file | pairs | Spearman |") + 2].endswith(f"| {scores[1]} |")
    assert "## Word similarity" not in lines(run)
    with pytest.raises(fe.DataError, match="can't be read"):
        lines(run, word_pairs=[tmp_path / "absent"])


def test_the_spread_of_an_ensemble(tmp_path):
    rows = np.random.default_rng(2).normal(size=(len(WORDS), 5))
    part = Dataset.from_dict({"text": TEXTS * 10, "label": ["a", "b", "b", "a"] * 10})
    settings = {"head": "bag", "epochs": 1, "ensemble": 3, "lr": 0.05, "lexical": False}
    table = fe.EmbeddingTable(WORDS, rows)
    run = fe.finetune(table, DatasetDict(train=part, validation=part), **settings)
    fe.save_card(run, tmp_path)
    alone = [run.metrics[f"member_{number}"]["accuracy"] for number in (1, 2, 3)]
    assert len(set(alone)) > 1
    end = f"; mean {np.mean(alone):.2%}, standard deviation {np.std(alone, ddof=1):.2%}."
    assert end in (tmp_path / "README.md").read_text()


def test_the_card_of_a_shrunk_run(run, tmp_path):
    fe.save_card(run, tmp_path, name="tuned")
    assert "shrunk" not in (tmp_path / "README.md").read_text()
    small = fe.shrink(run, words=4, dtype="int8")
    fe.save_card(small, tmp_path, name="small")
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert "| shrunk to | words 4, dtype int8 |" in lines
    (warning,) = small.metrics["warnings"]
    scores, moved = lines.index("## Scores"), lines.index("## What tuning changed")
    assert warning == "the scores are from before it was shrunk to words 4, dtype int8"
    assert f"{warning}.".capitalize() in lines[scores:moved]
    assert lines[moved + 2] == "This is from before it was shrunk to words 4, dtype int8."


def test_the_code_of_a_card_runs(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fe.save_static(run, "tuned")
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (tmp_path / "tuned/README.md").read_text(), re.M | re.S
    )
    ours, model2vec, transformers, gensim, torch = [{} for _ in blocks]
    for block, names in zip(blocks, (ours, model2vec, transformers, gensim, torch), strict=True):
        exec(block, names)
    assert ours["table"].vectors.tobytes() == run.table.vectors.tobytes()
    assert gensim["vectors"].index_to_key == run.table.index_to_key  # without `<unk>`, of zeros
    assert gensim["vectors"].vectors[:7].tobytes() == run.table.vectors.tobytes()
    assert transformers["vectors"].tolist() == torch["vector"].tolist()
    assert model2vec["vectors"][0].tolist() == run.table["a"].tolist()


def test_the_card_of_a_name_on_the_hub(run, tmp_path):
    fe.save_static(run, tmp_path / "tuned")
    fe.save_card(run, tmp_path / "tuned", name="org/tuned")
    text = (tmp_path / "tuned" / "README.md").read_text()
    assert "# org/tuned\n" in text
    for code in (
        'StaticModel.from_pretrained("org/tuned")',
        'SentenceTransformer("org/tuned")',
        'fe.load_vectors("hub:org/tuned")',
        'Tokenizer.from_file("tuned/tokenizer.json")',
    ):
        assert code in text
    fe.save_card(run, tmp_path, license="cc0-1.0")
    assert ModelCard.load(tmp_path / "README.md").data.license == "cc0-1.0"


def test_the_card_of_a_folder_without_a_tokenizer(tmp_path):
    """model2vec and sentence-transformers do not open it."""
    table = fe.EmbeddingTable(["a"], [[1.0, 2.0]])
    fe.save_safetensors(table, tmp_path / "one", shard_size="1GB")
    fe.save_card(table, tmp_path / "one")
    card = ModelCard.load(tmp_path / "one" / "README.md")
    assert card.data.library_name == "finetune_embed"
    assert card.data.tags == ["embeddings", "static-embeddings", "finetune_embed"]
    assert not re.search("model2vec|SentenceTransformer|mean|tokenizer", card.text)
    assert card.text.count("```python") == 1


def test_the_card_of_a_table(tmp_path):
    table = fe.EmbeddingTable(["a"], [[1.0, 2.0]])
    fe.save_card(table, tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "## Scores" not in text
    assert "## What tuning changed" not in text
    assert "metrics" not in ModelCard.load(tmp_path / "README.md").data.to_dict()
    table.metadata.update(
        source="---\n| # <b> `x` \udcff", strategy="Freeze", source_format="glove"
    )
    fe.save_card(table, tmp_path, license="a: [b]\n---")
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "a: [b]\n---"
    assert "| tuned from | ---\\\\n\\| \\# &lt;b> \\`x\\` \\\\udcff (glove) |" in card.text


def test_many_labels_are_cut_short(run, tmp_path):
    from dataclasses import replace

    task = replace(run.task, labels=[f"label {number}" for number in range(50)])
    fe.save_card(replace(run, task=task), tmp_path)
    assert "label 19 and 30 more |" in (tmp_path / "README.md").read_text()


def test_a_folder_without_its_card_does_not_appear(run, tmp_path):
    from dataclasses import replace

    broken = replace(run, metrics=MappingProxyType({"validation": {}}))
    with pytest.raises(KeyError):
        fe.save_static(broken, tmp_path / "tuned")
    assert list(tmp_path.iterdir()) == []
    fe.save_static(run, tmp_path / "tuned", license="mit")
    card = (tmp_path / "tuned" / "README.md").read_bytes()
    fe.save_card(run, tmp_path / "tuned", license="mit")
    assert (tmp_path / "tuned" / "README.md").read_bytes() == card
