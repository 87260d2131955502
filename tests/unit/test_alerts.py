"""Alerts: each just below and just above its threshold, what cannot be judged, and how it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from docproc import config
from docproc.alerts import FEWEST, Alert, Verdict, evaluate, troubles
from docproc.errors import ConfigError, Exit
from docproc.report import FailOn, Report
from docproc.runner import Failure
from docproc.settings import AlertsSettings
from docproc.states import OPEN, State
from docproc.status import Bought, Day, Run, Snapshot, Standing, Workers
from docproc.views import alerts as views
from docproc.views.alerts import line, show_alerts, show_firing
from tests.unit import status_samples as samples
from tests.unit.status_samples import AT

OFF = AlertsSettings(failed_share=0.0, oldest=0.0, stuck=0.0)
CALM = replace(
    samples.snapshot(samples.empty()),
    states={state: Standing() for state in State},
    day=Day(0, 0, 0, None),
    workers=Workers(0, 0, 0, None),
    last_run=None,
    last_good_run=None,
    bought=(),
)


def standing(state: State, seconds: float) -> Snapshot:
    return replace(CALM, states={**CALM.states, state: Standing(documents=1, oldest=seconds)})


def ended(failed: int, complete: int) -> Snapshot:
    return replace(CALM, day=Day(failed + complete, complete, failed, None))


def spent(*usd: float | None) -> Snapshot:
    return replace(CALM, bought=tuple(Bought("page", 1, 1, 0, part, mock=False) for part in usd))


def run(*, began: float, end: float | None, code: int | None = 0) -> Run:
    """A run that began and ended so many hours ago."""
    finished = None if end is None else AT - timedelta(hours=end)
    return Run("run-all", AT - timedelta(hours=began), finished, code)


def judged(name: str, snapshot: Snapshot, **threshold: float) -> Alert:
    alerts = evaluate(snapshot, replace(OFF, **threshold))
    assert [alert.name for alert in alerts if alert.verdict is not Verdict.OFF] == list(threshold)
    (found,) = (alert for alert in alerts if alert.name == name)
    return found


def fires(name: str, snapshot: Snapshot, **threshold: float) -> bool:
    return judged(name, snapshot, **threshold).verdict is Verdict.FIRES


def test_failed_share_fires_above_its_share_and_not_at_it() -> None:
    assert not fires("failed_share", ended(19, 81), failed_share=0.2)
    assert not fires("failed_share", ended(20, 80), failed_share=0.2)
    assert fires("failed_share", ended(21, 79), failed_share=0.2)


def test_a_share_of_few_documents_says_nothing() -> None:
    assert not fires("failed_share", ended(FEWEST - 1, 0), failed_share=0.2)
    assert fires("failed_share", ended(FEWEST, 0), failed_share=0.2)


@pytest.mark.parametrize("state", OPEN)
def test_oldest_fires_when_a_document_stands_in_any_open_state_for_longer(state: State) -> None:
    assert not fires("oldest", standing(state, 3600.0), oldest=3600.0)
    found = judged("oldest", standing(state, 3600.1), oldest=3600.0)
    assert found.verdict is Verdict.FIRES
    assert found.since == AT - timedelta(seconds=3600.1)
    assert found.next == f"docproc status --state {state}"


@pytest.mark.parametrize("state", [state for state in State if state not in OPEN])
def test_oldest_does_not_look_at_what_is_final(state: State) -> None:
    assert not fires("oldest", standing(state, 1e9), oldest=3600.0)


def test_oldest_names_the_state_in_which_a_document_has_stood_longest() -> None:
    ages = {State.UPLOADED: 5000.0, State.PARSED: 9000.0, State.CHUNKS_STORED: 4000.0}
    states = {**CALM.states, **{state: Standing(documents=1, oldest=age) for state, age in ages.items()}}
    assert "parsed" in judged("oldest", replace(CALM, states=states), oldest=1.0).about


def test_stuck_fires_when_a_claim_of_a_dead_process_waits_for_longer() -> None:
    assert not fires("stuck", CALM, stuck=900.0)
    assert not fires("stuck", replace(CALM, workers=Workers(1, 1, 2, 900.0)), stuck=900.0)
    assert fires("stuck", replace(CALM, workers=Workers(1, 1, 2, 900.1)), stuck=900.0)


def test_no_success_fires_when_there_is_work_and_the_last_good_run_is_longer_ago() -> None:
    work = standing(State.UPLOADED, 60.0)
    good = run(began=3, end=2)
    assert not fires("no_success_for", replace(work, last_good_run=good, last_run=good), no_success_for=7200.0)
    assert fires("no_success_for", replace(work, last_good_run=good, last_run=good), no_success_for=7199.0)


def test_no_success_does_not_fire_without_work_because_an_idle_run_leaves_no_trace() -> None:
    assert not fires("no_success_for", replace(CALM, last_good_run=run(began=999, end=998)), no_success_for=60.0)


def test_a_run_that_goes_on_has_its_time_but_a_killed_one_has_not() -> None:
    work = replace(standing(State.UPLOADED, 60.0), last_good_run=run(began=99, end=98))
    going = replace(work, last_run=run(began=1, end=None, code=None))
    alive = Workers(1, 1, 0, None)
    assert not fires("no_success_for", replace(going, workers=alive), no_success_for=3600.0)
    assert fires("no_success_for", replace(going, workers=alive), no_success_for=3599.0)
    assert fires("no_success_for", going, no_success_for=3600.0)


def test_without_any_good_run_the_time_is_that_of_the_oldest_document() -> None:
    assert not fires("no_success_for", standing(State.UPLOADED, 3600.0), no_success_for=3600.0)
    assert fires("no_success_for", standing(State.UPLOADED, 3601.0), no_success_for=3600.0)


def test_budget_fires_above_its_dollars_of_today_and_not_at_them() -> None:
    assert not fires("budget_usd_per_day", spent(2.0, 2.99), budget_usd_per_day=5.0)
    assert not fires("budget_usd_per_day", spent(2.0, 3.0), budget_usd_per_day=5.0)
    assert fires("budget_usd_per_day", spent(2.0, 3.01), budget_usd_per_day=5.0)


def test_a_budget_without_a_price_cannot_be_judged_unless_what_is_known_is_too_much() -> None:
    found = judged("budget_usd_per_day", spent(2.0, None), budget_usd_per_day=5.0)
    assert found.verdict is Verdict.UNKNOWN
    assert "no price is known for pages" in line(found)
    assert fires("budget_usd_per_day", spent(5.1, None), budget_usd_per_day=5.0)


def test_midnight_is_that_of_utc_wherever_the_database_is() -> None:
    from datetime import UTC, datetime, timezone

    there = datetime(2026, 11, 24, 1, 30, tzinfo=timezone(timedelta(hours=3)))
    found = judged("budget_usd_per_day", replace(spent(9.0), at=there), budget_usd_per_day=5.0)
    assert found.since == datetime(2026, 11, 23, tzinfo=UTC)


def test_zero_turns_every_alert_off() -> None:
    assert {alert.verdict for alert in evaluate(samples.snapshot(samples.failing()), OFF)} == {Verdict.OFF}


def test_the_defaults_are_silent_about_an_empty_and_about_a_busy_database() -> None:
    for rows in (samples.empty(), samples.running()):
        assert troubles(evaluate(samples.snapshot(rows), AlertsSettings())) == ()


def test_a_share_above_1_is_refused() -> None:
    with pytest.raises(ConfigError, match="DOCPROC_ALERTS_FAILED_SHARE"):
        config.load(environ={"DOCPROC_ALERTS_FAILED_SHARE": "20"})
    assert config.load(environ={"DOCPROC_ALERTS_FAILED_SHARE": "1"}).alerts.failed_share == 1.0


# ── how it is told ──────────────────────────────────────────────────────────────────────────────────────────────────

STUCK = judged("stuck", replace(CALM, workers=Workers(0, 0, 2, 4000.0)), stuck=900.0)


def test_an_alert_is_one_line_with_value_limit_since_and_the_next_command() -> None:
    assert line(STUCK) == (
        "alert.stuck  1h 6m (2 claims of dead processes), limit 15m00s, since 2026-11-23T14:33:20Z"
        "  next  docproc run-all"
    )


def test_on_a_terminal_it_is_that_line_on_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    monkeypatch.setattr(views, "for_people", lambda: True)
    monkeypatch.setattr(views, "data", lambda: Console(width=80, highlight=False))
    show_alerts([STUCK], AT, json=False, quiet=True)
    assert capsys.readouterr() == (line(STUCK) + "\n", "")


def test_in_a_pipe_there_is_a_record_for_each_that_fires(capsys: pytest.CaptureFixture[str]) -> None:
    show_alerts([STUCK], AT, json=False, quiet=False)
    (record,) = capsys.readouterr().out.splitlines()
    assert record.split("\t")[:5] == ["alert.stuck", "fires", "4000.0", "900.0", "2026-11-23T14:33:20Z"]


def test_when_all_is_well_there_is_a_line_that_says_so_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    alerts = evaluate(CALM, AlertsSettings())
    show_alerts(alerts, AT, json=False, quiet=True)
    show_firing(alerts)
    assert capsys.readouterr() == ("", "")
    show_alerts(alerts, AT, json=False, quiet=False)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("no alert: failed_share, oldest, stuck · off: no_success_for, budget_usd_per_day")


def test_json_has_every_alert_with_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    show_alerts(evaluate(standing(State.PARSED, 1e6), AlertsSettings()), AT, json=True, quiet=True)
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert told["firing"] == 1
    assert {alert["name"]: alert["verdict"] for alert in told["alerts"]} == {
        "alert.failed_share": "holds",
        "alert.oldest": "fires",
        "alert.stuck": "holds",
        "alert.no_success_for": "off",
        "alert.budget_usd_per_day": "off",
    }


def test_an_alert_is_exit_6_only_when_a_run_has_nothing_worse_to_tell() -> None:
    report = Report(State.COMPLETE, "run-all", FailOn())
    report.alerts = (STUCK,)
    codes = [report.exit_code]
    assert report.receipt()["alerts"] == ["stuck"]
    report.tally.failures.append(Failure("a.pdf", State.FAILED_PARSE, ConfigError("parse.failed", "no")))
    codes.append(report.exit_code)
    report.tally.left = 1
    codes.append(report.exit_code)
    assert codes == [Exit.PROBLEMS, Exit.FAILED, Exit.WORK_LEFT]
