"""A change of model: the old vectors serve until all new ones are there, readers never see none and never see both."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.e2e.documents import one_of_each, texts
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks

LARGE = {"DOCPROC_EMBEDDER_MODEL": "text-embedding-3-large", "DOCPROC_EMBEDDER_DIMENSIONS": "256"}
READ = """
SELECT array_agg(DISTINCT embed_model || ' ' || embed_version || ' ' || vector_dims(vector)), count(DISTINCT source)
  FROM docproc.document_search
"""

Seen = tuple[tuple[str, ...], int]


def with_large_model(docproc: Docproc) -> Docproc:
    """The same desk with the settings of the large model."""
    return replace(docproc, environ={**docproc.environ, **LARGE})


@contextmanager
def reader(conninfo: str) -> Iterator[list[Seen]]:
    """Looks at ``document_search`` without a pause: the models that it shows, and the number of its sources."""
    seen: list[Seen] = []
    over = threading.Event()

    def read() -> None:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            while not over.is_set():
                models, sources = conn.execute(READ).fetchone() or (None, 0)
                seen.append((tuple(models or ()), sources))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.fixture
def folder(docproc: Docproc, tmp_path: Path) -> Path:
    """Sixteen documents, complete with the small model."""
    made = texts(one_of_each(tmp_path / "documents"), 12)
    assert docproc.run("run-all", str(made)).returncode == 0
    return made


def first_source(docproc: Docproc) -> str:
    said = docproc.run("search", "a lantern over the door", "--json")
    assert said.returncode == 0, said.stderr
    return str(json.loads(said.stdout)["hits"][0]["source"])


def test_a_reader_sees_one_model_and_every_document_throughout_a_switch_and_back(
    docproc: Docproc, tables: Tables, services: Mocks, folder: Path
) -> None:
    before, chunks = services.bill(), tables.rows("SELECT xmin::text, chunk_id FROM docproc.document_chunk_buffer")
    found = first_source(docproc)
    with reader(tables.conninfo) as seen:
        assert with_large_model(docproc).run("embed", "--rebuild").returncode == 0
    small: tuple[str, ...] = ("text-embedding-3-small d1536-f1 1536",)
    large: tuple[str, ...] = ("text-embedding-3-large d256-f1 256",)
    assert len(seen) > 3
    assert {sources for _, sources in seen} == {16}
    order = [(small, large).index(models) for models, _ in seen]
    assert order == sorted(order)
    assert seen[0][0] == small and tables.rows(READ)[0][0] == list(large)
    after = services.bill()
    assert after["pages_billed"] == before["pages_billed"]
    assert after["embedding_inputs"] - before["embedding_inputs"] - 1 == tables.distinct_texts()
    assert tables.rows("SELECT xmin::text, chunk_id FROM docproc.document_chunk_buffer") == chunks
    assert first_source(with_large_model(docproc)) == first_source(docproc) == found, "the search asks with what serves"

    bought = services.bill()["embedding_inputs"]
    assert docproc.run("embed").returncode == 0
    assert services.bill()["embedding_inputs"] == bought
    assert tables.rows(READ)[0][0] == list(small)
    assert docproc.run("validate-deploy", "--data").returncode == 0


def test_while_one_document_has_no_new_vectors_none_is_switched(
    docproc: Docproc, tables: Tables, services: Mocks, folder: Path
) -> None:
    services.set_faults("openai.bad_input:match=lantern hangs")
    said = with_large_model(docproc).run("embed", "--rebuild")
    assert said.returncode == 3
    assert "the search keeps its model: " in said.stderr
    assert tables.rows(READ)[0] == (["text-embedding-3-small d1536-f1 1536"], 16)
    services.set_faults()
    assert docproc.run("retry").returncode == 0
    assert with_large_model(docproc).run("embed").returncode == 0
    assert tables.rows(READ)[0] == (["text-embedding-3-large d256-f1 256"], 16)


@pytest.mark.long
def test_a_new_document_of_the_new_model_waits_for_the_switch(
    docproc: Docproc, tables: Tables, folder: Path, tmp_path: Path
) -> None:
    (folder / "late.md").write_text("# Late\n\nThe lamp was lit at nine.\n", encoding="utf-8")
    assert with_large_model(docproc).run("run-all", str(folder / "late.md")).returncode == 0
    assert tables.states()["late.md"] == "complete"
    assert tables.rows(READ)[0] == (["text-embedding-3-small d1536-f1 1536"], 16)
    assert with_large_model(docproc).run("run-all", str(folder)).returncode == 0
    assert tables.rows(READ)[0] == (["text-embedding-3-large d256-f1 256"], 17)


@pytest.mark.long
def test_another_chunker_begins_at_the_parse_and_another_model_at_the_chunks(
    docproc: Docproc, tables: Tables, services: Mocks, folder: Path
) -> None:
    before = services.bill()["pages_billed"]
    assert docproc.run("ingest", str(folder), DOCPROC_CHUNKER_NAME="tokens@1").returncode == 0
    assert with_large_model(docproc).run("ingest", str(folder)).returncode == 0
    made = tables.rows(
        "SELECT chunks_version, to_status, count(*) FROM docproc.job_events JOIN docproc.upload_jobs USING (job_id)"
        " WHERE from_status IS NULL GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert made == [
        ("markdown-simple@1", "chunks_stored", 16),
        ("markdown-simple@1", "uploaded", 16),
        ("tokens@1", "parse_validated", 16),
    ]
    assert docproc.run("run-all").returncode == 0
    assert services.bill()["pages_billed"] == before
