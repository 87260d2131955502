"""A run while it goes and when it ends: progress, one summary line, the failures."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from docproc.report import Report
from docproc.runner import Tally
from docproc.states import State
from docproc.views.errors import show_error, show_failures
from docproc.views.terminal import messages
from docproc.views.words import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_EVERY = 60.0
"""Seconds between two lines of progress where standard error is no terminal."""


class RunProgress:
    """Progress on standard error: live on a terminal, else one plain line a minute; the denominator never changes."""

    def __init__(self, *, quiet: bool) -> None:
        self._live = sys.stderr.isatty() and not quiet
        self._quiet = quiet
        self._total = 0
        self._goal = State.COMPLETE
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._line_at = time.monotonic()

    def begin(self, total: int, goal: State) -> None:
        """Starts over ``total`` open jobs that are to reach ``goal``."""
        self._total, self._goal = total, goal
        if self._live and total:
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), BarColumn(20), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Progress(*columns, console=messages(), transient=True)
            self._task = self._bar.add_task(self._words(Tally()), total=total)
            self._bar.start()

    def end(self) -> None:
        """Takes the progress away."""
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
    if report.switch.switched:
        messages().print(f"the search now uses the model of the settings, in {report.switch.switched} sources")
    elif report.switch.missing:
        messages().print(f"the search keeps its model: {report.switch.missing} sources have no vectors of the new one")
    show_failures([*report.refused, *report.tally.failures])
    if report.trouble is not None:
        show_error(report.trouble)


_OUTCOMES = ("new", "changed", "duplicate", "unchanged")
