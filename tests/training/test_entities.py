"""Entities of BIO, BIOES and BILOU tags, read as seqeval reads them."""

from __future__ import annotations

from typing import Any

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

import finetune_embed as fe
from finetune_embed.table import EmbeddingTable
from finetune_embed.training.tasks import Tagging, entity_f1
from finetune_embed.training.tasks.entities import as_bio, scheme_of

AS_BIOES = str.maketrans("LU", "ES")


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("O B-X I-X", "BIO"),
        ("O I-X", "BIO"),
        ("B-X", "BIO"),
        ("O B-X E-X", "BIOES"),
        ("S-X", "BIOES"),
        ("O B-X I-X E-X S-X", "BIOES"),
        ("O B-X L-X", "BILOU"),
        ("O U-X-Y", "BILOU"),
        ("O", ""),
        ("", ""),
        ("O X", ""),
        ("B- O", ""),
        ("B-X E-X U-X", ""),
        ("b-X", ""),
        ("B-X S-X 1", ""),
    ],
)
def test_the_scheme_is_found_from_the_tags(tags, scheme):
    assert scheme_of(tags.split()) == scheme
    task = Tagging(list(tags.split()))
    assert task.scheme == scheme
    assert task.measures[0] == ("entity_f1" if scheme else "accuracy")
    assert task.metric_text == (f"entity f1 ({scheme})" if scheme else "accuracy")


# The figures are those of seqeval 1.2.2, with the tags of BILOU written as those of BIOES


@pytest.mark.parametrize(
    ("true", "found", "expected"),
    [
        ("B-A I-A E-A O S-B", "B-A I-A E-A O S-B", 1),
        ("B-A I-A E-A O S-B", "B-A I-A I-A O B-B", 1),  # without their ends
        ("B-A E-A S-A O", "B-A E-A E-A O", 1),  # an end after an end is an entity
        ("B-A E-A S-A O", "B-A I-A I-A O", 0),
        ("S-A S-A", "S-A I-A", 1),
        ("S-A S-A", "B-A E-A", 0),
        ("O B-A E-A", "O E-A E-A", 0),
        ("O S-A S-A", "O E-A E-A", 1),
        ("B-A E-B O", "S-A S-B O", 1),  # another type
        ("B-A I-A S-A", "B-A E-A S-A", 1),
        ("I-A B-A O", "S-A S-A O", 1),
        ("B-A E-A O S-A", "O O O S-A", 2 / 3),
        ("O | B-A", "O | S-A", 1),
        ("O O", "O O", 0),
    ],
)
def test_entities_of_bioes_and_bilou(true, found, expected):
    bioes = [[text.split() for text in tags.split("|")] for tags in (true, found)]
    assert entity_f1(*bioes) == pytest.approx(expected)
    bilou = [
        [text.replace("E-", "L-").replace("S-", "U-").split() for text in tags.split("|")]
        for tags in (true, found)
    ]
    assert entity_f1(*bilou) == pytest.approx(expected)


def chunks(tags: list[str]) -> set[tuple[str, int, int]]:
    """Return the entities of a text by the rules of seqeval's `get_entities`, one by one."""
    ends_before = {"BB", "BS", "BO", "IB", "IS", "IO"}  # the tag before and this one
    starts_at = {"EE", "EI", "SE", "SI", "OE", "OI"}
    found, begin = set(), 0
    before, type_before = "O", ""
    for at, whole in enumerate([*tags, "O"]):
        tag, type_ = whole[0].translate(AS_BIOES), whole[2:]
        other = type_before != type_
        if before in "ES" or before + tag in ends_before or (before != "O" and other):
            found.add((type_before, begin, at - 1))
        if tag in "BS" or before + tag in starts_at or (tag != "O" and other):
            begin = at
        before, type_before = tag, type_
    return {one for one in found if one[0]}


TEXTS = {
    letters: st.lists(
        st.lists(
            st.sampled_from(["O", *(f"{one}-{kind}" for one in letters for kind in "XY")]),
            max_size=9,
        ),
        max_size=4,
    )
    for letters in ("BI", "BIES", "BILU")
}


@pytest.mark.parametrize("letters", list(TEXTS))
@given(data=st.data())
def test_any_tags_are_read_by_the_rules_of_seqeval(letters, data):
    true = data.draw(TEXTS[letters])
    found = [
        data.draw(st.permutations(text)) if data.draw(st.booleans()) else text for text in true
    ]
    sides = [
        {(at, *one) for at, text in enumerate(side) for one in chunks(text)}
        for side in (true, found)
    ]
    expected = 2 * len(sides[0] & sides[1]) / max(1, len(sides[0]) + len(sides[1]))
    assert entity_f1(true, found) == pytest.approx(expected)


@given(TEXTS["BI"])
def test_tags_of_bio_stay_as_they_are(texts):
    assert [as_bio(tags) for tags in texts] == texts


@pytest.mark.parametrize("single", ["S", "U"])
def test_a_run_says_by_which_scheme_entities_are_read(single):
    last = {"S": "E", "U": "L"}[single]
    rows: dict[str, Any] = {
        "words": [["new", "york", "calls"], ["rome", "calls"], ["we", "eat"]] * 8,
        "tags": [["B-city", f"{last}-city", "O"], [f"{single}-city", "O"], ["O", "O"]] * 8,
    }
    words = ["new", "york", "calls", "rome", "we", "eat"]
    table = EmbeddingTable(words, [[float(a == b) for a in words] for b in words])
    data = Dataset.from_dict(rows)
    given_settings = {"text": "words", "label": "tags", "epochs": 15, "batch_size": 4, "lr": 2e-2}
    run = fe.finetune(table, data, test=0.2, head="bilstm(hidden=8)", **given_settings)
    assert run.metrics["test"]["entity_f1"] == 1
    scheme = {"S": "BIOES", "U": "BILOU"}[single]
    assert f"test: entity f1 ({scheme}) 100.00%" in str(run)
    assert run.evaluate(data).scores["entity_f1"] == 1
