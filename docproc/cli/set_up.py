"""The commands that set up and check an environment: validate-deploy and migrate."""

from __future__ import annotations

from typing import Annotated

import typer

from docproc.cli.funnel import SETUP, app
from docproc.cli.options import Config, Json, Profile, opened
from docproc.errors import Exit


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

    with opened(profile, file) as it:
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

    with opened(profile, file) as it:
        done = migrations.migrate(it.database, to=to)
        typer.echo("\n".join(done) if done else f"schema {migrations.latest() if to is None else to}: nothing to do")
