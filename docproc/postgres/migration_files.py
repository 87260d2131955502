"""Reads the files of the migrations: up, down, the check of the data, and what is built after the transaction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docproc.model import sha256
from docproc.postgres.shipped import ROWS, Row

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.up\.sql")
_LOSES = re.compile(r"^-- loses: (nothing|\w+(?:, \w+)*)$", re.M)
_COMMENT = re.compile(r"^--.*\n?", re.M)
_MAKES = re.compile(
    r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (?P<name>\w+)\s+ON docproc\.(?P<table>\w+)\s.*", re.S
)
_TAKES = re.compile(r"DROP INDEX CONCURRENTLY IF EXISTS docproc\.(?P<name>\w+)")


@dataclass(frozen=True, slots=True)
class Build:
    """One statement of a second phase: it makes the index ``name`` on ``table``, or takes it away (no table then)."""

    statement: str
    name: str
    table: str = ""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: SQL for both ways.

    ``check`` is a query whose rows are problems of the data after ``up``; ``builds`` run after the transaction.
    """

    version: int
    name: str
    up: str
    down: str
    check: str = ""
    builds: tuple[Build, ...] = ()

    @property
    def checksum(self) -> str:
        """SHA-256 of ``up``, as the ledger holds it."""
        return sha256(self.up.encode())

    @property
    def title(self) -> str:
        """``NNNN_name``, as its files begin."""
        return f"{self.version:04}_{self.name}"

    @property
    def loses(self) -> tuple[str, ...]:
        """The tables whose rows ``down`` takes away for good, as its line ``-- loses:`` tells."""
        told = _LOSES.search(self.down)
        return () if told is None or told[1] == "nothing" else tuple(told[1].split(", "))


@dataclass(frozen=True, slots=True)
class Migrations:
    """Migrations in their order, and the rows of the catalogue that they make; None when those are not known."""

    steps: tuple[Migration, ...]
    rows: tuple[Row, ...] | None = None

    @property
    def latest(self) -> int:
        """The last version; 0 when there is none."""
        return self.steps[-1].version if self.steps else 0

    def upto(self, version: int) -> tuple[Migration, ...]:
        """The steps that lead to ``version``."""
        return tuple(step for step in self.steps if step.version <= version)


def read(folder: Path, rows: tuple[Row, ...] | None = None) -> Migrations:
    """The migrations of ``folder``. Raises ValueError for a file that is not as docs/migrations.md says."""
    return Migrations(tuple(_read(path) for path in sorted(folder.glob("*.up.sql"))), rows)


def folder() -> Path:
    """Where the migrations are: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).parent.parent
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


@cache
def known() -> Migrations:
    """The migrations that this version of docproc knows."""
    return read(folder(), ROWS)


def _read(path: Path) -> Migration:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path.name} is not named NNNN_name.up.sql")
    up, down, check, builds = (_text(path, kind) for kind in ("up", "down", "check", "concurrently"))
    if len(_LOSES.findall(down)) != 1:
        raise ValueError(f"{match[1]}_{match[2]}.down.sql has no line such as -- loses: nothing")
    return Migration(int(match[1]), match[2], up, down, check, _builds(path, builds))


def _text(up: Path, kind: str) -> str:
    path = up.with_name(up.name.replace(".up.sql", f".{kind}.sql"))
    return path.read_text("utf-8") if kind in ("up", "down") or path.is_file() else ""


def _builds(up: Path, text: str) -> tuple[Build, ...]:
    found = []
    for part in re.split(r"^-- next$", text, flags=re.M) if text else ():
        statement = _COMMENT.sub("", part).strip().removesuffix(";")
        match = _MAKES.fullmatch(statement) or _TAKES.fullmatch(statement)
        if match is None or ";" in statement:
            raise ValueError(f"the second phase of {up.name} holds what is no single index: {statement[:80]}")
        found.append(Build(statement, match["name"], match.groupdict().get("table", "")))
    return tuple(found)
