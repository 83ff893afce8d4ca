"""Drift: how far rows moved, against a slow reference, in bands, with neighbours."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.evaluation import drift as package_drift

D = 5


def base_table(rows: int = 40) -> fe.EmbeddingTable:
    rng = np.random.default_rng(0)
    return fe.EmbeddingTable([f"w{i}" for i in range(rows)], rng.standard_normal((rows, D)))


def moved_table(base: fe.EmbeddingTable, rows: list[int], seed: int = 1) -> fe.EmbeddingTable:
    """Return the table with some rows moved, in another order, and two new words."""
    rng = np.random.default_rng(seed)
    vectors = np.array(base.vectors)
    vectors[rows] += rng.standard_normal((len(rows), D)).astype(np.float32) * 0.3
    order = rng.permutation(len(base))
    words = [base.index_to_key[i] for i in order]
    return fe.EmbeddingTable(
        ["new1", *words, "new2"], np.vstack([np.ones(D), vectors[order], np.ones(D)])
    )


def by_hand(base: fe.EmbeddingTable, tuned: fe.EmbeddingTable, word: str) -> tuple[float, float]:
    """Return relative movement and cosine of one word, in plain Python."""
    start, end = ([float(x) for x in table[word]] for table in (base, tuned))
    if start == end:
        return 0.0, 1.0
    size = math.sqrt(sum(x * x for x in start))
    end_size = math.sqrt(sum(x * x for x in end))
    distance = math.sqrt(sum((a - b) ** 2 for a, b in zip(start, end, strict=True)))
    product = sum(a * b for a, b in zip(start, end, strict=True))
    return distance / (size or 1), product / ((size * end_size) or 1)


def test_movement_and_cosine_of_every_row():
    base = base_table()
    tuned = moved_table(base, [0, 3, 7, 39])
    found = fe.drift(base, tuned)
    expected = [by_hand(base, tuned, word) for word in base.index_to_key]
    np.testing.assert_allclose(found.movement, [m for m, _ in expected], rtol=1e-12)
    np.testing.assert_allclose(found.cosine, [c for _, c in expected], rtol=1e-12)
    assert np.flatnonzero(found.moved).tolist() == [0, 3, 7, 39]
    assert found.rows_moved == 4
    assert found.new_rows == 2
    moved = sorted(found.movement[[0, 3, 7, 39]])
    assert found.median_movement == pytest.approx((moved[1] + moved[2]) / 2)
    cosines = sorted(found.cosine[[0, 3, 7, 39]])
    assert found.median_cosine == pytest.approx((cosines[1] + cosines[2]) / 2)


def test_round_numbers():
    base = fe.EmbeddingTable(["a", "b", "c", "d"], [[3, 4], [0, 2], [1, 0], [5, 5]])
    tuned = fe.EmbeddingTable(["a", "b", "c", "d"], [[3, 9], [2, 0], [-1, 0], [5, 5]])
    found = fe.drift(base, tuned)
    root = math.sqrt
    np.testing.assert_allclose(found.movement, [1.0, root(8) / 2, 2.0, 0.0])
    np.testing.assert_allclose(found.cosine, [45 / (5 * root(90)), 0.0, -1.0, 1.0], atol=1e-15)


def test_a_table_with_itself():
    base = base_table()
    for other in (base, fe.EmbeddingTable(base.index_to_key[::-1], base.vectors[::-1])):
        found = fe.drift(base, other)
        assert not found.movement.any()
        assert (found.cosine == 1).all()
        assert (found.rows_moved, found.median_movement, found.median_cosine) == (0, 0.0, 1.0)
        assert found.top() == []
        assert "0 of 40 rows moved (0.00%), 40 are bit-identical" in str(found)


def test_a_single_bit_counts():
    base = base_table()
    vectors = np.array(base.vectors)
    vectors[5, 2] = np.nextafter(vectors[5, 2], np.float32(9))
    found = fe.drift(base, fe.EmbeddingTable(base.index_to_key, vectors))
    assert np.flatnonzero(found.moved).tolist() == [5]
    assert 0 < found.movement[5] < 1e-6


def test_the_block_size_does_not_matter(monkeypatch):
    """The numbers are the same for any block size, also where the last block is short."""
    base = base_table()
    tuned = moved_table(base, [0, 6, 7, 8, 20, 39])
    expected = fe.drift(base, tuned)
    module = __import__("importlib").import_module(package_drift.__module__)
    for block in (1, 7, 39, 40, 41):
        monkeypatch.setattr(module, "BLOCK", block)
        found = fe.drift(base, tuned)
        assert found.movement.tobytes() == expected.movement.tobytes()
        assert found.cosine.tobytes() == expected.cosine.tobytes()
        assert found.moved.tolist() == expected.moved.tolist()


def test_zero_rows():
    base = fe.EmbeddingTable(["from zero", "to zero", "stays zero"], [[0, 0], [3, 4], [0, 0]])
    tuned = fe.EmbeddingTable(base.index_to_key, [[3, 4], [0, 0], [0, 0]])
    found = fe.drift(base, tuned)
    assert found.movement.tolist() == [5.0, 1.0, 0.0]  # the distance itself; all of its length
    assert found.cosine.tolist() == [0.0, 0.0, 1.0]
    assert found.moved.tolist() == [True, True, False]


# --- bands ----------------------------------------------------------------------------------------


def test_bands_by_count():
    base = base_table(8)
    counts = {"w0": 0, "w1": 1, "w2": 2, "w3": 9, "w4": 10, "w5": 999, "w6": 1000, "other": 5}
    tuned = moved_table(base, [2, 3, 6])
    found = fe.drift(base, tuned, counts)
    bands = {band.name: band for band in found.bands}
    assert {name: (band.rows, band.moved) for name, band in bands.items()} == {
        "never seen in training": (2, 0),
        "seen once": (1, 0),
        "seen 2 to 9 times": (2, 2),
        "seen 10 to 99 times": (1, 0),
        "seen 100 to 999 times": (1, 0),
        "seen 1,000 or more times": (1, 1),
    }
    few = bands["seen 2 to 9 times"]
    assert few.median_movement == pytest.approx(found.movement[[2, 3]].mean())
    assert few.median_cosine == pytest.approx(found.cosine[[2, 3]].mean())
    assert bands["seen once"].median_movement == 0.0
    assert bands["seen once"].median_cosine == 1.0
    assert sum(band.rows for band in found.bands) == len(base)
    assert sum(band.moved for band in found.bands) == found.rows_moved


def test_bands_by_rank():
    rows = 10_001
    base = fe.EmbeddingTable([f"w{i}" for i in range(rows)], np.ones((rows, 2)))
    vectors = np.ones((rows, 2), np.float32)
    vectors[[0, 999, 1000, 10_000]] = 2
    found = fe.drift(base, fe.EmbeddingTable(base.index_to_key, vectors))
    assert [(band.name, band.rows, band.moved) for band in found.bands] == [
        ("rows 0 to 999", 1000, 2),
        ("rows 1,000 to 9,999", 9000, 1),
        ("rows 10,000 to 99,999", 1, 1),
    ]
    assert {band.median_movement for band in found.bands} == {1.0}


# --- neighbours -----------------------------------------------------------------------------------


def test_top_returns_the_words_that_moved_farthest_with_their_neighbours():
    base = base_table()
    tuned = moved_table(base, [0, 3, 7, 39])
    found = fe.drift(base, tuned)
    order = sorted([0, 3, 7, 39], key=lambda row: -found.movement[row])
    for n, rows in ((2, order[:2]), (4, order), (10, order)):
        assert [mover.word for mover in found.top(n)] == [f"w{row}" for row in rows]
    for mover in found.top(4, topn=3):
        row = base.key_to_index[mover.word]
        assert (mover.movement, mover.cosine) == (found.movement[row], found.cosine[row])
        for table, nearest in ((base, mover.before), (tuned, mover.after)):
            cosines = {
                word: float(
                    table[mover.word]
                    @ table[word]
                    / np.linalg.norm(table[mover.word])
                    / np.linalg.norm(table[word])
                )
                for word in table.index_to_key
                if word != mover.word
            }
            best = sorted(cosines, key=lambda word: -cosines[word])[:3]
            assert [word for word, _ in nearest] == best
            np.testing.assert_allclose(
                [c for _, c in nearest], [cosines[w] for w in best], rtol=1e-5
            )
    assert found.top(1)[0].before != found.top(1)[0].after


def test_one_word():
    base = base_table()
    found = fe.drift(base, moved_table(base, [3]))
    assert found.word("w3") == found.top(1)[0]
    still = found.word("w4", topn=2)
    assert (still.movement, still.cosine, len(still.before)) == (0.0, 1.0, 2)
    for word in ("new1", "absent"):
        with pytest.raises(fe.VocabularyError, match=rf"'{word}' is not in the base table \(Emb"):
            found.word(word)


# --- errors and the report -------------------------------------------------------


def test_words_that_the_tuned_table_lacks_are_an_error_with_a_remedy():
    base = base_table(4)
    tuned = base.subset(["w3", "w0"])
    with pytest.raises(fe.VocabularyError) as caught:
        fe.drift(base, tuned)
    assert str(caught.value) == (
        "the tuned table lacks 2 of 4 words of the base table; the first is 'w1'; compare it with "
        "base.subset(w for w in base.index_to_key if w in tuned)"
    )
    common = fe.drift(base.subset(w for w in base.index_to_key if w in tuned), tuned)
    assert common.rows_moved == 0


def test_tables_of_different_dimensions_are_an_error():
    with pytest.raises(
        fe.VocabularyError, match="base table has 5 dimensions, the tuned one 2; compare"
    ):
        fe.drift(base_table(), fe.EmbeddingTable(["w0"], [[1, 2]]))


@pytest.mark.parametrize("counts", [None, {"w1": 3}])
def test_to_dict_is_plain_json(counts):
    base = base_table()
    found = fe.drift(base, moved_table(base, [1, 2]), counts)
    plain = json.loads(json.dumps(found.to_dict(top=2)))
    assert (plain["rows"], plain["rows_moved"], plain["new_rows"]) == (40, 2, 2)
    assert plain["median_movement"] == found.median_movement
    assert [band["name"] for band in plain["bands"]] == [band.name for band in found.bands]
    assert [mover["word"] for mover in plain["top"]] == [mover.word for mover in found.top(2)]
    assert plain["top"][0]["before"][0] == list(found.top(1)[0].before[0])
    assert plain["geometry"]["rotation"]["residual"] == found.geometry.rotation.residual
    assert plain["neighbours"]["moved"]["share"] == found.neighbours().moved.share
    assert [(b["name"], b["rows"]) for b in plain["origins"]] == [
        ("untouched", 38),
        ("trained", 2),
        ("new", 2),
    ]
    more = {"top", "geometry", "neighbours", "origins"}
    assert json.loads(json.dumps(found.summary())) == {
        name: value for name, value in plain.items() if name not in more
    }


def test_the_printed_report():
    base = base_table()
    found = fe.drift(base, moved_table(base, [1, 2]))
    lines = str(found).splitlines()
    assert lines[0] == ("2 of 40 rows moved (5.00%), 38 are bit-identical; 2 new rows")
    assert f"median movement {found.median_movement:.1%} of their length" in lines[1]
    assert lines[3].split() == ["row", "rows", "moved", "movement", "cosine"]
    by_count = str(fe.drift(base, moved_table(base, [1, 2]), {"w1": 3})).splitlines()
    assert by_count[3].split() == ["frequency", "rows", "moved", "movement", "cosine"]
    assert lines[4].split()[:6] == ["rows", "0", "to", "999", "40", "2"]
    farthest = lines.index("farthest:")
    assert lines[farthest + 1].startswith(
        f"{found.top(1)[0].word}: moved {found.movement.max():.1%}, cosine"
    )
    assert lines[6].split() == ["origin", "rows", "moved", "movement", "cosine"]
    geometry, kept = found.geometry, found.neighbours()
    assert lines[11].split()[:5] == ["space", "of", "the", "2", "rows"]
    assert lines[12].split()[2:] == [
        f"{geometry.before.mean_norm:.3f}",
        f"{geometry.after.mean_norm:.3f}",
    ]
    assert f"explains {geometry.rotation.explained:.1%} of their squared" in lines[15]
    assert lines[18].split()[3:] == [f"{kept.moved.share:.1%}", "(2", "words)"]
    assert lines[22].split()[:2] == [f"{geometry.directions[0].share:.1%}", "toward"]
    assert found.overview().splitlines() == [*lines[:10], "", *lines[farthest:]]


def test_an_empty_table():
    found = fe.drift(fe.EmbeddingTable([], np.empty((0, 3))), fe.EmbeddingTable(["a"], [[1, 2, 3]]))
    assert (found.rows_moved, found.new_rows, found.bands) == (0, 1, ())
    assert str(found).startswith("0 of 0 rows moved (0.00%)")


def test_the_report_of_no_movement_has_no_medians() -> None:
    table = fe.EmbeddingTable(["a", "b"], np.ones((2, 2), np.float32))
    found = str(fe.drift(table, table))
    assert found.startswith("0 of 2 rows moved (0.00%), 2 are bit-identical")
    assert "median movement" not in found


# --- a table that shares rows with its base ----------------------------------------------------


@pytest.fixture
def shared(tmp_path):
    """A base opened in place, and a table that shares all but a few of its rows."""
    fe.save_safetensors(base_table(), tmp_path / "base.safetensors")
    base = fe.load_safetensors(tmp_path / "base.safetensors")
    vectors = np.array(base.vectors[[3, 7, 39]])
    vectors[:2] += 0.5  # the third does not move
    origin = np.zeros(41, np.uint8)
    at = np.array([7, 3, 39])
    vectors = np.concatenate([vectors[[1, 0, 2]], np.ones((1, D), np.float32)])
    return base, base.patched(at, vectors, ["new"], origin)


@pytest.mark.parametrize("counts", [None, {"w3": 5, "w8": 1, "new": 2, "absent": 1}])
def test_only_the_rows_that_differ_are_read(shared, counts, monkeypatch):
    base, tuned = shared
    copied = fe.EmbeddingTable(list(tuned.words), tuned.stored.to_array())
    expected = fe.drift(base, copied, counts)
    asked: list[int] = []
    rows = fe.EmbeddingTable.rows
    monkeypatch.setattr(fe.EmbeddingTable, "rows", lambda t, w: (asked.extend(w), rows(t, w))[1])
    found = fe.drift(base, tuned, counts)
    monkeypatch.undo()
    assert sorted(asked) == [3, 3, 7, 7, 39, 39]
    assert found.movement.tobytes() == expected.movement.tobytes()
    assert found.cosine.tobytes() == expected.cosine.tobytes()
    assert np.flatnonzero(found.moved).tolist() == [3, 7]
    assert found.to_dict() == expected.to_dict()
    assert str(found) == str(expected)
    assert not {"vectors", "key_to_index", "index_to_key"} & vars(tuned).keys()


def test_later_changes_of_its_vectors_count(shared):
    base, tuned = shared
    tuned.vectors[20] = 5
    assert np.flatnonzero(fe.drift(base, tuned).moved).tolist() == [3, 7, 20]


def test_a_base_of_the_same_rows_under_other_words(shared):
    base, tuned = shared
    other = fe.EmbeddingTable(base.index_to_key[::-1], base.vectors)
    found = fe.drift(other, tuned)
    assert found.rows_moved == 40
    expected = [by_hand(other, tuned, word) for word in other.index_to_key]
    np.testing.assert_allclose(found.movement, [m for m, _ in expected], rtol=1e-12)


def test_a_word_that_became_nan_comes_first(tmp_path, capsys):
    base = base_table()
    vectors = np.array(base.vectors)
    vectors[3, 0], vectors[5] = np.nan, vectors[5] + 1
    tuned = fe.EmbeddingTable(base.index_to_key, vectors)
    assert [mover.word for mover in fe.drift(base, tuned).top(2)] == [
        base.index_to_key[3],
        base.index_to_key[5],
    ]
    for name, table in (("base", base), ("tuned", tuned)):
        fe.save_safetensors(table, tmp_path / name)
    with pytest.raises(SystemExit):
        main(["drift", str(tmp_path / "base"), str(tmp_path / "tuned"), "--json"])

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert found["top"][0]["movement"] is None
    assert found["rows_moved"] == 2


def test_zeros_that_only_changed_their_sign():
    base = fe.EmbeddingTable(["a", "b"], np.array([[0, 1], [0, 2]], np.float32))
    tuned = fe.EmbeddingTable(["a", "b"], np.array([[-0.0, 1], [-0.0, 2]], np.float32))
    found = fe.drift(base, tuned)
    assert found.rows_moved == 2
    assert found.geometry is None
    assert "2 of 2 rows moved" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_figures_that_json_cannot_hold_are_none():
    base = fe.EmbeddingTable(["a", "b"], np.eye(2, dtype=np.float32))
    tuned = fe.EmbeddingTable(["a", "b"], np.eye(2, dtype=np.float32) + 0.5)
    found = fe.drift(base, tuned).to_dict()
    json.dumps(found, allow_nan=False)
    assert found["neighbours"]["others"]["share"] is None
