"""Errors in three lines: what happened, why, what to try; never a traceback, never a local variable."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from docproc.errors import DocprocError
from docproc.runner import Failure
from docproc.stages.ingest import Refused
from docproc.views.terminal import messages
from docproc.views.words import safe, shortened

SHOWN = 10
"""Failed documents shown at the end of a run; the rest are in ``status --failed``."""


def show_error(error: DocprocError) -> None:
    """What, why, try."""
    out = messages()
    out.print(f"[bold red]error[/] {escape(safe(error.what))} [dim]\\[{error.code}][/]")
    if error.why:
        out.print(f"  why  {escape(safe(error.why))}")
    if error.remedy:
        out.print(f"  try  {escape(safe(error.remedy))}")


def show_failures(failures: Sequence[Failure | Refused]) -> None:
    """The failed and refused documents grouped by code, each with what to try."""
    out = messages()
    by_code: dict[str, list[Failure | Refused]] = {}
    for failure in failures:
        by_code.setdefault(failure.error.code, []).append(failure)
    left = SHOWN
    for code, group in sorted(by_code.items(), key=lambda entry: -len(entry[1])):
        where = group[0].state if isinstance(group[0], Failure) else "refused"
        out.print(f"[red]{len(group)}[/] {code} [dim]({where})[/]  {escape(group[0].error.remedy)}")
        for failure in group[: max(left, 0)]:
            path = failure.source if isinstance(failure, Failure) else failure.path
            why = failure.error.why or failure.error.what
            out.print(f"   {escape(shortened(safe(path), 60))}  [dim]{escape(safe(why))}[/]")
        left -= len(group)
    if left < 0:
        out.print(f"   … and {-left} more: docproc status --failed")
