"""Migrations: the files in ``sql/``, a ledger with checksums, all pending ones applied in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from docproc.errors import ConfigError, DatabaseError, SchemaError
from docproc.model import sha256
from docproc.postgres.database import Database, query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.up\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: ``up`` and ``down`` are SQL, ``checksum`` is the SHA-256 of ``up``."""

    version: int
    name: str
    up: str
    down: str

    @property
    def checksum(self) -> str:
        """SHA-256 of ``up``, as the ledger holds it."""
        return sha256(self.up.encode())


def folder() -> Path:
    """Where the migrations are: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).parent.parent
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


@cache
def shipped() -> tuple[Migration, ...]:
    """The migrations that this version of docproc knows, in order."""
    found = []
    for path in sorted(folder().glob("*.up.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise ValueError(f"{path.name} is not named NNNN_name.up.sql")
        down = path.with_name(path.name.replace(".up.sql", ".down.sql"))
        found.append(Migration(int(match[1]), match[2], path.read_text("utf-8"), down.read_text("utf-8")))
    return tuple(found)


def latest() -> int:
    """The schema version that this docproc works with."""
    return shipped()[-1].version


def applied(conn: Conn) -> dict[int, str]:
    """Version and checksum of the migrations that a database has; empty when it has none."""
    exists = conn.execute(query("ledger_exists")).fetchone()
    if exists is None or not exists["present"]:
        return {}
    return {row["version"]: row["checksum"] for row in conn.execute(query("ledger")).fetchall()}


def check(database: Database) -> int:
    """The database's schema version. Raises SchemaError unless it is exactly the one this docproc knows."""
    with database.transaction() as conn:
        have = applied(conn)
    version = max(have, default=0)
    if version < latest():
        what = "the database is not set up for docproc" if not have else f"the database has schema {version}"
        raise SchemaError("schema.old", what, why=f"this docproc needs schema {latest()}")
    _refuse_foreign(have)
    return version


def migrate(database: Database, *, to: int | None = None) -> list[str]:
    """Brings the schema to version ``to`` (default: the latest), whole or not at all; returns what was done.

    One process at a time: the others wait for a lock that ends with the transaction. Raises SchemaError when the
    database holds migrations this docproc does not know or whose file was edited since.
    """
    target = latest() if to is None else to
    if target not in (0, *(m.version for m in shipped())):
        raise ConfigError("config.invalid", f"there is no migration {target}", why=f"versions are 1 to {latest()}")
    with database.transaction() as conn:
        conn.execute(query("migration_lock"))
        try:
            conn.execute(query("create_ledger"))
        except psycopg.errors.InsufficientPrivilege as error:
            raise _failed("0000_ledger", error) from error
        have = applied(conn)
        _refuse_foreign(have)
        up = [m for m in shipped() if m.version not in have and m.version <= target]
        down = [m for m in reversed(shipped()) if m.version in have and m.version > target]
        return [*_go(conn, up, "up"), *_go(conn, down, "down")]


def _go(conn: Conn, migrations: Iterable[Migration], way: str) -> list[str]:
    done = []
    for migration in migrations:
        name = f"{migration.version:04}_{migration.name}"
        try:
            conn.execute((migration.up if way == "up" else migration.down).encode())
        except psycopg.Error as error:
            raise _failed(name, error) from error
        values = {"version": migration.version, "name": migration.name, "checksum": migration.checksum}
        conn.execute(query("record_migration" if way == "up" else "forget_migration"), values)
        done.append(f"{way} {name}")
    return done


def _failed(name: str, error: psycopg.Error) -> Exception:
    why = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, psycopg.errors.UndefinedFile | psycopg.errors.FeatureNotSupported) and "extension" in why:
        return DatabaseError("database.extension", "pgvector is not installed on the server", why=why)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return DatabaseError(
            "database.rights",
            f"migration {name} was refused; nothing was changed",
            why=why,
            try_="run docproc migrate with a role that may create schemas and the extension vector",
        )
    if isinstance(error, psycopg.OperationalError):
        return error
    return SchemaError("schema.failed", f"migration {name} failed; nothing was changed", why=why)


def _refuse_foreign(have: dict[int, str]) -> None:
    ours = {m.version: m for m in shipped()}
    for version, checksum in have.items():
        if version not in ours:
            raise SchemaError("schema.new", f"the database has schema {version}", why=f"this docproc knows {latest()}")
        if checksum != ours[version].checksum:
            raise SchemaError("schema.edited", f"migration {version:04} is not the file that was applied")
