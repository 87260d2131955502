"""The parse stage against the mock service: one paid job a document, whoever died when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from docproc.app import App
from docproc.model import Job
from docproc.settings import Settings
from docproc.states import Command, State
from docproc.storage import key
from docproc.store import ParseCall
from tests.conftest import MakeApp
from tests.integration.bench import PARSED, Bench, bought, bring, drain, pdf
from tests.integration.parsers.service import submit
from tests.support import Mocks


@pytest.fixture
def unhurried(make_app: MakeApp, settings: Settings) -> App:
    """An App that looks after a minute whether a parse is ready."""
    return make_app(parser=replace(settings.parser, first_poll=60.0, max_poll=60.0))


# ── the usual way ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.md", "# Tide\n\nHigh at noon.\n"), ("a.txt", "High at noon.\r\n"), ("a.html", "<h1>Tide</h1><p>High</p>")],
)
def test_text_formats_make_no_call(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, name: str, content: str
) -> None:
    requests = len(services.log())
    bring(app, tmp_path / name, content)
    drain(app, Command.PARSE)
    job = bench.only()
    assert job["status"] == State.PARSED
    assert len(services.log()) == requests
    assert (bench.count("parse_calls"), bench.count("api_calls")) == (0, 0)
    assert b"High" in app.storage.read(key(job["parsed_path"]))


def test_formats_named_as_local_make_no_call_either(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    app = make_app(parser=replace(settings.parser, local=(".pdf",)))
    requests = len(services.log())
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    assert bench.only()["status"] == State.PARSED
    assert len(services.log()) == requests


def test_a_submit_stores_the_services_id_and_ends_the_claim(unhurried: App, bench: Bench, tmp_path: Path) -> None:
    bring(unhurried, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(unhurried, Command.PARSE, stay=False)
    job, call = bench.only(), bench.parse_call()
    assert (job["status"], job["claimed_by"], job["attempt"]) == ("parse_queued", None, 0)
    assert (call["state"], call["submits"]) == ("submitted", 1)
    assert call["external_id"].startswith("pjb-")
    (paid,) = bench.sql("SELECT * FROM docproc.api_calls")
    assert (paid["outcome"], paid["request_id"], paid["job_ids"]) == ("accepted", call["external_id"], [job["job_id"]])


def test_a_ready_parse_is_stored_with_its_pages_and_price(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before = services.bill()
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger", "the second page"))
    drain(app, Command.PARSE)
    job, call = bench.only(), bench.parse_call()
    assert bench.steps(job["job_id"]) == PARSED
    assert job["progress"] == {"pages_in_file": 2, "pages_total": 2, "pages_failed": 0, "characters_removed": 0}
    assert app.storage.read(key(job["parsed_path"])) == b"the harbour ledger\n\nthe second page"
    assert (call["state"], call["pages"], call["credits"]) == ("collected", 2, 6)
    assert bought(services, before) == (1, 2)


def test_another_target_for_the_same_document_does_not_parse_again(
    app: App, make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    data = pdf("the harbour ledger")
    bring(app, tmp_path / "a.pdf", data)
    drain(app, Command.PARSE)
    requests = len(services.log())
    second = make_app(chunker=replace(settings.chunker, name="tokens@1"))
    bring(second, tmp_path / "a.pdf", data)
    drain(second, Command.PARSE)
    assert bench.sql("SELECT status, count(*) AS n FROM docproc.upload_jobs GROUP BY 1") == [
        {"status": "parsed", "n": 2}
    ]
    assert len(services.log()) == requests


@pytest.mark.parametrize("fault", ["poll_error", "fetch_error"])
def test_a_look_that_fails_is_tried_again_without_another_submit(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, fault: str
) -> None:
    services.set_faults(f"llamaparse.{fault}:times=1")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    job = bench.only()
    assert job["status"] == State.PARSED
    assert [e["code"] for e in bench.events(job["job_id"]) if e["code"]] == ["parse.unavailable"]
    assert bench.parse_call()["submits"] == 1


@pytest.mark.parametrize("fault", ["unknown_state:times=2", "not_found_yet:seconds=0.3", "usage_null", "no_markdown"])
def test_answers_that_are_only_odd_lead_to_a_parse_all_the_same(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, fault: str
) -> None:
    services.set_faults(f"llamaparse.{fault}")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    job = bench.only()
    assert bench.steps(job["job_id"]) == PARSED
    assert b"harbour" in app.storage.read(key(job["parsed_path"]))
    assert bench.parse_call()["submits"] == 1


# ── somebody died between the request and the answer ────────────────────────────────────────────────────────────────


def about_to_submit(app: App, bench: Bench, path: Path, data: bytes) -> tuple[Job, ParseCall]:
    """A job whose process died right after it had marked that it would submit."""
    bring(app, path, data)
    (job,) = app.store.queue.claim([State.UPLOADED], 1)
    calls = app.store.parse_calls
    call = calls.parse_call(job, app.parser.settings_id)
    assert calls.begin_submit(call, job)
    app.store.queue.release([job])
    return job, call


def test_a_job_that_the_service_has_is_found_and_paid_for_once(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before, data = services.bill(), pdf("the harbour ledger")
    _, call = about_to_submit(app, bench, tmp_path / "a.pdf", data)
    external_id = submit(app.parser, data, call.client_ref)
    drain(app, Command.PARSE)
    assert bench.only()["status"] == State.PARSED
    assert (bench.parse_call()["external_id"], bench.parse_call()["submits"]) == (external_id, 1)
    assert bought(services, before) == (1, 1)


def test_a_job_that_the_service_does_not_have_is_submitted_when_it_cannot_come_any_more(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before = services.bill()
    job, _ = about_to_submit(app, bench, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE, stay=False)
    assert (bench.parse_call()["state"], bench.parse_call()["submits"]) == ("submitting", 1)
    assert (bench.row(job.job_id)["attempt"], bought(services, before)) == (0, (0, 0))
    bench.sql("UPDATE docproc.parse_calls SET submitting_at = now() - interval '21 seconds'")
    bench.make_due()
    drain(app, Command.PARSE)
    assert bench.only()["status"] == State.PARSED
    assert (bench.parse_call()["submits"], bought(services, before)) == (2, (1, 1))


def test_a_job_that_was_accepted_but_not_settled_is_not_submitted_again(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before, data = services.bill(), pdf("the harbour ledger")
    _, call = about_to_submit(app, bench, tmp_path / "a.pdf", data)
    app.store.parse_calls.submitted(call, submit(app.parser, data, call.client_ref))
    drain(app, Command.PARSE)
    assert bench.steps(bench.only()["job_id"]) == PARSED
    assert bought(services, before) == (1, 1)


def test_a_parse_that_was_stored_but_not_settled_is_fetched_again_and_not_paid_again(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before = services.bill()
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    job = bench.only()
    bench.sql("ALTER TABLE docproc.upload_jobs DISABLE TRIGGER upload_jobs_legal_moves")
    bench.sql("UPDATE docproc.upload_jobs SET status = 'parse_queued', parsed_path = NULL")
    bench.sql("ALTER TABLE docproc.upload_jobs ENABLE TRIGGER upload_jobs_legal_moves")
    requests = len(services.log())
    drain(app, Command.PARSE)
    assert bench.only()["parsed_path"] == job["parsed_path"]
    assert (bought(services, before), len(services.log())) == ((1, 1), requests)


@pytest.mark.parametrize("fault", ["error_after_accept", "reset", "empty_answer", "html_answer"])
def test_a_submit_whose_answer_was_lost_is_paid_for_once(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, fault: str
) -> None:
    before = services.bill()
    services.set_faults(f"llamaparse.{fault}:times=1")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    job = bench.only()
    assert job["status"] == State.PARSED
    assert len([e for e in bench.events(job["job_id"]) if e["code"]]) == 1
    assert (bench.parse_call()["submits"], bought(services, before)) == (1, (1, 1))


def test_a_submit_that_timed_out_is_paid_for_once(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before = services.bill()
    services.set_faults("llamaparse.slow:times=1,seconds=0.8")
    app = make_app(parser=replace(settings.parser, timeout=0.4))
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    assert bench.only()["status"] == State.PARSED
    assert (bench.parse_call()["submits"], bought(services, before)) == (1, (1, 1))


@pytest.mark.parametrize("fault", ["server_error", "unavailable"])
def test_a_submit_that_the_service_never_took_is_made_again(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path, fault: str
) -> None:
    before = services.bill()
    services.set_faults(f"llamaparse.{fault}:times=1,on=submit")
    app = make_app(parser=replace(settings.parser, timeout=0.5))
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    assert bench.only()["status"] == State.PARSED
    assert (bench.parse_call()["submits"], bought(services, before)) == (2, (1, 1))
