"""Migrations: up, down, whole or not at all, one process at a time, and refused when they are not ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from docproc.errors import ConfigError, DatabaseError, Exit, SchemaError
from docproc.model import sha256
from docproc.postgres import migration_files, migrations
from docproc.postgres.database import Database
from docproc.postgres.migration_files import Migration, Migrations
from docproc.postgres.migrations import Migrated

SHIPPED = migrations.shipped()

LEDGER = {
    "schema_migrations",
    "schema_migrations_pkey",
    "deployments",
    "deployments_pkey",
    "deployments_deployment_id_seq",
}
"""What stays when every migration was taken back."""

CATALOGUE = {
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default, is_generated,"
    " generation_expression, is_identity FROM information_schema.columns WHERE table_schema = 'docproc'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'docproc'::regnamespace",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'docproc'",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'docproc'",
    "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'docproc'::regnamespace",
    "triggers": "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "sequences": "SELECT sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'docproc'",
}


def sql(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.transaction() as conn:
        cursor = conn.execute(statement.encode())
        return [tuple(row.values()) for row in cursor.fetchall()] if cursor.description else []


def catalogue(database: Database) -> dict[str, list[str]]:
    return {what: sorted(map(repr, sql(database, statement))) for what, statement in CATALOGUE.items()}


def also(*more: Migration) -> Migrations:
    """The shipped migrations and ``more``."""
    return Migrations((*SHIPPED, *more))


def schema_exists(database: Database) -> bool:
    return sql(database, "SELECT 1 FROM pg_namespace WHERE nspname = 'docproc'") != []


def test_up_down_and_up_again_leave_the_same_catalogue(empty_database: Database) -> None:
    migrations.migrate(empty_database)
    first = catalogue(empty_database)
    assert migrations.check(empty_database) == migrations.latest()
    names = [f"{m.version:04}_{m.name}" for m in migrations.shipped()]
    down = migrations.migrate(empty_database, to=0)
    assert down.done == tuple(f"down {name}" for name in reversed(names))
    assert (down.before, down.after) == (migrations.latest(), 0)
    left = sql(empty_database, "SELECT relname FROM pg_class WHERE relnamespace = 'docproc'::regnamespace")
    assert {name for (name,) in left} == LEDGER
    assert migrations.migrate(empty_database).done == tuple(f"up {name}" for name in names)
    assert catalogue(empty_database) == first
    assert all(first.values()) or first["sequences"] == []


@pytest.mark.parametrize("version", [m.version for m in SHIPPED])
def test_every_step_down_and_up_leads_to_the_same_catalogue(empty_database: Database, version: int) -> None:
    migrations.migrate(empty_database, to=version)
    there = catalogue(empty_database)
    migrations.migrate(empty_database)
    migrations.migrate(empty_database, to=version)
    assert catalogue(empty_database) == there


def test_migrating_twice_is_nothing(empty_database: Database) -> None:
    assert len(migrations.migrate(empty_database).done) == len(migrations.shipped())
    assert migrations.migrate(empty_database) == Migrated(migrations.latest(), migrations.latest())


def test_a_failing_migration_rolls_back_whole(empty_database: Database) -> None:
    broken = Migration(9001, "broken", "CREATE TABLE docproc.half (); SELECT 1/0;", "")
    with pytest.raises(SchemaError, match="9001_broken failed; nothing was changed") as caught:
        migrations.migrate(empty_database, known=also(broken))
    assert (caught.value.code, caught.value.exit_code) == ("schema.failed", Exit.SCHEMA)
    assert "division by zero" in str(caught.value)
    assert not schema_exists(empty_database)


def test_a_failing_migration_leaves_the_earlier_version(empty_database: Database) -> None:
    migrations.migrate(empty_database)
    before = catalogue(empty_database)
    good = Migration(9001, "good", "CREATE TABLE docproc.half ();", "DROP TABLE docproc.half;")
    broken = Migration(9002, "broken", "SELECT 1/0;", "")
    with pytest.raises(SchemaError):
        migrations.migrate(empty_database, known=also(good, broken))
    assert catalogue(empty_database) == before
    assert migrations.version(empty_database) == migrations.latest()


def test_an_edited_migration_is_refused(empty_database: Database) -> None:
    migrations.migrate(empty_database)
    sql(empty_database, "UPDATE docproc.schema_migrations SET checksum = 'other' WHERE version = 1")
    for refuse in (migrations.check, migrations.migrate):
        with pytest.raises(SchemaError, match="not the file that was applied") as caught:
            refuse(empty_database)
        assert (caught.value.code, caught.value.exit_code) == ("schema.edited", Exit.SCHEMA)
        assert caught.value.remedy


def test_a_database_of_a_newer_docproc_is_refused(empty_database: Database) -> None:
    migrations.migrate(empty_database)
    sql(empty_database, "INSERT INTO docproc.schema_migrations (version, name, checksum) VALUES (9001, 'later', 'x')")
    for refuse in (migrations.check, migrations.migrate):
        with pytest.raises(SchemaError) as caught:
            refuse(empty_database)
        assert caught.value.code == "schema.new" and caught.value.remedy


def test_an_unmigrated_database_is_told_what_to_run(empty_database: Database) -> None:
    with pytest.raises(SchemaError) as caught:
        migrations.check(empty_database)
    assert (caught.value.code, caught.value.exit_code) == ("schema.old", Exit.SCHEMA)
    assert "docproc migrate" in caught.value.remedy


def test_an_older_database_is_told_which_version_it_has(empty_database: Database) -> None:
    migrations.migrate(empty_database, to=1)
    with pytest.raises(SchemaError, match="the database has schema 1") as caught:
        migrations.check(empty_database)
    assert caught.value.code == "schema.old"


def test_a_version_that_there_is_not_is_a_usage_error(empty_database: Database) -> None:
    with pytest.raises(ConfigError, match="no migration 77"):
        migrations.migrate(empty_database, to=77)
    assert not schema_exists(empty_database)


def test_of_two_that_migrate_at_once_one_does_it_and_the_other_nothing(empty_database: Database) -> None:
    other = Database(empty_database.conninfo)
    together = threading.Barrier(2)

    def migrate(database: Database) -> tuple[str, ...]:
        sql(database, "SELECT 1")
        together.wait(20)
        return migrations.migrate(database).done

    with ThreadPoolExecutor(2) as pool:
        done = sorted(pool.map(migrate, (empty_database, other)), key=len)
    other.close()
    assert done[0] == () and len(done[1]) == len(migrations.shipped())


def test_the_ledger_holds_the_checksum_of_each_file(database: Database) -> None:
    have = dict(sql(database, "SELECT version, checksum FROM docproc.schema_migrations"))
    files = sorted(migration_files.folder().glob("*.up.sql"))
    assert have == {int(file.name[:4]): sha256(file.read_bytes()) for file in files}
    assert all(file.with_name(file.name.replace(".up.", ".down.")).is_file() for file in files)


def test_a_role_that_may_not_create_a_schema_is_told_so(empty_database: Database) -> None:
    with a_role(empty_database) as poor:
        with pytest.raises(DatabaseError) as caught:
            migrations.migrate(poor)
        assert caught.value.code == "database.rights"
    assert not schema_exists(empty_database)


@contextmanager
def a_role(database: Database) -> Iterator[Database]:
    """The same database as a role without rights of its own sees it."""
    sql(database, "DROP ROLE IF EXISTS docproc_poor")
    sql(database, "CREATE ROLE docproc_poor")
    poor = Database(make_conninfo(database.conninfo, options="-c role=docproc_poor"))
    yield poor
    poor.close()
    sql(database, "DROP ROLE docproc_poor")


def test_a_statement_on_an_unmigrated_database_says_that_it_is_not_set_up(empty_database: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        empty_database.rows("providers")
    assert caught.value.code == "database.not_set_up"
    with pytest.raises(psycopg.errors.DivisionByZero):
        sql(empty_database, "SELECT 1/0")
