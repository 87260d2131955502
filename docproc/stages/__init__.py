"""The rules of each stage: a claimed job in, an outcome out; no stage writes a status, and none knows a vendor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from docproc.errors import JobError, PermanentError, ThrottledError
from docproc.model import Fail, Job, Outcome, Retry, Wait
from docproc.states import Command

Settle = Callable[[Job, Outcome], Job | None]
"""Settles one job. Returns the job as it stands afterwards; None when it is no longer ours to work on."""

THROTTLED_PAUSE = 5.0
"""Seconds to wait when a provider limits the rate without saying for how long."""


class Stage(Protocol):
    """One command of the pipeline.

    ``run`` works on up to ``batch`` jobs that were claimed together and settles each of them. An exception it raises
    is the outcome of those that it had not settled: see ``outcome_of``.
    """

    command: Command
    batch: int

    def run(self, jobs: Sequence[Job], settle: Settle) -> None:
        """Works on ``jobs`` and settles each."""


def outcome_of(error: JobError) -> Outcome:
    """The one place where a job's trouble becomes its outcome."""
    match error:
        case ThrottledError():
            return Wait(error.pause.seconds or THROTTLED_PAUSE, error.what)
        case PermanentError():
            return Fail(error)
        case _:
            return Retry(error)
