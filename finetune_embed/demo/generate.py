"""Generate the demo data: a synthetic review corpus and a slice of GloVe.

The reviews come from a small template grammar. Every template serves both classes: only the polar
words that fill it decide the label, so a model must learn what those words mean. Many of them come
in pairs that are close in general-purpose vectors (good/bad, cheap/expensive, fast/slow) and that
the task must separate.

Usage::

    python -m finetune_embed.demo.generate reviews OUT_DIR
    python -m finetune_embed.demo.generate vectors GLOVE_FILE OUT_FILE.txt.gz

Every run writes the same bytes. The words and sentences are in `lexicon.py`.
"""

import argparse
import csv
import gzip
import heapq
import math
import random
import re
from operator import mul
from pathlib import Path

from .lexicon import (
    CONTRAST,
    DEVICE,
    DOMAINS,
    FACTS,
    FOOD,
    GENERAL,
    NAMES,
    NEGATED,
    PLAIN,
    ROOM,
    SERVICE,
    SLOTS,
    STORY,
    TYPOS,
    Domain,
)

SEED = 2014
SPLITS = {"train": 5000, "validation": 1000, "test": 1500}
LABELS = ("positive", "negative")  # by the side of a pair: positive/negative
FLIPPED = 0.03  # share of labels that are deliberately wrong
UNSEEN = 0.09  # outside train: probability that a polar slot takes a held-out word
OWN = 0.75  # probability that an adjective is specific to the noun
CONTEXTUAL = 0.09  # probability that the noun decides what its adjective means
KINDS = (88, 5, 7)  # weights of reviews that start plainly, with a negation, with a contrast

TOP_ROWS = 10_000  # these most frequent GloVe words are all kept
NEAR_ROWS = 25_000  # of the next ones up to this rank, only neighbors of polar words are kept
NEIGHBORS = 3  # neighbors kept for each polar word
TOKEN = re.compile(r"n't|'(?:s|re|ve|ll|d|m)\b|\w+(?=n't)|[\w]+|[^\w\s]")


def _split(text: str, separator: str = ",") -> list[str]:
    """Return the parts of a list that may span lines."""
    return [" ".join(part.split()) for part in text.split(separator)]


class Writer:
    """Draws the reviews of one split.

    Args:
        rng: the random numbers.
        train: whether it is the training split, which gets no held-out words.
    """

    def __init__(self, rng: random.Random, *, train: bool) -> None:
        self.rng = rng
        self.train = train

    def polar(self, pairs: str, side: int) -> str:
        """Draw a word from one side of the pairs; early pairs are more likely."""
        words = [pair.split("/")[side] for pair in pairs.split()]
        held_out = [word[:-1] for word in words if word.endswith("*")]
        if held_out and not self.train and self.rng.random() < UNSEEN:
            return self.rng.choice(held_out)
        known = [word for word in words if not word.endswith("*")]
        return self.rng.choices(known, [1 / (rank + 1) for rank in range(len(known))])[0]

    def subject(self, domain: Domain) -> tuple[str, str]:
        """Draw a noun and the pairs of adjectives that suit it."""
        if self.rng.random() < CONTEXTUAL:
            noun, pairs = self.rng.choice(_split(domain.contexts)).split(": ")
            return noun, pairs
        nouns, pairs = self.rng.choice(domain.facets)
        return self.rng.choice(_split(nouns)), pairs if self.rng.random() < OWN else GENERAL

    def neutral(self, name: str) -> str:
        """Draw a filler that does not depend on the label."""
        rng = self.rng
        match name:
            case "num":
                return str(rng.randint(10, 59))
            case "few":
                return str(rng.randint(2, 9))
            case "year":
                return str(rng.randint(1995, 2024))
            case "price":
                return rng.choice(("${}", "${}.99", "{} dollars")).format(rng.randint(9, 99))
            case "model":
                return "".join(rng.choices("KLQRTVXZ", k=2)) + str(rng.randint(11, 99) * 10)
        return rng.choice(_split(NAMES[name]))

    def sentence(self, template: str, domain: Domain, side: int) -> str:
        """Fill the slots of a template; `~` in a slot means the other side."""
        subjects = self.subject(domain), self.subject(domain)

        def fill(slot: re.Match[str]) -> str:
            noun, adjectives = subjects[1 if slot["second"] else 0]
            wanted = 1 - side if slot["other"] else side
            match slot["name"]:
                case "noun":
                    return noun
                case "adj":
                    return self.polar(adjectives, wanted)
                case "is" | "was" as verb:
                    plural = noun.endswith("s") and not noun.endswith("ss")
                    return {"is": "are", "was": "were"}[verb] if plural else verb
                case "item":
                    return self.rng.choice(_split(domain.items))
                case name:
                    return self.polar(SLOTS[name], wanted) if name in SLOTS else self.neutral(name)

        text = re.sub(r"\{(?P<other>~?)(?P<name>[a-z]+)(?P<second>2?)\}", fill, template)
        text = re.sub(r"\b([Aa])(?= (?:[aeio]|u(?!s[ei]|ni[qtv])|hones))", r"\1n", text)
        text = " ".join(text.split())
        return text[0].upper() + text[1:]

    def review(self, side: int) -> str:
        """Return one review of a side."""
        rng = self.rng
        domain = rng.choice(DOMAINS)
        kind = rng.choices((PLAIN, NEGATED, CONTRAST), KINDS)[0]
        more = rng.choices((0, 1, 2), (3, 4, 3) if kind == PLAIN else (5, 4, 1))[0]
        templates = [rng.choice(_split(kind, "|")), *rng.sample(_split(PLAIN, "|"), more)]
        opinions = [self.sentence(text, domain, side) for text in dict.fromkeys(templates)]
        if len(opinions) > 1 and rng.random() < 0.4 and not opinions[0].endswith("!"):
            first, second, *rest = opinions
            second = second if second.startswith(("I ", "I'")) else second[0].lower() + second[1:]
            opinions = [first[:-1] + rng.choice((", and ", "; ", " and ")) + second, *rest]
        facts = rng.sample(_split(domain.facts, "|") + _split(FACTS, "|"), rng.randint(0, 3))
        sentences = opinions + [self.sentence(fact, domain, side) for fact in facts]
        rng.shuffle(sentences)
        return self.roughen(" ".join(sentences))

    def roughen(self, text: str) -> str:
        """Add typos, shouting and careless capitals, as in real reviews."""
        rng = self.rng
        words = [TYPOS.get(word, word) if rng.random() < 0.1 else word for word in text.split()]
        if rng.random() < 0.05:
            loud = rng.randrange(len(words))
            words[loud] = words[loud].upper()
        text = " ".join(words)
        if rng.random() < 0.15:
            text = text[:-1] + rng.choice(("!", "!!", "..."))
        return text.lower() if rng.random() < 0.08 else text


def make_reviews() -> dict[str, list[tuple[str, str]]]:
    """Return the examples `(text, label)` of each split; no text occurs twice."""
    rng = random.Random(SEED)
    seen: set[str] = set()
    splits: dict[str, list[tuple[str, str]]] = {}
    for split, size in SPLITS.items():
        writer = Writer(rng, train=split == "train")
        examples = splits[split] = []
        while len(examples) < size:
            side = rng.randrange(2)
            text = writer.review(side)
            if 6 <= len(text.split()) <= 35 and text.lower() not in seen:
                seen.add(text.lower())
                examples.append((text, LABELS[1 - side if rng.random() < FLIPPED else side]))
    return splits


def write_reviews(out_dir: Path) -> None:
    """Write train.csv, validation.csv and test.csv.

    Args:
        out_dir: the folder for the three files; created if missing.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    for split, examples in make_reviews().items():
        with (out_dir / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("text", "label"))
            writer.writerows(examples)


def polar_words() -> set[str]:
    """Return all polar words of the grammar; held-out words keep their star."""
    contexts = " ".join(domain.contexts for domain in DOMAINS)
    pairs = " ".join([DEVICE, STORY, FOOD, SERVICE, ROOM, *SLOTS.values(), contexts])
    return set(" ".join(re.findall(r"\w+\*?/\w+\*?", pairs)).replace("/", " ").split())


def _direction(line: str) -> list[int]:
    """Return the direction of a GloVe vector in integers, which makes products exact."""
    vector = [float(value) for value in line.split(" ")[1:]]
    scale = 10_000 / math.sqrt(math.fsum(value * value for value in vector))
    return [round(value * scale) for value in vector]


def write_vectors(glove: Path, out: Path) -> None:
    """Write the GloVe lines that the demo needs, unchanged and in GloVe's order.

    It needs the most frequent words, every word of the reviews, and the nearest less frequent
    neighbors of the polar words.

    Args:
        glove: the text file `glove.6B.50d.txt`.
        out: the `.txt.gz` file to write.
    """
    reviews = (text for examples in make_reviews().values() for text, _ in examples)
    corpus = {token for text in reviews for token in TOKEN.findall(text.lower())}
    polar = {word.rstrip("*") for word in polar_words()}
    kept: dict[int, str] = {}
    targets: list[list[int]] = []
    candidates: dict[int, list[int]] = {}
    with glove.open(encoding="utf-8", newline="\n") as file:
        for rank, line in enumerate(file):
            word = line.split(" ", 1)[0]
            if word in polar:
                targets.append(_direction(line))
            if rank < TOP_ROWS or word in corpus or word in polar:
                kept[rank] = line
            elif rank < NEAR_ROWS and word.isalpha():
                kept[rank] = line
                candidates[rank] = _direction(line)
    near: set[int] = set()
    for target in targets:
        scores = {rank: sum(map(mul, target, row)) for rank, row in candidates.items()}
        near.update(heapq.nlargest(NEIGHBORS, scores, key=scores.__getitem__))
    text = "".join(line for rank, line in kept.items() if rank not in candidates or rank in near)
    with out.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.encode("utf-8"))


def main() -> None:
    """Run the generator from the command line."""
    parser = argparse.ArgumentParser(description="Generate the demo reviews or the GloVe slice.")
    commands = parser.add_subparsers(dest="command", required=True)
    reviews = commands.add_parser("reviews", help="write the three CSV files")
    reviews.add_argument("out", type=Path, metavar="OUT_DIR")
    vectors = commands.add_parser("vectors", help="write the GloVe slice")
    vectors.add_argument("glove", type=Path, metavar="GLOVE_FILE")
    vectors.add_argument("out", type=Path, metavar="OUT_FILE.txt.gz")
    args = parser.parse_args()
    if args.command == "reviews":
        write_reviews(args.out)
    else:
        write_vectors(args.glove, args.out)


if __name__ == "__main__":
    main()
