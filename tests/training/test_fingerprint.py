"""Fingerprints: what an object is, and that a run is resumed with the same ones only."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.training.fingerprint import Fingerprint
from finetune_embed.training.runtime.progress import ProgressBar


def digest(value: Any) -> str:
    fingerprint = Fingerprint()
    found = fingerprint.of(value).hex()
    assert fingerprint.unknown == []
    return found


def made_by(source: str, name: str = "it") -> Any:
    """What some code defines, in a module of its own."""
    names: dict[str, Any] = {"__name__": "users_code", "torch": torch, "nn": nn, "F": functional,
                             "np": np, "functools": functools}  # fmt: skip
    exec(textwrap.dedent(source), names)
    return names[name]


HEAD = """
class Head(nn.Module):
    def __init__(self, size=4, rate=0.1):
        super().__init__()
        self.size = size
        self.drop, self.out = nn.Dropout(rate), nn.Linear(size, 2)
        self.register_buffer("scale", torch.ones(2))

    def forward(self, ids, lengths):
        return self.out(self.drop(ids)) * self.scale

torch.manual_seed(0)
it = Head()
"""
#: Pairs of what is not the same, by the one thing that differs.
DIFFERENT = {
    "a constant": ("it = lambda l, t: l * 2", "it = lambda l, t: l * 3"),
    "an operation": ("it = lambda l, t: l * t", "it = lambda l, t: l + t"),
    "an attribute": ("it = lambda l, t: l.sum()", "it = lambda l, t: l.mean()"),
    "a default": ("def it(l, t, k=1): return l * k", "def it(l, t, k=2): return l * k"),
    "a keyword default": ("def it(l, *, k=1): return k", "def it(l, *, k=2): return k"),
    "a value closed over": tuple(
        f"def make(w):\n  return lambda l, t: l * w\nit = make({w})" for w in (1.0, 1.5)
    ),
    "a value of the module": tuple(f"W = {w}\ndef it(l, t): return l * W" for w in (1, 2)),
    "a tensor of the module": tuple(
        f"W = torch.tensor([1.0, {w}])\ndef it(l, t): return l * W" for w in (1.0, 50.0)
    ),
    "a tuple of the module": tuple(
        f"C = (1, {w})\ndef it(l, t): return l * C[1]" for w in (1, 2)
    ),
    "an option of a script": tuple(
        f"import types\nA = types.SimpleNamespace(w={w})\ndef it(l, t): return l * A.w"
        for w in (1, 2)
    ),
    "a function of a module that is imported": tuple(
        "import types\nM = types.ModuleType('m')\nM.part = types.ModuleType('p')\n"
        f"def scale(x): return x * {w}\nM.part.scale = scale\n"
        "def it(l, t): return M.part.scale(l)" for w in (1, 2)
    ),
    "a function that is called": tuple(
        f"def f(x): return x {sign} 1\ndef it(l, t): return f(l)" for sign in "+-"
    ),
    "a function inside": tuple(
        f"def it(l, t):\n  def f(x): return x {sign} 1\n  return f(l)" for sign in "+-"
    ),
    "an argument of a partial": tuple(
        f"it = functools.partial(F.cross_entropy, label_smoothing={s})" for s in (0.0, 0.1)
    ),
    "a weight of a partial": tuple(
        f"it = functools.partial(F.cross_entropy, weight=torch.tensor([1., {w}]))" for w in (1, 2)
    ),
    "the function of a partial": tuple(
        f"it = functools.partial(F.{name}, reduction='mean')" for name in ("mse_loss", "l1_loss")
    ),
    "a loss module": ("it = nn.CrossEntropyLoss()", "it = nn.CrossEntropyLoss(label_smoothing=.1)"),
    "the weight of a loss module": tuple(
        f"it = nn.CrossEntropyLoss(weight=torch.tensor([1., {w}]))" for w in (1, 2)
    ),
    "an attribute of an object": tuple(
        f"class L:\n  def __init__(s, a): s.a = a\n  def __call__(s, l, t): return l * s.a\n"
        f"it = L({a})" for a in (1, 2)
    ),
    "a slot of an object": tuple(
        f"class L:\n  __slots__ = ('a',)\nit = L()\nit.a = {a}" for a in (1, 2)
    ),
    "a bound method": tuple(
        f"class L:\n  def __init__(s, a): s.a = a\n  def f(s, l, t): return l * s.a\n"
        f"it = L({a}).f" for a in (1, 2)
    ),
    "the code of a class": tuple(
        f"class L:\n  def __call__(s, l, t): return l {sign} t\nit = L()" for sign in "+-"
    ),
    "a base of a class": tuple(
        f"class A:\n  k = {k}\nclass L(A): pass\nit = L()" for k in (1, 2)
    ),
    "a property": tuple(f"class L:\n  @property\n  def k(s): return {k}\nit = L()" for k in (1, 2)),
    "dropout": (HEAD, HEAD.replace("0.1", "0.9")),
    "a size": (HEAD, HEAD.replace("size=4", "size=5")),
    "the forward pass": (HEAD, HEAD.replace("* self.scale", "+ self.scale")),
    "the constructor's class": (HEAD, HEAD.replace("nn.Dropout", "nn.AlphaDropout")),
    "a buffer": (HEAD, HEAD + "it.scale[0] = 2"),
    "an initial weight": (HEAD, HEAD + "it.out.weight.data[0, 0] += 1e-6"),
    "a frozen weight": (HEAD, HEAD + "it.out.weight.requires_grad_(False)"),
    "a hook": (HEAD, HEAD + "it.out.register_forward_hook(lambda m, a, o: o * 2)"),
    "the code of a hook": tuple(
        HEAD + f"it.out.register_forward_hook(lambda m, a, o: o * {k})" for k in (2, 3)
    ),
    "a decorator": (
        "def d(f):\n  return lambda l, t: f(l, t) * 2\n@d\ndef it(l, t): return l",
        "def d(f):\n  return lambda l, t: f(l, t) * 3\n@d\ndef it(l, t): return l",
    ),
    "a decorated function": tuple(
        f"@torch.no_grad()\ndef it(l, t): return l * {k}" for k in (2, 3)
    ),
    "an array": ("it = np.arange(3)", "it = np.arange(3.0)"),
    "a type of tensor": ("it = torch.zeros(2)", "it = torch.zeros(2, dtype=torch.int32)"),
    "a set": ("it = {'a', 'b'}", "it = {'a', 'c'}"),
    "the order of a list": ("it = [1, 2]", "it = [2, 1]"),
    "a number and a text": ("it = 1", "it = '1'"),
    "a number and a truth": ("it = 1", "it = True"),
    "a seeded generator": ("it = np.random.default_rng(0)", "it = np.random.default_rng(1)"),
}  # fmt: skip
#: Pairs of what is the same.
SAME = {
    "a docstring": ("def it(l, t):\n  'one'\n  return l", "def it(l, t):\n  'two'\n  return l"),
    "lines and comments": ("def it(l, t): return l", "# l\n\ndef it(l, t):  # l\n  return l"),
    "a value that is not used": ("W = 1\ndef it(l, t): return l", "W = 2\ndef it(l, t): return l"),
    "the name of an attribute and of a value": (
        "sum = 1\ndef it(l, t): return l.sum()", "sum = 2\ndef it(l, t): return l.sum()",
    ),
    "the order of a dictionary": ("it = {'a': 1, 'b': 2}", "it = {'b': 2, 'a': 1}"),
    "the order of a class": ("class it:\n  a = 1\n  b = 2", "class it:\n  b = 2\n  a = 1"),
    "built twice": (HEAD, HEAD),
    "a class that calls its base": (
        "class it(list):\n  def f(s): return super().f()",
        "class it(list):\n  'doc'\n  def f(s): return super().f()",
    ),
    "another option of a script": tuple(
        f"import types\nA = types.SimpleNamespace(w=1, resume={r})\ndef it(l, t): return l * A.w"
        for r in (True, False)
    ),
    "an object that holds itself": ("it = []\nit.append(it)", "it = []\nit.append(it)"),
    "a recursive function": ("def it(n): return it(n - 1)", "def it(n): return it(n - 1)"),
}  # fmt: skip


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_is_not_the_same(what):
    one, other = map(made_by, DIFFERENT[what])
    assert digest(one) == digest(made_by(DIFFERENT[what][0]))
    assert digest(one) != digest(other)


@pytest.mark.parametrize("what", SAME)
def test_what_is_the_same(what):
    one, other = map(made_by, SAME[what])
    assert digest(one) == digest(other)


class Kind(Enum):
    ONE, TWO = 1, 2


@pytest.mark.parametrize("value", [functional.cross_entropy, torch.relu, np.exp, str.lower, len,
                                   nn.LSTM(2, 2), re.compile("a"), Kind.ONE, Path("a"), 1j,
                                   float("nan"), b"x", torch.float32, torch.Generator(), type,
                                   nn.CrossEntropyLoss().forward, functools.lru_cache(len),
                                   {1: {2, 3}}, "\ud800",
                                   lambda x: np.exp(x) + torch.exp(x)])  # fmt: skip
def test_kinds_of_values(value):
    assert digest(value) == digest(value)
    assert digest(value) != digest([value])


@pytest.mark.parametrize(("value", "kind"), [
    ("types.SimpleNamespace(smooth=0.1, resume={})", "types.SimpleNamespace"),
    ("{{'w': {}}}", "builtins.dict"),
    ("[{}]", "builtins.list"),
    ("({}, [])", "builtins.tuple"),
    ("nn.Linear({}, 1)", "torch.nn.modules.linear.Linear"),
])  # fmt: skip
def test_an_object_of_the_module_is_reported_and_not_compared(value, kind):
    found = set()
    for number in (1, 2):
        source = f"import types\nO = {value.format(number)}\ndef it(l, t): return l * O"
        fingerprint = Fingerprint()
        found.add(fingerprint.of(made_by(source)))
        assert fingerprint.unknown == [f"O ({kind})"]
    assert len(found) == 1


def test_what_cannot_be_looked_at_is_reported():
    lock = threading.Lock()
    fingerprint = Fingerprint()
    one = fingerprint.of(lambda logits, targets: lock)
    assert fingerprint.unknown == ["_thread.lock"]
    assert one == Fingerprint().of(lambda logits, targets: lock)
    fingerprint = Fingerprint()
    fingerprint.of(n for n in range(3))
    fingerprint.of(list(range(1_000_000, 1_200_000)))
    assert fingerprint.unknown == ["builtins.generator", "more than 100,000 objects"]


@pytest.mark.slow
def test_the_same_in_every_process(tmp_path):
    """In another process, with other hashes and under another module name."""
    source = HEAD + "\nit = [it, {'x', 'y', 'z'}, lambda l: l in {'a', 'b', 'c'}, F.relu]\n"
    head = "import functools, torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
    tail = (
        "from finetune_embed.training.fingerprint import Fingerprint\n"
        "if __name__ == '__main__': print(Fingerprint().of(it).hex())\n"
    )
    script = tmp_path / "users_script.py"
    script.write_text(head + source + tail)
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script], env=environment, check=True, capture_output=True, text=True
    )
    spec = importlib.util.spec_from_file_location("users_module", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert done.stdout.strip() == Fingerprint().of(module.it).hex()


# Runs

DATA = Dataset.from_dict({"text": ["a b", "c d"] * 8, "label": ["x", "y"] * 8})
TABLE = fe.EmbeddingTable(list("abcd"), np.random.default_rng(0).standard_normal((4, 6)))


def tune(folder: Path, **settings: Any) -> fe.Run:
    return fe.finetune(TABLE, DATA, output_dir=folder, **{"epochs": 2, "batch_size": 4, **settings})


def module_head(rate: float = 0.1, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return fe.BagOfEmbeddings(nn.Embedding(3, 6), 2, dropout=rate)


def function_head(hidden: int) -> Callable[..., nn.Module]:
    return lambda embedding, labels: fe.BagOfEmbeddings(embedding, labels, hidden=hidden)


def weighted(weight: float) -> Callable[..., torch.Tensor]:
    return functools.partial(functional.cross_entropy, weight=torch.tensor([1.0, weight]))


class Slower(fe.DiscriminativeLR):
    """A strategy of a caller's own."""


def own_strategy(factor: float) -> fe.Strategy:
    own = type("Own", (fe.Strategy,), {"rate": lambda self, name, depth: factor})
    return own()


class OwnTokenizer(fe.Tokenizer):
    """A tokenizer of a caller's own."""

    cut = 9

    def tokenize(self, text: str) -> list[str]:
        return super().tokenize(text)[: self.cut]


def cut(size: int) -> fe.Tokenizer:
    return type("Cut", (OwnTokenizer,), {"cut": size})()


def counted(more: int) -> fe.Vocabulary:
    vocab = fe.Vocabulary.from_texts(["a b c d"] * 3)
    vocab.counts[2] += more
    return vocab


#: The setting, two that have the same name, and what the message calls the difference.
PAIRS: dict[str, tuple[str, Any, Any]] = {
    "a weight of the loss": ("loss_fn", lambda: weighted(1.0), lambda: weighted(50.0)),
    "a loss of other code": (
        "loss_fn",
        lambda: lambda logits, targets: functional.cross_entropy(logits, targets),
        lambda: lambda logits, targets: functional.cross_entropy(logits, targets) * 2,
    ),
    "a loss module": (
        "loss_fn", nn.CrossEntropyLoss, lambda: nn.CrossEntropyLoss(label_smoothing=0.2),
    ),
    "dropout of the head": ("head", module_head, lambda: module_head(0.9)),
    "initial weights of the head": ("head", module_head, lambda: module_head(seed=1)),
    "a function that closes over a size": (
        "head", lambda: function_head(4), lambda: function_head(5),
    ),
    "a strategy of a class of its own": (
        "strategy", lambda: own_strategy(0.5), lambda: own_strategy(0.1),
    ),
    "a tokenizer of a class of its own": ("tokenizer", lambda: cut(9), lambda: cut(8)),
    "counts of a vocabulary": ("vocab", lambda: counted(0), lambda: counted(1)),
}  # fmt: skip


@pytest.mark.parametrize("state", ["finished", "unfinished"])
@pytest.mark.parametrize("what", PAIRS)
def test_resume_with_another_object_is_refused(tmp_path, monkeypatch, what, state):
    name, one, other = PAIRS[what]
    if state == "unfinished":
        steps: list[int] = []

        def advance(bar: ProgressBar) -> None:
            steps.append(1)
            if len(steps) == 6:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(ProgressBar, "advance", advance)
            with pytest.raises(KeyboardInterrupt):
                tune(tmp_path, **{name: one()})
    else:
        tune(tmp_path, **{name: one()})
    with pytest.raises(fe.DataError, match=f"it was written with another {name}: its .* differ; "):
        tune(tmp_path, resume=True, **{name: other()})
    again = tune(tmp_path, resume=True, **{name: one()})
    assert np.array_equal(again.table.vectors, tune(tmp_path / "b", **{name: one()}).table.vectors)


def test_resume_with_other_words_in_a_lexicon(tmp_path):
    lexicon = tmp_path / "words.txt"
    lexicon.write_text("a c")
    settings = {"strategy": fe.TrainRows(lexicon=str(lexicon))}
    tune(tmp_path / "run", **settings)
    lexicon.write_text("c\na a")  # the same words
    assert tune(tmp_path / "run", resume=True, **settings)
    lexicon.write_text("a c b")
    with pytest.raises(
        fe.DataError, match="another strategy: its code or the words of its lexicon"
    ):
        tune(tmp_path / "run", resume=True, **settings)


def test_resume_with_another_pattern_that_finds_the_same_tokens(tmp_path):
    tune(tmp_path, tokenizer=fe.Tokenizer(pattern="[a-z]+"))
    with pytest.raises(fe.DataError, match=r'with tokenizer="<Tokenizer\(.*this run.*\[a-y\]\+'):
        tune(tmp_path, tokenizer=fe.Tokenizer(pattern="[a-y]+"), resume=True)
    assert tune(tmp_path, tokenizer=fe.Tokenizer(pattern="[a-z]+"), resume=True)


def test_a_run_says_what_resume_cannot_compare(tmp_path):
    lock = threading.Lock()

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with lock:
            return functional.cross_entropy(logits, targets)

    run = tune(tmp_path, loss_fn=loss)
    expected = "resume cannot tell whether all of loss_fn is the same: it uses _thread.lock"
    assert expected in run.warnings
    assert tune(tmp_path, loss_fn=loss, resume=True).warnings == run.warnings
    assert expected not in fe.finetune(TABLE, DATA, epochs=1, loss_fn=loss).warnings


def test_fingerprints_are_made_once_and_only_for_a_folder(tmp_path, monkeypatch):
    made, real = [], Fingerprint.of
    monkeypatch.setattr(Fingerprint, "of", lambda self, value: made.append(1) or real(self, value))
    loss = nn.CrossEntropyLoss(weight=torch.ones(2))
    run = fe.finetune(TABLE, DATA, epochs=2, batch_size=4, loss_fn=loss)
    assert made == []
    run.save(tmp_path / "saved")
    tune(tmp_path / "made", loss_fn=loss)
    once = len(made)
    tune(tmp_path / "made", loss_fn=loss, resume=True)
    assert len(made) == 2 * once
    with pytest.raises(fe.DataError, match="another loss_fn: an earlier version "):
        tune(tmp_path / "saved", loss_fn=loss, resume=True)
