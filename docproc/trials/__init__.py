"""Trials: documents that go through a whole environment to be looked at, under a user of their own, and go again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from docproc.states import State

SECONDS = 300.0
"""How long a trial may take when nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of one document: its name within the samples, where it stands, and what was made of it.

    ``states`` are those it passed, in order; ``seconds`` says for how long it stood in each; ``texts`` is a hash of its
    chunks' texts; ``shown`` counts the chunks that readers see; ``paid`` says that the paid parser parsed it. ``code``
    is the error's, where it failed.
    """

    name: str
    state: str
    code: str = ""
    states: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    paid: bool = False
    pages: int = 0
    chunks: int = 0
    tokens: int = 0
    vectors: int = 0
    dimensions: tuple[int, ...] = ()
    shown: int = 0
    texts: str = ""

    @property
    def complete(self) -> bool:
        """Whether it can be searched."""
        return self.state == State.COMPLETE


@dataclass(frozen=True, slots=True)
class Bought:
    """Calls to one provider; ``units`` are pages or tokens, ``usd`` an estimate or None where no price is known."""

    provider: str
    operation: str
    calls: int
    unit: str
    units: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """The names of the samples that a question found, best first, a name for each passage."""

    question: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """Some documents' way through one environment, and how long all of them took in seconds."""

    profile: str
    parser: str  # mock or real
    embedder: str
    samples: tuple[Sample, ...]
    seconds: float
    bought: tuple[Bought, ...] = ()
    found: tuple[Found, ...] = ()

    @property
    def by_name(self) -> dict[str, Sample]:
        """The samples by their names."""
        return {sample.name: sample for sample in self.samples}

    @property
    def usd(self) -> float | None:
        """What it cost at the providers' prices; None when one of them is not known. The mocks cost nothing."""
        prices = [bought.usd for bought in self.bought]
        return None if None in prices else sum(price for price in prices if price is not None)

    def document(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """What ``document`` made. Raises KeyError or TypeError for what is no trial."""
        samples = tuple(
            Sample(**{**s, "states": tuple(s["states"]), "dimensions": tuple(s["dimensions"])})
            for s in document["samples"]
        )
        bought = tuple(Bought(**row) for row in document["bought"])
        found = tuple(Found(row["question"], tuple(row["names"])) for row in document["found"])
        return cls(**{**document, "samples": samples, "bought": bought, "found": found})


@dataclass(frozen=True, slots=True)
class Difference:
    """Something about one sample that is not as it was expected; ``severity`` is error or warn."""

    sample: str
    what: str
    expected: str
    found: str
    severity: str = "error"

    def __str__(self) -> str:
        return f"{self.sample}: {self.what} {self.found}, expected {self.expected}"


def differences(expected: Trial, found: Trial) -> list[Difference]:
    """What of the states passed, chunks and dimensions is not as it was expected, sample by sample.

    Where one of the two had its documents parsed by the mock and the other did not, other text is no fault: then the
    number of chunks and their texts are warnings for what the paid parser parsed.
    """
    told: list[Difference] = []
    for name, before in expected.by_name.items():
        now = found.by_name.get(name)
        if now is None:
            told.append(Difference(name, "state", before.state, "missing"))
        else:
            text = "error" if expected.parser == found.parser or not before.paid else "warn"
            told += _between(before, now, text)
    told += [Difference(n, "state", "missing", s.state) for n, s in found.by_name.items() if n not in expected.by_name]
    return told


def _between(before: Sample, now: Sample, text: str) -> list[Difference]:
    seen = (
        ("state", _standing(before), _standing(now), "error"),
        ("states passed", " ".join(before.states), " ".join(now.states), "error"),
        ("dimensions", str(list(before.dimensions)), str(list(now.dimensions)), "error"),
        ("chunks", str(before.chunks), str(now.chunks), text),
        ("chunks shown", str(before.shown), str(now.shown), text),
        ("texts", before.texts, now.texts, text if before.chunks == now.chunks else ""),
    )
    different = [Difference(before.name, *row) for row in seen if row[3] and row[1] != row[2]]
    # A document that did not arrive has fewer of everything: that need not be said.
    return different[:1] if different and different[0].what == "state" else different


def _standing(sample: Sample) -> str:
    return f"{sample.state} ({sample.code})" if sample.code else sample.state
