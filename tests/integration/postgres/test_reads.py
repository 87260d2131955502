"""What status reads from a real Postgres: who counts, who waits, who works, and that indexes are enough for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from docproc.postgres.database import Database, query
from docproc.postgres.reads import ONE_MOMENT, Reads
from docproc.states import FAILED, State
from docproc.status import Snapshot
from docproc.status.taking import read
from tests.integration.bench import Bench

NAMES: dict[str, Any] = {"title": "t", "user": "default", "model": "text-embedding-3-small", "tier": "cost_effective"}


def look(database: Database, **options: Any) -> Snapshot:
    return read(Reads(database).look("default", **options), **NAMES)


def brought(bench: Bench, state: State, uri: str | None = None, **columns: Any) -> UUID:
    """A job in ``state`` whose document a source names, as ingest makes it; returns its id."""
    job = bench.make(state, **columns)
    row = bench.row(job)
    bench.sql(
        "INSERT INTO docproc.sources (user_id, uri, document_id) VALUES (%s, %s, %s)"
        " ON CONFLICT (user_id, uri) DO UPDATE SET document_id = excluded.document_id",
        row["user_id"],
        uri or row["source"],
        row["document_id"],
    )
    return job


def counts(snapshot: Snapshot) -> dict[str, int]:
    return {str(state): standing.documents for state, standing in snapshot.states.items() if standing.documents}


def test_an_empty_database_is_told_as_such(database: Database) -> None:
    seen = look(database)
    assert (seen.total, seen.open, seen.eta, seen.rate, seen.failures) == (0, 0, None, 0.0, ())
    assert seen.schema_version == bench_version(database)
    assert seen.parts == (0,) * 12


def bench_version(database: Database) -> int:
    return int(Bench(database).sql("SELECT max(version) AS v FROM docproc.schema_migrations")[0]["v"])


@pytest.mark.parametrize("few", [10**12, 0], ids=["documents", "jobs"])
def test_every_state_is_counted_with_the_age_of_its_oldest(database: Database, bench: Bench, few: int) -> None:
    for n, state in enumerate(State):
        for _ in range(n + 1):
            brought(bench, state, state_since=datetime.now(UTC) - timedelta(hours=n))
    seen = look(database, few=few)
    assert counts(seen) == {str(state): n + 1 for n, state in enumerate(State)}
    assert seen.counts_documents is (few > 0)
    assert seen.states[State.PARSED].oldest == pytest.approx(2 * 3600, abs=60)
    assert seen.states[State.COMPLETE].oldest is None


@pytest.mark.parametrize("few", [10**12, 0], ids=["documents", "jobs"])
def test_trials_are_not_counted(database: Database, bench: Bench, few: int) -> None:
    brought(bench, State.COMPLETE)
    brought(bench, State.COMPLETE, user_id="docproc-trial-1a")
    brought(bench, State.FAILED_PARSE, user_id="docproc-trial-1a")
    brought(bench, State.COMPLETE, user_id="docproc-users")
    brought(bench, State.COMPLETE, user_id="docpro")
    seen = look(database, few=few)
    assert counts(seen) == {"complete": 3}
    assert seen.failures == ()


def test_after_a_change_of_model_a_document_counts_by_its_newest_job(database: Database, bench: Bench) -> None:
    earlier = datetime.now(UTC) - timedelta(days=1)
    for _ in range(3):
        old = bench.row(brought(bench, State.COMPLETE, created_at=earlier))
        bench.make(State.CHUNKS_STORED, document_id=old["document_id"], embed_model="text-embedding-3-large")
    assert counts(look(database)) == {"chunks_stored": 3}
    assert counts(look(database, few=0)) == {"chunks_stored": 3, "complete": 3}


def test_the_old_version_of_a_changed_file_does_not_count(database: Database, bench: Bench) -> None:
    brought(bench, State.FAILED_PARSE, uri="/in/a.pdf")
    brought(bench, State.COMPLETE, uri="/in/a.pdf")
    seen = look(database)
    assert counts(seen) == {"complete": 1}
    assert seen.states[State.FAILED_PARSE].jobs == 1
    assert [(failure.jobs, failure.documents) for failure in seen.failures] == [(1, 0)]
    assert Reads(database).documents(FAILED, limit=10) == []


def test_a_withdrawn_document_does_not_count(database: Database, bench: Bench) -> None:
    brought(bench, State.COMPLETE)
    bench.sql("UPDATE docproc.sources SET withdrawn_at = now()")
    assert look(database).total == 0


def test_what_is_still_worked_on_counts_even_when_no_source_names_it_any_more(database: Database, bench: Bench) -> None:
    bench.make(State.PARSED)
    assert look(database).open == 1


def test_those_that_wait_are_told_from_those_that_are_due(database: Database, bench: Bench) -> None:
    later = datetime.now(UTC) + timedelta(minutes=5)
    for priority in (0, 7, -3):
        bench.make(State.PARSE_QUEUED, run_at=later + timedelta(minutes=abs(priority)), priority=priority)
        bench.make(State.PARSE_QUEUED, priority=priority)
    bench.make(State.COMPLETE, run_at=later)
    standing = look(database).states[State.PARSE_QUEUED]
    assert (standing.documents, standing.waiting, standing.due) == (6, 3, 3)
    assert standing.next_due == pytest.approx(300, abs=30)


def test_workers_hosts_and_stale_leases_are_counted(database: Database, bench: Bench) -> None:
    soon, past = datetime.now(UTC) + timedelta(minutes=2), datetime.now(UTC) - timedelta(minutes=10)
    for owner, until in (("a:1:1:x", soon), ("a:1:1:x", soon), ("a:2:1:y", soon), ("b:1:1:z", soon), ("c:9:1:w", past)):
        bench.make(State.PARSED, claimed_by=owner, lease_until=until)
    seen = look(database)
    assert (seen.workers.alive, seen.workers.hosts, seen.workers.stale) == (3, 2, 1)
    assert seen.workers.stale_for == pytest.approx(600, abs=30)
    assert seen.states[State.PARSED].claimed == 5


def test_the_last_hour_is_told_in_twelve_parts_and_the_rate_by_its_latest(database: Database, bench: Bench) -> None:
    now = datetime.now(UTC)
    for minutes in (1, 2, 8, 33, 33, 59, 61, 300):
        brought(bench, State.COMPLETE, state_since=now - timedelta(minutes=minutes, seconds=5))
    brought(bench, State.PARSED)
    seen = look(database)
    assert seen.parts == (1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 2)
    assert seen.last_hour == 6
    assert seen.rate == pytest.approx(3 / 8.08, abs=0.05)
    assert seen.eta == pytest.approx(60 / seen.rate)


def test_the_last_day_counts_what_came_in_and_what_ended(database: Database, bench: Bench) -> None:
    now = datetime.now(UTC)
    for hours, minutes, state in ((1, 10, State.COMPLETE), (2, 20, State.COMPLETE), (30, 5, State.COMPLETE)):
        since = now - timedelta(hours=hours)
        job = brought(bench, state, state_since=since, created_at=since - timedelta(minutes=minutes))
        bench.sql("INSERT INTO docproc.job_events (job_id, at, to_status) VALUES (%s, %s, 'uploaded')", job, since)
    brought(bench, State.FAILED_EMBEDDING)
    day = look(database).day
    assert (day.jobs, day.complete, day.failed) == (2, 2, 1)
    assert day.average_minutes == pytest.approx(15, abs=0.1)


def test_percentiles_are_of_the_seconds_in_each_state_that_was_left(database: Database, bench: Bench) -> None:
    job = bench.make(State.PARSED)
    for seconds in range(1, 101):
        bench.sql(
            "INSERT INTO docproc.job_events (job_id, from_status, to_status, seconds)"
            " VALUES (%s, 'parse_queued', 'parsed', %s), (%s, 'parse_queued', 'parse_queued', 9999)",
            job,
            seconds,
            job,
        )
    standing = look(database).states[State.PARSE_QUEUED]
    assert standing.p50 == pytest.approx(50.5)
    assert standing.p95 == pytest.approx(95.05)


def test_failures_are_grouped_by_code_with_states_and_the_next_command(database: Database, bench: Bench) -> None:
    from psycopg.types.json import Jsonb

    for code, remedy, times in (("parse.timeout", "docproc retry --resubmit", 3), ("validate.empty", "look at it", 1)):
        for _ in range(times):
            error = {"code": code, "what": "w", "why": "y", "remedy": remedy}
            brought(bench, State.FAILED_PARSE, last_error=Jsonb(error))
    first, second = look(database).failures
    assert (first.code, first.documents, first.states) == ("parse.timeout", 3, (State.FAILED_PARSE,))
    assert first.next == "docproc retry --resubmit --code parse.timeout"
    assert (second.code, second.next) == ("validate.empty", "docproc status --code validate.empty")


def test_todays_purchases_are_priced_and_what_is_open_is_told(database: Database, bench: Bench) -> None:
    bench.sql("INSERT INTO docproc.installation (parser_kind, embedder_kind) VALUES ('real', 'mock')")
    calls = (
        ("page", 100, "1 second"),
        ("page", None, "1 second"),
        ("token", 5000, "1 second"),
        ("page", 9, "25 hours"),
    )
    for unit, units, age in calls:
        bench.sql(
            "INSERT INTO docproc.api_calls (call_id, provider, operation, job_ids, unit, units_reported, started_at)"
            " VALUES (%s, 'p', 'o', '{}', %s, %s, now() - %s::interval)",
            uuid4(),
            unit,
            units,
            age,
        )
    pages, tokens = look(database).bought
    assert (pages.units, pages.calls, pages.unknown, pages.mock) == (100, 2, 1, False)
    assert pages.usd == pytest.approx(100 * 3 * 1.25 / 1000)
    assert (tokens.units, tokens.usd, tokens.mock) == (5000, 0.0, True)


def test_a_look_is_of_one_moment_and_changes_nothing(database: Database) -> None:
    with database.transaction() as conn:
        conn.execute(ONE_MOMENT)
        rows = (
            conn.execute("SHOW transaction_isolation").fetchall()
            + conn.execute("SHOW transaction_read_only").fetchall()
        )
    assert rows == [{"transaction_isolation": "repeatable read"}, {"transaction_read_only": "on"}]


# ── lists ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lists_are_filtered_by_state_code_age_and_source_together(database: Database, bench: Bench) -> None:
    old = datetime.now(UTC) - timedelta(hours=3)
    brought(bench, State.FAILED_PARSE, source="/in/Reports/may.pdf")
    brought(bench, State.FAILED_PARSE, source="/in/reports/june.pdf", state_since=old)
    brought(bench, State.UPLOADED, source="/in/reports/july.pdf")
    brought(bench, State.FAILED_CHUNKING, source="/in/100%_other.pdf")

    def names(states: tuple[State, ...] = tuple(State), **filters: Any) -> list[str]:
        rows = Reads(database).documents(states, limit=10, **filters)
        return sorted(row["source"].rpartition("/")[2] for row in rows)

    assert names() == ["100%_other.pdf", "july.pdf", "june.pdf", "may.pdf"]
    assert names(FAILED) == ["100%_other.pdf", "june.pdf", "may.pdf"]
    assert names(FAILED, source="reports") == ["june.pdf", "may.pdf"]
    assert names(FAILED, source="reports", since=7200.0) == ["may.pdf"]
    assert names(source="0%_o") == ["100%_other.pdf"]
    assert names(code="job.unexpected", source="may") == ["may.pdf"]
    assert names(code="parse.timeout") == []
    assert len(Reads(database).documents(tuple(State), limit=2)) == 2


# ── one document ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_document_is_found_by_any_beginning_of_its_id(database: Database, bench: Bench) -> None:
    document = UUID("1234abcd-0000-5000-8000-0123456789ab")
    bench.make(document_id=document)
    bench.make(document_id=UUID("1234abce-0000-5000-8000-0123456789ab"))
    reads = Reads(database)

    def found(name: str) -> set[str]:
        return {str(job["document_id"])[:8] for job in reads.jobs_of("default", name, f"/nowhere/{name}")}

    for name in ("1234abcd", "1234ABCD-0", "1234abcd-0000-5000-8000-0123456789ab", "1234abcd00005000"):
        assert found(name) == {"1234abcd"}
    assert found("1234abc") == {"1234abcd", "1234abce"}
    assert found("123") == set()
    assert found("1234abcf") == set()


def test_a_document_is_found_by_its_path_and_by_the_name_of_its_file(database: Database, bench: Bench) -> None:
    job = brought(bench, State.PARSED, source="/in/a%b_c.pdf")
    reads = Reads(database)
    assert [row["job_id"] for row in reads.jobs_of("default", "x", "/in/a%b_c.pdf")] == [job]
    assert [row["job_id"] for row in reads.jobs_of("default", "a%b_c.pdf", "/elsewhere")] == [job]
    assert reads.jobs_of("default", "axb_c.pdf", "/elsewhere") == []
    assert reads.jobs_of("another", "a%b_c.pdf", "/in/a%b_c.pdf") == []


# ── at a size ───────────────────────────────────────────────────────────────────────────────────────────────────────


def plan(bench: Bench, name: str, **values: object) -> str:
    with bench.database.transaction() as conn:
        text = query(name)
        given = {"only": None, **values} if b"%(" in text else None
        rows = conn.execute(b"EXPLAIN (COSTS OFF) " + text, given).fetchall()
    return "\n".join(str(row["QUERY PLAN"]) for row in rows)


def test_the_statements_go_through_indexes_where_there_are_many_rows(database: Database, bench: Bench) -> None:
    bench.sql(
        "INSERT INTO docproc.upload_jobs (document_id, user_id, status, source, extension, raw_path, raw_sha,"
        " raw_bytes, chunks_version, embed_model, embed_version, state_since) SELECT gen_random_uuid(), 'default',"
        " CASE n %% 10 WHEN 0 THEN 'uploaded' ELSE 'complete' END, repeat('s', 400), 'e', 'p', 'x', 1,"
        " 'c', 'm', 'd4-f1',"
        " now() - n * interval '10 s' FROM generate_series(1, %s) n",
        50_000,
    )
    bench.sql(
        "INSERT INTO docproc.job_events (job_id, at, from_status, to_status)"
        " SELECT job_id, state_since, NULL, 'uploaded' FROM docproc.upload_jobs"
    )
    with bench.database.transaction() as conn:
        conn.commit()
        conn.autocommit = True
        conn.execute("VACUUM ANALYZE docproc.upload_jobs")
        conn.execute("ANALYZE docproc.job_events")
        conn.autocommit = False
    complete, failed = "complete", [str(state) for state in FAILED]
    assert "Index Only Scan using upload_jobs_by_status" in plan(bench, "count_jobs")
    assert "Seq Scan on upload_jobs" not in plan(bench, "count_jobs")
    assert "(state_since > (now()" in plan(bench, "throughput", complete=complete)
    assert "Index Cond: (at > (now()" in plan(bench, "state_latencies")
    day = plan(bench, "last_day", complete=complete, failed=failed)
    assert "Seq Scan on upload_jobs" not in day
    assert "Seq Scan on upload_jobs" not in plan(bench, "failures_by_code", failed=failed, every=True)
    assert "Seq Scan on upload_jobs" not in plan(bench, "waiting")
    named = {"user": "default", "path": "/x", "first": "0" * 32, "last": "0" * 32}
    assert "Seq Scan on upload_jobs" not in plan(bench, "job_of", **named)
