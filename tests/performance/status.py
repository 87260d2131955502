"""Prints what ``status`` costs with a million jobs, statement by statement: ``python -m tests.performance.status``."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from docproc.local import cluster
from docproc.postgres import migrations
from docproc.postgres.database import Database, query
from docproc.postgres.reads import Reads
from docproc.states import FAILED
from tests.support import bare_environment

TARGET = 250.0
"""Milliseconds that the statements of one look may take together."""

JOBS = """
INSERT INTO docproc.upload_jobs (document_id, user_id, status, failed_from, source, extension, raw_path, raw_sha,
  raw_bytes, chunks_version, embed_model, embed_version, progress, last_error, run_at, created_at, updated_at,
  state_since, parsed_path, parsed_sha)
SELECT gen_random_uuid(), 'default', s, CASE WHEN s LIKE 'failed%%' THEN 'parse_queued' END,
       '/data/' || n / 1000 || '/report-' || n || '.pdf', '.pdf', 'storage://raw/default/' || n,
       md5(n::text) || md5(n::text), 100000, 'markdown-simple@1', 'text-embedding-3-small', 'd1536-f1',
       '{"pages_total": 12, "chunks_total": 40, "chunks_done": 40, "embeds_total": 40, "embeds_done": 40}',
       CASE WHEN s LIKE 'failed%%' THEN jsonb_build_object(
         'code', (ARRAY['parse.timeout', 'validate.empty'])[1 + n %% 2],
         'what', 'it failed', 'why', 'for a reason', 'remedy', 'docproc retry') END,
       now() + (n %% 7 - 5) * interval '1 min', at - interval '5 min', at, at, 'storage://parsed/default/' || n,
       md5(n::text)
  FROM (SELECT n, now() - (%(jobs)s - n) * interval '2.4 s' AS at,
               CASE n %% 100 WHEN 90 THEN 'failed_parse' WHEN 91 THEN 'parse_queued' WHEN 92 THEN 'uploaded'
                             ELSE 'complete' END AS s FROM generate_series(1, %(jobs)s) n) made
"""
REST = (
    "INSERT INTO docproc.sources (user_id, uri, document_id)"
    " SELECT user_id, source, document_id FROM docproc.upload_jobs",
    "INSERT INTO docproc.job_events (job_id, at, from_status, to_status, seconds)"
    " SELECT j.job_id, j.state_since - step.ago * interval '1 min', step.f, step.t, random() * 60"
    " FROM docproc.upload_jobs j, (VALUES (5, NULL, 'uploaded'), (4, 'uploaded', 'parse_queued'),"
    " (3, 'parse_queued', 'parsed'), (2, 'parsed', 'parse_validated'), (1, 'parse_validated', 'chunks_stored'),"
    " (0, 'chunks_stored', 'complete')) AS step (ago, f, t) ORDER BY 2",
    "INSERT INTO docproc.api_calls (call_id, provider, operation, job_ids, unit, units_reported, outcome, started_at)"
    " SELECT gen_random_uuid(), 'llamaparse', 'parse', ARRAY[job_id], 'page', 12, 'ok', state_since"
    " FROM docproc.upload_jobs",
    "VACUUM ANALYZE",
)
STATEMENTS = (
    *("count_jobs", "last_day", "failures_by_code", "status_facts", "status_runs", "state_latencies", "throughput"),
    *("claims", "waiting", "latest_changes", "bought"),
)


def main() -> None:
    """Fills a database, times each statement, one whole look, and the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=7)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, cluster.start(Path(folder), fsync=False) as running:
        database = Database(running.dsn)
        migrations.migrate(database)
        with psycopg.connect(running.dsn, autocommit=True, prepare_threshold=None) as conn:
            conn.execute(JOBS, {"jobs": told.jobs})
            for statement in REST:
                conn.execute(statement.encode())
            together = sum(_statement(conn, name, told.times) for name in STATEMENTS)
        print(f"{'together':18} {together:8.1f} ms, at most {TARGET:.0f}")
        reads = Reads(database)
        _told("one look", _median(lambda: reads.look("default", few=0), told.times))
        database.close()
        _told("docproc status", _median(lambda: _command(running.dsn, Path(folder)), told.times))
    sys.exit(together > TARGET)


def _statement(conn: psycopg.Connection, name: str, times: int) -> float:
    text = query(name)
    values = {"user": "default", "complete": "complete", "failed": list(map(str, FAILED)), "limit": 10, "every": True}
    values |= {"only": None}
    given = values if b"%(" in text else None
    return _told(name, _median(lambda: conn.execute(text, given).fetchall(), times))


def _command(dsn: str, folder: Path) -> None:
    environ = bare_environment(DATABASE_URL=dsn, DOCPROC_HOME=str(folder / "home"), PYTHONDONTWRITEBYTECODE="")
    command = [sys.executable, "-m", "docproc", "status"]
    subprocess.run(command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, check=True, cwd=folder)


def _median(work: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


def _told(name: str, milliseconds: float) -> float:
    print(f"{name:18} {milliseconds:8.1f} ms", flush=True)
    return milliseconds


if __name__ == "__main__":
    main()
