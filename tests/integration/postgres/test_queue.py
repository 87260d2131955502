"""Settles and leases: nothing changes without the lease, and what changes is what the outcome says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from docproc.errors import PermanentError, TransientError
from docproc.model import Advance, Chunked, Done, Fail, Job, Parsed, Retry, Wait
from docproc.states import State
from tests.integration.bench import RUNNER, Bench, chunks_of
from tests.support import wait_until

PASSING = TransientError("embed.unavailable", "the service is away", why="HTTP 503")
LASTING = PermanentError("parse.rejected", "the file cannot be opened")


# ── settle ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("strange", ["fence", "owner", "status", "free"])
def test_a_settle_without_the_lease_changes_nothing_and_writes_no_product(bench: Bench, strange: str) -> None:
    job = bench.claim(State.PARSE_VALIDATED)
    owner = "host:2:2:other" if strange == "owner" else "host:1:1:tester"
    if strange == "fence":
        bench.sql("UPDATE docproc.upload_jobs SET fence = fence + 1")
    if strange == "status":
        bench.sql("UPDATE docproc.upload_jobs SET status = 'chunks_stored'")
    if strange == "free":
        bench.sql("UPDATE docproc.upload_jobs SET claimed_by = NULL, lease_until = NULL")
    before = {**bench.row(job.job_id), "now": None}
    for outcome in (Done(product=Chunked(chunks_of("lost words"))), Advance(State.CHUNKS_STORED), Wait(1, "later")):
        assert bench.queue(owner).settle(job, outcome) is None
    assert bench.queue(owner).settle(job, Retry(PASSING)) is None
    assert bench.queue(owner).settle(job, Fail(LASTING)) is None
    assert {**bench.row(job.job_id), "now": None} == before
    assert bench.count("document_chunk_buffer") == 0
    assert bench.events(job.job_id) == []


def test_a_late_failure_of_one_attempt_does_not_touch_the_next(bench: Bench) -> None:
    first = bench.claim()
    bench.queue().rescue(now=bench.row(first.job_id)["now"] + timedelta(hours=1))
    (second,) = bench.queue("host:2:2:other").claim([State.UPLOADED], 1)
    assert bench.queue().settle(first, Fail(LASTING)) is None
    assert bench.queue("host:2:2:other").settle(second, Done()) is not None
    assert bench.row(first.job_id)["status"] == State.PARSE_QUEUED


def test_advance_keeps_the_claim_and_the_attempt(bench: Bench) -> None:
    job = bench.claim(State.EMBEDDING_QUEUED)
    before = bench.row(job.job_id)
    moved = bench.queue().settle(job, Advance(State.EMBEDDING_IN_PROGRESS))
    row = bench.row(job.job_id)
    assert moved == replace(job, status=State.EMBEDDING_IN_PROGRESS)
    assert row["status"] == State.EMBEDDING_IN_PROGRESS
    kept = ("claimed_by", "lease_until", "fence", "attempt")
    assert [row[name] for name in kept] == [before[name] for name in kept]
    assert moved is not None and bench.queue().settle(moved, Done(State.EMBEDDINGS_STORED)) is not None


def test_wait_gives_the_attempt_back_and_is_no_event(bench: Bench) -> None:
    job = bench.claim(attempt=2, last_error=Jsonb({"code": "embed.unavailable"}))
    bench.queue().settle(job, Wait(60, "the parser is at work"))
    row = bench.row(job.job_id)
    assert (row["attempt"], row["status"], row["claimed_by"], row["lease_until"]) == (2, "uploaded", None, None)
    assert 55 < (row["run_at"] - row["now"]).total_seconds() <= 60
    assert row["last_error"] == {"code": "embed.unavailable"}
    assert bench.events(job.job_id) == []


@pytest.mark.parametrize(("attempt", "least", "most"), [(1, 50, 100), (3, 200, 400), (4, 400, 800)])
def test_retry_backs_off_twice_as_long_each_time_with_jitter(
    bench: Bench, attempt: int, least: float, most: float
) -> None:
    job = bench.claim(attempt=attempt - 1)
    bench.queue().settle(job, Retry(PASSING))
    row = bench.row(job.job_id)
    assert least - 1 < (row["run_at"] - row["now"]).total_seconds() <= most
    assert (row["status"], row["attempt"], row["claimed_by"]) == ("uploaded", attempt, None)
    assert row["last_error"]["code"] == "embed.unavailable"
    assert [(e["from_status"], e["to_status"], e["code"]) for e in bench.events(job.job_id)] == [
        ("uploaded", "uploaded", "embed.unavailable")
    ]


def test_the_backoff_ends_at_its_cap(bench: Bench) -> None:
    job = bench.claim(attempt=900)
    settings = replace(RUNNER, max_attempts=10_000)
    bench.queue(settings=settings).settle(job, Retry(PASSING))
    row = bench.row(job.job_id)
    assert 499 < (row["run_at"] - row["now"]).total_seconds() <= 1000


def test_retry_after_overrides_the_backoff(bench: Bench) -> None:
    job = bench.claim()
    bench.queue().settle(job, Retry(PASSING, after=7.0))
    row = bench.row(job.job_id)
    assert 6 < (row["run_at"] - row["now"]).total_seconds() <= 7


def test_the_last_attempt_ends_in_the_failure_state_with_code_and_remedy(bench: Bench) -> None:
    job = bench.claim(State.CHUNKS_STORED, attempt=RUNNER.max_attempts - 1)
    bench.queue().settle(job, Retry(PASSING))
    row = bench.row(job.job_id)
    assert (row["status"], row["failed_from"], row["claimed_by"]) == ("failed_embedding", "chunks_stored", None)
    assert row["last_error"] == {
        "code": "embed.unavailable",
        "what": "the service is away",
        "why": "HTTP 503",
        "remedy": PASSING.remedy,
    }
    assert row["last_error"]["remedy"]


def test_done_clears_the_error_and_the_attempts(bench: Bench) -> None:
    job = bench.claim(State.PARSED, attempt=3, last_error=Jsonb({"code": "x"}))
    product = Parsed("storage://parsed/default/a.md", "sha", {"pages_total": 3})
    moved = bench.queue().settle(job, Done(product=product, after=30))
    row = bench.row(job.job_id)
    assert moved is not None and moved.status is State.PARSE_VALIDATED
    assert (row["attempt"], row["last_error"], row["claimed_by"], row["failed_from"]) == (0, None, None, None)
    assert (row["parsed_path"], row["parsed_sha"]) == ("storage://parsed/default/a.md", "sha")
    assert row["progress"]["pages_total"] == 3
    assert 25 < (row["run_at"] - row["now"]).total_seconds() <= 30


def test_done_through_several_rows_writes_one_event_a_row(bench: Bench) -> None:
    job = bench.claim(State.CHUNKS_STORED)
    bench.make_whole(job.job_id)
    bench.sql("UPDATE docproc.upload_jobs SET state_since = now() - interval '90 seconds'")
    bench.queue().settle(job, Done(State.COMPLETE))
    events = bench.events(job.job_id)
    assert [(e["from_status"], e["to_status"]) for e in events] == [
        ("chunks_stored", "embedding_queued"),
        ("embedding_queued", "embedding_in_progress"),
        ("embedding_in_progress", "embeddings_stored"),
        ("embeddings_stored", "complete"),
    ]
    assert [round(e["seconds"]) for e in events] == [90, 0, 0, 0]
    assert {(e["worker"], e["fence"]) for e in events} == {("host:1:1:tester", 1)}


def test_done_does_not_lead_into_the_rows_of_another_command(bench: Bench) -> None:
    job = bench.claim(State.PARSE_VALIDATED)
    with pytest.raises(ValueError, match="chunk does not lead"):
        bench.queue().settle(job, Done(State.COMPLETE))
    assert bench.row(job.job_id)["status"] == State.PARSE_VALIDATED


# ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_renew_extends_what_is_held_and_reports_what_is_lost(bench: Bench) -> None:
    kept, stolen, freed = (bench.claim() for _ in range(3))
    bench.sql("UPDATE docproc.upload_jobs SET lease_until = now() + interval '1 second'")
    bench.sql("UPDATE docproc.upload_jobs SET fence = fence + 1, claimed_by = 'other' WHERE job_id = %s", stolen.job_id)
    bench.sql("UPDATE docproc.upload_jobs SET claimed_by = NULL, lease_until = NULL WHERE job_id = %s", freed.job_id)
    assert bench.queue().renew([kept, stolen, freed]) == {kept.job_id}
    row, other = bench.row(kept.job_id), bench.row(stolen.job_id)
    assert (row["lease_until"] - row["now"]).total_seconds() > RUNNER.lease - 5
    assert (other["lease_until"] - other["now"]).total_seconds() < 2


def test_release_gives_claim_and_attempt_back_and_leaves_others_alone(bench: Bench) -> None:
    held, stolen = bench.claim(attempt=3), bench.claim()
    bench.sql("UPDATE docproc.upload_jobs SET fence = fence + 1 WHERE job_id = %s", stolen.job_id)
    assert bench.queue().release([held, stolen]) == 1
    row = bench.row(held.job_id)
    assert (row["claimed_by"], row["lease_until"], row["attempt"], row["fence"]) == (None, None, 3, held.fence)
    assert bench.row(stolen.job_id)["claimed_by"] == "host:1:1:tester"
    assert bench.queue().settle(held, Done()) is None


@pytest.mark.parametrize("statement", ["renew", "release", "disown", "count_embeds"])
def test_statements_over_many_jobs_lock_them_in_one_order(bench: Bench, conninfo: str, statement: str) -> None:
    """Two statements that lock the same rows in different orders end in a deadlock, and one of them is lost."""
    jobs = sorted((bench.claim(State.CHUNKS_STORED) for _ in range(8)), key=lambda job: job.job_id)
    for job in jobs:
        bench.make_whole(job.job_id)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(conninfo) as first:
        first.execute("SELECT FROM docproc.upload_jobs WHERE job_id = %s FOR UPDATE", [jobs[0].job_id])
        waiting = pool.submit(run_over, bench, statement, list(reversed(jobs)))
        until_blocked(bench)
        free = bench.sql("SELECT job_id FROM docproc.upload_jobs FOR UPDATE SKIP LOCKED")
        first.rollback()
        waiting.result(20)
    assert {row["job_id"] for row in free} == {job.job_id for job in jobs[1:]}


def run_over(bench: Bench, statement: str, jobs: list[Job]) -> None:
    match statement:
        case "renew":
            bench.queue().renew(jobs)
        case "release":
            bench.queue().release(jobs)
        case "disown":
            bench.queue().disown([])
        case _:
            bench.database.run(statement, {"job_ids": [job.job_id for job in jobs]})


def until_blocked(bench: Bench) -> None:
    statement = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    wait_until(lambda: bool(bench.sql(statement)))


def test_the_backlog_counts_open_and_due_jobs_and_the_time_to_the_next(bench: Bench) -> None:
    states = [State.UPLOADED, State.PARSE_QUEUED]
    assert bench.queue().backlog(states).open == 0
    assert bench.queue().backlog(states).next_due is None
    bench.make(State.COMPLETE)
    bench.make(State.PARSED)
    bench.make()
    bench.sql("UPDATE docproc.upload_jobs SET run_at = now() + interval '60 seconds'")
    backlog = bench.queue().backlog(states)
    assert (backlog.open, backlog.due) == (1, 0)
    assert backlog.next_due is not None and 55 < backlog.next_due <= 60
    bench.make(State.PARSE_QUEUED)
    backlog = bench.queue().backlog(states)
    assert (backlog.open, backlog.due) == (2, 1)
    assert backlog.next_due is not None and backlog.next_due <= 0
