"""The commands that set up and check an environment: validate-deploy and migrate."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from docproc.cli.funnel import SETUP, app
from docproc.cli.options import Config, Json, Profile, opened
from docproc.errors import Exit


class FailOn(StrEnum):
    """From which level on a finding is a problem."""

    WARN = "warn"
    ERROR = "error"


_Checks = Annotated[list[str] | None, typer.Option(help="A check's id or a group; may be given again.")]


@app.command("validate-deploy", rich_help_panel=SETUP)
def validate_deploy(
    only: _Checks = None,
    skip: _Checks = None,
    data: Annotated[bool, typer.Option("--data", help="Check every row of the data too.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody but the database.")] = False,
    fail_on: Annotated[FailOn, typer.Option(help="From which level on the exit code is 6.")] = FailOn.ERROR,
    profile: Profile = None,
    file: Config = None,
    json: Json = False,
) -> None:
    """Check the environment before it is used: reads only, costs nothing. Exit 6 when something is wrong.

    Examples: docproc validate-deploy --profile production     docproc validate-deploy --only schema --skip database.tls
    """
    from docproc import checks
    from docproc.checks.asking import run
    from docproc.views.checks import show_results

    asked = checks.chosen(checks.every(data=data), only=only or (), skip=skip or ())
    with opened(profile, file) as it:
        found = run(checks.Deployment(it, offline=offline), asked)
    # What was asked only because another check needs it is shown where it explains why that one was skipped.
    shown = [result for result in found if checks.wanted(result.check, only or ()) or result.level == "error"]
    show_results(shown, json=json)
    bad = ("error",) if fail_on is FailOn.ERROR else ("warn", "error")
    if any(result.level in bad for result in shown):
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

    with opened(profile, file) as it:
        done = migrations.migrate(it.database, to=to)
        typer.echo("\n".join(done) if done else f"schema {migrations.latest() if to is None else to}: nothing to do")
