from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from finetune_embed import (
    EmbeddingTable,
    FullTune,
    Origin,
    RowAdamW,
    Special,
    Vocabulary,
    VocabularyError,
    load_safetensors,
    save_safetensors,
    to_embedding,
    to_table,
)
from finetune_embed.table import PatchedRows


@pytest.fixture
def vocab():
    return Vocabulary({"queen": 3, "pear": 2, "king": 2, "plum": 1})


def bits(vectors) -> list[list[int]]:
    return np.ascontiguousarray(vectors).view(np.uint32).tolist()


# To torch


def test_row_i_belongs_to_id_i(table, vocab):
    embedding = to_embedding(table, vocab, oov=lambda word: [len(word), 0, 0])
    assert type(embedding) is nn.Embedding
    assert embedding.padding_idx == 0
    assert embedding.max_norm is None
    assert not embedding.sparse
    assert embedding.weight.dtype == torch.float32
    assert embedding.weight.tolist() == [
        [0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [1.0, -0.5, 0.0],
        [4.0, 0.0, 0.0],
        [1.0, 0.5, 0.0],
        [4.0, 0.0, 0.0],
    ]


def test_trains_and_shares_nothing_with_the_table(table, vocab):
    before = bits(table.vectors)
    embedding = to_embedding(table, vocab)
    assert embedding.weight.requires_grad
    assert embedding.weight.is_leaf
    assert not np.shares_memory(embedding.weight.detach().numpy(), table.vectors)
    with torch.no_grad():
        embedding.weight += 1
    assert bits(table.vectors) == before


def test_an_embedding_of_a_memory_mapped_table(table, vocab, tmp_path):
    save_safetensors(table, tmp_path / "t")
    embedding = to_embedding(load_safetensors(tmp_path / "t"), vocab)
    with torch.no_grad():
        embedding.weight += 1
    assert bits(load_safetensors(tmp_path / "t").vectors) == bits(table.vectors)


def test_normal_start_values_depend_on_the_seed(random_table):
    vocab = Vocabulary({f"n{i}": 1 for i in range(5_000)})
    one = to_embedding(random_table, vocab).weight
    assert torch.equal(one, to_embedding(random_table, vocab, seed=0).weight)
    assert not torch.equal(one, to_embedding(random_table, vocab, seed=1).weight)
    drawn = one[2:].detach().numpy()
    spread = random_table.vectors.std(0)
    error = np.abs(drawn.mean(0) - random_table.vectors.mean(0))
    assert (error < 5 * spread / np.sqrt(5_000)).all()
    assert (np.abs(drawn.std(0) / spread - 1) < 5 / np.sqrt(10_000)).all()


def test_special_rows_of_the_table():
    table = EmbeddingTable(["<unk>", "a", "<pad>"], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    weight = to_embedding(table, Vocabulary({"a": 1})).weight
    assert weight.tolist() == [[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]


def test_a_row_that_is_not_finite(table, vocab):
    table.vectors[0, 1] = np.nan
    with pytest.raises(VocabularyError, match=r"1 words have .* not finite, .* 'king' \(row 0"):
        to_embedding(table, vocab)


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.1, weight_decay=0.1),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.1, weight_decay=0.1),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.1, weight_decay=0.1),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1, weight_decay=0.1),
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=0.1, weight_decay=0.1),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "ASGD": lambda p: torch.optim.ASGD(p, lr=0.1, weight_decay=0.1),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.1),
    "RowAdamW": lambda p: RowAdamW(p, lr=0.1, weight_decay=0.1),
    "SGD sparse": lambda p: torch.optim.SGD(p, lr=0.1),
    "Adagrad sparse": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "SparseAdam sparse": lambda p: torch.optim.SparseAdam(p, lr=0.1),
    "RowAdamW sparse": lambda p: RowAdamW(p, lr=0.1, weight_decay=0.1),
}


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own sparse Adagrad
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_padding_stays_zero_through_training(table, vocab, name):
    embedding = to_embedding(table, vocab, sparse=name.endswith("sparse"))
    start = embedding.weight.detach().clone()
    optimizer = OPTIMIZERS[name](list(embedding.parameters()))
    ids = torch.tensor([[2, 3, 0], [4, 0, 0], [5, 1, 2]])
    target = torch.randn(3, 3, 3)
    for _ in range(5):
        optimizer.zero_grad()
        ((embedding(ids) - target) ** 2).sum().backward()
        optimizer.step()
    assert embedding.weight[0].tolist() == [0.0, 0.0, 0.0]
    moved = (embedding.weight.detach() != start).any(dim=1)
    assert moved.tolist() == [False, True, True, True, True, True]


# Other forms and special tokens


def test_words_found_under_another_form_have_their_own_rows(table):
    vocab = Vocabulary({"King": 3, "king": 2, "KING": 1, "plum": 1})
    embedding = to_embedding(table, vocab, oov="zeros", fallback=("lower",))
    assert embedding.weight[2:].tolist() == [[1.0, 0.5, 0.0]] * 3 + [[0.0, 0.0, 0.0]]
    with torch.no_grad():
        embedding.weight[2] = torch.tensor([9.0, 8.0, 7.0])
    back = to_table(embedding, vocab, like=table)
    assert back.index_to_key == [*table.index_to_key, "King", "KING", "plum"]
    assert back["King"].tolist() == [9.0, 8.0, 7.0]
    assert back["king"].tolist() == back["KING"].tolist() == [1.0, 0.5, 0.0]
    assert back.origin.tolist() == [0] * 5 + [Origin.NEW] * 3


def test_special_tokens_start_as_they_say_and_do_not_change_other_rows(table):
    plain = Vocabulary({"queen": 3, "pear": 2})
    specials = [
        Special("<m>", "mean"),
        Special("<n>", "normal"),
        Special("<o>", "normal"),
        Special("<v>", [7, 8, 9]),
        "<z>",
        Special("<unk>", lambda token: [5, 5, 5]),
        "king",
    ]
    vocab = Vocabulary({"queen": 3, "pear": 2}, specials=specials)
    rows = dict(zip(vocab.index_to_key, to_embedding(table, vocab).weight.tolist(), strict=True))
    named = ["<pad>", "<unk>", "<m>", "<n>", "<o>", "<v>", "<z>", "king"]
    assert list(rows) == [*named, "queen", "pear"]
    assert rows["<pad>"] == rows["<z>"] == [0.0, 0.0, 0.0]
    assert rows["<unk>"] == [5.0, 5.0, 5.0]
    np.testing.assert_allclose(rows["<m>"], [0.6, 0.0, 0.4], rtol=1e-6)
    assert rows["<v>"] == [7.0, 8.0, 9.0]
    assert rows["king"] == [1.0, 0.5, 0.0]
    assert len({tuple(rows[word]) for word in ("<n>", "<o>", "pear")}) == 3
    assert [rows["queen"], rows["pear"]] == to_embedding(table, plain).weight[2:].tolist()
    back = to_table(to_embedding(table, vocab), vocab, like=table)
    assert back.index_to_key == [*table.index_to_key, "<m>", "<n>", "<o>", "<v>", "<z>", "pear"]


def trained(embedding: nn.Embedding, optimizer: torch.optim.Optimizer) -> None:
    ids = torch.tensor([[2, 3, 0], [4, 0, 0], [5, 1, 2]])
    target = torch.randn(3, 3, 3)
    for _ in range(5):
        optimizer.zero_grad()
        ((embedding(ids) - target) ** 2).sum().backward()
        optimizer.step()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own sparse Adagrad
@pytest.mark.parametrize(
    "name", sorted(OPTIMIZERS.keys() - {"ASGD"})
)  # which always decays a little
def test_rows_that_do_not_train_keep_their_bits_with_every_optimizer(table, name):
    specials = [
        Special("<unk>", [1, -0.0, 1e-30], trainable=False),
        Special("<a>", [0.1, 0.2, 0.3], trainable=False),
        Special("<b>", [0.1, 0.2, 0.3]),
    ]
    vocab = Vocabulary({"king": 1, "pear": 1}, specials=specials)
    embedding = to_embedding(table, vocab, sparse=name.endswith("sparse"))
    start = embedding.weight.detach().clone()
    groups = FullTune().param_groups(embedding, embedding, lr=0.1, weight_decay=0.1)
    trained(embedding, OPTIMIZERS[name](groups))
    changed = embedding.weight.detach().view(torch.int32) != start.view(torch.int32)
    assert changed.any(dim=1).tolist() == [False, False, False, True, True, True]


def test_the_groups_fix_the_rows_of_a_copied_or_unpickled_model_again(table):
    vocab = Vocabulary(
        {"king": 1}, specials=[Special("<a>", "mean", trainable=False), "<b>", "<c>"]
    )
    embedding = to_embedding(table, vocab)
    assert list(embedding.state_dict()) == ["weight"]
    for other in (copy.deepcopy(embedding), pickle.loads(pickle.dumps(embedding)), embedding):
        other.weight.requires_grad_(False)
        for _ in range(2):
            groups = FullTune().param_groups(other, other, lr=0.1)
        assert not other.weight.requires_grad
        assert len(other.weight._backward_hooks) == 1
        other.weight.requires_grad_(True)
        trained(other, RowAdamW(groups))
        changed = (other.weight.detach() != to_embedding(table, vocab).weight).any(dim=1)
        assert changed.tolist() == [False, True, False, True, True, True]


def test_a_vocabulary_without_fixed_tokens_needs_no_hook(table, vocab):
    embedding = to_embedding(table, vocab)
    assert not embedding.weight._backward_hooks
    assert not hasattr(embedding, "fixed_rows")


# And back


def test_without_training_the_table_is_the_same_with_new_words_appended(table, vocab):
    table.metadata["note"] = "kept"
    embedding = to_embedding(table, vocab, oov=lambda word: [9, 9, len(word)])
    back = to_table(embedding, vocab, like=table)
    assert back.index_to_key == [*table.index_to_key, "pear", "plum"]
    assert bits(back.vectors[:5]) == bits(table.vectors)
    assert back.vectors[5:].tolist() == [[9.0, 9.0, 4.0], [9.0, 9.0, 4.0]]
    assert back.origin.tolist() == [Origin.PRETRAINED] * 5 + [Origin.NEW] * 2
    assert back.metadata == {"source": "fixture", "note": "kept"}


def test_tuned_rows_replace_the_old_ones(table, vocab):
    original = copy.deepcopy(table)
    embedding = to_embedding(table, vocab, oov="zeros")
    with torch.no_grad():
        embedding.weight[vocab.key_to_index["king"]] = torch.tensor([7.0, 8.0, 9.0])
        embedding.weight[vocab.key_to_index["plum"]] = torch.tensor([1.0, 2.0, 3.0])
        embedding.weight[1] = 5.0  # <unk>, which the table does not have
    back = to_table(embedding, vocab, like=table)
    assert back.index_to_key == ["king", "queen", "man", "woman", "apple", "pear", "plum"]
    assert back.vectors.tolist() == [
        [7.0, 8.0, 9.0],
        [1.0, -0.5, 0.0],
        [0.5, 0.5, 0.0],
        [0.5, -0.5, 0.0],
        [0.0, 0.0, 2.0],
        [0.0, 0.0, 0.0],
        [1.0, 2.0, 3.0],
    ]
    assert back.origin.tolist() == [1, 0, 0, 0, 0, 2, 2]
    assert bits(table.vectors) == bits(original.vectors)
    assert table.origin.tolist() == [0] * 5
    assert not np.shares_memory(back.vectors, embedding.weight.detach().numpy())


def test_other_rows_are_carried_over_bit_for_bit():
    odd = np.array([[0x7FC01234, 0xFF800000], [0x80000000, 1], [0x3F800000, 0]], np.uint32)
    like = EmbeddingTable(["nan", "minus", "a"], odd.view(np.float32), origin=[3, 0, 1])
    vocab = Vocabulary({"a": 1})
    embedding = to_embedding(like, vocab)
    with torch.no_grad():
        embedding.weight[2] = torch.tensor([1.0, -0.0])
    back = to_table(embedding, vocab, like)
    assert bits(back.vectors) == [[0x7FC01234, 0xFF800000], [0x80000000, 1], [0x3F800000, 1 << 31]]
    assert back.origin.tolist() == [Origin.COMPOSED, Origin.PRETRAINED, Origin.TUNED]


def test_special_words_of_the_table_keep_their_rows():
    like = EmbeddingTable(["<unk>", "a", "<pad>"], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    vocab = Vocabulary({"a": 1})
    embedding = to_embedding(like, vocab)
    with torch.no_grad():
        embedding.weight += 1
    back = to_table(embedding, vocab, like)
    assert back.index_to_key == ["<unk>", "a", "<pad>"]
    assert back.vectors.tolist() == [[2.0, 3.0], [4.0, 5.0], [5.0, 6.0]]
    assert back.origin.tolist() == [Origin.TUNED, Origin.TUNED, Origin.PRETRAINED]


def test_a_second_tuning_marks_its_own_rows(table, vocab):
    once = to_table(to_embedding(table, vocab), vocab, like=table)
    embedding = to_embedding(once, vocab)
    assert torch.equal(embedding.weight, to_embedding(table, vocab).weight)
    with torch.no_grad():
        embedding.weight[vocab.key_to_index["pear"]] += 1
    twice = to_table(embedding, vocab, like=once)
    assert twice.index_to_key == once.index_to_key
    assert twice.origin.tolist() == [0, 0, 0, 0, 0, Origin.TUNED, Origin.NEW]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_a_weight_of_another_type(table, vocab, dtype):
    weight = to_embedding(table, vocab, oov="zeros").weight.to(dtype)
    back = to_table(weight, vocab, like=table)
    assert back.vectors.dtype == np.float32
    assert bits(back.vectors[:5]) == bits(table.vectors)  # halves, exact in every type
    assert back.origin.tolist() == [0, 0, 0, 0, 0, 2, 2]


@pytest.mark.parametrize("shape", [(5, 3), (6, 2), (6,)])
def test_shapes_must_agree(table, vocab, shape):
    message = r"the embedding has the shape \(.*\), but .* need \(6, 3\); pass the vocabulary and"
    with pytest.raises(VocabularyError, match=message):
        to_table(torch.zeros(shape), vocab, like=table)


# Of a table opened in place


@pytest.fixture
def in_place(tmp_path, random_table):
    """A table whose vectors and words stay in its file, with some unusual words."""
    words = ["\udcff", "é", "", "<unk>", *random_table.index_to_key[4:]]
    save_safetensors(EmbeddingTable(words, random_table.vectors), tmp_path / "base.safetensors")
    return load_safetensors(tmp_path / "base.safetensors")


def tuned_weight(table, vocab) -> torch.Tensor:
    weight = to_embedding(table, vocab).weight.detach().clone()
    weight[1:] += torch.linspace(0, 1, len(vocab) - 1)[:, None]  # that of <unk> by nothing
    return weight


def test_a_table_opened_in_place_is_tuned_like_one_in_memory(in_place, tmp_path):
    file = tmp_path / "base.safetensors"
    before = file.read_bytes()
    copied = EmbeddingTable(
        list(in_place.words), np.array(in_place.vectors), in_place.metadata, in_place.origin
    )
    vocab = Vocabulary({"w1999": 1, "neu": 1, "é": 2, "w7": 1, "alt": 1})
    weight = tuned_weight(in_place, vocab)
    here, there = to_table(weight, vocab, in_place), to_table(weight, vocab, copied)
    assert isinstance(here.stored, PatchedRows)
    assert here.stored.base is in_place.vectors
    assert there.stored is there.vectors
    asked = ["neu", "w7", "<unk>", "", "\udcff", "absent", "<pad>"]
    assert here.rows_of(asked).tolist() == there.rows_of(asked).tolist()
    for word in asked[:5]:
        assert bits(here[word]) == bits(there[word])
        assert word in here
    assert "absent" not in here
    assert here.most_similar("w7") == there.most_similar("w7")
    assert here.subset(asked[:5]).vectors.tobytes() == there.subset(asked[:5]).vectors.tobytes()
    assert not {"vectors", "key_to_index", "index_to_key"} & vars(here).keys()
    assert (len(here), here.vector_size, repr(here)) == (2002, 16, repr(there))
    assert here.vectors.tobytes() == there.vectors.tobytes()
    assert here.origin.tolist() == there.origin.tolist()
    assert here.index_to_key == there.index_to_key == [*in_place.words, "neu", "alt"]
    assert here.key_to_index == there.key_to_index
    here.vectors[:] = 0
    assert not here["w7"].any()
    assert not here.rows(slice(0, 9)).any()
    assert file.read_bytes() == before
    assert in_place.vectors.tobytes() == copied.vectors.tobytes()


def test_rows_of_a_table_in_memory_are_copied(table, vocab):
    frozen = table.vectors.view()
    frozen.flags.writeable = False  # but not for whoever has `table`
    for like in (table, EmbeddingTable(table.index_to_key, frozen)):
        tuned = to_table(to_embedding(like, vocab), vocab, like)
        before = tuned.vectors.tolist()
        table.vectors += 1
        assert tuned.vectors.tolist() == before


def test_a_table_tuned_twice_in_place(in_place):
    vocab = Vocabulary({"w7": 1, "neu": 1})
    other = Vocabulary({"w8": 1, "neu": 1, "more": 1})
    once = to_table(tuned_weight(in_place, vocab), vocab, in_place)
    twice = to_table(tuned_weight(once, other), other, once)
    assert "vectors" not in vars(once)
    in_memory = EmbeddingTable(once.index_to_key, once.vectors, origin=once.origin)
    expected = to_table(tuned_weight(in_memory, other), other, in_memory)
    assert twice.vectors.tobytes() == expected.vectors.tobytes()
    assert twice.origin.tolist() == expected.origin.tolist()
    assert twice.index_to_key[-2:] == ["neu", "more"]


def test_copies_of_a_table_tuned_in_place(in_place):
    vocab = Vocabulary({"w7": 1, "neu": 1})
    tuned = to_table(tuned_weight(in_place, vocab), vocab, in_place)
    for other in (copy.deepcopy(tuned), pickle.loads(pickle.dumps(tuned))):
        assert other.vectors.tobytes() == tuned.stored[:].tobytes()
        assert other.rows_of(["neu", "w7", "x"]).tolist() == [2000, 7, -1]


def test_a_tuned_table_may_replace_its_base(in_place, tmp_path):
    vocab = Vocabulary({"w7": 1, "neu": 1})
    tuned = to_table(tuned_weight(in_place, vocab), vocab, in_place)
    save_safetensors(tuned, tmp_path / "base.safetensors")
    back = load_safetensors(tmp_path / "base.safetensors")
    assert back.vectors.tobytes() == tuned.vectors.tobytes()
    assert back.index_to_key == tuned.index_to_key
    assert back.origin.tolist() == tuned.origin.tolist()


def test_a_new_word_that_has_no_bytes(in_place):
    vocab = Vocabulary({"\ud800": 1, "w7": 1})
    tuned = to_table(tuned_weight(in_place, vocab), vocab, in_place)
    assert isinstance(tuned.words, list)
    assert tuned.index_to_key[-1] == "\ud800"
    assert tuned.rows_of(["\ud800", "w7", "\ud801"]).tolist() == [2000, 7, -1]
