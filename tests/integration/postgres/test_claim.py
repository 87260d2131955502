"""Claims: who gets what, in which order, how often, and by which index."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg

from docproc.postgres.database import Database, query
from docproc.postgres.queue import Queue
from docproc.states import OPEN, State
from tests.integration.bench import RUNNER, Bench


def test_a_claim_counts_an_attempt_raises_the_fence_and_sets_a_lease(bench: Bench) -> None:
    job_id = bench.make(attempt=2, fence=7)
    (job,) = bench.queue("host:1:1:a").claim([State.UPLOADED], 5)
    row = bench.row(job_id)
    assert (job.job_id, job.attempt, job.fence, job.status) == (job_id, 3, 8, State.UPLOADED)
    assert (row["attempt"], row["fence"], row["claimed_by"]) == (3, 8, "host:1:1:a")
    assert timedelta(seconds=RUNNER.lease - 5) < row["lease_until"] - row["now"] <= timedelta(seconds=RUNNER.lease)


def test_a_claim_takes_only_what_is_due_free_and_in_the_states_asked_for(bench: Bench) -> None:
    wanted = bench.make(State.PARSED)
    bench.make(State.UPLOADED)
    bench.make(State.COMPLETE)
    bench.make(State.FAILED_PARSE)
    later = bench.make(State.PARSED)
    bench.sql("UPDATE docproc.upload_jobs SET run_at = now() + interval '1 hour' WHERE job_id = %s", later)
    taken = bench.make(State.PARSED)
    bench.sql("UPDATE docproc.upload_jobs SET claimed_by = 'x', lease_until = now() WHERE job_id = %s", taken)
    assert [job.job_id for job in bench.queue().claim([State.PARSED], 10)] == [wanted]
    assert bench.queue().claim([State.PARSED], 10) == []


def test_no_claim_takes_a_final_job_even_when_asked(bench: Bench) -> None:
    bench.make(State.COMPLETE)
    assert bench.queue().claim(list(State), 10) == []


def test_a_later_time_makes_a_waiting_job_due(bench: Bench) -> None:
    job_id = bench.make()
    bench.sql("UPDATE docproc.upload_jobs SET run_at = now() + interval '1 hour'")
    now = bench.row(job_id)["now"]
    assert bench.queue().claim([State.UPLOADED], 1, now=now + timedelta(minutes=59)) == []
    assert len(bench.queue().claim([State.UPLOADED], 1, now=now + timedelta(minutes=61))) == 1


def test_the_higher_priority_and_then_the_longer_wait_comes_first(bench: Bench) -> None:
    ages = {"new": (0, 1), "old": (0, 60), "urgent": (5, 1), "old and urgent": (5, 60)}
    made = {bench.make(priority=priority): name for name, (priority, _) in ages.items()}
    for job_id, name in made.items():
        statement = "UPDATE docproc.upload_jobs SET run_at = now() - make_interval(mins => %s) WHERE job_id = %s"
        bench.sql(statement, ages[name][1], job_id)
    claimed = [made[bench.queue().claim([State.UPLOADED], 1)[0].job_id] for _ in made]
    assert claimed == ["old and urgent", "urgent", "old", "new"]


def test_eight_claimers_get_exactly_what_they_ask_for_and_nothing_twice(bench: Bench, conninfo: str) -> None:
    fill(bench, 400)
    databases = [Database(conninfo) for _ in range(8)]
    together = threading.Barrier(8)

    def claim(n: int) -> list[list[UUID]]:
        queue = Queue(databases[n], f"host:{n}:1:x", RUNNER)
        together.wait(20)
        # Of 400 jobs, 8 × 5 × 7 are asked for: nobody may come up short.
        return [[job.job_id for job in queue.claim([State.UPLOADED], 7)] for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        batches = [batch for batches in pool.map(claim, range(8)) for batch in batches]
    for database in databases:
        database.close()
    assert {len(batch) for batch in batches} == {7}
    assert len({job_id for batch in batches for job_id in batch}) == 280
    assert bench.sql("SELECT count(*) AS n FROM docproc.upload_jobs WHERE fence = 1")[0]["n"] == 280


def test_a_claim_passes_over_rows_that_somebody_has_locked(bench: Bench, conninfo: str) -> None:
    first, second = bench.make(priority=1), bench.make()
    with psycopg.connect(conninfo) as other:
        other.execute("SELECT FROM docproc.upload_jobs WHERE job_id = %s FOR NO KEY UPDATE", [first])
        with bench.database.transaction() as conn:
            conn.execute("SET LOCAL lock_timeout = '5s'")
            values = {
                "states": ["uploaded"],
                "limit": 1,
                "owner": "x",
                "lease": 120.0,
                "only": None,
                "least": 0,
                "now": None,
            }
            claimed = conn.execute(query("claim"), values).fetchall()
    assert [row["job_id"] for row in claimed] == [second]


def test_the_claim_reads_the_index_of_what_is_due(bench: Bench) -> None:
    fill(bench, 20_000)
    bench.sql("ANALYZE docproc.upload_jobs")
    values = {"states": list(OPEN), "limit": 10, "owner": "x", "lease": 120.0, "only": None, "least": 0, "now": None}
    with bench.database.transaction() as conn:
        (plan,) = conn.execute(b"EXPLAIN (FORMAT JSON) " + query("claim"), values).fetchall()
        conn.rollback()
    assert "upload_jobs_due" in indexes(plan["QUERY PLAN"])
    assert "Seq Scan" not in str(plan) and "Sort" not in [node["Node Type"] for node in nodes(plan["QUERY PLAN"])]


def fill(bench: Bench, count: int) -> None:
    """``count`` due jobs beside half as many that are complete."""
    bench.sql(
        "INSERT INTO docproc.upload_jobs (document_id, user_id, status, source, extension, raw_path, raw_sha,"
        " raw_bytes, chunks_version, embed_model, embed_version)"
        " SELECT gen_random_uuid(), 'default', CASE WHEN n <= %s THEN 'uploaded' ELSE 'complete' END, n::text, '.pdf',"
        " 'storage://raw/default/x.pdf', '0', 1, 'markdown-simple@1', 'm', 'd4-f1' FROM generate_series(1, %s) n",
        count,
        count * 3 // 2,
    )


def nodes(plan: Any) -> list[dict[str, Any]]:
    """Every node of an EXPLAIN in JSON."""
    if isinstance(plan, list):
        return [node for part in plan for node in nodes(part)]
    if not isinstance(plan, dict):
        return []
    own = [plan] if "Node Type" in plan else []
    return own + [node for part in plan.values() for node in nodes(part)]


def indexes(plan: Any) -> set[str]:
    """The indexes that a plan reads."""
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
