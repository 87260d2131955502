"""What was paid, as status tells it: held against the mocks' own bill, whole for programs, in 80 columns for people."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.e2e.conftest import FullRun
from tests.e2e.test_status import WIDTH, on_terminal
from tests.support import FIXTURES, Docproc

BY = ("day", "model", "source", "document", "call")


@pytest.mark.parametrize("by", BY)
def test_every_sum_is_the_bill(full_run: FullRun, by: str) -> None:
    rows = json.loads(full_run.docproc.run("status", "--spent", by, "--json").stdout)["rows"]
    units = {"page": 0, "token": 0}
    for row in rows:
        units[row["unit"]] += row["units"] if by != "call" else row["units_reported"]
    # The searches that other tests make over the same database were billed after ``bill`` was taken.
    searched = sum(row["units_reported"] for row in _calls(full_run) if row["operation"] == "search")
    assert units == {"page": full_run.bill["pages_billed"], "token": full_run.bill["embedding_tokens"] + searched}
    assert sum(row["usd"] for row in rows) == pytest.approx(_usd(full_run, searched), rel=1e-6)


def _calls(full_run: FullRun) -> list[dict[str, Any]]:
    return list(json.loads(full_run.docproc.run("status", "--spent", "call", "--json").stdout)["rows"])


def _usd(full_run: FullRun, searched: int) -> float:
    tokens = full_run.bill["embedding_tokens"] + searched
    return float(full_run.bill["credits_billed"] * 0.00125 + tokens * 0.02 / 1e6)


def test_each_document_has_what_was_paid_for_it(full_run: FullRun) -> None:
    said = full_run.docproc.run("status", "--spent", "source", "--csv")
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    pages = {Path(row["key"]).name: int(row["units"]) for row in rows if row["unit"] == "page"}
    assert set(pages) == {
        p.name for p in (FIXTURES / "documents").iterdir() if p.suffix in (".pdf", ".docx", ".pptx", ".xlsx")
    }
    assert sum(pages.values()) == full_run.bill["pages_billed"]


@pytest.mark.parametrize("by", BY)
def test_on_a_terminal_the_ledger_keeps_to_its_width(full_run: FullRun, by: str) -> None:
    lines = on_terminal(full_run.docproc, "status", "--spent", by)
    assert [line for line in lines if cell_len(line) > WIDTH] == []
    assert any("$" in line for line in lines)


def test_a_path_that_a_spreadsheet_would_run_is_quoted(docproc: Docproc, tmp_path: Path) -> None:
    (docproc.folder / "=1+1.md").write_text("# Sum\n\nOf one and one.\n")
    docproc.run("run-all", "=1+1.md")
    said = docproc.run("status", "--spent", "source", "--csv").stdout
    assert "=1+1.md" in said
    assert not [row for row in csv.reader(io.StringIO(said)) for cell in row if cell.startswith(("=", "+", "@"))]


@pytest.mark.parametrize(
    "words", [["--spent", "week"], ["--csv"], ["--spent", "day", "--failed"], ["--spent", "day", "--watch"]]
)
def test_wrong_usage_is_told(full_run: FullRun, words: list[str]) -> None:
    assert full_run.docproc.run("status", *words).returncode == 2


def test_status_shows_what_was_spent_of_a_budget(full_run: FullRun) -> None:
    told = {"DOCPROC_BUDGET_PER_DAY": "5", "DOCPROC_BUDGET_PER_MONTH": "50"}
    docproc = Docproc({**full_run.docproc.environ, **told}, full_run.docproc.folder)
    (line,) = [line for line in on_terminal(docproc, "status") if line.startswith("budget")]
    assert "of $5.00" in line
    budget = json.loads(docproc.run("status", "--json").stdout)["budget"]
    assert budget["caps"] == {"day": 5.0, "month": 50.0}
    assert budget["left"]["day"] == pytest.approx(5.0 - budget["usd_today"])
    assert json.loads(full_run.docproc.run("status", "--json").stdout)["budget"] is None
