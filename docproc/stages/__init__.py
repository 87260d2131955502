"""The rules of each stage: a claimed job in, an outcome out; no stage writes a status, and none knows a vendor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from docproc.errors import JobError, PermanentError, ProgramError, ThrottledError, TransientError
from docproc.model import Fail, Job, Outcome, Retry, Wait
from docproc.states import Command, State

log = logging.getLogger(__name__)

THROTTLED_PAUSE = 5.0
"""Seconds to wait when a provider limits the rate without saying for how long."""

T = TypeVar("T")


class Context(Protocol):
    """What a stage may do with the jobs that were claimed for it."""

    def settle(self, job: Job, outcome: Outcome) -> None:
        """Ends the work on ``job`` with ``outcome``; written soon, in one transaction with its neighbours."""

    def advance(self, jobs: Sequence[Job], to: State) -> list[Job]:
        """Moves ``jobs`` on at once, still claimed: a request is about to be sent. Returns those still ours."""

    def may_go_on(self, job: Job) -> bool:
        """Whether work on ``job`` may be begun: not when stopping, nor on a lease that may have run out."""

    def pause(self, seconds: float) -> bool:
        """Waits; False, and at once, when the run is asked to stop."""

    def concurrently(self, next_call: Callable[[], Callable[[], T] | None]) -> Iterator[T]:
        """Runs calls side by side and yields their results as they come.

        ``next_call`` is asked, in the caller's thread, whenever there is room; it may answer None for now. The end is
        when it does and nothing is in flight. What a call raises is raised here once the others are finished.
        """


class Stage(Protocol):
    """One command of the pipeline.

    ``run`` works on up to ``batch`` jobs, of up to ``batch_bytes`` (unless it is one), that were claimed together. A
    job that it leaves is given back; an exception it raises is the outcome of those that it had not settled. With
    ``spread`` a few jobs are divided among the free threads instead of filling one batch: each is a call of its own.
    """

    command: Command
    batch: int
    batch_bytes: int
    spread: bool

    def run(self, jobs: Sequence[Job], context: Context) -> None:
        """Works on ``jobs`` and settles each."""


def settle_each(jobs: Sequence[Job], context: Context, work: Callable[[Job], Outcome], command: Command) -> None:
    """Settles each of ``jobs`` with what ``work`` says of it, so that none suffers for another; stops when asked to."""
    for job in jobs:
        if not context.may_go_on(job):
            return
        try:
            outcome = work(job)
        except ProgramError:
            raise
        except Exception as error:
            outcome = outcome_of(error, command)
        context.settle(job, outcome)


def outcome_of(error: Exception, command: Command) -> Outcome:
    """The one place where a job's trouble becomes its outcome."""
    match error:
        case ThrottledError():
            pause = error.pause.seconds or THROTTLED_PAUSE
            log.info("a provider limits the rate", extra={"stage": command, "code": error.code, "waits": pause})
            return Wait(pause, error.what)
        case PermanentError():
            return Fail(error)
        case JobError():
            return Retry(error)
    log.error("an unexpected error", extra={"stage": command, "code": "job.unexpected"}, exc_info=error)
    return Retry(TransientError("job.unexpected", f"unexpected {type(error).__name__} in {command}"))
