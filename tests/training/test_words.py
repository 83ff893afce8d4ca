"""Words that the vectors lack, from training to the loaded run: other forms, subwords, specials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import polars as pl
import pytest
import torch
import yaml

import finetune_embed as fe
from finetune_embed.training.inference import unseen_rows
from finetune_embed.vocabulary import WHITESPACE, tokenize_texts

D = 6
CHAIN = ("lower", "digits_hash", "strip_punctuation")
KINDS = {"good": ["fine", "nice", "top#"], "bad": ["poor", "worse", "low#"]}
PLAIN = [f"word{letter}" for letter in "abcdefgh"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def table() -> fe.EmbeddingTable:
    rng = np.random.default_rng(0)
    words = [*KINDS["good"], *KINDS["bad"], *PLAIN, "superb", "elsewhere"]
    return fe.EmbeddingTable(words, rng.standard_normal((len(words), D)))


def split(size: int, seed: int, forms: dict[str, list[str]]) -> datasets.Dataset:
    rng = np.random.default_rng(seed)
    labels = ["good" if rng.random() < 0.5 else "bad" for _ in range(size)]
    texts = [
        " ".join([*rng.choice(forms[n if rng.random() < 0.9 else "bad"], 1), *rng.choice(PLAIN, 2)])
        for n in labels
    ]
    return datasets.Dataset.from_dict({"text": texts, "label": labels})


#: Words of the training texts: in the vectors, found by a step, and missing.
SEEN = {"good": ["Fine", "nice", "Top7", "Zork"], "bad": ["poor", "WORSE", "Low7", "[num]"]}
#: Other forms of words, in the other splits only: of rows that are tuned and of rows that are not.
UNSEEN = {
    "good": ["fine", "NICE", "TOP5", "(Superb)", "ZORK", "zork", "xyzzy"],
    "bad": ["Poor", "worse", "low6", "'poor'", "Elsewhere", "qwerty"],
}


@pytest.fixture(scope="module")
def dataset() -> datasets.DatasetDict:
    return datasets.DatasetDict(
        train=split(80, 1, SEEN), validation=split(60, 2, UNSEEN), test=split(80, 3, UNSEEN)
    )


SPECIALS = (fe.Special("[num]", "mean", trainable=False), fe.Special("<unk>", "normal"), "<other>")
SETTINGS: dict[str, Any] = {
    "tokenizer": "whitespace",
    "fallback": CHAIN,
    "specials": SPECIALS,
    "head": "bag",
    "epochs": 4,
    "lr": 0.1,
    "batch_size": 8,
}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, dataset) -> tuple[Path, fe.Run]:
    folder = tmp_path_factory.mktemp("run") / "out"
    return folder, fe.finetune(table(), dataset, output_dir=folder, **SETTINGS)


def test_how_each_word_was_found_is_in_the_files(tuned):
    folder, run = tuned
    words = pl.read_parquet(folder / "words.parquet").to_dict(as_series=False)
    assert words == run.words
    found = dict(zip(words["word"], words["found"], strict=True))
    assert {word: found[word] for forms in SEEN.values() for word in forms} == {
        "Fine": "lower",
        "nice": "exact",
        "Top7": "digits_hash",
        "Zork": "missing",
        "poor": "exact",
        "WORSE": "lower",
        "Low7": "digits_hash",
        "[num]": "special",
    }
    assert words["word"][:2] == ["[num]", "<other>"]
    assert found["<other>"] == "special"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["fallback"] == list(CHAIN)
    assert config["specials"] == [
        {"token": "[num]", "start": "mean", "trainable": False},
        {"token": "<unk>", "start": "normal", "trainable": True},
        "<other>",
    ]


def test_coverage_by_step_is_in_the_metrics(tuned, dataset):
    _, run = tuned
    running = [word for text in dataset["train"]["text"] for word in text.split()]
    by_step = {
        "exact": {*PLAIN, "nice", "poor"},
        "lower": {"Fine", "WORSE"},
        "digits_hash": {"Top7", "Low7"},
        "strip_punctuation": set(),
    }
    assert run.metrics["coverage"]["by_step"] == {
        step: {"types": len(words), "tokens": sum(word in words for word in running)}
        for step, words in by_step.items()
    }
    assert run.metrics["coverage"]["types"] == 15
    assert run.metrics["coverage"]["missing"] == [["Zork", running.count("Zork")]]


def test_words_found_under_another_form_get_their_own_rows(tuned):
    _, run = tuned
    base = table()
    new = [word for word in run.table.index_to_key if word not in base]
    assert set(new) == {"Fine", "WORSE", "Top7", "Low7", "Zork", "[num]", "<other>"}
    for word, form in (("Fine", "fine"), ("WORSE", "worse"), ("Top7", "top#")):
        start, end = base[form].astype(np.float64), run.table[word].astype(np.float64)
        assert run.table[form].tobytes() == base[form].tobytes()  # not in the training texts
        at = run.words["word"].index(word)
        moved = np.linalg.norm(end - start) / np.linalg.norm(start)
        assert run.words["movement"][at] == pytest.approx(moved, rel=1e-4)
        assert moved > 0
        assert run.table.origin[run.table.key_to_index[word]] == fe.Origin.NEW


def test_a_special_token_that_does_not_train_stays_at_its_start(tuned):
    _, run = tuned
    start = fe.to_embedding(table(), run.vocab, fallback=CHAIN).weight
    row = run.vocab.key_to_index["[num]"]
    trained = run.model.get_parameter("embedding.weight")
    assert run.words["count"][0] > 0
    assert run.table["[num]"].tobytes() == start[row].detach().numpy().tobytes()
    assert torch.equal(trained[row], start[row])
    assert run.words["movement"][0] == 0.0
    assert run.words["movement"][run.words["word"].index("Zork")] > 0


def form_in(run: fe.Run, word: str) -> str | None:
    """Look a word up in the tuned table by the chain, one form after the other."""
    forms = [word]
    for change in (
        str,
        str.lower,
        lambda w: "".join("#" if c.isdigit() else c for c in w),
        lambda w: w.strip("()'"),
    ):
        forms += [change(form) for form in forms]
        for form in forms:
            if form in run.table:
                return form
    return None


def test_what_is_measured_is_what_is_exported(tuned, dataset):
    """Words that training never saw use the rows of the tuned table, tuned ones too."""
    folder, run = tuned
    loaded = fe.load(folder)
    state = {name: value.numpy() for name, value in run.model.state_dict().items()}
    for name in ("validation", "test"):
        texts, labels = list(dataset[name]["text"]), list(dataset[name]["label"])
        logits = []
        for text in texts:
            forms = [form_in(run, word) for word in text.split()]
            rows = [run.table[f] if f else state["embedding.weight"][1] for f in forms]
            logits.append(state["output.weight"] @ np.mean(rows, axis=0) + state["output.bias"])
        chances = torch.tensor(np.array(logits)).softmax(dim=1)
        for one in (run, loaded):
            torch.testing.assert_close(one.predict_proba(texts), chances, rtol=1e-4, atol=1e-5)
        predicted = run.predict(texts)
        right = sum(a == b for a, b in zip(predicted, labels, strict=True)) / len(texts)
        assert run.metrics[name]["accuracy"] == pytest.approx(right, abs=1e-12)
    pairs = [("Poor", "poor"), ("NICE", "nice"), ("(Superb)", "superb"), ("zORK", "zork")]
    for word, form in pairs:
        both = run.predict_proba([f"{word} worda", f"{form} worda"])
        assert torch.equal(both[0], both[1])
    assert not torch.equal(*run.predict_proba(["Poor worda", "xyzzy worda"]))


def test_forms_of_a_row_that_training_made(dataset):
    """`zork` is not in the vectors; once the vocabulary has it, its other forms find it."""
    seen = datasets.Dataset.from_dict({"text": ["zork a", "fine b"] * 8, "label": ["x", "y"] * 8})
    other = datasets.Dataset.from_dict({"text": ["ZORK a", "Fine b"] * 4, "label": ["x", "y"] * 4})
    splits = datasets.DatasetDict(train=seen, validation=other, test=other)
    run = fe.finetune(table(), splits, **{**SETTINGS, "epochs": 6})
    assert run.metrics["test"]["accuracy"] == 1.0
    same = run.predict_proba(["ZORK", "zork"])
    assert torch.equal(same[0], same[1])


def test_explain_says_how_a_word_was_found(tuned):
    folder, run = tuned
    for one in (run, fe.load(folder)):
        assert one.explain("nice").found == "in the vectors"
        assert one.explain("Fine").found == "in the vectors by lower, a new row"
        assert one.explain("Zork").found == "not in the vectors, a new row"
        assert one.explain("[num]").found == "a special token"
        unseen = one.explain("'Poor'", topn=3)
        assert (
            unseen.found == "in the vectors as 'poor' (strip_punctuation), never seen in training"
        )
        at = one.words["word"].index("poor")
        assert unseen.count == 0
        assert unseen.movement == one.words["movement"][at] > 0
        assert unseen.neighbours == tuple(one.table.most_similar("poor", topn=3))
        still = one.explain("Superb")
        assert still.found == "in the vectors as 'superb' (lower), never seen in training"
        assert (still.movement, still.cosine) == (0.0, 1.0)
        assert one.explain("xyzzy").found == "unknown"
    assert run.explain("Poor").mover == run.drift.word("poor")


def test_a_loaded_run_does_not_split_its_special_tokens(tuned):
    folder, run = tuned
    loaded = fe.load(folder)
    assert [special.token for special in loaded.vocab.specials] == ["<unk>", "[num]", "<other>"]
    assert loaded.vocab.words_of(["a[num]b"]) == [["a", "[num]", "b"]]
    texts = ["nice[num]worda", "<other>Fine"]
    torch.testing.assert_close(loaded.predict_proba(texts), run.predict_proba(texts))


@pytest.mark.parametrize(
    "changed",
    [
        {"fallback": ("lower",)},
        {"fallback": CHAIN[::-1]},
        {"specials": SPECIALS[:2]},
        {"specials": (fe.Special("[num]", "mean"), *SPECIALS[1:])},
    ],
)
def test_resume_refuses_another_chain_or_other_specials(tuned, dataset, changed):
    folder, run = tuned
    with pytest.raises(fe.DataError, match=rf": it was written with {next(iter(changed))}="):
        fe.finetune(table(), dataset, output_dir=folder, resume=True, **(SETTINGS | changed))
    same = fe.finetune(table(), dataset, output_dir=folder, resume=True, **SETTINGS)
    assert same.table.vectors.tobytes() == run.table.vectors.tobytes()


def test_an_interrupted_run_resumes_with_the_same_chain_only(tmp_path, dataset, monkeypatch, tuned):
    from finetune_embed.training import tuning

    real, calls = tuning.write_history, []

    def failing(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(tuning, "write_history", failing)
    with pytest.raises(KeyboardInterrupt):
        fe.finetune(table(), dataset, output_dir=tmp_path, **SETTINGS)
    monkeypatch.undo()
    with pytest.raises(fe.DataError, match=r"with fallback=\['lower', 'digits_hash', 'strip_punc"):
        fe.finetune(
            table(), dataset, output_dir=tmp_path, resume=True, **SETTINGS | {"fallback": ()}
        )
    run = fe.finetune(table(), dataset, output_dir=tmp_path, resume=True, **SETTINGS)
    assert run.table.vectors.tobytes() == tuned[1].table.vectors.tobytes()


def test_fallback_as_a_list_and_as_text(dataset):
    short = {**SETTINGS, "epochs": 1, "specials": ("[num]",)}
    listed = fe.finetune(table(), dataset, **short)
    as_text = fe.finetune(
        table(), dataset, **short | {"fallback": "lower, digits_hash,strip_punctuation"}
    )
    assert as_text.config["fallback"] == listed.config["fallback"] == list(CHAIN)
    assert as_text.table.vectors.tobytes() == listed.table.vectors.tobytes()


def test_mistakes_are_found_before_anything_is_read():
    with pytest.raises(fe.VocabularyError, match="has the unknown step 'lowercase'"):
        fe.finetune("no-such-file.txt", "no-such-data.csv", fallback=("lowercase",))
    with pytest.raises(fe.VocabularyError, match="start='middle' is not a start value"):
        fe.Special("<m>", "middle")
    with pytest.raises(fe.VocabularyError, match=r"the special token '<m>' is given twice"):
        fe.finetune("no-such-file.txt", "no-such-data.csv", specials=("<m>", "<m>"))


class Composer:
    """Composes words that start with Z."""

    def compose(self, words):
        could = np.array([word.startswith("Z") for word in words], bool)
        return np.where(could[:, None], np.float32(2), 0).repeat(D, axis=1).astype(
            np.float32
        ), could


@pytest.mark.parametrize("how", ["fallback", "oov"])
def test_subwords_in_training_and_not_in_prediction(dataset, tmp_path, how):
    base = table()
    base.subwords = Composer()
    given = {"fallback": ("lower", "subwords")} if how == "fallback" else {"oov": "subwords"}
    settings = {**SETTINGS, "fallback": ("lower",)} | given | {"strategy": "Freeze"}
    run = fe.finetune(base, dataset, output_dir=tmp_path, **settings)
    assert run.table["Zork"].tolist() == [2.0] * D
    found = dict(zip(run.words["word"], run.words["found"], strict=True))
    assert found["Zork"] == ("subwords" if how == "fallback" else "missing")
    if how == "fallback":
        assert run.explain("Zork").found == "in the vectors by subwords, a new row"
    # The rows of subwords are not part of a run: unseen words are not composed, loaded or not.
    for one in (run, fe.load(tmp_path)):
        both = one.predict_proba(["Zebra", "xyzzy"])
        assert torch.equal(both[0], both[1])
        assert one.explain("Zebra").found == "unknown"
    with pytest.raises(fe.VocabularyError, match="needs subword vectors"):
        fe.finetune(table(), dataset, **settings)


def test_a_custom_module_holds_the_rows_too(dataset):
    own = fe.BagOfEmbeddings(torch.nn.Embedding(3, D), 2)
    run = fe.finetune(table(), dataset, **SETTINGS | {"head": own})
    start = fe.to_embedding(table(), run.vocab, fallback=CHAIN).weight
    row = run.vocab.key_to_index["[num]"]
    assert torch.equal(run.model.get_parameter("embedding.weight")[row], start[row])
    assert hasattr(run.model.embedding, "fixed_rows")


@pytest.mark.parametrize("has_unk", [True, False])
def test_unseen_rows_are_ids_of_the_vocabulary_or_rows_of_the_table(has_unk):
    words = ["a", "b", "<pad>", *["<unk>"] * has_unk]
    base = fe.EmbeddingTable(words, np.arange(len(words) * 2).reshape(-1, 2))
    vocab = fe.Vocabulary({"a": 1, "new": 1}, WHITESPACE)
    weight = torch.tensor([[0.0, 0.0], [9.0, 9.0], [8.0, 8.0], [7.0, 7.0]])
    texts = tokenize_texts(["A B NEW <UNK> <PAD> b a X", "B new"], vocab.tokenizer).tokens
    wide, further = unseen_rows(base, vocab, texts, ("lower",))
    rows = dict(zip(wide.index_to_key[4:], further.after(weight)[4:].tolist(), strict=True))
    unk = {"<UNK>": [9.0, 9.0]} if has_unk else {}
    assert rows == {
        "A": [8.0, 8.0],
        "B": [2.0, 3.0],
        "NEW": [7.0, 7.0],
        **unk,
        "<PAD>": [4.0, 5.0],
        "b": [2.0, 3.0],
    }
    assert further.after(weight)[:4].tolist() == weight.tolist()
    plain, exact = unseen_rows(base, vocab, texts)
    assert plain.index_to_key[4:] == ["b"]
    assert exact.ids.tolist() == [-1]
    base.vectors[1] = np.nan
    with pytest.raises(fe.VocabularyError, match=r"2 words have .* not finite, .* 'B' \(row 1"):
        unseen_rows(base, vocab, texts, ("lower",))
