"""The way back: to the schema from before, proven by its fingerprint, then to the program from before."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from docproc.deploy import FoundError
from docproc.postgres import migrations

if TYPE_CHECKING:
    from docproc.postgres.database import Database

INSTALL = "pip install docproc=={version}"
"""How the program from before is installed where ``[deploy] way_back`` says nothing else."""


def install(told: str, *, schema: int, previous: str, version: str) -> str:
    """The command that installs ``previous``; empty where none is known, or where it is this ``version``."""
    if not previous or previous == version:
        return ""
    return (told or INSTALL).replace("{version}", previous).replace("{schema}", str(schema))


def take_back(database: Database, *, version: int, fingerprint: str) -> str:
    """Brings the schema to ``version`` and proves that it is what it was; says what was done.

    Raises SchemaError where the way back would lose rows or fails, FoundError where the schema is another than before.
    """
    said = "nothing was changed"
    now = migrations.version(database)
    if now != version:
        migrations.migrate(database, to=version)
        said = f"schema {now} → {version}"
    if migrations.fingerprint(database) != fingerprint:
        raise FoundError("deploy.stuck", "the schema is not what it was before the deploy")
    return f"{said}; fingerprint as before"


def go(command: str) -> str:
    """Runs the command that installs the program from before; returns it. Raises FoundError when it fails."""
    try:
        ran = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)  # noqa: S603 - the user's
    except (OSError, ValueError) as error:
        raise FoundError("deploy.way_back", f"cannot run {command}", why=str(error)) from None
    if ran.returncode:
        last = (ran.stderr.strip() or ran.stdout.strip() or "it said nothing").splitlines()[-1]
        raise FoundError("deploy.way_back", f"{command} failed", why=f"exit {ran.returncode}: {last}")
    return command
