"""The one loop: claim, run the stage, settle; with an orderly stop, and the threads that stages work in."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from docproc import logs
from docproc.errors import (
    PRECEDENCE,
    AlikeError,
    CredentialsError,
    DatabaseError,
    DocprocError,
    ProgramError,
    QuotaError,
    TransientError,
)
from docproc.leases import Leases
from docproc.model import Fail, Job, Outcome, Retry, Wait
from docproc.stages import Stage
from docproc.states import FAILED, Command, State, claimed_by
from docproc.working import Working

if TYPE_CHECKING:
    from docproc.settings import RunnerSettings
    from docproc.store import Queue

log = logging.getLogger(__name__)

EMBED_RUNS = 2
"""Batches embedded at a time: while one waits for its last answers, the other fills the requests."""

TICK = 0.25
"""Seconds between two looks for due jobs: there is no LISTEN behind a pooler."""

IDLE_TICK = 1.0
"""The same while nothing at all is open."""

NOT_WHOLE = TransientError("embed.incomplete", "the document did not become complete")
"""Stands for what the store found when it refused, for the last time, a product, where nobody can be asked for it."""

Moved = Callable[[Job, Outcome, "Failure | None"], None]
"""Hears of every job that reached another state: as it stands now, by which outcome, and how it failed if it did."""


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
        on_move: Moved = lambda *_: None,
        error_of: Callable[[Job], DocprocError] = lambda _: NOT_WHOLE,
    ) -> None:
        self._queue = queue
        self._stages = stages
        self._settings = settings
        self._slots = _slots(settings)
        self._on_work = on_work
        self._on_tick = on_tick
        self._on_move = on_move
        self._error_of = error_of
        self._stopping = threading.Event()
        self._leases = Leases(queue, settings)
        self._calls = ThreadPoolExecutor(settings.embed_threads, thread_name_prefix="docproc-call")
        self._waiting: dict[Command, deque[list[Job]]] = {stage.command: deque() for stage in stages}
        self._running: dict[Future[None], Command] = {}
        self._trouble: ProgramError | None = None
        self._shut: set[Command] = set()
        self._counting = threading.Lock()
        self._stay_until = 0.0
        self._idle_since: float | None = None
        self._alike: tuple[str, int] = ("", 0)
        self.tally = Tally()

    def stop(self) -> None:
        """Asks for an orderly stop: nothing new is claimed, what is in flight is finished, the rest is given back."""
        self._stopping.set()

    def drain(self, *, stay: bool, idle: float = 0.0) -> Tally:
        """Works until nothing is due, or with ``stay`` until no job of the stages has been open for ``idle`` seconds.

        Raises the ProgramError that stopped it, after everything that was held is settled or given back.
        """
        threads = sum(self._slots[stage.command] for stage in self._stages)
        with self._calls, ThreadPoolExecutor(threads, thread_name_prefix="docproc") as pool, self._leases.kept():
            rescued_at = self._rescue()
            while not self._stopping.is_set():
                if time.monotonic() - rescued_at > self._settings.lease / 2:
                    rescued_at = self._rescue()
                started = self._start_due(pool)
                self._reap(timeout=TICK)
                self._on_tick(self.tally)
                if not started and not self._running and not self._wait_for_work(stay=stay, idle=idle):
                    break
            self._give_back(list(self._waiting))
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
        """Claims what is due for the free threads of each stage and starts it; returns the number of batches."""
        started = 0
        busy = Counter(self._running.values())
        for stage in self._open_stages:
            waiting, free = self._waiting[stage.command], self._slots[stage.command] - busy[stage.command]
            if free > 0 and not waiting and not self._stopping.is_set():
                jobs = self._claim(stage, free * stage.batch)
                count = ceil(len(jobs) / free) if stage.spread else stage.batch
                waiting.extend(batches(jobs, count, stage.batch_bytes))
            for _ in range(min(free, len(waiting))):
                future = pool.submit(self._run, stage, waiting.popleft())
                self._running[future] = stage.command
                started += 1
        return started

    def _claim(self, stage: Stage, limit: int) -> list[Job]:
        tries = self._queue.tries
        jobs = self._queue.claim(claimed_by(stage.command), limit)
        if self._queue.tries > tries + 1:
            # An answer was lost with the connection, and with it perhaps jobs that are ours without our knowing.
            self._queue.disown([*self._leases.jobs, *jobs])
        if jobs:
            self._on_work()
            self._leases.hold(jobs)
            log.info("claimed", extra={"stage": stage.command, "jobs": len(jobs)})
            if log.isEnabledFor(logging.DEBUG):
                for job in jobs:
                    log.debug("claimed one", extra=logs.of(job) | {"from": job.status})
        return jobs

    def _give_back(self, commands: Iterable[Command]) -> None:
        """Hands back what was claimed for ``commands`` and not begun."""
        for command in commands:
            jobs = [job for batch in self._waiting[command] for job in batch]
            self._waiting[command].clear()
            if jobs:
                self._queue.release(jobs)
                self._leases.let_go(jobs)

    def _reap(self, *, timeout: float) -> None:
        done, _ = wait(self._running, timeout=timeout, return_when=FIRST_COMPLETED) if self._running else ((), ())
        for future in done:
            command = self._running.pop(future)
            error = future.exception()
            if isinstance(error, ProgramError):
                self._trouble = min((self._trouble or error, error), key=lambda e: PRECEDENCE.index(e.exit_code))
                self._shut.add(command)
                self._give_back([command])
                if not isinstance(error, CredentialsError | QuotaError):
                    self.stop()
            elif error is not None:
                self.stop()
                raise error

    def _wait_for_work(self, *, stay: bool, idle: float) -> bool:
        """Waits until a job is due, for a moment at most; False when there is nothing to stay for."""
        backlog = self._queue.backlog(self._states(self._open_stages))
        self._idle_since = None if backlog.open else self._idle_since or time.monotonic()
        if self._idle_since is not None and not self._shut and time.monotonic() - self._idle_since < idle:
            self._stopping.wait(IDLE_TICK)
            return True
        if backlog.open == 0 or (not stay and backlog.due == 0 and time.monotonic() > self._stay_until):
            return False
        if backlog.due == 0:
            self._stopping.wait(min(max(backlog.next_due or TICK, 0.01), TICK))
        return True

    # ── in the threads ──────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self, stage: Stage, jobs: Sequence[Job]) -> None:
        width = self._settings.embed_threads
        Working(jobs, self._queue, self._leases, self._stopping, self._calls, width, self._count).run(stage)

    def _count(self, moved: Job, outcome: Outcome) -> None:
        failure = self._failure(moved, outcome)
        with self._counting:
            if isinstance(outcome, Wait):
                if outcome.ours:
                    self._stay_until = max(self._stay_until, time.monotonic() + outcome.seconds)
                return
            self.tally.reached[moved.status] += 1
            self._on_move(moved, outcome, failure)
            if failure is None:
                self._alike = ("", 0)
                return
            self.tally.failures.append(failure)
            code, count = self._alike
            self._alike = (failure.error.code, count + 1 if failure.error.code == code else 1)
            if self._alike[1] == self._settings.stop_after_alike:
                self._trouble = self._trouble or AlikeError(failure.error, self._alike[1])
                self._stopping.set()

    def _failure(self, moved: Job, outcome: Outcome) -> Failure | None:
        """How ``moved`` failed, if it did; what the store refused for the last time, only its row knows."""
        if moved.status not in FAILED:
            return None
        error = outcome.error if isinstance(outcome, Fail | Retry) else self._error_of(moved)
        return Failure(moved.source, moved.status, error)


def batches(jobs: Sequence[Job], count: int, size: int) -> Iterator[list[Job]]:
    """Cuts ``jobs``, in their order, into batches of at most ``count`` jobs and ``size`` bytes of documents.

    A document over ``size`` makes a batch of its own, so that small ones never wait for it.
    """
    batch: list[Job] = []
    total = 0
    for job in jobs:
        if batch and (len(batch) == count or total + job.raw_bytes > size):
            yield batch
            batch, total = [], 0
        batch.append(job)
        total += job.raw_bytes
    if batch:
        yield batch


def _slots(settings: RunnerSettings) -> dict[Command, int]:
    return {
        Command.PARSE: settings.parse_threads,
        Command.VALIDATE: 1,
        Command.CHUNK: settings.cpu_threads,
        Command.EMBED: EMBED_RUNS,
    }
