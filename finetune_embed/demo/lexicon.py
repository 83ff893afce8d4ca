"""The words and sentences of the demo reviews.

In a pair such as `good/bad` the first word is positive and the second negative. A star marks words
that are held out of the training split.
"""

import re
from typing import NamedTuple

# Polar words as positive/negative, likely pairs first.
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
    """The subjects of one kind of review."""

    items: str
    facets: list[tuple[str, str]]  # nouns, and the adjectives that praise or blame them
    contexts: str  # adjectives whose side depends on the noun: cold beer, cold soup
    facts: str  # sentences that do not depend on the label


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
