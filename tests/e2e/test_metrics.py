"""Metrics and alerts as cron sees them: files that an outside parser reads, lines, exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import FullRun
from tests.e2e.tables import Tables
from tests.support import FIXTURES, Docproc

AWAY = "postgresql://docproc@127.0.0.1:1/docproc?connect_timeout=1"
PLAIN = str(FIXTURES / "documents" / "night-ferry.txt")


def parsed(file: Path) -> dict[str, Metric]:
    return {metric.name: metric for metric in text_string_to_metric_families(file.read_text("utf-8"))}


def value(metric: Metric, **labels: str) -> float:
    (found,) = (sample.value for sample in metric.samples if labels.items() <= sample.labels.items())
    return float(found)


def age_documents(tables: Tables) -> None:
    """As if every open document had stood for two days where it is."""
    tables.change("UPDATE docproc.upload_jobs SET state_since = now() - interval '2 days' WHERE NOT is_final")


@pytest.fixture
def document(tmp_path: Path) -> str:
    """A document of one line."""
    path = tmp_path / "note.txt"
    path.write_text("The bearings are greased in May.\n", encoding="utf-8")
    return str(path)


def test_the_metrics_of_a_finished_run_say_what_the_tables_say(full_run: FullRun, tmp_path: Path) -> None:
    file = tmp_path / "docproc.prom"
    said = full_run.docproc.run("status", "--metrics-file", str(file))
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    metrics = parsed(file)
    assert value(metrics["docproc_up"], profile="local") == 1
    assert value(metrics["docproc_documents"], state="complete") == 17
    assert value(metrics["docproc_documents"], state="failed_parse") == 0
    calls = full_run.tables.rows("SELECT provider, operation, count(*) FROM docproc.api_calls GROUP BY 1, 2")
    assert calls
    for provider, operation, count in calls:
        assert value(metrics["docproc_api_calls"], provider=provider, operation=operation) == count
    pages = full_run.tables.number("SELECT sum(units_reported) FROM docproc.api_calls WHERE unit = 'page'")
    assert value(metrics["docproc_api_units"], unit="page") == pages
    assert value(metrics["docproc_last_run_exit_code"], command="run-all") == 0
    assert value(metrics["docproc_alert"], alert="failed_share") == 0


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say_about_the_names(full_run: FullRun, tmp_path: Path) -> None:
    file = tmp_path / "docproc.prom"
    full_run.docproc.run("status", "--metrics-file", str(file))
    with file.open(encoding="utf-8") as text:
        said = subprocess.run(["promtool", "check", "metrics"], stdin=text, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_a_run_writes_its_metrics_when_it_ends(docproc: Docproc, document: str) -> None:
    file = docproc.folder / "docproc.prom"
    said = docproc.run("run-all", document, "--metrics-file", str(file), "--quiet")
    assert (said.returncode, said.stderr) == (0, "")
    metrics = parsed(file)
    assert value(metrics["docproc_run_documents"], command="run-all", outcome="done") == 1
    assert value(metrics["docproc_run_exit_code"]) == 0
    assert value(metrics["docproc_documents"], state="complete") == 1
    assert value(metrics["docproc_last_run_exit_code"]) == 0


@pytest.mark.long
def test_every_stage_writes_metrics(docproc: Docproc, document: str) -> None:
    for words in (("ingest", document), ("parse", "--wait"), ("validate",), ("chunk",), ("embed",)):
        file = docproc.folder / f"{words[0]}.prom"
        assert docproc.run(*words, "--metrics-file", str(file)).returncode == 0
        assert value(parsed(file)["docproc_run_exit_code"], command=words[0]) == 0


@pytest.mark.parametrize("words", [("status",), ("run-all",)])
def test_a_database_that_is_away_is_told_by_the_file(docproc: Docproc, words: tuple[str, ...]) -> None:
    file = docproc.folder / "docproc.prom"
    file.write_text("docproc_up 1\n", encoding="utf-8")
    said = docproc.run(*words, "--metrics-file", str(file), timeout=120, DATABASE_URL=AWAY)
    assert said.returncode == 10
    metrics = parsed(file)
    assert value(metrics["docproc_up"]) == 0
    assert "docproc_documents" not in metrics


def test_a_file_that_cannot_be_written_is_refused_before_the_run(docproc: Docproc, document: str) -> None:
    said = docproc.run("run-all", document, "--metrics-file", "nowhere/docproc.prom")
    assert said.returncode == 2
    assert "--metrics-file" in said.stderr


# ── alerts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_check_of_a_healthy_database_is_silent_and_0_when_quiet(full_run: FullRun) -> None:
    said = full_run.docproc.run("status", "--check", "--quiet")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    assert "no alert" in full_run.docproc.run("status", "--check").stderr


def test_a_check_tells_what_fires_and_ends_with_6(docproc: Docproc, tables: Tables, document: str) -> None:
    docproc.run("ingest", document)
    age_documents(tables)
    said = docproc.run("status", "--check", "--quiet")
    assert said.returncode == 6
    (record,) = (line.split("\t") for line in said.stdout.splitlines())
    assert record[:2] == ["alert.oldest", "fires"]
    assert record[-1] == "docproc status --state uploaded"
    told = json.loads(docproc.run("status", "--check", "--json").stdout)
    assert told["firing"] == 1


def test_an_alert_makes_a_good_run_end_with_6_and_stands_in_its_metrics(
    docproc: Docproc, tables: Tables, document: str
) -> None:
    docproc.run("ingest", document)
    age_documents(tables)
    file = docproc.folder / "docproc.prom"
    said = docproc.run("chunk", "--quiet", "--metrics-file", str(file), "--json")
    assert said.returncode == 6
    assert "alert.oldest" in said.stderr
    assert json.loads(said.stdout.splitlines()[-1])["alerts"] == ["oldest"]
    metrics = parsed(file)
    assert value(metrics["docproc_alert"], alert="oldest") == 1
    assert value(metrics["docproc_run_exit_code"]) == 6
    # The work itself was good: an alert must not hide when a run last ended well.
    assert docproc.run("chunk", "--quiet", DOCPROC_ALERTS_OLDEST="0").returncode == 0


def test_a_run_with_failures_keeps_its_exit_code_beside_an_alert(docproc: Docproc, tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.md").write_text("\n" * (number + 1), encoding="utf-8")
    said = docproc.run("run-all", str(tmp_path), PLAIN)
    assert said.returncode == 3, said.stderr
    assert "alert.failed_share" in said.stderr


def test_one_look_may_be_checked_and_written_but_not_watched(docproc: Docproc) -> None:
    said = docproc.run("status", "--check", "--watch")
    assert said.returncode == 2
    assert "--check" in said.stderr
