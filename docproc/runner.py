"""The one loop: claim, run the stage, settle; with a heartbeat, an orderly stop, and the program's only threads."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from docproc.errors import (
    AlikeError,
    CredentialsError,
    DatabaseError,
    DocprocError,
    JobError,
    ProgramError,
    QuotaError,
    TransientError,
)
from docproc.model import Advance, Fail, Job, Outcome, Retry
from docproc.stages import Stage, outcome_of
from docproc.states import FAILED, Command, State, claimed_by

if TYPE_CHECKING:
    from docproc.settings import RunnerSettings
    from docproc.store import Queue

log = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between two looks for due jobs: there is no LISTEN behind a pooler."""

TRUSTED_SHARE = 0.8
"""Part of the lease after which a claim without a good heartbeat is no longer used."""

NOT_WHOLE = TransientError("embed.incomplete", "the document did not become complete")
"""Stands for what the store found when it refused, for the last time, to call a document complete."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that ended in a failure state during this run."""

    source: str
    state: State
    error: DocprocError


@dataclass(slots=True)
class Tally:
    """What a run did: how many jobs reached each state, and which failed."""

    reached: Counter[State] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    left: int = 0


class Runner:
    """Drains the jobs of some stages with one pool of threads, as one owner among any number."""

    def __init__(
        self,
        queue: Queue,
        stages: Sequence[Stage],
        settings: RunnerSettings,
        *,
        on_work: Callable[[], None] = lambda: None,
        on_tick: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self._queue = queue
        self._stages = stages
        self._settings = settings
        self._slots = _slots(settings)
        self._on_work = on_work
        self._on_tick = on_tick
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._held: dict[UUID, tuple[Job, float]] = {}
        self._running: dict[Future[None], Command] = {}
        self._trouble: ProgramError | None = None
        self._shut: set[Command] = set()
        self._alike: tuple[str, int] = ("", 0)
        self.tally = Tally()

    def stop(self) -> None:
        """Asks for an orderly stop: nothing new is claimed, what is in flight is finished, the rest is given back."""
        self._stopping.set()

    def drain(self, *, stay: bool) -> Tally:
        """Works until nothing is due, or with ``stay`` until no job of the stages is left open.

        Raises the ProgramError that stopped it, after everything that was held is settled or given back.
        """
        threads = sum(self._slots[stage.command] for stage in self._stages)
        with ThreadPoolExecutor(threads, thread_name_prefix="docproc") as pool, self._heartbeat():
            rescued_at = self._rescue()
            while not self._stopping.is_set():
                if time.monotonic() - rescued_at > self._settings.lease / 2:
                    rescued_at = self._rescue()
                started = self._start_due(pool)
                self._reap(timeout=TICK)
                self._on_tick(self.tally)
                if not started and not self._running and not self._wait_for_work(stay=stay):
                    break
            while self._running:
                self._reap(timeout=TICK)
        if isinstance(self._trouble, DatabaseError):
            raise self._trouble
        self.tally.left = self._queue.backlog(self._states(self._stages)).open
        if self._trouble is not None:
            raise self._trouble
        return self.tally

    @staticmethod
    def _states(stages: Sequence[Stage]) -> list[State]:
        return [state for stage in stages for state in claimed_by(stage.command)]

    @property
    def _open_stages(self) -> list[Stage]:
        """The stages whose provider still lets us in."""
        return [stage for stage in self._stages if stage.command not in self._shut]

    def _rescue(self) -> float:
        freed = self._queue.rescue()
        if freed:
            log.info("freed the jobs of dead processes", extra={"jobs": freed})
        return time.monotonic()

    def _start_due(self, pool: ThreadPoolExecutor) -> int:
        """Claims what is due for the free threads of each stage and starts it; returns the number of jobs."""
        started = 0
        busy = Counter(self._running.values())
        for stage in self._open_stages:
            free = self._slots[stage.command] - busy[stage.command]
            if free <= 0 or self._stopping.is_set():
                continue
            jobs = self._claim(stage, free * stage.batch)
            if jobs:
                self._on_work()
                self._hold(jobs)
            for n in range(0, len(jobs), stage.batch):
                future = pool.submit(self._run, stage, jobs[n : n + stage.batch])
                self._running[future] = stage.command
            started += len(jobs)
        return started

    def _claim(self, stage: Stage, limit: int) -> list[Job]:
        tries = self._queue.tries
        jobs = self._queue.claim(claimed_by(stage.command), limit)
        if self._queue.tries > tries + 1:
            # An answer was lost with the connection, and with it perhaps jobs that are ours without our knowing.
            with self._lock:
                held = [job for job, _ in self._held.values()]
            self._queue.disown([*held, *jobs])
        return jobs

    def _reap(self, *, timeout: float) -> None:
        done, _ = wait(self._running, timeout=timeout, return_when=FIRST_COMPLETED) if self._running else ((), ())
        for future in done:
            command = self._running.pop(future)
            error = future.exception()
            if isinstance(error, ProgramError):
                self._trouble = self._trouble or error
                self._shut.add(command)
                if not isinstance(error, CredentialsError | QuotaError):
                    self.stop()
            elif error is not None:
                self.stop()
                raise error

    def _wait_for_work(self, *, stay: bool) -> bool:
        """Waits until a job is due, for a tick at most; False when there is nothing to stay for."""
        backlog = self._queue.backlog(self._states(self._open_stages))
        if backlog.open == 0 or (not stay and backlog.due == 0):
            return False
        if backlog.due == 0:
            self._stopping.wait(min(max(backlog.next_due or TICK, 0.01), TICK))
        return True

    # ── in the threads ──────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self, stage: Stage, jobs: Sequence[Job]) -> None:
        unsettled = {job.job_id: job for job in jobs}

        def settle(job: Job, outcome: Outcome) -> Job | None:
            moved = self._settle(job, outcome)
            if isinstance(outcome, Advance) and moved is not None:
                unsettled[job.job_id] = moved
            elif not isinstance(outcome, Advance):
                unsettled.pop(job.job_id, None)
            return moved

        try:
            stage.run(jobs, settle)
        except JobError as error:
            for job in list(unsettled.values()):
                settle(job, outcome_of(error))
        except ProgramError:
            raise
        except Exception as error:
            # The frames without the message, which may hold the document's text.
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("unexpected %s in %s\n%s", type(error).__name__, stage.command, frames)  # noqa: TRY400
            trouble = TransientError("job.unexpected", f"unexpected {type(error).__name__} in {stage.command}")
            for job in list(unsettled.values()):
                settle(job, Retry(trouble))
        finally:
            if unsettled:
                self._queue.release(unsettled.values())
                self._let_go(unsettled.values())

    def _settle(self, job: Job, outcome: Outcome) -> Job | None:
        if isinstance(outcome, Advance) and not self._may_go_on(job):
            return None
        moved = self._queue.settle(job, outcome)
        if moved is None or not isinstance(outcome, Advance):
            self._let_go([job])
        if moved is not None and moved.status is not job.status:
            self._count(moved, outcome)
        return moved

    def _count(self, moved: Job, outcome: Outcome) -> None:
        with self._lock:
            self.tally.reached[moved.status] += 1
            if moved.status not in FAILED:
                self._alike = ("", 0)
                return
            error = outcome.error if isinstance(outcome, Fail | Retry) else NOT_WHOLE
            self.tally.failures.append(Failure(moved.source, moved.status, error))
            code, count = self._alike
            self._alike = (error.code, count + 1 if error.code == code else 1)
            if self._alike[1] == self._settings.stop_after_alike:
                self._trouble = AlikeError(error, self._alike[1])
                self._stopping.set()

    # ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _hold(self, jobs: Sequence[Job]) -> None:
        until = time.monotonic() + TRUSTED_SHARE * self._settings.lease
        with self._lock:
            self._held |= {job.job_id: (job, until) for job in jobs}

    def _extend(self, kept: Set[UUID]) -> None:
        until = time.monotonic() + TRUSTED_SHARE * self._settings.lease
        with self._lock:
            self._held |= {job_id: (job, until) for job_id, (job, _) in self._held.items() if job_id in kept}

    def _let_go(self, jobs: Iterable[Job]) -> None:
        # The next stage may have claimed a job anew before its last settle was heard of: that claim stays held.
        with self._lock:
            for job in jobs:
                if job.job_id in self._held and self._held[job.job_id][0].fence == job.fence:
                    del self._held[job.job_id]

    def _may_go_on(self, job: Job) -> bool:
        """Whether a request may still be sent for ``job``: not when stopping, nor on a lease that may have run out."""
        with self._lock:
            _, until = self._held.get(job.job_id, (job, 0.0))
        return not self._stopping.is_set() and time.monotonic() < until

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        over = threading.Event()

        def beat() -> None:
            while not over.wait(self._settings.heartbeat):
                with self._lock:
                    jobs = [job for job, _ in self._held.values()]
                try:
                    kept = self._queue.renew(jobs) if jobs else set()
                except DocprocError as error:
                    log.warning("no heartbeat", extra={"code": error.code})
                    continue
                self._extend(kept)

        thread = threading.Thread(target=beat, name="docproc-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _slots(settings: RunnerSettings) -> dict[Command, int]:
    return {
        Command.PARSE: settings.parse_threads,
        Command.VALIDATE: 1,
        Command.CHUNK: settings.cpu_threads,
        Command.EMBED: settings.embed_threads,
    }
