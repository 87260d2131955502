"""The Typer app, and the one funnel in which every error of every command ends."""

from __future__ import annotations

import inspect
import io
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from docproc import __version__, logs
from docproc.errors import ConfigError, DocprocError, Exit
from docproc.redaction import words_of
from docproc.states import Command

log = logging.getLogger("docproc")

PIPELINE, LOOK, FIX, SETUP = "Pipeline", "Look", "Fix", "Set up"
"""The panels of the help, in its order; each has a module of its own."""

RUNS = ("ingest", *Command, "run-all")
"""The commands that move documents."""

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What Typer raises for words that it does not understand: some versions have it from click, others of their own."""


class Funnel(TyperGroup):
    """Every error of every command ends here: three lines, a stable code, the right exit code, no traceback."""

    def main(self, *args: Any, **more: Any) -> Any:
        """Runs the command line and ends the process with its exit code."""
        words = list(args[0] if args else more.pop("args", None) or sys.argv[1:])
        self._json, self._quiet = (_is_asked(words, *names) for names in (("--json",), ("--quiet", "-q")))
        if sys.stderr.isatty() and _runs(words) and not (self._json or self._quiet):
            # Before the imports, which take longer than a person waits for a sign; whatever comes next writes over it.
            sys.stderr.write("  starting\r")
            sys.stderr.flush()
        # Named by hand: ``python -m docproc`` would call itself so in every usage line.
        more |= {"prog_name": more.get("prog_name") or "docproc", "standalone_mode": False}
        try:
            code = super().main(words, **more)
        except UsageError as error:
            code = self.tell(_in_our_words(error))
        except typer.Abort:
            code = Exit.INTERRUPTED
        sys.exit(code if isinstance(code, int) else Exit.OK)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            with _hushed(self._quiet):
                return super().invoke(ctx)
        except DocprocError as error:
            log.info("ended by an error", extra={"code": error.code, "why": str(error), "exit": int(error.exit_code)})
            raise typer.Exit(self.tell(error)) from None
        except (UsageError, typer.Exit, typer.Abort, OSError):
            raise
        except Exception as error:
            code = "program.unexpected"
            log.info("ended by an error", extra={"code": code, "exit": int(Exit.FAILED)}, exc_info=error)
            told = DocprocError(code, "docproc met an error it does not know", why=_in_short(error))
            raise typer.Exit(self.tell(told)) from None

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, with its examples one below the other."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.help:
            command.help = in_lines(command.help)
        return command

    def tell(self, error: DocprocError) -> int:
        """The three lines, with --json a JSON document too; returns the exit code."""
        from docproc.views.errors import print_error, show_error

        if self._json:
            print_error(error, error.exit_code)
        show_error(error)
        return int(error.exit_code)


app = typer.Typer(
    cls=Funnel,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    help="Documents in, searchable vectors out: nothing is lost, done twice or paid for twice.",
    epilog="Begin with: docproc run-all FOLDER, which needs no key and no server.",
)


def main() -> None:
    """Entry point of ``docproc``."""
    app()


def in_lines(text: str) -> str:
    """A command's help with its prose in whole paragraphs and its examples one below the other."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        label, examples, listed = paragraph.partition("Examples:")
        if label or not examples:
            paragraphs.append(" ".join(paragraph.split()))
        else:
            lines = [line.strip() for line in re.split(r"\n| {4,}", listed)]
            paragraphs.append("\n  ".join(["Examples:", *filter(None, lines)]))
    return "\n\n".join(paragraphs)


def _is_asked(words: Sequence[str], *names: str) -> bool:
    """Whether an option is there: where the words are wrong, nothing else knows it yet."""
    options = words[: words.index("--")] if "--" in words else words
    return any(name in options for name in names)


def _runs(words: Sequence[str]) -> bool:
    """Whether the words name a command that moves documents."""
    return next((word for word in words if not word.startswith("-")), "") in RUNS and "--help" not in words


def _in_our_words(error: Exception) -> ConfigError:
    """What is wrong with the words, as an error like any other."""
    told = str(getattr(error, "format_message", error.__str__)())
    what, _, _ = told.partition(" (Possible options:")
    what, _, guess = what.partition(" Did you mean ")
    near = guess.strip("?'\" ") or next(iter(getattr(error, "possibilities", None) or ()), "")
    ctx = getattr(error, "ctx", None)
    remedy = f"{ctx.command_path} --help" if ctx else ""
    what = " ".join(what.split()).rstrip(".")
    return ConfigError("config.usage", what[:1].lower() + what[1:], try_=f"did you mean {near}?" if near else remedy)


@contextmanager
def _hushed(quiet: bool) -> Iterator[None]:
    """With ``quiet`` holds back what a command says until it is known whether all is well; errors are not held."""
    if not quiet:
        yield
        return
    from docproc.views.terminal import messages

    said, told, out = io.StringIO(), io.StringIO(), sys.stdout
    messages().file, sys.stdout = told, said
    well = False
    try:
        yield
        well = True
    except typer.Exit as end:
        well = end.exit_code == 0
        raise
    finally:
        sys.stdout = out
        messages.cache_clear()
        if not well:
            sys.stdout.write(said.getvalue())
            sys.stderr.write(told.getvalue())


def _in_short(error: Exception) -> str:
    """Type and place of an error, and of its message what cannot be from a document or a row."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    words = words_of(error)
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}" + (words and f": {words}")


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
    ctx: typer.Context,
    version: Version = False,  # noqa: ARG001 - its callback has acted
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv with tracebacks.")
    ] = 0,
    log_file: Annotated[
        Path | None, typer.Option("--log-file", envvar="DOCPROC_LOG_FILE", help="Also log to this file, as JSON lines.")
    ] = None,
    log_format: Annotated[
        logs.Format, typer.Option("--log-format", envvar="DOCPROC_LOG_FORMAT", help="auto: JSON unless on a terminal.")
    ] = logs.Format.AUTO,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        typer.echo(f"next  docproc {_next_command()}")
        raise typer.Exit
    logs.configure(verbose, form=log_format, file=log_file)
    logs.bind(command=ctx.invoked_subcommand)


def _next_command() -> str:
    """The command that makes sense now, by what can be seen without opening anything."""
    begun = os.environ.get("DATABASE_URL") or Path(os.environ.get("DOCPROC_HOME") or ".docproc").is_dir()
    return "status" if begun else "run-all FOLDER"
