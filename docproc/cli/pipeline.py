"""The commands that move documents: ingest, parse, validate, chunk, embed, run-all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from docproc.cli.funnel import PIPELINE, app
from docproc.cli.options import Config, MaxDuration, Paths, Profile, Quiet, User, opened
from docproc.errors import ConfigError, DatabaseError, Exit
from docproc.states import Command

if TYPE_CHECKING:
    from docproc.app import App


@app.command(rich_help_panel=PIPELINE)
def ingest(
    paths: Paths = None, profile: Profile = None, file: Config = None, user: User = None, quiet: Quiet = False
) -> None:
    """Bring documents in: hashed, stored, and queued once however often they are named.

    Example: docproc ingest reports/ 'mail/*.pdf'
    """
    with opened(profile, file, user) as it:
        _run(it, "ingest", _named(paths), (), stay=False, quiet=quiet)


@app.command(rich_help_panel=PIPELINE)
def parse(
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every parse is there.")] = False,
    profile: Profile = None,
    file: Config = None,
    max_duration: MaxDuration = None,
    quiet: Quiet = False,
) -> None:
    """Submit what is new to the parser and collect what is ready. Exit 4 when some are not ready yet."""
    with opened(profile, file) as it:
        _run(it, "parse", [], (Command.PARSE,), stay=wait, quiet=quiet, limit=max_duration)


@app.command(rich_help_panel=PIPELINE)
def validate(profile: Profile = None, file: Config = None, quiet: Quiet = False) -> None:
    """Refuse parses that are empty or lack pages, and recognise equal ones."""
    with opened(profile, file) as it:
        _run(it, "validate", [], (Command.VALIDATE,), stay=False, quiet=quiet)


@app.command(rich_help_panel=PIPELINE)
def chunk(profile: Profile = None, file: Config = None, quiet: Quiet = False) -> None:
    """Cut validated parses into chunks."""
    with opened(profile, file) as it:
        _run(it, "chunk", [], (Command.CHUNK,), stay=False, quiet=quiet)


@app.command(rich_help_panel=PIPELINE)
def embed(
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Also embed what is shown with another model than the settings name.")
    ] = False,
    max_duration: MaxDuration = None,
    quiet: Quiet = False,
) -> None:
    """Buy the vectors that are missing, and complete what is whole.

    After a change of model, with --rebuild: the old vectors serve the search until every document has its new ones.
    """
    with opened(profile, file, user) as it:
        _run(it, "embed", [], (Command.EMBED,), stay=False, quiet=quiet, limit=max_duration, rebuild=rebuild)


@app.command("run-all", rich_help_panel=PIPELINE)
def run_all(
    paths: Paths = None,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    max_duration: MaxDuration = None,
    quiet: Quiet = False,
) -> None:
    """Ingest PATHS, then take every open document through all stages at once, until none is left.

    Examples: docproc run-all reports/     docproc run-all --profile production
    """
    with opened(profile, file, user) as it:
        _run(it, "run-all", paths or [], tuple(Command), stay=True, quiet=quiet, limit=max_duration)


def _named(paths: list[str] | None) -> list[str]:
    if not paths:
        raise ConfigError("config.invalid", "no path given", try_="docproc ingest FOLDER")
    return paths


def _run(
    it: App,
    name: str,
    paths: list[str],
    commands: tuple[Command, ...],
    *,
    stay: bool,
    quiet: bool,
    limit: str | None = None,
    rebuild: bool = False,
) -> None:
    """Ingests, drains, reports, and ends with the exit code that the report asks for."""
    from docproc.config import parse_duration
    from docproc.run import run
    from docproc.views.run import RunProgress, show_report

    progress, seconds = RunProgress(quiet=quiet), None if limit is None else parse_duration(limit)
    report = run(it, name, paths, commands, stay=stay, progress=progress, max_duration=seconds, rebuild=rebuild)
    if not isinstance(report.trouble, DatabaseError):
        it.store.runs.end(report.exit_code, report.summary())
    if not quiet or report.exit_code is not Exit.OK:
        show_report(report)
    raise typer.Exit(int(report.exit_code))
