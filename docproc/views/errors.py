"""Errors in three lines: what happened, why, what to try; never a traceback, never a local variable."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from docproc.errors import DocprocError
from docproc.runner import Failure
from docproc.stages.ingest import Refused
from docproc.views.terminal import messages
from docproc.views.words import safe, shortened

SHOWN = 5
"""Documents shown of each kind of failure at the end of a run; those that failed are all in ``status --failed``."""


def show_error(error: DocprocError) -> None:
    """What, why, try."""
    out = messages()
    out.print(f"[bold red]error[/] {escape(safe(error.what))} [dim]\\[{error.code}][/]")
    if error.why:
        out.print(f"  why  {escape(safe(error.why))}")
    if error.remedy:
        out.print(f"  try  {escape(safe(error.remedy))}")


def show_failures(failures: Sequence[Failure | Refused]) -> None:
    """The failed and refused documents grouped by code, each group with what to try and its first documents."""
    out = messages()
    alike: dict[tuple[str, str], list[Failure | Refused]] = {}
    for failure in failures:
        alike.setdefault((failure.error.code, failure.error.remedy), []).append(failure)
    for (code, remedy), group in sorted(alike.items(), key=lambda entry: -len(entry[1])):
        first = group[0]
        where = first.state if isinstance(first, Failure) else "refused"
        out.print(f"[red]{len(group)}[/] {code} [dim]({where})[/]  {escape(remedy)}")
        for failure in group[:SHOWN]:
            path = failure.source if isinstance(failure, Failure) else failure.path
            why = failure.error.why or failure.error.what
            out.print(f"   {escape(shortened(safe(path), 60))}  [dim]{escape(safe(why))}[/]")
        if len(group) > SHOWN:
            everywhere = ": docproc status --failed" if isinstance(first, Failure) else ""
            out.print(f"   … and {len(group) - SHOWN} more{everywhere}")
