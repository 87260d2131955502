"""docproc as its users run it: a process of its own, against a database and mocks that the test can look into."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from docproc.local import mocks
from tests.conftest import clone
from tests.e2e import storages
from tests.e2e.storages import Objects
from tests.e2e.tables import Tables
from tests.support import FIXTURES, Docproc, Mocks, bare_environment

SHORT_WAITS = {
    "DOCPROC_PARSER_FIRST_POLL": "0.05",
    "DOCPROC_PARSER_MAX_POLL": "0.2",
    "DOCPROC_PARSER_TIMEOUT": "20",
    "DOCPROC_PARSER_RECONCILE_GRACE": "0",
    "DOCPROC_RUNNER_BACKOFF_BASE": "0.05",
    "DOCPROC_RUNNER_BACKOFF_CAP": "0.2",
}


@dataclass(frozen=True, slots=True)
class FullRun:
    """One run over all good fixtures: how it was started, what it said, what it left behind."""

    docproc: Docproc
    said: subprocess.CompletedProcess[str]
    tables: Tables
    mocks: Mocks
    bill: Mapping[str, Any]


@pytest.fixture(scope="session", autouse=True)
def _storage_servers() -> Iterator[None]:
    with storages.servers(storages.BACKEND):
        yield


def local(folder: Path, conninfo: str, address: str, **variables: str) -> Docproc:
    """docproc with the profile local, ``folder`` as its working directory, and waits that suit a test.

    Its objects are in a place of the folder's own, over the storage that DOCPROC_TEST_STORAGE names.
    """
    folder.mkdir(exist_ok=True)
    environ = bare_environment(
        DATABASE_URL=conninfo,
        DOCPROC_MOCKS_ADDRESS=address,
        DOCPROC_HOME=str(folder / "home"),
        **(SHORT_WAITS | storages.variables(folder, address) | variables),
    )
    return Docproc(environ, folder)


@pytest.fixture
def docproc(conninfo: str, services: Mocks, tmp_path: Path) -> Docproc:
    """docproc over the test's own database and storage."""
    return local(tmp_path / "desk", conninfo, services.address)


@pytest.fixture
def tables(conninfo: str) -> Tables:
    """The tables that ``docproc`` writes."""
    return Tables(conninfo)


@pytest.fixture
def objects(docproc: Docproc) -> Objects:
    """What ``docproc`` has stored."""
    return Objects.of(docproc)


@pytest.fixture
def slow_services(tmp_path: Path) -> Iterator[Mocks]:
    """Mock services whose parses take three seconds."""
    options = mocks.MockOptions(processing_delay=3.0)
    with mocks.start(tmp_path / "slow", options=options) as running:
        yield Mocks(running.address)


@pytest.fixture(scope="session")
def full_run(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullRun]:
    """All good fixtures in a database of their own; for tests that only read it."""
    folder = tmp_path_factory.mktemp("full")
    conninfo = clone(server, "template_docproc", "full")
    with mocks.start(folder / "mocks", options=mocks.MockOptions(processing_delay=0.0)) as running:
        docproc = local(folder / "desk", conninfo, running.address)
        said = docproc.run("run-all", str(FIXTURES / "documents"))
        services = Mocks(running.address)
        yield FullRun(docproc, said, Tables(conninfo), services, services.bill())


def fed(docproc: Docproc, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with ``text`` on its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "docproc", *words],
        input=text,
        capture_output=True,
        text=True,
        cwd=docproc.folder,
        env=dict(docproc.environ),
        timeout=60,
        check=False,
    )
