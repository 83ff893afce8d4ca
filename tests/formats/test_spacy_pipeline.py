"""`save_spacy(..., lang=...)`: a folder that `spacy.load` opens, as `spacy init vectors` makes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed import EmbeddingTable, VectorFileError
from finetune_embed.cli import main
from finetune_embed.errors import MissingPackageError

FILES = ["config.cfg", "meta.json", "tokenizer", "vocab"]
WORDS = ["works", "like", "café", "NUM", "not", "🙂", "日本語", "n't"]


@pytest.fixture
def words() -> EmbeddingTable:
    """More rows than a block of the writer has, of every finite float32."""
    bits = np.random.default_rng(0).integers(0, 1 << 32, (70_000, 3), np.uint32)
    vectors = bits.view(np.float32)
    vectors[~np.isfinite(vectors)] = 0.0
    vectors[: len(WORDS)] = np.random.default_rng(1).normal(size=(len(WORDS), 3))
    return EmbeddingTable([*WORDS, *(f"w{n}" for n in range(len(WORDS), 70_000))], vectors)


@pytest.mark.slow  # the first of these tests imports spaCy
def test_spacy_opens_it_with_every_row(words: EmbeddingTable, tmp_path: Path) -> None:
    import spacy

    fe.save_spacy(words, tmp_path / "p", lang="en")
    assert sorted(os.listdir(tmp_path / "p")) == FILES
    nlp = spacy.load(tmp_path / "p")
    assert (nlp.lang, nlp.pipe_names) == ("en", [])
    keys = [nlp.vocab.strings[word] for word in words.index_to_key]
    assert nlp.vocab.vectors.find(keys=keys).tolist() == list(range(len(words)))
    assert nlp.vocab.vectors.data.tobytes() == words.vectors.tobytes()
    document = nlp("works like a café, doesn't it?")
    assert [token.text for token in document if token.has_vector] == [
        "works",
        "like",
        "café",
        "n't",
    ]
    other = nlp("not 🙂")
    means = [words.vectors[rows].mean(axis=0) for rows in ([0, 1], [4, 5])]
    cosine = means[0] @ means[1] / np.prod([np.linalg.norm(mean) for mean in means])
    assert document[:2].similarity(other) == pytest.approx(cosine, rel=1e-5)
    back = fe.load_vectors(tmp_path / "p")
    assert back.index_to_key == words.index_to_key
    assert back.vectors.tobytes() == words.vectors.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "xx", "zh", "eng"])
def test_it_is_what_spacy_init_vectors_makes(lang: str, golden: Path, tmp_path: Path) -> None:
    from spacy.training.initialize import convert_vectors
    from spacy.util import get_lang_class

    source = golden / "tiny.word2vec.txt"
    nlp = get_lang_class(lang)()
    convert_vectors(nlp, source, truncate=0, prune=-1)
    nlp.to_disk(tmp_path / "theirs")
    fe.save_spacy(fe.load_vectors(source), tmp_path / "ours", lang=lang)
    ours, theirs = (
        {path.relative_to(tmp_path / name).as_posix(): path for path in files if path.is_file()}
        for name in ("ours", "theirs")
        for files in [(tmp_path / name).rglob("*")]
    )
    assert theirs.keys() - ours.keys() == {"vocab/lookups.bin"}  # it has none, which is the default
    assert not ours.keys() - theirs.keys()
    differ = {name for name in ours if ours[name].read_bytes() != theirs[name].read_bytes()}
    assert differ == {"meta.json", "vocab/strings.json", "vocab/vectors.cfg"}
    meta = json.loads(ours["meta.json"].read_text("utf-8"))
    assert len(meta.pop("finetune_embed")) == 16
    assert meta == json.loads(theirs["meta.json"].read_text("utf-8"))
    assert meta["vectors"]["name"] == f"{nlp.lang}_pipeline.vectors"
    strings = json.loads(ours["vocab/strings.json"].read_text("utf-8"))
    assert {*strings} <= {*json.loads(theirs["vocab/strings.json"].read_text("utf-8"))}


@pytest.mark.slow
def test_its_vocabulary_is_the_folder_that_is_written_without_lang(
    table: EmbeddingTable, tmp_path: Path
) -> None:
    fe.save_spacy(table, tmp_path / "v")
    fe.save_spacy(table, tmp_path / "p", lang="de")
    assert sorted(os.listdir(tmp_path / "v")) == sorted(os.listdir(tmp_path / "p" / "vocab"))
    for path in (tmp_path / "v").iterdir():
        assert path.read_bytes() == (tmp_path / "p" / "vocab" / path.name).read_bytes()


@pytest.mark.slow
def test_a_component_is_trained_on_its_vectors(tmp_path: Path) -> None:
    """`[initialize] vectors` takes the folder."""
    import spacy

    table = EmbeddingTable(["good", "bad"], np.float32([[1, 0], [0, 1]]))
    fe.save_spacy(table, tmp_path / "p", lang="en")
    nlp = spacy.blank("en", config={"initialize": {"vectors": str(tmp_path / "p")}})
    nlp.initialize()
    assert nlp.vocab["bad"].vector.tolist() == [0.0, 1.0]


@pytest.mark.slow
def test_the_command(tmp_path: Path, golden: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import spacy

    source, out = golden / "tiny.glove.txt", tmp_path / "p"
    with pytest.raises(SystemExit) as stopped:
        main(["convert", str(source), str(out), "--lang", "en"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.endswith(f"{out}: spacy pipeline, 5 words x 3\n")
    assert spacy.load(out).meta["vectors"]["keys"] == 5


def test_spacy_is_needed_for_a_pipeline_alone(
    table: EmbeddingTable, tmp_path: Path, missing: Callable[[str], None]
) -> None:
    missing("spacy")
    with pytest.raises(MissingPackageError) as caught:
        fe.save_spacy(table, tmp_path / "p", lang="en")
    assert str(caught.value) == 'spacy is not installed; pip install "finetune_embed[spacy]"'
    assert os.listdir(tmp_path) == []
    fe.save_spacy(table, tmp_path / "p")
    assert len(fe.load_vectors(tmp_path / "p")) == 5


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["english", "", "xx-", "punctuation", "en.stop_words", "..", 5])
def test_what_is_not_a_language(lang: str, table: EmbeddingTable, tmp_path: Path) -> None:
    with pytest.raises(VectorFileError, match=r"^lang=.* is not a language that spaCy has; ") as at:
        fe.save_spacy(table, tmp_path / "p", lang=lang)
    assert (at.value.option, at.value.value) == ("lang", lang)
    assert os.listdir(tmp_path) == []
