"""validate-deploy as it is typed: what is asked, what is shown, and the exit code."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from docproc import checks
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks, bare_environment


def told(docproc: Docproc, *words: str) -> dict[str, dict[str, Any]]:
    """The findings by the id of their check."""
    said = docproc.run("validate-deploy", "--json", *words)
    return {check["id"]: check for check in json.loads(said.stdout)["checks"]}


def test_every_finding_says_what_was_seen_and_expected_how_bad_it_is_and_how_long_it_took(docproc: Docproc) -> None:
    found = told(docproc)
    assert list(found) == [check.id for check in checks.every()]
    for check in found.values():
        assert check["group"] in checks.GROUPS
        assert check["severity"] in ("warn", "error")
        assert check["seen"] and check["expected"] and check["seconds"] >= 0
        assert bool(check["remedy"]) == (check["level"] in ("warn", "error"))


def test_a_warning_is_a_problem_where_it_is_asked_to_be(docproc: Docproc, tables: Tables) -> None:
    tables.change("INSERT INTO docproc.serving VALUES ('default', 'text-embedding-3-large', 'd3072-f1')")
    assert docproc.run("validate-deploy").returncode == 0
    assert docproc.run("validate-deploy", "--fail-on", "warn").returncode == 6
    assert docproc.run("validate-deploy", "--fail-on", "warn", "--skip", "data.model").returncode == 0


def test_only_shows_what_was_named_and_the_error_that_kept_it_from_being_asked(docproc: Docproc) -> None:
    assert set(told(docproc, "--only", "schema.indexes", "--only", "tokenizer")) == {
        "schema.indexes",
        "tokenizer.offline",
    }
    environ = {**docproc.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}
    dead = told(replace(docproc, environ=environ), "--only", "schema.indexes")
    assert {id_: check["level"] for id_, check in dead.items()} == {
        "database.reachable": "error",
        "schema.indexes": "skip",
    }


def test_a_check_that_does_not_exist_is_refused_with_the_nearest(docproc: Docproc) -> None:
    said = docproc.run("validate-deploy", "--skip", "tokeniser")
    assert said.returncode == 2
    assert "did you mean tokenizer?" in said.stderr
    assert docproc.run("validate-deploy", "--fail-on", "sometimes").returncode == 2


def test_offline_asks_no_service(docproc: Docproc, services: Mocks) -> None:
    before = len(services.log())
    said = docproc.run("validate-deploy", "--offline", DOCPROC_MOCKS_ADDRESS="http://127.0.0.1:9")
    assert said.returncode == 0, said.stdout
    assert len(services.log()) == before


@pytest.mark.usefixtures("services")
def test_the_local_profile_is_checked_twice_and_found_well_with_little_work(tmp_path: Path) -> None:
    alone = Docproc(bare_environment(DOCPROC_HOME=str(tmp_path / "home")), tmp_path)
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = alone.run("validate-deploy", "--fail-on", "warn")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert said.returncode == 0, said.stdout
    # Seconds of the processor, because the wall is shared with other tests: about 2 were measured, 1.2 of them imports.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4
