"""The commands that move documents: ingest, parse, validate, chunk, embed, run-all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from docproc.cli import running
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
)
from docproc.cli.running import Told
from docproc.errors import ConfigError
from docproc.states import Command

Lists = Annotated[
    list[Path] | None, typer.Option("--from-file", help="Also the paths in this file: one a line, or ended by NUL.")
]
Sync = Annotated[bool, typer.Option("--sync", help="Also withdraw what the folders PATHS no longer have.")]
MaxWithdraw = Annotated[
    str | None, typer.Option("--max-withdraw", metavar="10%|N", help="Withdraw at most so much, else nothing. [10%]")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done and paid.")]
Budget = Annotated[
    str | None, typer.Option("--budget", metavar="USD", help="Stop in good order before more than this is spent.")
]


@app.command(rich_help_panel=PIPELINE)
def ingest(
    paths: Paths = None,
    lists: Lists = None,
    sync: Sync = False,
    most: MaxWithdraw = None,
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
      docproc ingest --sync reports/ --max-withdraw 25%
      find /srv -newer last -print0 | docproc ingest -
    """
    if not (paths or lists):
        raise ConfigError("config.usage", "no path given", try_="docproc ingest FOLDER")
    told = Told(profile, file, user, receipt, metrics, fail_on, json, quiet)
    running.run("ingest", (), told, wanted=running.intake(paths, lists, sync=sync, most=most))


@app.command(rich_help_panel=PIPELINE)
def parse(
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every parse is there.")] = False,
    dry_run: DryRun = False,
    budget: Budget = None,
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
      docproc parse --budget '$5'
    """
    told = Told(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration, budget)
    if dry_run:
        running.foretell((Command.PARSE,), told)
    else:
        running.run("parse", (Command.PARSE,), told, stay=wait)


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
    told = Told(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration)
    running.run("validate", (Command.VALIDATE,), told)


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
    told = Told(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration)
    running.run("chunk", (Command.CHUNK,), told)


@app.command(rich_help_panel=PIPELINE)
def embed(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Also embed what is shown with another model than the settings name.")
    ] = False,
    dry_run: DryRun = False,
    budget: Budget = None,
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
    """Buy the vectors that are missing, and complete what is whole.

    After a change of model, with --rebuild: the old vectors serve the search until every document has its new ones.

    Examples:
      docproc embed --profile production
      docproc embed --rebuild --dry-run
    """
    told = Told(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration, budget)
    if dry_run:
        running.foretell((Command.EMBED,), told, rebuild=rebuild)
    else:
        running.run("embed", (Command.EMBED,), told, rebuild=rebuild)


@app.command("run-all", rich_help_panel=PIPELINE)
def run_all(
    paths: Paths = None,
    lists: Lists = None,
    sync: Sync = False,
    most: MaxWithdraw = None,
    dry_run: DryRun = False,
    budget: Budget = None,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    max_duration: MaxDuration = None,
    receipt: Receipt = None,
    metrics: MetricsFile = None,
    fail_on: FailureLine = "any",
    json: JsonLines = False,
    quiet: Quiet = False,
    on: Annotated[
        str | None, typer.Option("--on", metavar="dask://[HOST:PORT]", help="Have a Dask cluster do the work.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Copies on the cluster. [one a worker]")] = None,
    worker: Annotated[
        bool, typer.Option("--worker", help="Take no files in: only work, until nothing is open.")
    ] = False,
    idle: Annotated[
        str | None, typer.Option("--idle", help="Stay until nothing was open for so long: 90s, 5m.")
    ] = None,
) -> None:
    """Ingest PATHS, then take every open document through all stages at once, until none is left.

    Examples:
      docproc run-all reports/
      docproc run-all reports/ --dry-run
      docproc run-all --sync reports/ --budget '$5' --max-duration 2h
      docproc run-all --worker --idle 5m
      docproc run-all reports/ --json | jq 'select(.type == "document")'
    """
    told = Told(profile, file, user, receipt, metrics, fail_on, json, quiet, max_duration, budget, idle)
    wanted = running.intake(paths, lists, sync=sync, most=most)
    if worker and (paths or lists):
        raise ConfigError("config.usage", "--worker takes no files in", try_="docproc run-all PATHS, without --worker")
    if on is not None and idle is not None:
        raise ConfigError("config.usage", "--idle is for a worker of its own, and --on starts them on a cluster")
    if dry_run:
        running.foretell(tuple(Command), told, wanted=wanted)
    else:
        engine = None if on is None else running.Engine(on, workers)
        running.run("run-all", tuple(Command), told, wanted=wanted, stay=True, engine=engine)
