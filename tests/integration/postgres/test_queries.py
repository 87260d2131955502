"""The files in queries/: each is used, each is valid against the schema, and none names a stage's state by itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import docproc
from docproc.postgres import migrations
from docproc.postgres.database import Database, query
from docproc.states import OPEN
from tests.conftest import clone

PACKAGE = Path(docproc.__file__).parent
NAMES = sorted(path.stem for path in (PACKAGE / "postgres" / "queries").glob("*.sql"))
NOT_EXPLAINED = {"analyze", "drop_put_aside", "count_now", "create_ledger", "incoming_vectors", "copy_vectors"}
"""Statements that EXPLAIN does not take: they are run instead."""

NUMBERS = {"interval": 1.0, "burst": 1}
"""Parameters whose types the statement takes from their values; all others may be NULL."""

CHECKS_OF_DATA = {"invariants"}
"""May name states: what it checks is what the states mean."""


@cache
def words_in_use() -> set[str]:
    """Every string in the package's code, and every ``f"prefix_{name}"`` with each of them."""
    trees = [ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    words = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    prefixes = {
        str(node.values[0].value)
        for node in nodes
        if isinstance(node, ast.JoinedStr) and len(node.values) == 2 and isinstance(node.values[0], ast.Constant)
    }
    return words | {f"{prefix}{word}" for prefix in prefixes for word in words if len(word) < 40}


@pytest.mark.parametrize("name", NAMES)
def test_every_query_is_used(name: str) -> None:
    assert name in words_in_use(), f"queries/{name}.sql is used nowhere"


@pytest.fixture(scope="module")
def asked(server: str, migrated: str) -> Iterator[Database]:
    """A migrated database for statements that are all rolled back."""
    opened = Database(clone(server, "template_docproc", "asked"))
    yield opened
    opened.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_query_is_valid(asked: Database, name: str) -> None:
    text = query(name)
    names = {found.decode() for found in re.findall(rb"%\((\w+)\)s", text)}
    given = {name: NUMBERS.get(name) for name in names} or None
    with asked.transaction() as conn:
        if name in ("write_vectors", "copy_vectors"):
            conn.execute(query("incoming_vectors"))
        if name == "copy_vectors":
            with conn.cursor().copy(text):
                pass
        else:
            conn.execute(text if name in NOT_EXPLAINED else b"EXPLAIN " + text, given)
        conn.rollback()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CHECKS_OF_DATA])
def test_no_query_names_the_state_of_a_stage(name: str) -> None:
    text = query(name).decode()
    assert not [state for state in OPEN if f"'{state}'" in text]


def test_a_query_of_the_ledger_works_without_a_ledger(empty_database: Database) -> None:
    with empty_database.transaction() as conn:
        assert migrations.applied(conn) == {}
