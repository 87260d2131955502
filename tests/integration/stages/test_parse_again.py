"""A stored parse that is gone, damaged or of no use is had again for free where it can be, bought only if asked."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from docproc.app import App
from docproc.retry import retry
from docproc.settings import Settings
from docproc.states import Command, State
from docproc.storage import key, pages_uri
from docproc.store import Retried
from tests.conftest import MakeApp
from tests.integration.bench import Bench, bought, bring, drain, pdf
from tests.support import Mocks

TEXT = b"the harbour ledger"


def back_to_the_parser(bench: Bench) -> None:
    """Puts the one job where it stood before its parse was settled."""
    bench.sql("ALTER TABLE docproc.upload_jobs DISABLE TRIGGER upload_jobs_legal_moves")
    bench.sql("UPDATE docproc.upload_jobs SET status = 'parse_queued', parsed_path = NULL")
    bench.sql("ALTER TABLE docproc.upload_jobs ENABLE TRIGGER upload_jobs_legal_moves")


def again(app: App, *, priced: bool = False) -> Retried:
    return retry(app, (), codes=None, states=None, priced=priced)


def stored_text(app: App, bench: Bench) -> bytes:
    return app.storage.read(key(bench.only()["parsed_path"]))


# ── a parse that was collected ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lost", ["pages", "text", "both", "text of another parse", "pages cut off"])
def test_a_collected_parse_that_is_no_longer_whole_is_fetched_again_for_free(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, lost: str
) -> None:
    bring(app, tmp_path / "a.pdf", pdf(TEXT.decode()))
    drain(app, Command.PARSE)
    before, text = services.bill(), bench.only()["parsed_path"]
    if lost in ("pages", "both"):
        app.storage.delete(key(pages_uri(text)))
    if lost in ("text", "both"):
        app.storage.delete(key(text))
    if lost == "text of another parse":
        app.storage.write(key(text), b"what a killed process left from before")
    if lost == "pages cut off":
        app.storage.write(key(pages_uri(text)), app.storage.read(key(pages_uri(text)))[:-10])
    back_to_the_parser(bench)
    drain(app, Command.PARSE, Command.VALIDATE)
    assert bench.only()["status"] == State.PARSE_VALIDATED
    assert stored_text(app, bench) == TEXT
    assert (bought(services, before), bench.parse_call()["submits"]) == ((0, 0), 1)


def test_a_collected_parse_that_is_gone_here_and_at_the_service_is_bought_once_more(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    bring(app, tmp_path / "a.pdf", pdf(TEXT.decode()))
    drain(app, Command.PARSE)
    before, path = services.bill(), bench.only()["parsed_path"]
    app.storage.delete(key(path))
    forget(services, bench.parse_call()["external_id"])
    bench.sql("UPDATE docproc.parse_calls SET submitted_at = now() - interval '61 seconds'")
    back_to_the_parser(bench)
    drain(app, Command.PARSE)
    assert (bench.only()["status"], stored_text(app, bench)) == (State.PARSED, TEXT)
    assert (bought(services, before), bench.parse_call()["submits"]) == ((1, 1), 2)


def forget(services: Mocks, external_id: str) -> None:
    """Deletes a job at the service."""
    address = f"{services.address}/api/v2/parse/{external_id}"
    request = urllib.request.Request(address, method="DELETE", headers={"Authorization": "Bearer any"})
    urllib.request.urlopen(request, timeout=10).close()


# ── retry of what validate could not read ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["a.pdf", "a.txt"])
def test_retry_of_a_parse_that_is_gone_from_the_storage_has_it_again_for_free(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, name: str
) -> None:
    bring(app, tmp_path / name, pdf(TEXT.decode()) if name == "a.pdf" else TEXT)
    drain(app, Command.PARSE)
    before = services.bill()
    app.storage.delete(key(pages_uri(bench.only()["parsed_path"])))
    drain(app, Command.VALIDATE)
    assert bench.only()["last_error"]["code"] == "storage.missing"
    assert again(app) == Retried(sent=1, priced=0)
    assert (bench.only()["status"], bench.only()["parsed_path"]) == ("parse_queued", None)
    drain(app, Command.PARSE, Command.VALIDATE)
    assert (bench.only()["status"], stored_text(app, bench)) == (State.PARSE_VALIDATED, TEXT)
    assert bought(services, before) == (0, 0)


# ── retry of what validate refused ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def refused(app: App, bench: Bench, services: Mocks, tmp_path: Path) -> App:
    """An App with one document of which the service has lost a page."""
    services.set_faults("llamaparse.missing_pages:pages=1")
    bring(app, tmp_path / "a.pdf", pdf("one", "two", "three"))
    drain(app)
    assert bench.only()["last_error"]["code"] == "validate.pages_missing"
    services.set_faults()
    return app


def test_a_refused_parse_is_left_by_a_retry_that_may_not_pay(refused: App, bench: Bench, services: Mocks) -> None:
    before = services.bill()
    assert again(refused) == Retried(sent=0, priced=1)
    assert bench.only()["status"] == State.FAILED_PARSE
    drain(refused)
    assert services.bill() == before


def test_a_refused_parse_is_bought_fresh_when_that_is_asked_for(refused: App, bench: Bench, services: Mocks) -> None:
    before = services.bill()
    assert again(refused, priced=True) == Retried(sent=1, priced=0)
    assert (bench.only()["status"], bench.only()["parsed_path"], bench.only()["parsed_sha"]) == (
        "parse_queued",
        None,
        None,
    )
    drain(refused)
    assert bench.only()["status"] == State.COMPLETE
    assert stored_text(refused, bench) == b"one\n\ntwo\n\nthree"
    assert (bought(services, before), bench.parse_call()["submits"]) == ((1, 3), 1)


@pytest.mark.parametrize("priced", [False, True])
def test_a_refused_parse_that_passes_by_now_is_not_bought_again(
    refused: App, make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, priced: bool
) -> None:
    before = services.bill()
    app = make_app(validate=replace(settings.validate, max_missing_pages=0.4))
    assert again(app, priced=priced) == Retried(sent=1, priced=0)
    drain(app, Command.PARSE, Command.VALIDATE)
    assert bench.only()["status"] == State.PARSE_VALIDATED
    assert services.bill() == before


def test_a_refused_text_file_costs_nothing_and_is_judged_again(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "a.txt", " \n")
    drain(app)
    assert again(app) == Retried(sent=1, priced=0)
    assert bench.only()["status"] == State.PARSED


# ── pages are counted once ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_document_is_read_once_and_its_pages_counted_then(
    app: App, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[str] = []
    open_ = app.storage.open

    def watch(name: str) -> object:
        opened.append(name)
        return open_(name)

    monkeypatch.setattr(app.storage, "open", watch)
    bring(app, tmp_path / "a.pdf", pdf("one", "two"))
    drain(app, Command.PARSE, Command.VALIDATE)
    assert bench.only()["progress"]["pages_in_file"] == 2
    assert opened.count(key(bench.only()["raw_path"])) == 1


def test_pages_that_were_not_counted_at_the_submit_are_counted_by_validate(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    """The process died after the submit; the next found the job at the service and did not need the document."""
    bring(app, tmp_path / "a.pdf", pdf("one", "two"))
    drain(app, Command.PARSE)
    bench.sql("UPDATE docproc.upload_jobs SET progress = progress - 'pages_in_file'")
    path = pages_uri(bench.only()["parsed_path"])
    app.storage.write(key(path), app.storage.read(key(path)).replace(b'"pages_in_file": 2', b'"pages_in_file": null'))
    drain(app, Command.VALIDATE)
    assert bench.only()["progress"]["pages_in_file"] == 2
