"""What ``docproc status`` was asked for: all, a list, one document, or to go on looking."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import typer

from docproc.config import parse_duration
from docproc.errors import REMEDIES, ConfigError, Exit
from docproc.states import FAILED, OPEN, State
from docproc.views.words import safe

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.cli.outputs import Outputs

CANDIDATES = 10
"""Documents named where a name means several."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents are listed; ``since`` in seconds, None for any."""

    states: tuple[State, ...]
    code: str | None
    since: float | None
    source: str | None
    limit: int

    @classmethod
    def of(
        cls,
        *,
        failed: bool,
        states: Sequence[str] | None,
        code: str | None,
        since: str | None,
        source: str | None,
        limit: int,
    ) -> Self | None:
        """The filters by their options, None when there is none. Raises ConfigError for what there is not."""
        if not (failed or states or code or since or source):
            return None
        named = {_one_of(state, State, "state") for state in states or State}
        wanted = tuple(State(state) for state in State if state in named and (not failed or state in FAILED))
        if not wanted:
            raise ConfigError("config.invalid", "--failed and the states of --state exclude each other")
        if code is not None:
            _one_of(code, REMEDIES, "error code")
        return cls(wanted, code, None if since is None else parse_duration(since), source, limit)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long is looked: ``shown`` or in silence, every ``interval`` seconds, until nothing is open, ``seconds``."""

    shown: bool
    interval: float
    until_idle: bool
    seconds: float | None

    @classmethod
    def of(cls, *, watch: bool, interval: float, until: str | None, max_duration: str | None) -> Self | None:
        """The wait by its options, None when none is meant. Raises ConfigError."""
        if until is not None:
            _one_of(until, ("idle",), "end of a wait")
        if max_duration is not None and not (watch or until):
            raise ConfigError("config.invalid", "--max-duration needs --watch or --until idle")
        if not (watch or until):
            return None
        return cls(watch, interval, until is not None, None if max_duration is None else parse_duration(max_duration))


@dataclass(frozen=True, slots=True)
class Ledger:
    """How the ledger of paid calls is summed, from how many seconds ago on, and whether it is told as CSV."""

    by: str
    since: float | None
    csv: bool

    @classmethod
    def of(cls, *, by: str | None, since: str | None, csv: bool) -> Self | None:
        """The ledger by the options, None when it is not meant. Raises ConfigError."""
        if by is None:
            if csv:
                raise ConfigError("config.usage", "--csv needs --spent", try_="docproc status --spent day --csv")
            return None
        word = _one_of(by, ("day", "model", "source", "document", "call"), "sum")
        return cls(word, None if since is None else parse_duration(since), csv)


def refuse_mixture(
    *,
    document: str | None,
    filters: Filters | None,
    waiting: Waiting | None,
    written: Outputs | None,
    ledger: Ledger | None,
) -> None:
    """Raises ConfigError when more than one thing is asked for: one would be left out in silence."""
    if sum(asked is not None for asked in (document, filters, waiting, written, ledger)) > 1:
        raise ConfigError(
            "config.invalid",
            "status shows one thing at a time",
            why="a document; a list (--failed, --state, --code, --since, --source); --spent; --watch and --until;"
            " or --check, --metrics-file and --html",
            try_="leave one of them out",
        )


def show_all(app: App, *, json: bool) -> None:
    """One look at all work."""
    from docproc.status.taking import take
    from docproc.views.status import show_status

    show_status(take(app), json=json)


def show_list(app: App, filters: Filters, *, json: bool) -> None:
    """The documents that the filters choose."""
    from docproc.views.status import show_documents

    rows = app.store.reads.documents(
        filters.states,
        code=filters.code,
        since=filters.since,
        source=filters.source,
        limit=filters.limit,
        only=app.only,
    )
    show_documents(rows, json=json)


def show_spent(app: App, ledger: Ledger, *, json: bool) -> None:
    """What was paid, and for what."""
    from docproc.views.ledger import show_ledger

    since = None if ledger.since is None else datetime.now(UTC) - timedelta(seconds=ledger.since)
    rows = app.store.ledger.rows(ledger.by, since)
    show_ledger(rows, by=ledger.by, as_csv=ledger.csv, json=json)


def show_one(app: App, name: str, *, json: bool) -> None:
    """The timeline of one document. Raises ConfigError when ``name`` means none, or several."""
    from docproc.status.timeline import costed
    from docproc.views.document import show_document

    reads = app.store.reads
    jobs = reads.jobs_of(app.settings.user, name, os.path.abspath(name))  # noqa: PTH100
    if not jobs:
        raise ConfigError("config.invalid", f"no document {name}", try_="give its path, or the beginning of its id")
    _refuse_several(name, jobs)
    show_document([(job, costed(app, job, reads.history(job["job_id"]))) for job in jobs], json=json)


def _refuse_several(name: str, jobs: Sequence[dict[str, Any]]) -> None:
    """A name may mean the versions of one source, and the jobs of one document, but not two documents."""
    if len({job["document_id"] for job in jobs}) == 1 or len({job["source"] for job in jobs}) == 1:
        return
    if any(job["source"] == os.path.abspath(name) for job in jobs):  # noqa: PTH100
        return
    found = list(dict.fromkeys((str(job["document_id"]), job["source"]) for job in jobs))
    told = [f"{document_id}  {safe(source)}" for document_id, source in found[:CANDIDATES]]
    more = [f"and {len(found) - CANDIDATES} more"] if len(found) > CANDIDATES else []
    raise ConfigError(
        "config.invalid",
        f"{name} means {len(found)} documents",
        why="; ".join([*told, *more]),
        try_="docproc status with one of these ids, or more of the path",
    )


def wait(app: App, waiting: Waiting, *, json: bool) -> None:
    """Looks again and again; exit 0 when what was waited for has come, 4 when the time was up before.

    Ctrl-C is how a watch ends, so it is exit 0 then, and 130 where something was waited for.
    """
    from docproc.status.taking import take
    from docproc.views.status_watch import wait_until_idle, watch

    deadline = None if waiting.seconds is None else time.monotonic() + waiting.seconds
    try:
        if waiting.shown:
            idle = watch(
                lambda: take(app, patient=False),
                interval=waiting.interval,
                until_idle=waiting.until_idle,
                json=json,
                deadline=deadline,
            )
        else:
            idle = wait_until_idle(
                lambda: app.store.queue.backlog(OPEN).open, interval=waiting.interval, deadline=deadline
            )
    except KeyboardInterrupt:
        raise typer.Exit(int(Exit.INTERRUPTED if waiting.until_idle else Exit.OK)) from None
    if waiting.until_idle and not idle:
        raise typer.Exit(int(Exit.WORK_LEFT))


def _one_of(word: str, known: Iterable[str], what: str) -> str:
    """``word``, which is one of ``known``. Raises ConfigError with the nearest for another."""
    words = [str(one) for one in known]
    if word in words:
        return word
    near = difflib.get_close_matches(word, words, n=1)
    try_ = f"did you mean {near[0]}?" if near else f"one of {', '.join(words)}"
    raise ConfigError("config.invalid", f"there is no {what} {word}", try_=try_)
