"""migrate, validate-deploy, cleanup and search: setting docproc up, checking it, keeping it tidy, using it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from docproc.postgres import migrations
from docproc.postgres.database import Database
from tests.conftest import clone
from tests.e2e.conftest import FullRun, local
from tests.e2e.storages import Objects
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks


@pytest.fixture
def bare(server: str, services: Mocks, tmp_path: Path) -> Iterator[Docproc]:
    """docproc over a database to which no migration was applied."""
    conninfo = clone(server, "template1", "bare")
    yield local(tmp_path / "desk", conninfo, services.address)


def catalogue(docproc: Docproc) -> list[tuple[str, str, str]]:
    """Every column of docproc's schema."""
    found = Tables(docproc.environ["DATABASE_URL"]).rows(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'docproc' AND table_name NOT IN ('schema_migrations', 'deployments') ORDER BY 1, 2"
    )
    return [(table, column, kind) for table, column, kind in found]


def test_migrate_sets_a_database_up_takes_it_away_and_sets_it_up_again(bare: Docproc) -> None:
    names = [f"{m.version:04}_{m.name}" for m in migrations.shipped()]
    first = bare.run("migrate")
    assert first.returncode == 0, first.stderr
    builds = [build.name for m in migrations.shipped() for build in m.builds]
    assert first.stdout.splitlines() == [*(f"up {name}" for name in names), *(f"built {name}" for name in builds)]
    columns = catalogue(bare)
    assert columns
    assert "nothing to do" in bare.run("migrate").stdout
    down = bare.run("migrate", "--to", "0")
    assert down.returncode == 0, down.stderr
    assert down.stdout.splitlines() == [f"down {name}" for name in reversed(names)]
    assert catalogue(bare) == []
    assert bare.run("status").returncode == 13
    assert bare.run("migrate").returncode == 0
    assert catalogue(bare) == columns
    assert bare.run("status").returncode == 0


def test_a_schema_version_that_does_not_exist_is_refused(bare: Docproc) -> None:
    said = bare.run("migrate", "--to", "99")
    assert said.returncode == 2
    assert "99" in said.stderr
    assert catalogue(bare) == []


def test_validate_deploy_finds_nothing_wrong_where_all_is_well(docproc: Docproc, tables: Tables) -> None:
    before = tables.dump()
    said = docproc.run("validate-deploy", "--json")
    assert said.returncode == 0, said.stdout
    document = json.loads(said.stdout)
    assert document["schema"] == 1
    assert {check["level"] for check in document["checks"]} <= {"ok", "warn"}
    assert all(check["seen"] and check["seconds"] >= 0 for check in document["checks"])
    assert {"schema.current", "parser.key", "embedder.key"} <= {check["id"] for check in document["checks"]}
    assert tables.dump() == before


def test_validate_deploy_names_what_is_wrong_with_a_remedy_and_exit_6(bare: Docproc) -> None:
    said = bare.run("validate-deploy", DOCPROC_MOCKS_ADDRESS="http://127.0.0.1:9")
    assert said.returncode == 6
    rows = {row[1]: row for row in (line.split("\t") for line in said.stdout.splitlines())}
    assert {id_ for id_, row in rows.items() if row[0] == "error"} >= {"schema.current", "parser.key"}
    assert rows["database.reachable"][0] == "ok"
    assert rows["schema.current"][3] == "run: docproc migrate"
    assert all(row[3] for row in rows.values() if row[0] == "error")
    document = json.loads(bare.run("validate-deploy", "--json").stdout)
    assert [c["id"] for c in document["checks"] if c["level"] == "error"] == ["extension.installed", "schema.current"]


def test_cleanup_says_first_and_does_then(docproc: Docproc, tables: Tables, objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("A buoy was painted green.\n", encoding="utf-8")
    assert docproc.run("run-all", str(tmp_path / "note.txt")).returncode == 0
    orphan = "raw/default/orphan.txt"
    objects.write(orphan, b"nobody's")
    objects.make_old(orphan)
    before = tables.dump()
    kind = "stored objects of no job"

    said = docproc.run("cleanup", "--dry-run", "--json")
    assert json.loads(said.stdout)["removed"][kind] == 1
    assert json.loads(said.stdout)["dry_run"] is True
    assert orphan in objects.all_keys()
    assert f"{kind}\t1" in docproc.run("cleanup", "--dry-run").stdout
    assert orphan in objects.all_keys()
    assert f"{kind}\t1" in docproc.run("cleanup").stdout
    assert orphan not in objects.all_keys()
    assert f"{kind}\t0" in docproc.run("cleanup").stdout
    assert tables.dump() == before
    tables.assert_whole(1)


def test_search_in_a_pipe_is_one_tab_separated_line_a_hit(full_run: FullRun) -> None:
    said = full_run.docproc.run("search", "-k", "3", "lunch box, never with a flame")
    rows = [line.split("\t") for line in said.stdout.splitlines()]
    assert [len(row) for row in rows] == [5, 5, 5]
    scores = [float(row[0]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert rows[0][1].endswith("wind-farm-handbook.pdf")
    assert "lunch box, never with a flame" in " ".join(rows[0][4].replace("\\n", " ").split())


def test_search_as_json_has_schema_1_and_can_be_narrowed_to_a_source(full_run: FullRun) -> None:
    said = full_run.docproc.run("search", "--json", "--source", "tide-api", "lunch box, never with a flame")
    document = json.loads(said.stdout)
    assert document["schema"] == 1
    assert document["hits"]
    assert all(hit["source"].endswith("tide-api.md") for hit in document["hits"])
    assert set(document["hits"][0]) >= {"source", "document_id", "chunk_id", "score", "page_first", "text"}


def test_search_before_anything_is_complete_finds_nothing_and_is_no_error(docproc: Docproc) -> None:
    said = docproc.run("search", "--json", "anything")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["hits"] == []


@pytest.mark.usefixtures("services")
def test_two_migrations_at_once_are_one(server: str, tmp_path: Path) -> None:
    conninfo = clone(server, "template1", "both")
    docproc = local(tmp_path / "desk", conninfo, "http://127.0.0.1:9")
    both = [docproc.start("migrate") for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("up 0001_pipeline" in text for text in said) == [False, True]
    migrations.check(database := Database(conninfo))
    database.close()
