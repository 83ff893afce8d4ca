"""Vocabularies of ids that exist already: of Hugging Face tokenizers and of other libraries."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import tokenizers
import torch
from datasets import Dataset
from torch import nn

import finetune_embed as fe
from finetune_embed.errors import FinetuneEmbedError, VocabularyError

WORDS = ["king", "queen", "##s", "the", "Ġman"]
IDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "king": 4, "queen": 3, "##s": 6, "good": 5}


@pytest.fixture
def table() -> fe.EmbeddingTable:
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 3)).astype(np.float32)
    return fe.EmbeddingTable(WORDS, vectors)


@pytest.fixture
def wordpiece() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(IDS, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]"])
    return made


def hugging_face(wordpiece):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=wordpiece, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    )


@pytest.mark.parametrize("source", ["tokenizers", "transformers"])
def test_rows_belong_to_the_ids_of_a_tokenizer(table, wordpiece, source):
    given = wordpiece if source == "tokenizers" else hugging_face(wordpiece)
    vocab = fe.Vocabulary.from_ids(given.get_vocab(), pad="[PAD]", unk="[UNK]")
    embedding = fe.to_embedding(table, vocab)
    assert embedding.weight.shape == (7, 3)
    assert embedding.padding_idx == 0
    encoded = given.encode("kings queen other")
    ids = encoded.ids if source == "tokenizers" else encoded
    assert ids == [4, 6, 3, 1]
    rows = embedding(torch.tensor(ids)).detach().numpy()
    assert rows[:3].tobytes() == np.stack([table["king"], table["##s"], table["queen"]]).tobytes()
    assert not rows[3].any()
    assert not embedding.weight[0].any()


@pytest.mark.parametrize(
    ("pad", "unk"), [("[PAD]", "[UNK]"), ("good", None), (None, "king"), (None, None)]
)
def test_a_loop_over_given_ids(table, pad, unk):
    vocab = fe.Vocabulary.from_ids(IDS, pad=pad, unk=unk)
    assert (vocab.padding_idx, vocab.unk_idx) == (
        None if pad is None else IDS[pad],
        None if unk is None else IDS[unk],
    )
    embedding = fe.to_embedding(table, vocab)
    start = embedding.weight.detach().clone()
    assert embedding.padding_idx == vocab.padding_idx
    model = fe.BagOfEmbeddings(embedding, 2)
    strategy = fe.TrainRows(keys=["queen"])
    optimizer = fe.RowAdamW(strategy.param_groups(model, embedding, lr=0.1, vocab=vocab))
    strategy.on_epoch_start(embedding, 0)
    ids = torch.arange(7)[None]
    nn.functional.cross_entropy(model(ids, torch.tensor([7])), torch.tensor([1])).backward()
    optimizer.step()
    tuned = fe.to_table(embedding, vocab, like=table)
    assert not np.array_equal(tuned["queen"], table["queen"])
    assert tuned["queen"].tobytes() == embedding.weight[3].detach().numpy().tobytes()
    for word in ("king", "##s", "the", "Ġman"):
        assert tuned[word].tobytes() == table[word].tobytes()
    new = [t for t in sorted(IDS, key=IDS.get) if t not in table and t not in (pad, unk)]
    assert tuned.index_to_key == [*WORDS, *new]
    for word in new:
        assert tuned[word].tobytes() == start[IDS[word]].numpy().tobytes()


def test_the_row_of_unknown_tokens_is_that_of_the_table():
    rows = np.arange(6, dtype=np.float32).reshape(3, 2) + 1
    for name in ("<unk>", "[UNK]"):
        table = fe.EmbeddingTable(["a", name, "b"], rows)
        vocab = fe.Vocabulary.from_ids({"[UNK]": 0, "a": 1}, unk="[UNK]")
        embedding = fe.to_embedding(table, vocab)
        assert embedding.weight[0].tolist() == rows[1].tolist()
        with torch.no_grad():
            embedding.weight[0] = 9
        tuned = fe.to_table(embedding, vocab, like=table)
        assert tuned.index_to_key == ["a", name, "b"]
        assert tuned[name].tolist() == [9, 9]
    both = fe.EmbeddingTable(["<unk>", "[UNK]"], rows[:2])
    vocab = fe.Vocabulary.from_ids({"[UNK]": 0, "<unk>": 1}, unk="[UNK]")
    again = fe.to_table(fe.to_embedding(both, vocab), vocab, like=both)
    assert again.vectors.tobytes() == both.vectors.tobytes()


def test_counts_and_coverage_of_given_ids(table):
    vocab = fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[UNK]")
    assert vocab.words == ["[CLS]", "queen", "king", "good", "##s"]
    assert vocab.coverage(table).types_found == 3
    counted = vocab.with_counts({"king": 5, "good": 2, "other": 7, "[PAD]": 99})
    assert counted.counts.tolist() == [0, 7, 0, 0, 5, 2, 0]
    embedding = fe.to_embedding(table, counted)
    model = fe.BagOfEmbeddings(embedding, 2)
    fe.TrainRows(top=1).param_groups(model, embedding, lr=0.1, vocab=counted)
    assert embedding.weight.row_rule.train.tolist() == [at == 4 for at in range(7)]
    fe.TrainRows(oov=True).param_groups(model, embedding, lr=0.1, vocab=counted)
    found = [4, 3, 6]
    assert embedding.weight.row_rule.train.tolist() == [at not in found for at in range(7)]
    with pytest.raises(
        fe.StrategyError, match=r"has no counts; give it counts: vocab\.with_counts"
    ):
        fe.FrequencyLR().param_groups(model, embedding, lr=0.1, vocab=vocab)


def test_lists_of_tokens_are_encoded_as_they_are():
    vocab = fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[UNK]")
    ids, offsets = vocab.encode([["king", "##s"], [], ["King", "good"]])
    assert ids.tolist() == [4, 6, 1, 5]
    assert offsets.tolist() == [0, 2, 2]
    message = r"does not split texts; pass lists of tokens: vocab\.encode\(\[tokenizer\.tokenize"
    for texts in (["a king"], "king", [["king"], "king"]):
        with pytest.raises(VocabularyError, match=message):
            vocab.encode(texts)
    with pytest.raises(VocabularyError, match="does not split texts"):
        vocab.words_of(["king"])
    without = fe.Vocabulary.from_ids(IDS)
    assert without.encode([["king"]])[0].tolist() == [4]
    with pytest.raises(VocabularyError, match="'King' has no id, and there is none for unknown"):
        without.encode([["King"]])


def test_batches_are_padded_with_the_id_of_padding():
    vocab = fe.Vocabulary.from_ids({"<s>": 0, "<pad>": 1, "a": 2, "b": 3}, pad="<pad>")
    data = Dataset.from_dict({"text": [["a", "b"], ["b"], []], "label": [0, 1, 0]})
    examples = list(fe.encode(data, vocab))
    collate = partial(fe.collate_padded, padding_idx=vocab.padding_idx)
    ids, lengths, _ = collate(examples)
    assert ids.tolist() == [[2, 3], [3, 1], [1, 1]]
    assert lengths.tolist() == [2, 1, 1]


def test_ids_of_other_kinds():
    for ids in ({"a": np.int64(0), "b": np.int32(1)}, dict(zip("ba", (1, 0), strict=True))):
        assert fe.Vocabulary.from_ids(ids).index_to_key == ["a", "b"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ({}, "ids={} holds no token"),
        (["a", "b"], "must be a dict of token: id, not list; of a Hugging Face tokenizer, pass"),
        (5, "must be a dict of token: id, not int"),
        (None, "must be a dict of token: id, not NoneType"),
        ({"a": 0, "b": 0}, "the tokens 'a' and 'b' have the same id, 0; keep one of them"),
        (
            {"a": 0, "b": 2},
            "2 tokens have ids up to 2, so 1 ids have no token, the first is 1; name",
        ),
        ({"a": 1, "b": 2}, "2 tokens have ids up to 2, so 1 ids have no token, the first is 0"),
        ({"a": 0, "b": 2**31}, "the id of 'b' is 2,147,483,648, far beyond the 2 tokens"),
        ({"a": 0, "b": 2**80}, "the id of 'b' is 1,208,925,819,614,629,174,706,176, far beyond"),
        ({"a": 0, "b": -1}, "the id of 'b' is -1, not a whole number of 0 or more"),
        ({"a": 0, "b": 1.0}, r"the id of 'b' is 1\.0, not a whole number"),
        ({"a": 0, "b": True}, "the id of 'b' is True, not a whole number"),
        ({"a": 0, "b": "1"}, "the id of 'b' is '1', not a whole number"),
        ({"a": 0, "b": None}, "the id of 'b' is None, not a whole number"),
        ({"a": 0, b"b": 1}, "the token b'b' is a bytes, not a string"),
        ({"a": 0, 1: 1}, "the token 1 is a int, not a string"),
    ],
)
def test_what_are_no_ids(ids, message):
    with pytest.raises(VocabularyError, match=message):
        fe.Vocabulary.from_ids(ids)


def test_tokens_for_padding_and_unknown_tokens():
    ids = {"a": 0, "b": 1}
    with pytest.raises(VocabularyError, match=r"pad='\[PAD\]' is not one of the tokens; pass the"):
        fe.Vocabulary.from_ids(ids, pad="[PAD]")
    with pytest.raises(VocabularyError, match="unk=1 is not one of the tokens"):
        fe.Vocabulary.from_ids(ids, unk=1)
    with pytest.raises(VocabularyError, match=r"'a' cannot be both padding, .*; leave unk out"):
        fe.Vocabulary.from_ids(ids, pad="a", unk="a")


BIG = {f"w{at}": at for at in range(30)}


@pytest.mark.parametrize(
    "ids",
    [
        BIG,
        {word: at + 1 for word, at in BIG.items()},
        {f"w{at}": at * 7 % 10 for at in range(10)},
        {word: np.int64(at) for word, at in BIG.items()},
        dict(reversed(BIG.items())),
    ],
)
def test_ids_where_counts_are_expected(ids):
    vocab = fe.Vocabulary.from_texts(["a b"])
    for take in (
        lambda: fe.Vocabulary(ids),
        lambda: fe.Vocabulary.from_counts(ids, fe.Tokenizer()),
        lambda: vocab.with_counts(ids),
    ):
        with pytest.raises(
            VocabularyError, match=r"they are ids; pass ids to Vocabulary\.from_ids"
        ):
            take()
    with pytest.raises(VocabularyError, match="the texts are a dict, not a list; pass ids to"):
        fe.Vocabulary.from_texts(ids)


@pytest.mark.parametrize(
    "counts",
    [
        {"a": 2, "b": 1},
        {"c": 3, "b": 2, "a": 1},
        {"a": 1},
        {"a": 5, "b": 5, "c": 0},
        {"good": 3, "bad": 0},
        {"a": 0, "b": 1},
        {f"w{at}": at for at in range(9)},
        {f"w{at}": 2 * at for at in range(30)},
        {f"w{at}": 30 - at for at in range(30)},
        {"a": 7, "b": 9},
        dict.fromkeys("abcdefghijkl", 0) | {"m": 4},
        {f"w{at}": 40 - at for at in range(30)},
    ],
)
def test_counts_are_counts(counts):
    vocab = fe.Vocabulary(counts)
    assert vocab.counts[2:].tolist() == list(counts.values())


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (["a", "b"], "counts must be a dict of token: count, not list"),
        ({"a": 2.7, "b": 1}, r"a count is 2\.7, not a whole number"),
        ({"a": "2"}, "a count is '2', not a whole number"),
        ({"a": True}, "a count is True, not a whole number"),
        ({"a": None}, "a count is None, not a whole number"),
        ({"a": 3, "b": -1}, "a count is -1, below 0"),
    ],
)
def test_what_are_no_counts(counts, message):
    for take in (fe.Vocabulary, lambda counts: fe.Vocabulary.from_counts(counts, fe.Tokenizer())):
        with pytest.raises(VocabularyError, match=message):
            take(counts)


@pytest.mark.parametrize("vocab", [IDS, ["a"], 5, None, "glove"])
def test_a_vocabulary_that_is_none(table, vocab):
    with pytest.raises(VocabularyError, match=r"vocab must be a Vocabulary, not "):
        fe.to_embedding(table, vocab)
    with pytest.raises(VocabularyError, match=r"vocab must be a Vocabulary, not "):
        fe.to_table(nn.Embedding(7, 3), vocab, like=table)
    if vocab is not None:
        embedding = nn.Embedding(7, 3)
        model = fe.BagOfEmbeddings(embedding, 2)
        with pytest.raises(
            fe.StrategyError, match=r"but vocab is a .*Vocabulary\.from_ids\(ids, pad"
        ):
            fe.TrainRows(top=1).param_groups(model, embedding, lr=0.1, vocab=vocab)


def test_what_given_ids_are_not_for(table, tmp_path):
    vocab = fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[UNK]")
    assert repr(vocab) == "Vocabulary(7 words, given ids)"
    with pytest.raises(VocabularyError, match="save that tokenizer instead"):
        vocab.save(tmp_path / "tokenizer.json")
    data = Dataset.from_dict({"text": ["king", "queen"] * 8, "label": [0, 1] * 8})
    with pytest.raises(FinetuneEmbedError, match="has the ids of another tokenizer, and finetune"):
        fe.finetune(table, data, vocab=vocab)


def test_an_id_far_beyond_the_tokens_is_not_a_row():
    with pytest.raises(
        VocabularyError, match=r"the id of 'a' is 1,099,511,627,776, far beyond the 2"
    ):
        fe.Vocabulary.from_ids({"a": 2**40, "b": 0})
