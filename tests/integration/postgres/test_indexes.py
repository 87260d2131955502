"""The index on the vectors: built once, by one process, whatever dies, and never to the harm of a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from docproc.model import embed_version
from docproc.postgres.database import Database
from docproc.postgres.indexes import Indexes, IndexState, kind_for
from docproc.settings import SearchSettings
from tests.conftest import clone
from tests.integration.bulk import MODEL, clustered, fill

DIMENSIONS = 64
VERSION = embed_version(DIMENSIONS)
FROM_100 = SearchSettings(index_from=100)


@pytest.fixture
def own(server: str, migrated: str) -> str:
    """The conninfo of a database of this test's own, because an index outlives the rows."""
    return clone(server, "template_docproc", "indexes")


@pytest.fixture
def opened(own: str) -> Iterator[Callable[[], Database]]:
    """Opens the database again and again, as processes would."""
    made: list[Database] = []

    def make() -> Database:
        made.append(Database(own))
        return made[-1]

    yield make
    for database in made:
        database.close()


def keep(database: Database, settings: SearchSettings = FROM_100) -> IndexState:
    return Indexes(database, settings).keep(MODEL, VERSION, DIMENSIONS)


def indexes(conninfo: str) -> list[tuple[Any, ...]]:
    """Name and validity of the indexes on the vectors."""
    with psycopg.connect(conninfo) as conn:
        return conn.execute(
            "SELECT relname, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
            " JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw'"
        ).fetchall()


def wait_until(holds: Callable[[], object], patience: float = 20.0) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def building(conninfo: str) -> list[int]:
    """The server processes that build an index."""
    with psycopg.connect(conninfo) as conn:
        return [row[0] for row in conn.execute("SELECT pid FROM pg_stat_progress_create_index").fetchall()]


@pytest.mark.parametrize(
    ("wanted", "dimensions", "kind"),
    [
        ("hnsw", 1536, "hnsw"),
        ("hnsw", 2000, "hnsw"),
        ("hnsw", 2001, "halfvec"),
        ("hnsw", 4001, "none"),
        ("halfvec", 512, "halfvec"),
        ("halfvec", 4000, "halfvec"),
        ("none", 512, "none"),
    ],
)
def test_the_kind_follows_the_dimensions(wanted: str, dimensions: int, kind: str) -> None:
    assert kind_for(wanted, dimensions) == kind


def test_few_vectors_get_no_index(own: str, opened: Callable[[], Database]) -> None:
    fill(own, clustered(99, DIMENSIONS))
    assert keep(opened()).state == "few"
    assert indexes(own) == []


def test_an_index_is_built_once_and_kept(own: str, opened: Callable[[], Database]) -> None:
    fill(own, clustered(120, DIMENSIONS))
    database = opened()
    assert keep(database) == IndexState("hnsw", "whole", built=True)
    assert keep(database) == IndexState("hnsw", "whole")
    fill(own, clustered(10, DIMENSIONS, seed=1), folder="/more")
    assert [whole for _, whole in indexes(own)] == [True]


@pytest.mark.parametrize("settings", [replace(FROM_100, index="none"), replace(FROM_100, index_from=10**6)])
def test_nothing_is_built_that_is_not_wanted(
    own: str, opened: Callable[[], Database], settings: SearchSettings
) -> None:
    fill(own, clustered(120, DIMENSIONS))
    assert not keep(opened(), settings).built
    assert indexes(own) == []


def test_too_many_dimensions_are_said_and_searched_without_index(own: str, opened: Callable[[], Database]) -> None:
    found = Indexes(opened(), FROM_100).keep(MODEL, embed_version(4001), 4001)
    assert (found.kind, found.state) == ("none", "none")
    assert "4001 dimensions" in found.why


def test_more_than_2000_dimensions_get_a_halfvec_index(own: str, opened: Callable[[], Database]) -> None:
    fill(own, clustered(100, 2100))
    assert Indexes(opened(), FROM_100).keep(MODEL, embed_version(2100), 2100) == IndexState("halfvec", "whole", True)


def test_processes_at_once_build_one_index(own: str, opened: Callable[[], Database]) -> None:
    fill(own, clustered(3000, DIMENSIONS))
    databases = [opened() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(keep, databases))
    assert {state.state for state in states} <= {"whole", "unfinished"}, states
    assert [whole for _, whole in indexes(own)] == [True]
    assert [keep(database).state for database in databases] == ["whole"] * 4


def test_what_a_killed_build_left_is_dropped_and_built_anew(own: str, opened: Callable[[], Database]) -> None:
    fill(own, clustered(6000, DIMENSIONS))
    states: list[IndexState] = []
    builder = threading.Thread(target=lambda: states.append(keep(opened())))
    builder.start()
    wait_until(lambda: building(own) and indexes(own))
    with psycopg.connect(own, autocommit=True) as conn:
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index")
    builder.join()
    assert states[0].state == "failed"
    assert [whole for _, whole in indexes(own)] == [False]
    assert Indexes(opened(), FROM_100).state(MODEL, VERSION, DIMENSIONS).state == "unfinished"
    assert keep(opened()) == IndexState("hnsw", "whole", built=True)
    assert [whole for _, whole in indexes(own)] == [True]


def test_a_build_that_is_stopped_lets_the_run_end(own: str, opened: Callable[[], Database]) -> None:
    fill(own, clustered(6000, DIMENSIONS))
    kept = Indexes(opened(), FROM_100)
    states: list[IndexState] = []
    builder = threading.Thread(target=lambda: states.append(kept.keep(MODEL, VERSION, DIMENSIONS)))
    builder.start()
    wait_until(lambda: building(own))
    kept.stop()
    builder.join()
    assert states[0].state == "failed"
    assert not building(own)


@pytest.mark.parametrize("age", ["0", "2 minutes"])
def test_a_build_under_way_is_left_to_its_process(own: str, opened: Callable[[], Database], age: str) -> None:
    fill(own, clustered(6000, DIMENSIONS))
    states: list[IndexState] = []
    builder = threading.Thread(target=lambda: states.append(keep(opened())))
    builder.start()
    wait_until(lambda: building(own) and indexes(own))
    with psycopg.connect(own, autocommit=True) as conn:
        conn.execute("UPDATE docproc.index_builds SET claimed_at = claimed_at - %s::interval", (age,))
    assert keep(opened()).state == "unfinished"
    assert building(own), "the build was over too soon for this test"
    builder.join()
    assert states == [IndexState("hnsw", "whole", built=True)]


def test_a_build_that_the_role_may_not_do_fails_without_an_error(own: str, opened: Callable[[], Database]) -> None:
    fill(own, clustered(120, DIMENSIONS))
    with psycopg.connect(own, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS worker")
        conn.execute("CREATE ROLE worker LOGIN PASSWORD 'worker'")
        conn.execute("GRANT USAGE ON SCHEMA docproc TO worker")
        conn.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA docproc TO worker")
    database = Database(psycopg.conninfo.make_conninfo(own, user="worker", password="worker"))
    try:
        found = keep(database)
    finally:
        database.close()
        with psycopg.connect(own, autocommit=True) as conn:
            conn.execute("DROP OWNED BY worker")
            conn.execute("DROP ROLE worker")
    assert found.state == "unfinished"
    assert "only the owner of the tables" in found.why


def test_a_direct_session_gets_memory_for_the_whole_graph(own: str, opened: Callable[[], Database]) -> None:
    fill(own, clustered(120, DIMENSIONS))
    seen: list[tuple[Any, ...]] = []

    class Watched(Indexes):
        def _memory(self, vectors: int, dimensions: int, kind: str) -> int:
            seen.append((vectors, dimensions, kind, super()._memory(vectors, dimensions, kind)))
            return 70_000

    assert Watched(opened(), FROM_100).keep(MODEL, VERSION, DIMENSIONS).built
    assert seen == [(120, DIMENSIONS, "hnsw", 120 * DIMENSIONS * 4 * 4 // 3 // 1024)]


def test_after_a_load_the_server_is_made_to_look_at_what_was_written_once(conninfo: str, database: Database) -> None:
    indexes = Indexes(database, SearchSettings(index="none"))
    assert not indexes.analyze()
    with psycopg.connect(conninfo) as conn:
        conn.execute(
            "INSERT INTO docproc.document_chunk_buffer (chunk_id, document_id, user_id, chunk_ord, chunker_name,"
            " chunker_version, chunk_sha, embed_sha, text, embed_prefix, heading_path, page_first, page_last,"
            " char_start, char_end, tokens) SELECT gen_random_uuid(), gen_random_uuid(), 'default', 0, 'x', '1', 'x',"
            " 'x', 'text', '', '{}', 1, 1, 0, 4, 1 FROM generate_series(1, 2000)"
        )
        conn.commit()
        conn.execute("SELECT pg_stat_force_next_flush()")
    wait_until(indexes.analyze)
    with psycopg.connect(conninfo) as conn:
        rows = conn.execute("SELECT reltuples FROM pg_class WHERE relname = 'document_chunk_buffer'").fetchone()
    assert rows is not None and rows[0] >= 2000
