"""cleanup: what belongs to nothing goes, what is live, young or in flight stays."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from docproc.app import App
from docproc.cleanup import YOUNG, sweep
from docproc.postgres.objects import Objects
from docproc.states import State
from docproc.storage import key
from docproc.storage.local import LocalStorage
from tests.conftest import TABLES
from tests.integration.bench import Bench, bring, bring_all, drain

ORPHAN = f"raw/default/{uuid4()}.pdf"


def age(app: App, name: str, seconds: float = YOUNG + 60) -> None:
    """Makes a stored object look old."""
    when = time.time() - seconds
    os.utime(app.settings.home / "storage" / name, (when, when))


def objects(app: App) -> set[str]:
    return {found.key for found in app.storage.objects("")}


def counts(app: App, *, dry_run: bool) -> dict[str, int]:
    return {swept.what: swept.count for swept in sweep(app.store, app.storage, dry_run=dry_run)}


KINDS = (
    "superseded versions",
    "withdrawn sources",
    "vectors of no job",
    "chunks of no job",
    "old changes of finished jobs",
    "expired leases",
    "old receipts of runs",
    "parses of no document",
    "claims of ended index builds",
    "trials of killed processes",
    "objects of killed processes",
    "stored objects of no job",
    "jobs whose stored bytes are gone",
)
NOTHING = dict.fromkeys(KINDS, 0)
LITTER = NOTHING | {
    "vectors of no job": 2,
    "chunks of no job": 1,
    "expired leases": 1,
    "parses of no document": 1,
    "claims of ended index builds": 1,
    "trials of killed processes": 1,
    "objects of killed processes": 1,
    "stored objects of no job": 5,
}
"""What ``littered`` leaves about."""


@pytest.fixture
def littered(app: App, bench: Bench, tmp_path: Path) -> App:
    """A complete document and a waiting one; beside them an orphan of each kind."""
    bring(app, tmp_path / "live.md", "# Tide\n\nHigh at noon.\n")
    bring(app, tmp_path / "gone.md", "# Ebb\n\nLow at six.\n")
    drain(app)
    bring(app, tmp_path / "waiting.md", "# Later\n\nNot yet.\n")
    app.storage.write(ORPHAN, b"of nobody")
    app.storage.write("parsed/default/none.md", b"of nobody")
    half_written = app.settings.home / "storage" / f".4711.{'0' * 16}"
    half_written.write_bytes(b"of a killed pro")
    age(app, half_written.name)
    for name in objects(app):
        age(app, name)
    bench.sql("UPDATE docproc.document_vector_buffer SET embed_model = 'old' WHERE document_id = %s", of(bench, "live"))
    bench.sql(
        "INSERT INTO docproc.document_vector_buffer SELECT chunk_id, document_id, user_id, 'text-embedding-3-small',"
        " embed_version, embed_sha, vector, vector_sha FROM docproc.document_vector_buffer WHERE embed_model = 'old'"
    )
    bench.sql("DELETE FROM docproc.sources WHERE uri LIKE '%%gone.md'")
    bench.sql("DELETE FROM docproc.upload_jobs WHERE source LIKE '%%gone.md'")
    bench.make(source="/killed/canary.md", user_id="docproc-trial-1", updated_at=datetime.now(UTC) - timedelta(hours=2))
    bench.make(source="/alive/canary.md", user_id="docproc-trial-2")
    bench.sql(
        "INSERT INTO docproc.sources (user_id, uri, document_id) SELECT user_id, source, document_id"
        " FROM docproc.upload_jobs WHERE user_id LIKE 'docproc-trial-%%'"
    )
    bench.sql("INSERT INTO docproc.index_builds VALUES ('of a dead build', now() - interval '2 hours')")
    bench.sql(
        "INSERT INTO docproc.parse_calls (document_id, parser, client_ref, created_at)"
        " VALUES (gen_random_uuid(), 'p', 'c', now() - interval '2 hours')"
    )
    job = bench.claim(source="/expired")
    bench.sql("UPDATE docproc.upload_jobs SET lease_until = now() - interval '1 s' WHERE job_id = %s", job.job_id)
    return app


def dump(bench: Bench) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, and which transaction wrote it."""
    return {table: bench.sql(f"SELECT xmin::text, t.* FROM docproc.{table} t ORDER BY t") for table in TABLES}


def of(bench: Bench, name: str) -> object:
    return bench.jobs()[f"{name}.md"]["document_id"]


def test_a_dry_run_tells_and_changes_nothing(littered: App, bench: Bench) -> None:
    before = dump(bench)
    stored = objects(littered)
    assert counts(littered, dry_run=True) == LITTER
    assert objects(littered) == stored
    assert dump(bench) == before
    assert counts(littered, dry_run=True) == LITTER


def test_orphans_go_and_what_is_live_stays(littered: App, bench: Bench) -> None:
    shown = bench.sql("SELECT * FROM docproc.document_search")
    assert len(shown) == 1
    assert counts(littered, dry_run=False) == LITTER
    assert bench.sql("SELECT * FROM docproc.document_search") == shown
    assert counts(littered, dry_run=True) == NOTHING
    jobs = bench.jobs()
    assert objects(littered) == {
        key(jobs["live.md"]["raw_path"]),
        key(jobs["live.md"]["parsed_path"]),
        key(jobs["live.md"]["parsed_path"]).removesuffix(".md") + ".json",
        key(jobs["waiting.md"]["raw_path"]),
    }
    assert jobs["expired"]["claimed_by"] is None
    drain(littered)
    assert bench.jobs()["waiting.md"]["status"] == State.COMPLETE


def test_a_second_cleanup_finds_nothing(littered: App) -> None:
    counts(littered, dry_run=False)
    assert counts(littered, dry_run=False) == NOTHING


def test_a_young_object_without_a_job_stays(app: App) -> None:
    app.storage.write(ORPHAN, b"its job is about to be made")
    assert counts(app, dry_run=False) == NOTHING
    age(app, ORPHAN)
    assert counts(app, dry_run=False) == NOTHING | {"stored objects of no job": 1}
    assert objects(app) == set()


def test_an_object_that_comes_in_again_while_cleanup_looks_stays(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ingest that writes old bytes again, before its job is made, makes the object young once more."""
    app.storage.write(ORPHAN, b"bytes")
    age(app, ORPHAN)
    look = Objects.named

    def meanwhile(self: Objects, uris: Sequence[str], documents: Sequence[UUID | None]) -> set[str]:
        app.storage.write(ORPHAN, b"bytes")
        return look(self, uris, documents)

    monkeypatch.setattr(Objects, "named", meanwhile)
    sweep(app.store, app.storage, dry_run=False)
    assert objects(app) == {ORPHAN}


def test_the_objects_of_failed_documents_and_of_older_versions_stay(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "empty.md", " \n")
    bring(app, tmp_path / "changing.md", "# One\n\nThe first.\n")
    drain(app)
    bring(app, tmp_path / "changing.md", "# Two\n\nThe second.\n")
    for name in objects(app):
        age(app, name)
    stored = objects(app)
    assert counts(app, dry_run=False) == NOTHING
    assert objects(app) == stored
    assert [row["text"] for row in bench.sql("SELECT text FROM docproc.document_search")] != []


def test_cleanup_during_a_run_disturbs_nothing(app: App, bench: Bench, tmp_path: Path) -> None:
    bring_all(app, tmp_path, {f"{n}.md": f"# Note {n}\n\nWords of note {n}.\n" for n in range(20)})
    over = threading.Event()
    sweeps: list[dict[str, int]] = []

    def clean() -> None:
        while not over.is_set():
            for found in LocalStorage(app.settings.home / "storage").objects(""):
                age(app, found.key)
            sweeps.append(counts(app, dry_run=False))

    cleaning = threading.Thread(target=clean)
    cleaning.start()
    try:
        drain(app)
    finally:
        over.set()
        cleaning.join(20)
    assert sweeps and all(seen == NOTHING for seen in sweeps)
    assert set(bench.states().values()) == {"complete"}
    assert bench.sql("SELECT count(DISTINCT source) AS n FROM docproc.document_search")[0]["n"] == 20
