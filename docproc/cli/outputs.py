"""What status and the end of a run make of a snapshot beside the screen: alerts, a file of metrics, a page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import typer

from docproc.errors import DatabaseError, Exit, ProgramError
from docproc.settings import DEFAULT_PROFILE

if TYPE_CHECKING:
    from docproc.alerts import Alert
    from docproc.app import App
    from docproc.report import Report
    from docproc.status import Snapshot


@dataclass(frozen=True, slots=True)
class Outputs:
    """What ``status`` is to do with its snapshot: judge the alerts (``check``), write files."""

    check: bool
    metrics: Path | None
    html: Path | None

    @classmethod
    def of(cls, *, check: bool, metrics: Path | None, html: Path | None) -> Self | None:
        """By the options, None when there is none. Raises ConfigError for a file that cannot be written."""
        from docproc.views.files import refuse_unwritable

        refuse_unwritable("--metrics-file", metrics)
        refuse_unwritable("--html", html)
        return cls(check, metrics, html) if check or metrics or html else None


@dataclass(frozen=True, slots=True)
class Look:
    """A snapshot, the sums of the ledger (none where no metrics are written) and what became of the alerts."""

    snapshot: Snapshot
    calls: list[dict[str, Any]]
    alerts: tuple[Alert, ...]


def look(app: App, *, metrics: bool) -> Look:
    """Looks at the database of ``app`` and judges the alerts. Raises DatabaseError."""
    from docproc.alerts import evaluate
    from docproc.postgres.trends import Trends
    from docproc.status.taking import take

    snapshot = take(app)
    calls = Trends(app.database).bought_ever() if metrics else []
    return Look(snapshot, calls, evaluate(snapshot, app.settings.alerts))


# ── status ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def put_out(app: App, outputs: Outputs, *, json: bool, quiet: bool) -> None:
    """Writes the files and tells the alerts; with files alone the screen stays empty, unless ``json`` is asked for.

    Exit 6 when the alerts are asked for and one needs somebody.
    """
    from docproc.alerts import troubles
    from docproc.views.alerts import show_alerts
    from docproc.views.status import show_status

    with _told_when_away(outputs.metrics, app.settings.profile):
        seen = look(app, metrics=outputs.metrics is not None)
    if outputs.metrics is not None:
        _write_metrics(outputs.metrics, app.settings.profile, seen)
    if outputs.html is not None:
        _write_page(app, outputs.html, seen)
    if outputs.check:
        show_alerts(seen.alerts, seen.snapshot.at, json=json, quiet=quiet)
        if troubles(seen.alerts):
            raise typer.Exit(int(Exit.PROBLEMS))
    elif json:
        show_status(seen.snapshot, json=True)


def _write_page(app: App, file: Path, seen: Look) -> None:
    from docproc.status.trends import take_trend
    from docproc.views.files import write_whole
    from docproc.views.page import page

    write_whole(page(seen.snapshot, take_trend(app, seen.snapshot), seen.alerts), file)


@contextmanager
def _told_when_away(metrics: Path | None, profile: str) -> Iterator[None]:
    """While it lasts, an error of the program is also told by ``docproc_up 0``."""
    try:
        yield
    except ProgramError:
        if metrics is not None:
            _write_metrics(metrics, profile, None)
        raise


# ── the end of a run ────────────────────────────────────────────────────────────────────────────────────────────────


def look_back(app: App, report: Report, metrics: Path | None) -> Look | None:
    """Judges the alerts when a run is over and puts those that need somebody into the report; None without database.

    A database that goes away here becomes the trouble of the run, unless it has one.
    """
    from docproc.alerts import troubles

    if isinstance(report.trouble, DatabaseError) or (metrics is None and not any(astuple(app.settings.alerts))):
        return None
    try:
        seen = look(app, metrics=metrics is not None)
    except ProgramError as error:
        report.trouble = report.trouble or error
        return None
    report.alerts = troubles(seen.alerts)
    return seen


def keep_metrics(report: Report, seen: Look | None, file: Path | None, profile: str | None) -> None:
    """Writes the metrics of a run that is over; what was not ``seen`` is told by ``docproc_up 0``."""
    if file is not None:
        _write_metrics(file, profile or os.environ.get("DOCPROC_PROFILE") or DEFAULT_PROFILE, seen, report)


def _write_metrics(file: Path, profile: str, seen: Look | None, report: Report | None = None) -> None:
    from docproc.views.files import write_whole
    from docproc.views.metrics import exposition, of_run, of_snapshot, of_trouble

    families = list(of_trouble() if seen is None else of_snapshot(seen.snapshot, seen.calls, seen.alerts))
    families += [] if report is None else of_run(report, datetime.now(UTC))
    write_whole(exposition(families, profile), file)
