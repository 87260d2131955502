"""From mock to real services, and from a laptop to a deployed database: another database, the same results."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from docproc.local import cluster
from tests.conftest import clone
from tests.e2e.conftest import SHORT_WAITS, local
from tests.e2e.documents import texts
from tests.e2e.tables import Tables
from tests.real.budget import Limits
from tests.real.conftest import behind
from tests.real.limiter import Limiter, limiting
from tests.real.wire import Upstreams
from tests.support import FIXTURES, ROOT, Docproc, Mocks, always, bare_environment

KEYS = {"LLAMA_CLOUD_API_KEY": "llx-4c1f90d2", "OPENAI_API_KEY": "sk-93be4a60"}
NAMES = ("cooling-incident.pdf", "water-board-minutes.docx", "bakery-costs.xlsx", "tide-api.md", "night-ferry.txt")

RESULTS = {
    "jobs": "SELECT document_id, status, chunks_version, embed_model, embed_version, progress ->> 'pages_total',"
    "              progress ->> 'chunks_total' FROM docproc.upload_jobs ORDER BY document_id",
    "states": "SELECT document_id, array_agg(to_status ORDER BY event_id) FILTER (WHERE to_status <> from_status)"
    "  FROM docproc.job_events JOIN docproc.upload_jobs USING (job_id) GROUP BY document_id ORDER BY document_id",
    "chunks": "SELECT chunk_id, chunk_ord, chunk_sha, embed_sha, heading_path, page_first, page_last, tokens"
    "  FROM docproc.document_chunk_buffer ORDER BY chunk_id",
    "vectors": "SELECT chunk_id, embed_model, embed_version, vector_dims(vector), vector_sha"
    "  FROM docproc.document_vector_buffer ORDER BY chunk_id",
    "shown": "SELECT count(*), count(DISTINCT source) FROM docproc.document_search",
}
"""What two environments have to agree on, row by row; times, paths and names of processes are their own."""


def results(conninfo: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of ``RESULTS``."""
    tables = Tables(conninfo)
    return {name: tables.rows(statement) for name, statement in RESULTS.items()}


def deployed(limiter: Limiter, conninfo: str, profile: str, folder: Path) -> Docproc:
    """docproc with a profile as deployed, real services, and a storage of its own."""
    folder.mkdir()
    environ = bare_environment(
        DATABASE_URL=conninfo,
        DOCPROC_HOME=str(folder / "home"),
        DOCPROC_CONFIG=str(ROOT / "docproc.toml"),
        DOCPROC_PROFILE=profile,
        DOCPROC_STORAGE_BACKEND="local",
        **SHORT_WAITS,
    )
    return Docproc(behind(limiter.address, environ, keys=KEYS), folder)


@pytest.fixture
def limiter(services: Mocks) -> Iterator[Limiter]:
    """The services that stand for the real ones: mocks behind the limiter, which does not say that they are."""
    with limiting(Limits(parse_calls=20, tokens=50_000), Upstreams(services.address, services.address)) as running:
        yield running


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One fixture of each type that is parsed in its own way."""
    folder = tmp_path_factory.mktemp("documents")
    for name in NAMES:
        shutil.copy(FIXTURES / "documents" / name, folder)
    return folder


@pytest.fixture(scope="module")
def at_home(
    documents: Path, mock_server: Mocks, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[Any, ...]]]:
    """The results of the profile local with its embedded database and mock services."""
    folder = tmp_path_factory.mktemp("laptop")
    environ = bare_environment(
        DOCPROC_HOME=str(folder / "home"), DOCPROC_MOCKS_ADDRESS=mock_server.address, **SHORT_WAITS
    )
    with cluster.start(folder / "home") as running:
        said = Docproc(environ, folder).run("run-all", str(documents))
        assert said.returncode == 0, said.stderr
        Tables(running.dsn).assert_whole(len(NAMES))
        return results(running.dsn)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """A folder with one text."""
    return texts(tmp_path / "notes", 1)


def test_a_database_of_mock_results_refuses_real_services_and_stays_as_it_was(
    conninfo: str, services: Mocks, limiter: Limiter, note: Path, tmp_path: Path
) -> None:
    mock = local(tmp_path / "desk", conninfo, services.address)
    assert mock.run("run-all", str(note)).returncode == 0
    before = Tables(conninfo).dump()
    real = replace(mock, environ=behind(limiter.address, mock.environ, keys=KEYS))
    for command in (["run-all", str(note)], ["embed"], ["search", "a note"]):
        said = real.run(*command)
        assert said.returncode == 2, said.stderr
        assert "[config.mixed_providers]" in said.stderr
        assert "use one database for mock and another for real services (DATABASE_URL)" in said.stderr
    assert limiter.report()["requests"] == []
    assert Tables(conninfo).dump() == before
    assert mock.run("run-all", str(note)).returncode == 0


def test_a_database_of_real_results_refuses_the_mocks(
    conninfo: str, services: Mocks, limiter: Limiter, note: Path, tmp_path: Path
) -> None:
    mock = local(tmp_path / "desk", conninfo, services.address)
    real = replace(mock, environ=behind(limiter.address, mock.environ, keys=KEYS))
    assert real.run("run-all", str(note)).returncode == 0
    before, bill = Tables(conninfo).dump(), services.bill()
    said = mock.run("run-all", str(note))
    assert said.returncode == 2
    assert "[config.mixed_providers]" in said.stderr
    assert (Tables(conninfo).dump(), services.bill()) == (before, bill)


@pytest.mark.parametrize("profile", always(["staging", "production"], "production"))
def test_the_same_documents_give_the_same_results_at_home_and_deployed(
    at_home: dict[str, list[tuple[Any, ...]]],
    documents: Path,
    server: str,
    limiter: Limiter,
    profile: str,
    tmp_path: Path,
) -> None:
    conninfo = clone(server, "template1", "deployed")
    docproc = deployed(limiter, conninfo, profile, tmp_path / "deployed")
    assert docproc.run("run-all", str(documents)).returncode == 13, "a deployed database is migrated by a person"
    assert docproc.run("migrate").returncode == 0
    said = docproc.run("run-all", str(documents))
    assert said.returncode == 0, said.stderr
    there = results(conninfo)
    assert [name for name in RESULTS if there[name] != at_home[name]] == []
    assert {dims for _, _, _, dims, _ in there["vectors"]} == {1536}
    assert Tables(conninfo).rows("SELECT parser_kind, embedder_kind FROM docproc.installation") == [("real", "real")]
    assert limiter.report()["parse_calls"] == 3
