"""Stages that do what a test says, and a runner over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from docproc.model import Job, Outcome
from docproc.postgres.queue import Queue
from docproc.runner import Runner
from docproc.settings import RunnerSettings
from docproc.stages import Context, Stage
from docproc.states import Command
from tests.integration.bench import Bench

QUICK = RunnerSettings(backoff_base=60.0, backoff_cap=60.0, embed_threads=1)

Work = Callable[[Sequence[Job], Context], None]


@dataclass
class Acting:
    """A stage that does what the test says."""

    work: Work
    command: Command = Command.CHUNK
    batch: int = 1
    batch_bytes: int = 1_000_000
    spread: bool = False
    jobs: list[Job] = field(default_factory=list)

    def run(self, jobs: Sequence[Job], context: Context) -> None:
        self.jobs += jobs
        self.work(jobs, context)


def runner(bench: Bench, *stages: Stage, settings: RunnerSettings = QUICK, queue: Queue | None = None) -> Runner:
    return Runner(queue or bench.queue(settings=settings), stages, settings)


def raising(error: Exception) -> Work:
    def work(jobs: Sequence[Job], context: Context) -> None:
        raise error

    return work


def settling(outcome: Outcome) -> Work:
    def work(jobs: Sequence[Job], context: Context) -> None:
        for job in jobs:
            context.settle(job, outcome)

    return work
