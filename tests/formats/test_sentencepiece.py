"""SentencePiece models beside vectors, as BPEmb has them: the same pieces as in the library."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import sentencepiece
from tokenizers import normalizers

import finetune_embed as fe
from finetune_embed.table.sentencepiece import tokenizer_json

WORDS = "the cat sat on a mat unhappily running ran undone café naïve 東京 Paris NATO 1999 x²"
WORDS = WORDS.split()
RANDOM = np.random.default_rng(0)
CORPUS = [" ".join(RANDOM.choice(WORDS, RANDOM.integers(1, 9))) for _ in range(400)]
CORPUS += ["the cat™ sat"] * 3
TEXTS = [
    *CORPUS[:100],
    "",
    " ",
    "   ",
    "  The   CAT\tsat\non 123  mats ",
    "☃",
    "☃☃ cat ☃ sat☃",
    "ﬁne ½ e\u0301 \u3000 a\u00a0b İ",
    "unhappily" * 200,
]


def preprocessed(text: str) -> str:
    """Return what BPEmb makes of a text first."""
    return re.sub(r"\d", "0", text.lower())


def train(corpus: list[str], kind: str, **options: object) -> bytes:
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=made,
        vocab_size=options.pop("vocab_size", 90),
        model_type=kind,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return made.getvalue()


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byte_fallback": True, "vocab_size": 350},
        {"normalization_rule_name": "identity"},
        {"add_dummy_prefix": False},
        {"split_by_whitespace": False},
        {"remove_extra_whitespaces": False},
    ],
    ids=str,
)
def test_pieces_are_those_of_sentencepiece(kind, options):
    data = train(CORPUS, kind, **options)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    ours = fe.PipelineTokenizer(tokenizer_json(data))
    for text in TEXTS:
        pieces = [theirs.id_to_piece(number) for number in theirs.encode(text)]
        assert ours.tokenize(text) == pieces, text
        ids = ours.pipeline.encode(text, add_special_tokens=False).ids
        assert ids == theirs.encode(text)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_lower_case_and_digits_are_as_in_bpemb(kind):
    data = train([preprocessed(text) for text in CORPUS], kind)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    ours = fe.PipelineTokenizer(tokenizer_json(data))
    for text in TEXTS:
        pieces = [theirs.id_to_piece(one) for one in theirs.encode(preprocessed(text))]
        assert ours.tokenize(text) == pieces, text


@pytest.fixture
def bpemb(tmp_path):
    """Return the path of vectors with a model beside them, named as in BPEmb."""
    data = train([preprocessed(text) for text in CORPUS], "bpe")
    (tmp_path / "en.wiki.bpe.vs90.model").write_bytes(data)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    pieces = [theirs.id_to_piece(number) for number in range(theirs.get_piece_size())]
    rows = np.random.default_rng(1).normal(size=(len(pieces), 4)).astype(np.float32)
    path = tmp_path / "en.wiki.bpe.vs90.d4.w2v.bin"
    fe.save_word2vec(fe.EmbeddingTable(pieces, rows), path, binary=True)
    return path


def test_a_model_beside_vectors_is_their_tokenizer(bpemb, tmp_path):
    table = fe.load_vectors(bpemb)
    assert table.tokenizer.name == "bpe"
    theirs = sentencepiece.SentencePieceProcessor(
        model_file=str(tmp_path / "en.wiki.bpe.vs90.model")
    )
    vocab = fe.Vocabulary.from_texts(TEXTS, table.tokenizer)
    embedding = fe.to_embedding(table, vocab)
    for text in TEXTS:
        ids = theirs.encode(preprocessed(text))
        expected = table.vectors[ids]  # as BPEmb.embed
        found = embedding(vocab.encode([text])[0]).detach().numpy()
        assert found.tobytes() == expected.tobytes(), text
    text = tmp_path / "en.wiki.bpe.vs90.d4.txt"
    fe.save_glove(table, text)
    assert fe.load_vectors(text).tokenizer == table.tokenizer
    assert fe.inspect(bpemb).tokenizer == fe.inspect(text).tokenizer == "bpe"
    fe.save_safetensors(table, tmp_path / "kept.safetensors")
    assert fe.load_vectors(tmp_path / "kept.safetensors").tokenizer == table.tokenizer
    assert fe.load_word2vec(bpemb).index_to_key == table.index_to_key
    model = fe.PipelineTokenizer.from_file(tmp_path / "en.wiki.bpe.vs90.model")
    assert model == table.tokenizer


def test_files_beside_vectors_that_are_not_theirs(bpemb, tmp_path):
    model = tmp_path / "en.wiki.bpe.vs90.model"
    other = tmp_path / "en.wiki.bpe.vs90.words.txt"
    other.write_text("king 1 2\nqueen 3 4\n")
    assert fe.load_vectors(other).tokenizer is None  # its words are not pieces
    data = model.read_bytes()
    for content in (b"\x80\x04pickle", b"", b"\n", b"text\n"):
        model.write_bytes(content)
        assert fe.load_vectors(bpemb).tokenizer is None
    model.unlink()
    assert fe.load_vectors(bpemb).tokenizer is None
    (tmp_path / "en.model").write_bytes(data)
    assert fe.load_vectors(bpemb).tokenizer is not None  # a shorter name
    with bpemb.open("rb") as file:
        assert fe.load_vectors(io.BytesIO(file.read())).tokenizer is None


def test_a_model_that_is_not_read_stops_no_reader(bpemb, tmp_path):
    model = tmp_path / "en.wiki.bpe.vs90.model"
    data, before = model.read_bytes(), fe.load_vectors(bpemb)
    assert "tokenizer_not_read" not in before.metadata
    for content, reason in (
        (data[: len(data) // 2], "it is cut short or damaged"),
        (train(CORPUS, "word", vocab_size=20), "it is a model of words or characters"),
        (
            train(CORPUS, "bpe", user_defined_symbols=["<user>"]),
            "it has a symbol that is never split, '<user>'",
        ),
    ):
        model.write_bytes(content)
        table = fe.load_vectors(bpemb)
        assert table.tokenizer is None
        assert table.index_to_key == before.index_to_key
        assert table.vectors.tobytes() == before.vectors.tobytes()
        noted = table.metadata["tokenizer_not_read"]
        assert noted.startswith(f"{model.name}: cannot be read as a tokenizer: {reason}")
        (finding,) = [one for one in fe.inspect(bpemb).findings if one.code == "tokenizer"]
        assert finding.severity == "warning"
        assert reason in finding.message()
        with pytest.raises(fe.VocabularyError, match=re.escape(reason)):
            fe.PipelineTokenizer.from_file(model)


def test_other_pieces_than_in_the_library_are_refused():
    data = train(CORPUS, "bpe", treat_whitespace_as_suffix=True)
    with pytest.raises(ValueError, match="it has white space at the ends of its pieces"):
        tokenizer_json(data)
    unused = b"\n\x07" + b"\n\x03cat" + b"\x18\x05"  # a piece: its text, its type
    data = train(CORPUS, "unigram") + unused
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    assert theirs.is_unused(len(theirs) - 1)
    with pytest.raises(ValueError, match="it has a piece that is not used, 'cat'"):
        tokenizer_json(data)


def test_a_panic_of_the_library_is_an_error(tmp_path, monkeypatch):
    def panics(data: bytes) -> str:
        normalizers.Precompiled(b"\x08\0\0\0" + b"\xff" * 8).normalize_str("é")
        raise AssertionError("it did not panic")

    path = tmp_path / "m.model"
    path.write_bytes(train(CORPUS, "bpe"))
    monkeypatch.setattr("finetune_embed.table.pipeline_tokenizer.tokenizer_json", panics)
    with pytest.raises(fe.VocabularyError, match=r"m.model: cannot be read as a tokenizer: index"):
        fe.PipelineTokenizer.from_file(path)


def test_random_damage_gives_a_tokenizer_or_an_error(tmp_path):
    data = train(CORPUS, "unigram")
    random = np.random.default_rng(2)
    path = tmp_path / "m.model"
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for at in random.integers(0, len(data), 3):
            damaged[at] = random.integers(0, 256)
        path.write_bytes(damaged[: random.integers(1, len(data))])
        try:
            fe.PipelineTokenizer.from_file(path).tokenize("the cat")
        except fe.VocabularyError:
            refused += 1
    assert 100 < refused <= 300
