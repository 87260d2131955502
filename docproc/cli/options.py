"""What several commands share: their options, and what those options open."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docproc import logs
from docproc.errors import REMEDIES

if TYPE_CHECKING:
    from docproc.app import App


def _profiles(incomplete: str) -> list[str]:
    """The profiles of the docproc.toml in use, for the shell's completion; of one that cannot be read, local alone."""
    path = Path(os.environ.get("DOCPROC_CONFIG") or "docproc.toml")
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8")).get("profile", {})
    except (OSError, ValueError):  # the shell has no place to tell it; the command itself will
        told = {}
    return [name for name in sorted({"local", *told}) if name.startswith(incomplete)]


def complete_code(incomplete: str) -> list[str]:
    """Error codes, for the shell's completion."""
    return [code for code in REMEDIES if code.startswith(incomplete)]


Paths = Annotated[
    list[str] | None, typer.Argument(help="Files, folders, quoted globs; - reads names from standard input.")
]
Profile = Annotated[
    str | None, typer.Option("--profile", help="local, or one that docproc.toml names.", autocompletion=_profiles)
]
Config = Annotated[Path | None, typer.Option("--config", help="The docproc.toml to use.")]
User = Annotated[
    str | None, typer.Option("--user", help="Whose documents: new ones are this user's, and no others are touched.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
JsonLines = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]
MaxDuration = Annotated[str | None, typer.Option("--max-duration", help="Stop in good order after this: 90s, 45m, 2h.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when all is well.")]
Receipt = Annotated[Path | None, typer.Option("--receipt", help="Write what the run did to this file, as JSON.")]
MetricsFile = Annotated[
    Path | None, typer.Option("--metrics-file", help="Write metrics to this file, in Prometheus' text format.")
]
FailureLine = Annotated[
    str, typer.Option("--fail-on", metavar="any|all|never|5%", help="How many failed documents fail the run.")
]


@contextmanager
def opened(
    profile: str | None, file: Path | None, user: str | None = None, flags: Mapping[str, object] | None = None
) -> Iterator[App]:
    """Everything that a command needs, by its options; ``flags`` are settings by ``section.key``."""
    from docproc import config
    from docproc.app import App
    from docproc.redaction import learn_secrets

    settings = config.load(config=file, profile=profile, flags={"user": user, **(flags or {})})
    learn_secrets(settings.secrets)
    with App(settings, only=user) as app:
        logs.bind(profile=settings.profile, run_id=app.run_id, worker=app.owner)
        yield app
