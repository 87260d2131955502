"""All good fixtures through the whole pipeline: every document complete, what it says found, a second run free."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any
from uuid import UUID, uuid5

import pytest

from docproc import config
from docproc.app import App
from docproc.search import search
from docproc.storage import key, pages_uri
from tests.conftest import clone
from tests.e2e.conftest import FullRun
from tests.e2e.storages import Objects
from tests.e2e.tables import Tables
from tests.support import FIXTURES

EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))["documents"]
PAID = {".pdf", ".docx", ".pptx", ".xlsx"}
SEARCHES = [(name, entry["searches"][0]["phrase"], entry["searches"][0]["page"]) for name, entry in EXPECTED.items()]
AS_COMMAND, IN_PROCESS = SEARCHES[:3], SEARCHES[3:13]


def parse_of(run: FullRun, name: str) -> tuple[str, list[dict[str, Any]]]:
    """The stored Markdown of a fixture, and the pages that are kept beside it."""
    (path,) = run.tables.rows("SELECT parsed_path FROM docproc.upload_jobs WHERE source LIKE %s", f"%/{name}")[0]
    objects = Objects.of(run.docproc)
    pages = json.loads(objects.read(key(pages_uri(path))).decode("ascii"))["pages"]
    return objects.read(key(path)).decode("utf-8"), pages


@pytest.fixture(scope="module")
def spoilt(full_run: FullRun, server: str) -> str:
    """The conninfo of a copy of the full run's database in which all vectors are equal."""
    copied = Tables(clone(server, "full", "spoilt"))
    copied.change("UPDATE docproc.document_vector_buffer SET vector = array_fill(0.1::real, ARRAY[1536])::vector")
    return copied.conninfo


@pytest.fixture(scope="module")
def searching(full_run: FullRun, spoilt: str) -> Iterator[App]:
    """docproc in this process, over the full run's database, which cannot be copied while this is open."""
    with App(config.load(environ=full_run.docproc.environ)) as app:
        yield app


def first_hit(app: App, words: str) -> tuple[str, int, int]:
    """File name and pages of the best hit."""
    hit = search(app, words, limit=1)[0]
    return PurePath(hit.source).name, hit.page_first, hit.page_last


def test_every_good_fixture_becomes_complete(full_run: FullRun) -> None:
    assert full_run.said.returncode == 0, full_run.said.stderr
    assert full_run.tables.states() == dict.fromkeys(EXPECTED, "complete")
    full_run.tables.assert_whole(len(EXPECTED))


def test_the_run_ends_with_one_line_that_sums_it_up(full_run: FullRun) -> None:
    lines = full_run.said.stderr.splitlines()
    assert [line for line in lines if re.search(rf"done {len(EXPECTED)}\b.*\bnew {len(EXPECTED)}\b.*exit 0", line)]
    assert full_run.said.stdout == ""


def test_the_service_bills_each_page_of_the_paid_formats_once(full_run: FullRun) -> None:
    bill = full_run.bill
    assert bill["pages_billed"] == sum(e["pages"] for name, e in EXPECTED.items() if PurePath(name).suffix in PAID)
    assert bill["jobs_created"] == sum(PurePath(name).suffix in PAID for name in EXPECTED)


def test_the_service_embeds_each_text_once(full_run: FullRun) -> None:
    assert full_run.bill["embedding_inputs"] == full_run.tables.distinct_texts()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_stored_parse_has_the_pages_and_headings_that_are_expected(full_run: FullRun, name: str) -> None:
    markdown, pages = parse_of(full_run, name)
    text = " ".join(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown).split())
    assert len(pages) == (EXPECTED[name]["pages"] or 1)
    assert [heading for heading in EXPECTED[name]["headings"] if heading not in text] == []


def test_a_second_run_calls_no_service_and_writes_no_row(full_run: FullRun) -> None:
    requests, rows = full_run.mocks.log(), full_run.tables.dump()
    again = full_run.docproc.run("run-all", str(FIXTURES / "documents"))
    assert again.returncode == 0
    assert f"unchanged {len(EXPECTED)}" in again.stderr
    assert full_run.mocks.log() == requests
    assert full_run.tables.dump() == rows


def test_every_chunk_id_is_the_uuid5_of_document_chunker_and_ordinal(full_run: FullRun) -> None:
    namespace = UUID("6c8a1e6e-1f0b-4aa8-9f0a-1a7c2e6f2b42")
    rows = full_run.tables.rows(
        "SELECT chunk_id, document_id, chunker_name, chunker_version, chunk_ord FROM docproc.document_chunk_buffer"
    )
    assert len(rows) > len(EXPECTED)
    for chunk_id, *named in rows:
        assert chunk_id == uuid5(namespace, ":".join(map(str, named)))


@pytest.mark.parametrize(("name", "phrase", "page"), AS_COMMAND)
def test_the_command_finds_a_phrase_in_its_document_and_on_its_page(
    full_run: FullRun, name: str, phrase: str, page: int
) -> None:
    found = full_run.docproc.run("search", "--json", phrase)
    assert found.returncode == 0, found.stderr
    hit = json.loads(found.stdout)["hits"][0]
    assert PurePath(hit["source"]).name == name
    assert hit["page_first"] <= page <= hit["page_last"]


@pytest.mark.parametrize(("name", "phrase", "page"), IN_PROCESS)
def test_a_phrase_is_found_in_its_document_and_on_its_page(searching: App, name: str, phrase: str, page: int) -> None:
    found, first, last = first_hit(searching, phrase)
    assert found == name
    assert first <= page <= last


def test_phrases_are_not_found_without_the_meaning_of_the_vectors(full_run: FullRun, spoilt: str) -> None:
    with App(config.load(environ={**full_run.docproc.environ, "DATABASE_URL": spoilt})) as app:
        found = [(name, first_hit(app, phrase)[0]) for name, phrase, _ in IN_PROCESS]
    assert sum(name == hit for name, hit in found) < len(found) / 2
