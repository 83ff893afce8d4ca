"""A delta makes the tuned table from its base, to the bit; deltas merge, revert and refuse."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import safe_open
from safetensors.numpy import load_file

import finetune_embed as fe
from finetune_embed.table import PatchedRows

WORDS = ["the", "café", "a\u00a0b", "日本語", "🙂"]


def same(one: fe.EmbeddingTable, other: fe.EmbeddingTable) -> bool:
    """Return whether two tables agree in every bit, in the order of words and in what they say."""
    return (
        one.index_to_key == other.index_to_key
        and np.asarray(one.vectors).tobytes() == np.asarray(other.vectors).tobytes()
        and one.vectors.shape == other.vectors.shape
        and one.origin.tolist() == other.origin.tolist()
        and one.metadata == other.metadata
    )


def tuned_from(base: fe.EmbeddingTable, **changes: list[float]) -> fe.EmbeddingTable:
    """Return a table with some words' vectors replaced, and new words after its own."""
    vocab = fe.Vocabulary(dict.fromkeys(changes, 1))
    weight = fe.to_embedding(base, vocab, oov="zeros").weight.detach().clone()
    for word, vector in changes.items():
        weight[vocab.key_to_index[word]] = np.float32(1) * weight.new_tensor(vector)
    tuned = fe.to_table(weight, vocab, like=base)
    tuned.metadata = {"strategy": "FullTune"}
    return tuned


@pytest.fixture
def base(golden: Path) -> fe.EmbeddingTable:
    return fe.load_vectors(golden / "tiny.safetensors")


@pytest.fixture
def tuned(base: fe.EmbeddingTable) -> fe.EmbeddingTable:
    """The tuned table of the golden deltas."""
    vectors = base.vectors.copy()
    vectors[0] += np.float32([0, 1.5, -63.5])
    vectors[2] += np.float32([2, 0, 1])
    return fe.EmbeddingTable(
        [*WORDS, "new"],
        np.vstack([vectors, np.float32([[1, -127, 0]])]),
        {"source": "näive.txt", "strategy": "FullTune"},
        [1, 1, 1, 2, 3, 2],
    )


BITS = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1 << 31, 0x7FC00001, 0xFF800000, 0x3F800000])


@st.composite
def tables(draw: st.DrawFn) -> tuple[fe.EmbeddingTable, fe.EmbeddingTable]:
    """A table, and one with some of its rows changed and words added, of any bits."""
    words = draw(st.lists(st.text(max_size=4) | st.just("\udcff"), unique=True, max_size=12))
    kept, size = draw(st.integers(0, len(words))), draw(st.integers(0, 3))
    shape = (len(words), size)
    before = draw(arrays.arrays(np.uint32, (kept, size), elements=BITS))
    after = draw(arrays.arrays(np.uint32, shape, elements=BITS))
    unchanged = draw(arrays.arrays(bool, kept))
    after[:kept][unchanged] = before[unchanged]
    origin = draw(arrays.arrays(np.uint8, len(words), elements=st.integers(0, 3)))
    metadata = draw(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2))
    base = fe.EmbeddingTable(words[:kept], before.view(np.float32))
    return base, fe.EmbeddingTable(words, after.view(np.float32), metadata, origin)


@given(tables())
def test_apply_after_save_gives_every_bit(pair):
    base, tuned = pair
    for before, after in ((base, tuned), (tuned, base), (base, base)):
        written = io.BytesIO()
        delta = fe.Delta.between(before, after)
        _write(delta, written)
        read = fe.load_delta(io.BytesIO(written.getvalue()))
        assert same(fe.apply_delta(before, read), after)
        assert same(fe.apply_delta(before, delta), after)
        assert str(read) == str(delta)
        assert read.to_dict() == delta.to_dict()
    assert len(fe.Delta.between(base, base).vectors) == 0


def _write(delta: fe.Delta, file: io.BytesIO) -> None:
    from finetune_embed.deltas.delta_file import write_to

    write_to(delta, file)


def test_writes_the_golden_bytes(golden, base, tuned, tmp_path):
    for name, dtype in (("delta", "float32"), ("delta-int8", "int8")):
        fe.save_delta(base, tuned, tmp_path / "d", dtype)
        assert (tmp_path / "d").read_bytes() == (golden / f"{name}.safetensors").read_bytes()


def test_reads_the_golden_files(golden, base, tuned):
    assert same(fe.apply_delta(base, golden / "delta.safetensors"), tuned)
    close = fe.apply_delta(base, golden / "delta-int8.safetensors")
    assert close.vectors[[0, 1, 3, 4, 5]].tobytes() == tuned.vectors[[0, 1, 3, 4, 5]].tobytes()
    step = np.float32(np.float32(2 / 127) * np.float32(64))
    assert close["a\u00a0b"].tolist() == [65506.0, base["a\u00a0b"][1], np.float32(-2.5) + step]
    delta = fe.load_delta(golden / "delta.safetensors")
    assert str(delta) == (
        "2 of 5 rows changed (40.00%), 1 new word, 3 x float32 each\n"
        "new: new\n"
        f"base: näive.txt, words {delta.base.vocab_sha256[:12]}, "
        f"vectors {delta.base.vectors_sha256[:12]} (SHA-256)"
    )


def test_what_the_page_says_of_the_file_is_enough_to_apply_it(golden, base, tuned):
    """Without the library: numpy and safetensors alone."""
    start = load_file(golden / "tiny.safetensors")
    for name, wanted in (("delta", tuned), ("delta-int8", None)):
        delta = load_file(golden / f"{name}.safetensors")
        with safe_open(golden / f"{name}.safetensors", "numpy") as file:
            metadata = file.metadata()
        words = start["vocab.offsets"].tobytes() + start["vocab.bytes"].tobytes()
        assert metadata["base_vocab_sha256"] == hashlib.sha256(words).hexdigest()
        weight = start["embedding.weight"]
        assert metadata["base_vectors_sha256"] == hashlib.sha256(weight.tobytes()).hexdigest()
        rows, vectors = delta["delta.rows"], delta["delta.vectors"]
        before = np.zeros_like(vectors, np.float32)
        before[: len(rows)] = weight[rows]
        if vectors.dtype == np.int8:
            vectors = before + vectors * delta["delta.scale"][:, None]
        after = np.vstack([weight, vectors[len(rows) :]])
        after[rows] = vectors[: len(rows)]
        wanted = wanted or fe.apply_delta(base, golden / f"{name}.safetensors")
        assert after.tobytes() == wanted.vectors.tobytes()
        assert json.loads(metadata["metadata"]) == wanted.metadata


def test_a_tuned_run_is_a_delta_of_its_file(tmp_path):
    base = fe.EmbeddingTable(
        [f"w{i}" for i in range(500)],
        np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32),
    )
    fe.save_word2vec(base, tmp_path / "base.bin", binary=True)
    texts = {"a": "w1 w2 new", "b": "w3 w4"}
    data = [{"text": text, "label": label} for label, text in texts.items()] * 20
    run = fe.finetune(
        tmp_path / "base.bin", data, epochs=2, lexical=False, output_dir=tmp_path / "run"
    )
    fe.save_delta(tmp_path / "base.bin", tmp_path / "run", tmp_path / "from-files")
    fe.save_delta(fe.load_vectors(tmp_path / "base.bin"), run.table, tmp_path / "in-memory")
    assert (tmp_path / "from-files").read_bytes() == (tmp_path / "in-memory").read_bytes()
    delta = fe.load_delta(tmp_path / "from-files")
    assert (delta.rows.tolist(), delta.words) == ([1, 2, 3, 4], ["new"])
    sha256 = hashlib.sha256((tmp_path / "base.bin").read_bytes()).hexdigest()
    assert (delta.base.source, delta.base.source_sha256) == ("base.bin", sha256)
    fe.save_delta(tmp_path / "run", tmp_path / "base.bin", tmp_path / "way-back")
    way_back = fe.load_delta(tmp_path / "way-back")
    assert (way_back.base.source, way_back.base.rows) == ("", 501)
    # The base may be in another file and format, and the delta compressed.
    fe.save_safetensors(base, tmp_path / "base.safetensors")
    (tmp_path / "d.gz").write_bytes(gzip.compress((tmp_path / "from-files").read_bytes()))
    back = fe.apply_delta(tmp_path / "base.safetensors", tmp_path / "d.gz")
    assert same(back, fe.load_vectors(tmp_path / "run"))
    fe.save_safetensors(back, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (
        tmp_path / "run/embedding.safetensors"
    ).read_bytes()


def test_rows_that_did_not_change_stay_in_the_file_of_the_base(base, tuned, golden, tmp_path):
    applied = fe.apply_delta(base, golden / "delta.safetensors")
    assert isinstance(applied.stored, PatchedRows)
    assert applied.stored.base is base.vectors
    again = fe.apply_delta(applied, fe.Delta.between(applied, tuned_from(applied, the=[1, 2, 3])))
    assert again["the"].tolist() == [1, 2, 3]
    assert applied["the"].tolist() == tuned["the"].tolist()
    held = fe.EmbeddingTable(WORDS, base.vectors.copy())
    changed = fe.apply_delta(held, golden / "delta.safetensors")
    changed.vectors[1] = 0  # shares nothing with a base that can be written to
    assert held.vectors.tobytes() == base.vectors.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8"])
def test_a_base_of_smaller_numbers_stays_in_its_file(golden, tmp_path, dtype):
    base = fe.load_vectors(golden / f"tiny.{dtype}.safetensors")
    tuned = tuned_from(base, the=[1, 2, 3], new=[4, 5, 6])
    fe.save_delta(base, tuned, tmp_path / "d")
    applied = fe.apply_delta(base, tmp_path / "d")
    assert isinstance(applied.stored, PatchedRows)
    assert applied.stored.base is base.stored
    assert same(applied, tuned)
    whole = fe.EmbeddingTable(base.index_to_key, base.vectors)  # the same numbers as float32
    assert same(fe.apply_delta(whole, tmp_path / "d"), tuned) == (not base.origin.any())
    fe.save_delta(tuned, base, tmp_path / "back")
    assert same(fe.apply_delta(tuned, tmp_path / "back"), base)


def test_a_table_keeps_the_tokenizer_of_its_base(golden, tmp_path):
    base = fe.load_vectors(golden / "static" / "model2vec")
    assert base.tokenizer is not None
    word = base.index_to_key[5]
    tuned = tuned_from(base, **{word: [1.0] * base.vector_size})
    assert tuned.tokenizer is base.tokenizer
    fe.save_delta(base, tuned, tmp_path / "d")
    fe.save_delta(tuned, base, tmp_path / "back")
    for name, table in (("one", tuned), ("two", fe.apply_delta(base, tmp_path / "d"))):
        fe.save_safetensors(table, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert fe.apply_delta(tuned, tmp_path / "back").tokenizer is base.tokenizer


def test_a_delta_back_to_the_base(base, tuned, tmp_path):
    fe.save_delta(tuned, base, tmp_path / "back")
    assert same(fe.apply_delta(tuned, tmp_path / "back"), base)
    delta = fe.load_delta(tmp_path / "back")
    assert (delta.rows.tolist(), delta.words, delta.removed, delta.kept) == ([0, 2], [], 1, 5)
    assert "0 new words, 1 word removed, 3 x float32 each" in str(delta)


def test_int8_is_within_half_a_step(random_table, tmp_path):
    random = np.random.default_rng(1)
    vectors = random_table.vectors.copy()
    moves = random.standard_normal((50, 16)) * random.lognormal(0, 3, (50, 1))
    vectors[::40] += moves.astype(np.float32)
    tuned = fe.EmbeddingTable(random_table.index_to_key, vectors)
    for dtype in ("float32", "int8"):
        fe.save_delta(random_table, tuned, tmp_path / dtype, dtype)
    close = fe.apply_delta(random_table, tmp_path / "int8")
    off = np.abs(close.vectors - vectors)
    moved = np.abs(vectors - random_table.vectors).max(axis=1)
    assert (off.max(axis=1) <= moved / 254 + 1e-6 * np.abs(vectors).max(axis=1)).all()
    assert off.any()
    assert np.count_nonzero(off.any(axis=1)) <= 50
    sizes = [(tmp_path / dtype).stat().st_size for dtype in ("float32", "int8")]
    assert sizes[0] - sizes[1] == pytest.approx(50 * (3 * 16 - 4), abs=130)


def test_in_part_and_merged(base):
    one = fe.Delta.between(base, tuned_from(base, the=[2.5, -1.25, 3.0], new=[4, 0, 0]))
    two = fe.Delta.between(
        base, tuned_from(base, the=[0.5, 2.75, 3.0], new=[0, 8, 0], own=[1, 1, 1])
    )
    half = fe.apply_delta(base, one, weights=[0.5])
    assert half["the"].tolist() == [1.5, -1.25, 3.0]
    assert half["new"].tolist() == [4, 0, 0]
    merged = fe.apply_delta(base, one, two, weights=[0.5, 0.25])
    assert merged.index_to_key == [*WORDS, "new", "own"]
    assert merged["the"].tolist() == [1.5, -0.25, 3.0]
    assert merged["new"].tolist() == [np.float32(8 / 3), np.float32(8 / 3), 0]
    assert merged["own"].tolist() == [1, 1, 1]
    assert merged.vectors[1:5].tobytes() == base.vectors[1:5].tobytes()
    assert merged.origin.tolist() == [1, *base.origin[1:], 2, 2]
    parts = [{"weight": w, "metadata": {"strategy": "FullTune"}} for w in (0.5, 0.25)]
    assert merged.metadata == {**base.metadata, "deltas": json.dumps(parts)}
    forgotten = fe.apply_delta(base, one, weights=[-1])
    assert forgotten["the"].tolist() == [-1.5, -1.25, 3.0]
    assert same(fe.apply_delta(base, one, two, weights=[0, 1]), fe.apply_delta(base, two))
    none = fe.apply_delta(base, one, weights=[0])
    assert none.index_to_key == WORDS
    assert none.vectors.tobytes() == base.vectors.tobytes()
    assert none.origin.tolist() == base.origin.tolist()


def test_origins_that_deltas_do_not_agree_on(base):
    vectors = base.vectors + np.float32(1)
    deltas = [
        fe.Delta.between(base, fe.EmbeddingTable(WORDS, vectors, None, origin))
        for origin in ([3, 3, 0, 2, 3], [3, 1, 2, 2, 3])
    ]
    merged = fe.apply_delta(base, *deltas, weights=[0.5, 0.5])
    assert merged.origin.tolist() == [3, 1, 1, 2, 3]
    assert merged.vectors.tobytes() == vectors.tobytes()


def test_another_base_is_refused_with_both_hashes(base, tuned, golden):
    path = golden / "delta.safetensors"
    found = fe.load_delta(path).base
    vectors = base.vectors.copy()
    vectors[4, 2] = np.nextafter(vectors[4, 2], np.float32(1))
    moved = fe.EmbeddingTable(WORDS, vectors)
    with pytest.raises(fe.VectorFileError) as error:
        fe.apply_delta(moved, path)
    wrong = hashlib.sha256(vectors.tobytes()).hexdigest()
    assert str(error.value) == (
        f"{path}: the delta belongs to vectors with the SHA-256 {found.vectors_sha256}, but the "
        f"base has others with {wrong}; pass the table that it was made from, näive.txt"
    )
    for words in ([*WORDS[:4], "x"], [*WORDS[1:], WORDS[0]], WORDS[:4]):
        other = fe.EmbeddingTable(words, base.vectors[: len(words)])
        with pytest.raises(fe.VectorFileError) as error:
            fe.apply_delta(other, path)
        assert f"5 words with the SHA-256 {found.vocab_sha256}" in str(error.value)
        assert f"but the base has {len(words)} with " in str(error.value)
        assert error.value.value in str(error.value)
        assert error.value.value != found.vocab_sha256
    with pytest.raises(fe.VectorFileError, match="the delta belongs to 5 words"):
        fe.apply_delta(tuned, path)


def test_tables_that_do_not_belong_together(base, tuned):
    with pytest.raises(fe.VocabularyError, match="base has 3 dimensions, the tuned table 2"):
        fe.Delta.between(base, fe.EmbeddingTable(WORDS, base.vectors[:, :2]))
    renamed = fe.EmbeddingTable(["the", "cafe", *WORDS[2:]], base.vectors)
    with pytest.raises(fe.VocabularyError, match="row 1 is 'café' in the base and 'cafe' in"):
        fe.Delta.between(base, renamed)
    twice = fe.EmbeddingTable([*WORDS, "the"], np.vstack([base.vectors, base.vectors[:1]]))
    with pytest.raises(fe.VocabularyError, match="the word 'the' is in rows 0 and 5"):
        fe.Delta.between(base, twice)
    lone = fe.EmbeddingTable([*WORDS, "\ud800"], tuned.vectors)
    with pytest.raises(fe.VectorFileError, match="1 of 1 words have lone surrogates"):
        fe.save_delta(base, lone, "never")
    assert not Path("never").exists()


def test_a_file_appears_whole_or_not_at_all(base, tuned, tmp_path, monkeypatch):
    path = tmp_path / "d.safetensors"
    path.write_bytes(b"before")
    monkeypatch.setattr("os.replace", _full)
    with pytest.raises(fe.VectorFileError, match="No space left"):
        fe.save_delta(base, tuned, path)
    assert [file.name for file in tmp_path.iterdir()] == ["d.safetensors"]
    assert path.read_bytes() == b"before"
    with pytest.raises(fe.VectorFileError, match=r"ends in \.gz, but what is written is not comp"):
        fe.save_delta(base, tuned, tmp_path / "d.gz")


def _full(*paths: object) -> None:
    raise OSError(28, "No space left on device")
