"""run-all --worker: takes no files in, works off what others bring, and stays as long as it was told."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.tables import Tables
from tests.support import Docproc, wait_until


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.md"
    path.write_text("# Tide\n\nHigh at noon.\n")
    return path


def complete(tables: Tables) -> int:
    return tables.number("SELECT count(*) FROM docproc.upload_jobs WHERE status = 'complete'")


def test_a_worker_drains_what_is_there_and_ends(docproc: Docproc, tables: Tables, note: Path) -> None:
    docproc.run("ingest", str(note))
    said = docproc.run("run-all", "--worker")
    assert said.returncode == 0, said.stderr
    assert complete(tables) == 1
    assert docproc.run("run-all", "--worker").returncode == 0


def test_a_worker_that_stays_takes_what_comes_later_and_ends_when_nothing_has_come_for_long_enough(
    docproc: Docproc, tables: Tables, note: Path
) -> None:
    worker = docproc.start("run-all", "--worker", "--idle", "4")
    try:
        assert docproc.run("ingest", str(note)).returncode == 0
        wait_until(lambda: complete(tables) == 1)
        assert worker.poll() is None
        worker.communicate(timeout=30)
    finally:
        worker.kill()
    assert worker.returncode == 0


def test_a_worker_that_waits_ends_at_once_when_it_is_asked_to(docproc: Docproc, tables: Tables, note: Path) -> None:
    worker = docproc.start("run-all", "--worker", "--idle", "1h")
    try:
        docproc.run("ingest", str(note))
        wait_until(lambda: complete(tables) == 1)
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=10)
    finally:
        worker.kill()
    assert worker.returncode == 128 + signal.SIGTERM
    assert tables.leases() == 0


@pytest.mark.parametrize("words", [["--worker", "note.md"], ["--on", "dask://", "--idle", "5m"], ["--idle", "soon"]])
def test_wrong_usage_is_told(docproc: Docproc, words: list[str]) -> None:
    assert docproc.run("run-all", *words).returncode == 2
