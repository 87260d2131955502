"""The account of a run: what came in, which states were reached, what failed, and the exit code that follows."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from signal import Signals
from typing import Any

from docproc.errors import Exit, ProgramError
from docproc.runner import Tally
from docproc.stages.ingest import Refused
from docproc.states import State
from docproc.store import Ingested, Switch


@dataclass(slots=True)
class Report:
    """What a run did, from the files that came in to the states that were reached."""

    goal: State | None
    ingested: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    signal: Signals | None = None
    trouble: ProgramError | None = None
    switch: Switch = field(default_factory=Switch)
    started: float = field(default_factory=time.monotonic)

    def add(self, entry: Ingested | Refused) -> None:
        """Counts what became of one file."""
        if isinstance(entry, Refused):
            self.refused.append(entry)
        else:
            self.ingested[entry.outcome] += 1

    @property
    def news(self) -> int:
        """Files that changed something in the database."""
        return sum(count for outcome, count in self.ingested.items() if outcome != "unchanged")

    @property
    def failed(self) -> int:
        """Documents that ended in a failure state, and files that were refused."""
        return len(self.tally.failures) + len(self.refused)

    @property
    def done(self) -> int:
        """Documents that reached the state in which the last command of the run leaves them."""
        return self.tally.reached[self.goal] if self.goal else 0

    @property
    def exit_code(self) -> Exit:
        """0, 1 when all that was tried failed, 3 when some did, 4 when work is left, or what stopped the run."""
        if self.trouble is not None:
            return self.trouble.exit_code
        if self.signal is not None:
            return Exit(128 + self.signal)
        if self.tally.left:
            return Exit.WORK_LEFT
        if self.failed:
            return Exit.SOME_FAILED if self.done or self.ingested else Exit.FAILED
        return Exit.OK

    def summary(self) -> dict[str, Any]:
        """The receipt: counts by what became of the documents."""
        return {
            "ingested": dict(self.ingested),
            "done": self.done,
            "failed": self.failed,
            "left": self.tally.left,
            "seconds": round(time.monotonic() - self.started, 3),
        }
