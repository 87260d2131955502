"""The command line: one short function a command, one module a panel of the help."""

from docproc.cli import pipeline, look, fix, beginning, set_up  # noqa: F401, I001 - importing registers, in the order of the help
from docproc.cli.funnel import app, main

__all__ = ["app", "main"]
