"""The account of a run: what came in, which states were reached, what failed and what it cost, and the exit code."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from signal import Signals
from typing import Any, Self

from docproc.alerts import Alert
from docproc.errors import PRECEDENCE, ConfigError, Exit, ProgramError
from docproc.prices import Prices
from docproc.runner import Failure, Tally
from docproc.stages.finding import Refused
from docproc.states import State
from docproc.store import Ingested, Switch
from docproc.sync import Withdrawn


@dataclass(frozen=True, slots=True)
class FailOn:
    """The share of failed documents up to which a run counts as good: 0 of none, 1 of all of them."""

    limit: float = 0.0

    @classmethod
    def told(cls, text: str) -> Self:
        """What ``any``, ``all``, ``never`` or ``5%`` means. Raises ConfigError for anything else."""
        # Below 1 by the least that there is: only a run whose documents all failed is above it.
        words = {"any": 0.0, "all": math.nextafter(1.0, 0.0), "never": 1.0}
        if text in words:
            return cls(words[text])
        found = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", text)
        if found is None or float(found[1]) > 100:
            what = f"--fail-on {text!r} is not known"
            raise ConfigError("config.invalid", what, try_="any, all, never, or a share such as 5%")
        return cls(float(found[1]) / 100)


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls of a run to one provider; ``units`` are pages or tokens.

    ``usd`` is what the ledger knows, the rest at the prices of today, 0 for a mock and None where no price is known.
    ``estimated`` when the provider has not told all the units yet.
    """

    provider: str
    operation: str
    calls: int
    unit: str
    units: int
    usd: float | None
    estimated: bool

    @classmethod
    def of(cls, row: Mapping[str, Any], *, mock: bool, tier: str, model: str, prices: Prices | None = None) -> Self:
        """From a row of the ledger's sums; what has no price there by the parser's ``tier`` or embedder's ``model``."""
        units = int(row["units"])
        usd = (prices or Prices()).row(row, tier=tier, model=model)
        estimated = not mock and bool(row["unknown"] or row["estimated"])
        return cls(row["provider"], row["operation"], row["calls"], row["unit"], units, 0.0 if mock else usd, estimated)


@dataclass(slots=True)
class Report:
    """What a run does, while it goes and when it has ended.

    ``identity`` names the run, its settings and the versions; ``total`` are the jobs that were open when the stages
    began, ``pages_total`` their pages where all are known, ``pages`` those of the documents that have ended since.
    """

    goal: State | None
    command: str = ""
    fail_on: FailOn = field(default_factory=FailOn)
    identity: Mapping[str, Any] = field(default_factory=dict)
    phase: str = "starting"
    total: int = 0
    pages: int = 0
    pages_total: int | None = None
    ingested: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    withdrawn: Withdrawn | None = None  # None where no folder was synced
    guard: ProgramError | None = None  # why nothing was withdrawn although files are gone
    tally: Tally = field(default_factory=Tally)
    spent: tuple[Spent, ...] = ()
    signal: Signals | None = None
    trouble: ProgramError | None = None
    cut_short: bool = False  # the time was up before every file was looked at
    switch: Switch = field(default_factory=Switch)
    alerts: tuple[Alert, ...] = ()
    started: float = field(default_factory=time.monotonic)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add(self, entry: Ingested | Refused) -> None:
        """Counts what became of one file."""
        if isinstance(entry, Refused):
            self.refused.append(entry)
        else:
            self.ingested[entry.outcome] += 1

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started

    @property
    def news(self) -> int:
        """Files that changed something in the database."""
        return sum(count for outcome, count in self.ingested.items() if outcome != "unchanged")

    @property
    def failures(self) -> list[Refused | Failure]:
        """Files that were refused, and documents that ended in a failure state."""
        return [*self.refused, *self.tally.failures]

    @property
    def failed(self) -> int:
        """How many failures there are."""
        return len(self.refused) + len(self.tally.failures)

    @property
    def done(self) -> int:
        """Documents that reached the state in which the last command of the run leaves them."""
        return self.tally.reached[self.goal] if self.goal else 0

    @property
    def ended(self) -> int:
        """Jobs of ``total`` that need nothing more from this run: done or failed."""
        return self.done + len(self.tally.failures)

    @property
    def well(self) -> int:
        """Documents with which all is well: done, or found unchanged; for a mere ingest all that came in."""
        return self.done + self.ingested["unchanged"] if self.goal else self.ingested.total()

    @property
    def exit_code(self) -> Exit:
        """What stopped the run, else the first that applies: 4 work left, 1 all failed, 3 some did, 6 an alert, 0."""
        if self.trouble is not None:
            return self.trouble.exit_code
        if self.signal is not None:
            return Exit(128 + self.signal)
        apply = [Exit.WORK_LEFT] if self.tally.left or self.cut_short else []
        apply += [Exit.PROBLEMS] if self.alerts else []
        if self.failed and self.failed / (self.failed + self.well) > self.fail_on.limit:
            apply.append(Exit.SOME_FAILED if self.well else Exit.FAILED)
        return min(apply, key=PRECEDENCE.index, default=Exit.OK)

    def counts(self) -> dict[str, Any]:
        """What became of the documents, in numbers."""
        return {
            "ingested": dict(self.ingested),
            **({"withdrawn": self.withdrawn.withdrawn} if self.withdrawn else {}),
            "done": self.done,
            "failed": self.failed,
            "left": self.tally.left,
            "seconds": round(self.seconds, 3),
        }

    def receipt(self) -> dict[str, Any]:
        """All that is kept of the run: in the table ``runs``, by ``--receipt``, as the ``summary`` of ``--json``."""
        reached = {str(state): count for state, count in self.tally.reached.items()}
        return {
            "command": self.command,
            **self.identity,
            "started_at": _instant(self.started_at),
            "finished_at": _instant(datetime.now(UTC)),
            **self.counts(),
            "refused": len(self.refused),
            "reached": reached,
            "codes": dict(Counter(failure.error.code for failure in self.failures).most_common()),
            "spent": [asdict(spent) for spent in self.spent],
            "usd": usd(self.spent),
            "signal": None if self.signal is None else self.signal.name,
            "stopped_by": None if self.trouble is None else self.trouble.code,
            "alerts": [alert.name for alert in self.alerts],
            "exit": int(self.exit_code),
        }


def usd(spent: Iterable[Spent]) -> float | None:
    """What ``spent`` comes to; None where the price of a part is not known."""
    found = [one.usd for one in spent]
    return None if None in found else round(sum(price for price in found if price is not None), 6)


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
