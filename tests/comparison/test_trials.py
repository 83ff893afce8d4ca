"""Runs are kept line by line; the incomplete line of a killed process is removed."""

from __future__ import annotations

import json

import pytest

import finetune_embed as fe
from finetune_embed.comparison.trials import Trial, Trials
from finetune_embed.training.runtime.progress import CountBar


def trials(path, made: list[tuple[str, float, int]]) -> Trials:
    def run(strategy: str, lr: float, seed: int) -> Trial:
        made.append((strategy, lr, seed))
        return Trial(strategy, lr, seed, validation=seed / 10, outcomes=([1.0, 0.0], [1.0, 1.0]))

    return Trials(run, CountBar(False, 0), path)


def test_a_run_is_made_once_and_read_again(tmp_path):
    path, made = tmp_path / "trials.jsonl", []
    first = trials(path, made)
    found = [first.get("Freeze", 0.1, seed) for seed in (1, 2, 1)]
    assert made == [("Freeze", 0.1, 1), ("Freeze", 0.1, 2)]
    assert found[0] is found[2]
    again = trials(path, made)
    one = again.get("Freeze", 0.1, 2)
    assert len(made) == 2
    assert one.parts.tolist() == [[1.0, 1.0], [0.0, 1.0]]
    assert (one.validation, one.diverged) == (0.2, False)


@pytest.mark.parametrize("cut", [1, 10, 50])
def test_half_a_line_is_removed_and_the_run_made_again(tmp_path, cut):
    path, made = tmp_path / "trials.jsonl", []
    first = trials(path, made)
    for seed in (1, 2):
        first.get("Freeze", 0.1, seed)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    again = trials(path, made)
    again.get("Freeze", 0.1, 1)
    again.get("Freeze", 0.1, 2)
    assert made == [("Freeze", 0.1, 1), ("Freeze", 0.1, 2), ("Freeze", 0.1, 2)]
    assert path.read_bytes() == whole


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "trials.jsonl"
    trials(path, []).get("Freeze", 0.1, 1)
    (line,) = path.read_bytes().splitlines()
    fields = json.loads(line)
    wrong = [
        {**fields, name: value} for name in fields for value in ({"a": None}, [[None]], 10**400)
    ]
    wrong += [
        {**fields, "x": 1},
        {n: v for n, v in fields.items() if n != "outcomes"},
        fields | {"lr": "0.1"},
    ]
    lines = [json.dumps(one).encode() for one in wrong if one != fields]
    assert len(lines) > 45
    for damage in (b"{}", b"nothing", b'{"strategy": "Freeze"}', b"[" * 10_000, *lines):
        path.write_bytes(line + b"\n" + damage + b"\n")
        with pytest.raises(
            fe.DataError,
            match=r"trials\.jsonl:2: the line is not a run of a comparison .*; remove the line, "
            r"and the run is "
            r"made again$",
        ):
            trials(path, [])
