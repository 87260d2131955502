"""docproc migrate as its users run it: asked first, printed for psql, verified, killed; and who refuses without."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from docproc.local.cluster import binaries
from docproc.postgres import migration_files, migrations
from docproc.postgres.database import Database
from tests.conftest import clone
from tests.e2e.conftest import local
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks, always, wait_until

STEPS = [step.title for step in migration_files.known().steps]
BUILDS = [build.name for step in migration_files.known().steps for build in step.builds]
LATEST = migration_files.known().latest


@pytest.fixture
def bare(server: str, services: Mocks, tmp_path: Path) -> Docproc:
    """docproc over a database to which no migration was applied."""
    return local(tmp_path / "desk", clone(server, "template1", "to_migrate"), services.address)


def fingerprint(docproc: Docproc) -> str:
    """What the database's schema and ledger are."""
    database = Database(docproc.environ["DATABASE_URL"])
    try:
        return migrations.fingerprint(database)
    finally:
        database.close()


def psql(docproc: Docproc, script: str) -> subprocess.CompletedProcess[str]:
    """Has psql run a script, as a person would who may not run docproc there."""
    command = [str(binaries() / "psql"), "-X", "-q", docproc.environ["DATABASE_URL"]]
    return subprocess.run(command, input=script, capture_output=True, text=True, timeout=60, check=False)


def test_the_versions_and_each_step_are_told(bare: Docproc) -> None:
    said = bare.run("migrate")
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == [*(f"up {step}" for step in STEPS), *(f"built {name}" for name in BUILDS)]
    assert said.stderr.strip() == f"schema 0 → {LATEST}"
    again = bare.run("migrate", "--json")
    assert json.loads(again.stdout) == {
        "schema": 1,
        "before": LATEST,
        "after": LATEST,
        "done": [],
        "built": [],
        "pending": [],
    }


def test_check_says_what_is_pending_and_changes_nothing(bare: Docproc) -> None:
    said = bare.run("migrate", "--check")
    assert said.returncode == 13
    assert said.stdout.splitlines() == [
        *(f"pending up {step}" for step in STEPS),
        *(f"pending build {name}" for name in BUILDS),
    ]
    assert fingerprint(bare) == ""
    bare.run("migrate")
    said = bare.run("migrate", "--check")
    assert (said.returncode, said.stdout) == (0, f"schema {LATEST}: nothing to do\n")
    back = bare.run("migrate", "--check", "--to", str(LATEST - 1), "--json")
    assert back.returncode == 13
    assert json.loads(back.stdout)["pending"] == [f"down {STEPS[-1]}"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("INSERT INTO docproc.schema_migrations (version, name, checksum) VALUES (9001, 'x', 'x')", "schema.new"),
        ("UPDATE docproc.schema_migrations SET checksum = 'x'", "schema.edited"),
    ],
)
@pytest.mark.parametrize("option", ["--check", "--sql", "--verify"])
def test_a_database_that_is_not_of_this_docproc_is_told_with_exit_13(
    bare: Docproc, change: str, code: str, option: str
) -> None:
    bare.run("migrate")
    Tables(bare.environ["DATABASE_URL"]).change(change)
    said = bare.run("migrate", option)
    assert said.returncode == 13
    assert code in said.stderr


def test_the_script_for_psql_does_what_migrate_does(bare: Docproc) -> None:
    script = bare.run("migrate", "--sql").stdout
    assert fingerprint(bare) == ""
    said = psql(bare, script)
    assert (said.returncode, "ERROR" in said.stderr) == (0, False)
    scripted = fingerprint(bare)
    assert bare.run("migrate", "--verify").returncode == 0
    assert "nothing to do" in bare.run("migrate").stdout
    assert "this script is for schema 0" in psql(bare, script).stderr
    back = bare.run("migrate", "--sql", "--to", "0").stdout
    assert psql(bare, back).returncode == 0
    assert fingerprint(bare) == ""
    bare.run("migrate")
    assert fingerprint(bare) == scripted


def test_the_script_stops_where_rows_would_be_lost_or_a_check_finds_something(bare: Docproc) -> None:
    bare.run("migrate")
    tables = Tables(bare.environ["DATABASE_URL"])
    script = bare.run("migrate", "--sql", "--to", "0").stdout
    lossy = bare.run("migrate", "--sql", "--to", "0", "--lose-data").stdout
    forth_and_back = bare.run("migrate", "--sql", "--to", "1").stdout
    tables.change("INSERT INTO docproc.sources (user_id, uri, document_id) VALUES ('u', '/lost', gen_random_uuid())")
    before = fingerprint(bare)
    assert "sources holds rows" in psql(bare, script).stderr
    assert "have no job for their document, such as /lost" in psql(bare, forth_and_back).stderr
    assert fingerprint(bare) == before
    assert psql(bare, lossy).returncode == 0
    assert fingerprint(bare) == ""


def test_verify_names_each_difference_with_the_sql_that_mends_it(bare: Docproc) -> None:
    assert bare.run("migrate", "--verify").returncode == 13
    bare.run("migrate")
    said = bare.run("migrate", "--verify")
    assert (said.returncode, said.stdout) == (0, f"schema {LATEST}: as shipped\n")
    tables = Tables(bare.environ["DATABASE_URL"])
    tables.change("DROP INDEX docproc.job_events_recent")
    tables.change("ALTER TABLE docproc.runs ALTER COLUMN worker DROP NOT NULL")
    said = bare.run("migrate", "--verify")
    assert said.returncode == 6
    rows = dict(line.split("\t") for line in said.stdout.splitlines())
    assert set(rows) == {"missing index docproc.job_events_recent", "changed column runs.worker"}
    for sql in rows.values():
        tables.change(sql)
    tables.change("INSERT INTO docproc.sources (user_id, uri, document_id) VALUES ('u', '/lost', gen_random_uuid())")
    said = bare.run("migrate", "--verify", "--json")
    assert said.returncode == 6
    (problem,) = json.loads(said.stdout)["problems"]
    assert problem["what"] == "1 sources have no job for their document, such as /lost"


def test_a_migration_that_is_killed_leaves_nothing(bare: Docproc) -> None:
    said = bare.run("migrate", DOCPROC_FAULT_POINT=f"database.statement@record_migration.sql:{LATEST}")
    assert said.returncode == -9
    wait_until(lambda: fingerprint(bare) == "")
    assert bare.run("migrate").returncode == 0
    assert bare.run("migrate", "--verify").returncode == 0


def test_rows_are_lost_only_when_that_is_asked_for(docproc: Docproc, tables: Tables, server: str) -> None:
    conninfo = clone(server, "template_docproc", "to_lose")
    own = local(docproc.folder, conninfo, docproc.environ["DOCPROC_MOCKS_ADDRESS"])
    (docproc.folder / "note.txt").write_text("A buoy was painted green.\n", encoding="utf-8")
    assert own.run("run-all", "note.txt").returncode == 0
    before = Tables(conninfo).dump()
    said = own.run("migrate", "--to", "0")
    assert said.returncode == 13
    assert "schema.would_lose_data" in said.stderr and "--lose-data" in said.stderr
    assert Tables(conninfo).dump() == before
    assert own.run("migrate", "--to", "1").returncode == 0
    assert own.run("migrate").returncode == 0
    Tables(conninfo).assert_whole(1)
    assert own.run("search", "buoy").stdout.count("note.txt") == 1
    assert own.run("migrate", "--to", "0", "--lose-data").returncode == 0


def test_a_table_in_use_is_waited_for_as_long_as_is_said(bare: Docproc) -> None:
    bare.run("migrate")
    with psycopg.connect(bare.environ["DATABASE_URL"]) as reader:
        reader.execute("SELECT FROM docproc.upload_jobs")
        said = bare.run("migrate", "--to", "1", "--lock-timeout", "0.2")
    assert said.returncode == 13
    assert "schema.busy" in said.stderr and "--lock-timeout" in said.stderr


def test_two_questions_at_once_are_wrong_usage(bare: Docproc) -> None:
    assert bare.run("migrate", "--check", "--sql").returncode == 2


COMMANDS = {
    "ingest": ["note.txt"],
    "parse": [],
    "validate": [],
    "chunk": [],
    "embed": [],
    "run-all": ["note.txt"],
    "status": [],
    "search": ["words"],
    "retry": [],
    "cleanup": [],
}


@pytest.fixture(scope="module")
def mismatched(server: str, migrated: str) -> Iterator[dict[str, str]]:
    """A database of an earlier docproc and one of a later."""
    older, newer = (clone(server, "template_docproc", name) for name in ("older", "newer"))
    database = Database(older)
    migrations.migrate(database, to=LATEST - 1)
    database.close()
    Tables(newer).change("INSERT INTO docproc.schema_migrations (version, name, checksum) VALUES (9001, 'x', 'x')")
    yield {"schema.old": older, "schema.new": newer}


@pytest.mark.parametrize("command", always(COMMANDS, "run-all", "status", "retry"))
@pytest.mark.parametrize("code", ["schema.old", "schema.new"])
def test_no_command_works_on_a_schema_that_is_not_its_own(
    mismatched: dict[str, str], services: Mocks, tmp_path: Path, command: str, code: str
) -> None:
    docproc = local(tmp_path / "desk", mismatched[code], services.address)
    (docproc.folder / "note.txt").write_text("A buoy was painted green.\n", encoding="utf-8")
    before = Tables(mismatched[code]).dump()
    said = docproc.run(command, *COMMANDS[command])
    assert said.returncode == 13, said.stderr
    assert code in said.stderr
    assert Tables(mismatched[code]).dump() == before
