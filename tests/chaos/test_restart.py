"""Postgres goes away in the middle of a run, in every way it can: the run waits, goes on, and burns no attempt."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from docproc.local import cluster
from docproc.local.server import PostgresServer
from tests.chaos.books import Books
from tests.chaos.library import CANARY, Library, library
from tests.chaos.servers import FAST, IMMEDIATE, OwnCluster, own_cluster
from tests.chaos.told import KEYS, assert_counts_are_true, assert_nothing_leaked, assert_receipts_are_true
from tests.chaos.wire import Judge, Verdict, between
from tests.conftest import TABLES
from tests.e2e.conftest import local
from tests.e2e.tables import Tables
from tests.support import Mocks, Talking, always, wait_until

TRIES_BURNT = "SELECT count(*) FROM docproc.job_events WHERE code IS NOT NULL OR attempt > 1"
TERMINATE_COPY = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY incoming_vectors%'"
SHORTER = {"DOCPROC_PARSER_TIMEOUT": "4"}
"""For a lost answer about a submit: it is twice the timeout that a run waits before it submits again."""

CHANGES = "SELECT count(*) FROM docproc.job_events WHERE from_status <> to_status"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    with own_cluster(tmp_path_factory.mktemp("restarted")) as own:
        yield own


@pytest.fixture
def own(running: OwnCluster) -> OwnCluster:
    # A statement a transaction: the counters of money hear of each call that goes, and go last.
    with psycopg.connect(running.conninfo, autocommit=True) as conn:
        for table in TABLES:
            conn.execute(f"DELETE FROM docproc.{table}".encode())
    return running


@pytest.fixture
def papers(tmp_path: Path) -> Library:
    # Seeded by the test's own folder, for the mocks must not have seen them before.
    return library(tmp_path / "papers", 15, seed=hash(str(tmp_path)))


@pytest.mark.parametrize("mode", always([FAST, IMMEDIATE], IMMEDIATE))
def test_a_run_outlives_a_restart_of_postgres(
    own: OwnCluster, papers: Library, services: Mocks, tmp_path: Path, mode: signal.Signals
) -> None:
    services.set_faults("openai.slow:seconds=0.5")
    docproc, tables = local(tmp_path / "desk", own.conninfo, services.address, **KEYS), Tables(own.conninfo)
    books = Books.open(own.conninfo, papers, services)
    run = Talking(docproc.start("-v", "run-all", str(papers.folder)))
    wait_until(lambda: tables.number(CHANGES) > papers.documents)
    own.restart(mode)
    said = run.end()

    assert run.process.returncode == 0, said
    assert_as_if_nothing_had_happened(books, said)


def test_a_run_outlives_an_embedded_server_that_is_killed(papers: Library, services: Mocks, tmp_path: Path) -> None:
    services.set_faults("openai.slow:seconds=0.5")
    asked = len(services.log())
    docproc = local(tmp_path / "desk", "", services.address)
    server = PostgresServer(tmp_path.resolve() / "desk" / "home" / "postgres", cluster.binaries())
    run = docproc.start("run-all", str(papers.folder))
    wait_until(lambda: any(row["operation"] == "embeddings" for row in services.log()[asked:]))
    killed = server.status()
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    _, said = run.communicate(timeout=60)

    assert run.returncode == 0, said
    assert server.status() is None
    with cluster.start(tmp_path / "desk" / "home") as handle:
        tables = Tables(handle.dsn)
        assert tables.number("SELECT count(*) FROM docproc.upload_jobs WHERE status = 'complete'") == papers.documents
        assert tables.number(TRIES_BURNT) == 0


def test_a_backend_that_is_terminated_in_the_middle_of_a_copy_costs_nothing(
    own: OwnCluster, papers: Library, services: Mocks, tmp_path: Path
) -> None:
    struck = count(1)

    def judge(kind: bytes, body: bytes) -> Verdict:
        if kind == b"d" and next(struck) == 1:  # CopyData: the rows of a COPY
            with psycopg.connect(own.conninfo, autocommit=True) as conn:
                # Each thread that embeds may be in a COPY of its own.
                assert set(conn.execute(TERMINATE_COPY).fetchall()) == {(True,)}
        return Verdict.PASS

    run_through(judge, own, papers, services, tmp_path)
    assert next(struck) > 2


@pytest.mark.parametrize("verdict", [Verdict.CUT, Verdict.CUT_AFTER])
def test_a_commit_without_an_answer_is_neither_lost_nor_done_twice(
    own: OwnCluster, papers: Library, services: Mocks, tmp_path: Path, verdict: Verdict
) -> None:
    rng, commits = random.Random(7), count(1)

    def judge(kind: bytes, body: bytes) -> Verdict:
        # The first few belong to the start, which does not wait for a database.
        is_commit = kind == b"Q" and body[4:] == b"COMMIT\0" and next(commits) > 10
        return verdict if is_commit and rng.random() < 0.05 else Verdict.PASS

    run_through(judge, own, papers, services, tmp_path)
    assert next(commits) > 100


def run_through(judge: Judge, own: OwnCluster, papers: Library, services: Mocks, tmp_path: Path) -> None:
    """One run with ``judge`` on its line to Postgres, which must end as if nothing had happened."""
    books = Books.open(own.conninfo, papers, services)
    with between(own.conninfo, tmp_path / "wire", judge) as conninfo:
        docproc = local(tmp_path / "desk", conninfo, services.address, **SHORTER, **KEYS)
        said = docproc.run("-v", "run-all", str(papers.folder))
    past_the_wire = local(tmp_path / "desk", own.conninfo, services.address)
    assert_counts_are_true(past_the_wire.run, Tables(own.conninfo))
    assert said.returncode == 0, said.stderr
    assert f"done {papers.documents} " in said.stderr
    assert_as_if_nothing_had_happened(books, said.stderr)


def assert_as_if_nothing_had_happened(books: Books, said: str) -> None:
    balance, tables = books.balance(), Tables(books.conninfo)
    balance.assert_sound()
    assert balance.inputs_twice == 0
    assert tables.number(TRIES_BURNT) == 0
    assert_receipts_are_true(said.splitlines(), tables)
    assert_nothing_leaked(CANARY, said.splitlines(), tables)
