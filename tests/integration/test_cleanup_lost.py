"""cleanup: jobs whose stored bytes are gone are found, the next ingest brings them back; old history goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from docproc.app import App
from docproc.cleanup import sweep
from docproc.states import Command, State
from docproc.storage import key, pages_uri
from tests.integration.ageing import pass_days
from tests.integration.bench import Bench, bring, drain

TEXT = "# Ferry\n\nIt leaves at six.\n"
LACKING = "jobs whose stored bytes are gone"


def swept(app: App, **options: Any) -> dict[str, int]:
    done = sweep(app.store, app.storage, **{"dry_run": False, "history": 1e9, **options})
    return {one.what: one.count for one in done if one.count}


def lost(bench: Bench) -> bool:
    return bench.only()["raw_lost_at"] is not None


def test_bytes_that_are_gone_before_the_parse_are_stored_again_by_the_next_ingest(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    bring(app, tmp_path / "ferry.md", TEXT)
    raw = key(bench.only()["raw_path"])
    app.storage.delete(raw)
    assert swept(app) == {}, "an ingest of it may be going on"
    pass_days(app, bench, 1)
    assert swept(app, dry_run=True) == {LACKING: 1} and not lost(bench)
    assert swept(app) == swept(app) == {LACKING: 1} and lost(bench)
    assert bring(app, tmp_path / "ferry.md", TEXT).outcome == "restored"
    assert app.storage.exists(raw) and not lost(bench)
    assert bring(app, tmp_path / "ferry.md", TEXT).outcome == "unchanged"
    drain(app)
    assert bench.states() == {"ferry.md": "complete"}


def test_a_document_that_failed_for_its_bytes_goes_on_when_its_file_comes_in_again(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    bring(app, tmp_path / "ferry.md", TEXT)
    app.storage.delete(key(bench.only()["raw_path"]))
    drain(app)
    assert bench.only()["last_error"]["code"] == "storage.missing"
    assert swept(app) == {LACKING: 1}
    assert bring(app, tmp_path / "ferry.md", TEXT).outcome == "restored"
    drain(app)
    assert bench.states() == {"ferry.md": "complete"}
    assert app.store.reads.broken_invariants(lease=120, max_submits=3) == []


def test_a_file_whose_stored_bytes_were_damaged_is_stored_again_without_a_cleanup(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    bring(app, tmp_path / "ferry.md", TEXT)
    app.storage.write(key(bench.only()["raw_path"]), b"other bytes")
    drain(app)
    assert bench.only()["last_error"]["code"] == "storage.corrupt"
    assert bring(app, tmp_path / "ferry.md", TEXT).outcome == "restored"
    drain(app)
    assert bench.states() == {"ferry.md": "complete"}


def test_a_parse_that_is_gone_before_it_is_validated_is_made_again(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "ferry.md", TEXT)
    drain(app, Command.PARSE)
    app.storage.delete(key(pages_uri(bench.only()["parsed_path"])))
    pass_days(app, bench, 1)
    assert swept(app) == {LACKING: 1}
    drain(app, Command.VALIDATE)
    assert bench.only()["status"] == State.FAILED_PARSE
    assert bring(app, tmp_path / "ferry.md", TEXT).outcome == "restored"
    drain(app)
    assert bench.states() == {"ferry.md": "complete"}


def test_a_job_that_needs_its_bytes_no_more_does_not_lack_them(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "ferry.md", TEXT)
    drain(app)
    app.storage.purge("default")
    pass_days(app, bench, 1)
    assert swept(app) == {}


def test_the_history_of_what_has_ended_goes_but_for_the_last_word(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "done.md", TEXT)
    drain(app)
    bring(app, tmp_path / "open.md", TEXT + "More.\n")
    pass_days(app, bench, 91)
    done, waiting = bench.jobs()["done.md"]["job_id"], bench.jobs()["open.md"]["job_id"]
    passed = len(bench.events(done))
    assert swept(app, history=90 * 86_400.0, dry_run=True) == {"old changes of finished jobs": passed - 1}
    assert len(bench.events(done)) == passed
    assert swept(app, history=90 * 86_400.0) == {"old changes of finished jobs": passed - 1}
    assert [event["to_status"] for event in bench.events(done)] == ["complete"]
    assert len(bench.events(waiting)) == 1
    assert app.store.reads.broken_invariants(lease=120, max_submits=3) == []


def test_history_that_is_young_enough_stays(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "done.md", TEXT)
    drain(app)
    pass_days(app, bench, 89)
    assert swept(app, history=90 * 86_400.0) == {}


def test_old_receipts_go_but_for_the_last_and_the_last_good_one_and_the_ledger_stays(app: App, bench: Bench) -> None:
    for days, code in ((200, 0), (180, 0), (160, 3), (150, 3)):
        bench.sql(
            "INSERT INTO docproc.runs (run_id, command, profile, worker, started_at, finished_at, exit_code) VALUES"
            " (gen_random_uuid(), 'run-all', 'local', 'w', now() - %s * interval '1 day',"
            " now() - %s * interval '1 day', %s)",
            days,
            days,
            code,
        )
    bench.sql(
        "INSERT INTO docproc.api_calls (call_id, run_id, provider, operation, job_ids, unit)"
        " SELECT gen_random_uuid(), run_id, 'openai', 'embed', '{}', 'token' FROM docproc.runs"
    )
    assert swept(app, history=90 * 86_400.0) == {"old receipts of runs": 2}
    rows = bench.sql("SELECT exit_code, extract(day FROM now() - finished_at) AS age FROM docproc.runs ORDER BY 2")
    assert [(row["exit_code"], int(row["age"])) for row in rows] == [(3, 150), (0, 180)]
    assert bench.count("api_calls") == 4
    assert len(bench.sql("SELECT 1 FROM docproc.api_calls WHERE run_id IS NULL")) == 2


def test_a_gap_within_the_history_that_is_kept_is_still_told(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "done.md", TEXT)
    drain(app)
    bench.sql("DELETE FROM docproc.job_events WHERE to_status = 'parsed'")
    told = app.store.reads.broken_invariants(lease=120, max_submits=3)
    assert [row["invariant"] for row in told] == ["I7"]


def test_many_rows_go_in_several_transactions(app: App, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from docproc.postgres import sweeping

    monkeypatch.setattr(sweeping, "BATCH", 7)
    bench.sql(
        "INSERT INTO docproc.document_chunk_buffer SELECT gen_random_uuid(), '11111111-1111-1111-1111-111111111111',"
        " 'default', n, 'markdown-simple', '1', 'a', 'b', 't', '', '{}', 1, 1, 0, 1, 1 FROM generate_series(0, 29) n"
    )
    bench.sql(
        "INSERT INTO docproc.document_vector_buffer SELECT chunk_id, document_id, user_id, m, 'd4-f1', 'b',"
        " '[1,2,3,4]', 'v' FROM docproc.document_chunk_buffer, (VALUES ('x'), ('y')) AS models (m)"
    )
    assert swept(app, dry_run=True) == {"vectors of no job": 60, "chunks of no job": 30}
    assert swept(app) == {"vectors of no job": 60, "chunks of no job": 30}
    assert bench.count("document_chunk_buffer") == bench.count("document_vector_buffer") == 0
