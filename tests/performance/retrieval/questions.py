"""Questions over the fixtures, each with the words that answer it, as they stand in the text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks, the text that holds the answer, and the answer itself: an excerpt that stands there once."""

    document: str
    words: str
    answer: str


_ASKED = {
    "wind-farm": {
        "at which wave height may a crew step over to the tower": "| Crew transfer by step-over | 1.4 m |",
        "up to what mean wind may people work inside the hub": "| Work inside the hub | none | 14 m/s |",
        "how long must the detector be silent after thunder": "until the detector has been silent for forty minutes",
        "who may call every boat home": "The marine coordinator may call every boat home, and nobody",
        "how many people may use the lift in rows B and C": "takes two people or 240 kilograms",
        "what happens when a crack in a blade grows": "grows more than fifteen centimetres between two flights",
        "which finding on a blade asks for tape before October": "| Bare filler, up to 30 cm | 2 | tape before",
        "at what pressure do the accumulators hold nitrogen": "the accumulators hold nitrogen at 110 bar",
        "how much grease does the main bearing of row A get": "It gets 900 grams of grease a quarter",
        "what to do when the bearing is 35 K hotter than the nacelle air": "| 35 K and more | stop and ask the duty",
        "what rotor and hub height do the turbines of row C have": "| C | C1 to C8 | 6.2 MW | 154 m | 105 m |",
        "how often is rescue trained in the tower": "Rescue is trained every eight weeks",
    },
    "incident": {
        "why did both valves close together": "because both had been given the same network address",
        "who first noticed the warm air": "Ilse Brandauer of the security desk, who felt warm air",
        "when were the pumps restarted": "| 04:10 | Pumps restarted |",
        "what did the loan of mobile coolers cost": "| Loan of mobile coolers | 9,900 |",
        "why did the login service not come back": "It waited for a licence server which waited for the login service",
        "where will the status page move": "The status page moves to another provider in another city",
    },
    "bicycle": {
        "when is a worn chain changed": "At 306.3 the chain is changed",
        "what torque for the calliper bolts of disc brakes": "| Calliper bolts | none | 6 to 8 Nm |",
        "in which gear is an eight speed hub adjusted": "| eight speed | 4 | oil bath | 5,000 km |",
        "what do two small holes side by side in the tube mean": "like a snake's bite, mean too little air",
        "how many balls are in a front hub": "a front hub has ten on each side",
        "how wide is an Italian bottom bracket shell": "70 is Italian",
        "how are cotter pins knocked out": "Cotter pins are knocked out with the nut left flush on the thread",
        "what do volunteers do with stolen bicycles": "be friendly, and go and fetch Marguerite",
    },
    "minutes": {
        "how high was the highest level at the sea sluice": "| Sea sluice, inside | -60 | +8 | 51 |",
        "how much was spent on dredging": "| Dredging | 96,000 | 88,250 |",
        "how many muskrats were caught": "Catches have fallen from 611 to 389 in a year",
        "why is the slope sown by hand after the dry June": "red fescue and bird's-foot trefoil",
    },
    "bees": {
        "how many mites a day mean treat now": "More than ten mites a day: treat now",
        "what does an egg in the cups say about swarming": "| Cups with an egg | eight | give space |",
    },
    "bakery": {
        "what does the rye block sell for": "| Rye block | 0.83 | 0.52 | 0.90 | 2.25 | 5.20 |",
        "who supplies the butter": "| Butter, unsalted | kg | 8.90 | Dairy Nyland |",
    },
    "tide-api": {
        "what to do about status 429": "| 429 | `ebb` | wait as long as the header says",
        "how are gauges ordered by distance": "`?near=53.6,7.2` orders by distance instead",
        "in which header is the key sent": "Send your key in the header `X-Tide-Key`",
    },
    "seed-library": {
        "how many years do cucumber seeds keep": "cucumber     8 years",
        "how are weevils in dry beans killed": "Freeze dry beans for two days in a closed jar to kill the weevils",
    },
    "night-ferry": {
        "who sleeps in corridor C": "Corridor C is reserved for people who talk in their sleep",
        "how long is lost property kept": "Lost property is kept for one year in the wheelhouse cupboard",
    },
}

QUESTIONS = tuple(
    Question(document, words, answer) for document, asked in _ASKED.items() for words, answer in asked.items()
)
