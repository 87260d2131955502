"""A deployment as in production, made for one test, which may spoil it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import psycopg
from psycopg.conninfo import make_conninfo

from docproc import checks
from docproc.app import App
from docproc.checks import Result, Thresholds
from docproc.checks.asking import run
from docproc.checks.database import WRITES
from docproc.settings import Settings
from tests.support import bare_environment

RIGHTS = (
    "GRANT USAGE ON SCHEMA docproc TO docproc_app",
    "GRANT SELECT ON ALL TABLES IN SCHEMA docproc TO docproc_app",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA docproc GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO docproc_app",
    *(f"GRANT {', '.join(what)} ON docproc.{table} TO docproc_app" for table, what in WRITES.items()),
)


@dataclass(slots=True)
class Site:
    """A deployment as in production: a database of its own, a role with the rights it needs, a home."""

    server: str
    settings: Settings
    conninfo: str = ""
    thresholds: Thresholds = field(default_factory=Thresholds)
    clock: Callable[[], float] = time.time
    kept: ExitStack = field(default_factory=ExitStack)
    touched: bool = False

    @property
    def admin(self) -> str:
        """The conninfo of whoever owns the database."""
        self.touched = True
        return make_conninfo(self.server, dbname=DATABASE)

    def sql(self, *statements: str) -> None:
        """Runs statements, each in a transaction of its own, as the owner."""
        with psycopg.connect(self.admin, autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement.encode())

    def change(self, section: str, **values: object) -> None:
        """Changes settings of one section; ``secrets`` is one too."""
        changed = replace(getattr(self.settings, section), **values)
        self.settings = replace(self.settings, **{section: changed})

    def opened(self) -> App:
        """docproc, as the deployment runs it."""
        return App(self.settings)

    def red(self) -> dict[str, Result]:
        """What is not well."""
        with self.opened() as app:
            found = run(checks.Deployment(app, clock=self.clock, thresholds=self.thresholds), checks.every())
        assert all(result.finding.seen and result.expected for result in found if result.level != "skip")
        return {result.check.id: result for result in found if result.level in ("warn", "error")}

    def paste(self, remedy: str) -> None:
        """Does what the remedy says: SQL as the database's owner, a command in a shell."""
        remedy = remedy.removeprefix("run: ")
        if remedy.endswith(";"):
            self.sql(remedy)
            return
        words = shlex.split(remedy)
        if words[0] == "docproc":
            words = [sys.executable, "-m", *words]
        told = {"DATABASE_URL": self.admin, "DOCPROC_HOME": str(self.settings.home)}
        told["DOCPROC_MOCKS_ADDRESS"] = self.settings.mocks.address
        done = subprocess.run(
            words, env=bare_environment(**told), cwd=self.settings.home.parent, capture_output=True, check=False
        )
        assert done.returncode == 0, done


DATABASE = "sabotaged"


Damage = Callable[[Site], object]


def sql(*statements: str) -> Damage:
    return lambda site: site.sql(*statements)


def setting(section: str, **values: object) -> Damage:
    return lambda site: site.change(section, **values)
