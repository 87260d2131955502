"""docproc with real services, for some cents: what the mocks promise of them is held against them here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pytest
import requests

from docproc import tokens
from docproc.local import mocks
from docproc.settings import ParserSettings
from tests.conftest import clone
from tests.e2e.tables import Tables
from tests.real.conftest import ADDRESS, KEYS, MODE, Quiet, ask, behind
from tests.support import FIXTURES, ROOT, Docproc, bare_environment

pytestmark = pytest.mark.real

DOCUMENTS = {
    "cooling-incident.pdf": ("a cleaner emptied a bucket near column F", 2),
    "bicycle-workshop.pdf": ("Pluck the spokes as you would a harp", 13),
    "tide-api.md": ("it was found in eleven production systems", 1),
}
"""Small ones: of each some words, and its pages. Two parses, and about 5,000 tokens."""

WRONG = {"LLAMA_CLOUD_API_KEY": "bad-docproc-test", "OPENAI_API_KEY": "sk-bad-docproc-test"}
"""No service takes these, the mocks neither."""

EMBEDDED = {"model": "text-embedding-3-small", "input": ["a gull on a pier"], "dimensions": 1536}


@dataclass(frozen=True, slots=True)
class Desk:
    """docproc, what its first run said, its tables, and the limiter's address."""

    docproc: Docproc
    said: subprocess.CompletedProcess[str]
    tables: Tables
    address: str

    def spent(self) -> tuple[int, int]:
        """Parses and tokens so far."""
        report = ask(f"{self.address}/limiter")
        return report["parse_calls"], report["tokens"]


def environment(address: str, conninfo: str, home: Path, parser: str) -> Quiet:
    """docproc with the session's services and keys, and local storage; ``parser`` is where the mock one is, if any."""
    keys = {name: os.environ[name] for name in KEYS[os.environ[MODE]]}
    deployed = bare_environment(
        DATABASE_URL=conninfo,
        DOCPROC_HOME=str(home),
        DOCPROC_CONFIG=str(ROOT / "docproc.toml"),
        DOCPROC_PROFILE="hybrid" if parser else "production",
        DOCPROC_STORAGE_BACKEND="local",
        DOCPROC_PARSER_FIRST_POLL="0.5",
        DOCPROC_PARSER_MAX_POLL="5",
    )
    both = behind(address, deployed, keys=keys)
    return Quiet(both | {"DOCPROC_PARSER_SERVICE": "mock", "DOCPROC_MOCKS_ADDRESS": parser}) if parser else both


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the mock parser is; empty where the real one is asked for."""
    with ExitStack() as stack:
        hybrid, options = os.environ[MODE] == "hybrid", mocks.MockOptions(processing_delay=0.0)
        yield (
            stack.enter_context(mocks.start(tmp_path_factory.mktemp("mocks"), options=options)).address
            if hybrid
            else ""
        )


@pytest.fixture(scope="module")
def desk(server: str, migrated: str, parser: str, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """``DOCUMENTS`` after one run, in a database of their own."""
    folder = tmp_path_factory.mktemp("services")
    (folder / "documents").mkdir()
    for name in DOCUMENTS:
        shutil.copy(FIXTURES / "documents" / name, folder / "documents")
    conninfo, address = clone(server, "template_docproc", "services"), os.environ[ADDRESS]
    docproc = Docproc(environment(address, conninfo, folder / "home", parser), folder)
    # A parse may wait for minutes at the service.
    return Desk(docproc, docproc.run("run-all", "documents", timeout=1200), Tables(conninfo), address)


# ── docproc ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_document_becomes_complete_with_its_pages_chunks_and_dimensions(desk: Desk) -> None:
    assert desk.said.returncode == 0, desk.said.stderr
    desk.tables.assert_whole(len(DOCUMENTS))
    pages = desk.tables.rows("SELECT source, (progress ->> 'pages_total')::int FROM docproc.upload_jobs")
    assert {PurePath(source).name: count for source, count in pages} == {n: p for n, (_, p) in DOCUMENTS.items()}
    assert desk.tables.rows("SELECT DISTINCT vector_dims(vector) FROM docproc.document_vector_buffer") == [(1536,)]


def test_the_ledger_counts_as_the_services_do(desk: Desk) -> None:
    calls = "SELECT count(*), coalesce(sum(units_reported), 0) FROM docproc.api_calls WHERE operation = %s"
    ((_, embedded),) = desk.tables.rows(calls, "embed")
    counted = desk.tables.number("SELECT sum(units_estimated) FROM docproc.api_calls WHERE operation = 'embed'")
    assert embedded == counted > 0
    assert desk.tables.open_calls("embed") == 0


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_search_finds_a_phrase_in_its_document(desk: Desk, name: str) -> None:
    said = desk.docproc.run("search", "--json", DOCUMENTS[name][0])
    assert said.returncode == 0, said.stderr
    assert PurePath(json.loads(said.stdout)["hits"][0]["source"]).name == name


def test_a_second_run_pays_for_nothing(desk: Desk) -> None:
    before = desk.spent()
    said = desk.docproc.run("run-all", "documents")
    assert said.returncode == 0, said.stderr
    assert f"unchanged {len(DOCUMENTS)}" in said.stderr
    assert desk.spent() == before


@pytest.mark.parametrize("service", ["parser", "embedder"])
def test_a_wrong_key_ends_the_run_with_exit_12_and_the_right_one_finishes_it(
    desk: Desk, server: str, parser: str, service: str, tmp_path: Path
) -> None:
    if service == "parser" and parser:
        pytest.skip("the parser is the mock")
    conninfo, before = clone(server, "template_docproc", "wrong_key"), desk.spent()
    right = Docproc(environment(desk.address, conninfo, tmp_path / "home", parser), tmp_path)
    name = "LLAMA_CLOUD_API_KEY" if service == "parser" else "OPENAI_API_KEY"
    wrong = Docproc(Quiet({**right.environ, name: WRONG[name]}), tmp_path)
    if service == "parser":
        shutil.copy(FIXTURES / "documents" / "cooling-incident.pdf", tmp_path)
    else:
        (tmp_path / "note.txt").write_text("The harbour master counts the gulls.\n", encoding="utf-8")
    file = next(path for path in tmp_path.iterdir() if path.suffix)
    said = wrong.run("run-all", str(file))
    assert said.returncode == 12, said.stderr
    assert f"credentials.{service}" in said.stderr
    assert WRONG[name] not in said.stdout + said.stderr
    assert desk.spent() == before
    if service == "embedder":
        assert right.run("run-all").returncode == 0
        assert Tables(conninfo).states() == {"note.txt": "complete"}


# ── what the mocks promise of OpenAI ────────────────────────────────────────────────────────────────────────────────


def openai(address: str, body: object, key: str = "") -> requests.Response:
    """What OpenAI answers to ``body``."""
    headers = {"Authorization": f"Bearer {key or os.environ['OPENAI_API_KEY']}"}
    return requests.post(f"{address}/v1/embeddings", json=body, headers=headers, timeout=60)


def test_openai_counts_tokens_as_docproc_does_and_tells_its_limits(desk: Desk) -> None:
    answer = openai(desk.address, EMBEDDED)
    assert answer.status_code == 200
    assert answer.json()["usage"]["total_tokens"] == tokens.count("a gull on a pier")
    vector = answer.json()["data"][0]["embedding"]
    assert len(vector) == 1536
    assert sum(number * number for number in vector) == pytest.approx(1.0, abs=1e-3)
    told = {f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")}
    assert told | {"x-request-id"} <= {name.lower() for name in answer.headers}


@pytest.mark.parametrize(
    ("change", "key", "status", "code"),
    [
        ({}, WRONG["OPENAI_API_KEY"], 401, "invalid_api_key"),
        ({"model": "text-embedding-docproc"}, "", 404, "model_not_found"),
        ({"input": [""]}, "", 400, None),
        ({"dimensions": 1537}, "", 400, None),
    ],
)
def test_openai_refuses_in_the_words_that_docproc_knows(
    desk: Desk, change: dict[str, Any], key: str, status: int, code: str | None
) -> None:
    before = desk.spent()
    answer = openai(desk.address, EMBEDDED | change, key)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert code in (None, error["code"])
    assert desk.spent() == before


# ── what the mocks promise of LlamaParse ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def job(desk: Desk, parser: str) -> tuple[str, str]:
    """The id of a finished parse at the service, and docproc's name for it."""
    if parser:
        pytest.skip("the parser is the mock")
    rows = desk.tables.rows("SELECT external_id, client_ref FROM docproc.parse_calls LIMIT 1")
    return str(rows[0][0]), str(rows[0][1])


def llamaparse(address: str, path: str, key: str = "", **query: str | list[str]) -> requests.Response:
    """What LlamaParse answers to a question."""
    headers = {"Authorization": f"Bearer {key or os.environ['LLAMA_CLOUD_API_KEY']}"}
    return requests.get(f"{address}/api/v2/parse{path}", params=query, headers=headers, timeout=60)


def test_a_finished_parse_has_the_shape_that_docproc_reads(desk: Desk, job: tuple[str, str]) -> None:
    external_id, client_ref = job
    answer = llamaparse(desk.address, f"/{external_id}", expand=["markdown", "text", "usage"]).json()
    assert external_id.startswith("pjb-")
    assert (answer["job"]["id"], answer["job"]["status"]) == (external_id, "COMPLETED")
    assert answer["job"]["user_metadata"]["client_ref"] == client_ref
    pages = answer["markdown"]["pages"]
    assert [page["page_number"] for page in pages] == list(range(1, len(pages) + 1))
    assert all(page["success"] is True and isinstance(page["markdown"], str) for page in pages)
    assert len(answer["text"]["pages"]) == len(pages)


def test_the_list_of_jobs_carries_docprocs_name_for_a_job(desk: Desk, job: tuple[str, str]) -> None:
    answer = llamaparse(desk.address, "", page_size="100").json()
    assert "next_page_token" in answer
    assert job in [(row["id"], (row.get("user_metadata") or {}).get("client_ref")) for row in answer["items"]]


def test_a_job_that_does_not_exist_is_404_with_a_detail(desk: Desk, job: tuple[str, str]) -> None:
    answer = llamaparse(desk.address, f"/{job[0][:-8]}00000000")
    assert (answer.status_code, "detail" in answer.json()) == (404, True)


def test_a_wrong_key_is_401_with_a_detail(desk: Desk, job: tuple[str, str]) -> None:
    answer = llamaparse(desk.address, f"/{job[0]}", WRONG["LLAMA_CLOUD_API_KEY"])
    assert (answer.status_code, "detail" in answer.json()) == (401, True)


def test_the_version_that_docproc_pins_is_offered(desk: Desk, job: tuple[str, str]) -> None:
    defaults = ParserSettings()
    assert defaults.version in llamaparse(desk.address, "/versions").json()[defaults.tier]
