"""The findings of ``validate-deploy``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from docproc.checks import Result
from docproc.drift import Comparison
from docproc.views.drift import documents, rows, show_drift
from docproc.views.terminal import for_people, print_json, print_rows, show
from docproc.views.words import duration, safe

_MARKS = {"ok": "[green]✓ ok[/]", "warn": "[yellow]! warn[/]", "error": "[red]✗ error[/]", "skip": "[dim]- skip[/]"}


def show_results(results: Sequence[Result], *, json: bool, drift: Sequence[Comparison] = ()) -> None:
    """One line a check, with what was expected and what to try where it is not well; then what differs."""
    if json:
        differences = {"drift": documents(drift)} if drift else {}
        print_json({"checks": [_document(result) for result in results], **differences})
    elif not for_people():
        print_rows((r.level, r.check.id, r.finding.seen, r.remedy, r.expected) for r in results)
        print_rows(rows(drift))
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
        for result in results:
            time = "" if result.level == "skip" else duration(result.seconds)
            table.add_row(_MARKS[result.level], result.check.id, _seen(result), f"[dim]{time}[/]")
        if results:
            show(table)
        for comparison in drift:
            show_drift(comparison)


def _seen(result: Result) -> str:
    lines = [escape(safe(result.finding.seen))]
    if result.remedy:
        lines.append(f"[dim]expected[/]  {escape(safe(result.expected))}")
        lines += [f"[dim]try[/]  {escape(safe(line))}" for line in result.remedy.splitlines()]
    return "\n".join(lines)


def _document(result: Result) -> dict[str, Any]:
    return {
        "id": result.check.id,
        "group": result.check.group,
        "severity": result.check.severity,
        "level": result.level,
        "seen": result.finding.seen,
        "expected": result.expected,
        "remedy": result.remedy,
        "seconds": round(result.seconds, 3),
    }
