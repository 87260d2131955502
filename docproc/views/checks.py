"""The findings of ``validate-deploy``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from docproc.checks import Result
from docproc.views.terminal import for_people, print_json, print_rows, show
from docproc.views.words import duration, safe

_MARKS = {"ok": "[green]✓ ok[/]", "warn": "[yellow]! warn[/]", "error": "[red]✗ error[/]", "skip": "[dim]- skip[/]"}


def show_results(results: Sequence[Result], *, json: bool) -> None:
    """One line a check, with what to try where it is not well."""
    if json:
        print_json({"checks": [_document(result) for result in results]})
    elif not for_people():
        print_rows((r.finding.level, r.id, r.finding.seen, r.finding.remedy) for r in results)
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
        for result in results:
            finding = result.finding
            seen = escape(safe(finding.seen)) + (f"\ntry  {escape(safe(finding.remedy))}" if finding.remedy else "")
            table.add_row(_MARKS[finding.level], result.id, seen, f"[dim]{duration(result.seconds)}[/]")
        show(table)


def _document(result: Result) -> dict[str, Any]:
    return {"id": result.id, "seconds": round(result.seconds, 3), **asdict(result.finding)}
