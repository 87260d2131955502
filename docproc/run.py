"""One run: what was named comes in, then the stages drain the queue, in good order to the end whatever stops it."""

from __future__ import annotations

import logging
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from docproc import __version__
from docproc.errors import DatabaseError, DocprocError, GuardError, ProgramError
from docproc.intake import Intake, bring_in
from docproc.model import Done, Job, Outcome, Parsed
from docproc.prices import Prices
from docproc.report import FailOn, Report, Spent
from docproc.runner import NOT_WHOLE, Failure, Runner, Tally
from docproc.stages.finding import Refused
from docproc.states import FAILED, TRANSITIONS, Command, State, claimed_by

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.store import Ingested


log = logging.getLogger("docproc.run")


MONEY_EVERY = 5.0
"""Seconds between two looks at what a run has spent."""

_SHOW_CURSOR = b"\x1b[?25h"


class Progress(Protocol):
    """Whoever wants to see how a run goes on."""

    def begin(self, total: int, goal: State) -> None:
        """The run begins: ``total`` open jobs are to reach ``goal``."""

    def tick(self, tally: Tally) -> None:
        """Called a few times a second with what was reached so far."""

    def end(self) -> None:
        """The run is over, well or not."""


class Documents(Protocol):
    """Whoever wants to hear of each document."""

    def came(self, entry: Ingested | Refused) -> None:
        """A file came in, or was refused."""

    def ended(self, job: Job, failure: Failure | None) -> None:
        """A job reached the state in which this run leaves it, or failed. Called by one thread at a time."""


class _Deaf:
    """Hears of nothing."""

    def came(self, entry: Ingested | Refused) -> None:
        """Nothing."""

    def ended(self, job: Job, failure: Failure | None) -> None:
        """Nothing."""


class Stop:
    """Whether this run was asked to end: by a signal, and by which, or by its time limit."""

    def __init__(self) -> None:
        self.asked = False
        self.signal: signal.Signals | None = None
        self.told: Callable[[], None] = lambda: None

    def receive(self, number: int, _: FrameType | None) -> None:
        """Asks for an orderly stop; the second signal leaves at once, and the leases run out by themselves."""
        if self.signal is not None:
            if sys.stderr.isatty():  # the live progress had hidden it
                os.write(sys.stderr.fileno(), _SHOW_CURSOR)
            os._exit(128 + number)
        self.signal = signal.Signals(number)
        self.ask()

    def ask(self) -> None:
        """Asks for an orderly stop."""
        self.asked = True
        self.told()


@contextmanager
def stoppable(max_duration: float | None = None) -> Iterator[Stop]:
    """Turns SIGINT, SIGTERM and the end of ``max_duration`` seconds into an orderly stop while the context lasts."""
    stop = Stop()
    timer = threading.Timer(max_duration or 0.0, stop.ask)
    timer.daemon = True
    if max_duration is not None:
        timer.start()
    before = {number: signal.signal(number, stop.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def report_of(command: str, commands: Sequence[Command], *, fail_on: FailOn | None = None) -> Report:
    """The empty account of a run of ``commands`` that is about to begin."""
    return Report(goal_of(commands), command, fail_on or FailOn())


def run(
    app: App,
    name: str,
    intake: Intake,
    commands: Sequence[Command],
    *,
    stay: bool,
    progress: Progress,
    documents: Documents | None = None,
    max_duration: float | None = None,
    rebuild: bool = False,
    idle: float = 0.0,
    report: Report | None = None,
) -> Report:
    """Takes ``intake`` in, then drains the stages of ``commands``; with ``stay`` until none of their jobs is left.

    It then stays until nothing was open for ``idle`` seconds. With ``rebuild`` what is shown with another model gets a
    job with the settings' own. After ``max_duration`` seconds it stops in good order. What stopped it once it was under
    way is in the report, which is filled while the run goes.
    """
    report = report or report_of(name, commands)
    report.identity = _identity(app)
    with stoppable(max_duration) as stop:
        app.refuse_mixing()
        log.info("run began")
        try:
            _bring_in(app, intake, report, stop, documents or _Deaf())
            if rebuild:
                app.store.catalogue.rebuild(app.target)
            if commands and not stop.asked:
                _drain(app, commands, report, stop, documents or _Deaf(), stay=stay, idle=idle, progress=progress)
            elif commands:
                report.tally.left = app.store.queue.backlog(_states(commands)).open
            if Command.EMBED in commands and not report.tally.left and not stop.asked and not app.trial:
                report.phase = "indexing"
                _keep_index(app, stop)
                report.switch = app.store.catalogue.switch(app.target)
        except ProgramError as error:
            report.trouble = error
        report.signal = stop.signal
    report.trouble = report.trouble or report.guard
    report.phase = "ending"
    _log_end(report)
    return report


def close(app: App, report: Report) -> None:
    """Adds up what the run has spent and closes its receipt in the database, unless that is what the trouble is."""
    if isinstance(report.trouble, DatabaseError):
        return
    try:
        report.spent = spent(app)
        app.store.runs.end(report.exit_code, report.receipt())
    except DatabaseError as error:
        report.trouble = report.trouble or error


def spent(app: App) -> tuple[Spent, ...]:
    """What this run has bought until now."""
    mocks = {"token": app.embedder_service.kind == "mock", "page": app.parser_service.kind == "mock"}
    told = {"tier": app.settings.parser.tier, "model": app.settings.embedder.model}
    prices = Prices.of(app.settings.prices)
    rows = app.store.runs.spent()
    return tuple(Spent.of(row, mock=mocks[row["unit"]], prices=prices, **told) for row in rows)


def _identity(app: App) -> dict[str, object]:
    from docproc.postgres.migrations import latest

    return {
        "profile": app.settings.profile,
        "run_id": str(app.run_id),
        "worker": app.owner,
        "version": __version__,
        "python": platform.python_version(),
        "database_schema": latest(),
        "settings": app.settings.fingerprint,
    }


def _log_end(report: Report) -> None:
    trouble: dict[str, object] = {}
    if report.trouble is not None:
        trouble = {"code": report.trouble.code, "why": str(report.trouble)}
    counts = {"refused": len(report.refused), "exit": int(report.exit_code)}
    log.info("run ended", extra=report.counts() | counts | trouble)


def _bring_in(app: App, intake: Intake, report: Report, stop: Stop, documents: Documents) -> None:
    report.phase = "ingesting"

    def heard(entry: Ingested | Refused) -> None:
        report.add(entry)
        documents.came(entry)
        if report.news:
            app.store.runs.begin(report.command, app.settings.profile)
        report.cut_short = stop.asked

    try:
        report.withdrawn = bring_in(app, intake, heard=heard, stopped=lambda: stop.asked)
    except GuardError as error:  # what came in is worked on all the same
        report.guard = error


def _drain(
    app: App,
    commands: Sequence[Command],
    report: Report,
    stop: Stop,
    documents: Documents,
    *,
    stay: bool,
    idle: float,
    progress: Progress,
) -> None:
    assert report.goal is not None
    runs = app.store.runs

    def moved(job: Job, outcome: Outcome, failure: Failure | None) -> None:
        if job.status is report.goal or job.status in FAILED:
            report.pages += _pages(job, outcome)
            documents.ended(job, failure)

    def begun() -> None:
        runs.begin(report.command, app.settings.profile)
        if Command.CHUNK in commands or Command.EMBED in commands:
            # Before the threads are at it: of two that import it at the same moment one may see half of it.
            import numpy  # noqa: F401

    def error_of(job: Job) -> DocprocError:
        return runs.error_of(job) or NOT_WHOLE

    runner = Runner(
        app.store.queue,
        app.stages(commands),
        app.settings.runner,
        on_work=begun,
        on_tick=_ticking(app, report, progress),
        on_move=moved,
        error_of=error_of,
    )
    stop.told = runner.stop
    if stop.asked:  # between the last look and here
        runner.stop()
    report.tally = runner.tally
    states = _states(commands)
    report.total = app.store.queue.backlog(states).open
    report.pages_total = None if app.trial else runs.pages(states, report.total, only=app.only)
    report.phase = "working"
    progress.begin(report.total, report.goal)
    try:
        runner.drain(stay=stay, idle=idle)
    finally:
        progress.end()


def _ticking(app: App, report: Report, progress: Progress) -> Callable[[Tally], None]:
    """What is done a few times a second: the progress, and now and then the money, where there is any to spend."""
    free = app.parser_service.kind == app.embedder_service.kind == "mock"
    asked_at = time.monotonic()

    def tick(tally: Tally) -> None:
        nonlocal asked_at
        if not free and time.monotonic() - asked_at > MONEY_EVERY:
            asked_at = time.monotonic()
            report.spent = spent(app)
        progress.tick(tally)

    return tick


def _pages(job: Job, outcome: Outcome) -> int:
    """The pages of a job, as it was claimed or as the parse has just found them."""
    found = dict(job.progress)
    if isinstance(outcome, Done) and isinstance(outcome.product, Parsed):
        found |= outcome.product.progress
    return int(found.get("pages_total") or found.get("pages_in_file") or 0)


def _keep_index(app: App, stop: Stop) -> None:
    """Builds the index on the vectors once there are enough of them; a build that fails is told, and fails no run."""
    from docproc.postgres.indexes import Indexes

    indexes = Indexes(app.database, app.settings.search)
    stop.told = indexes.stop
    if stop.asked:  # between the last look and here
        indexes.stop()
    indexes.analyze()
    target, dimensions = app.target, app.settings.embedder.dimensions
    index = indexes.keep(target.embed_model, target.embed_version, dimensions)
    level = logging.WARNING if index.state == "failed" else logging.INFO
    told = {"kind": index.kind, "state": index.state, "built": index.built, "why": index.why}
    log.log(level, "index on the vectors", extra=told)


def _states(commands: Sequence[Command]) -> list[State]:
    return [state for command in commands for state in claimed_by(command)]


def goal_of(commands: Sequence[Command]) -> State | None:
    """The state in which the last of ``commands`` leaves a document; None for ingest alone."""
    return next((row.target for row in reversed(TRANSITIONS) if row.command in commands), None)
