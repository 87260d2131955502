"""cleanup: what belongs to nothing goes, what is live, young or in flight stays."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from docproc.app import App
from docproc.cleanup import YOUNG, sweep
from docproc.states import State
from docproc.storage import key
from docproc.storage.local import LocalStorage
from tests.integration.bench import Bench, bring, bring_all, drain

ORPHAN = f"raw/default/{uuid4()}.pdf"


def age(app: App, name: str, seconds: float = YOUNG + 60) -> None:
    """Makes a stored object look old."""
    when = time.time() - seconds
    os.utime(app.settings.home / "storage" / name, (when, when))


def objects(app: App) -> set[str]:
    return set(app.storage.keys(""))


def counts(app: App, *, dry_run: bool) -> dict[str, int]:
    return {swept.what: swept.count for swept in sweep(app.store, app.storage, dry_run=dry_run)}


KINDS = (
    "expired leases",
    "vectors of no job",
    "chunks of no job",
    "trials of killed processes",
    "stored objects of no job",
    "objects of killed processes",
)
NOTHING = dict.fromkeys(KINDS, 0)
LITTER = dict(zip(KINDS, (1, 2, 1, 1, 5, 1), strict=True))
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
    job = bench.claim(source="/expired")
    bench.sql("UPDATE docproc.upload_jobs SET lease_until = now() - interval '1 s' WHERE job_id = %s", job.job_id)
    return app


def of(bench: Bench, name: str) -> object:
    return bench.jobs()[f"{name}.md"]["document_id"]


def test_a_dry_run_tells_and_changes_nothing(littered: App, bench: Bench) -> None:
    tables = ("upload_jobs", "document_chunk_buffer", "document_vector_buffer", "sources", "job_events")
    before = {table: bench.sql(f"SELECT xmin::text, * FROM docproc.{table}") for table in tables}
    stored = objects(littered)
    assert counts(littered, dry_run=True) == LITTER
    assert objects(littered) == stored
    assert {table: bench.sql(f"SELECT xmin::text, * FROM docproc.{table}") for table in tables} == before
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
    look = app.store.reads.stored_uris

    written: list[str] = []

    def meanwhile() -> list[str]:
        if not written:
            app.storage.write(ORPHAN, b"bytes")
            written.append(ORPHAN)
        return look()

    monkeypatch.setattr(app.store.reads, "stored_uris", meanwhile)
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
            for name in LocalStorage(app.settings.home / "storage").keys(""):
                age(app, name)
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
