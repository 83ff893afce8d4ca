"""What `save_static` writes, in model2vec and sentence-transformers: tokens, rows and vectors."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import unicodedata
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model2vec import StaticModel
from tokenizers import Tokenizer as Pipeline
from tokenizers import models, normalizers, pre_tokenizers, trainers
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.vocabulary import CONVENTIONS

#: What rounding adds to means of thousands of rows, which the libraries sum in another order.
SUMS = 5e-5
SENTENCE = "the king 's n't do , . u.s. naïve café 東 日本 i̇stanbul straße ||| 3,000.5 '"
WORDS = SENTENCE.split()
TEXTS = [
    "The KING’s café, naïve; 3,000.5",
    "don't, Don’t DO u.s.",
    "İstanbul STRASSE straße 東京 日本",
    "cafe\u0301 \u212b \u3000 \x1c the",
    "xyzzy the plugh king",
    "xyzzy",
    "",
    "  ",
    "🙂🙂 <unk> the <pad>",
    "the king , xyzzy . " * 3_000,
]


@pytest.fixture
def words() -> fe.EmbeddingTable:
    rows = np.random.default_rng(3).normal(size=(len(WORDS), 4)).astype(np.float32)
    return fe.EmbeddingTable(WORDS, rows)


def in_sentence_transformers(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def pieces_in(model: StaticModel, texts: list[str]) -> list[list[str]]:
    return [[model.tokens[number] for number in ids] for ids in model.tokenize(texts)]


def means(table: fe.EmbeddingTable, texts: list[str]) -> np.ndarray:
    """Return our frozen mean vector of each text; an unknown word has a row of zeros."""
    tokenizer = fe.Tokenizer.for_table(table)
    vocab = fe.Vocabulary(dict.fromkeys(table.index_to_key, 0), tokenizer)
    weight = fe.to_embedding(table, vocab).weight
    ids, offsets = vocab.encode(texts)
    return functional.embedding_bag(ids, weight, offsets, mode="mean").detach().numpy()


def test_a_table_of_words_in_both_libraries(words, tmp_path):
    fe.save_static(words, tmp_path / "model")
    theirs = StaticModel.from_pretrained(tmp_path / "model")
    assert (theirs.max_length, theirs.normalize) == (None, False)
    assert list(theirs.tokens) == [*WORDS, "<unk>"]
    assert theirs.embedding.dtype == np.float32
    assert theirs.embedding[:-1].tobytes() == words.vectors.tobytes()
    assert not theirs.embedding[-1].any()
    other = in_sentence_transformers(tmp_path / "model")
    assert other[0].embedding.weight.detach().numpy().tobytes() == theirs.embedding.tobytes()
    expected = means(words, TEXTS)
    np.testing.assert_allclose(other.encode(TEXTS), expected, atol=SUMS)
    tokens = [fe.Tokenizer.for_table(words).tokenize(text) for text in TEXTS]
    known = [[token for token in text if token in words] for text in tokens]
    assert pieces_in(theirs, TEXTS) == known
    assert max(map(len, known)) > 8_000  # not truncated
    # model2vec leaves unknown words out: the direction is the same, and the length n / k times ours
    longer = [len(text) / max(1, len(found)) for text, found in zip(tokens, known, strict=True)]
    assert longer[4] == 2
    expected *= np.array(longer, np.float32)[:, None]
    np.testing.assert_allclose(theirs.encode(TEXTS), expected, atol=SUMS)


def test_round_trip_of_a_table_of_words(words, tmp_path):
    words.origin[2] = fe.Origin.TUNED
    fe.save_static(words, tmp_path / "model")
    for load in (fe.load_vectors, fe.load_static):
        again = load(tmp_path / "model")
        assert again.index_to_key == WORDS
        assert again.vectors.tobytes() == words.vectors.tobytes()
        assert again.tokenizer is None
        assert fe.Tokenizer.for_table(again) == fe.Tokenizer.for_table(words)
    assert fe.load_static(tmp_path / "model", limit=99).index_to_key == WORDS
    assert fe.load_static(tmp_path / "model", limit=2).index_to_key == WORDS[:2]
    assert fe.load_static(tmp_path / "model", keys=["<unk>", "king"]).index_to_key == ["king"]
    fe.save_static(again, tmp_path / "again")
    for file in (tmp_path / "model").glob("*[!d]"):  # the card has the name of the folder
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_a_table_with_a_row_for_unknown_words(tmp_path):
    table = fe.EmbeddingTable(["<unk>", "the", "king"], [[1, 2], [3, 4], [5, 6]])
    fe.save_static(table, tmp_path / "model")
    again = fe.load_vectors(tmp_path / "model")
    assert again.index_to_key == ["<unk>", "the", "king"]
    texts = ["xyzzy the", "xyzzy"]
    found = in_sentence_transformers(tmp_path / "model").encode(texts)
    assert found.tolist() == [[2, 3], [1, 2]] == means(table, texts).tolist()
    assert StaticModel.from_pretrained(tmp_path / "model").encode(texts).tolist() == [
        [3, 4],
        [0, 0],
    ]


@pytest.fixture(scope="module", params=CONVENTIONS)
def convention(request, tmp_path_factory):
    """A run with a convention and special tokens, and the pipeline of its folder."""
    texts = ["The king don’t <user> do .", "the cafe\u0301 , I̊ '"]
    tokenizer = replace(CONVENTIONS[request.param], specials=("<user>", "n't"))
    words = fe.Vocabulary.from_texts(texts, tokenizer).words
    rows = np.random.default_rng(1).normal(size=(len(words), 3))
    data = Dataset.from_dict({"text": texts * 6, "label": [0, 1] * 6})
    run = fe.finetune(
        fe.EmbeddingTable(words, rows), data, tokenizer=tokenizer, head="bag", epochs=1, min_count=1
    )
    folder = tmp_path_factory.mktemp("run") / "model"
    fe.save_static(run, folder)
    return run, folder


def of_run(run: fe.Run, texts: list[str]) -> np.ndarray:
    """Return the mean vectors of the model of a run, which has a row for unknown words."""
    ids, offsets = run.vocab.encode(texts)
    weight = run.model.embedding.weight
    return functional.embedding_bag(ids, weight, offsets, mode="mean").detach().numpy()


def test_a_run_with_special_tokens(convention):
    run, folder = convention
    texts = [*TEXTS[:8], "<user>the <USER> n't"]
    found = in_sentence_transformers(folder).encode(texts)
    np.testing.assert_allclose(found, of_run(run, texts), atol=1e-6)
    again = fe.load_vectors(folder)
    assert again.subset(run.table.index_to_key).vectors.tobytes() == run.table.vectors.tobytes()
    assert set(again.index_to_key) - set(run.table.index_to_key) <= {"<unk>"}
    assert not again.tokenizer.drops_unknown
    unknown = fe.Vocabulary.from_texts(texts, again.tokenizer)
    assert "<user>" in unknown
    np.testing.assert_allclose(means(again, texts), found, atol=1e-6)


@given(
    st.lists(
        st.one_of(
            st.sampled_from([*"İΣσςß\u0301’' .<>", "n't", "<user>", "the"]),
            st.characters(codec="utf-8"),
        ),
        max_size=25,
    ).map("".join)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_has_the_tokens_of_ours(convention, text):
    run, folder = convention
    pipeline = Pipeline.from_file(str(folder / "tokenizer.json"))
    ours = [
        token if token in run.vocab else "<unk>" for token in run.vocab.tokenizer.tokenize(text)
    ]
    assert pipeline.encode(text, add_special_tokens=False).tokens == ours


@pytest.mark.slow
def test_every_code_point(tmp_path):
    points = [
        chr(point)
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) not in ("Cn", "Co", "Cs")
    ]
    assert len(points) > 140_000
    texts = [" ".join(f"A{c}b" for c in points[at : at + 500]) for at in range(0, 150_000, 500)]
    vocab = fe.Vocabulary.from_texts(texts)
    table = fe.EmbeddingTable(vocab.words, np.ones((len(vocab.words), 1)))
    fe.save_static(table, tmp_path / "model")
    pipeline = Pipeline.from_file(str(tmp_path / "model" / "tokenizer.json"))
    found = pipeline.encode_batch(texts, add_special_tokens=False)
    assert [one.tokens for one in found] == vocab.words_of(texts)


def wordpiece() -> Pipeline:
    made = Pipeline(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(TEXTS[:3], trainers.WordPieceTrainer(special_tokens=special))
    return made


def byte_bpe() -> Pipeline:
    made = Pipeline(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet)
    made.train_from_iterator(TEXTS[:3], trainer)
    return made


def unigram() -> Pipeline:
    made = Pipeline(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=["<unk>"], unk_token="<unk>")
    made.train_from_iterator(TEXTS[:3], trainer)
    return made


@pytest.mark.parametrize("drops", [True, False])
@pytest.mark.parametrize("kind", [wordpiece, byte_bpe, unigram])
def test_a_table_with_a_pipeline(kind, drops, tmp_path):
    pipeline = kind()
    ids = pipeline.get_vocab()
    tokens = sorted(ids, key=ids.get)
    rows = np.random.default_rng(7).normal(size=(len(tokens), 4)).astype(np.float32)
    order = np.random.default_rng(8).permutation(len(tokens))
    table = fe.EmbeddingTable([tokens[at] for at in order], rows[order])
    plain = pipeline.to_str()
    pipeline.enable_truncation(7)
    pipeline.enable_padding(length=9)
    table.tokenizer = fe.PipelineTokenizer(pipeline.to_str(), drops)
    fe.save_static(table, tmp_path / "model")
    again = fe.load_vectors(tmp_path / "model")
    assert again.index_to_key == tokens
    assert again.vectors.tobytes() == rows.tobytes()
    assert json.loads(again.tokenizer.json) == json.loads(plain)
    assert again.tokenizer.drops_unknown == drops
    theirs = StaticModel.from_pretrained(tmp_path / "model")
    other = in_sentence_transformers(tmp_path / "model")
    ours = means(table, TEXTS)
    np.testing.assert_allclose(means(again, TEXTS), ours, atol=SUMS)
    # What it does not know: dropped in model2vec, a token in sentence-transformers; ours is either.
    known = TEXTS[:3]
    for texts, model in ((TEXTS if drops else known, theirs), (known if drops else TEXTS, other)):
        np.testing.assert_allclose(model.encode(texts), means(table, texts), atol=SUMS)
    if kind is byte_bpe:  # which knows every text
        np.testing.assert_allclose(theirs.encode(TEXTS), ours, atol=SUMS)
        np.testing.assert_allclose(other.encode(TEXTS), ours, atol=SUMS)


def test_a_tokenizer_that_cuts_nothing_is_kept_as_it_is(tmp_path):
    text = json.dumps(json.loads(wordpiece().to_str()), indent=3)
    tokens = json.loads(text)["model"]["vocab"]
    table = fe.EmbeddingTable(sorted(tokens, key=tokens.get), np.ones((len(tokens), 2)))
    table.tokenizer = fe.PipelineTokenizer(text)
    fe.save_static(table, tmp_path / "model")
    assert (tmp_path / "model" / "tokenizer.json").read_text() == text
    assert fe.load_vectors(tmp_path / "model").tokenizer == table.tokenizer


def test_equal_tables_give_equal_bytes(tmp_path):
    fe.save_static(fe.EmbeddingTable(["the", "king"], [[1, 2], [3, -0.5]]), tmp_path / "model")
    files = {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()}
    named = ["README.md", "config.json", "model.safetensors", "modules.json", "tokenizer.json"]
    assert sorted(files) == named
    assert json.loads(files["config.json"]) == {
        "model_type": "model2vec",
        "normalize": False,
        "max_length": None,
        "embedding_dtype": "float32",
        "finetune_embed": {"drops_unknown": False, "words": 2},
    }
    (module,) = json.loads(files["modules.json"])
    assert module["type"] == "sentence_transformers.models.StaticEmbedding"
    assert json.loads(files["tokenizer.json"])["model"] == {
        "type": "WordLevel",
        "vocab": {"the": 0, "king": 1, "<unk>": 2},
        "unk_token": "<unk>",
    }
    digest = hashlib.sha256(files["model.safetensors"]).hexdigest()
    assert digest == "99e2feaa90a5b880db42974dc6c0b5536caec27ff720c900ae6e8c8b34be8970"


def test_large_rows_are_written_in_blocks(words, tmp_path, monkeypatch):
    fe.save_static(words, tmp_path / "whole")
    monkeypatch.setattr("finetune_embed.sharing.static.WRITE_BYTES", 50)
    fe.save_static(words, tmp_path / "blocks")
    whole, blocks = (tmp_path / name / "model.safetensors" for name in ("whole", "blocks"))
    assert blocks.read_bytes() == whole.read_bytes()


def test_a_folder_appears_whole_or_not_at_all(words, tmp_path, monkeypatch):
    def fails(*arguments: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr("finetune_embed.sharing.static._write_json", fails)
    with pytest.raises(RuntimeError, match="killed"):
        fe.save_static(words, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(words, tmp_path):
    with pytest.raises(fe.VectorFileError, match="already exists"):
        fe.save_static(words, tmp_path)
    with pytest.raises(
        fe.VectorFileError, match=r"1 of 2 words are not UTF-8, which tokenizer\.js"
    ):
        fe.save_static(fe.EmbeddingTable(["a", "\udcff"], [[1], [2]]), tmp_path / "model")
    with pytest.raises(fe.VectorFileError, match="at least one word"):
        fe.save_static(fe.EmbeddingTable([], np.zeros((0, 3))), tmp_path / "model")
    with pytest.raises(fe.VocabularyError):
        fe.save_static(fe.EmbeddingTable(["a", "a"], [[1], [2]]), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        '{"finetune_embed": {"words": "3"}}',
        '{"finetune_embed": {"words": -1}}',
        '{"finetune_embed": {"drops_unknown": 1}}',
        "{",
    ],
)
def test_a_damaged_config(words, tmp_path, content):
    fe.save_static(words, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(content)
    with pytest.raises(fe.VectorFileError, match=r"config\.json"):
        fe.load_vectors(tmp_path / "model")


def test_a_config_that_says_too_much(words, tmp_path):
    fe.save_static(words, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"finetune_embed": {"words": 999}}')
    assert fe.load_vectors(tmp_path / "model").index_to_key == [*WORDS, "<unk>"]


@pytest.mark.parametrize(
    "content",
    [
        '{"words": 5}',
        '{"words": "all", "drops_unknown": 1}',
        "[3]",
        "3",
        '{"finetune_embed": "1.0"}',
    ],
)
def test_a_config_of_others_is_not_ours(golden, tmp_path, content):
    folder = shutil.copytree(golden / "static" / "model2vec", tmp_path / "model")
    (folder / "config.json").write_text(content)
    again, expected = fe.load_vectors(folder), fe.load_vectors(golden / "static" / "model2vec")
    assert again.index_to_key == expected.index_to_key
    assert again.vectors.tobytes() == expected.vectors.tobytes()
    assert again.tokenizer == expected.tokenizer


def test_a_run_with_a_pipeline_and_special_tokens(tmp_path):
    pipeline = wordpiece()
    rows = np.random.default_rng(7).normal(size=(pipeline.get_vocab_size(), 4))
    StaticModel(rows.astype(np.float32), pipeline).save_pretrained(tmp_path / "base")
    data = Dataset.from_dict({"text": ["the <user> king", "do the café"] * 8, "label": [0, 1] * 8})
    run = fe.finetune(tmp_path / "base", data, head="bag", epochs=1, lr=0.1, specials=["<user>"])
    fe.save_static(run, tmp_path / "tuned")
    again = fe.load_vectors(tmp_path / "tuned")
    assert again.index_to_key == [*fe.load_vectors(tmp_path / "base").index_to_key, "<user>"]
    assert again.vectors.tobytes() == run.table.vectors.tobytes()
    texts = ["the<user>naïve king", "café 3,000.5 do"]
    expected = means(again, texts)
    for model in (
        StaticModel.from_pretrained(tmp_path / "tuned"),
        in_sentence_transformers(tmp_path / "tuned"),
    ):
        np.testing.assert_allclose(model.encode(texts), expected, atol=1e-6)
    np.testing.assert_allclose(of_run(run, ["the <user> king"]), means(again, ["the <user> king"]))


def test_a_run_that_trained_a_row_for_rare_words(words, tmp_path):
    texts = ["the king do plugh", "the king do xyzzy", "the café , foo", "the café , bar"]
    data = Dataset.from_dict({"text": texts * 2, "label": [0, 0, 1, 1] * 2})
    run = fe.finetune(words, data, head="bag", epochs=2, lr=0.1, min_count=3)
    fe.save_static(run, tmp_path / "model")
    found = in_sentence_transformers(tmp_path / "model").encode(["xyzzy", "the xyzzy"])
    np.testing.assert_allclose(found, of_run(run, ["xyzzy", "the xyzzy"]), atol=1e-6)
    assert np.abs(found[0]).max() > 0.01
    assert fe.load_vectors(tmp_path / "model").index_to_key == run.table.index_to_key


def in_onnx(folder, texts: list[str]) -> np.ndarray:
    """Return what onnxruntime makes of texts, fed as transformers.js does."""
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    tokenizer = Pipeline.from_file(str(folder / "tokenizer.json"))
    ids = [one.ids for one in tokenizer.encode_batch(texts, add_special_tokens=False)]
    lengths = np.array([len(one) for one in ids], np.int64)
    flat = np.array([one for text in ids for one in text], np.int64)
    feed = {"input_ids": flat, "offsets": lengths.cumsum() - lengths}
    return session.run(["embeddings"], feed)[0]


def test_the_files_of_transformers_js_give_our_means(words, tmp_path):
    fe.save_static(words, tmp_path / "words", onnx=True)
    np.testing.assert_allclose(in_onnx(tmp_path / "words", TEXTS), means(words, TEXTS), atol=SUMS)
    config = json.loads((tmp_path / "words" / "tokenizer_config.json").read_text())
    assert config == {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}
    vocab = {"the": 0, "[UNK]": 1, "king": 2, "##s": 3}
    made = Pipeline(models.WordPiece(vocab, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    texts = ["the kings xyzzy", "", "xyzzy xyzzy", "king", ""]
    for drops in (True, False):
        rows = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
        table = fe.EmbeddingTable(list(vocab), rows)
        table.tokenizer = fe.PipelineTokenizer(made.to_str(), drops)
        folder = tmp_path / f"pieces-{drops}"
        fe.save_static(table, folder, onnx=True)
        np.testing.assert_allclose(in_onnx(folder, texts), means(table, texts), atol=1e-6)
        assert fe.load_vectors(folder).vectors.tobytes() == rows.tobytes()
    unknown = (rows[0] + rows[2] + rows[3] + rows[1]) / 4
    np.testing.assert_allclose(in_onnx(folder, texts)[0], unknown, atol=1e-6)


def test_rows_that_no_onnx_file_can_hold_leave_no_folder(words, tmp_path, monkeypatch):
    monkeypatch.setattr("finetune_embed.training.run.onnx_graph.LARGEST", 100)
    with pytest.raises(fe.VectorFileError, match="an ONNX file has at most 2; keep fewer words"):
        fe.save_static(words, tmp_path / "model", onnx=True)
    assert list(tmp_path.iterdir()) == []
