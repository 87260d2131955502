"""The runner and its leases: kept for as long as the work takes, not used when they may have run out."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from docproc.model import Done, Job, Outcome
from docproc.postgres.queue import Queue
from docproc.stages import Context
from docproc.states import Command, State
from tests.integration.acting import QUICK, Acting, runner, settling
from tests.integration.bench import Bench
from tests.support import wait_until


def test_the_heartbeat_keeps_a_lease_for_as_long_as_the_work_takes(bench: Bench) -> None:
    settings = replace(QUICK, lease=0.6, heartbeat=0.1)

    def work(jobs: Sequence[Job], context: Context) -> None:
        first = bench.row(jobs[0].job_id)["lease_until"]
        wait_until(lambda: bench.row(jobs[0].job_id)["now"] > first)
        assert bench.queue("host:9:9:other").rescue() == 0
        context.settle(jobs[0], Done())

    job_id = bench.make(State.PARSE_VALIDATED)
    runner(bench, Acting(work), settings=settings).drain(stay=True)
    row = bench.row(job_id)
    assert (row["status"], row["fence"]) == ("chunks_stored", 1)


def test_a_renewed_lease_is_good_for_further_requests(bench: Bench) -> None:
    settings = replace(QUICK, lease=0.6, heartbeat=0.1)

    def work(jobs: Sequence[Job], context: Context) -> None:
        until = time.monotonic() + settings.lease
        wait_until(lambda: time.monotonic() > until)
        moved = context.advance(jobs, State.EMBEDDING_QUEUED)
        assert moved, "the lease was renewed and yet not trusted"
        context.settle(moved[0], Done(State.COMPLETE))

    job_id = bench.make(State.CHUNKS_STORED)
    bench.make_whole(job_id)
    runner(bench, Acting(work, command=Command.EMBED), settings=settings).drain(stay=False)
    assert bench.row(job_id)["status"] == State.COMPLETE


def test_a_lease_that_may_have_run_out_is_not_used_for_a_request(bench: Bench) -> None:
    settings = replace(QUICK, lease=0.4, heartbeat=60.0)
    answers: list[list[Job]] = []

    def work(jobs: Sequence[Job], context: Context) -> None:
        if answers:
            context.settle(jobs[0], Done(State.COMPLETE))
            return
        until = time.monotonic() + settings.lease * 0.85
        wait_until(lambda: time.monotonic() > until)
        answers.append(context.advance(jobs, State.EMBEDDING_QUEUED))

    job_id = bench.make(State.CHUNKS_STORED)
    bench.make_whole(job_id)
    runner(bench, Acting(work, command=Command.EMBED), settings=settings).drain(stay=False)
    assert answers == [[]]
    assert bench.row(job_id)["status"] == State.COMPLETE


def test_a_job_that_is_claimed_again_at_once_keeps_its_heartbeat(bench: Bench) -> None:
    """The thread that settled a job must not let go of the claim that another thread has made since."""
    embed_has_it, chunk_is_over = threading.Event(), threading.Event()

    class Late(Queue):
        """Answers a chunk's settle only when the next stage has the job already."""

        def settle_all(self, changes: Sequence[tuple[Job, Outcome]]) -> list[Job | None]:
            moved = super().settle_all(changes)
            if changes[0][0].status is State.PARSE_VALIDATED:
                assert embed_has_it.wait(20)
            return moved

    class Chunking(Acting):
        def run(self, jobs: Sequence[Job], context: Context) -> None:
            super().run(jobs, context)
            chunk_is_over.set()

    def embed(jobs: Sequence[Job], context: Context) -> None:
        moved = context.advance(jobs, State.EMBEDDING_QUEUED)
        embed_has_it.set()
        assert moved and chunk_is_over.wait(20)
        moved = context.advance(moved, State.EMBEDDING_IN_PROGRESS)
        assert moved, "the claim was let go of"
        context.settle(moved[0], Done(State.COMPLETE))

    job_id = bench.make(State.PARSE_VALIDATED)
    bench.make_whole(job_id)
    queue = Late(bench.database, "host:1:1:tester", QUICK)
    chunking = Chunking(settling(Done()))
    running = runner(bench, chunking, Acting(embed, command=Command.EMBED), queue=queue)
    running.drain(stay=False)
    row = bench.row(job_id)
    assert (row["status"], row["last_error"]) == ("complete", None)


def test_a_run_first_frees_what_the_dead_hold(bench: Bench) -> None:
    job = bench.claim(State.PARSE_VALIDATED, owner="elsewhere:1:1:x")
    bench.sql("UPDATE docproc.upload_jobs SET lease_until = now() - interval '1 second'")
    stage = Acting(settling(Done()))
    tally = runner(bench, stage).drain(stay=False)
    assert tally.reached[State.CHUNKS_STORED] == 1
    assert bench.row(job.job_id)["fence"] == 3  # first claim, rescue, second claim
