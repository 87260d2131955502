"""The test's database by rows, for everything that is tested against a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from docproc.postgres.database import Database
from docproc.settings import Secret, Settings
from tests.conftest import clone
from tests.integration.bench import Bench
from tests.integration.sabotage import DATABASE, RIGHTS, Site


@pytest.fixture
def bench(database: Database) -> Bench:
    """Rows to order and to look at, in a migrated database without rows."""
    return Bench(database)


@pytest.fixture(scope="session")
def deployment_template(server: str, migrated: str) -> str:
    """A migrated database with the rights of a role that has no others."""
    conninfo = clone(server, "template_docproc", "template_checks")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("CREATE ROLE docproc_app LOGIN PASSWORD 'app'")
        for statement in RIGHTS:
            conn.execute(statement.encode())
    return "template_checks"


@pytest.fixture(scope="session")
def stale() -> list[str]:
    """Holds a word while the database is not known to be as the template is."""
    return ["not made yet"]


@pytest.fixture
def site(server: str, deployment_template: str, settings: Settings, stale: list[str]) -> Iterator[Site]:
    """A deployment in which all is well."""
    if stale:
        clone(server, deployment_template, DATABASE)
        stale.clear()
    conninfo = make_conninfo(server, dbname=DATABASE, user="docproc_app", password="app")
    made = Site(server, replace(settings, profile="production"), conninfo)
    made.change("secrets", database_url=Secret(conninfo))
    with made.kept:
        yield made
    if made.touched:
        stale.append("touched")
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute("ALTER ROLE docproc_app NOSUPERUSER NOCREATEROLE")
