"""What a migration must prove before it is committed, what it refuses, and how long it waits for others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from docproc.app import App
from docproc.errors import Exit, SchemaError
from docproc.postgres import migration_checks, migration_files, migrations, shipped
from docproc.postgres.database import Database
from docproc.postgres.migration_files import Migration, Migrations
from docproc.postgres.migrations import Limits
from tests.conftest import clone
from tests.integration.bench import Bench, bring_all, drain, pdf
from tests.support import wait_until

SHIPPED = migration_files.known()
LATEST = SHIPPED.latest
NEXT = LATEST + 1
SHORT = Limits(turn=0.2, lock=0.2, statement=0.5)


def after(up: str, down: str = "-- loses: nothing\nSELECT 1", check: str = "") -> Migrations:
    """The shipped migrations with one more, which the shipped catalogue knows nothing of."""
    return Migrations((*SHIPPED.steps, Migration(NEXT, "next", up, down, check)), SHIPPED.rows)


def refused(
    database: Database, known: Migrations, limits: Limits = migrations.LIMITS, to: int | None = None
) -> SchemaError:
    """Why ``migrate`` refuses; fails unless it leaves everything as it was."""
    before = migrations.fingerprint(database)
    with pytest.raises(SchemaError) as caught:
        migrations.migrate(database, to=to, known=known, limits=limits)
    assert migrations.fingerprint(database) == before
    assert caught.value.exit_code is Exit.SCHEMA and caught.value.remedy
    return caught.value


@contextmanager
def held(database: Database, statement: str) -> Iterator[psycopg.Connection]:
    """Somebody else's transaction, open after ``statement``."""
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(statement.encode())
        yield conn
        conn.rollback()


@pytest.fixture
def conninfo(server: str, migrated: str) -> str:
    """A database for one test alone: a test that fails half-way must not leave its schema to others."""
    return clone(server, "template_docproc", "proof")


@pytest.fixture
def work(app: App, tmp_path: Path, bench: Bench) -> Bench:
    """Documents that went through the pipeline, and at least one row in every table."""
    bring_all(app, tmp_path, {"a.pdf": pdf("The buoy is green."), "b.txt": "The crane is greased.\n"})
    drain(app)
    assert set(bench.states().values()) == {"complete"}
    bench.sql("INSERT INTO docproc.index_builds VALUES ('an index', now())")
    bench.sql("INSERT INTO docproc.runs (run_id, command, profile, worker) VALUES (gen_random_uuid(), 'x', 'y', 'z')")
    bench.sql("INSERT INTO docproc.installation (parser_kind, embedder_kind) VALUES ('mock', 'mock')")
    bench.sql("INSERT INTO docproc.rate_limits VALUES ('a limit') ON CONFLICT DO NOTHING")
    assert [name for name, rows in contents(bench).items() if not rows] == []
    return bench


def contents(bench: Bench) -> dict[str, list[str]]:
    """Every row of every table of docproc's, apart from the ledger, and from what a way back has put aside."""
    tables = bench.sql("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'docproc'")
    names = sorted({row["name"] for row in tables} - {"schema_migrations", "deployments", "money_put_aside"})
    return {
        name: [r["x"] for r in bench.sql(f"SELECT t::text AS x FROM docproc.{name} t ORDER BY 1")] for name in names
    }


@pytest.mark.parametrize("version", [step.version for step in SHIPPED.steps])
def test_a_step_back_and_forth_loses_what_its_file_says_and_nothing_else(work: Bench, version: int) -> None:
    migrations.migrate(work.database, to=version, lose_data=True)
    before = contents(work)
    down = migrations.migrate(work.database, to=version - 1, lose_data=True)
    assert (down.before, down.after) == (version, version - 1)
    migrations.migrate(work.database, to=version)
    after = contents(work)
    lost = {table for table in before if after[table] != before[table]}
    migrations.migrate(work.database)
    assert lost == set(SHIPPED.upto(version)[-1].loses)


def test_data_survive_the_way_back_and_forth(work: Bench) -> None:
    work.sql("DELETE FROM docproc.index_builds")
    before, print_ = contents(work), migrations.fingerprint(work.database)
    migrations.migrate(work.database, to=1)
    assert migrations.fingerprint(work.database) != print_
    migrations.migrate(work.database)
    assert contents(work) == before
    assert migrations.fingerprint(work.database) == print_
    assert migrations.verify(work.database).is_whole


def test_a_way_back_that_loses_rows_is_refused_until_it_is_wanted(work: Bench) -> None:
    before = contents(work)
    error = refused(work.database, SHIPPED, to=0)
    assert error.code == "schema.would_lose_data" and "--lose-data" in error.remedy
    assert f"document_chunk_buffer ({len(before['document_chunk_buffer'])} rows)" in error.why
    assert contents(work) == before
    assert migrations.migrate(work.database, to=0, lose_data=True).after == 0
    migrations.migrate(work.database)


def test_a_row_that_comes_in_after_the_counting_is_not_lost(database: Database) -> None:
    bench = Bench(database)
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'docproc.rate_limits'::regclass"
    with held(database, "INSERT INTO docproc.rate_limits VALUES ('late')") as late, ThreadPoolExecutor(1) as pool:
        migrating = pool.submit(refused, database, SHIPPED, Limits(lock=30), 0)
        wait_until(lambda: bench.sql(waiting) != [])
        late.commit()
        assert migrating.result(30).why == "it empties rate_limits (1 rows)"
    assert bench.count("rate_limits") == 1


@pytest.mark.parametrize(
    ("up", "told"),
    [
        ("DROP INDEX docproc.upload_jobs_due", "missing index docproc.upload_jobs_due"),
        ("ALTER TABLE docproc.runs ALTER COLUMN worker DROP NOT NULL", "changed column runs.worker"),
        (
            "DELETE FROM docproc.legal_moves WHERE source = 'uploaded' AND target = 'parsed'",
            "missing move uploaded parsed",
        ),
        (
            "DROP TRIGGER upload_jobs_legal_moves ON docproc.upload_jobs",
            "missing trigger upload_jobs.upload_jobs_legal",
        ),
    ],
)
def test_a_migration_after_which_the_schema_is_not_as_shipped_is_rolled_back(
    database: Database, up: str, told: str
) -> None:
    error = refused(database, after(up))
    assert error.code == "schema.check_failed"
    assert told in error.why


def test_a_way_back_that_leaves_something_over_is_rolled_back(database: Database) -> None:
    steps = list(SHIPPED.steps)
    lazy = (
        "-- loses: nothing\nDROP TRIGGER upload_jobs_legal_moves ON docproc.upload_jobs; DROP TABLE docproc.legal_moves"
    )
    steps[1] = Migration(2, steps[1].name, steps[1].up, lazy)
    error = refused(database, Migrations(tuple(steps), SHIPPED.rows), to=1)
    assert "left over function docproc.refuse_illegal_move()" in error.why


def test_what_was_wrong_before_is_told_apart_and_what_is_not_docprocs_is_left_alone(database: Database) -> None:
    with database.transaction() as conn:
        conn.execute("DROP INDEX docproc.job_events_recent")
        conn.execute("CREATE TABLE docproc.somebodys ()")
    error = refused(database, after("DROP INDEX docproc.api_calls_recent"))
    assert "missing index docproc.api_calls_recent;" in error.why
    assert "missing index docproc.job_events_recent (was so before)" in error.why
    assert "somebodys" not in error.why
    (found,) = migrations.verify(database).differences
    with database.transaction() as conn:
        conn.execute(found.sql.encode())
        conn.execute("DROP TABLE docproc.somebodys")
    assert migrations.verify(database).is_whole


def test_a_row_of_the_check_of_the_data_rolls_the_migration_back(bench: Bench) -> None:
    bench.make()
    known = after("SELECT 1", check="SELECT 'a job of ' || user_id || ' is too young' FROM docproc.upload_jobs")
    error = refused(bench.database, known)
    assert error.code == "schema.check_failed"
    assert "a job of default is too young" in str(error)


def test_of_many_problems_the_first_are_named_and_the_rest_are_counted(database: Database) -> None:
    error = refused(database, after("SELECT 1", check="SELECT 'problem ' || n FROM generate_series(1, 25) n"))
    assert error.why.endswith("problem 10; and 15 more")


def test_the_way_back_is_checked_too(bench: Bench) -> None:
    bench.sql("INSERT INTO docproc.sources (user_id, uri, document_id) VALUES ('u', '/in/lost.pdf', gen_random_uuid())")
    error = refused(bench.database, SHIPPED, to=1)
    assert "1 sources have no job for their document, such as /in/lost.pdf" in error.why


@pytest.mark.parametrize("version", [step.version for step in SHIPPED.steps])
def test_every_check_of_the_data_is_valid_at_its_version_and_later(empty_database: Database, version: int) -> None:
    migrations.migrate(empty_database, to=version)
    assert all(step.check for step in SHIPPED.upto(version))
    assert migrations.verify(empty_database) == migrations.Verified(version)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE docproc.document_chunk_buffer SET chunk_ord = chunk_ord + 7", "gaps between their chunks"),
        ("DELETE FROM docproc.document_vector_buffer", "have a chunk without a vector"),
        ("DELETE FROM docproc.legal_moves", "no move knows: complete"),
        ("UPDATE docproc.document_vector_buffer SET vector = '[1,2]'", "other dimensions than their version names"),
        (
            "ALTER TABLE docproc.upload_jobs DISABLE TRIGGER ALL; UPDATE docproc.upload_jobs SET status = 'parsed'",
            "have a job that is not complete",
        ),
        (
            "ALTER TABLE docproc.document_chunk_buffer ALTER COLUMN words DROP EXPRESSION;"
            "UPDATE docproc.document_chunk_buffer SET words = ''",
            "no words to find it by",
        ),
    ],
)
def test_data_that_are_not_sound_are_found(work: Bench, change: str, told: str) -> None:
    with work.database.transaction() as conn:
        assert migration_checks.problems(conn, SHIPPED.steps) == []
        conn.execute(change.encode())
        found = migration_checks.problems(conn, SHIPPED.steps)
        conn.rollback()
    assert told in "; ".join(found)


def test_a_table_in_use_is_waited_for_only_so_long(database: Database) -> None:
    with held(database, "SELECT FROM docproc.upload_jobs"):
        error = refused(database, after("ALTER TABLE docproc.upload_jobs ADD COLUMN more text"), SHORT)
    assert error.code == "schema.busy"
    assert f"{NEXT:04}_next did not get its lock; nothing was changed" in str(error)


def test_a_migration_of_another_process_is_waited_for_only_so_long(database: Database) -> None:
    with held(database, "SELECT pg_advisory_xact_lock(hashtextextended('docproc.migrate', 0))"):
        error = refused(database, after("SELECT 1"), SHORT)
        assert migrations.migrate(database, limits=SHORT).done == ()
    assert error.code == "schema.busy"
    assert "another process migrates this database" in str(error)


def test_a_statement_that_takes_too_long_ends_the_migration(database: Database) -> None:
    error = refused(database, after("CREATE TABLE docproc.half (); SELECT pg_sleep(30)"), SHORT)
    assert error.code == "schema.failed"
    assert "statement timeout" in str(error)


def test_limits_do_not_outlive_the_migration(database: Database) -> None:
    migrations.migrate(database, to=LATEST - 1, limits=SHORT)
    migrations.migrate(database, limits=SHORT)
    with database.transaction() as conn:
        row = conn.execute(
            "SELECT current_setting('lock_timeout') AS a, current_setting('statement_timeout') AS b"
        ).fetchone()
    assert row == {"a": "0", "b": "0"}


def test_a_fingerprint_tells_a_changed_schema_and_ledger_and_nothing_else(database: Database) -> None:
    first = migrations.fingerprint(database)
    bench = Bench(database)
    bench.make()
    bench.sql("INSERT INTO docproc.deployments (version, schema_from, schema_to, profile) VALUES ('1', 0, 3, 'local')")
    bench.sql("CREATE INDEX document_vector_buffer_hnsw_0123456789ab ON docproc.document_vector_buffer (user_id)")
    assert migrations.fingerprint(database) == first
    assert len(first) == 64
    bench.sql("DROP INDEX docproc.document_vector_buffer_hnsw_0123456789ab")
    bench.sql("DELETE FROM docproc.deployments")
    seen = {first}
    for change in (
        "CREATE INDEX more ON docproc.runs (command)",
        "UPDATE docproc.schema_migrations SET checksum = 'x' WHERE version = 1",
        "ALTER TABLE docproc.runs ALTER COLUMN command SET DEFAULT 'x'",
    ):
        with database.transaction() as conn:
            conn.execute(change.encode())
            seen.add(migration_checks.fingerprint(conn, migrations.applied(conn)))
            conn.rollback()
    assert len(seen) == 4


def test_where_nothing_is_set_up_the_fingerprint_is_empty_and_the_version_0(empty_database: Database) -> None:
    assert (migrations.fingerprint(empty_database), migrations.version(empty_database)) == ("", 0)
    migrations.open_ledger(empty_database)
    assert (migrations.fingerprint(empty_database), migrations.version(empty_database)) == ("", 0)
    migrations.migrate(empty_database)
    migrations.migrate(empty_database, to=0)
    assert (migrations.fingerprint(empty_database), migrations.version(empty_database)) == ("", 0)


def test_a_version_that_nobody_knows_is_still_told(empty_database: Database) -> None:
    migrations.migrate(empty_database, to=1)
    Bench(empty_database).sql("INSERT INTO docproc.schema_migrations (version, name, checksum) VALUES (9001, 'x', 'x')")
    assert migrations.version(empty_database) == 9001
    assert migrations.fingerprint(empty_database)


def test_a_ledger_of_an_earlier_docproc_gets_the_history_of_deployments(database: Database) -> None:
    bench = Bench(database)
    bench.sql("DROP TABLE docproc.deployments")
    assert migrations.migrate(database).done == ()
    assert bench.count("deployments") == 0


def test_the_files_know_every_version(empty_database: Database) -> None:
    for version in (0, *(step.version for step in SHIPPED.steps)):
        assert len(shipped.catalogue(shipped.ROWS, version)) > 0
    assert dict(shipped.catalogue(shipped.ROWS, LATEST)) == dict(shipped.SHIPPED)
