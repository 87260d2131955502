"""The files of the migrations keep the rules of docs/migrations.md, and the lint of the SQL finds what breaks them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from docproc.postgres import migration_files
from docproc.postgres.migration_files import Migration
from tests import sql_lint

STEPS = migration_files.known().steps

BLOCKING = {3: "released before the rule; there were no large tables yet"}
"""Migrations that may build an index on a table that has rows, inside their transaction."""

IDS = [step.title for step in STEPS]

needs_squawk = pytest.mark.skipif(shutil.which("squawk") is None, reason="needs squawk: nox -s sql")


def blocking(step: Migration) -> list[str]:
    """The tables that ``step`` did not make and on which it builds an index in its transaction."""
    indexed = re.findall(r"^CREATE (?:UNIQUE )?INDEX\s[^;]*?\sON\s+docproc\.(\w+)", step.up, re.M)
    return [table for table in indexed if f"CREATE TABLE docproc.{table} " not in step.up]


@pytest.mark.parametrize("step", STEPS, ids=IDS)
def test_an_index_on_a_table_with_rows_is_built_in_the_second_phase(step: Migration) -> None:
    assert bool(blocking(step)) == (step.version in BLOCKING)


def test_an_index_that_blocks_is_seen() -> None:
    assert blocking(Migration(9, "x", "CREATE INDEX x\n  ON docproc.runs (worker);", "")) == ["runs"]
    assert blocking(Migration(9, "x", "CREATE TABLE docproc.a (n int); CREATE INDEX x ON docproc.a (n);", "")) == []


@pytest.mark.parametrize("step", STEPS, ids=IDS)
def test_no_file_begins_or_ends_a_transaction(step: Migration) -> None:
    for text in (step.up, step.down, step.check):
        assert re.search(r"^\s*(BEGIN|COMMIT|ROLLBACK|START TRANSACTION|END)\s*;", text, re.M | re.I) is None


@pytest.mark.parametrize("step", STEPS, ids=IDS)
def test_a_check_is_one_query(step: Migration) -> None:
    assert step.check
    assert ";" not in step.check
    assert step.check.count("AS problem") == 1


def test_versions_follow_one_another() -> None:
    assert [step.version for step in STEPS] == list(range(1, len(STEPS) + 1))


@needs_squawk
def test_the_shipped_sql_has_no_fault(tmp_path: Path) -> None:
    assert sql_lint.lint(sql_lint.sources(tmp_path)) == 0


@needs_squawk
@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("up", "CREATE INDEX runs_worker ON docproc.runs (worker);", "require-concurrent-index-creation"),
        ("up", "ALTER TABLE docproc.runs ADD COLUMN a uuid DEFAULT gen_random_uuid();", "adding-field-with-default"),
        ("up", "ALTER TABLE docproc.runs ADD COLUMN a text NOT NULL;", "adding-required-field"),
        ("up", "ALTER TABLE docproc.runs ALTER COLUMN worker TYPE varchar(9);", "changing-column-type"),
        ("up", "ALTER TABLE docproc.runs ADD CHECK (worker <> '');", "constraint-missing-not-valid"),
        ("up", "COMMIT;", "transaction-nesting"),
        ("up", "DROP TABLE docproc.runs;", "ban-drop-table"),
        ("down", "ALTER TABLE docproc.runs RENAME COLUMN worker TO who;", "renaming-column"),
        ("concurrently", "CREATE INDEX IF NOT EXISTS a ON docproc.runs (worker);", "require-concurrent-index-creation"),
    ],
)
def test_what_blocks_a_table_or_breaks_running_programs_is_found(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, text: str, rule: str
) -> None:
    path = tmp_path / f"0009_bad.{name}.sql"
    path.write_text(text, "utf-8")
    assert sql_lint.lint([path]) == 1
    assert rule in capfd.readouterr().out


@needs_squawk
def test_a_second_phase_as_it_should_be_has_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "0009_good.concurrently.sql"
    path.write_text("CREATE INDEX CONCURRENTLY IF NOT EXISTS runs_worker ON docproc.runs (worker)", "utf-8")
    assert sql_lint.lint([path]) == 0
