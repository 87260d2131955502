"""The command line: one short function a command, and the one funnel in which every error ends."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from docproc import __version__, config
from docproc.errors import ConfigError, DatabaseError, DocprocError, Exit
from docproc.states import Command, State

if TYPE_CHECKING:
    from docproc.app import App

log = logging.getLogger("docproc")

PIPELINE, LOOK, FIX, SETUP = "Pipeline", "Look", "Fix", "Set up"


class Funnel(TyperGroup):
    """Every error of every command ends here: three lines, a stable code, the right exit code, no traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except DocprocError as error:
            from docproc.views.errors import show_error

            show_error(error)
            raise typer.Exit(int(error.exit_code)) from None


app = typer.Typer(
    cls=Funnel,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Documents in, searchable vectors out: nothing is lost, done twice or paid for twice.",
    epilog="Begin with: docproc run-all FOLDER, which needs no key and no server.",
)

Paths = Annotated[
    list[str] | None, typer.Argument(help="Files, folders, quoted globs; - reads names from standard input.")
]
Profile = Annotated[str | None, typer.Option("--profile", help="local, or one that docproc.toml names.")]
Config = Annotated[Path | None, typer.Option("--config", help="The docproc.toml to use.")]
User = Annotated[str | None, typer.Option("--user", help="Whose documents these are.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
MaxDuration = Annotated[str | None, typer.Option("--max-duration", help="Stop in good order after this: 90s, 45m, 2h.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when all is well.")]


def main() -> None:
    """Entry point of ``docproc``."""
    try:
        app()
    except Exception as error:
        if log.isEnabledFor(logging.DEBUG):
            raise
        from docproc.views.errors import show_error

        why = f"{type(error).__name__}: {error}"
        show_error(DocprocError("program.unexpected", "docproc met an error it does not know", why=why))
        sys.exit(Exit.FAILED)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"docproc {__version__}")
        raise typer.Exit


# Eager with a callback of its own: the body below runs only once there is a command.
Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version and exit.")
]


@app.callback()
def _globally(
    version: Version = False,  # noqa: ARG001 - its callback has acted
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv with tracebacks.")] = 0,
) -> None:
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # docproc itself says when the database is away
    logging.getLogger("docproc").setLevel(levels[min(verbose, 2)])


# ── pipeline ────────────────────────────────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel=PIPELINE)
def ingest(
    paths: Paths = None, profile: Profile = None, file: Config = None, user: User = None, quiet: Quiet = False
) -> None:
    """Bring documents in: hashed, stored, and queued once however often they are named.

    Example: docproc ingest reports/ 'mail/*.pdf'
    """
    with _opened(profile, file, user) as it:
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
    with _opened(profile, file) as it:
        _run(it, "parse", [], (Command.PARSE,), stay=wait, quiet=quiet, limit=max_duration)


@app.command(rich_help_panel=PIPELINE)
def validate(profile: Profile = None, file: Config = None, quiet: Quiet = False) -> None:
    """Refuse parses that are empty or lack pages, and recognise equal ones."""
    with _opened(profile, file) as it:
        _run(it, "validate", [], (Command.VALIDATE,), stay=False, quiet=quiet)


@app.command(rich_help_panel=PIPELINE)
def chunk(profile: Profile = None, file: Config = None, quiet: Quiet = False) -> None:
    """Cut validated parses into chunks."""
    with _opened(profile, file) as it:
        _run(it, "chunk", [], (Command.CHUNK,), stay=False, quiet=quiet)


@app.command(rich_help_panel=PIPELINE)
def embed(profile: Profile = None, file: Config = None, max_duration: MaxDuration = None, quiet: Quiet = False) -> None:
    """Buy the vectors that are missing, and complete what is whole."""
    with _opened(profile, file) as it:
        _run(it, "embed", [], (Command.EMBED,), stay=False, quiet=quiet, limit=max_duration)


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
    with _opened(profile, file, user) as it:
        _run(it, "run-all", paths or [], tuple(Command), stay=True, quiet=quiet, limit=max_duration)


# ── look ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel=LOOK)
def status(
    document: Annotated[str | None, typer.Argument(help="An id, the beginning of one, or a path.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="The failed documents, each with what to try.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows at most.")] = 1000,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    json: Json = False,
) -> None:
    """Where the work stands; or one document's timeline.

    Examples: docproc status     docproc status --failed     docproc status reports/may.pdf
    """
    from docproc.views import status as views

    with _opened(profile, file, user) as it:
        reads = it.store.reads
        if failed:
            views.show_failed(reads.failed_jobs(limit), json=json)
        elif document is None:
            title = f"{it.settings.profile} · {it.database.address}"
            views.show_status(views.Snapshot.take(reads, title), json=json)
        else:
            jobs = reads.jobs_of(it.settings.user, document, os.path.abspath(document))  # noqa: PTH100
            if not jobs:
                raise ConfigError(
                    "config.invalid", f"no document {document}", try_="give its path, or the beginning of its id"
                )
            views.show_document([(job, reads.history(job["job_id"])) for job in jobs], json=json)


@app.command(rich_help_panel=LOOK)
def search(
    words: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option("-k", "--limit", min=1, max=1000, help="Results at most.")] = 5,
    source: Annotated[str | None, typer.Option("--source", help="Only sources whose path contains this.")] = None,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    json: Json = False,
) -> None:
    """Find the nearest passages in the documents that are complete.

    Example: docproc search "when are the bearings greased"
    """
    from docproc.search import search as look_for
    from docproc.views.search import show_hits

    with _opened(profile, file, user) as it:
        show_hits(look_for(it, words, limit=limit, source=source), json=json)


# ── fix ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel=FIX)
def retry(
    documents: Annotated[list[str] | None, typer.Argument(help="Ids, beginnings of ids, or paths; none: all.")] = None,
    code: Annotated[
        list[str] | None, typer.Option("--code", help="Only those that failed with this error code.")
    ] = None,
    state: Annotated[list[State] | None, typer.Option("--state", help="Only those in this failure state.")] = None,
    resubmit: Annotated[bool, typer.Option("--resubmit", help="Also where the parse must be paid for again.")] = False,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
) -> None:
    """Send failed documents back to where they failed, with fresh attempts; free unless --resubmit.

    Examples: docproc retry     docproc retry --code parse.timeout --resubmit
    """
    from docproc.retry import retry as send_back

    with _opened(profile, file, user) as it:
        done = send_back(it, documents or [], codes=code, states=state, priced=resubmit)
        typer.echo(f"sent back {done.sent}" + (f" · left {done.priced}: --resubmit pays again" if done.priced else ""))
        typer.echo("next  docproc run-all" if done.sent else "nothing to run", err=True)


# ── set up ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@app.command("validate-deploy", rich_help_panel=SETUP)
def validate_deploy(
    data: Annotated[bool, typer.Option("--data", help="Check every row of the data too.")] = False,
    profile: Profile = None,
    file: Config = None,
    json: Json = False,
) -> None:
    """Check the environment before it is used: reads only, costs nothing. Exit 6 when something is wrong."""
    from docproc import checks
    from docproc.views.checks import show_results

    with _opened(profile, file) as it:
        results = list(checks.run(it, checks.every(data=data)))
        show_results(results, json=json)
    if any(result.finding.level == "error" for result in results):
        raise typer.Exit(Exit.PROBLEMS)


@app.command(rich_help_panel=SETUP)
def migrate(
    to: Annotated[
        int | None, typer.Option("--to", help="The schema version to go to, back too; 0 takes all away.")
    ] = None,
    profile: Profile = None,
    file: Config = None,
) -> None:
    """Bring the database's schema to this version of docproc, whole or not at all."""
    from docproc.postgres import migrations

    with _opened(profile, file) as it:
        done = migrations.migrate(it.database, to=to)
        typer.echo("\n".join(done) if done else f"schema {migrations.latest() if to is None else to}: nothing to do")


@app.command(rich_help_panel=FIX)
def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")] = False,
    profile: Profile = None,
    file: Config = None,
    json: Json = False,
) -> None:
    """Free expired leases and remove what belongs to nothing: chunks, vectors and stored objects of no document."""
    from docproc.cleanup import sweep
    from docproc.views.cleanup import show_swept

    with _opened(profile, file) as it:
        show_swept(sweep(it.store, it.storage, dry_run=dry_run), dry_run=dry_run, json=json)


# ── what the commands share ─────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _opened(profile: str | None, file: Path | None, user: str | None = None) -> Iterator[App]:
    from docproc.app import App

    with App(config.load(config=file, profile=profile, flags={"user": user})) as opened:
        yield opened


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
) -> None:
    """Ingests, drains, reports, and ends with the exit code that the report asks for."""
    from docproc.config import parse_duration
    from docproc.run import run
    from docproc.views.run import RunProgress, show_report

    progress, seconds = RunProgress(quiet=quiet), None if limit is None else parse_duration(limit)
    report = run(it, name, paths, commands, stay=stay, progress=progress, max_duration=seconds)
    if not isinstance(report.trouble, DatabaseError):
        it.store.runs.end(report.exit_code, report.summary())
    if not quiet or report.exit_code is not Exit.OK:
        show_report(report)
    raise typer.Exit(int(report.exit_code))
