"""One look at all work as data: what ``status`` shows, and what metrics and alerts are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from docproc.budget import Spending
from docproc.states import FAILED, OPEN, State


@dataclass(frozen=True, slots=True)
class Standing:
    """One state: its ``documents``, and all its ``jobs``, of older versions and models too.

    So many of them are ``claimed``, or ``waiting`` for a time that is to come. Seconds: ``oldest`` for which the first
    has stood there, ``next_due`` until the first of those that wait is due, ``p50`` and ``p95`` that were spent in the
    state by those that left it in the last hour. None: there is none.
    """

    documents: int = 0
    jobs: int = 0
    oldest: float | None = None
    claimed: int = 0
    waiting: int = 0
    next_due: float | None = None
    p50: float | None = None
    p95: float | None = None

    @property
    def due(self) -> int:
        """Documents that a worker could take now."""
        return max(self.documents - self.claimed - self.waiting, 0)


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours: jobs that came in, became complete, failed; minutes on average from in to complete."""

    jobs: int
    complete: int
    failed: int
    average_minutes: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """The failed documents and jobs of one error code: in which states, what to try, and what to type ``next``."""

    code: str
    documents: int
    jobs: int
    states: tuple[State, ...]
    remedy: str
    next: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a document's state; ``before`` is None for a document that came in."""

    at: datetime
    source: str
    document_id: str
    before: str | None
    after: str
    code: str | None


@dataclass(frozen=True, slots=True)
class Buffers:
    """Rows (estimates of the catalogue, None before the first ANALYZE) and bytes, indexes included."""

    chunks: int | None
    chunk_bytes: int
    vectors: int | None
    vector_bytes: int


@dataclass(frozen=True, slots=True)
class Workers:
    """Processes with a lease that has not run out, their hosts, and the claims that nobody renews, with their age."""

    alive: int
    hosts: int
    stale: int
    stale_for: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run by its receipt; ``finished_at`` and ``exit_code`` are None while it runs, or when it was killed."""

    command: str
    started_at: datetime
    finished_at: datetime | None
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class Serving:
    """With which model a user's documents are searched, and how: ``index`` is hnsw, halfvec, or none for exactly."""

    model: str
    version: str
    index: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Bought:
    """What was bought of one unit (``page``, ``token``) today: UTC, an estimate in USD, None where no price is known.

    ``unknown`` calls have not said yet how many units they took. With mocks the price is 0.
    """

    unit: str
    calls: int
    units: int
    unknown: int
    usd: float | None
    mock: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one moment of the database says.

    ``parts`` are the documents that became complete in the last hour, by five minutes, the oldest first; ``rate`` is
    how many do in a minute, by the latest quarter of an hour. ``counts_documents``: a document counts once, by its
    newest job; else, in a large table, every job counts. ``spending`` is told where there is a budget.
    """

    title: str
    user: str
    at: datetime
    schema_version: int | None
    counts_documents: bool
    states: Mapping[State, Standing]
    parts: tuple[int, ...]
    rate: float
    day: Day
    failures: tuple[Failure, ...]
    buffers: Buffers
    changes: tuple[Change, ...]
    workers: Workers
    last_run: Run | None
    last_good_run: Run | None
    serving: Serving | None
    bought: tuple[Bought, ...]
    spending: Spending | None = None

    @property
    def total(self) -> int:
        """All documents."""
        return sum(standing.documents for standing in self.states.values())

    @property
    def open(self) -> int:
        """Documents that are neither complete nor failed."""
        return sum(self.states[state].documents for state in OPEN)

    @property
    def failed(self) -> int:
        """Failed documents."""
        return sum(self.states[state].documents for state in FAILED)

    @property
    def complete(self) -> int:
        """Complete documents."""
        return self.states[State.COMPLETE].documents

    @property
    def last_hour(self) -> int:
        """Documents that became complete in the last hour."""
        return sum(self.parts)

    @property
    def eta(self) -> float | None:
        """Seconds until nothing is open at the present rate; None when nothing is, or nothing moves."""
        return 60 * self.open / self.rate if self.open and self.rate else None

    @property
    def usd_today(self) -> float | None:
        """An estimate of what was spent today; None when the price of something is not known."""
        spent = [bought.usd for bought in self.bought]
        return None if None in spent else sum(usd for usd in spent if usd is not None)
