"""Metrics as Prometheus reads them: the official client's parser, its names and labels, and files that are whole."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from docproc.alerts import evaluate
from docproc.errors import ConfigError, DocprocError
from docproc.report import Report
from docproc.settings import AlertsSettings
from docproc.states import OPEN, State
from docproc.status import Snapshot
from docproc.views.files import refuse_unwritable, write_whole
from docproc.views.metrics import Family, exposition, of_run, of_snapshot, of_trouble
from tests.unit import status_samples as samples

CALLS = [
    {"provider": "llamaparse", "operation": "parse", "unit": "page", "calls": 1310, "units": 21_090},
    {"provider": "openai", "operation": "embed", "unit": "token", "calls": 596, "units": 9_610_000},
]
FAILING = samples.snapshot(samples.failing())
RUNNING = samples.snapshot(samples.running())


def text_of(snapshot: Snapshot, thresholds: AlertsSettings | None = None) -> str:
    alerts = evaluate(snapshot, thresholds or AlertsSettings())
    return exposition(of_snapshot(snapshot, CALLS, alerts), "production")


def parsed(text: str) -> dict[str, Metric]:
    """Metrics by name, as the official parser understands them; a counter is named without its ``_total``."""
    found = list(text_string_to_metric_families(text))
    assert len({metric.name for metric in found}) == len(found)
    return {metric.name: metric for metric in found}


def values(metric: Metric, *labels: str) -> dict[tuple[str, ...], float]:
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in metric.samples}


def value(metric: Metric) -> float:
    (sample,) = metric.samples
    return float(sample.value)


def test_every_state_has_a_sample_with_the_snapshots_own_number() -> None:
    metrics = parsed(text_of(FAILING))
    documents = values(metrics["docproc_documents"], "state")
    assert documents == {(str(state),): FAILING.states[state].documents for state in State}
    oldest = values(metrics["docproc_oldest_seconds"], "state")
    assert oldest == {
        (str(state),): standing.oldest for state, standing in FAILING.states.items() if standing.oldest is not None
    }


def test_the_seconds_of_a_stage_are_a_summary_with_its_quantiles() -> None:
    metric = parsed(text_of(RUNNING))["docproc_stage_seconds"]
    assert metric.type == "summary"
    found = values(metric, "state", "quantile")
    assert found[("parse_queued", "0.95")] == 192.0
    assert found[("parse_queued", "0.5")] == 38.2
    assert {sample.labels["stage"] for sample in metric.samples} == {"parse", "validate", "chunk", "embed"}
    assert {state for state, _ in found} == {str(state) for state in OPEN}


def test_the_ledger_is_told_as_counters_by_provider() -> None:
    metrics = parsed(text_of(RUNNING))
    assert metrics["docproc_api_calls"].type == "counter"
    assert values(metrics["docproc_api_calls"], "provider", "operation") == {
        ("llamaparse", "parse"): 1310,
        ("openai", "embed"): 596,
    }
    assert values(metrics["docproc_api_units"], "unit") == {("page",): 21_090, ("token",): 9_610_000}


def test_workers_leases_throughput_and_runs_are_those_of_the_snapshot() -> None:
    metrics = parsed(text_of(FAILING))
    assert value(metrics["docproc_workers"]) == 0
    assert value(metrics["docproc_stale_leases"]) == 2
    assert value(metrics["docproc_stale_lease_seconds"]) == 4000.0
    assert value(metrics["docproc_last_run_exit_code"]) == 3
    assert FAILING.last_good_run is not None
    assert FAILING.last_good_run.finished_at is not None
    assert value(metrics["docproc_last_success_timestamp_seconds"]) == FAILING.last_good_run.finished_at.timestamp()
    running = parsed(text_of(RUNNING))
    assert value(running["docproc_workers"]) == 3
    assert value(running["docproc_throughput_documents_per_second"]) == pytest.approx(RUNNING.rate / 60)
    assert "docproc_last_run_exit_code" not in running


def test_an_alert_is_1_when_it_fires_0_when_it_holds_nan_when_nobody_knows_and_absent_when_it_is_off() -> None:
    unpriced = replace(RUNNING, bought=tuple(replace(bought, usd=None) for bought in RUNNING.bought))
    thresholds = AlertsSettings(oldest=1000.0, stuck=0.0, budget_usd_per_day=5.0)
    found = values(parsed(text_of(unpriced, thresholds))["docproc_alert"], "alert")
    assert found[("oldest",)] == 1
    assert found[("failed_share",)] == 0
    assert math.isnan(found[("budget_usd_per_day",)])
    assert ("stuck",) not in found
    assert value(parsed(text_of(unpriced, thresholds))["docproc_alerts_unknown"]) == 1


def test_what_is_not_known_has_no_sample_rather_than_a_false_0() -> None:
    unpriced = replace(RUNNING, bought=tuple(replace(bought, usd=None) for bought in RUNNING.bought))
    assert "docproc_spent_today_usd" not in parsed(text_of(unpriced))
    assert value(parsed(text_of(RUNNING))["docproc_spent_today_usd"]) == pytest.approx(RUNNING.usd_today or 0.0)
    assert "docproc_stale_lease_seconds" not in parsed(text_of(samples.snapshot(samples.empty())))


def test_names_follow_the_conventions_of_prometheus() -> None:
    text = text_of(FAILING) + exposition(of_run(Report(None, "run-all"), datetime.now(UTC)), "production")
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helps = set(re.findall(r"^# HELP (\S+) .+\.$", text, re.M))
    assert helps == set(kinds)
    for name, kind in kinds.items():
        assert re.fullmatch(r"docproc(_[a-z0-9]+)+", name)
        assert name.endswith("_total") == (kind == "counter")
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)", name)
    labels = set(re.findall(r'[{,]([a-zA-Z_]+)="', text))
    assert labels.isdisjoint({"document", "document_id", "source", "job_id", "run_id", "user"})


def test_labels_and_help_are_escaped_and_read_back_as_they_were() -> None:
    hostile = 'a\\b"c\nd} 1 # {x="y"'
    family = Family("docproc_failures", "gauge", "Line one\nand \\ two.", (({"code": hostile}, 3),))
    metric = parsed(exposition([family], 'pro"file'))["docproc_failures"]
    assert metric.samples[0].labels == {"profile": 'pro"file', "code": hostile}
    assert metric.documentation == "Line one\nand \\ two."


def test_a_hostile_error_code_does_not_break_the_file() -> None:
    bad = replace(FAILING.failures[0], code='x"\n\\', documents=2)
    metric = parsed(text_of(replace(FAILING, failures=(bad,))))["docproc_failures"]
    assert values(metric, "code") == {('x"\n\\',): 2}


def test_without_the_database_the_file_says_that_it_is_away_and_nothing_else() -> None:
    metrics = parsed(exposition(of_trouble(), "local"))
    assert value(metrics["docproc_up"]) == 0
    assert set(metrics) == {"docproc_up", "docproc_build_info"}


def test_an_empty_database_gives_a_file_that_parses() -> None:
    metrics = parsed(text_of(samples.snapshot(samples.empty())))
    assert value(metrics["docproc_up"]) == 1
    assert "docproc_failures" not in metrics


def test_a_run_tells_its_own_numbers_and_its_exit_code() -> None:
    report = Report(None, "ingest")
    report.ingested["new"] = 4
    metrics = parsed(exposition(of_run(report, datetime.fromtimestamp(1_790_000_000, UTC)), "local"))
    found = values(metrics["docproc_run_documents"], "command", "outcome")
    assert found[("ingest", "new")] == 4
    assert found[("ingest", "failed")] == 0
    assert value(metrics["docproc_run_exit_code"]) == 0
    assert value(metrics["docproc_run_end_timestamp_seconds"]) == 1_790_000_000


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────


def names(folder: Path) -> Iterable[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_and_others_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "docproc.prom"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o600)
    before = os.umask(0o077)
    try:
        with file.open(encoding="utf-8") as reader:
            write_whole("new\n", file)
            assert reader.read() == "old"
    finally:
        os.umask(before)
    assert file.read_text("utf-8") == "new\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert names(tmp_path) == ["docproc.prom"]


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "docproc.prom"
    file.write_text("old", encoding="utf-8")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DocprocError, match="was not written") as raised:
        write_whole("new", file)
    assert raised.value.code == "output.file"
    assert file.read_text("utf-8") == "old"
    assert names(tmp_path) == ["docproc.prom"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_whole("text", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text("utf-8") == "text"


def test_a_draft_is_not_taken_for_metrics_by_a_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts: list[str] = []
    monkeypatch.setattr(Path, "chmod", lambda self, _: drafts.append(self.name))
    write_whole("text", tmp_path / "docproc.prom")
    assert drafts
    assert not any(name.endswith(".prom") for name in drafts)


def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    refuse_unwritable("--html", None)
    refuse_unwritable("--html", tmp_path / "page.html")
    for place in (tmp_path, tmp_path / "nowhere" / "page.html", Path("/dev/null")):
        with pytest.raises(ConfigError, match="--html"):
            refuse_unwritable("--html", place)
