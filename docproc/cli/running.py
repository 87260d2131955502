"""What the commands that move documents have in common: a run from its options to its exit code, and its forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from docproc.cli.options import opened
from docproc.errors import ConfigError, Exit, ProgramError
from docproc.states import Command

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.cli.outputs import Look
    from docproc.intake import Intake
    from docproc.report import Report
    from docproc.views.progress import RunProgress


@dataclass(frozen=True, slots=True)
class Told:
    """The options that the commands have in common: where a run takes place, what it may cost, how it is told."""

    profile: str | None
    file: Path | None
    user: str | None
    receipt: Path | None
    metrics: Path | None
    fail_on: str
    json: bool
    quiet: bool
    max_duration: str | None = None
    budget: str | None = None
    idle: str | None = None

    @property
    def flags(self) -> dict[str, object]:
        """The options that are settings."""
        from docproc.budget import parse_usd

        return {} if self.budget is None else {"budget.per_run": parse_usd(self.budget)}


def intake(
    paths: Sequence[str] | None, lists: Sequence[Path] | None, *, sync: bool = False, most: str | None = None
) -> Intake:
    """What is to come in, by the options. Raises ConfigError for options that do not go together."""
    from docproc.intake import Intake
    from docproc.sync import MaxWithdraw

    if most is not None and not sync:
        raise ConfigError("config.usage", "--max-withdraw needs --sync", try_="--sync FOLDER")
    limit = MaxWithdraw() if most is None else MaxWithdraw.told(most)
    made = Intake(tuple(paths or ()), tuple(lists or ()), limit if sync else None)
    made.refuse_nonsense()
    return made


def run(
    name: str,
    commands: tuple[Command, ...],
    told: Told,
    *,
    wanted: Intake | None = None,
    stay: bool = False,
    rebuild: bool = False,
    engine: Engine | None = None,
) -> None:
    """Ingests, drains, reports, and ends with the exit code that the report asks for."""
    from docproc.cli.outputs import look_back
    from docproc.config import parse_duration
    from docproc.intake import Intake
    from docproc.report import FailOn
    from docproc.run import close, report_of
    from docproc.run import run as work
    from docproc.views import files
    from docproc.views.progress import RunProgress

    seconds = None if told.max_duration is None else parse_duration(told.max_duration)
    idle = 0.0 if told.idle is None else parse_duration(told.idle)
    report = report_of(name, commands, fail_on=FailOn.told(told.fail_on))
    files.refuse_unwritable("--receipt", told.receipt)
    files.refuse_unwritable("--metrics-file", told.metrics)
    progress = RunProgress(report, quiet=told.quiet, json=told.json)
    try:
        with progress, opened(told.profile, told.file, told.user, told.flags) as it:
            progress.emit("start", command=name, run_id=it.run_id, profile=it.settings.profile, worker=it.owner)
            if engine is None:
                work(
                    it,
                    name,
                    wanted or Intake(),
                    commands,
                    stay=stay,
                    progress=progress,
                    documents=progress,
                    max_duration=seconds,
                    rebuild=rebuild,
                    idle=idle,
                    report=report,
                )
                close(it, report)
            else:
                engine.run(it, wanted or Intake(), report, progress, told, seconds)
            seen = look_back(it, report, told.metrics)
    except ProgramError as error:  # before it was under way
        report.trouble = error
        _keep(report, None, told)
        raise
    _end(report, seen, progress, told)


@dataclass(frozen=True, slots=True)
class Engine:
    """Where the work is to take place instead of in this process."""

    address: str
    workers: int | None

    def run(
        self,
        app: App,
        wanted: Intake,
        report: Report,
        progress: RunProgress,
        told: Told,
        seconds: float | None,
    ) -> None:
        """Takes in what is wanted, and has the rest done there."""
        from docproc.engines import on_dask
        from docproc.views.terminal import messages

        def ended(copy: on_dask.Copy) -> None:
            progress.emit("copy", worker=copy.worker, exit=copy.ended and copy.ended.exit_code)
            if not (told.json or told.quiet):
                messages().print(str(copy))

        flags = {"user": told.user, **told.flags}
        place = on_dask.Wanted(self.address, self.workers, told.profile, told.file, told.user, told.budget, flags)
        place.refuse_nonsense()
        on_dask.run_on(
            app, place, wanted, report, progress=progress, documents=progress, on_end=ended, max_duration=seconds
        )


def foretell(commands: tuple[Command, ...], told: Told, *, wanted: Intake | None = None, rebuild: bool = False) -> None:
    """Says what a run would do and pay. Exit 5 when that is more than the budget of a run."""
    from docproc.forecast.making import forecast
    from docproc.intake import Intake
    from docproc.stages.finding import Scan
    from docproc.views.forecast import show_forecast

    with opened(told.profile, told.file, told.user, told.flags) as it:
        found = (wanted or Intake()).find(Scan(ignore=it.settings.ingest.ignore))
        made = forecast(it, found, commands, rebuild=rebuild)
    show_forecast(made, title=it.settings.profile, json=told.json)
    if made.is_over:
        raise typer.Exit(int(Exit.MONEY))


def _end(report: Report, seen: Look | None, progress: RunProgress, told: Told) -> None:
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


def _keep(report: Report, seen: Look | None, told: Told) -> None:
    from docproc.cli.outputs import keep_metrics
    from docproc.views.run import write_receipt

    if told.receipt is not None:
        write_receipt(report, told.receipt)
    keep_metrics(report, seen, told.metrics, told.profile)
