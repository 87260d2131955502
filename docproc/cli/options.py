"""What several commands share: their options, and what those options open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docproc import config

if TYPE_CHECKING:
    from docproc.app import App

Paths = Annotated[
    list[str] | None, typer.Argument(help="Files, folders, quoted globs; - reads names from standard input.")
]
Profile = Annotated[str | None, typer.Option("--profile", help="local, or one that docproc.toml names.")]
Config = Annotated[Path | None, typer.Option("--config", help="The docproc.toml to use.")]
User = Annotated[str | None, typer.Option("--user", help="Whose documents these are.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
MaxDuration = Annotated[str | None, typer.Option("--max-duration", help="Stop in good order after this: 90s, 45m, 2h.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when all is well.")]


@contextmanager
def opened(profile: str | None, file: Path | None, user: str | None = None) -> Iterator[App]:
    """Everything that a command needs, by its options."""
    from docproc.app import App

    with App(config.load(config=file, profile=profile, flags={"user": user})) as app:
        yield app
