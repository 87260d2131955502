"""The commands that move documents: ingest, parse, validate, chunk, embed, run-all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docproc.cli.funnel import PIPELINE, app
from docproc.cli.options import (
    Config,
    FailureLine,
    JsonLines,
    MaxDuration,
    MetricsFile,
    Paths,
    Profile,
    Quiet,
    Receipt,
    User,
    opened,
)
from docproc.errors import ConfigError, Exit, ProgramError
from docproc.states import Command

if TYPE_CHECKING:
    from docproc.cli.outputs import Look
    from docproc.report import Report
    from docproc.views.progress import RunProgress


@app.command(rich_help_panel=PIPELINE)
def ingest(
    paths: Paths = None,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    receipt: Receipt = None,
    metrics: MetricsFile = None,
    fail_on: FailureLine = "any",
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Bring documents in: hashed, stored, and queued once however often they are named.

    Examples:
      docproc ingest reports/ 'mail/*.pdf'
      find /srv -newer last | docproc ingest -
    """
    if not paths:
        raise ConfigError("config.usage", "no path given", try_="docproc ingest FOLDER")
    _run("ingest", (), _Run(profile, file, user, receipt, metrics, fail_on, json, quiet), paths=paths)


@app.command(rich_help_panel=PIPELINE)
def parse(
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every parse is there.")] = False,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    max_duration: MaxDuration = None,
    receipt: Receipt = None,
    metrics: MetricsFile = None,
    fail_on: FailureLine = "any",
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Submit what is new to the parser and collect what is ready. Exit 4 when some are not ready yet.

    Examples:
      docproc parse --quiet
      docproc parse --wait --max-duration 45m
    """
    told = _Run(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration)
    _run("parse", (Command.PARSE,), told, stay=wait)


@app.command(rich_help_panel=PIPELINE)
def validate(
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    max_duration: MaxDuration = None,
    receipt: Receipt = None,
    metrics: MetricsFile = None,
    fail_on: FailureLine = "any",
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Refuse parses that are empty or lack pages, and recognise equal ones.

    Examples:
      docproc validate
      docproc validate --fail-on 5%
    """
    _run(
        "validate", (Command.VALIDATE,), _Run(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration)
    )


@app.command(rich_help_panel=PIPELINE)
def chunk(
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    max_duration: MaxDuration = None,
    receipt: Receipt = None,
    metrics: MetricsFile = None,
    fail_on: FailureLine = "any",
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Cut validated parses into chunks.

    Examples:
      docproc chunk
      docproc chunk --max-duration 10m --json
    """
    _run("chunk", (Command.CHUNK,), _Run(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration))


@app.command(rich_help_panel=PIPELINE)
def embed(
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Also embed what is shown with another model than the settings name.")
    ] = False,
    max_duration: MaxDuration = None,
    receipt: Receipt = None,
    metrics: MetricsFile = None,
    fail_on: FailureLine = "any",
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Buy the vectors that are missing, and complete what is whole.

    After a change of model, with --rebuild: the old vectors serve the search until every document has its new ones.

    Examples:
      docproc embed --profile production
      docproc embed --rebuild --receipt rebuilt.json
    """
    told = _Run(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration)
    _run("embed", (Command.EMBED,), told, rebuild=rebuild)


@app.command("run-all", rich_help_panel=PIPELINE)
def run_all(
    paths: Paths = None,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    max_duration: MaxDuration = None,
    receipt: Receipt = None,
    metrics: MetricsFile = None,
    fail_on: FailureLine = "any",
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Ingest PATHS, then take every open document through all stages at once, until none is left.

    Examples:
      docproc run-all reports/
      docproc run-all --profile production --max-duration 2h
      docproc run-all reports/ --json | jq 'select(.type == "document")'
    """
    told = _Run(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration)
    _run("run-all", tuple(Command), told, paths=paths or (), stay=True)


@dataclass(frozen=True, slots=True)
class _Run:
    """What the commands have in common: where the run takes place, and how it is told."""

    profile: str | None
    file: Path | None
    user: str | None
    receipt: Path | None
    metrics: Path | None
    fail_on: str
    json: bool
    quiet: bool
    max_duration: str | None = None


def _run(
    name: str,
    commands: tuple[Command, ...],
    told: _Run,
    *,
    paths: Sequence[str] = (),
    stay: bool = False,
    rebuild: bool = False,
) -> None:
    """Ingests, drains, reports, and ends with the exit code that the report asks for."""
    from docproc.cli.outputs import look_back
    from docproc.config import parse_duration
    from docproc.report import FailOn
    from docproc.run import close, report_of, run
    from docproc.views import files
    from docproc.views.progress import RunProgress

    seconds = None if told.max_duration is None else parse_duration(told.max_duration)
    report = report_of(name, commands, fail_on=FailOn.told(told.fail_on))
    files.refuse_unwritable("--receipt", told.receipt)
    files.refuse_unwritable("--metrics-file", told.metrics)
    progress = RunProgress(report, quiet=told.quiet, json=told.json)
    try:
        with progress, opened(told.profile, told.file, told.user) as it:
            progress.emit("start", command=name, run_id=it.run_id, profile=it.settings.profile, worker=it.owner)
            run(
                it,
                name,
                paths,
                commands,
                stay=stay,
                progress=progress,
                documents=progress,
                max_duration=seconds,
                rebuild=rebuild,
                report=report,
            )
            close(it, report)
            seen = look_back(it, report, told.metrics)
    except ProgramError as error:  # before it was under way
        report.trouble = error
        _keep(report, None, told)
        raise
    _end(report, seen, progress, told)


def _end(report: Report, seen: Look | None, progress: RunProgress, told: _Run) -> None:
    from docproc.views.alerts import show_firing
    from docproc.views.errors import print_error, show_error
    from docproc.views.run import show_report

    progress.emit("summary", **report.receipt())
    if report.trouble is not None and told.json:
        print_error(report.trouble, report.exit_code)
        show_error(report.trouble)
    elif not told.json and (not told.quiet or report.exit_code is not Exit.OK):
        show_report(report)
    show_firing(report.alerts)
    _keep(report, seen, told)
    raise typer.Exit(int(report.exit_code))


def _keep(report: Report, seen: Look | None, told: _Run) -> None:
    from docproc.cli.outputs import keep_metrics
    from docproc.views.run import write_receipt

    if told.receipt is not None:
        write_receipt(report, told.receipt)
    keep_metrics(report, seen, told.metrics, told.profile)
