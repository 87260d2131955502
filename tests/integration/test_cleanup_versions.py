"""cleanup: versions that nothing shows are kept for the grace time and go then; what may be shown never goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from docproc import cleanup
from docproc.app import App
from docproc.cleanup import sweep
from docproc.states import State
from docproc.storage import key, pages_uri
from tests.conftest import TABLES, MakeApp
from tests.integration.ageing import pass_days
from tests.integration.bench import Bench, bring, drain, pdf
from tests.support import Mocks

GRACE, NEVER = 30 * 86_400.0, 1e9
ONE, TWO = "# Ferry\n\nIt leaves at six.\n", "# Ferry\n\nIt leaves at seven.\n"


def swept(app: App, **options: Any) -> dict[str, int]:
    """What a cleanup counts, but for zeros."""
    done = sweep(app.store, app.storage, **{"dry_run": False, "grace": GRACE, "history": NEVER, **options})
    return {one.what: one.count for one in done if one.count}


def objects(app: App) -> set[str]:
    return {found.key for found in app.storage.objects("")}


def shown(bench: Bench) -> list[str]:
    return [row["text"] for row in bench.sql("SELECT text FROM docproc.document_search ORDER BY source, chunk_ord")]


def marks(bench: Bench) -> int:
    return int(bench.sql("SELECT count(*) AS n FROM docproc.upload_jobs WHERE superseded_at IS NOT NULL")[0]["n"])


def withdraw(bench: Bench) -> None:
    bench.sql("UPDATE docproc.sources SET withdrawn_at = now()")


@pytest.fixture
def replaced(app: App, bench: Bench, tmp_path: Path) -> App:
    """A document whose first version was replaced by a second one, complete."""
    for text in (ONE, TWO):
        bring(app, tmp_path / "ferry.md", text)
        drain(app)
    return app


@pytest.fixture
def sound(app: App) -> Iterator[None]:
    """Whatever the test does, every invariant holds in the end."""
    yield
    assert app.store.reads.broken_invariants(lease=120, max_submits=3) == []


pytestmark = pytest.mark.usefixtures("sound")


def test_a_replaced_version_goes_after_the_grace_time_with_all_that_is_its_own(replaced: App, bench: Bench) -> None:
    pass_days(replaced, bench, 1)
    assert swept(replaced) == {} and marks(bench) == 1
    pass_days(replaced, bench, 29.5)
    assert swept(replaced) == {}
    pass_days(replaced, bench, 1)
    assert swept(replaced, dry_run=True) == {"superseded versions": 1}
    assert swept(replaced) == {"superseded versions": 1}
    assert [bench.count(t) for t in ("upload_jobs", "document_chunk_buffer", "document_vector_buffer")] == [1, 1, 1]
    job = bench.only()
    assert objects(replaced) == {key(job["raw_path"]), key(job["parsed_path"]), key(pages_uri(job["parsed_path"]))}
    assert "seven" in shown(bench)[0]
    assert swept(replaced) == {}


def test_a_version_that_is_shown_until_the_new_one_is_complete_is_not_marked(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    bring(app, tmp_path / "ferry.md", ONE)
    drain(app)
    bring(app, tmp_path / "ferry.md", TWO)
    pass_days(app, bench, 100)
    assert swept(app, grace=0.0) == {} and marks(bench) == 0
    drain(app)
    assert swept(app, grace=0.0) == {"superseded versions": 1}


def test_a_job_of_a_new_model_waits_for_the_switch_unmarked_and_then_the_old_one_is(
    app: App, make_app: MakeApp, bench: Bench, tmp_path: Path
) -> None:
    bring(app, tmp_path / "ferry.md", ONE)
    drain(app)
    pass_days(app, bench, 100)
    other = make_app(embedder=replace(app.settings.embedder, model="text-embedding-3-large"))
    bring(other, tmp_path / "ferry.md", ONE)
    assert swept(app, grace=0.0) == {}
    drain(other)
    pass_days(app, bench, 1)
    assert swept(app, grace=0.0) == {} and marks(bench) == 0
    other.store.catalogue.switch(other.target)
    assert swept(app, grace=0.0) == {"superseded versions": 1}
    assert bench.only()["embed_model"] == "text-embedding-3-large"
    assert (bench.count("document_vector_buffer"), len(shown(bench))) == (1, 1)
    assert objects(app) and swept(app, grace=0.0) == {}


def test_what_an_older_chunker_made_goes_and_the_stored_bytes_stay(
    app: App, make_app: MakeApp, bench: Bench, tmp_path: Path
) -> None:
    bring(app, tmp_path / "ferry.md", ONE)
    drain(app)
    stored = objects(app)
    other = make_app(chunker=replace(app.settings.chunker, name="tokens@1"))
    bring(other, tmp_path / "ferry.md", ONE)
    drain(other)
    pass_days(app, bench, 100)
    assert swept(app, grace=0.0) == {"superseded versions": 1}
    assert bench.only()["chunks_version"] == "tokens@1"
    assert bench.count("document_chunk_buffer") == bench.count("document_vector_buffer") == len(shown(bench)) == 1
    assert objects(app) == stored


def test_a_failed_job_that_is_younger_than_what_is_shown_stays(replaced: App, bench: Bench, tmp_path: Path) -> None:
    bring(replaced, tmp_path / "ferry.md", " \n")
    drain(replaced)
    pass_days(replaced, bench, 100)
    swept(replaced)
    assert {row["status"] for row in bench.sql("SELECT status FROM docproc.upload_jobs")} == {
        "complete",
        "failed_parse",
    }


def test_a_withdrawn_document_is_kept_for_the_grace_time_from_its_withdrawal(replaced: App, bench: Bench) -> None:
    withdraw(bench)
    pass_days(replaced, bench, 29)
    assert swept(replaced) == {}
    pass_days(replaced, bench, 2)
    assert swept(replaced, dry_run=True) == {"superseded versions": 1, "withdrawn sources": 1}
    # The replaced version was never marked before: its time begins now.
    assert swept(replaced) == {"superseded versions": 1, "withdrawn sources": 1}
    pass_days(replaced, bench, 31)
    assert swept(replaced) == {"superseded versions": 1}
    empty = [t for t in TABLES if bench.count(t) == 0]
    assert {"sources", "upload_jobs", "job_events", "document_chunk_buffer", "document_vector_buffer"} <= set(empty)
    assert objects(replaced) == set()


def test_a_document_that_returns_begins_its_grace_time_anew(replaced: App, bench: Bench, tmp_path: Path) -> None:
    withdraw(bench)
    pass_days(replaced, bench, 20)
    swept(replaced)
    assert marks(bench) == 2
    assert bring(replaced, tmp_path / "ferry.md", TWO).outcome == "returned"
    assert marks(bench) == 1
    withdraw(bench)
    pass_days(replaced, bench, 20)
    swept(replaced)
    assert len(bench.sql("SELECT 1 FROM docproc.sources")) == 1


def test_a_document_with_a_second_source_stays_when_one_is_withdrawn(app: App, bench: Bench, tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        bring(app, tmp_path / name, ONE)
    drain(app)
    bench.sql("UPDATE docproc.sources SET withdrawn_at = now() WHERE uri LIKE '%%a.md'")
    pass_days(app, bench, 100)
    assert swept(app) == {} and len(shown(bench)) == 1


def test_a_dry_run_writes_nothing_no_mark_either(replaced: App, bench: Bench) -> None:
    withdraw(bench)
    pass_days(replaced, bench, 100)

    def dump() -> list[Any]:
        return [bench.sql(f"SELECT xmin::text, t.* FROM docproc.{table} t ORDER BY t") for table in TABLES]

    before, stored = dump(), objects(replaced)
    assert swept(replaced, dry_run=True)["withdrawn sources"] == 1
    assert (dump(), objects(replaced)) == (before, stored)


def test_sizes_are_told(replaced: App, bench: Bench) -> None:
    pass_days(replaced, bench, 100)
    swept(replaced)
    pass_days(replaced, bench, 100)
    done = {one.what: one.bytes for one in sweep(replaced.store, replaced.storage, dry_run=True, grace=GRACE)}
    assert done["superseded versions"] == len(ONE.encode())


def test_only_the_named_users_documents_go(app: App, make_app: MakeApp, bench: Bench, tmp_path: Path) -> None:
    other = make_app(user="someone")
    for one in (app, other):
        for text in (ONE, TWO):
            bring(one, tmp_path / "ferry.md", text)
            drain(one)
    pass_days(app, bench, 100)
    assert swept(app, grace=0.0, user="someone") == {"superseded versions": 1}
    assert {row["user_id"] for row in bench.sql("SELECT user_id FROM docproc.upload_jobs GROUP BY 1")} == {
        "default",
        "someone",
    }
    assert swept(app, grace=0.0) == {"superseded versions": 1}


def test_an_open_or_claimed_job_is_never_touched(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "open.md", ONE)
    bring(app, tmp_path / "claimed.md", TWO)
    withdraw(bench)
    pass_days(app, bench, 100)
    bench.sql("UPDATE docproc.upload_jobs SET superseded_at = created_at")
    (job,) = app.store.queue.claim([State.UPLOADED], 1)
    before = bench.sql("SELECT xmin::text, j.* FROM docproc.upload_jobs j ORDER BY job_id")
    assert swept(app, grace=0.0) == {}
    assert bench.sql("SELECT xmin::text, j.* FROM docproc.upload_jobs j ORDER BY job_id") == before
    app.store.queue.release([job])


def test_a_young_object_of_a_deleted_document_goes_at_a_later_cleanup(replaced: App, bench: Bench) -> None:
    assert swept(replaced, grace=0.0) == {"superseded versions": 1}
    assert len(objects(replaced)) == 6
    pass_days(replaced, bench, 1)
    assert swept(replaced, grace=0.0) == {"stored objects of no job": 3}


def test_the_objects_that_a_killed_cleanup_has_left_go_at_the_next(
    replaced: App, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_days(replaced, bench, 1)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cleanup, "delete_bytes", die)
        with pytest.raises(KeyboardInterrupt):
            swept(replaced, grace=0.0)
    assert len(objects(replaced)) == 6
    assert swept(replaced) == {"stored objects of no job": 3}


def test_a_parse_that_another_document_names_stays(app: App, bench: Bench, tmp_path: Path) -> None:
    """Two files with one text: the second one's parse is the first one's."""
    bring(app, tmp_path / "a.txt", ONE)
    drain(app)
    bring(app, tmp_path / "b.txt", ONE + "\n")
    drain(app)
    first, second = bench.jobs()["a.txt"], bench.jobs()["b.txt"]
    assert second["parsed_path"] == first["parsed_path"]
    bench.sql("UPDATE docproc.sources SET withdrawn_at = now() WHERE document_id = %s", first["document_id"])
    pass_days(app, bench, 100)
    assert swept(app) == {"superseded versions": 1, "withdrawn sources": 1}
    assert key(second["parsed_path"]) in objects(app) and key(first["raw_path"]) not in objects(app)
    assert swept(app) == {}


def test_a_parse_is_left_while_a_document_of_the_user_is_validated(app: App, bench: Bench, tmp_path: Path) -> None:
    app.storage.write(f"parsed/default/{'0' * 8}-0000-0000-0000-{'0' * 12}.md", b"perhaps about to be named")
    bring(app, tmp_path / "ferry.md", ONE)
    pass_days(app, bench, 1)
    bench.sql("UPDATE docproc.upload_jobs SET status = 'parsed', parsed_path = 'storage://parsed/x'")
    (job,) = app.store.queue.claim([State.PARSED], 1)
    assert "stored objects of no job" not in swept(app)
    app.store.queue.release([job])
    assert swept(app)["stored objects of no job"] == 1
    bench.sql("DELETE FROM docproc.sources")
    bench.sql("DELETE FROM docproc.upload_jobs")


def test_the_parse_at_the_service_goes_with_its_document(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    bring(app, tmp_path / "slow.pdf", pdf("Words of a page"))
    drain(app)
    external = bench.parse_call()["external_id"]
    withdraw(bench)
    pass_days(app, bench, 100)
    assert swept(app, parser=app.parser)["superseded versions"] == 1
    assert bench.count("parse_calls") == 0 and bench.count("api_calls") > 0
    assert app.parser.poll(external).state == "gone"


def test_a_parse_at_the_service_that_will_not_go_stops_nothing(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bring(app, tmp_path / "slow.pdf", pdf("Words of a page"))
    drain(app)
    withdraw(bench)
    pass_days(app, bench, 100)
    services.set_faults("llamaparse.unavailable")
    assert swept(app, parser=app.parser)["superseded versions"] == 1
    assert [record.getMessage() for record in caplog.records].count("a parse stays at the service") == 1
