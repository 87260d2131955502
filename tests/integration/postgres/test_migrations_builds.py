"""The second phase of a migration: built after the transaction, again after any death, and never in the way."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from docproc.app import App
from docproc.checks import Deployment, schema
from docproc.errors import SchemaError
from docproc.postgres import migration_files, migrations, shipped
from docproc.postgres.database import Database
from docproc.postgres.migration_files import Build, Migration, Migrations
from docproc.postgres.migrations import Limits
from tests.support import bare_environment, wait_until

SHORT = Limits(lock=0.3)

FILES = {
    "0001_base.up.sql": "CREATE TABLE docproc.big (n integer); INSERT INTO docproc.big SELECT generate_series(1, 100);",
    "0001_base.down.sql": "-- loses: big\nDROP TABLE docproc.big;",
    "0002_faster.up.sql": "ALTER TABLE docproc.big ADD COLUMN m integer DEFAULT 1;",
    "0002_faster.down.sql": "-- loses: nothing\n"
    "DROP INDEX IF EXISTS docproc.big_n; ALTER TABLE docproc.big DROP COLUMN m;",
    "0002_faster.concurrently.sql": "-- Why it is wanted.\n"
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS big_n ON docproc.big (n);\n-- next\n"
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS big_m ON docproc.big (m, n);\n",
}

MIGRATE = (
    "import sys, pathlib; from docproc.postgres import migration_files, migrations;"
    "from docproc.postgres.database import Database; database = Database(sys.argv[1]);"
    "migrations.migrate(database, known=migration_files.read(pathlib.Path(sys.argv[2])))"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations, the second with two indexes to build."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def indexes(database: Database) -> dict[str, bool]:
    """The indexes of docproc.big, and whether each is valid."""
    statement = (
        "SELECT indexrelid::regclass::text AS name, indisvalid FROM pg_index"
        " WHERE indrelid = to_regclass('docproc.big') ORDER BY 1"
    )
    with database.transaction() as conn:
        return {row["name"].removeprefix("docproc."): row["indisvalid"] for row in conn.execute(statement.encode())}


def test_indexes_are_built_after_the_transaction_and_only_once(empty_database: Database, folder: Path) -> None:
    known = migration_files.read(folder)
    first = migrations.migrate(empty_database, known=known)
    assert first == migrations.Migrated(0, 2, ("up 0001_base", "up 0002_faster"), ("big_n", "big_m"))
    assert indexes(empty_database) == {"big_m": True, "big_n": True}
    assert migrations.migrate(empty_database, known=known) == migrations.Migrated(2, 2)


def test_on_the_way_back_the_indexes_go_and_come_again(empty_database: Database, folder: Path) -> None:
    known = migration_files.read(folder)
    migrations.migrate(empty_database, known=known)
    assert migrations.migrate(empty_database, known=known, to=1) == migrations.Migrated(2, 1, ("down 0002_faster",))
    assert indexes(empty_database) == {}
    assert migrations.migrate(empty_database, known=known).built == ("big_n", "big_m")


def test_of_two_phases_on_one_index_the_later_holds(empty_database: Database, folder: Path) -> None:
    (folder / "0003_without.up.sql").write_text("SELECT 1", "utf-8")
    (folder / "0003_without.down.sql").write_text("-- loses: nothing\nSELECT 1", "utf-8")
    gone = folder / "0003_without.concurrently.sql"
    gone.write_text("DROP INDEX CONCURRENTLY IF EXISTS docproc.big_n", "utf-8")
    known = migration_files.read(folder)
    assert migrations.migrate(empty_database, known=known, to=2).built == ("big_n", "big_m")
    assert migrations.pending(empty_database, known=known).builds[0].statement.startswith("DROP INDEX")
    assert migrations.migrate(empty_database, known=known).built == ("big_n",)
    assert indexes(empty_database) == {"big_m": True}
    assert migrations.migrate(empty_database, known=known, to=2).built == ("big_n",)


def test_a_build_that_was_killed_is_pending_and_is_finished_by_the_next_migrate(
    empty_database: Database, folder: Path
) -> None:
    known = migration_files.read(folder)
    migrations.migrate(empty_database, known=known, to=1)
    with psycopg.connect(empty_database.conninfo) as reader, psycopg.connect(empty_database.conninfo) as watch:
        watch.autocommit = True
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1")  # a build waits for everybody who might still see the table as it was
        _kill_in_the_middle(empty_database, folder)
        assert indexes(empty_database) == {"big_n": False}
        assert migrations.version(empty_database) == 2
        assert [build.name for build in migrations.pending(empty_database, known=known).builds] == ["big_n", "big_m"]
        assert not migrations.verify(empty_database, known=known).is_whole
        # The server builds on for the client that died, and is not disturbed.
        migrated = migrations.migrate(empty_database, known=known, limits=SHORT)
        assert [name for name, why in migrated.pending if "another build" in why] == ["big_n", "big_m"]
        watch.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
        )
        assert indexes(empty_database)["big_n"] is False
    assert migrations.migrate(empty_database, known=known).built == ("big_n", "big_m")
    assert indexes(empty_database) == {"big_m": True, "big_n": True}
    assert migrations.verify(empty_database, known=known).is_whole


def _kill_in_the_middle(database: Database, folder: Path) -> None:
    command = [sys.executable, "-c", MIGRATE, database.conninfo, str(folder)]
    with subprocess.Popen(command, env=bare_environment(), stderr=subprocess.PIPE) as process:
        wait_until(lambda: indexes(database) == {"big_n": False} or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL, process.stderr and process.stderr.read()


def test_an_index_that_the_data_do_not_allow_is_told_and_the_others_are_built(
    empty_database: Database, folder: Path
) -> None:
    (folder / "0002_faster.concurrently.sql").write_text(
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS big_m ON docproc.big (m)\n-- next\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS big_n ON docproc.big (n)",
        "utf-8",
    )
    known = migration_files.read(folder)
    migrated = migrations.migrate(empty_database, known=known)
    ((name, why),) = migrated.pending
    assert (name, migrated.built) == ("big_m", ("big_n",))
    assert "could not create unique index" in why
    assert migrations.migrate(empty_database, known=known).pending[0][0] == "big_m"


@pytest.mark.parametrize(
    "text",
    [
        "VACUUM docproc.big",
        "CREATE INDEX IF NOT EXISTS big_n ON docproc.big (n)",
        "CREATE INDEX CONCURRENTLY big_n ON docproc.big (n)",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON docproc.big (n);\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS b ON docproc.big (n)",
    ],
)
def test_a_second_phase_takes_one_repeatable_statement_on_an_index_at_a_time(folder: Path, text: str) -> None:
    (folder / "0002_faster.concurrently.sql").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"0002_faster\.up\.sql holds what is no single index"):
        migration_files.read(folder)


def test_a_way_back_must_say_what_it_loses(folder: Path) -> None:
    (folder / "0002_faster.down.sql").write_text("SELECT 1", "utf-8")
    with pytest.raises(ValueError, match="no line such as -- loses: nothing"):
        migration_files.read(folder)


@pytest.fixture
def upcoming(monkeypatch: pytest.MonkeyPatch) -> Migrations:
    """docproc as it will be once a migration brings an index."""
    text = "CREATE INDEX CONCURRENTLY IF NOT EXISTS runs_by_worker ON docproc.runs (worker)"
    build = Build(text, "runs_by_worker", "runs")
    known = migration_files.known()
    number = known.latest + 1
    step = Migration(number, "more", "SELECT 1", "DROP INDEX IF EXISTS docproc.runs_by_worker", "", (build,))
    name = "docproc.runs_by_worker"
    definition = "CREATE INDEX runs_by_worker ON docproc.runs USING btree (worker)"
    rows = (*shipped.ROWS, ("index", name, definition, number, None))
    made = Migrations((*known.steps, step), rows)
    monkeypatch.setattr(migration_files, "known", lambda: made)
    monkeypatch.setattr(shipped, "SHIPPED", {**shipped.SHIPPED, ("index", name): definition})
    return made


def test_the_pipeline_works_while_an_index_is_pending_and_the_check_tells_what_finishes_it(
    database: Database, app: App, upcoming: Migrations
) -> None:
    (ask,) = [check.ask for check in schema.CHECKS if check.id == "schema.indexes"]
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("LOCK TABLE docproc.runs IN SHARE UPDATE EXCLUSIVE MODE")
        migrated = migrations.migrate(database, limits=SHORT)
        assert (migrated.after, [name for name, _ in migrated.pending]) == (upcoming.latest, ["runs_by_worker"])
    assert migrations.check(database) == upcoming.latest
    assert app.store.queue.claim([], 1) == []
    found = ask(Deployment(app))
    assert (found.seen, found.remedy) == ("missing index docproc.runs_by_worker", "docproc migrate")
    assert migrations.migrate(database).built == ("runs_by_worker",)
    assert ask(Deployment(app)).state == "ok"
    assert migrations.verify(database).is_whole
    assert migrations.migrate(database, to=upcoming.latest - 1).done
    assert migrations.verify(database).is_whole


def test_a_way_back_that_forgets_an_index_of_the_second_phase_is_refused(
    database: Database, upcoming: Migrations
) -> None:
    forgetful = Migration(upcoming.latest, "more", "SELECT 1", "SELECT 1", "", upcoming.steps[-1].builds)
    known = Migrations((*upcoming.steps[:-1], forgetful), upcoming.rows)
    migrations.migrate(database, known=known)
    with pytest.raises(SchemaError, match=r"left over index docproc\.runs_by_worker"):
        migrations.migrate(database, known=known, to=upcoming.latest - 1)
    migrations.migrate(database, to=upcoming.latest - 1)
