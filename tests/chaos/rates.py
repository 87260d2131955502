"""Measures how many jobs a second several processes claim and settle, beside the rates of the queue's design."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from docproc.local import cluster
from docproc.local.server import PostgresServer
from docproc.model import Done
from docproc.postgres import migrations
from docproc.postgres.database import Database
from docproc.postgres.queue import Queue
from docproc.settings import RunnerSettings
from docproc.states import State

BATCHES = (1, 10, 50)

DESIGN = {
    (100_000, 1): 1_060,
    (100_000, 10): 9_024,
    (100_000, 50): 25_024,
    (1_000_000, 1): 1_018,
    (1_000_000, 10): 7_445,
    (1_000_000, 50): 12_075,
}
"""Jobs a second by pending rows and batch, as measured for the design: without history, eight claimers, two cores."""

_FILL = """
INSERT INTO docproc.upload_jobs (document_id, user_id, status, source, extension, raw_path, raw_sha, raw_bytes,
                                 chunks_version, embed_model, embed_version, run_at)
SELECT gen_random_uuid(), 'default', 'parsed', '/in/' || n, '.md', 'storage://raw/default/' || n, repeat('0', 64), 1,
       'markdown-simple@1', 'text-embedding-3-small', 'd1536-f1', now() - n * interval '1 ms'
  FROM generate_series(1, %s) n
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """Jobs a second of all claimers together, of a batch settled job by job and as a whole, and of the claims alone."""

    batch: int
    one_by_one: float
    together: float
    claims: float


def main(words: Sequence[str] | None = None) -> None:
    """Runs the measurement and prints a table."""
    options = _options(words)
    table = Table("pending", "batch", "settled together, jobs/s", "one by one", "claim alone", "design, together")
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder) / "postgres", cluster.binaries(), fsync=options.fsync)
        with cluster.ClusterHandle(server) as handle:
            for rows in options.rows:
                fill(handle.dsn, rows)
                for rate in measure(handle.dsn, options.claimers, options.seconds):
                    design = f"{DESIGN[rows, rate.batch]:,}" if (rows, rate.batch) in DESIGN else "–"
                    found = (rate.together, rate.one_by_one, rate.claims)
                    table.add_row(f"{rows:,}", f"{rate.batch}", *(f"{number:,.0f}" for number in found), design)
    Console(file=sys.stdout, width=100).print(table)


def fill(conninfo: str, rows: int) -> None:
    """Makes a database with ``rows`` jobs that are due."""
    database = Database(conninfo)
    migrations.migrate(database)
    database.close()
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("TRUNCATE docproc.upload_jobs, docproc.job_events, docproc.sources")
        conn.execute(_FILL, [rows])
        conn.execute("VACUUM ANALYZE docproc.upload_jobs")


def measure(conninfo: str, claimers: int, seconds: float) -> Iterator[Rate]:
    """The rate of each batch size; every claimer is a process with connections of its own."""
    context = multiprocessing.get_context("spawn")
    for batch in BATCHES:
        barrier = context.Barrier(claimers)
        with context.Pool(claimers, initializer=_share, initargs=(barrier,)) as pool:
            runs = [
                pool.starmap(_work, [(conninfo, n, batch, seconds, together) for n in range(claimers)], chunksize=1)
                for together in (False, True)
            ]
        one_by_one, together = (sum(count / spent for count, spent, _ in run) for run in runs)
        yield Rate(batch, one_by_one, together, sum(count / claiming for count, _, claiming in runs[1]))


def _share(barrier: Barrier) -> None:
    global _together  # noqa: PLW0603 - a barrier reaches a pool's processes only when they start
    _together = barrier


_together: Barrier


def _work(conninfo: str, n: int, batch: int, seconds: float, together: bool) -> tuple[int, float, float]:
    """Claims and settles for ``seconds``: the jobs settled, the seconds spent, and those of them spent claiming."""
    database = Database(conninfo)
    queue = Queue(database, f"host:{n}:1:claimer", RunnerSettings())
    queue.backlog([State.PARSED])
    settled, claiming = 0, 0.0
    _together.wait()
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        asked = time.monotonic()
        jobs = queue.claim([State.PARSED], batch)
        claiming += time.monotonic() - asked
        changes = [(job, Done()) for job in jobs]
        for part in [changes] if together else [[change] for change in changes]:
            settled += sum(moved is not None for moved in queue.settle_all(part))
    spent = time.monotonic() - began
    database.close()
    return settled, spent, claiming


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--claimers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--fsync", action="store_true", help="wait for the disk at every commit")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
