"""The claims that this process holds: kept alive by a heartbeat, and trusted only while they cannot have run out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from docproc.errors import DocprocError
from docproc.model import Job

if TYPE_CHECKING:
    from docproc.settings import RunnerSettings
    from docproc.store import Queue

log = logging.getLogger(__name__)

TRUSTED_SHARE = 0.8
"""Part of the lease after which a claim without a good heartbeat is no longer used."""


class Leases:
    """Which jobs are ours, and until when each claim may be used, by this process's own monotonic clock."""

    def __init__(self, queue: Queue, settings: RunnerSettings) -> None:
        self._queue = queue
        self._trusted = TRUSTED_SHARE * settings.lease
        self._interval = settings.heartbeat
        self._lock = threading.Lock()
        self._held: dict[UUID, tuple[Job, float]] = {}

    @property
    def jobs(self) -> list[Job]:
        """The jobs that are held."""
        with self._lock:
            return [job for job, _ in self._held.values()]

    def hold(self, jobs: Sequence[Job]) -> None:
        """Takes up ``jobs``, just claimed."""
        until = time.monotonic() + self._trusted
        with self._lock:
            self._held |= {job.job_id: (job, until) for job in jobs}

    def let_go(self, jobs: Iterable[Job]) -> None:
        """Forgets ``jobs``: settled, given back or lost."""
        # The next stage may have claimed a job anew before its last settle was heard of: that claim stays held.
        with self._lock:
            for job in jobs:
                if job.job_id in self._held and self._held[job.job_id][0].fence == job.fence:
                    del self._held[job.job_id]

    def are_good(self, job: Job) -> bool:
        """Whether the lease of ``job`` cannot have run out."""
        with self._lock:
            _, until = self._held.get(job.job_id, (job, 0.0))
        return time.monotonic() < until

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renews what is held every heartbeat while the context lasts."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(self._interval):
                jobs = self.jobs
                try:
                    renewed = self._queue.renew(jobs) if jobs else set()
                except DocprocError as error:
                    log.warning("no heartbeat", extra={"code": error.code, "jobs": len(jobs)})
                    continue
                self._extend(renewed)

        thread = threading.Thread(target=beat, name="docproc-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _extend(self, renewed: Set[UUID]) -> None:
        until = time.monotonic() + self._trusted
        with self._lock:
            self._held |= {job_id: (job, until) for job_id, (job, _) in self._held.items() if job_id in renewed}
