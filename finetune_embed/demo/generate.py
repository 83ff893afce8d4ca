"""Generate the demo data: a synthetic review corpus and a slice of GloVe.

The reviews come from a small template grammar. Every template serves both classes: only the polar
words that fill it decide the label, so a model has to learn what those words mean. Many of them
come in pairs that general-purpose vectors put side by side (good/bad, cheap/expensive, fast/slow)
and that the task must tear apart.

Usage::

    python -m finetune_embed.demo.generate reviews OUT_DIR
    python -m finetune_embed.demo.generate vectors GLOVE_FILE OUT_FILE.txt.gz

Standard library only, and seeded: every run writes the same bytes.
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
from typing import NamedTuple

SEED = 2014
SPLITS = {"train": 5000, "validation": 1000, "test": 1500}
LABELS = ("positive", "negative")  # in the order of the two sides of a pair
FLIPPED = 0.03  # share of labels that are wrong on purpose
UNSEEN = 0.09  # outside train: chance that a polar slot takes a held-out word
OWN = 0.75  # chance that an adjective belongs to the noun rather than to everything
CONTEXTUAL = 0.09  # chance that a noun decides what its adjective means
KINDS = (88, 5, 7)  # reviews that open plainly, with a negation, with a contrast

TOP_ROWS = 10_000  # the most frequent GloVe words are all kept,
NEAR_ROWS = 25_000  # and from here on up those next to a polar word:
NEIGHBORS = 3  # this many for each
TOKEN = re.compile(r"n't|'(?:s|re|ve|ll|d|m)\b|\w+(?=n't)|[\w]+|[^\w\s]")

# Polar words as positive/negative, likely pairs first. A star keeps a word out of train.
GENERAL = """good/bad great/terrible nice/nasty excellent/awful wonderful/horrible decent/mediocre
    fine/poor perfect/hopeless fantastic/ridiculous brilliant/pathetic superb/dreadful lovely/ugly
    amazing/appalling* satisfying/disappointing terrific*/horrendous* pleasant/unpleasant
    impressive/laughable outstanding/abysmal delightful/disgraceful* incredible/miserable
    adequate/inadequate exceptional/atrocious* splendid/lousy marvelous*/ghastly"""
DEVICE = """fast/slow easy/difficult reliable/unreliable sturdy/flimsy solid/fragile smooth/rough
    simple/complicated bright/dim useful/useless comfortable/uncomfortable accurate/inaccurate
    crisp/fuzzy handy/awkward quick*/sluggish safe/dangerous elegant/clumsy efficient/inefficient
    durable/brittle modern/outdated stable/unstable responsive/erratic* clever/stupid sleek/crude
    dependable*/shaky versatile/impractical* practical/cumbersome effective/ineffective"""
STORY = """funny/boring exciting/dull entertaining/annoying gripping/tedious clever/silly
    fresh/stale interesting/pointless witty/stupid memorable/forgettable moving/lifeless
    charming/irritating original/cliched intelligent/dumb* powerful/weak convincing/implausible
    amusing/tiresome* fascinating*/monotonous hilarious*/bland lively/dreary* compelling/muddled
    touching/vulgar imaginative*/pretentious thrilling/unconvincing enjoyable*/shallow"""
FOOD = """delicious/disgusting tasty/bland fresh/stale tender/tough crisp/soggy juicy/dry sweet/sour
    savory*/bitter fragrant/smelly crunchy/mushy* succulent*/chewy healthy/greasy ripe/rotten
    hearty/watery flavorful/tasteless* appetizing/burnt tangy/inedible"""
SERVICE = """friendly/rude polite/arrogant helpful/indifferent attentive/careless kind/hostile
    efficient/incompetent courteous*/impatient prompt/late honest/dishonest professional/sloppy
    cheerful/grumpy* generous/greedy welcoming/unfriendly* calm/chaotic gracious*/insulting
    competent/clueless considerate/obnoxious*"""
ROOM = """clean/dirty comfortable/uncomfortable quiet/noisy spacious/cramped cozy/gloomy tidy/messy
    charming/shabby luxurious*/grim peaceful*/crowded spotless/filthy* modern/outdated safe/unsafe
    bright/dingy* relaxing/stressful airy/stuffy beautiful/hideous elegant/drab sunny/damp
    romantic/depressing"""
SLOTS = {
    "general": GENERAL,
    "loved": """loved/hated liked/disliked enjoyed/endured admired/despised adored*/loathed*
        appreciated/resented cherished/regretted trusted/distrusted""",
    "advise": """recommend/avoid buy/return keep/scrap praise/criticize choose/skip
        endorse*/condemn* applaud/denounce treasure/discard defend/reject""",
    "thing": """success/failure pleasure/chore triumph/disaster masterpiece/mess delight/nightmare
        winner/loser joy/pain bargain/scam treat/insult gem/joke hit/flop blessing/curse
        miracle*/fiasco* sensation/catastrophe* improvement/disappointment breakthrough/setback""",
    "felt": """happy/unhappy pleased/annoyed satisfied/dissatisfied delighted/disappointed
        impressed/bored glad/sorry thrilled*/disgusted grateful/angry amused/insulted
        relieved/frustrated* enthusiastic/depressed confident/embarrassed excited/tired""",
    "more": """better/worse faster/slower easier/harder stronger/weaker cheaper/pricier
        smarter/dumber nicer/nastier* safer/riskier* cleaner/dirtier* smoother*/rougher
        brighter/darker prettier/uglier""",
    "most": """best/worst finest/poorest greatest/weakest nicest/ugliest smartest/dumbest
        funniest/silliest* boldest/slowest loveliest*/nastiest sweetest/saddest""",
    "rose": """increased/decreased improved/declined climbed/slipped soared*/plummeted*
        strengthened/weakened recovered/deteriorated flourished/suffered advanced/collapsed""",
    "works": """works/fails delivers/disappoints impresses/bores succeeds/struggles delights/annoys
        shines/stumbles excels*/stinks pleases/irritates* charms/offends inspires/depresses""",
    "adverb": """beautifully/badly nicely/poorly perfectly/terribly brilliantly/horribly
        carefully/carelessly superbly*/miserably* elegantly/clumsily neatly/crudely""",
    "priced": """cheap/expensive affordable/overpriced reasonable/outrageous inexpensive*/costly
        fair/unfair modest/excessive sensible/absurd* competitive/exorbitant*""",
}


class Domain(NamedTuple):
    """What one kind of review talks about."""

    items: str
    facets: list[tuple[str, str]]  # nouns, and the adjectives that praise or blame them
    contexts: str  # adjectives that change sides with the noun: cold beer, cold soup
    facts: str  # sentences that say nothing about the label


DOMAINS = (
    Domain(
        "phone, laptop, tablet, camera, watch, printer, monitor, radio, router, projector",
        [("""screen, controls, speakers, software, menu, case, app, setup, instructions, buttons,
            charger, design, cable, hinge, stand""", DEVICE)],
        """size: small/huge, battery life: long/short, charging time: short/long,
            body: light/heavy, display: big/small, frame: thin/thick, cover: hard/soft,
            fan: quiet/loud, alarm: loud/quiet, power cord: long/short, waiting list: short/long""",
        """I bought it in {month} for {price}. | The box came with {few} cables and a manual.
            | It is the {model} from {brand}. | I use it at the office in {city}.
            | The parcel arrived on {day}. | It sits on the desk next to my {model}.
            | It replaced a {few} year old {brand}. | I charge it every {few} hours.
            | The {brand} {model} comes in black and silver.""",
    ),
    Domain(
        "bike, scooter, van, car, motorcycle, truck, convertible, tractor",
        [("""engine, seat, steering, gears, dashboard, mirrors, tires, wheels, handling, key,
            headlights, lock, navigation, suspension""", DEVICE)],
        """brakes: predictable/unpredictable, braking distance: short/long, range: long/short,
            horn: loud/quiet, exhaust: quiet/loud, turning circle: small/big, ride: soft/hard,
            rental contract: short/long, tank: big/small, clutch: light/heavy""",
        """I rented it for {few} days in {month}. | We took it from {city} to {city}.
            | It is the {model} from {brand}. | My {who} picked it up near the station.
            | The {brand} {model} comes in black and silver. | It has a {brand} sticker on the back.
            | I parked it next to the office. | The dealer moved to {city} in {year}.
            | It has done {num} miles since {day}.""",
    ),
    Domain(
        """film, movie, thriller, comedy, drama, sequel, western, documentary, musical, remake,
            cartoon, mystery""",
        [("""plot, acting, dialogue, script, ending, soundtrack, cast, jokes, characters, story,
            editing, opening scene, songs, costumes, hero, camera work""", STORY)],
        """storyline: unpredictable/predictable, running time: short/long, villain: cold/warm,
            love story: warm/cold, chase: fast/slow, romance: slow/fast, horror scene: dark/light,
            twist: unpredictable/predictable, credits: short/long, picture: light/dark""",
        """We saw it on {day} at a cinema in {city}. | It runs for two hours and {num} minutes.
            | {name} plays a detective from {city}. | {name} directed it in {year}.
            | It is set in {city} in {year}. | I watched it with my {who} on {day}.
            | The tickets were {price} each. | It is based on a novel by {name}.
            | The second part came out in {month} {year}.""",
    ),
    Domain(
        "restaurant, cafe, bistro, diner, pizzeria, bakery, pub, steakhouse, grill, bar",
        [("""chicken, pasta, dessert, fish, noodles, burgers, salad, cake, rice, vegetables,
            pancakes, sandwich, curry, shrimp""", FOOD),
         ("waiter, staff, owner, manager, service, chef, hostess", SERVICE)],
        """beer: cold/warm, soup: hot/cold, portions: big/small, queue: short/long,
            music: soft/loud, wine list: long/short, steak: thick/thin, coffee: hot/cold,
            lemonade: cold/warm, bill: small/big, bread: soft/hard, pizza crust: thin/thick,
            dinner: heavy/light""",
        """We had a table for {few} on {day}. | I ordered the lunch menu for {price}.
            | My {who} had the fish and a glass of water. | It is on the corner near the station.
            | They opened in {city} in {year}. | We came for dinner after the theater.
            | {name} took our order at {num} past eight. | We sat by the window near the kitchen.
            | The menu has {num} dishes and changes in {month}.""",
    ),
    Domain(
        "hotel, hostel, resort, inn, motel, lodge, guesthouse, apartment, villa, campsite",
        [("""room, bathroom, lobby, bed, balcony, garden, suite, pool, corridor, terrace, beds,
            rooms, spa, lounge""", ROOM),
         ("receptionist, staff, porter, owner, manager, service, concierge", SERVICE)],
        """mattress: soft/hard, shower: hot/cold, walls: thick/thin, minibar: cold/warm,
            air conditioning: quiet/loud, walk to the beach: short/long, wardrobe: big/small,
            breakfast menu: long/short, hot tub: hot/cold, deposit: small/big,
            line at the desk: short/long""",
        """We stayed {few} nights in {month}. | Our room was number {num} on the top floor.
            | I was in {city} for a conference. | My {who} booked it for {price} a night.
            | The hotel is {num} minutes from the airport. | We arrived on {day} around noon.
            | Breakfast is served until {few}:30. | {name} checked us in at the desk.
            | There is a bus to {city} every {num} minutes.""",
    ),
)  # fmt: skip
FACTS = """My {who} told me about it. | I read about it in a magazine. | It was raining on {day}.
    | I have told my {who} about it. | This was in {month} {year}. | I paid {price} with a card.
    | My {who} and I talked about it on {day}. | I am writing from {city}. | It's been {few} weeks.
    | This is my review number {num}. | We'd heard of it from {name}. | I didn't take pictures."""
NAMES = {
    "month": "January, February, March, April, May, June, July, August, October, December",
    "day": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "city": "London, Paris, Boston, Madrid, Chicago, Vienna, Toronto, Dublin, Rome, Oslo",
    "who": "wife, husband, sister, brother, son, daughter, neighbor, boss, uncle, friend",
    "name": "Anna, Carlos, Emma, Tom Reed, Priya, James Hall, Yuki, Olga, Martin, Sarah",
    "brand": "Norvexa, Tellumo, Brightoak, Zentiqo, Halvorix, Omnikraft, Pelidor, Quastra",
    "very": ", , , , , , , really, so, quite, rather, truly, pretty, just, simply, incredibly",
    "overall": "overall, in the end, all in all, still, on balance, all the same",
}
PLAIN = """The {noun} {is} {very} {adj}. | The {noun} {was} {very} {adj}. | What a {general} {item}!
    | I found the {noun} {adj}. | {very} {adj} {noun}. | This is a {general} {item}. | It {works}.
    | The {noun} seemed {very} {adj} to me. | My {who} called the {noun} {adj}. | I {loved} it!
    | Everything about the {noun} felt {adj}. | Everything here is {adverb} done.
    | {adj} {noun} and {adj2} {noun2}. | The {noun} {is} {adj} and the {noun2} {is2} {adj2}.
    | I {loved} the {noun}. | We {loved} this {item}. | The {item} is a {thing}.
    | It turned out to be a {thing}. | It left me {felt}. | My {who} felt {very} {felt} afterwards.
    | This {item} is {more} than the last one. | It gets {more} every year. | A {general} {thing}.
    | It's the {most} {item} I have tried. | It has the {most} {noun} in {city}.
    | The quality has {rose} since {month}. | The standard has {rose} since {year}.
    | This {item} {works}. | I would {advise} it. | If you ask me, I'd {advise} this {item}.
    | At {price} it is {very} {priced}. | For {price} I call that {priced}.
    | My {who} says {price} is {very} {priced}. | I'd call it {priced} at {price}.
    | It is {more} than my {who} said. | My interest has {rose} since {day}.
    | My trust in {name} has {rose} since {month}. | {name} says it {works}.
    | To be honest, my {who} and I {loved} the {noun}. | The {adj} {noun} left us {felt}.
    | You won't believe how {adj} the {noun} {is}. | I must say the {noun} {was} {adj}."""
NEGATED = """The {noun} {is} not {~adj}. | The {noun} {is}n't {~adj}. | It never {~works}.
    | The {noun} {was} never {~adj}. | This is hardly a {~thing}. | I didn't feel {~felt} at all.
    | The {noun} {was} far from {~adj}. | There is nothing {~general} about the {noun}.
    | I wouldn't {~advise} this {item}. | It's not {~priced} at {price}.
    | I can't call the {noun} {~adj}."""
CONTRAST = """The {noun} {is} {~adj}, but the {noun2} {is2} {adj2} and {overall} I {loved} it.
    | Although the {noun} {was} {~adj}, this {item} is a {general} {thing}.
    | I expected a {~thing}, but it was {general} and I {loved} the {noun}.
    | The {noun} {was} {~adj} but {overall} I {loved} it.
    | Despite the {~adj} {noun}, {overall} it's a {thing}.
    | Some people {~loved} the {noun}, but {overall} it {works} and I'd {advise} it.
    | My {who} {~loved} it, but I {loved} the {adj} {noun}."""
TYPOS = dict(
    re.findall(
        r"(\w+):(\w+)",
        """really:reallly awful:awfull terrible:terribel excellent:excelent would:wuold dirty:dirtty
        comfortable:comfertable friendly:freindly delicious:delicous expensive:expencive
        expected:expeceted afterwards:afterwrads quality:qualtiy everything:everyting
        beautiful:beatifull restaurant:restaraunt recommend:reccomend boring:borring
        believe:beleeve disappointing:dissapointing interest:intrest since:sinse""",
    )
)


def _split(text: str, separator: str = ",") -> list[str]:
    """Split a list that may span lines."""
    return [" ".join(part.split()) for part in text.split(separator)]


class Writer:
    """Draws reviews for one split from a stream of random numbers."""

    def __init__(self, rng: random.Random, *, train: bool) -> None:
        """Keep the stream, and whether held-out words are off limits."""
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
        """Draw a filler that says nothing about the label."""
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
        """Fill the slots of a template; ``~`` asks for the other side."""
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
        """Write one review of the wanted side."""
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
        """Add the typos, shouting and loose casing of real reviews."""
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
    """Return the (text, label) rows of every split; no text occurs twice."""
    rng = random.Random(SEED)
    seen: set[str] = set()
    splits: dict[str, list[tuple[str, str]]] = {}
    for split, size in SPLITS.items():
        writer = Writer(rng, train=split == "train")
        rows = splits[split] = []
        while len(rows) < size:
            side = rng.randrange(2)
            text = writer.review(side)
            if 6 <= len(text.split()) <= 35 and text.lower() not in seen:
                seen.add(text.lower())
                rows.append((text, LABELS[1 - side if rng.random() < FLIPPED else side]))
    return splits


def write_reviews(out_dir: Path) -> None:
    """Write train.csv, validation.csv and test.csv.

    Args:
        out_dir: Folder for the three files; it is created if missing.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    for split, rows in make_reviews().items():
        with (out_dir / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("text", "label"))
            writer.writerows(rows)


def polar_words() -> set[str]:
    """Return every polar word of the grammar; held-out words keep their star."""
    contexts = " ".join(domain.contexts for domain in DOMAINS)
    pairs = " ".join([DEVICE, STORY, FOOD, SERVICE, ROOM, *SLOTS.values(), contexts])
    return set(" ".join(re.findall(r"\w+\*?/\w+\*?", pairs)).replace("/", " ").split())


def _direction(line: str) -> list[int]:
    """Return the direction of a GloVe vector, in integers so that products are exact."""
    row = [float(value) for value in line.split(" ")[1:]]
    scale = 10_000 / math.sqrt(math.fsum(value * value for value in row))
    return [round(value * scale) for value in row]


def write_vectors(glove: Path, out: Path) -> None:
    """Write the GloVe lines that the demo needs, unchanged and in GloVe's order.

    Kept are the most frequent words, every word of the reviews, and the nearest less frequent
    neighbors of the polar words.

    Args:
        glove: The text file ``glove.6B.50d.txt``.
        out: The ``.txt.gz`` file to write.
    """
    reviews = (text for rows in make_reviews().values() for text, _ in rows)
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
    """Run the command line."""
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
