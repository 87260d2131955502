"""Errors in three lines: what happened, why, what to try; never a traceback, never a local variable, never a secret."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from docproc.errors import DocprocError, Exit
from docproc.redaction import redact
from docproc.runner import Failure
from docproc.stages.finding import Refused
from docproc.views.terminal import messages, print_json
from docproc.views.words import safe, shortened

SHOWN = 5
"""Documents shown of each kind of failure at the end of a run; those that failed are all in ``status --failed``."""

KINDS = 10
"""Kinds of failure shown at the end of a run."""

_RETRY = re.compile(r"docproc retry(?: --[a-z]+)*")


def show_error(error: DocprocError) -> None:
    """What, why, try."""
    from rich.markup import escape

    out = messages()
    out.print(f"[bold red]error[/] {escape(_safe(error.what))} [dim]\\[{error.code}][/]")
    if error.why:
        out.print(f"  why  {escape(_safe(error.why))}")
    if error.remedy:
        out.print(f"  try  {escape(_safe(error.remedy))}")


def print_error(error: DocprocError, exit_code: Exit) -> None:
    """The error as a JSON line on standard output; with --json, besides the three lines for people."""
    told = {"code": error.code, "reason": redact(str(error)), "what": redact(error.what), "why": redact(error.why)}
    print_json({"type": "exit_error", **told, "try": redact(error.remedy), "exit": int(exit_code)})
    sys.stdout.flush()


def show_failures(failures: Sequence[Failure | Refused]) -> None:
    """The failed and refused documents by code: what to try, the first documents, and the next command to type."""
    alike: dict[str, list[Failure | Refused]] = {}
    for failure in failures:
        alike.setdefault(failure.error.code, []).append(failure)
    groups = sorted(alike.items(), key=lambda entry: -len(entry[1]))
    for code, group in groups[:KINDS]:
        _show_group(code, group)
    if len(groups) > KINDS:
        rest = sum(len(group) for _, group in groups[KINDS:])
        messages().print(f"… and {rest:,} of {len(groups) - KINDS} more kinds: docproc status --failed")


def _show_group(code: str, group: Sequence[Failure | Refused]) -> None:
    from rich.markup import escape

    out = messages()
    where = dict.fromkeys(one.state if isinstance(one, Failure) else "refused" for one in group)
    out.print(f"[red]{len(group):,}[/] {code} [dim]({', '.join(where)})[/]")
    for failure in group[:SHOWN]:
        path = failure.source if isinstance(failure, Failure) else failure.path
        why = failure.error.why or failure.error.what
        out.print(f"   {escape(shortened(safe(path), 60))}  [dim]{escape(_safe(why))}[/]")
    if len(group) > SHOWN:
        out.print(f"   … and {len(group) - SHOWN:,} more")
    for remedy in dict.fromkeys(one.error.remedy for one in group):
        out.print(f"   try  {escape(_safe(remedy))}")
    command = next_command(code, (one for one in group if isinstance(one, Failure)))
    if command:
        out.print(f"  next  {command}")


def next_command(code: str, failures: Iterable[Failure]) -> str:
    """What to type about documents that failed with ``code``; empty where the files must be mended first."""
    first = next(iter(failures), None)
    if first is None:
        return ""
    found = _RETRY.search(first.error.remedy)
    if found is None:
        return f"docproc status --failed --code {code}"
    return f"{found[0].removesuffix(' --code')} --code {code}"


def document_of(failure: Failure | Refused) -> dict[str, Any]:
    """A failure as the JSON lines of a run tell it."""
    error = failure.error
    source, state = (failure.source, str(failure.state)) if isinstance(failure, Failure) else (failure.path, "refused")
    return {"source": source, "state": state, "code": error.code, "reason": redact(str(error)), "try": error.remedy}


def _safe(text: str) -> str:
    return safe(redact(text))
