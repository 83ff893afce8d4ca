"""Runs for the tests of reports, with words and texts that would break a page, and its reader."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import numpy as np

import finetune_embed as fe

__all__ = ["EVIL", "data", "table", "text_of", "tuned", "words_in"]

EVIL = "</script><script>alert(1)</script>"
WORDS = [EVIL, "<b>", "a&b", '"quoted"', "good", "bad", "fine", "poor", "the", "a"]


def table() -> fe.EmbeddingTable:
    """Return 300 words with random vectors; the first ones are hard on a page."""
    words = [*WORDS, *(f"w{number}" for number in range(290))]
    return fe.EmbeddingTable(words, np.random.default_rng(3).normal(0, 0.4, (300, 8)))


def data(examples: int = 240) -> dict[str, list[dict[str, str]]]:
    """Return texts in which `good` and `fine` decide for one label, but not always."""
    random = np.random.default_rng(5)
    rows = []
    for number in range(examples):
        is_good = number % 2 == 0
        sure = random.random() < 0.9
        word = ("good", "fine") if is_good == sure else ("bad", "poor")
        others = [WORDS[0], WORDS[1], "the", *(f"w{one}" for one in random.integers(0, 60, 3))]
        text = " ".join([*others[:3], word[number // 2 % 2], *others[3:], f"new{number % 3}"])
        rows.append({"text": text, "label": "yes <i>" if is_good else "no & never"})
    return {"train": rows[: examples // 2], "test": rows[examples // 2 :]}


def tuned(strategy: str = "FullTune", **settings: object) -> fe.Run:
    """Return a run on these."""
    options = {"head": "bag", "epochs": 4, "lr": 0.02, "tokenizer": "whitespace", **settings}
    return fe.finetune(table(), data(), strategy=strategy, **options)  # type: ignore[arg-type]


def words_in(page: str) -> dict[str, Any]:
    """Return the data of the map, as a browser reads it."""
    (found,) = re.findall(r'<script type="application/json" id="word-data">(.*?)</script>', page)
    return dict(json.loads(found))


def text_of(page: str, section: str) -> str:
    """Return the text of a section without tags."""
    inside = page.split(f'<section id="{section}"')[1].split("</section>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", inside)).split())
