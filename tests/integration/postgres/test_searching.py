"""Search in SQL: the index is used and hardly changes the answer, filters keep their k, words are found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector.psycopg import register_vector

from docproc.model import embed_version
from docproc.postgres.database import Database
from docproc.postgres.indexes import Indexes
from docproc.postgres.searching import Search
from docproc.settings import SearchSettings
from tests.conftest import clone
from tests.integration.bulk import MODEL, Vectors, clustered, fill

DIMENSIONS = 128
QUERIES = clustered(20, DIMENSIONS, seed=7)
Conn = psycopg.Connection[tuple[Any, ...]]

WORDS = {
    "E-203 means that the pump has lost its prime": 0,
    "the pump is greased twice a year, and the valve with it": 1,
    "Die Öffnungszeiten des Museums: ÄRZTE und Schüler frei": 2,
    "水は豆腐の命です。料金表を見てください。": 3,
    "ราคาตั๋วรถไฟ": 4,
    "the diesel generator starts the pump by hand": 5,
    "it's a path\\with a backslash & a 'quote'": 6,
}


@pytest.fixture(scope="module", params=["hnsw", "halfvec"])
def library(request: pytest.FixtureRequest, server: str, migrated: str) -> Iterator[str]:
    """5,000 vectors of two users with an index on them."""
    conninfo = clone(server, "template_docproc", f"library_{request.param}")
    fill(conninfo, clustered(3600, DIMENSIONS))
    fill(conninfo, clustered(1400, DIMENSIONS, seed=1), user="guest")
    database = Database(conninfo)
    built = Indexes(database, SearchSettings(index=request.param, index_from=100)).keep(
        MODEL, embed_version(DIMENSIONS), DIMENSIONS
    )
    database.close()
    assert built.built, built
    yield conninfo


@pytest.fixture(scope="module")
def shelf(server: str, migrated: str) -> str:
    """Seven chunks whose vectors are all the same, so that only words tell them apart."""
    conninfo = clone(server, "template_docproc", "shelf")
    fill(conninfo, np.ones((len(WORDS), 4), np.float32), texts=list(WORDS))
    return conninfo


@pytest.fixture
def conn(library: str) -> Iterator[Conn]:
    with psycopg.connect(library, autocommit=True) as opened:
        register_vector(opened)
        opened.execute("SELECT '[1]'::vector")  # loads pgvector, and with it its settings
        yield opened


def ask(conn: Conn, query: Vectors, k: int = 10, user: str = "default", source: str | None = None) -> list[Any]:
    """The chunks that are found, best first."""
    return [row[2] for row in conn.execute("SELECT * FROM docproc.search(%s, %s, %s, %s)", (query, k, user, source))]


def exact(conn: Conn, query: Vectors, k: int = 10, user: str = "default", source: str = "%") -> list[Any]:
    """The same, by looking at every vector."""
    statement = (
        "SELECT chunk_id FROM docproc.document_search WHERE user_id = %s AND source LIKE %s"
        " ORDER BY vector <=> %s, chunk_id LIMIT %s"
    )
    return [row[0] for row in conn.execute(statement, (user, source, query, k))]


def scans(conn: Conn) -> int:
    """How often the index was gone through."""
    conn.execute("SELECT pg_stat_force_next_flush()")
    conn.execute("SELECT 1")
    (row,) = conn.execute(
        "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname ~ '^document_vector_buffer_(hnsw|halfvec)_'"
    ).fetchall()
    return int(row[0])


def test_the_index_is_used_and_finds_what_an_exact_search_finds(conn: Conn) -> None:
    before = scans(conn)
    found = [ask(conn, query) for query in QUERIES]
    assert scans(conn) - before == len(QUERIES)
    shares = [len(set(ids) & set(exact(conn, query))) / 10 for ids, query in zip(found, QUERIES, strict=True)]
    assert np.mean(shares) >= 0.95


@pytest.mark.parametrize("k", [1, 10, 200])
def test_a_filter_by_user_still_brings_k_rows(conn: Conn, k: int) -> None:
    before = scans(conn)
    found = [ask(conn, query, k, "guest") for query in QUERIES]
    assert {len(ids) for ids in found} == {k}
    assert scans(conn) - before == len(QUERIES)
    shares = [len(set(ids) & set(exact(conn, q, k, "guest"))) / k for ids, q in zip(found, QUERIES, strict=True)]
    assert np.mean(shares) >= 0.95


def test_a_narrow_filter_is_answered_exactly_without_the_index(conn: Conn) -> None:
    before = scans(conn)
    for query in QUERIES[:5]:
        assert ask(conn, query, 20, source="%/3.pdf") == exact(conn, query, 20, source="%/3.pdf")
    assert scans(conn) == before


def test_an_index_that_comes_short_is_made_up_for(conn: Conn) -> None:
    conn.execute("SET hnsw.max_scan_tuples = 1")
    conn.execute("SET hnsw.iterative_scan = off")
    found = ask(conn, QUERIES[0], 1200, "guest")
    assert found == exact(conn, QUERIES[0], 1200, "guest")


def test_a_search_leaves_the_session_as_it_was(conn: Conn) -> None:
    names = (
        "hnsw.ef_search",
        "hnsw.iterative_scan",
        "enable_sort",
        "enable_seqscan",
        "enable_hashjoin",
        "lock_timeout",
    )
    conn.execute("SET hnsw.ef_search = 17")
    with conn.transaction():
        before = [conn.execute("SELECT current_setting(%s)", (name,)).fetchall() for name in names]
        ask(conn, QUERIES[0])
        conn.execute("SELECT * FROM docproc.search_hybrid(%s, 'chunk 17')", (QUERIES[0],))
        assert [conn.execute("SELECT current_setting(%s)", (name,)).fetchall() for name in names] == before


def test_scores_are_cosines_and_fall(conn: Conn) -> None:
    rows = conn.execute("SELECT score FROM docproc.search(%s, 50)", (QUERIES[0],)).fetchall()
    scores = [row[0] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert 0.5 < scores[0] <= 1


def test_a_query_of_another_length_is_refused_in_plain_words(conn: Conn) -> None:
    with pytest.raises(psycopg.errors.DataException, match=r"3 dimensions, the vectors of .* have 128"):
        conn.execute("SELECT * FROM docproc.search('[1,2,3]')")


def test_a_withdrawn_source_is_not_found_through_the_index(conn: Conn) -> None:
    with conn.transaction(force_rollback=True):
        (best,) = ask(conn, QUERIES[3], 1)
        conn.execute(
            "UPDATE docproc.sources s SET withdrawn_at = now() FROM docproc.document_chunk_buffer c"
            " WHERE c.document_id = s.document_id AND c.chunk_id = %s",
            (best,),
        )
        assert best not in ask(conn, QUERIES[3], 50)


def test_a_reader_needs_the_schema_and_two_views_only(conn: Conn) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute("CREATE ROLE reader")
        conn.execute("GRANT USAGE ON SCHEMA docproc TO reader")
        conn.execute("GRANT SELECT ON docproc.document_search, docproc.search_model TO reader")
        wanted = ask(conn, QUERIES[0])
        conn.execute("SET LOCAL ROLE reader")
        assert ask(conn, QUERIES[0]) == wanted
        assert conn.execute("SELECT * FROM docproc.search_hybrid(%s, 'chunk 17')", (QUERIES[0],)).fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT * FROM docproc.upload_jobs")


def worded(conninfo: str, words: str) -> list[int]:
    """Which of WORDS full text search finds, best first."""
    with psycopg.connect(conninfo) as conn:
        rows = conn.execute(
            "SELECT d.text FROM docproc.matching(%s, 10, 'default', NULL, %s, 'd4-f1') WITH ORDINALITY m(s, c, w, n)"
            " JOIN docproc.document_search d ON d.chunk_id = m.c ORDER BY m.n",
            (words, MODEL),
        ).fetchall()
    return [WORDS[row[0]] for row in rows]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("what does E-203 mean for the pump", [0, 5, 1]),
        ("greased pump", [1, 0, 5]),
        ("ärzte", [2]),
        ("ÖFFNUNGSZEITEN", [2]),
        ("料金", [3]),
        ('"料金表"', [3]),
        ("豆腐はいくらですか", [3]),
        ("ตั๋ว", [4]),
        ("nothing of this", []),
    ],
)
def test_words_are_found_in_any_script(shelf: str, words: str, found: Sequence[int]) -> None:
    hits = worded(shelf, words)
    assert hits[:1] == list(found[:1])
    assert set(hits) == set(found)


@pytest.mark.parametrize("words", ['"the pump" -diesel', "pump -diesel"])
def test_quotes_and_a_minus_are_obeyed(shelf: str, words: str) -> None:
    assert set(worded(shelf, words)) == {0, 1}


@pytest.mark.parametrize(
    "words", ['"', "-", "--", ":*", "a & | !", "(((", "'", "\\", "''\\'", "", " ", "“”", "-pump", '"-"', "<->", "%s {}"]
)
def test_no_query_is_an_error(shelf: str, words: str) -> None:
    worded(shelf, words)


def test_both_halves_add_up_by_reciprocal_rank(shelf: str) -> None:
    database = Database(shelf)
    hits = Search(database).search(
        np.ones(4, np.float32), user="default", model=MODEL, version="d4-f1", limit=7, words="E-203"
    )
    near = Search(database).search(np.ones(4, np.float32), user="default", model=MODEL, version="d4-f1", limit=7)
    database.close()
    place = [hit.chunk_id for hit in near].index(hits[0].chunk_id) + 1
    assert WORDS[hits[0].text] == 0
    assert hits[0].score == pytest.approx(1 / 61 + 1 / (60 + place))
    assert {hit.chunk_id for hit in hits} == {hit.chunk_id for hit in near}


def test_the_filters_hold_for_both_halves(shelf: str) -> None:
    with psycopg.connect(shelf) as conn:
        ask = "SELECT count(*) FROM docproc.search_hybrid('[1,1,1,1]', 'pump', 10, %s, %s)"
        assert conn.execute(ask, ("default", None)).fetchone() == (7,)
        assert conn.execute(ask, ("nobody", None)).fetchone() == (0,)
        assert conn.execute(ask, ("default", "/elsewhere/%")).fetchone() == (0,)


def test_an_empty_database_answers_with_nothing(conninfo: str) -> None:
    with psycopg.connect(conninfo) as conn:
        assert conn.execute("SELECT * FROM docproc.search('[1,2,3]')").fetchall() == []
        assert conn.execute("SELECT * FROM docproc.search_hybrid('[1,2,3]', 'pump')").fetchall() == []
