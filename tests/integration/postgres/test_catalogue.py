"""Sources and documents: the same bytes are one document, a changed file replaces its old version when it is whole."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from docproc.app import App
from docproc.errors import ConfigError, Exit
from docproc.model import Done, Source, document_id, sha256
from docproc.postgres.catalogue import Catalogue
from docproc.postgres.database import query
from docproc.states import State
from docproc.store import Target
from tests.integration.bench import Bench, bring, drain
from tests.support import wait_until

TARGET = Target("default", "markdown-simple@1", "text-embedding-3-small", "d4-f1")


def source(uri: str, content: str) -> Source:
    return Source(uri, ".md", sha256(content.encode()), len(content))


def add(bench: Bench, uri: str, content: str, target: Target = TARGET) -> str:
    made = source(uri, content)
    raw = f"storage://raw/{target.user}/{document_id(target.user, made.sha)}.md"
    return Catalogue(bench.database, "host:1:1:tester").add_all(target, [(made, raw)])[0].outcome


def shown(bench: Bench) -> list[tuple[str, str]]:
    """What readers see: the source's name and the text of each chunk."""
    rows = bench.sql("SELECT source, text FROM docproc.document_search ORDER BY source, chunk_ord")
    return [(Path(row["source"]).name, row["text"]) for row in rows]


def test_the_same_bytes_twice_are_one_job_and_two_sources(bench: Bench) -> None:
    assert [add(bench, "/a.md", "same"), add(bench, "/b.md", "same")] == ["new", "duplicate"]
    assert (bench.count("upload_jobs"), bench.count("sources"), bench.count("job_events")) == (1, 2, 1)


def test_what_is_known_needs_nothing_and_the_rest_is_told(bench: Bench) -> None:
    add(bench, "/a.md", "one")
    sources = [source("/b.md", "one"), source("/a.md", "one"), source("/a.md", "two")]
    known = Catalogue(bench.database, "x").known(TARGET, sources)
    assert [(entry.source, entry.outcome) for entry in known] == [(sources[1], "unchanged")]


@pytest.mark.parametrize(
    "other",
    [
        Target("default", "tokens@1", "text-embedding-3-small", "d4-f1"),
        Target("default", "markdown-simple@1", "text-embedding-3-large", "d4-f1"),
        Target("default", "markdown-simple@1", "text-embedding-3-small", "d8-f1"),
        Target("someone", "markdown-simple@1", "text-embedding-3-small", "d4-f1"),
    ],
    ids=["chunker", "model", "dimensions", "user"],
)
def test_another_target_is_a_second_job_beside_the_first(bench: Bench, other: Target) -> None:
    add(bench, "/a.md", "one")
    assert Catalogue(bench.database, "x").known(other, [source("/a.md", "one")]) == []
    add(bench, "/a.md", "one", other)
    assert bench.count("upload_jobs") == 2
    assert bench.count("sources") == (2 if other.user == "someone" else 1)


def test_a_changed_file_is_a_new_document_of_the_same_source(bench: Bench) -> None:
    assert [add(bench, "/a.md", "one"), add(bench, "/a.md", "two")] == ["new", "changed"]
    (seen,) = bench.sql("SELECT document_id FROM docproc.sources")
    assert seen["document_id"] == document_id("default", sha256(b"two"))
    assert bench.count("upload_jobs") == 2


def test_readers_see_the_old_version_until_the_new_one_is_complete(app: App, bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "ferry.md"
    bring(app, file, "# Ferry\n\nIt leaves at six.\n")
    assert shown(bench) == []
    drain(app)
    old = shown(bench)
    assert [name for name, _ in old] == ["ferry.md"] and "six" in old[0][1]
    assert bring(app, file, "# Ferry\n\nIt leaves at seven.\n").outcome == "changed"
    for state in (State.UPLOADED, State.PARSED, State.PARSE_VALIDATED, State.CHUNKS_STORED):
        assert bench.sql("SELECT 1 FROM docproc.upload_jobs WHERE status = %s", str(state)), state
        assert shown(bench) == old
        drain_one_row(app)
    new = shown(bench)
    assert [name for name, _ in new] == ["ferry.md"] and "seven" in new[0][1]
    assert bring(app, file, "# Ferry\n\nIt leaves at six.\n").outcome == "duplicate"
    assert shown(bench) == old


def drain_one_row(app: App) -> None:
    """Runs the first stage that has a due job."""
    from docproc.states import Command, claimed_by

    command = next(c for c in Command if app.store.queue.backlog(claimed_by(c)).due)
    drain(app, command)


def test_a_second_source_of_a_complete_document_is_shown_at_once(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "a.md", "# Tide\n\nHigh at noon.\n")
    drain(app)
    bring(app, tmp_path / "b.md", "# Tide\n\nHigh at noon.\n")
    assert {name for name, _ in shown(bench)} == {"a.md", "b.md"}


def test_a_source_that_comes_in_while_its_document_completes_is_shown(bench: Bench, conninfo: str) -> None:
    """Neither of the two transactions sees the other's row, so one of them has to wait."""
    add(bench, "/a.md", "one")
    (row,) = bench.sql("SELECT job_id, document_id FROM docproc.upload_jobs")
    walk = "UPDATE docproc.upload_jobs SET status = %s"
    for state in (State.PARSED, State.PARSE_VALIDATED, State.CHUNKS_STORED):
        bench.sql(walk, str(state))
    (job,) = bench.queue().claim([State.CHUNKS_STORED], 1)
    bench.make_whole(job.job_id)
    values = {
        "user": "default",
        "sources": Jsonb([{"n": 0, "uri": "/b.md", "document_id": str(row["document_id"])}]),
        "complete": "complete",
        "chunks_version": TARGET.chunks_version,
        "embed_model": TARGET.embed_model,
        "embed_version": TARGET.embed_version,
    }
    done = threading.Event()

    def complete() -> None:
        bench.queue().settle(job, Done(State.COMPLETE))
        done.set()

    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(conninfo) as conn:
            conn.execute(query("lock_jobs"), {"document_ids": [row["document_id"]]})
            conn.execute(query("add_sources"), values)
            completing = pool.submit(complete)
            waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            wait_until(lambda: done.is_set() or bool(bench.sql(waiting)))
        completing.result(20)
    live = bench.sql("SELECT uri, live_job_id FROM docproc.sources ORDER BY uri")
    assert [(found["uri"], found["live_job_id"]) for found in live] == [
        ("/a.md", row["job_id"]),
        ("/b.md", row["job_id"]),
    ]


def test_the_first_word_on_the_providers_holds(bench: Bench) -> None:
    catalogue = Catalogue(bench.database, "x")
    catalogue.record_providers(parser="mock", embedder="mock")
    catalogue.record_providers(parser="mock", embedder="mock")
    for parser, embedder in (("real", "mock"), ("mock", "real"), ("real", "real")):
        with pytest.raises(ConfigError, match="settings name a real one") as caught:
            catalogue.record_providers(parser=parser, embedder=embedder)
        assert (caught.value.code, caught.value.exit_code) == ("config.mixed_providers", Exit.USAGE)
        assert caught.value.remedy
    assert bench.count("installation") == 1


def test_a_source_that_comes_in_just_after_its_document_was_completed_by_another_is_shown(
    bench: Bench, conninfo: str
) -> None:
    """The completing transaction commits while the new source waits for the job: it must see what it waited for."""
    add(bench, "/a.md", "one")
    for state in (State.PARSED, State.PARSE_VALIDATED, State.CHUNKS_STORED):
        bench.sql("UPDATE docproc.upload_jobs SET status = %s", str(state))
    (job,) = bench.queue().claim([State.CHUNKS_STORED], 1)
    bench.make_whole(job.job_id)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(conninfo) as completing:
        completing.execute("UPDATE docproc.upload_jobs SET status = 'complete', claimed_by = NULL, lease_until = NULL")
        completing.execute(query("begin_serving"), {"job_ids": [job.job_id]})
        completing.execute(query("go_live"), {"job_ids": [job.job_id]})
        adding = pool.submit(add, bench, "/b.md", "one")
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        wait_until(lambda: adding.done() or bool(bench.sql(waiting)))
        completing.commit()
        assert adding.result(20) == "duplicate"
    live = bench.sql("SELECT uri, live_job_id FROM docproc.sources ORDER BY uri")
    assert {found["live_job_id"] for found in live} == {job.job_id}
