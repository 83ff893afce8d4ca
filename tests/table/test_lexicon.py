"""Retrofitting and the lexicon loss, against their formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.table import related_rows

WORDS = ["good", "fine", "great", "bad", "poor", "tree"]
LEXICON = {
    "good": ["fine", "great", "good", "absent"],
    "fine": ["good"],
    "bad": ["poor", "poor"],
    "absent": ["good"],
}


def table(seed: int = 0, size: int = 4) -> fe.EmbeddingTable:
    rng = np.random.default_rng(seed)
    return fe.EmbeddingTable(WORDS, rng.standard_normal((len(WORDS), size)))


def fixed_point(vectors: np.ndarray, lexicon: dict[str, list[str]], alpha: float) -> np.ndarray:
    """Solve `(alpha + 1) q_i - mean_j q_j = alpha w_i` for the words that have related words."""
    size = len(WORDS)
    left, right = np.eye(size), vectors.astype(np.float64).copy()
    for word, others in lexicon.items():
        near = {WORDS.index(other) for other in others if other in WORDS and other != word}
        if word in WORDS and near:
            row = WORDS.index(word)
            left[row, row] = alpha + 1
            left[row, sorted(near)] -= 1 / len(near)
            right[row] *= alpha
    return np.linalg.solve(left, right)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_retrofitted_vectors_solve_the_equations(alpha):
    start = table()
    fitted = fe.retrofit(start, LEXICON, alpha=alpha)
    expected = fixed_point(start.vectors, LEXICON, alpha)
    np.testing.assert_allclose(fitted.vectors, expected, rtol=1e-5, atol=1e-6)
    still = [WORDS.index(word) for word in ("great", "poor", "tree")]  # no related words
    assert fitted.vectors[still].tobytes() == start.vectors[still].tobytes()
    assert fitted.origin.tolist() == [1, 1, 0, 1, 0, 0]
    assert fitted.index_to_key == WORDS
    assert start.vectors.tobytes() == table().vectors.tobytes()


@given(
    st.dictionaries(
        st.sampled_from(WORDS), st.lists(st.sampled_from(WORDS), min_size=1), min_size=1
    )
)
def test_any_lexicon(lexicon):
    if not any(set(others) - {word} for word, others in lexicon.items()):
        with pytest.raises(fe.VocabularyError, match="no two related words"):
            fe.retrofit(table(), lexicon)
        return
    expected = fixed_point(table().vectors, lexicon, 1.0)
    np.testing.assert_allclose(fe.retrofit(table(), lexicon).vectors, expected, atol=1e-5)


def test_related_words_are_closer_afterwards():
    start = table(size=50)
    fitted = fe.retrofit(start, LEXICON)
    for word in ("fine", "great"):
        before, after = (np.linalg.norm(one["good"] - one[word]) for one in (start, fitted))
        assert after < before


def test_a_lexicon_from_a_file(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("\ufeffgood fine\n\nalone\ngood great\nbad poor\n", encoding="utf-8")
    assert fe.read_lexicon(path) == {"good": ["fine", "great"], "bad": ["poor"]}
    by_file = fe.retrofit(table(), path).vectors
    assert by_file.tobytes() == fe.retrofit(table(), fe.read_lexicon(path)).vectors.tobytes()
    path.write_text("alone\n")
    with pytest.raises(
        fe.VocabularyError, match=r"txt: the lexicon has no line with .*: good fine"
    ):
        fe.read_lexicon(path)
    path.write_bytes(b"\xff\xfe")
    for wrong in (path, tmp_path / "none"):
        with pytest.raises(
            fe.VocabularyError, match=rf"{wrong}: the lexicon can't be read: [^/]*$"
        ):
            fe.read_lexicon(wrong)


def test_errors_of_retrofitting():
    with pytest.raises(fe.VocabularyError, match=r"^alpha=0 must be above 0 and finite$"):
        fe.retrofit(table(), LEXICON, alpha=0)
    with pytest.raises(fe.VocabularyError, match=r"in the table .*6 words x 4.*; use a lexicon"):
        fe.retrofit(table(), {"a": ["b"]})
    broken = table()
    broken.vectors[WORDS.index("fine"), 1] = np.nan
    with pytest.raises(
        fe.VocabularyError, match=r"vector of 'fine' \(row 1\) has values that are not"
    ):
        fe.retrofit(broken, LEXICON)


def test_related_rows():
    first, second = related_rows(LEXICON, ((word, row) for row, word in enumerate(WORDS)))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (3, 4),
    ]


# --- the loss -----------------------------------------------------------------------------------


def tuned(sparse: bool = True) -> tuple[torch.nn.Embedding, fe.Vocabulary]:
    vocab = fe.Vocabulary(dict.fromkeys(WORDS, 1))
    return fe.to_embedding(table(), vocab, sparse=sparse), vocab


def rows(embedding: torch.nn.Embedding, vocab: fe.Vocabulary, *words: str) -> list[torch.Tensor]:
    return [embedding.weight.detach()[vocab.key_to_index[word]] for word in words]


def test_the_loss_is_the_papers_formula():
    embedding, vocab = tuned()
    synonyms, antonyms = {"good": ["great"]}, {"good": ["bad"]}
    good, great, bad = rows(embedding, vocab, "good", "great", "bad")
    apart = float(1 - functional.cosine_similarity(good, great, dim=0))
    opposed = float(1 - functional.cosine_similarity(good, bad, dim=0))
    loss = fe.LexiconLoss(embedding, vocab, synonyms)
    assert loss().item() == pytest.approx(float((good - great).square().sum()))
    loss = fe.LexiconLoss(embedding, vocab, synonyms, by="cosine", near=0.1)
    assert loss().item() == pytest.approx(max(0.0, apart - 0.1), abs=1e-6)
    loss = fe.LexiconLoss(embedding, vocab, None, antonyms, far=1.9)
    assert loss().item() == pytest.approx(max(0.0, 1.9 - opposed), abs=1e-6)
    both = fe.LexiconLoss(embedding, vocab, synonyms, antonyms, by="cosine", far=1.9)
    assert both().item() == pytest.approx(apart + max(0.0, 1.9 - opposed), abs=1e-6)
    assert list(both.parameters()) == []
    assert both.state_dict() == {}


@pytest.mark.parametrize("sparse", [True, False])
def test_only_the_rows_of_the_pairs_have_a_gradient(sparse):
    embedding, vocab = tuned(sparse)
    fe.LexiconLoss(embedding, vocab, {"good": ["great"]}, {"bad": ["tree"]}, far=2.0)().backward()
    grad = embedding.weight.grad.to_dense()
    moved = {vocab.index_to_key[row] for row in grad.any(1).nonzero().squeeze(1).tolist()}
    assert moved == {"good", "great", "bad", "tree"}
    assert embedding.weight.grad.is_sparse == sparse


def test_a_loop_with_the_loss_moves_synonyms_together_and_antonyms_apart():
    embedding, vocab = tuned()
    loss = fe.LexiconLoss(embedding, vocab, {"good": ["great"]}, {"good": ["bad"]}, far=1.5)
    optimizer = fe.RowAdamW(
        fe.L2SP(0.1).param_groups(torch.nn.Sequential(embedding), embedding, lr=0.05)
    )

    def similarity(one: str, other: str) -> float:
        return float(functional.cosine_similarity(*rows(embedding, vocab, one, other), dim=0))

    before = similarity("good", "great"), similarity("good", "bad")
    for _ in range(100):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert similarity("good", "great") > max(0.95, before[0])
    assert similarity("good", "bad") < -0.4
    assert torch.equal(rows(embedding, vocab, "tree")[0], torch.from_numpy(table()["tree"]))


def test_sampled_pairs_follow_torchs_generator():
    embedding, vocab = tuned()
    loss = fe.LexiconLoss(embedding, vocab, LEXICON, pairs=1)
    torch.manual_seed(0)
    first = [loss().item() for _ in range(20)]
    torch.manual_seed(0)
    assert [loss().item() for _ in range(20)] == first
    assert len(set(first)) == 3  # good and fine are in the lexicon in both directions


def test_errors_of_the_loss(tmp_path: Path):
    embedding, vocab = tuned()
    for nothing in (None, {"a": ["b"]}, {"good": ["good"]}):
        with pytest.raises(fe.VocabularyError, match=r"has both words .*; use a lexicon of the"):
            fe.LexiconLoss(embedding, vocab, nothing)
    with pytest.raises(fe.VocabularyError, match=r"^by='dot' must be 'distance' or 'cosine'$"):
        fe.LexiconLoss(embedding, vocab, LEXICON, by="dot")
    with pytest.raises(fe.VocabularyError, match="can't be read"):
        fe.LexiconLoss(embedding, vocab, tmp_path / "none")


@pytest.mark.parametrize("alpha", [0.003, 0.03, 1.0])
def test_a_ring_converges_to_the_solution_of_the_equations(alpha):
    """Even if a word's own vector hardly counts, and another row is huge."""
    size = 30
    words = [f"w{i}" for i in range(size)]
    start = np.random.default_rng(1).standard_normal((size + 1, 5)).astype(np.float32)
    start[size] *= 1e6
    ring = {word: [words[(i + 1) % size], words[i - 1]] for i, word in enumerate(words)}
    ring |= {"large": ["w0"]}
    left = (alpha + 1) * np.eye(size) - (np.eye(size, k=1) + np.eye(size, k=-1)) / 2
    left[0, -1] -= 0.5
    left[-1, 0] -= 0.5
    expected = np.linalg.solve(left, alpha * start[:size].astype(np.float64))
    fitted = fe.retrofit(fe.EmbeddingTable([*words, "large"], start), ring, alpha=alpha)
    np.testing.assert_allclose(fitted.vectors[:size], expected, rtol=1e-4, atol=3e-6)


def test_retrofitting_that_does_not_converge():
    with pytest.raises(
        fe.VocabularyError,
        match=r"with alpha=1e-06, .* still move after 10,000 rounds; give .*alpha=0.1$",
    ):
        fe.retrofit(table(), {"good": ["fine"], "fine": ["good"]}, alpha=1e-6)
    with pytest.raises(fe.VocabularyError, match=r"'good' to the string 'fine'; .*\['fine'\]"):
        fe.retrofit(table(), {"good": "fine"})
