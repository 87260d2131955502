"""cleanup beside others: what comes back, is claimed or is being worked on while versions are deleted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from docproc.app import App
from docproc.cleanup import sweep
from docproc.postgres.versions import Deleted, Versions, _delete
from tests.conftest import MakeApp
from tests.integration.ageing import pass_days
from tests.integration.bench import Bench, bring, drain
from tests.support import wait_until

GRACE = 30 * 86_400.0
ONE = "# Ferry\n\nIt leaves at six.\n"


def swept(app: App, **options: Any) -> dict[str, int]:
    """What a cleanup that keeps nothing counts, but for zeros."""
    done = sweep(app.store, app.storage, **{"dry_run": False, "grace": 0.0, "history": 1e9, **options})
    return {one.what: one.count for one in done if one.count}


def shown(bench: Bench) -> list[str]:
    return [row["text"] for row in bench.sql("SELECT text FROM docproc.document_search ORDER BY source, chunk_ord")]


def marks(bench: Bench) -> int:
    return int(bench.sql("SELECT count(*) AS n FROM docproc.upload_jobs WHERE superseded_at IS NOT NULL")[0]["n"])


def withdraw(bench: Bench) -> None:
    bench.sql("UPDATE docproc.sources SET withdrawn_at = now()")


@pytest.fixture
def sound(app: App) -> Iterator[None]:
    """Whatever the test does, every invariant holds in the end."""
    yield
    assert app.store.reads.broken_invariants(lease=120, max_submits=3) == []


pytestmark = pytest.mark.usefixtures("sound")


def document_ids(bench: Bench) -> list[Any]:
    return [row["document_id"] for row in bench.sql("SELECT document_id FROM docproc.upload_jobs")]


def test_a_file_that_returns_while_its_document_is_deleted_gets_a_job_of_its_own(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    """The ingest waits for the deletion and must not build on what it saw before."""
    bring(app, tmp_path / "ferry.md", ONE)
    drain(app)
    withdraw(bench)
    pass_days(app, bench, 100)
    Versions(bench.database).mark(next(Versions(bench.database).judged()))
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with ThreadPoolExecutor(1) as pool:
        with bench.database.transaction() as conn:
            assert _delete(conn, document_ids(bench), GRACE).sources == 1
            coming = pool.submit(bring, app, tmp_path / "ferry.md", ONE)
            wait_until(lambda: coming.done() or bool(bench.sql(waiting)))
            assert not coming.done()
        assert coming.result(20).outcome == "new"
    assert bench.states() == {"ferry.md": "uploaded"}
    drain(app)
    assert bench.states() == {"ferry.md": "complete"} and len(shown(bench)) == 1


def test_a_document_whose_file_is_just_returning_is_left_alone(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "ferry.md", ONE)
    drain(app)
    withdraw(bench)
    pass_days(app, bench, 100)
    versions = Versions(bench.database)
    versions.mark(next(versions.judged()))
    with bench.database.transaction() as conn:
        conn.execute("SELECT 1 FROM docproc.upload_jobs FOR SHARE")
        assert versions.delete(document_ids(bench), GRACE) == Deleted()


def test_a_mark_that_no_longer_holds_deletes_nothing(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "ferry.md", ONE)
    drain(app)
    pass_days(app, bench, 100)
    bench.sql("UPDATE docproc.upload_jobs SET superseded_at = created_at")
    assert Versions(bench.database).delete(document_ids(bench), 0.0) == Deleted()
    assert swept(app, grace=0.0) == {} and marks(bench) == 0


def test_a_pipeline_that_runs_loses_nothing_to_a_cleanup_that_keeps_nothing(
    app: App, make_app: MakeApp, bench: Bench, tmp_path: Path
) -> None:
    """Versions come, are replaced and come back, while every old one is deleted at once, with its old bytes."""
    over = threading.Event()
    sweeps: list[dict[str, int]] = []
    cleaner = make_app()

    def clean() -> None:
        while not over.is_set():
            sweeps.append(swept(cleaner, grace=0.0))

    cleaning = threading.Thread(target=clean)
    cleaning.start()
    try:
        for n in range(6):
            for name in range(5):
                bring(app, tmp_path / f"{name}.md", f"# Note {name}\n\nText {n % 2}.\n")
            drain(app)
    finally:
        over.set()
        cleaning.join(30)
    assert sum(seen.get("superseded versions", 0) for seen in sweeps) > 5
    assert len(shown(bench)) == 5 and all("Text 1" in text for text in shown(bench))
    assert set(bench.states().values()) == {"complete"}
