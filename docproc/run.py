"""One run: what was named comes in, then the stages drain the queue, in good order to the end whatever stops it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from docproc.errors import ProgramError
from docproc.report import Report
from docproc.runner import Runner, Tally
from docproc.stages.ingest import find, ingest
from docproc.states import TRANSITIONS, Command, State, claimed_by

if TYPE_CHECKING:
    from docproc.app import App


log = logging.getLogger("docproc.run")


class Progress(Protocol):
    """Whoever wants to see how a run goes on."""

    def begin(self, total: int, goal: State) -> None:
        """The run begins: ``total`` open jobs are to reach ``goal``."""

    def tick(self, tally: Tally) -> None:
        """Called a few times a second with what was reached so far."""

    def end(self) -> None:
        """The run is over, well or not."""


class Stop:
    """Whether this run was asked to end: by a signal, and by which, or by its time limit."""

    def __init__(self) -> None:
        self.asked = False
        self.signal: signal.Signals | None = None
        self.told: Callable[[], None] = lambda: None

    def receive(self, number: int, _: FrameType | None) -> None:
        """Asks for an orderly stop; the second signal leaves at once, and the leases run out by themselves."""
        if self.signal is not None:
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


def run(
    app: App,
    name: str,
    paths: Sequence[str],
    commands: Sequence[Command],
    *,
    stay: bool,
    progress: Progress,
    max_duration: float | None = None,
    rebuild: bool = False,
) -> Report:
    """Ingests ``paths``, then drains the stages of ``commands``; with ``stay`` until none of their jobs is left open.

    With ``rebuild`` what is shown with another model gets a job with the settings' own.
    After ``max_duration`` seconds it stops in good order. What stopped it once it was under way is in the report.
    """
    report = Report(goal=_goal(commands))
    with stoppable(max_duration) as stop:
        app.refuse_mixing()
        try:
            _bring_in(app, name, paths, report, stop)
            if rebuild:
                app.store.catalogue.rebuild(app.target)
            if commands and not stop.asked:
                _drain(app, name, commands, report, stop, stay=stay, progress=progress)
            if Command.EMBED in commands and not report.tally.left and not stop.asked:
                _keep_index(app, stop)
                report.switch = app.store.catalogue.switch(app.target)
        except ProgramError as error:
            report.trouble = error
        report.signal = stop.signal
    return report


def _bring_in(app: App, name: str, paths: Sequence[str], report: Report, stop: Stop) -> None:
    found = find(paths, stdin=sys.stdin if "-" in paths else ())
    catalogue, settings = app.store.catalogue, app.settings.ingest
    for entry in ingest(found, target=app.target, catalogue=catalogue, storage=app.storage, settings=settings):
        report.add(entry)
        if report.news:
            app.store.runs.begin(name, app.settings.profile)
        if stop.asked:
            return


def _drain(
    app: App, name: str, commands: Sequence[Command], report: Report, stop: Stop, *, stay: bool, progress: Progress
) -> None:
    assert report.goal is not None
    runner = Runner(
        app.store.queue,
        app.stages(commands),
        app.settings.runner,
        on_work=lambda: app.store.runs.begin(name, app.settings.profile),
        on_tick=progress.tick,
    )
    stop.told = runner.stop
    if stop.asked:  # between the last look and here
        runner.stop()
    report.tally = runner.tally
    states = [state for command in commands for state in claimed_by(command)]
    progress.begin(app.store.queue.backlog(states).open, report.goal)
    try:
        runner.drain(stay=stay)
    finally:
        progress.end()


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
    log.log(level, "index on the vectors: %s, %s%s", index.kind, index.state, index.why and f": {index.why}")


def _goal(commands: Sequence[Command]) -> State | None:
    """The state in which the last of ``commands`` leaves a document; None for ingest alone."""
    return next((row.target for row in reversed(TRANSITIONS) if row.command in commands), None)
