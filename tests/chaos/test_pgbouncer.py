"""Behind a real pgbouncer in transaction mode, with fewer server connections than docproc has clients."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from docproc.local import accounts
from docproc.local.server import SOCKET
from tests.chaos.books import Books
from tests.chaos.library import CANARY, library
from tests.chaos.servers import OwnCluster, own_cluster
from tests.chaos.told import KEYS, assert_counts_are_true, assert_nothing_leaked, assert_receipts_are_true
from tests.e2e.conftest import local
from tests.e2e.tables import Tables
from tests.support import Mocks, Talking, wait_until

POOL = 2

SETTINGS = """[databases]
* = host={host} port=5432
[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = {folder}
unix_socket_mode = 0700
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 100
logfile = {folder}/log
pidfile = {folder}/pid
"""
"""The port names the socket's file, so that both ends have the same name."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    if _program() is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    with own_cluster(tmp_path_factory.mktemp("pooled"), migrated=False) as running:
        yield running


@pytest.fixture
def pooled(own: OwnCluster, tmp_path: Path) -> Iterator[str]:
    with pgbouncer(own, tmp_path / "bouncer") as conninfo:
        yield conninfo


def test_the_whole_pipeline_runs_behind_a_pooler_in_transaction_mode(
    own: OwnCluster, pooled: str, services: Mocks, tmp_path: Path
) -> None:
    papers = library(tmp_path / "papers", 20, seed=hash(str(tmp_path)))
    books = Books.open(own.conninfo, papers, services)
    docproc = local(tmp_path / "desk", pooled, services.address, **KEYS)

    migrated = docproc.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    both = [Talking(docproc.start("-v", "run-all", str(papers.folder))) for _ in range(2)]
    said = [run.end() for run in both]

    assert [run.process.returncode for run in both] == [0, 0], said
    balance = books.balance()
    balance.assert_sound()
    assert balance.inputs_twice == 0
    tables, lines = Tables(own.conninfo), "".join(said).splitlines()
    assert tables.number("SELECT count(*) FROM docproc.job_events WHERE code IS NOT NULL") == 0
    assert_counts_are_true(docproc.run, tables)
    assert_receipts_are_true(lines, tables)
    assert_nothing_leaked(CANARY, lines, tables)
    for command in (["status"], ["search", "anchor barley"], ["cleanup", "--dry-run"], ["validate-deploy", "--data"]):
        answer = docproc.run(*command)
        assert answer.returncode == 0, (command, answer.stdout, answer.stderr)


def test_no_more_connections_reach_the_server_than_the_pool_has(own: OwnCluster, pooled: str) -> None:
    """What the test above rests on: that there is a pooler, and that it is as small as it says."""
    backends = set()
    clients = [psycopg.connect(pooled, autocommit=True, prepare_threshold=None) for _ in range(5)]
    for client in clients:
        backends |= {row[0] for row in client.execute("SELECT pg_backend_pid()")}
        client.close()
    assert 1 <= len(backends) <= POOL


@contextmanager
def pgbouncer(own: OwnCluster, folder: Path) -> Iterator[str]:
    """Runs a pgbouncer before ``own`` while the context lasts; yields the conninfo that leads through it."""
    program = _program()
    assert program is not None
    folder.mkdir(mode=0o700)
    parts = own.parameters()
    (folder / "users").write_text(f'"{parts["user"]}" "{parts["password"]}"\n', encoding="ascii")
    settings = SETTINGS.format(host=parts["host"], folder=folder, pool=POOL)
    (folder / "pgbouncer.ini").write_text(settings, encoding="ascii")
    # Like Postgres it refuses root, and is let into the same folders in the same way.
    account = accounts.choose(folder, folder / "none", program)
    command = [*account.prefix, str(program), str(folder / "pgbouncer.ini")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until((folder / SOCKET).exists)
            yield make_conninfo(own.conninfo, host=str(folder), password=parts["password"], passfile="")
        finally:
            process.send_signal(signal.SIGINT)


def _program() -> Path | None:
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin:/usr/bin:/usr/local/bin")
    return Path(found) if found else None
