"""The parse stage when the service refuses, fails, never ends or forgets; and what a document's own bytes can do."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from docproc.app import App
from docproc.errors import CredentialsError, Exit, ProgramError, QuotaError
from docproc.retry import retry
from docproc.settings import Settings
from docproc.states import Command, State
from docproc.storage import key
from tests.conftest import MakeApp
from tests.integration.bench import PARSED, Bench, bought, bring, bring_all, drain, pdf
from tests.support import Mocks

# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("fault", "ledger"), [("too_large", []), ("unprocessable", [{"outcome": "refused"}])])
def test_a_refused_document_fails_at_once_and_its_submit_is_given_back(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, fault: str, ledger: list[dict[str, str]]
) -> None:
    """A file that is refused as such was never submitted."""
    before = services.bill()
    services.set_faults(f"llamaparse.{fault}")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    job = bench.only()
    assert (job["status"], job["last_error"]["code"]) == ("failed_parse", "parse.rejected")
    assert job["last_error"]["remedy"]
    assert (bench.parse_call()["state"], bench.parse_call()["submits"]) == ("intent", 0)
    assert bench.sql("SELECT outcome FROM docproc.api_calls") == ledger
    assert bought(services, before) == (0, 0)


@pytest.mark.parametrize(
    ("fault", "error", "exit_code"),
    [("payment_required", QuotaError, Exit.MONEY), ("unauthorized", CredentialsError, Exit.CREDENTIALS)],
)
def test_a_refused_account_stops_the_run_and_touches_no_document(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, fault: str, error: type[ProgramError], exit_code: Exit
) -> None:
    services.set_faults(f"llamaparse.{fault}")
    bring_all(app, tmp_path, {f"{n}.pdf": pdf(f"ledger {n}") for n in range(3)})
    with pytest.raises(error) as caught:
        drain(app, Command.PARSE)
    assert caught.value.exit_code == exit_code and caught.value.remedy
    for job in bench.jobs().values():
        assert (job["status"], job["attempt"], job["claimed_by"], job["last_error"]) == ("uploaded", 0, None, None)
        assert bench.steps(job["job_id"]) == [(None, "uploaded")]
    assert bench.sql("SELECT sum(submits) AS n FROM docproc.parse_calls")[0]["n"] in (0, None)
    services.set_faults()
    drain(app, Command.PARSE)
    assert set(bench.states().values()) == {"parsed"}


def test_a_rate_limit_costs_no_attempt_and_no_submit(app: App, bench: Bench, services: Mocks, tmp_path: Path) -> None:
    before = services.bill()
    services.set_faults("llamaparse.rate_limit:times=2,retry_after=0.1")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    assert bench.steps(bench.only()["job_id"]) == PARSED
    assert (bench.parse_call()["submits"], bought(services, before)) == (1, (1, 1))


def test_submits_of_all_documents_keep_to_the_limit(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    app = make_app(parser=replace(settings.parser, submits_per_10s=20))
    bring_all(app, tmp_path, {f"{n}.pdf": pdf(f"ledger {n}") for n in range(5)})
    requests = len(services.log())
    drain(app, Command.PARSE)
    assert set(bench.states().values()) == {"parsed"}
    times = [entry["at"] for entry in services.log()[requests:] if entry["operation"] == "submit"]
    # Two at once, the others at 1.44 a second.
    assert len(times) == 5 and times[-1] - times[0] > 2 / 1.44


# ── failed, stuck, gone ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_document_that_the_service_cannot_parse_fails(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.failed:message=no text layer")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    job = bench.only()
    assert (job["status"], job["failed_from"]) == ("failed_parse", "parse_queued")
    assert (job["last_error"]["code"], job["last_error"]["why"]) == ("parse.failed", "no text layer")
    assert bench.parse_call()["state"] == "failed"


@pytest.mark.parametrize("between", ["", "llamaparse.rate_limit:times=1,retry_after=0.1"])
def test_a_retry_after_a_failure_does_not_get_the_cached_failure_back(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, between: str
) -> None:
    services.set_faults("llamaparse.failed:times=1")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    assert retry(app, (), codes=None, states=None, priced=False).sent == 0
    assert retry(app, (), codes=["parse.failed"], states=None, priced=True).sent == 1
    services.set_faults(*filter(None, [between]))
    drain(app, Command.PARSE)
    assert bench.only()["status"] == State.PARSED


def test_a_parse_that_never_ends_is_submitted_again_until_the_submits_are_used_up(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before = services.bill()
    services.set_faults("llamaparse.stuck")
    app = make_app(parser=replace(settings.parser, deadline=0.2))
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    job = bench.only()
    assert (job["status"], job["last_error"]["code"]) == ("failed_parse", "parse.timeout")
    assert bench.parse_call()["submits"] == settings.parser.max_submits
    assert bought(services, before) == (settings.parser.max_submits, 0)


def test_a_parse_that_hangs_once_is_had_at_the_second_submit(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before = services.bill()
    services.set_faults("llamaparse.stuck:times=1")
    app = make_app(parser=replace(settings.parser, deadline=0.2))
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    assert bench.steps(bench.only()["job_id"]) == PARSED
    assert (bench.parse_call()["submits"], bought(services, before)) == (2, (2, 1))


def test_a_result_that_is_gone_is_submitted_for_once_more(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.expired:times=1")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    job = bench.only()
    assert job["status"] == State.PARSED
    assert bench.parse_call()["submits"] == 2
    assert [e["code"] for e in bench.events(job["job_id"]) if e["code"]] == ["parse.gone"]


def test_results_that_are_gone_every_time_end_in_a_failure(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.expired")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE)
    job = bench.only()
    assert (job["status"], job["last_error"]["code"]) == ("failed_parse", "parse.submits_used_up")
    assert bench.parse_call()["submits"] == 3


def test_a_job_that_the_service_forgot_is_submitted_again(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.poll_error")
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    drain(app, Command.PARSE, stay=False)
    services.set_faults()
    forget(services, bench.parse_call()["external_id"])
    bench.sql("UPDATE docproc.parse_calls SET submitted_at = now() - interval '61 seconds'")
    drain(app, Command.PARSE)
    assert bench.only()["status"] == State.PARSED
    assert bench.parse_call()["submits"] == 2


def forget(services: Mocks, external_id: str) -> None:
    """Has the service delete a job, as it does when its time is over."""
    address = f"{services.address}/api/v2/parse/{external_id}"
    request = urllib.request.Request(address, method="DELETE", headers={"Authorization": "Bearer any"})
    with urllib.request.urlopen(request, timeout=10):
        pass


# ── the stored bytes ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", ["storage.corrupt", "storage.missing"])
def test_bytes_that_are_not_those_that_came_in_are_not_parsed(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, code: str
) -> None:
    before = services.bill()
    bring(app, tmp_path / "a.pdf", pdf("the harbour ledger"))
    raw = key(bench.only()["raw_path"])
    if code == "storage.missing":
        app.storage.delete(raw)
    else:
        app.storage.write(raw, b"%PDF-other")
    drain(app, Command.PARSE)
    job = bench.only()
    assert (job["status"], job["last_error"]["code"]) == ("failed_parse", code)
    assert bought(services, before) == (0, 0)
    assert bench.parse_call()["submits"] == 0
