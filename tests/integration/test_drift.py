"""Environments over real databases: what is seen of them, that nothing is written, and what cannot be asked."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from docproc.app import App
from docproc.drift.comparing import with_baseline, with_profile
from docproc.drift.observing import LIBRARIES, observe
from docproc.postgres import migrations
from docproc.postgres.database import Database
from docproc.postgres.facts import parts
from docproc.settings import Secret, Secrets, Settings
from tests.conftest import TABLES, MakeApp, clone
from tests.integration.bench import Bench


def at(conninfo: str) -> Secrets:
    return Secrets(database_url=Secret(conninfo))


def test_an_environment_has_its_versions_and_the_schema_s(app: App) -> None:
    seen = observe(app)
    assert seen.trouble is None
    assert set(seen.versions) == {
        "docproc",
        "python",
        "postgres",
        "pgvector",
        *(f"library.{name}" for name in LIBRARIES),
    }
    assert all(seen.versions.values())
    database = app.database
    assert seen.schema == {"version": migrations.latest(), "fingerprint": migrations.fingerprint(database)}
    assert seen.configuration["parser.first_poll"] == app.settings.parser.first_poll
    assert seen.secrets["DATABASE_URL"]["database"] == conninfo_to_dict(database.conninfo)["dbname"]


def test_looking_writes_nothing(app: App, bench: Bench) -> None:
    before = {table: bench.sql(f"SELECT xmin::text, * FROM docproc.{table}") for table in TABLES}
    observe(app)
    assert {table: bench.sql(f"SELECT xmin::text, * FROM docproc.{table}") for table in TABLES} == before
    assert not app.settings.home.exists()


def test_an_index_too_many_is_another_schema(server: str, migrated: str, make_app: MakeApp) -> None:
    before = observe(make_app(secrets=at(clone(server, "template_docproc", "drifting"))))
    own = Database(make_conninfo(server, dbname="drifting"))
    with own.transaction() as conn:
        conn.execute("CREATE INDEX stray ON docproc.upload_jobs (priority)")
    own.close()
    after = observe(make_app(secrets=at(make_conninfo(server, dbname="drifting"))))
    assert [it.what for it in with_baseline("b", before, after).differences] == ["schema.fingerprint"]
    assert before.schema["version"] == after.schema["version"]


def test_a_database_without_a_schema_is_seen_as_one(make_app: MakeApp, empty_database: Database, app: App) -> None:
    seen = observe(make_app(secrets=at(empty_database.conninfo)))
    assert (seen.trouble, seen.schema) == (None, {"version": 0, "fingerprint": ""})
    assert seen.versions["pgvector"] is None
    differences = {it.what: it.severity for it in with_baseline("b", observe(app), seen).differences}
    assert differences["schema.version"] == differences["schema.fingerprint"] == "error"
    with empty_database.transaction() as conn:
        assert migrations.applied(conn) == {}


def test_a_dead_database_is_one_difference_without_its_password(make_app: MakeApp, app: App) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    dead = observe(make_app(secrets=at(f"postgresql://u:hunter2@127.0.0.1:{port}/d"), profile="staging"))
    (difference,) = [it for it in with_profile(dead, observe(app)).differences if it.kind == "schema"]
    assert (difference.what, difference.severity, difference.baseline) == ("database", "error", "not reached")
    assert str(port) in difference.why and "hunter2" not in str(dead)


def test_a_profile_without_its_variable_is_one_difference(settings: Settings, app: App) -> None:
    with App(replace(settings, profile="staging", secrets=Secrets())) as other:
        (difference,) = [it for it in with_profile(observe(other), observe(app)).differences if it.kind == "schema"]
    assert "DATABASE_URL is not set" in difference.why


def test_a_role_that_may_not_look_is_told_and_no_crash(bench: Bench, make_app: MakeApp) -> None:
    bench.sql("DROP ROLE IF EXISTS docproc_blind")
    bench.sql("CREATE ROLE docproc_blind")
    conninfo = make_conninfo(bench.database.conninfo, options="-c role=docproc_blind")
    try:
        seen = observe(make_app(secrets=at(conninfo)))
        assert seen.trouble is not None
        assert seen.trouble.code in ("database.rights", "database.not_set_up")
    finally:
        bench.sql("DROP ROLE docproc_blind")


def test_two_profiles_over_one_database_are_warned_of(settings: Settings, app: App) -> None:
    with App(replace(settings, profile="staging")) as other:
        differences = with_profile(observe(other), observe(app)).differences
    assert [(it.what, it.severity) for it in differences] == [("database", "warn")]


@pytest.mark.parametrize(
    ("conninfo", "told"),
    [
        (
            "postgresql://u:p@h:1/d?sslmode=require",
            {"host": "h", "port": "1", "database": "d", "user": "u", "sslmode": "require"},
        ),
        ("host=/run dbname=d password=p", {"host": "/run", "database": "d"}),
        ("mysql://u:p@h/d", {}),
    ],
)
def test_the_parts_of_an_address_have_no_password(conninfo: str, told: dict[str, str]) -> None:
    assert parts(conninfo) == told
