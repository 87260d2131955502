"""One stage at work on the jobs of one claim: what it says of them is gathered and settled together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from docproc import logs
from docproc.errors import ProgramError
from docproc.model import Advance, Done, Fail, Job, Outcome, Retry, Wait
from docproc.stages import Stage, outcome_of
from docproc.states import FAILED, State

if TYPE_CHECKING:
    from docproc.leases import Leases
    from docproc.store import Queue

log = logging.getLogger(__name__)

GATHER = 0.1
"""Seconds for which outcomes are gathered before they are settled: what a crash may undo, none of it paid for."""

T = TypeVar("T")

Settled = Callable[[Job, Outcome], None]
"""Hears of every job that was settled: as it stands now, and by which outcome."""


class Working:
    """The ``Context`` of one run of a stage."""

    def __init__(
        self,
        jobs: Sequence[Job],
        queue: Queue,
        leases: Leases,
        stopping: threading.Event,
        calls: ThreadPoolExecutor,
        width: int,
        settled: Settled,
    ) -> None:
        self._open = {job.job_id: job for job in jobs}
        self._queue = queue
        self._leases = leases
        self._stopping = stopping
        self._calls = calls
        self._width = width
        self._settled = settled
        self._gathered: list[tuple[Job, Outcome]] = []
        self._flushed_at = time.monotonic()
        self._begun: dict[UUID, float] = {}

    def run(self, stage: Stage) -> None:
        """Has ``stage`` work on the jobs; settles what it says, and gives back what it leaves. Raises ProgramError."""
        try:
            stage.run(list(self._open.values()), self)
        except ProgramError:
            raise
        except Exception as error:
            outcome = outcome_of(error, stage.command)
            self._gathered += [(job, outcome) for job in self._open.values()]
        finally:
            self.flush()
            if self._open:
                self._queue.release(self._open.values())
                self._leases.let_go(self._open.values())

    # ── what the stage may do ───────────────────────────────────────────────────────────────────────────────────────

    def settle(self, job: Job, outcome: Outcome) -> None:
        """Gathers the outcome, and settles what was gathered when that began a while ago."""
        self._gathered.append((job, outcome))
        del self._open[job.job_id]
        if time.monotonic() - self._flushed_at > GATHER:
            self.flush()

    def flush(self) -> None:
        """Settles what was gathered, in one transaction."""
        changes, self._gathered = self._gathered, []
        if changes:
            try:
                self._write(changes)
            finally:  # what cannot be settled must not be kept alive: its lease runs out, and others take it up
                self._leases.let_go(job for job, _ in changes)
        self._flushed_at = time.monotonic()

    def advance(self, jobs: Sequence[Job], to: State) -> list[Job]:
        """Moves jobs on at once, still claimed; those that are no longer ours are left out and dropped."""
        usable = [(job, Advance(to)) for job in jobs if self.may_go_on(job)]
        moved = self._write(usable)
        lost = [job for (job, _), now in zip(usable, moved, strict=True) if now is None]
        self._leases.let_go(lost)
        for job in lost:
            del self._open[job.job_id]
        ours = [job for job in moved if job is not None]
        self._open |= {job.job_id: job for job in ours}
        return ours

    def may_go_on(self, job: Job) -> bool:
        """Whether work on ``job`` may be begun: not when stopping, nor on a lease that may have run out."""
        self._begun.setdefault(job.job_id, time.monotonic())
        return not self._stopping.is_set() and self._leases.are_good(job)

    def pause(self, seconds: float) -> bool:
        """Waits; False, and at once, when the run is asked to stop."""
        return not self._stopping.wait(seconds)

    def concurrently(self, next_call: Callable[[], Callable[[], T] | None]) -> Iterator[T]:
        """Runs calls side by side, as many at a time as the settings say, and yields their results as they come."""
        flying: set[Future[T]] = set()
        trouble: BaseException | None = None
        while True:
            while trouble is None and len(flying) < self._width and (call := next_call()) is not None:
                flying.add(self._calls.submit(call))
            if not flying:
                break
            done, flying = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                error = future.exception()
                if error is None:
                    yield future.result()
                trouble = trouble or error
        if trouble is not None:
            raise trouble

    # ── settling ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self, changes: Sequence[tuple[Job, Outcome]]) -> list[Job | None]:
        moved = self._queue.settle_all(changes) if changes else []
        for (job, outcome), now in zip(changes, moved, strict=True):
            if now is None:
                continue
            self._log(job, outcome, now)
            if now.status is not job.status or isinstance(outcome, Wait):
                self._settled(now, outcome)
        return moved

    def _log(self, job: Job, outcome: Outcome, now: Job) -> None:
        # Most settles of a parse are waits between two looks at it, each of which has its own record.
        level = logging.DEBUG if isinstance(outcome, Wait) else logging.INFO
        if log.isEnabledFor(level):
            moved = {"outcome": _name(job, outcome, now), "from": job.status, "to": now.status}
            begun = self._begun.get(job.job_id, self._flushed_at)
            log.log(
                level, "settled", extra=logs.of(job) | moved | _said(outcome) | {"seconds": time.monotonic() - begun}
            )


def _name(job: Job, outcome: Outcome, now: Job) -> str:
    """What came of it: attempts may be used up, and the store may refuse what a stage called done."""
    if now.status in FAILED:
        return "fail"
    if isinstance(outcome, Done) and now.status is job.status:
        return "retry"
    return type(outcome).__name__.lower()


def _said(outcome: Outcome) -> dict[str, object]:
    match outcome:
        case Retry() | Fail():
            return {"code": outcome.error.code, "why": str(outcome.error)}
        case Wait():
            return {"waits": outcome.seconds, "note": outcome.note}
        case Done() if outcome.note:
            return {"note": outcome.note}
    return {}
