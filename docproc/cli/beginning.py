"""The command that begins: init writes a docproc.toml, and recipes for cron, systemd, GitHub Actions, Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from docproc.cli.funnel import SETUP, app
from docproc.cli.options import Json, Quiet
from docproc.init import RecipeName


@app.command(rich_help_panel=SETUP)
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")] = Path(),
    name: Annotated[RecipeName | None, typer.Option("--recipe", help="Also write what runs docproc there.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there already.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Only list the recipes.")] = False,
    json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001 - the funnel holds back what is said
) -> None:
    """Write a commented docproc.toml; with --recipe, also the files that run docproc on a schedule.

    All files are written or none. A docproc.toml that is there is kept when a recipe is asked for.

    Examples:
      docproc init
      docproc init --list
      docproc init deploy/ --recipe systemd
    """
    from docproc import init as beginning
    from docproc.views.beginning import show_recipes, show_written

    known = beginning.recipes()
    if list_:
        show_recipes(known, json=json)
        return
    recipe = next((it for it in known if it.name is name), None)
    written = beginning.write(folder, recipe, force=force)
    then = recipe.then if recipe else ("docproc run-all FOLDER", "docproc init --list shows recipes for production")
    show_written(written, then, json=json)
