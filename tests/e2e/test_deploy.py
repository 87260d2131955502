"""deploy: what is well is recorded, what fails is taken back whole, and nothing of a smoke stays behind."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docproc.local import cluster
from docproc.postgres import migrations
from docproc.postgres.backup import libpq_environment
from docproc.postgres.database import Database
from tests.conftest import COUNTERS, TABLES, clone
from tests.e2e.conftest import local
from tests.e2e.storages import Objects
from tests.e2e.tables import Tables
from tests.e2e.versions import BREAKS_CHUNKS, MENDS_CHUNKS, next_version
from tests.support import FIXTURES, Docproc, Mocks, wait_until

FAILS_ITS_CHECK = "SELECT 'the receipts are not as they should be'"


@pytest.fixture
def bare(server: str, services: Mocks, tmp_path: Path) -> Docproc:
    """docproc over a database to which no migration was applied."""
    return local(tmp_path / "desk", clone(server, "template1", "deployed_bare"), services.address)


@pytest.fixture(scope="session")
def in_use(server: str, migrated: str, mock_server: Mocks, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """The objects of a deployment in use, whose database is ``deployed_template``: migrated, one complete document."""
    desk = tmp_path_factory.mktemp("in_use") / "desk"
    docproc = local(desk, clone(server, "template_docproc", "deployed_template"), mock_server.address)
    assert docproc.run("run-all", str(FIXTURES / "documents" / "tide-api.md")).returncode == 0
    return Objects.of(docproc)


@pytest.fixture
def deployed(server: str, in_use: Objects, services: Mocks, tmp_path: Path) -> Docproc:
    """docproc over a copy of the deployment in use."""
    docproc = local(tmp_path / "desk", clone(server, "deployed_template", "deployed"), services.address)
    in_use.copy_to(Objects.of(docproc))
    return docproc


def fingerprint(docproc: Docproc) -> str:
    """The fingerprint of the schema that ``docproc`` works with."""
    database = Database(docproc.environ["DATABASE_URL"])
    try:
        return migrations.fingerprint(database)
    finally:
        database.close()


def rows(docproc: Docproc) -> dict[str, int]:
    """The number of rows of every table, and of what is in the storage."""
    tables = Tables(docproc.environ["DATABASE_URL"])
    counts = {
        table: tables.number(f"SELECT count(*) FROM docproc.{table}") for table in TABLES if table not in COUNTERS
    }
    return counts | {"traces in the storage": Objects.of(docproc).traces()}


def history(docproc: Docproc) -> list[tuple[Any, ...]]:
    """Version, schema before and after, outcome and where it stopped, of every deployment."""
    return Tables(docproc.environ["DATABASE_URL"]).rows(
        "SELECT version, schema_from, schema_to, outcome, stopped_at FROM docproc.deployments ORDER BY deployment_id"
    )


def steps(said: str) -> dict[str, str]:
    """The state of each step, from the JSON that deploy prints."""
    return {step["step"]: step["state"] for step in json.loads(said)["steps"]}


LATEST = migrations.latest()


def test_a_first_deploy_sets_up_checks_and_tries_out_and_leaves_nothing_but_its_record(bare: Docproc) -> None:
    said = bare.run("deploy", "--json")
    assert said.returncode == 0, said.stderr
    account = json.loads(said.stdout)
    assert account["outcome"] == "done"
    assert account["stopped_at"] is None
    assert account["schema"] == {"before": 0, "after": LATEST}
    assert account["way_back"] == ["docproc migrate --to 0"]
    assert steps(said.stdout) == {
        "rehearse": "ok",
        "back up": "skipped",
        "migrate": "ok",
        "validate": "ok",
        "smoke": "ok",
    }
    assert [sample["state"] for sample in account["smoke"]["trial"]["samples"]] == ["complete", "complete"]
    assert history(bare) == [("0.1.0", 0, LATEST, "done", None)]
    assert Objects.of(bare).all_keys() == []
    assert {name for name, count in rows(bare).items() if count} <= {"traces in the storage"}


def test_a_first_deploy_whose_smoke_fails_leaves_nothing(bare: Docproc, tmp_path: Path) -> None:
    broken = next_version(bare, tmp_path / "next", BREAKS_CHUNKS, MENDS_CHUNKS)
    said = broken.run("deploy", "--no-rehearse", "--json", DOCPROC_RUNNER_MAX_ATTEMPTS="1")
    assert said.returncode == 6, said.stderr
    account = json.loads(said.stdout)
    assert (account["outcome"], account["stopped_at"]) == ("rolled back", "smoke")
    assert account["schema"] == {"before": 0, "after": 0}
    assert fingerprint(bare) == ""


def test_a_migration_that_fails_its_check_changes_nothing(deployed: Docproc, tmp_path: Path) -> None:
    before, counts = fingerprint(deployed), rows(deployed)
    said = next_version(deployed, tmp_path / "next", check=FAILS_ITS_CHECK).run("deploy", "--no-rehearse")
    assert said.returncode == 13, said.stdout
    assert "the receipts are not as they should be" in said.stderr
    assert "failed at migrate" in said.stdout
    assert fingerprint(deployed) == before
    assert rows(deployed) == counts
    assert history(deployed) == [("9.9", LATEST, LATEST, "failed", "migrate")]


def test_what_does_not_even_work_locally_never_reaches_the_deployment(deployed: Docproc, tmp_path: Path) -> None:
    before, counts = fingerprint(deployed), rows(deployed)
    broken = next_version(deployed, tmp_path / "next", BREAKS_CHUNKS, MENDS_CHUNKS)
    said = broken.run("deploy", "--json", DOCPROC_RUNNER_MAX_ATTEMPTS="1")
    assert said.returncode == 6, said.stdout
    assert steps(said.stdout) == {"rehearse": "failed", "roll back": "ok"}
    assert fingerprint(deployed) == before
    assert rows(deployed) == counts


def test_a_smoke_that_fails_takes_the_migration_back_and_runs_the_way_back(deployed: Docproc, tmp_path: Path) -> None:
    assert deployed.run("deploy", "--no-rehearse").returncode == 0
    before, counts = fingerprint(deployed), rows(deployed)
    broken = next_version(deployed, tmp_path / "next", BREAKS_CHUNKS, MENDS_CHUNKS)
    said = broken.run(
        *("deploy", "--no-rehearse", "--json"),
        DOCPROC_RUNNER_MAX_ATTEMPTS="1",
        DOCPROC_DEPLOY_WAY_BACK="touch back-to-{version}-{schema}",
    )
    assert said.returncode == 6, said.stdout
    account = json.loads(said.stdout)
    assert (account["outcome"], account["stopped_at"], account["previous"]) == ("rolled back", "smoke", "0.1.0")
    assert "canary.md: state failed_chunking" in account["error"]["why"]
    assert steps(said.stdout)["roll back"] == steps(said.stdout)["way back"] == "ok"
    assert (deployed.folder / f"back-to-0.1.0-{LATEST}").is_file()
    assert fingerprint(deployed) == before
    assert rows(deployed) == counts
    assert history(deployed)[-1] == ("9.9", LATEST, LATEST, "rolled back", "smoke")
    assert deployed.run("validate-deploy").returncode == 0


def test_an_environment_that_is_not_well_is_not_deployed_to(deployed: Docproc) -> None:
    Tables(deployed.environ["DATABASE_URL"]).change("DROP INDEX docproc.job_events_recent")
    before, counts = fingerprint(deployed), rows(deployed)
    said = deployed.run("deploy", "--no-rehearse")
    assert said.returncode == 6, said.stdout
    assert "failed at validate" in said.stdout
    assert "schema.indexes" in said.stderr
    assert fingerprint(deployed) == before
    assert rows(deployed) == counts


def test_one_deploy_at_a_time(deployed: Docproc, slow_services: Mocks, tmp_path: Path) -> None:
    tables = Tables(deployed.environ["DATABASE_URL"])
    first = deployed.start("deploy", "--no-rehearse", DOCPROC_MOCKS_ADDRESS=slow_services.address)
    wait_until(
        lambda: tables.number("SELECT count(*) FROM docproc.upload_jobs WHERE user_id LIKE 'docproc-trial-%%'") > 0
    )
    second = deployed.run("deploy", "--no-rehearse")
    assert second.returncode == 6
    assert "deploy.busy" in second.stderr
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert [row[3] for row in history(deployed)] == ["done"]


@pytest.fixture
def interrupted(deployed: Docproc, slow_services: Mocks) -> Iterator[Any]:
    """Starts a deploy and waits until its smoke is under way."""
    tables = Tables(deployed.environ["DATABASE_URL"])
    started = deployed.start("deploy", "--no-rehearse", DOCPROC_MOCKS_ADDRESS=slow_services.address)
    wait_until(lambda: tables.number("SELECT count(*) FROM docproc.parse_calls WHERE state = 'submitted'") > 0)
    yield started
    started.kill()
    started.communicate()


def test_a_deploy_that_is_asked_to_stop_takes_everything_back(deployed: Docproc, interrupted: Any) -> None:
    interrupted.send_signal(signal.SIGTERM)
    assert interrupted.wait(30) == 143
    assert rows(deployed)["upload_jobs"] == 1
    assert history(deployed)[-1][3:] == ("failed", "smoke")


def test_what_a_killed_deploy_left_is_told_by_the_next_and_removed_by_cleanup(
    deployed: Docproc, interrupted: Any
) -> None:
    interrupted.kill()
    interrupted.wait(30)
    tables = Tables(deployed.environ["DATABASE_URL"])
    assert rows(deployed)["upload_jobs"] == 3
    assert history(deployed)[-1][3] == "open"
    again = deployed.run("deploy", "--no-rehearse")
    assert again.returncode == 0, again.stderr
    assert "was killed" in again.stderr
    assert [row[3:] for row in history(deployed)] == [("failed", "killed"), ("done", None)]
    tables.change("UPDATE docproc.upload_jobs SET updated_at = now() - interval '2 hours'")
    assert deployed.run("cleanup").returncode == 0
    left = rows(deployed)
    assert (left["upload_jobs"], left["parse_calls"], left["document_chunk_buffer"] > 0) == (1, 0, True)


def test_a_backup_brings_everything_back(deployed: Docproc, server: str, tmp_path: Path) -> None:
    before, counts = fingerprint(deployed), rows(deployed)
    backup = tmp_path / "before.dump"
    said = deployed.run("deploy", "--no-rehearse", "--backup", str(backup))
    assert said.returncode == 0, said.stderr
    assert backup.stat().st_mode & 0o777 == 0o600
    again = deployed.run("deploy", "--no-rehearse", "--backup", str(backup))
    assert again.returncode == 2
    assert "exists" in again.stderr
    assert deployed.run("migrate", "--to", "0", "--lose-data").returncode == 0
    restore = [str(cluster.binaries() / "pg_restore"), "--clean", "--if-exists", "--dbname=deployed", str(backup)]
    done = subprocess.run(
        restore, env=libpq_environment(deployed.environ["DATABASE_URL"]), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert fingerprint(deployed) == before
    assert rows(deployed) == counts
