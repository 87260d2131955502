"""A run while it goes and when it ends: progress, one summary line, the failures."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from signal import Signals
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from docproc.errors import Exit
from docproc.runner import Tally
from docproc.stages.ingest import Refused
from docproc.states import State
from docproc.store import Ingested
from docproc.views.errors import show_failures
from docproc.views.terminal import messages
from docproc.views.words import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_EVERY = 60.0
"""Seconds between two lines of progress where standard error is no terminal."""


@dataclass(slots=True)
class Report:
    """What a run did, from the files that came in to the states that were reached."""

    goal: State | None
    ingested: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    signal: Signals | None = None
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
        """0, 1 when all that was tried failed, 3 when some did, 4 when work is left; 130 and 143 for a signal."""
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


class RunProgress:
    """Progress on standard error: live on a terminal, else one plain line a minute; the denominator never changes."""

    def __init__(self, total: int, goal: State, *, quiet: bool) -> None:
        self._total = total
        self._goal = goal
        self._live = sys.stderr.isatty() and not quiet
        self._quiet = quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._line_at = time.monotonic()

    def __enter__(self) -> Self:
        if self._live and self._total:
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), BarColumn(20), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Progress(*columns, console=messages(), transient=True)
            self._task = self._bar.add_task(self._words(Tally()), total=self._total)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tick(self, tally: Tally) -> None:
        """Shows where the run stands."""
        if self._bar is not None and self._task is not None:
            ended = tally.reached[self._goal] + len(tally.failures)
            self._bar.update(self._task, completed=min(ended, self._total), description=self._words(tally))
        elif not self._quiet and time.monotonic() - self._line_at >= PLAIN_EVERY:
            self._line_at = time.monotonic()
            messages().print(self._words(tally))

    def _words(self, tally: Tally) -> str:
        words = [f"{self._goal} {tally.reached[self._goal]}/{self._total}"]
        words += [
            f"{state} {tally.reached[state]}"
            for state in (State.PARSED, State.CHUNKS_STORED)
            if tally.reached[state] and state is not self._goal
        ]
        if tally.failures:
            words.append(f"{len(tally.failures)} failed")
        return " · ".join(words)


def show_report(report: Report) -> None:
    """One line, then the failures grouped by code."""
    words = [f"done {report.done}"] if report.goal else []
    words += [f"{outcome} {report.ingested[outcome]}" for outcome in _OUTCOMES if report.ingested[outcome]]
    words += [f"failed {report.failed}", f"waiting {report.tally.left}", duration(time.monotonic() - report.started)]
    messages().print(" · ".join([*words, f"exit {report.exit_code:d}"]))
    show_failures([*report.refused, *report.tally.failures])


_OUTCOMES = ("new", "changed", "duplicate", "unchanged")
