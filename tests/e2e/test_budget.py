"""Budgets and the ledger as a user sees them: processes that share a cap, exit 5, and kill -9 around a paid request."""

from __future__ import annotations

import signal
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.documents import pdf
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks

PAGE = Decimal("0.00375")
"""USD for a page of the tier cost_effective."""

THREADS = 2


def papers(folder: Path, count: int) -> Path:
    """Documents of one page each."""
    folder.mkdir()
    for n in range(count):
        (folder / f"{n}.pdf").write_bytes(pdf(f"Ladders are counted at dusk, number {n} of {folder.parent.name}."))
    return folder


def spent(tables: Tables, unit: str) -> tuple[Decimal, Decimal]:
    """USD of the ledger for ``unit`` without and with what was perhaps paid."""
    ((usd, perhaps),) = tables.rows(
        "SELECT coalesce(sum(usd), 0), coalesce(sum(perhaps_paid), 0) FROM docproc.spend_by_day WHERE unit = %s", unit
    )
    return usd - perhaps, usd


def test_two_runs_at_once_keep_to_one_budget_and_a_run_without_one_finishes(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    folder = papers(tmp_path / "documents", 16)
    assert docproc.run("ingest", str(folder)).returncode == 0
    before = services.bill()
    limits = {"DOCPROC_BUDGET_PER_RUN": str(PAGE * 5), "DOCPROC_RUNNER_PARSE_THREADS": str(THREADS)}
    both = [docproc.start("run-all", **limits) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [5, 5], said
    assert all("the budget of this run is used up" in text and "nothing is lost" in text for text in said), said
    billed = services.bill()["pages_billed"] - before["pages_billed"]
    assert 0 < billed <= 5
    assert (tables.leases(), tables.number("SELECT count(*) FROM docproc.upload_jobs WHERE attempt > 1")) == (0, 0)
    assert tables.number("SELECT count(*) FROM docproc.parse_calls WHERE state = 'submitting'") == 0

    last = docproc.run("run-all")
    assert last.returncode == 0, last.stderr
    tables.assert_whole(16)
    after = services.bill()
    assert after["pages_billed"] - before["pages_billed"] == 16
    assert spent(tables, "page") == (16 * PAGE, 16 * PAGE)


@pytest.mark.parametrize("period", ["day", "month"])
def test_a_budget_of_a_day_or_a_month_outlives_the_run(
    docproc: Docproc, tables: Tables, tmp_path: Path, period: str
) -> None:
    folder = papers(tmp_path / "documents", 3)
    limited = Docproc({**docproc.environ, f"DOCPROC_BUDGET_PER_{period.upper()}": str(PAGE)}, docproc.folder)
    for _ in range(2):
        said = limited.run("run-all", str(folder))
        assert said.returncode == 5, said.stderr
        assert f"the budget of the {period} is used up" in said.stderr
        assert f"[budget] per_{period}" in said.stderr
    assert spent(tables, "page")[1] <= PAGE


@pytest.mark.parametrize("point", ["parse.before_submit", "parse.after_submit", "parse.after_submitted"])
def test_a_submit_whose_process_was_killed_has_its_row(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path, point: str
) -> None:
    folder = papers(tmp_path / "documents", 2)
    patient = Docproc({**docproc.environ, "DOCPROC_PARSER_TIMEOUT": "2"}, docproc.folder)
    before = services.bill()
    assert patient.run("run-all", str(folder), DOCPROC_FAULT_POINT=point).returncode == -signal.SIGKILL
    again = patient.run("run-all", str(folder))
    assert again.returncode == 0, again.stderr
    billed = (services.bill()["pages_billed"] - before["pages_billed"]) * PAGE
    least, most = spent(tables, "page")
    assert least <= billed <= most
    assert billed == 2 * PAGE


@pytest.mark.parametrize("point", ["embed.before_request", "embed.after_response"])
def test_a_request_whose_process_was_killed_is_perhaps_paid(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path, point: str
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.md").write_text("# Tide\n\nHigh at noon.\n", encoding="utf-8")
    before = services.bill()
    assert docproc.run("run-all", str(folder), DOCPROC_FAULT_POINT=point).returncode == -signal.SIGKILL
    again = docproc.run("run-all", str(folder))
    assert again.returncode == 0, again.stderr
    tokens = services.bill()["embedding_tokens"] - before["embedding_tokens"]
    least, most = spent(tables, "token")
    assert least <= tokens * Decimal("0.00000002") <= most
    rows = tables.rows("SELECT outcome, perhaps_paid > 0 FROM docproc.spend_by_call ORDER BY started_at")
    assert rows == [("uncertain", True), ("ok", False)]
