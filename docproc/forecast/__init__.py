"""What a run would do and what it would pay, told before it: nothing is written, and nobody who is paid is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from docproc.states import Command

if TYPE_CHECKING:
    from docproc.prices import Prices
    from docproc.stages.finding import Refused

BOUGHT, HERE, KEPT, PAID = "bought", "here", "kept", "paid"
"""How a document comes by its parse: handed in before, made here for free, stored already, or still to be paid for."""


@dataclass(slots=True)
class Work:
    """A document that a run would work on.

    ``outcome`` is what ingest would call it, or ``waiting`` for one that stands in the queue; ``begins`` the first
    command with something to do. ``pages`` are to be paid for, ``tokens`` to be bought, ``owned`` are tokens whose
    vectors are there already; None is unknown. ``refused`` is the code under which it would fail.
    """

    source: str
    outcome: str
    begins: Command
    model: str
    parse: str = KEPT
    pages: int | None = 0
    tokens: int | None = 0
    owned: int = 0
    refused: str | None = None

    def reaches(self, command: Command) -> bool:
        """Whether it would come to ``command``, which is not behind it."""
        order = list(Command)
        return self.refused is None and order.index(self.begins) <= order.index(command)


@dataclass(frozen=True, slots=True)
class Line:
    """What one command would do: to how many ``documents``, how many ``units`` of what it would buy, for how much.

    ``unknown`` counts the documents whose units nobody can know yet; ``usd`` is of the known ones, None where there is
    no price. ``free`` says of how many documents nothing is paid, and why, in words of their own.
    """

    command: Command
    documents: int
    unit: str | None = None
    units: int = 0
    owned: int = 0
    unknown: int = 0
    usd: float | None = 0.0
    free: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Forecast:
    """All that a run of ``commands`` would do, at ``prices``.

    ``cap`` is the run's budget in USD, 0 for none; ``mock`` holds the units that mocks sell for nothing.
    """

    commands: Sequence[Command]
    tier: str
    prices: Prices
    cap: float = 0.0
    mock: frozenset[str] = frozenset()
    files: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)

    def lines(self) -> list[Line]:
        """One line a command, in their order."""
        return [self._line(command) for command in self.commands]

    @property
    def usd(self) -> float | None:
        """What is known of the price; None where a price itself is not known."""
        each = [line.usd for line in self.lines()]
        return None if None in each else round(sum(usd for usd in each if usd is not None), 6)

    @property
    def is_whole(self) -> bool:
        """Whether all units are known: else ``usd`` is the least that it may cost."""
        return not any(line.unknown for line in self.lines())

    @property
    def is_over(self) -> bool:
        """Whether what is known of the price is more than the budget."""
        return bool(self.cap) and (self.usd or 0.0) > self.cap

    def document(self) -> dict[str, Any]:
        """All of it, for a program."""
        return {
            "usd": self.usd,
            "is_whole": self.is_whole,
            "budget": self.cap or None,
            "prices_as_of": self.prices.as_of,
            "mock": sorted(self.mock),
            "files": dict(self.files),
            "refused": [{"source": one.path, "code": one.error.code} for one in self.refused],
            "stages": [asdict(line) for line in self.lines()],
            "documents": [asdict(work) for work in self.works],
        }

    def _line(self, command: Command) -> Line:
        works = [work for work in self.works if work.reaches(command)]
        if command is Command.PARSE:
            return self._parses([work for work in self.works if work.begins is Command.PARSE])
        if command is Command.EMBED:
            return self._embeds(works)
        return Line(command, len(works))

    def _parses(self, works: Sequence[Work]) -> Line:
        paid = [work for work in works if work.parse == PAID]
        pages = sum(work.pages or 0 for work in paid)
        return Line(
            Command.PARSE,
            len(works),
            unit="page",
            units=pages,
            unknown=sum(work.pages is None for work in paid),
            usd=self.prices.pages(pages, self.tier),
            free=dict(Counter(work.parse for work in works if work.parse != PAID)),
        )

    def _embeds(self, works: Sequence[Work]) -> Line:
        models = {work.model for work in works}
        bought = {model: sum(work.tokens or 0 for work in works if work.model == model) for model in models}
        each = [self.prices.tokens(count, model) for model, count in bought.items()]
        return Line(
            Command.EMBED,
            len(works),
            unit="token",
            units=sum(bought.values()),
            owned=sum(work.owned for work in works),
            unknown=sum(work.tokens is None for work in works),
            usd=None if None in each else sum(usd for usd in each if usd is not None),
        )
