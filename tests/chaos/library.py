"""The documents of a storm: small, every text its own, some of them in the paid parser's formats, some there twice."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.documents import pdf

CANARY = "quivering-canary"
"""Stands in every document and must stand in no log."""

TWICE = 10
"""One in this many documents lies in the folder under two names."""

PAID = 5
"""One in this many documents is a PDF, which the paid parser reads."""

_WORDS = ("anchor", "barley", "copper", "dune", "ember", "fathom", "granite", "harbour", "indigo", "juniper", "kettle")


@dataclass(frozen=True, slots=True)
class Library:
    """A folder of documents, and what stands in it."""

    folder: Path
    documents: int
    files: int
    paid: int
    pages: int


def library(folder: Path, documents: int, *, seed: int) -> Library:
    """Fills ``folder`` with ``documents`` documents of different content, and copies of some."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    paid = pages = copies = 0
    for n in range(documents):
        if n % PAID == 0:
            sheets = [_sentence(rng, f"{n}.{page}") for page in range(rng.randint(1, 3))]
            name, data = f"{n:05}.pdf", pdf(*sheets)
            paid, pages = paid + 1, pages + len(sheets)
        else:
            name, data = f"{n:05}.md", _sections(rng, n).encode()
        (folder / name).write_bytes(data)
        if n % TWICE == 1:
            (folder / f"copy-of-{name}").write_bytes(data)
            copies += 1
    return Library(folder, documents, documents + copies, paid, pages)


def _sections(rng: random.Random, n: int) -> str:
    """A few headed sections, of which only the longest make chunks of their own."""
    made = []
    for section in range(rng.randint(1, 4)):
        body = " ".join(_sentence(rng, f"{n}.{section}.{at}") for at in range(rng.choice((1, 3, 30))))
        made.append(f"# Part {section} of {n}\n\n{body}\n")
    return "\n".join(made)


def _sentence(rng: random.Random, name: str) -> str:
    return f"{' '.join(rng.choices(_WORDS, k=8))} {rng.getrandbits(48):x} {CANARY} {name}."
