"""Pipelines of Hugging Face tokenizers: the same pieces and vectors as in the libraries."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from model2vec import StaticModel
from model2vec.model import quantize_model
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.vocabulary import tokenize_texts

#: What rounding adds to means of up to 1,350 rows, which the libraries sum in another order.
SUMS = 5e-5
SENTENCE = "the cat sat on the mat , unhappily ; it's a naïve café 東京 running and runs 123"
WORDS = SENTENCE.split()
TEXTS = [
    *(" ".join(WORDS[start : start + n]) for start in range(12) for n in (1, 3, 8)),
    "",
    " ",
    "\u3000",
    "☃",
    "☃ ☃☃",
    "☃ cat ☃",
    "[UNK] cat",
    "<unk> cat",
    "[CLS] the cat [SEP]",
    "The  CAT\n\tsat.",
    "cat\ud800sat",
    "🙂🙂 👍🏽 e\u0301",
    "unhappily" * 40,
    "the cat sat on the mat , unhappily ; " * 150,
]
CLEAN = [text.replace("\ud800", "\ufffd") for text in TEXTS]


def wordpiece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(TEXTS[:30], trainers.WordPieceTrainer(special_tokens=special))
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def byte_bpe() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(TEXTS[:30], trainers.BpeTrainer(vocab_size=120))
    return made


def unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.train_from_iterator(
        TEXTS[:30],
        trainers.UnigramTrainer(vocab_size=60, special_tokens=["<unk>"], unk_token="<unk>"),
    )
    return made


def wordlevel() -> Tokenizer:
    made = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(["[UNK]", *set(WORDS)])}, "[UNK]")
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_tokens([AddedToken("cat sat", normalized=False)])
    return made


KINDS = {"wordpiece": wordpiece, "bpe": byte_bpe, "unigram": unigram, "wordlevel": wordlevel}


def rows_for(tokenizer: Tokenizer, size: int = 5) -> np.ndarray:
    random = np.random.default_rng(7)
    return random.normal(size=(tokenizer.get_vocab_size(), size)).astype(np.float32)


def means(table: fe.EmbeddingTable, texts: list[str]) -> np.ndarray:
    """Return our frozen mean vector of each text."""
    vocab = fe.Vocabulary.from_texts(texts, fe.Tokenizer.for_table(table))
    embedding = fe.to_embedding(table, vocab)
    ids, offsets = vocab.encode(texts)
    return functional.embedding_bag(ids, embedding.weight, offsets, mode="mean").detach().numpy()


def changed(model: StaticModel, how: str) -> StaticModel:
    if how == "weights":
        model.weights = np.linspace(0.5, 2, len(model.tokens), dtype=np.float32)
    elif how == "quantised":
        model = quantize_model(model, vocabulary_quantization=6)
    elif how != "plain":
        model = quantize_model(model, quantize_to=how)
    return model


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        *((kind, "plain") for kind in KINDS),
        *(("unigram", how) for how in ("weights", "quantised", "float16", "int8")),
    ],
)
def test_mean_vectors_are_those_of_model2vec(tmp_path, kind, how):
    tokenizer = KINDS[kind]()
    changed(StaticModel(rows_for(tokenizer), tokenizer), how).save_pretrained(tmp_path)
    table = fe.load_vectors(tmp_path)
    assert table.tokenizer.name == kind
    assert json.loads(table.tokenizer.json)["truncation"]["max_length"] == 512
    theirs = StaticModel.from_pretrained(tmp_path, max_length=None)
    expected = theirs.encode(CLEAN, max_length=None).astype(np.float32)
    found = tokenize_texts(TEXTS, table.tokenizer)
    pieces = [[theirs.tokens[i] for i in ids] for ids in theirs.tokenize(CLEAN)]
    assert [table.tokenizer.tokenize(text) for text in TEXTS] == pieces
    assert [found.tokens[i] for i in found.numbers] == list(chain.from_iterable(pieces))
    assert found.lengths.tolist() == list(map(len, pieces))
    assert found.lengths.max() > 1_000  # not truncated
    tolerance = {"float16": 2e-3, "int8": 1e-4}.get(how, SUMS)
    np.testing.assert_allclose(means(table, TEXTS), expected, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_mean_vectors_are_those_of_sentence_transformers(tmp_path, kind):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = KINDS[kind]()
    module = StaticEmbedding(tokenizer, embedding_weights=rows_for(tokenizer))
    model = SentenceTransformer(modules=[module], device="cpu")
    model.save(str(tmp_path), create_model_card=False)
    table = fe.load_vectors(tmp_path)
    expected = SentenceTransformer(str(tmp_path), device="cpu").encode(CLEAN)
    np.testing.assert_allclose(means(table, TEXTS), expected, atol=SUMS)


def test_a_frozen_run_has_the_mean_vectors_of_model2vec(tmp_path):
    """The vectors that the head of a run gets, also of texts that training lacks."""
    tokenizer = wordpiece()
    StaticModel(rows_for(tokenizer), tokenizer).save_pretrained(tmp_path / "model")
    data = {"text": TEXTS[:12] * 2, "label": [0, 1] * 12}
    from datasets import Dataset

    run = fe.finetune(
        tmp_path / "model",
        Dataset.from_dict(data),
        head=MeanHead,
        strategy="Freeze",
        epochs=1,
        validation=0.2,
        output_dir=tmp_path / "run",
    )
    expected = StaticModel.from_pretrained(tmp_path / "model").encode(CLEAN, max_length=None)
    logits = run.logits(TEXTS)[0].numpy()
    np.testing.assert_allclose(logits, expected[:, :2], atol=SUMS)
    again = fe.load(tmp_path / "run", head=MeanHead)
    assert again.logits(TEXTS)[0].numpy().tobytes() == logits.tobytes()
    assert again.vocab.tokenizer == run.vocab.tokenizer == run.table.tokenizer
    assert again.vocab.index_to_key == run.vocab.index_to_key
    assert again.vocab.counts.tolist() == run.vocab.counts.tolist()
    saved = Tokenizer.from_file(str(tmp_path / "run" / "tokenizer.json"))
    assert saved.to_str() == Tokenizer.from_file(str(tmp_path / "model/tokenizer.json")).to_str()
    assert fe.load_vectors(tmp_path / "run").tokenizer == run.table.tokenizer


class MeanHead(torch.nn.Module):
    """Returns the first two numbers of the mean vector, and has a weight without effect."""

    def __init__(self, embedding: torch.nn.Embedding, num_labels: int) -> None:
        super().__init__()
        self.embedding, self.unused = embedding, torch.nn.Parameter(torch.zeros(()))

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).unsqueeze(-1)
        sums = (self.embedding(ids) * mask).double().sum(1)
        return (sums / lengths[:, None]).float()[:, :2] + 0 * self.unused


@pytest.mark.parametrize("kind", KINDS)
def test_the_pieces_of_words_are_those_of_the_text(kind):
    tokenizer = fe.PipelineTokenizer(KINDS[kind]().to_str(), drops_unknown=kind == "wordlevel")
    texts = [WORDS, ["☃", "cat", "☃", "sat"], [], ["cat"], ["a b", "", "unhappily"]]
    found = tokenize_texts(texts, tokenizer)
    bounds = np.cumsum([0, *found.lengths])
    first = found.first
    assert first is not None
    for words, start, end in zip(texts, bounds, bounds[1:], strict=False):
        tokens = [found.tokens[number] for number in found.numbers[start:end]]
        assert first[start:end].sum() == len(words)
        assert not words or first[start]
        plain = tokenizer.tokenize(" ".join(words))
        assert [token for token in tokens if token != "<unk>"] == [
            token for token in plain if token != "<unk>"
        ]


def test_a_word_without_a_piece_is_unknown():
    tokenizer = fe.PipelineTokenizer(wordlevel().to_str(), drops_unknown=True)
    found = tokenize_texts([["☃", "cat", "☃"], ["mat"]], tokenizer)
    assert [found.tokens[number] for number in found.numbers] == ["<unk>", "cat", "<unk>", "mat"]
    vocab = fe.Vocabulary.from_texts([["☃", "cat", "☃"]], tokenizer)
    assert vocab.index_to_key == ["<pad>", "<unk>", "cat"]
    assert vocab.counts.tolist() == [0, 2, 1]


def test_blocks_of_texts_give_the_same_tokens(monkeypatch):
    from finetune_embed.vocabulary import pieces, tokenization

    tokenizer = fe.PipelineTokenizer(unigram().to_str())
    whole = tokenize_texts([*TEXTS, WORDS], tokenizer)
    monkeypatch.setattr(tokenization, "PIECES", 10)
    monkeypatch.setattr(tokenization, "WORDS", 2)
    monkeypatch.setattr(pieces, "FEW", 1 << 20)
    parts = tokenize_texts([*TEXTS, WORDS], tokenizer)
    assert parts.tokens == whole.tokens
    for name in ("numbers", "lengths", "first"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))


def test_special_tokens_are_not_split():
    tokenizer = fe.PipelineTokenizer(wordpiece().to_str())
    vocab = fe.Vocabulary.from_texts(["the <user> sat"], tokenizer, specials=["<user>"])
    assert vocab.index_to_key[:3] == ["<pad>", "<unk>", "<user>"]
    assert vocab.words_of(["the<user>sat"]) == [["the", "<user>", "sat"]]
    assert "<user>" not in tokenizer.tokenize("the <user> sat")


def test_a_table_keeps_its_tokenizer(tmp_path, golden):
    table = fe.load_static(golden / "static" / "model2vec")
    assert table.tokenizer.drops_unknown
    assert not fe.load_static(golden / "static" / "sentence-transformers").tokenizer.drops_unknown
    fe.save_safetensors(table, tmp_path / "t.safetensors")
    again = fe.load_vectors(tmp_path / "t.safetensors")
    assert again.tokenizer == table.tokenizer
    assert again.index_to_key == table.index_to_key
    assert again.vectors.tobytes() == table.vectors.tobytes()
    vocab = fe.Vocabulary.from_texts(["the the"], again.tokenizer)
    tuned = fe.to_table(fe.to_embedding(again, vocab), vocab, like=again)
    limited = fe.load_safetensors(tmp_path / "t.safetensors", limit=3)
    for one in (tuned, again.subset(["the"]), limited, fe.extend(table, ["x"])):
        assert one.tokenizer == table.tokenizer
    assert fe.average([table, again]).tokenizer == table.tokenizer
    plain = fe.EmbeddingTable(table.index_to_key, table.vectors)
    assert fe.average([table, plain]).tokenizer is None


def test_a_table_keeps_the_special_tokens_of_its_tokenizer(tmp_path, golden):
    table, path = fe.load_static(golden / "static" / "model2vec"), tmp_path / "t.safetensors"
    table.tokenizer = replace(table.tokenizer, specials=("<é>", "[x y]"))
    fe.save_safetensors(table, path)
    again = fe.load_safetensors(path).tokenizer
    assert (again, again.specials) == (table.tokenizer, ("<é>", "[x y]"))
    assert again.tokenize("the<é>[x y]") == ["the", "<é>", "[x y]"]
    fe.save_safetensors(table, tmp_path / "shards", shard_size="1MB")
    assert fe.load_vectors(tmp_path / "shards").tokenizer == table.tokenizer
    for damage in (b'["a", 1]', b'"<x>"', b"\xff"):
        data = path.read_bytes()
        listed = json.dumps(table.tokenizer.specials).encode()
        assert data.count(listed) == 1
        (tmp_path / "bad").write_bytes(data.replace(listed, damage.ljust(len(listed))))
        with pytest.raises(fe.VectorFileError, match=r"tokenizer\.specials is not a JSON list"):
            fe.load_safetensors(tmp_path / "bad")


def test_a_tokenizer_in_another_encoding_is_not_used(tmp_path):
    """The library reads UTF-8 alone; words are read as before."""
    tokenizer = wordlevel()
    StaticModel(rows_for(tokenizer), tokenizer).save_pretrained(tmp_path)
    text = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-16")
    table = fe.load_vectors(tmp_path)
    assert len(table) == tokenizer.get_vocab_size()
    with pytest.raises(fe.VocabularyError, match=r"tokenizer.json: cannot be read as a tokenizer"):
        table.tokenizer.tokenize("the")


def test_a_file_that_is_no_tokenizer(tmp_path):
    path = tmp_path / "tokenizer.json"
    for content in ("{}", '{"model": {"vocab": {}}}', "", "\x00", '{"model": 3}'):
        path.write_text(content)
        with pytest.raises(fe.VocabularyError, match=r"tokenizer.json: cannot be read as a tok"):
            fe.PipelineTokenizer.from_file(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(fe.VocabularyError, match="cannot be read as a tokenizer"):
        fe.PipelineTokenizer.from_file(path)
    with pytest.raises(fe.VocabularyError, match="cannot be read as a tokenizer"):
        fe.PipelineTokenizer.from_file(tmp_path / "absent.json")
    path.write_text(wordpiece().to_str())
    assert fe.PipelineTokenizer.from_file(path).tokenize("the cat") == ["the", "cat"]


def failing(**changes: object) -> str:
    """Return a `tokenizer.json` that is read, but fails on texts."""
    spec = json.loads(wordlevel().to_str()) | changes
    return json.dumps(spec)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (failing(pre_tokenizer={"type": "FixedLength", "length": 0}), "chunk size must be non-zer"),
        (
            failing(model={"type": "WordLevel", "vocab": {"the": 0}, "unk_token": "[UNK]"}),
            "WordLevel error: Missing",
        ),
    ],
    ids=["a panic", "an error"],
)
def test_a_pipeline_that_fails_on_a_text(spec, reason, tmp_path, capfd):
    (tmp_path / "tokenizer.json").write_text(spec)
    tokenizer = fe.PipelineTokenizer.from_file(tmp_path / "tokenizer.json")
    texts = ["", "dog\ud800 " * 40]
    message = rf"tokenizer\.json: the tokenizer fails on 'dog\ufffd .*': {reason}"
    for call in (
        lambda: tokenizer.tokenize(texts[1]),
        lambda: tokenizer.piece_of(texts[1]),
        lambda: tokenize_texts(texts, tokenizer),
        lambda: tokenize_texts([text.split() for text in texts], tokenizer),
        lambda: fe.Vocabulary.from_texts(texts, tokenizer=tokenizer),
    ):
        with pytest.raises(fe.VocabularyError, match=message) as caught:
            call()
        assert caught.value.value.split() == ["dog\ufffd"] * 40
        assert caught.value.where == str(tmp_path / "tokenizer.json")
        assert caught.value.remedy == "leave this text out, or correct its tokenizer.json"
    assert tokenizer.tokenize("") == []
    capfd.readouterr()  # what Rust says of a panic
