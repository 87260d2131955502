"""A run while it goes: one live line on a terminal, one plain line a minute elsewhere, or JSON lines."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from docproc.report import Report, usd
from docproc.runner import Failure, Tally
from docproc.stages.finding import Refused
from docproc.states import State
from docproc.views.errors import document_of
from docproc.views.terminal import messages, print_json
from docproc.views.words import duration

if TYPE_CHECKING:
    from types import TracebackType

    from rich.status import Status

    from docproc.model import Job
    from docproc.store import Ingested

EVERY = 60.0
"""Seconds between two lines where nobody watches: enough for a log, and to see that it goes on."""

LIVE_EVERY = 0.25

WINDOW = 180.0
"""Seconds over which the rate is taken: a minute of waiting at the parser must not make it zero."""

SURE_AFTER = 5.0
"""Seconds after which there is a rate worth telling."""

_VERBS = {"run-all": "done", "ingest": "ingested", "parse": "parsing", "validate": "validating", "chunk": "chunking"}
_CLEAR = "\r\x1b[K"
_CURSOR = 3  # columns for the spinner and its space


class Pace:
    """How many documents end a minute, over the last minutes."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, ended: int, at: float) -> None:
        """Notes that ``ended`` documents have ended at ``at`` (seconds of a clock that only goes forward)."""
        self._seen.append((at, ended))
        while len(self._seen) > 2 and self._seen[1][0] <= at - WINDOW:
            self._seen.popleft()

    @property
    def per_minute(self) -> float | None:
        """None while there is nothing to tell."""
        if len(self._seen) < 2:
            return None
        (before, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - before) * 60 if last > first and now - before >= SURE_AFTER else None


def line(report: Report, per_minute: float | None, width: int = 10_000) -> str:
    """Where the run stands, in at most ``width`` columns: what says least goes first.

    ``parsing 812/1,284 docs · 9,410/14,002 pages · 41/min · ETA 11m · ~$4.12 · 2 failed``
    """
    if report.phase in ("starting", "indexing", "ending"):
        return _waiting(report)
    parts = _ingesting(report) if report.phase == "ingesting" else _working(report, per_minute)
    if report.failed:
        parts["failed"] = f"{report.failed:,} failed"
    for least in ("parsed", "pages", "rate", "money", "eta", "failed"):
        if len(" · ".join(parts.values())) <= width:
            break
        parts.pop(least, None)
    return " · ".join(parts.values())[:width]


def _waiting(report: Report) -> str:
    return {"starting": "starting", "indexing": "building the index on the vectors"}.get(report.phase, "ending")


def _ingesting(report: Report) -> dict[str, str]:
    came = report.ingested.total() + len(report.refused)
    parts = {"lead": f"ingesting · {came:,} files"}
    if report.ingested["unchanged"]:
        parts["pages"] = f"{report.ingested['unchanged']:,} unchanged"
    return parts


def _working(report: Report, per_minute: float | None) -> dict[str, str]:
    ended = min(report.ended, report.total)
    parts = {"lead": f"{_VERBS.get(report.command, 'embedding')} {ended:,}/{report.total:,} docs"}
    parsed = report.tally.reached[State.PARSED]
    if parsed > ended and report.goal is not State.PARSED:
        parts["parsed"] = f"{parsed:,} parsed"
    if report.pages_total:
        parts["pages"] = f"{min(report.pages, report.pages_total):,}/{report.pages_total:,} pages"
    elif report.pages:
        parts["pages"] = f"{report.pages:,} pages"
    if per_minute:
        parts["rate"] = f"{per_minute:,.0f}/min" if per_minute >= 10 else f"{per_minute:.1f}/min"
        parts["eta"] = f"ETA {about((report.total - ended) / per_minute * 60)}"
    spent = money(usd(report.spent), estimated=any(one.estimated for one in report.spent))
    if spent:
        parts["money"] = spent
    return parts


def about(seconds: float) -> str:
    """A time that is not known well: ``45s``, ``11m``, ``2h 5m``, ``3d 4h``."""
    return f"{round(seconds / 60)}m" if 59.5 <= seconds < 3570 else duration(round(seconds) or 1.0).replace(".0s", "s")


def money(usd: float | None, *, estimated: bool) -> str:
    """``$4.12``, ``~$4.12`` for an estimate, ``<$0.01``, ``$?`` where a price is not known; nothing for nothing."""
    if usd is None:
        return "$?"
    if not usd:
        return "$?" if estimated else ""
    return ("~" if estimated else "") + (f"${usd:,.2f}" if usd >= 0.005 else "<$0.01")


class RunProgress:
    """Watches a report while a run fills it; the denominator is the report's, which never changes.

    Paints at once: what a command opens may take seconds. The line is drawn by a thread of its own, so that it goes on
    while the run waits.
    """

    def __init__(self, report: Report, *, quiet: bool = False, json: bool = False) -> None:
        self._report = report
        self._quiet = quiet
        self._json = json
        self._live = sys.stderr.isatty() and not quiet and not json and os.environ.get("TERM") not in ("dumb", None)
        self._pace = Pace()
        self._over = threading.Event()
        self._printing = threading.Lock()
        self._thread = threading.Thread(target=self._draw if self._live else self._tell, daemon=True)

    def __enter__(self) -> Self:
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        if not self._quiet:
            self._thread.join()

    # ── what the run tells ──────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, total: int, goal: State) -> None:  # noqa: ARG002 - the report has both
        """The stages begin."""
        self._pace.see(0, time.monotonic())

    def tick(self, tally: Tally) -> None:
        """Nothing: the thread looks by itself."""

    def end(self) -> None:
        """The stages are over."""

    def came(self, entry: Ingested | Refused) -> None:
        """A file came in or was refused: a JSON line, where that is the end of it."""
        if isinstance(entry, Refused):
            self.emit("document", id=None, **document_of(entry))
        elif self._report.goal is None and entry.outcome != "unchanged":
            told = {"source": entry.source.uri, "state": str(State.UPLOADED), "code": None, "outcome": entry.outcome}
            self.emit("document", id=entry.document_id, **told)

    def ended(self, job: Job, failure: Failure | None) -> None:
        """A document reached its end in this run: a JSON line."""
        told = document_of(failure) if failure else {"source": job.source, "state": str(job.status), "code": None}
        self.emit("document", id=job.document_id, **told)

    def emit(self, kind: str, **told: Any) -> None:
        """One JSON line on standard output, if they are wanted; with --quiet only those that tell of trouble."""
        if not self._json or (self._quiet and not (told.get("code") or told.get("exit"))):
            return
        with self._printing:
            try:
                print_json({"type": kind, **told})
                sys.stdout.flush()
            except BrokenPipeError:
                # Whoever read has gone. What was begun is paid for, so the run goes on; the receipt tells of it.
                self._json = False
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    # ── in the thread ───────────────────────────────────────────────────────────────────────────────────────────────

    def _draw(self) -> None:
        status: Status | None = None
        try:
            while not self._over.wait(LIVE_EVERY if status else 0.0):
                words = self._words(messages().width - _CURSOR)
                if status is None:
                    sys.stderr.write(_CLEAR)
                    status = messages().status(words)
                    status.start()
                status.update(words)
        finally:
            if status is not None:
                status.stop()
            else:
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()

    def _tell(self) -> None:
        while not self._over.wait(EVERY):
            if self._json:
                self.emit("status", **self._numbers())
            else:
                messages().print(self._words())

    def _words(self, width: int = 10_000) -> str:
        if self._report.phase == "working":
            self._pace.see(self._report.ended, time.monotonic())
        return line(self._report, self._pace.per_minute, width)

    def _numbers(self) -> dict[str, Any]:
        report = self._report
        self._words()
        rate = self._pace.per_minute
        return {
            "phase": report.phase,
            **report.counts(),
            "total": report.total,
            "pages": report.pages,
            "pages_total": report.pages_total,
            "per_minute": rate and round(rate, 2),
            "eta_seconds": rate and round((report.total - min(report.ended, report.total)) / rate * 60),
            "usd": usd(report.spent),
        }
