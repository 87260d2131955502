"""Bugs that other queues had with leases and heartbeats, each as a test that would have caught it there."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from docproc.model import Done, Job
from docproc.postgres.queue import Queue
from docproc.runner import Runner
from docproc.stages import Context
from docproc.states import OPEN, Command, State
from tests.chaos.timing import lasting, later
from tests.integration.bench import RUNNER, Bench
from tests.support import ROOT, bare_environment, wait_until


class Slow:
    """A stage that works for ``seconds`` before it asks whether it may go on, and counts what it does then."""

    command = Command.PARSE
    batch = 1
    batch_bytes = 1
    spread = False

    def __init__(self, seconds: float, effects: Counter[UUID]) -> None:
        self.seconds = seconds
        self.started = Counter[UUID]()
        self.effects = effects

    def run(self, jobs: Sequence[Job], context: Context) -> None:
        for job in jobs:
            self.started[job.job_id] += 1
            time.sleep(self.seconds)
            for moved in context.advance([job], State.PARSE_QUEUED):
                self.effects[job.job_id] += 1
                context.settle(moved, Done(State.PARSED))


def race(bench: Bench, *, lease: float, heartbeat: float) -> tuple[Counter[UUID], Counter[UUID]]:
    """Two runners, of which the first works longer than a lease; what each began, and the effects of both."""
    settings = replace(RUNNER, lease=lease, heartbeat=heartbeat, parse_threads=1)
    effects: Counter[UUID] = Counter()
    slow, quick = Slow(2 * lease, effects), Slow(0.0, effects)
    first, second = (Queue(bench.database, f"elsewhere:1:1:{name}", settings) for name in "ab")
    with lasting(lambda: Runner(first, [slow], settings).drain(stay=False)) as working:
        wait_until(lambda: bool(slow.started))
        Runner(second, [quick], settings).drain(stay=True)
        working.result(30)
    return slow.started + quick.started, effects


def test_a_job_that_takes_longer_than_its_lease_runs_once_while_its_heart_beats(bench: Bench) -> None:
    """pgqueuer #430: a job that ran longer than the timeout was given to a second worker too."""
    job_id = bench.make()
    started, effects = race(bench, lease=2.0, heartbeat=0.2)
    assert (started, effects) == ({job_id: 1}, {job_id: 1})


def test_a_heartbeat_slower_than_the_lease_starts_a_job_twice_but_has_one_effect(bench: Bench) -> None:
    """pgqueuer #430, with settings that make it happen: the loser learns that it has lost before it acts."""
    job_id = bench.make()
    started, effects = race(bench, lease=0.8, heartbeat=60.0)
    assert started[job_id] >= 2, "the lease did not run out"
    assert effects == {job_id: 1}
    assert bench.row(job_id)["status"] == State.PARSED


CLAIM_AND_HANG = """
import sys, time
from docproc.local.identity import owner_name
from docproc.postgres.database import Database
from docproc.postgres.queue import Queue
from docproc.settings import RunnerSettings
from docproc.states import OPEN
print(Queue(Database(sys.argv[1]), owner_name(), RunnerSettings()).claim(OPEN, 1)[0].job_id, flush=True)
time.sleep(600)
"""


def test_a_job_is_free_at_once_when_its_process_on_this_host_was_killed(bench: Bench) -> None:
    """graphile-worker #222: after a crash its jobs stayed locked for four hours."""
    job_id = bench.make()
    command = [sys.executable, "-c", CLAIM_AND_HANG, bench.database.conninfo]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=bare_environment(), cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline().strip() == str(job_id)
        assert bench.queue().rescue() == 0, "it is alive"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert bench.queue().rescue() == 1
    assert [job.job_id for job in bench.queue().claim(OPEN, 1)] == [job_id]


def test_a_job_is_free_after_its_lease_when_its_host_is_gone(bench: Bench) -> None:
    """graphile-worker #222: no lock outlives the lease that the settings name."""
    bench.make()
    settings = replace(RUNNER, lease=10.0)
    assert bench.queue("elsewhere:1:1:a", settings).claim(OPEN, 1)
    assert bench.queue().rescue(now=later(settings.lease - 5)) == 0
    assert bench.queue().rescue(now=later(settings.lease + 1)) == 1
