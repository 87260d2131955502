"""The end of a run: one line, the failures by kind, and the receipt as a file."""

from __future__ import annotations

import json
from pathlib import Path

from docproc.report import Report, usd
from docproc.store import OUTCOMES
from docproc.views.errors import show_error, show_failures
from docproc.views.files import write_whole
from docproc.views.progress import money
from docproc.views.terminal import SCHEMA, messages
from docproc.views.words import duration


def show_report(report: Report) -> None:
    """``done 1,247 · unchanged 9,310 · failed 7 · waiting 5 · $4.12 · 31m04s · exit 3``, then the failures by kind."""
    words = [f"done {report.done:,}"] if report.goal else []
    words += [f"{outcome} {report.ingested[outcome]:,}" for outcome in OUTCOMES if report.ingested[outcome]]
    if report.withdrawn is not None:
        told = f"withdrawn {report.withdrawn.withdrawn:,}"
        words += [told if report.withdrawn.complete else "withdrawn none: not every folder could be read"]
    words += [f"failed {report.failed:,}", f"waiting {report.tally.left:,}"]
    spent = money(usd(report.spent), estimated=any(one.estimated for one in report.spent))
    words += [spent] if spent else []
    messages().print(" · ".join([*words, duration(report.seconds), f"exit {report.exit_code:d}"]))
    if report.switch.switched:
        messages().print(f"the search now uses the model of the settings, in {report.switch.switched} sources")
    elif report.switch.missing:
        messages().print(f"the search keeps its model: {report.switch.missing} sources have no vectors of the new one")
    show_failures(report.failures)
    if report.trouble is not None:
        show_error(report.trouble)


def write_receipt(report: Report, file: Path) -> None:
    """Writes the receipt whole or not at all. Raises DocprocError ``output.file`` where it cannot be written."""
    write_whole(json.dumps({"schema": SCHEMA, **report.receipt()}, indent=2, default=str) + "\n", file)
