"""The shipped schema in postgres/shipped.json is what the migrations make; differences from it are named one by one."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

import docproc
from docproc.checks.database import WRITES
from docproc.postgres import migration_checks, migration_files, migrations, shipped
from docproc.postgres.database import Database

FILE = Path(shipped.__file__).with_name("shipped.json")
QUERIES = Path(docproc.__file__).parent / "postgres" / "queries"


def made(database: Database) -> list[list[object]]:
    """Kind, name, definition, first and last version of everything that the migrations ever make."""
    known = migration_files.read(migration_files.folder())
    migrations.open_ledger(database)
    found: dict[tuple[str, str, str], int] = {}
    rows: list[list[object]] = []
    for version in (0, *(step.version for step in known.steps)):
        migrations.migrate(database, to=version, known=known)
        with database.transaction() as conn:
            now = {(kind, name, text) for (kind, name), text in migration_checks.live(conn).items()}
        rows += [[*gone, found.pop(gone), version] for gone in sorted(set(found) - now)]
        found |= dict.fromkeys(now - set(found), version)
    still: list[list[object]] = [[*thing, since, None] for thing, since in found.items()]
    return sorted([*rows, *still], key=str)


def test_the_file_is_what_the_migrations_make(empty_database: Database) -> None:
    rows = made(empty_database)
    if os.environ.get("DOCPROC_WRITE_SHIPPED"):
        FILE.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n", "utf-8")
    assert json.loads(FILE.read_text("utf-8")) == rows, f"run DOCPROC_WRITE_SHIPPED=1 pytest {__file__}"


def test_every_kind_of_thing_is_in_the_file() -> None:
    kinds = {kind for kind, _ in shipped.SHIPPED if not kind.startswith("move ")}
    assert kinds == {"table", "column", "constraint", "index", "statistics", "trigger", "function", "view"}


def test_the_rights_that_are_asked_for_are_those_that_the_statements_use() -> None:
    used: dict[str, set[str]] = {}
    for path in QUERIES.glob("*.sql"):
        text = path.read_text("utf-8")
        for table in re.findall(r"INSERT INTO docproc\.(\w+)", text):
            used.setdefault(table, set()).add("INSERT")
            if re.search(rf"INSERT INTO docproc\.{table}.*?DO UPDATE", text, re.S):
                used[table].add("UPDATE")
        for table in re.findall(r"UPDATE docproc\.(\w+)", text):
            used.setdefault(table, set()).add("UPDATE")
        for table in re.findall(r"DELETE FROM docproc\.(\w+)", text):
            used.setdefault(table, set()).add("DELETE")
    used.pop("schema_migrations")  # written by whoever migrates
    used.pop("deployments", None)  # written by whoever deploys
    used.setdefault("index_builds", set()).update(("INSERT", "UPDATE"))  # by a function
    assert {table: tuple(sorted(privileges)) for table, privileges in used.items()} == WRITES


@pytest.mark.parametrize("kind", ["statistics", "view"])
def test_a_definition_can_be_pasted(database: Database, kind: str) -> None:
    # Of the views the one that no function and no other view stands on.
    (name,) = [n for k, n in shipped.SHIPPED if k == kind and (kind != "view" or n == "docproc.spend_by_day")]
    live = {key: text for key, text in shipped.SHIPPED.items() if key != (kind, name)}
    (difference,) = shipped.differences(live, (kind,))
    assert str(difference) == f"missing {kind} {name}"
    with database.transaction() as conn:
        conn.execute(f"DROP {kind.upper()} {name}".encode())
        conn.execute(difference.sql.encode())
        conn.rollback()


@pytest.mark.parametrize(
    ("wanted", "have", "sql"),
    [
        ("integer NOT NULL", "integer", "SET NOT NULL"),
        ("integer", "integer NOT NULL", "DROP NOT NULL"),
        ("integer DEFAULT 0 NOT NULL", "integer NOT NULL", "SET DEFAULT 0"),
        ("integer DEFAULT 0 NOT NULL", "integer DEFAULT 1 NOT NULL", "SET DEFAULT 0"),
        ("integer NOT NULL", "integer DEFAULT 1 NOT NULL", "DROP DEFAULT"),
        ("integer NOT NULL", "text NOT NULL", None),
    ],
)
def test_a_changed_column_is_mended_where_its_type_is_right(
    monkeypatch: pytest.MonkeyPatch, wanted: str, have: str, sql: str | None
) -> None:
    monkeypatch.setattr(shipped, "SHIPPED", {("column", "jobs.n"): wanted})
    (difference,) = shipped.differences({("column", "jobs.n"): have}, ("column",))
    assert difference.sql == ("" if sql is None else f"ALTER TABLE docproc.jobs ALTER COLUMN n {sql};")


def test_a_view_is_the_same_whatever_version_of_postgres_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "SHIPPED", {("view", "v"): " SELECT user_id\n   FROM serving;"})
    assert shipped.differences({("view", "v"): " SELECT serving.user_id\n FROM docproc.serving;"}, ("view",)) == []
    assert shipped.differences({("view", "v"): " SELECT model FROM serving;"}, ("view",)) != []
