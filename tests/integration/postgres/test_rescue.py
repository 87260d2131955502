"""What happens to the claims of processes that died, hung or came back too late."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from docproc.errors import PermanentError
from docproc.local.identity import owner_name
from docproc.model import Done, Fail
from docproc.postgres.queue import RESCUE_BATCH
from docproc.states import TRANSITIONS, State, Transition
from tests.integration.bench import RUNNER, Bench

NAME_MYSELF = "from docproc.local.identity import owner_name; print(owner_name(), flush=True); input()"


def after_the_lease(bench: Bench) -> datetime:
    now: datetime = bench.sql("SELECT now() + %s AS at", timedelta(seconds=RUNNER.lease + 5))[0]["at"]
    return now


def test_an_expired_lease_is_freed_with_the_fence_raised_and_the_attempt_counted(bench: Bench) -> None:
    job = bench.claim(State.CHUNKS_STORED, attempt=1)
    assert bench.queue("host:2:2:other").rescue() == 0
    assert bench.queue("host:2:2:other").rescue(now=after_the_lease(bench)) == 1
    row = bench.row(job.job_id)
    assert (row["status"], row["claimed_by"], row["lease_until"]) == ("chunks_stored", None, None)
    assert (row["attempt"], row["fence"]) == (2, job.fence + 1)
    assert row["run_at"] <= row["now"]
    (event,) = bench.events(job.job_id)
    assert (event["code"], event["worker"], event["to_status"]) == (
        "job.lease_expired",
        "host:1:1:tester",
        "chunks_stored",
    )


def test_a_zombie_can_neither_settle_nor_renew_nor_release(bench: Bench) -> None:
    job = bench.claim()
    bench.queue("host:2:2:other").rescue(now=after_the_lease(bench))
    assert bench.queue().settle(job, Done()) is None
    assert bench.queue().renew([job]) == set()
    assert bench.queue().release([job]) == 0
    assert bench.row(job.job_id)["status"] == State.UPLOADED


def test_a_rescue_that_comes_late_leaves_finished_jobs_alone(bench: Bench) -> None:
    job = bench.claim(State.CHUNKS_STORED)
    bench.make_whole(job.job_id)
    bench.queue().settle(job, Done(State.COMPLETE))
    assert bench.queue("host:2:2:other").rescue(now=after_the_lease(bench)) == 0
    assert bench.row(job.job_id)["status"] == State.COMPLETE


@pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: row.source.value)
def test_a_job_that_killed_its_workers_often_enough_fails(bench: Bench, row: Transition) -> None:
    job = bench.claim(row.source, attempt=RUNNER.max_attempts - 1)
    assert bench.queue().rescue(now=after_the_lease(bench)) == 1
    seen = bench.row(job.job_id)
    assert (seen["status"], seen["failed_from"], seen["claimed_by"]) == (row.failure, row.source, None)
    assert seen["last_error"]["code"] == "job.lease_expired" and seen["last_error"]["remedy"]
    assert bench.steps(job.job_id) == [(row.source, row.failure)]
    assert bench.queue().settle(job, Done()) is None


def test_a_used_up_job_takes_no_slot_of_a_claim(bench: Bench) -> None:
    used_up = bench.claim(attempt=RUNNER.max_attempts - 1)
    other = bench.make()
    bench.queue().rescue(now=after_the_lease(bench))
    assert [job.job_id for job in bench.queue().claim([State.UPLOADED], 1)] == [other]
    assert bench.row(used_up.job_id)["status"] == State.FAILED_PARSE


def test_the_jobs_of_a_dead_process_of_this_host_are_freed_at_once(bench: Bench) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NAME_MYSELF], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        owner = process.stdout.readline().strip()
        bench.make()
        (job,) = bench.queue(owner).claim([State.UPLOADED], 1)
        assert bench.queue(owner_name()).rescue() == 0
        process.kill()
    assert bench.queue(owner_name()).rescue() == 1
    row = bench.row(job.job_id)
    assert (row["claimed_by"], row["fence"]) == (None, job.fence + 1)
    assert bench.queue(owner).settle(job, Fail(PermanentError("parse.rejected", "too late"))) is None


def test_the_claims_of_living_processes_and_of_other_hosts_stay(bench: Bench) -> None:
    mine, foreign = bench.claim(owner=owner_name()), bench.claim(owner="elsewhere-0123456789:1:1:x")
    assert bench.queue(owner_name()).rescue() == 0
    assert bench.row(mine.job_id)["claimed_by"] and bench.row(foreign.job_id)["claimed_by"]


def test_two_rescuers_free_a_job_once(bench: Bench) -> None:
    job = bench.claim()
    now = after_the_lease(bench)
    assert [bench.queue("host:2:2:a").rescue(now=now), bench.queue("host:3:3:b").rescue(now=now)] == [1, 0]
    assert bench.row(job.job_id)["fence"] == job.fence + 1


def test_a_job_that_is_being_settled_is_not_rescued_meanwhile(bench: Bench) -> None:
    job = bench.claim()
    now = after_the_lease(bench)
    with bench.database.transaction() as conn:
        conn.execute("SELECT FROM docproc.upload_jobs WHERE job_id = %s FOR NO KEY UPDATE", [job.job_id])
        assert bench.queue("host:2:2:other").rescue(now=now) == 0
    assert bench.queue("host:2:2:other").rescue(now=now) == 1


def test_a_rescue_frees_a_bounded_number_at_a_time(bench: Bench) -> None:
    bench.sql(
        "INSERT INTO docproc.upload_jobs (document_id, user_id, status, source, extension, raw_path, raw_sha,"
        " raw_bytes, chunks_version, embed_model, embed_version, claimed_by, lease_until, attempt)"
        " SELECT gen_random_uuid(), 'default', 'parsed', n::text, '.pdf', 'x', '0', 1, 'c@1', 'm', 'd4-f1', 'x',"
        " now() - interval '1 second', 1 FROM generate_series(1, %s) n",
        RESCUE_BATCH + 7,
    )
    assert [bench.queue().rescue() for _ in range(3)] == [RESCUE_BATCH, 7, 0]
