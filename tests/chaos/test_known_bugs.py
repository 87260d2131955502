"""Bugs that other queues over Postgres had, each as a test that would have caught it there."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from docproc.errors import PermanentError, TransientError
from docproc.model import Done, Fail, Job, Outcome, Retry
from docproc.postgres.database import query
from docproc.postgres.runs import Runs
from docproc.states import OPEN, State
from tests.chaos.timing import lasting, later
from tests.integration.bench import RUNNER, Bench, Row
from tests.support import wait_until

BROKEN = PermanentError("parse.failed", "it is broken")
PASSING = TransientError("parse.unavailable", "it broke")

NEARLY_EMPTY = b"UPDATE pg_class SET reltuples = 1, relpages = 1000 WHERE oid = 'docproc.upload_jobs'::regclass"
"""Statistics from a time when the table had one row: to run the subquery again and again looks cheap."""

NAIVE_CLAIM = b"""
UPDATE docproc.upload_jobs j SET fence = j.fence + 1
  FROM (SELECT job_id FROM docproc.upload_jobs WHERE claimed_by IS NULL AND NOT is_final
         ORDER BY priority DESC, run_at, job_id LIMIT 3 FOR NO KEY UPDATE SKIP LOCKED) due
 WHERE j.job_id = due.job_id"""


def waiting_backends(bench: Bench) -> list[int]:
    """The backends that wait for a lock of another."""
    rows = bench.sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
    return [row["pid"] for row in rows]


def untimed(bench: Bench, job: Job) -> list[Row]:
    """A job as it stands, and its history."""
    return [{**bench.row(job.job_id), "now": None}, *bench.events(job.job_id)]


def test_a_claim_never_locks_more_rows_than_its_limit_says(bench: Bench) -> None:
    """oban #652: the planner ran the LIMIT subquery once for every outer row, and locked rows each time."""
    for _ in range(50):
        bench.make()
    values = {
        "states": list(map(str, OPEN)),
        "limit": 3,
        "owner": "host:1:1:a",
        "lease": 60.0,
        "only": None,
        "least": 0,
        "now": None,
    }
    with bench.database.transaction() as conn:
        conn.execute(NEARLY_EMPTY)
        with conn.transaction(force_rollback=True):
            assert conn.execute(NAIVE_CLAIM).rowcount > 3, "the planner does not do what this test is about"
        claimed = conn.execute(query("claim"), values).fetchall()
        free = bench.sql("SELECT job_id FROM docproc.upload_jobs FOR NO KEY UPDATE SKIP LOCKED")
        conn.rollback()
    assert (len(claimed), len(free)) == (3, 47)


def test_a_job_that_kills_its_workers_does_not_keep_its_place_in_the_queue(bench: Bench) -> None:
    """oban #1498: a row whose attempts were used up was claimed first for ever, and nothing behind it ran."""
    poison, behind = bench.make(priority=9), bench.make()
    settings = replace(RUNNER, max_attempts=3)
    deaths = 0
    while (job := bench.queue(f"host:1:1:{deaths}", settings).claim(OPEN, 1)[0]).job_id == poison:
        deaths += 1
        assert deaths <= 3, "it is claimed more often than its attempts allow"
        assert bench.queue(settings=settings).rescue(now=later(settings.lease + 60)) == 1
    assert (deaths, job.job_id, bench.row(poison)["status"]) == (3, behind, State.FAILED_PARSE)


def test_a_job_that_is_open_with_its_attempts_used_up_is_tried_and_then_fails(bench: Bench) -> None:
    """oban #1498, the other way into it: the number of attempts was lowered while the job was waiting."""
    used_up, behind = bench.make(priority=9, attempt=7), bench.make()
    queue = bench.queue()
    (job,) = queue.claim(OPEN, 1)
    assert job.job_id == used_up
    queue.settle(job, Retry(PASSING))
    assert bench.row(used_up)["status"] == State.FAILED_PARSE
    assert [job.job_id for job in queue.claim(OPEN, 5)] == [behind]


@pytest.mark.parametrize("owner", ["host:1:1:b", "host:1:1:a"], ids=["another process", "the same process"])
@pytest.mark.parametrize("late", [Retry(PASSING), Fail(BROKEN), Done()], ids=["retry", "fail", "done"])
def test_the_late_end_of_an_attempt_does_not_overwrite_the_next_attempt(
    bench: Bench, owner: str, late: Outcome
) -> None:
    """oban #532: attempt 2 failed late and put the job, which attempt 3 was working on, back into the queue."""
    first = bench.claim(owner="host:1:1:a")
    assert bench.queue().rescue(now=later(RUNNER.lease + 60)) == 1
    (second,) = bench.queue(owner).claim(OPEN, 1)
    before = untimed(bench, first)

    assert bench.queue("host:1:1:a").settle(first, late) is None

    assert untimed(bench, first) == before
    assert bench.queue(owner).settle(second, Done()) is not None
    assert bench.queue("host:1:1:a").settle(first, late) is None
    assert bench.row(first.job_id)["status"] == State.PARSE_QUEUED


def test_a_rescue_that_looked_before_the_job_was_done_leaves_it_done(bench: Bench) -> None:
    """river #1302: the rescuer read stuck jobs, one was completed meanwhile, and the rescuer overwrote it."""
    blocker, worker = bench.claim(), bench.claim(owner="host:1:1:a")
    stop_at_first = (
        "CREATE FUNCTION docproc.stop() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock(1302); RETURN NEW; END $$;"
        " CREATE TRIGGER stop BEFORE UPDATE ON docproc.upload_jobs FOR EACH ROW"
        f" WHEN (OLD.job_id = '{blocker.job_id}' AND NEW.claimed_by IS NULL) EXECUTE FUNCTION docproc.stop()"
    )
    bench.sql(stop_at_first)
    try:
        with psycopg.connect(bench.database.conninfo) as gate:
            gate.execute("SELECT pg_advisory_xact_lock(1302)")
            with lasting(lambda: bench.queue().rescue(now=later(RUNNER.lease + 60))) as rescue:
                wait_until(lambda: bool(waiting_backends(bench)))
                with lasting(lambda: bench.queue("host:1:1:a").settle(worker, Done())) as settle:
                    wait_until(lambda: settle.done() or len(waiting_backends(bench)) == 2)
                    gate.rollback()
                    settled, freed = settle.result(30), rescue.result(30)
    finally:
        bench.sql("DROP TRIGGER stop ON docproc.upload_jobs; DROP FUNCTION docproc.stop")
    row = bench.row(worker.job_id)
    expected = (State.PARSE_QUEUED, 1, 1) if settled else (State.UPLOADED, 2, 2)
    assert (row["status"], row["fence"], freed) == expected
    assert len(bench.events(worker.job_id)) == 1


def test_a_rescue_passes_by_a_job_that_is_just_being_settled(bench: Bench) -> None:
    """river #1302, the other order: the settle holds the row when the rescuer comes."""
    job = bench.claim(owner="host:1:1:a")
    with ThreadPoolExecutor(1) as pool, bench.database.transaction() as conn:
        conn.execute("SELECT 1 FROM docproc.upload_jobs WHERE job_id = %s FOR NO KEY UPDATE", [job.job_id])
        assert pool.submit(lambda: bench.queue().rescue(now=later(RUNNER.lease + 60))).result(10) == 0
    assert bench.queue("host:1:1:a").settle(job, Done()) is not None
    assert bench.queue().rescue(now=later(RUNNER.lease + 60)) == 0
    assert bench.row(job.job_id)["status"] == State.PARSE_QUEUED


def test_the_jobs_of_a_dead_worker_are_found_when_nothing_is_known_of_it(bench: Bench) -> None:
    """procrastinate #1518: the dead worker's row was pruned, and with it the way to its jobs."""
    owner = "elsewhere:1:1:a"
    Runs(bench.database, owner, uuid4()).begin("run-all", "local")
    job = bench.claim(owner=owner)
    assert bench.count("runs") == 1
    bench.sql("DELETE FROM docproc.runs")
    assert bench.queue().rescue(now=later(RUNNER.lease + 60)) == 1
    assert [again.job_id for again in bench.queue().claim(OPEN, 1)] == [job.job_id]


def test_a_job_never_ends_both_done_and_failed(bench: Bench) -> None:
    """solid_queue #589: a job that was claimed once was recorded as finished and as failed."""
    won: Counter[type] = Counter()
    for _ in range(30):
        job = bench.claim(owner="host:1:1:a")
        start = threading.Barrier(2)

        def settle(outcome: Outcome, job: Job = job, start: threading.Barrier = start) -> Job | None:
            start.wait(10)
            return bench.queue("host:1:1:a").settle(job, outcome)

        outcomes: list[Outcome] = [Done(), Fail(BROKEN)]
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(settle, outcomes))
        (winner,) = [outcome for outcome, moved in zip(outcomes, results, strict=True) if moved]
        won[type(winner)] += 1
        row = bench.row(job.job_id)
        assert row["status"] == (State.PARSE_QUEUED if winner is outcomes[0] else State.FAILED_PARSE)
        assert (row["failed_from"] is None) == (row["last_error"] is None) == (winner is outcomes[0])
        assert bench.steps(job.job_id) == [("uploaded", row["status"])]
    assert won.total() == 30


def test_a_rescue_whose_backend_is_terminated_is_done_again_and_strands_nothing(bench: Bench) -> None:
    """dbos-transact-py #716 and #742: the database restarted during recovery, and the recovered work was lost."""
    jobs = {bench.claim(owner="elsewhere:1:1:a").job_id for _ in range(5)}
    with psycopg.connect(bench.database.conninfo) as gate:
        gate.execute("LOCK TABLE docproc.job_events IN ACCESS EXCLUSIVE MODE")
        with lasting(lambda: bench.queue().rescue(now=later(RUNNER.lease + 60))) as rescue:
            wait_until(lambda: bool(waiting_backends(bench)))
            (pid,) = waiting_backends(bench)
            assert bench.sql("SELECT pg_terminate_backend(%s) AS done", pid)[0]["done"]
            wait_until(lambda: waiting_backends(bench) not in ([], [pid]))
            gate.rollback()
            assert rescue.result(30) == 5
    assert {job.job_id for job in bench.queue().claim(OPEN, 10)} == jobs
    assert [len(bench.events(job_id)) for job_id in jobs] == [1] * 5
