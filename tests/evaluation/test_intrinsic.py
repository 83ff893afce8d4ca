"""What vectors are worth by themselves: against gensim, scikit-learn and references by hand."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from gensim.test.utils import datapath
from scipy.stats import binomtest, spearmanr
from sklearn.metrics.cluster import contingency_matrix

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.demo import VECTORS
from finetune_embed.evaluation import weat as weat_module
from finetune_embed.evaluation.intervals import bootstrap, of_correlation, of_share


@pytest.fixture(scope="module")
def demo() -> fe.EmbeddingTable:
    return fe.load_vectors(VECTORS)


@pytest.fixture(scope="module")
def mixed(demo) -> fe.EmbeddingTable:
    """Some of the demo's words, many of them in two spellings with different vectors, shuffled."""
    rng = np.random.default_rng(0)
    common = demo.index_to_key[:4000]
    words = list(dict.fromkeys([*common, *(word.title() for word in common[500:2500])]))
    vectors = demo.rows(demo.rows_of([word.lower() for word in words]))
    vectors = vectors + 0.1 * rng.standard_normal(vectors.shape)
    order = rng.permutation(len(words))
    return fe.EmbeddingTable([words[i] for i in order], vectors[order])


@pytest.fixture(scope="module")
def questions(tmp_path_factory) -> Path:
    """Every 60th question of each section of Google's analogies."""
    path = tmp_path_factory.mktemp("analogies") / "questions.txt"
    with open(path, "w") as file:
        for name, section in fe.read_analogies(datapath("questions-words.txt")).items():
            file.write(f": {name}\n")
            file.writelines(" ".join(question) + "\n" for question in section[::60])
    return path


@pytest.mark.parametrize("dummy4unknown", [False, True])
@pytest.mark.parametrize("case_insensitive", [False, True])
@pytest.mark.parametrize("restrict_vocab", [1500, 300_000])
def test_analogies_are_gensims(
    demo, mixed, questions, restrict_vocab, case_insensitive, dummy4unknown
):
    settings = {
        "restrict_vocab": restrict_vocab,
        "case_insensitive": case_insensitive,
        "dummy4unknown": dummy4unknown,
    }
    for table in (demo, mixed):
        keyed = table.to_keyed_vectors()
        score, sections = keyed.evaluate_word_analogies(str(questions), **settings)
        found = fe.evaluate_analogies(table, questions, **settings)
        assert found.total.accuracy == score or (math.isnan(found.total.accuracy) and score == 0)
        assert len(found.sections) == 14
        for ours, theirs in zip((*found.sections, found.total), sections, strict=True):
            right, wrong = len(theirs["correct"]), len(theirs["incorrect"])
            assert (ours.correct, ours.found) == (right, right + wrong), ours.name
        assert found.total.questions == 333
    assert found.sections[0].name == "capital-common-countries"


def test_the_answers_of_many_batches_are_the_same(demo, questions, monkeypatch):
    whole = fe.evaluate_analogies(demo, questions)
    assert whole.total.correct > 30
    monkeypatch.setattr("finetune_embed.evaluation.analogies.BATCH", 7)
    monkeypatch.setattr("finetune_embed.table.neighbours.CELLS", 5_000)
    assert fe.evaluate_analogies(demo, questions) == whole
    total = whole.total
    assert str(whole) == (
        f"accuracy {total.accuracy:.3f} ({total.interval[0]:.3f} to {total.interval[1]:.3f}) on "
        f"{total.found} of {total.questions} analogies"
    )


@pytest.mark.parametrize("dummy4unknown", [False, True])
@pytest.mark.parametrize("case_insensitive", [False, True])
@pytest.mark.parametrize("restrict_vocab", [1500, 300_000])
def test_word_pairs_are_gensims(
    demo, mixed, tmp_path, restrict_vocab, case_insensitive, dummy4unknown
):
    settings = {
        "restrict_vocab": restrict_vocab,
        "case_insensitive": case_insensitive,
        "dummy4unknown": dummy4unknown,
    }
    pairs = fe.read_word_pairs(datapath("simlex999.txt"))
    pairs += fe.read_word_pairs(datapath("wordsim353.tsv"))
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{a}\t{b}\t{score}\n" for a, b, score in pairs))
    for table in (demo, mixed):
        pearson, spearman, unknown = table.to_keyed_vectors().evaluate_word_pairs(
            str(path), **settings
        )
        found = fe.evaluate_word_pairs(table, pairs, **settings)
        assert found.spearman == pytest.approx(spearman.statistic, rel=1e-12)
        assert found.pearson == pytest.approx(pearson.statistic, rel=1e-6)  # of float32 cosines
        assert unknown == pytest.approx(100 * (1 - found.found / found.pairs))


# --- intervals ----------------------------------------------------------------------------------


def test_intervals_of_shares_are_scipys():
    for right, number in ((0, 5), (3, 7), (40, 50), (9, 9)):
        expected = binomtest(right, number).proportion_ci(method="wilson")
        found = of_share(right / number, number)
        assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_intervals_of_correlations_hold_their_level():
    rng, rho, inside = np.random.default_rng(1), 0.5, 0
    true = 6 / math.pi * math.asin(rho / 2)  # Spearman's, of normal variables
    for _ in range(400):
        x, y = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 60).T
        low, high = of_correlation(float(spearmanr(x, y).statistic), 60)
        inside += low <= true <= high
    assert 0.92 < inside / 400 < 0.98
    assert math.isnan(of_correlation(0.5, 3)[0])


def test_the_bootstrap_of_a_mean():
    values = np.random.default_rng(2).standard_normal(200)
    low, high = bootstrap(lambda rng: values[rng.integers(0, 200, (2000, 200))].mean(axis=1))
    margin = 1.96 * values.std() / 200**0.5
    assert (low, high) == pytest.approx((values.mean() - margin, values.mean() + margin), abs=0.01)
    assert math.isnan(bootstrap(lambda rng: [1.0, math.nan])[0])


# --- categories -----------------------------------------------------------------------------------


def grouped() -> tuple[fe.EmbeddingTable, dict[str, list[str]]]:
    """Words of four groups, whose vectors lie around four axes, some of them far away."""
    rng = np.random.default_rng(3)
    groups = {f"c{i}": [f"w{i}-{j}" for j in range(12)] for i in range(4)}
    words = [word for some in groups.values() for word in some]
    vectors = np.repeat(np.eye(4, 6), 12, axis=0) + 0.35 * rng.standard_normal((48, 6))
    return fe.EmbeddingTable(words, vectors), groups


def test_the_purity_of_clusters_is_the_best_that_k_means_finds():
    from sklearn.cluster import KMeans

    table, groups = grouped()
    asked = {name: [*words, f"none-{name}"] for name, words in groups.items()}
    found = fe.evaluate_categories(table, asked, seed=5)
    unit = table.vectors.astype(float)
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    clusters = KMeans(4, n_init=10, random_state=5).fit_predict(unit)
    shared = contingency_matrix(np.repeat(range(4), 12), clusters)
    assert found.purity == shared.max(axis=0).sum() / 48
    assert 0.6 < found.purity < 1
    assert (found.found, found.words, found.categories) == (48, 52, 4)
    assert found.interval == of_share(found.purity, 48)
    few = fe.evaluate_categories(table, {"c0": groups["c0"], "none": ["x"]})
    assert math.isnan(few.purity)
    assert (few.found, few.words, few.categories) == (12, 13, 1)


def test_files_of_categories(tmp_path):
    lines = tmp_path / "ap.tsv"
    lines.write_text("# words\nsparrow\tbird\nowl bird more\n\noak,tree\nowl\tbird\n")
    assert fe.read_categories(lines) == {"bird": ["sparrow", "owl"], "tree": ["oak"]}
    (tmp_path / "ap").mkdir()
    for name, words in (("bird", "sparrow\nowl\n"), ("tree", "oak\n")):
        (tmp_path / "ap" / f"{name}.txt").write_text(words)
    assert fe.read_categories(tmp_path / "ap") == fe.read_categories(lines)
    lines.write_text("sparrow\n")
    with pytest.raises(fe.DataError, match=r"ap\.tsv:1: 'sparrow' is not a word with its categor"):
        fe.read_categories(lines)


def test_without_scikit_learn(missing):
    missing("sklearn")
    with pytest.raises(ImportError, match=r'install "finetune_embed\[evaluation\]"'):
        fe.evaluate_categories(*grouped())


# --- outliers -------------------------------------------------------------------------------------


def compactness(table: fe.EmbeddingTable, word: str, others: list[str]) -> float:
    def cosine(a: str, b: str) -> float:
        x, y = table[a].astype(float), table[b].astype(float)
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    return sum(cosine(word, other) for other in others if other != word)


def test_outliers_by_the_definition():
    table, groups = grouped()
    names = list(groups)
    asked = {
        name: ([*groups[name][:8], "unknown"], [groups[names[i - 1]][9], groups[name][9], "none"])
        for i, name in enumerate(names)
    }
    positions, detected = [], []
    for words, outliers in asked.values():
        words = [word for word in words if word in table]
        for outlier in outliers[:2]:
            union = [*words, outlier]
            ranked = sorted(union, key=lambda word: -compactness(table, word, union))
            positions.append(ranked.index(outlier) / len(words))
            detected.append(ranked[-1] == outlier)
    found = fe.evaluate_outliers(table, asked)
    assert found.opp == pytest.approx(statistics.mean(positions), rel=1e-12)
    assert found.accuracy == statistics.mean(detected)
    assert 0 < found.accuracy < 1
    assert (found.found, found.outliers, found.groups) == (8, 12, 4)
    assert found.interval[0] <= found.accuracy <= found.interval[1]
    assert found.opp_interval[0] < found.opp < found.opp_interval[1]
    alone = fe.evaluate_outliers(table, {"x": (["none", "w0-0"], ["w1-1"])})
    assert math.isnan(alone.accuracy)
    assert math.isnan(alone.interval[0])
    assert alone.found == 0


def test_files_of_outliers(tmp_path):
    (tmp_path / "birds.txt").write_text("owl\nstork\n\nbee\nplane\n\n")
    (tmp_path / "trees.txt").write_text("oak\r\nash\r\n\r\nbee")
    birds = (["owl", "stork"], ["bee", "plane"])
    assert fe.read_outliers(tmp_path) == {"birds": birds, "trees": (["oak", "ash"], ["bee"])}
    assert fe.read_outliers(tmp_path / "birds.txt") == {"birds": birds}
    (tmp_path / "none.txt").write_text("owl\nstork\n")
    with pytest.raises(fe.DataError, match=r"none\.txt: it is not a group of words and its outl"):
        fe.read_outliers(tmp_path)


# --- WEAT -----------------------------------------------------------------------------------------


def by_hand(table: fe.EmbeddingTable, sets: dict[str, list[str]]) -> tuple[float, float]:
    """Effect size and exact p-value, from all ways to divide the targets."""

    def cosine(a: str, b: str) -> float:
        x, y = table[a].astype(float), table[b].astype(float)
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    def association(word: str) -> float:
        one, two = (statistics.mean(cosine(word, w) for w in sets[s]) for s in ("attr1", "attr2"))
        return one - two

    s = {word: association(word) for word in sets["targ1"] + sets["targ2"]}
    mean = statistics.mean
    apart = mean(s[w] for w in sets["targ1"]) - mean(s[w] for w in sets["targ2"])
    reached = total = 0
    for chosen in itertools.combinations(s, len(sets["targ1"])):
        others = [word for word in s if word not in chosen]
        total += 1
        reached += mean(s[w] for w in chosen) - mean(s[w] for w in others) >= apart - 1e-12
    return apart / statistics.stdev(s.values()), reached / total


def weat_sets(table: fe.EmbeddingTable, first: int, second: int) -> dict[str, list[str]]:
    words = iter(table.index_to_key[5::7])
    sizes = {"targ1": first, "targ2": second, "attr1": 4, "attr2": 5}
    return {name: [next(words) for _ in range(size)] for name, size in sizes.items()}


@pytest.mark.parametrize("sizes", [(4, 4), (3, 5)])
def test_the_effect_and_its_exact_p_value(demo, sizes):
    sets = weat_sets(demo, *sizes)
    effect, p_value = by_hand(demo, sets)
    asked = {name: [*words, "not-a-word"] for name, words in sets.items()}
    found = fe.evaluate_weat(demo, asked)
    assert found.effect_size == pytest.approx(effect, rel=1e-10)
    assert found.p_value == pytest.approx(p_value, rel=1e-12)
    assert (found.exact, found.permutations) == (True, math.comb(8, sizes[0]))
    assert (found.found, found.words) == (17, 21)
    assert found.interval[0] < found.effect_size < found.interval[1]
    turned = fe.evaluate_weat(demo, {**sets, "attr1": sets["attr2"], "attr2": sets["attr1"]})
    assert turned.effect_size == pytest.approx(-effect, rel=1e-10)


def test_a_sampled_p_value_is_near_the_exact_one(demo, monkeypatch):
    sets = weat_sets(demo, 8, 8)
    exact = fe.evaluate_weat(demo, sets)
    monkeypatch.setattr(weat_module, "EXACT", 100)
    sampled = fe.evaluate_weat(demo, sets)
    assert (exact.exact, sampled.exact, sampled.permutations) == (True, False, 100_000)
    assert exact.p_value != sampled.p_value
    spread = math.sqrt(exact.p_value * (1 - exact.p_value) / 100_000)
    assert abs(exact.p_value - sampled.p_value) < 4 * spread
    assert sampled == fe.evaluate_weat(demo, sets)


def test_files_of_weat(tmp_path, demo):
    sets = {"targ1": ["aster", "rose"], "targ2": ["ant"], "attr1": ["love"], "attr2": ["filth"]}
    lines, document = tmp_path / "weat.txt", tmp_path / "weat.jsonl"
    lines.write_text("".join(f"{name}\tTitle\t" + "\t".join(w) + "\n" for name, w in sets.items()))
    document.write_text(
        json.dumps({n: {"category": "Title", "examples": w} for n, w in sets.items()}, indent=1)
    )
    assert fe.read_weat(lines) == fe.read_weat(document) == sets
    for text in ("targ1\n", "targ1\tTitle\ta\n", "{", '{"targ1": 3}'):
        lines.write_text(text)
        with pytest.raises(fe.DataError, match=r"weat\.txt: it is not four sets of words; write"):
            fe.read_weat(lines)
    with pytest.raises(fe.DataError, match="the sets of words lack 'attr2'"):
        fe.evaluate_weat(demo, {name: sets[name] for name in ("targ1", "targ2", "attr1")})
    nothing = fe.evaluate_weat(demo, {name: ["not-a-word"] for name in sets})
    assert math.isnan(nothing.effect_size)
    assert (nothing.found, nothing.words, nothing.permutations) == (0, 4, 0)


# --- all of them ----------------------------------------------------------------------------------


def test_evaluate_and_its_command(demo, questions, tmp_path, capsys):
    (tmp_path / "pairs.tsv").write_text("good\tbad\t5\nday\tnight\t7\none\ttwo\t9\ngood\tnice\t8\n")
    (tmp_path / "kinds.tsv").write_text("one\tnumber\ntwo\tnumber\nday\ttime\nnight\ttime\n")
    (tmp_path / "numbers.txt").write_text("one\ntwo\nthree\n\nday\n")
    sets = "targ1\tx\tgood\tnice\ntarg2\ty\tbad\tpoor\nattr1\ta\tlove\nattr2\tb\thate\n"
    (tmp_path / "weat.txt").write_text(sets)
    files = {
        "word_pairs": tmp_path / "pairs.tsv",
        "analogies": [questions],
        "categories": tmp_path / "kinds.tsv",
        "outliers": str(tmp_path / "numbers.txt"),
        "weat": tmp_path / "weat.txt",
    }
    found = fe.evaluate(demo, **files)
    assert found.results["word_pairs"] == {
        "pairs": fe.evaluate_word_pairs(demo, files["word_pairs"])
    }
    assert found.results["analogies"] == {"questions": fe.evaluate_analogies(demo, questions)}
    lines = str(found).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["pairs", "Spearman"],
        ["questions", "accuracy"],
        ["kinds", "purity"],
        ["numbers", "accuracy"],
        ["outlier", "position"],
        ["weat", "effect"],
        ["p", str(found.results["weat"]["weat"].figures[1])],
    ]
    assert lines[1].endswith(" 4 of 4 pairs")
    options = []
    for kind, path in files.items():
        options += [f"--{kind.replace('_', '-')}", questions if kind == "analogies" else path]

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(one) for one in arguments])
        return (stopped.value.code, *capsys.readouterr())

    other = tmp_path / "half.safetensors"
    fe.save_safetensors(demo.subset(demo.index_to_key[:5000]), other)
    code, out, _ = run("evaluate", VECTORS, other, *options)
    assert code == 0
    assert out.splitlines()[0].split() == ["test", VECTORS.name, other.name, "found"]
    code, out, _ = run("evaluate", VECTORS, *options, "--json")
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert json.loads(out) == {str(VECTORS): plain}
    namesake = tmp_path / "other" / other.name
    namesake.parent.mkdir()
    fe.save_safetensors(demo.subset(demo.index_to_key[:4000]), namesake)
    code, out, _ = run("evaluate", other, namesake, VECTORS, *options[:2])
    assert out.splitlines()[0].split() == ["test", *map(str, (other, namesake, VECTORS)), "found"]
    for wrong, message in (
        ((VECTORS,), "give --data for a run, or test sets of words: --word-pairs, "),
        ((VECTORS, other, "--data", "x.csv"), "--data takes one run, and no test sets of words"),
        ((VECTORS, "--label", "x", *options), "--label is about --data"),
        ((VECTORS, VECTORS, *options), "a table is given twice"),
    ):
        code, _, error = run("evaluate", *wrong)
        assert (code, message in error) == (2, True), error
    with pytest.raises(fe.DataError, match=r"nothing to evaluate the table on; pass word_pairs="):
        fe.evaluate(demo)


def test_files_of_analogies(tmp_path):
    path = tmp_path / "questions.txt"
    path.write_text("a b c d\n: one\ne f g h\n\n: two\n: one\ni j k l\n")
    assert fe.read_analogies(path) == {
        "": [("a", "b", "c", "d")],
        "one": [("e", "f", "g", "h"), ("i", "j", "k", "l")],
        "two": [],
    }
    path.write_text(": one\na b c\n")
    with pytest.raises(fe.DataError, match=r"questions\.txt:2: 'a b c' is not an analogy; write"):
        fe.read_analogies(path)
    path.write_text(": one\n")
    with pytest.raises(fe.DataError, match=r"questions\.txt: the file has no analogies"):
        fe.read_analogies(path)
    with pytest.raises(fe.VocabularyError, match="restrict_vocab=0 must be 1 or more"):
        fe.evaluate_analogies(fe.EmbeddingTable(["a"], [[1.0]]), {}, restrict_vocab=0)
