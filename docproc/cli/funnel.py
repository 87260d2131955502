"""The Typer app, and the one funnel in which every error of every command ends."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from docproc import __version__
from docproc.errors import DocprocError, Exit

log = logging.getLogger("docproc")

PIPELINE, LOOK, FIX, SETUP = "Pipeline", "Look", "Fix", "Set up"
"""The panels of the help, in its order; each has a module of its own."""


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
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv with tracebacks.")
    ] = 0,
) -> None:
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # docproc itself says when the database is away
    logging.getLogger("docproc").setLevel(levels[min(verbose, 2)])
