"""What the tests share: one cluster and one mock server a session, a migrated template, a clean database a test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from docproc import config
from docproc.app import App
from docproc.local import cluster, mocks
from docproc.postgres import migrations
from docproc.postgres.database import Database
from docproc.settings import MocksSettings, Secret, Secrets, Settings
from tests.support import Mocks

TABLES = (
    "document_vector_buffer",
    "document_chunk_buffer",
    "sources",
    "job_events",
    "upload_jobs",
    "parse_calls",
    "api_calls",
    "spending",
    "runs",
    "rate_limits",
    "installation",
    "serving",
    "index_builds",
)
"""In an order in which their rows can be deleted."""

COUNTERS = ("rate_limits", "spending")
"""Those that go on counting when what they counted is removed: a trial has used up a limit, and was paid for."""


def pytest_xdist_auto_num_workers() -> int:
    """Two workers more than there are cores: much of the time of these tests is spent waiting for other processes."""
    return (os.cpu_count() or 1) + 2


MakeApp = Callable[..., App]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The conninfo of an embedded cluster of this session's own, with fsync off."""
    with cluster.start(tmp_path_factory.mktemp("cluster"), fsync=False) as running:
        yield running.dsn


@pytest.fixture(scope="session")
def migrated(server: str) -> str:
    """The conninfo of a migrated database, never used itself: others are made from it."""
    return _migrated(server, "template_docproc")


@pytest.fixture(scope="session")
def _work(server: str, migrated: str) -> str:
    return clone(server, "template_docproc", "work")


@pytest.fixture
def conninfo(_work: str) -> str:
    """The conninfo of a migrated database without rows."""
    with psycopg.connect(_work, autocommit=True) as conn:
        # Left behind by a test's killed process, a backend could still hold locks for a moment.
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        for table in TABLES:
            conn.execute(f"DELETE FROM docproc.{table}".encode())
    return _work


@pytest.fixture
def database(conninfo: str) -> Iterator[Database]:
    """A migrated database without rows."""
    opened = Database(conninfo)
    yield opened
    opened.close()


@pytest.fixture
def empty_database(server: str) -> Iterator[Database]:
    """A database to which no migration was applied."""
    opened = Database(clone(server, "template1", "unmigrated"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def mock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mocks]:
    """Mock services without processing delay; tests compare their bill before and after."""
    options = mocks.MockOptions(processing_delay=0.0)
    with mocks.start(tmp_path_factory.mktemp("mocks"), options=options) as running:
        yield Mocks(running.address)


@pytest.fixture
def services(mock_server: Mocks) -> Iterator[Mocks]:
    """The mock services without faults."""
    mock_server.set_faults()
    yield mock_server
    mock_server.set_faults()


@pytest.fixture
def settings(conninfo: str, services: Mocks, tmp_path: Path) -> Settings:
    """The local profile's settings over the test's own database, storage and mocks, with short waits."""
    plain = config.load(environ={"DOCPROC_HOME": str(tmp_path / "home")})
    return replace(
        plain,
        secrets=Secrets(database_url=Secret(conninfo)),
        mocks=MocksSettings(address=services.address),
        parser=replace(plain.parser, first_poll=0.05, max_poll=0.2, reconcile_grace=0.0, timeout=10.0),
        runner=replace(plain.runner, backoff_base=0.01, backoff_cap=0.05),
    )


@pytest.fixture
def make_app(settings: Settings) -> Iterator[MakeApp]:
    """Opens an App over ``settings``; keyword arguments replace sections of them."""
    opened: list[App] = []

    def make(**sections: object) -> App:
        opened.append(App(replace(settings, **sections)))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for app in opened:
        app.__exit__(None, None, None)


@pytest.fixture
def app(make_app: MakeApp) -> App:
    """An App over the test's own database, storage and mocks."""
    return make_app()


def clone(server: str, template: str, name: str) -> str:
    """Makes a database from a template, replacing one of that name; returns its conninfo."""
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        conn.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return psycopg.conninfo.make_conninfo(server, dbname=name)


def _migrated(server: str, name: str) -> str:
    conninfo = clone(server, "template1", name)
    database = Database(conninfo)
    migrations.migrate(database)
    database.close()
    return conninfo
