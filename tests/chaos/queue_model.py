"""What the queue promises, as a few dozen lines of plain Python: the tests play both and compare."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from docproc.model import Advance, Done, Fail, Job, Outcome, Retry, Wait
from docproc.states import FAILED, FINAL, TRANSITIONS, State

MAX_ATTEMPTS = 3

Event = tuple[State | None, State, str | None, int, int, str | None]
"""From, to, worker, attempt, fence, code."""

_ROWS = {row.source: row for row in TRANSITIONS}


def ahead(state: State) -> list[State]:
    """The states that one command leads to from ``state``, the nearest first."""
    command, found = _ROWS[state].command, []
    while state in _ROWS and _ROWS[state].command is command:
        state = _ROWS[state].target
        found.append(state)
    return found


@dataclass(slots=True)
class Row:
    """One job as it must stand in the database."""

    status: State
    due: bool = True
    attempt: int = 0
    fence: int = 0
    owner: str | None = None
    expired: bool = False
    failed_from: State | None = None
    code: str | None = None
    live: bool = False
    chunks: bool = False
    vectors: bool = False
    events: list[Event] = field(default_factory=list)

    def holds(self, owner: str, job: Job) -> bool:
        """Whether ``owner`` still has the claim that ``job`` came from."""
        return self.owner == owner and self.fence == job.fence

    def let_go(self) -> None:
        """Nobody holds it any more."""
        self.owner, self.expired = None, False

    def give_back(self) -> None:
        """The claim is undone, its attempt too."""
        self.let_go()
        self.attempt = max(self.attempt - 1, 0)

    def move(self, to: State, worker: str | None, attempt: int, code: str | None = None) -> None:
        """The job goes to ``to``, and its history says so."""
        self.events.append((self.status, to, worker, attempt, self.fence, code))
        self.failed_from = self.status if to in FAILED else None
        self.status = to


@dataclass(slots=True)
class Model:
    """All jobs as they must stand."""

    rows: dict[UUID, Row] = field(default_factory=dict)
    claims: set[tuple[UUID, int]] = field(default_factory=set)
    """Every fence a job was ever claimed with: a fence names one claim for ever."""

    def claimable(self, states: Collection[State]) -> list[UUID]:
        """The jobs that a claim of ``states`` may take."""
        return [id_ for id_, row in self.rows.items() if row.due and row.owner is None and row.status in states]

    def claim(self, owner: str, job: Job) -> None:
        """``owner`` got ``job``."""
        row = self.rows[job.job_id]
        row.owner, row.expired, row.fence, row.attempt = owner, False, row.fence + 1, row.attempt + 1
        assert (job.job_id, row.fence) not in self.claims, "two claims with one fence"
        self.claims.add((job.job_id, row.fence))
        assert (job.status, job.fence, job.attempt) == (row.status, row.fence, row.attempt)

    def accepts(self, owner: str, job: Job) -> bool:
        """Whether a settle of ``job`` by ``owner`` must succeed."""
        row = self.rows[job.job_id]
        return row.holds(owner, job) and row.status is job.status

    def settle(self, owner: str, job: Job, outcome: Outcome) -> State | None:
        """The state that a settle must report; None when it must be refused and change nothing."""
        if not self.accepts(owner, job):
            return None
        row = self.rows[job.job_id]
        match outcome:
            case Done(to=State.COMPLETE) if not (row.chunks and row.vectors):
                self._try_again(row, job.attempt, owner, "embed.incomplete", due=False)
            case Done():
                self._done(row, job.attempt, owner, outcome)
            case Advance():
                self._walk(row, outcome.to, owner, job.attempt)
                row.due = True
            case Wait():
                row.give_back()
                row.due = outcome.seconds == 0
            case Retry():
                self._try_again(row, job.attempt, owner, outcome.error.code, due=outcome.after == 0)
            case Fail():
                self._fail(row, owner, job.attempt, outcome.error.code)
        return row.status

    def _done(self, row: Row, attempt: int, owner: str, outcome: Done) -> None:
        self._walk(row, outcome.to or _ROWS[row.status].target, owner, attempt)
        row.let_go()
        row.attempt, row.code, row.due = 0, None, outcome.after == 0
        row.chunks |= row.status is State.CHUNKS_STORED
        row.live = row.status is State.COMPLETE

    def _walk(self, row: Row, to: State, owner: str, attempt: int) -> None:
        while row.status is not to:
            row.move(_ROWS[row.status].target, owner, attempt)

    def _try_again(self, row: Row, attempt: int, owner: str, code: str, *, due: bool) -> None:
        if attempt >= MAX_ATTEMPTS:
            self._fail(row, owner, attempt, code)
            return
        row.move(row.status, owner, attempt, code)
        row.let_go()
        row.code, row.due = code, due

    def _fail(self, row: Row, owner: str, attempt: int, code: str) -> None:
        row.move(_ROWS[row.status].failure, owner, attempt, code)
        row.let_go()
        row.code = code

    def renew(self, owner: str, jobs: Iterable[Job]) -> set[UUID]:
        """The ids that a renewal must bring back."""
        kept = {job.job_id for job in jobs if self.rows[job.job_id].holds(owner, job)}
        for job_id in kept:
            self.rows[job_id].expired = False
        return kept

    def release(self, owner: str, jobs: Iterable[Job]) -> int:
        """How many jobs a release must give back."""
        held = {job.job_id for job in jobs if self.rows[job.job_id].holds(owner, job)}
        for job_id in held:
            self.rows[job_id].give_back()
        return len(held)

    def disown(self, owner: str, held: Collection[UUID]) -> int:
        """How many jobs ``owner`` must give back beside ``held``."""
        unknown = [row for job_id, row in self.rows.items() if row.owner == owner and job_id not in held]
        for row in unknown:
            row.give_back()
        return len(unknown)

    def rescue(self, dead: Collection[str], *, all_expired: bool) -> int:
        """How many jobs a rescue must free."""
        lost = [row for row in self.rows.values() if row.owner and (all_expired or row.expired or row.owner in dead)]
        for row in lost:
            owner, row.fence, row.due = row.owner, row.fence + 1, True
            row.let_go()
            if row.attempt >= MAX_ATTEMPTS:
                row.move(_ROWS[row.status].failure, owner, row.attempt, "job.lease_expired")
                row.code = "job.lease_expired"
            else:
                row.move(row.status, owner, row.attempt, "job.lease_expired")
        return len(lost)

    def retry(self, owner: str, codes: Collection[str] | None) -> int:
        """How many failed jobs must be sent back."""
        chosen = [row for row in self.rows.values() if row.failed_from and (codes is None or row.code in codes)]
        for row in chosen:
            assert row.failed_from is not None
            row.move(row.failed_from, owner, 0)
            row.attempt, row.due, row.code = 0, True, None
        return len(chosen)

    def open(self) -> set[UUID]:
        """The jobs that are neither complete nor failed."""
        return {job_id for job_id, row in self.rows.items() if row.status not in FINAL}


def rows_of(model: Model) -> Mapping[UUID, tuple[object, ...]]:
    """The model in the form in which the database is read."""
    return {
        job_id: (
            row.status,
            row.due,
            row.attempt,
            row.fence,
            row.owner,
            row.expired,
            row.failed_from,
            row.code,
            row.live,
        )
        for job_id, row in model.rows.items()
    }
